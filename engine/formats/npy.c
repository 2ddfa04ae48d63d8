/* npy.c: NumPy's array file, version 1.0: magic, a Python dictionary padded with blanks to a multiple of 64 bytes, the numbers.
 *
 * One idea: only one layout is written (C order, little-endian), so the header is one line of text. */
#include "engine/formats/npy.h"
#include "engine/base/file.h"
#include "engine/base/status.h"
#include "engine/base/text.h"

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
