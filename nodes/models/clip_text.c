/* clip_text.c: CLIP's text tower as a tensor graph.
 *
 * One idea: token and position embeddings are added, then each layer adds attention and a two-layer network to what came in, each
 * on a normalised copy; a token sees itself and what stands before it. After Radford et al. 2021; keys of Hugging Face's
 * CLIPTextModel. */
#include "nodes/models/clip_text.h"
#include "nodes/models/clip_layer.h"
#include "nodes/models/clip_tokenizer.h"
#include "nodes/models/keys.h"
#include <stdio.h>
#include <string.h>

enum { HEAD_WIDTH = 64, MAX_LAYERS = 128 };
static const float EPS = 1e-5f;

/* The projection stands beside the tower: "P text_model.encoder…" and "P text_projection.weight". */
void clip_text_find_projection(const WeightSet *weights, ClipTextConfig *out)
{
    static const char inner[] = "text_model.";
    size_t length = strlen(out->prefix), tail = sizeof inner - 1;
    if (length >= tail && !strcmp(out->prefix + length - tail, inner)) length -= tail;
    snprintf(out->projection, sizeof out->projection, "%.*stext_projection", (int)length, out->prefix);
    if (!keys_get(weights, out->projection, ".weight")) out->projection[0] = '\0';
}

NodusStatus clip_text_config(const WeightSet *weights, const char *prefix, ClipKind kind, ClipTextConfig *out)
{
    *out = (ClipTextConfig){.kind = kind, .quick_gelu = kind == CLIP_L};
    NODUS_TRY(keys_prefix(prefix, out->prefix, sizeof out->prefix));
    NODUS_TRY(keys_size(weights, prefix, "embeddings.token_embedding.weight", 2, 0, &out->vocabulary));
    NODUS_TRY(keys_size(weights, prefix, "embeddings.token_embedding.weight", 2, 1, &out->width));
    NODUS_TRY(keys_size(weights, prefix, "embeddings.position_embedding.weight", 2, 0, &out->positions));
    NODUS_TRY(keys_count(weights, prefix, "encoder.layers.", ".layer_norm1.weight", MAX_LAYERS, &out->layers));
    if (!out->layers)
        return nodus_error(NODUS_ERROR_FILE, "the weight \"%sencoder.layers.0.layer_norm1.weight\" is missing", prefix);
    out->heads = out->width < HEAD_WIDTH ? 1 : out->width / HEAD_WIDTH;
    if (kind != CLIP_L) clip_text_find_projection(weights, out);
    return NULL;
}

int clip_text_pad(const ClipTextConfig *config)
{
    return config->kind == CLIP_L ? CLIP_END : 0;
}

/* Words of the vocabulary, and vectors that stand for a word (textual inversion: Gal et al. 2022), with their places. */
static OpRef clip_text_embed(OpGraph *g, const ClipTextConfig *config, const ClipTextPass *pass)
{
    const int64_t dim[] = {pass->batch, config->positions, config->width};
    OpRef h = op_embed(g, op_input(g, "ids", DTYPE_I32, 2, dim), "embeddings.token_embedding.weight");
    if (pass->vectors)
        h = op_add(g, op_mul(g, h, op_input(g, "keep", DTYPE_F32, 3, dim)), op_input(g, "vectors", DTYPE_F32, 3, dim));
    return op_add(g, h, op_weight(g, "embeddings.position_embedding.weight"));
}

void clip_text_build(OpGraph *g, const ClipTextConfig *config, const ClipTextPass *pass)
{
    const ClipLayer layer = {config->width, config->heads, config->quick_gelu, true, EPS};
    graph_push(g, "%s", config->prefix);
    OpRef h = clip_text_embed(g, config, pass), hidden = OP_NONE;
    for (int i = 0; i < config->layers; i++) {
        graph_push(g, "encoder.layers.%d", i);
        h = clip_layer(g, &layer, h);
        graph_pop(g);
        if (i + 1 == pass->layer) hidden = h;
    }
    if (op_is_none(hidden)) graph_fail(g, "there is no layer %d of %d", pass->layer, config->layers);
    op_output(g, "hidden", pass->normalize ? op_layer_norm(g, hidden, "final_layer_norm", EPS) : hidden);
    OpRef last = op_layer_norm(g, h, "final_layer_norm", EPS);
    graph_pop(g);
    if (config->projection[0]) last = op_linear(g, last, config->projection);
    op_output(g, "last", last);
}
