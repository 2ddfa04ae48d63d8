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
    UnetConfig unet;    /* CONTROL_NET: the encoder; in_channels are those of the latent. CONTROL_ADAPTER: only input_blocks and
                           model_channels, those of the models that it is for */
    int hint_channels;  /* of the picture: 3, or 1 */
    int cell;           /* pixels of the picture a cell of the first layer: 8 or 16; CONTROL_NET: 8 */
    bool wide;          /* CONTROL_ADAPTER: of SDXL */
    bool light;         /* CONTROL_ADAPTER: a small one */
    bool lora;          /* CONTROL_NET: the file holds changes to a model, which tells `unet`: control_of_model */
    int types;          /* CONTROL_NET: how many kinds of pictures it knows (a union); 0: it was made for one */
    bool typed;         /* … and whether it is told the kind */
    char prefix[128];
} ControlConfig;

/* Which places of a UNet get something: a bit an input or output block. */
typedef struct ControlPlaces { uint32_t input, output; bool middle; int blocks; /* input blocks of that UNet */ } ControlPlaces;

NodusStatus control_config(const WeightSet *weights, ControlConfig *out);
/* Of a Control-LoRA with the model's weights: what the model tells. */
ControlConfig control_of_model(const ControlConfig *config, const UnetConfig *model);
ControlPlaces control_places(const ControlConfig *config);

/* ControlNet, once a picture: input "picture" [n, hint_channels, 8·h, 8·w], 0 … 1; output "hint" [n, model_channels, h, w]. */
void control_build_hint(OpGraph *graph, const ControlConfig *config, int64_t batch, int64_t height, int64_t width);
/* ControlNet, each step: the UNet's inputs and "hint"; outputs "output.0" … (for output block i), "middle". A union has the
 * input "kinds" [types], 1 for the picture's kind and 0 for others, and if it is told one, "kind" [1, 1] i32. */
void control_build(OpGraph *graph, const ControlConfig *config, const UnetShape *shape);
/* T2I-Adapter: input "picture" [n, cell²·hint_channels, h, w] (unshuffled); outputs "input.N" for the input blocks of its places, and
 * "middle". */
void control_build_adapter(OpGraph *graph, const ControlConfig *config, int64_t batch, int64_t height, int64_t width);
#endif
