/* gligen.h: layers that place things in boxes (Li et al., "GLIGEN", 2023), as tensor graphs: tokens of boxes, and a second attention in
 * each transformer of the UNet that looks at them. */
#ifndef MODELS_GLIGEN_H
#define MODELS_GLIGEN_H
#include "engine/tensor/graph.h"

enum { GLIGEN_SLOTS = 30, GLIGEN_WAVES = 64 /* numbers that a box becomes */ };
typedef struct GligenConfig { int context; /* width of a text, and of a token */ } GligenConfig;
NodusStatus gligen_config(const WeightSet *weights, GligenConfig *out);
/* Four numbers of a box (left, top, right, bottom; 0 … 1 of the picture) as waves. */
void gligen_waves(const float box[4], float out[GLIGEN_WAVES]);
/* Input "slots" [1, 30, context + 64]; output "tokens" [1, 30, context]. */
void gligen_build_tokens(OpGraph *graph, const GligenConfig *config);
/* Within a transformer's scope, where its weights are ("gligen.…"): h [n, t, c] behind the self-attention, tokens [n, 30, context]. */
OpRef gligen_build_fuser(OpGraph *graph, OpRef h, OpRef tokens);
#endif
