/* attention_nodes.c: UNetSelfAttentionMultiply, UNetCrossAttentionMultiply: factors on queries, keys, values and results. */
#include "engine/base/status.h"
#include "nodes/guidance_nodes.h"
#include "nodes/patch_numbers.h"

typedef struct Multiply {
    PatchNumbers numbers; /* q, k, v, out */
    bool cross;
} Multiply;
enum { MULTIPLY_Q, MULTIPLY_K, MULTIPLY_V, MULTIPLY_OUT };

static NodusStatus multiply_build(const void *self, OpGraph *graph, Site *site)
{
    if (site->kind != SITE_ATTENTION && site->kind != SITE_ATTENTION_OUTPUT) return NULL;
    if (op_is_none(site->context) == ((const Multiply *)self)->cross) return NULL;
    if (site->kind == SITE_ATTENTION_OUTPUT) {
        site->out = op_mul(graph, site->out, patch_number(graph, self, MULTIPLY_OUT));
        return NULL;
    }
    site->q = op_mul(graph, site->q, patch_number(graph, self, MULTIPLY_Q));
    site->k = op_mul(graph, site->k, patch_number(graph, self, MULTIPLY_K));
    site->v = op_mul(graph, site->v, patch_number(graph, self, MULTIPLY_V));
    return NULL;
}

static void multiply_structure(const void *self, NodusHash *hash)
{
    patch_numbers_structure(self, hash);
    nodus_hash_u64(hash, ((const Multiply *)self)->cross);
}

static void multiply_identity(const void *self, NodusHash *hash)
{
    multiply_structure(self, hash);
    patch_numbers_identity(self, hash);
}

static const NodusPatchClass multiply_class = {.struct_size = sizeof(NodusPatchClass),
                                               .name = "attention factors",
                                               .structure = multiply_structure,
                                               .identity = multiply_identity,
                                               .build = multiply_build,
                                               .bind = patch_numbers_bind};

typedef struct {
    const Model *model;
    double q, k, v, out;
} MultiplyArgs;

static NodusStatus multiply_emit(NodusCall *call, const MultiplyArgs *in, bool cross)
{
    void *object;
    NODUS_TRY(patch_numbers_new(call, in->model, sizeof(Multiply), (const double[]){in->q, in->k, in->v, in->out}, &object));
    Multiply *patch = object;
    patch->cross = cross;
    return patch_emit(call, 0, in->model, &multiply_class, patch);
}

static NodusStatus multiply_self(NodusCall *call, const void *args)
{
    return multiply_emit(call, args, false);
}

static NodusStatus multiply_cross(NodusCall *call, const void *args)
{
    return multiply_emit(call, args, true);
}

#define FACTOR(name_, help_) NODUS_IN_FLOAT(#name_, MultiplyArgs, name_, help_, .def = 1, .min = 0, .max = 10, .step = 0.01)
static const NodusInput multiply_inputs[] = {
    GUIDANCE_MODEL(MultiplyArgs),       FACTOR(q, "Factor on the queries."),   FACTOR(k, "Factor on the keys."),
    FACTOR(v, "Factor on the values."), FACTOR(out, "Factor on the results."),
};
const NodusNode node_unet_self_attention_multiply = {
    NODUS_NODE("UNetSelfAttentionMultiply", "UNetSelfAttentionMultiply", "_for_testing/attention_experiments", MultiplyArgs,
               multiply_inputs, guidance_outputs),
    .flags = NODUS_EXPERIMENTAL,
    .help = "Scale how the places of a picture look at each other inside a UNet.",
    .example = "graphs/attention.json",
    .run = multiply_self,
    .infer = guidance_infer,
};
const NodusNode node_unet_cross_attention_multiply = {
    NODUS_NODE("UNetCrossAttentionMultiply", "UNetCrossAttentionMultiply", "_for_testing/attention_experiments", MultiplyArgs,
               multiply_inputs, guidance_outputs),
    .flags = NODUS_EXPERIMENTAL,
    .help = "Scale how the places of a picture look at the text inside a UNet.",
    .example = "graphs/attention.json",
    .run = multiply_cross,
    .infer = guidance_infer,
};
