/* reduce.inc.h: MAX_ABS, MEAN_CHANNELS.
 *
 * One idea: MAX_ABS: each part leaves its result in the scratch area, and the results are joined in order. NaN is a result like
 * any other. MEAN_CHANNELS: a part of the places, all channels of each, summed in ref's order in f64, so the bits are ref's. */

typedef struct Reduce {
    Nest nest;
    const float *x;
    float *result;
} Reduce;

static float largest_abs(const float *x, int64_t n)
{
    Vec largest = v_zero();
    for (int64_t i = 0; i < n; i += VEC_WIDTH) {
        const Vec a = v_abs(v_load_n(x + i, n - i));
        if (v_any_nan(a)) return NAN;
        largest = v_max(largest, a);
    }
    return v_largest(largest);
}

static float larger_or_nan(float a, float b)
{
    return isnan(a) || isnan(b) ? NAN : a > b ? a : b;
}

static void reduce_part(void *state, int64_t part)
{
    const Reduce *r = state;
    const NestPart p = nest_part(&r->nest, part);
    const int64_t step = r->nest.step[0];
    float result = 0, buffer[DENSE];
    for (int64_t row = p.row; row < p.row_end; row++) {
        const float *x = r->x + nest_row(&r->nest, 0, row) + p.first * step;
        for (int64_t i = 0; i < p.count; i += DENSE) {
            const int64_t count = smaller(DENSE, p.count - i);
            result = larger_or_nan(result, largest_abs(dense(x + i * step, step, count, buffer), count));
        }
    }
    r->result[part] = result;
}

static size_t max_abs_scratch(const Op *op, int threads)
{
    (void)threads;
    const Nest nest = nest_of(&op->in[0], NULL, 0);
    return (size_t)nest_parts(&nest) * sizeof(float);
}

static void max_abs_run(const Call *call)
{
    Reduce r = {.nest = nest_of(&call->in[0], NULL, 0), .x = call->in[0].data, .result = call->scratch};
    const int64_t parts = nest_parts(&r.nest);
    cpu_each(call, parts, reduce_part, &r);
    float result = 0;
    for (int64_t i = 0; i < parts; i++) result = larger_or_nan(result, r.result[i]);
    *(float *)call->op.out.data = result;
}

/* ---- Means over channels ------------------------------------------------------------------------------------------- */

typedef struct Mean {
    Nest nest; /* of y's places, and of x's in its first channel */
    const float *x;
    float *y;
    int64_t channels, channel_step;
} Mean;

/* `count` ≤ DENSE places, `step` apart. */
static void mean_places(const Mean *m, const float *x, int64_t step, int64_t count, float *mean)
{
    double sum[DENSE];
    float buffer[DENSE];
    for (int64_t i = 0; i < to_vectors(count); i++) sum[i] = 0;
    for (int64_t c = 0; c < m->channels; c++, x += m->channel_step) {
        const float *from = dense(x, step, count, buffer);
        for (int64_t i = 0; i < count; i += VEC_WIDTH) v_add_to_f64(sum + i, v_load_n(from + i, count - i));
    }
    for (int64_t i = 0; i < count; i++) mean[i] = (float)(sum[i] / (double)m->channels);
}

static void mean_part(void *state, int64_t part)
{
    const Mean *m = state;
    const NestPart p = nest_part(&m->nest, part);
    const int64_t y_step = m->nest.step[0], step = m->nest.step[1];
    /* few at once where a place's channels lie side by side: their cache lines are needed again for the next channels */
    const int64_t most = step == 1 ? DENSE : 2 * VEC_WIDTH;
    float mean[DENSE];
    for (int64_t row = p.row; row < p.row_end; row++) {
        const float *x = m->x + nest_row(&m->nest, 1, row) + p.first * step;
        float *y = m->y + nest_row(&m->nest, 0, row) + p.first * y_step;
        for (int64_t i = 0; i < p.count; i += most) {
            const int64_t count = smaller(most, p.count - i);
            mean_places(m, x + i * step, step, count, mean);
            scatter(y + i * y_step, y_step, count, mean);
        }
    }
}

static void mean_channels_run(const Call *call)
{
    View first = call->in[0];
    first.dim[1] = 1;
    Mean m = {.nest = nest_of(&call->op.out, &first, 1),
              .x = first.data,
              .y = call->op.out.data,
              .channels = call->in[0].dim[1],
              .channel_step = first.stride[1]};
    cpu_each(call, nest_parts(&m.nest), mean_part, &m);
}
