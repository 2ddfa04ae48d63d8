/* derived.c: see derived.h. A recipe of a recipe is carried out to its base each time: nothing in between is kept. */
#include "engine/tensor/derived.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/tensor/shape.h"
#include <stdio.h>
#include <string.h>

enum { NAME_ROOM = 512 };
static const char beside_mark[] = ".lora.", weight_tail[] = ".weight";

typedef struct Step Step;
struct Step {
    const WeightChange *change;
    Step *next;
};

/* How one weight is made. */
typedef struct Recipe {
    WeightSource source;
    const WeightSet *base;
    int index;
    Step *first, *last;
} Recipe;

typedef struct Beside Beside;
struct Beside {
    int index; /* of the weight, in the base */
    BesidePair pair;
    float *numbers; /* scale and gate */
    Beside *next;
};

struct Derived {
    WeightSet *base, *set;
    bool round_f16;
    Arena *memory;
    Recipe **recipe; /* for each weight of the base, or NULL */
    Beside *first, *last;
    NodusHash *hash, *structure; /* of its content; of what plans depend on: all but the numbers of recipes and scales */
};

/* ---- Values ---------------------------------------------------------------------------------------------------------- */

void derived_add_product(float *values, int64_t rows, int64_t columns, int64_t rank, const float *up, const float *down,
                         float scale)
{
    enum { BLOCK = 256 };
    float sum[BLOCK];
    for (int64_t row = 0; row < rows; row++)
        for (int64_t from = 0; from < columns; from += BLOCK) {
            const int64_t width = columns - from < BLOCK ? columns - from : BLOCK;
            memset(sum, 0, sizeof sum);
            for (int64_t r = 0; r < rank; r++) {
                const float factor = up[row * rank + r], *line = down + r * columns + from;
                for (int64_t i = 0; i < width; i++) sum[i] += factor * line[i];
            }
            for (int64_t i = 0; i < width; i++) values[row * columns + from + i] += scale * sum[i];
        }
}

bool derived_is_beside(const char *name)
{
    return strstr(name, beside_mark) != NULL;
}

/* "stem.weight" → "stem.lora.N.part"; false when the name has another form or is too long. */
static bool derived_name(const char *weight, int number, const char *part, char out[NAME_ROOM])
{
    const size_t length = strlen(weight), tail = sizeof weight_tail - 1;
    if (length < tail || strcmp(weight + length - tail, weight_tail) != 0) return false;
    const int used = snprintf(out, NAME_ROOM, "%.*s%s%d.%s", (int)(length - tail), weight, beside_mark, number, part);
    return used > 0 && used < NAME_ROOM;
}

static int derived_part(const WeightSet *set, const char *weight, int number, const char *part)
{
    char name[NAME_ROOM];
    return derived_name(weight, number, part, name) ? weights_find(set, name) : -1;
}

bool derived_has_beside(const WeightSet *set, int index)
{
    return derived_part(set, weights_at(set, index)->name, 0, "down") >= 0;
}

static size_t derived_numbers(const Weight *weight)
{
    return weight->bytes / dtype_size(weight->dtype);
}

/* Whether up·down has the shape of a weight, which is a matrix or a kernel. */
static bool derived_fits(const Weight *weight, const Weight *down, const Weight *up)
{
    const size_t numbers = derived_numbers(weight), thin = derived_numbers(down), tall = derived_numbers(up);
    if ((weight->rank != 2 && weight->rank != 4) || !numbers || down->rank < 2 || up->rank < 2 || !thin || !tall) return false;
    const size_t rank = (size_t)down->dim[0], rows = (size_t)weight->dim[0];
    return up->dim[0] == weight->dim[0] && tall / rows == rank && tall % rows == 0 && thin % rank == 0 &&
           thin / rank == numbers / rows;
}

/* values += the product number `number` beside `weight`; false in *found when there is none. */
static NodusStatus derived_add_beside(const WeightSet *set, const Weight *weight, int number, float *values, bool *found)
{
    const int down = derived_part(set, weight->name, number, "down"), up = derived_part(set, weight->name, number, "up");
    const int scale = derived_part(set, weight->name, number, "scale");
    *found = down >= 0 && up >= 0 && scale >= 0;
    if (!*found) return NULL;
    const Weight *thin = weights_at(set, down), *tall = weights_at(set, up);
    if (!derived_fits(weight, thin, tall) || derived_numbers(weights_at(set, scale)) != 1)
        return nodus_error(NODUS_ERROR_FILE, "\"%s\" does not fit the weight beside it", thin->name);
    const int64_t rank = thin->dim[0], rows = tall->dim[0], columns = (int64_t)derived_numbers(thin) / rank;
    float *numbers = memory_array(derived_numbers(thin) + derived_numbers(tall), sizeof *numbers), factor;
    if (!numbers) return status_memory();
    float *left = numbers + derived_numbers(thin);
    NodusStatus status = weights_read_f32(thin, numbers);
    if (!status) status = weights_read_f32(tall, left);
    if (!status) status = weights_read_f32(weights_at(set, scale), &factor);
    if (!status) derived_add_product(values, rows, columns, rank, left, numbers, factor);
    memory_free(numbers);
    return status;
}

NodusStatus derived_read(const WeightSet *set, int index, float *out)
{
    const Weight *weight = weights_at(set, index);
    bool found = true;
    if (weight->source && weight->dtype == DTYPE_F32) NODUS_TRY(weight->source->read(weight->source, weight, out));
    else NODUS_TRY(weights_read_f32(weight, out));
    for (int i = 0; found; i++) NODUS_TRY(derived_add_beside(set, weight, i, out, &found));
    return NULL;
}

static NodusStatus derived_make(const WeightSource *source, const Weight *weight, void *out)
{
    const Recipe *recipe = (const Recipe *)source;
    NODUS_TRY(derived_read(recipe->base, recipe->index, out));
    for (const Step *step = recipe->first; step; step = step->next) NODUS_TRY(step->change->apply(step->change, weight, out));
    return NULL;
}

bool derived_is_changed(const WeightSet *set, int index)
{
    const WeightSource *source = weights_at(set, index)->source;
    return source && source->read == derived_make;
}

/* ---- Mixing ---------------------------------------------------------------------------------------------------------- */

typedef struct Mix {
    WeightChange change;
    float keep, share;
    const WeightSet *other;
    int index;
} Mix;

static NodusStatus derived_apply_mix(const WeightChange *change, const Weight *weight, float *values)
{
    const Mix *mix = (const Mix *)change;
    const size_t count = derived_numbers(weight);
    float *other = memory_array(count, sizeof *other);
    if (!other) return status_memory();
    NodusStatus status = derived_read(mix->other, mix->index, other);
    for (size_t i = 0; i < count && !status; i++) values[i] = values[i] * mix->keep + other[i] * mix->share;
    memory_free(other);
    return status;
}

NodusStatus derived_mix(Derived *derived, int index, float keep, WeightSet *other, int other_index, float share)
{
    const Weight *weight = weights_at(derived->base, index), *added = weights_at(other, other_index);
    if (derived_numbers(weight) != derived_numbers(added)) {
        char one[SHAPE_TEXT], two[SHAPE_TEXT];
        return nodus_error(NODUS_ERROR_INPUT, "\"%s\" has the shape %s in one and %s in the other", weight->name,
                           shape_text(weight->rank, weight->dim, one), shape_text(added->rank, added->dim, two));
    }
    Mix *mix = derived_alloc(derived, sizeof *mix);
    if (!mix) return status_memory();
    *mix = (Mix){.change = {.apply = derived_apply_mix}, .keep = keep, .share = share, .other = other, .index = other_index};
    struct {
        Hash128 set, weight;
        float keep, share;
    } key;
    memset(&key, 0, sizeof key);
    key.set = weights_identity(other);
    key.weight = weights_identity_at(other, other_index);
    key.keep = keep;
    key.share = share;
    mix->change.identity = hash_of(&key, sizeof key);
    return derived_change(derived, index, &mix->change);
}

/* ---- Making a set ---------------------------------------------------------------------------------------------------- */

static void derived_free_arena(void *arena)
{
    arena_free(arena);
}
static void derived_unref(void *set)
{
    weights_unref(set);
}

NodusStatus derived_keep(Derived *derived, WeightSet *source)
{
    return weights_own(derived->set, derived_unref, weights_ref(source));
}

/* What identity and structure share. */
static void derived_note(Derived *derived, uint64_t number)
{
    nodus_hash_u64(derived->hash, number);
    nodus_hash_u64(derived->structure, number);
}

NodusStatus derived_new(WeightSet *base, bool round_f16, Derived **out)
{
    Derived *derived = memory_alloc(sizeof *derived);
    if (!derived) return status_memory();
    derived->base = base;
    derived->round_f16 = round_f16;
    NodusStatus status = weights_new(&derived->set);
    derived->recipe = memory_array((size_t)weights_count(base) + 1, sizeof *derived->recipe);
    derived->hash = hash_new();
    derived->structure = hash_new();
    Arena *arena = arena_new();
    if (!status && !(derived->recipe && derived->hash && derived->structure && arena)) status = status_memory();
    if (status) arena_free(arena);
    else status = weights_own(derived->set, derived_free_arena, derived->memory = arena);
    if (!status) status = derived_keep(derived, base);
    if (status) {
        derived_free(derived);
        return status;
    }
    const Hash128 identity = weights_identity(base), structure = weights_structure(base);
    nodus_hash_bytes(derived->hash, &identity, sizeof identity);
    nodus_hash_bytes(derived->structure, &structure, sizeof structure);
    derived_note(derived, round_f16);
    *out = derived;
    return NULL;
}

void derived_free(Derived *derived)
{
    if (!derived) return;
    weights_unref(derived->set);
    memory_free(derived->recipe);
    hash_free(derived->hash);
    hash_free(derived->structure);
    memory_free(derived);
}

void *derived_alloc(Derived *derived, size_t bytes)
{
    return arena_alloc(derived->memory, bytes);
}

NodusStatus derived_change(Derived *derived, int index, const WeightChange *change)
{
    Recipe **at = &derived->recipe[index];
    if (!*at) {
        if (!(*at = derived_alloc(derived, sizeof **at))) return status_memory();
        const Weight *weight = weights_at(derived->base, index);
        **at = (Recipe){.source = {.read = derived_make}, .base = derived->base, .index = index};
        if (weight->mapped && !weight->source) (*at)->source.pages = weight->data, (*at)->source.page_bytes = weight->bytes;
    }
    Step *step = derived_alloc(derived, sizeof *step);
    if (!step) return status_memory();
    step->change = change;
    if ((*at)->last) (*at)->last->next = step;
    else (*at)->first = step;
    (*at)->last = step;
    derived_note(derived, (uint64_t)index);
    nodus_hash_bytes(derived->hash, &change->identity, sizeof change->identity);
    /* graph_number may look into a single number; all others a plan knows by their shape. */
    if (derived_numbers(weights_at(derived->base, index)) == 1)
        nodus_hash_bytes(derived->structure, &change->identity, sizeof change->identity);
    return NULL;
}

/* Layers can work with these types as they lie. */
static bool derived_packs(const Weight *weight)
{
    return weight->dtype == DTYPE_F32 || weight->dtype == DTYPE_F16 || weight->dtype == DTYPE_BF16;
}

NodusStatus derived_beside(Derived *derived, int index, const BesidePair *pair, bool *fits)
{
    const Weight *weight = weights_at(derived->base, index), *thin = weights_at(pair->source, pair->down),
                 *tall = weights_at(pair->source, pair->up);
    char name[NAME_ROOM];
    *fits = derived_name(weight->name, 0, "scale", name) && derived_fits(weight, thin, tall) && derived_packs(thin) &&
            derived_packs(tall) && !derived->recipe[index] && !derived->round_f16;
    if (!*fits) return NULL;
    Beside *beside = derived_alloc(derived, sizeof *beside);
    float *numbers = derived_alloc(derived, 2 * sizeof *numbers);
    if (!beside || !numbers) return status_memory();
    numbers[0] = pair->scale;
    numbers[1] = (float)pair->gate;
    *beside = (Beside){.index = index, .pair = *pair, .numbers = numbers};
    if (derived->last) derived->last->next = beside;
    else derived->first = beside;
    derived->last = beside;
    const Hash128 parts[] = {weights_identity_at(pair->source, pair->down), weights_identity_at(pair->source, pair->up)};
    derived_note(derived, (uint64_t)index);
    derived_note(derived, (uint64_t)pair->gate);
    nodus_hash_bytes(derived->hash, parts, sizeof parts);
    nodus_hash_bytes(derived->structure, parts, sizeof parts);
    nodus_hash_double(derived->hash, pair->scale);
    return NULL;
}

NodusStatus derived_join(Derived *derived, const char *name, WeightSet *source, int index)
{
    const Weight *weight = weights_at(source, index);
    const int64_t one[] = {1};
    const Hash128 identity = weights_identity_at(source, index);
    nodus_hash_text(derived->hash, name);
    nodus_hash_bytes(derived->hash, &identity, sizeof identity);
    nodus_hash_text(derived->structure, name);
    nodus_hash_bytes(derived->structure, &identity, sizeof identity);
    if (weight->rank) return weights_add_like(derived->set, name, 0, NULL, source, index);
    float *number = derived_alloc(derived, sizeof *number);
    if (!number) return status_memory();
    NODUS_TRY(weights_read_f32(weight, number));
    return weights_add(derived->set, name, DTYPE_F32, 1, one, number, sizeof *number, false);
}

/* The weight that a product beside it belongs to is made anew, with the product in it. */
static bool derived_is_absorbed(const Derived *derived, const char *name)
{
    char weight[NAME_ROOM];
    const char *mark = strstr(name, beside_mark);
    if (!mark) return false;
    const int used = snprintf(weight, sizeof weight, "%.*s%s", (int)(mark - name), name, weight_tail);
    const int index = used < (int)sizeof weight ? weights_find(derived->base, weight) : -1;
    return index >= 0 && derived->recipe[index];
}

static NodusStatus derived_put(Derived *derived, int index)
{
    const Weight *weight = weights_at(derived->base, index);
    const Recipe *recipe = derived->recipe[index];
    if (derived_is_absorbed(derived, weight->name)) return NULL;
    if (!recipe) return weights_add_like(derived->set, weight->name, 0, NULL, derived->base, index);
    NODUS_TRY(weights_add_source(derived->set, weight->name, DTYPE_F32, weight->rank, weight->dim, &recipe->source));
    if (derived->round_f16) weights_round_f16(derived->set, weight->name);
    return NULL;
}

static NodusStatus derived_put_beside(Derived *derived, const Beside *beside)
{
    const Weight *weight = weights_at(derived->base, beside->index);
    const BesidePair *pair = &beside->pair;
    const int64_t rank = weights_at(pair->source, pair->down)->dim[0], one[] = {1};
    int64_t down[VIEW_RANK] = {rank}, up[VIEW_RANK] = {weight->dim[0], rank, 1, 1};
    char name[NAME_ROOM];
    int number = 0;
    for (int i = 1; i < weight->rank; i++) down[i] = weight->dim[i];
    while (derived_part(derived->set, weight->name, number, "scale") >= 0) number++;
    if (!derived_name(weight->name, number, "scale", name))
        return nodus_error(NODUS_ERROR_FILE, "the name \"%s\" is too long", weight->name);
    NODUS_TRY(weights_add(derived->set, name, DTYPE_F32, 1, one, beside->numbers, sizeof *beside->numbers, false));
    derived_name(weight->name, number, "gate", name); /* no longer than "scale" */
    if (pair->gate) NODUS_TRY(weights_add(derived->set, name, DTYPE_F32, 1, one, beside->numbers + 1, sizeof *beside->numbers, false));
    derived_name(weight->name, number, "down", name);
    NODUS_TRY(weights_add_like(derived->set, name, weight->rank, down, pair->source, pair->down));
    derived_name(weight->name, number, "up", name);
    return weights_add_like(derived->set, name, weight->rank, up, pair->source, pair->up);
}

NodusStatus derived_finish(Derived *derived, WeightSet **out)
{
    NodusStatus status = NULL;
    weights_set_identity(derived->set, hash_value(derived->hash));
    weights_set_structure(derived->set, hash_value(derived->structure));
    for (int i = 0; i < weights_count(derived->base) && !status; i++) status = derived_put(derived, i);
    for (const Beside *beside = derived->first; beside && !status; beside = beside->next)
        status = derived_put_beside(derived, beside);
    if (status) return status;
    *out = weights_ref(derived->set);
    derived_free(derived);
    return NULL;
}
