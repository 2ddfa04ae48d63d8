/* support_demo.h: the demo checkpoint opened, and its networks run on the cpu device: what the tests of nodes/models share. */
#ifndef TESTS_SUPPORT_DEMO_H
#define TESTS_SUPPORT_DEMO_H
#include "tests/support.h"
#include "nodes/models/clip_tokenizer.h"
#include "nodes/models/family.h"

#define DEMO_PATH "models/checkpoints/shapes-sd1.safetensors" /* tests run in the repository's root */

typedef struct Demo {
    SupportMath support;
    WeightSet *weights;
    Checkpoint checkpoint;
    uint64_t plans; /* each run has a plan of its own */
} Demo;
NodusStatus demo_open(Demo *demo);
void demo_close(Demo *demo);
/* Inputs of any numbers, on the scratch list: uniform −1 … 1 from a seed, or one value everywhere. */
NodusStatus demo_noise(Demo *demo, uint64_t seed, int rank, const int64_t *dim, NodusTensor **out);
NodusStatus demo_ids(Demo *demo, int64_t chunks, const int32_t *ids, NodusTensor **out);
/* Builds, runs and drops a plan. */
NodusStatus demo_run(Demo *demo, NodusStatus (*build)(void *context, OpGraph *graph), void *context, const Bindings *bindings);
/* The largest |x − y| and the root mean square of x. */
double demo_distance(const float *x, const float *y, int64_t count);
double demo_rms(const float *x, int64_t count);
#endif
