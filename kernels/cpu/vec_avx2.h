/* vec_avx2.h: the vector words of kernels/cpu on 256-bit registers (AVX2, FMA, F16C).
 *
 * One idea: kernels are written once over these words (vec.h lists them) and instantiated by one source file per instruction set.
 * The shape of the register tile and of its weight panel is part of the set: 6 × 16 sums fill the sixteen registers. */
#ifndef CPU_VEC_AVX2_H
#define CPU_VEC_AVX2_H
#include "kernels/cpu/vec.h"

typedef __m256 Vec;
#define TILE_VECS 2
enum { VEC_WIDTH = 8, PANEL_DEPTH = 288 };

/* Lanes below n are all ones. */
static inline __m256i v_mask(int64_t n)
{
    static const int32_t ones[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_si256((const __m256i *)(const void *)(ones + 8 - n));
}

INLINE Vec v_zero(void)
{
    return _mm256_setzero_ps();
}
INLINE Vec v_set(float x)
{
    return _mm256_set1_ps(x);
}
INLINE Vec v_load(const float *p)
{
    return _mm256_loadu_ps(p);
}
INLINE Vec v_load_n(const float *p, int64_t n)
{
    return n >= VEC_WIDTH ? v_load(p) : _mm256_maskload_ps(p, v_mask(n));
}
INLINE Vec v_load_f16(const void *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128(p));
}
INLINE Vec v_load_bf16(const void *p)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(p)), 16));
}
INLINE void v_store(float *p, Vec a)
{
    _mm256_storeu_ps(p, a);
}
INLINE void v_store_n(float *p, Vec a, int64_t n)
{
    if (n >= VEC_WIDTH) v_store(p, a);
    else _mm256_maskstore_ps(p, v_mask(n), a);
}

INLINE Vec v_add(Vec a, Vec b)
{
    return _mm256_add_ps(a, b);
}
INLINE Vec v_sub(Vec a, Vec b)
{
    return _mm256_sub_ps(a, b);
}
INLINE Vec v_mul(Vec a, Vec b)
{
    return _mm256_mul_ps(a, b);
}
INLINE Vec v_div(Vec a, Vec b)
{
    return _mm256_div_ps(a, b);
}
INLINE Vec v_fma(Vec a, Vec b, Vec c)
{
    return _mm256_fmadd_ps(a, b, c);
}
INLINE Vec v_max(Vec a, Vec b)
{
    return _mm256_max_ps(a, b);
} /* b where either is NaN */
INLINE Vec v_min(Vec a, Vec b)
{
    return _mm256_min_ps(a, b);
} /* likewise */
INLINE Vec v_abs(Vec a)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
}
INLINE Vec v_round(Vec a)
{
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
/* a·2^n for a whole n from −127 (which gives 0) to 127. */
INLINE Vec v_scale2(Vec a, Vec n)
{
    const __m256i exponent = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
    return _mm256_mul_ps(a, _mm256_castsi256_ps(exponent));
}
/* a where x is negative (or −0), b elsewhere. */
INLINE Vec v_if_negative(Vec x, Vec a, Vec b)
{
    return _mm256_blendv_ps(b, a, x);
}
INLINE bool v_any_nan(Vec a)
{
    return _mm256_movemask_ps(_mm256_cmp_ps(a, a, _CMP_UNORD_Q)) != 0;
}
INLINE float v_sum(Vec a)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
INLINE float v_largest(Vec a)
{
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}
/* sum[0 … VEC_WIDTH−1] += a, in f64. */
INLINE void v_add_to_f64(double *sum, Vec a)
{
    _mm256_storeu_pd(sum, _mm256_add_pd(_mm256_loadu_pd(sum), _mm256_cvtps_pd(_mm256_castps256_ps128(a))));
    _mm256_storeu_pd(sum + 4, _mm256_add_pd(_mm256_loadu_pd(sum + 4), _mm256_cvtps_pd(_mm256_extractf128_ps(a, 1))));
}
#endif
