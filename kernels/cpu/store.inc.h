/* store.inc.h: what happens to finished sums: bias, channel vector, activation or geglu, residual, then the only store to y.
 *
 * One idea: products accumulate in a block on the stack, [panel][row][column of the panel], and one pass over it does all the
 * rest. So y may have any strides, may be the residual, and no partial sum is ever seen in memory. */

typedef struct Store {
    float *y;
    const float *residual, *channels; /* or NULL */
    const void *bias;                 /* or NULL */
    int bias_dtype, activation;
    int64_t columns;                              /* of y */
    int64_t y_step, residual_step, channels_step; /* from a column to the next */
    Rows y_rows, residual_rows;
    int64_t channels_stride, image_rows; /* from an image to the next; rows of an image */
} Store;

/* Where a block lies: `count` rows of the block beginning in y, residual, channels at these offsets; panel p at sums +
 * p·panel_step. */
typedef struct Block {
    const float *sums;
    int64_t count, panel_step;
    const int64_t *y_at, *residual_at, *channels_at;
} Block;

/* `n` numbers, `step` apart, in a dense buffer or in place. */
INLINE const float *dense(const float *p, int64_t step, int64_t n, float *buffer)
{
    if (step == 1) return p;
    for (int64_t i = 0; i < n; i++) buffer[i] = p[i * step];
    return buffer;
}

INLINE void scatter(float *p, int64_t step, int64_t n, const float *buffer)
{
    for (int64_t i = 0; i < n; i++) p[i * step] = buffer[i];
}

/* `width` columns from `column` on of all rows of the block. */
INLINE void store_rows(const Store *s, const Block *block, const float *sums, const float *gates, int64_t column, int64_t width,
                       const int activation)
{
    float bias[2][TILE_VECS * VEC_WIDTH] = {{0}}, buffer[3][TILE_VECS * VEC_WIDTH];
    if (s->bias) widen(s->bias_dtype, s->bias, column, width, bias[0]);
    if (s->bias && gates) widen(s->bias_dtype, s->bias, s->columns + column, width, bias[1]);
    const int64_t ldc = divide_up(width, VEC_WIDTH) * VEC_WIDTH;
    for (int64_t r = 0; r < block->count; r++) {
        const float *residual = NULL, *channels = NULL;
        if (s->residual)
            residual = dense(s->residual + block->residual_at[r] + column * s->residual_step, s->residual_step, width, buffer[0]);
        if (s->channels)
            channels = dense(s->channels + block->channels_at[r] + column * s->channels_step, s->channels_step, width, buffer[1]);
        float *to = s->y + block->y_at[r] + column * s->y_step, *y = s->y_step == 1 ? to : buffer[2];
        for (int64_t j = 0; j < width; j += VEC_WIDTH) {
            Vec x = v_add(v_load(sums + r * ldc + j), v_load(bias[0] + j));
            if (channels) x = v_add(x, v_load_n(channels + j, width - j));
            if (gates) x = v_mul(x, v_gelu(v_add(v_load(gates + r * ldc + j), v_load(bias[1] + j))));
            x = v_activate(x, activation);
            if (residual) x = v_add(x, v_load_n(residual + j, width - j));
            v_store_n(y + j, x, width - j);
        }
        if (y != to) scatter(to, s->y_step, width, y);
    }
}

/* Panels first … first + panels − 1; with geglu `gates` holds their gates. */
static void store_block(const Store *s, const Block *block, int64_t first, int64_t panels, const float *gates)
{
    for (int64_t p = 0; p < panels; p++) {
        const int64_t column = (first + p) * TILE_VECS * VEC_WIDTH, width = smaller(s->columns - column, TILE_VECS * VEC_WIDTH);
        const float *sums = block->sums + p * block->panel_step;
        if (gates) store_rows(s, block, sums, gates + p * block->panel_step, column, width, ACTIVATION_NONE);
        else if (s->activation == ACTIVATION_SILU) store_rows(s, block, sums, NULL, column, width, ACTIVATION_SILU);
        else if (s->activation == ACTIVATION_GELU) store_rows(s, block, sums, NULL, column, width, ACTIVATION_GELU);
        else if (s->activation == ACTIVATION_QUICK_GELU) store_rows(s, block, sums, NULL, column, width, ACTIVATION_QUICK_GELU);
        else store_rows(s, block, sums, NULL, column, width, ACTIVATION_NONE);
    }
}
