/* sampler_lcm_upscale.c: see sampler_lcm_upscale.h.
 *
 * One idea: a consistency model jumps to the picture in each step and is noised again, so between the jump and the noise the
 * picture may change its size: a small one is made first and grows as it gets its details. */
#include "nodes/sampler_lcm_upscale.h"
#include "engine/base/status.h"
#include "nodes/latents.h"
#include <math.h>

const char *const lcm_upscale_methods[] = {"bislerp", "nearest-exact", "bilinear", "area", "bicubic", NULL};

typedef struct Upscale {
    NodusCall *call;
    const SamplerObject *sampler;
} Upscale;

NodusStatus lcm_upscale_bind(NodusCall *call, const SamplerObject *self, const void **options)
{
    Upscale *upscale = nodus_alloc(call, sizeof *upscale);
    if (!upscale) return status_memory();
    *upscale = (Upscale){call, self};
    *options = upscale;
    return NULL;
}

/* After how many steps it has its full size. */
static int64_t growing_steps(const SamplerObject *sampler, int steps)
{
    const int64_t levels = steps + 1;
    if (sampler->steps >= 0) return sampler->steps < levels ? sampler->steps : levels;
    return levels / 2 > 1 ? levels / 2 : 1;
}

/* The picture in the size that it has after step i. */
static NodusStatus upscale_to(const Upscale *upscale, const NodusTensor *first, int64_t i, int64_t growing,
                              const NodusTensor *denoised, NodusTensor **out)
{
    enum { MOST = LATENT_MAX_SIDE / LATENT_CELL };
    const double size = 1 + (upscale->sampler->ratio - 1) * (double)(i + 1) / (double)growing;
    const int64_t height = (int64_t)nearbyint((double)nodus_tensor_dim(first, 2) * size);
    const int64_t width = (int64_t)nearbyint((double)nodus_tensor_dim(first, 3) * size);
    if (height < 1 || width < 1 || height > MOST || width > MOST)
        return nodus_error(NODUS_ERROR_INPUT, "a scale_ratio of %g makes latents of %lld × %lld cells: 1 to %d are possible",
                           upscale->sampler->ratio, (long long)width, (long long)height, MOST);
    return latent_resize(upscale->call, denoised, width, height, upscale->sampler->method, false, out);
}

/* *x + sigma·noise */
static NodusStatus upscale_noise(const NodusSampling *s, float sigma, NodusTensor **x)
{
    NodusTensor *picture = *x, *noise;
    int64_t dim[NODUS_MAX_RANK];
    for (int k = 0; k < nodus_tensor_rank(picture); k++) dim[k] = nodus_tensor_dim(picture, k);
    NODUS_TRY(s->draw(s->context, nodus_tensor_rank(picture), dim, &noise));
    NODUS_TRY(nodus_tensor_lincomb(s->math, x, 2, (float[]){1, sigma}, (const NodusTensor *[]){picture, noise}));
    nodus_tensor_release(s->math, picture);
    nodus_tensor_release(s->math, noise);
    return NULL;
}

static NodusStatus lcm_upscale(const NodusSampling *s, const void *options, const NodusTensor *x, NodusTensor **out)
{
    const Upscale *upscale = options;
    const int64_t growing = growing_steps(upscale->sampler, s->steps);
    NodusTensor *now;
    NODUS_TRY(nodus_tensor_affine(s->math, &now, x, 1, 0));
    for (int i = 0; i < s->steps; i++) {
        NodusTensor *denoised, *next;
        NODUS_TRY(s->denoise(s->context, now, s->sigmas[i], &denoised, NULL));
        nodus_tensor_release(s->math, now);
        if (i < growing) NODUS_TRY(upscale_to(upscale, x, i, growing, denoised, &next));
        else NODUS_TRY(nodus_tensor_affine(s->math, &next, denoised, 1, 0));
        if (s->sigmas[i + 1] > 0) NODUS_TRY(upscale_noise(s, s->sigmas[i + 1], &next));
        NODUS_TRY(s->step_done(s->context, i, next, denoised));
        nodus_tensor_release(s->math, denoised);
        now = next;
    }
    *out = now;
    return NULL;
}

const NodusSamplerDef lcm_upscale_sampler = {.struct_size = sizeof(NodusSamplerDef), .name = "lcm_upscale", .run = lcm_upscale};
