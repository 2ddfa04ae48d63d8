/* record_items.c: what a type's `store` writes and its `load` reads: numbers, texts, tensors.
 *
 * One idea: each item begins with a letter, so a `load` that does not fit its `store` fails at the first item, and a reader
 * believes no size before it has seen that the bytes for it are there. Tensors of f32 are packed where that pays: the bytes of
 * equal rank lie together (all signs and exponents, then the digits), and only so zstd finds something in them. */
#include "engine/graph/record_items.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/tensor/device_memory.h"
#include <string.h>
#include <zstd.h>

enum {
    BLOCK = 256 << 10,  /* bytes of numbers that are compressed at once */
    LEVEL = 1,          /* of zstd: higher ones gain next to nothing on numbers */
    GAIN = 10,          /* packed only if the first block loses at least 1/GAIN of its size */
    NUMBER = 4,         /* bytes of an f32 */
    LEAST_OF_BLOCK = 5, /* bytes in a record: a length and something */
    FIRST_CAPACITY = 1024
};
enum { RAW, PLANES };

/* ---- Bytes --------------------------------------------------------------------------------------------------------- */

NodusStatus record_items_put(NodusWriter *writer, const void *data, size_t size)
{
    if (size > writer->limit - writer->size)
        return nodus_error(NODUS_ERROR_INPUT, "a result of more than %zu bytes is not kept on disk", writer->limit);
    if (size > writer->capacity - writer->size) {
        size_t capacity = writer->capacity ? writer->capacity : FIRST_CAPACITY;
        while (capacity - writer->size < size) capacity *= 2; /* sizes are at most PTRDIFF_MAX: no overflow */
        uint8_t *grown = memory_grow(writer->data, capacity, 1);
        if (!grown) return status_memory();
        writer->data = grown;
        writer->capacity = capacity;
    }
    if (size) memcpy(writer->data + writer->size, data, size);
    writer->size += size;
    return NULL;
}

NodusStatus record_items_wrong(const NodusReader *reader, const char *what)
{
    return nodus_error(NODUS_ERROR_FILE, "at byte %zu: %s", reader->at, what);
}

size_t record_items_left(const NodusReader *reader)
{
    return reader->size - reader->at;
}

NodusStatus record_items_get(NodusReader *reader, void *to, size_t size)
{
    if (size > record_items_left(reader)) return record_items_wrong(reader, "the record ends here");
    if (size) memcpy(to, reader->data + reader->at, size);
    reader->at += size;
    return NULL;
}

static NodusStatus put_letter(NodusWriter *writer, char letter)
{
    return record_items_put(writer, &letter, 1);
}

static NodusStatus get_letter(NodusReader *reader, char wanted)
{
    char letter = 0;
    NODUS_TRY(record_items_get(reader, &letter, 1));
    return letter == wanted ? NULL : record_items_wrong(reader, "another item was expected");
}

/* ---- Numbers and texts --------------------------------------------------------------------------------------------- */

NodusStatus nodus_write_u64(NodusWriter *writer, uint64_t value)
{
    NODUS_TRY(put_letter(writer, 'u'));
    return record_items_put(writer, &value, sizeof value);
}

NodusStatus nodus_read_u64(NodusReader *reader, uint64_t *value)
{
    NODUS_TRY(get_letter(reader, 'u'));
    return record_items_get(reader, value, sizeof *value);
}

NodusStatus nodus_write_double(NodusWriter *writer, double value)
{
    NODUS_TRY(put_letter(writer, 'd'));
    return record_items_put(writer, &value, sizeof value);
}

NodusStatus nodus_read_double(NodusReader *reader, double *value)
{
    NODUS_TRY(get_letter(reader, 'd'));
    return record_items_get(reader, value, sizeof *value);
}

NodusStatus nodus_write_text(NodusWriter *writer, const char *text)
{
    const uint64_t length = text ? strlen(text) : UINT64_MAX;
    NODUS_TRY(put_letter(writer, 't'));
    NODUS_TRY(record_items_put(writer, &length, sizeof length));
    return text ? record_items_put(writer, text, (size_t)length) : NULL;
}

NodusStatus nodus_read_text(NodusReader *reader, char **text)
{
    uint64_t length = 0;
    NODUS_TRY(get_letter(reader, 't'));
    NODUS_TRY(record_items_get(reader, &length, sizeof length));
    *text = NULL;
    if (length == UINT64_MAX) return NULL;
    const char *bytes = (const char *)reader->data + reader->at;
    if (length > record_items_left(reader)) return record_items_wrong(reader, "a text longer than the record");
    if (memchr(bytes, 0, (size_t)length)) return record_items_wrong(reader, "a text with a NUL in it");
    *text = memory_text_n(bytes, (size_t)length);
    reader->at += (size_t)length;
    return *text ? NULL : status_memory();
}

/* ---- Planes -------------------------------------------------------------------------------------------------------- */

static void to_planes(const uint8_t *numbers, size_t count, uint8_t *planes)
{
    for (size_t i = 0; i < count; i++)
        for (size_t p = 0; p < NUMBER; p++) planes[p * count + i] = numbers[i * NUMBER + p];
}

static void from_planes(const uint8_t *planes, size_t count, uint8_t *numbers)
{
    for (size_t i = 0; i < count; i++)
        for (size_t p = 0; p < NUMBER; p++) numbers[i * NUMBER + p] = planes[p * count + i];
}

/* What packing works with: one allocation, a compressor or a decompressor. */
typedef struct Packer {
    uint8_t *planes, *packed;
    size_t room; /* of packed */
    ZSTD_CCtx *compressor;
} Packer;

static NodusStatus packer_open(Packer *packer)
{
    *packer = (Packer){.room = ZSTD_compressBound(BLOCK)};
    packer->planes = memory_alloc(BLOCK + packer->room);
    packer->compressor = ZSTD_createCCtx();
    if (!packer->planes || !packer->compressor) return status_memory();
    packer->packed = packer->planes + BLOCK;
    return NULL;
}

static void packer_close(Packer *packer)
{
    ZSTD_freeCCtx(packer->compressor);
    memory_free(packer->planes);
}

/* Compresses a block; what does not shrink stays as planes. *size: of the bytes that *out names. */
static void pack_block(Packer *packer, const uint8_t *numbers, size_t bytes, const uint8_t **out, uint32_t *size)
{
    to_planes(numbers, bytes / NUMBER, packer->planes);
    const size_t packed = ZSTD_compressCCtx(packer->compressor, packer->packed, packer->room, packer->planes, bytes, LEVEL);
    const bool shrank = !ZSTD_isError(packed) && packed < bytes;
    *out = shrank ? packer->packed : packer->planes;
    *size = (uint32_t)(shrank ? packed : bytes);
}

static size_t block_at(size_t bytes, size_t at)
{
    return bytes - at < BLOCK ? bytes - at : BLOCK;
}

static NodusStatus put_blocks(NodusWriter *writer, Packer *packer, const uint8_t *numbers, size_t bytes)
{
    const uint8_t *block;
    uint32_t size = 0;
    for (size_t at = 0; at < bytes; at += BLOCK) {
        pack_block(packer, numbers + at, block_at(bytes, at), &block, &size);
        NODUS_TRY(record_items_put(writer, &size, sizeof size));
        NODUS_TRY(record_items_put(writer, block, size));
    }
    return NULL;
}

static NodusStatus put_numbers(NodusWriter *writer, int dtype, const uint8_t *numbers, size_t bytes)
{
    uint8_t packing = RAW;
    const uint8_t *block;
    uint32_t size = 0;
    Packer packer = {0};
    NodusStatus status = dtype == DTYPE_F32 && bytes && !writer->raw ? packer_open(&packer) : NULL;
    if (!status && packer.packed) {
        pack_block(&packer, numbers, block_at(bytes, 0), &block, &size);
        if (size <= block_at(bytes, 0) - block_at(bytes, 0) / GAIN) packing = PLANES;
    }
    if (!status) status = record_items_put(writer, &packing, 1);
    if (!status)
        status = packing == PLANES ? put_blocks(writer, &packer, numbers, bytes) : record_items_put(writer, numbers, bytes);
    packer_close(&packer);
    return status;
}

static NodusStatus get_block(NodusReader *reader, ZSTD_DCtx *context, uint8_t *planes, uint8_t *numbers, size_t bytes)
{
    uint32_t size = 0;
    NODUS_TRY(record_items_get(reader, &size, sizeof size));
    if (size > bytes || size > record_items_left(reader)) return record_items_wrong(reader, "a block longer than its numbers");
    const uint8_t *block = reader->data + reader->at;
    reader->at += size;
    if (size < bytes) {
        if (ZSTD_decompressDCtx(context, planes, bytes, block, size) != bytes)
            return record_items_wrong(reader, "a block that does not unpack");
        block = planes;
    }
    from_planes(block, bytes / NUMBER, numbers);
    return NULL;
}

static NodusStatus get_blocks(NodusReader *reader, uint8_t *numbers, size_t bytes)
{
    uint8_t *planes = memory_alloc(BLOCK);
    ZSTD_DCtx *context = ZSTD_createDCtx();
    NodusStatus status = planes && context ? NULL : status_memory();
    for (size_t at = 0; at < bytes && !status; at += BLOCK)
        status = get_block(reader, context, planes, numbers + at, block_at(bytes, at));
    ZSTD_freeDCtx(context);
    memory_free(planes);
    return status;
}

/* ---- Tensors ------------------------------------------------------------------------------------------------------- */

/* Any strides, one number at a time. */
static void flatten(const Tensor *tensor, uint8_t *to)
{
    const size_t size = dtype_size(tensor->dtype);
    int64_t at[VIEW_RANK] = {0};
    for (int64_t left = nodus_tensor_count(tensor); left > 0; left--, to += size) {
        int64_t offset = 0;
        for (int i = 0; i < tensor->rank; i++) offset += at[i] * tensor->stride[i];
        memcpy(to, (const uint8_t *)tensor->data + offset * (int64_t)size, size);
        for (int i = tensor->rank - 1; i >= 0 && ++at[i] == tensor->dim[i]; i--) at[i] = 0;
    }
}

static NodusStatus put_tensor(NodusWriter *writer, const Tensor *tensor, size_t bytes)
{
    if (tensor_is_contiguous(tensor)) return put_numbers(writer, tensor->dtype, tensor->data, bytes);
    uint8_t *flat = memory_array(bytes, 1);
    if (!flat) return status_memory();
    flatten(tensor, flat);
    NodusStatus status = put_numbers(writer, tensor->dtype, flat, bytes);
    memory_free(flat);
    return status;
}

NodusStatus nodus_write_tensor(NodusWriter *writer, const NodusTensor *tensor)
{
    const uint8_t head[3] = {tensor != NULL, tensor ? tensor->dtype : 0, tensor ? tensor->rank : 0};
    size_t bytes;
    NODUS_TRY(put_letter(writer, 'T'));
    NODUS_TRY(record_items_put(writer, head, tensor ? 3 : 1));
    if (!tensor) return NULL;
    if (!storage_on_host(tensor->storage) || !dims_bytes(tensor->dtype, tensor->rank, tensor->dim, &bytes))
        return nodus_error(NODUS_ERROR_MISSING, "a tensor outside of host memory is not kept on disk");
    NODUS_TRY(record_items_put(writer, tensor->dim, tensor->rank * sizeof *tensor->dim));
    return put_tensor(writer, tensor, bytes);
}

/* An empty tensor must have strides too, so its other dimensions count as well. */
static bool is_possible(int dtype, int rank, const int64_t *dim, size_t *bytes)
{
    int64_t at_least_one[VIEW_RANK];
    for (int i = 0; i < rank; i++) at_least_one[i] = dim[i] ? dim[i] : 1;
    return dims_bytes(dtype, rank, at_least_one, bytes) && dims_bytes(dtype, rank, dim, bytes);
}

/* Dimensions and packing of a tensor whose numbers the rest of the record can hold. */
static NodusStatus get_shape(NodusReader *reader, uint8_t head[2], int64_t *dim, uint8_t *packing, size_t *bytes)
{
    NODUS_TRY(record_items_get(reader, head, 2));
    if (head[0] >= DTYPE_COUNT || head[1] > VIEW_RANK) return record_items_wrong(reader, "a tensor of an unknown kind");
    NODUS_TRY(record_items_get(reader, dim, head[1] * sizeof *dim));
    NODUS_TRY(record_items_get(reader, packing, 1));
    if (!is_possible(head[0], head[1], dim, bytes)) return record_items_wrong(reader, "a tensor of an impossible shape");
    if (*packing != RAW && (*packing != PLANES || head[0] != DTYPE_F32)) return record_items_wrong(reader, "an unknown packing");
    const size_t least = *packing == RAW ? *bytes : (*bytes / BLOCK + (*bytes % BLOCK != 0)) * LEAST_OF_BLOCK;
    return least <= record_items_left(reader) ? NULL : record_items_wrong(reader, "a tensor larger than the record");
}

NodusStatus nodus_read_tensor(NodusReader *reader, NodusTensor **tensor)
{
    uint8_t given = 0, head[2] = {0}, packing = RAW;
    int64_t dim[VIEW_RANK];
    size_t bytes;
    *tensor = NULL;
    NODUS_TRY(get_letter(reader, 'T'));
    NODUS_TRY(record_items_get(reader, &given, 1));
    if (!given) return NULL;
    NODUS_TRY(get_shape(reader, head, dim, &packing, &bytes));
    if (!device_is_host(reader->device)) return record_items_wrong(reader, "a tensor for a device that is not the host");
    NODUS_TRY(tensor_new(reader->device, head[0], head[1], dim, tensor));
    NodusStatus status =
        packing == PLANES ? get_blocks(reader, (*tensor)->data, bytes) : record_items_get(reader, (*tensor)->data, bytes);
    if (!status) return NULL;
    nodus_tensor_unref(*tensor);
    *tensor = NULL;
    return status;
}
