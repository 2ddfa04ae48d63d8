/* npy.c: NumPy's array file, version 1.0: magic, a Python dictionary padded with blanks to a multiple of 64 bytes, the numbers.
 *
 * One idea: only one layout is written (C order, little-endian), so the header is one line of text. */
#include "engine/formats/npy.h"
#include "engine/base/file.h"
#include "engine/base/status.h"
#include "engine/base/memory.h"
#include "engine/base/text.h"
#include <stdlib.h>
#include <string.h>

enum { NPY_PREAMBLE = 10 /* magic, version, u16 length */, NPY_ALIGNMENT = 64 };

static NodusStatus npy_header(const char *descr, int rank, const int64_t *dim, Text *header)
{
    text_add_n(header, "\x93NUMPY\x01\0\0\0", NPY_PREAMBLE);
    text_format(header, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr);
    for (int i = 0; i < rank; i++) text_format(header, "%s%lld", i ? ", " : "", (long long)dim[i]);
    text_add(header, rank == 1 ? ",), }" : "), }"); /* Python's tuple of one */
    while (!header->failed && (header->length + 1) % NPY_ALIGNMENT) text_char(header, ' ');
    text_char(header, '\n');
    if (header->failed) return status_memory();
    const size_t length = header->length - NPY_PREAMBLE;
    header->data[8] = (char)(length & 0xff);
    header->data[9] = (char)(length >> 8);
    return NULL;
}

NodusStatus npy_write(const char *path, const char *descr, int rank, const int64_t *dim, const void *data, size_t element)
{
    size_t bytes = element;
    for (int i = 0; i < rank; i++)
        if (dim[i] < 0 || __builtin_mul_overflow(bytes, (size_t)dim[i], &bytes))
            return nodus_error(NODUS_ERROR_INTERNAL, "cannot write '%s': impossible dimensions", path);
    Text header = {0};
    FileWriter *file = NULL;
    NodusStatus status = npy_header(descr, rank, dim, &header);
    if (!status) status = file_create(path, &file);
    if (!status) status = file_write(file, header.data, header.length);
    if (!status) status = file_write(file, data, bytes);
    text_free(&header);
    if (!status) return file_commit(file);
    file_abandon(file);
    return status;
}

/* ---- Reading ------------------------------------------------------------------------------------------------------- */

static NodusStatus wrong(const char *what)
{
    return nodus_error(NODUS_ERROR_FILE, "is no NumPy array that can be read: %s", what);
}

/* What follows `'key':` in the header, or NULL. */
static const char *header_value(const char *header, const char *key)
{
    const char *at = strstr(header, key);
    if (!at) return NULL;
    at += strlen(key);
    while (*at == ' ' || *at == ':') at++;
    return at;
}

static NodusStatus read_shape(const char *at, NpyArray *out)
{
    if (*at != '(') return wrong("its shape is no tuple");
    for (at++; *at && *at != ')';) {
        char *end;
        if (*at < '0' || *at > '9') return wrong("its shape is no tuple of numbers");
        const unsigned long long number = strtoull(at, &end, 10);
        if (out->rank == NODUS_MAX_RANK) return wrong("it has more than five dimensions");
        if (number > INT32_MAX) return wrong("it is too large");
        out->dim[out->rank++] = (int64_t)number;
        for (at = end; *at == ',' || *at == ' ';) at++;
    }
    return *at ? NULL : wrong("its shape has no end");
}

static float read_element(const uint8_t *at, char kind, size_t width)
{
    uint64_t bits = 0;
    memcpy(&bits, at, width);
    if (kind == 'f' && width == 4) {
        float number;
        memcpy(&number, at, 4);
        return number;
    }
    if (kind == 'f') {
        double number;
        memcpy(&number, at, 8);
        return (float)number;
    }
    const unsigned unused = 64 - 8 * (unsigned)width;
    return kind == 'i' ? (float)((int64_t)(bits << unused) >> unused) : (float)bits;
}

static NodusStatus read_type(const char *at, char *kind, size_t *width)
{
    const bool little = at && at[0] == '\'' && (at[1] == '<' || at[1] == '|');
    if (!little || !at[2] || !at[3] || at[4] != '\'') return wrong("its type is not f4, f8, an integer or a boolean, little-endian");
    *kind = at[2];
    *width = (size_t)(at[3] - '0');
    const bool number = *kind == 'f' ? *width == 4 || *width == 8
                                     : (*kind == 'i' || *kind == 'u') && (*width == 1 || *width == 2 || *width == 4 || *width == 8);
    return number || (*kind == 'b' && *width == 1) ? NULL : wrong("its type is not f4, f8, an integer or a boolean");
}

static NodusStatus read_header(const char *header, NpyArray *out, char *kind, size_t *width)
{
    const char *order = header_value(header, "'fortran_order'"), *shape = header_value(header, "'shape'");
    NODUS_TRY(read_type(header_value(header, "'descr'"), kind, width));
    if (!order || strncmp(order, "False", 5)) return wrong("it is not in C order");
    return shape ? read_shape(shape, out) : wrong("it has no shape");
}

NodusStatus npy_decode(const uint8_t *bytes, size_t size, size_t limit, NpyArray *out)
{
    *out = (NpyArray){0};
    if (size < NPY_PREAMBLE + 2 || memcmp(bytes, "\x93NUMPY", 6)) return wrong("its first bytes are not those of one");
    const bool wide = bytes[6] >= 2;
    const size_t begin = wide ? NPY_PREAMBLE + 2 : NPY_PREAMBLE;
    const size_t length = (size_t)bytes[8] | (size_t)bytes[9] << 8 | (wide ? (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24 : 0);
    if (length > size - begin) return wrong("it ends within its header");
    char *header = memory_text_n((const char *)bytes + begin, length), kind = 0;
    if (!header) return status_memory();
    size_t width = 1, count = 1, total;
    NodusStatus status = read_header(header, out, &kind, &width);
    memory_free(header);
    if (status) return status;
    for (int i = 0; i < out->rank; i++)
        if (__builtin_mul_overflow(count, (size_t)out->dim[i], &count)) return wrong("it is too large");
    if (__builtin_mul_overflow(count, width, &total) || total > size - begin - length) return wrong("it has too few numbers for its shape");
    if (limit && count > limit / sizeof(float)) return nodus_error(NODUS_ERROR_MEMORY, "is larger than the limit allows");
    if (!(out->data = memory_array(count ? count : 1, sizeof(float)))) return status_memory();
    for (size_t i = 0; i < count; i++) out->data[i] = read_element(bytes + begin + length + i * width, kind, width);
    return NULL;
}
