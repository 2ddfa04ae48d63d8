/* nest.h: element-wise work on views of any strides.
 *
 * One idea: the axes of all views are put in the order of y's strides and merged where every view allows it; what remains is rows
 * of `length` elements, each view with one step along a row. A part is a piece of about PIECE elements: whole rows, or a part of
 * a long row. */
#ifndef CPU_NEST_H
#define CPU_NEST_H
#include "kernels/cpu/rows.h"

enum { NEST_VIEWS = OP_INPUTS + 1, NEST_PIECE = 16384 };

typedef struct Nest {
    int views, rank; /* view 0 is y; rank: of the axes above the rows */
    int64_t dim[VIEW_RANK], stride[NEST_VIEWS][VIEW_RANK];
    int64_t length, step[NEST_VIEWS];  /* of a row */
    int64_t rows, rows_a_part, pieces; /* pieces: of a row */
} Nest;

/* An axis of length 1 of a view whose y is longer is repeated. */
static inline int64_t nest_stride(const View *view, const View *y, int axis)
{
    return view->dim[axis] == 1 && y->dim[axis] != 1 ? 0 : view->stride[axis];
}

static inline bool nest_merges(const Nest *nest, int axis, const int64_t *stride, int64_t dim)
{
    for (int v = 0; v < nest->views; v++)
        if (nest->stride[v][axis] != stride[v] * dim) return false;
    return true;
}

/* Adds an axis inside those that are there. */
static inline void nest_add(Nest *nest, int64_t dim, const int64_t *stride)
{
    if (dim == 1) return;
    const int last = nest->rank - 1;
    if (last >= 0 && nest_merges(nest, last, stride, dim)) nest->dim[last] *= dim;
    else nest->dim[nest->rank++] = dim;
    for (int v = 0; v < nest->views; v++) nest->stride[v][nest->rank - 1] = stride[v];
}

/* y and its inputs, all of y's rank. */
static inline Nest nest_of(const View *y, const View *in, int inputs)
{
    Nest nest = {.views = inputs + 1};
    bool used[VIEW_RANK] = {false};
    for (int i = 0; i < y->rank; i++) {
        int widest = -1;
        for (int a = 0; a < y->rank; a++)
            if (!used[a] && (widest < 0 || y->stride[a] > y->stride[widest])) widest = a;
        used[widest] = true;
        int64_t stride[NEST_VIEWS] = {y->stride[widest]};
        for (int v = 0; v < inputs; v++) stride[v + 1] = nest_stride(&in[v], y, widest);
        nest_add(&nest, y->dim[widest], stride);
    }
    nest.length = 1;
    if (nest.rank) {
        nest.length = nest.dim[--nest.rank];
        for (int v = 0; v < nest.views; v++) nest.step[v] = nest.stride[v][nest.rank];
    }
    nest.rows = 1;
    for (int i = 0; i < nest.rank; i++) nest.rows *= nest.dim[i];
    nest.pieces = divide_up(nest.length, NEST_PIECE);
    nest.rows_a_part = nest.length && nest.length < NEST_PIECE ? NEST_PIECE / nest.length : 1;
    return nest;
}

static inline int64_t nest_parts(const Nest *nest)
{
    return divide_up(nest->rows, nest->rows_a_part) * nest->pieces;
}

/* Where row `row` of view v begins. */
static inline int64_t nest_row(const Nest *nest, int v, int64_t row)
{
    int64_t at = 0;
    for (int i = nest->rank - 1; i >= 0; i--) {
        at += row % nest->dim[i] * nest->stride[v][i];
        row /= nest->dim[i];
    }
    return at;
}

/* The rows and the elements of each that a part works on. */
typedef struct NestPart {
    int64_t row, row_end, first, count;
} NestPart;

static inline NestPart nest_part(const Nest *nest, int64_t part)
{
    NestPart p = {.row = part / nest->pieces * nest->rows_a_part, .first = part % nest->pieces * NEST_PIECE};
    p.row_end = smaller(nest->rows, p.row + nest->rows_a_part);
    p.count = smaller(NEST_PIECE, nest->length - p.first);
    return p;
}
#endif
