/* latent_format.c: see latent_format.h. On the way out it is a division, as in the reference, so that the last bit agrees. */
#include "nodes/diffusion/latent_format.h"

enum { CHANNELS = 4 };

const LatentFormat latent_format_playground = {
    .scale = 0.5f,
    .mean = {-1.6574f, 1.886f, -1.383f, 2.5155f},
    .spread = {8.4927f, 5.9022f, 6.5498f, 5.2299f},
};

static NodusStatus channel_tensor(NodusMath *math, const float *number, NodusTensor **out)
{
    return nodus_tensor_from_f32(math, out, 4, (int64_t[]){1, CHANNELS, 1, 1}, number);
}

typedef struct Parts {
    NodusTensor *mean, *factor;
} Parts;

static NodusStatus format_parts(NodusMath *math, const LatentFormat *format, const NodusTensor *samples, bool inverse, Parts *out)
{
    float factor[CHANNELS];
    if (nodus_tensor_rank(samples) != 4 || nodus_tensor_dim(samples, 1) != CHANNELS)
        return nodus_error(NODUS_ERROR_INPUT, "this model's latents have %d channels: the latent is of another family", CHANNELS);
    for (int c = 0; c < CHANNELS; c++)
        factor[c] = inverse ? format->spread[c] / format->scale : format->scale / format->spread[c];
    NODUS_TRY(channel_tensor(math, format->mean, &out->mean));
    return channel_tensor(math, factor, &out->factor);
}

static NodusStatus format_empty(NodusMath *math, const NodusTensor *samples, bool *empty)
{
    const float *number;
    NODUS_TRY(nodus_tensor_map_f32(math, samples, &number));
    const int64_t count = nodus_tensor_count(samples);
    *empty = true;
    for (int64_t i = 0; i < count && *empty; i++) *empty = number[i] == 0;
    return NULL;
}

NodusStatus latent_format_in(NodusMath *math, float scale, const LatentFormat *format, const NodusTensor *samples,
                             NodusTensor **out)
{
    NodusTensor *centred;
    Parts parts;
    bool empty;
    if (!format) return nodus_tensor_affine(math, out, samples, scale, 0);
    NODUS_TRY(format_empty(math, samples, &empty));
    if (empty) return nodus_tensor_affine(math, out, samples, 1, 0);
    NODUS_TRY(format_parts(math, format, samples, false, &parts));
    NODUS_TRY(nodus_tensor_sub(math, &centred, samples, parts.mean));
    NODUS_TRY(nodus_tensor_mul(math, out, centred, parts.factor));
    nodus_tensor_release(math, centred);
    nodus_tensor_release(math, parts.mean);
    nodus_tensor_release(math, parts.factor);
    return NULL;
}

NodusStatus latent_format_out(NodusMath *math, float scale, const LatentFormat *format, const NodusTensor *x, NodusTensor **out)
{
    NodusTensor *divisor, *spread;
    Parts parts;
    if (!format) {
        NODUS_TRY(nodus_tensor_fill(math, &divisor, 4, (int64_t[]){1, 1, 1, 1}, scale));
        NODUS_TRY(nodus_tensor_div(math, out, x, divisor));
        nodus_tensor_release(math, divisor);
        return NULL;
    }
    NODUS_TRY(format_parts(math, format, x, true, &parts));
    NODUS_TRY(nodus_tensor_mul(math, &spread, x, parts.factor));
    NODUS_TRY(nodus_tensor_add(math, out, spread, parts.mean));
    nodus_tensor_release(math, spread);
    nodus_tensor_release(math, parts.mean);
    nodus_tensor_release(math, parts.factor);
    return NULL;
}
