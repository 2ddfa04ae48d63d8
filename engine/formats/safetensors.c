/* safetensors.c: state dicts on disk, read without copying.
 *
 * One idea: the header says everything, so the whole file is judged by the header alone and opening costs the same for 1 MB and
 * 10 GB. A file is accepted only if its tensors tile the data exactly: every byte belongs to one tensor. That rules out offsets
 * outside the file, overlaps, holes and hidden passengers with one rule.
 *
 * Identity: header, file size, and up to 64 evenly spaced pages of data. Hashing all of a 4 GB file would take seconds at every
 * start; two trained files of the same structure differ in every page, and the loaders add the file's time to their signatures.
 */
#include "engine/formats/safetensors.h"
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/formats/json.h"
#include "engine/formats/weights_file.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { LENGTH_BYTES = 8, HEADER_LIMIT = 100 * 1000 * 1000 };

static const struct {
    const char *name;
    int dtype;
} dtype_names[] = {
    {"F32", DTYPE_F32}, {"F16", DTYPE_F16}, {"BF16", DTYPE_BF16}, {"F64", DTYPE_F64}, {"I8", DTYPE_I8},
    {"U8", DTYPE_U8},   {"I16", DTYPE_I16}, {"I32", DTYPE_I32},   {"I64", DTYPE_I64}, {"F8_E4M3", DTYPE_F8_E4M3},
    {"F8_E5M2", DTYPE_F8_E5M2}, {"BOOL", DTYPE_U8},
};
enum { DTYPE_NAMES = sizeof dtype_names / sizeof *dtype_names };

const char *safetensors_type(int dtype)
{
    return dtype_names[dtype].name; /* the table begins in the order of Dtype */
}

typedef struct Reader {
    const uint8_t *data; /* behind the header */
    uint64_t size;
    bool mapped;
    WeightSet *into;
} Reader;

typedef struct Entry {
    const char *name; /* lives in the JSON tree */
    int dtype, rank;
    int64_t dim[VIEW_RANK];
    uint64_t begin, end;
} Entry;

/* An error about one tensor; names may be megabytes long in a hostile file. */
#define entry_error(name_, format_, ...) nodus_error(NODUS_ERROR_FILE, "tensor '%.200s': " format_, (name_), __VA_ARGS__)

/* ---- One tensor's entry --------------------------------------------------------------------------------------------- */

static NodusStatus read_dtype(const cJSON *item, Entry *entry)
{
    const char *name = json_string(item);
    if (!name) return entry_error(entry->name, "%s", "its dtype is no text");
    for (int i = 0; i < DTYPE_NAMES; i++)
        if (!strcmp(name, dtype_names[i].name)) {
            entry->dtype = dtype_names[i].dtype;
            return NULL;
        }
    return entry_error(entry->name, "its dtype '%.20s' is not one that nodus knows", name);
}

static bool read_size(const cJSON *item, uint64_t *out)
{
    bool negative;
    return json_integer(item, &negative, out) && (!negative || !*out) && *out <= INT64_MAX;
}

static NodusStatus read_shape(const cJSON *item, Entry *entry)
{
    if (!cJSON_IsArray(item)) return entry_error(entry->name, "%s", "its shape is no list");
    entry->rank = 0;
    for (const cJSON *dim = item->child; dim; dim = dim->next) {
        uint64_t size;
        if (entry->rank == VIEW_RANK) return entry_error(entry->name, "it has more than %d dimensions", VIEW_RANK);
        if (!read_size(dim, &size))
            return entry_error(entry->name, "dimension %d is no whole number from 0 to 2^63", entry->rank);
        entry->dim[entry->rank++] = (int64_t)size;
    }
    return NULL;
}

static NodusStatus read_offsets(const cJSON *item, uint64_t room, Entry *entry)
{
    const cJSON *begin = cJSON_IsArray(item) ? item->child : NULL, *end = begin ? begin->next : NULL;
    if (!end || end->next || !read_size(begin, &entry->begin) || !read_size(end, &entry->end))
        return entry_error(entry->name, "%s", "its data_offsets are not two whole numbers");
    if (entry->begin > entry->end)
        return entry_error(entry->name, "its data_offsets [%" PRIu64 ", %" PRIu64 "] run backwards", entry->begin, entry->end);
    if (entry->end > room)
        return entry_error(entry->name,
                           "its data_offsets [%" PRIu64 ", %" PRIu64 "] leave the file, which holds %" PRIu64
                           " bytes of data: the file is cut off, copy or download it again",
                           entry->begin, entry->end, room);
    return NULL;
}

static NodusStatus check_size(const Entry *entry)
{
    uint64_t bytes = dtype_size(entry->dtype);
    bool overflow = false, empty = false;
    for (int i = 0; i < entry->rank; i++) {
        empty = empty || !entry->dim[i];
        overflow = __builtin_mul_overflow(bytes, (uint64_t)entry->dim[i], &bytes) || overflow;
    }
    if (empty) bytes = 0;
    else if (overflow || bytes > PTRDIFF_MAX) return entry_error(entry->name, "%s", "its shape is larger than any memory");
    if (bytes == entry->end - entry->begin) return NULL;
    return entry_error(entry->name, "its shape and dtype need %" PRIu64 " bytes, its data_offsets span %" PRIu64, bytes,
                       entry->end - entry->begin);
}

/* Finds the member `name`, which must be there once. */
static NodusStatus member(const cJSON *object, const char *name, const cJSON **out)
{
    *out = NULL;
    for (const cJSON *item = object->child; item; item = item->next) {
        if (strcmp(item->string, name)) continue;
        if (*out) return entry_error(object->string, "it has two members '%s'", name);
        *out = item;
    }
    return *out ? NULL : entry_error(object->string, "it has no '%s'", name);
}

static NodusStatus read_entry(const cJSON *object, uint64_t room, Entry *entry)
{
    const cJSON *dtype, *shape, *offsets;
    entry->name = object->string;
    if (!cJSON_IsObject(object)) return entry_error(object->string, "%s", "its entry is no JSON object");
    NODUS_TRY(member(object, "dtype", &dtype));
    NODUS_TRY(member(object, "shape", &shape));
    NODUS_TRY(member(object, "data_offsets", &offsets));
    NODUS_TRY(read_dtype(dtype, entry));
    NODUS_TRY(read_shape(shape, entry));
    NODUS_TRY(read_offsets(offsets, room, entry));
    return check_size(entry);
}

/* ---- The header ------------------------------------------------------------------------------------------------------ */

static int by_offset(const void *a_, const void *b_)
{
    const Entry *a = a_, *b = b_;
    if (a->begin != b->begin) return a->begin < b->begin ? -1 : 1;
    return a->end < b->end ? -1 : a->end > b->end;
}

/* The tensors must tile the data: sorted by offset, each begins where the one before ends. */
static NodusStatus check_tiling(const Entry *entry, size_t count, uint64_t room)
{
    Entry *sorted = memory_array(count, sizeof *sorted);
    if (!sorted) return status_memory();
    if (count) memcpy(sorted, entry, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, by_offset);
    uint64_t at = 0;
    NodusStatus status = NULL;
    for (size_t i = 0; i < count && !status; at = sorted[i++].end) {
        if (sorted[i].begin < at)
            status = entry_error(sorted[i].name, "its data overlap those of tensor '%.200s'", sorted[i - 1].name);
        else if (sorted[i].begin > at)
            status = entry_error(sorted[i].name, "there is a hole of %" PRIu64 " bytes before its data", sorted[i].begin - at);
    }
    if (!status && at < room)
        status = nodus_error(NODUS_ERROR_FILE, "%" PRIu64 " bytes at its end belong to no tensor", room - at);
    memory_free(sorted);
    return status;
}

/* Elements must lie at multiples of their size; a tensor of an oddly laid out file is copied. */
static NodusStatus add_entry(const Reader *reader, const Entry *entry)
{
    const void *data = reader->data + entry->begin;
    const size_t bytes = entry->end - entry->begin;
    void *copy = NULL;
    if ((uintptr_t)data % dtype_size(entry->dtype) && bytes) {
        copy = memory_aligned(bytes);
        if (!copy) return status_memory();
        NODUS_TRY(weights_own(reader->into, memory_free, copy));
        data = memcpy(copy, data, bytes);
    }
    return weights_add(reader->into, entry->name, entry->dtype, entry->rank, entry->dim, data, bytes, reader->mapped && !copy);
}

static NodusStatus read_metadata(WeightSet *into, const cJSON *object)
{
    if (!cJSON_IsObject(object)) return nodus_error(NODUS_ERROR_FILE, "its __metadata__ is no JSON object");
    for (const cJSON *item = object->child; item; item = item->next) {
        const char *value = json_string(item);
        if (!value) return nodus_error(NODUS_ERROR_FILE, "__metadata__ '%.200s' is no text", item->string);
        NODUS_TRY(weights_add_metadata(into, item->string, value));
    }
    return NULL;
}

/* Reads all entries of the header into `entry`, which has room for them; `metadata` comes back apart. */
static NodusStatus read_entries(const cJSON *root, uint64_t room, Entry *entry, size_t *count, const cJSON **metadata)
{
    for (const cJSON *item = root->child; item; item = item->next) {
        if (strcmp(item->string, "__metadata__")) NODUS_TRY(read_entry(item, room, &entry[(*count)++]));
        else if (*metadata) return nodus_error(NODUS_ERROR_FILE, "it has two members '__metadata__'");
        else *metadata = item;
    }
    return NULL;
}

static NodusStatus read_tree(const Reader *reader, const cJSON *root)
{
    if (!cJSON_IsObject(root)) return nodus_error(NODUS_ERROR_FILE, "its header is no JSON object");
    const uint64_t room = reader->size;
    const cJSON *metadata = NULL;
    size_t members = 0, count = 0;
    for (const cJSON *item = root->child; item; item = item->next) members++;
    Entry *entry = memory_array(members, sizeof *entry);
    if (!entry) return status_memory();
    NodusStatus status = read_entries(root, room, entry, &count, &metadata);
    if (!status) status = check_tiling(entry, count, room);
    for (size_t i = 0; i < count && !status; i++) status = add_entry(reader, &entry[i]);
    if (!status && metadata) status = read_metadata(reader->into, metadata);
    memory_free(entry);
    return status;
}

NodusStatus safetensors_read(const uint8_t *data, size_t size, bool mapped, WeightSet *into)
{
    uint64_t length = 0;
    if (size < LENGTH_BYTES) return nodus_error(NODUS_ERROR_FILE, "it has %zu bytes: too short for a safetensors file", size);
    for (int i = LENGTH_BYTES - 1; i >= 0; i--) length = length << 8 | data[i];
    if (length > HEADER_LIMIT)
        return nodus_error(NODUS_ERROR_FILE,
                           "its header would have %" PRIu64 " bytes (limit: 100 MB): this is no safetensors file", length);
    if (length > size - LENGTH_BYTES)
        return nodus_error(
            NODUS_ERROR_FILE,
            "its header of %" PRIu64 " bytes is longer than the file: the file is cut off, copy or download it again", length);
    const uint8_t *header = data + LENGTH_BYTES;
    const Reader reader = {header + length, size - LENGTH_BYTES - length, mapped, into};
    Json *json = NULL;
    NodusStatus status = json_parse((const char *)header, length, &json);
    if (status) nodus_error_prefix(status, "its header");
    else status = read_tree(&reader, json_root(json));
    if (!status) status = weights_file_identify(into, header, length, reader.data, reader.size);
    json_free(json);
    return status;
}

NodusStatus safetensors_parse(const char *name, const uint8_t *data, size_t size, WeightSet *into)
{
    NodusStatus status = safetensors_read(data, size, false, into);
    return status ? nodus_error_prefix(status, "'%s'", name) : NULL;
}

/* ---- Writing --------------------------------------------------------------------------------------------------------- */

static size_t item_bytes(const SafetensorsItem *item)
{
    size_t bytes = dtype_size(item->dtype);
    for (int i = 0; i < item->rank; i++) bytes *= (size_t)item->dim[i]; /* the data exist, so this does not overflow */
    return bytes;
}

static void put_item(Text *header, const SafetensorsItem *item, size_t at)
{
    json_put_string(header, item->name, false);
    text_format(header, ":{\"dtype\":\"%s\",\"shape\":[",
                safetensors_type(item->dtype));
    for (int i = 0; i < item->rank; i++) text_format(header, "%s%" PRId64, i ? "," : "", item->dim[i]);
    text_format(header, "],\"data_offsets\":[%zu,%zu]}", at, at + item_bytes(item));
}

static void put_header(Text *header, const SafetensorsItem *items, int count, const SafetensorsText *metadata, int texts)
{
    size_t at = 0;
    text_char(header, '{');
    if (texts) text_add(header, "\"__metadata__\":{");
    for (int i = 0; i < texts; i++) {
        if (i) text_char(header, ',');
        json_put_string(header, metadata[i].key, false);
        text_char(header, ':');
        json_put_string(header, metadata[i].value, false);
    }
    if (texts) text_add(header, count ? "}," : "}");
    for (int i = 0; i < count; i++) {
        if (i) text_char(header, ',');
        put_item(header, &items[i], at);
        at += item_bytes(&items[i]);
    }
    text_char(header, '}');
    while (header->length % LENGTH_BYTES && !header->failed) text_char(header, ' '); /* the data begin aligned */
}

static NodusStatus write_item(FileWriter *file, const SafetensorsItem *item)
{
    const size_t bytes = item_bytes(item);
    if (!item->make) return file_write(file, item->data, bytes);
    void *made = memory_aligned(bytes);
    if (!made) return status_memory();
    NodusStatus status = item->make(item, made);
    if (!status) status = file_write(file, made, bytes);
    memory_free(made);
    return status;
}

static NodusStatus write_all(FileWriter *file, const Text *header, const SafetensorsItem *items, int count)
{
    uint8_t length[LENGTH_BYTES];
    for (int i = 0; i < LENGTH_BYTES; i++) length[i] = (uint8_t)(header->length >> 8 * i);
    NODUS_TRY(file_write(file, length, sizeof length));
    NODUS_TRY(file_write(file, header->data, header->length));
    for (int i = 0; i < count; i++) NODUS_TRY(write_item(file, &items[i]));
    return NULL;
}

NodusStatus safetensors_write(const char *path, bool replace, bool *exists, const SafetensorsItem *items, int count,
                              const SafetensorsText *metadata, int texts)
{
    bool taken = false;
    Text header = {0};
    FileWriter *file = NULL;
    put_header(&header, items, count, metadata, texts);
    NodusStatus status = header.failed ? status_memory() : file_create(path, &file);
    if (!status) status = write_all(file, &header, items, count);
    text_free(&header);
    if (status) file_abandon(file);
    else status = replace ? file_commit(file) : file_commit_new(file, &taken);
    if (exists) *exists = taken;
    return status;
}
