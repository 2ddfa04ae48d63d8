/* lora_apply.c: see lora_apply.h.
 *
 * One idea: ask each layer of the network for the names that trainers give it, and look these up in the file. On a UNet the two
 * thin matrices stand beside the weight and are multiplied with what comes in; a text encoder's weights are added up and rounded
 * when they are packed, because that rounding shows. */
#include "nodes/lora_apply.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "nodes/models/diffusers_names.h"
#include "nodes/models/keys.h"
#include <stdio.h>
#include <string.h>

/* ---- Entries of the file ----------------------------------------------------------------------------------------- */

static const struct {
    const char *up, *down;
} forms[] = {
    {".lora_up.weight", ".lora_down.weight"},
    {"_lora.up.weight", "_lora.down.weight"},
    {".lora_B.weight", ".lora_A.weight"},
    {".lora.up.weight", ".lora.down.weight"},
    {".lora_linear_layer.up.weight", ".lora_linear_layer.down.weight"},
    {".lora_B.default.weight", ".lora_A.default.weight"},
    {".lora_B", ".lora_A"},
};
enum { FORMS = sizeof forms / sizeof *forms };

/* Kinds that come later; an entry whose name ends like this would be lost without a word. */
static const struct {
    const char *tail, *kind;
} later[] = {
    {".hada_w1_a", "LoHa"},         {".lokr_w1", "LoKr"},           {".lokr_w1_a", "LoKr"},
    {".oft_blocks", "OFT"},         {".dora_scale", "DoRA"},        {".lora_mid.weight", "Tucker"},
    {".diff", "weight difference"}, {".diff_b", "bias difference"}, {".set_weight", "replaced weight"},
    {".w_norm", "norm difference"}, {".b_norm", "norm difference"}, {".a1.weight", "GLoRA"},
};

static bool ends_in(const char *text, const char *tail)
{
    const size_t length = strlen(text), end = strlen(tail);
    return length > end && !strcmp(text + length - end, tail);
}

NodusStatus lora_read(WeightSet *weights, Lora *out)
{
    *out = (Lora){.weights = weights};
    for (int i = 0; i < weights_count(weights); i++) {
        const char *name = weights_at(weights, i)->name;
        for (size_t k = 0; k < sizeof later / sizeof *later; k++)
            if (ends_in(name, later[k].tail))
                return nodus_error(NODUS_ERROR_MISSING, "it holds %s patches (\"%.100s\"), which this version cannot apply yet",
                                   later[k].kind, name);
        for (int k = 0; k < FORMS; k++)
            if (ends_in(name, forms[k].up)) {
                out->parts++;
                break;
            }
    }
    if (!out->parts)
        return nodus_error(NODUS_ERROR_FILE, "this is no LoRA: it has no entry whose name ends in \"%s\"", forms[0].up);
    return NULL;
}

/* The patch called `name`, if the file has one. */
typedef struct Pair {
    int up, down;
    double scale; /* alpha / rank */
} Pair;

static NodusStatus pair_scale(const Lora *lora, const char *name, Pair *pair)
{
    const Weight *alpha = keys_get(lora->weights, name, ".alpha"), *down = weights_at(lora->weights, pair->down);
    float value;
    pair->scale = 1;
    if (!alpha || down->rank < 1 || !down->dim[0] || alpha->bytes != dtype_size(alpha->dtype)) return NULL;
    NODUS_TRY(weights_read_f32(alpha, &value));
    pair->scale = (double)value / (double)down->dim[0];
    return NULL;
}

static NodusStatus pair_find(const Lora *lora, const char *name, Pair *pair, bool *found)
{
    char key[KEYS_LONGEST + 64];
    *found = false;
    for (int i = 0; i < FORMS; i++) {
        snprintf(key, sizeof key, "%s%s", name, forms[i].up);
        if ((pair->up = weights_find(lora->weights, key)) < 0) continue;
        snprintf(key, sizeof key, "%s%s", name, forms[i].down);
        if ((pair->down = weights_find(lora->weights, key)) < 0) continue;
        *found = true;
        return pair_scale(lora, name, pair);
    }
    return NULL;
}

/* ---- Adding to a weight ------------------------------------------------------------------------------------------ */

/* The weight += scale·up·down. */
typedef struct Product {
    WeightChange change;
    const Weight *up, *down;
    int64_t rows, columns, rank;
    float scale;
} Product;

static NodusStatus product_apply(const WeightChange *change, const Weight *weight, float *values)
{
    const Product *product = (const Product *)change;
    const size_t up = (size_t)(product->rows * product->rank), down = (size_t)(product->rank * product->columns);
    float *numbers = memory_array(up + down, sizeof *numbers);
    (void)weight;
    if (!numbers) return status_memory();
    NodusStatus status = weights_read_f32(product->up, numbers);
    if (!status) status = weights_read_f32(product->down, numbers + up);
    if (!status)
        derived_add_product(values, product->rows, product->columns, product->rank, numbers, numbers + up, product->scale);
    memory_free(numbers);
    return status;
}

static int64_t numbers_of(const Weight *weight)
{
    return (int64_t)(weight->bytes / dtype_size(weight->dtype));
}

/* False in *fits when the shapes do not agree. */
static NodusStatus product_add(Derived *derived, const Weight *weight, int index, const Lora *lora, const Pair *pair, float scale,
                               bool *fits)
{
    const Weight *up = weights_at(lora->weights, pair->up), *down = weights_at(lora->weights, pair->down);
    const int64_t rows = weight->rank ? weight->dim[0] : 0, columns = rows ? numbers_of(weight) / rows : 0,
                  rank = down->rank ? down->dim[0] : 0;
    *fits = columns && rank && up->rank && up->dim[0] == rows && numbers_of(up) / rows == rank && numbers_of(up) % rows == 0 &&
            numbers_of(down) / rank == columns && numbers_of(down) % rank == 0;
    if (!*fits) return NULL;
    Product *product = derived_alloc(derived, sizeof *product);
    if (!product) return status_memory();
    *product = (Product){{product_apply, {0, 0}}, up, down, rows, columns, rank, scale};
    struct {
        Hash128 up, down;
        double scale;
    } key;
    memset(&key, 0, sizeof key);
    key.up = weights_identity_at(lora->weights, pair->up);
    key.down = weights_identity_at(lora->weights, pair->down);
    key.scale = scale;
    product->change.identity = hash_of(&key, sizeof key);
    return derived_change(derived, index, &product->change);
}

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
    Pair pair;
    bool found = false, fits = false;
    const int count = unet_names(model, layer, names);
    for (int i = 0; i < count && !found; i++) NODUS_TRY(pair_find(lora, names[i], &pair, &found));
    if (!found) return NULL;
    const float scale = (float)(strength * pair.scale);
    const Weight *weight = weights_at(model->weights, index);
    NODUS_TRY(derived_beside(derived, index, lora->weights, pair.down, pair.up, scale, &fits));
    if (!fits) NODUS_TRY(product_add(derived, weight, index, lora, &pair, scale, &fits));
    lora->used += fits;
    return NULL;
}

static NodusStatus unet_layers(Lora *lora, Derived *derived, const Model *model, double strength)
{
    const char *prefix = model->unet.prefix, tail[] = ".weight";
    const size_t skip = strlen(prefix);
    char layer[KEYS_LONGEST];
    for (int i = 0; i < weights_count(model->weights); i++) {
        const Weight *weight = weights_at(model->weights, i);
        if (weight->rank < 2 || strncmp(weight->name, prefix, skip) != 0 || !ends_in(weight->name, tail) ||
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

static NodusStatus text_find(const Lora *lora, const TextNames *names, int layer, const char *module, Pair *pair, bool *found)
{
    char dotted[128], name[256];
    snprintf(dotted, sizeof dotted, "text_model.encoder.layers.%d.%s", layer, module);
    *found = false;
    for (int i = 0; i < 2 && names->kohya[i] && !*found; i++) {
        snprintf(name, sizeof name, "%s_%s", names->kohya[i], dotted);
        underscores(name);
        NODUS_TRY(pair_find(lora, name, pair, found));
    }
    snprintf(name, sizeof name, "%s.%s", names->diffusers, dotted);
    return *found ? NULL : pair_find(lora, name, pair, found);
}

static NodusStatus text_add(Lora *lora, Derived *derived, const WeightSet *weights, const char *key, const Pair *pair,
                            double strength)
{
    const int index = weights_find(weights, key);
    bool fits;
    if (index < 0) return NULL;
    NODUS_TRY(product_add(derived, weights_at(weights, index), index, lora, pair, (float)(strength * pair->scale), &fits));
    lora->used += fits;
    return NULL;
}

/* The patches of one layer's modules, at the names that Hugging Face gives the weights. */
static NodusStatus text_layer(Lora *lora, Derived *derived, const WeightSet *weights, const ClipTextConfig *tower,
                              const TextNames *names, int layer, double strength)
{
    char key[KEYS_LONGEST];
    for (int i = 0; i < TEXT_MODULES; i++) {
        Pair pair;
        bool found;
        NODUS_TRY(text_find(lora, names, layer, text_modules[i], &pair, &found));
        snprintf(key, sizeof key, "%sencoder.layers.%d.%s.weight", tower->prefix, layer, text_modules[i]);
        if (found) NODUS_TRY(text_add(lora, derived, weights, key, &pair, strength));
    }
    return NULL;
}

static NodusStatus text_projection(Lora *lora, Derived *derived, const WeightSet *weights, const ClipTextConfig *tower,
                                   const TextNames *names, double strength)
{
    char name[64], key[KEYS_LONGEST];
    Pair pair;
    bool found = false;
    for (int i = 0; i < 2 && names->kohya[i] && !found; i++) {
        snprintf(name, sizeof name, "%s_text_projection", names->kohya[i]);
        NODUS_TRY(pair_find(lora, name, &pair, &found));
    }
    snprintf(key, sizeof key, "%s.weight", tower->projection);
    return found ? text_add(lora, derived, weights, key, &pair, strength) : NULL;
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
