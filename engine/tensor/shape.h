/* shape.h: arithmetic on dimensions and strides, shared by tensors and by the passes. Knows no memory. */
#ifndef TENSOR_SHAPE_H
#define TENSOR_SHAPE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SHAPE_TEXT = 128 };

int64_t shape_count(int rank, const int64_t *dim);
void shape_contiguous(int rank, const int64_t *dim, int64_t *stride); /* row-major */
void shape_channels_last(const int64_t *dim, int64_t *stride);        /* rank 4: [n, c, h, w] with stride[1] == 1 */
bool shape_equal(int rank_a, const int64_t *a, int rank_b, const int64_t *b);
/* Whether two sets of strides name the same addresses: axes of one entry do not matter. */
bool shape_same_strides(int rank, const int64_t *dim, const int64_t *a, const int64_t *b);
bool shape_is_contiguous(int rank, const int64_t *dim, const int64_t *stride);
bool shape_is_channels_last(int rank, const int64_t *dim, const int64_t *stride);
/* The strides that show the same numbers in row-major order under other dimensions; false when there are none. Counts are equal. */
bool shape_reshape(int rank, const int64_t *dim, const int64_t *stride, int to_rank, const int64_t *to_dim, int64_t *to_stride);
/* "[2, 4, 64, 64]" */
const char *shape_text(int rank, const int64_t *dim, char text[SHAPE_TEXT]);
#endif
