/* inpaint.h: sampling within a mask: what lies outside stays as it was (numerics.md §5, step 6). */
#ifndef DIFFUSION_INPAINT_H
#define DIFFUSION_INPAINT_H
#include "nodes/values.h"

/* 1 = repaint. All on the scratch list; `mask` NULL: no inpainting. */
typedef struct Inpaint {
    NodusTensor *mask, *keep;    /* [b, 1, h, w], and 1 − that */
    NodusTensor *latent, *noise; /* what stays, scaled for the model, and the noise that it gets at every σ */
} Inpaint;
/* The mask is brought to the size of the latent; latent and noise are kept, not copied. */
NodusStatus inpaint_open(Inpaint *inpaint, NodusMath *math, const NodusTensor *mask, NodusTensor *latent, NodusTensor *noise);
/* x·m + (the latent, noised to σ)·(1 − m): what the network sees. */
NodusStatus inpaint_before(const Inpaint *inpaint, NodusMath *math, const ModelSampling *sampling, const NodusTensor *x,
                           float sigma, NodusTensor **out);
/* D·m + latent·(1 − m); takes the prediction. */
NodusStatus inpaint_after(const Inpaint *inpaint, NodusMath *math, NodusTensor **denoised);
#endif
