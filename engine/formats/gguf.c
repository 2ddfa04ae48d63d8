/* gguf.c: state dicts in GGUF, the format of quantised models.
 *
 * Format, little-endian: "GGUF", version 2 or 3, the numbers of tensors and of metadata; the metadata: key, type, value (numbers,
 * texts, arrays of them); for each tensor its name, dimensions (fastest first), type and offset; then, from the next multiple of
 * the alignment (32, unless the metadata say otherwise) on, the data. One idea: whatever follows is read by a cursor that cannot
 * leave the file. Plain numbers are used where they lie; quantised ones look like f32 and are unpacked each time they are read.
 *
 * Some tensors are stored under another shape, so that rows fill whole blocks; "comfy.gguf.orig_shape.NAME" tells the right one.
 */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/base/text.h"
#include "engine/formats/gguf_blocks.h"
#include "engine/formats/weights_file.h"
#include "engine/tensor/shape.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    NAME_LIMIT = 512,
    DEPTH_LIMIT = 4,
    GGUF_RANK = 4,
    ALIGNMENT = 32,
    LEAST_INFO = 24,
    LEAST_NOTE = 13,
    TYPE_TEXT = 8,
    TYPE_ARRAY = 9
};

typedef struct Reader {
    const uint8_t *data;
    size_t size, at;
    bool mapped;
    uint64_t alignment;
    WeightSet *into;
} Reader;

typedef struct Info {
    const char *name; /* metadata's or the tensor's; lives in the arena */
    uint32_t type;
    int rank;
    int64_t dim[VIEW_RANK];
    uint64_t offset;
} Info;

typedef struct Shape {
    int rank;
    int64_t dim[VIEW_RANK];
} Shape;

static const struct {
    uint32_t type;
    int dtype;
} plain[] = {
    {0, DTYPE_F32},  {1, DTYPE_F16},  {24, DTYPE_I8},  {25, DTYPE_I16},
    {26, DTYPE_I32}, {27, DTYPE_I64}, {28, DTYPE_F64}, {30, DTYPE_BF16},
};

bool gguf_is(const uint8_t *data, size_t size)
{
    return size >= 4 && !memcmp(data, "GGUF", 4);
}

/* ---- The cursor ----------------------------------------------------------------------------------------------------- */

static NodusStatus take(Reader *r, uint64_t bytes, const uint8_t **out)
{
    if (bytes > r->size - r->at) return nodus_error(NODUS_ERROR_FILE, "it ends early: copy or download it again");
    *out = r->data + r->at;
    r->at += bytes;
    return NULL;
}

static NodusStatus take_number(Reader *r, int bytes, uint64_t *out)
{
    const uint8_t *from = NULL;
    NODUS_TRY(take(r, (uint64_t)bytes, &from));
    *out = 0;
    for (int i = bytes - 1; i >= 0; i--) *out = *out << 8 | from[i];
    return NULL;
}

static NodusStatus take_text(Reader *r, const char **text, uint64_t *length)
{
    const uint8_t *from = NULL;
    NODUS_TRY(take_number(r, 8, length));
    NODUS_TRY(take(r, *length, &from));
    *text = (const char *)from;
    return NULL;
}

static NodusStatus take_name(Reader *r, Arena *arena, const char **out)
{
    const char *text;
    uint64_t length;
    NODUS_TRY(take_text(r, &text, &length));
    if (length > NAME_LIMIT || memchr(text, 0, length))
        return nodus_error(NODUS_ERROR_FILE, "a name in it is longer than %d or has a zero in it", NAME_LIMIT);
    *out = arena_text_n(arena, text, length);
    return *out ? NULL : status_memory();
}

/* ---- Metadata ------------------------------------------------------------------------------------------------------- */

/* Bytes of a number of that type: u8 i8 u16 i16 u32 i32 f32 bool – – u64 i64 f64. */
static int number_bytes(uint64_t type)
{
    static const uint8_t bytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    return type < sizeof bytes ? bytes[type] : 0;
}

static void number_text(uint64_t type, uint64_t bits, char out[40])
{
    const int unused = 64 - 8 * number_bytes(type);
    const bool is_signed = type == 1 || type == 3 || type == 5 || type == 11;
    float narrow;
    double wide;
    memcpy(&narrow, &bits, sizeof narrow);
    memcpy(&wide, &bits, sizeof wide);
    if (type == 6) snprintf(out, 40, "%.9g", (double)narrow);
    else if (type == 12) snprintf(out, 40, "%.17g", wide);
    else if (type == 7) strcpy(out, bits ? "true" : "false");
    else if (is_signed) snprintf(out, 40, "%" PRId64, (int64_t)(bits << unused) >> unused);
    else snprintf(out, 40, "%" PRIu64, bits);
}

static NodusStatus wrong_type(uint64_t type)
{
    return nodus_error(NODUS_ERROR_FILE, "its metadata have a value of the unknown type %" PRIu64, type);
}

/* Over an array, and over arrays in it. */
static NodusStatus skip_array(Reader *r, int depth)
{
    uint64_t type, count, length;
    const uint8_t *from = NULL;
    const char *text;
    NODUS_TRY(take_number(r, 4, &type));
    NODUS_TRY(take_number(r, 8, &count));
    if (count > r->size - r->at) return nodus_error(NODUS_ERROR_FILE, "an array of its metadata is longer than the file");
    if (depth > DEPTH_LIMIT) return nodus_error(NODUS_ERROR_FILE, "its metadata have arrays more than %d deep", DEPTH_LIMIT);
    if (number_bytes(type)) return take(r, count * (uint64_t)number_bytes(type), &from);
    for (uint64_t i = 0; i < count; i++) {
        if (type == TYPE_TEXT) NODUS_TRY(take_text(r, &text, &length));
        else if (type == TYPE_ARRAY) NODUS_TRY(skip_array(r, depth + 1));
        else return wrong_type(type);
    }
    return NULL;
}

static NodusStatus add_text(Reader *r, Arena *arena, const char *key)
{
    const char *text;
    uint64_t length;
    NODUS_TRY(take_text(r, &text, &length));
    const char *copy = arena_text_n(arena, text, length);
    return copy ? weights_add_metadata(r->into, key, copy) : status_memory();
}

static NodusStatus read_note(Reader *r, Arena *arena)
{
    const char *key;
    uint64_t type, bits;
    char number[40];
    NODUS_TRY(take_name(r, arena, &key));
    NODUS_TRY(take_number(r, 4, &type));
    if (type == TYPE_TEXT) return add_text(r, arena, key);
    if (type == TYPE_ARRAY) return skip_array(r, 1); /* found again by find_shape, if it is one */
    if (!number_bytes(type)) return wrong_type(type);
    NODUS_TRY(take_number(r, number_bytes(type), &bits));
    if (!strcmp(key, "general.alignment")) r->alignment = bits;
    number_text(type, bits, number);
    return weights_add_metadata(r->into, key, number);
}

/* ---- Tensors -------------------------------------------------------------------------------------------------------- */

static NodusStatus read_info(Reader *r, Arena *arena, Info *info)
{
    uint64_t rank, type;
    NODUS_TRY(take_name(r, arena, &info->name));
    NODUS_TRY(take_number(r, 4, &rank));
    if (rank > GGUF_RANK)
        return nodus_error(NODUS_ERROR_FILE, "tensor '%s': it has more than %d dimensions", info->name, GGUF_RANK);
    info->rank = (int)rank;
    for (int i = info->rank - 1; i >= 0; i--) {
        uint64_t size;
        NODUS_TRY(take_number(r, 8, &size));
        if (size > INT64_MAX)
            return nodus_error(NODUS_ERROR_FILE, "tensor '%s': its shape is larger than any memory", info->name);
        info->dim[i] = (int64_t)size;
    }
    NODUS_TRY(take_number(r, 4, &type));
    info->type = (uint32_t)type;
    return take_number(r, 8, &info->offset);
}

/* Unpacks a quantised tensor when it is read. */
typedef struct Blocks {
    WeightSource source;
    const uint8_t *data;
    const BlockFormat *format;
} Blocks;

static NodusStatus unpack(const WeightSource *source, const Weight *weight, void *out)
{
    const Blocks *self = (const Blocks *)(const void *)source;
    const size_t blocks = weight->bytes / sizeof(float) / (size_t)self->format->numbers;
    for (size_t i = 0; i < blocks; i++)
        self->format->unpack(self->data + i * (size_t)self->format->bytes, (float *)out + i * (size_t)self->format->numbers);
    return NULL;
}

const char *gguf_type(const Weight *weight)
{
    if (!weight->source || weight->source->read != unpack) return NULL;
    return ((const Blocks *)(const void *)weight->source)->format->name;
}

static NodusStatus find_data(const Reader *r, const Info *info, size_t bytes, const uint8_t **out)
{
    const size_t room = r->size - r->at;
    if (info->offset % r->alignment)
        return nodus_error(NODUS_ERROR_FILE, "tensor '%s': its offset is no multiple of the alignment", info->name);
    if (info->offset > room || bytes > room - info->offset)
        return nodus_error(NODUS_ERROR_FILE,
                           "tensor '%s': its data leave the file: the file is cut off, copy or download it again", info->name);
    *out = r->data + r->at + info->offset;
    return NULL;
}

static NodusStatus add_blocks(const Reader *r, const Info *info, const BlockFormat *format, size_t count, const Shape *shape)
{
    const size_t numbers = (size_t)format->numbers, bytes = count / numbers * (size_t)format->bytes;
    const uint8_t *data;
    if (info->rank && info->dim[info->rank - 1] % format->numbers)
        return nodus_error(NODUS_ERROR_FILE, "tensor '%s': rows of %" PRId64 " numbers fill no blocks of %s, which have %d",
                           info->name, info->dim[info->rank - 1], format->name, format->numbers);
    NODUS_TRY(find_data(r, info, bytes, &data));
    Blocks *blocks = memory_alloc(sizeof *blocks);
    if (!blocks) return status_memory();
    *blocks = (Blocks){{unpack, r->mapped ? data : NULL, bytes}, data, format};
    NODUS_TRY(weights_own(r->into, memory_free, blocks));
    return weights_add_source(r->into, info->name, DTYPE_F32, shape->rank, shape->dim, &blocks->source);
}

static NodusStatus add_tensor(const Reader *r, const Info *info, const Shape *shape)
{
    const BlockFormat *blocks = gguf_blocks(info->type);
    const uint8_t *data;
    size_t bytes;
    int dtype = blocks ? DTYPE_F32 : -1;
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (plain[i].type == info->type) dtype = plain[i].dtype;
    if (dtype < 0 && gguf_blocks_unread(info->type))
        return nodus_error(
            NODUS_ERROR_MISSING,
            "tensor '%s': is stored as %s; nodus reads F16, F32, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K and Q6_K",
            info->name, gguf_blocks_unread(info->type));
    if (dtype < 0)
        return nodus_error(NODUS_ERROR_FILE, "tensor '%s': its type %" PRIu32 " is not one that nodus knows", info->name,
                           info->type);
    if (!dims_bytes(dtype, info->rank, info->dim, &bytes))
        return nodus_error(NODUS_ERROR_FILE, "tensor '%s': its shape is larger than any memory", info->name);
    if (blocks) return add_blocks(r, info, blocks, bytes / sizeof(float), shape);
    NODUS_TRY(find_data(r, info, bytes, &data));
    return weights_add(r->into, info->name, dtype, shape->rank, shape->dim, data, bytes, r->mapped);
}

/* ---- Shapes of the metadata ----------------------------------------------------------------------------------------- */

typedef struct Original {
    const char *name;
    Shape shape;
} Original;
typedef struct Originals {
    Original *item;
    size_t count, capacity;
} Originals;
static const char original_prefix[] = "comfy.gguf.orig_shape.";

/* A note again: an array of i32 under the prefix is a tensor's shape. */
static NodusStatus read_original(Reader *r, Arena *arena, Originals *out)
{
    const char *key;
    uint64_t type, inner, count, size;
    NODUS_TRY(take_name(r, arena, &key));
    NODUS_TRY(take_number(r, 4, &type));
    if (strncmp(key, original_prefix, strlen(original_prefix)) || type != TYPE_ARRAY) return NULL;
    NODUS_TRY(take_number(r, 4, &inner));
    NODUS_TRY(take_number(r, 8, &count));
    if (count > VIEW_RANK || number_bytes(inner) != 4) return NULL;
    if (!memory_reserve((void **)&out->item, &out->capacity, out->count, sizeof *out->item)) return status_memory();
    Original *original = &out->item[out->count];
    *original = (Original){.name = key + strlen(original_prefix), .shape = {.rank = (int)count}};
    for (uint64_t i = 0; i < count; i++) {
        NODUS_TRY(take_number(r, 4, &size));
        original->shape.dim[i] = (int64_t)size;
    }
    out->count++;
    return NULL;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const Original *)a)->name, ((const Original *)b)->name);
}

/* The shape that a tensor has for its user: an original one, if that has as many numbers. */
static Shape shape_of(const Originals *originals, const Info *info)
{
    Shape shape = {.rank = info->rank};
    memcpy(shape.dim, info->dim, sizeof shape.dim);
    const Original key = {.name = info->name};
    const Original *found = originals->count ? bsearch(&key, originals->item, originals->count, sizeof key, by_name) : NULL;
    size_t mine, theirs;
    if (found && dims_bytes(DTYPE_U8, info->rank, info->dim, &mine) &&
        dims_bytes(DTYPE_U8, found->shape.rank, found->shape.dim, &theirs) && mine == theirs)
        return found->shape;
    return shape;
}

static NodusStatus read_notes(Reader *r, Arena *arena, uint64_t count, Originals *originals)
{
    for (uint64_t i = 0; i < count; i++) {
        Reader again = *r;
        NODUS_TRY(read_note(r, arena));
        again.size = r->at;
        NODUS_TRY(read_original(&again, arena, originals));
    }
    if (originals->count) qsort(originals->item, originals->count, sizeof *originals->item, by_name);
    if (r->alignment < 8 || r->alignment > 1 << 20 || r->alignment & (r->alignment - 1))
        return nodus_error(NODUS_ERROR_FILE, "its alignment of %" PRIu64 " is no power of two from 8 on", r->alignment);
    return NULL;
}

static NodusStatus read_tensors(Reader *r, Arena *arena, uint64_t count, const Originals *originals)
{
    Info *info = memory_array(count, sizeof *info);
    NodusStatus status = info ? NULL : status_memory();
    for (uint64_t i = 0; i < count && !status; i++) status = read_info(r, arena, &info[i]);
    const size_t index = r->at, padding = (r->alignment - r->at % r->alignment) % r->alignment;
    r->at = padding > r->size - r->at ? r->size : r->at + padding;
    for (uint64_t i = 0; i < count && !status; i++) {
        const Shape shape = shape_of(originals, &info[i]);
        status = add_tensor(r, &info[i], &shape);
    }
    memory_free(info);
    return status ? status : weights_file_identify(r->into, r->data, index, r->data + r->at, r->size - r->at);
}

NodusStatus gguf_read(const uint8_t *data, size_t size, bool mapped, WeightSet *into)
{
    Reader r = {.data = data, .size = size, .at = 4, .mapped = mapped, .alignment = ALIGNMENT, .into = into};
    Originals originals = {0};
    uint64_t version, tensors, notes;
    if (!gguf_is(data, size)) return nodus_error(NODUS_ERROR_FILE, "it is no GGUF file");
    NODUS_TRY(take_number(&r, 4, &version));
    if (version != 2 && version != 3)
        return nodus_error(NODUS_ERROR_FILE, "it is GGUF of version %" PRIu64 "; nodus reads 2 and 3", version);
    NODUS_TRY(take_number(&r, 8, &tensors));
    NODUS_TRY(take_number(&r, 8, &notes));
    if (tensors > size / LEAST_INFO || notes > size / LEAST_NOTE)
        return nodus_error(NODUS_ERROR_FILE, "it ends early: copy or download it again");
    Arena *arena = arena_new();
    if (!arena) return status_memory();
    NodusStatus status = read_notes(&r, arena, notes, &originals);
    if (!status) status = read_tensors(&r, arena, tensors, &originals);
    memory_free(originals.item);
    arena_free(arena);
    return status;
}
