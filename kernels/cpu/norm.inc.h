/* norm.inc.h: GROUP_NORM, GROUP_NORM_SILU and LAYER_NORM, channels last.
 *
 * One idea: for a group norm each part sums a piece of an image per channel, of x minus a pivot of its group (its first number),
 * so that squares do not cancel; short sums are f32, everything longer is f64. Pieces are joined in order; a second pass applies
 * the norm. */

enum { NORM_CHANNELS = 4096, NORM_SHORT = 8 /* pixels summed in f32 */, NORM_PIECE = 32768 /* numbers of a part */ };

typedef struct GroupNorm {
    const View *x, *y;
    Rows x_rows, y_rows;                            /* of one image */
    int64_t images, space, channels, groups, width; /* width: channels of a group */
    int64_t pieces;                                 /* of an image */
    double *sums;                                   /* [image][piece][group] of {sum, sum of squares} */
    float *scale, *pivot, *shift;                   /* [image][channel]: y = (x − pivot)·scale + shift */
    bool silu;
} GroupNorm;

static Rows rows_of_image(const View *view)
{
    Rows rows = {0};
    for (int i = 2; i < view->rank; i++) rows_add(&rows, view->dim[i], view->stride[i]);
    return rows;
}

static const float *image_of(const View *view, int64_t n)
{
    return (const float *)view->data + n * view->stride[0];
}

/* sum, squares [channels] (+)= over `count` ≤ NORM_SHORT pixels. */
static void add_pixels(const float *const *pixel, int64_t count, int64_t channels, const float *pivot, double *sum,
                       double *squares)
{
    for (int64_t c = 0; c < channels; c += VEC_WIDTH) {
        const int64_t n = channels - c;
        const Vec middle = v_load(pivot + c);
        Vec s = v_zero(), q = v_zero();
        for (int64_t i = 0; i < count; i++) {
            const Vec d = v_sub(v_load_n(pixel[i] + c, n), middle);
            s = v_add(s, d);
            q = v_fma(d, d, q);
        }
        v_add_to_f64(sum + c, s);
        v_add_to_f64(squares + c, q);
    }
}

static void pivots(const GroupNorm *g, int64_t image, float *pivot)
{
    const float *first = image_of(g->x, image);
    for (int64_t c = 0; c < g->channels; c++) pivot[c] = first[c / g->width * g->width];
    for (int64_t c = g->channels; c < g->channels + VEC_WIDTH; c++) pivot[c] = 0;
}

static void group_sums_part(void *state, int64_t part)
{
    const GroupNorm *g = state;
    const int64_t image = part / g->pieces;
    float pivot[NORM_CHANNELS + VEC_WIDTH];
    double sum[NORM_CHANNELS + VEC_WIDTH], squares[NORM_CHANNELS + VEC_WIDTH];
    int64_t first, end, at[NORM_SHORT];
    cut(g->space, g->pieces, NORM_SHORT, part % g->pieces, &first, &end);
    pivots(g, image, pivot);
    memset(sum, 0, (size_t)(g->channels + VEC_WIDTH) * sizeof *sum);
    memset(squares, 0, (size_t)(g->channels + VEC_WIDTH) * sizeof *squares);
    for (int64_t p = first; p < end; p += NORM_SHORT) {
        const float *pixel[NORM_SHORT];
        const int64_t count = smaller(NORM_SHORT, end - p);
        rows_fill(&g->x_rows, p, count, at);
        for (int64_t i = 0; i < count; i++) pixel[i] = image_of(g->x, image) + at[i];
        add_pixels(pixel, count, g->channels, pivot, sum, squares);
    }
    double *out = g->sums + part * g->groups * 2;
    for (int64_t c = 0; c < g->channels; c++) {
        double *group = out + c / g->width * 2;
        if (c % g->width == 0) group[0] = group[1] = 0;
        group[0] += sum[c];
        group[1] += squares[c];
    }
}

/* From the sums of the pieces to scale, pivot and shift of each channel of an image. */
static void group_factors(const GroupNorm *g, const Call *call, float eps, int64_t image)
{
    float *scale = g->scale + image * g->channels, *pivot = g->pivot + image * g->channels,
          *shift = g->shift + image * g->channels;
    const double count = (double)(g->width * g->space);
    widen(call->in[1].dtype, call->in[1].data, 0, g->channels, scale);
    widen(call->in[2].dtype, call->in[2].data, 0, g->channels, shift);
    for (int64_t group = 0; group < g->groups; group++) {
        double sum = 0, squares = 0;
        for (int64_t p = 0; p < g->pieces; p++) {
            const double *piece = g->sums + ((image * g->pieces + p) * g->groups + group) * 2;
            sum += piece[0];
            squares += piece[1];
        }
        const double offset = sum / count, variance = squares / count - offset * offset;
        const double norm = 1 / sqrt((variance > 0 ? variance : 0) + (double)eps);
        for (int64_t c = group * g->width; c < (group + 1) * g->width; c++) {
            const double factor = norm * (double)scale[c];
            pivot[c] = image_of(g->x, image)[group * g->width];
            scale[c] = (float)factor;
            shift[c] = (float)((double)shift[c] - offset * factor);
        }
    }
}

INLINE void norm_row(const float *x, float *y, int64_t n, const float *pivot, const float *scale, const float *shift,
                     const bool silu)
{
    for (int64_t c = 0; c < n; c += VEC_WIDTH) {
        const int64_t left = n - c;
        Vec v = v_sub(v_load_n(x + c, left), v_load_n(pivot + c, left));
        v = v_fma(v, v_load_n(scale + c, left), v_load_n(shift + c, left));
        v_store_n(y + c, silu ? v_swish(v, 1.0f) : v, left);
    }
}

static void group_apply_part(void *state, int64_t part)
{
    const GroupNorm *g = state;
    const int64_t image = part / g->pieces, at = image * g->channels;
    int64_t first, end, x_at, y_at;
    cut(g->space, g->pieces, NORM_SHORT, part % g->pieces, &first, &end);
    float *y = (float *)g->y->data + image * g->y->stride[0];
    for (int64_t p = first; p < end; p++) {
        rows_fill(&g->x_rows, p, 1, &x_at);
        rows_fill(&g->y_rows, p, 1, &y_at);
        if (g->silu)
            norm_row(image_of(g->x, image) + x_at, y + y_at, g->channels, g->pivot + at, g->scale + at, g->shift + at, true);
        else norm_row(image_of(g->x, image) + x_at, y + y_at, g->channels, g->pivot + at, g->scale + at, g->shift + at, false);
    }
}

static GroupNorm group_norm_of(const Op *op)
{
    GroupNorm g = {.x = &op->in[0], .y = &op->out, .groups = ((const GroupNormAttrs *)op->attributes)->groups};
    g.images = g.x->dim[0];
    g.channels = g.x->dim[1];
    g.width = g.channels / g.groups;
    g.space = 1;
    for (int i = 2; i < g.x->rank; i++) g.space *= g.x->dim[i];
    g.pieces = divide_up(g.space, divide_up(NORM_PIECE, g.channels * NORM_SHORT) * NORM_SHORT);
    g.x_rows = rows_of_image(g.x);
    g.y_rows = rows_of_image(g.y);
    return g;
}

static bool group_norm_fits(const Op *op)
{
    const View *x = &op->in[0], *y = &op->out;
    return x->dim[1] <= NORM_CHANNELS && (x->dim[1] == 1 || (x->stride[1] == 1 && y->stride[1] == 1));
}

static size_t group_norm_scratch(const Op *op, int threads)
{
    (void)threads;
    const GroupNorm g = group_norm_of(op);
    return (size_t)(g.images * g.pieces * g.groups * 2) * sizeof(double) + (size_t)(g.images * g.channels * 3) * sizeof(float);
}

static void group_norm_run(const Call *call)
{
    GroupNorm g = group_norm_of(&call->op);
    g.silu = call->op.kind == OP_GROUP_NORM_SILU;
    g.sums = call->scratch;
    g.scale = (float *)(g.sums + g.images * g.pieces * g.groups * 2);
    g.pivot = g.scale + g.images * g.channels;
    g.shift = g.pivot + g.images * g.channels;
    cpu_each(call, g.images * g.pieces, group_sums_part, &g);
    for (int64_t n = 0; n < g.images; n++) group_factors(&g, call, ((const GroupNormAttrs *)call->op.attributes)->eps, n);
    cpu_each(call, g.images * g.pieces, group_apply_part, &g);
}

typedef struct LayerNorm {
    const float *x;
    float *y;
    Rows x_rows, y_rows;
    int64_t rows, rows_a_part, channels;
    const float *scale, *shift;
    float eps;
} LayerNorm;

/* Σ (x − a − b)^power, power 1 or 2: sums of four vectors in f32, all else in f64. */
INLINE double row_sum(const float *x, int64_t n, Vec a, Vec b, const int power)
{
    double lanes[VEC_WIDTH] = {0}, sum = 0;
    int64_t c = 0;
    for (; c + 4 * VEC_WIDTH <= n; c += 4 * VEC_WIDTH) {
        Vec s = v_zero();
        for (int i = 0; i < 4; i++) {
            const Vec d = v_sub(v_sub(v_load(x + c + i * VEC_WIDTH), a), b);
            s = power == 2 ? v_fma(d, d, s) : v_add(s, d);
        }
        v_add_to_f64(lanes, s);
    }
    for (; c < n; c += VEC_WIDTH) {
        float d[VEC_WIDTH] = {0};
        v_store_n(d, v_sub(v_sub(v_load_n(x + c, n - c), a), b), n - c);
        v_add_to_f64(lanes, power == 2 ? v_mul(v_load(d), v_load(d)) : v_load(d));
    }
    for (int i = 0; i < VEC_WIDTH; i++) sum += lanes[i];
    return sum;
}

/* The mean is subtracted in two parts, pivot and rest, then the squares are summed: nothing cancels. */
static void layer_norm_row(const LayerNorm *l, const float *x, float *y)
{
    const int64_t n = l->channels;
    const Vec pivot = v_set(x[0]), rest = v_set((float)(row_sum(x, n, pivot, v_zero(), 1) / (double)n));
    const double variance = row_sum(x, n, pivot, rest, 2) / (double)n;
    const Vec norm = v_set((float)(1 / sqrt(variance + (double)l->eps)));
    for (int64_t c = 0; c < n; c += VEC_WIDTH) {
        const Vec d = v_mul(v_sub(v_sub(v_load_n(x + c, n - c), pivot), rest), norm);
        v_store_n(y + c, v_fma(d, v_load_n(l->scale + c, n - c), v_load_n(l->shift + c, n - c)), n - c);
    }
}

static void layer_norm_part(void *state, int64_t part)
{
    const LayerNorm *l = state;
    const int64_t end = smaller(l->rows, (part + 1) * l->rows_a_part);
    for (int64_t r = part * l->rows_a_part; r < end; r++) {
        int64_t x_at, y_at;
        rows_fill(&l->x_rows, r, 1, &x_at);
        rows_fill(&l->y_rows, r, 1, &y_at);
        layer_norm_row(l, l->x + x_at, l->y + y_at);
    }
}

static bool layer_norm_fits(const Op *op)
{
    return has_dense_rows(&op->in[0]) && has_dense_rows(&op->out);
}

static size_t layer_norm_scratch(const Op *op, int threads)
{
    (void)threads;
    return (size_t)(2 * op->in[0].dim[op->in[0].rank - 1]) * sizeof(float);
}

static void layer_norm_run(const Call *call)
{
    const View *x = &call->in[0], *y = &call->op.out;
    LayerNorm l = {.x = x->data,
                   .y = y->data,
                   .x_rows = rows_of(x),
                   .y_rows = rows_of(y),
                   .rows = 1,
                   .channels = x->dim[x->rank - 1],
                   .scale = call->scratch,
                   .eps = ((const LayerNormAttrs *)call->op.attributes)->eps};
    float *scale = call->scratch, *shift = scale + l.channels;
    widen(call->in[1].dtype, call->in[1].data, 0, l.channels, scale);
    widen(call->in[2].dtype, call->in[2].data, 0, l.channels, shift);
    l.shift = shift;
    for (int i = 0; i < x->rank - 1; i++) l.rows *= x->dim[i];
    l.rows_a_part = divide_up(NORM_PIECE, l.channels);
    cpu_each(call, divide_up(l.rows, l.rows_a_part), layer_norm_part, &l);
}
