/* probabilities.inc.h: SCORES, SOFTMAX and VALUES one by one, for graphs in which somebody reads the probabilities.
 *
 * One idea: the pieces of attention.inc.h with the matrix of all scores in memory between them. */

static void scores_part(void *state, int64_t part)
{
    const Attention *a = state;
    _Alignas(64) Queries block;
    int64_t end;
    block.head = part / a->query_blocks;
    cut(a->queries, a->query_blocks, TILE_ROWS, part % a->query_blocks, &block.first, &end);
    block.count = end - block.first;
    for (int64_t r = 0; r < block.count; r++) block.at[r] = (block.first + r) * a->q.stride[1];
    const int64_t n = block.head / a->heads, head = block.head % a->heads;
    const float *q = head_of(&a->q, n, head, a->width);
    float *y = (float *)a->y.data + n * a->y.stride[0] + head * a->y.stride[1];
    for (int64_t t = 0; t < a->keys; t += KEYS) {
        const int64_t count = smaller(KEYS, a->keys - t);
        score_keys(a, &block, q, t, count);
        for (int64_t r = 0; r < block.count; r++)
            for (int64_t i = 0; i < count; i += VEC_WIDTH)
                v_store_n(y + (block.first + r) * a->y.stride[2] + t + i,
                          v_mul(v_load(block.scores + r * KEYS + i), v_set(a->scale)), count - i);
    }
}

static bool scores_fits(const Op *op)
{
    const AttentionAttrs *attrs = op->attributes;
    return op->in[0].dim[2] / attrs->heads <= HEAD_WIDTH && has_dense_rows(&op->in[0]) && has_dense_rows(&op->in[1]) &&
           has_dense_rows(&op->out);
}

static size_t scores_scratch(const Op *op, int threads)
{
    (void)threads;
    const Attention a = attention_of(op->attributes, &op->in[1], NULL);
    return (size_t)key_panel_floats(&a, op->out.dim[0]) * sizeof(float);
}

static void scores_run(const Call *call)
{
    Attention a = attention_of(call->op.attributes, &call->in[1], NULL);
    const int64_t heads = call->op.out.dim[0] * a.heads;
    a.q = call->in[0];
    a.y = call->op.out;
    a.queries = a.q.dim[1];
    a.query_blocks = divide_up(a.queries, QUERIES);
    a.key_panels = call->scratch;
    cpu_each(call, heads * a.pack_blocks, pack_keys_part, &a);
    cpu_each(call, heads * a.query_blocks, scores_part, &a);
}

static void values_part(void *state, int64_t part)
{
    const Attention *a = state;
    _Alignas(64) Queries block;
    int64_t end;
    block.head = part / a->query_blocks;
    cut(a->queries, a->query_blocks, TILE_ROWS, part % a->query_blocks, &block.first, &end);
    block.count = end - block.first;
    for (int64_t r = 0; r < block.count; r++) {
        block.at[r] = (block.first + r) * a->q.stride[2];
        block.sum[r] = 1;
    }
    const float *p = (const float *)a->q.data + block.head / a->heads * a->q.stride[0] + block.head % a->heads * a->q.stride[1];
    for (int64_t t = 0; t < a->keys; t += KEYS) {
        const Run run = {1, 0, smaller(KEYS, a->keys - t)};
        for (int64_t d = 0; d < a->width; d += PANEL_COLUMNS) {
            const int64_t columns = panel_columns(d, a->width);
            const float *panel = a->value_panels + (block.head * a->padded_width + d) * a->keys + t * columns;
            multiply(p + t, block.at, block.count, &run, panel, columns, block.out + d, a->padded_width, t > 0);
        }
    }
    store_queries(a, &block);
}

static bool values_fits(const Op *op)
{
    const AttentionAttrs *attrs = op->attributes;
    return op->in[1].dim[2] / attrs->heads <= HEAD_WIDTH && has_dense_rows(&op->in[0]) && has_dense_rows(&op->in[1]) &&
           has_dense_rows(&op->out);
}

static size_t values_scratch(const Op *op, int threads)
{
    (void)threads;
    const Attention a = attention_of(op->attributes, NULL, &op->in[1]);
    return (size_t)value_panel_floats(&a, op->out.dim[0]) * sizeof(float);
}

/* `q` holds the probabilities [n, heads, S, T]. */
static void values_run(const Call *call)
{
    Attention a = attention_of(call->op.attributes, NULL, &call->in[1]);
    const int64_t heads = call->op.out.dim[0] * a.heads;
    a.q = call->in[0];
    a.y = call->op.out;
    a.queries = a.y.dim[1];
    a.query_blocks = divide_up(a.queries, QUERIES);
    a.value_panels = call->scratch;
    cpu_each(call, heads * a.pack_blocks, pack_values_part, &a);
    cpu_each(call, heads * a.query_blocks, values_part, &a);
}

typedef struct Softmax {
    const View *x, *y;
    int64_t rows, rows_a_part;
    bool causal;
} Softmax;

static void softmax_row(const float *x, float *y, int64_t n)
{
    const float largest = largest_of(x, n, 1.0f);
    double sum = 0;
    for (int64_t i = 0; i < n; i += KEYS) { /* short sums in f32, their sum in f64 */
        const int64_t count = smaller(KEYS, n - i);
        if (y != x) memcpy(y + i, x + i, (size_t)count * sizeof *y);
        sum += exponentials(y + i, count, 1.0f, largest);
    }
    const Vec factor = v_set((float)(1 / sum));
    for (int64_t i = 0; i < n; i += VEC_WIDTH) v_store_n(y + i, v_mul(v_load_n(y + i, n - i), factor), n - i);
}

static void softmax_part(void *state, int64_t part)
{
    const Softmax *s = state;
    const Rows x_rows = rows_of(s->x), y_rows = rows_of(s->y);
    const int64_t length = s->x->dim[3], end = smaller(s->rows, (part + 1) * s->rows_a_part);
    for (int64_t r = part * s->rows_a_part; r < end; r++) {
        int64_t x_at, y_at;
        rows_fill(&x_rows, r, 1, &x_at);
        rows_fill(&y_rows, r, 1, &y_at);
        const int64_t valid = s->causal ? smaller(length, r % s->x->dim[2] + 1) : length;
        float *y = (float *)s->y->data + y_at;
        softmax_row((const float *)s->x->data + x_at, y, valid);
        for (int64_t t = valid; t < length; t++) y[t] = 0;
    }
}

static bool softmax_fits(const Op *op)
{
    return has_dense_rows(&op->in[0]) && has_dense_rows(&op->out);
}

static void softmax_run(const Call *call)
{
    const View *x = &call->in[0];
    Softmax s = {x, &call->op.out, x->dim[0] * x->dim[1] * x->dim[2], 1 + 16384 / x->dim[3],
                 ((const SoftmaxAttrs *)call->op.attributes)->causal};
    cpu_each(call, divide_up(s.rows, s.rows_a_part), softmax_part, &s);
}
