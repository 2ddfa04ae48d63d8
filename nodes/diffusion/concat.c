/* concat.c: see concat.h, and numerics.md §5, "Concat models".
 *
 * One idea: the number of extra channels says what they are: a mask and a latent, or a latent alone. */
#include "nodes/diffusion/concat.h"
#include "engine/base/status.h"

enum { BLANK_CHANNELS = 4 };

int concat_channels(const Model *model)
{
    return model->unet.in_channels - model->unet.out_channels;
}

/* x of any size and batch as `like`: resized without keeping its shape, its items repeated. */
static NodusStatus concat_fit(NodusMath *math, const NodusTensor *x, const NodusTensor *like, NodusTensor **out)
{
    NodusTensor *sized;
    NODUS_TRY(nodus_tensor_resize(math, &sized, x, nodus_tensor_dim(like, 2), nodus_tensor_dim(like, 3), NODUS_BILINEAR));
    return nodus_tensor_repeat(math, out, sized, nodus_tensor_dim(like, 0));
}

static NodusStatus concat_check(const NodusTensor *picture, const NodusTensor *latent)
{
    const int64_t wanted = nodus_tensor_dim(latent, 1);
    if (nodus_tensor_rank(picture) == 4 && nodus_tensor_dim(picture, 1) == wanted && nodus_tensor_count(picture)) return NULL;
    return nodus_error(NODUS_ERROR_INPUT,
                       "the picture to work on has %d channels as a latent, the model wants %d: are VAE and "
                       "model of two families?",
                       (int)nodus_tensor_dim(picture, 1), (int)wanted);
}

/* To the nearest, half to even. */
static NodusStatus concat_round(NodusMath *math, const NodusTensor *mask, NodusTensor **out)
{
    const float magic = 12582912; /* 1.5 · 2^23: a sum with it keeps no fraction */
    NodusTensor *up;
    NODUS_TRY(nodus_tensor_affine(math, &up, mask, 1, magic));
    NODUS_TRY(nodus_tensor_affine(math, out, up, 1, -magic));
    nodus_tensor_release(math, up);
    return NULL;
}

/* 1, everything, and the latent of a grey picture. */
static NodusStatus concat_blank(NodusMath *math, const NodusTensor *latent, NodusTensor **out)
{
    static const float grey[BLANK_CHANNELS] = {0.8223f, -0.6876f, 0.6364f, 0.1380f};
    const int64_t dim[] = {nodus_tensor_dim(latent, 0), 1, nodus_tensor_dim(latent, 2), nodus_tensor_dim(latent, 3)};
    NodusTensor *part[BLANK_CHANNELS + 1];
    NODUS_TRY(nodus_tensor_fill(math, &part[0], 4, dim, 1));
    for (int i = 0; i < BLANK_CHANNELS; i++) NODUS_TRY(nodus_tensor_fill(math, &part[i + 1], 4, dim, grey[i]));
    return nodus_tensor_concat(math, out, 1, BLANK_CHANNELS + 1, (const NodusTensor *const *)part);
}

/* [mask, picture behind it] */
static NodusStatus concat_inpaint(NodusMath *math, const Model *model, const Cond *cond, const NodusTensor *latent,
                                  const NodusTensor *mask, NodusTensor **out)
{
    NodusTensor *planes, *fitted, *rounded, *scaled, *picture;
    if (cond->concat_mask) mask = cond->concat_mask;
    if (!mask) return concat_blank(math, latent, out);
    const int64_t height = nodus_tensor_dim(mask, -2), width = nodus_tensor_dim(mask, -1), plane = height * width;
    if (!plane || !nodus_tensor_count(mask)) return nodus_error(NODUS_ERROR_INPUT, "the mask of the inpainting model is empty");
    NODUS_TRY(nodus_tensor_reshape(math, &planes, mask, 4, (int64_t[]){nodus_tensor_count(mask) / plane, 1, height, width}));
    NODUS_TRY(concat_fit(math, planes, latent, &fitted));
    NODUS_TRY(concat_round(math, fitted, &rounded));
    if (!cond->concat_latent) return nodus_tensor_concat(math, out, 1, 2, (const NodusTensor *[]){rounded, latent});
    NODUS_TRY(concat_check(cond->concat_latent, latent));
    NODUS_TRY(nodus_tensor_affine(math, &scaled, cond->concat_latent, model->latent_scale, 0));
    NODUS_TRY(concat_fit(math, scaled, latent, &picture));
    return nodus_tensor_concat(math, out, 1, 2, (const NodusTensor *[]){rounded, picture});
}

/* The picture to edit, unscaled; black where there is none. */
static NodusStatus concat_edit(NodusMath *math, const Cond *cond, const NodusTensor *latent, NodusTensor **out)
{
    if (!cond->concat_latent) return nodus_tensor_affine(math, out, latent, 0, 0);
    NODUS_TRY(concat_check(cond->concat_latent, latent));
    return concat_fit(math, cond->concat_latent, latent, out);
}

NodusStatus concat_input(NodusCall *call, const Model *model, const Cond *cond, const NodusTensor *latent,
                         const NodusTensor *mask, NodusTensor **out)
{
    const int extra = concat_channels(model), channels = model->unet.out_channels;
    if (extra == channels) return concat_edit(nodus_math(call), cond, latent, out);
    if (extra == channels + 1 && channels == BLANK_CHANNELS)
        return concat_inpaint(nodus_math(call), model, cond, latent, mask, out);
    return nodus_input_error(call, "model", "it has %d input channels, %d more than its latents: what they show is not known",
                             model->unet.in_channels, extra);
}
