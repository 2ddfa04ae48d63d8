/* svd.h: singular values and vectors of matrices of low rank, and of the largest few of any matrix.
 *
 * One idea: what is asked for is thin, so a matrix is a product of two thin ones before anything is decomposed: up·down as it stands, or
 * P·(Pᵀ·A), where P spans what random vectors see of A (Halko, Martinsson & Tropp, 2011). Between two orthonormal bases only a small
 * square matrix is left, and one-sided Jacobi rotations (Hestenes, 1958) do that one in double. */
#ifndef NODES_SVD_H
#define NODES_SVD_H
#include <nodus/tensor.h>

/* A ≈ Σ s[i]·u[i]·v[i]ᵀ, s falling. Vectors of value 0 are 0. */
typedef struct Svd {
    int64_t rows, columns, count;
    double *s, *u, *v; /* [count], [count, rows], [count, columns] */
} Svd;

/* Of up·down: up [rows, rank], down [rank, columns]; count is rank. */
NodusStatus svd_product(int64_t rows, int64_t columns, int64_t rank, const float *up, const float *down, Svd *out);
/* The `count` largest of a [rows, columns], or all if it has fewer. */
NodusStatus svd_top(int64_t rows, int64_t columns, const float *a, int64_t count, Svd *out);
void svd_free(Svd *svd);
/* How many of them, at most `most`, have `share` of `energy`, the sum of the squares of all numbers of A; at least 1. What is no more than
 * rounding beside the largest is left out. */
int64_t svd_rank(const Svd *svd, int64_t most, double share, double energy);
/* The first `rank` as up [rows, rank] and down [rank, columns], with the root of a value in each. */
void svd_factors(const Svd *svd, int64_t rank, float *up, float *down);
#endif
