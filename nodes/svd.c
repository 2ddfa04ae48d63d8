/* svd.c: see svd.h. Bases are lists of vectors, each contiguous. */
#include "nodes/svd.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include <float.h>
#include <math.h>
#include <string.h>

enum { MORE = 8, POWERS = 2, SWEEPS = 60, LANES = 8 };

static double dot(const double *a, const double *b, int64_t n)
{
    double sum[LANES] = {0}, all = 0;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int k = 0; k < LANES; k++) sum[k] += a[i + k] * b[i + k];
    for (; i < n; i++) all += a[i] * b[i];
    for (int k = 0; k < LANES; k++) all += sum[k];
    return all;
}

static double dot_f32(const float *a, const double *b, int64_t n)
{
    double sum[LANES] = {0}, all = 0;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int k = 0; k < LANES; k++) sum[k] += (double)a[i + k] * b[i + k];
    for (; i < n; i++) all += (double)a[i] * b[i];
    for (int k = 0; k < LANES; k++) all += sum[k];
    return all;
}

static void add(double *to, double factor, const double *from, int64_t n)
{
    for (int64_t i = 0; i < n; i++) to[i] += factor * from[i];
}

/* Gram and Schmidt, twice, because once leaves rounding. vector[i] = Σ part[i·count + j]·basis[j] afterwards, the basis in the vectors'
 * place; a vector that the others span becomes 0. `part`: NULL, or [count, count] zeros. */
static void orthonormal(double *vector, int64_t count, int64_t n, double *part)
{
    for (int64_t i = 0; i < count; i++) {
        double *v = vector + i * n;
        const double before = sqrt(dot(v, v, n));
        for (int pass = 0; pass < 2; pass++)
            for (int64_t j = 0; j < i; j++) {
                const double along = dot(v, vector + j * n, n);
                add(v, -along, vector + j * n, n);
                if (part) part[i * count + j] += along;
            }
        const double length = sqrt(dot(v, v, n)), scale = length > before * 1e-13 ? 1 / length : 0;
        for (int64_t k = 0; k < n; k++) v[k] = scale > 0 ? v[k] * scale : 0;
        if (part && scale > 0) part[i * count + i] = length;
    }
}

static void rotate(double *a, double *b, double c, double s, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const double x = a[i], y = b[i];
        a[i] = c * x - s * y;
        b[i] = s * x + c * y;
    }
}

/* Turns the `n` vectors of g, and those of w alike, until all of g are at right angles. */
static void jacobi(double *g, double *w, int64_t n)
{
    bool turned = true;
    for (int sweep = 0; sweep < SWEEPS && turned; sweep++) {
        turned = false;
        for (int64_t p = 0; p < n; p++)
            for (int64_t q = p + 1; q < n; q++) {
                double *a = g + p * n, *b = g + q * n;
                const double aa = dot(a, a, n), bb = dot(b, b, n), ab = dot(a, b, n);
                if (!(fabs(ab) > DBL_EPSILON * sqrt(aa * bb))) continue;
                const double zeta = (bb - aa) / (2 * ab), t = copysign(1, zeta) / (fabs(zeta) + hypot(1, zeta)), c = 1 / hypot(1, t);
                rotate(a, b, c, c * t, n);
                rotate(w + p * n, w + q * n, c, c * t, n);
                turned = true;
            }
    }
}

/* core[b·n + a]: between basis p (a) and basis q (b); p and q are used up. Their places in the result are by falling value. */
static NodusStatus between(double *p, double *q, double *core, int64_t n, Svd *out)
{
    double *w = memory_array((size_t)(n * n), sizeof *w), *size = memory_array((size_t)n, sizeof *size);
    if (!w || !size) {
        memory_free(w);
        memory_free(size);
        return status_memory();
    }
    for (int64_t i = 0; i < n; i++) w[i * n + i] = 1;
    jacobi(core, w, n);
    for (int64_t i = 0; i < n; i++) size[i] = sqrt(dot(core + i * n, core + i * n, n));
    for (int64_t i = 0; i < n; i++) {
        int64_t largest = 0;
        for (int64_t k = 1; k < n; k++)
            if (isnan(size[k]) || size[k] > size[largest]) largest = k;
        const double s = out->s[i] = size[largest];
        for (int64_t k = 0; k < n && s > 0; k++) {
            add(out->u + i * out->rows, core[largest * n + k] / s, p + k * out->rows, out->rows);
            add(out->v + i * out->columns, w[largest * n + k], q + k * out->columns, out->columns);
        }
        size[largest] = -1;
    }
    memory_free(w);
    memory_free(size);
    return NULL;
}

/* Of Σ left[i]·right[i]ᵀ; uses both up. */
static NodusStatus svd_vectors(double *left, double *right, Svd *out)
{
    const int64_t n = out->count;
    double *part = memory_array((size_t)(3 * n * n), sizeof *part), *other, *core;
    out->s = memory_array((size_t)n, sizeof *out->s);
    out->u = memory_array((size_t)(n * out->rows), sizeof *out->u);
    out->v = memory_array((size_t)(n * out->columns), sizeof *out->v);
    NodusStatus status = part && out->s && out->u && out->v ? NULL : status_memory();
    if (!status) {
        other = part + n * n;
        core = other + n * n;
        orthonormal(left, n, out->rows, part);
        orthonormal(right, n, out->columns, other);
        for (int64_t i = 0; i < n; i++)
            for (int64_t b = 0; b <= i; b++) add(core + b * n, other[i * n + b], part + i * n, i + 1);
        status = between(left, right, core, n, out);
    }
    memory_free(part);
    if (status) svd_free(out);
    return status;
}

NodusStatus svd_product(int64_t rows, int64_t columns, int64_t rank, const float *up, const float *down, Svd *out)
{
    *out = (Svd){.rows = rows, .columns = columns, .count = rank};
    double *left = memory_array((size_t)(rank * rows), sizeof *left), *right = memory_array((size_t)(rank * columns), sizeof *right);
    NodusStatus status = left && right ? NULL : status_memory();
    if (!status) {
        for (int64_t i = 0; i < rows * rank; i++) left[i % rank * rows + i / rank] = (double)up[i];
        for (int64_t i = 0; i < rank * columns; i++) right[i] = (double)down[i];
        status = svd_vectors(left, right, out);
    }
    memory_free(left);
    memory_free(right);
    if (status) svd_free(out);
    return status;
}

/* to[j] = A·from[j], and to[j] = Aᵀ·from[j]. */
static void times(const Svd *size, const float *a, const double *from, double *to)
{
    for (int64_t row = 0; row < size->rows; row++)
        for (int64_t j = 0; j < size->count; j++)
            to[j * size->rows + row] = dot_f32(a + row * size->columns, from + j * size->columns, size->columns);
}

static void times_turned(const Svd *size, const float *a, const double *from, double *to)
{
    memset(to, 0, (size_t)(size->count * size->columns) * sizeof *to);
    for (int64_t row = 0; row < size->rows; row++)
        for (int64_t j = 0; j < size->count; j++) {
            const double factor = from[j * size->rows + row];
            for (int64_t i = 0; i < size->columns; i++) to[j * size->columns + i] += factor * (double)a[row * size->columns + i];
        }
}

NodusStatus svd_top(int64_t rows, int64_t columns, const float *a, int64_t count, Svd *out)
{
    const int64_t least = rows < columns ? rows : columns, wanted = count < least - MORE ? count + MORE : least;
    *out = (Svd){.rows = rows, .columns = columns, .count = wanted};
    double *left = memory_array((size_t)(wanted * rows), sizeof *left), *right = memory_array((size_t)(wanted * columns), sizeof *right);
    NodusStatus status = left && right ? NULL : status_memory();
    if (!status) {
        uint64_t random = 1;
        for (int64_t i = 0; i < wanted * columns; i++) {
            random = random * 6364136223846793005u + 1442695040888963407u; /* Knuth's: any start will do, and always the same */
            right[i] = (double)(random >> 11) / (double)(1ull << 53) - 0.5;
        }
        for (int i = 0; i <= POWERS; i++) {
            times(out, a, right, left);
            orthonormal(left, wanted, rows, NULL);
            times_turned(out, a, left, right);
            if (i < POWERS) orthonormal(right, wanted, columns, NULL);
        }
        status = svd_vectors(left, right, out);
    }
    memory_free(left);
    memory_free(right);
    if (status) svd_free(out);
    if (!status && out->count > count) out->count = count;
    return status;
}

void svd_free(Svd *svd)
{
    memory_free(svd->s);
    memory_free(svd->u);
    memory_free(svd->v);
    *svd = (Svd){0};
}

int64_t svd_rank(const Svd *svd, int64_t most, double share, double energy)
{
    double sum = 0;
    int64_t rank = 0;
    while (rank < svd->count && rank < most && (!rank || (sum < share * energy && svd->s[rank] > 1e-7 * svd->s[0]))) {
        sum += svd->s[rank] * svd->s[rank];
        rank++;
    }
    return rank;
}

void svd_factors(const Svd *svd, int64_t rank, float *up, float *down)
{
    for (int64_t i = 0; i < rank; i++) {
        const double root = sqrt(svd->s[i]);
        for (int64_t k = 0; k < svd->rows; k++) up[k * rank + i] = (float)(root * svd->u[i * svd->rows + k]);
        for (int64_t k = 0; k < svd->columns; k++) down[i * svd->columns + k] = (float)(root * svd->v[i * svd->columns + k]);
    }
}
