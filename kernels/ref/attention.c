/* attention.c: scores, softmax, values, and the three in one, after Vaswani et al., "Attention Is All You Need", 2017.
 *
 * One idea: each head is worked on alone. Its keys lie as doubles feature by feature, its values token by token, so that both
 * sums run over contiguous numbers. The fused form is the same sums without rounding to f32 in between. */
#include <math.h>
#include <stdlib.h>
#include "kernels/ref/ref.h"

static const float *at3(const View *view, int64_t n, int64_t t, int64_t c)
{
    return (const float *)view->data + n * view->stride[0] + t * view->stride[1] + c * view->stride[2];
}

static void add_scaled(int64_t count, double factor, const double *x, double *y)
{
    for (int64_t i = 0; i < count; i++) y[i] += factor * x[i];
}

/* keys[d][t] of sample n, head h. */
static void read_keys(const View *k, int64_t n, int64_t h, int64_t width, double *keys)
{
    const int64_t tokens = k->dim[1];
    for (int64_t d = 0; d < width; d++) ref_read(DTYPE_F32, at3(k, n, 0, h * width + d), k->stride[1], tokens, keys + d * tokens);
}

/* values[t][d] of sample n, head h. */
static void read_values(const View *v, int64_t n, int64_t h, int64_t width, double *values)
{
    for (int64_t t = 0; t < v->dim[1]; t++) ref_read(DTYPE_F32, at3(v, n, t, h * width), v->stride[2], width, values + t * width);
}

/* scores[t] = scale · Σd q[n, s, h·width + d] · keys[d][t] */
static void score_row(const View *q, int64_t n, int64_t s, int64_t h, int64_t width, float scale, int64_t tokens,
                      const double *keys, double *scores)
{
    for (int64_t t = 0; t < tokens; t++) scores[t] = 0;
    for (int64_t d = 0; d < width; d++) add_scaled(tokens, *at3(q, n, s, h * width + d), keys + d * tokens, scores);
    for (int64_t t = 0; t < tokens; t++) scores[t] *= scale;
}

static void soften(int64_t count, double *x)
{
    double most = -INFINITY, sum = 0;
    for (int64_t t = 0; t < count; t++) most = x[t] > most ? x[t] : most;
    for (int64_t t = 0; t < count; t++) {
        x[t] = exp(x[t] - most);
        sum += x[t];
    }
    for (int64_t t = 0; t < count; t++) x[t] /= sum;
}

/* Later tokens are hidden from token s. */
static int64_t visible(bool causal, int64_t s, int64_t tokens)
{
    return causal && s + 1 < tokens ? s + 1 : tokens;
}

static Fault attention_scores(const Op *op)
{
    const AttentionAttrs *attrs = op->attributes;
    const View *q = &op->in[0], *k = &op->in[1], *y = &op->out;
    const int64_t tokens = k->dim[1], width = k->dim[2] / attrs->heads, queries = q->dim[1];
    double *keys = ref_scratch(tokens * (width + 1)), *scores = keys + tokens * width;
    if (!keys) return FAULT_MEMORY;
    for (int64_t row = 0; row < ref_row_count(y); row++) {
        const int64_t s = row % queries, h = row / queries % attrs->heads, n = row / queries / attrs->heads;
        if (s == 0) read_keys(k, n, h, width, keys);
        score_row(q, n, s, h, width, attrs->scale, tokens, keys, scores);
        ref_write(DTYPE_F32, ref_row(y, row), ref_row_stride(y), tokens, scores);
    }
    free(keys);
    return FAULT_NONE;
}

static Fault attention_softmax(const Op *op)
{
    const SoftmaxAttrs *attrs = op->attributes;
    const View *x = &op->in[0], *y = &op->out;
    const int64_t tokens = ref_row_length(x), queries = x->rank > 1 ? x->dim[x->rank - 2] : 1;
    double *row = ref_scratch(tokens);
    if (!row) return FAULT_MEMORY;
    for (int64_t r = 0; r < ref_row_count(x); r++) {
        const int64_t count = visible(attrs->causal, r % queries, tokens);
        ref_read(DTYPE_F32, ref_row(x, r), ref_row_stride(x), count, row);
        soften(count, row);
        for (int64_t t = count; t < tokens; t++) row[t] = 0;
        ref_write(DTYPE_F32, ref_row(y, r), ref_row_stride(y), tokens, row);
    }
    free(row);
    return FAULT_NONE;
}

static Fault attention_values(const Op *op)
{
    const AttentionAttrs *attrs = op->attributes;
    const View *p = &op->in[0], *v = &op->in[1], *y = &op->out;
    const int64_t tokens = v->dim[1], width = v->dim[2] / attrs->heads, queries = p->dim[2];
    double *values = ref_scratch((tokens + 1) * width + tokens), *sums = values + tokens * width, *weights = sums + width;
    if (!values) return FAULT_MEMORY;
    for (int64_t row = 0; row < ref_row_count(p); row++) {
        const int64_t s = row % queries, h = row / queries % attrs->heads, n = row / queries / attrs->heads;
        if (s == 0) read_values(v, n, h, width, values);
        ref_read(DTYPE_F32, ref_row(p, row), ref_row_stride(p), tokens, weights);
        for (int64_t d = 0; d < width; d++) sums[d] = 0;
        for (int64_t t = 0; t < tokens; t++) add_scaled(width, weights[t], values + t * width, sums);
        float *to = (float *)y->data + n * y->stride[0] + s * y->stride[1] + h * width * y->stride[2];
        ref_write(DTYPE_F32, to, y->stride[2], width, sums);
    }
    free(values);
    return FAULT_NONE;
}

static Fault attention_whole(const Op *op)
{
    const AttentionAttrs *attrs = op->attributes;
    const View *q = &op->in[0], *k = &op->in[1], *v = &op->in[2], *y = &op->out;
    const int64_t tokens = k->dim[1], width = k->dim[2] / attrs->heads, queries = q->dim[1];
    double *keys = ref_scratch(2 * tokens * width + tokens + width), *values = keys + tokens * width;
    double *weights = values + tokens * width, *sums = weights + tokens;
    if (!keys) return FAULT_MEMORY;
    for (int64_t row = 0; row < q->dim[0] * attrs->heads * queries; row++) {
        const int64_t s = row % queries, h = row / queries % attrs->heads, n = row / queries / attrs->heads;
        const int64_t count = visible(attrs->causal, s, tokens);
        if (s == 0) {
            read_keys(k, n, h, width, keys);
            read_values(v, n, h, width, values);
        }
        score_row(q, n, s, h, width, attrs->scale, tokens, keys, weights);
        soften(count, weights);
        for (int64_t d = 0; d < width; d++) sums[d] = 0;
        for (int64_t t = 0; t < count; t++) add_scaled(width, weights[t], values + t * width, sums);
        float *to = (float *)y->data + n * y->stride[0] + s * y->stride[1] + h * width * y->stride[2];
        ref_write(DTYPE_F32, to, y->stride[2], width, sums);
    }
    free(keys);
    return FAULT_NONE;
}

const RefKernel ref_attention[] = {
    {OP_SCORES, attention_scores},
    {OP_SOFTMAX, attention_softmax},
    {OP_VALUES, attention_values},
    {OP_ATTENTION, attention_whole},
    {OP_COUNT, NULL},
};
