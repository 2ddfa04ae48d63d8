/* vec_avx512.h: the vector words of kernels/cpu on 512-bit registers (AVX-512 F, BW, DQ, VL).
 *
 * One idea: the same words as vec_avx2.h at twice the width; tails use mask registers. 6 × 64 sums fill 24 of the 32 registers.
 */
#ifndef CPU_VEC_AVX512_H
#define CPU_VEC_AVX512_H
#include "kernels/cpu/vec.h"

typedef __m512 Vec;
#define TILE_VECS 4
enum { VEC_WIDTH = 16, PANEL_DEPTH = 144 };

static inline __mmask16 v_mask(int64_t n)
{
    return (__mmask16)((1u << n) - 1);
}

INLINE Vec v_zero(void)
{
    return _mm512_setzero_ps();
}
INLINE Vec v_set(float x)
{
    return _mm512_set1_ps(x);
}
INLINE Vec v_load(const float *p)
{
    return _mm512_loadu_ps(p);
}
INLINE Vec v_load_n(const float *p, int64_t n)
{
    return n >= VEC_WIDTH ? v_load(p) : _mm512_maskz_loadu_ps(v_mask(n), p);
}
INLINE Vec v_load_f16(const void *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256(p));
}
INLINE Vec v_load_bf16(const void *p)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(p)), 16));
}
INLINE void v_store(float *p, Vec a)
{
    _mm512_storeu_ps(p, a);
}
INLINE void v_store_n(float *p, Vec a, int64_t n)
{
    if (n >= VEC_WIDTH) v_store(p, a);
    else _mm512_mask_storeu_ps(p, v_mask(n), a);
}

INLINE Vec v_add(Vec a, Vec b)
{
    return _mm512_add_ps(a, b);
}
INLINE Vec v_sub(Vec a, Vec b)
{
    return _mm512_sub_ps(a, b);
}
INLINE Vec v_mul(Vec a, Vec b)
{
    return _mm512_mul_ps(a, b);
}
INLINE Vec v_div(Vec a, Vec b)
{
    return _mm512_div_ps(a, b);
}
INLINE Vec v_fma(Vec a, Vec b, Vec c)
{
    return _mm512_fmadd_ps(a, b, c);
}
INLINE Vec v_max(Vec a, Vec b)
{
    return _mm512_max_ps(a, b);
}
INLINE Vec v_min(Vec a, Vec b)
{
    return _mm512_min_ps(a, b);
}
INLINE Vec v_abs(Vec a)
{
    return _mm512_abs_ps(a);
}
INLINE Vec v_round(Vec a)
{
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
INLINE Vec v_scale2(Vec a, Vec n)
{
    const __m512i exponent = _mm512_slli_epi32(_mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127)), 23);
    return _mm512_mul_ps(a, _mm512_castsi512_ps(exponent));
}
INLINE Vec v_if_negative(Vec x, Vec a, Vec b)
{
    return _mm512_mask_blend_ps(_mm512_movepi32_mask(_mm512_castps_si512(x)), b, a);
}
INLINE bool v_any_nan(Vec a)
{
    return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q) != 0;
}
INLINE float v_sum(Vec a)
{
    return _mm512_reduce_add_ps(a);
}
INLINE float v_largest(Vec a)
{
    return _mm512_reduce_max_ps(a);
}
INLINE void v_add_to_f64(double *sum, Vec a)
{
    const __m512d low = _mm512_cvtps_pd(_mm512_castps512_ps256(a)), high = _mm512_cvtps_pd(_mm512_extractf32x8_ps(a, 1));
    _mm512_storeu_pd(sum, _mm512_add_pd(_mm512_loadu_pd(sum), low));
    _mm512_storeu_pd(sum + 8, _mm512_add_pd(_mm512_loadu_pd(sum + 8), high));
}
#endif
