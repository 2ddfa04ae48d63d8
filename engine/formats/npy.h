/* npy.h: NumPy's array files, C order: what --dump writes (version 1.0), and what Lua reads. Reading takes hostile input. */
#ifndef FORMATS_NPY_H
#define FORMATS_NPY_H
#include "engine/base/status.h"
/* `descr`: "<f4", "<u8", … ; replaces an existing file. */
NodusStatus npy_write(const char *path, const char *descr, int rank, const int64_t *dim, const void *data, size_t element);

typedef struct NpyArray {
    int rank;
    int64_t dim[NODUS_MAX_RANK];
    float *data; /* memory_free */
} NpyArray;
/* f4, f8, signed and unsigned integers of 1 to 8 bytes, booleans; little-endian, C order, at most five dimensions. `limit`: of the bytes
 * of `data`, 0: none. */
NodusStatus npy_decode(const uint8_t *bytes, size_t size, size_t limit, NpyArray *out);
#endif
