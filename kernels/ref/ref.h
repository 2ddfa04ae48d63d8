/* ref.h: what the files of kernels/ref share: a kernel is a function of an op, and a file's table lists its kernels.
 *
 * One idea: this room is the definition of the operations as running code. So a kernel is one loop per sum, in f64, without
 * threads or instruction sets, over views of any strides; the only concession to speed is that inner loops run over contiguous
 * doubles, which compilers vectorise. Kernels check nothing: shapes were checked by the graph. They fail only for want of memory.
 *
 * Weights (w, b, scale, shift, table) are contiguous, as in the file; everything else may have any strides. */
#ifndef REF_REF_H
#define REF_REF_H
#include "kernels/ops.h"

typedef struct RefKernel {
    int kind; /* OP_COUNT ends a table */
    Fault (*run)(const Op *op);
} RefKernel;

extern const RefKernel ref_attention[], ref_conv[], ref_eager[], ref_linear[], ref_merge[], ref_move[], ref_norm[], ref_pointwise[],
    ref_resize[], ref_spectrum[];

/* ---- view.c: walking over views ---- */

/* Input `i`, or NULL when it is absent. */
const View *ref_input(const Op *op, int i);
/* A view is rows along its last axis, counted row-major over the other axes. A view of rank 0 is one row of one number. */
int64_t ref_row_count(const View *view);
int64_t ref_row_length(const View *view);
int64_t ref_row_stride(const View *view);
void *ref_row(const View *view, int64_t row);
/* The view without its first axis, at entry `i` of it. */
View ref_item(const View *view, int64_t i);
/* `view` with the dimensions of `like`: where it has 1 it repeats. */
View ref_repeat(const View *view, const View *like);
/* Scratch for n doubles, zeroed; free() it. NULL: out of memory. */
double *ref_scratch(int64_t n);

/* ---- number.c: numbers of any dtype as doubles ---- */

void ref_read(int dtype, const void *from, int64_t stride, int64_t count, double *to);
/* Rounds to nearest, ties to even. Integers saturate, and NaN becomes 0. */
void ref_write(int dtype, void *to, int64_t stride, int64_t count, const double *from);
/* Entry `i` of a contiguous array. */
double ref_number(const View *view, int64_t i);

/* ---- pointwise.c ---- */

double ref_activate(int activation, double x);

/* ---- linear.c ---- */

/* A product works on so many rows of x side by side (measured: fastest); their k-th numbers lie at columns[k·REF_BLOCK]. */
enum { REF_BLOCK = 24 };
/* sums[i] = Σk columns[k][i]·w[j, k] + b[j], w[j] being the j-th run of `depth` weights; `row` has room for it; b may be NULL. */
void ref_product(const View *w, const View *b, int64_t j, int64_t depth, const double *columns, double *row, double *sums);

#endif
