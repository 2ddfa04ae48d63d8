/* layout_inside.h: what layout.c and the files that know a layout share. */
#ifndef MODELS_LAYOUT_INSIDE_H
#define MODELS_LAYOUT_INSIDE_H
#include "nodes/models/layout.h"
#include <stdbool.h>
#include <stddef.h>

enum { LAYOUT_NAME = 512 };
enum { LAYOUT_VISION = 1, LAYOUT_TEXT = 2, LAYOUT_STYLE = 4 }; /* what may be in the layout of OpenCLIP */
/* Pieces of names: `theirs` at a place becomes `ours`. A table ends with {NULL, NULL}. */
typedef struct LayoutRow {
    const char *theirs, *ours;
} LayoutRow;
/* If `text` starts with a row's piece: that row, and what follows; else NULL. */
const LayoutRow *layout_row(const LayoutRow *rows, const char *text, const char **rest);

/* What becomes of a weight: another name, and perhaps a third of its rows (thirds[0 … 2]), a transposed or a 1×1 kernel's shape.
 */
typedef struct LayoutChange {
    char name[LAYOUT_NAME];
    char thirds[3][LAYOUT_NAME]; /* [0] empty: it is not split */
    bool transpose, kernel;
} LayoutChange;

/* What a file is made of, found once. */
typedef struct Layout {
    const WeightSet *file;
    bool unet, vae;
    bool adapter, light; /* a T2I-Adapter; a light one */
    unsigned towers; /* LAYOUT_TEXT, … */
    int up_levels;        /* of the VAE's decoder */
    int block_count;      /* of residual blocks of a level on the way down */
    bool up_attention[8]; /* whether a level on the way up has transformers */
} Layout;
void layout_find_diffusers(Layout *layout);
void layout_find_openclip(Layout *layout);
/* Whether the weight has a name of ours; fills `out`. */
bool layout_diffusers(const Layout *layout, const char *name, LayoutChange *out);
bool layout_openclip(const Layout *layout, const char *name, LayoutChange *out);
#endif
