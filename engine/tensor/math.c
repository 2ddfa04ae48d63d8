/* math.c: eager math: what samplers and nodes do with tensors, one op at a time.
 *
 * One idea: every function checks shapes, makes the result, describes one Op and hands it to the device. Results are on the scratch list of
 * the NodusMath until it is cleared; what shares numbers (slice, reshape, permute) is a view. */
#include <math.h>
#include <string.h>
#include "engine/base/memory.h"
#include "engine/tensor/device_memory.h"
#include "engine/tensor/shape.h"

NodusStatus math_cancelled(const NodusMath *math)
{
    if (math->cancel && atomic_load_explicit(&math->cancel->set, memory_order_relaxed)) return nodus_error(NODUS_ERROR_CANCELLED, "cancelled");
    return NULL;
}

NodusStatus math_keep(NodusMath *math, Tensor *tensor)
{
    if (!memory_reserve((void **)&math->scratch, &math->scratch_capacity, math->scratch_count, sizeof *math->scratch)) {
        nodus_tensor_unref(tensor);
        return status_memory();
    }
    math->scratch[math->scratch_count++] = tensor;
    return NULL;
}

NodusStatus math_new(NodusMath *math, int rank, const int64_t *dim, Tensor **out)
{
    Tensor *tensor = NULL;
    NODUS_TRY(tensor_new(math->device, DTYPE_F32, rank, dim, &tensor));
    NODUS_TRY(math_keep(math, tensor));
    *out = tensor;
    return NULL;
}

void math_clear(NodusMath *math)
{
    for (size_t i = 0; i < math->scratch_count; i++) nodus_tensor_unref(math->scratch[i]);
    for (size_t i = 0; i < math->memory_count; i++) memory_free(math->memory[i]);
    memory_free(math->scratch);
    memory_free(math->memory);
    math->scratch = NULL;
    math->memory = NULL;
    math->scratch_count = math->scratch_capacity = math->memory_count = math->memory_capacity = 0;
}

void nodus_tensor_release(NodusMath *math, NodusTensor *tensor)
{
    if (!tensor) return;
    for (size_t i = math->scratch_count; i-- > 0;) /* the newest is the likeliest */
        if (math->scratch[i] == tensor) {
            math->scratch[i] = math->scratch[--math->scratch_count];
            nodus_tensor_unref(tensor);
            return;
        }
}

static NodusStatus math_view(NodusMath *math, const Tensor *x, int rank, const int64_t *dim, const int64_t *stride, int64_t offset, Tensor **out)
{
    Tensor *view = NULL;
    NODUS_TRY(tensor_view(x, rank, dim, stride, offset, &view));
    NODUS_TRY(math_keep(math, view));
    *out = view;
    return NULL;
}

/* One op into a new tensor of the given shape. */
static NodusStatus math_op(NodusMath *math, int kind, const void *attributes, int inputs, const Tensor *const *x, int rank, const int64_t *dim, Tensor **out)
{
    View in[OP_INPUTS];
    NODUS_TRY(math_cancelled(math));
    for (int i = 0; i < inputs; i++) in[i] = view_of(x[i]);
    Tensor *result = NULL;
    NODUS_TRY(math_new(math, rank, dim, &result));
    const Op op = {.kind = (uint16_t)kind, .inputs = (uint16_t)inputs, .attributes = attributes, .in = in, .out = view_of(result)};
    if (shape_count(rank, dim) > 0) NODUS_TRY(device_eager(math->device, &op));
    *out = result;
    return NULL;
}

static NodusStatus math_same_shape(const Tensor *a, const Tensor *b)
{
    char one[SHAPE_TEXT], two[SHAPE_TEXT];
    if (shape_equal(a->rank, a->dim, b->rank, b->dim)) return NULL;
    return nodus_error(NODUS_ERROR_INPUT, "the shapes %s and %s differ", shape_text(a->rank, a->dim, one), shape_text(b->rank, b->dim, two));
}

NodusStatus nodus_tensor_from_f32(NodusMath *math, NodusTensor **out, int rank, const int64_t *dim, const float *data)
{
    Tensor *result = NULL;
    NODUS_TRY(math_new(math, rank, dim, &result));
    View from = view_of(result);
    const View to = from;
    from.data = (void *)(uintptr_t)data;
    if (shape_count(rank, dim) > 0) NODUS_TRY(device_copy(math->device, &to, &from));
    *out = result;
    return NULL;
}

NodusStatus nodus_tensor_fill(NodusMath *math, NodusTensor **out, int rank, const int64_t *dim, float value)
{
    Tensor *result = NULL;
    NODUS_TRY(math_new(math, rank, dim, &result));
    View from = view_of(result);
    const View to = from;
    memset(from.stride, 0, sizeof from.stride);
    from.data = &value;
    if (shape_count(rank, dim) > 0) NODUS_TRY(device_copy(math->device, &to, &from));
    *out = result;
    return NULL;
}

NodusStatus nodus_tensor_map_f32(NodusMath *math, const NodusTensor *x, const float **data)
{
    if (x->dtype == DTYPE_F32 && tensor_is_contiguous(x) && storage_on_host(x->storage)) {
        NODUS_TRY(math_keep(math, nodus_tensor_ref(x))); /* alive as long as the scratch list */
        *data = x->data;
        return NULL;
    }
    const int64_t count = nodus_tensor_count(x);
    float *copy = memory_array(count ? (size_t)count : 1, sizeof *copy);
    if (!copy) return status_memory();
    if (!memory_reserve((void **)&math->memory, &math->memory_capacity, math->memory_count, sizeof *math->memory)) {
        memory_free(copy);
        return status_memory();
    }
    math->memory[math->memory_count++] = copy;
    View to = view_of(x);
    to.dtype = DTYPE_F32;
    to.data = copy;
    shape_contiguous(x->rank, x->dim, to.stride);
    const View from = view_of(x);
    if (count) NODUS_TRY(device_copy(math->device, &to, &from));
    *data = copy;
    return NULL;
}

NodusStatus nodus_tensor_lincomb(NodusMath *math, NodusTensor **out, int n, const float *c, const NodusTensor *const *x)
{
    if (n < 1) return nodus_error(NODUS_ERROR_INPUT, "a linear combination of nothing");
    for (int i = 1; i < n; i++) NODUS_TRY(math_same_shape(x[0], x[i]));
    const Tensor *sum = NULL;
    Tensor *result = NULL;
    for (int at = 0; at < n;) { /* more than OP_INPUTS terms: the sum so far goes on as 1·sum */
        LincombAttrs attrs = {{0}};
        const Tensor *in[OP_INPUTS];
        int count = 0;
        if (sum) {
            attrs.c[count] = 1;
            in[count++] = sum;
        }
        while (at < n && count < OP_INPUTS) {
            attrs.c[count] = c[at];
            in[count++] = x[at++];
        }
        NODUS_TRY(math_op(math, OP_LINCOMB, &attrs, count, in, x[0]->rank, x[0]->dim, &result));
        sum = result;
    }
    *out = result;
    return NULL;
}

NodusStatus nodus_tensor_affine(NodusMath *math, NodusTensor **out, const NodusTensor *x, float scale, float shift)
{
    return math_op(math, OP_AFFINE, &(AffineAttrs){scale, shift}, 1, &x, x->rank, x->dim, out);
}

static NodusStatus math_binary(NodusMath *math, NodusTensor **out, int kind, const NodusTensor *a, const NodusTensor *b)
{
    char one[SHAPE_TEXT], two[SHAPE_TEXT];
    bool fits = a->rank == b->rank;
    for (int i = 0; fits && i < a->rank; i++) fits = b->dim[i] == a->dim[i] || b->dim[i] == 1;
    if (!fits)
        return nodus_error(NODUS_ERROR_INPUT, "a tensor of shape %s cannot be repeated to %s", shape_text(b->rank, b->dim, two), shape_text(a->rank, a->dim, one));
    return math_op(math, kind, NULL, 2, (const Tensor *[]){a, b}, a->rank, a->dim, out);
}

NodusStatus nodus_tensor_add(NodusMath *math, NodusTensor **out, const NodusTensor *a, const NodusTensor *b)
{
    return math_binary(math, out, OP_ADD, a, b);
}

NodusStatus nodus_tensor_sub(NodusMath *math, NodusTensor **out, const NodusTensor *a, const NodusTensor *b)
{
    return math_binary(math, out, OP_SUB, a, b);
}

NodusStatus nodus_tensor_mul(NodusMath *math, NodusTensor **out, const NodusTensor *a, const NodusTensor *b)
{
    return math_binary(math, out, OP_MUL, a, b);
}

NodusStatus nodus_tensor_div(NodusMath *math, NodusTensor **out, const NodusTensor *a, const NodusTensor *b)
{
    return math_binary(math, out, OP_DIV, a, b);
}

NodusStatus nodus_tensor_clamp(NodusMath *math, NodusTensor **out, const NodusTensor *x, float low, float high)
{
    return math_op(math, OP_CLAMP, &(ClampAttrs){low, high}, 1, &x, x->rank, x->dim, out);
}

NodusStatus nodus_tensor_max_abs(NodusMath *math, const NodusTensor *x, float *out)
{
    *out = 0;
    if (nodus_tensor_count(x) == 0) return NULL;
    Tensor *result = NULL;
    const float *value = NULL;
    NODUS_TRY(math_op(math, OP_MAX_ABS, NULL, 1, &x, 1, (int64_t[]){1}, &result));
    NODUS_TRY(nodus_tensor_map_f32(math, result, &value));
    *out = value[0];
    return NULL;
}

static NodusStatus math_axis(const Tensor *x, int axis)
{
    if (axis >= 0 && axis < x->rank) return NULL;
    return nodus_error(NODUS_ERROR_INPUT, "there is no axis %d in a tensor of %d dimensions", axis, x->rank);
}

NodusStatus nodus_tensor_slice(NodusMath *math, NodusTensor **out, const NodusTensor *x, int axis, int64_t start, int64_t length)
{
    NODUS_TRY(math_axis(x, axis));
    if (start < 0 || length < 0 || start > x->dim[axis] || length > x->dim[axis] - start)
        return nodus_error(NODUS_ERROR_INPUT, "%lld entries from %lld of an axis of %lld", (long long)length, (long long)start, (long long)x->dim[axis]);
    int64_t dim[VIEW_RANK];
    memcpy(dim, x->dim, sizeof dim);
    dim[axis] = length;
    return math_view(math, x, x->rank, dim, x->stride, start * x->stride[axis], out);
}

NodusStatus nodus_tensor_concat(NodusMath *math, NodusTensor **out, int axis, int n, const NodusTensor *const *x)
{
    if (n < 1) return nodus_error(NODUS_ERROR_INPUT, "nothing to join");
    NODUS_TRY(math_axis(x[0], axis));
    int64_t dim[VIEW_RANK];
    memcpy(dim, x[0]->dim, sizeof dim);
    for (int i = 1; i < n; i++) {
        int64_t other[VIEW_RANK];
        char one[SHAPE_TEXT], two[SHAPE_TEXT];
        memcpy(other, x[i]->dim, sizeof other);
        other[axis] = x[0]->dim[axis];
        if (!shape_equal(x[0]->rank, x[0]->dim, x[i]->rank, other))
            return nodus_error(NODUS_ERROR_INPUT, "tensors of shape %s and %s cannot be joined along axis %d", shape_text(x[0]->rank, x[0]->dim, one),
                               shape_text(x[i]->rank, x[i]->dim, two), axis);
        dim[axis] += x[i]->dim[axis];
    }
    Tensor *result = NULL;
    NODUS_TRY(math_new(math, x[0]->rank, dim, &result));
    int64_t at = 0;
    for (int i = 0; i < n; i++) {
        View to = view_of(result);
        const View from = view_of(x[i]);
        to.dim[axis] = x[i]->dim[axis];
        to.data = (char *)to.data + (size_t)(at * to.stride[axis]) * dtype_size(to.dtype);
        at += x[i]->dim[axis];
        if (nodus_tensor_count(x[i]) > 0) NODUS_TRY(device_copy(math->device, &to, &from));
    }
    *out = result;
    return NULL;
}

static NodusStatus math_contiguous(NodusMath *math, const Tensor *x, Tensor **out)
{
    return math_op(math, OP_COPY, NULL, 1, &x, x->rank, x->dim, out);
}

NodusStatus nodus_tensor_reshape(NodusMath *math, NodusTensor **out, const NodusTensor *x, int rank, const int64_t *dim)
{
    char one[SHAPE_TEXT], two[SHAPE_TEXT];
    size_t bytes;
    if (!dims_bytes(x->dtype, rank, dim, &bytes) || shape_count(rank, dim) != nodus_tensor_count(x))
        return nodus_error(NODUS_ERROR_INPUT, "a tensor of shape %s cannot be seen as %s", shape_text(x->rank, x->dim, one), shape_text(rank, dim, two));
    int64_t stride[VIEW_RANK] = {0};
    if (shape_reshape(x->rank, x->dim, x->stride, rank, dim, stride)) return math_view(math, x, rank, dim, stride, 0, out);
    Tensor *copy = NULL;
    NODUS_TRY(math_contiguous(math, x, &copy));
    shape_contiguous(rank, dim, stride);
    return math_view(math, copy, rank, dim, stride, 0, out);
}

NodusStatus nodus_tensor_permute(NodusMath *math, NodusTensor **out, const NodusTensor *x, const int *order)
{
    int64_t dim[VIEW_RANK] = {0}, stride[VIEW_RANK] = {0};
    unsigned seen = 0;
    for (int i = 0; i < x->rank; i++) {
        if (order[i] < 0 || order[i] >= x->rank || seen >> order[i] & 1) return nodus_error(NODUS_ERROR_INPUT, "the new order of axes is no permutation");
        seen |= 1u << order[i];
        dim[i] = x->dim[order[i]];
        stride[i] = x->stride[order[i]];
    }
    return math_view(math, x, x->rank, dim, stride, 0, out);
}

NodusStatus nodus_tensor_repeat(NodusMath *math, NodusTensor **out, const NodusTensor *x, int64_t batch)
{
    if (x->rank < 1 || x->dim[0] < 1 || batch < 0) return nodus_error(NODUS_ERROR_INPUT, "nothing to repeat");
    if (batch <= x->dim[0]) return nodus_tensor_slice(math, out, x, 0, 0, batch);
    int64_t dim[VIEW_RANK];
    memcpy(dim, x->dim, sizeof dim);
    dim[0] = batch;
    Tensor *result = NULL;
    NODUS_TRY(math_new(math, x->rank, dim, &result));
    for (int64_t at = 0; at < batch; at += x->dim[0]) {
        View to = view_of(result), from = view_of(x);
        to.dim[0] = from.dim[0] = batch - at < x->dim[0] ? batch - at : x->dim[0];
        to.data = (char *)to.data + (size_t)(at * to.stride[0]) * dtype_size(to.dtype);
        NODUS_TRY(device_copy(math->device, &to, &from));
    }
    *out = result;
    return NULL;
}

NodusStatus nodus_tensor_resize(NodusMath *math, NodusTensor **out, const NodusTensor *x, int64_t height, int64_t width, NodusResize filter)
{
    if (x->rank != 4 || height < 1 || width < 1 || nodus_tensor_count(x) == 0)
        return nodus_error(NODUS_ERROR_INPUT, "only pictures and latents of four dimensions and at least one cell can be resized");
    return math_op(math, OP_RESIZE, &(ResizeAttrs){(int)filter}, 1, &x, 4, (int64_t[]){x->dim[0], x->dim[1], height, width}, out);
}
