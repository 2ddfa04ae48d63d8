/* lora_patch.c: see lora_patch.h. */
#include "nodes/lora_patch.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/base/text.h"
#include "nodes/lora_formulas.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- Entries of the file ----------------------------------------------------------------------------------------- */

typedef enum LoraKind {
    KIND_PRODUCT, /* LoRA, LoCon: up·down, with a kernel between them: up·mid·down */
    KIND_LOHA,
    KIND_LOKR,
    KIND_GLORA,
    KIND_OFT, /* and BOFT, by the rank of its blocks */
    KIND_DIFFERENCE,
    KIND_REPLACED,
    KINDS
} LoraKind;

enum { PARTS = 8, KEY_ROOM = KEYS_LONGEST + 64, LARGEST_DIFFERENCE = 1 << 27 /* numbers; the largest layers have half of it */ };

/* Parts of a form, by place; each begins what the rows below name. */
enum { UP, DOWN, MID };
enum { W1_A, W1_B, W2_A, W2_B, T1, T2, W1, W2 };
enum { A1, A2, B1, B2 };

typedef struct Form {
    LoraKind kind;
    unsigned needed; /* bits of the parts without which there is nothing */
    const char *part[PARTS];
    bool bias;       /* it is for the layer's bias */
    unsigned either; /* or these bits */
} Form;

static const Form forms[] = {
    {KIND_PRODUCT, 3, {".lora_up.weight", ".lora_down.weight", ".lora_mid.weight"}},
    {KIND_PRODUCT, 3, {"_lora.up.weight", "_lora.down.weight"}},
    {KIND_PRODUCT, 3, {".lora_B.weight", ".lora_A.weight"}},
    {KIND_PRODUCT, 3, {".lora.up.weight", ".lora.down.weight"}},
    {KIND_PRODUCT, 3, {".lora_linear_layer.up.weight", ".lora_linear_layer.down.weight"}},
    {KIND_PRODUCT, 3, {".lora_B.default.weight", ".lora_A.default.weight"}},
    {KIND_PRODUCT, 3, {".lora_B", ".lora_A"}},
    {KIND_LOHA, 15, {".hada_w1_a", ".hada_w1_b", ".hada_w2_a", ".hada_w2_b", ".hada_t1", ".hada_t2"}},
    {KIND_LOKR,
     1 << W1,
     {".lokr_w1_a", ".lokr_w1_b", ".lokr_w2_a", ".lokr_w2_b", NULL, ".lokr_t2", ".lokr_w1", ".lokr_w2"},
     .either = 1 << W1_A | 1 << W1_B},
    {KIND_GLORA, 15, {".a1.weight", ".a2.weight", ".b1.weight", ".b2.weight"}},
    {KIND_OFT, 1, {".oft_blocks"}},
    {KIND_DIFFERENCE, 1, {".w_norm"}},
    {KIND_DIFFERENCE, 1, {".diff"}},
    {KIND_REPLACED, 1, {".set_weight"}},
    {KIND_DIFFERENCE, 1, {".b_norm"}, true},
    {KIND_DIFFERENCE, 1, {".diff_b"}, true},
};
enum { FORMS = sizeof forms / sizeof *forms };

/* As PEFT writes a DoRA's; kohya's is ".dora_scale". */
static const char *const peft_magnitudes[] = {".lora_magnitude_vector", ".lora_magnitude_vector.weight",
                                              ".lora_magnitude_vector.default.weight"};

/* The entry that stands for a whole patch when they are counted. */
static bool is_first(const Form *form, const char *name)
{
    if (form->kind == KIND_LOKR) return text_ends(name, form->part[W1]) || text_ends(name, form->part[W1_A]);
    return text_ends(name, form->part[0]);
}

bool lora_begins(const Lora *lora, int index)
{
    for (int k = 0; k < FORMS; k++)
        if (is_first(&forms[k], weights_at(lora->weights, index)->name)) return true;
    return false;
}

bool lora_knows(const char *name)
{
    for (int k = 0; k < FORMS; k++)
        for (int i = 0; i < PARTS; i++)
            if (forms[k].part[i] && text_ends(name, forms[k].part[i])) return true;
    for (int i = 0; i < 3; i++)
        if (text_ends(name, peft_magnitudes[i])) return true;
    return text_ends(name, ".alpha") || text_ends(name, ".dora_scale");
}

NodusStatus lora_read(WeightSet *weights, Lora *out)
{
    *out = (Lora){.weights = weights};
    for (int i = 0; i < weights_count(weights); i++) out->parts += lora_begins(out, i);
    if (!out->parts)
        return nodus_error(NODUS_ERROR_FILE, "this is no LoRA: it has no entry whose name ends in \"%s\" or the like", forms[0].part[0]);
    return NULL;
}

/* ---- One patch ----------------------------------------------------------------------------------------------------- */

typedef struct Patch {
    WeightChange change;
    LoraKind kind;
    LoraShape shape;
    const Weight *part[PARTS], *magnitude; /* magnitude: DoRA's; or NULL */
    bool of_whole;
    float strength, scale;                 /* scale: alpha over the rank; of a rotation its cap, 0: none */
} Patch;

/* One found in a file. */
typedef struct Found {
    const Form *form;
    int part[PARTS]; /* indices, −1: absent */
    int magnitude, alpha;
    bool of_whole; /* the magnitude is that of PEFT: in the place of the changed weight's norms, not of the weight's */
} Found;

static int find(const Lora *lora, const char *name, const char *tail)
{
    char key[KEY_ROOM];
    if (!tail) return -1;
    const int length = snprintf(key, sizeof key, "%s%s", name, tail);
    return length < (int)sizeof key ? weights_find(lora->weights, key) : -1;
}

static bool found_form(const Lora *lora, const char *name, const Form *form, Found *found)
{
    unsigned there = 0;
    for (int i = 0; i < PARTS; i++) {
        found->part[i] = find(lora, name, form->part[i]);
        there |= (unsigned)(found->part[i] >= 0) << i;
    }
    found->form = form;
    found->magnitude = find(lora, name, ".dora_scale");
    found->of_whole = found->magnitude < 0;
    for (int i = 0; i < 3 && found->magnitude < 0; i++) found->magnitude = find(lora, name, peft_magnitudes[i]);
    found->alpha = find(lora, name, ".alpha");
    return (there & form->needed) == form->needed || (form->either && (there & form->either) == form->either);
}

static int64_t numbers_of(const Weight *weight)
{
    return (int64_t)(weight->bytes / dtype_size(weight->dtype));
}

/* The size of an axis: 0 where there is none. */
static int64_t dim_of(const Weight *weight, int axis)
{
    return weight && axis < weight->rank ? weight->dim[axis] : 0;
}

static bool shape_of(const Weight *weight, LoraShape *shape)
{
    shape->rows = dim_of(weight, 0);
    shape->channels = weight->rank > 1 ? weight->dim[1] : 1;
    if (shape->rows < 1 || shape->channels < 1) return false;
    shape->places = numbers_of(weight) / shape->rows / shape->channels;
    return shape->places > 0;
}

/* Whether a part has `rows` rows of `rest` numbers; any number of axes. */
static bool is_matrix(const Weight *part, int64_t rows, int64_t rest)
{
    return part && part->rank > 0 && rows > 0 && rest > 0 && part->dim[0] == rows && numbers_of(part) % rows == 0 &&
           numbers_of(part) / rows == rest;
}

static bool product_fits(const Patch *patch)
{
    const LoraShape *shape = &patch->shape;
    const Weight *up = patch->part[UP], *down = patch->part[DOWN], *mid = patch->part[MID];
    const int64_t second = dim_of(down, 0), rank = mid ? dim_of(mid, 0) : second;
    if (!is_matrix(up, shape->rows, rank)) return false;
    if (!mid) return is_matrix(down, rank, shape->channels * shape->places);
    return is_matrix(down, second, shape->channels) && is_matrix(mid, rank, second * shape->places) && dim_of(mid, 1) == second;
}

/* One of the two products of a LoHa; with a kernel both matrices stand the other way. */
static bool loha_half_fits(const LoraShape *shape, const Weight *a, const Weight *b, const Weight *t)
{
    if (!t) return is_matrix(a, shape->rows, dim_of(b, 0)) && is_matrix(b, dim_of(b, 0), shape->channels * shape->places);
    return is_matrix(a, dim_of(t, 0), shape->rows) && is_matrix(b, dim_of(t, 1), shape->channels) &&
           is_matrix(t, dim_of(t, 0), dim_of(t, 1) * shape->places);
}

static bool loha_fits(const Patch *patch)
{
    const Weight *const *part = patch->part;
    return loha_half_fits(&patch->shape, part[W1_A], part[W1_B], part[T1]) &&
           loha_half_fits(&patch->shape, part[W2_A], part[W2_B], part[T2]);
}

/* The sizes of the two factors of a LoKr: left [a, b], right [c, inner]. */
typedef struct Factors {
    int64_t a, b, c, inner;
} Factors;

static bool lokr_factors(const Patch *patch, Factors *out)
{
    const Weight *const *part = patch->part;
    const LoraShape *shape = &patch->shape;
    const int64_t columns = shape->channels * shape->places;
    *out = (Factors){part[W1] ? dim_of(part[W1], 0) : dim_of(part[W1_A], 0), part[W1] ? dim_of(part[W1], 1) : dim_of(part[W1_B], 1), 0, 0};
    if (out->a < 1 || out->b < 1 || shape->rows % out->a || shape->channels % out->b) return false;
    out->c = shape->rows / out->a;
    out->inner = columns / out->b;
    if (!part[W1] && !(is_matrix(part[W1_A], out->a, dim_of(part[W1_B], 0)) && is_matrix(part[W1_B], dim_of(part[W1_B], 0), out->b)))
        return false;
    if (part[W1] && !is_matrix(part[W1], out->a, out->b)) return false;
    if (part[W2]) return is_matrix(part[W2], out->c, out->inner);
    const LoraShape right = {out->c, shape->channels / out->b, shape->places};
    return part[W2_A] && part[W2_B] && loha_half_fits(&right, part[W2_A], part[W2_B], part[T2]);
}

static bool glora_fits(const Patch *patch)
{
    const Weight *const *part = patch->part;
    const LoraShape *shape = &patch->shape;
    const int64_t rank = dim_of(part[A2], 0), rank_b = dim_of(part[B2], 0);
    return is_matrix(part[A1], shape->channels, rank) && is_matrix(part[A2], rank, shape->channels) &&
           is_matrix(part[B1], shape->rows, rank_b) && is_matrix(part[B2], rank_b, shape->channels * shape->places);
}

/* Older files have the factors of both products the other way round: A = a2·a1 and B = b2·b1. */
static void glora_turn(Patch *patch)
{
    const Weight *const a1 = patch->part[A1], *const b1 = patch->part[B1];
    patch->part[A1] = patch->part[A2];
    patch->part[B1] = patch->part[B2];
    patch->part[A2] = a1;
    patch->part[B2] = b1;
}

static bool oft_fits(const Patch *patch)
{
    const Weight *blocks = patch->part[0];
    const int first = blocks->rank - 3; /* 1: butterfly, with stages in front */
    if (first < 0 || first > 1) return false;
    const int64_t stages = first ? blocks->dim[0] : 1, count = dim_of(blocks, first), size = dim_of(blocks, first + 1);
    if (count < 1 || size < 1 || dim_of(blocks, first + 2) != size || size > patch->shape.rows ||
        count != patch->shape.rows / size || patch->shape.rows % size)
        return false;
    if (!first) return true;
    return size % 2 == 0 && stages > 0 && stages < 32 && patch->shape.rows % (size << (stages - 1)) == 0;
}

static bool magnitude_fits(const Patch *patch)
{
    const int64_t count = patch->magnitude ? numbers_of(patch->magnitude) : 0;
    return !patch->magnitude || count == patch->shape.rows || count == patch->shape.channels;
}

static bool patch_fits(const Patch *patch)
{
    Factors factors;
    if (!magnitude_fits(patch)) return false;
    switch (patch->kind) {
    case KIND_PRODUCT: return product_fits(patch);
    case KIND_LOHA: return loha_fits(patch);
    case KIND_LOKR: return lokr_factors(patch, &factors);
    case KIND_GLORA: return glora_fits(patch);
    case KIND_OFT: return oft_fits(patch);
    default: return numbers_of(patch->part[0]) == patch->shape.rows * patch->shape.channels * patch->shape.places;
    }
}

/* ---- Its numbers --------------------------------------------------------------------------------------------------- */

/* The parts as f32, and room for what is made of them. */
typedef struct Numbers {
    float *part[PARTS], *magnitude, *delta, *other;
} Numbers;

static void numbers_free(Numbers *numbers)
{
    for (int i = 0; i < PARTS; i++) memory_free(numbers->part[i]);
    memory_free(numbers->magnitude);
    memory_free(numbers->delta);
    memory_free(numbers->other);
}

static NodusStatus numbers_of_part(const Weight *weight, float **out)
{
    if (!weight) return NULL;
    *out = memory_array((size_t)numbers_of(weight), sizeof **out);
    return *out ? weights_read_f32(weight, *out) : status_memory();
}

static NodusStatus numbers_read(const Patch *patch, Numbers *numbers)
{
    const size_t count = (size_t)(patch->shape.rows * patch->shape.channels * patch->shape.places);
    *numbers = (Numbers){.delta = memory_array(count, sizeof(float)), .other = memory_array(count, sizeof(float))};
    if (!numbers->delta || !numbers->other) return status_memory();
    NODUS_TRY(numbers_of_part(patch->magnitude, &numbers->magnitude));
    for (int i = 0; i < PARTS; i++) NODUS_TRY(numbers_of_part(patch->part[i], &numbers->part[i]));
    return NULL;
}

static void turn_round(float *to, const float *from, int64_t rows, int64_t columns)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++) to[j * rows + i] = from[i * columns + j];
}

/* a·b, or of a kernel t [p, q, places] with a [p, rows] and b [q, channels]. */
static NodusStatus half(const LoraShape *shape, float *out, const float *a, const float *b, const float *t, int64_t p, int64_t q)
{
    if (!t) {
        lora_product(shape, out, a, b, q);
        return NULL;
    }
    float *up = memory_array((size_t)(p * shape->rows), sizeof *up);
    if (!up) return status_memory();
    turn_round(up, a, p, shape->rows);
    NodusStatus status = lora_tucker(shape, out, up, t, b, p, q);
    memory_free(up);
    return status;
}

static NodusStatus loha_delta(const Patch *patch, Numbers *n)
{
    const Weight *const *part = patch->part;
    NODUS_TRY(half(&patch->shape, n->delta, n->part[W1_A], n->part[W1_B], n->part[T1], dim_of(part[T1], 0), dim_of(part[W1_B], 0)));
    NODUS_TRY(half(&patch->shape, n->other, n->part[W2_A], n->part[W2_B], n->part[T2], dim_of(part[T2], 0), dim_of(part[W2_B], 0)));
    const int64_t count = patch->shape.rows * patch->shape.channels * patch->shape.places;
    for (int64_t i = 0; i < count; i++) n->delta[i] *= n->other[i];
    return NULL;
}

static NodusStatus lokr_delta(const Patch *patch, Numbers *n)
{
    Factors f;
    lokr_factors(patch, &f);
    const LoraShape left = {f.a, f.b, 1}, right = {f.c, patch->shape.channels / f.b, patch->shape.places};
    float *small = memory_array((size_t)(f.a * f.b), sizeof *small);
    if (!small) return status_memory();
    const Weight *const *part = patch->part;
    NodusStatus status = NULL;
    if (!part[W1]) lora_product(&left, small, n->part[W1_A], n->part[W1_B], dim_of(part[W1_B], 0));
    if (!part[W2]) status = half(&right, n->other, n->part[W2_A], n->part[W2_B], n->part[T2], dim_of(part[T2], 0), dim_of(part[W2_B], 0));
    if (!status)
        lora_kronecker(&patch->shape, n->delta, part[W1] ? n->part[W1] : small, f.a, f.b, part[W2] ? n->part[W2] : n->other);
    memory_free(small);
    return status;
}

/* What is to be added, without strength and scale. */
static NodusStatus delta_of(const Patch *patch, const float *values, Numbers *n)
{
    const Weight *const *part = patch->part;
    switch (patch->kind) {
    case KIND_PRODUCT:
        if (part[MID])
            return lora_tucker(&patch->shape, n->delta, n->part[UP], n->part[MID], n->part[DOWN], dim_of(part[MID], 0),
                               dim_of(part[DOWN], 0));
        lora_product(&patch->shape, n->delta, n->part[UP], n->part[DOWN], dim_of(part[DOWN], 0));
        return NULL;
    case KIND_LOHA: return loha_delta(patch, n);
    case KIND_LOKR: return lokr_delta(patch, n);
    default:
        return lora_glora(&patch->shape, n->delta, values, n->part[A1], n->part[A2], dim_of(part[A2], 0), n->part[B1], n->part[B2],
                          dim_of(part[B2], 0));
    }
}

static NodusStatus add_delta(const Patch *patch, float *values, Numbers *n)
{
    const int64_t count = patch->shape.rows * patch->shape.channels * patch->shape.places;
    NODUS_TRY(delta_of(patch, values, n));
    const float scale = n->magnitude ? patch->scale : patch->strength * patch->scale;
    if (!n->magnitude) {
        for (int64_t i = 0; i < count; i++) values[i] += n->delta[i] * scale;
        return NULL;
    }
    for (int64_t i = 0; i < count; i++) n->delta[i] *= scale;
    const bool by_column = dim_of(patch->magnitude, 0) != patch->shape.rows;
    lora_dora(&patch->shape, values, n->delta, n->magnitude, by_column, patch->of_whole, patch->strength);
    return NULL;
}

static NodusStatus turn(const Patch *patch, float *values, const Numbers *n)
{
    const Weight *blocks = patch->part[0];
    const int64_t *dim = blocks->dim;
    if (blocks->rank == 3) return lora_oft(&patch->shape, values, n->part[0], dim[0], dim[1], patch->scale, patch->strength);
    return lora_boft(&patch->shape, values, n->part[0], dim[0], dim[1], dim[2], patch->scale, patch->strength);
}

static NodusStatus patch_apply(const WeightChange *change, const Weight *weight, float *values)
{
    const Patch *patch = (const Patch *)change;
    const int64_t count = patch->shape.rows * patch->shape.channels * patch->shape.places;
    Numbers numbers;
    (void)weight;
    NodusStatus status = numbers_read(patch, &numbers);
    if (status) {
    } else if (patch->kind == KIND_OFT) {
        status = turn(patch, values, &numbers);
    } else if (patch->kind == KIND_REPLACED) {
        memcpy(values, numbers.part[0], (size_t)count * sizeof *values);
    } else if (patch->kind == KIND_DIFFERENCE) {
        for (int64_t i = 0; i < count; i++) values[i] += patch->strength * numbers.part[0][i];
    } else {
        status = add_delta(patch, values, &numbers);
    }
    numbers_free(&numbers);
    return status;
}

/* ---- On a weight ----------------------------------------------------------------------------------------------------- */

/* The rank that alpha is divided by; 0: alpha does not count. */
static int64_t rank_of(const Patch *patch)
{
    const Weight *const *part = patch->part;
    switch (patch->kind) {
    case KIND_PRODUCT: return dim_of(part[DOWN], 0);
    case KIND_LOHA: return dim_of(part[W1_B], 0);
    case KIND_LOKR: return !part[W2] ? dim_of(part[W2_B], 0) : !part[W1] ? dim_of(part[W1_B], 0) : 0;
    case KIND_GLORA: return dim_of(part[A2], 0);
    default: return 0;
    }
}

static NodusStatus set_scale(const Weight *alpha, Patch *patch)
{
    const int64_t rank = rank_of(patch);
    const bool turns = patch->kind == KIND_OFT;
    float value;
    patch->scale = turns ? 0 : 1;
    if (!alpha || (!rank && !turns)) return NULL;
    if (numbers_of(alpha) != 1)
        return nodus_error(NODUS_ERROR_FILE, "\"%.200s\" holds %lld numbers, expected one", alpha->name, (long long)numbers_of(alpha));
    NODUS_TRY(weights_read_f32(alpha, &value));
    patch->scale = turns ? value : (float)((double)value / (double)rank);
    return NULL;
}

static const Weight *part_at(const Lora *lora, int index)
{
    return index < 0 ? NULL : weights_at(lora->weights, index);
}

static Hash128 identity_of(const Lora *lora, const Found *found, const Patch *patch)
{
    struct {
        Hash128 part[PARTS], magnitude;
        double strength, scale, kind, of_whole;
    } key;
    memset(&key, 0, sizeof key);
    for (int i = 0; i < PARTS; i++)
        if (found->part[i] >= 0) key.part[i] = weights_identity_at(lora->weights, found->part[i]);
    if (found->magnitude >= 0) key.magnitude = weights_identity_at(lora->weights, found->magnitude);
    key.strength = (double)patch->strength;
    key.scale = (double)patch->scale;
    key.kind = patch->kind;
    key.of_whole = patch->of_whole && patch->magnitude;
    return hash_of(&key, sizeof key);
}

static void mark(const Lora *lora, const Found *found)
{
    for (int i = 0; lora->seen && i < PARTS; i++)
        if (found->part[i] >= 0) lora->seen[found->part[i]] = true;
    if (lora->seen && found->magnitude >= 0) lora->seen[found->magnitude] = true;
    if (lora->seen && found->alpha >= 0) lora->seen[found->alpha] = true;
}

static NodusStatus put(Lora *lora, Derived *derived, const WeightSet *base, int index, const Found *found, double strength)
{
    Patch patch = {.change = {patch_apply, {0, 0}}, .kind = found->form->kind, .strength = (float)strength};
    const bool fits = shape_of(weights_at(base, index), &patch.shape);
    for (int i = 0; i < PARTS; i++) patch.part[i] = part_at(lora, found->part[i]);
    patch.magnitude = part_at(lora, found->magnitude);
    patch.of_whole = found->of_whole;
    bool whole = fits && patch_fits(&patch);
    if (fits && !whole && patch.kind == KIND_GLORA) {
        glora_turn(&patch);
        whole = patch_fits(&patch);
    }
    if (!whole) return NULL;
    mark(lora, found);
    NODUS_TRY(set_scale(part_at(lora, found->alpha), &patch));
    if (!isfinite(patch.scale))
        return nodus_error(NODUS_ERROR_FILE, "\"%.200s\" is no number: the file is damaged", part_at(lora, found->alpha)->name);
    bool beside = strength == 0;
    if (!beside && patch.kind == KIND_PRODUCT && !patch.part[MID] && !patch.magnitude) {
        const BesidePair pair = {lora->weights, found->part[DOWN], found->part[UP], (float)(strength * (double)patch.scale), lora->gate};
        NODUS_TRY(derived_beside(derived, index, &pair, &beside));
    }
    lora->used += beside;
    if (beside) return NULL;
    if (lora->gate)
        return nodus_error(NODUS_ERROR_MISSING,
                           "only plain LoRA layers can act in a part of the sampling, and \"%.200s\" is of another kind: let "
                           "it act from 0 to 1",
                           weights_at(lora->weights, found->part[0] >= 0 ? found->part[0] : found->part[W1])->name);
    Patch *kept = derived_alloc(derived, sizeof *kept);
    if (!kept) return status_memory();
    *kept = patch;
    kept->change.identity = identity_of(lora, found, &patch);
    lora->used++;
    return derived_change(derived, index, &kept->change);
}

/* "….weight" → the index of "….bias", or −1. */
static int bias_of(const WeightSet *base, int index)
{
    char key[KEYS_LONGEST];
    const char *name = weights_at(base, index)->name;
    const int stem = (int)strlen(name) - (int)strlen("weight");
    const int length = snprintf(key, sizeof key, "%.*sbias", stem > 0 ? stem : 0, name);
    return length < (int)sizeof key ? weights_find(base, key) : -1;
}

NodusStatus lora_patch(Lora *lora, Derived *derived, const WeightSet *base, int index, const char *name, double strength, bool *found)
{
    bool on_weight = false;
    for (int k = 0; k < FORMS; k++) {
        Found what;
        if ((on_weight && !forms[k].bias) || !found_form(lora, name, &forms[k], &what)) continue;
        const int target = forms[k].bias ? bias_of(base, index) : index;
        on_weight |= !forms[k].bias;
        *found = true;
        if (target >= 0) NODUS_TRY(put(lora, derived, base, target, &what, strength));
    }
    return NULL;
}

/* ---- One patch by itself --------------------------------------------------------------------------------------------- */

/* The kernel's size, from a part [p, q, places…]. */
static int64_t places_of(const Weight *kernel)
{
    const int64_t first = dim_of(kernel, 0), second = dim_of(kernel, 1);
    if (first < 1 || second < 1 || first > KEYS_MAX_SIZE || second > KEYS_MAX_SIZE) return 1;
    return numbers_of(kernel) / (first * second);
}

/* The shape of what two matrices and a kernel, or NULL, multiply to. */
static LoraShape half_shape(const Weight *a, const Weight *b, const Weight *kernel)
{
    if (kernel) return (LoraShape){dim_of(a, 1), dim_of(b, 1), places_of(kernel)};
    return (LoraShape){dim_of(a, 0), dim_of(b, 0) ? numbers_of(b) / dim_of(b, 0) : 0, 1};
}

/* The shape that the parts have by themselves; rows are 0 where the weight decides. */
static LoraShape own_shape(const Patch *patch)
{
    const Weight *const *part = patch->part, *whole = part[0];
    switch (patch->kind) {
    case KIND_PRODUCT:
        if (!part[MID]) return half_shape(part[UP], part[DOWN], NULL);
        return (LoraShape){dim_of(part[UP], 0), dim_of(part[DOWN], 1), places_of(part[MID])};
    case KIND_LOHA: return half_shape(part[W1_A], part[W1_B], part[T1]);
    case KIND_LOKR: {
        for (int i = 0; i < PARTS; i++)
            if (dim_of(part[i], 0) > KEYS_MAX_SIZE || dim_of(part[i], 1) > KEYS_MAX_SIZE) return (LoraShape){0, 0, 0};
        const LoraShape left = {dim_of(part[W1] ? part[W1] : part[W1_A], 0), dim_of(part[W1] ? part[W1] : part[W1_B], 1), 1};
        const int64_t c = dim_of(part[W2], 0); /* of the right factor, whose columns hold a kernel's places too */
        LoraShape right = {c, c ? numbers_of(part[W2]) / c : 0, 1};
        if (!part[W2] && part[W2_A] && part[W2_B]) right = half_shape(part[W2_A], part[W2_B], part[T2]);
        return (LoraShape){left.rows * right.rows, left.channels * right.channels, right.places};
    }
    case KIND_DIFFERENCE: return (LoraShape){dim_of(whole, 0), dim_of(whole, 0) ? numbers_of(whole) / dim_of(whole, 0) : 0, 1};
    default: return (LoraShape){0, 0, 0};
    }
}

static const char *kind_name(const Patch *patch)
{
    static const char *const names[KINDS] = {"LoRA", "LoHa", "LoKr", "GLoRA", "OFT", "difference", "weight"};
    if (patch->magnitude) return "DoRA";
    return patch->kind == KIND_PRODUCT && patch->part[MID] ? "LoCon" : names[patch->kind];
}

/* The patch of `form` under `name`, in the shape of its own. */
static NodusStatus own_patch(const Lora *lora, const char *name, int form, Found *found, Patch *patch)
{
    *patch = (Patch){.kind = forms[form].kind, .strength = 1};
    if (!found_form(lora, name, &forms[form], found)) return NULL;
    for (int i = 0; i < PARTS; i++) patch->part[i] = part_at(lora, found->part[i]);
    patch->magnitude = part_at(lora, found->magnitude);
    patch->of_whole = found->of_whole;
    if (patch->kind == KIND_GLORA && dim_of(patch->part[A1], 0) < dim_of(patch->part[A2], 0))
        glora_turn(patch); /* the rank is the smaller */
    patch->shape = own_shape(patch);
    const LoraShape *shape = &patch->shape;
    const bool sane = shape->rows > 0 && shape->rows <= KEYS_MAX_SIZE && shape->channels > 0 && shape->places > 0 &&
                      shape->channels <= KEYS_MAX_SIZE / shape->places;
    /* only of a plain one nobody makes the whole difference, which a few numbers of a hostile file could make larger than the memory */
    const bool whole = patch->kind != KIND_PRODUCT || patch->part[MID] || patch->magnitude;
    if (sane && whole && shape->rows > LARGEST_DIFFERENCE / (shape->channels * shape->places)) patch->shape = (LoraShape){0, 0, 0};
    if (!sane || !patch_fits(patch)) patch->shape = (LoraShape){0, 0, 0};
    return set_scale(part_at(lora, found->alpha), patch);
}

/* "NAME" + ending → NAME, for an entry that begins a patch of this form. */
static bool entry_name(const Form *form, const char *key, char out[KEYS_LONGEST])
{
    if (!is_first(form, key)) return false;
    const char *tail = form->kind == KIND_LOKR ? text_ends(key, form->part[W1]) ? form->part[W1] : form->part[W1_A] : form->part[0];
    const size_t length = strlen(key) - strlen(tail);
    if (length >= KEYS_LONGEST) return false;
    memcpy(out, key, length);
    out[length] = 0;
    return true;
}

bool lora_entry(const Lora *lora, int index, LoraEntry *out)
{
    Found found;
    Patch patch;
    for (int k = 0; k < FORMS; k++) {
        *out = (LoraEntry){.form = k, .up = -1, .down = -1};
        if (!entry_name(&forms[k], weights_at(lora->weights, index)->name, out->name)) continue;
        NodusStatus status = own_patch(lora, out->name, k, &found, &patch);
        nodus_error_free(status); /* an alpha that cannot be read is none */
        const int first = patch.kind == KIND_LOKR && found.part[W1] >= 0 ? W1 : 0;
        if (found.part[first] != index) continue;
        out->kind = kind_name(&patch);
        out->rank = rank_of(&patch);
        out->rows = patch.shape.rows;
        out->columns = patch.shape.channels * patch.shape.places;
        out->alpha = (double)patch.scale * (double)out->rank;
        if (patch.kind == KIND_PRODUCT && !patch.part[MID] && !patch.magnitude && out->rows) {
            out->up = found.part[UP];
            out->down = found.part[DOWN];
        }
        return true;
    }
    return false;
}

NodusStatus lora_entry_delta(const Lora *lora, const LoraEntry *entry, float *out)
{
    Found found;
    Patch patch;
    NODUS_TRY(own_patch(lora, entry->name, entry->form, &found, &patch));
    memset(out, 0, (size_t)(entry->rows * entry->columns) * sizeof *out);
    patch.magnitude = NULL; /* it scales the weight, not the difference */
    return patch_apply(&patch.change, NULL, out);
}
