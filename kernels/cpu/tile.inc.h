/* tile.inc.h: the innermost product: up to 6 rows times a panel of weights, sums in registers.
 *
 * One idea: a row is an offset, so the same tile serves matrices (rows in place), convolutions (pixels of a gathered block) and
 * attention (queries, probabilities). A row's numbers come in runs: `runs` pieces of `depth` numbers, `run_step` apart (the lines
 * of a convolution's window). One function per (rows, vectors), all loops over registers unrolled. Sums of one call are added to
 * what is there as one number, so long sums are short sums of short sums. */

typedef struct Run {
    int64_t runs, run_step, depth;
} Run;

INLINE void tile(const int rows, const int vecs, const float *base, const int64_t *at, const Run *run, const float *b, float *c,
                 int64_t ldc, bool add)
{
    Vec sum[TILE_ROWS][TILE_VECS];
    UNROLL for (int r = 0; r < rows; r++)
    {
        UNROLL for (int v = 0; v < vecs; v++) sum[r][v] = v_zero();
    }
    const int64_t depth = run->depth, runs = run->runs;
    for (int64_t i = 0; i < runs; i++) {
        const float *a[TILE_ROWS];
        UNROLL for (int r = 0; r < rows; r++) a[r] = base + at[r] + i * run->run_step;
        for (int64_t k = 0; k < depth; k++, b += vecs * VEC_WIDTH) {
            Vec w[TILE_VECS];
            UNROLL for (int v = 0; v < vecs; v++) w[v] = v_load(b + v * VEC_WIDTH);
            UNROLL for (int r = 0; r < rows; r++)
            {
                const Vec x = v_set(a[r][k]);
                UNROLL for (int v = 0; v < vecs; v++) sum[r][v] = v_fma(x, w[v], sum[r][v]);
            }
        }
    }
    UNROLL for (int r = 0; r < rows; r++)
    {
        UNROLL for (int v = 0; v < vecs; v++)
        {
            float *to = c + r * ldc + v * VEC_WIDTH;
            v_store(to, add ? v_add(v_load(to), sum[r][v]) : sum[r][v]);
        }
    }
}

typedef void Tile(const float *base, const int64_t *at, const Run *run, const float *b, float *c, int64_t ldc, bool add);

#define DEFINE_TILE(rows, vecs)                                                                                      \
    static __attribute__((noinline)) void tile_##rows##_##vecs(const float *base, const int64_t *at, const Run *run, \
                                                               const float *b, float *c, int64_t ldc, bool add)      \
    {                                                                                                                \
        tile(rows, vecs, base, at, run, b, c, ldc, add);                                                             \
    }
#define DEFINE_TILES(vecs) \
    DEFINE_TILE(1, vecs) DEFINE_TILE(2, vecs) DEFINE_TILE(3, vecs) DEFINE_TILE(4, vecs) DEFINE_TILE(5, vecs) DEFINE_TILE(6, vecs)
#define TILES(vecs)                                                                              \
    {                                                                                            \
        tile_1_##vecs, tile_2_##vecs, tile_3_##vecs, tile_4_##vecs, tile_5_##vecs, tile_6_##vecs \
    }

DEFINE_TILES(1)
DEFINE_TILES(2)
#if TILE_VECS == 4
DEFINE_TILES(3)
DEFINE_TILES(4)
static Tile *const tile_table[TILE_VECS][TILE_ROWS] = {TILES(1), TILES(2), TILES(3), TILES(4)};
#else
static Tile *const tile_table[TILE_VECS][TILE_ROWS] = {TILES(1), TILES(2)};
#endif

/* c[r][0 … columns−1] (+)= row at base + at[r], times the panel b, for any number of rows: cut evenly into tiles. */
static void multiply(const float *base, const int64_t *at, int64_t rows, const Run *run, const float *b, int64_t columns,
                     float *c, int64_t ldc, bool add)
{
    Tile *const *const tile_of = tile_table[columns / VEC_WIDTH - 1];
    const int64_t count = divide_up(rows, TILE_ROWS), size = rows / count, longer = rows % count;
    for (int64_t i = 0; i < count; i++) {
        const int64_t n = size + (i < longer);
        tile_of[n - 1](base, at, run, b, c, ldc, add);
        at += n;
        c += n * ldc;
    }
}
