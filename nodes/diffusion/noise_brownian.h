/* noise_brownian.h: a Brownian path per element that gives the same increments however often it is asked (numerics.md §1.5). */
#ifndef DIFFUSION_NOISE_BROWNIAN_H
#define DIFFUSION_NOISE_BROWNIAN_H
#include <nodus/tensor.h>

typedef struct Brownian Brownian;
/* `count` paths between t0 < t1. All 64 bits of the seed count. Freed with brownian_free. */
NodusStatus brownian_new(uint64_t seed, float t0, float t1, size_t count, Brownian **out);
/* The path from the smallest σ of the list that is not 0 to the largest. */
NodusStatus brownian_of_sigmas(uint64_t seed, const float *sigmas, int sigma_count, size_t count, Brownian **out);
/* W(b) − W(a), for a < b; both are brought into [t0, t1]. */
NodusStatus brownian_increment(Brownian *path, float a, float b, float *out);
/* Unit noise for the step from one σ to another; time runs down with σ, so the sign turns. */
NodusStatus brownian_noise(Brownian *path, float from, float to, float *out);
/* The same as a tensor of the shape of `like`, which has `count` elements. */
NodusStatus brownian_tensor(Brownian *path, NodusMath *math, const NodusTensor *like, float from, float to, NodusTensor **out);
void brownian_free(Brownian *path); /* NULL is allowed */
/* The first `count` words of NumPy's SeedSequence with a pool of 24 words; `key` may be empty. */
void brownian_seeds(uint64_t seed, const uint64_t *key, int keys, uint32_t *out, int count);
#endif
