/* esrgan.c: networks that enlarge pictures, as tensor graphs.
 *
 * One idea: all work is done at the small size, and only then is the picture doubled, once or more. A dense block hands every
 * layer all that the layers before it made; what it adds to its input is scaled down to a fifth, at both levels, which keeps deep
 * stacks stable.
 *
 *   pixels ► first ─┬► blocks ► body ─(+)► [double ► conv]… ► detail ► last       after Wang et al., "ESRGAN", 2018
 *                   └──────────────────▲
 *   pixels ─┬► conv ► [prelu ► conv]… ► cells to pixels ─(+)►                     after Wang et al., "Real-ESRGAN", 2021
 *           └───────────────── nearest ───────────────────▲                         (compact) */
#include "nodes/models/esrgan.h"
#include "nodes/models/keys.h"
#include <stdio.h>
#include <string.h>

enum { MAX_BLOCKS = 256, MAX_LAYERS = 512, DENSE_LAYERS = 5, DENSE_BLOCKS = 3, MAX_FOLD = 4, MAX_SCALE = 16, COLOURS = 3 };
static const float SLOPE = 0.2f, RESIDUAL = 0.2f;

/* ---- Structure from names and shapes ------------------------------------------------------------------------------------- */

static NodusStatus esrgan_unknown(const WeightSet *weights)
{
    return nodus_error(
        NODUS_ERROR_FILE,
        "this is no upscale model that we know (ESRGAN, Real-ESRGAN, compact): it has %d weights, the first is \"%.100s\"",
        weights_count(weights), weights_count(weights) ? weights_at(weights, 0)->name : "");
}

/* A first convolution of 12 or 48 channels sees cells of 2 × 2 or 4 × 4 pixels. */
static NodusStatus esrgan_fold(EsrganConfig *out, int channels)
{
    out->fold = 1;
    while (out->fold < MAX_FOLD && channels >= 4 * COLOURS) channels /= 4, out->fold *= 2;
    out->colours = channels;
    return channels >= 1 && channels <= 4
               ? NULL
               : nodus_error(NODUS_ERROR_FILE, "the network takes %d channels: that is no picture", channels);
}

static NodusStatus esrgan_scale(EsrganConfig *out)
{
    const int up = 1 << out->doublings;
    if (up % out->fold || up / out->fold < 1)
        return nodus_error(NODUS_ERROR_FILE, "the network would make pictures smaller: %d / %d", up, out->fold);
    out->scale = up / out->fold;
    return NULL;
}

static NodusStatus esrgan_new_names(const WeightSet *weights, EsrganConfig *out)
{
    int channels;
    NODUS_TRY(keys_size(weights, out->prefix, "conv_first.weight", 4, 1, &channels));
    NODUS_TRY(keys_count(weights, out->prefix, "body.", ".rdb1.conv1.weight", MAX_BLOCKS, &out->blocks));
    while (out->doublings < ESRGAN_MAX_DOUBLINGS && keys_get(weights, out->prefix, "conv_up%d.weight", out->doublings + 1))
        out->doublings++;
    NODUS_TRY(esrgan_fold(out, channels));
    return esrgan_scale(out);
}

/* Old names are numbers of layers: after the blocks a convolution for each doubling, one for details, the last. */
static NodusStatus esrgan_old_names(const WeightSet *weights, EsrganConfig *out)
{
    int channels, at[ESRGAN_MAX_DOUBLINGS + 2], count = 0;
    NODUS_TRY(keys_size(weights, out->prefix, "model.0.weight", 4, 1, &channels));
    NODUS_TRY(keys_count(weights, out->prefix, "model.1.sub.", ".RDB1.conv1.0.weight", MAX_BLOCKS, &out->blocks));
    for (int i = 2; i < 4 * (ESRGAN_MAX_DOUBLINGS + 2); i++) {
        if (!keys_get(weights, out->prefix, "model.%d.weight", i)) continue;
        if (count == ESRGAN_MAX_DOUBLINGS + 2) return esrgan_unknown(weights);
        at[count++] = i;
    }
    if (count < 2) return esrgan_unknown(weights);
    out->old_names = true;
    out->doublings = count - 2;
    memcpy(out->double_at, at, (size_t)out->doublings * sizeof *at);
    out->detail_at = at[count - 2];
    out->last_at = at[count - 1];
    NODUS_TRY(esrgan_fold(out, channels));
    return esrgan_scale(out);
}

static NodusStatus esrgan_compact(const WeightSet *weights, EsrganConfig *out)
{
    int channels, outputs, root = 1;
    char key[64];
    out->compact = true;
    out->fold = 1;
    NODUS_TRY(keys_size(weights, out->prefix, "body.0.weight", 4, 1, &out->colours));
    for (channels = 0; channels < MAX_LAYERS && keys_get(weights, out->prefix, "body.%d.weight", channels); channels++) {}
    out->blocks = channels - 1;
    snprintf(key, sizeof key, "body.%d.weight", out->blocks);
    NODUS_TRY(keys_size(weights, out->prefix, key, 4, 0, &outputs));
    while (root < MAX_SCALE && root * root * out->colours < outputs) root++;
    if (out->blocks < 2 || out->blocks % 2 || root * root * out->colours != outputs) return esrgan_unknown(weights);
    out->scale = root;
    return NULL;
}

NodusStatus esrgan_config(const WeightSet *weights, EsrganConfig *out)
{
    static const char *const prefixes[] = {"", "params_ema.", "params.", "module."};
    *out = (EsrganConfig){0};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        NODUS_TRY(keys_prefix(prefixes[i], out->prefix, sizeof out->prefix));
        if (keys_get(weights, out->prefix, "body.0.rdb1.conv1.weight")) return esrgan_new_names(weights, out);
        if (keys_get(weights, out->prefix, "model.1.sub.0.RDB1.conv1.0.weight")) return esrgan_old_names(weights, out);
        const Weight *first = keys_get(weights, out->prefix, "body.0.weight"),
                     *second = keys_get(weights, out->prefix, "body.1.weight");
        if (first && first->rank == 4 && second && second->rank == 1) return esrgan_compact(weights, out);
    }
    return esrgan_unknown(weights);
}

/* ---- Pixels and cells --------------------------------------------------------------------------------------------------------
 */

/* [1, c, h, w] → [1, c·n², h/n, w/n] */
static OpRef esrgan_to_cells(OpGraph *g, OpRef x, int n)
{
    const int64_t c = graph_dim(g, x, 1), h = graph_dim(g, x, 2) / n, w = graph_dim(g, x, 3) / n;
    if (n == 1) return x;
    const OpRef cells = op_permute(g, op_reshape(g, x, 5, (int64_t[]){c, h, n, w, n}), (int[]){0, 2, 4, 1, 3});
    return op_reshape(g, cells, 4, (int64_t[]){1, c * n * n, h, w});
}

/* [1, c·n², h, w] → [1, c, h·n, w·n] */
static OpRef esrgan_to_pixels(OpGraph *g, OpRef x, int n)
{
    const int64_t c = graph_dim(g, x, 1) / (n * n), h = graph_dim(g, x, 2), w = graph_dim(g, x, 3);
    const OpRef pixels = op_permute(g, op_reshape(g, x, 5, (int64_t[]){c, n, n, h, w}), (int[]){0, 3, 1, 4, 2});
    return op_reshape(g, pixels, 4, (int64_t[]){1, c, h * n, w * n});
}

static OpRef esrgan_double(OpGraph *g, OpRef x)
{
    return op_upsample(g, x, 2 * graph_dim(g, x, 2), 2 * graph_dim(g, x, 3));
}

/* ---- Dense blocks ------------------------------------------------------------------------------------------------------------
 */

static OpRef esrgan_residual(OpGraph *g, OpRef x, OpRef h)
{
    return op_add(g, op_affine(g, h, RESIDUAL, 0), x);
}

/* Each layer sees the input and all layers before it. */
static OpRef esrgan_dense(OpGraph *g, const EsrganConfig *config, OpRef x, int number)
{
    OpRef seen = x, h = x;
    graph_push(g, config->old_names ? "RDB%d" : "rdb%d", number);
    for (int i = 1; i <= DENSE_LAYERS; i++) {
        char name[16];
        snprintf(name, sizeof name, config->old_names ? "conv%d.0" : "conv%d", i);
        h = op_conv2d(g, seen, name, CONV_3X3);
        if (i == DENSE_LAYERS) break;
        h = op_leaky_relu(g, h, SLOPE);
        seen = op_concat(g, seen, h, 1);
    }
    graph_pop(g);
    return esrgan_residual(g, x, h);
}

static OpRef esrgan_blocks(OpGraph *g, const EsrganConfig *config, OpRef x)
{
    for (int i = 0; i < config->blocks; i++) {
        OpRef h = x;
        graph_push(g, config->old_names ? "model.1.sub.%d" : "body.%d", i);
        for (int k = 1; k <= DENSE_BLOCKS; k++) h = esrgan_dense(g, config, h, k);
        graph_pop(g);
        x = esrgan_residual(g, x, h);
    }
    return x;
}

/* A convolution by its name, which with old names is a number. */
static OpRef esrgan_conv(OpGraph *g, const EsrganConfig *config, OpRef x, const char *name, int number)
{
    char old[32];
    snprintf(old, sizeof old, "model.%d", number);
    return op_conv2d(g, x, config->old_names ? old : name, CONV_3X3);
}

static OpRef esrgan_build_dense(OpGraph *g, const EsrganConfig *config, OpRef pixels)
{
    char name[32];
    const OpRef first = esrgan_conv(g, config, esrgan_to_cells(g, pixels, config->fold), "conv_first", 0);
    OpRef h = esrgan_blocks(g, config, first);
    snprintf(name, sizeof name, "model.1.sub.%d", config->blocks);
    h = op_add(g, first, op_conv2d(g, h, config->old_names ? name : "conv_body", CONV_3X3));
    for (int i = 0; i < config->doublings; i++) {
        snprintf(name, sizeof name, "conv_up%d", i + 1);
        h = op_leaky_relu(g, esrgan_conv(g, config, esrgan_double(g, h), name, config->double_at[i]), SLOPE);
    }
    h = op_leaky_relu(g, esrgan_conv(g, config, h, "conv_hr", config->detail_at), SLOPE);
    return esrgan_conv(g, config, h, "conv_last", config->last_at);
}

/* ---- Compact -----------------------------------------------------------------------------------------------------------------
 */

/* x where it is positive, elsewhere x times a number for its channel: max(x, 0) + a·(x − max(x, 0)), exactly. */
static OpRef esrgan_prelu(OpGraph *g, OpRef x, const char *name)
{
    const int64_t channels = graph_dim(g, x, 1);
    const OpRef positive = op_leaky_relu(g, x, 0), slope = op_reshape(g, op_weight(g, name), 3, (int64_t[]){channels, 1, 1});
    return op_add(g, positive, op_mul(g, op_sub(g, x, positive), slope));
}

static OpRef esrgan_build_compact(OpGraph *g, const EsrganConfig *config, OpRef pixels)
{
    char name[32];
    OpRef h = pixels;
    for (int i = 0; i <= config->blocks; i++) {
        snprintf(name, sizeof name, i % 2 ? "body.%d.weight" : "body.%d", i);
        h = i % 2 ? esrgan_prelu(g, h, name) : op_conv2d(g, h, name, CONV_3X3);
    }
    const int64_t height = graph_dim(g, pixels, 2) * config->scale, width = graph_dim(g, pixels, 3) * config->scale;
    return op_add(g, esrgan_to_pixels(g, h, config->scale), op_upsample(g, pixels, height, width));
}

void esrgan_build(OpGraph *g, const EsrganConfig *config, int64_t height, int64_t width)
{
    graph_push(g, "%s", config->prefix);
    const OpRef pixels = op_input(g, "pixels", DTYPE_F32, 4, (int64_t[]){1, config->colours, height, width});
    op_output(g, "larger", config->compact ? esrgan_build_compact(g, config, pixels) : esrgan_build_dense(g, config, pixels));
    graph_pop(g);
}
