/* lora_apply.c: see lora_apply.h.
 *
 * One idea: ask each layer of the network for the names that trainers give it, and look these up in the file. On a UNet the two
 * thin matrices stand beside the weight and are multiplied with what comes in; a text encoder's weights are added up and rounded
 * when they are packed, because that rounding shows. */
#include "nodes/lora_apply.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/base/text.h"
#include "nodes/lora_select.h"
#include "nodes/models/diffusers_names.h"
#include "nodes/models/keys.h"
#include <stdio.h>
#include <string.h>

/* ---- UNets --------------------------------------------------------------------------------------------------------- */

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
    if (text_ends(out, ".to_out.0")) out[used - 2] = 0;
}

enum { UNET_NAMES = 9, NAME_ROOM = KEYS_LONGEST + 32 };

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
    memcpy(names[count + 1], names[count] + 5, strlen(names[count]) - 4); /* with its 0 */
    count += 2;
    snprintf(names[count++], NAME_ROOM, "unet.%s", other);
    snprintf(names[count++], NAME_ROOM, "base_model.model.%s", other);
    snprintf(names[count++], NAME_ROOM, "unet.base_model.model.%s", other);
    return count;
}

/* What an encoder is called in the names of entries: "lora_te" and "text_encoder" for a first one. */
enum { KOHYA_NAMES = 2, DOTTED_NAMES = 4 };
typedef struct TextNames {
    const char *kohya[KOHYA_NAMES], *dotted[DOTTED_NAMES];
} TextNames;

/* A module of a text encoder. */
typedef struct TextSite {
    const TextNames *names;
    const char *kohya, *dotted; /* dotted: as Hugging Face's file names it; kohya NULL: only under that */
    const char *layer;          /* its name for rules */
} TextSite;

/* What is done with each layer: `layer` is its name in the network. */
typedef struct Walk Walk;
struct Walk {
    NodusStatus (*unet)(const Walk *walk, int index, const char *layer);
    NodusStatus (*text)(const Walk *walk, int index, const TextSite *site);
    const Model *model; /* UNets */
    const Clip *clip;   /* text encoders */
    Lora *lora;
    Derived *derived;
    double strength;
    LoraVisit visit;
    void *user;
};

static NodusStatus unet_put(const Walk *walk, int index, const char *layer)
{
    char names[UNET_NAMES][NAME_ROOM];
    bool found = false;
    const int count = unet_names(walk->model, layer, names);
    const double factor = walk->lora->rules ? lora_select_factor(walk->lora->rules, layer, false) : 1;
    for (int i = 0; i < count && !found; i++)
        NODUS_TRY(lora_patch(walk->lora, walk->derived, walk->model->weights, index, names[i], walk->strength * factor, &found));
    return NULL;
}

static NodusStatus unet_visit(const Walk *walk, int index, const char *layer)
{
    char names[UNET_NAMES][NAME_ROOM];
    const int count = unet_names(walk->model, layer, names);
    return walk->visit(walk->user, index, names[count > 2 ? 2 : 0]); /* diffusers' words, where it has such */
}

static NodusStatus unet_layers(const Walk *walk)
{
    const Model *model = walk->model;
    const char *prefix = model->unet.prefix, tail[] = ".weight";
    const size_t skip = strlen(prefix);
    char layer[KEYS_LONGEST];
    for (int i = 0; i < weights_count(model->weights); i++) {
        const Weight *weight = weights_at(model->weights, i);
        if (strncmp(weight->name, prefix, skip) != 0 || !text_ends(weight->name, tail) ||
            derived_is_beside(weight->name))
            continue;
        const size_t length = strlen(weight->name + skip) - (sizeof tail - 1);
        if (length >= sizeof layer) continue;
        memcpy(layer, weight->name + skip, length);
        layer[length] = 0;
        NODUS_TRY(walk->unet(walk, i, layer));
    }
    return NULL;
}

NodusStatus lora_layers_of_model(const Model *model, LoraVisit visit, void *user)
{
    return unet_layers(&(Walk){.unet = unet_visit, .model = model, .visit = visit, .user = user});
}

NodusStatus lora_on_model(Lora *lora, const Model *model, double strength, Model **out)
{
    Derived *derived;
    WeightSet *weights;
    NODUS_TRY(derived_new(model->weights, false, &derived));
    NodusStatus status = derived_keep(derived, lora->weights);
    const Walk walk = {.unet = unet_put, .model = model, .lora = lora, .derived = derived, .strength = strength};
    if (!status) status = unet_layers(&walk);
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

static void text_name(const char *encoder, const char *module, char *out, size_t room)
{
    snprintf(out, room, "%s_%s", encoder, module);
    underscores(out);
}

/* What the file has for one module. */
static NodusStatus text_put(const Walk *walk, int index, const TextSite *site)
{
    char name[NAME_ROOM];
    bool found = false;
    const WeightSet *weights = walk->clip->weights;
    const double strength = walk->strength * (walk->lora->rules ? lora_select_factor(walk->lora->rules, site->layer, true) : 1);
    for (int i = 0; i < KOHYA_NAMES && site->kohya && site->names->kohya[i] && !found; i++) {
        text_name(site->names->kohya[i], site->kohya, name, sizeof name);
        NODUS_TRY(lora_patch(walk->lora, walk->derived, weights, index, name, strength, &found));
    }
    for (int i = 0; i < DOTTED_NAMES && !found; i++) {
        snprintf(name, sizeof name, "%s.%s", site->names->dotted[i], site->dotted);
        NODUS_TRY(lora_patch(walk->lora, walk->derived, weights, index, name, strength, &found));
    }
    return NULL;
}

static NodusStatus text_visit(const Walk *walk, int index, const TextSite *site)
{
    char name[NAME_ROOM];
    if (!site->kohya) return NULL;
    text_name(site->names->kohya[walk->clip->second.layers && site->names->kohya[1] ? 1 : 0], site->kohya, name, sizeof name);
    return walk->visit(walk->user, index, name);
}

/* Whether a layer is one of those that kohya's files have; all others have only the network's own names. */
static bool is_text_module(const char *layer)
{
    if (strncmp(layer, "encoder.layers.", 15) != 0) return false;
    for (int i = 0; i < TEXT_MODULES; i++)
        if (text_ends(layer, text_modules[i])) return true;
    return false;
}

static NodusStatus text_layers(const Walk *walk, const ClipTextConfig *tower, const TextNames *names)
{
    const WeightSet *weights = walk->clip->weights;
    const size_t skip = strlen(tower->prefix);
    char dotted[KEYS_LONGEST + 16], tail[] = ".weight";
    for (int i = 0; i < weights_count(weights); i++) {
        const char *name = weights_at(weights, i)->name, *layer = dotted + strlen("text_model.");
        if (strncmp(name, tower->prefix, skip) != 0 || !text_ends(name, tail) || derived_is_beside(name)) continue;
        const int length = snprintf(dotted, sizeof dotted, "text_model.%s", name + skip) - (int)(sizeof tail - 1);
        if (length < (int)strlen("text_model.") || length >= KEYS_LONGEST) continue;
        dotted[length] = 0;
        NODUS_TRY(walk->text(walk, i, &(TextSite){names, is_text_module(layer) ? dotted : NULL, dotted, layer}));
    }
    return NULL;
}

static NodusStatus text_projection(const Walk *walk, const ClipTextConfig *tower, const TextNames *names)
{
    static const char name[] = "text_projection";
    char key[KEYS_LONGEST];
    snprintf(key, sizeof key, "%s.weight", tower->projection);
    const int index = weights_find(walk->clip->weights, key);
    return index < 0 ? NULL : walk->text(walk, index, &(TextSite){names, name, name, name});
}

static NodusStatus text_tower(const Walk *walk, const ClipTextConfig *tower, bool alone)
{
    static const TextNames first = {{"lora_te", "lora_te1"},
                                    {"text_encoder", "clip_l", "text_encoder.base_model.model", "text_encoders.clip_l.transformer"}},
                           wide = {{"lora_te", "lora_te1"},
                                   {"text_encoder", "clip_l", "text_encoder.base_model.model", "text_encoders.clip_h.transformer"}},
                           second = {{"lora_te2"},
                                     {"text_encoder_2", "clip_g", "text_encoder_2.base_model.model", "text_encoders.clip_g.transformer"}},
                           lone_second = {{"lora_te"}, /* a refiner's */
                                          {"text_encoder", "clip_g", "text_encoder.base_model.model", "text_encoders.clip_g.transformer"}};
    const TextNames *names = tower->kind == CLIP_L ? &first : tower->kind == CLIP_H ? &wide : alone ? &lone_second : &second;
    if (!tower->layers) return NULL;
    NODUS_TRY(text_layers(walk, tower, names));
    return tower->projection[0] ? text_projection(walk, tower, names) : NULL;
}

static NodusStatus text_towers(const Walk *walk)
{
    NODUS_TRY(text_tower(walk, &walk->clip->text, !walk->clip->second.layers));
    return text_tower(walk, &walk->clip->second, false);
}

NodusStatus lora_layers_of_clip(const Clip *clip, LoraVisit visit, void *user)
{
    return text_towers(&(Walk){.text = text_visit, .clip = clip, .visit = visit, .user = user});
}

NodusStatus lora_on_clip(Lora *lora, const Clip *clip, double strength, Clip **out)
{
    Derived *derived;
    WeightSet *weights;
    NODUS_TRY(derived_new(clip->weights, true, &derived));
    NodusStatus status = derived_keep(derived, lora->weights);
    const Walk walk = {.text = text_put, .clip = clip, .lora = lora, .derived = derived, .strength = strength};
    if (!status) status = text_towers(&walk);
    if (!status) status = derived_finish(derived, &weights);
    if (status) {
        derived_free(derived);
        return status;
    }
    *out = clip_with_weights(clip, weights);
    return *out ? NULL : status_memory();
}
