/* boxes.c: see boxes.h. */
#include "nodes/diffusion/boxes.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/tensor/derived.h"
#include "engine/tensor/plan.h"
#include <stdio.h>
#include <string.h>

BoxUse *box_use(const Gligen *gligen, const NodusTensor *pooled, int64_t height, int64_t width, int64_t y, int64_t x, BoxUse *before)
{
    BoxUse *use = memory_alloc(sizeof *use);
    if (!use) return NULL;
    atomic_init(&use->holders, 1);
    use->weights = weights_ref(gligen->weights);
    use->config = gligen->config;
    use->pooled = nodus_tensor_ref(pooled);
    use->height = height, use->width = width, use->y = y, use->x = x;
    use->before = box_ref(before);
    return use;
}

BoxUse *box_ref(BoxUse *use)
{
    if (use) atomic_fetch_add_explicit(&use->holders, 1, memory_order_relaxed);
    return use;
}

void box_unref(BoxUse *use)
{
    while (use && atomic_fetch_sub_explicit(&use->holders, 1, memory_order_acq_rel) == 1) {
        BoxUse *before = use->before;
        weights_unref(use->weights);
        nodus_tensor_unref(use->pooled);
        memory_free(use);
        use = before;
    }
}

/* ---- Weights ---------------------------------------------------------------------------------------------------------- */

/* "….transformer_blocks.0.fuser.linear.weight" → prefix + "….transformer_blocks.0.gligen.linear.weight" */
static NodusStatus add_layers(Derived *derived, const char *prefix, WeightSet *file)
{
    static const char mark[] = ".fuser.";
    char name[512];
    for (int i = 0; i < weights_count(file); i++) {
        const char *old = weights_at(file, i)->name, *at = strstr(old, mark);
        if (!at) continue;
        const int length = snprintf(name, sizeof name, "%s%.*s.gligen.%s", prefix, (int)(at - old), old, at + sizeof mark - 1);
        if (length < (int)sizeof name) NODUS_TRY(derived_join(derived, name, file, i));
    }
    return NULL;
}

NodusStatus boxes_weights(WeightSet *model, const char *prefix, WeightSet *file, WeightSet **out)
{
    Derived *derived;
    NODUS_TRY(derived_new(model, false, &derived));
    NodusStatus status = derived_keep(derived, file);
    if (!status) status = add_layers(derived, prefix, file);
    if (!status) status = derived_finish(derived, out);
    if (status) derived_free(derived);
    return status;
}

/* ---- Tokens ----------------------------------------------------------------------------------------------------------- */

static NodusStatus read_null(const WeightSet *weights, const char *name, float *out)
{
    return weights_read_f32(weights_get(weights, name), out);
}

/* Fills the slots; those without a box have the numbers that the network learned for nothing. */
static NodusStatus fill_slots(NodusMath *math, const BoxUse *use, int64_t height, int64_t width, float *slots)
{
    const int64_t context = use->config.context, wide = context + GLIGEN_WAVES;
    const WeightSet *file = use->weights;
    const BoxUse *chain[GLIGEN_SLOTS];
    int count = 0;
    for (; use && count < GLIGEN_SLOTS; use = use->before) chain[count++] = use;
    if (use) return nodus_error(NODUS_ERROR_INPUT, "GLIGEN knows at most %d boxes", GLIGEN_SLOTS);
    for (int i = 0; i < GLIGEN_SLOTS; i++) {
        float *slot = slots + i * wide;
        if (i >= count) {
            NODUS_TRY(read_null(file, "position_net.null_positive_feature", slot));
            NODUS_TRY(read_null(file, "position_net.null_position_feature", slot + context));
            continue;
        }
        const BoxUse *box = chain[count - 1 - i]; /* the oldest first */
        const float *pooled;
        const float edge[] = {(float)box->x / (float)width, (float)box->y / (float)height, (float)(box->x + box->width) / (float)width,
                              (float)(box->y + box->height) / (float)height};
        if (nodus_tensor_count(box->pooled) != context)
            return nodus_error(NODUS_ERROR_INPUT, "the texts of the boxes have %d numbers, GLIGEN wants %d: is the text encoder of another family?",
                               (int)nodus_tensor_count(box->pooled), (int)context);
        NODUS_TRY(nodus_tensor_map_f32(math, box->pooled, &pooled));
        memcpy(slot, pooled, (size_t)context * sizeof *slot);
        gligen_waves(edge, slot + context);
    }
    return NULL;
}

static NodusStatus build_tokens(void *context, OpGraph *graph)
{
    gligen_build_tokens(graph, context);
    return NULL;
}

static NodusStatus run_tokens(NodusMath *math, const BoxUse *file, const NodusTensor *slots, NodusTensor **out)
{
    GligenConfig config = file->config;
    NodusHash *hash;
    Plan *plan;
    Bindings bindings = {0};
    NODUS_TRY(plan_key_begin(math, file->weights, "gligen", &hash));
    NODUS_TRY(plan_get(math, plan_key_end(hash), file->weights, build_tokens, &config, &plan));
    bindings_input(&bindings, "slots", slots);
    bindings_output(&bindings, "tokens", out);
    NodusStatus status = plan_run(math, plan, &bindings);
    plan_unref(plan);
    return status;
}

NodusStatus boxes_tokens(NodusCall *call, const BoxUse *use, int64_t height, int64_t width, NodusTensor **out)
{
    NodusMath *math = nodus_math(call);
    const int64_t dim[] = {1, GLIGEN_SLOTS, use->config.context + GLIGEN_WAVES};
    float *numbers = memory_array((size_t)(dim[1] * dim[2]), sizeof *numbers);
    NodusTensor *slots;
    if (!numbers) return status_memory();
    NodusStatus status = fill_slots(math, use, height, width, numbers);
    if (!status) status = nodus_tensor_from_f32(math, &slots, 3, dim, numbers);
    memory_free(numbers);
    return status ? status : run_tokens(math, use, slots, out);
}

/* ---- In the UNet -------------------------------------------------------------------------------------------------------- */

static NodusStatus patch_build(const void *self, OpGraph *graph, Site *site)
{
    const BoxUse *file = self;
    if (site->kind != SITE_MIDDLE_PATCH || !graph_has(graph, "gligen.linear.weight")) return NULL;
    const int64_t dim[] = {graph_dim(graph, site->h, 0), GLIGEN_SLOTS, file->config.context};
    site->h = gligen_build_fuser(graph, site->h, op_input(graph, "gligen.tokens", DTYPE_F32, 3, dim));
    return NULL;
}

static NodusStatus patch_bind(const void *self, void *run_state, float sigma, NodusBindings *bindings)
{
    (void)self, (void)sigma;
    bindings_input(bindings, "gligen.tokens", run_state);
    return NULL;
}

const NodusPatchClass boxes_patch = {
    .struct_size = sizeof(NodusPatchClass), .name = "gligen", .build = patch_build, .bind = patch_bind};
