#include "tests/support.h"
#include <string.h>

uint64_t support_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9E3779B97F4A7C15u);
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

float support_uniform(uint64_t *state)
{
    return (float)(support_random(state) >> 40) * 0x1p-23f - 1.0f;
}

void support_fill(uint64_t *state, float *out, size_t count)
{
    for (size_t i = 0; i < count; i++) out[i] = support_uniform(state);
}

int64_t support_between(uint64_t *state, int64_t low, int64_t high)
{
    return low + (int64_t)(support_random(state) % (uint64_t)(high - low + 1));
}

NodusStatus support_math_open(const char *device, const char *isa, int threads, SupportMath *out)
{
    memset(out, 0, sizeof *out);
    NODUS_TRY(pool_new(threads, &out->pool));
    NODUS_TRY(device_open(device, isa, out->pool, &out->device));
    NODUS_TRY(budget_new((size_t)4 << 30, &out->budget));
    out->math.device = out->device;
    out->math.pool = out->pool;
    out->math.cancel = &out->cancel;
    NODUS_TRY(plan_cache_new(out->budget, &out->math.plans));
    return weight_store_new(out->budget, &out->math.weights);
}

void support_math_close(SupportMath *math)
{
    math_clear(&math->math);
    plan_cache_free(math->math.plans);
    weight_store_free(math->math.weights);
    budget_free(math->budget);
    device_close(math->device);
    pool_free(math->pool);
}
