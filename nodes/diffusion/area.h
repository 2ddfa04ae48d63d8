/* area.h: where an entry of a conditioning acts: its rectangle of the latent, and its weight in each cell (numerics.md §5).
 *
 * One idea: a rectangle that ends within the picture fades in over a few cells, so that no seam shows; a mask says itself how it
 * fades. */
#ifndef DIFFUSION_AREA_H
#define DIFFUSION_AREA_H
#include "nodes/values.h"

/* In cells. */
typedef struct Box { int64_t height, width, y, x; } Box;

static inline bool box_same(const Box *a, const Box *b)
{
    return a->height == b->height && a->width == b->width && a->y == b->y && a->x == b->x;
}
/* a lies within b. */
static inline bool box_within(const Box *a, const Box *b)
{
    return a->y >= b->y && a->x >= b->x && a->y + a->height <= b->y + b->height && a->x + a->width <= b->x + b->width;
}

/* A mask of any size as [b, 1, h, w] on `picture`. */
NodusStatus area_mask(NodusMath *math, const NodusTensor *mask, const Box *picture, NodusTensor **out);
/* The rectangle of an entry; `mask`: its mask on the picture, or NULL. False: it has none, it acts everywhere. */
NodusStatus area_of(NodusMath *math, const Cond *cond, const NodusTensor *mask, const Box *picture, Box *out, bool *boxed);
/* What of the rectangle lies on the picture; false when nothing does. */
bool area_clip(Box *box, const Box *picture);
/* The weights of an entry within `box`: [batch, 1, h, w]. */
NodusStatus area_weight(NodusMath *math, const Cond *cond, const NodusTensor *mask, bool boxed, const Box *box,
                        const Box *picture, int64_t batch, NodusTensor **out);
/* The part of x [b, c, h, w] in the box: a view. And x, whose size is the box's, on a whole picture of zeros. */
NodusStatus area_crop(NodusMath *math, const NodusTensor *x, const Box *box, NodusTensor **out);
NodusStatus area_paste(NodusMath *math, const NodusTensor *x, const Box *box, const Box *picture, NodusTensor **out);
#endif
