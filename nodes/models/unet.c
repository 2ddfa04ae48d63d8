/* unet.c: the UNet of latent diffusion as a tensor graph, of any width.
 *
 * One idea: structure comes from the file. Which blocks there are, how deep their transformers go and where the picture is halved
 * or doubled is read from names, all widths from shapes; so one builder covers SD1, SD2 and SDXL. Keys are ldm's
 * ("input_blocks.1.0.in_layers.2.weight").
 *
 *   x ► input_blocks ─┬─ … ─┬─► middle_block ► output_blocks ► out      each output block takes the skip of its input block;
 *                     └skips┘──────────────────────▲                    after Ronneberger et al. 2015, Rombach et al. 2022 */
#include "nodes/models/unet.h"
#include "nodes/models/keys.h"
#include <math.h>
#include <stdio.h>

enum { TOKENS_WITH_LORA = 512, NORM_GROUPS = 32, MAX_DEPTH = 64, SD1_HEADS = 8, HEAD_WIDTH = 64 };
static const float EPS_BLOCK = 1e-5f, EPS_PROJ = 1e-6f, MAX_PERIOD = 10000;

/* ---- Structure from names and shapes ------------------------------------------------------------------------------- */

/* The number of blocks "input_blocks." or "output_blocks."; a block is there if it starts with a residual block or a convolution.
 */
static NodusStatus unet_count_blocks(const WeightSet *weights, const char *prefix, const char *stage, int *out)
{
    int count = 0;
    while (count <= UNET_MAX_BLOCKS && (keys_get(weights, prefix, "%s%d.0.in_layers.2.weight", stage, count) ||
                                        keys_get(weights, prefix, "%s%d.0.op.weight", stage, count) ||
                                        keys_get(weights, prefix, "%s%d.0.weight", stage, count)))
        count++;
    if (count > UNET_MAX_BLOCKS)
        return nodus_error(NODUS_ERROR_FILE, "\"%s%s\": more than %d blocks", prefix, stage, UNET_MAX_BLOCKS);
    *out = count;
    return NULL;
}

/* The depth of the transformer under `block`, if there is one; the first one met also gives the context's width and the kind of
 * projection. */
static NodusStatus unet_read_transformer(const WeightSet *weights, UnetConfig *out, const char *block, int *depth)
{
    char key[KEYS_LONGEST];
    snprintf(key, sizeof key, "%s.transformer_blocks.", block);
    NODUS_TRY(keys_count(weights, out->prefix, key, ".attn2.to_k.weight", MAX_DEPTH, depth));
    if (!*depth || out->context_width) return NULL;
    snprintf(key, sizeof key, "%s.transformer_blocks.0.attn2.to_k.weight", block);
    NODUS_TRY(keys_size(weights, out->prefix, key, 2, 1, &out->context_width));
    const Weight *projection = keys_get(weights, out->prefix, "%s.proj_in.weight", block);
    out->linear_projection = projection && projection->rank == 2;
    return NULL;
}

static NodusStatus unet_read_depths(const WeightSet *weights, UnetConfig *out)
{
    char block[64];
    for (int i = 0; i < out->input_blocks; i++) {
        snprintf(block, sizeof block, "input_blocks.%d.1", i);
        NODUS_TRY(unet_read_transformer(weights, out, block, &out->depth_in[i]));
    }
    NODUS_TRY(unet_read_transformer(weights, out, "middle_block.1", &out->depth_middle));
    for (int i = 0; i < out->output_blocks; i++) {
        snprintf(block, sizeof block, "output_blocks.%d.1", i);
        NODUS_TRY(unet_read_transformer(weights, out, block, &out->depth_out[i]));
    }
    return NULL;
}

/* What an encoder half tells of the whole. */
static NodusStatus unet_read_encoder(const WeightSet *weights, const char *prefix, UnetConfig *out)
{
    *out = (UnetConfig){0};
    NODUS_TRY(keys_prefix(prefix, out->prefix, sizeof out->prefix));
    NODUS_TRY(keys_size(weights, prefix, "input_blocks.0.0.weight", 4, 0, &out->model_channels));
    NODUS_TRY(keys_size(weights, prefix, "input_blocks.0.0.weight", 4, 1, &out->in_channels));
    NODUS_TRY(unet_count_blocks(weights, prefix, "input_blocks.", &out->input_blocks));
    if (keys_get(weights, prefix, "label_emb.0.0.weight"))
        NODUS_TRY(keys_size(weights, prefix, "label_emb.0.0.weight", 2, 1, &out->label_width));
    return NULL;
}

/* How wide a head is: by what the transformers look like. */
static void unet_choose_heads(const WeightSet *weights, UnetConfig *out)
{
    const bool middle = out->depth_middle || keys_get(weights, out->prefix, "middle_block.0.in_layers.2.weight");
    if (out->linear_projection || !middle) out->head_width = HEAD_WIDTH; /* SD-XS, the only one without a middle, has convolutions too */
    else out->heads = SD1_HEADS;
}

NodusStatus unet_config(const WeightSet *weights, const char *prefix, UnetConfig *out)
{
    NODUS_TRY(unet_read_encoder(weights, prefix, out));
    NODUS_TRY(keys_size(weights, prefix, "out.2.weight", 4, 0, &out->out_channels));
    NODUS_TRY(unet_count_blocks(weights, prefix, "output_blocks.", &out->output_blocks));
    if (out->input_blocks != out->output_blocks)
        return nodus_error(NODUS_ERROR_FILE, "\"%s\": %d input blocks but %d output blocks: are weights missing?", prefix,
                           out->input_blocks, out->output_blocks);
    NODUS_TRY(unet_read_depths(weights, out));
    unet_choose_heads(weights, out);
    return NULL;
}

NodusStatus unet_config_encoder(const WeightSet *weights, const char *prefix, UnetConfig *out)
{
    NODUS_TRY(unet_read_encoder(weights, prefix, out));
    NODUS_TRY(unet_read_depths(weights, out));
    unet_choose_heads(weights, out);
    return NULL;
}

/* ---- Blocks -------------------------------------------------------------------------------------------------------- */

/* What the blocks share while one graph is built. */
typedef struct Unet {
    const UnetConfig *config;
    OpRef emb, context, input;
    int stage, block, index; /* where we are, for patches */
    OpRef shape;             /* the picture that the tokens come from */
} Unet;

static Site unet_site(OpGraph *g, const Unet *u, int kind, OpRef h)
{
    Site site = {.kind = kind, .stage = u->stage, .block = u->block, .index = u->index, .h = h, .emb = u->emb};
    site.height = graph_dim(g, u->shape, 2);
    site.width = graph_dim(g, u->shape, 3);
    site.latent_height = graph_dim(g, u->input, 2);
    site.latent_width = graph_dim(g, u->input, 3);
    site.skip = site.q = site.k = site.v = site.context = site.probs = site.out = OP_NONE;
    return site;
}

/* Lets patches change h. */
static OpRef unet_visit(OpGraph *g, const Unet *u, int kind, OpRef h)
{
    Site site = unet_site(g, u, kind, h);
    graph_visit(g, &site);
    return site.h;
}

/*  x ─ norm ─ silu ─ conv ─(+ emb)─ norm ─ silu ─ conv ─(+)─►       after Dhariwal & Nichol, 2021
 *  └───────────── 1×1 conv where the width changes ──────┘  */
static OpRef unet_resblock(OpGraph *g, const Unet *u, OpRef x, const char *name)
{
    graph_push(g, "%s", name);
    OpRef h = op_silu(g, op_group_norm(g, x, "in_layers.0", NORM_GROUPS, EPS_BLOCK));
    h = op_conv2d(g, h, "in_layers.2", CONV_3X3);
    h = op_add_channels(g, h, op_linear(g, op_silu(g, u->emb), "emb_layers.1"));
    h = op_silu(g, op_group_norm(g, h, "out_layers.0", NORM_GROUPS, EPS_BLOCK));
    h = op_conv2d(g, h, "out_layers.3", CONV_3X3);
    if (graph_has(g, "skip_connection.weight")) x = op_conv2d(g, x, "skip_connection", CONV_1X1);
    graph_pop(g);
    return op_add(g, x, h);
}

/* Tokens x look at themselves (`context` OP_NONE) or at the text. A patch may change q, k and v, or give the attention's result
 * itself. */
static OpRef unet_attention(OpGraph *g, const Unet *u, const char *name, OpRef x, OpRef context)
{
    graph_push(g, "%s", name);
    const OpRef source = op_is_none(context) ? x : context;
    Site site = unet_site(g, u, SITE_ATTENTION_INPUT, x);
    site.context = context;
    site.k = site.v = source;
    graph_visit(g, &site);
    site.kind = SITE_ATTENTION;
    site.q = op_linear(g, x, "to_q");
    site.k = op_linear(g, site.k, "to_k");
    site.v = op_linear(g, site.v, "to_v");
    const int64_t width = graph_dim(g, site.q, 2);
    site.heads = u->config->heads ? u->config->heads : width < u->config->head_width ? 1 : (int)(width / u->config->head_width);
    graph_visit(g, &site);
    site.kind = SITE_ATTENTION_RESULT;
    graph_visit(g, &site);
    if (op_is_none(site.out)) {
        site.probs = op_softmax(g, op_scores(g, site.q, site.k, site.heads, 1 / sqrtf((float)width / (float)site.heads)), false);
        site.out = op_values(g, site.probs, site.v, site.heads);
    }
    site.out = op_linear(g, site.out, "to_out.0");
    site.kind = SITE_ATTENTION_OUTPUT;
    graph_visit(g, &site);
    graph_pop(g);
    return site.out;
}

/* A product beside the first layer (a LoRA, derived.h) keeps it from being one operation with the gate, and its doubled width would be the
 * largest array of all; so tokens then go through in parts. */
static int64_t unet_tokens_at_once(const OpGraph *g)
{
    return graph_has(g, "ff.net.0.proj.lora.0.down") ? TOKENS_WITH_LORA : INT64_MAX;
}

/* value · gelu(gate), both from one product.                          Shazeer, "GLU Variants Improve Transformer", 2020 */
static OpRef unet_feed_forward(OpGraph *g, OpRef x, int64_t most)
{
    const int64_t tokens = graph_dim(g, x, 1), half = tokens / 2;
    if (tokens > most) {
        const OpRef first = unet_feed_forward(g, op_slice(g, x, 1, 0, half), most);
        return op_concat(g, first, unet_feed_forward(g, op_slice(g, x, 1, half, tokens - half), most), 1);
    }
    const OpRef both = op_linear(g, x, "ff.net.0.proj");
    const int64_t width = graph_dim(g, both, 2) / 2;
    const OpRef value = op_slice(g, both, 2, 0, width), gate = op_slice(g, both, 2, width, width);
    return op_linear(g, op_mul(g, value, op_gelu(g, gate)), "ff.net.2");
}

/* Pixels become tokens, attend to each other and to the text, and become pixels again. SD1 stores proj_in
 * and proj_out as 1×1 convolutions, SD2 and SDXL as matrices: one product, so op_linear takes both. */
static OpRef unet_transformer(OpGraph *g, Unet *u, OpRef x, const char *name, int depth)
{
    graph_push(g, "%s", name);
    u->shape = x;
    OpRef h = op_tokens(g, op_group_norm(g, x, "norm", NORM_GROUPS, EPS_PROJ)); /* [n,c,h,w] → [n,h·w,c] */
    h = op_linear(g, h, "proj_in");
    for (u->index = 0; u->index < depth; u->index++) {
        graph_push(g, "transformer_blocks.%d", u->index);
        if (graph_has(g, "attn1.to_q.weight"))
            h = op_add(g, h, unet_attention(g, u, "attn1", op_layer_norm(g, h, "norm1", EPS_BLOCK), OP_NONE));
        h = unet_visit(g, u, SITE_MIDDLE_PATCH, h);
        h = op_add(g, h, unet_attention(g, u, "attn2", op_layer_norm(g, h, "norm2", EPS_BLOCK), u->context));
        h = op_add(g, h, unet_feed_forward(g, op_layer_norm(g, h, "norm3", EPS_BLOCK), unet_tokens_at_once(g)));
        graph_pop(g);
    }
    u->index = 0;
    h = op_pixels(g, op_linear(g, h, "proj_out"), x); /* back to the shape of x */
    graph_pop(g);
    return op_add(g, x, h);
}

/* ---- The whole ----------------------------------------------------------------------------------------------------- */

/* Time as a vector of waves, through two layers; SDXL adds a label in the same way. */
static OpRef unet_embedding(OpGraph *g, Unet *u, int64_t batch)
{
    const UnetConfig *config = u->config;
    const OpRef t = op_input(g, "timesteps", DTYPE_F32, 1, &batch);
    OpRef emb = op_linear(g, op_sinusoid(g, t, config->model_channels, MAX_PERIOD), "time_embed.0");
    emb = op_linear(g, op_silu(g, emb), "time_embed.2");
    if (config->label_width) {
        const OpRef y = op_input(g, "y", DTYPE_F32, 2, (const int64_t[]){batch, config->label_width});
        emb = op_add(g, emb, op_linear(g, op_silu(g, op_linear(g, y, "label_emb.0.0")), "label_emb.0.2"));
    }
    return emb;
}

static OpRef unet_input_block(OpGraph *g, Unet *u, OpRef h)
{
    graph_push(g, "input_blocks.%d", u->block);
    if (graph_has(g, "0.weight")) h = op_conv2d(g, h, "0", CONV_3X3);
    else if (graph_has(g, "0.op.weight")) h = op_conv2d(g, h, "0.op", CONV_DOWN);
    else h = unet_resblock(g, u, h, "0");
    if (u->config->depth_in[u->block]) h = unet_transformer(g, u, h, "1", u->config->depth_in[u->block]);
    graph_pop(g);
    u->shape = h;
    return unet_visit(g, u, SITE_INPUT_BLOCK, h);
}

/* Some distilled networks have one residual block here, some nothing. */
static OpRef unet_middle_block(OpGraph *g, Unet *u, OpRef h)
{
    u->stage = SITE_STAGE_MIDDLE;
    u->block = 0;
    graph_push(g, "middle_block");
    if (graph_has(g, "0.in_layers.2.weight")) h = unet_resblock(g, u, h, "0");
    if (u->config->depth_middle) h = unet_transformer(g, u, h, "1", u->config->depth_middle);
    if (graph_has(g, "2.in_layers.2.weight")) h = unet_resblock(g, u, h, "2");
    graph_pop(g);
    u->shape = h;
    return unet_visit(g, u, SITE_MIDDLE_BLOCK, h);
}

/* `next`: the skip that the following block will take, or OP_NONE; what is doubled is brought to its size, which may be odd. */
static OpRef unet_output_block(OpGraph *g, Unet *u, OpRef h, OpRef skip, OpRef next)
{
    u->shape = h;
    Site site = unet_site(g, u, SITE_OUTPUT_BLOCK, h);
    site.skip = skip;
    graph_visit(g, &site);
    graph_push(g, "output_blocks.%d", u->block);
    h = unet_resblock(g, u, op_concat(g, site.h, site.skip, 1), "0");
    if (u->config->depth_out[u->block]) h = unet_transformer(g, u, h, "1", u->config->depth_out[u->block]);
    const char *up = graph_has(g, "1.conv.weight") ? "1.conv" : graph_has(g, "2.conv.weight") ? "2.conv" : NULL;
    if (up && !op_is_none(next)) h = op_conv2d(g, op_upsample(g, h, graph_dim(g, next, 2), graph_dim(g, next, 3)), up, CONV_3X3);
    graph_pop(g);
    return h;
}

/* h with the hint. */
static OpRef unet_with_hint(OpGraph *g, const UnetHint *hint, OpRef h)
{
    return op_add(g, h, hint->mix ? hint->mix(g, hint->self, h, hint->hint) : hint->hint);
}

/* Down to the middle. `hint`: or NULL. */
static OpRef unet_encode(OpGraph *g, Unet *u, const UnetShape *shape, const UnetHint *hint, OpRef skip[UNET_MAX_BLOCKS])
{
    const UnetConfig *config = u->config;
    OpRef h = op_input(g, "x", DTYPE_F32, 4, (const int64_t[]){shape->batch, config->in_channels, shape->height, shape->width});
    u->shape = u->input = h;
    u->context = op_input(g, "context", DTYPE_F32, 3, (const int64_t[]){shape->batch, shape->tokens, config->context_width});
    u->emb = unet_embedding(g, u, shape->batch);
    if (hint && !op_is_none(hint->emb)) u->emb = op_add(g, u->emb, hint->emb);
    Site site = unet_site(g, u, SITE_EMB, h);
    graph_visit(g, &site);
    u->emb = site.emb;
    for (u->block = 0; u->block < config->input_blocks; u->block++) {
        h = unet_input_block(g, u, h);
        if (!u->block && hint) h = unet_with_hint(g, hint, h);
        skip[u->block] = h;
        h = unet_visit(g, u, SITE_INPUT_BLOCK_AFTER_SKIP, h);
    }
    return unet_middle_block(g, u, h);
}

void unet_build(OpGraph *g, const UnetConfig *config, int64_t batch, int64_t height, int64_t width, int64_t tokens)
{
    OpRef skip[UNET_MAX_BLOCKS];
    Unet u = {.config = config, .emb = OP_NONE, .stage = SITE_STAGE_INPUT};
    graph_push(g, "%s", config->prefix);
    OpRef h = unet_encode(g, &u, &(UnetShape){batch, height, width, tokens}, NULL, skip);
    u.stage = SITE_STAGE_OUTPUT;
    for (u.block = 0; u.block < config->output_blocks; u.block++) {
        const int last = config->input_blocks - 1 - u.block;
        h = unet_output_block(g, &u, h, skip[last], last ? skip[last - 1] : OP_NONE);
    }
    h = op_silu(g, op_group_norm(g, h, "out.0", NORM_GROUPS, EPS_BLOCK));
    op_output(g, "out", op_conv2d(g, h, "out.2", CONV_3X3));
    graph_pop(g);
}

void unet_build_encoder(OpGraph *g, const UnetConfig *config, const UnetShape *shape, const UnetHint *hint, OpRef skip[UNET_MAX_BLOCKS],
                        OpRef *middle)
{
    Unet u = {.config = config, .emb = OP_NONE, .stage = SITE_STAGE_INPUT};
    *middle = unet_encode(g, &u, shape, hint, skip);
}
