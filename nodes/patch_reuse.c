/* patch_reuse.c: EasyCache and LazyCache: steps whose answer would change little are not computed.
 *
 * One idea: what an answer adds to its input changes slowly. As long as the change that is expected since the last computed step, in
 * parts of the answer, adds up to less than a threshold, that difference is added to the new input instead. The change of an answer
 * is expected to follow that of its input at the rate last seen. After Zhou et al., "Less is Enough: Training-Free Video Diffusion
 * Acceleration via Runtime-Adaptive Caching", 2025. EasyCache does so with the network, LazyCache with the guided prediction. */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "nodes/diffusion/network.h"
#include "nodes/guidance_nodes.h"
#include <math.h>
#include <string.h>

enum { STRIDE = 8 /* changes are measured in every 8th row and column */, KEPT = 16 /* groups of conditionings at most */ };

typedef struct Reuse {
    bool guided;
    double threshold;
    float start, end; /* acts while end ≤ σ ≤ start */
} Reuse;

/* What the answers to one group of conditionings add to their input. */
typedef struct Kept {
    int key;
    float sigma; /* of the last step that had it */
    NodusTensor *difference;
} Kept;

/* One sampling. */
typedef struct ReuseRun {
    float sigma; /* of the step at hand */
    bool skips, aside;         /* aside: the question at hand is asked again with other patches, and is no part of this */
    int lead;                  /* the group that the step began with: it decides */
    float *x, *out;            /* samples of its first member, at the last computed step; NULL: none yet */
    int64_t count;
    double size, rate, change; /* mean |answer|; change of the answer / change of the input, 0: not known; expected since then */
    Kept kept[KEPT];
    int kept_count;
} ReuseRun;

static NodusStatus reuse_begin(const void *self, void **run_state)
{
    (void)self;
    ReuseRun *run = memory_alloc(sizeof *run);
    *run_state = run;
    if (!run) return status_memory();
    run->sigma = INFINITY;
    return NULL;
}

static void reuse_forget(ReuseRun *run)
{
    for (int i = 0; i < run->kept_count; i++) nodus_tensor_unref(run->kept[i].difference);
    memory_free(run->x);
    memory_free(run->out);
    *run = (ReuseRun){.sigma = INFINITY};
}

static void reuse_end(void *run_state)
{
    if (run_state) reuse_forget(run_state);
    memory_free(run_state);
}

/* ---- Measures -------------------------------------------------------------------------------------------------------- */

/* The samples of a tensor's first member; `channels` at most. */
static NodusStatus reuse_sample(const NodusAnswer *answer, const NodusTensor *tensor, float **out, int64_t *count)
{
    const int64_t items = nodus_tensor_dim(tensor, 0) / answer->members, channels = nodus_tensor_dim(tensor, 1);
    const int64_t height = nodus_tensor_dim(tensor, 2), width = nodus_tensor_dim(tensor, 3);
    const int64_t rows = (height + STRIDE - 1) / STRIDE, columns = (width + STRIDE - 1) / STRIDE;
    const float *data;
    float *to;
    NODUS_TRY(nodus_tensor_map_f32(answer->math, tensor, &data));
    *count = items * channels * rows * columns;
    *out = to = memory_array((size_t)*count, sizeof *to);
    if (!to) return status_memory();
    for (int64_t plane = 0; plane < items * channels; plane++)
        for (int64_t y = 0; y < height; y += STRIDE)
            for (int64_t x = 0; x < width; x += STRIDE) *to++ = data[(plane * height + y) * width + x];
    return NULL;
}

static double reuse_apart(const float *a, const float *b, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++) sum += fabs((double)a[i] - b[i]);
    return sum / (double)count;
}

static NodusStatus reuse_size(NodusMath *math, const NodusTensor *tensor, double *out)
{
    const int64_t count = nodus_tensor_count(tensor);
    const float *data;
    double sum = 0;
    NODUS_TRY(nodus_tensor_map_f32(math, tensor, &data));
    for (int64_t i = 0; i < count; i++) sum += fabs((double)data[i]);
    *out = sum / (double)count;
    return NULL;
}

static bool reuse_within(const Reuse *reuse, float sigma)
{
    return sigma <= reuse->start && sigma >= reuse->end;
}

/* ---- Before an answer ------------------------------------------------------------------------------------------------ */

/* The first question of a step decides for all of it. */
static NodusStatus reuse_decide(const Reuse *reuse, ReuseRun *run, const NodusAnswer *answer)
{
    float *x;
    int64_t count;
    run->skips = false;
    run->lead = answer->key;
    if (!reuse_within(reuse, answer->sigma) || !run->x || !(run->rate > 0) || !(run->size > 0)) return NULL;
    NODUS_TRY(reuse_sample(answer, answer->x, &x, &count));
    if (count == run->count) {
        run->change += run->rate * reuse_apart(x, run->x, count) / run->size;
        run->skips = run->change < reuse->threshold;
    }
    memory_free(x);
    if (!run->skips) run->change = 0;
    return NULL;
}

static Kept *reuse_find(ReuseRun *run, int key)
{
    for (int i = 0; i < run->kept_count; i++)
        if (run->kept[i].key == key) return &run->kept[i];
    return NULL;
}

/* The part of the input that answers are compared with: inpainting models see more channels than they answer. */
static NodusStatus reuse_base(const NodusAnswer *answer, int64_t channels, NodusTensor **out)
{
    return nodus_tensor_slice(answer->math, out, answer->x, 1, 0, channels);
}

static bool reuse_fits(const NodusTensor *x, const NodusTensor *difference)
{
    return nodus_tensor_dim(x, 0) == nodus_tensor_dim(difference, 0) && nodus_tensor_dim(x, 2) == nodus_tensor_dim(difference, 2) &&
           nodus_tensor_dim(x, 3) == nodus_tensor_dim(difference, 3);
}

static NodusStatus reuse_recall(ReuseRun *run, NodusAnswer *answer)
{
    Kept *kept = reuse_find(run, answer->key);
    NodusTensor *base;
    if (!kept || !reuse_fits(answer->x, kept->difference)) return NULL;
    NODUS_TRY(reuse_base(answer, nodus_tensor_dim(kept->difference, 1), &base));
    NODUS_TRY(nodus_tensor_add(answer->math, &answer->out, base, kept->difference));
    nodus_tensor_release(answer->math, base);
    kept->sigma = answer->sigma;
    return NULL;
}

/* ---- After it -------------------------------------------------------------------------------------------------------- */

static NodusStatus reuse_keep(ReuseRun *run, const NodusAnswer *answer)
{
    Kept *kept = reuse_find(run, answer->key);
    NodusTensor *base, *difference;
    if (!kept && run->kept_count == KEPT) return NULL;
    NODUS_TRY(reuse_base(answer, nodus_tensor_dim(answer->out, 1), &base));
    NODUS_TRY(nodus_tensor_sub(answer->math, &difference, answer->out, base));
    nodus_tensor_release(answer->math, base);
    if (!kept) {
        kept = &run->kept[run->kept_count++];
        *kept = (Kept){.key = answer->key};
    }
    nodus_tensor_unref(kept->difference);
    kept->difference = nodus_tensor_ref(difference);
    kept->sigma = answer->sigma;
    nodus_tensor_release(answer->math, difference);
    return NULL;
}

/* How the answer changed with its input. */
static NodusStatus reuse_learn(ReuseRun *run, const NodusAnswer *answer)
{
    float *x = NULL, *out = NULL;
    int64_t count, seen;
    NODUS_TRY(reuse_size(answer->math, answer->out, &run->size));
    NodusStatus status = reuse_sample(answer, answer->x, &x, &seen);
    if (!status) status = reuse_sample(answer, answer->out, &out, &count);
    if (status) {
        memory_free(x);
        return status;
    }
    run->rate = 0;
    if (run->x && run->count == seen) run->rate = reuse_apart(out, run->out, count) / reuse_apart(x, run->x, seen);
    memory_free(run->x);
    memory_free(run->out);
    run->x = x;
    run->out = out;
    run->count = seen;
    return NULL;
}

static NodusStatus reuse_before(const Reuse *reuse, ReuseRun *run, NodusAnswer *answer)
{
    if (answer->sigma > run->sigma) reuse_forget(run);
    const Kept *kept = reuse_find(run, answer->key);
    run->aside = kept && kept->sigma == answer->sigma;
    if (answer->sigma != run->sigma) NODUS_TRY(reuse_decide(reuse, run, answer));
    run->sigma = answer->sigma;
    return run->skips && !run->aside ? reuse_recall(run, answer) : NULL;
}

static NodusStatus reuse_after(ReuseRun *run, const NodusAnswer *answer)
{
    if (run->aside) return NULL;
    if (answer->key == run->lead) NODUS_TRY(reuse_learn(run, answer));
    return reuse_keep(run, answer);
}

/* A guided prediction is watched from the first step on, the network where the patch acts. */
static NodusStatus reuse_answer(const void *self, void *run_state, NodusAnswer *answer)
{
    const Reuse *reuse = self;
    if (answer->guided != reuse->guided || (!reuse->guided && !reuse_within(reuse, answer->sigma))) return NULL;
    return answer->out ? reuse_after(run_state, answer) : reuse_before(reuse, run_state, answer);
}

static void reuse_identity(const void *self, NodusHash *hash)
{
    const Reuse *reuse = self;
    nodus_hash_u64(hash, reuse->guided);
    nodus_hash_double(hash, reuse->threshold);
    nodus_hash_double(hash, reuse->start);
    nodus_hash_double(hash, reuse->end);
}

static const NodusPatchClass reuse_class = {
    .struct_size = sizeof(NodusPatchClass),
    .name = "reuse of answers",
    .identity = reuse_identity,
    .begin = reuse_begin,
    .end = reuse_end,
    .answer = reuse_answer,
};

/* ---- The nodes ------------------------------------------------------------------------------------------------------- */

typedef struct {
    const Model *model;
    double reuse_threshold, start_percent, end_percent;
    bool verbose;
} ReuseArgs;

static NodusStatus reuse_emit(NodusCall *call, const ReuseArgs *in, bool guided)
{
    NODUS_TRY(values_require(call, "model", in->model->weights, in->model->origin, "diffusion model"));
    Reuse *patch = patch_new(sizeof *patch);
    if (!patch) return status_memory();
    patch->guided = guided;
    patch->threshold = in->reuse_threshold;
    patch->start = (float)model_sampling_percent(&in->model->sampling, in->start_percent);
    patch->end = (float)model_sampling_percent(&in->model->sampling, in->end_percent);
    return patch_emit(call, 0, in->model, &reuse_class, patch);
}

static NodusStatus run_easy_cache(NodusCall *call, const void *args)
{
    return reuse_emit(call, args, false);
}

static NodusStatus run_lazy_cache(NodusCall *call, const void *args)
{
    return reuse_emit(call, args, true);
}

static const NodusInput reuse_inputs[] = {
    GUIDANCE_MODEL(ReuseArgs),
    NODUS_IN_FLOAT("reuse_threshold", ReuseArgs, reuse_threshold,
                   "How much the answer may be expected to change, as a part of it, before it is computed anew.", .def = 0.2,
                   .min = 0, .max = 3, .step = 0.01),
    NODUS_IN_FLOAT("start_percent", ReuseArgs, start_percent, "Where in the sampling it begins.", .def = 0.15, .min = 0, .max = 1,
                   .step = 0.01),
    NODUS_IN_FLOAT("end_percent", ReuseArgs, end_percent, "Where in the sampling it ends.", .def = 0.95, .min = 0, .max = 1,
                   .step = 0.01),
    NODUS_IN_BOOLEAN("verbose", ReuseArgs, verbose, "For workflows from elsewhere: nodus writes no such log.", false),
};
const NodusNode node_easy_cache = {
    NODUS_NODE("EasyCache", "EasyCache", "advanced/debug/model", ReuseArgs, reuse_inputs, guidance_outputs),
    .flags = NODUS_EXPERIMENTAL,
    .help = "Leave out calls of the network in steps whose answer would change little: faster, slightly different pictures.",
    .example = "graphs/reuse.json",
    .run = run_easy_cache,
    .infer = guidance_infer,
};
const NodusNode node_lazy_cache = {
    NODUS_NODE("LazyCache", "LazyCache", "advanced/debug/model", ReuseArgs, reuse_inputs, guidance_outputs),
    .flags = NODUS_EXPERIMENTAL,
    .help = "Leave out steps whose guided prediction would change little: simpler than EasyCache, and coarser.",
    .example = "graphs/reuse.json",
    .run = run_lazy_cache,
    .infer = guidance_infer,
};
