/* tiles.h: a picture through a function in overlapping tiles (numerics.md §10), for pictures that are too large for it as a
 * whole.
 *
 * One idea: every tile's result is weighted with ramps towards its edges, and what overlaps is averaged by weight; at the edges
 * of the picture nothing overlaps and the weight cancels. */
#ifndef DIFFUSION_TILES_H
#define DIFFUSION_TILES_H
#include <nodus/tensor.h>

typedef struct Tiles {
    int64_t height, width, overlap; /* of a tile, in cells of the input; overlap < height, width */
    int64_t up, down;               /* the output has up/down as many cells a side: 8, 1 or 1, 8 */
    NodusMath *math;
    NodusStatus (*each)(void *context, const NodusTensor *tile, NodusTensor **out); /* [1, c, h, w], h and w may be smaller */
    void *context;
} Tiles;
/* How many calls of `each` an input of that size takes. */
int64_t tiles_count(const Tiles *tiles, int64_t height, int64_t width);
/* x [1, c, h, w] → out [1, channels, h·up/down, w·up/down]. An input that is one tile goes through as it is. */
NodusStatus tiles_run(const Tiles *tiles, const NodusTensor *x, int64_t channels, NodusTensor **out);
#endif
