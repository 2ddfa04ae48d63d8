/* patch.h: patches of models, in nodes of one's own.
 *
 * One idea: a node emits the MODEL it was given with one patch more. A patch is a class (NodusPatchClass in tensor.h: functions) and an
 * object of it (`self`: numbers), which models share and nobody changes. While a network is built, its builder stops at places
 * (NodusSite) and lets patches rewrite the values there with the operations of op.h; before each run they give what changes from step
 * to step (NodusBindings); and where predictions are combined they may change those (NodusGuidance).
 *
 *     static NodusStatus build(const void *self, NodusOpGraph *graph, NodusSite *site)
 *     {
 *         if (nodus_site_number(site, NODUS_SITE_KIND) != NODUS_AT_ATTENTION) return NULL;
 *         NodusOpRef q = nodus_site_get(graph, site, NODUS_SITE_Q);
 *         nodus_site_set(graph, site, NODUS_SITE_Q, nodus_op_mul(graph, q, nodus_op_scalar(graph, "factor")));
 *         return NULL;
 *     }
 *
 * The class is registered by nodus_plugin_patch and named when it is used. Of its functions `structure` must hash all that `build`
 * looks at, and `identity` all there is. `begin`, `bind`, `guide` of one run are called on one thread, several runs at once. */
#ifndef NODUS_PATCH_H
#define NODUS_PATCH_H

#include <nodus/node.h>
#include <nodus/op.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Models ------------------------------------------------------------------------------------------------------------------ */

/* Emits `model` (the payload of a MODEL input) with one patch more, behind those that it has: of the class registered as `name`, by any
 * plug-in. `self` belongs to the result from now on, also when this fails: `release` (NULL: nothing to do) gets it when the last model
 * goes, on any thread. */
NODUS_API NodusStatus nodus_emit_patched_model(NodusCall *call, uint32_t slot, const void *model, const char *name, void *self,
                                               void (*release)(void *self));
/* The noise level at a place in the model's sampling, 0 the start, 1 the end: for `active`, which is asked with such levels. */
NODUS_API float nodus_model_percent_sigma(const void *model, double percent);
/* Channels of a UNet's outermost level (320 for SD1); 0: the model has no network, which nodus_emit_patched_model refuses. */
NODUS_API int64_t nodus_model_channels(const void *model);

/* ---- Places of a network ----------------------------------------------------------------------------------------------------- */

typedef enum NodusSiteKind {   /* what may be rewritten there */
    NODUS_AT_INPUT_BLOCK,      /* H [n, c, h, w] behind an input block, before its skip is kept */
    NODUS_AT_INPUT_AFTER_SKIP, /* H, after it is kept */
    NODUS_AT_MIDDLE_BLOCK,     /* H */
    NODUS_AT_OUTPUT_BLOCK,     /* H and SKIP [n, c', h, w] before they are joined */
    NODUS_AT_ATTENTION,        /* Q [n, S, C], K and V [n, T, C]; CONTEXT is none where tokens attend to each other */
    NODUS_AT_ATTENTION_OUTPUT, /* OUT [n, S, c], behind the projection */
    NODUS_AT_MIDDLE_PATCH,     /* H [n, S, c] between the two attentions */
    NODUS_AT_EMB,              /* EMB [n, e], once */
    NODUS_AT_ATTENTION_RESULT  /* OUT: none, or what a patch gave instead of attention itself: [n, S, C] */
} NodusSiteKind;
enum { NODUS_STAGE_INPUT, NODUS_STAGE_MIDDLE, NODUS_STAGE_OUTPUT };

typedef enum NodusSiteNumber {
    NODUS_SITE_KIND,          /* NodusSiteKind: later versions may stop at others */
    NODUS_SITE_STAGE,         /* NODUS_STAGE_… */
    NODUS_SITE_BLOCK,         /* of the stage, from 0 */
    NODUS_SITE_INDEX,         /* which transformer of the block, from 0 */
    NODUS_SITE_HEADS,         /* of attention */
    NODUS_SITE_HEIGHT,        /* cells, at this depth */
    NODUS_SITE_WIDTH,
    NODUS_SITE_LATENT_HEIGHT, /* cells of the network's input */
    NODUS_SITE_LATENT_WIDTH
} NodusSiteNumber;

typedef enum NodusSiteValue {
    NODUS_SITE_H, NODUS_SITE_SKIP, NODUS_SITE_EMB, NODUS_SITE_Q, NODUS_SITE_K, NODUS_SITE_V, NODUS_SITE_CONTEXT, NODUS_SITE_OUT
} NodusSiteValue;

NODUS_API int64_t nodus_site_number(const NodusSite *site, NodusSiteNumber which); /* −1: there is no such number */
/* A value at the place, NODUS_OP_NONE where it has none; and another in its stead, of as many dimensions, items and channels: else, or where
 * nobody reads it, the error sticks to the graph. */
NODUS_API NodusOpRef nodus_site_get(NodusOpGraph *graph, const NodusSite *site, NodusSiteValue which);
NODUS_API void nodus_site_set(NodusOpGraph *graph, NodusSite *site, NodusSiteValue which, NodusOpRef value);

/* ---- One run of a network ---------------------------------------------------------------------------------------------------- */

/* In `bind`: what the inputs of this patch are in the run that follows. Names are those of nodus_op_input and nodus_op_scalar and mean
 * this patch's, also where a model has several of the class. The tensor is kept alive by the caller until the sampling ends, in `self`
 * or in the state that `begin` made. Errors: NODUS_ERROR_INPUT for a number that is not finite, a name too long, more than 32 inputs
 * of all patches in a run. */
NODUS_API NodusStatus nodus_bind_number(NodusBindings *bindings, const char *name, double value);
NODUS_API NodusStatus nodus_bind_tensor(NodusBindings *bindings, const char *name, const NodusTensor *tensor);

/* ---- Guidance ---------------------------------------------------------------------------------------------------------------- */

/* In `guide`, which is called at each stage of each step while `active`. */
typedef enum NodusGuidanceStage {
    NODUS_GUIDANCE_BEFORE, /* COND and UNCOND may be set */
    NODUS_GUIDANCE_RULE,   /* DENOISED may be set: then it replaces uncond + cfg·(cond − uncond); the last patch that does so counts */
    NODUS_GUIDANCE_AFTER   /* DENOISED is the result so far, and may be set */
} NodusGuidanceStage;
typedef enum NodusGuidanceValue { /* [b, c, h, w]: predictions of the picture, and the noised latent */
    NODUS_GUIDANCE_X, NODUS_GUIDANCE_COND, NODUS_GUIDANCE_UNCOND, NODUS_GUIDANCE_DENOISED
} NodusGuidanceValue;

NODUS_API NodusGuidanceStage nodus_guidance_stage(const NodusGuidance *guidance);
NODUS_API NodusMath *nodus_guidance_math(const NodusGuidance *guidance); /* for eager math and nodus_op_apply */
NODUS_API float nodus_guidance_sigma(const NodusGuidance *guidance);
NODUS_API double nodus_guidance_cfg(const NodusGuidance *guidance);
/* Borrowed until the function returns; NULL: not there (UNCOND without NODUS_PATCH_NEEDS_UNCOND, DENOISED too early). */
NODUS_API const NodusTensor *nodus_guidance_get(const NodusGuidance *guidance, NodusGuidanceValue which);
/* Sets it to `tensor`, of x's shape; what it was before is left alone. NODUS_ERROR_INPUT: not at this stage, or another shape. */
NODUS_API NodusStatus nodus_guidance_set(NodusGuidance *guidance, NodusGuidanceValue which, const NodusTensor *tensor);

/* ---- Conditionings ----------------------------------------------------------------------------------------------------------- */

/* The payload of a CONDITIONING: a list of entries, each with what the network attends to, [1, t, d], and a summary [1, d] or NULL.
 * Borrowed from the payload; NULL also behind the last entry. */
NODUS_API uint32_t nodus_conditioning_count(const void *conditioning);
NODUS_API const NodusTensor *nodus_conditioning_text(const void *conditioning, uint32_t entry);
NODUS_API const NodusTensor *nodus_conditioning_pooled(const void *conditioning, uint32_t entry);
/* Emits a CONDITIONING like that, in which entry i has text[i] and pooled[i] instead (referenced; NULL, also for a list: as it was).
 * Areas, masks, strengths and all else stay. Shapes: [1, t, d] and [1, d]. */
NODUS_API NodusStatus nodus_emit_conditioning(NodusCall *call, uint32_t slot, const void *like, const NodusTensor *const *text,
                                              const NodusTensor *const *pooled);

#ifdef __cplusplus
}
#endif
#endif
