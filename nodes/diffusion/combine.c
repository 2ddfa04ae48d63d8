/* combine.c: D = U + (C − U)·cfg, and what each patch makes of it: before, instead and after. A prediction that was not made
 * counts as 0, as in the reference. */
#include "nodes/diffusion/combine.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include <string.h>

bool combine_needs_uncond(const PatchRun *patch, int patches)
{
    for (int i = 0; i < patches; i++)
        if (patch[i].class->flags & NODUS_PATCH_NEEDS_UNCOND) return true;
    return false;
}

/* ---- Further evaluations ------------------------------------------------------------------------------------------- */

static const Conditioning *combine_brings(const PatchRun *patch)
{
    return patch->class->conditioning ? patch->class->conditioning(patch->self) : NULL;
}

NodusStatus combine_setup(const PatchRun *patch, int patches, CondsSetup *setup)
{
    for (int i = 0; i < patches; i++) {
        const Conditioning *conditioning = combine_brings(&patch[i]);
        if (!conditioning) continue;
        if (setup->lists == CONDS_LISTS)
            return nodus_input_error(setup->call, "model",
                                     "its patches bring too many conditionings: at most %d with those of the guider",
                                     CONDS_LISTS);
        setup->list[setup->lists++] = (CondsList){conditioning, "model", true};
    }
    return NULL;
}

int combine_list(const Guidance *guidance, const void *self)
{
    int list = guidance->patch_list;
    for (int i = 0; i < guidance->patches && guidance->patch[i].self != self; i++)
        if (combine_brings(&guidance->patch[i])) list++;
    return list;
}

NodusStatus combine_evaluate(const Guidance *guidance, int list, const NodusTensor *x, const PatchRun *extra, NodusTensor **out)
{
    NodusTensor *prediction[CONDS_LISTS] = {NULL};
    const int patches = guidance->patches + (extra ? 1 : 0);
    PatchRun *patch = memory_array((size_t)patches + 1, sizeof *patch);
    if (!patch) return status_memory();
    if (guidance->patches) memcpy(patch, guidance->patch, (size_t)guidance->patches * sizeof *patch);
    if (extra) patch[guidance->patches] = *extra;
    NodusStatus status = conds_evaluate(guidance->conds, 1u << list, x, guidance->sigma, patch, patches, prediction);
    memory_free(patch);
    *out = prediction[list];
    return status;
}

/* ---- The rule ------------------------------------------------------------------------------------------------------ */

static bool combine_takes_part(const Guidance *guidance, int i)
{
    const NodusPatchClass *class = guidance->patch[i].class;
    return class->guide && (!class->active || class->active(guidance->patch[i].self, guidance->sigma));
}

static NodusStatus combine_ask(Guidance *guidance, int i)
{
    NodusTensor *before = guidance->denoised;
    NODUS_TRY(guidance->patch[i].class->guide(guidance->patch[i].self, guidance->patch[i].state, guidance));
    if (guidance->denoised != before) nodus_tensor_release(guidance->math, before);
    return NULL;
}

NodusStatus combine_patches(Guidance *guidance)
{
    guidance->stage = GUIDANCE_AFTER;
    for (int i = 0; i < guidance->patches; i++)
        if (combine_takes_part(guidance, i)) NODUS_TRY(combine_ask(guidance, i));
    return NULL;
}

/* `given`: the predictions as they came, which are not ours to give back. */
static NodusStatus combine_before(Guidance *guidance, const NodusTensor *const given[2])
{
    bool any = false;
    guidance->stage = GUIDANCE_BEFORE;
    for (int i = 0; i < guidance->patches; i++) any = any || combine_takes_part(guidance, i);
    if (any && !guidance->uncond) NODUS_TRY(nodus_tensor_affine(guidance->math, &guidance->uncond, guidance->cond, 0, 0));
    for (int i = 0; i < guidance->patches; i++) {
        NodusTensor *cond = guidance->cond, *uncond = guidance->uncond;
        if (combine_takes_part(guidance, i)) NODUS_TRY(combine_ask(guidance, i));
        if (cond != guidance->cond && cond != given[0]) nodus_tensor_release(guidance->math, cond);
        if (uncond != guidance->uncond && uncond != given[1]) nodus_tensor_release(guidance->math, uncond);
    }
    return NULL;
}

static NodusStatus combine_usual(Guidance *guidance)
{
    NodusMath *math = guidance->math;
    NodusTensor *difference;
    if (!guidance->uncond) return nodus_tensor_affine(math, &guidance->denoised, guidance->cond, 1, 0);
    const float parts[] = {1, (float)guidance->cfg};
    NODUS_TRY(nodus_tensor_sub(math, &difference, guidance->cond, guidance->uncond));
    NODUS_TRY(nodus_tensor_lincomb(math, &guidance->denoised, 2, parts, (const NodusTensor *[]){guidance->uncond, difference}));
    nodus_tensor_release(math, difference);
    return NULL;
}

NodusStatus combine_predictions(Guidance *guidance)
{
    guidance->denoised = NULL;
    NODUS_TRY(combine_before(guidance, (const NodusTensor *const[]){guidance->cond, guidance->uncond}));
    guidance->stage = GUIDANCE_RULE;
    for (int i = guidance->patches - 1; i >= 0 && !guidance->denoised; i--)
        if (combine_takes_part(guidance, i)) NODUS_TRY(combine_ask(guidance, i));
    if (!guidance->denoised) NODUS_TRY(combine_usual(guidance));
    return combine_patches(guidance);
}
