/* guider.h: by which rule lists of conditionings guide a model: a GUIDER.
 *
 * One idea: a guider says which predictions are needed and what is made of them; conds.c makes the predictions, combine.c is the
 * rule for two of them, and the rules for three are here. */
#ifndef DIFFUSION_GUIDER_H
#define DIFFUSION_GUIDER_H
#include "nodes/diffusion/combine.h"

typedef enum GuiderRule {
    GUIDER_CFG,     /* U + (C − U)·cfg; without a negative list: C */
    GUIDER_DUAL,    /* third + negative by cfg, `second` its strength; then (positive − third)·cfg on top */
    GUIDER_NESTED,  /* positive and third by cfg; that and the negative by `second` */
    GUIDER_PERP_NEG, /* third: an empty text; what the negative does not share with the positive counts `second` */
    GUIDER_OWN       /* of a plug-in or a script: `own` combines the predictions of all lists */
} GuiderRule;
enum { GUIDER_POSITIVE, GUIDER_NEGATIVE, GUIDER_THIRD, GUIDER_LISTS };
typedef struct Guider {
    GuiderRule rule;
    const Model *model;
    const Conditioning *list[GUIDER_LISTS]; /* NULL: not used */
    double cfg, second;
    const NodusGuiderDef *own;
    void *self; /* of `own` */
} Guider;

/* Fills in model and lists. */
void guider_setup(const Guider *guider, CondsSetup *setup);
/* Bits of the lists that must be evaluated; `uncond`: somebody looks at the unconditional prediction. */
unsigned guider_lists(const Guider *guider, bool uncond);
/* The guided prediction. In `step` math, x, sigma, conds and patches are given; the rest is filled in. `uncond` may be NULL. */
NodusStatus guider_predict(const Guider *guider, unsigned lists, Guidance *step, NodusTensor **denoised, NodusTensor **uncond);
/* empty + cfg·(pos − scale·(neg ⊥ pos)), pos and neg measured from `empty`; negative NULL: scale is 0. Armandpour et al.,
 * "Re-imagine the Negative Prompt Algorithm", 2023. */
NodusStatus guider_perp_neg(NodusMath *math, const NodusTensor *positive, const NodusTensor *negative, const NodusTensor *empty,
                            double cfg, double scale, NodusTensor **out);
#endif
