/* latent_format.h: latents as they cross sockets, and as a model sees them: a factor, for some models a mean and spread a
 * channel. */
#ifndef DIFFUSION_LATENT_FORMAT_H
#define DIFFUSION_LATENT_FORMAT_H
#include <nodus/tensor.h>

/* x ↦ (x − mean)·scale/spread */
typedef struct LatentFormat {
    float scale, mean[4], spread[4];
} LatentFormat;
extern const LatentFormat latent_format_playground; /* Playground 2.5 */

/* Samples for a model of `scale` and, if it is not NULL, of that format instead. Samples that are 0 throughout, an empty picture,
 * stay so. */
NodusStatus latent_format_in(NodusMath *math, float scale, const LatentFormat *format, const NodusTensor *samples,
                             NodusTensor **out);
NodusStatus latent_format_out(NodusMath *math, float scale, const LatentFormat *format, const NodusTensor *x, NodusTensor **out);
#endif
