/* vae.c: the KL autoencoder as two tensor graphs.
 *
 * One idea: both halves are a tower of residual blocks with one attention at the narrow end; the encoder halves the picture
 * between levels, the decoder doubles it. Of the encoder's distribution only the mean is used. After Esser et al. 2021, Kingma &
 * Welling 2014; ldm keys.
 *
 *   pixels ► conv_in ► down.0 ► … ► down.L ► mid ► norm_out, silu, conv_out ► quant_conv ► mean
 *   latent ► post_quant_conv ► conv_in ► mid ► up.L ► … ► up.0 ► norm_out, silu, conv_out ► pixels */
#include "nodes/models/vae.h"
#include "nodes/models/keys.h"
#include "nodes/models/taesd.h"
#include <math.h>
#include <stdio.h>

enum { NORM_GROUPS = 32, MAX_BLOCKS = 64, COLOURS = 3 };
static const float EPS = 1e-6f;

/* ---- Structure from names and shapes ------------------------------------------------------------------------------- */

static NodusStatus vae_levels(const WeightSet *weights, const char *prefix, const char *tower, int *levels,
                              int blocks[VAE_MAX_LEVELS])
{
    char before[KEYS_LONGEST];
    NODUS_TRY(keys_count(weights, prefix, tower, ".block.0.norm1.weight", VAE_MAX_LEVELS, levels));
    for (int level = 0; level < *levels; level++) {
        snprintf(before, sizeof before, "%s%d.block.", tower, level);
        NODUS_TRY(keys_count(weights, prefix, before, ".norm1.weight", MAX_BLOCKS, &blocks[level]));
    }
    return NULL;
}

NodusStatus vae_config(const WeightSet *weights, const char *prefix, VaeConfig *out)
{
    *out = (VaeConfig){0};
    NODUS_TRY(keys_prefix(prefix, out->prefix, sizeof out->prefix));
    out->has_encoder = keys_get(weights, prefix, "encoder.conv_in.weight") != NULL;
    out->has_decoder = keys_get(weights, prefix, "decoder.conv_in.weight") != NULL;
    out->has_quant = keys_get(weights, prefix, "post_quant_conv.weight") || keys_get(weights, prefix, "quant_conv.weight");
    int down = 0, up = 0, moments = 0;
    if (out->has_encoder) {
        NODUS_TRY(vae_levels(weights, prefix, "encoder.down.", &down, out->blocks));
        NODUS_TRY(keys_size(weights, prefix, "encoder.conv_out.weight", 4, 0, &moments)); /* mean and log variance */
    }
    if (out->has_decoder) {
        NODUS_TRY(vae_levels(weights, prefix, "decoder.up.", &up, out->up_blocks));
        NODUS_TRY(keys_size(weights, prefix, "decoder.conv_in.weight", 4, 1, &out->latent_channels));
    } else {
        out->latent_channels = moments / 2;
    }
    out->levels = out->has_decoder ? up : down;
    if (!out->levels || !out->latent_channels ||
        (out->has_encoder && out->has_decoder && (up != down || moments != 2 * out->latent_channels)))
        return nodus_error(NODUS_ERROR_FILE,
                           "\"%s\": no KL autoencoder that fits together: %d levels down, %d up, %d latent channels, %d moments",
                           prefix, down, up, out->latent_channels, moments);
    out->scale = 1 << (out->levels - 1);
    return NULL;
}

/* ---- Blocks -------------------------------------------------------------------------------------------------------- */

static OpRef vae_norm_silu(OpGraph *g, OpRef x, const char *name)
{
    return op_silu(g, op_group_norm(g, x, name, NORM_GROUPS, EPS));
}

static OpRef vae_resblock(OpGraph *g, OpRef x, const char *name)
{
    graph_push(g, "%s", name);
    OpRef h = op_conv2d(g, vae_norm_silu(g, x, "norm1"), "conv1", CONV_3X3);
    h = op_conv2d(g, vae_norm_silu(g, h, "norm2"), "conv2", CONV_3X3);
    if (graph_has(g, "nin_shortcut.weight")) x = op_conv2d(g, x, "nin_shortcut", CONV_1X1);
    graph_pop(g);
    return op_add(g, x, h);
}

/* Every place looks at every other, with one head as wide as the picture is deep. */
static OpRef vae_attention(OpGraph *g, OpRef x, const char *name)
{
    graph_push(g, "%s", name);
    const OpRef h = op_tokens(g, op_group_norm(g, x, "norm", NORM_GROUPS, EPS));
    const OpRef q = op_linear(g, h, "q"), k = op_linear(g, h, "k"), v = op_linear(g, h, "v");
    const float scale = 1 / sqrtf((float)graph_dim(g, q, 2));
    const OpRef seen = op_values(g, op_softmax(g, op_scores(g, q, k, 1, scale), false), v, 1);
    const OpRef out = op_add(g, x, op_pixels(g, op_linear(g, seen, "proj_out"), x));
    graph_pop(g);
    return out;
}

static OpRef vae_middle(OpGraph *g, OpRef h)
{
    graph_push(g, "mid");
    h = vae_resblock(g, h, "block_1");
    h = vae_attention(g, h, "attn_1");
    h = vae_resblock(g, h, "block_2");
    graph_pop(g);
    return h;
}

static OpRef vae_blocks(OpGraph *g, OpRef h, int count)
{
    for (int i = 0; i < count; i++) {
        graph_push(g, "block.%d", i);
        h = vae_resblock(g, h, "");
        graph_pop(g);
    }
    return h;
}

/* ---- Towers -------------------------------------------------------------------------------------------------------- */

void vae_build_decoder(OpGraph *g, const VaeConfig *config, int64_t batch, int64_t height, int64_t width)
{
    if (config->tiny) {
        taesd_build_decoder(g, config, batch, height, width);
        return;
    }
    graph_push(g, "%s", config->prefix);
    OpRef h = op_input(g, "latent", DTYPE_F32, 4, (const int64_t[]){batch, config->latent_channels, height, width});
    if (graph_has(g, "post_quant_conv.weight")) h = op_conv2d(g, h, "post_quant_conv", CONV_1X1);
    graph_push(g, "decoder");
    h = vae_middle(g, op_conv2d(g, h, "conv_in", CONV_3X3));
    for (int level = config->levels - 1; level >= 0; level--) {
        graph_push(g, "up.%d", level);
        h = vae_blocks(g, h, config->up_blocks[level]);
        if (level) h = op_conv2d(g, op_upsample(g, h, 2 * graph_dim(g, h, 2), 2 * graph_dim(g, h, 3)), "upsample.conv", CONV_3X3);
        graph_pop(g);
    }
    h = op_conv2d(g, vae_norm_silu(g, h, "norm_out"), "conv_out", CONV_3X3);
    graph_pop(g);
    graph_pop(g);
    op_output(g, "pixels", h);
}

void vae_build_encoder(OpGraph *g, const VaeConfig *config, int64_t batch, int64_t height, int64_t width)
{
    if (config->tiny) {
        taesd_build_encoder(g, config, batch, height, width);
        return;
    }
    graph_push(g, "%s", config->prefix);
    OpRef h = op_input(g, "pixels", DTYPE_F32, 4, (const int64_t[]){batch, COLOURS, height, width});
    graph_push(g, "encoder");
    h = op_conv2d(g, h, "conv_in", CONV_3X3);
    for (int level = 0; level < config->levels; level++) {
        graph_push(g, "down.%d", level);
        h = vae_blocks(g, h, config->blocks[level]);
        if (level + 1 < config->levels) h = op_conv2d(g, h, "downsample.conv", CONV_DOWN_VAE);
        graph_pop(g);
    }
    h = op_conv2d(g, vae_norm_silu(g, vae_middle(g, h), "norm_out"), "conv_out", CONV_3X3);
    graph_pop(g);
    if (graph_has(g, "quant_conv.weight")) h = op_conv2d(g, h, "quant_conv", CONV_1X1);
    graph_pop(g);
    op_output(g, "latent", op_slice(g, h, 1, 0, config->latent_channels));
}
