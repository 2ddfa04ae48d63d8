/* concat.c: see concat.h, and numerics.md §5, "Concat models".
 *
 * One idea: the number of extra channels says what they are: a mask and a latent, or a latent alone. Only models that paint by example have
 * the first two the other way round, and a mask of what stays; those know it by their file. */
#include "nodes/diffusion/concat.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "nodes/resize.h"

enum { BLANK_CHANNELS = 4 };

int concat_channels(const Model *model)
{
    return model->unet.in_channels - model->unet.out_channels;
}

/* The middle of x [n, c, h, w] that has the shape of height × width. */
static NodusStatus concat_middle(NodusMath *math, const NodusTensor *x, int64_t height, int64_t width, NodusTensor **out)
{
    const int64_t h = nodus_tensor_dim(x, 2), w = nodus_tensor_dim(x, 3);
    int64_t left, top;
    NodusTensor *rows;
    resize_margins(w, h, width, height, &left, &top);
    NODUS_TRY(nodus_tensor_slice(math, &rows, x, 2, top, h - 2 * top));
    return nodus_tensor_slice(math, out, rows, 3, left, w - 2 * left);
}

/* Which of `count` items item i of `batch` gets: they are spread evenly, those at the ends included where some are left out. */
static int64_t concat_item(int64_t count, int64_t batch, int64_t i)
{
    if (batch == 1) return 0;
    if (batch >= count) return (int64_t)(((double)i + 0.5) * ((double)count / (double)batch));
    return pixels_round((double)i * ((double)(count - 1) / (double)(batch - 1)));
}

static NodusStatus concat_spread(NodusMath *math, const NodusTensor *x, int64_t batch, NodusTensor **out)
{
    const int64_t count = nodus_tensor_dim(x, 0);
    if (count == batch || count == 1) return nodus_tensor_repeat(math, out, x, batch);
    NodusTensor **item = memory_array((size_t)batch, sizeof(NodusTensor *));
    if (!item) return status_memory();
    NodusStatus status = NULL;
    for (int64_t i = 0; i < batch && !status; i++) {
        const int64_t at = concat_item(count, batch, i);
        status = nodus_tensor_slice(math, &item[i], x, 0, at < count ? at : count - 1, 1);
    }
    if (!status) status = nodus_tensor_concat(math, out, 0, (int)batch, (const NodusTensor *const *)item);
    memory_free(item);
    return status;
}

/* x of any size and batch as `like`: its middle is resized, its items spread. */
static NodusStatus concat_fit(NodusMath *math, const NodusTensor *x, const NodusTensor *like, NodusResize filter, NodusTensor **out)
{
    const int64_t height = nodus_tensor_dim(like, 2), width = nodus_tensor_dim(like, 3);
    NodusTensor *middle, *sized;
    NODUS_TRY(concat_middle(math, x, height, width, &middle));
    NODUS_TRY(nodus_tensor_resize(math, &sized, middle, height, width, filter));
    return concat_spread(math, sized, nodus_tensor_dim(like, 0), out);
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

/* Everything is drawn anew: the mask, and the latent of a grey picture. */
static NodusStatus concat_blank(NodusMath *math, const NodusTensor *latent, NodusTensor **mask, NodusTensor **picture)
{
    static const float grey[BLANK_CHANNELS] = {0.8223f, -0.6876f, 0.6364f, 0.1380f};
    const int64_t dim[] = {nodus_tensor_dim(latent, 0), 1, nodus_tensor_dim(latent, 2), nodus_tensor_dim(latent, 3)};
    NodusTensor *part[BLANK_CHANNELS];
    NODUS_TRY(nodus_tensor_fill(math, mask, 4, dim, 1));
    for (int i = 0; i < BLANK_CHANNELS; i++) NODUS_TRY(nodus_tensor_fill(math, &part[i], 4, dim, grey[i]));
    return nodus_tensor_concat(math, picture, 1, BLANK_CHANNELS, (const NodusTensor *const *)part);
}

/* A mask of any size as whole numbers [b, 1, h, w], like `latent`. */
static NodusStatus concat_mask(NodusMath *math, const NodusTensor *mask, const NodusTensor *latent, NodusResize filter, NodusTensor **out)
{
    NodusTensor *planes, *fitted;
    const int64_t height = nodus_tensor_dim(mask, -2), width = nodus_tensor_dim(mask, -1), plane = height * width;
    if (!plane || !nodus_tensor_count(mask)) return nodus_error(NODUS_ERROR_INPUT, "the mask of the inpainting model is empty");
    NODUS_TRY(nodus_tensor_reshape(math, &planes, mask, 4, (int64_t[]){nodus_tensor_count(mask) / plane, 1, height, width}));
    NODUS_TRY(concat_fit(math, planes, latent, filter, &fitted));
    return concat_round(math, fitted, out);
}

/* What is drawn anew, and the picture behind it: both as the latent is. Painting by example looks at single pixels of the mask. */
static NodusStatus concat_parts(NodusMath *math, const Model *model, const Cond *cond, const NodusTensor *latent,
                                const NodusTensor *mask, NodusTensor **anew, const NodusTensor **picture)
{
    NodusTensor *scaled, *fitted;
    *picture = latent;
    NODUS_TRY(concat_mask(math, mask, latent, model->by_example ? NODUS_NEAREST : NODUS_BILINEAR, anew));
    if (!cond->concat_latent) return NULL;
    NODUS_TRY(concat_check(cond->concat_latent, latent));
    NODUS_TRY(nodus_tensor_affine(math, &scaled, cond->concat_latent, model->latent_scale, 0));
    NODUS_TRY(concat_fit(math, scaled, latent, NODUS_BILINEAR, &fitted));
    *picture = fitted;
    return NULL;
}

/* [mask, picture behind it]; by example: [picture, what of it stays]. */
static NodusStatus concat_inpaint(NodusMath *math, const Model *model, const Cond *cond, const NodusTensor *latent,
                                  const NodusTensor *mask, NodusTensor **out)
{
    NodusTensor *anew, *grey = NULL, *stays;
    const NodusTensor *picture = NULL;
    if (cond->concat_mask) mask = cond->concat_mask;
    if (mask) NODUS_TRY(concat_parts(math, model, cond, latent, mask, &anew, &picture));
    else NODUS_TRY(concat_blank(math, latent, &anew, &grey));
    if (grey) picture = grey;
    if (!model->by_example) return nodus_tensor_concat(math, out, 1, 2, (const NodusTensor *[]){anew, picture});
    NODUS_TRY(nodus_tensor_affine(math, &stays, anew, -1, 1));
    return nodus_tensor_concat(math, out, 1, 2, (const NodusTensor *[]){picture, stays});
}

/* The picture to edit, unscaled; black where there is none. */
static NodusStatus concat_edit(NodusMath *math, const Cond *cond, const NodusTensor *latent, NodusTensor **out)
{
    if (!cond->concat_latent) return nodus_tensor_affine(math, out, latent, 0, 0);
    NODUS_TRY(concat_check(cond->concat_latent, latent));
    return concat_fit(math, cond->concat_latent, latent, NODUS_BILINEAR, out);
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
