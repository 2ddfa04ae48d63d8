/* conv.inc.h: convolutions of any window and stride.
 *
 * One idea: a convolution is a matrix product whose rows are windows. A part is a block of output pixels times a few panels; for
 * each chunk of input channels the pixels that the block sees are gathered once, with the zero border, the doubling of an
 * upsampled input and any strides of x resolved, into a patch [image][line][column][channel] in L1 or L2. In it the window of a
 * pixel is P runs of Q·chunk numbers, which is what tile.inc.h reads. */

enum { PATCH_FLOATS = 12288, BLOCK_WIDTH = 16 };

typedef struct Conv {
    const float *x;
    int64_t x_image, x_channel, x_line, x_column; /* strides */
    int64_t height, width;                        /* of the input, after doubling */
    int64_t stride, top, left, lines, columns;    /* lines × columns: the window */
    int doubled;                                  /* 1: x is read at (h/2, w/2) */
    const void *w;
    PackedShape shape;
    int64_t chunk; /* of input channels */
    Store store;
    const View *y, *residual;
    int64_t images, out_height, out_width;
    int64_t n_blocks, i_blocks, j_blocks, pixel_blocks, panel_blocks, panels;
    bool pixels_first;
} Conv;

/* The output pixels of a part. */
typedef struct Area {
    int64_t n, n_end, i, i_end, j, j_end;
} Area;

static int64_t area_lines(const Conv *conv, const Area *area)
{
    return (area->i_end - area->i - 1) * conv->stride + conv->lines;
}

static int64_t area_columns(const Conv *conv, const Area *area)
{
    return (area->j_end - area->j - 1) * conv->stride + conv->columns;
}

INLINE void copy_channels(const float *from, int64_t step, int64_t n, float *to)
{
    if (step == 1)
        for (int64_t c = 0; c < n; c += VEC_WIDTH) v_store_n(to + c, v_load_n(from + c, n - c), n - c);
    else
        for (int64_t c = 0; c < n; c++) to[c] = from[c * step];
}

/* One line of the patch: channels `first` … first + chunk − 1 of the pixels that the area sees in input line h. */
static void gather_line(const Conv *conv, const Area *area, int64_t n, int64_t h, int64_t first, int64_t chunk, float *to)
{
    const int64_t count = area_columns(conv, area), left = area->j * conv->stride - conv->left;
    if (h < 0 || h >= conv->height) {
        memset(to, 0, (size_t)(count * chunk) * sizeof *to);
        return;
    }
    const float *line = conv->x + n * conv->x_image + (h >> conv->doubled) * conv->x_line + first * conv->x_channel;
    for (int64_t q = 0; q < count; q++, to += chunk) {
        const int64_t w = left + q;
        if (w < 0 || w >= conv->width) memset(to, 0, (size_t)chunk * sizeof *to);
        else copy_channels(line + (w >> conv->doubled) * conv->x_column, conv->x_channel, chunk, to);
    }
}

static void gather_patch(const Conv *conv, const Area *area, int64_t first, int64_t chunk, float *patch)
{
    const int64_t lines = area_lines(conv, area), step = area_columns(conv, area) * chunk;
    for (int64_t n = area->n; n < area->n_end; n++)
        for (int64_t p = 0; p < lines; p++, patch += step)
            gather_line(conv, area, n, area->i * conv->stride - conv->top + p, first, chunk, patch);
}

/* Where each pixel's window begins in a patch of `chunk` channels. */
static void window_offsets(const Conv *conv, const Area *area, int64_t chunk, int64_t *at)
{
    const int64_t lines = area_lines(conv, area), columns = area_columns(conv, area);
    for (int64_t n = 0; n < area->n_end - area->n; n++)
        for (int64_t i = 0; i < area->i_end - area->i; i++)
            for (int64_t j = 0; j < area->j_end - area->j; j++)
                *at++ = ((n * lines + i * conv->stride) * columns + j * conv->stride) * chunk;
}

/* Where each pixel lies in a view [n, c, h, w]. */
static void pixel_offsets(const View *view, const Area *area, int64_t *at)
{
    for (int64_t n = area->n; n < area->n_end; n++)
        for (int64_t i = area->i; i < area->i_end; i++)
            for (int64_t j = area->j; j < area->j_end; j++)
                *at++ = n * view->stride[0] + i * view->stride[2] + j * view->stride[3];
}

static void conv_sums(const Conv *conv, const Area *area, int64_t count, int64_t first, int64_t end, float *sums,
                      int64_t panel_step)
{
    _Alignas(64) float buffer[PANEL_DEPTH * PANEL_COLUMNS], patch[PATCH_FLOATS];
    int64_t at[BLOCK_ROWS], at_chunk = 0;
    const PackedShape *shape = &conv->shape;
    for (int64_t c = 0; c < shape->channels; c += conv->chunk) {
        const int64_t chunk = smaller(conv->chunk, shape->channels - c);
        if (chunk != at_chunk) window_offsets(conv, area, at_chunk = chunk, at);
        gather_patch(conv, area, c, chunk, patch);
        const Run run = {conv->lines, area_columns(conv, area) * chunk, conv->columns * chunk};
        for (int64_t p = first; p < end; p++) {
            const int64_t columns = packed_columns(&panel_shape, shape, p);
            const float *b =
                panel_piece(conv->w, shape->dtype, p * shape->row_panel, c * shape->taps, chunk * shape->taps, columns, buffer);
            multiply(patch, at, count, &run, b, columns, sums + (p - first) * panel_step, columns, c > 0);
        }
    }
}

static Area area_of(const Conv *conv, int64_t block)
{
    Area area;
    cut(conv->out_width, conv->j_blocks, 1, block % conv->j_blocks, &area.j, &area.j_end);
    block /= conv->j_blocks;
    cut(conv->out_height, conv->i_blocks, 1, block % conv->i_blocks, &area.i, &area.i_end);
    cut(conv->images, conv->n_blocks, 1, block / conv->i_blocks, &area.n, &area.n_end);
    return area;
}

static void conv_part(void *state, int64_t part)
{
    const Conv *conv = state;
    const Area area = area_of(conv, conv->pixels_first ? part % conv->pixel_blocks : part / conv->panel_blocks);
    const int64_t panel_block = conv->pixels_first ? part / conv->pixel_blocks : part % conv->panel_blocks;
    const int64_t first = panel_block * conv->panels, end = smaller(first + conv->panels, conv->shape.panels);
    int64_t y_at[BLOCK_ROWS], residual_at[BLOCK_ROWS], channels_at[BLOCK_ROWS];
    _Alignas(64) float sums[BLOCK_FLOATS];
    const int64_t per_image = (area.i_end - area.i) * (area.j_end - area.j), count = (area.n_end - area.n) * per_image;
    conv_sums(conv, &area, count, first, end, sums, count * PANEL_COLUMNS);
    pixel_offsets(conv->y, &area, y_at);
    if (conv->store.residual) pixel_offsets(conv->residual, &area, residual_at);
    if (conv->store.channels)
        for (int64_t r = 0; r < count; r++) channels_at[r] = (area.n + r / per_image) * conv->store.channels_stride;
    const Block block = {sums, count, count * PANEL_COLUMNS, y_at, residual_at, channels_at};
    store_block(&conv->store, &block, first, end - first, NULL);
}

/* Blocks of at most BLOCK_ROWS pixels whose patch fits; nearly square, for the border that is gathered in vain. */
static void conv_cut(Conv *conv)
{
    int64_t n = 1, i, j = divide_up(conv->out_width, divide_up(conv->out_width, BLOCK_WIDTH));
    i = smaller(conv->out_height, BLOCK_ROWS / j);
    i = divide_up(conv->out_height, divide_up(conv->out_height, i));
    if (i == conv->out_height && j == conv->out_width) n = smaller(conv->images, BLOCK_ROWS / (i * j));
    for (;;) {
        const Area area = {0, n, 0, i, 0, j};
        if (n * area_lines(conv, &area) * area_columns(conv, &area) * conv->chunk <= PATCH_FLOATS) break;
        int64_t *const side = n > 1 ? &n : i >= j ? &i : &j;
        *side = divide_up(*side, 2);
    }
    conv->n_blocks = divide_up(conv->images, n);
    conv->i_blocks = divide_up(conv->out_height, i);
    conv->j_blocks = divide_up(conv->out_width, j);
    conv->pixel_blocks = conv->n_blocks * conv->i_blocks * conv->j_blocks;
    conv->panels = BLOCK_COLUMNS > PANEL_COLUMNS ? BLOCK_COLUMNS / PANEL_COLUMNS : 1;
    while (conv->panels * PANEL_COLUMNS > 32 && conv->panels > 1 &&
           conv->pixel_blocks * divide_up(conv->shape.panels, conv->panels) < 32)
        conv->panels /= 2;
    conv->panel_blocks = divide_up(conv->shape.panels, conv->panels);
    const double weights = (double)conv->shape.half * (double)dtype_size(conv->shape.dtype);
    conv->pixels_first =
        weights > 4.0 * (double)conv->images * (double)conv->height * (double)conv->width * (double)conv->shape.channels;
}

static void direct_run(const Call *call, Conv *conv)
{
    conv->chunk = smaller(conv->shape.chunk,
                          PANEL_DEPTH / conv->shape.taps); /* one tap is packed in one chunk, which may be cut anywhere */
    conv_cut(conv);
    cpu_each(call, conv->pixel_blocks * conv->panel_blocks, conv_part, conv);
}
