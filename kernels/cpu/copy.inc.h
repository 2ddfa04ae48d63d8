/* copy.inc.h: COPY, CONCAT, UPSAMPLE, EMBED: operations that only move numbers.
 *
 * One idea: a copy is a nest of rows; where the rows of one side run across those of the other (channels first ↔ channels last)
 * it walks in squares that fit the cache. Other types than those here are ref's. */

enum { SQUARE = 32 };

typedef struct Copy {
    Nest nest;
    const uint8_t *from;
    uint8_t *to;
    size_t size;   /* of an element of y */
    int widened;   /* the dtype of x, when it is f16 or bf16 and y is f32; else −1 */
    int across;    /* the axis along which x is dense while rows of y are; −1: none */
    int64_t bands; /* SQUAREs of that axis */
} Copy;

#define DEFINE_COPY_STRIDED(name, Element)                                                              \
    static void name(uint8_t *to_, int64_t to_step, const uint8_t *from_, int64_t from_step, int64_t n) \
    {                                                                                                   \
        Element *to = (Element *)(void *)to_;                                                           \
        const Element *from = (const Element *)(const void *)from_;                                     \
        for (int64_t i = 0; i < n; i++) to[i * to_step] = from[i * from_step];                          \
    }
DEFINE_COPY_STRIDED(copy_strided_1, uint8_t)
DEFINE_COPY_STRIDED(copy_strided_2, uint16_t)
DEFINE_COPY_STRIDED(copy_strided_4, uint32_t)
DEFINE_COPY_STRIDED(copy_strided_8, uint64_t)

static void copy_row(const Copy *c, uint8_t *to, const uint8_t *from, int64_t n)
{
    const int64_t to_step = c->nest.step[0], from_step = c->nest.step[1];
    if (to_step == 1 && from_step == 1) memcpy(to, from, (size_t)n * c->size);
    else if (c->size == 1) copy_strided_1(to, to_step, from, from_step, n);
    else if (c->size == 2) copy_strided_2(to, to_step, from, from_step, n);
    else if (c->size == 4) copy_strided_4(to, to_step, from, from_step, n);
    else copy_strided_8(to, to_step, from, from_step, n);
}

static void widen_row(const Copy *c, float *to, const uint16_t *from, int64_t n)
{
    const int64_t to_step = c->nest.step[0], from_step = c->nest.step[1];
    uint16_t halves[DENSE];
    float out[DENSE];
    if (to_step == 1 && from_step == 1) {
        widen(c->widened, from, 0, n, to);
        return;
    }
    for (int64_t i = 0; i < n; i += DENSE) {
        const int64_t count = smaller(DENSE, n - i);
        for (int64_t k = 0; k < count; k++) halves[k] = from[(i + k) * from_step];
        widen(c->widened, halves, 0, count, out);
        scatter(to + i * to_step, to_step, count, out);
    }
}

static void copy_part(void *state, int64_t part)
{
    const Copy *c = state;
    const Nest *nest = &c->nest;
    const NestPart p = nest_part(nest, part);
    const int64_t from_size = c->widened >= 0 ? 2 : (int64_t)c->size;
    for (int64_t row = p.row; row < p.row_end; row++) {
        uint8_t *to = c->to + (nest_row(nest, 0, row) + p.first * nest->step[0]) * (int64_t)c->size;
        const uint8_t *from = c->from + (nest_row(nest, 1, row) + p.first * nest->step[1]) * from_size;
        if (c->widened >= 0) widen_row(c, (float *)(void *)to, (const uint16_t *)(const void *)from, p.count);
        else copy_row(c, to, from, p.count);
    }
}

/* A band of SQUARE rows of y, read along the columns of x: numbers of four bytes. */
static void transpose_part(void *state, int64_t part)
{
    const Copy *c = state;
    const Nest *nest = &c->nest;
    const int64_t first = part % c->bands * SQUARE, end = smaller(nest->dim[c->across], first + SQUARE);
    const int64_t to_line = nest->stride[0][c->across], from_step = nest->step[1];
    Nest outer = *nest;
    outer.dim[c->across] = 1;
    float *to = (float *)(void *)c->to + nest_row(&outer, 0, part / c->bands);
    const float *from = (const float *)(const void *)c->from + nest_row(&outer, 1, part / c->bands);
    for (int64_t i = 0; i < nest->length; i += SQUARE)
        for (int64_t line = first; line < end; line++)
            for (int64_t k = i; k < smaller(nest->length, i + SQUARE); k++) to[line * to_line + k] = from[k * from_step + line];
}

static int axis_across(const Nest *nest)
{
    if (nest->step[0] != 1 || nest->step[1] == 1) return -1;
    for (int i = 0; i < nest->rank; i++)
        if (nest->stride[1][i] == 1 && nest->dim[i] > 1) return i;
    return -1;
}

static void copy_views(const Call *call, const View *to, const View *from)
{
    Copy c = {.nest = nest_of(to, from, 1), .from = from->data, .to = to->data, .size = dtype_size(to->dtype), .across = -1};
    c.widened = to->dtype == from->dtype ? -1 : from->dtype;
    if (c.size == 4 && c.widened < 0) c.across = axis_across(&c.nest);
    if (c.across < 0) {
        cpu_each(call, nest_parts(&c.nest), copy_part, &c);
        return;
    }
    c.bands = divide_up(c.nest.dim[c.across], SQUARE);
    cpu_each(call, c.nest.rows / c.nest.dim[c.across] * c.bands, transpose_part, &c);
}

static bool copy_fits(const Op *op)
{
    const int from = op->in[0].dtype, to = op->out.dtype;
    return op->in[0].rank == op->out.rank && (from == to || (to == DTYPE_F32 && (from == DTYPE_F16 || from == DTYPE_BF16)));
}

static void copy_run(const Call *call)
{
    copy_views(call, &call->op.out, &call->in[0]);
}

static void concat_run(const Call *call)
{
    const int axis = ((const ConcatAttrs *)call->op.attributes)->axis;
    View to = call->op.out;
    for (int i = 0; i < call->op.inputs; i++) {
        to.dim[axis] = call->in[i].dim[axis];
        copy_views(call, &to, &call->in[i]);
        to.data = (float *)to.data + to.dim[axis] * to.stride[axis];
    }
}

typedef struct Upsample {
    const View *x, *y;
} Upsample;

/* One line of y: of all channels, or, where channels are not side by side, channel by channel. */
static void upsample_part(void *state, int64_t part)
{
    const Upsample *u = state;
    const View *x = u->x, *y = u->y;
    const int64_t n = part / y->dim[2], i = part % y->dim[2], channels = y->dim[1], width = y->dim[3];
    const float *from = (const float *)x->data + n * x->stride[0] + i * x->dim[2] / y->dim[2] * x->stride[2];
    float *to = (float *)y->data + n * y->stride[0] + i * y->stride[2];
    if (x->stride[1] == 1 && y->stride[1] == 1)
        for (int64_t j = 0; j < width; j++)
            copy_channels(from + j * x->dim[3] / width * x->stride[3], 1, channels, to + j * y->stride[3]);
    else
        for (int64_t c = 0; c < channels; c++)
            for (int64_t j = 0; j < width; j++)
                to[c * y->stride[1] + j * y->stride[3]] = from[c * x->stride[1] + j * x->dim[3] / width * x->stride[3]];
}

static void upsample_run(const Call *call)
{
    Upsample u = {&call->in[0], &call->op.out};
    cpu_each(call, u.y->dim[0] * u.y->dim[2], upsample_part, &u);
}

typedef struct Embed {
    const View *ids, *table, *y;
} Embed;

static void embed_part(void *state, int64_t part)
{
    const Embed *e = state;
    const int64_t n = part / e->ids->dim[1], t = part % e->ids->dim[1], width = e->table->dim[1];
    const int32_t id = ((const int32_t *)e->ids->data)[n * e->ids->stride[0] + t * e->ids->stride[1]];
    widen(e->table->dtype, e->table->data, id * e->table->stride[0], width,
          (float *)e->y->data + n * e->y->stride[0] + t * e->y->stride[1]);
}

static bool embed_fits(const Op *op)
{
    return has_dense_rows(&op->in[1]) && has_dense_rows(&op->out) && op->in[0].rank == 2;
}

static void embed_run(const Call *call)
{
    Embed e = {&call->in[0], &call->in[1], &call->op.out};
    cpu_each(call, e.ids->dim[0] * e.ids->dim[1], embed_part, &e);
}
