/* noise.c: PyTorch's CPU generator, bit for bit, because a seed is only worth something if it gives the same picture everywhere.
 *
 * One idea: the stream of bits is MT19937 (Matsumoto & Nishimura, 1998); what differs is how normal numbers are made of it. Fewer
 * than 16 take a Box-Muller pair in double precision; 16 or more are made in blocks of 16 with the single-precision logarithm and
 * sine of PyTorch's vector code (Cephes' polynomials), with a fused multiply-add exactly where that code has one. */
#include "nodes/diffusion/noise.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include <math.h>
#include <string.h>

enum { STATE = 624, TWIST = 397, BLOCK = 16, HALF = BLOCK / 2 };

void generator_seed(Generator *generator, uint64_t seed)
{
    *generator = (Generator){.next = STATE};
    uint32_t *s = generator->state;
    s[0] = (uint32_t)seed;
    for (uint32_t j = 1; j < STATE; j++) s[j] = 1812433253u * (s[j - 1] ^ (s[j - 1] >> 30)) + j;
}

static void generator_twist(uint32_t *s)
{
    for (int i = 0; i < STATE; i++) {
        const uint32_t y = (s[i] & 0x80000000u) | (s[(i + 1) % STATE] & 0x7fffffffu);
        s[i] = s[(i + TWIST) % STATE] ^ (y >> 1) ^ (y & 1 ? 0x9908b0dfu : 0);
    }
}

uint32_t generator_u32(Generator *generator)
{
    if (generator->next == STATE) {
        generator_twist(generator->state);
        generator->next = 0;
    }
    uint32_t y = generator->state[generator->next++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
}

uint64_t generator_u64(Generator *generator)
{
    const uint64_t high = generator_u32(generator);
    return high << 32 | generator_u32(generator);
}

static double uniform_f64(Generator *generator)
{
    return (double)(generator_u64(generator) & ((UINT64_C(1) << 53) - 1)) * 0x1p-53;
}

void generator_uniform(Generator *generator, float *out, size_t count)
{
    for (size_t i = 0; i < count; i++) out[i] = (float)(generator_u32(generator) & 0xffffff) * 0x1p-24f;
}

/* ln x for x in (0, 1]. */
static float normal_ln(float x)
{
    static const float c[] = {-1.1514610310e-1f, 1.1676998740e-1f, -1.2420140846e-1f, 1.4249322787e-1f,
                              -1.6668057665e-1f, 2.0000714765e-1f, -2.4999993993e-1f, 3.3333331174e-1f};
    int exponent;
    float m = frexpf(fmaxf(x, 1.17549435e-38f), &exponent);
    if (m < 0.707106781186547524f) {
        exponent--;
        m = (m - 1.0f) + m;
    } else {
        m = m - 1.0f;
    }
    const float e = (float)exponent, z = m * m;
    float y = 7.0376836292e-2f;
    for (size_t i = 0; i < sizeof c / sizeof c[0]; i++) y = fmaf(y, m, c[i]);
    y = y * m;
    y = fmaf(y, z, e * -2.12194440e-4f);
    y = fmaf(z, -0.5f, y);
    return fmaf(e, 0.693359375f, m + y);
}

/* sin x and cos x for x in [0, 2π). */
static void normal_sincos(float x, float *sine, float *cosine)
{
    const int j = ((int)(x * 1.27323954473516f) + 1) & ~1; /* the octant, made even */
    const float y = (float)j;
    x = fmaf(y, -0.78515625f, x);
    x = fmaf(y, -2.4187564849853515625e-4f, x);
    x = fmaf(y, -3.77489497744594108e-8f, x);
    const float z = x * x;
    float c = 2.443315711809948e-5f;
    c = fmaf(c, z, -1.388731625493765e-3f);
    c = fmaf(c, z, 4.166664568298827e-2f);
    c = c * z;
    c = fmaf(c, z, z * -0.5f);
    c = c + 1.0f;
    float s = -1.9515295891e-4f;
    s = fmaf(s, z, 8.3321608736e-3f);
    s = fmaf(s, z, -1.6666654611e-1f);
    s = s * z;
    s = fmaf(s, x, x);
    const bool swap = j & 2;
    *sine = (j & 4 ? -1.0f : 1.0f) * (swap ? c : s);
    *cosine = ((j - 2) & 4 ? 1.0f : -1.0f) * (swap ? s : c);
}

/* 16 uniform numbers become 16 normal ones, in place. */
static void normal_block(float *a)
{
    const float turn = 6.28318530717958647692f;
    for (int j = 0; j < HALF; j++) {
        const float r = sqrtf(-2.0f * normal_ln(1.0f - a[j]));
        float sine, cosine;
        normal_sincos(turn * a[j + HALF], &sine, &cosine);
        a[j] = r * cosine;
        a[j + HALF] = r * sine;
    }
}

static float normal_one(Generator *generator)
{
    if (generator->has_cached) {
        generator->has_cached = false;
        return (float)generator->cached;
    }
    const double u1 = uniform_f64(generator), u2 = uniform_f64(generator);
    const double r = sqrt(-2 * log1p(-u2)), theta = 2 * 3.14159265358979323846 * u1;
    generator->cached = r * sin(theta);
    generator->has_cached = true;
    return (float)(r * cos(theta));
}

void generator_normal(Generator *generator, float *out, size_t count)
{
    if (count < BLOCK) {
        for (size_t i = 0; i < count; i++) out[i] = normal_one(generator);
        return;
    }
    generator_uniform(generator, out, count);
    for (size_t i = 0; i + BLOCK <= count; i += BLOCK) normal_block(out + i);
    if (count % BLOCK) { /* the last 16 are drawn anew, over some that were done already */
        generator_uniform(generator, out + count - BLOCK, BLOCK);
        normal_block(out + count - BLOCK);
    }
}

/* Item after item up to the largest index; each place takes the draw of its number. */
static void noise_by_index(Generator *generator, const int64_t *index, int64_t batch, size_t item, float *draw, float *out)
{
    int64_t last = 0;
    for (int64_t k = 0; k < batch; k++)
        if (index[k] > last) last = index[k];
    for (int64_t i = 0; i <= last; i++) {
        generator_normal(generator, draw, item);
        for (int64_t k = 0; k < batch; k++)
            if (index[k] == i) memcpy(out + (size_t)k * item, draw, item * sizeof(float));
    }
}

NodusStatus noise_draw(Generator *generator, NodusMath *math, const NodusTensor *like, const int64_t *batch_index,
                       NodusTensor **out)
{
    int64_t dim[NODUS_MAX_RANK];
    const int rank = nodus_tensor_rank(like);
    for (int i = 0; i < rank; i++) dim[i] = nodus_tensor_dim(like, i);
    if (!batch_index) return noise_normal(generator, math, rank, dim, out);
    const size_t count = (size_t)nodus_tensor_count(like), item = dim[0] > 0 ? count / (size_t)dim[0] : 0;
    float *numbers = memory_array(count + item, sizeof(float)); /* behind the noise: room for one draw */
    if (!numbers) return status_memory();
    noise_by_index(generator, batch_index, dim[0], item, numbers + count, numbers);
    NodusStatus status = nodus_tensor_from_f32(math, out, rank, dim, numbers);
    memory_free(numbers);
    return status;
}

NodusStatus noise_normal(Generator *generator, NodusMath *math, int rank, const int64_t *dim, NodusTensor **out)
{
    size_t count = 1;
    for (int i = 0; i < rank; i++) count *= (size_t)dim[i];
    float *numbers = memory_array(count, sizeof(float));
    if (!numbers) return status_memory();
    generator_normal(generator, numbers, count);
    NodusStatus status = nodus_tensor_from_f32(math, out, rank, dim, numbers);
    memory_free(numbers);
    return status;
}

NodusStatus noise_initial(NodusMath *math, uint64_t seed, const NodusTensor *like, const int64_t *batch_index, NodusTensor **out)
{
    Generator generator;
    generator_seed(&generator, seed);
    return noise_draw(&generator, math, like, batch_index, out);
}
