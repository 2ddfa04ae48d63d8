/* support_paint.c: see support_paint.h. UNet and VAE are the demo's, but for the filter that looks at the five further channels.
 */
#include "tests/support_paint.h"
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/formats/safetensors.h"
#include "tests/support_demo.h"
#include "tests/support_families_inside.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define UNET FAMILIES_UNET
#define VAE  "first_stage_model."
#define HERE "cond_stage_model."
enum { WIDTH = 64, PATCH = 8, POSITIONS = 17, LAYERS = 2, THIRDS = 3, ROOM = 512 };

/* ---- The UNet's first filter ------------------------------------------------------------------------------------------------
 */

/* The demo's four channels, then five by a formula: each its own, and the same under any name. */
static NodusStatus wide_filter(WeightSet *set, const Weight *demo, const char *name)
{
    enum { SEEN = 9, DRAWN = 4, TAPS = 9 };
    const int64_t out = demo->dim[0];
    const size_t count = (size_t)(out * SEEN * TAPS);
    uint64_t state = SEEN;
    float *drawn = memory_array((size_t)(out * DRAWN * TAPS), sizeof *drawn), *data = memory_array(count, sizeof *data);
    if (!drawn || !data) abort();
    support_fill(&state, data, count);
    NodusStatus status = weights_read_f32(demo, drawn);
    for (int64_t i = 0; i < out * SEEN * TAPS; i++) {
        const int64_t o = i / TAPS / SEEN, c = i / TAPS % SEEN, tap = i % TAPS;
        data[i] = c < DRAWN ? drawn[(o * DRAWN + c) * TAPS + tap] : data[i] / SEEN;
    }
    memory_free(drawn);
    if (!status) status = weights_own(set, memory_free, data);
    return status ? status
                  : weights_add(set, name, DTYPE_F32, 4, (int64_t[]){out, SEEN, 3, 3}, data, count * sizeof *data, false);
}

/* The demo's weights below `from`, under other names. */
static NodusStatus borrow(WeightSet *set, WeightSet *demo, const char *from, const char *to, bool diffusers)
{
    static const char first[] = UNET "input_blocks.0.0.weight";
    char rest[FAMILIES_NAME], name[2 * FAMILIES_NAME];
    for (int i = 0; i < weights_count(demo); i++) {
        const Weight *weight = weights_at(demo, i);
        if (strncmp(weight->name, from, strlen(from)) != 0) continue;
        snprintf(rest, sizeof rest, "%.200s", weight->name + strlen(from));
        if (diffusers && !families_rename_unet(demo, weight->name + strlen(from), rest))
            return nodus_error(NODUS_ERROR_FILE, "no other name for %s", weight->name);
        snprintf(name, sizeof name, "%s%s", to, rest);
        if (!strcmp(weight->name, first)) NODUS_TRY(wide_filter(set, weight, name));
        else NODUS_TRY(weights_add_like(set, name, 0, NULL, demo, i));
    }
    return NULL;
}

/* ---- What looks at examples --------------------------------------------------------------------------------------------------
 */

static NodusStatus norm(WeightSet *set, const char *at, const char *name)
{
    return families_layer(set, at, name, 1, WIDTH, 1, 1, true);
}

NodusStatus support_paint_tower(WeightSet *set, const char *at)
{
    static const char *const square[] = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj"};
    char layer[ROOM];
    snprintf(layer, sizeof layer, "%sembeddings.class_embedding", at);
    NODUS_TRY(families_put(set, layer, 1, (int64_t[]){WIDTH}));
    NODUS_TRY(families_layer(set, at, "embeddings.patch_embedding", 4, WIDTH, 3, PATCH, false));
    NODUS_TRY(families_layer(set, at, "embeddings.position_embedding", 2, POSITIONS, WIDTH, 1, false));
    NODUS_TRY(norm(set, at, "pre_layrnorm"));
    NODUS_TRY(norm(set, at, "post_layernorm"));
    for (int i = 0; i < LAYERS; i++) {
        snprintf(layer, sizeof layer, "%sencoder.layers.%d.", at, i);
        for (int k = 0; k < 4; k++) NODUS_TRY(families_layer(set, layer, square[k], 2, WIDTH, WIDTH, 1, true));
        NODUS_TRY(norm(set, layer, "layer_norm1"));
        NODUS_TRY(norm(set, layer, "layer_norm2"));
        NODUS_TRY(families_layer(set, layer, "mlp.fc1", 2, 4 * WIDTH, WIDTH, 1, true));
        NODUS_TRY(families_layer(set, layer, "mlp.fc2", 2, WIDTH, 4 * WIDTH, 1, true));
    }
    return NULL;
}

static NodusStatus encoder(WeightSet *set)
{
    char at[ROOM];
    NODUS_TRY(support_paint_tower(set, HERE "transformer.vision_model."));
    for (int i = 0; i < LAYERS; i++) {
        snprintf(at, sizeof at, HERE "mapper.resblocks.%d.", i);
        NODUS_TRY(norm(set, at, "ln_1"));
        NODUS_TRY(norm(set, at, "ln_2"));
        NODUS_TRY(families_layer(set, at, "attn.c_qkv", 2, THIRDS * WIDTH, WIDTH, 1, true));
        NODUS_TRY(families_layer(set, at, "attn.c_proj", 2, WIDTH, WIDTH, 1, true));
        NODUS_TRY(families_layer(set, at, "mlp.c_fc", 2, 4 * WIDTH, WIDTH, 1, true));
        NODUS_TRY(families_layer(set, at, "mlp.c_proj", 2, WIDTH, 4 * WIDTH, 1, true));
    }
    NODUS_TRY(norm(set, HERE, "final_ln"));
    NODUS_TRY(families_layer(set, "", "proj_out", 2, WIDTH, WIDTH, 1, true));
    return families_put(set, "learnable_vector", 3, (int64_t[]){1, 1, WIDTH});
}

/* ---- The same under diffusers' names --------------------------------------------------------------------------------- */

/* Queries, keys and values of one head lie one below the other. */
static NodusStatus add_thirds(WeightSet *set, const Weight *whole, const char *head, const char *tail)
{
    char name[ROOM];
    const int64_t dim[] = {whole->dim[0] / THIRDS, whole->dim[1]};
    for (size_t i = 0; i < THIRDS; i++) {
        snprintf(name, sizeof name, "%sattn1.to_%c.%s", head, "qkv"[i], tail);
        NODUS_TRY(weights_add(set, name, whole->dtype, whole->rank, dim,
                              (const uint8_t *)whole->data + i * (whole->bytes / THIRDS), whole->bytes / THIRDS, false));
    }
    return NULL;
}

static NodusStatus add_block(WeightSet *set, WeightSet *from, int at, const char *rest)
{
    static const char *const pairs[][2] = {{"ln_1.", "norm1."},
                                           {"ln_2.", "norm3."},
                                           {"attn.c_proj.", "attn1.to_out.0."},
                                           {"mlp.c_fc.", "ff.net.0.proj."},
                                           {"mlp.c_proj.", "ff.net.2."}};
    char head[64], name[ROOM];
    int number = 0, used = 0;
    if (sscanf(rest, "%d.%n", &number, &used) != 1 || !used) abort();
    snprintf(head, sizeof head, "mapper.blocks.%d.", number);
    rest += used;
    if (!strncmp(rest, "attn.c_qkv.", 11)) return add_thirds(set, weights_at(from, at), head, rest + 11);
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        if (strncmp(rest, pairs[i][0], strlen(pairs[i][0])) != 0) continue;
        snprintf(name, sizeof name, "%s%s%s", head, pairs[i][1], rest + strlen(pairs[i][0]));
        return weights_add_like(set, name, 0, NULL, from, at);
    }
    return nodus_error(NODUS_ERROR_FILE, "no other name for %s", rest);
}

static NodusStatus rename_encoder(WeightSet *set, WeightSet *from)
{
    static const char *const pairs[][2] = {{HERE "transformer.vision_model.", "model.vision_model."},
                                           {HERE "final_ln.", "final_layer_norm."},
                                           {"proj_out.", "proj_out."},
                                           {"learnable_vector", "uncond_vector"}};
    static const char blocks[] = HERE "mapper.resblocks.";
    char name[ROOM];
    for (int i = 0; i < weights_count(from); i++) {
        const char *old = weights_at(from, i)->name;
        if (!strncmp(old, blocks, strlen(blocks))) NODUS_TRY(add_block(set, from, i, old + strlen(blocks)));
        for (size_t k = 0; k < sizeof pairs / sizeof *pairs; k++) {
            if (strncmp(old, pairs[k][0], strlen(pairs[k][0])) != 0) continue;
            snprintf(name, sizeof name, "%s%s", pairs[k][1], old + strlen(pairs[k][0]));
            NODUS_TRY(weights_add_like(set, name, 0, NULL, from, i));
        }
    }
    return NULL;
}

/* ---- Files ----------------------------------------------------------------------------------------------------------- */

enum { CHECKPOINT, FOLDER_UNET, FOLDER_ENCODER, FILES };

static NodusStatus fill(int file, WeightSet *demo, WeightSet *examples, WeightSet *set)
{
    switch (file) {
    case CHECKPOINT:
        NODUS_TRY(borrow(set, demo, UNET, UNET, false));
        NODUS_TRY(borrow(set, demo, VAE, VAE, false));
        return encoder(set);
    case FOLDER_UNET: return borrow(set, demo, UNET, "", true);
    default: return rename_encoder(set, examples);
    }
}

static NodusStatus write_files(WeightSet *demo, WeightSet *examples, const char *models)
{
    static const char *const names[FILES] = {"checkpoints/paint-by-example.safetensors",
                                             "diffusers/paint-by-example/unet/diffusion_pytorch_model.safetensors",
                                             "diffusers/paint-by-example/image_encoder/model.safetensors"};
    for (int i = 0; i < FILES; i++) {
        WeightSet *set;
        NODUS_TRY(weights_new(&set));
        NodusStatus status = fill(i, demo, examples, set);
        if (!status) status = families_write(set, models, names[i]);
        weights_unref(set);
        NODUS_TRY(status);
    }
    return NULL;
}

/* The VAE is that of the other folder. */
static NodusStatus link_rest(const char *models)
{
    char path[ROOM];
    snprintf(path, sizeof path, "%s/diffusers/paint-by-example/vae", models);
    unlink(path); /* of an earlier run */
    if (symlink("../shapes/vae", path)) return nodus_error(NODUS_ERROR_FILE, "no link %s", path);
    snprintf(path, sizeof path, "%s/diffusers/paint-by-example/model_index.json", models);
    return file_write_whole(path, "{}", 2);
}

NodusStatus support_paint(const char *models)
{
    WeightSet *demo, *examples;
    NODUS_TRY(safetensors_open(DEMO_PATH, &demo));
    NodusStatus status = weights_new(&examples);
    if (!status) {
        status = encoder(examples);
        if (!status) status = write_files(demo, examples, models);
        weights_unref(examples);
    }
    weights_unref(demo);
    return status ? status : link_rest(models);
}
