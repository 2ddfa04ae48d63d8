/* combine.h: from the predictions of the lists of conditionings to one: guidance (Ho & Salimans 2022), and what patches make of
 * it. */
#ifndef DIFFUSION_COMBINE_H
#define DIFFUSION_COMBINE_H
#include "nodes/diffusion/conds.h"

/* When a patch is asked: each may change the predictions; the last that has a rule of its own makes `denoised`, else it is the
 * usual one; each may change the result. */
typedef enum GuidanceStage { GUIDANCE_BEFORE, GUIDANCE_RULE, GUIDANCE_AFTER } GuidanceStage;
/* One step: what is combined. A patch sets `cond`, `uncond` or `denoised` to a new tensor and leaves the old one alone. */
struct NodusGuidance {
    GuidanceStage stage;
    NodusMath *math;
    const Model *model;
    const NodusTensor *x;
    float sigma;
    double cfg;
    NodusTensor *cond, *uncond; /* predictions; uncond is NULL when it was not asked for */
    NodusTensor *denoised;      /* the result so far */
    /* Further evaluations of x at sigma, with patches beside those of the model: conds_evaluate. */
    Conds *conds;
    const PatchRun *patch;
    int patches;
    int cond_list, uncond_list; /* which lists `cond` and `uncond` are of */
    int patch_list;             /* the first of those that patches brought */
};
typedef struct NodusGuidance Guidance;

/* Adds the lists of conditionings that patches bring, behind those that are there. */
NodusStatus combine_setup(const PatchRun *patch, int patches, CondsSetup *setup);
/* What list `list` predicts from x at sigma, with `extra` (NULL: none) beside the model's patches. */
NodusStatus combine_evaluate(const Guidance *guidance, int list, const NodusTensor *x, const PatchRun *extra, NodusTensor **out);
/* The list that the patch `self` brought. */
int combine_list(const Guidance *guidance, const void *self);

/* Does any patch need the unconditional prediction, even at a cfg of 1? */
bool combine_needs_uncond(const PatchRun *patch, int patches);
/* Fills `denoised` from `cond` and `uncond`, which stay. */
NodusStatus combine_predictions(Guidance *guidance);
/* The second half of that, for a result that was made by another rule. */
NodusStatus combine_patches(Guidance *guidance);
#endif
