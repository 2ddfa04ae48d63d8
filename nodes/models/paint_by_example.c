/* paint_by_example.c: see paint_by_example.h.
 *
 * One idea: a lone token that attends looks at itself only, with a share of 1, so attention is no more than the values' matrix
 * and the one behind it. Queries and keys are in the files, but nothing follows from them. */
#include "nodes/models/paint_by_example.h"
#include "nodes/models/keys.h"
#include <stdio.h>

#define PLACE "cond_stage_model."
enum { MAX_BLOCKS = 64, THIRDS = 3 /* queries, keys and values, one below the other */ };
static const float EPS = 1e-5f;

/* What the parts of a layer are called. */
typedef struct Names {
    const char *layers, *norm, *values, *out, *norm2, *widen, *narrow;
} Names;
static const Names authors = {"mapper.resblocks.", "ln_1", "attn.c_qkv", "attn.c_proj", "ln_2", "mlp.c_fc", "mlp.c_proj"};
static const Names diffusers = {"mapper.blocks.", "norm1", "attn1.to_v", "attn1.to_out.0", "norm3", "ff.net.0.proj", "ff.net.2"};

const PaintByExamplePlace paint_by_example_places[] = {
    {"model.vision_model.", PLACE "transformer.vision_model."},
    {"model.embeddings.", PLACE "transformer.vision_model.embeddings."}, /* as newer versions write it */
    {"model.pre_layrnorm.", PLACE "transformer.vision_model.pre_layrnorm."},
    {"model.encoder.", PLACE "transformer.vision_model.encoder."},
    {"model.post_layernorm.", PLACE "transformer.vision_model.post_layernorm."},
    {"mapper.", PLACE "mapper."},
    {"final_layer_norm.", PLACE "final_ln."},
    {"proj_out.", "proj_out."},
    {"uncond_vector", "learnable_vector"},
    {NULL, NULL},
};

/* ---- Sizes ----------------------------------------------------------------------------------------------------------------- */

bool paint_by_example_is(const WeightSet *weights)
{
    return keys_get(weights, "", "learnable_vector") != NULL;
}

static NodusStatus read_nothing(const WeightSet *weights, int context)
{
    const Weight *weight = keys_get(weights, "", "learnable_vector");
    int64_t count = weight != NULL;
    for (int i = 0; weight && i < weight->rank; i++)
        count = i + 1 < weight->rank && weight->dim[i] != 1 ? -1 : count * weight->dim[i];
    if (count == context) return NULL;
    return nodus_error(NODUS_ERROR_FILE,
                       "\"learnable_vector\", its token of no picture, is not %d numbers, as \"proj_out.weight\" gives", context);
}

NodusStatus paint_by_example_config(const WeightSet *weights, PaintByExampleConfig *out)
{
    int width;
    *out = (PaintByExampleConfig){0};
    if (!paint_by_example_is(weights))
        return nodus_error(NODUS_ERROR_FILE,
                           "this is no Paint-by-Example model: it has no \"learnable_vector\"; use Load Checkpoint");
    NODUS_TRY(clip_vision_config_bare(weights, PLACE "transformer.", &out->vision));
    out->diffusers = keys_get(weights, PLACE, "%s0.%s.weight", diffusers.layers, diffusers.norm) != NULL;
    const Names *names = out->diffusers ? &diffusers : &authors;
    char tail[32];
    snprintf(tail, sizeof tail, ".%s.weight", names->norm);
    NODUS_TRY(keys_count(weights, PLACE, names->layers, tail, MAX_BLOCKS, &out->blocks));
    NODUS_TRY(keys_size(weights, "", "proj_out.weight", 2, 0, &out->context));
    NODUS_TRY(keys_size(weights, "", "proj_out.weight", 2, 1, &width));
    if (!out->blocks || width != out->vision.width)
        return nodus_error(NODUS_ERROR_FILE,
                           "behind a vision tower %d wide there are %d layers \"" PLACE
                           "%sN\" and a \"proj_out\" for %d numbers: "
                           "they do not fit",
                           out->vision.width, out->blocks, names->layers, width);
    return read_nothing(weights, out->context);
}

NodusStatus paint_by_example_nothing(const WeightSet *weights, const PaintByExampleConfig *config, float *out)
{
    NODUS_TRY(read_nothing(weights, config->context));
    return weights_read_f32(keys_get(weights, "", "learnable_vector"), out);
}

/* ---- The network ------------------------------------------------------------------------------------------------------------
 */

static OpRef paint_values(OpGraph *g, const Names *names, bool alone, OpRef x)
{
    const OpRef all = op_linear(g, x, names->values);
    if (alone) return all;
    const int64_t width = graph_dim(g, all, 2) / THIRDS;
    return op_slice(g, all, 2, (THIRDS - 1) * width, width);
}

static OpRef paint_block(OpGraph *g, const PaintByExampleConfig *config, OpRef x)
{
    const Names *names = config->diffusers ? &diffusers : &authors;
    const OpRef values = paint_values(g, names, config->diffusers, op_layer_norm(g, x, names->norm, EPS));
    x = op_add(g, x, op_linear(g, values, names->out));
    const OpRef h = op_gelu(g, op_linear(g, op_layer_norm(g, x, names->norm2, EPS), names->widen));
    return op_add(g, x, op_linear(g, h, names->narrow));
}

void paint_by_example_build(OpGraph *g, const PaintByExampleConfig *config)
{
    ClipVisionLayers unused;
    OpRef h = clip_vision_class(g, &config->vision, &unused);
    graph_push(g, PLACE);
    for (int i = 0; i < config->blocks; i++) {
        graph_push(g, "%s%d", (config->diffusers ? &diffusers : &authors)->layers, i);
        h = paint_block(g, config, h);
        graph_pop(g);
    }
    h = op_layer_norm(g, h, "final_ln", EPS);
    graph_pop(g);
    op_output(g, "token", op_linear(g, h, "proj_out"));
}
