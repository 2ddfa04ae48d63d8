/* support_demo.c: see support_demo.h. */
#include "tests/support_demo.h"
#include "engine/base/memory.h"
#include "engine/formats/safetensors.h"
#include <math.h>
#include <string.h>

NodusStatus demo_open(Demo *demo)
{
    *demo = (Demo){0};
    NODUS_TRY(support_math_open("cpu", NULL, 1, &demo->support));
    NODUS_TRY(safetensors_open(DEMO_PATH, &demo->weights));
    return family_checkpoint(demo->weights, DEMO_PATH, &demo->checkpoint);
}

void demo_close(Demo *demo)
{
    support_math_close(&demo->support);
    weights_unref(demo->weights);
}

NodusStatus demo_noise(Demo *demo, uint64_t seed, int rank, const int64_t *dim, NodusTensor **out)
{
    size_t count = 1;
    for (int i = 0; i < rank; i++) count *= (size_t)dim[i];
    float *numbers = memory_array(count, sizeof *numbers);
    if (!numbers) return status_memory();
    support_fill(&seed, numbers, count);
    NodusStatus status = nodus_tensor_from_f32(&demo->support.math, out, rank, dim, numbers);
    memory_free(numbers);
    return status;
}

NodusStatus demo_ids(Demo *demo, int64_t chunks, const int32_t *ids, NodusTensor **out)
{
    NODUS_TRY(tensor_new(demo->support.device, DTYPE_I32, 2, (const int64_t[]){chunks, CLIP_CHUNK}, out));
    memcpy((*out)->data, ids, (size_t)chunks * CLIP_CHUNK * sizeof *ids);
    return math_keep(&demo->support.math, *out);
}

NodusStatus demo_run(Demo *demo, NodusStatus (*build)(void *context, OpGraph *graph), void *context, const Bindings *bindings)
{
    NodusMath *math = &demo->support.math;
    NodusHash *hash;
    Plan *plan;
    NODUS_TRY(plan_key_begin(math, demo->weights, "demo", &hash));
    nodus_hash_u64(hash, demo->plans++);
    NODUS_TRY(plan_get(math, plan_key_end(hash), demo->weights, build, context, &plan));
    NodusStatus status = plan_run(math, plan, bindings);
    plan_unref(plan);
    return status;
}

double demo_distance(const float *x, const float *y, int64_t count)
{
    double most = 0;
    for (int64_t i = 0; i < count; i++) most = fmax(most, fabs((double)x[i] - (double)y[i]));
    return most;
}

double demo_rms(const float *x, int64_t count)
{
    double squares = 0;
    for (int64_t i = 0; i < count; i++) squares += (double)x[i] * (double)x[i];
    return sqrt(squares / (double)count);
}
