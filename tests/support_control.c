/* support_control.c: small ControlNets and T2I-Adapters for tests, in each layout.
 *
 * One idea: all are made of the demo's encoder and of layers whose numbers follow from their names, so one file is another renamed, or
 * the same in another form. tests/golden/control_kinds.py loads them into the networks of diffusers. */
#include "engine/base/memory.h"
#include "nodes/models/unet.h"
#include "tests/support_families_inside.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNET FAMILIES_UNET
#define CONTROL "control_model."
enum { NAME = FAMILIES_NAME, RANK = 4, TYPES = 6, WAVES = 256 };

/* How many channels come out of an input block of the demo. */
static int64_t block_channels(const WeightSet *demo, int block)
{
    static const char *const last[] = {"0.out_layers.3", "0.op", "0"};
    char key[NAME];
    for (size_t i = 0; i < sizeof last / sizeof *last; i++) {
        snprintf(key, sizeof key, UNET "input_blocks.%d.%s.weight", block, last[i]);
        if (weights_get(demo, key)) return weights_get(demo, key)->dim[0];
    }
    return 0;
}

/* ---- ControlNets --------------------------------------------------------------------------------------------------------- */

/* A name of the demo's encoder, without the prefix; NULL: it is of something else. */
static const char *encoder_name(const WeightSet *demo, int index)
{
    const char *name = weights_at(demo, index)->name, *rest = name + strlen(UNET);
    return strncmp(name, UNET, strlen(UNET)) != 0 || !strncmp(rest, "out", 3) ? NULL : rest;
}

static NodusStatus add_encoder(WeightSet *set, WeightSet *demo)
{
    char name[NAME];
    for (int i = 0; i < weights_count(demo); i++) {
        const char *rest = encoder_name(demo, i);
        if (!rest) continue;
        snprintf(name, sizeof name, CONTROL "%.200s", rest);
        NODUS_TRY(weights_add_like(set, name, 0, NULL, demo, i));
    }
    return NULL;
}

/* The layers that no UNet has. */
static NodusStatus add_own(WeightSet *set, const WeightSet *demo, const char *prefix)
{
    static const int64_t widths[] = {3, 16, 16, 32, 32, 96, 96, 256};
    char name[NAME];
    UnetConfig config;
    NODUS_TRY(unet_config(demo, UNET, &config));
    for (int i = 0; i < 8; i++) {
        snprintf(name, sizeof name, "input_hint_block.%d", 2 * i);
        NODUS_TRY(families_layer(set, prefix, name, 4, i == 7 ? config.model_channels : widths[i + 1], widths[i], 3, true));
    }
    for (int i = 0; i < config.input_blocks; i++) {
        snprintf(name, sizeof name, "zero_convs.%d.0", i);
        NODUS_TRY(families_layer(set, prefix, name, 4, block_channels(demo, i), block_channels(demo, i), 1, true));
    }
    const int64_t middle = block_channels(demo, config.input_blocks - 1);
    return families_layer(set, prefix, "middle_block_out.0", 4, middle, middle, 1, true);
}

/* The demo's encoder, with parts of its own. */
static NodusStatus fill_control(WeightSet *set, WeightSet *demo)
{
    NODUS_TRY(add_encoder(set, demo));
    return add_own(set, demo, CONTROL);
}

/* A file that says that its numbers are differences. */
static NodusStatus fill_difference(WeightSet *set, WeightSet *demo)
{
    NODUS_TRY(fill_control(set, demo));
    return families_put(set, "difference", 1, (int64_t[]){1});
}

/* ---- In the diffusers layout ----------------------------------------------------------------------------------------------- */

static bool rename_control(const WeightSet *demo, const char *rest, char out[NAME])
{
    int number, used = 0;
    const char *end = strrchr(rest, '.');
    if (sscanf(rest, "input_hint_block.%2d.%n", &number, &used) == 1 && used) {
        if (number == 0 || number == 14) snprintf(out, NAME, "controlnet_cond_embedding.conv_%s%s", number ? "out" : "in", end);
        else snprintf(out, NAME, "controlnet_cond_embedding.blocks.%d%s", number / 2 - 1, end);
        return true;
    }
    if (sscanf(rest, "zero_convs.%2d.%n", &number, &used) == 1 && used)
        return snprintf(out, NAME, "controlnet_down_blocks.%d%s", number, end) > 0;
    if (!strncmp(rest, "middle_block_out.", 17)) return snprintf(out, NAME, "controlnet_mid_block%s", end) > 0;
    return families_rename_unet(demo, rest, out);
}

static void release(void *set)
{
    weights_unref(set);
}

static NodusStatus fill_diffusers(WeightSet *set, WeightSet *demo)
{
    WeightSet *ldm;
    char name[NAME];
    NODUS_TRY(weights_new(&ldm));
    NODUS_TRY(weights_own(set, release, ldm));
    NODUS_TRY(fill_control(ldm, demo));
    for (int i = 0; i < weights_count(ldm); i++) {
        const char *rest = weights_at(ldm, i)->name + strlen(CONTROL);
        if (!rename_control(demo, rest, name)) return nodus_error(NODUS_ERROR_FILE, "no other name for %s", rest);
        NODUS_TRY(weights_add_like(set, name, 0, NULL, ldm, i));
    }
    return NULL;
}

/* What makes it a union. */
static NodusStatus fill_union(WeightSet *set, WeightSet *demo)
{
    static const char *const norms[] = {"ln_1", "ln_2"};
    UnetConfig config;
    NODUS_TRY(unet_config(demo, UNET, &config));
    const int64_t width = config.model_channels, emb = weights_get(demo, UNET "time_embed.0.weight")->dim[0];
    NODUS_TRY(fill_diffusers(set, demo));
    NODUS_TRY(families_put(set, "task_embedding", 2, (int64_t[]){TYPES, width}));
    for (int i = 0; i < 2; i++) NODUS_TRY(families_layer(set, "transformer_layes.0.", norms[i], 1, width, 1, 1, true));
    NODUS_TRY(families_put(set, "transformer_layes.0.attn.in_proj_weight", 2, (int64_t[]){3 * width, width}));
    NODUS_TRY(families_put(set, "transformer_layes.0.attn.in_proj_bias", 1, (int64_t[]){3 * width}));
    NODUS_TRY(families_layer(set, "transformer_layes.0.", "attn.out_proj", 2, width, width, 1, true));
    NODUS_TRY(families_layer(set, "transformer_layes.0.", "mlp.c_fc", 2, 4 * width, width, 1, true));
    NODUS_TRY(families_layer(set, "transformer_layes.0.", "mlp.c_proj", 2, width, 4 * width, 1, true));
    NODUS_TRY(families_layer(set, "", "spatial_ch_projs", 2, width, width, 1, true));
    NODUS_TRY(families_layer(set, "control_add_embedding.", "linear_1", 2, emb, TYPES * WAVES, 1, true));
    return families_layer(set, "control_add_embedding.", "linear_2", 2, emb, emb, 1, true);
}

/* ---- Control-LoRA ---------------------------------------------------------------------------------------------------------- */

/* A layer's "….weight" that gets a product. */
static bool changes(const Weight *weight)
{
    const char *end = strrchr(weight->name, '.');
    return (weight->rank == 2 || weight->rank == 4) && end && !strcmp(end, ".weight");
}

/* "STEM.up" and "STEM.down" for a weight of the encoder. */
static NodusStatus put_pair(WeightSet *set, const char *rest, const Weight *weight)
{
    char name[NAME];
    const int stem = (int)(strlen(rest) - strlen(".weight"));
    int64_t up[4] = {weight->dim[0], RANK, 1, 1}, down[4] = {RANK};
    for (int i = 1; i < weight->rank; i++) down[i] = weight->dim[i];
    snprintf(name, sizeof name, "%.*s.up", stem, rest);
    NODUS_TRY(families_put(set, name, weight->rank, up));
    snprintf(name, sizeof name, "%.*s.down", stem, rest);
    return families_put(set, name, weight->rank, down);
}

static NodusStatus fill_lora(WeightSet *set, WeightSet *demo)
{
    NODUS_TRY(families_put(set, "lora_controlnet", 1, (int64_t[]){0}) /* as files in the field have it */);
    NODUS_TRY(families_put(set, "input_blocks.1.0.in_layers.0.weight", 1, (int64_t[]){block_channels(demo, 0)}));
    for (int i = 0; i < weights_count(demo); i++) {
        const char *rest = encoder_name(demo, i);
        if (rest && changes(weights_at(demo, i))) NODUS_TRY(put_pair(set, rest, weights_at(demo, i)));
    }
    return add_own(set, demo, "");
}

/* W + up·down of the file, in double. */
static NodusStatus put_sum(WeightSet *set, const WeightSet *lora, const char *rest, const Weight *weight)
{
    char name[NAME];
    const int stem = (int)(strlen(rest) - strlen(".weight"));
    size_t columns = 1;
    for (int i = 1; i < weight->rank; i++) columns *= (size_t)weight->dim[i];
    const size_t rows = (size_t)weight->dim[0];
    snprintf(name, sizeof name, "%.*s.up", stem, rest);
    const float *up = weights_get(lora, name)->data;
    snprintf(name, sizeof name, "%.*s.down", stem, rest);
    const float *down = weights_get(lora, name)->data;
    float *sum = memory_array(rows * columns, sizeof *sum);
    if (!sum) abort();
    NODUS_TRY(weights_own(set, memory_free, sum));
    NODUS_TRY(weights_read_f32(weight, sum));
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++) {
            double value = (double)sum[r * columns + c];
            for (size_t k = 0; k < RANK; k++) value += (double)up[r * RANK + k] * (double)down[k * columns + c];
            sum[r * columns + c] = (float)value;
        }
    snprintf(name, sizeof name, CONTROL "%.200s", rest);
    return weights_add(set, name, DTYPE_F32, weight->rank, weight->dim, sum, rows * columns * sizeof *sum, false);
}

/* The ControlNet that the Control-LoRA is on the demo. */
static NodusStatus fill_merged(WeightSet *set, WeightSet *demo)
{
    WeightSet *lora;
    char name[NAME];
    NODUS_TRY(weights_new(&lora));
    NODUS_TRY(weights_own(set, release, lora));
    NODUS_TRY(fill_lora(lora, demo));
    for (int i = 0; i < weights_count(demo); i++) {
        const char *rest = encoder_name(demo, i);
        if (!rest) continue;
        snprintf(name, sizeof name, CONTROL "%.200s", rest);
        const int own = weights_find(lora, rest);
        if (changes(weights_at(demo, i))) NODUS_TRY(put_sum(set, lora, rest, weights_at(demo, i)));
        else NODUS_TRY(weights_add_like(set, name, 0, NULL, own < 0 ? demo : lora, own < 0 ? i : own));
    }
    for (int i = 0; i < weights_count(lora); i++) {
        const char *own = weights_at(lora, i)->name;
        snprintf(name, sizeof name, CONTROL "%.200s", own);
        if (!strncmp(own, "input_hint", 10) || !strncmp(own, "zero_convs", 10) || !strncmp(own, "middle_block_out", 16))
            NODUS_TRY(weights_add_like(set, name, 0, NULL, lora, i));
    }
    return NULL;
}

/* ---- T2I-Adapters ---------------------------------------------------------------------------------------------------------- */

static const int adapter_places[] = {2, 5, 8, 11};

static NodusStatus fill_adapter(WeightSet *set, WeightSet *demo)
{
    char name[NAME];
    int64_t in = block_channels(demo, adapter_places[0]);
    NODUS_TRY(families_layer(set, "", "conv_in", 4, in, 192, 3, true));
    for (int i = 0; i < 8; i++) {
        const int64_t out = block_channels(demo, adapter_places[i / 2]);
        snprintf(name, sizeof name, "body.%d.in_conv", i);
        if (in != out) NODUS_TRY(families_layer(set, "", name, 4, out, in, 1, true));
        snprintf(name, sizeof name, "body.%d.block1", i);
        NODUS_TRY(families_layer(set, "", name, 4, out, out, 3, true));
        snprintf(name, sizeof name, "body.%d.block2", i);
        NODUS_TRY(families_layer(set, "", name, 4, out, out, 1, true));
        in = out;
    }
    return NULL;
}

static NodusStatus fill_light(WeightSet *set, WeightSet *demo)
{
    char name[NAME];
    int64_t in = 192;
    for (int i = 0; i < 4; i++) {
        const int64_t out = block_channels(demo, adapter_places[i]), inside = out / 4;
        snprintf(name, sizeof name, "body.%d.in_conv", i);
        NODUS_TRY(families_layer(set, "", name, 4, inside, in, 1, true));
        for (int k = 0; k < 8; k++) {
            snprintf(name, sizeof name, "body.%d.body.%d.block%d", i, k / 2, 1 + k % 2);
            NODUS_TRY(families_layer(set, "", name, 4, inside, inside, 3, true));
        }
        snprintf(name, sizeof name, "body.%d.out_conv", i);
        NODUS_TRY(families_layer(set, "", name, 4, out, inside, 1, true));
        in = out;
    }
    return NULL;
}

/* The other's names in diffusers: "adapter.body.STAGE.resnets.N.…". */
static NodusStatus rename_adapter(WeightSet *set, WeightSet *demo, NodusStatus (*fill)(WeightSet *set, WeightSet *demo), bool light)
{
    WeightSet *old;
    char name[NAME];
    int block, inner, used;
    NODUS_TRY(weights_new(&old));
    NODUS_TRY(weights_own(set, release, old));
    NODUS_TRY(fill(old, demo));
    for (int i = 0; i < weights_count(old); i++) {
        const char *was = weights_at(old, i)->name, *part = was;
        snprintf(name, sizeof name, "adapter.%.200s", was);
        if (sscanf(was, "body.%d.%n", &block, &used) == 1) part = was + used;
        if (light && sscanf(part, "body.%d.%n", &inner, &used) == 1)
            snprintf(name, sizeof name, "adapter.body.%d.resnets.%d.%.200s", block, inner, part + used);
        if (!light && !strncmp(part, "block", 5))
            snprintf(name, sizeof name, "adapter.body.%d.resnets.%d.%.200s", block / 2, block % 2, part);
        else if (!light && part != was) snprintf(name, sizeof name, "adapter.body.%d.%.200s", block / 2, part);
        NODUS_TRY(weights_add_like(set, name, 0, NULL, old, i));
    }
    return NULL;
}

static NodusStatus fill_adapter_diffusers(WeightSet *set, WeightSet *demo)
{
    return rename_adapter(set, demo, fill_adapter, false);
}

static NodusStatus fill_light_diffusers(WeightSet *set, WeightSet *demo)
{
    return rename_adapter(set, demo, fill_light, true);
}

/* ---- Files --------------------------------------------------------------------------------------------------------------------- */

typedef struct Form {
    const char *name;
    NodusStatus (*fill)(WeightSet *set, WeightSet *base);
} Form;
static const Form forms[] = {
    {"control", fill_control}, {"difference", fill_difference}, {"control-diffusers", fill_diffusers}, {"union", fill_union},
    {"control-lora", fill_lora}, {"control-lora-merged", fill_merged}, {"t2i", fill_adapter}, {"t2i-diffusers", fill_adapter_diffusers},
    {"t2i-light", fill_light}, {"t2i-light-diffusers", fill_light_diffusers},
};
enum { FORMS = sizeof forms / sizeof *forms };

NodusStatus support_control_form(WeightSet *base, const char *form, const char *models, const char *file)
{
    WeightSet *set;
    int i = 0;
    while (i < FORMS && strcmp(forms[i].name, form) != 0) i++;
    if (i == FORMS) return nodus_error(NODUS_ERROR_INTERNAL, "no form \"%s\"", form);
    NODUS_TRY(weights_new(&set));
    NodusStatus status = forms[i].fill(set, base);
    if (!status) status = families_write(set, models, file);
    weights_unref(set);
    return status;
}

NodusStatus support_control(WeightSet *demo, const char *models)
{
    for (int i = 0; i < FORMS; i++) {
        char file[NAME];
        snprintf(file, sizeof file, "controlnet/%s.safetensors", forms[i].name);
        NODUS_TRY(support_control_form(demo, forms[i].name, models, file));
    }
    return NULL;
}
