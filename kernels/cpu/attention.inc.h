/* attention.inc.h: ATTENTION, fused.
 *
 * One idea: keys and values are packed once per head, keys as panels of columns, values as panels of rows, so that both products
 * are tiles (tile.inc.h) with queries and probabilities as the rows. A part is a block of queries; it walks the keys in blocks,
 * keeps the running maximum and sum of each query, and rescales what it has when a maximum moves (Milakov and Gimelshein, 2018;
 * Dao et al., 2022). Scores of a block stay in L2; the matrix of all scores never exists. */

enum { QUERIES = 48, KEYS = 256, HEAD_WIDTH = 512, SCORE_DEPTH = 256, PACK_TOKENS = 512 /* packed by one part */ };

typedef struct Attention {
    View q, k, v, y; /* [n, tokens, heads·width] */
    float *key_panels, *value_panels;
    int64_t heads, width, queries, keys, padded_keys, padded_width; /* padded: to whole vectors */
    int64_t query_blocks, pack_blocks;
    float scale;
    bool causal;
} Attention;

static int64_t to_vectors(int64_t n)
{
    return divide_up(n, VEC_WIDTH) * VEC_WIDTH;
}

/* The columns of the panel that begins at column `first` of `count`, as in pack.c. */
static int64_t panel_columns(int64_t first, int64_t count)
{
    return smaller(PANEL_COLUMNS, to_vectors(count - first));
}

static const float *head_of(const View *view, int64_t n, int64_t head, int64_t width)
{
    return (const float *)view->data + n * view->stride[0] + head * width;
}

/* Keys first … first + columns − 1 as a panel: row d holds number d of each key; zeros beyond the last key. */
static void pack_keys(const Attention *a, const float *k, int64_t first, float *to)
{
    const int64_t columns = panel_columns(first, a->keys), count = smaller(columns, a->keys - first);
    for (int64_t d = 0; d < a->width; d++)
        for (int64_t t = count; t < columns; t++) to[d * columns + t] = 0;
    for (int64_t t = 0; t < count; t++) {
        const float *key = k + (first + t) * a->k.stride[1];
        for (int64_t d = 0; d < a->width; d++) to[d * columns + t] = key[d];
    }
}

/* Values token … end − 1, `columns` numbers from `first` on of each: a panel whose rows are keys. */
static void pack_values(const Attention *a, const float *v, int64_t first, int64_t token, int64_t end, float *to)
{
    const int64_t columns = panel_columns(first, a->width), count = smaller(columns, a->width - first);
    to += token * columns;
    for (int64_t t = token; t < end; t++, to += columns)
        for (int64_t j = 0; j < columns; j += VEC_WIDTH)
            v_store(to + j, v_load_n(v + t * a->v.stride[1] + first + j, smaller(VEC_WIDTH, count - j)));
}

static void pack_keys_part(void *state, int64_t part)
{
    const Attention *a = state;
    const int64_t head = part / a->pack_blocks, first = part % a->pack_blocks * PACK_TOKENS,
                  end = smaller(a->keys, first + PACK_TOKENS);
    const float *k = head_of(&a->k, head / a->heads, head % a->heads, a->width);
    for (int64_t t = first; t < end; t += PANEL_COLUMNS)
        pack_keys(a, k, t, a->key_panels + (head * a->padded_keys + t) * a->width);
}

static void pack_values_part(void *state, int64_t part)
{
    const Attention *a = state;
    const int64_t head = part / a->pack_blocks, first = part % a->pack_blocks * PACK_TOKENS,
                  end = smaller(a->keys, first + PACK_TOKENS);
    const float *v = head_of(&a->v, head / a->heads, head % a->heads, a->width);
    for (int64_t d = 0; d < a->width; d += PANEL_COLUMNS)
        pack_values(a, v, d, first, end, a->value_panels + (head * a->padded_width + d) * a->keys);
}

/* The state of a block of queries. */
typedef struct Queries {
    int64_t head, first, count; /* head: of all images */
    float largest[QUERIES], sum[QUERIES];
    int64_t at[QUERIES], scores_at[QUERIES];
    float scores[QUERIES * KEYS], out[QUERIES * HEAD_WIDTH];
} Queries;

/* scores[r][0 … count−1] = q_r · keys from `first` on; whole vectors are written. */
static void score_keys(const Attention *a, Queries *block, const float *q, int64_t first, int64_t count)
{
    for (int64_t t = 0; t < count; t += PANEL_COLUMNS) {
        const float *panel = a->key_panels + (block->head * a->padded_keys + first + t) * a->width;
        const int64_t columns = panel_columns(first + t, a->keys);
        for (int64_t d = 0; d < a->width; d += SCORE_DEPTH) {
            const Run run = {1, 0, smaller(SCORE_DEPTH, a->width - d)};
            multiply(q + d, block->at, block->count, &run, panel + d * columns, columns, block->scores + t, KEYS, d > 0);
        }
    }
}

static float largest_of(const float *x, int64_t n, float scale)
{
    Vec largest = v_set(-INFINITY);
    int64_t i = 0;
    for (; i + VEC_WIDTH <= n; i += VEC_WIDTH) largest = v_max(largest, v_mul(v_load(x + i), v_set(scale)));
    float result = v_largest(largest);
    for (; i < n; i++) result = x[i] * scale > result ? x[i] * scale : result;
    return result;
}

/* x[i] = e^(scale·x[i] − shift) for i < n; returns the sum. */
static float exponentials(float *x, int64_t n, float scale, float shift)
{
    Vec sum = v_zero();
    int64_t i = 0;
    for (; i + VEC_WIDTH <= n; i += VEC_WIDTH) {
        const Vec e = v_exp(v_fma(v_load(x + i), v_set(scale), v_set(-shift)));
        v_store(x + i, e);
        sum = v_add(sum, e);
    }
    if (i == n) return v_sum(sum);
    float rest[VEC_WIDTH] = {0};
    v_store_n(rest, v_exp(v_fma(v_load_n(x + i, n - i), v_set(scale), v_set(-shift))), n - i);
    memcpy(x + i, rest, (size_t)(n - i) * sizeof *x);
    return v_sum(v_add(sum, v_load(rest)));
}

static void scale_row(float *x, int64_t n, float factor)
{
    for (int64_t i = 0; i < n; i += VEC_WIDTH) v_store(x + i, v_mul(v_load(x + i), v_set(factor)));
}

/* Turns the scores of row r into probabilities on the scale of the new maximum and brings what was summed before onto it. */
static void soften_row(const Attention *a, Queries *block, int64_t r, int64_t first, int64_t count)
{
    float *row = block->scores + r * KEYS;
    int64_t valid = count;
    if (a->causal) valid = smaller(count, block->first + r + 1 - first);
    if (valid < 0) valid = 0;
    for (int64_t t = valid; t < count; t++) row[t] = 0;
    if (valid == 0) return;
    const float before = block->largest[r], now = largest_of(row, valid, a->scale), largest = now > before ? now : before;
    const float sum = exponentials(row, valid, a->scale, largest);
    if (largest != before && first > 0) {
        const float factor = before == -INFINITY ? 0 : expf(before - largest);
        block->sum[r] *= factor;
        scale_row(block->out + r * a->padded_width, a->padded_width, factor);
    }
    block->sum[r] += sum;
    block->largest[r] = largest;
}

static void add_values(const Attention *a, Queries *block, int64_t first, int64_t count)
{
    const Run run = {1, 0, count};
    for (int64_t d = 0; d < a->width; d += PANEL_COLUMNS) {
        const int64_t columns = panel_columns(d, a->width);
        const float *panel = a->value_panels + (block->head * a->padded_width + d) * a->keys + first * columns;
        multiply(block->scores, block->scores_at, block->count, &run, panel, columns, block->out + d, a->padded_width, first > 0);
    }
}

static void store_queries(const Attention *a, const Queries *block)
{
    float *y = (float *)a->y.data + block->head / a->heads * a->y.stride[0] + block->head % a->heads * a->width;
    for (int64_t r = 0; r < block->count; r++) {
        const Vec factor = v_set(1.0f / block->sum[r]);
        float *to = y + (block->first + r) * a->y.stride[1];
        const float *from = block->out + r * a->padded_width;
        for (int64_t d = 0; d < a->width; d += VEC_WIDTH) v_store_n(to + d, v_mul(v_load(from + d), factor), a->width - d);
    }
}

static void attention_part(void *state, int64_t part)
{
    const Attention *a = state;
    _Alignas(64) Queries block;
    int64_t end;
    block.head = part / a->query_blocks;
    cut(a->queries, a->query_blocks, TILE_ROWS, part % a->query_blocks, &block.first, &end);
    block.count = end - block.first;
    for (int64_t r = 0; r < block.count; r++) {
        block.at[r] = (block.first + r) * a->q.stride[1];
        block.scores_at[r] = r * KEYS;
        block.largest[r] = -INFINITY;
        block.sum[r] = 0;
    }
    const float *q = head_of(&a->q, block.head / a->heads, block.head % a->heads, a->width);
    const int64_t keys = a->causal ? smaller(a->keys, end) : a->keys; /* later ones are hidden from the whole block */
    for (int64_t t = 0; t < keys; t += KEYS) {
        const int64_t count = smaller(KEYS, keys - t);
        score_keys(a, &block, q, t, count);
        for (int64_t r = 0; r < block.count; r++) soften_row(a, &block, r, t, count);
        add_values(a, &block, t, count);
    }
    store_queries(a, &block);
}

/* Of v, or of k where there is no v. */
static Attention attention_of(const AttentionAttrs *attrs, const View *k, const View *v)
{
    Attention a = {.heads = attrs->heads, .scale = attrs->scale, .causal = attrs->causal};
    if (k) a.k = *k;
    if (v) a.v = *v;
    const View *either = v ? v : k;
    a.width = either->dim[2] / attrs->heads;
    a.keys = either->dim[1];
    a.padded_keys = to_vectors(a.keys);
    a.padded_width = to_vectors(a.width);
    a.pack_blocks = divide_up(a.keys, PACK_TOKENS);
    return a;
}

/* Floats of the panels of all heads, in whole cache lines. */
static int64_t key_panel_floats(const Attention *a, int64_t images)
{
    return divide_up(images * a->heads * a->padded_keys * a->width, 16) * 16;
}

static int64_t value_panel_floats(const Attention *a, int64_t images)
{
    return divide_up(images * a->heads * a->padded_width * a->keys, 16) * 16;
}

static size_t attention_scratch(const Op *op, int threads)
{
    (void)threads;
    const Attention a = attention_of(op->attributes, &op->in[1], &op->in[2]);
    return (size_t)(key_panel_floats(&a, op->out.dim[0]) + value_panel_floats(&a, op->out.dim[0])) * sizeof(float);
}

/* The numbers of the last axis lie side by side. */
static bool has_dense_rows(const View *view)
{
    return view->stride[view->rank - 1] == 1 || view->dim[view->rank - 1] == 1;
}

static bool attention_fits(const Op *op)
{
    const AttentionAttrs *attrs = op->attributes;
    return op->in[0].dim[2] / attrs->heads <= HEAD_WIDTH && has_dense_rows(&op->in[0]) && has_dense_rows(&op->in[1]) &&
           has_dense_rows(&op->in[2]) && has_dense_rows(&op->out);
}

static void attention_run(const Call *call)
{
    Attention a = attention_of(call->op.attributes, &call->in[1], &call->in[2]);
    const int64_t heads = call->op.out.dim[0] * a.heads;
    a.q = call->in[0];
    a.y = call->op.out;
    a.queries = a.y.dim[1];
    a.query_blocks = divide_up(a.queries, QUERIES);
    a.key_panels = call->scratch;
    a.value_panels = a.key_panels + key_panel_floats(&a, a.y.dim[0]);
    cpu_each(call, heads * a.pack_blocks, pack_keys_part, &a);
    cpu_each(call, heads * a.pack_blocks, pack_values_part, &a);
    cpu_each(call, heads * a.query_blocks, attention_part, &a);
}
