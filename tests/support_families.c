/* support_families.c: see support_families.h. Files are written from sets; a set may borrow the demo's arrays under other names. */
#include "tests/support_families.h"
#include "tests/support_families_inside.h"
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/formats/safetensors.h"
#include "nodes/models/diffusers_names.h"
#include "tests/support.h"
#include "tests/support_demo.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNET "model.diffusion_model."
#define TEXT "cond_stage_model.transformer.text_model."
#define VAE "first_stage_model."
enum { NAME = 256, WIDTH = 64 /* of the demo's text tower */, WAVES = 256 };

/* ---- Sets -------------------------------------------------------------------------------------------------------------- */

static NodusStatus put(WeightSet *set, const char *name, int rank, const int64_t *dim)
{
    size_t count = 1;
    for (int i = 0; i < rank; i++) count *= (size_t)dim[i];
    float *data = memory_array(count, sizeof *data);
    if (!data) abort();
    const char *part = strstr(name, "text_projection"), *seed = part ? part : name; /* of that, the same under any prefix */
    uint64_t state = hash_of(seed, strlen(seed)).low;
    const float size = rank > 1 ? sqrtf(3 * (float)dim[0] / (float)count) : 0.1f;
    const float shift = rank == 1 && strstr(name, "weight") ? 1 : 0;
    for (size_t i = 0; i < count; i++) data[i] = shift + size * support_uniform(&state);
    NODUS_TRY(weights_own(set, memory_free, data));
    return weights_add(set, name, DTYPE_F32, rank, dim, data, count * sizeof *data, false);
}

static NodusStatus layer(WeightSet *set, const char *prefix, const char *name, int rank, int64_t out, int64_t in, int64_t size, bool bias)
{
    char key[NAME];
    snprintf(key, sizeof key, "%s%s.weight", prefix, name);
    NODUS_TRY(put(set, key, rank, (int64_t[]){out, in, size, size}));
    snprintf(key, sizeof key, "%s%s.bias", prefix, name);
    return bias ? put(set, key, 1, &out) : NULL;
}

static NodusStatus write_set(const WeightSet *set, const char *models, const char *file)
{
    char path[NAME * 2];
    SafetensorsItem *item = calloc((size_t)weights_count(set) + 1, sizeof *item);
    if (!item) abort();
    for (int i = 0; i < weights_count(set); i++) {
        const Weight *weight = weights_at(set, i);
        item[i] = (SafetensorsItem){.name = weight->name, .dtype = weight->dtype, .rank = weight->rank, .data = weight->data};
        memcpy(item[i].dim, weight->dim, sizeof weight->dim);
    }
    snprintf(path, sizeof path, "%s/%s", models, file);
    *strrchr(path, '/') = '\0';
    NodusStatus status = file_make_folders(path);
    path[strlen(path)] = '/';
    if (!status) status = safetensors_write(path, true, NULL, item, weights_count(set), NULL, 0);
    free(item);
    return status;
}

/* The demo's weights under a prefix, renamed; a NULL `name` leaves one out. */
typedef bool Rename(const WeightSet *demo, const char *rest, char out[NAME]);
static NodusStatus borrow(WeightSet *set, WeightSet *demo, const char *from, const char *to, Rename *rename)
{
    char rest[NAME], name[2 * NAME];
    for (int i = 0; i < weights_count(demo); i++) {
        const char *old = weights_at(demo, i)->name;
        if (strncmp(old, from, strlen(from)) != 0) continue;
        snprintf(rest, sizeof rest, "%s", old + strlen(from));
        if (rename && !rename(demo, old + strlen(from), rest)) return nodus_error(NODUS_ERROR_FILE, "no other name for %s", old);
        snprintf(name, sizeof name, "%s%s", to, rest);
        NODUS_TRY(weights_add_like(set, name, 0, NULL, demo, i));
    }
    return NULL;
}

/* ---- Names of other layouts -------------------------------------------------------------------------------------------- */

static bool rename_unet(const WeightSet *demo, const char *rest, char out[NAME])
{
    UnetConfig config;
    char name[NAME];
    const char *end = strrchr(rest, '.');
    if (unet_config(demo, UNET, &config) || !end) return false;
    snprintf(name, sizeof name, "%.*s", (int)(end - rest), rest);
    if (!diffusers_name(demo, &config, name, out, NAME - 8)) return false;
    strcat(out, end);
    return true;
}

static void replace(char *text, const char *from, const char *to)
{
    char copy[NAME], *at = strstr(text, from);
    if (!at) return;
    snprintf(copy, sizeof copy, "%s", at + strlen(from));
    snprintf(at, (size_t)(NAME - (at - text)), "%s%s", to, copy);
}

static bool rename_vae(const WeightSet *demo, const char *rest, char out[NAME])
{
    VaeConfig config;
    int level = 0, used = 0;
    if (vae_config(demo, VAE, &config)) return false;
    snprintf(out, NAME, "%s", rest);
    if (sscanf(rest, "decoder.up.%d.%n", &level, &used) == 1 && used) snprintf(out, NAME, "decoder.up_blocks.%d.%s", config.levels - 1 - level, rest + used);
    static const char *const pairs[][2] = {
        {"encoder.down.", "encoder.down_blocks."}, {".block.", ".resnets."}, {"upsample.conv", "upsamplers.0.conv"}, {"downsample.conv", "downsamplers.0.conv"},
        {"mid.block_1", "mid_block.resnets.0"}, {"mid.block_2", "mid_block.resnets.1"}, {"mid.attn_1.norm", "mid_block.attentions.0.group_norm"},
        {"mid.attn_1.q.", "mid_block.attentions.0.to_q."}, {"mid.attn_1.k.", "mid_block.attentions.0.to_k."}, {"mid.attn_1.v.", "mid_block.attentions.0.to_v."},
        {"mid.attn_1.proj_out", "mid_block.attentions.0.to_out.0"}, {"norm_out", "conv_norm_out"}, {"nin_shortcut", "conv_shortcut"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) replace(out, pairs[i][0], pairs[i][1]);
    return true;
}

/* ---- For other files --------------------------------------------------------------------------------------------------- */

NodusStatus families_put(WeightSet *set, const char *name, int rank, const int64_t *dim)
{
    return put(set, name, rank, dim);
}

NodusStatus families_layer(WeightSet *set, const char *prefix, const char *name, int rank, int64_t out, int64_t in, int64_t size, bool bias)
{
    return layer(set, prefix, name, rank, out, in, size, bias);
}

NodusStatus families_write(const WeightSet *set, const char *models, const char *file)
{
    return write_set(set, models, file);
}

bool families_rename_unet(const WeightSet *demo, const char *rest, char out[FAMILIES_NAME])
{
    return rename_unet(demo, rest, out);
}

/* ---- Towers ------------------------------------------------------------------------------------------------------------ */

/* Three matrices, or vectors, one below the other. */
static NodusStatus put_thirds(WeightSet *set, const WeightSet *demo, int at, const char *kind, const char *name)
{
    char key[NAME];
    const Weight *third[3];
    for (int i = 0; i < 3; i++) {
        snprintf(key, sizeof key, TEXT "encoder.layers.%d.self_attn.%c_proj.%s", at, "qkv"[i], kind);
        third[i] = weights_get(demo, key);
    }
    const int64_t dim[] = {3 * third[0]->dim[0], third[0]->dim[1]};
    uint8_t *data = memory_alloc(3 * third[0]->bytes);
    if (!data) abort();
    for (size_t i = 0; i < 3; i++) memcpy(data + i * third[0]->bytes, third[i]->data, third[0]->bytes);
    NODUS_TRY(weights_own(set, memory_free, data));
    return weights_add(set, name, third[0]->dtype, third[0]->rank, dim, data, 3 * third[0]->bytes, false);
}

NodusStatus support_openclip(WeightSet *demo, const char *prefix, WeightSet **out)
{
    static const char *const pairs[][2] = {{"embeddings.token_embedding.weight", "token_embedding.weight"}, {"embeddings.position_embedding.weight", "positional_embedding"},
        {"final_layer_norm.", "ln_final."}, {"encoder.layers.", "transformer.resblocks."}, {"layer_norm1", "ln_1"}, {"layer_norm2", "ln_2"},
        {"self_attn.out_proj", "attn.out_proj"}, {"mlp.fc1", "mlp.c_fc"}, {"mlp.fc2", "mlp.c_proj"}};
    char name[NAME], rest[NAME];
    NODUS_TRY(weights_new(out));
    for (int i = 0; i < weights_count(demo); i++) {
        const char *old = weights_at(demo, i)->name;
        if (strncmp(old, TEXT, strlen(TEXT)) != 0 || strstr(old, "position_ids")) continue;
        if (strstr(old, "q_proj.") || strstr(old, "k_proj.") || strstr(old, "v_proj.")) continue;
        snprintf(rest, sizeof rest, "%s", old + strlen(TEXT));
        for (size_t k = 0; k < sizeof pairs / sizeof *pairs; k++) replace(rest, pairs[k][0], pairs[k][1]);
        snprintf(name, sizeof name, "%s%.200s", prefix, rest);
        NODUS_TRY(weights_add_like(*out, name, 0, NULL, demo, i));
    }
    snprintf(name, sizeof name, TEXT "encoder.layers.0.layer_norm1.weight");
    for (int i = 0; weights_get(demo, name); snprintf(name, sizeof name, TEXT "encoder.layers.%d.layer_norm1.weight", ++i)) {
        snprintf(name, sizeof name, "%stransformer.resblocks.%d.attn.in_proj_weight", prefix, i);
        NODUS_TRY(put_thirds(*out, demo, i, "weight", name));
        snprintf(name, sizeof name, "%stransformer.resblocks.%d.attn.in_proj_bias", prefix, i);
        NODUS_TRY(put_thirds(*out, demo, i, "bias", name));
    }
    snprintf(name, sizeof name, "%stext_projection", prefix);
    return put(*out, name, 2, (int64_t[]){WIDTH, WIDTH});
}

/* ---- SDXL -------------------------------------------------------------------------------------------------------------- */

static NodusStatus norm(WeightSet *set, const char *prefix, const char *name, int64_t n)
{
    return layer(set, prefix, name, 1, n, 1, 1, true);
}

static NodusStatus resblock(WeightSet *set, const char *at, int64_t in, int64_t out)
{
    char prefix[NAME];
    snprintf(prefix, sizeof prefix, UNET "%s.", at);
    NODUS_TRY(norm(set, prefix, "in_layers.0", in));
    NODUS_TRY(layer(set, prefix, "in_layers.2", 4, out, in, 3, true));
    NODUS_TRY(layer(set, prefix, "emb_layers.1", 2, out, 128, 1, true));
    NODUS_TRY(norm(set, prefix, "out_layers.0", out));
    NODUS_TRY(layer(set, prefix, "out_layers.3", 4, out, out, 3, true));
    return in == out ? NULL : layer(set, prefix, "skip_connection", 4, out, in, 1, true);
}

static NodusStatus transformer(WeightSet *set, const char *at, int64_t c, int64_t context)
{
    static const char *const attention[] = {"attn1", "attn2"};
    char prefix[NAME], name[NAME];
    snprintf(prefix, sizeof prefix, UNET "%s.", at);
    NODUS_TRY(norm(set, prefix, "norm", c));
    NODUS_TRY(layer(set, prefix, "proj_in", 2, c, c, 1, true));
    NODUS_TRY(layer(set, prefix, "proj_out", 2, c, c, 1, true));
    strcat(prefix, "transformer_blocks.0.");
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 4; k++) {
            snprintf(name, sizeof name, "%s.%s", attention[i], (const char *[]){"to_q", "to_k", "to_v", "to_out.0"}[k]);
            NODUS_TRY(layer(set, prefix, name, 2, c, i && (k == 1 || k == 2) ? context : c, 1, k == 3));
        }
    for (int i = 1; i <= 3; i++) {
        snprintf(name, sizeof name, "norm%d", i);
        NODUS_TRY(norm(set, prefix, name, c));
    }
    NODUS_TRY(layer(set, prefix, "ff.net.0.proj", 2, 8 * c, c, 1, true));
    return layer(set, prefix, "ff.net.2", 2, c, 4 * c, 1, true);
}

/* `label` 0: without what SDXL is told, as SD 2 has it. */
static NodusStatus sdxl_unet(WeightSet *set, int64_t context, int64_t label)
{
    NODUS_TRY(layer(set, UNET, "time_embed.0", 2, 128, 32, 1, true));
    NODUS_TRY(layer(set, UNET, "time_embed.2", 2, 128, 128, 1, true));
    if (label) NODUS_TRY(layer(set, UNET, "label_emb.0.0", 2, 128, label, 1, true));
    if (label) NODUS_TRY(layer(set, UNET, "label_emb.0.2", 2, 128, 128, 1, true));
    NODUS_TRY(layer(set, UNET, "input_blocks.0.0", 4, 32, 4, 3, true));
    NODUS_TRY(resblock(set, "input_blocks.1.0", 32, 32));
    NODUS_TRY(layer(set, UNET, "input_blocks.2.0.op", 4, 32, 32, 3, true));
    NODUS_TRY(resblock(set, "input_blocks.3.0", 32, 64));
    NODUS_TRY(transformer(set, "input_blocks.3.1", 64, context));
    NODUS_TRY(resblock(set, "middle_block.0", 64, 64));
    NODUS_TRY(transformer(set, "middle_block.1", 64, context));
    NODUS_TRY(resblock(set, "middle_block.2", 64, 64));
    NODUS_TRY(resblock(set, "output_blocks.0.0", 128, 64));
    NODUS_TRY(transformer(set, "output_blocks.0.1", 64, context));
    NODUS_TRY(resblock(set, "output_blocks.1.0", 96, 64));
    NODUS_TRY(transformer(set, "output_blocks.1.1", 64, context));
    NODUS_TRY(layer(set, UNET, "output_blocks.1.2.conv", 4, 64, 64, 3, true));
    NODUS_TRY(resblock(set, "output_blocks.2.0", 96, 32));
    NODUS_TRY(resblock(set, "output_blocks.3.0", 64, 32));
    NODUS_TRY(norm(set, UNET, "out.0", 32));
    return layer(set, UNET, "out.2", 4, 4, 32, 3, true);
}

static NodusStatus borrow_all(WeightSet *set, WeightSet *from)
{
    for (int i = 0; i < weights_count(from); i++) NODUS_TRY(weights_add_like(set, weights_at(from, i)->name, 0, NULL, from, i));
    return NULL;
}

static NodusStatus fill_sdxl(WeightSet *set, WeightSet *demo, WeightSet *g, bool refiner)
{
    NODUS_TRY(sdxl_unet(set, refiner ? WIDTH : 2 * WIDTH, WIDTH + (refiner ? 5 : 6) * WAVES));
    if (!refiner) NODUS_TRY(borrow(set, demo, TEXT, "conditioner.embedders.0.transformer.text_model.", NULL));
    NODUS_TRY(borrow_all(set, g));
    return borrow(set, demo, VAE, VAE, NULL);
}

static NodusStatus write_sdxl(WeightSet *demo, const char *models, bool refiner)
{
    WeightSet *set, *g = NULL;
    NODUS_TRY(weights_new(&set));
    NodusStatus status = support_openclip(demo, refiner ? "conditioner.embedders.0.model." : "conditioner.embedders.1.model.", &g);
    if (!status) status = fill_sdxl(set, demo, g, refiner);
    if (!status) status = write_set(set, models, refiner ? "checkpoints/sd_xl_refiner.safetensors" : "checkpoints/sd_xl_base.safetensors");
    weights_unref(set);
    weights_unref(g);
    return status;
}

/* ---- unCLIP and vision ------------------------------------------------------------------------------------------------- */

enum { PATCH = 8, POSITIONS = 17 /* of pictures of 32 pixels */, PROJECTION = 32, VISION_LAYERS = 2 };

/* `layers`: what stands before the number. */
static NodusStatus vision_layer(WeightSet *set, const char *prefix, const char *layers, int i, bool openclip)
{
    static const char *const parts[] = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj"};
    char at[NAME], name[2 * NAME];
    snprintf(at, sizeof at, "%s%s.%d.", prefix, layers, i);
    for (int k = openclip ? 3 : 0; k < 4; k++) NODUS_TRY(layer(set, at, openclip ? "attn.out_proj" : parts[k], 2, WIDTH, WIDTH, 1, true));
    NODUS_TRY(norm(set, at, openclip ? "ln_1" : "layer_norm1", WIDTH));
    NODUS_TRY(norm(set, at, openclip ? "ln_2" : "layer_norm2", WIDTH));
    NODUS_TRY(layer(set, at, openclip ? "mlp.c_fc" : "mlp.fc1", 2, 4 * WIDTH, WIDTH, 1, true));
    NODUS_TRY(layer(set, at, openclip ? "mlp.c_proj" : "mlp.fc2", 2, WIDTH, 4 * WIDTH, 1, true));
    if (!openclip) return NULL;
    snprintf(name, sizeof name, "%sattn.in_proj_weight", at);
    NODUS_TRY(put(set, name, 2, (int64_t[]){3 * WIDTH, WIDTH}));
    snprintf(name, sizeof name, "%sattn.in_proj_bias", at);
    return put(set, name, 1, (int64_t[]){3 * WIDTH});
}

/* In OpenCLIP's layout, or in Hugging Face's. */
static NodusStatus vision_tower(WeightSet *set, const char *prefix, bool openclip)
{
    const struct { const char *ours, *theirs; int rank; int64_t dim[4]; } rows[] = {
        {"vision_model.embeddings.class_embedding", "class_embedding", 1, {WIDTH}},
        {"vision_model.embeddings.patch_embedding.weight", "conv1.weight", 4, {WIDTH, 3, PATCH, PATCH}},
        {"vision_model.embeddings.position_embedding.weight", "positional_embedding", 2, {POSITIONS, WIDTH}},
        {"visual_projection.weight", "proj", 2, {openclip ? WIDTH : PROJECTION, openclip ? PROJECTION : WIDTH}},
    };
    char name[NAME];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        snprintf(name, sizeof name, "%s%s", prefix, openclip ? rows[i].theirs : rows[i].ours);
        NODUS_TRY(put(set, name, rows[i].rank, rows[i].dim));
    }
    NODUS_TRY(norm(set, prefix, openclip ? "ln_pre" : "vision_model.pre_layrnorm", WIDTH));
    NODUS_TRY(norm(set, prefix, openclip ? "ln_post" : "vision_model.post_layernorm", WIDTH));
    for (int i = 0; i < VISION_LAYERS; i++)
        NODUS_TRY(vision_layer(set, prefix, openclip ? "transformer.resblocks" : "vision_model.encoder.layers", i, openclip));
    return NULL;
}

static NodusStatus style_adapter(WeightSet *set)
{
    enum { TOKENS = 4 };
    NODUS_TRY(put(set, "style_embedding", 3, (int64_t[]){1, TOKENS, WIDTH}));
    NODUS_TRY(put(set, "proj", 2, (int64_t[]){WIDTH, WIDTH}));
    NODUS_TRY(norm(set, "", "ln_pre", WIDTH));
    NODUS_TRY(norm(set, "", "ln_post", WIDTH));
    return vision_layer(set, "", "transformer_layes", 0, true);
}

static NodusStatus redux(WeightSet *set)
{
    NODUS_TRY(layer(set, "", "redux_up", 2, 3 * WIDTH, WIDTH, 1, true));
    return layer(set, "", "redux_down", 2, WIDTH, 3 * WIDTH, 1, true);
}

/* ---- GLIGEN and hypernetworks ------------------------------------------------------------------------------------------------ */

static NodusStatus fuser(WeightSet *set, const char *block, int64_t width)
{
    char key[NAME];
    snprintf(key, sizeof key, "%.200sfuser.", block);
    static const char *const square[] = {"attn.to_q", "attn.to_k", "attn.to_v", "attn.to_out.0"};
    for (int i = 0; i < 4; i++) NODUS_TRY(layer(set, key, square[i], 2, width, width, 1, i == 3));
    NODUS_TRY(layer(set, key, "linear", 2, width, WIDTH, 1, true));
    NODUS_TRY(layer(set, key, "ff.net.0.proj", 2, 8 * width, width, 1, true));
    NODUS_TRY(layer(set, key, "ff.net.2", 2, width, 4 * width, 1, true));
    NODUS_TRY(norm(set, key, "norm1", width));
    NODUS_TRY(norm(set, key, "norm2", width));
    snprintf(key, sizeof key, "%.200sfuser.alpha_attn", block);
    NODUS_TRY(put(set, key, 1, (int64_t[]){1}));
    snprintf(key, sizeof key, "%.200sfuser.alpha_dense", block);
    return put(set, key, 1, (int64_t[]){1});
}

static NodusStatus write_gligen(const WeightSet *demo, const char *models)
{
    static const char tail[] = "transformer_blocks.0.norm3.bias";
    WeightSet *set;
    NODUS_TRY(weights_new(&set));
    NodusStatus status = put(set, "position_net.null_positive_feature", 1, (int64_t[]){WIDTH});
    if (!status) status = put(set, "position_net.null_position_feature", 1, (int64_t[]){WAVES / 4});
    if (!status) status = layer(set, "position_net.", "linears.0", 2, 512, WIDTH + WAVES / 4, 1, true);
    if (!status) status = layer(set, "position_net.", "linears.2", 2, 512, 512, 1, true);
    if (!status) status = layer(set, "position_net.", "linears.4", 2, WIDTH, 512, 1, true);
    for (int i = 0; i < weights_count(demo) && !status; i++) {
        char block[NAME];
        const Weight *weight = weights_at(demo, i);
        const char *at = strstr(weight->name, tail);
        if (strncmp(weight->name, UNET, strlen(UNET)) != 0 || !at) continue;
        snprintf(block, sizeof block, "%.*s", (int)(at - weight->name - (int)strlen(UNET) + (int)strlen("transformer_blocks.0.")),
                 weight->name + strlen(UNET));
        status = fuser(set, block, weight->dim[0]);
    }
    if (!status) status = write_set(set, models, "gligen/gligen.safetensors");
    weights_unref(set);
    return status;
}

static NodusStatus hypernetwork(WeightSet *set)
{
    char prefix[32];
    for (int number = 0; number < 2; number++) {
        snprintf(prefix, sizeof prefix, "%d.%d.", WIDTH, number);
        NODUS_TRY(layer(set, prefix, "linear.0", 2, 2 * WIDTH, WIDTH, 1, true));
        NODUS_TRY(layer(set, prefix, "linear.1", 2, WIDTH, 2 * WIDTH, 1, true));
    }
    return NULL;
}

/* ---- IP-Adapter ---------------------------------------------------------------------------------------------------------------- */

static NodusStatus picture_keys(WeightSet *set, const WeightSet *demo, const char *block, int number)
{
    char prefix[NAME];
    snprintf(prefix, sizeof prefix, UNET "%s.1.transformer_blocks.0.attn2.to_k.weight", block);
    const int64_t width = weights_get(demo, prefix)->dim[0];
    snprintf(prefix, sizeof prefix, "ip_adapter.%d.", 2 * number + 1);
    NODUS_TRY(layer(set, prefix, "to_k_ip", 2, width, WIDTH, 1, false));
    return layer(set, prefix, "to_v_ip", 2, width, WIDTH, 1, false);
}

static NodusStatus all_picture_keys(WeightSet *set, const WeightSet *demo)
{
    char block[64];
    UnetConfig config;
    int number = 0;
    NODUS_TRY(unet_config(demo, UNET, &config));
    for (int i = 0; i < config.input_blocks + config.output_blocks; i++) {
        const bool out = i >= config.input_blocks;
        const int at = out ? i - config.input_blocks : i;
        snprintf(block, sizeof block, out ? "output_blocks.%d" : "input_blocks.%d", at);
        if (out ? config.depth_out[at] : config.depth_in[at]) NODUS_TRY(picture_keys(set, demo, block, number++));
    }
    return picture_keys(set, demo, "middle_block", number);
}

static NodusStatus resampler(WeightSet *set)
{
    enum { TOKENS = 4, INNER = 48, DEPTH = 4 };
    char at[NAME];
    NODUS_TRY(put(set, "image_proj.latents", 3, (int64_t[]){1, TOKENS, INNER}));
    NODUS_TRY(layer(set, "image_proj.", "proj_in", 2, INNER, WIDTH, 1, true));
    for (int i = 0; i < DEPTH; i++) {
        snprintf(at, sizeof at, "image_proj.layers.%d.", i);
        NODUS_TRY(norm(set, at, "0.norm1", INNER));
        NODUS_TRY(norm(set, at, "0.norm2", INNER));
        NODUS_TRY(layer(set, at, "0.to_q", 2, 2 * WIDTH, INNER, 1, false));
        NODUS_TRY(layer(set, at, "0.to_kv", 2, 4 * WIDTH, INNER, 1, false));
        NODUS_TRY(layer(set, at, "0.to_out", 2, INNER, 2 * WIDTH, 1, false));
        NODUS_TRY(norm(set, at, "1.0", INNER));
        NODUS_TRY(layer(set, at, "1.1", 2, 4 * INNER, INNER, 1, false));
        NODUS_TRY(layer(set, at, "1.3", 2, INNER, 4 * INNER, 1, false));
    }
    NODUS_TRY(layer(set, "image_proj.", "proj_out", 2, WIDTH, INNER, 1, true));
    return norm(set, "image_proj.", "norm_out", WIDTH);
}

static NodusStatus write_ip_adapter(WeightSet *demo, const char *models, bool plus)
{
    enum { TOKENS = 4 };
    WeightSet *set;
    NODUS_TRY(weights_new(&set));
    NodusStatus status = all_picture_keys(set, demo);
    if (!status && plus) status = resampler(set);
    if (!status && !plus) status = layer(set, "image_proj.", "proj", 2, TOKENS * WIDTH, PROJECTION, 1, true);
    if (!status && !plus) status = norm(set, "image_proj.", "norm", WIDTH);
    if (!status) status = write_set(set, models, plus ? "ipadapter/ip-adapter-plus_sd15.safetensors" : "ipadapter/ip-adapter_sd15.safetensors");
    weights_unref(set);
    return status;
}

static NodusStatus write_sd2(WeightSet *demo, const char *models)
{
    WeightSet *set, *h = NULL;
    NODUS_TRY(weights_new(&set));
    NodusStatus status = support_openclip(demo, "cond_stage_model.model.", &h);
    if (!status) status = sdxl_unet(set, WIDTH, 0);
    if (!status) status = borrow_all(set, h);
    if (!status) status = borrow(set, demo, VAE, VAE, NULL);
    if (!status) status = write_set(set, models, "checkpoints/sd2.safetensors");
    weights_unref(set);
    weights_unref(h);
    return status;
}

/* The first filter of an inpainting model, nine channels wide: the demo's, and by a formula what sees mask and picture: ±1/32 in the middle. */
static NodusStatus wide_filter(WeightSet *set, const Weight *demo)
{
    enum { SEEN = 9, DRAWN = 4, TAPS = 9, MIDDLE = 4, SMALL = 0x2800 /* 1/32 as f16 */, SIGN = 0x8000 };
    const int64_t out = demo->dim[0];
    const uint16_t *from = demo->data;
    uint16_t *data = memory_array((size_t)(out * SEEN * TAPS), sizeof *data);
    if (!data) abort();
    if (demo->dtype != DTYPE_F16) return nodus_error(NODUS_ERROR_FILE, "the demo's filter is not of f16");
    for (int64_t i = 0; i < out * SEEN * TAPS; i++) {
        const int64_t o = i / TAPS / SEEN, c = i / TAPS % SEEN, tap = i % TAPS;
        const int small = SMALL | ((o + c) % 2 ? SIGN : 0);
        data[i] = c < DRAWN ? from[(o * DRAWN + c) * TAPS + tap] : tap == MIDDLE ? (uint16_t)small : 0;
    }
    NODUS_TRY(weights_own(set, memory_free, data));
    return weights_add(set, demo->name, DTYPE_F16, 4, (int64_t[]){out, SEEN, 3, 3}, data, (size_t)(out * SEEN * TAPS) * sizeof *data, false);
}

static NodusStatus fill_inpaint(WeightSet *set, WeightSet *demo)
{
    const char *first = UNET "input_blocks.0.0.weight";
    for (int i = 0; i < weights_count(demo); i++) {
        const Weight *weight = weights_at(demo, i);
        if (strcmp(weight->name, first) != 0) NODUS_TRY(weights_add_like(set, weight->name, 0, NULL, demo, i));
        else NODUS_TRY(wide_filter(set, weight));
    }
    return NULL;
}

static NodusStatus write_inpaint(WeightSet *demo, const char *models)
{
    WeightSet *set;
    NODUS_TRY(weights_new(&set));
    NodusStatus status = fill_inpaint(set, demo);
    if (!status) status = write_set(set, models, "checkpoints/shapes-inpaint.safetensors");
    weights_unref(set);
    return status;
}

static NodusStatus fill_unclip(WeightSet *set, WeightSet *demo, WeightSet *text)
{
    NODUS_TRY(sdxl_unet(set, WIDTH, 2 * PROJECTION));
    NODUS_TRY(borrow_all(set, text));
    NODUS_TRY(vision_tower(set, "embedder.model.visual.", true));
    return borrow(set, demo, VAE, VAE, NULL);
}

static NodusStatus write_unclip(WeightSet *demo, const char *models)
{
    WeightSet *set, *text = NULL;
    NODUS_TRY(weights_new(&set));
    NodusStatus status = support_openclip(demo, "cond_stage_model.model.", &text);
    if (!status) status = fill_unclip(set, demo, text);
    if (!status) status = write_set(set, models, "checkpoints/sd21-unclip.safetensors");
    weights_unref(set);
    weights_unref(text);
    return status;
}

static NodusStatus vision_alone(WeightSet *set)
{
    return vision_tower(set, "", false);
}

static NodusStatus write_filled(const char *models, const char *file, NodusStatus (*fill)(WeightSet *set))
{
    WeightSet *set;
    NODUS_TRY(weights_new(&set));
    NodusStatus status = fill(set);
    if (!status) status = write_set(set, models, file);
    weights_unref(set);
    return status;
}

/* ---- Files ------------------------------------------------------------------------------------------------------------- */

static NodusStatus write_part(WeightSet *demo, const char *from, const char *to, Rename *rename, const char *models, const char *file)
{
    WeightSet *set;
    NODUS_TRY(weights_new(&set));
    NodusStatus status = borrow(set, demo, from, to, rename);
    if (!status) status = write_set(set, models, file);
    weights_unref(set);
    return status;
}

/* CLIP-L with what the projection of its texts needs, as a whole CLIP model has it. */
static NodusStatus write_whole_clip(WeightSet *demo, const char *models)
{
    WeightSet *set;
    NODUS_TRY(weights_new(&set));
    NodusStatus status = borrow(set, demo, TEXT, "text_model.", NULL);
    if (!status) status = put(set, "text_projection.weight", 2, (int64_t[]){PROJECTION, WIDTH});
    if (!status) status = write_set(set, models, "text_encoders/clip_whole.safetensors");
    weights_unref(set);
    return status;
}

static NodusStatus write_made(const char *models, const char *file, const char *name, int rank, const int64_t *dim)
{
    WeightSet *set;
    NODUS_TRY(weights_new(&set));
    NodusStatus status = put(set, name, rank, dim);
    if (!status) status = write_set(set, models, file);
    weights_unref(set);
    return status;
}

static NodusStatus write_text(const char *models, const char *file, const char *text)
{
    char path[NAME * 2];
    FileWriter *writer;
    snprintf(path, sizeof path, "%s/%s", models, file);
    *strrchr(path, '/') = '\0';
    NODUS_TRY(file_make_folders(path));
    path[strlen(path)] = '/';
    NODUS_TRY(file_create(path, &writer));
    NODUS_TRY(file_write(writer, text, strlen(text)));
    return file_commit(writer);
}

static NodusStatus write_all(WeightSet *demo, const char *models)
{
    WeightSet *g;
    NODUS_TRY(write_sdxl(demo, models, false));
    NODUS_TRY(write_sdxl(demo, models, true));
    NODUS_TRY(write_sd2(demo, models));
    NODUS_TRY(write_unclip(demo, models));
    NODUS_TRY(write_inpaint(demo, models));
    NODUS_TRY(write_filled(models, "clip_vision/clip_vision.safetensors", vision_alone));
    NODUS_TRY(write_filled(models, "clip_vision/CLIP-ViT-H-14-laion2B-s32B-b79K.safetensors", vision_alone));
    NODUS_TRY(write_filled(models, "style_models/style.safetensors", style_adapter));
    NODUS_TRY(write_filled(models, "style_models/redux.safetensors", redux));
    NODUS_TRY(support_control(demo, models));
    NODUS_TRY(write_gligen(demo, models));
    NODUS_TRY(write_ip_adapter(demo, models, false));
    NODUS_TRY(write_ip_adapter(demo, models, true));
    NODUS_TRY(write_filled(models, "hypernetworks/hypernetwork.safetensors", hypernetwork));
    NODUS_TRY(write_part(demo, UNET, "", NULL, models, "diffusion_models/unet.safetensors"));
    NODUS_TRY(write_part(demo, UNET, "", rename_unet, models, "diffusion_models/unet-diffusers.safetensors"));
    NODUS_TRY(write_part(demo, UNET, "", rename_unet, models, "diffusers/shapes/unet/diffusion_pytorch_model.safetensors"));
    NODUS_TRY(write_part(demo, VAE, "", rename_vae, models, "vae/vae-diffusers.safetensors"));
    NODUS_TRY(write_part(demo, VAE, "", rename_vae, models, "diffusers/shapes/vae/diffusion_pytorch_model.safetensors"));
    NODUS_TRY(write_part(demo, TEXT, "text_model.", NULL, models, "text_encoders/clip_l.safetensors"));
    NODUS_TRY(write_whole_clip(demo, models));
    NODUS_TRY(write_part(demo, TEXT, "text_model.", NULL, models, "diffusers/shapes/text_encoder/model.safetensors"));
    NODUS_TRY(write_text(models, "diffusers/shapes/model_index.json", "{}"));
    NODUS_TRY(write_text(models, "configs/v1-inference.yaml", "model:\n  params:\n    parameterization: \"eps\"\n    cond_stage_config:\n      params:\n        layer_idx: -2\n"));
    NODUS_TRY(write_made(models, "embeddings/star.safetensors", "emb_params", 2, (int64_t[]){2, WIDTH}));
    NODUS_TRY(support_openclip(demo, "", &g));
    NodusStatus status = write_set(g, models, "text_encoders/clip_g.safetensors");
    weights_unref(g);
    return status;
}

NodusStatus support_families(const char *models)
{
    WeightSet *demo;
    NODUS_TRY(safetensors_open(DEMO_PATH, &demo));
    NodusStatus status = write_all(demo, models);
    weights_unref(demo);
    return status;
}
