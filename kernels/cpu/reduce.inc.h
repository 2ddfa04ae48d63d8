/* reduce.inc.h: MAX_ABS.
 *
 * One idea: each part leaves its result in the scratch area, and the results are joined in order. NaN is a result like any other.
 */

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
