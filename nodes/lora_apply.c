/* lora_apply.c: see lora_apply.h.
 *
 * One idea: ask each layer of the network for the names that trainers give it, and look these up in the file. On a UNet the two
 * thin matrices stand beside the weight and are multiplied with what comes in; a text encoder's weights are added up and rounded
 * when they are packed, because that rounding shows. */
#include "nodes/lora_apply.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "nodes/lora_select.h"
#include "nodes/models/diffusers_names.h"
#include "nodes/models/keys.h"
#include <stdio.h>
#include <string.h>

/* ---- UNets --------------------------------------------------------------------------------------------------------- */

static bool ends_in(const char *text, const char *tail)
{
    const size_t length = strlen(text), end = strlen(tail);
    return length > end && !strcmp(text + length - end, tail);
}

static void underscores(char *text)
{
    for (; *text; text++)
        if (*text == '.') *text = '_';
}

/* Diffusers' names of attention processors: ".to_q" is ".processor.to_q", and of ".to_out.0" the number goes. */
static void processor_name(const char *from, char *out, size_t room)
{
    size_t used = 0;
    for (; *from && used + 12 < room; from++) {
        if (!strncmp(from, ".to_", 4)) used += (size_t)snprintf(out + used, room - used, ".processor");
        out[used++] = *from;
    }
    out[used] = 0;
    if (ends_in(out, ".to_out.0")) out[used - 2] = 0;
}

enum { UNET_NAMES = 6, NAME_ROOM = KEYS_LONGEST + 32 };

/* The names that a layer of a UNet goes by. */
static int unet_names(const Model *model, const char *layer, char names[UNET_NAMES][NAME_ROOM])
{
    char other[KEYS_LONGEST];
    int count = 2;
    snprintf(names[0], NAME_ROOM, "lora_unet_%s", layer);
    underscores(names[0]);
    snprintf(names[1], NAME_ROOM, "diffusion_model.%s", layer);
    if (!diffusers_name(model->weights, &model->unet, layer, other, sizeof other)) return count;
    snprintf(names[count], NAME_ROOM, "lora_unet_%s", other);
    underscores(names[count++]);
    snprintf(names[count], NAME_ROOM, "lycoris_%s", other);
    underscores(names[count++]);
    snprintf(names[count], NAME_ROOM, "unet.");
    processor_name(other, names[count] + 5, NAME_ROOM - 5);
    snprintf(names[count + 1], NAME_ROOM, "%s", names[count] + 5);
    return count + 2;
}

static NodusStatus unet_layer(Lora *lora, Derived *derived, const Model *model, int index, const char *layer, double strength)
{
    char names[UNET_NAMES][NAME_ROOM];
    bool found = false;
    const int count = unet_names(model, layer, names);
    if (lora->rules) strength *= lora_select_factor(lora->rules, layer, false);
    for (int i = 0; i < count && !found; i++) NODUS_TRY(lora_patch(lora, derived, model->weights, index, names[i], strength, &found));
    return NULL;
}

static NodusStatus unet_layers(Lora *lora, Derived *derived, const Model *model, double strength)
{
    const char *prefix = model->unet.prefix, tail[] = ".weight";
    const size_t skip = strlen(prefix);
    char layer[KEYS_LONGEST];
    for (int i = 0; i < weights_count(model->weights); i++) {
        const Weight *weight = weights_at(model->weights, i);
        if (strncmp(weight->name, prefix, skip) != 0 || !ends_in(weight->name, tail) ||
            derived_is_beside(weight->name))
            continue;
        const size_t length = strlen(weight->name + skip) - (sizeof tail - 1);
        if (length >= sizeof layer) continue;
        memcpy(layer, weight->name + skip, length);
        layer[length] = 0;
        NODUS_TRY(unet_layer(lora, derived, model, i, layer, strength));
    }
    return NULL;
}

NodusStatus lora_on_model(Lora *lora, const Model *model, double strength, Model **out)
{
    Derived *derived;
    WeightSet *weights;
    NODUS_TRY(derived_new(model->weights, false, &derived));
    NodusStatus status = derived_keep(derived, lora->weights);
    if (!status) status = unet_layers(lora, derived, model, strength);
    if (!status) status = derived_finish(derived, &weights);
    if (status) {
        derived_free(derived);
        return status;
    }
    *out = model_with_weights(model, weights);
    return *out ? NULL : status_memory();
}

/* ---- Text encoders ------------------------------------------------------------------------------------------------- */

static const char *const text_modules[] = {"self_attn.q_proj",   "self_attn.k_proj", "self_attn.v_proj",
                                           "self_attn.out_proj", "mlp.fc1",          "mlp.fc2"};
enum { TEXT_MODULES = sizeof text_modules / sizeof *text_modules };

/* What an encoder is called in the names of entries: "lora_te" and "text_encoder" for a first one. */
typedef struct TextNames {
    const char *kohya[2], *diffusers;
} TextNames;

/* What the file has for one module, on weight `key`. `dotted`: the module as Hugging Face's file names it; NULL: only under `kohya`.
 * `layer`: its name for rules. */
static NodusStatus text_module(Lora *lora, Derived *derived, const WeightSet *weights, const TextNames *names, const char *kohya,
                               const char *dotted, const char *layer, const char *key, double strength)
{
    char name[256];
    const int index = weights_find(weights, key);
    bool found = false;
    if (lora->rules) strength *= lora_select_factor(lora->rules, layer, true);
    for (int i = 0; i < 2 && names->kohya[i] && !found && index >= 0; i++) {
        snprintf(name, sizeof name, "%s_%s", names->kohya[i], kohya);
        underscores(name);
        NODUS_TRY(lora_patch(lora, derived, weights, index, name, strength, &found));
    }
    if (found || index < 0 || !dotted) return NULL;
    snprintf(name, sizeof name, "%s.%s", names->diffusers, dotted);
    return lora_patch(lora, derived, weights, index, name, strength, &found);
}

/* The patches of one layer's modules, at the names that Hugging Face gives the weights. */
static NodusStatus text_layer(Lora *lora, Derived *derived, const WeightSet *weights, const ClipTextConfig *tower,
                              const TextNames *names, int layer, double strength)
{
    char dotted[128], key[KEYS_LONGEST];
    for (int i = 0; i < TEXT_MODULES; i++) {
        snprintf(dotted, sizeof dotted, "text_model.encoder.layers.%d.%s", layer, text_modules[i]);
        snprintf(key, sizeof key, "%sencoder.layers.%d.%s.weight", tower->prefix, layer, text_modules[i]);
        NODUS_TRY(text_module(lora, derived, weights, names, dotted, dotted, dotted + strlen("text_model."), key, strength));
    }
    return NULL;
}

static NodusStatus text_projection(Lora *lora, Derived *derived, const WeightSet *weights, const ClipTextConfig *tower,
                                   const TextNames *names, double strength)
{
    char key[KEYS_LONGEST];
    snprintf(key, sizeof key, "%s.weight", tower->projection);
    return text_module(lora, derived, weights, names, "text_projection", NULL, "text_projection", key, strength);
}

static NodusStatus text_tower(Lora *lora, Derived *derived, const WeightSet *weights, const ClipTextConfig *tower, bool alone,
                              double strength)
{
    static const TextNames first = {{"lora_te", "lora_te1"}, "text_encoder"}, second = {{"lora_te2"}, "text_encoder_2"},
                           lone_second = {{"lora_te2", "lora_te"}, "text_encoder_2"};
    const TextNames *names = tower->kind != CLIP_G ? &first : alone ? &lone_second : &second;
    for (int i = 0; i < tower->layers; i++) NODUS_TRY(text_layer(lora, derived, weights, tower, names, i, strength));
    return tower->layers && tower->projection[0] ? text_projection(lora, derived, weights, tower, names, strength) : NULL;
}

static NodusStatus text_towers(Lora *lora, Derived *derived, const Clip *clip, double strength)
{
    NODUS_TRY(text_tower(lora, derived, clip->weights, &clip->text, !clip->second.layers, strength));
    return text_tower(lora, derived, clip->weights, &clip->second, false, strength);
}

NodusStatus lora_on_clip(Lora *lora, const Clip *clip, double strength, Clip **out)
{
    Derived *derived;
    WeightSet *weights;
    NODUS_TRY(derived_new(clip->weights, true, &derived));
    NodusStatus status = derived_keep(derived, lora->weights);
    if (!status) status = text_towers(lora, derived, clip, strength);
    if (!status) status = derived_finish(derived, &weights);
    if (status) {
        derived_free(derived);
        return status;
    }
    *out = clip_with_weights(clip, weights);
    return *out ? NULL : status_memory();
}
