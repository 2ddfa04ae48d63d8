/* guidance_public.c: guidance as plug-ins see it (nodus/patch.h).
 *
 * One idea: who guides is lent the predictions and may put others in their place at the stage where they are read; what it puts
 * there is looked at through a view of its own, so that whoever gives the old one back takes nothing from anybody. */
#include "engine/base/status.h"
#include "nodes/diffusion/combine.h"
#include <nodus/patch.h>

_Static_assert((int)NODUS_GUIDANCE_BEFORE == (int)GUIDANCE_BEFORE && (int)NODUS_GUIDANCE_RULE == (int)GUIDANCE_RULE &&
                   (int)NODUS_GUIDANCE_AFTER == (int)GUIDANCE_AFTER,
               "the public stages are those of combine.h");

NodusGuidanceStage nodus_guidance_stage(const NodusGuidance *guidance)
{
    return (NodusGuidanceStage)guidance->stage;
}

NodusMath *nodus_guidance_math(const NodusGuidance *guidance)
{
    return guidance->math;
}

float nodus_guidance_sigma(const NodusGuidance *guidance)
{
    return guidance->sigma;
}

double nodus_guidance_cfg(const NodusGuidance *guidance)
{
    return guidance->cfg;
}

const NodusTensor *nodus_guidance_get(const NodusGuidance *guidance, NodusGuidanceValue which)
{
    switch (which) {
    case NODUS_GUIDANCE_X: return guidance->x;
    case NODUS_GUIDANCE_COND: return guidance->cond;
    case NODUS_GUIDANCE_UNCOND: return guidance->uncond;
    case NODUS_GUIDANCE_DENOISED: return guidance->denoised;
    }
    return NULL;
}

/* Where the value may be set at this stage; else NULL. */
static NodusTensor **guidance_field(NodusGuidance *guidance, NodusGuidanceValue which)
{
    const bool before = guidance->stage == GUIDANCE_BEFORE;
    if (which == NODUS_GUIDANCE_COND && before) return &guidance->cond;
    if (which == NODUS_GUIDANCE_UNCOND && before) return &guidance->uncond;
    return which == NODUS_GUIDANCE_DENOISED && !before ? &guidance->denoised : NULL;
}

static bool is_like(const NodusTensor *a, const NodusTensor *b)
{
    bool like = nodus_tensor_rank(a) == nodus_tensor_rank(b) && nodus_tensor_dtype(a) == NODUS_F32;
    for (int i = 0; like && i < nodus_tensor_rank(a); i++) like = nodus_tensor_dim(a, i) == nodus_tensor_dim(b, i);
    return like;
}

NodusStatus nodus_guidance_set(NodusGuidance *guidance, NodusGuidanceValue which, const NodusTensor *tensor)
{
    NodusTensor **field = guidance_field(guidance, which);
    if (!field) return nodus_error(NODUS_ERROR_INPUT, "this cannot be set at this stage of guidance (NodusGuidanceStage)");
    if (!tensor || !is_like(tensor, guidance->x))
        return nodus_error(NODUS_ERROR_INPUT, "a prediction is f32 and has the shape of x; a patch gave another");
    return nodus_tensor_slice(guidance->math, field, tensor, 0, 0, nodus_tensor_dim(tensor, 0));
}
