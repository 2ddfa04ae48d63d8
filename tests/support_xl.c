/* support_xl.c: a small SDXL with the blocks of the real one, and what guides it: ControlNets in each form, T2I-Adapters,
 * IP-Adapters; and the same for SD 2, and a full-face IP-Adapter for the demo. See support_xl.h.
 *
 * One idea: only widths and depths differ from the published networks (32, 64, 128 channels; transformers of depth 0, 1, 2), so
 * the numbers of blocks and layers are those of real files. */
#include "tests/support_xl.h"
#include "engine/formats/safetensors.h"
#include "nodes/models/unet.h"
#include "tests/support_demo.h"
#include "tests/support_families_inside.h"
#include <stdio.h>
#include <string.h>

#define UNET FAMILIES_UNET
enum {
    NAME = FAMILIES_NAME,
    EMB = 128,
    TEXT = 64,
    CONTEXT = 2 * TEXT,
    LABEL = TEXT + 6 * 256,
    SEEN = 64,
    WHOLE = 32,
    TOKENS = 4
};

/* ---- The network ----------------------------------------------------------------------------------------------------------- */

static NodusStatus norm(WeightSet *set, const char *prefix, const char *name, int64_t n)
{
    return families_layer(set, prefix, name, 1, n, 1, 1, true);
}

static NodusStatus resblock(WeightSet *set, const char *at, int64_t in, int64_t out)
{
    char prefix[NAME];
    snprintf(prefix, sizeof prefix, UNET "%s.", at);
    NODUS_TRY(norm(set, prefix, "in_layers.0", in));
    NODUS_TRY(families_layer(set, prefix, "in_layers.2", 4, out, in, 3, true));
    NODUS_TRY(families_layer(set, prefix, "emb_layers.1", 2, out, EMB, 1, true));
    NODUS_TRY(norm(set, prefix, "out_layers.0", out));
    NODUS_TRY(families_layer(set, prefix, "out_layers.3", 4, out, out, 3, true));
    return in == out ? NULL : families_layer(set, prefix, "skip_connection", 4, out, in, 1, true);
}

static NodusStatus transformer_block(WeightSet *set, const char *prefix, int64_t c)
{
    char name[NAME];
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 4; k++) {
            snprintf(name, sizeof name, "attn%d.%s", i + 1, (const char *[]){"to_q", "to_k", "to_v", "to_out.0"}[k]);
            NODUS_TRY(families_layer(set, prefix, name, 2, c, i && (k == 1 || k == 2) ? CONTEXT : c, 1, k == 3));
        }
    for (int i = 1; i <= 3; i++) {
        snprintf(name, sizeof name, "norm%d", i);
        NODUS_TRY(norm(set, prefix, name, c));
    }
    NODUS_TRY(families_layer(set, prefix, "ff.net.0.proj", 2, 8 * c, c, 1, true));
    return families_layer(set, prefix, "ff.net.2", 2, c, 4 * c, 1, true);
}

static NodusStatus transformer(WeightSet *set, const char *at, int64_t c, int depth)
{
    char prefix[NAME];
    if (!depth) return NULL;
    snprintf(prefix, sizeof prefix, UNET "%s.", at);
    NODUS_TRY(norm(set, prefix, "norm", c));
    NODUS_TRY(families_layer(set, prefix, "proj_in", 2, c, c, 1, true));
    NODUS_TRY(families_layer(set, prefix, "proj_out", 2, c, c, 1, true));
    for (int i = 0; i < depth; i++) {
        snprintf(prefix, sizeof prefix, UNET "%s.transformer_blocks.%d.", at, i);
        NODUS_TRY(transformer_block(set, prefix, c));
    }
    return NULL;
}

typedef struct Block {
    int in, out, depth; /* in 0: a convolution that halves */
} Block;
static const Block down[] = {{32, 32, 0}, {32, 32, 0}, {0, 32, 0},   {32, 64, 1},
                             {64, 64, 1}, {0, 64, 0},  {64, 128, 2}, {128, 128, 2}};
static const Block up[] = {{256, 128, 2}, {256, 128, 2}, {192, 128, 2}, {192, 64, 1}, {128, 64, 1},
                           {96, 64, 1},   {96, 32, 0},   {64, 32, 0},   {64, 32, 0}};

static NodusStatus block(WeightSet *set, const char *stage, int number, const Block *b)
{
    char at[NAME];
    snprintf(at, sizeof at, "%s.%d.0.op", stage, number);
    if (!b->in) return families_layer(set, UNET, at, 4, b->out, b->out, 3, true);
    snprintf(at, sizeof at, "%s.%d.0", stage, number);
    NODUS_TRY(resblock(set, at, b->in, b->out));
    snprintf(at, sizeof at, "%s.%d.1", stage, number);
    return transformer(set, at, b->out, b->depth);
}

static NodusStatus network(WeightSet *set)
{
    NODUS_TRY(families_layer(set, UNET, "time_embed.0", 2, EMB, 32, 1, true));
    NODUS_TRY(families_layer(set, UNET, "time_embed.2", 2, EMB, EMB, 1, true));
    NODUS_TRY(families_layer(set, UNET, "label_emb.0.0", 2, EMB, LABEL, 1, true));
    NODUS_TRY(families_layer(set, UNET, "label_emb.0.2", 2, EMB, EMB, 1, true));
    NODUS_TRY(families_layer(set, UNET, "input_blocks.0.0", 4, 32, 4, 3, true));
    for (int i = 0; i < 8; i++) NODUS_TRY(block(set, "input_blocks", i + 1, &down[i]));
    NODUS_TRY(resblock(set, "middle_block.0", 128, 128));
    NODUS_TRY(transformer(set, "middle_block.1", 128, 2));
    NODUS_TRY(resblock(set, "middle_block.2", 128, 128));
    for (int i = 0; i < 9; i++) NODUS_TRY(block(set, "output_blocks", i, &up[i]));
    NODUS_TRY(families_layer(set, UNET, "output_blocks.2.2.conv", 4, 128, 128, 3, true));
    NODUS_TRY(families_layer(set, UNET, "output_blocks.5.2.conv", 4, 64, 64, 3, true));
    NODUS_TRY(norm(set, UNET, "out.0", 32));
    return families_layer(set, UNET, "out.2", 4, 4, 32, 3, true);
}

/* With the text encoders and the VAE of the other small SDXL. */
static NodusStatus checkpoint(WeightSet *set, WeightSet *base)
{
    NODUS_TRY(network(set));
    for (int i = 0; i < weights_count(base); i++)
        if (strncmp(weights_at(base, i)->name, UNET, strlen(UNET)) != 0)
            NODUS_TRY(weights_add_like(set, weights_at(base, i)->name, 0, NULL, base, i));
    return NULL;
}

/* ---- IP-Adapters -------------------------------------------------------------------------------------------------------------
 */

static NodusStatus layer_keys(WeightSet *set, int *number, int64_t width, int64_t context, int depth)
{
    char prefix[64];
    for (int i = 0; i < depth; i++, ++*number) {
        snprintf(prefix, sizeof prefix, "ip_adapter.%d.", 2 * *number + 1);
        NODUS_TRY(families_layer(set, prefix, "to_k_ip", 2, width, context, 1, false));
        NODUS_TRY(families_layer(set, prefix, "to_v_ip", 2, width, context, 1, false));
    }
    return NULL;
}

static NodusStatus xl_keys(WeightSet *set)
{
    int number = 0;
    for (int i = 0; i < 8; i++) NODUS_TRY(layer_keys(set, &number, down[i].out, CONTEXT, down[i].depth));
    for (int i = 0; i < 9; i++) NODUS_TRY(layer_keys(set, &number, up[i].out, CONTEXT, up[i].depth));
    return layer_keys(set, &number, 128, CONTEXT, 2);
}

static NodusStatus ip_plain(WeightSet *set, WeightSet *base)
{
    (void)base;
    NODUS_TRY(xl_keys(set));
    NODUS_TRY(families_layer(set, "image_proj.", "proj", 2, (int64_t)TOKENS * CONTEXT, WHOLE, 1, true));
    return norm(set, "image_proj.", "norm", CONTEXT);
}

static NodusStatus ip_plus(WeightSet *set, WeightSet *base)
{
    enum { INNER = 48, DEPTH = 4, HEADS_WIDTH = 128 };
    char at[NAME];
    (void)base;
    NODUS_TRY(xl_keys(set));
    NODUS_TRY(families_put(set, "image_proj.latents", 3, (int64_t[]){1, TOKENS, INNER}));
    NODUS_TRY(families_layer(set, "image_proj.", "proj_in", 2, INNER, SEEN, 1, true));
    for (int i = 0; i < DEPTH; i++) {
        snprintf(at, sizeof at, "image_proj.layers.%d.", i);
        NODUS_TRY(norm(set, at, "0.norm1", INNER));
        NODUS_TRY(norm(set, at, "0.norm2", INNER));
        NODUS_TRY(families_layer(set, at, "0.to_q", 2, HEADS_WIDTH, INNER, 1, false));
        NODUS_TRY(families_layer(set, at, "0.to_kv", 2, 2 * HEADS_WIDTH, INNER, 1, false));
        NODUS_TRY(families_layer(set, at, "0.to_out", 2, INNER, HEADS_WIDTH, 1, false));
        NODUS_TRY(norm(set, at, "1.0", INNER));
        NODUS_TRY(families_layer(set, at, "1.1", 2, 4 * INNER, INNER, 1, false));
        NODUS_TRY(families_layer(set, at, "1.3", 2, INNER, 4 * INNER, 1, false));
    }
    NODUS_TRY(families_layer(set, "image_proj.", "proj_out", 2, CONTEXT, INNER, 1, true));
    return norm(set, "image_proj.", "norm_out", CONTEXT);
}

/* For the demo, whose cross-attentions tell how wide they are. */
static NodusStatus ip_full(WeightSet *set, WeightSet *demo)
{
    char key[NAME];
    UnetConfig config;
    int number = 0;
    NODUS_TRY(unet_config(demo, UNET, &config));
    for (int i = 0; i <= config.input_blocks + config.output_blocks; i++) {
        const int out = i - config.input_blocks;
        if (out == config.output_blocks) snprintf(key, sizeof key, UNET "middle_block.1");
        else snprintf(key, sizeof key, UNET "%s_blocks.%d.1", out < 0 ? "input" : "output", out < 0 ? i : out);
        strcat(key, ".transformer_blocks.0.attn2.to_k.weight");
        const Weight *keys = weights_get(demo, key);
        if (keys) NODUS_TRY(layer_keys(set, &number, keys->dim[0], TEXT, 1));
    }
    NODUS_TRY(families_layer(set, "image_proj.", "proj.0", 2, SEEN, SEEN, 1, true));
    NODUS_TRY(families_layer(set, "image_proj.", "proj.2", 2, TEXT, SEEN, 1, true));
    return norm(set, "image_proj.", "proj.3", TEXT);
}

/* ---- T2I-Adapters ---------------------------------------------------------------------------------------------------- */

static NodusStatus t2i(WeightSet *set, WeightSet *base)
{
    static const int widths[] = {32, 64, 128, 128};
    char name[NAME];
    (void)base;
    NODUS_TRY(families_layer(set, "", "conv_in", 4, widths[0], 768, 3, true));
    for (int i = 0; i < 8; i++) {
        const int out = widths[i / 2], in = i ? widths[(i - 1) / 2] : out;
        snprintf(name, sizeof name, "body.%d.in_conv", i);
        if (in != out) NODUS_TRY(families_layer(set, "", name, 4, out, in, 1, true));
        snprintf(name, sizeof name, "body.%d.block1", i);
        NODUS_TRY(families_layer(set, "", name, 4, out, out, 3, true));
        snprintf(name, sizeof name, "body.%d.block2", i);
        NODUS_TRY(families_layer(set, "", name, 4, out, out, 1, true));
    }
    return NULL;
}

/* ---- ControlNets that are smaller than the model's encoder ----------------------------------------------------------- */

static NodusStatus thinner(WeightSet *set, WeightSet *whole, const char *const *without)
{
    for (int i = 0; i < weights_count(whole); i++) {
        const char *name = weights_at(whole, i)->name;
        bool keep = true;
        for (int k = 0; without[k]; k++) keep = keep && !strstr(name, without[k]);
        if (keep) NODUS_TRY(weights_add_like(set, name, 0, NULL, whole, i));
    }
    return NULL;
}

/* Without transformers, and one residual block in the middle. */
static NodusStatus small(WeightSet *set, WeightSet *whole)
{
    static const char *const without[] = {".attentions.", "mid_block.resnets.1.", NULL};
    return thinner(set, whole, without);
}

/* Transformers of depth 1, at the lowest level alone. */
static NodusStatus middling(WeightSet *set, WeightSet *whole)
{
    static const char *const without[] = {"down_blocks.1.attentions.", ".transformer_blocks.1.", NULL};
    return thinner(set, whole, without);
}

/* As other programs nest it. */
static NodusStatus prefixed(WeightSet *set, WeightSet *whole)
{
    char name[NAME];
    for (int i = 0; i < weights_count(whole); i++) {
        snprintf(name, sizeof name, "adapter.%.200s", weights_at(whole, i)->name);
        NODUS_TRY(weights_add_like(set, name, 0, NULL, whole, i));
    }
    return NULL;
}

/* ---- Files ----------------------------------------------------------------------------------------------------------- */

typedef NodusStatus Fill(WeightSet *set, WeightSet *base);

static NodusStatus make(const char *models, WeightSet *base, Fill *fill, const char *file)
{
    WeightSet *set;
    NODUS_TRY(weights_new(&set));
    NodusStatus status = fill(set, base);
    if (!status) status = families_write(set, models, file);
    weights_unref(set);
    return status;
}

static NodusStatus open_file(const char *models, const char *file, WeightSet **out)
{
    char path[2 * NAME];
    snprintf(path, sizeof path, "%s/%s", models, file);
    return safetensors_open(path, out);
}

static NodusStatus make_of(const char *models, const char *from, Fill *fill, const char *file)
{
    WeightSet *base;
    NODUS_TRY(open_file(models, from, &base));
    NodusStatus status = make(models, base, fill, file);
    weights_unref(base);
    return status;
}

static NodusStatus forms_of(const char *models, const char *from, const char *const (*forms)[2])
{
    WeightSet *base;
    char file[NAME];
    NODUS_TRY(open_file(models, from, &base));
    NodusStatus status = NULL;
    for (int i = 0; forms[i][0] && !status; i++) {
        snprintf(file, sizeof file, "controlnet/%s.safetensors", forms[i][1]);
        status = support_control_form(base, forms[i][0], models, file);
    }
    weights_unref(base);
    return status;
}

NodusStatus support_xl(const char *models)
{
    static const char *const xl[][2] = {{"control", "xl"},     {"control-diffusers", "xl-diffusers"}, {"control", "xl_shuffle"},
                                        {"union", "xl-union"}, {"control-lora", "xl-lora"},           {NULL, NULL}};
    static const char *const two[][2] = {{"control", "sd2"}, {"control-diffusers", "sd2-diffusers"}, {NULL, NULL}};
    NODUS_TRY(make_of(models, "checkpoints/sd_xl_base.safetensors", checkpoint, "checkpoints/" SUPPORT_XL));
    NODUS_TRY(forms_of(models, "checkpoints/" SUPPORT_XL, xl));
    NODUS_TRY(forms_of(models, "checkpoints/sd2.safetensors", two));
    NODUS_TRY(make_of(models, "controlnet/xl-diffusers.safetensors", small, "controlnet/xl-small.safetensors"));
    NODUS_TRY(make_of(models, "controlnet/xl-diffusers.safetensors", middling, "controlnet/xl-mid.safetensors"));
    NODUS_TRY(make(models, NULL, t2i, "controlnet/t2i-xl.safetensors"));
    NODUS_TRY(make_of(models, "controlnet/t2i-xl.safetensors", prefixed, "controlnet/t2i-xl-prefix.safetensors"));
    NODUS_TRY(make(models, NULL, ip_plain, "ipadapter/ip-adapter_sdxl.safetensors"));
    NODUS_TRY(make(models, NULL, ip_plus, "ipadapter/ip-adapter-plus_sdxl.safetensors"));
    WeightSet *demo;
    NODUS_TRY(safetensors_open(DEMO_PATH, &demo));
    NodusStatus status = make(models, demo, ip_full, "ipadapter/ip-adapter-full-face_sd15.safetensors");
    weights_unref(demo);
    return status;
}
