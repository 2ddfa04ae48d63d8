/* rows.h: the walk over the leading dimensions of a view.
 *
 * One idea: a row is what a kernel reads in one go (the last axis, or the channels of a pixel); where row m begins is an odometer
 * over the other axes, merged where their memory is contiguous, so that most views have one axis and row m is at m·stride. */
#ifndef CPU_ROWS_H
#define CPU_ROWS_H
#include "kernels/ops.h"

typedef struct Rows {
    int rank;
    int64_t dim[VIEW_RANK], stride[VIEW_RANK];
} Rows;

static inline void rows_add(Rows *rows, int64_t dim, int64_t stride)
{
    if (dim == 1) return;
    const int last = rows->rank - 1;
    if (last >= 0 && rows->stride[last] == stride * dim) {
        rows->dim[last] *= dim;
        rows->stride[last] = stride;
        return;
    }
    rows->dim[rows->rank] = dim;
    rows->stride[rows->rank++] = stride;
}

/* All axes but the last. */
static inline Rows rows_of(const View *view)
{
    Rows rows = {0};
    for (int i = 0; i < view->rank - 1; i++) rows_add(&rows, view->dim[i], view->stride[i]);
    return rows;
}

/* All axes but the second: the pixels of [n, c, …]. */
static inline Rows rows_of_pixels(const View *view)
{
    Rows rows = {0};
    for (int i = 0; i < view->rank; i++)
        if (i != 1) rows_add(&rows, view->dim[i], view->stride[i]);
    return rows;
}

static inline int64_t rows_count(const Rows *rows)
{
    int64_t count = 1;
    for (int i = 0; i < rows->rank; i++) count *= rows->dim[i];
    return count;
}

/* at[i] = where row first + i begins, in elements. */
static inline void rows_fill(const Rows *rows, int64_t first, int64_t count, int64_t *at)
{
    int64_t index[VIEW_RANK] = {0}, offset = 0, left = first;
    for (int i = rows->rank - 1; i >= 0; i--) {
        index[i] = i ? left % rows->dim[i] : left;
        left /= rows->dim[i];
        offset += index[i] * rows->stride[i];
    }
    for (int64_t r = 0; r < count; r++) {
        at[r] = offset;
        for (int i = rows->rank - 1; i >= 0; i--) {
            offset += rows->stride[i];
            if (++index[i] < rows->dim[i] || i == 0) break;
            offset -= index[i] * rows->stride[i];
            index[i] = 0;
        }
    }
}

static inline int64_t divide_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static inline int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Part `part` of [0, count) cut into `parts` pieces as even as steps of `step` allow. */
static inline void cut(int64_t count, int64_t parts, int64_t step, int64_t part, int64_t *first, int64_t *end)
{
    const int64_t steps = divide_up(count, step);
    *first = smaller(steps * part / parts * step, count);
    *end = smaller(steps * (part + 1) / parts * step, count);
}
#endif
