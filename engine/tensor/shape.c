/* shape.c: dimensions and strides.
 *
 * One idea: an axis of one entry has no stride worth comparing, so every comparison skips it. */
#include "engine/tensor/shape.h"
#include <stdio.h>
#include "kernels/ops.h"

int64_t shape_count(int rank, const int64_t *dim)
{
    int64_t count = 1;
    for (int i = 0; i < rank; i++) count *= dim[i];
    return count;
}

void shape_contiguous(int rank, const int64_t *dim, int64_t *stride)
{
    int64_t step = 1;
    for (int i = rank - 1; i >= 0; i--) {
        stride[i] = step;
        step *= dim[i];
    }
}

void shape_channels_last(const int64_t *dim, int64_t *stride)
{
    stride[1] = 1;
    stride[3] = dim[1];
    stride[2] = stride[3] * dim[3];
    stride[0] = stride[2] * dim[2];
}

bool shape_equal(int rank_a, const int64_t *a, int rank_b, const int64_t *b)
{
    if (rank_a != rank_b) return false;
    for (int i = 0; i < rank_a; i++)
        if (a[i] != b[i]) return false;
    return true;
}

bool shape_same_strides(int rank, const int64_t *dim, const int64_t *a, const int64_t *b)
{
    for (int i = 0; i < rank; i++)
        if (dim[i] != 1 && a[i] != b[i]) return false;
    return true;
}

bool shape_is_contiguous(int rank, const int64_t *dim, const int64_t *stride)
{
    int64_t want[VIEW_RANK];
    shape_contiguous(rank, dim, want);
    return shape_same_strides(rank, dim, stride, want);
}

bool shape_is_channels_last(int rank, const int64_t *dim, const int64_t *stride)
{
    if (rank != 4) return false;
    int64_t want[VIEW_RANK];
    shape_channels_last(dim, want);
    return shape_same_strides(rank, dim, stride, want);
}

/* Old and new axes are matched in groups of equal products; within a group the old axes must lie dense in each other. */
bool shape_reshape(int rank, const int64_t *dim, const int64_t *stride, int to_rank, const int64_t *to_dim, int64_t *to_stride)
{
    int64_t old[VIEW_RANK], step[VIEW_RANK];
    int axes = 0;
    shape_contiguous(to_rank, to_dim, to_stride);
    if (shape_count(rank, dim) <= 1) return true;
    for (int i = 0; i < rank; i++) {
        if (dim[i] == 1) continue;
        old[axes] = dim[i];
        step[axes++] = stride[i];
    }
    int to = 0;
    for (int from = 0; from < axes;) {
        int from_end = from + 1, to_end = to + 1;
        int64_t a = old[from], b = to_dim[to];
        while (a != b) {
            if (a < b) a *= old[from_end++];
            else b *= to_dim[to_end++];
        }
        for (int i = from; i + 1 < from_end; i++)
            if (step[i] != step[i + 1] * old[i + 1]) return false;
        to_stride[to_end - 1] = step[from_end - 1];
        for (int i = to_end - 1; i > to; i--) to_stride[i - 1] = to_stride[i] * to_dim[i];
        from = from_end;
        to = to_end;
    }
    return true; /* axes of one entry that are left keep their row-major strides */
}

const char *shape_text(int rank, const int64_t *dim, char text[SHAPE_TEXT])
{
    int length = snprintf(text, SHAPE_TEXT, "[");
    for (int i = 0; i < rank; i++) length += snprintf(text + length, (size_t)(SHAPE_TEXT - length), i ? ", %lld" : "%lld", (long long)dim[i]);
    snprintf(text + length, (size_t)(SHAPE_TEXT - length), "]");
    return text;
}
