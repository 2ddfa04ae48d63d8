/* control.c: see control.h. */
#include "nodes/models/control.h"
#include "nodes/models/keys.h"
#include <stdio.h>
#include <string.h>

enum { HINT_LAYERS = 8, STAGES = 4, STAGE_BLOCKS = 2, CELL = 8, WIDE_CELL = 16 };

/* ---- What a file holds ------------------------------------------------------------------------------------------------ */

static NodusStatus config_net(const WeightSet *weights, ControlConfig *out)
{
    out->kind = CONTROL_NET;
    out->cell = CELL;
    NODUS_TRY(keys_size(weights, out->prefix, "input_hint_block.0.weight", 4, 1, &out->hint_channels));
    NODUS_TRY(unet_config_encoder(weights, out->prefix, &out->unet));
    return NULL;
}

static NodusStatus config_adapter(const WeightSet *weights, ControlConfig *out)
{
    int channels;
    out->kind = CONTROL_ADAPTER;
    NODUS_TRY(keys_size(weights, out->prefix, "conv_in.weight", 4, 1, &channels));
    out->wide = channels == 3 * WIDE_CELL * WIDE_CELL || channels == WIDE_CELL * WIDE_CELL;
    out->cell = out->wide ? WIDE_CELL : CELL;
    out->hint_channels = channels / (out->cell * out->cell);
    if ((out->hint_channels == 3 || out->hint_channels == 1) && channels % (out->cell * out->cell) == 0) return NULL;
    return nodus_error(NODUS_ERROR_FILE, "\"%sconv_in\" has %d input channels: a T2I-Adapter has 192, 64, 768 or 256", out->prefix, channels);
}

static bool found(const WeightSet *weights, const char *prefix, const char *key, ControlConfig *out)
{
    if (!keys_get(weights, prefix, "%s", key)) return false;
    snprintf(out->prefix, sizeof out->prefix, "%s", prefix);
    return true;
}

NodusStatus control_config(const WeightSet *weights, ControlConfig *out)
{
    static const char *const prefixes[] = {"", "control_model.", "adapter."};
    *out = (ControlConfig){0};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        if (found(weights, prefixes[i], "zero_convs.0.0.weight", out)) return config_net(weights, out);
        if (found(weights, prefixes[i], "body.0.block1.weight", out)) return config_adapter(weights, out);
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
    ControlPlaces places = {0, 0, false};
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

void control_build(OpGraph *g, const ControlConfig *config, const UnetShape *shape)
{
    const UnetConfig *unet = &config->unet;
    OpRef skip[UNET_MAX_BLOCKS], middle;
    char name[48];
    graph_push(g, "%s", config->prefix);
    const OpRef hint =
        op_input(g, "hint", DTYPE_F32, 4, (const int64_t[]){shape->batch, unet->model_channels, shape->height, shape->width});
    unet_build_encoder(g, unet, shape, hint, skip, &middle);
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

static OpRef adapter_block(OpGraph *g, OpRef x, bool halves)
{
    if (halves) x = adapter_half(g, x);
    if (graph_has(g, "in_conv.weight")) x = adapter_conv(g, x, "in_conv");
    const OpRef h = adapter_conv(g, op_leaky_relu(g, op_conv2d(g, x, "block1", CONV_3X3), 0), "block2");
    return op_add(g, h, graph_has(g, "skep.weight") ? adapter_conv(g, x, "skep") : x);
}

void control_build_adapter(OpGraph *g, const ControlConfig *config, int64_t batch, int64_t height, int64_t width)
{
    const int64_t dim[] = {batch, (int64_t)config->hint_channels * config->cell * config->cell, height, width};
    char name[32];
    graph_push(g, "%s", config->prefix);
    OpRef h = op_conv2d(g, op_input(g, "picture", DTYPE_F32, 4, dim), "conv_in", CONV_3X3);
    for (int stage = 0; stage < STAGES; stage++) {
        for (int i = 0; i < STAGE_BLOCKS; i++) {
            graph_push(g, "body.%d", stage * STAGE_BLOCKS + i);
            h = adapter_block(g, h, !i && (config->wide ? stage == 2 : stage > 0));
            graph_pop(g);
        }
        if (adapter_place(config, stage) < 0) snprintf(name, sizeof name, "middle");
        else snprintf(name, sizeof name, "input.%d", adapter_place(config, stage));
        op_output(g, name, h);
    }
    graph_pop(g);
}
