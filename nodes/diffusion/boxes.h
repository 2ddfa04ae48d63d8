/* boxes.h: GLIGEN at work in a sampling: what an entry of a conditioning wants in which box.
 *
 * One idea: the layers that look at boxes stand in a file of their own; for a sampling with boxes the model's weights are joined by
 * theirs, under names within its transformers, where a patch finds them. */
#ifndef DIFFUSION_BOXES_H
#define DIFFUSION_BOXES_H
#include "nodes/diffusion/network.h"
#include "nodes/models/gligen.h"
#include "nodes/values.h"
#include <stdatomic.h>

/* GLIGEN: a file. */
typedef struct Gligen {
    WeightSet *weights;
    GligenConfig config;
    char *origin;
} Gligen;
extern const NodusType type_gligen;

/* One box; immutable, with a count of its holders. */
typedef struct BoxUse {
    atomic_int holders;
    WeightSet *weights; /* of the file */
    GligenConfig config;
    NodusTensor *pooled; /* [1, context]: what is wanted there */
    int64_t height, width, y, x; /* in cells */
    struct BoxUse *before; /* or NULL */
} BoxUse;
BoxUse *box_use(const Gligen *gligen, const NodusTensor *pooled, int64_t height, int64_t width, int64_t y, int64_t x, BoxUse *before);
BoxUse *box_ref(BoxUse *use); /* NULL passes */
void box_unref(BoxUse *use);  /* NULL is allowed */

/* The model's weights with those of the file: a new reference. */
NodusStatus boxes_weights(WeightSet *model, const char *prefix, WeightSet *file, WeightSet **out);
/* [1, 30, context]: the tokens of a chain on a picture of height × width cells. */
NodusStatus boxes_tokens(NodusCall *call, const BoxUse *use, int64_t height, int64_t width, NodusTensor **out);
/* self: the BoxUse, state: the tokens [n, 30, context]. */
extern const NodusPatchClass boxes_patch;
#endif
