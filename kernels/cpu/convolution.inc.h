/* convolution.inc.h: CONV2D and CONV2D_FUSED: which of the three ways an op goes.
 *
 * One idea: by shape alone: 1×1 windows are matrix products (linear.inc.h), 3×3 windows of stride 1 with enough channels and
 * tiles go by Winograd (winograd.inc.h), all others by gathered windows (conv.inc.h). All three end in the same store. */

static Store conv_store(const Call *call)
{
    const View *y = &call->op.out, *in = call->in;
    Store store = {.y = y->data, .columns = y->dim[1], .y_step = y->stride[1], .y_rows = rows_of_pixels(y)};
    if (call->op.inputs > 2 && in[2].data) {
        store.bias = in[2].data;
        store.bias_dtype = in[2].dtype;
    }
    if (call->op.kind == OP_CONV2D) return store;
    store.activation = ((const Conv2dFusedAttrs *)call->op.attributes)->activation;
    store.image_rows = y->dim[2] * y->dim[3];
    if (call->op.inputs > 3 && in[3].data) {
        store.channels = in[3].data;
        store.channels_stride = in[3].stride[0];
        store.channels_step = in[3].stride[1];
    }
    if (call->op.inputs > 4 && in[4].data) {
        store.residual = in[4].data;
        store.residual_step = in[4].stride[1];
        store.residual_rows = rows_of_pixels(&in[4]);
    }
    return store;
}

static void conv_1x1(const Call *call, const Store *store)
{
    const View *x = &call->in[0];
    Linear l = {.x = x->data, .x_rows = rows_of_pixels(x), .x_step = x->stride[1], .rows = x->dim[0] * x->dim[2] * x->dim[3]};
    l.w = packed_weights(call, false);
    l.shape = packed_shape(&panel_shape, &call->in[1], false);
    l.store = *store;
    linear_cut(&l);
    cpu_each(call, l.row_blocks * l.panel_blocks, linear_part, &l);
}

static void conv_run(const Call *call)
{
    const bool fused = call->op.kind == OP_CONV2D_FUSED;
    const Conv2dFusedAttrs *attrs = fused ? call->op.attributes : NULL;
    const Conv2dAttrs *window = fused ? &attrs->conv : call->op.attributes;
    const View *x = &call->in[0], *w = &call->in[1], *y = &call->op.out;
    const Store store = conv_store(call);
    const int doubled = fused && attrs->upsample;
    const bool padded = window->top || window->left || window->bottom || window->right;
    if (w->dim[2] == 1 && w->dim[3] == 1 && window->stride == 1 && !padded && !doubled) {
        conv_1x1(call, &store);
        return;
    }
    Conv conv = {.x = x->data,
                 .x_image = x->stride[0],
                 .x_channel = x->stride[1],
                 .x_line = x->stride[2],
                 .x_column = x->stride[3],
                 .height = x->dim[2] << doubled,
                 .width = x->dim[3] << doubled,
                 .stride = window->stride,
                 .top = window->top,
                 .left = window->left,
                 .lines = w->dim[2],
                 .columns = w->dim[3],
                 .doubled = doubled,
                 .store = store,
                 .y = y,
                 .residual = call->op.inputs > 4 ? &call->in[4] : NULL,
                 .images = y->dim[0],
                 .out_height = y->dim[2],
                 .out_width = y->dim[3]};
    conv.w = packed_weights(call, false);
    conv.shape = packed_shape(&panel_shape, w, false);
    if (winograd_pays(&call->op))
        winograd_run(call, &conv, (float *)((uint8_t *)call->scratch + (call->packed[1] ? 0 : product_scratch(&call->op, 1))));
    else direct_run(call, &conv);
}

static size_t conv_scratch(const Op *op, int threads)
{
    return product_scratch(op, threads) + (winograd_pays(op) ? winograd_scratch(op, threads) : 0);
}
