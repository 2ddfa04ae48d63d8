/* torch.c: what torch.save wrote: .ckpt, .pt, .pth, .bin.
 *
 * Format since PyTorch 1.6: a zip with ROOT/data.pkl, a pickle whose tensors name storages by a key, and ROOT/data/KEY, the
 * storages' bytes, usually stored and at multiples of 64. Before: five pickles one after another (a magic number, 1001, the
 * machine, the object, the list of keys), then for each key a 64-bit count and the bytes. One idea: both become the same two
 * things, a tree of values and a table of storages, and all that follows is shared. A tensor whose numbers lie in order and
 * aligned is used where it lies in the file; another is gathered each time it is read, so that opening copies nothing and a view
 * that repeats one number costs nothing. */
#include "engine/base/text.h"
#include "engine/formats/pickle.h"
#include "engine/formats/weights_file.h"
#include "engine/formats/zip.h"
#include "engine/tensor/shape.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DEPTH_LIMIT = 32,
    NAME_LIMIT = 512,
    VISIT_LIMIT = 1 << 18,
    PROTOCOL = 1001,
    INFLATED_LIMIT = 16 /* times the file: zeros compress and views repeat, but not by more */
};
static const uint8_t legacy_start[] = {0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};

typedef struct Torch {
    const uint8_t *data;
    size_t size;
    bool mapped;
    WeightSet *into;
    Pickle pickle;
    PickleStorage **storage; /* sorted by key */
    size_t storages, visits;
    Text name; /* of the value being walked */
} Torch;

/* A safetensors file begins with the length of its header, eight bytes that may look like any other beginning. */
static bool is_safetensors(const uint8_t *data, size_t size)
{
    uint64_t length = 0;
    for (int i = 7; i >= 0 && size > 8; i--) length = length << 8 | data[i];
    return size > 8 && data[8] == '{' && length <= size - 8;
}

bool torch_is(const uint8_t *data, size_t size)
{
    return size >= 4 && !is_safetensors(data, size) && (!memcmp(data, "PK\3\4", 4) || !memcmp(data, "PK\5\6", 4) || (data[0] == 0x80 && data[1] < 6) ||
                         (size > 262 && !memcmp(data + 257, "ustar", 5)));
}

/* ---- Tensors -------------------------------------------------------------------------------------------------------- */

/* A tensor that does not lie in the file as it is read. */
typedef struct Gathered {
    WeightSource source;
    PickleTensor tensor; /* lives longer than the pickle */
    const uint8_t *data;
} Gathered;

static bool in_order(const PickleTensor *tensor)
{
    int64_t stride = 1;
    for (int i = tensor->rank - 1; i >= 0; i--) {
        if (tensor->dim[i] != 1 && tensor->stride[i] != stride) return false;
        stride *= tensor->dim[i];
    }
    return true;
}

static void gather_each(const PickleTensor *tensor, const uint8_t *data, uint8_t *out, size_t count, size_t size)
{
    int64_t index[VIEW_RANK] = {0}, at = 0;
    for (size_t i = 0; i < count; i++) {
        memcpy(out + i * size, data + (size_t)at * size, size);
        for (int axis = tensor->rank - 1; axis >= 0; axis--) {
            at += tensor->stride[axis];
            if (++index[axis] < tensor->dim[axis]) break;
            at -= index[axis] * tensor->stride[axis];
            index[axis] = 0;
        }
    }
}

static NodusStatus gather(const WeightSource *source, const Weight *weight, void *out)
{
    const Gathered *self = (const Gathered *)(const void *)source;
    const size_t size = dtype_size(weight->dtype);
    if (in_order(&self->tensor)) memcpy(out, self->data, weight->bytes);
    else gather_each(&self->tensor, self->data, out, weight->bytes / size, size);
    return NULL;
}

/* Numbers from the tensor's first to its last, or −1 when that overflows. */
static int64_t extent(const PickleTensor *tensor)
{
    int64_t last = 0, step;
    for (int i = 0; i < tensor->rank; i++) {
        if (!tensor->dim[i]) return 0;
        if (__builtin_mul_overflow(tensor->dim[i] - 1, tensor->stride[i], &step) || __builtin_add_overflow(last, step, &last))
            return -1;
    }
    return last == INT64_MAX ? -1 : last + 1;
}

static NodusStatus add_gathered(Torch *t, const PickleTensor *tensor, const uint8_t *data, size_t bytes)
{
    Gathered *gathered = memory_alloc(sizeof *gathered);
    if (!gathered) return status_memory();
    *gathered = (Gathered){{gather, t->mapped ? data : NULL, bytes}, *tensor, data};
    NODUS_TRY(weights_own(t->into, memory_free, gathered));
    return weights_add_source(t->into, text_get(&t->name), tensor->dtype, tensor->rank, tensor->dim, &gathered->source);
}

static NodusStatus add_tensor(Torch *t, const PickleTensor *tensor)
{
    const PickleStorage *storage = tensor->storage;
    const size_t size = dtype_size(tensor->dtype);
    const int64_t room = (int64_t)(storage->bytes / size), span = extent(tensor);
    size_t bytes;
    if (!dims_bytes(tensor->dtype, tensor->rank, tensor->dim, &bytes))
        return nodus_error(NODUS_ERROR_FILE, "tensor '%s': its shape is larger than any memory", text_get(&t->name));
    if (span < 0 || tensor->offset > room || span > room - tensor->offset)
        return nodus_error(NODUS_ERROR_FILE, "tensor '%s': its numbers leave its storage '%.100s', which has %" PRId64,
                           text_get(&t->name), storage->key, room);
    const uint8_t *data = storage->data ? storage->data + (size_t)tensor->offset * size : NULL;
    const bool inside = storage->data >= t->data && storage->data < t->data + t->size;
    if (!bytes) return weights_add(t->into, text_get(&t->name), tensor->dtype, tensor->rank, tensor->dim, t->data, 0, t->mapped);
    if (bytes / INFLATED_LIMIT > t->size)
        return nodus_error(NODUS_ERROR_FILE, "tensor '%s': it repeats its numbers to more than %d times the file",
                           text_get(&t->name), INFLATED_LIMIT);
    if (!in_order(tensor) || (uintptr_t)data % size) return add_gathered(t, tensor, data, inside ? (size_t)span * size : 0);
    return weights_add(t->into, text_get(&t->name), tensor->dtype, tensor->rank, tensor->dim, data, bytes, t->mapped && inside);
}

/* ---- The tree ------------------------------------------------------------------------------------------------------- */

static NodusStatus walk(Torch *t, const PickleValue *value, int depth);

/* The value under a further part of the name. */
static NodusStatus walk_named(Torch *t, const char *part, size_t length, const PickleValue *value, int depth)
{
    const size_t before = t->name.length;
    if (memchr(part, 0, length)) return nodus_error(NODUS_ERROR_FILE, "a name behind '%s' has a zero in it", text_get(&t->name));
    if (length + before >= NAME_LIMIT)
        return nodus_error(NODUS_ERROR_FILE, "the name '%s%.100s…' is longer than %d", text_get(&t->name), part, NAME_LIMIT);
    if (before) text_char(&t->name, '.');
    text_add_n(&t->name, part, length);
    if (t->name.failed) return status_memory();
    NODUS_TRY(walk(t, value, depth));
    t->name.length = before;
    t->name.data[before] = '\0';
    return NULL;
}

static NodusStatus walk_dict(Torch *t, const PickleValue *dict, int depth)
{
    for (size_t i = 0; i + 1 < dict->count; i += 2) {
        const PickleValue *key = dict->item[i];
        char digits[24];
        if (key->kind == PICKLE_TEXT) NODUS_TRY(walk_named(t, key->text, key->length, dict->item[i + 1], depth));
        if (key->kind != PICKLE_INT) continue;
        const int length = snprintf(digits, sizeof digits, "%" PRId64, key->integer);
        NODUS_TRY(walk_named(t, digits, (size_t)length, dict->item[i + 1], depth));
    }
    return NULL;
}

static NodusStatus walk_list(Torch *t, const PickleValue *list, int depth)
{
    for (size_t i = 0; i < list->count; i++) {
        char digits[24];
        const int length = snprintf(digits, sizeof digits, "%zu", i);
        NODUS_TRY(walk_named(t, digits, (size_t)length, list->item[i], depth));
    }
    return NULL;
}

static NodusStatus add_note(Torch *t, const PickleValue *value)
{
    char number[40] = "";
    if (value->kind == PICKLE_INT) snprintf(number, sizeof number, "%" PRId64, value->integer);
    if (value->kind == PICKLE_FLOAT) snprintf(number, sizeof number, "%.17g", value->number);
    if (value->kind == PICKLE_BOOL) strcpy(number, value->integer ? "true" : "false");
    return weights_add_metadata(t->into, text_get(&t->name), value->kind == PICKLE_TEXT ? value->text : number);
}

static NodusStatus walk(Torch *t, const PickleValue *value, int depth)
{
    if (++t->visits > VISIT_LIMIT)
        return nodus_error(NODUS_ERROR_FILE, "its dictionaries have more than %d entries in all", VISIT_LIMIT);
    if (depth > DEPTH_LIMIT) return nodus_error(NODUS_ERROR_FILE, "its dictionaries are more than %d deep", DEPTH_LIMIT);
    switch (value->kind) {
    case PICKLE_DICT: return walk_dict(t, value, depth + 1);
    case PICKLE_LIST: return walk_list(t, value, depth + 1);
    case PICKLE_TENSOR: return add_tensor(t, value->tensor);
    case PICKLE_INT:
    case PICKLE_FLOAT:
    case PICKLE_BOOL:
    case PICKLE_TEXT: return add_note(t, value);
    default: return NULL;
    }
}

/* What the file is about: its "state_dict", or the only dictionary it holds, or all of it. */
static const PickleValue *subject(const PickleValue *root)
{
    const PickleValue *state = pickle_get(root, "state_dict");
    if (state && state->kind == PICKLE_DICT) return state;
    const bool wraps = root->kind == PICKLE_DICT && root->count == 2 && root->item[1]->kind == PICKLE_DICT;
    return wraps ? root->item[1] : root;
}

/* ---- Storages ------------------------------------------------------------------------------------------------------- */

static int by_key(const void *a, const void *b)
{
    return strcmp((*(PickleStorage *const *)a)->key, (*(PickleStorage *const *)b)->key);
}

static NodusStatus sort_storages(Torch *t)
{
    for (const PickleStorage *s = t->pickle.storages; s; s = s->next) t->storages++;
    t->storage = memory_array(t->storages, sizeof *t->storage);
    if (!t->storage) return status_memory();
    size_t i = 0;
    for (PickleStorage *s = t->pickle.storages; s; s = s->next) t->storage[i++] = s;
    if (i) qsort(t->storage, i, sizeof *t->storage, by_key);
    return NULL;
}

/* Gives the bytes to all mentions of a key, from index `first` on; how many mentions there are. All must fit into them. */
static NodusStatus assign(Torch *t, size_t first, const uint8_t *data, size_t bytes, size_t *mentions)
{
    for (*mentions = 0; first + *mentions < t->storages; ++*mentions) {
        PickleStorage *storage = t->storage[first + *mentions];
        size_t needed;
        if (strcmp(storage->key, t->storage[first]->key)) break;
        if (!dims_bytes(storage->dtype, 1, &storage->count, &needed) || needed > bytes)
            return nodus_error(NODUS_ERROR_FILE,
                               "storage '%.100s' should have %" PRId64 " numbers, the file has %zu bytes of it: it is cut off",
                               storage->key, storage->count, bytes);
        storage->data = data;
        storage->bytes = needed;
    }
    return NULL;
}

static NodusStatus finish(Torch *t, const uint8_t *index, size_t index_size)
{
    NodusStatus status = walk(t, subject(t->pickle.root), 0);
    return status ? status : weights_file_identify(t->into, index, index_size, t->data, t->size);
}

/* ---- Zip ------------------------------------------------------------------------------------------------------------ */

/* A member's content: where it lies, or unpacked, within a limit for all members together. */
static NodusStatus content(Torch *t, const ZipMember *member, size_t *inflated, const uint8_t **out)
{
    uint8_t *copy;
    *out = member->data;
    if (!member->deflated) return NULL;
    if (member->size > INFLATED_LIMIT * t->size - *inflated)
        return nodus_error(NODUS_ERROR_FILE, "its members unpack to more than %d times the file", INFLATED_LIMIT);
    *inflated += member->size;
    NODUS_TRY(zip_inflate(member, &copy));
    *out = copy;
    return weights_own(t->into, memory_free, copy);
}

static const ZipMember *find_pickle(const Zip *zip)
{
    static const char name[] = "data.pkl";
    for (size_t i = 0; i < zip->count; i++) {
        const char *slash = strchr(zip->member[i].name, '/');
        if (!strcmp(slash ? slash + 1 : zip->member[i].name, name)) return &zip->member[i];
    }
    return NULL;
}

static NodusStatus read_zip_storages(Torch *t, const Zip *zip, const ZipMember *pickle, size_t inflated)
{
    const size_t root = strlen(pickle->name) - strlen("data.pkl");
    NODUS_TRY(sort_storages(t));
    NodusStatus status = NULL;
    Text name = {0};
    for (size_t i = 0, mentions; i < t->storages && !status; i += mentions) {
        const uint8_t *data;
        name.length = 0;
        text_add_n(&name, pickle->name, root);
        text_add(&name, "data/");
        text_add(&name, t->storage[i]->key);
        const ZipMember *member = name.failed ? NULL : zip_find(zip, name.data);
        mentions = 1;
        if (name.failed) status = status_memory();
        else if (!member) status = nodus_error(NODUS_ERROR_FILE, "it has no member '%.200s' for a storage", name.data);
        if (!status) status = content(t, member, &inflated, &data);
        if (!status) status = assign(t, i, data, member->size, &mentions);
    }
    text_free(&name);
    return status;
}

static NodusStatus read_members(Torch *t, const Zip *zip)
{
    size_t inflated = 0;
    const uint8_t *bytes;
    const ZipMember *pickle = find_pickle(zip);
    if (!pickle) return nodus_error(NODUS_ERROR_FILE, "it is a zip archive without a 'data.pkl': no file that torch.save wrote");
    Text order = {0};
    text_add_n(&order, pickle->name, strlen(pickle->name) - strlen("data.pkl"));
    text_add(&order, "byteorder");
    const ZipMember *member = order.failed ? NULL : zip_find(zip, order.data);
    const bool failed = order.failed, big = member && !member->deflated && member->size >= 3 && !memcmp(member->data, "big", 3);
    text_free(&order);
    if (failed) return status_memory();
    if (big) return nodus_error(NODUS_ERROR_FILE, "it was written on a big-endian machine; save it again on another");
    NODUS_TRY(content(t, pickle, &inflated, &bytes));
    NODUS_TRY(pickle_read(bytes, pickle->size, &t->pickle));
    NODUS_TRY(read_zip_storages(t, zip, pickle, inflated));
    return finish(t, bytes, pickle->size);
}

static NodusStatus read_zip(Torch *t)
{
    Zip zip;
    NODUS_TRY(zip_open(t->data, t->size, &zip));
    NodusStatus status = read_members(t, &zip);
    zip_close(&zip);
    return status;
}

/* ---- Before 1.6 ----------------------------------------------------------------------------------------------------- */

/* The next of the pickles in front; `out` keeps only what is asked for. */
static NodusStatus read_pickle(const Torch *t, size_t *at, Pickle *out)
{
    NODUS_TRY(pickle_read(t->data + *at, t->size - *at, out));
    *at += out->used;
    return NULL;
}

static NodusStatus read_preamble(const Torch *t, size_t *at)
{
    Pickle magic, protocol, machine;
    NODUS_TRY(read_pickle(t, at, &magic));
    pickle_free(&magic);
    NODUS_TRY(read_pickle(t, at, &protocol));
    const bool known = protocol.root->kind == PICKLE_INT && protocol.root->integer == PROTOCOL;
    pickle_free(&protocol);
    if (!known) return nodus_error(NODUS_ERROR_FILE, "it has another protocol than %d", PROTOCOL);
    NODUS_TRY(read_pickle(t, at, &machine));
    const PickleValue *little = pickle_get(machine.root, "little_endian");
    const bool swapped = little && little->kind == PICKLE_BOOL && !little->integer;
    pickle_free(&machine);
    return swapped ? nodus_error(NODUS_ERROR_FILE, "it was written on a big-endian machine; save it again on another") : NULL;
}

static size_t find_storage(const Torch *t, const char *key)
{
    size_t low = 0, high = t->storages;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (strcmp(t->storage[middle]->key, key) < 0) low = middle + 1;
        else high = middle;
    }
    return low < t->storages && !strcmp(t->storage[low]->key, key) ? low : t->storages;
}

/* Behind the keys: for each a count and that many numbers. */
static NodusStatus read_legacy_storages(Torch *t, const PickleValue *keys, size_t at)
{
    if (keys->kind != PICKLE_LIST) return nodus_error(NODUS_ERROR_FILE, "it has no list of storages");
    for (size_t i = 0; i < keys->count; i++) {
        const size_t first = keys->item[i]->kind == PICKLE_TEXT ? find_storage(t, keys->item[i]->text) : t->storages;
        uint64_t count;
        size_t bytes, mentions;
        if (first == t->storages) return nodus_error(NODUS_ERROR_FILE, "its list of storages has one that no tensor uses");
        if (t->size - at < sizeof count) return nodus_error(NODUS_ERROR_FILE, "it is cut off: copy or download it again");
        memcpy(&count, t->data + at, sizeof count);
        at += sizeof count;
        if (__builtin_mul_overflow(count, dtype_size(t->storage[first]->dtype), &bytes) || bytes > t->size - at)
            return nodus_error(NODUS_ERROR_FILE, "it is cut off: copy or download it again");
        NODUS_TRY(assign(t, first, t->data + at, bytes, &mentions));
        at += bytes;
    }
    for (size_t i = 0; i < t->storages; i++)
        if (!t->storage[i]->data) return nodus_error(NODUS_ERROR_FILE, "storage '%.100s' is not in the file", t->storage[i]->key);
    return NULL;
}

static NodusStatus read_legacy(Torch *t)
{
    size_t at = 0;
    Pickle keys;
    NODUS_TRY(read_preamble(t, &at));
    NODUS_TRY(read_pickle(t, &at, &t->pickle));
    NODUS_TRY(sort_storages(t));
    NODUS_TRY(read_pickle(t, &at, &keys));
    NodusStatus status = read_legacy_storages(t, keys.root, at);
    pickle_free(&keys);
    return status ? status : finish(t, t->data, at);
}

/* A pickle that torch.save did not write: what it asks for is still told, then it is refused. */
static NodusStatus refuse_pickle(const Torch *t)
{
    Pickle pickle;
    NODUS_TRY(pickle_read(t->data, t->size, &pickle));
    pickle_free(&pickle);
    return nodus_error(NODUS_ERROR_FILE, "it is a pickle, but not one that torch.save wrote");
}

NodusStatus torch_read(const uint8_t *data, size_t size, bool mapped, WeightSet *into)
{
    Torch t = {.data = data, .size = size, .mapped = mapped, .into = into};
    NodusStatus status;
    if (size >= sizeof legacy_start && !memcmp(data, legacy_start, sizeof legacy_start)) status = read_legacy(&t);
    else if (data[0] == 'P') status = read_zip(&t);
    else if (data[0] == 0x80) status = refuse_pickle(&t);
    else
        status =
            nodus_error(NODUS_ERROR_FILE, "it is a tar archive as PyTorch wrote before 0.1.10; save it again with a newer one");
    pickle_free(&t.pickle);
    memory_free(t.storage);
    text_free(&t.name);
    return status;
}
