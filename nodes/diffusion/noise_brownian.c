/* noise_brownian.c: Brownian paths for the samplers of stochastic differential equations, bit for bit as torchsde draws them.
 *
 * One idea: an interval knows its increment W; its middle is drawn, given the ends, by a generator whose seed follows from the
 * place in the tree of halves (Lévy's bridge). So an increment depends on where it lies, not on what was asked before. Only the
 * halves around the last question are kept: samplers go down from σ to σ, and the next question shares an end with the last.
 * The seeds are those of NumPy's SeedSequence (O'Neill, "Developing a seed_seq alternative", 2015). */
#include "nodes/diffusion/noise_brownian.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "nodes/diffusion/noise.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POOL = 24, MAX_KEYS = 2, MAX_DEPTH = 62, DIGITS = 64 };

typedef struct Interval {
    double a, b, middle;
    uint64_t key;
    int depth;
    uint64_t asked; /* by which question last */
    struct Interval *half[2];
    float w[]; /* the increment from a to b */
} Interval;

struct Brownian {
    uint64_t seed, question;
    size_t count;
    Interval *root;
    float *draw; /* room for one draw */
};

/* ---- Seeds --------------------------------------------------------------------------------------------------------- */

static uint32_t seed_mix(uint32_t v, uint32_t *h, uint32_t factor)
{
    v ^= *h;
    *h *= factor;
    v *= *h;
    return v ^ v >> 16;
}

static void seed_stir(uint32_t *into, uint32_t word)
{
    const uint32_t r = 0xca01f9ddu * *into - 0x4973f715u * word;
    *into = r ^ r >> 16;
}

static int seed_words(uint64_t number, uint32_t *out)
{
    out[0] = (uint32_t)number;
    out[1] = (uint32_t)(number >> 32);
    return out[1] ? 2 : 1;
}

void brownian_seeds(uint64_t seed, const uint64_t *key, int keys, uint32_t *out, int count)
{
    const uint32_t pool_factor = 0x931e8875u, word_factor = 0x58f38dedu;
    uint32_t words[POOL + 2 * MAX_KEYS] = {0}, pool[POOL], h = 0x43b0d7e5u;
    int used = POOL;
    seed_words(seed, words);
    for (int i = 0; i < keys; i++) used += seed_words(key[i], words + used);
    for (int i = 0; i < POOL; i++) pool[i] = seed_mix(words[i], &h, pool_factor);
    for (int a = 0; a < POOL; a++)
        for (int b = 0; b < POOL; b++)
            if (a != b) seed_stir(&pool[b], seed_mix(pool[a], &h, pool_factor));
    for (int i = POOL; i < used; i++)
        for (int b = 0; b < POOL; b++) seed_stir(&pool[b], seed_mix(words[i], &h, pool_factor));
    h = 0x8b51f9ddu;
    for (int i = 0; i < count; i++) out[i] = seed_mix(pool[i % POOL], &h, word_factor);
}

/* ---- The tree ------------------------------------------------------------------------------------------------------ */

/* Six decimal places: the resolution of the path. */
static double rounded(double x)
{
    char text[DIGITS];
    snprintf(text, sizeof text, "%.6f", x);
    return strtod(text, NULL);
}

static Interval *interval_new(const Brownian *path, double a, double b, uint64_t key, int depth)
{
    if (path->count > (SIZE_MAX - sizeof(Interval)) / sizeof(float)) return NULL;
    Interval *interval = memory_alloc(sizeof *interval + path->count * sizeof(float));
    if (!interval) return NULL;
    interval->a = a;
    interval->b = b;
    interval->middle = rounded((a + b) / 2);
    interval->key = key;
    interval->depth = depth;
    return interval;
}

/* Depth is bounded by MAX_DEPTH, so recursion is. */
static void interval_free(Interval *interval)
{
    if (!interval) return;
    interval_free(interval->half[0]);
    interval_free(interval->half[1]);
    memory_free(interval);
}

/* Standard normal numbers of the first seed. */
static void brownian_draw(const Brownian *path, const uint64_t *key, int keys, float *out)
{
    Generator generator;
    uint32_t seed;
    brownian_seeds(path->seed, key, keys, &seed, 1);
    generator_seed(&generator, seed);
    generator_normal(&generator, out, path->count);
}

static NodusStatus interval_split(const Brownian *path, Interval *whole)
{
    if (whole->depth == MAX_DEPTH)
        return nodus_error(NODUS_ERROR_INPUT, "the sigmas lie too far apart for a Brownian path: from %g to %g", path->root->a,
                           path->root->b);
    for (int side = 0; side < 2; side++) {
        Interval *half = interval_new(path, side ? whole->middle : whole->a, side ? whole->b : whole->middle,
                                      2 * whole->key + (uint64_t)side, whole->depth + 1);
        if (!half) return status_memory();
        interval_free(whole->half[side]);
        whole->half[side] = half;
    }
    const double left = whole->middle - whole->a, right = whole->b - whole->middle, inverse = 1 / (whole->b - whole->a);
    const float share = (float)left, scale = (float)inverse, deviation = (float)sqrt(left * right * inverse);
    brownian_draw(path, (uint64_t[]){whole->key, (uint64_t)whole->depth}, 2, path->draw);
    for (size_t i = 0; i < path->count; i++) {
        whole->half[0]->w[i] = share * whole->w[i] * scale + deviation * path->draw[i];
        whole->half[1]->w[i] = whole->w[i] - whole->half[0]->w[i];
    }
    return NULL;
}

/* out += the increment from ta to tb, both inside the interval: the largest halves that cover it, from left to right. */
static NodusStatus interval_collect(const Brownian *path, Interval *interval, double ta, double tb, float *out)
{
    if (ta == interval->a && tb == interval->b) {
        for (size_t i = 0; i < path->count; i++) out[i] += interval->w[i];
        return NULL;
    }
    interval->asked = path->question;
    if (!interval->half[0] || !interval->half[1]) NODUS_TRY(interval_split(path, interval));
    const double middle = interval->middle;
    if (ta < middle) NODUS_TRY(interval_collect(path, interval->half[0], ta, fmin(tb, middle), out));
    if (tb > middle) NODUS_TRY(interval_collect(path, interval->half[1], fmax(ta, middle), tb, out));
    return NULL;
}

/* Forgets the halves that the last question did not cut. */
static void interval_prune(const Brownian *path, Interval *interval)
{
    for (int side = 0; side < 2; side++) {
        if (!interval->half[side]) continue;
        if (interval->asked == path->question) {
            interval_prune(path, interval->half[side]);
        } else {
            interval_free(interval->half[side]);
            interval->half[side] = NULL;
        }
    }
}

/* ---- The path ------------------------------------------------------------------------------------------------------ */

NodusStatus brownian_new(uint64_t seed, float t0, float t1, size_t count, Brownian **out)
{
    if (!(t0 < t1) || !isfinite(t0) || !isfinite(t1))
        return nodus_error(NODUS_ERROR_INPUT, "this sampler needs sigmas that are finite and differ, not %g to %g", (double)t0,
                           (double)t1);
    Brownian *path = memory_alloc(sizeof *path);
    if (!path) return status_memory();
    path->seed = seed;
    path->count = count;
    path->root = interval_new(path, rounded(t0), rounded(t1), 0, 0);
    path->draw = memory_array(count, sizeof *path->draw);
    if (!path->root || !path->draw) {
        brownian_free(path);
        return status_memory();
    }
    const float deviation = (float)sqrt((double)t1 - (double)t0);
    brownian_draw(path, NULL, 0, path->root->w);
    for (size_t i = 0; i < count; i++) path->root->w[i] *= deviation;
    *out = path;
    return NULL;
}

NodusStatus brownian_of_sigmas(uint64_t seed, const float *sigmas, int sigma_count, size_t count, Brownian **out)
{
    float low = INFINITY, high = -INFINITY;
    for (int i = 0; i < sigma_count; i++) {
        if (sigmas[i] > 0 && sigmas[i] < low) low = sigmas[i];
        if (sigmas[i] > high) high = sigmas[i];
    }
    return brownian_new(seed, low, high, count, out);
}

NodusStatus brownian_increment(Brownian *path, float a, float b, float *out)
{
    const Interval *root = path->root;
    const double ta = fmin(fmax(rounded(a), root->a), root->b), tb = fmin(fmax(rounded(b), root->a), root->b);
    memset(out, 0, path->count * sizeof *out);
    path->question++;
    if (!(ta < tb)) return NULL;
    NODUS_TRY(interval_collect(path, path->root, ta, tb, out));
    interval_prune(path, path->root);
    return NULL;
}

NodusStatus brownian_noise(Brownian *path, float from, float to, float *out)
{
    const float scale = sqrtf(fabsf(to - from)), sign = from > to ? -1 : 1;
    NODUS_TRY(brownian_increment(path, fminf(from, to), fmaxf(from, to), out));
    for (size_t i = 0; i < path->count; i++) out[i] = sign * out[i] / scale;
    return NULL;
}

NodusStatus brownian_tensor(Brownian *path, NodusMath *math, const NodusTensor *like, float from, float to, NodusTensor **out)
{
    int64_t dim[NODUS_MAX_RANK];
    const int rank = nodus_tensor_rank(like);
    for (int i = 0; i < rank; i++) dim[i] = nodus_tensor_dim(like, i);
    float *numbers = memory_array(path->count, sizeof *numbers);
    if (!numbers) return status_memory();
    NodusStatus status = brownian_noise(path, from, to, numbers);
    if (!status) status = nodus_tensor_from_f32(math, out, rank, dim, numbers);
    memory_free(numbers);
    return status;
}

void brownian_free(Brownian *path)
{
    if (!path) return;
    interval_free(path->root);
    memory_free(path->draw);
    memory_free(path);
}
