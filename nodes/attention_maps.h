/* attention_maps.h: ATTENTION_MAPS: where in a picture each token of its prompt acted, layer by layer and step by step. */
#ifndef NODES_ATTENTION_MAPS_H
#define NODES_ATTENTION_MAPS_H
#include <nodus/node.h>

enum { ATTENTION_LAYERS = 127 /* at most: so many outputs a plan may have beside its answer */ };
typedef struct AttentionMaps {
    int layers;
    char name[ATTENTION_LAYERS][24];    /* "in4.0", "mid0.0", "out7.1": stage and block, which transformer in it */
    NodusTensor *map[ATTENTION_LAYERS]; /* [steps, b, h, w, tokens]: means over heads; over tokens they add up to 1 */
} AttentionMaps;
extern const NodusType type_attention_maps;
#endif
