/* npy.h: NumPy's array files, version 1.0, C order: what --dump writes. */
#ifndef FORMATS_NPY_H
#define FORMATS_NPY_H
#include "engine/base/status.h"
/* `descr`: "<f4", "<u8", … ; replaces an existing file. */
NodusStatus npy_write(const char *path, const char *descr, int rank, const int64_t *dim, const void *data, size_t element);
#endif
