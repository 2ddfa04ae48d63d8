/* conds.h: what the network says of a noisy latent when it is told lists of conditionings (numerics.md §5).
 *
 * One idea: every entry of every list is an evaluation of its own, within its area and its part of the sampling; entries that
 * see pictures of one size share a call of the network; and the prediction of a list is the mean of its entries, weighed by
 * strength and mask, place by place. */
#ifndef DIFFUSION_CONDS_H
#define DIFFUSION_CONDS_H
#include "nodes/diffusion/network.h"
#include "nodes/diffusion/noise.h"
#include "nodes/values.h"

enum { CONDS_LISTS = 4 /* at most */ };
typedef struct CondsList {
    const Conditioning *conditioning;
    const char *input; /* of the node, for errors */
    bool negative;     /* the refiner is told a lower score by default */
} CondsList;

/* What a sampling is about: its model, and the picture that an inpainting model is shown when no entry has one. */
typedef struct CondsSetup {
    NodusCall *call;
    const Model *model;
    CondsList list[CONDS_LISTS];
    int lists;
    const NodusTensor *latent; /* [b, c, h, w], as the model scales it */
    const NodusTensor *mask;   /* [b, 1, h, w]: what is repainted; or NULL */
    uint64_t seed;             /* of the noise on what unCLIP models draw after */
    Generator *random;         /* what patches draw from, as PyTorch's global generator; NULL: none of them draws */
} CondsSetup;
typedef struct Conds Conds;
NodusStatus conds_open(const CondsSetup *setup, Conds **out);
void conds_close(Conds *conds); /* NULL is allowed */

/* prediction[i]: what list i predicts from x at sigma (x0, on the scratch list), for those whose bit i of `lists` is set; the
 * others become NULL. Where no entry acts it is 0. The patches are those of the model, or those and more. */
NodusStatus conds_evaluate(Conds *conds, unsigned lists, const NodusTensor *x, float sigma, const PatchRun *patch, int patches,
                           NodusTensor *prediction[CONDS_LISTS]);
/* A guided prediction [b, c, h, w] in which what prompt-to-prompt may not change is that of its source; takes *x. */
NodusStatus conds_blend(const Conds *conds, NodusTensor **x);
/* Floating-point operations of such an evaluation; its plans are made. Errors that an evaluation would have come now. */
NodusStatus conds_flop(Conds *conds, unsigned lists, float sigma, const PatchRun *patch, int patches, double *flop);
#endif
