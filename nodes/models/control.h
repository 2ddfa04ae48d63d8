/* control.h: networks that guide a UNet by a picture, as tensor graphs: ControlNets (Zhang et al. 2023) and T2I-Adapters (Mou et al. 2023).
 *
 * One idea: both add tensors to places of the UNet. A ControlNet is a copy of the UNet's encoder that is asked at each step; an adapter
 * looks at the picture once. */
#ifndef MODELS_CONTROL_H
#define MODELS_CONTROL_H
#include "nodes/models/unet.h"

typedef enum ControlKind { CONTROL_NET, CONTROL_ADAPTER } ControlKind;
typedef struct ControlConfig {
    ControlKind kind;
    UnetConfig unet;    /* CONTROL_NET: the encoder; in_channels are those of the latent */
    int hint_channels;  /* of the picture: 3, or 1 */
    int cell;           /* pixels of the picture a cell of the first layer: 8 or 16; CONTROL_NET: 8 */
    bool wide;          /* CONTROL_ADAPTER: of SDXL */
    char prefix[64];
} ControlConfig;

/* Which places of a UNet get something: a bit an input or output block. */
typedef struct ControlPlaces { uint32_t input, output; bool middle; } ControlPlaces;

NodusStatus control_config(const WeightSet *weights, ControlConfig *out);
ControlPlaces control_places(const ControlConfig *config);

/* ControlNet, once a picture: input "picture" [n, hint_channels, 8·h, 8·w], 0 … 1; output "hint" [n, model_channels, h, w]. */
void control_build_hint(OpGraph *graph, const ControlConfig *config, int64_t batch, int64_t height, int64_t width);
/* ControlNet, each step: the UNet's inputs and "hint"; outputs "output.0" … (for output block i), "middle". */
void control_build(OpGraph *graph, const ControlConfig *config, const UnetShape *shape);
/* T2I-Adapter: input "picture" [n, cell²·hint_channels, h, w] (unshuffled); outputs "input.N" for the input blocks of its places, and
 * "middle". */
void control_build_adapter(OpGraph *graph, const ControlConfig *config, int64_t batch, int64_t height, int64_t width);
#endif
