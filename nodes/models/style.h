/* style.h: style models as tensor graphs: from what a vision tower says of a picture to tokens that stand behind a prompt's. The style
 * adapter of T2I-Adapter (Mou et al. 2023), and Redux of Flux. */
#ifndef MODELS_STYLE_H
#define MODELS_STYLE_H
#include "engine/tensor/graph.h"

typedef struct StyleConfig {
    bool redux;                   /* two layers on each token; else a small transformer */
    int width, tokens, layers, context; /* of what goes in, and how many come out; `tokens` 0: as many as went in */
} StyleConfig;
/* Reads all sizes from the weights' shapes, under our names (layout.h). */
NodusStatus style_config(const WeightSet *weights, StyleConfig *out);

/* Input "seen" [1, count, width]; output "tokens" [1, n, context]. */
void style_build(OpGraph *graph, const StyleConfig *config, int64_t count);
#endif
