/* inpaint.c: see inpaint.h. The known region follows the noise level of the step, with the same noise each time (RePaint and
 * blended latents: with noise that the driver draws anew), so that the network always sees a whole picture; after the last step it
 * is the latent itself. */
#include "nodes/diffusion/inpaint.h"

NodusStatus inpaint_open(Inpaint *inpaint, NodusMath *math, const NodusTensor *mask, NodusTensor *latent, NodusTensor *noise)
{
    const int64_t height = nodus_tensor_dim(mask, -2), width = nodus_tensor_dim(mask, -1);
    const int64_t area = height * width, items = area ? nodus_tensor_count(mask) / area : 0;
    NodusTensor *planes, *fitted;
    if (items < 1) return nodus_error(NODUS_ERROR_INPUT, "the noise mask is empty");
    NODUS_TRY(nodus_tensor_reshape(math, &planes, mask, 4, (int64_t[]){items, 1, height, width}));
    NODUS_TRY(
        nodus_tensor_resize(math, &fitted, planes, nodus_tensor_dim(latent, 2), nodus_tensor_dim(latent, 3), NODUS_BILINEAR));
    NODUS_TRY(nodus_tensor_repeat(math, &inpaint->mask, fitted, nodus_tensor_dim(latent, 0)));
    NODUS_TRY(nodus_tensor_affine(math, &inpaint->keep, inpaint->mask, -1, 1));
    inpaint->latent = latent;
    inpaint->noise = noise;
    return NULL;
}

/* a·m + b·(1 − m) */
static NodusStatus inpaint_mix(const Inpaint *inpaint, NodusMath *math, const NodusTensor *a, const NodusTensor *b,
                               NodusTensor **out)
{
    NodusTensor *inside, *outside;
    NODUS_TRY(nodus_tensor_mul(math, &inside, a, inpaint->mask));
    NODUS_TRY(nodus_tensor_mul(math, &outside, b, inpaint->keep));
    NODUS_TRY(nodus_tensor_add(math, out, inside, outside));
    nodus_tensor_release(math, inside);
    nodus_tensor_release(math, outside);
    return NULL;
}

NodusStatus inpaint_before(const Inpaint *inpaint, NodusMath *math, const ModelSampling *sampling, const NodusTensor *x,
                           float sigma, NodusTensor **out)
{
    NodusTensor *noised;
    NODUS_TRY(model_sampling_add_noise(sampling, math, inpaint->latent, inpaint->noise, sigma, false, &noised));
    NODUS_TRY(inpaint_mix(inpaint, math, x, noised, out));
    nodus_tensor_release(math, noised);
    return NULL;
}

NodusStatus inpaint_after(const Inpaint *inpaint, NodusMath *math, NodusTensor **denoised)
{
    NodusTensor *all = *denoised;
    NODUS_TRY(inpaint_mix(inpaint, math, all, inpaint->latent, denoised));
    nodus_tensor_release(math, all);
    return NULL;
}
