/* resize.h: pictures, masks and latents to another size, by the filters that nodes offer (numerics.md §14). */
#ifndef NODES_RESIZE_H
#define NODES_RESIZE_H
#include "nodes/pixels.h"

/* nearest-exact, bilinear, area, bicubic, lanczos: NULL-terminated, for combos. */
extern const char *const resize_methods[];

/* A picture [b, h, w, c] in another size. `centre`: what the new shape does not show is cut off first, evenly on both sides. */
NodusStatus resize_image(NodusCall *call, const NodusTensor *image, int64_t width, int64_t height, const char *method,
                         bool centre, NodusTensor **out);
/* What is cut off on the left and on the right, above and below, of w × h to get the shape of width × height. */
void resize_margins(int64_t w, int64_t h, int64_t width, int64_t height, int64_t *left, int64_t *top);
/* The middle part of [b, h, w …] that has the shape of width × height: a view. */
NodusStatus resize_crop(NodusCall *call, const NodusTensor *x, int64_t width, int64_t height, NodusTensor **out);
/* A mask [b, h, w] in another size; all methods but lanczos. */
NodusStatus resize_mask(NodusCall *call, const NodusTensor *mask, int64_t width, int64_t height, const char *method, bool centre,
                        NodusTensor **out);

/* lanczos.c: through 8 bits a channel, bit for bit as Pillow; four channels are taken as RGBA. `out` has room for the result. */
NodusStatus lanczos_resize(NodusCall *call, const Pixels *in, int64_t width, int64_t height, float *out);
#endif
