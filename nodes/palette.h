/* palette.h: a picture's colours reduced to a few: the palette, and which entry a colour gets. As Pillow does both, so that
 * pictures are equal. */
#ifndef NODES_PALETTE_H
#define NODES_PALETTE_H
#include <nodus/node.h>

enum { PALETTE_MOST = 256 };

typedef struct Palette {
    int count;
    uint8_t rgb[PALETTE_MOST][3];
    int16_t *nearest; /* by six bits a channel, −1 where not yet looked up */
} Palette;

/* At most `colors` (1 … 256) entries for `pixels` ≥ 1 RGB pixels, by median cut. The palette lives as long as the call. */
NodusStatus palette_cut(NodusCall *call, const uint8_t *rgb, int64_t pixels, int colors, Palette *out);
/* The entry for a colour. Not for several threads at once: it remembers. */
int palette_nearest(Palette *palette, const uint8_t rgb[3]);
#endif
