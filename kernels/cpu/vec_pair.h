/* vec_pair.h: sixteen lanes as a pair of AVX2 registers.
 *
 * One idea: the tile, panel and tail logic of the AVX-512 kernels can be tested on a machine without AVX-512. Tile and panel
 * have the shapes of vec_avx512.h; nobody computes with it for speed. */
#ifndef CPU_VEC_PAIR_H
#define CPU_VEC_PAIR_H
#include "kernels/cpu/vec.h"

typedef struct Vec {
    __m256 low, high;
} Vec;
#define TILE_VECS 4
enum { VEC_WIDTH = 16, PANEL_DEPTH = 144 };

/* Lanes below n are all ones, for any n. */
static inline __m256i v_mask(int64_t n)
{
    static const int32_t ones[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_si256((const __m256i *)(const void *)(ones + 8 - (n < 0 ? 0 : n > 8 ? 8 : n)));
}

#define PAIR_OF_TWO(name, call)                                 \
    INLINE Vec name(Vec a, Vec b)                               \
    {                                                           \
        return (Vec){call(a.low, b.low), call(a.high, b.high)}; \
    }
PAIR_OF_TWO(v_add, _mm256_add_ps)
PAIR_OF_TWO(v_sub, _mm256_sub_ps)
PAIR_OF_TWO(v_mul, _mm256_mul_ps)
PAIR_OF_TWO(v_div, _mm256_div_ps)
PAIR_OF_TWO(v_max, _mm256_max_ps)
PAIR_OF_TWO(v_min, _mm256_min_ps)

INLINE Vec v_zero(void)
{
    return (Vec){_mm256_setzero_ps(), _mm256_setzero_ps()};
}
INLINE Vec v_set(float x)
{
    return (Vec){_mm256_set1_ps(x), _mm256_set1_ps(x)};
}
INLINE Vec v_load(const float *p)
{
    return (Vec){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}
INLINE Vec v_load_n(const float *p, int64_t n)
{
    return (Vec){_mm256_maskload_ps(p, v_mask(n)), n > 8 ? _mm256_maskload_ps(p + 8, v_mask(n - 8)) : _mm256_setzero_ps()};
}
INLINE Vec v_load_f16(const void *p)
{
    const __m128i *half = p;
    return (Vec){_mm256_cvtph_ps(_mm_loadu_si128(half)), _mm256_cvtph_ps(_mm_loadu_si128(half + 1))};
}
INLINE __m256 pair_widen_bf16(__m128i half)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
}
INLINE Vec v_load_bf16(const void *p)
{
    const __m128i *half = p;
    return (Vec){pair_widen_bf16(_mm_loadu_si128(half)), pair_widen_bf16(_mm_loadu_si128(half + 1))};
}
INLINE void v_store(float *p, Vec a)
{
    _mm256_storeu_ps(p, a.low);
    _mm256_storeu_ps(p + 8, a.high);
}
INLINE void v_store_n(float *p, Vec a, int64_t n)
{
    _mm256_maskstore_ps(p, v_mask(n), a.low);
    if (n > 8) _mm256_maskstore_ps(p + 8, v_mask(n - 8), a.high);
}

INLINE Vec v_fma(Vec a, Vec b, Vec c)
{
    return (Vec){_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}
INLINE Vec v_abs(Vec a)
{
    const __m256 sign = _mm256_set1_ps(-0.0f);
    return (Vec){_mm256_andnot_ps(sign, a.low), _mm256_andnot_ps(sign, a.high)};
}
INLINE __m256 pair_round(__m256 a)
{
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
INLINE Vec v_round(Vec a)
{
    return (Vec){pair_round(a.low), pair_round(a.high)};
}
INLINE __m256 pair_scale2(__m256 a, __m256 n)
{
    const __m256i exponent = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
    return _mm256_mul_ps(a, _mm256_castsi256_ps(exponent));
}
INLINE Vec v_scale2(Vec a, Vec n)
{
    return (Vec){pair_scale2(a.low, n.low), pair_scale2(a.high, n.high)};
}
INLINE Vec v_if_negative(Vec x, Vec a, Vec b)
{
    return (Vec){_mm256_blendv_ps(b.low, a.low, x.low), _mm256_blendv_ps(b.high, a.high, x.high)};
}
INLINE bool v_any_nan(Vec a)
{
    const __m256 low = _mm256_cmp_ps(a.low, a.low, _CMP_UNORD_Q), high = _mm256_cmp_ps(a.high, a.high, _CMP_UNORD_Q);
    return _mm256_movemask_ps(_mm256_or_ps(low, high)) != 0;
}
INLINE float v_sum(Vec a)
{
    const __m256 both = _mm256_add_ps(a.low, a.high);
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(both), _mm256_extractf128_ps(both, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
INLINE float v_largest(Vec a)
{
    const __m256 both = _mm256_max_ps(a.low, a.high);
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(both), _mm256_extractf128_ps(both, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}
INLINE void pair_add_to_f64(double *sum, __m128 a)
{
    _mm256_storeu_pd(sum, _mm256_add_pd(_mm256_loadu_pd(sum), _mm256_cvtps_pd(a)));
}
INLINE void v_add_to_f64(double *sum, Vec a)
{
    pair_add_to_f64(sum, _mm256_castps256_ps128(a.low));
    pair_add_to_f64(sum + 4, _mm256_extractf128_ps(a.low, 1));
    pair_add_to_f64(sum + 8, _mm256_castps256_ps128(a.high));
    pair_add_to_f64(sum + 12, _mm256_extractf128_ps(a.high, 1));
}
#endif
