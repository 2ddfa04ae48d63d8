/* control.c: see control.h. */
#include "nodes/models/control.h"
#include "nodes/models/clip_layer.h"
#include "nodes/models/keys.h"
#include <stdio.h>
#include <string.h>

enum { HINT_LAYERS = 8, STAGES = 4, STAGE_BLOCKS = 2, CELL = 8, WIDE_CELL = 16, MOST_LAYERS = 64, UNION_HEADS = 8, TYPE_WAVES = 256 };
enum { USUAL_BLOCKS = 12, WIDE_BLOCKS = 9 }; /* input blocks of the models that adapters are for: SD1 and SD2, SDXL */
static const float EPS = 1e-5f, MAX_PERIOD = 10000;
/* Where the layers of a union are: a style adapter's are named alike, so layout_openclip.c takes them for such. */
static const char union_layers[] = "style_model.encoder.layers.";

/* ---- What a file holds ------------------------------------------------------------------------------------------------ */

static NodusStatus damaged(const ControlConfig *config, const char *missing, const char *there)
{
    return nodus_error(NODUS_ERROR_FILE, "this ControlNet has \"%s%s\" but no \"%s%s\": the file is damaged", config->prefix, there,
                       config->prefix, missing);
}

/* Distilled networks leave out the transformers of whole levels, and the second half of the middle. A file that lacks anything else would
 * guide otherwise than it learned to, without a word. */
static NodusStatus check_whole(const WeightSet *weights, const ControlConfig *config)
{
    const UnetConfig *unet = &config->unet;
    const bool half = keys_get(weights, config->prefix, "middle_block.2.in_layers.2.weight");
    char name[2][32];
    int first = 0; /* block of the level */
    for (int i = 1; i < unet->input_blocks; i++) {
        if (keys_get(weights, config->prefix, "input_blocks.%d.0.op.weight", i)) first = 0;
        else if (!first) first = i;
        else if (!unet->depth_in[i] != !unet->depth_in[first]) {
            snprintf(name[0], sizeof name[0], "input_blocks.%d.1", unet->depth_in[i] ? first : i);
            snprintf(name[1], sizeof name[1], "input_blocks.%d.1", unet->depth_in[i] ? i : first);
            return damaged(config, name[0], name[1]);
        }
    }
    if (!keys_get(weights, config->prefix, "middle_block.0.in_layers.2.weight")) return damaged(config, "middle_block.0", "middle_block_out");
    if (half && !unet->depth_middle) return damaged(config, "middle_block.1", "middle_block.2");
    return unet->depth_middle && !half ? damaged(config, "middle_block.2", "middle_block.1") : NULL;
}

static NodusStatus config_net(const WeightSet *weights, ControlConfig *out)
{
    out->kind = CONTROL_NET;
    out->cell = CELL;
    NODUS_TRY(keys_size(weights, out->prefix, "input_hint_block.0.weight", 4, 1, &out->hint_channels));
    if (keys_get(weights, out->prefix, "task_embedding")) NODUS_TRY(keys_size(weights, out->prefix, "task_embedding", 2, 0, &out->types));
    out->lora = keys_get(weights, out->prefix, "lora_controlnet") != NULL;
    if (out->lora) return NULL;
    NODUS_TRY(unet_config_encoder(weights, out->prefix, &out->unet));
    return check_whole(weights, out);
}

ControlConfig control_of_model(const ControlConfig *config, const UnetConfig *model)
{
    ControlConfig whole = *config;
    whole.unet = *model;
    whole.lora = false;
    snprintf(whole.prefix, sizeof whole.prefix, "%s", model->prefix);
    return whole;
}

static NodusStatus config_adapter(const WeightSet *weights, ControlConfig *out)
{
    int channels;
    out->kind = CONTROL_ADAPTER;
    out->light = keys_get(weights, out->prefix, "body.0.body.0.block1.weight") != NULL;
    NODUS_TRY(keys_size(weights, out->prefix, out->light ? "body.0.in_conv.weight" : "conv_in.weight", 4, 1, &channels));
    out->wide = channels == 3 * WIDE_CELL * WIDE_CELL || channels == WIDE_CELL * WIDE_CELL;
    out->cell = out->wide ? WIDE_CELL : CELL;
    out->hint_channels = channels / (out->cell * out->cell);
    out->unet.input_blocks = out->wide ? WIDE_BLOCKS : USUAL_BLOCKS;
    NODUS_TRY(keys_size(weights, out->prefix, out->light ? "body.0.out_conv.weight" : "conv_in.weight", 4, 0, &out->unet.model_channels));
    if ((out->hint_channels == 3 || out->hint_channels == 1) && channels % (out->cell * out->cell) == 0) return NULL;
    return nodus_error(NODUS_ERROR_FILE, "\"%s%s\" has %d input channels: a T2I-Adapter has 192, 64, 768 or 256", out->prefix,
                       out->light ? "body.0.in_conv" : "conv_in", channels);
}

static bool found(const WeightSet *weights, const char *prefix, const char *key, ControlConfig *out)
{
    if (!keys_get(weights, prefix, "%s", key)) return false;
    snprintf(out->prefix, sizeof out->prefix, "%s", prefix);
    return true;
}

/* Networks that do something alike, and what to say of them. */
static NodusStatus refuse_strangers(const WeightSet *weights)
{
    static const struct { const char *piece, *what; } strangers[] = {
        {"lllite_", "is a ControlNet-LLLite: not in this build; take a ControlNet, a Control-LoRA or a T2I-Adapter"},
        {"encoder_hid_proj.", "is for Kolors, which is not in this build"},
        {"motion_modules.", "is for videos (SparseCtrl): not in this build"},
        {"controlnet_x_embedder.", "is for Flux, which is not in this build"},
        {"double_blocks.0.", "is for Flux, which is not in this build"},
        {"pos_embed_input.", "is for SD 3, which is not in this build"},
        {"style_embedding", "is a style adapter: load it with StyleModelLoader"},
        {"to_k_ip.", "is an IP-Adapter: load it with IPAdapterModelLoader"},
    };
    for (size_t i = 0; i < sizeof strangers / sizeof *strangers; i++)
        if (keys_any_piece(weights, strangers[i].piece))
            return nodus_error(NODUS_ERROR_MISSING, "this file %s (it has \"%s\")", strangers[i].what, strangers[i].piece);
    return NULL;
}

NodusStatus control_config(const WeightSet *weights, ControlConfig *out)
{
    static const char *const prefixes[] = {"", "control_model.", "adapter."};
    *out = (ControlConfig){0};
    NODUS_TRY(refuse_strangers(weights));
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        if (found(weights, prefixes[i], "zero_convs.0.0.weight", out)) return config_net(weights, out);
        if (found(weights, prefixes[i], "body.0.block1.weight", out) || found(weights, prefixes[i], "body.0.body.0.block1.weight", out))
            return config_adapter(weights, out);
    }
    return nodus_error(NODUS_ERROR_FILE, "this is no ControlNet or T2I-Adapter that we know: it has neither \"zero_convs.0.0.weight\" nor "
                                         "\"body.0.block1.weight\"");
}

/* Of an adapter, the input block behind which stage i of its features is added; −1: behind the middle. */
static int adapter_place(const ControlConfig *config, int stage)
{
    static const int usual[STAGES] = {2, 5, 8, 11}, wide[STAGES] = {3, 5, 8, -1};
    return config->wide ? wide[stage] : usual[stage];
}

ControlPlaces control_places(const ControlConfig *config)
{
    ControlPlaces places = {0, 0, false, config->unet.input_blocks};
    if (config->kind == CONTROL_NET) {
        places.output = (uint32_t)(((uint64_t)1 << config->unet.input_blocks) - 1);
        places.middle = true;
        return places;
    }
    for (int i = 0; i < STAGES; i++) {
        const int block = adapter_place(config, i);
        if (block >= 0) places.input |= 1u << block;
        else places.middle = true;
    }
    return places;
}

/* ---- ControlNet --------------------------------------------------------------------------------------------------------- */

void control_build_hint(OpGraph *g, const ControlConfig *config, int64_t batch, int64_t height, int64_t width)
{
    static const bool halves[HINT_LAYERS] = {false, false, true, false, true, false, true, false};
    const int64_t dim[] = {batch, config->hint_channels, height * CELL, width * CELL};
    char name[32];
    graph_push(g, "%s", config->prefix);
    OpRef h = op_input(g, "picture", DTYPE_F32, 4, dim);
    for (int i = 0; i < HINT_LAYERS; i++) {
        snprintf(name, sizeof name, "input_hint_block.%d", 2 * i);
        h = op_conv2d(g, i ? op_silu(g, h) : h, name, halves[i] ? CONV_DOWN : CONV_3X3);
    }
    op_output(g, "hint", h);
    graph_pop(g);
}

/* The kind of the picture, as time is told: waves, through two layers.  [1, channels] */
static OpRef union_embedding(OpGraph *g, const ControlConfig *config)
{
    const OpRef kinds = op_input(g, "kinds", DTYPE_F32, 1, (const int64_t[]){config->types});
    const int64_t row[] = {1, (int64_t)config->types * TYPE_WAVES};
    const OpRef waves = op_reshape(g, op_sinusoid(g, kinds, TYPE_WAVES, MAX_PERIOD), 2, row);
    return op_linear(g, op_silu(g, op_linear(g, waves, "control_add_embedding.linear_1")), "control_add_embedding.linear_2");
}

/* The mean over the picture, as a token: [n, c, h, w] → [n, 1, c]. */
static OpRef union_token(OpGraph *g, OpRef x)
{
    return op_reshape(g, op_resize(g, x, 1, 1, RESIZE_AREA), 3, (const int64_t[]){graph_dim(g, x, 0), 1, graph_dim(g, x, 1)});
}

/* What a union makes of the hint when it is told the kind: a token of the hint and one of the latent listen to each other, and what the
 * first has heard is added to each place.                       after "ControlNet++: all-in-one ControlNet", xinsir6, 2024 */
static OpRef union_hint(OpGraph *g, const void *self, OpRef h, OpRef hint)
{
    const ControlConfig *config = self;
    const int64_t batch = graph_dim(g, hint, 0), width = graph_dim(g, hint, 1);
    const ClipLayer layer = {.width = (int)width, .heads = UNION_HEADS, .quick_gelu = true, .epsilon = EPS};
    if (!config->typed) return hint;
    const OpRef task = op_embed(g, op_input(g, "kind", DTYPE_I32, 2, (const int64_t[]){1, 1}), "task_embedding");
    OpRef x = op_concat(g, op_add(g, union_token(g, hint), task), union_token(g, h), 1);
    for (int i = 0; i < MOST_LAYERS; i++) {
        graph_push(g, "%s%d", union_layers, i);
        const bool there = graph_has(g, "layer_norm1.weight");
        if (there) x = clip_layer(g, &layer, x);
        graph_pop(g);
        if (!there) break;
    }
    x = op_linear(g, op_slice(g, x, 1, 0, 1), "spatial_ch_projs");
    return op_add_channels(g, hint, op_reshape(g, x, 2, (const int64_t[]){batch, width}));
}

void control_build(OpGraph *g, const ControlConfig *config, const UnetShape *shape)
{
    const UnetConfig *unet = &config->unet;
    OpRef skip[UNET_MAX_BLOCKS], middle;
    char name[48];
    graph_push(g, "%s", config->prefix);
    const int64_t dim[] = {shape->batch, unet->model_channels, shape->height, shape->width};
    UnetHint hint = {.emb = OP_NONE, .hint = op_input(g, "hint", DTYPE_F32, 4, dim)};
    if (config->types) hint = (UnetHint){union_embedding(g, config), hint.hint, union_hint, config};
    unet_build_encoder(g, unet, shape, &hint, skip, &middle);
    for (int i = 0; i < unet->input_blocks; i++) {
        snprintf(name, sizeof name, "zero_convs.%d.0", i);
        const OpRef out = op_conv2d(g, skip[i], name, CONV_1X1);
        snprintf(name, sizeof name, "output.%d", unet->input_blocks - 1 - i);
        op_output(g, name, out);
    }
    op_output(g, "middle", op_conv2d(g, middle, "middle_block_out.0", CONV_1X1));
    graph_pop(g);
}

/* ---- T2I-Adapter ---------------------------------------------------------------------------------------------------------- */

/* A convolution of 1×1 or 3×3, by its file. */
static OpRef adapter_conv(OpGraph *g, OpRef x, const char *name)
{
    char weight[32];
    snprintf(weight, sizeof weight, "%s.weight", name);
    return op_conv2d(g, x, name, graph_weight_dim(g, weight, 3) == 3 ? CONV_3X3 : CONV_1X1);
}

/* A row or column of zeros in front where there is an odd number of them. */
static OpRef made_even(OpGraph *g, OpRef x, int axis)
{
    return graph_dim(g, x, axis) % 2 ? op_concat(g, op_affine(g, op_slice(g, x, axis, 0, 1), 0, 0), x, axis) : x;
}

static OpRef adapter_half(OpGraph *g, OpRef x)
{
    if (graph_has(g, "down_opt.op.weight")) return op_conv2d(g, x, "down_opt.op", CONV_DOWN);
    x = made_even(g, made_even(g, x, 2), 3);
    return op_resize(g, x, graph_dim(g, x, 2) / 2, graph_dim(g, x, 3) / 2, RESIZE_AREA);
}

/* A light one has few channels within a stage. */
static OpRef adapter_light_stage(OpGraph *g, OpRef x, int stage)
{
    graph_push(g, "body.%d", stage);
    x = op_conv2d(g, stage ? adapter_half(g, x) : x, "in_conv", CONV_1X1);
    for (int i = 0; i < MOST_LAYERS; i++) {
        graph_push(g, "body.%d", i);
        const bool there = graph_has(g, "block1.weight");
        if (there) x = op_add(g, op_conv2d(g, op_leaky_relu(g, op_conv2d(g, x, "block1", CONV_3X3), 0), "block2", CONV_3X3), x);
        graph_pop(g);
        if (!there) break;
    }
    x = op_conv2d(g, x, "out_conv", CONV_1X1);
    graph_pop(g);
    return x;
}

static OpRef adapter_block(OpGraph *g, OpRef x, bool halves)
{
    if (halves) x = adapter_half(g, x);
    if (graph_has(g, "in_conv.weight")) x = adapter_conv(g, x, "in_conv");
    const OpRef h = adapter_conv(g, op_leaky_relu(g, op_conv2d(g, x, "block1", CONV_3X3), 0), "block2");
    return op_add(g, h, graph_has(g, "skep.weight") ? adapter_conv(g, x, "skep") : x);
}

static OpRef adapter_stage(OpGraph *g, OpRef x, int stage, bool wide)
{
    for (int i = 0; i < STAGE_BLOCKS; i++) {
        graph_push(g, "body.%d", stage * STAGE_BLOCKS + i);
        x = adapter_block(g, x, !i && (wide ? stage == 2 : stage > 0));
        graph_pop(g);
    }
    return x;
}

void control_build_adapter(OpGraph *g, const ControlConfig *config, int64_t batch, int64_t height, int64_t width)
{
    const int64_t dim[] = {batch, (int64_t)config->hint_channels * config->cell * config->cell, height, width};
    char name[32];
    graph_push(g, "%s", config->prefix);
    OpRef h = op_input(g, "picture", DTYPE_F32, 4, dim);
    if (!config->light) h = op_conv2d(g, h, "conv_in", CONV_3X3);
    for (int stage = 0; stage < STAGES; stage++) {
        h = config->light ? adapter_light_stage(g, h, stage) : adapter_stage(g, h, stage, config->wide);
        if (adapter_place(config, stage) < 0) snprintf(name, sizeof name, "middle");
        else snprintf(name, sizeof name, "input.%d", adapter_place(config, stage));
        op_output(g, name, h);
    }
    graph_pop(g);
}
