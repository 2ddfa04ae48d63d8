/* math.inc.h: exp, SiLU and GELU on vectors, for the kernels of one instruction set.
 *
 * One idea: e^x = 2^n·e^r with |r| ≤ ln 2 / 2 and a polynomial of degree 5 for e^r (minimax, 1e-7 relative); everything else is
 * made of it. NaN passes through: the second operand of v_max and v_min is the one returned when either is NaN. */

/* 0 below −87.7, 2.2e38 above 88.3. */
INLINE Vec v_exp(Vec x)
{
    x = v_min(v_set(88.3f), v_max(v_set(-88.0f), x));
    const Vec n = v_round(v_mul(x, v_set(1.44269504f)));
    const Vec r = v_fma(n, v_set(2.12194440e-4f), v_fma(n, v_set(-0.693359375f), x)); /* ln 2 in two parts: n·first is exact */
    Vec p = v_fma(v_set(0.008312520571f), r, v_set(0.041890159249f));
    p = v_fma(p, r, v_set(0.166671141982f));
    p = v_fma(p, r, v_set(0.499992311001f));
    return v_scale2(v_fma(p, v_mul(r, r), v_add(r, v_set(1.0f))), n);
}

/* x / (1 + e^(−slope·x)): SiLU for slope 1, the quick GELU for 1.702. Below −88 the result is less than the smallest f32 there is, and what
 * is cut off would make it grow again. */
INLINE Vec v_swish(Vec x, float slope)
{
    x = v_max(v_set(-88.0f), x);
    return v_div(x, v_add(v_set(1.0f), v_exp(v_mul(x, v_set(-slope)))));
}

/* x·Φ(x). With z = |x|, Φ(−z) = e^(−z²/2)·h(z), and h is t·(polynomial of degree 7 in t), t = 1/(1 + 0.3z): 1.5e-7 relative. */
INLINE Vec v_gelu(Vec x)
{
    const Vec z = v_abs(x), t = v_div(v_set(1.0f), v_fma(z, v_set(0.3f), v_set(1.0f)));
    Vec h = v_fma(v_set(0.03567445f), t, v_set(-0.15720163f));
    h = v_fma(h, t, v_set(0.20635086f));
    h = v_fma(h, t, v_set(-0.053681087f));
    h = v_fma(h, t, v_set(0.12856022f));
    h = v_fma(h, t, v_set(0.09991393f));
    h = v_fma(h, t, v_set(0.120753884f));
    h = v_fma(h, t, v_set(0.1196293f));
    const Vec below = v_mul(v_mul(h, t), v_exp(v_mul(v_mul(x, x), v_set(-0.5f))));
    return v_mul(x, v_if_negative(x, below, v_sub(v_set(1.0f), below)));
}

INLINE Vec v_activate(Vec x, const int activation)
{
    switch (activation) {
    case ACTIVATION_SILU:
        return v_swish(x, 1.0f);
    case ACTIVATION_GELU:
        return v_gelu(x);
    case ACTIVATION_QUICK_GELU:
        return v_swish(x, 1.702f);
    default:
        return x;
    }
}

/* VEC_WIDTH stored values (f32, f16, bf16) as f32. */
INLINE Vec v_load_as(int dtype, const void *p, int64_t index)
{
    if (dtype == DTYPE_F16) return v_load_f16((const uint16_t *)p + index);
    if (dtype == DTYPE_BF16) return v_load_bf16((const uint16_t *)p + index);
    return v_load((const float *)p + index);
}

/* The first n values of `p` from `index` on, widened into out[n]. */
static void widen(int dtype, const void *p, int64_t index, int64_t n, float *out)
{
    int64_t i = 0;
    for (; i + VEC_WIDTH <= n; i += VEC_WIDTH) v_store(out + i, v_load_as(dtype, p, index + i));
    if (i == n) return;
    _Alignas(64) uint8_t rest[4 * VEC_WIDTH] = {0}; /* never reads beyond the array */
    const size_t size = dtype_size(dtype);
    memcpy(rest, (const uint8_t *)p + (size_t)(index + i) * size, (size_t)(n - i) * size);
    v_store_n(out + i, v_load_as(dtype, rest, 0), n - i);
}
