/* pixels.h: what picture and mask nodes share: checked sizes, host buffers, and facts.
 *
 * One idea: an IMAGE is [b, h, w, c] and a MASK [b, h, w], but any node may have made them, so each node takes its inputs through
 * pixels_size or pixels_mask, which refuse what is no picture and name the input. Work that no eager operation covers reads the
 * mapped numbers, writes a buffer of the call, and emits it: inputs are never written into. */
#ifndef NODES_PIXELS_H
#define NODES_PIXELS_H
#include <nodus/node.h>

enum { PIXELS_MAX_SIDE = 16384, PIXELS_MAX_BATCH = 4096 };

typedef struct Pixels {
    int64_t batch, height, width, channels; /* a mask has one channel */
    const float *data;                      /* pixels_map only */
} Pixels;

/* The size of a picture of at least one pixel. */
NodusStatus pixels_size(NodusCall *call, const char *input, const NodusTensor *image, Pixels *out);
/* The same, with its numbers. */
NodusStatus pixels_map(NodusCall *call, const char *input, const NodusTensor *image, Pixels *out);
/* A mask of any rank from 2 as [b, h, w], and its size; pixels_map_mask with its numbers. */
NodusStatus pixels_mask(NodusCall *call, const char *input, const NodusTensor *mask, NodusTensor **out, Pixels *size);
NodusStatus pixels_map_mask(NodusCall *call, const char *input, const NodusTensor *mask, Pixels *out);

/* count·size zeroed bytes that live until the call returns; NULL when out of memory or too large. */
void *pixels_array(NodusCall *call, int64_t count, size_t size);
/* Room for the numbers of a picture. */
float *pixels_new(NodusCall *call, const Pixels *size);
/* How many numbers a picture, or one of its lines, has. */
static inline int64_t pixels_item(const Pixels *p)
{
    return p->height * p->width * p->channels;
}
static inline int64_t pixels_line(const Pixels *p)
{
    return p->width * p->channels;
}
/* A tensor of `data`, copied: [b, h, w, c], or [b, h, w]. */
NodusStatus pixels_tensor(NodusCall *call, const Pixels *size, const float *data, NodusTensor **out);
NodusStatus pixels_emit(NodusCall *call, uint32_t slot, const Pixels *size, const float *data);
NodusStatus pixels_emit_mask(NodusCall *call, uint32_t slot, const Pixels *size, const float *data);

/* A picture of one colour; alpha is 1. */
NodusStatus pixels_solid(NodusCall *call, const Pixels *size, const float rgb[3], NodusTensor **out);
/* [b, h, w] as [b, h, w, channels], each channel the mask. */
NodusStatus pixels_grey(NodusCall *call, const NodusTensor *mask, int channels, NodusTensor **out);
/* The picture with as many channels as wanted: more than it has are cut off, those it lacks are 1 (opaque). */
NodusStatus pixels_fit_channels(NodusCall *call, const NodusTensor *image, int64_t channels, NodusTensor **out);
/* [b, h, w] or [b, h, w, c] with `patch` in the place of what lies at row y and column x; it must fit. */
NodusStatus pixels_paste(NodusCall *call, const NodusTensor *image, const NodusTensor *patch, int64_t y, int64_t x,
                         NodusTensor **out);
/* The rectangle of that size at row y and column x. */
NodusStatus pixels_crop(NodusCall *call, const NodusTensor *image, int64_t y, int64_t x, int64_t height, int64_t width,
                        NodusTensor **out);
/* An item that stands for item i of a batch: the last ones are repeated from the beginning. */
static inline const float *pixels_of(const Pixels *p, int64_t i)
{
    return p->data + i % p->batch * pixels_item(p);
}

/* Python's round: to the nearest, half to even; values beyond an int64 are cut off. */
int64_t pixels_round(double x);
/* Into 0..1; what is no number becomes 0. */
static inline float pixels_clamp(float x)
{
    return x > 0 ? (x < 1 ? x : 1) : 0;
}
/* A position outside 0 … size − 1 mirrored at the edge, which itself is not repeated; it is less than `size` away. */
static inline int64_t pixels_mirror(int64_t at, int64_t size)
{
    return at < 0 ? -at : at < size ? at : 2 * (size - 1) - at;
}
/* The channels of 0xRRGGBB as 0..1. */
void pixels_colour(int64_t colour, float rgb[3]);

/* Facts: 0 = unknown. What is known of a picture or mask; all 0 for anything else. */
Pixels pixels_known(const NodusFacts *facts);
void pixels_fact(NodusFacts *out, const Pixels *size);
void pixels_fact_mask(NodusFacts *out, const Pixels *size);
/* `infer` of a node whose first output, a picture or a mask, has the size of its first input. */
NodusStatus pixels_infer_same(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out);
NodusStatus pixels_infer_same_mask(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out);
/* The same for a picture that becomes one of three channels. */
NodusStatus pixels_infer_rgb(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out);
/* round(a·s), 0 where a is unknown. */
int64_t pixels_scaled(int64_t a, double s);

extern const NodusOutput pixels_image_outputs[1], pixels_mask_outputs[1];
#endif
