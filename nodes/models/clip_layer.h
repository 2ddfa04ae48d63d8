/* clip_layer.h: the layer that CLIP's text and vision towers share.
 *
 * One idea: a transformer layer with its norms in front: x + attention(norm x), then x + mlp(norm x). In text a token sees none behind it. */
#ifndef NODES_MODELS_CLIP_LAYER_H
#define NODES_MODELS_CLIP_LAYER_H

#include "engine/tensor/graph.h"

typedef struct ClipLayer {
    int width, heads;
    bool quick_gelu, causal;
    float epsilon; /* of the norms */
} ClipLayer;

/* x [b, t, width], keys below the scope in force. Radford et al., "Learning Transferable Visual Models …", 2021. */
OpRef clip_layer(OpGraph *g, const ClipLayer *layer, OpRef x);

#endif
