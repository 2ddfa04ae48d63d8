/* graph.h: the tensor graph, built by functions that read like the network.
 *
 * One idea: a builder describes, it does not compute: `h = op_conv2d(g, h, "in_layers.2", CONV_3X3)`. Weights are named by state-dict key under
 * a stack of scopes; their shapes come from the file. The first error sticks to the graph with its full key, later ops pass
 * through it, and graph_finish returns it; so builders need no checks. Builders emit primitive ops only (kernels/ops.h). */
#ifndef TENSOR_GRAPH_H
#define TENSOR_GRAPH_H
#include <stdarg.h>
#include "engine/base/status.h"
#include "engine/tensor/weights.h"
#include "kernels/ops.h"

typedef struct NodusOpGraph OpGraph;
struct Draws;
typedef struct OpRef { int32_t id; } OpRef; /* a value of the graph */
#define OP_NONE ((OpRef){-1})
static inline bool op_is_none(OpRef ref) { return ref.id < 0; }

/* `weights`: where keys are looked up; it must outlive the graph. */
NodusStatus graph_new(WeightSet *weights, OpGraph **out);
void graph_free(OpGraph *graph); /* NULL is allowed */
/* The sticky error, handed over; NULL when all went well. */
NodusStatus graph_finish(OpGraph *graph);
/* Sets the sticky error, if there is none yet, prefixed with the current scope. */
void graph_fail(OpGraph *graph, const char *format, ...) NODUS_PRINTF(2, 3);
void graph_fail_v(OpGraph *graph, NodusErrorKind kind, const char *format, va_list args);

/* Scopes: after graph_push(g, "blocks.%d", 2) the key of "norm.weight" is "…blocks.2.norm.weight". A pushed text may hold dots and may end
 * in one; an empty one changes nothing; one that begins with / stands alone. */
void graph_push(OpGraph *graph, const char *format, ...) NODUS_PRINTF(2, 3);
void graph_pop(OpGraph *graph);
bool graph_has(const OpGraph *graph, const char *suffix);                    /* is there such a weight in the file? */
int64_t graph_weight_dim(OpGraph *graph, const char *suffix, int axis);      /* a missing weight is the sticky error; returns 1 then */
bool graph_number(OpGraph *graph, const char *suffix, float *out);           /* the value of a weight of one number; false: there is none */
int64_t graph_dim(const OpGraph *graph, OpRef ref, int axis);                /* axis < 0 from the end; 1 after an error */
int graph_rank(const OpGraph *graph, OpRef ref);

/* Inputs, weights, outputs. Names are the keys of Bindings. */
OpRef op_input(OpGraph *graph, const char *name, int dtype, int rank, const int64_t *dim);
OpRef op_scalar(OpGraph *graph, const char *name); /* [1] f32, bound per run, not in the plan's key */
OpRef op_weight(OpGraph *graph, const char *suffix);
void op_output(OpGraph *graph, const char *name, OpRef ref);

/* Layers with weights `name.weight` and, if the file has it, `name.bias`. */
#define CONV_3X3 ((Conv2dAttrs){.stride = 1, .top = 1, .left = 1, .bottom = 1, .right = 1})
#define CONV_1X1 ((Conv2dAttrs){.stride = 1})
#define CONV_DOWN ((Conv2dAttrs){.stride = 2, .top = 1, .left = 1, .bottom = 1, .right = 1})   /* UNet: symmetric padding */
#define CONV_DOWN_VAE ((Conv2dAttrs){.stride = 2, .bottom = 1, .right = 1})                    /* VAE: right and bottom only */
OpRef op_linear(OpGraph *graph, OpRef x, const char *name); /* also takes [N, K, 1, 1] weights */
OpRef op_conv2d(OpGraph *graph, OpRef x, const char *name, Conv2dAttrs conv);
OpRef op_group_norm(OpGraph *graph, OpRef x, const char *name, int groups, float eps);
OpRef op_layer_norm(OpGraph *graph, OpRef x, const char *name, float eps);
OpRef op_embed(OpGraph *graph, OpRef ids, const char *name); /* the table is the weight `name` itself (full suffix) */

OpRef op_silu(OpGraph *graph, OpRef x);
OpRef op_gelu(OpGraph *graph, OpRef x);
OpRef op_quick_gelu(OpGraph *graph, OpRef x);
OpRef op_tanh(OpGraph *graph, OpRef x);
OpRef op_leaky_relu(OpGraph *graph, OpRef x, float slope); /* 0: ReLU */
OpRef op_add(OpGraph *graph, OpRef a, OpRef b); /* b's dimensions equal a's or are 1; a lower rank of b gets ones in front */
OpRef op_affine(OpGraph *graph, OpRef x, float scale, float shift); /* x·scale + shift */
OpRef op_sub(OpGraph *graph, OpRef a, OpRef b);
OpRef op_mul(OpGraph *graph, OpRef a, OpRef b);
OpRef op_div(OpGraph *graph, OpRef a, OpRef b);
OpRef op_add_channels(OpGraph *graph, OpRef x, OpRef e); /* x [n, c, h, w] + e [n, c] */
OpRef op_scores(OpGraph *graph, OpRef q, OpRef k, int heads, float scale);
OpRef op_softmax(OpGraph *graph, OpRef x, bool causal);
OpRef op_values(OpGraph *graph, OpRef p, OpRef v, int heads);
OpRef op_concat(OpGraph *graph, OpRef a, OpRef b, int axis);
OpRef op_upsample(OpGraph *graph, OpRef x, int64_t height, int64_t width);
OpRef op_sinusoid(OpGraph *graph, OpRef t, int width, float max_period);
OpRef op_resize(OpGraph *graph, OpRef x, int64_t height, int64_t width, int filter); /* ResizeFilter */
OpRef op_low_frequencies(OpGraph *graph, OpRef x, OpRef s); /* s [1] */
OpRef op_mean_channels(OpGraph *graph, OpRef x);
OpRef op_unit_range(OpGraph *graph, OpRef x);
/* Token merging. Tokens are numbered through all items: ids [n, T'] i32 of x [n, T, c] are n·T + t. */
OpRef op_pick_tokens(OpGraph *graph, OpRef ids, OpRef x); /* [n, T', c] */
/* `centres`: ids. Makes ids in what op_merge_tokens makes, [n, T] i32. */
OpRef op_match_tokens(OpGraph *graph, OpRef x, OpRef centres, int64_t merged);
OpRef op_merge_tokens(OpGraph *graph, OpRef x, OpRef ids, int64_t left); /* [n, left, c] */
/* Views. */
OpRef op_reshape(OpGraph *graph, OpRef x, int rank, const int64_t *dim);
OpRef op_slice(OpGraph *graph, OpRef x, int axis, int64_t start, int64_t length);
OpRef op_permute(OpGraph *graph, OpRef x, const int *order);
OpRef op_tokens(OpGraph *graph, OpRef x);              /* [n, c, h, w] → [n, h·w, c] */
OpRef op_pixels(OpGraph *graph, OpRef x, OpRef like);  /* [n, h·w, c] → [n, c, h, w] with h, w of `like` */

/* 2 FLOP per multiply-add of linear layers, convolutions and attention, for ETAs and benchmarks. */
double graph_flop(const OpGraph *graph);

/* An injection point of a builder; a patch rewrites the refs (numerics.md §7). */
typedef enum SiteKind { SITE_INPUT_BLOCK, SITE_INPUT_BLOCK_AFTER_SKIP, SITE_MIDDLE_BLOCK, SITE_OUTPUT_BLOCK, SITE_ATTENTION, SITE_ATTENTION_OUTPUT, SITE_MIDDLE_PATCH, SITE_EMB,
    SITE_ATTENTION_RESULT, /* q, k, v are as all patches want them: one may give `out` itself */
    SITE_ATTENTION_INPUT   /* k, v: what keys and values will be made from */ } SiteKind;
enum { SITE_STAGE_INPUT, SITE_STAGE_MIDDLE, SITE_STAGE_OUTPUT };
typedef struct NodusSite {
    int kind, stage, block, index, heads;
    int64_t height, width;
    OpRef h, skip, emb, q, k, v, context, probs, out;
    int64_t latent_height, latent_width; /* of the network's input */
} Site;
/* The patches that a builder calls at its sites; none by default. graph_visit calls each one's `build` at a site. */
void graph_set_patches(OpGraph *graph, const NodusPatchClass *const *classes, const void *const *selves, int count);
void graph_visit(OpGraph *graph, Site *site);
void graph_set_draws(OpGraph *graph, struct Draws *draws); /* draw.h; NULL, as at first: nothing can be drawn */
#endif
