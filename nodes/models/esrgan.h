/* esrgan.h: networks that enlarge pictures: ESRGAN's residual-in-residual dense blocks (old and new key names) and the compact
 * network of Real-ESRGAN. Wang et al. 2018; Wang et al. 2021. */
#ifndef MODELS_ESRGAN_H
#define MODELS_ESRGAN_H
#include "engine/tensor/graph.h"

enum { ESRGAN_MAX_DOUBLINGS = 4 };
typedef struct EsrganConfig {
    char prefix[64];
    bool compact, old_names;
    int colours;   /* of the picture */
    int fold;      /* cells of fold × fold pixels are channels of one before the network: 1, 2, 4 */
    int blocks;    /* dense blocks; compact: the number of the last convolution */
    int doublings; /* after the blocks */
    int double_at[ESRGAN_MAX_DOUBLINGS], detail_at, last_at; /* old names: numbers of these convolutions */
    int scale;                                               /* pixels out a pixel in, per side */
} EsrganConfig;

/* Reads the structure from names and shapes; a file that is no such network is an error that says so. */
NodusStatus esrgan_config(const WeightSet *weights, EsrganConfig *out);
/* Input "pixels" [1, colours, h, w], 0 … 1, sides divisible by `fold`; output "larger" [1, colours, h·scale, w·scale]. */
void esrgan_build(OpGraph *graph, const EsrganConfig *config, int64_t height, int64_t width);
#endif
