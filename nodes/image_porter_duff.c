/* image_porter_duff.c: PorterDuffImageComposite: two pictures with alpha made one, by the operators of Porter and Duff
 * ("Compositing Digital Images", 1984) and the usual blend modes.
 *
 * One idea: colours are multiplied by their alpha first; then every operator is one line for colour and one for alpha, and the
 * result is divided by its alpha again. s and d are a value of source and destination, sa and da their alphas. */
#include "engine/base/status.h"
#include "nodes/resize.h"
#include <math.h>
#include <string.h>

typedef struct {
    const NodusTensor *source, *source_alpha, *destination, *destination_alpha;
    const char *mode;
} PorterDuffArgs;

typedef enum Mode {
    ADD,
    CLEAR,
    DARKEN,
    DST,
    DST_ATOP,
    DST_IN,
    DST_OUT,
    DST_OVER,
    LIGHTEN,
    MULTIPLY,
    OVERLAY,
    SCREEN,
    SRC,
    SRC_ATOP,
    SRC_IN,
    SRC_OUT,
    SRC_OVER,
    XOR
} Mode;
static const char *const mode_names[] = {"ADD",      "CLEAR",   "DARKEN",   "DST",     "DST_ATOP", "DST_IN", "DST_OUT",
                                         "DST_OVER", "LIGHTEN", "MULTIPLY", "OVERLAY", "SCREEN",   "SRC",    "SRC_ATOP",
                                         "SRC_IN",   "SRC_OUT", "SRC_OVER", "XOR",     NULL};

static float colour_of(Mode mode, float s, float sa, float d, float da)
{
    switch (mode) {
    case ADD: return pixels_clamp(s + d);
    case CLEAR: return 0;
    case DARKEN: return (1 - da) * s + (1 - sa) * d + fminf(s, d);
    case DST: return d;
    case DST_ATOP: return sa * d + (1 - da) * s;
    case DST_IN: return d * sa;
    case DST_OUT: return (1 - sa) * d;
    case DST_OVER: return d + (1 - da) * s;
    case LIGHTEN: return (1 - da) * s + (1 - sa) * d + fmaxf(s, d);
    case MULTIPLY: return s * d;
    case OVERLAY: return 2 * d < da ? 2 * s * d : sa * da - 2 * (da - s) * (sa - d);
    case SCREEN: return s + d - s * d;
    case SRC: return s;
    case SRC_ATOP: return da * s + (1 - sa) * d;
    case SRC_IN: return s * da;
    case SRC_OUT: return (1 - da) * s;
    case SRC_OVER: return s + (1 - sa) * d;
    default: return (1 - da) * s + (1 - sa) * d;
    }
}

static float alpha_of(Mode mode, float sa, float da)
{
    switch (mode) {
    case ADD: return pixels_clamp(sa + da);
    case CLEAR: return 0;
    case DST:
    case SRC_ATOP: return da;
    case SRC:
    case DST_ATOP: return sa;
    case DST_IN:
    case SRC_IN:
    case MULTIPLY: return sa * da;
    case DST_OUT: return (1 - sa) * da;
    case SRC_OUT: return (1 - da) * sa;
    case DST_OVER: return da + (1 - da) * sa;
    case SRC_OVER: return sa + (1 - sa) * da;
    case XOR: return (1 - da) * sa + (1 - sa) * da;
    default: return sa + da - sa * da;
    }
}

typedef struct Compositing {
    Mode mode;
    Pixels source, source_mask, target, target_mask; /* of one size */
    float *image, *mask;
} Compositing;

static void composite_line(void *state, int64_t part)
{
    const Compositing *w = state;
    const int64_t item = part / w->target.height, at = part % w->target.height * w->target.width, channels = w->target.channels;
    const float *s = pixels_of(&w->source, item) + at * channels, *d = pixels_of(&w->target, item) + at * channels;
    const float *sm = pixels_of(&w->source_mask, item) + at, *dm = pixels_of(&w->target_mask, item) + at;
    float *image = w->image + part * pixels_line(&w->target), *mask = w->mask + part * w->target.width;
    for (int64_t x = 0; x < w->target.width; x++) {
        const float sa = 1 - sm[x], da = 1 - dm[x], alpha = alpha_of(w->mode, sa, da);
        for (int64_t c = x * channels; c < (x + 1) * channels; c++) {
            const float colour = colour_of(w->mode, s[c] * sa, sa, d[c] * da, da);
            image[c] = alpha > 1e-5f ? pixels_clamp(colour / alpha) : 0;
        }
        mask[x] = 1 - pixels_clamp(alpha);
    }
}

/* A mask in the size of the destination, cut evenly where the shape differs. */
static NodusStatus map_fitted_mask(NodusCall *call, const char *input, const NodusTensor *mask, const Pixels *to, Pixels *out)
{
    NodusTensor *flat;
    NODUS_TRY(pixels_mask(call, input, mask, &flat, out));
    if (out->width != to->width || out->height != to->height)
        NODUS_TRY(resize_mask(call, flat, to->width, to->height, "bicubic", true, &flat));
    return pixels_map_mask(call, input, flat, out);
}

static NodusStatus map_source(NodusCall *call, const NodusTensor *source, const Pixels *to, Pixels *out)
{
    NodusTensor *fitted;
    NODUS_TRY(pixels_size(call, "source", source, out));
    if (out->channels != to->channels)
        return nodus_input_error(call, "source", "has %lld channels, the destination %lld", (long long)out->channels,
                                 (long long)to->channels);
    if (out->width == to->width && out->height == to->height) return pixels_map(call, "source", source, out);
    NODUS_TRY(resize_image(call, source, to->width, to->height, "bicubic", true, &fitted));
    return pixels_map(call, "source", fitted, out);
}

static int64_t least(const int64_t *count, int n)
{
    int64_t found = count[0];
    for (int i = 1; i < n; i++)
        if (count[i] < found) found = count[i];
    return found;
}

static NodusStatus porter_duff(NodusCall *call, const void *args)
{
    const PorterDuffArgs *in = args;
    Compositing w = {0};
    int mode = 0;
    while (mode < XOR && strcmp(mode_names[mode], in->mode) != 0) mode++;
    w.mode = (Mode)mode;
    NODUS_TRY(pixels_map(call, "destination", in->destination, &w.target));
    NODUS_TRY(map_source(call, in->source, &w.target, &w.source));
    NODUS_TRY(map_fitted_mask(call, "source_alpha", in->source_alpha, &w.target, &w.source_mask));
    NODUS_TRY(map_fitted_mask(call, "destination_alpha", in->destination_alpha, &w.target, &w.target_mask));
    Pixels to = w.target;
    to.batch = least((int64_t[]){w.source.batch, w.source_mask.batch, w.target.batch, w.target_mask.batch}, 4);
    const Pixels mask = {to.batch, to.height, to.width, 1, NULL};
    w.image = pixels_new(call, &to);
    w.mask = pixels_new(call, &mask);
    if (!w.image || !w.mask) return status_memory();
    nodus_parallel(call, to.batch * to.height, composite_line, &w);
    NODUS_TRY(pixels_emit(call, 0, &to, w.image));
    return pixels_emit_mask(call, 1, &mask, w.mask);
}

/* The smallest of the four batches, 0 if one is not known: then the least is 0. */
static NodusStatus porter_duff_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    Pixels to = pixels_known(&in[2]);
    int64_t batch[4];
    (void)call;
    (void)args;
    for (int i = 0; i < 4; i++) batch[i] = pixels_known(&in[i]).batch;
    to.batch = least(batch, 4);
    pixels_fact(&out[0], &to);
    pixels_fact_mask(&out[1], &to);
    return NULL;
}

static const NodusInput porter_duff_inputs[] = {
    NODUS_IN_LINK("source", PorterDuffArgs, source, "IMAGE", "The picture above; resized to the destination."),
    NODUS_IN_LINK("source_alpha", PorterDuffArgs, source_alpha, "MASK", "1 where the source is transparent."),
    NODUS_IN_LINK("destination", PorterDuffArgs, destination, "IMAGE", "The picture below; it decides the size."),
    NODUS_IN_LINK("destination_alpha", PorterDuffArgs, destination_alpha, "MASK", "1 where the destination is transparent."),
    NODUS_IN_COMBO("mode", PorterDuffArgs, mode,
                   "SRC_OVER puts the source onto the destination; OVER, IN, OUT and ATOP say what of either stays.",
                   .names = mode_names, .def = "DST"),
};
static const NodusOutput porter_duff_outputs[] = {
    {.name = "IMAGE", .type = "IMAGE", .tooltip = "The colours."},
    {.name = "MASK", .type = "MASK", .tooltip = "1 where the result is transparent."},
};
const NodusNode node_porter_duff_image_composite = {
    NODUS_NODE("PorterDuffImageComposite", "Porter-Duff Image Composite", "mask/compositing", PorterDuffArgs, porter_duff_inputs,
               porter_duff_outputs),
    .help = "Make one picture of two that are partly transparent. Of several batches the shortest counts.",
    .example = "graphs/compositing.json",
    .run = porter_duff,
    .infer = porter_duff_infer,
};
