/* elementwise.inc.h: activations, arithmetic with repeated operands, and the samplers' operations.
 *
 * One idea: an operation is an expression on vectors; the walk over any strides is nest.h, and strided or repeated operands are
 * brought into small dense buffers first, so each expression stands here once. Products and sums of LINCOMB and AFFINE round
 * separately. */

enum { DENSE = 256 };

typedef struct Elementwise {
    Nest nest;
    const float *x[OP_INPUTS];
    float *y;
    int kind, inputs;
    const void *attributes;
} Elementwise;

#define EACH_VECTOR(expression)                  \
    for (int64_t i = 0; i < n; i += VEC_WIDTH) { \
        const Vec a = v_load_n(x[0] + i, n - i); \
        v_store_n(y + i, (expression), n - i);   \
    }                                            \
    break
#define B v_load_n(x[1] + i, n - i)

static void lincomb(const float *c, int inputs, const float *const *x, float *y, int64_t n)
{
    for (int64_t i = 0; i < n; i += VEC_WIDTH) {
        Vec sum = v_mul(v_set(c[0]), v_load_n(x[0] + i, n - i));
        for (int k = 1; k < inputs; k++) sum = v_add(sum, v_mul(v_set(c[k]), v_load_n(x[k] + i, n - i)));
        v_store_n(y + i, sum, n - i);
    }
}

/* n dense elements; y may be one of x. */
static void elementwise_row(const Elementwise *e, const float *const *x, float *y, int64_t n)
{
    const AffineAttrs *affine = e->attributes;
    const ClampAttrs *clamp = e->attributes;
    const LeakyReluAttrs *leaky = e->attributes;
    switch (e->kind) {
    case OP_SILU:
        EACH_VECTOR(v_swish(a, 1.0f));
    case OP_GELU:
        EACH_VECTOR(v_gelu(a));
    case OP_QUICK_GELU:
        EACH_VECTOR(v_swish(a, 1.702f));
    case OP_LEAKY_RELU:
        EACH_VECTOR(v_if_negative(a, v_mul(a, v_set(leaky->slope)), a));
    case OP_ADD:
        EACH_VECTOR(v_add(a, B));
    case OP_SUB:
        EACH_VECTOR(v_sub(a, B));
    case OP_MUL:
        EACH_VECTOR(v_mul(a, B));
    case OP_DIV:
        EACH_VECTOR(v_div(a, B));
    case OP_AFFINE:
        EACH_VECTOR(v_add(v_mul(a, v_set(affine->scale)), v_set(affine->shift)));
    case OP_CLAMP:
        EACH_VECTOR(v_min(v_max(a, v_set(clamp->low)), v_set(clamp->high)));
    default:
        lincomb(((const LincombAttrs *)e->attributes)->c, e->inputs, x, y, n);
    }
}
#undef EACH_VECTOR
#undef B

/* Any steps, DENSE elements at a time; a step of 0 repeats one. */
static void strided_row(const Elementwise *e, const float *const *x, float *y, int64_t n)
{
    float buffer[OP_INPUTS][DENSE], out[DENSE];
    const int64_t *step = e->nest.step;
    for (int64_t i = 0; i < n; i += DENSE) {
        const int64_t count = smaller(DENSE, n - i);
        const float *dense_x[OP_INPUTS];
        for (int k = 0; k < e->inputs; k++) dense_x[k] = dense(x[k] + i * step[k + 1], step[k + 1], count, buffer[k]);
        elementwise_row(e, dense_x, step[0] == 1 ? y + i : out, count);
        if (step[0] != 1) scatter(y + i * step[0], step[0], count, out);
    }
}

static void elementwise_part(void *state, int64_t part)
{
    const Elementwise *e = state;
    const Nest *nest = &e->nest;
    const NestPart p = nest_part(nest, part);
    bool all_dense = true;
    for (int v = 0; v < nest->views; v++) all_dense &= nest->step[v] == 1;
    for (int64_t row = p.row; row < p.row_end; row++) {
        const float *x[OP_INPUTS];
        for (int k = 0; k < e->inputs; k++) x[k] = e->x[k] + nest_row(nest, k + 1, row) + p.first * nest->step[k + 1];
        float *y = e->y + nest_row(nest, 0, row) + p.first * nest->step[0];
        if (all_dense) elementwise_row(e, x, y, p.count);
        else strided_row(e, x, y, p.count);
    }
}

static void elementwise_run(const Call *call)
{
    Elementwise e = {.nest = nest_of(&call->op.out, call->in, call->op.inputs),
                     .y = call->op.out.data,
                     .kind = call->op.kind,
                     .inputs = call->op.inputs,
                     .attributes = call->op.attributes};
    for (int k = 0; k < e.inputs; k++) e.x[k] = call->in[k].data;
    cpu_each(call, nest_parts(&e.nest), elementwise_part, &e);
}

/* Operands of y's rank; what was left out is at the end of none of these. */
static bool elementwise_fits(const Op *op)
{
    for (int i = 0; i < op->inputs; i++)
        if (op->in[i].rank != op->out.rank || op->in[i].place == PLACE_NONE) return false;
    return true;
}
