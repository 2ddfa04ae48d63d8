/* view.c: walking over arrays of any strides, row by row.
 *
 * One idea: every kernel's loops are "for each row, for each number of the row", so only this file knows about the other axes. */
#include <stdlib.h>
#include "kernels/ref/ref.h"

const View *ref_input(const Op *op, int i)
{
    return i < op->inputs && op->in[i].place != PLACE_NONE ? &op->in[i] : NULL;
}

int64_t ref_row_count(const View *view)
{
    int64_t rows = 1;
    for (int i = 0; i + 1 < view->rank; i++) rows *= view->dim[i];
    return rows;
}

int64_t ref_row_length(const View *view)
{
    return view->rank ? view->dim[view->rank - 1] : 1;
}

int64_t ref_row_stride(const View *view)
{
    return view->rank ? view->stride[view->rank - 1] : 1;
}

static void *address(const View *view, int64_t offset)
{
    return (char *)view->data + offset * (int64_t)dtype_size(view->dtype);
}

void *ref_row(const View *view, int64_t row)
{
    int64_t offset = 0;
    for (int i = view->rank - 2; i >= 0; i--) {
        offset += row % view->dim[i] * view->stride[i];
        row /= view->dim[i];
    }
    return address(view, offset);
}

View ref_item(const View *view, int64_t i)
{
    View item = *view;
    item.data = address(view, i * view->stride[0]);
    item.rank--;
    for (int axis = 0; axis < item.rank; axis++) {
        item.dim[axis] = view->dim[axis + 1];
        item.stride[axis] = view->stride[axis + 1];
    }
    return item;
}

View ref_repeat(const View *view, const View *like)
{
    View repeated = *view;
    for (int i = 0; i < view->rank; i++) {
        if (view->dim[i] != like->dim[i]) repeated.stride[i] = 0;
        repeated.dim[i] = like->dim[i];
    }
    return repeated;
}

double *ref_scratch(int64_t n)
{
    return calloc((size_t)n + 1, sizeof(double));
}
