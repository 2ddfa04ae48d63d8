/* linear.inc.h: matrix products: LINEAR, LINEAR_FUSED and 1×1 convolutions.
 *
 * One idea: a part is a block of rows times a few panels. For each piece of PANEL_DEPTH inputs each panel is widened to f32 into
 * a buffer that stays in L1, then multiplied with all rows of the block, which lie in place; sums wait on the stack
 * (store.inc.h). */

enum {
    PANEL_COLUMNS = TILE_VECS * VEC_WIDTH,
    BLOCK_ROWS = 192,     /* at most; a multiple of TILE_ROWS */
    BLOCK_FLOATS = 12288, /* sums of a block */
    BLOCK_COLUMNS = 64,
    GATHER_DEPTH = BLOCK_FLOATS / BLOCK_ROWS
};

static const PanelShape panel_shape = {PANEL_COLUMNS, VEC_WIDTH, PANEL_DEPTH};

typedef struct Linear {
    const float *x;
    Rows x_rows;
    int64_t x_step, rows;
    const void *w;
    PackedShape shape;
    Store store;
    int64_t row_blocks, panel_blocks, panels; /* panels of a block, of one half */
    bool rows_first;                          /* parts walk the row blocks of one block of panels first */
} Linear;

/* `depth` rows of a panel of `columns` from row `k` on, as f32: in place or in `buffer`. */
INLINE const float *panel_piece(const void *w, int dtype, int64_t panel, int64_t k, int64_t depth, int64_t columns, float *buffer)
{
    const int64_t index = panel + k * columns;
    if (dtype == DTYPE_F32) return (const float *)w + index;
    widen(dtype, w, index, depth * columns, buffer);
    return buffer;
}

/* Numbers k … k + depth − 1 of rows whose numbers are x_step apart, side by side. */
static void gather_rows(const Linear *l, const int64_t *x_at, int64_t count, int64_t k, int64_t depth, float *out)
{
    for (int64_t r = 0; r < count; r++)
        for (int64_t i = 0; i < depth; i++) out[r * GATHER_DEPTH + i] = l->x[x_at[r] + (k + i) * l->x_step];
}

/* sums (+)= block of rows · panels first … end − 1 of both halves; a half's panels follow each other at panel_step. */
static void linear_sums(const Linear *l, const int64_t *x_at, int64_t count, int64_t first, int64_t end, float *sums,
                        int64_t panel_step)
{
    _Alignas(64) float buffer[PANEL_DEPTH * PANEL_COLUMNS], gathered[BLOCK_ROWS * GATHER_DEPTH];
    int64_t gathered_at[BLOCK_ROWS];
    const int64_t most = l->x_step == 1 ? PANEL_DEPTH : GATHER_DEPTH, pieces = divide_up(l->shape.channels, most);
    const int64_t piece = divide_up(l->shape.channels, pieces);
    for (int64_t r = 0; r < count; r++) gathered_at[r] = r * GATHER_DEPTH;
    for (int64_t k = 0; k < l->shape.channels; k += piece) {
        const Run run = {1, 0, smaller(piece, l->shape.channels - k)};
        if (l->x_step != 1) gather_rows(l, x_at, count, k, run.depth, gathered);
        for (int64_t half = 0, slot = 0; half < l->shape.halves; half++)
            for (int64_t p = first; p < end; p++, slot++) {
                const int64_t columns = packed_columns(&panel_shape, &l->shape, p);
                const int64_t panel = half * l->shape.half + p * l->shape.row_panel;
                const float *b = panel_piece(l->w, l->shape.dtype, panel, k, run.depth, columns, buffer);
                float *c = sums + slot * panel_step;
                if (l->x_step == 1) multiply(l->x + k, x_at, count, &run, b, columns, c, columns, k > 0);
                else multiply(gathered, gathered_at, count, &run, b, columns, c, columns, k > 0);
            }
    }
}

static void linear_part(void *state, int64_t part)
{
    const Linear *l = state;
    const int64_t row_block = l->rows_first ? part % l->row_blocks : part / l->panel_blocks;
    const int64_t panel_block = l->rows_first ? part / l->row_blocks : part % l->panel_blocks;
    const int64_t first = panel_block * l->panels, end = smaller(first + l->panels, l->shape.panels);
    int64_t row, row_end, x_at[BLOCK_ROWS], y_at[BLOCK_ROWS], residual_at[BLOCK_ROWS], channels_at[BLOCK_ROWS];
    _Alignas(64) float sums[BLOCK_FLOATS];
    cut(l->rows, l->row_blocks, TILE_ROWS, row_block, &row, &row_end);
    const int64_t count = row_end - row, panel_step = count * PANEL_COLUMNS;
    rows_fill(&l->x_rows, row, count, x_at);
    rows_fill(&l->store.y_rows, row, count, y_at);
    rows_fill(&l->store.residual_rows, row, count, residual_at);
    for (int64_t r = 0; r < count; r++)
        channels_at[r] = l->store.channels ? (row + r) / l->store.image_rows * l->store.channels_stride : 0;
    linear_sums(l, x_at, count, first, end, sums, panel_step);
    const Block block = {sums, count, panel_step, y_at, residual_at, channels_at};
    store_block(&l->store, &block, first, end - first, l->shape.halves == 2 ? sums + (end - first) * panel_step : NULL);
}

static void linear_cut(Linear *l)
{
    const int64_t per_panel = PANEL_COLUMNS * l->shape.halves;
    l->panels = BLOCK_COLUMNS > per_panel ? BLOCK_COLUMNS / per_panel : 1;
    const int64_t most_rows = smaller(BLOCK_ROWS, BLOCK_FLOATS / (l->panels * per_panel) / TILE_ROWS * TILE_ROWS);
    l->row_blocks = divide_up(l->rows, most_rows);
    while (l->panels > 1 && l->panels * per_panel > 32 && l->row_blocks * divide_up(l->shape.panels, l->panels) < 32)
        l->panels /= 2;
    l->panel_blocks = divide_up(l->shape.panels, l->panels);
    /* the larger operand is read once, the other again and again from the cache */
    l->rows_first = (double)l->shape.outputs * (double)l->shape.halves * (double)dtype_size(l->shape.dtype) > (double)l->rows * 4;
}

/* The weights of a product: packed already, or packed now into the scratch area. */
static const void *packed_weights(const Call *call, bool two_halves)
{
    if (call->packed[1]) return call->in[1].data;
    pack_weight(&panel_shape, &call->in[1], two_halves, call->scratch);
    return call->scratch;
}

/* Bytes for weights that are not packed yet, in whole cache lines. */
static size_t product_scratch(const Op *op, int threads)
{
    (void)threads;
    const bool two_halves = op->kind == OP_LINEAR_FUSED && ((const LinearFusedAttrs *)op->attributes)->geglu;
    return op->in[1].place == PLACE_WEIGHT ? 0 : (packed_bytes(&panel_shape, &op->in[1], two_halves) + 63) / 64 * 64;
}

static void linear_run(const Call *call)
{
    const LinearFusedAttrs *fused = call->op.kind == OP_LINEAR_FUSED ? call->op.attributes : NULL;
    const View *x = &call->in[0], *y = &call->op.out, *residual = call->op.inputs > 3 ? &call->in[3] : NULL;
    const bool geglu = fused && fused->geglu;
    Linear l = {.x = x->data, .x_rows = rows_of(x), .x_step = x->stride[x->rank - 1]};
    l.rows = 1;
    for (int i = 0; i < x->rank - 1; i++) l.rows *= x->dim[i];
    l.w = packed_weights(call, geglu);
    l.shape = packed_shape(&panel_shape, &call->in[1], geglu);
    l.store = (Store){.y = y->data,
                      .activation = fused ? fused->activation : ACTIVATION_NONE,
                      .columns = y->dim[y->rank - 1],
                      .y_step = y->stride[y->rank - 1],
                      .y_rows = rows_of(y)};
    if (call->op.inputs > 2 && call->in[2].data) {
        l.store.bias = call->in[2].data;
        l.store.bias_dtype = call->in[2].dtype;
    }
    if (residual && residual->data) {
        l.store.residual = residual->data;
        l.store.residual_step = residual->stride[residual->rank - 1];
        l.store.residual_rows = rows_of(residual);
    }
    linear_cut(&l);
    cpu_each(call, l.row_blocks * l.panel_blocks, linear_part, &l);
}
