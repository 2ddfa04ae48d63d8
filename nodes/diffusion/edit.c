/* edit.c: see edit.h. */
#include "nodes/diffusion/edit.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/tensor/plan.h"
#include <math.h>

enum { SELF_TOKENS = 32 * 32 /* larger maps hold textures: they stay the target's own */ };

EditUse *edit_ref(EditUse *use)
{
    if (use) atomic_fetch_add_explicit(&use->holders, 1, memory_order_relaxed);
    return use;
}

void edit_unref(EditUse *use)
{
    if (!use || atomic_fetch_sub_explicit(&use->holders, 1, memory_order_acq_rel) != 1) return;
    nodus_tensor_unref(use->text);
    nodus_tensor_unref(use->pooled);
    nodus_tensor_unref(use->map);
    nodus_tensor_unref(use->fresh);
    nodus_tensor_unref(use->mask);
    memory_free(use);
}

NodusStatus edit_run(NodusCall *call, const EditUse *use, const NodusTensor *text, int64_t batch, int64_t items, EditRun *out)
{
    NodusMath *math = nodus_math(call);
    const int64_t tokens = nodus_tensor_dim(use->text, 1), given = nodus_tensor_dim(text, 1);
    *out = (EditRun){.use = use};
    if (batch % 2)
        return nodus_input_error(
            call, "latent_image",
            "prompt-to-prompt paints pairs, source and target: the latent has %d items, it needs 2, 4, … (and the same noise "
            "for both: LatentBatchSeedBehavior, fixed)",
            (int)batch);
    if (given != tokens)
        return nodus_input_error(call, "positive", "was made longer behind PromptToPrompt (%d tokens, its source has %d): change it before",
                                 (int)given, (int)tokens);
    NODUS_TRY(nodus_tensor_repeat(math, &out->map, use->map, items));
    return use->fresh ? nodus_tensor_repeat(math, &out->fresh, use->fresh, items) : NULL;
}

NodusStatus edit_pair(NodusMath *math, const NodusTensor *source, const NodusTensor *target, NodusTensor **out)
{
    NodusTensor *none = NULL;
    if (!source) NODUS_TRY(nodus_tensor_affine(math, &none, target, 0, 0));
    return nodus_tensor_concat(math, out, 0, 2, (const NodusTensor *[]){source ? source : none, target});
}

/* Pairs side by side, as items of twice the channels: source + mask·(target − source). */
NodusStatus edit_blend(NodusMath *math, const NodusTensor *mask, NodusTensor **x)
{
    const int64_t dim[] = {nodus_tensor_dim(*x, 0), nodus_tensor_dim(*x, 1), nodus_tensor_dim(*x, 2), nodus_tensor_dim(*x, 3)};
    NodusTensor *pairs, *source, *target, *change, *kept, *blended, *joined, *out;
    NODUS_TRY(nodus_tensor_reshape(math, &pairs, *x, 4, (const int64_t[]){dim[0] / 2, 2 * dim[1], dim[2], dim[3]}));
    NODUS_TRY(nodus_tensor_slice(math, &source, pairs, 1, 0, dim[1]));
    NODUS_TRY(nodus_tensor_slice(math, &target, pairs, 1, dim[1], dim[1]));
    NODUS_TRY(nodus_tensor_sub(math, &change, target, source));
    NODUS_TRY(nodus_tensor_mul(math, &kept, change, mask));
    NODUS_TRY(nodus_tensor_add(math, &blended, source, kept));
    NODUS_TRY(nodus_tensor_concat(math, &joined, 1, 2, (const NodusTensor *[]){source, blended}));
    NODUS_TRY(nodus_tensor_reshape(math, &out, joined, 4, dim));
    NodusTensor *const done[] = {pairs, source, target, change, kept, blended, joined, *x};
    for (size_t i = 0; i < sizeof done / sizeof *done; i++) nodus_tensor_release(math, done[i]);
    *x = out;
    return NULL;
}

/* ---- In the UNet -------------------------------------------------------------------------------------------------------- */

/* x [n, S, C], in which each second item is the one before it: a pair is 2·S tokens. (Arrays of rank 4 would lie otherwise in memory, and
 * attention to them could not be fused.) */
static OpRef first_of_pairs(OpGraph *graph, OpRef x)
{
    const int64_t dim[] = {graph_dim(graph, x, 0), graph_dim(graph, x, 1), graph_dim(graph, x, 2)};
    const OpRef pairs = op_reshape(graph, x, 3, (const int64_t[]){dim[0] / 2, 2 * dim[1], dim[2]});
    const OpRef first = op_slice(graph, pairs, 1, 0, dim[1]);
    return op_reshape(graph, op_concat(graph, first, first, 1), 3, dim);
}

static OpRef attend(OpGraph *graph, const Site *site, OpRef q, OpRef k, OpRef v)
{
    const float scale = 1 / sqrtf((float)graph_dim(graph, q, 2) / (float)site->heads);
    return op_values(graph, op_softmax(graph, op_scores(graph, q, k, site->heads, scale), false), v, site->heads);
}

static OpRef attend_as_source(OpGraph *graph, const Site *site, OpRef v)
{
    return attend(graph, site, first_of_pairs(graph, site->q), first_of_pairs(graph, site->k), v);
}

static NodusStatus cross_build(const void *self, OpGraph *graph, Site *site)
{
    const EditRun *run = self;
    const int64_t items = graph_dim(graph, site->q, 0), tokens = nodus_tensor_dim(run->map, 2);
    if (site->kind != SITE_ATTENTION_RESULT || op_is_none(site->context)) return NULL;
    if (graph_dim(graph, site->k, 1) != tokens)
        return nodus_error(NODUS_ERROR_INPUT, "prompt-to-prompt: a patch of the model changes what the text is: %d tokens in place of %d",
                           (int)graph_dim(graph, site->k, 1), (int)tokens);
    const OpRef map = op_input(graph, "edit.map", DTYPE_F32, 4, (const int64_t[]){items, 1, tokens, tokens});
    site->out = attend_as_source(graph, site, op_values(graph, map, site->v, 1));
    if (!run->fresh) return NULL;
    const OpRef fresh = op_input(graph, "edit.fresh", DTYPE_F32, 3, (const int64_t[]){items, tokens, 1});
    site->out = op_add(graph, site->out, attend(graph, site, site->q, site->k, op_mul(graph, site->v, fresh)));
    return NULL;
}

static void cross_structure(const void *self, NodusHash *hash)
{
    const EditRun *run = self;
    nodus_hash_u64(hash, (uint64_t)nodus_tensor_dim(run->map, 2) << 1 | (run->fresh != NULL));
}

static NodusStatus cross_bind(const void *self, void *run_state, float sigma, NodusBindings *bindings)
{
    const EditRun *run = self;
    (void)run_state, (void)sigma;
    bindings_input(bindings, "edit.map", run->map);
    if (run->fresh) bindings_input(bindings, "edit.fresh", run->fresh);
    return NULL;
}

static NodusStatus self_build(const void *self, OpGraph *graph, Site *site)
{
    (void)self;
    if (site->kind != SITE_ATTENTION_RESULT || !op_is_none(site->context) || graph_dim(graph, site->q, 1) > SELF_TOKENS) return NULL;
    site->out = attend_as_source(graph, site, site->v);
    return NULL;
}

static const NodusPatchClass cross_patch = {.struct_size = sizeof(NodusPatchClass),
                                            .name = "edit of cross-attention",
                                            .structure = cross_structure,
                                            .build = cross_build,
                                            .bind = cross_bind};
static const NodusPatchClass self_patch = {.struct_size = sizeof(NodusPatchClass), .name = "edit of self-attention", .build = self_build};

static bool acts(double end, const ModelSampling *sampling, float sigma)
{
    return end > 0 && sigma >= (float)model_sampling_percent(sampling, end);
}

int edit_patches(EditRun *run, const ModelSampling *sampling, float sigma, PatchRun patch[EDIT_PATCHES])
{
    int count = 0;
    if (acts(run->use->cross_end, sampling, sigma)) patch[count++] = (PatchRun){&cross_patch, run, NULL};
    if (acts(run->use->self_end, sampling, sigma)) patch[count++] = (PatchRun){&self_patch, run, NULL};
    return count;
}
