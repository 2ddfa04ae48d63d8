/* linear.c: products with a weight matrix, sums in f64.
 *
 * One idea: some rows of x lie side by side as doubles, column by column, so that one weight times one column is a loop over
 * contiguous numbers; a weight is widened once for all of them. The convolution uses the same product (conv.c). */
#include <stdlib.h>
#include "kernels/ref/ref.h"

void ref_product(const View *w, const View *b, int64_t j, int64_t depth, const double *columns, double *row, double *sums)
{
    ref_read(w->dtype, (const char *)w->data + j * depth * (int64_t)dtype_size(w->dtype), 1, depth, row);
    double sum[REF_BLOCK] = {0};
    for (int64_t k = 0; k < depth; k++)
        for (int i = 0; i < REF_BLOCK; i++) sum[i] += row[k] * columns[k * REF_BLOCK + i];
    const double bias = b ? ref_number(b, j) : 0;
    for (int i = 0; i < REF_BLOCK; i++) sums[i] = sum[i] + bias;
}

static void gather_rows(const View *x, int64_t first, int64_t count, double *columns)
{
    const int64_t depth = ref_row_length(x), stride = ref_row_stride(x);
    for (int64_t i = 0; i < count; i++) {
        const float *row = ref_row(x, first + i);
        for (int64_t k = 0; k < depth; k++) columns[k * REF_BLOCK + i] = row[k * stride];
    }
}

/* geglu: row j of w makes the value, row N + j its gate. */
static Fault multiply(const Op *op, const LinearFusedAttrs *attrs)
{
    const View *x = &op->in[0], *w = &op->in[1], *b = ref_input(op, 2), *y = &op->out, *residual = ref_input(op, 3);
    const int64_t rows = ref_row_count(x), depth = ref_row_length(x), outputs = ref_row_length(y);
    double *scratch = ref_scratch(depth * (REF_BLOCK + 1)), *columns = scratch, *row = scratch + depth * REF_BLOCK;
    if (!scratch) return FAULT_MEMORY;
    double sums[REF_BLOCK], gates[REF_BLOCK];
    for (int64_t first = 0; first < rows; first += REF_BLOCK) {
        const int64_t count = rows - first < REF_BLOCK ? rows - first : REF_BLOCK;
        gather_rows(x, first, count, columns);
        for (int64_t j = 0; j < outputs; j++) {
            ref_product(w, b, j, depth, columns, row, sums);
            if (attrs->geglu) ref_product(w, b, outputs + j, depth, columns, row, gates);
            for (int64_t i = 0; i < count; i++) {
                double value =
                    attrs->geglu ? sums[i] * ref_activate(ACTIVATION_GELU, gates[i]) : ref_activate(attrs->activation, sums[i]);
                if (residual) value += ((const float *)ref_row(residual, first + i))[j * ref_row_stride(residual)];
                ((float *)ref_row(y, first + i))[j * ref_row_stride(y)] = (float)value;
            }
        }
    }
    free(scratch);
    return FAULT_NONE;
}

static Fault linear_plain(const Op *op)
{
    return multiply(op, &(LinearFusedAttrs){.activation = ACTIVATION_NONE});
}

static Fault linear_fused(const Op *op)
{
    return multiply(op, op->attributes);
}

const RefKernel ref_linear[] = {{OP_LINEAR, linear_plain}, {OP_LINEAR_FUSED, linear_fused}, {OP_COUNT, NULL}};
