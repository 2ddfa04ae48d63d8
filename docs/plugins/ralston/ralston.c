/* ralston.c: a plug-in for nodus with one sampler, Ralston's method of second order.
 *
 * Sampling solves dx/dsigma = (x − x0(x, sigma)) / sigma from noise down to the picture; x0 is what the model makes of x. Ralston's
 * method looks at the slope at the start of a step and at two thirds of it, and weighs them 1 to 3: the least error bound of its order
 * (A. Ralston, "Runge-Kutta methods with minimum error bounds", 1962). It calls the model twice a step. */
#include <nodus/node.h>

/* x + move · slope, where slope = (x − x0) / sigma: a sum of two tensors. */
static NodusStatus ralston_move(NodusMath *math, const NodusTensor *x, const NodusTensor *x0, float sigma, float move, NodusTensor **out)
{
    return nodus_tensor_lincomb(math, out, 2, (float[]){1 + move / sigma, -move / sigma}, (const NodusTensor *[]){x, x0});
}

/* One step of two calls from `sigma` over `length` (negative). *x0: of the first call. */
static NodusStatus ralston_step(const NodusSampling *sampling, const NodusTensor *x, float sigma, float length, NodusTensor **x0,
                                NodusTensor **out)
{
    NodusMath *math = sampling->math;
    const float two_thirds = sigma + length * 2 / 3, first = length / 4 / sigma, second = length * 3 / 4 / two_thirds;
    NodusTensor *inner, *inner_x0;
    NODUS_TRY(sampling->denoise(sampling->context, x, sigma, x0, NULL));
    NODUS_TRY(ralston_move(math, x, *x0, sigma, length * 2 / 3, &inner));
    NODUS_TRY(sampling->denoise(sampling->context, inner, two_thirds, &inner_x0, NULL));
    NODUS_TRY(nodus_tensor_lincomb(math, out, 4, (float[]){1 + first, -first, second, -second},
                                   (const NodusTensor *[]){x, *x0, inner, inner_x0}));
    nodus_tensor_release(math, inner); /* a step gives back what the next one does not need */
    nodus_tensor_release(math, inner_x0);
    return NULL;
}

static NodusStatus ralston(const NodusSampling *sampling, const void *options, const NodusTensor *noised, NodusTensor **out)
{
    const NodusTensor *x = noised;
    NodusTensor *last = NULL; /* x, once it is ours */
    (void)options;
    for (int step = 0; step < sampling->steps; step++) {
        const float sigma = sampling->sigmas[step], next = sampling->sigmas[step + 1];
        NodusTensor *x0, *moved;
        if (next > 0) {
            NODUS_TRY(ralston_step(sampling, x, sigma, next - sigma, &x0, &moved));
        } else { /* the last step ends where the model says */
            NODUS_TRY(sampling->denoise(sampling->context, x, sigma, &x0, NULL));
            NODUS_TRY(ralston_move(sampling->math, x, x0, sigma, next - sigma, &moved));
        }
        NODUS_TRY(sampling->step_done(sampling->context, step, moved, x0)); /* progress; an error when the run is cancelled */
        nodus_tensor_release(sampling->math, x0);
        nodus_tensor_release(sampling->math, last);
        x = last = moved;
    }
    if (last) *out = last;
    else NODUS_TRY(nodus_tensor_affine(sampling->math, out, noised, 1, 0)); /* no steps */
    return NULL;
}

static const NodusSamplerDef sampler_ralston = {
    .struct_size = sizeof(NodusSamplerDef), .flags = NODUS_SAMPLER_TWO_CALLS, .name = "ralston", .run = ralston};

NODUS_PLUGIN("ralston", "0.1", "Ralston's method as a sampler.")
{
    nodus_plugin_sampler(plugin, &sampler_ralston);
    return NULL;
}
