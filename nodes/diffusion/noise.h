/* noise.h: PyTorch's CPU generator, bit for bit (numerics.md §1): MT19937, uniform and normal numbers. */
#ifndef DIFFUSION_NOISE_H
#define DIFFUSION_NOISE_H
#include <nodus/tensor.h>

typedef struct Generator {
    uint32_t state[624];
    int next;
    bool has_cached;
    double cached;
} Generator;
void generator_seed(Generator *generator, uint64_t seed); /* only the low 32 bits count */
uint32_t generator_u32(Generator *generator);
uint64_t generator_u64(Generator *generator);
/* randn of `count` elements, as torch.randn of a contiguous f32 tensor. */
void generator_normal(Generator *generator, float *out, size_t count);
void generator_uniform(Generator *generator, float *out, size_t count); /* torch.rand */

/* The initial noise of a latent [b, c, h, w]: one draw, or by batch index (numerics.md §1.4). */
NodusStatus noise_initial(NodusMath *math, uint64_t seed, const NodusTensor *like, const int64_t *batch_index, NodusTensor **out);
/* The same from a generator, which goes on behind it. */
NodusStatus noise_draw(Generator *generator, NodusMath *math, const NodusTensor *like, const int64_t *batch_index, NodusTensor **out);
/* randn of any shape. */
NodusStatus noise_normal(Generator *generator, NodusMath *math, int rank, const int64_t *dim, NodusTensor **out);
#endif
