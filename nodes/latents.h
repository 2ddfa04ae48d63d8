/* latents.h: what the latent nodes share.
 *
 * One idea: a latent [b, c, h, w] is a picture under another order of axes, so cropping, pasting and resizing are those of pictures, on views
 * that share the numbers. Latents may come from any node or file, so each node takes them through latent_check, which names the input. */
#ifndef NODES_LATENTS_H
#define NODES_LATENTS_H
#include "nodes/values.h"

enum { LATENT_CELL = 8 /* pixels */, LATENT_MAX_SIDE = 16384, LATENT_MAX_BATCH = 4096 };

/* An input that must be [b, c, h, w] with at least one number. */
NodusStatus latent_check(NodusCall *call, const char *input, const Latent *latent);
/* latent_check of two, and their channels are equal. */
NodusStatus latent_check_pair(NodusCall *call, const char *first, const Latent *a, const char *second, const Latent *b);

/* [b, c, h, w] as [b, h, w, c], and back: views. */
NodusStatus latent_picture(NodusCall *call, const NodusTensor *samples, NodusTensor **out);
NodusStatus latent_planes(NodusCall *call, const NodusTensor *picture, NodusTensor **out);

/* nearest-exact, bilinear, area, bicubic, bislerp: NULL-terminated, for combos. */
extern const char *const latent_methods[];
/* Samples of another size in cells. `centre`: what the new shape does not show is cut off first, evenly on both sides. */
NodusStatus latent_resize(NodusCall *call, const NodusTensor *samples, int64_t width, int64_t height, const char *method, bool centre, NodusTensor **out);
/* The filter bislerp, of samples seen as a picture [b, h, w, c]. */
NodusStatus latent_bislerp(NodusCall *call, const NodusTensor *picture, int64_t width, int64_t height, NodusTensor **out);
/* Samples brought to the height and width of others, centred. */
NodusStatus latent_fit(NodusCall *call, const NodusTensor *samples, const NodusTensor *like, const char *method, NodusTensor **out);
/* A noise mask, or a mask of any size, as [b, 1, h, w]. */
NodusStatus latent_mask(NodusCall *call, const char *input, const NodusTensor *mask, NodusTensor **out);

/* Emits a latent of its own parts: `mask` may be NULL; `index` (copied) has a number for each item, or is NULL. */
NodusStatus latent_emit_parts(NodusCall *call, uint32_t slot, const NodusTensor *samples, const NodusTensor *mask, const int64_t *index);

/* Facts. `infer` of a node that keeps the size of its first input; a helper that sets a size (0: unknown); and the early error for inputs 0 and
 * 1 of different channels. */
NodusStatus latent_infer_same(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out);
void latent_facts(NodusFacts *out, int64_t batch, int64_t channels, int64_t height, int64_t width);
NodusStatus latent_infer_pair(NodusCall *call, const char *first, const char *second, const NodusFacts *in);

extern const NodusOutput latent_outputs[1];
#endif
