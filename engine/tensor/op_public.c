/* op_public.c: the tensor graph for strangers (nodus/op.h): each builder of graph.h behind a door.
 *
 * One idea: networks of ours may rely on what they know of their shapes, strangers may not. So here every reference is looked up,
 * every number is finite, every value has a size that can exist, and layouts that a kernel takes for granted are made first. */
#include "engine/tensor/op_public.h"
#include "engine/tensor/node.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { MOST_NODES = 1 << 18, MOST_NUMBERS = 1 << 16, LONGEST_NAME = 40, MOST_HEADS = 1 << 16 };
static const size_t most_bytes = (size_t)1 << 40; /* of one value: more exists on no device */

/* ---- References ------------------------------------------------------------------------------------------------------ */

void nodus_op_fail(NodusOpGraph *graph, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    graph_fail_v(graph, NODUS_ERROR_INPUT, format, args);
    va_end(args);
}

bool nodus_op_failed(NodusOpGraph *graph)
{
    return graph->error;
}

/* Differs between any two graphs that live, and most likely from those that lived. */
static uint32_t stamp_new(const OpGraph *graph)
{
    struct timespec now;
    timespec_get(&now, TIME_UTC);
    const uint64_t address = (uint64_t)(uintptr_t)graph >> 4;
    const uint32_t stamp = (uint32_t)address ^ (uint32_t)(address >> 32) ^ (uint32_t)now.tv_nsec * 2654435761u;
    return stamp ? stamp : 1;
}

NodusOpRef op_to_public(OpGraph *graph, OpRef ref)
{
    if (graph->error || op_is_none(ref)) return NODUS_OP_NONE;
    if (!graph->stamp) graph->stamp = stamp_new(graph);
    return (NodusOpRef){(uint32_t)ref.id + 1, graph->stamp};
}

OpRef op_from_public(OpGraph *graph, const char *what, NodusOpRef ref)
{
    if (graph->error) return OP_NONE;
    const OpRef own = {(int32_t)(ref.index - 1)};
    if (!ref.index) nodus_op_fail(graph, "%s: NODUS_OP_NONE instead of a value", what);
    else if (ref.stamp != graph->stamp) nodus_op_fail(graph, "%s: a value of another graph", what);
    else if (ref.index > graph->count) nodus_op_fail(graph, "%s: a value that this graph does not have", what);
    else if (graph->nodes[own.id].dtype != DTYPE_F32) nodus_op_fail(graph, "%s: a value that is not f32", what);
    return graph->error ? OP_NONE : own;
}

/* What a builder of ours made, if it can exist. */
static NodusOpRef made(OpGraph *graph, const char *what, OpRef ref)
{
    size_t bytes;
    char text[SHAPE_TEXT];
    if (graph->error || op_is_none(ref)) return NODUS_OP_NONE;
    const Node *node = &graph->nodes[ref.id];
    if (!dims_bytes(node->dtype, node->rank, node->dim, &bytes) || bytes > most_bytes)
        nodus_op_fail(graph, "%s: a value of shape %s is too large", what, shape_text(node->rank, node->dim, text));
    else if (graph->count > MOST_NODES) nodus_op_fail(graph, "%s: more than %d values in one graph", what, MOST_NODES);
    return op_to_public(graph, ref);
}

static bool is_rank(OpGraph *graph, const char *what, OpRef x, int least, int most)
{
    const int rank = graph_rank(graph, x);
    char text[SHAPE_TEXT];
    if (graph->error) return false;
    if (rank >= least && rank <= most) return true;
    const Node *node = &graph->nodes[x.id];
    if (least == most)
        nodus_op_fail(graph, "%s: takes %d dimensions, not the shape %s", what, least, shape_text(node->rank, node->dim, text));
    else
        nodus_op_fail(graph, "%s: takes %d to %d dimensions, not the shape %s", what, least, most,
                      shape_text(node->rank, node->dim, text));
    return false;
}

static bool is_number(OpGraph *graph, const char *what, const char *which, double number)
{
    if (!isfinite(number)) nodus_op_fail(graph, "%s: its %s is not a finite number", what, which);
    return !graph->error;
}

static bool is_shape(OpGraph *graph, const char *what, int rank, const int64_t *dim)
{
    size_t bytes;
    if (graph->error) return false;
    if (rank < 1 || rank > NODUS_MAX_RANK || !dim) {
        nodus_op_fail(graph, "%s: a shape has 1 to %d dimensions, not %d", what, NODUS_MAX_RANK, rank);
        return false;
    }
    char text[SHAPE_TEXT];
    for (int i = 0; i < rank && !graph->error; i++)
        if (dim[i] < 1) nodus_op_fail(graph, "%s: a dimension of the shape %s is below 1", what, shape_text(rank, dim, text));
    if (!graph->error && (!dims_bytes(DTYPE_F32, rank, dim, &bytes) || bytes > most_bytes))
        nodus_op_fail(graph, "%s: the shape %s is too large", what, shape_text(rank, dim, text));
    return !graph->error;
}

int nodus_op_rank(NodusOpGraph *graph, NodusOpRef x)
{
    return graph_rank(graph, op_from_public(graph, "rank", x));
}

int64_t nodus_op_dim(NodusOpGraph *graph, NodusOpRef x, int axis)
{
    return graph_dim(graph, op_from_public(graph, "dim", x), axis);
}

/* ---- Inputs ---------------------------------------------------------------------------------------------------------- */

void op_public_scope(OpGraph *graph, const char *scope)
{
    graph->public_scope = scope;
}

bool op_public_name(const char *name)
{
    const size_t length = name ? strnlen(name, LONGEST_NAME + 1) : 0;
    return length && length <= LONGEST_NAME;
}

/* The input of that name, or OP_NONE; one of another shape is an error. */
static OpRef find_input(OpGraph *graph, const char *name, int rank, const int64_t *dim)
{
    char one[SHAPE_TEXT], two[SHAPE_TEXT];
    for (size_t i = 0; i < graph->count; i++) {
        const Node *node = &graph->nodes[i];
        if (node->kind != NODE_INPUT || strcmp(node->name, name)) continue;
        if (node->dtype == DTYPE_F32 && shape_equal(node->rank, node->dim, rank, dim)) return (OpRef){(int32_t)i};
        nodus_op_fail(graph, "input %s has the shape %s, and is asked for as %s", name, shape_text(node->rank, node->dim, one),
                      shape_text(rank, dim, two));
    }
    return OP_NONE;
}

NodusOpRef nodus_op_input(NodusOpGraph *graph, const char *name, int rank, const int64_t *dim)
{
    if (!is_shape(graph, "input", rank, dim)) return NODUS_OP_NONE;
    if (!op_public_name(name)) nodus_op_fail(graph, "input: its name has not 1 to %d bytes", LONGEST_NAME);
    else if (!graph->public_scope)
        nodus_op_fail(graph, "input %s: nobody can give it a value here: take it as one of `in`", name);
    if (graph->error) return NODUS_OP_NONE;
    char whole[128];
    snprintf(whole, sizeof whole, "%s.%s", graph->public_scope, name);
    const OpRef known = find_input(graph, whole, rank, dim);
    return made(graph, "input", op_is_none(known) ? op_input(graph, whole, DTYPE_F32, rank, dim) : known);
}

NodusOpRef nodus_op_scalar(NodusOpGraph *graph, const char *name)
{
    return nodus_op_input(graph, name, 1, (const int64_t[]){1});
}

NodusOpRef nodus_op_constant(NodusOpGraph *graph, int rank, const int64_t *dim, const float *data)
{
    if (!is_shape(graph, "constant", rank, dim)) return NODUS_OP_NONE;
    const int64_t count = shape_count(rank, dim);
    if (!data || count > MOST_NUMBERS) {
        nodus_op_fail(graph, "constant: 1 to %d numbers are possible: give more as an input", MOST_NUMBERS);
        return NODUS_OP_NONE;
    }
    char name[32];
    snprintf(name, sizeof name, "constant %d", graph->constants++);
    float *numbers = arena_alloc(graph->arena, (size_t)count * sizeof *numbers);
    const OpRef ref = numbers ? op_input(graph, name, DTYPE_F32, rank, dim) : OP_NONE;
    if (op_is_none(ref)) {
        if (!graph->error) graph->error = status_memory();
        return NODUS_OP_NONE;
    }
    memcpy(numbers, data, (size_t)count * sizeof *numbers);
    graph->nodes[ref.id].numbers = numbers;
    return made(graph, "constant", ref);
}

/* ---- Number by number --------------------------------------------------------------------------------------------------------
 */

#define UNARY(name_)                                                                     \
    NodusOpRef nodus_op_##name_(NodusOpGraph *graph, NodusOpRef x)                       \
    {                                                                                    \
        return made(graph, #name_, op_##name_(graph, op_from_public(graph, #name_, x))); \
    }
UNARY(silu)
UNARY(gelu)
UNARY(quick_gelu)
UNARY(tanh)

#define BINARY(name_)                                                                                  \
    NodusOpRef nodus_op_##name_(NodusOpGraph *graph, NodusOpRef a, NodusOpRef b)                       \
    {                                                                                                  \
        const OpRef left = op_from_public(graph, #name_, a), right = op_from_public(graph, #name_, b); \
        return made(graph, #name_, op_##name_(graph, left, right));                                    \
    }
BINARY(add)
BINARY(sub)
BINARY(mul)
BINARY(div)

NodusOpRef nodus_op_leaky_relu(NodusOpGraph *graph, NodusOpRef x, float slope)
{
    const OpRef own = op_from_public(graph, "leaky_relu", x);
    if (!is_number(graph, "leaky_relu", "slope", slope)) return NODUS_OP_NONE;
    return made(graph, "leaky_relu", op_leaky_relu(graph, own, slope));
}

NodusOpRef nodus_op_affine(NodusOpGraph *graph, NodusOpRef x, float scale, float shift)
{
    const OpRef own = op_from_public(graph, "affine", x);
    if (!is_number(graph, "affine", "scale", scale) || !is_number(graph, "affine", "shift", shift)) return NODUS_OP_NONE;
    return made(graph, "affine", op_affine(graph, own, scale, shift));
}

/* ---- Products, attention, norms
 * ------------------------------------------------------------------------------------------------- */

NodusOpRef nodus_op_matmul(NodusOpGraph *graph, NodusOpRef a, NodusOpRef b)
{
    const OpRef left = op_from_public(graph, "matmul", a), right = op_from_public(graph, "matmul", b);
    if (!is_rank(graph, "matmul", left, 3, 3) || !is_rank(graph, "matmul", right, 3, 3)) return NODUS_OP_NONE;
    const int64_t dim[] = {graph_dim(graph, left, 0), 1, graph_dim(graph, left, 1), graph_dim(graph, left, 2)};
    return made(graph, "matmul", op_values(graph, op_reshape(graph, left, 4, dim), right, 1));
}

NodusOpRef nodus_op_softmax(NodusOpGraph *graph, NodusOpRef x)
{
    const OpRef own = op_from_public(graph, "softmax", x);
    if (!is_rank(graph, "softmax", own, 1, 4)) return NODUS_OP_NONE;
    const Node node = graph->nodes[own.id]; /* a copy: nodes move */
    int64_t dim[] = {1, 1, 1, 1};
    memcpy(dim + 4 - node.rank, node.dim, node.rank * sizeof *dim);
    return made(graph, "softmax",
                op_reshape(graph, op_softmax(graph, op_reshape(graph, own, 4, dim), false), node.rank, node.dim));
}

static bool are_heads(OpGraph *graph, const char *what, int heads)
{
    if (heads < 1 || heads > MOST_HEADS) nodus_op_fail(graph, "%s: %d heads", what, heads);
    return !graph->error;
}

NodusOpRef nodus_op_scores(NodusOpGraph *graph, NodusOpRef q, NodusOpRef k, int heads, float scale)
{
    const OpRef left = op_from_public(graph, "scores", q), right = op_from_public(graph, "scores", k);
    if (!is_number(graph, "scores", "scale", scale) || !are_heads(graph, "scores", heads)) return NODUS_OP_NONE;
    return made(graph, "scores", op_scores(graph, left, right, heads, scale));
}

NodusOpRef nodus_op_values(NodusOpGraph *graph, NodusOpRef p, NodusOpRef v, int heads)
{
    const OpRef left = op_from_public(graph, "values", p), right = op_from_public(graph, "values", v);
    if (!are_heads(graph, "values", heads)) return NODUS_OP_NONE;
    return made(graph, "values", op_values(graph, left, right, heads));
}

/* `width` numbers in a row, as a kernel reads them; `fill` where none were given. */
static OpRef norm_numbers(OpGraph *graph, const char *what, NodusOpRef numbers, int64_t width, float fill)
{
    const OpRef own = nodus_op_is_none(numbers) ? OP_NONE : op_from_public(graph, what, numbers);
    if (graph->error) return OP_NONE;
    if (op_is_none(own)) {
        const NodusOpRef one = nodus_op_constant(graph, 1, (const int64_t[]){1}, &fill);
        OpRef row = op_from_public(graph, what, one);
        for (int64_t have = 1; have < width && !graph->error; have = graph_dim(graph, row, 0)) {
            const int64_t more = width - have < have ? width - have : have;
            row = op_concat(graph, row, op_slice(graph, row, 0, 0, more), 0);
        }
        return row;
    }
    if (is_rank(graph, what, own, 1, 1) && graph_dim(graph, own, 0) != width)
        nodus_op_fail(graph, "%s: %lld numbers to scale or shift by, expected %lld", what, (long long)graph_dim(graph, own, 0),
                      (long long)width);
    return op_affine(graph, own, 1, 0);
}

static NodusOpRef norm(OpGraph *graph, Node node, OpRef x, const char *what, int64_t width, NodusOpRef scale, NodusOpRef shift)
{
    const OpRef by = norm_numbers(graph, what, scale, width, 1), more = norm_numbers(graph, what, shift, width, 0);
    if (graph->error) return NODUS_OP_NONE;
    const Node *in = &graph->nodes[x.id];
    node.inputs = 3;
    node.in[0] = x.id, node.in[1] = by.id, node.in[2] = more.id;
    node.rank = in->rank;
    memcpy(node.dim, in->dim, sizeof node.dim);
    return made(graph, what, node_add(graph, &node));
}

NodusOpRef nodus_op_group_norm(NodusOpGraph *graph, NodusOpRef x, NodusOpRef scale, NodusOpRef shift, int groups, float eps)
{
    const char *what = "group_norm";
    const OpRef own = op_from_public(graph, what, x);
    const int64_t width = graph_dim(graph, own, 1);
    if (!is_rank(graph, what, own, 4, 4) || !is_number(graph, what, "eps", eps)) return NODUS_OP_NONE;
    if (groups < 1 || width % groups)
        nodus_op_fail(graph, "%s: %lld channels cannot be split into %d groups", what, (long long)width, groups);
    const Node node = {.kind = OP_GROUP_NORM, .attrs.group_norm = {groups, eps}};
    return norm(graph, node, own, what, width, scale, shift);
}

NodusOpRef nodus_op_layer_norm(NodusOpGraph *graph, NodusOpRef x, NodusOpRef scale, NodusOpRef shift, float eps)
{
    const char *what = "layer_norm";
    const OpRef own = op_from_public(graph, what, x);
    if (!is_rank(graph, what, own, 2, 4) || !is_number(graph, what, "eps", eps)) return NODUS_OP_NONE;
    const Node node = {.kind = OP_LAYER_NORM, .attrs.layer_norm = {eps}};
    return norm(graph, node, own, what, graph_dim(graph, own, -1), scale, shift);
}

/* ---- Pictures
 * ------------------------------------------------------------------------------------------------------------------------ */

static OpRef picture(OpGraph *graph, const char *what, NodusOpRef x)
{
    const OpRef own = op_from_public(graph, what, x);
    return is_rank(graph, what, own, 4, 4) ? own : OP_NONE;
}

NodusOpRef nodus_op_resize(NodusOpGraph *graph, NodusOpRef x, int64_t height, int64_t width, NodusResize filter)
{
    const OpRef own = picture(graph, "resize", x);
    if ((unsigned)filter > NODUS_AREA) nodus_op_fail(graph, "resize: there is no filter %d", (int)filter);
    return made(graph, "resize", op_resize(graph, own, height, width, (int)filter));
}

#define PICTURE(name_)                                                            \
    NodusOpRef nodus_op_##name_(NodusOpGraph *graph, NodusOpRef x)                \
    {                                                                             \
        return made(graph, #name_, op_##name_(graph, picture(graph, #name_, x))); \
    }
PICTURE(mean_channels)
PICTURE(unit_range)
PICTURE(tokens)

NodusOpRef nodus_op_low_frequencies(NodusOpGraph *graph, NodusOpRef x, NodusOpRef s)
{
    const OpRef own = picture(graph, "low_frequencies", x), factor = op_from_public(graph, "low_frequencies", s);
    return made(graph, "low_frequencies", op_low_frequencies(graph, own, factor));
}

NodusOpRef nodus_op_pixels(NodusOpGraph *graph, NodusOpRef x, NodusOpRef like)
{
    const OpRef own = op_from_public(graph, "pixels", x), size = picture(graph, "pixels", like);
    if (!is_rank(graph, "pixels", own, 3, 3)) return NODUS_OP_NONE;
    return made(graph, "pixels", op_pixels(graph, own, size));
}

/* ---- Parts and arrangements
 * ---------------------------------------------------------------------------------------------------------- */

NodusOpRef nodus_op_reshape(NodusOpGraph *graph, NodusOpRef x, int rank, const int64_t *dim)
{
    const OpRef own = op_from_public(graph, "reshape", x);
    if (!is_shape(graph, "reshape", rank, dim)) return NODUS_OP_NONE;
    return made(graph, "reshape", op_reshape(graph, own, rank, dim));
}

NodusOpRef nodus_op_slice(NodusOpGraph *graph, NodusOpRef x, int axis, int64_t start, int64_t length)
{
    return made(graph, "slice", op_slice(graph, op_from_public(graph, "slice", x), axis, start, length));
}

NodusOpRef nodus_op_permute(NodusOpGraph *graph, NodusOpRef x, const int *order)
{
    const OpRef own = op_from_public(graph, "permute", x);
    if (!order) nodus_op_fail(graph, "permute: there is no order");
    return made(graph, "permute", op_permute(graph, own, order));
}

NodusOpRef nodus_op_concat(NodusOpGraph *graph, NodusOpRef a, NodusOpRef b, int axis)
{
    const char *what = "concat";
    const OpRef left = op_from_public(graph, what, a), right = op_from_public(graph, what, b);
    if (graph_dim(graph, left, axis) > INT64_MAX - graph_dim(graph, right, axis)) nodus_op_fail(graph, "concat: too long");
    return made(graph, what, op_concat(graph, left, right, axis));
}
