/* support.h: what several tests share: random numbers by formula, and a NodusMath on a device of the test's own. */
#ifndef TESTS_SUPPORT_H
#define TESTS_SUPPORT_H
#include "engine/tensor/device.h"
#include "engine/tensor/plan.h"
#include "engine/tensor/budget.h"
#include "engine/tensor/weights.h"

uint64_t support_random(uint64_t *state);                      /* SplitMix64 */
float support_uniform(uint64_t *state);                        /* −1 … 1 */
void support_fill(uint64_t *state, float *out, size_t count);  /* uniform −1 … 1 */
int64_t support_between(uint64_t *state, int64_t low, int64_t high); /* inclusive */

/* Pool, device ("ref" or "cpu", isa NULL = best), budget, plan cache, weight store and math, all in one. */
typedef struct SupportMath {
    Pool *pool;
    Device *device;
    Budget *budget;
    Cancel cancel;
    NodusMath math;
} SupportMath;
NodusStatus support_math_open(const char *device, const char *isa, int threads, SupportMath *out);
void support_math_close(SupportMath *math);
#endif
