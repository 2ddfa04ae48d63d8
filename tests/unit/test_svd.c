/* svd.c: the vectors are orthonormal, the values fall and are the right ones, and together they give the matrix back (a naive product). */
#include "engine/base/memory.h"
#include "nodes/svd.h"
#include "tests/support.h"
#include "tests/test.h"
#include <math.h>
#include <stdlib.h>

typedef struct Shape {
    int64_t rows, columns, rank;
} Shape;
static const Shape shapes[] = {{1, 1, 1}, {5, 7, 2}, {40, 3, 3}, {3, 40, 5}, {64, 64, 4}, {33, 90, 17}, {20, 20, 20}};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static float *numbers(int64_t count, uint64_t seed)
{
    float *out = malloc((size_t)count * sizeof *out);
    assert_non_null(out);
    support_fill(&seed, out, (size_t)count);
    return out;
}

static float *product(const Shape *shape, const float *up, const float *down)
{
    float *out = malloc((size_t)(shape->rows * shape->columns) * sizeof *out);
    assert_non_null(out);
    for (int64_t i = 0; i < shape->rows; i++)
        for (int64_t j = 0; j < shape->columns; j++) {
            double sum = 0;
            for (int64_t k = 0; k < shape->rank; k++) sum += (double)up[i * shape->rank + k] * (double)down[k * shape->columns + j];
            out[i * shape->columns + j] = (float)sum;
        }
    return out;
}

static void orthonormal(const double *vector, const double *s, int64_t count, int64_t n)
{
    for (int64_t a = 0; a < count; a++)
        for (int64_t b = 0; b < count; b++) {
            double sum = 0;
            for (int64_t i = 0; i < n; i++) sum += vector[a * n + i] * vector[b * n + i];
            if (s[a] > 1e-9 * s[0] && s[b] > 1e-9 * s[0] && fabs(sum - (a == b)) > 1e-9)
                fail_msg("vectors %d, %d: %g", (int)a, (int)b, sum);
        }
}

/* |A − Σ s·u·vᵀ| beside |A|. */
static double missed(const Svd *svd, const float *a)
{
    double wrong = 0, all = 0;
    for (int64_t i = 0; i < svd->rows; i++)
        for (int64_t j = 0; j < svd->columns; j++) {
            double sum = (double)a[i * svd->columns + j];
            all += sum * sum;
            for (int64_t k = 0; k < svd->count; k++) sum -= svd->s[k] * svd->u[k * svd->rows + i] * svd->v[k * svd->columns + j];
            wrong += sum * sum;
        }
    return sqrt(wrong / all);
}

static void sound(const Svd *svd, const float *a, double most)
{
    for (int64_t i = 1; i < svd->count; i++) assert_true(svd->s[i] <= svd->s[i - 1] && svd->s[i] >= 0);
    orthonormal(svd->u, svd->s, svd->count, svd->rows);
    orthonormal(svd->v, svd->s, svd->count, svd->columns);
    const double off = missed(svd, a);
    if (!(off < most)) fail_msg("[%d, %d]: %g off", (int)svd->rows, (int)svd->columns, off);
}

TEST(a_product_comes_apart_and_together)
{
    for (int i = 0; i < SHAPES; i++) {
        const Shape *shape = &shapes[i];
        float *up = numbers(shape->rows * shape->rank, 7 + (uint64_t)i), *down = numbers(shape->rank * shape->columns, 70 + (uint64_t)i);
        float *a = product(shape, up, down);
        Svd thin, full;
        assert_ok(svd_product(shape->rows, shape->columns, shape->rank, up, down, &thin));
        assert_ok(svd_top(shape->rows, shape->columns, a, shape->rank, &full));
        sound(&thin, a, 1e-6);
        sound(&full, a, 1e-6);
        for (int64_t k = 0; k < full.count; k++)
            if (fabs(thin.s[k] - full.s[k]) > 1e-6 * thin.s[0]) fail_msg("value %d: %g, %g", (int)k, thin.s[k], full.s[k]);
        svd_free(&thin);
        svd_free(&full);
        free(up);
        free(down);
        free(a);
    }
}

TEST(known_values_are_found)
{
    /* [[3, 0], [4, 5]] has √45 and √5; numpy.linalg.svd of the other one, [[1, 2, 3], [4, 5, 6]]: 9.508032, 0.772870. */
    Svd svd;
    assert_ok(svd_top(2, 2, (float[]){3, 0, 4, 5}, 2, &svd));
    assert_true(fabs(svd.s[0] - sqrt(45)) < 1e-12 && fabs(svd.s[1] - sqrt(5)) < 1e-12);
    svd_free(&svd);
    assert_ok(svd_top(2, 3, (float[]){1, 2, 3, 4, 5, 6}, 9, &svd));
    assert_int_equal(svd.count, 2);
    assert_true(fabs(svd.s[0] - 9.508032) < 1e-6 && fabs(svd.s[1] - 0.772870) < 1e-6);
    svd_free(&svd);
}

/* Values 1, 1/2, 1/4 … of a large matrix: the first ones are exact although only a few are asked for. */
TEST(the_largest_values_of_a_full_matrix_are_found)
{
    enum { SIZE = 96, ASKED = 6 };
    const Shape shape = {SIZE, SIZE, SIZE};
    float *left = numbers(SIZE * SIZE, 3), *right = numbers(SIZE * SIZE, 4);
    Svd a, b, top;
    assert_ok(svd_top(SIZE, SIZE, left, SIZE, &a));
    assert_ok(svd_top(SIZE, SIZE, right, SIZE, &b));
    for (int i = 0; i < SIZE; i++)
        for (int k = 0; k < SIZE; k++) {
            left[k * SIZE + i] = (float)(a.u[i * SIZE + k] * pow(0.5, i));
            right[i * SIZE + k] = (float)b.v[i * SIZE + k];
        }
    float *matrix = product(&shape, left, right);
    assert_ok(svd_top(SIZE, SIZE, matrix, ASKED, &top));
    assert_int_equal(top.count, ASKED);
    for (int i = 0; i < ASKED; i++)
        if (fabs(top.s[i] - pow(0.5, i)) > 1e-6) fail_msg("value %d: %g", i, top.s[i]);
    assert_int_equal(svd_rank(&top, 99, 0.9, 4.0 / 3), 2); /* 1 + 1/4 of 4/3 */
    assert_int_equal(svd_rank(&top, 1, 0.9, 4.0 / 3), 1);
    svd_free(&a);
    svd_free(&b);
    svd_free(&top);
    free(left);
    free(right);
    free(matrix);
}

TEST(zeros_have_no_values)
{
    Svd svd;
    assert_ok(svd_top(4, 5, (float[20]){0}, 3, &svd));
    for (int i = 0; i < svd.count; i++) assert_true(svd.s[i] == 0 && svd.u[i] == 0);
    svd_free(&svd);
}

TEST_MAIN(CASE(a_product_comes_apart_and_together), CASE(known_values_are_found), CASE(the_largest_values_of_a_full_matrix_are_found),
          CASE(zeros_have_no_values))
