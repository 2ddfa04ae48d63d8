/* ip_adapter.h: pictures as prompts (Ye et al., "IP-Adapter", 2023), as a tensor graph: an encoded picture becomes a few tokens, and those
 * the keys and values that each cross-attention of a UNet looks at beside those of the text. */
#ifndef MODELS_IP_ADAPTER_H
#define MODELS_IP_ADAPTER_H
#include "engine/tensor/graph.h"
#include "nodes/models/unet.h"

enum { IP_MAX_LAYERS = 160 };
typedef enum IpAdapterKind {
    IP_PLAIN, /* from the picture as a whole: a projection */
    IP_PLUS,  /* from the tokens of the vision tower's layer before the last: a resampler */
    IP_FULL   /* the same: each token through two layers */
} IpAdapterKind;
typedef struct IpAdapterConfig {
    IpAdapterKind kind;
    int image, context;       /* widths of what it is told, and of its tokens */
    int tokens;               /* that a picture becomes; IP_FULL: 0, as many as there are */
    int inner, depth, heads;  /* of the resampler */
    int layers, width[IP_MAX_LAYERS]; /* cross-attentions, and how wide their keys are */
    int64_t total;            /* the widths of all keys and values */
} IpAdapterConfig;
/* Reads all sizes from names and shapes; kinds that need more than a vision tower (faces) are refused by name. */
NodusStatus ip_adapter_config(const WeightSet *weights, IpAdapterConfig *out);

/* Input "image" [1, rows, image] (IP_PLAIN: one row) and for IP_PLUS "latents" [1, tokens, inner], which are the weight
 * "image_proj.latents"; output "keys" [1, tokens, total]: keys and values of layer after layer. */
void ip_adapter_build(OpGraph *graph, const IpAdapterConfig *config, int64_t rows);

/* A layer's number in adapters: input blocks, output blocks, then the middle. `stage`: SITE_STAGE_…; stage OUTPUT + 1: how many there
 * are. */
int ip_adapter_layer(const UnetConfig *unet, int stage, int block, int index);
#endif
