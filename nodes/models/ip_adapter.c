/* ip_adapter.c: see ip_adapter.h. Files are those of the authors: "image_proj." makes the tokens, "ip_adapter.N." with odd N the keys and
 * values. */
#include "nodes/models/ip_adapter.h"
#include "nodes/models/keys.h"
#include <math.h>
#include <stdio.h>

enum { HEAD_WIDTH = 64, MAX_DEPTH = 64, MAX_TOKENS = 1024, FACE_WIDTH = 512, KOLORS_WIDTH = 2048 };
static const float EPS = 1e-5f;

/* ---- Sizes ----------------------------------------------------------------------------------------------------------------- */

static NodusStatus read_layers(const WeightSet *weights, IpAdapterConfig *out)
{
    char key[64];
    int context, width;
    for (out->layers = 0; keys_get(weights, "ip_adapter.", "%d.to_k_ip.weight", 2 * out->layers + 1); out->layers++) {
        if (out->layers == IP_MAX_LAYERS) return nodus_error(NODUS_ERROR_FILE, "more than %d layers", IP_MAX_LAYERS);
        snprintf(key, sizeof key, "ip_adapter.%d.to_k_ip.weight", 2 * out->layers + 1);
        NODUS_TRY(keys_size(weights, "", key, 2, 0, &out->width[out->layers]));
        NODUS_TRY(keys_size(weights, "", key, 2, 1, &context));
        snprintf(key, sizeof key, "ip_adapter.%d.to_v_ip.weight", 2 * out->layers + 1);
        NODUS_TRY(keys_size(weights, "", key, 2, 0, &width));
        if (width != out->width[out->layers] || (out->layers && context != out->context))
            return nodus_error(NODUS_ERROR_FILE, "\"%s\" does not fit the others", key);
        out->context = context;
        out->total += 2 * (int64_t)width;
    }
    if (out->layers) return NULL;
    return nodus_error(NODUS_ERROR_FILE, "this is no IP-Adapter: it has no \"ip_adapter.1.to_k_ip.weight\"");
}

static bool is_as_wide(const WeightSet *weights, const char *name, int axis, int64_t width)
{
    const Weight *weight = weights_get(weights, name);
    return weight && weight->rank > axis && weight->dim[axis] == width;
}

/* What looks at faces, and what was made for a model that is not here. */
static NodusStatus refuse_strangers(const WeightSet *weights)
{
    const bool face = keys_any_piece(weights, "_lora.") || keys_any_prefix(weights, "image_proj.perceiver_resampler.") ||
                      (keys_get(weights, "", "image_proj.proj.0.weight") && keys_get(weights, "", "image_proj.norm.weight")),
               instant = is_as_wide(weights, "image_proj.proj_in.weight", 1, FACE_WIDTH),
               kolors = is_as_wide(weights, "image_proj.layers.0.0.to_out.weight", 0, KOLORS_WIDTH);
    if (face || instant)
        return nodus_error(NODUS_ERROR_MISSING, "this IP-Adapter is of the %s kind, which looks at faces through InsightFace: not in this "
                           "build; take one of the plain, plus or full-face kind", face ? "FaceID" : "InstantID");
    if (kolors) return nodus_error(NODUS_ERROR_MISSING, "this IP-Adapter is for Kolors, which is not in this build: take one for SD1 or SDXL");
    if (!keys_any_piece(weights, "ip_adapter_double_stream_")) return NULL;
    return nodus_error(NODUS_ERROR_MISSING, "this IP-Adapter is for Flux, which is not in this build; take one for SD1 or SDXL");
}

static NodusStatus read_plain(const WeightSet *weights, IpAdapterConfig *out)
{
    int rows, context;
    NODUS_TRY(keys_size(weights, "", "image_proj.proj.weight", 2, 0, &rows));
    NODUS_TRY(keys_size(weights, "", "image_proj.proj.weight", 2, 1, &out->image));
    NODUS_TRY(keys_size(weights, "", "image_proj.norm.weight", 1, 0, &context));
    out->tokens = rows / out->context;
    if (context == out->context && rows % context == 0 && out->tokens <= MAX_TOKENS) return NULL;
    return nodus_error(NODUS_ERROR_FILE, "\"image_proj.proj.weight\" gives %d numbers, which are no tokens of %d", rows, out->context);
}

/* Layers behind the last that counts. */
static bool has_gap(const WeightSet *weights, int depth)
{
    for (int i = depth; i < MAX_DEPTH; i++)
        if (keys_get(weights, "image_proj.layers.", "%d.0.to_q.weight", i)) return true;
    return false;
}

static NodusStatus read_plus(const WeightSet *weights, IpAdapterConfig *out)
{
    int first, context, width;
    NODUS_TRY(keys_size(weights, "", "image_proj.latents", 3, 0, &first));
    NODUS_TRY(keys_size(weights, "", "image_proj.latents", 3, 1, &out->tokens));
    NODUS_TRY(keys_size(weights, "", "image_proj.latents", 3, 2, &out->inner));
    NODUS_TRY(keys_size(weights, "", "image_proj.proj_in.weight", 2, 1, &out->image));
    NODUS_TRY(keys_size(weights, "", "image_proj.proj_out.weight", 2, 0, &context));
    NODUS_TRY(keys_size(weights, "", "image_proj.layers.0.0.to_q.weight", 2, 0, &width));
    NODUS_TRY(keys_count(weights, "", "image_proj.layers.", ".0.to_q.weight", MAX_DEPTH, &out->depth));
    if (has_gap(weights, out->depth))
        return nodus_error(NODUS_ERROR_FILE, "its resampler has no layer %d, but later ones: the file is damaged", out->depth);
    if (first != 1) return nodus_error(NODUS_ERROR_FILE, "\"image_proj.latents\" holds %d sets of tokens, expected one", first);
    out->heads = width < HEAD_WIDTH ? 1 : width / HEAD_WIDTH;
    if (context == out->context && out->tokens <= MAX_TOKENS && width % out->heads == 0) return NULL;
    return nodus_error(NODUS_ERROR_FILE, "its resampler gives %d tokens of %d numbers, its layers take %d", out->tokens, context,
                       out->context);
}

static NodusStatus read_full(const WeightSet *weights, IpAdapterConfig *out)
{
    int context;
    NODUS_TRY(keys_size(weights, "", "image_proj.proj.0.weight", 2, 1, &out->image));
    NODUS_TRY(keys_size(weights, "", "image_proj.proj.3.weight", 1, 0, &context));
    if (context == out->context) return NULL;
    return nodus_error(NODUS_ERROR_FILE, "it gives tokens of %d numbers, its layers take %d", context, out->context);
}

NodusStatus ip_adapter_config(const WeightSet *weights, IpAdapterConfig *out)
{
    *out = (IpAdapterConfig){0};
    NODUS_TRY(refuse_strangers(weights));
    NODUS_TRY(read_layers(weights, out));
    out->kind = keys_get(weights, "", "image_proj.latents")         ? IP_PLUS
                : keys_get(weights, "", "image_proj.proj.3.weight") ? IP_FULL
                                                                    : IP_PLAIN;
    switch (out->kind) {
    case IP_PLUS: return read_plus(weights, out);
    case IP_FULL: return read_full(weights, out);
    case IP_PLAIN: break;
    }
    return read_plain(weights, out);
}

/* ---- Tokens ----------------------------------------------------------------------------------------------------------------- */

static OpRef build_plain(OpGraph *g, const IpAdapterConfig *config, OpRef image)
{
    const OpRef all = op_linear(g, image, "proj");
    return op_layer_norm(g, op_reshape(g, all, 3, (const int64_t[]){1, config->tokens, config->context}), "norm", EPS);
}

static OpRef build_full(OpGraph *g, OpRef image)
{
    const OpRef h = op_linear(g, op_gelu(g, op_linear(g, image, "proj.0")), "proj.2");
    return op_layer_norm(g, h, "proj.3", EPS);
}

/* The latents look at the picture and at themselves.                    after Jaegle et al., "Perceiver", 2021 */
static OpRef build_look(OpGraph *g, const IpAdapterConfig *config, OpRef x, OpRef latents)
{
    x = op_layer_norm(g, x, "norm1", EPS);
    latents = op_layer_norm(g, latents, "norm2", EPS);
    const OpRef q = op_linear(g, latents, "to_q"), both = op_linear(g, op_concat(g, x, latents, 1), "to_kv");
    const int64_t width = graph_dim(g, both, 2) / 2;
    const OpRef k = op_slice(g, both, 2, 0, width), v = op_slice(g, both, 2, width, width);
    const OpRef probs = op_softmax(g, op_scores(g, q, k, config->heads, 1 / sqrtf((float)width / (float)config->heads)), false);
    return op_linear(g, op_values(g, probs, v, config->heads), "to_out");
}

static OpRef build_plus(OpGraph *g, const IpAdapterConfig *config, OpRef image)
{
    OpRef h = op_input(g, "latents", DTYPE_F32, 3, (const int64_t[]){1, config->tokens, config->inner});
    const OpRef x = op_linear(g, image, "proj_in");
    for (int i = 0; i < config->depth; i++) {
        graph_push(g, "layers.%d", i);
        graph_push(g, "0");
        h = op_add(g, h, build_look(g, config, x, h));
        graph_pop(g);
        h = op_add(g, h, op_linear(g, op_gelu(g, op_linear(g, op_layer_norm(g, h, "1.0", EPS), "1.1")), "1.3"));
        graph_pop(g);
    }
    return op_layer_norm(g, op_linear(g, h, "proj_out"), "norm_out", EPS);
}

/* ---- Keys and values -------------------------------------------------------------------------------------------------------- */

/* Keys and values of `count` layers side by side; joined by halves, so that no number is copied more than a few times. */
static OpRef build_keys(OpGraph *g, OpRef tokens, int first, int count)
{
    if (count > 1) {
        const OpRef before = build_keys(g, tokens, first, count / 2);
        return op_concat(g, before, build_keys(g, tokens, first + count / 2, count - count / 2), 2);
    }
    graph_push(g, "ip_adapter.%d", 2 * first + 1);
    const OpRef k = op_linear(g, tokens, "to_k_ip"), both = op_concat(g, k, op_linear(g, tokens, "to_v_ip"), 2);
    graph_pop(g);
    return both;
}

void ip_adapter_build(OpGraph *g, const IpAdapterConfig *config, int64_t rows)
{
    const OpRef image = op_input(g, "image", DTYPE_F32, 3, (const int64_t[]){1, rows, config->image});
    graph_push(g, "image_proj");
    const OpRef tokens = config->kind == IP_PLUS   ? build_plus(g, config, image)
                         : config->kind == IP_FULL ? build_full(g, image)
                                                   : build_plain(g, config, image);
    graph_pop(g);
    op_output(g, "keys", build_keys(g, tokens, 0, config->layers));
}

int ip_adapter_layer(const UnetConfig *unet, int stage, int block, int index)
{
    int number = index;
    const int in = stage == SITE_STAGE_INPUT ? block : unet->input_blocks;
    const int out = stage == SITE_STAGE_INPUT ? 0 : stage == SITE_STAGE_OUTPUT ? block : unet->output_blocks;
    for (int i = 0; i < in; i++) number += unet->depth_in[i];
    for (int i = 0; i < out; i++) number += unet->depth_out[i];
    return stage > SITE_STAGE_OUTPUT ? number + unet->depth_middle : number;
}
