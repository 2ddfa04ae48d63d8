/* paint_by_example.h: what makes a prompt of an example picture (Yang et al., "Paint by Example", 2022), as a tensor graph: the
 * class token of CLIP's vision tower, through a few layers of its own, is the only token that the UNet looks at. The UNet is SD
 * 1's with nine channels: latent, picture without what is drawn anew, and what stays of it. */
#ifndef MODELS_PAINT_BY_EXAMPLE_H
#define MODELS_PAINT_BY_EXAMPLE_H
#include "engine/tensor/graph.h"
#include "nodes/models/clip_vision.h"

typedef struct PaintByExampleConfig {
    ClipVisionConfig vision;
    int blocks, context; /* layers behind the tower; width of the token */
    bool diffusers;      /* the layers have that library's names */
} PaintByExampleConfig;
/* Whether a checkpoint is of that kind, by what stands beside its networks. */
bool paint_by_example_is(const WeightSet *weights);
/* Reads all sizes from names and shapes. Places are those of the authors' checkpoint; what layers are made of may have either
 * name. */
NodusStatus paint_by_example_config(const WeightSet *weights, PaintByExampleConfig *out);

/* Input "pixels" [1, 3, side, side], normalised; output "token" [1, 1, context]. */
void paint_by_example_build(OpGraph *graph, const PaintByExampleConfig *config);
/* The token of no picture, learned: `context` numbers. */
NodusStatus paint_by_example_nothing(const WeightSet *weights, const PaintByExampleConfig *config, float *out);

/* Where the parts of an image encoder in diffusers' layout belong: names that start with `from` start with `to` instead. Ends
 * with {NULL, NULL}. */
typedef struct PaintByExamplePlace {
    const char *from, *to;
} PaintByExamplePlace;
extern const PaintByExamplePlace paint_by_example_places[];
#endif
