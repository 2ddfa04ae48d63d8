/* control_lora.c: see control_lora.h. */
#include "nodes/diffusion/control_lora.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/base/text.h"
#include "engine/tensor/derived.h"
#include <stdio.h>
#include <string.h>

enum { NAME = 512 };

typedef struct Maker {
    Derived *derived;
    WeightSet *file;
    const Model *model;
    size_t skip; /* letters of the file's prefix */
} Maker;

/* The product added to the weight itself, where it cannot stand beside it. */
typedef struct Product {
    WeightChange change;
    const Weight *up, *down;
} Product;

static size_t numbers_of(const Weight *weight)
{
    size_t count = 1;
    for (int i = 0; i < weight->rank; i++) count *= (size_t)weight->dim[i];
    return count;
}

static NodusStatus product_apply(const WeightChange *change, const Weight *weight, float *values)
{
    const Product *product = (const Product *)change;
    const size_t up = numbers_of(product->up), down = numbers_of(product->down);
    const int64_t rank = product->down->dim[0];
    float *parts = memory_array(up + down, sizeof *parts);
    if (!parts) return status_memory();
    NodusStatus status = weights_read_f32(product->up, parts);
    if (!status) status = weights_read_f32(product->down, parts + up);
    if (!status)
        derived_add_product(values, weight->dim[0], (int64_t)numbers_of(weight) / weight->dim[0], rank, parts, parts + up, 1);
    memory_free(parts);
    return status;
}

static bool product_fits(const Weight *weight, const Weight *up, const Weight *down)
{
    if (!weight->rank || up->rank < 2 || down->rank < 2 || !down->dim[0] || !weight->dim[0]) return false;
    const size_t rank = (size_t)down->dim[0], rows = (size_t)weight->dim[0];
    return up->dim[0] == weight->dim[0] && numbers_of(up) == rows * rank && numbers_of(down) % rank == 0 &&
           numbers_of(down) / rank == numbers_of(weight) / rows;
}

static NodusStatus add_product(const Maker *maker, int index, int up, int down)
{
    const Weight *weight = weights_at(maker->model->weights, index);
    const BesidePair pair = {maker->file, down, up, 1, 0};
    bool beside = false;
    if (!product_fits(weight, weights_at(maker->file, up), weights_at(maker->file, down)))
        return nodus_error(NODUS_ERROR_INPUT, "this Control-LoRA was made for a model of another family: \"%.200s\" has other sizes "
                           "than \"%.200s\"", weights_at(maker->file, up)->name, weight->name);
    NODUS_TRY(derived_beside(maker->derived, index, &pair, &beside));
    if (beside) return NULL;
    Product *product = derived_alloc(maker->derived, sizeof *product);
    if (!product) return status_memory();
    const Hash128 parts[] = {weights_identity_at(maker->file, up), weights_identity_at(maker->file, down)};
    *product = (Product){{product_apply, hash_of(parts, sizeof parts)}, weights_at(maker->file, up), weights_at(maker->file, down)};
    return derived_change(maker->derived, index, &product->change);
}

/* "….up" of the file: a change of the model's "….weight". */
static NodusStatus change_layer(const Maker *maker, int up, const char *name, int stem)
{
    char key[NAME], other[NAME];
    const char *whole = weights_at(maker->file, up)->name;
    const int used = snprintf(key, sizeof key, "%s%.*s.weight", maker->model->unet.prefix, stem, name);
    const int length = snprintf(other, sizeof other, "%.*s%.*s.down", (int)maker->skip, whole, stem, name);
    const int index = used < NAME ? weights_find(maker->model->weights, key) : -1;
    const int down = length < NAME ? weights_find(maker->file, other) : -1;
    if (down < 0) return nodus_error(NODUS_ERROR_FILE, "the Control-LoRA has \"%.200s\" but not the \".down\" to it", whole);
    if (index >= 0) return add_product(maker, index, up, down);
    return nodus_error(NODUS_ERROR_INPUT, "this Control-LoRA was made for a model of another family: it changes \"%.200s\", which the model "
                       "has not", whole);
}

/* A part of its own, or in place of the model's. */
static NodusStatus add_whole(const Maker *maker, int index, const char *name)
{
    char key[NAME];
    const Weight *weight = weights_at(maker->file, index);
    if (snprintf(key, sizeof key, "%s%s", maker->model->unet.prefix, name) >= NAME)
        return nodus_error(NODUS_ERROR_FILE, "the name \"%.200s…\" is too long", name);
    const int at = weights_find(maker->model->weights, key);
    if (at < 0) return derived_join(maker->derived, key, maker->file, index);
    if (numbers_of(weights_at(maker->model->weights, at)) == numbers_of(weight))
        return derived_mix(maker->derived, at, 0, maker->file, index, 1);
    return nodus_error(NODUS_ERROR_INPUT, "this Control-LoRA was made for a model of another family: \"%.200s\" has another size there",
                       weight->name);
}

static NodusStatus add_all(const Maker *maker, const char *prefix)
{
    for (int i = 0; i < weights_count(maker->file); i++) {
        const char *name = weights_at(maker->file, i)->name + maker->skip;
        if (strncmp(weights_at(maker->file, i)->name, prefix, maker->skip) != 0) continue;
        const size_t length = strlen(name);
        if (!strcmp(name, "lora_controlnet") || text_ends(name, ".down")) continue;
        if (text_ends(name, ".up")) NODUS_TRY(change_layer(maker, i, name, (int)(length - strlen(".up"))));
        else NODUS_TRY(add_whole(maker, i, name));
    }
    return NULL;
}

/* What switches a LoRA of the model on and off is bound to the model's plan alone. */
static NodusStatus check_gates(const WeightSet *model)
{
    for (int i = 0; i < weights_count(model); i++) {
        const char *name = weights_at(model, i)->name;
        if (derived_is_beside(name) && text_ends(name, ".gate"))
            return nodus_error(NODUS_ERROR_MISSING, "a Control-LoRA cannot be added to a model with a LoRA that acts in a part of the "
                               "sampling: let that act from 0 to 1");
    }
    return NULL;
}

NodusStatus control_lora_weights(WeightSet *file, const char *prefix, const Model *model, WeightSet **out)
{
    Maker maker = {.file = file, .model = model, .skip = strlen(prefix)};
    NODUS_TRY(check_gates(model->weights));
    NODUS_TRY(derived_new(model->weights, false, &maker.derived));
    NodusStatus status = derived_keep(maker.derived, file);
    if (!status) status = add_all(&maker, prefix);
    if (!status) status = derived_finish(maker.derived, out);
    if (status) derived_free(maker.derived);
    return status;
}
