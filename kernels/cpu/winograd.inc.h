/* winograd.inc.h: 3×3 convolutions of stride 1 as F(4×4, 3×3): a quarter of the multiplications.
 *
 * One idea (Lavin and Gray, 2015): a tile of 4×4 outputs is a bilinear map of 6×6 inputs and 3×3 weights; in the right basis it
 * is 36 independent products, so a convolution becomes 36 matrix products over channels ("planes"). A first pass brings the
 * inputs of some blocks of tiles into that basis. A part of the second pass takes a block of tiles and a few outputs: chunk by
 * chunk of channels it brings the weights into the basis, straight from the packed file values, multiplies all planes, and at the
 * end brings the sums back. Planes are padded: at strides of 4 KiB all 36 would fall into one set of the L1 cache. */

enum {
    WINOGRAD_CELLS = 256 * VEC_WIDTH, /* most tiles times outputs of a part: its sums stay in L2 */
    WINOGRAD_CHUNK = 32,              /* channels of a chunk */
    WINOGRAD_INPUTS = 6 << 20,        /* floats of transformed inputs at a time */
    WINOGRAD_TILES = 8,               /* fewer do not pay for transforming the weights */
    PLANES = 36,
    PLANE_PAD = 16,
    STORE_TILES = BLOCK_ROWS / 16
};

typedef struct Winograd {
    const Conv *conv;
    int64_t down, across, tiles;                 /* tiles of an image, of all images */
    int64_t block_tiles, tile_blocks, group;     /* group: blocks whose inputs are transformed at a time */
    int64_t columns, column_blocks;              /* outputs of a part */
    int64_t first, blocks;                       /* the group at work */
    int64_t plane_in, plane_weights, plane_sums; /* floats from a plane to the next */
    float *inputs, *slots;
    int64_t block_floats, slot_floats; /* transformed inputs of a block; sums and weights of a part at work */
    int slot_count;
    _Atomic uint64_t busy; /* slots in use */
} Winograd;

/* ---- The three changes of basis, of six (three) vectors `step` apart ---- */

INLINE void to_inputs(const Vec *d, Vec *out)
{
    const Vec two = v_set(2), four = v_set(4), five = v_set(-5);
    const Vec p = v_fma(v_set(-4), d[2], d[4]), q = v_fma(v_set(-4), d[1], d[3]), u = v_sub(d[4], d[2]),
              v = v_mul(two, v_sub(d[3], d[1]));
    out[0] = v_fma(four, d[0], v_fma(five, d[2], d[4]));
    out[1] = v_add(p, q);
    out[2] = v_sub(p, q);
    out[3] = v_add(u, v);
    out[4] = v_sub(u, v);
    out[5] = v_fma(four, d[1], v_fma(five, d[3], d[5]));
}

INLINE void to_weights(Vec a, Vec b, Vec c, Vec *out)
{
    const Vec sum = v_mul(v_add(a, c), v_set(-1 / 6.0f)), side = v_mul(b, v_set(1 / 6.0f));
    const Vec far = v_fma(v_set(1 / 24.0f), a, v_mul(c, v_set(1 / 6.0f))), slope = v_mul(b, v_set(1 / 12.0f));
    out[0] = v_mul(a, v_set(0.25f));
    out[1] = v_sub(sum, side);
    out[2] = v_add(sum, side);
    out[3] = v_add(far, slope);
    out[4] = v_sub(far, slope);
    out[5] = c;
}

INLINE void to_outputs(const Vec *m, Vec *out)
{
    const Vec a = v_add(m[1], m[2]), b = v_sub(m[1], m[2]), c = v_add(m[3], m[4]), d = v_sub(m[3], m[4]);
    out[0] = v_add(v_add(m[0], a), c);
    out[1] = v_fma(v_set(2), d, b);
    out[2] = v_fma(v_set(4), c, a);
    out[3] = v_add(v_fma(v_set(8), d, b), m[5]);
}

/* ---- First pass: inputs ---- */

typedef struct TileAt {
    int64_t image, i, j; /* of its first output */
} TileAt;

static TileAt tile_at(const Winograd *w, int64_t tile)
{
    return (TileAt){tile / (w->down * w->across), tile / w->across % w->down * 4, tile % w->across * 4};
}

/* Where the 36 pixels of a tile lie, channel `c` first; `zeros` beyond the border. */
static void tile_pixels(const Conv *conv, TileAt at, int64_t c, const float *zeros, const float **pixel)
{
    for (int64_t p = 0; p < 6; p++)
        for (int64_t q = 0; q < 6; q++) {
            const int64_t h = at.i - conv->top + p, x = at.j - conv->left + q;
            const bool inside = h >= 0 && h < conv->height && x >= 0 && x < conv->width;
            const int64_t offset =
                at.image * conv->x_image + (h >> conv->doubled) * conv->x_line + (x >> conv->doubled) * conv->x_column;
            *pixel++ = inside ? conv->x + offset + c : zeros;
        }
}

/* n channels from c on, at most a vector. */
INLINE void transform_vector(const float *const *pixel, int64_t c, int64_t n, float *to, int64_t plane)
{
    Vec half[6][6], d[6], out[6];
    UNROLL for (int q = 0; q < 6; q++)
    {
        UNROLL for (int p = 0; p < 6; p++) d[p] = v_load_n(pixel[p * 6 + q] + c, n);
        to_inputs(d, out);
        UNROLL for (int p = 0; p < 6; p++) half[p][q] = out[p];
    }
    UNROLL for (int p = 0; p < 6; p++)
    {
        to_inputs(half[p], out);
        UNROLL for (int q = 0; q < 6; q++) v_store_n(to + (p * 6 + q) * plane + c, out[q], n);
    }
}

static void transform_tile(const float *const *pixel, int64_t chunk, float *to, int64_t plane)
{
    int64_t c = 0;
    for (; c + VEC_WIDTH <= chunk; c += VEC_WIDTH) transform_vector(pixel, c, VEC_WIDTH, to, plane);
    if (c < chunk) transform_vector(pixel, c, chunk - c, to, plane);
}

static int64_t chunk_at(const Winograd *w, int64_t c)
{
    return smaller(WINOGRAD_CHUNK, w->conv->shape.channels - c);
}

/* The transformed inputs of a block of the group, from channel c on: [plane][tile][channel of the chunk]. */
static float *inputs_at(const Winograd *w, int64_t block, int64_t c)
{
    return w->inputs + block * w->block_floats + c / WINOGRAD_CHUNK * PLANES * w->plane_in;
}

static void block_range(const Winograd *w, int64_t block, int64_t *first, int64_t *end)
{
    cut(w->tiles, w->tile_blocks, 1, w->first + block, first, end);
}

static void inputs_part(void *state, int64_t part)
{
    static const float zeros[WINOGRAD_CHUNK];
    const Winograd *w = state;
    const int64_t block = part % w->blocks, c = part / w->blocks * WINOGRAD_CHUNK, chunk = chunk_at(w, c);
    float *to = inputs_at(w, block, c);
    int64_t first, end;
    block_range(w, block, &first, &end);
    for (int64_t t = first; t < end; t++, to += chunk) {
        const float *pixel[PLANES];
        tile_pixels(w->conv, tile_at(w, t), c, zeros, pixel);
        transform_tile(pixel, chunk, to, w->plane_in);
    }
}

/* ---- Second pass: products ---- */

/* The weights of `columns` outputs of panel p and channels c … c + chunk − 1: [plane][channel][output]. */
static void transform_weights(const Winograd *w, int64_t p, int64_t columns, int64_t c, int64_t chunk, float *to)
{
    const PackedShape *shape = &w->conv->shape;
    for (int64_t end = c + chunk; c < end; c++)
        for (int64_t j = 0; j < columns; j += VEC_WIDTH, to += VEC_WIDTH) {
            const int64_t start = c / shape->chunk * shape->chunk, length = smaller(shape->chunk, shape->channels - start);
            const int64_t at = p * shape->row_panel + (start * 9 + c - start) * columns + j, tap = length * columns;
            Vec half[6][3], out[6], g[9];
            UNROLL for (int t = 0; t < 9; t++) g[t] = v_load_as(shape->dtype, w->conv->w, at + t * tap);
            UNROLL for (int q = 0; q < 3; q++)
            {
                to_weights(g[q], g[3 + q], g[6 + q], out);
                UNROLL for (int i = 0; i < 6; i++) half[i][q] = out[i];
            }
            UNROLL for (int i = 0; i < 6; i++)
            {
                to_weights(half[i][0], half[i][1], half[i][2], out);
                UNROLL for (int q = 0; q < 6; q++) v_store(to + (i * 6 + q) * w->plane_weights, out[q]);
            }
        }
}

/* sums[plane][panel][tile][output of the panel] of a block of tiles and panels first … end − 1. */
static void plane_sums(const Winograd *w, int64_t block, int64_t count, int64_t first, int64_t end, float *sums, float *weights)
{
    int64_t at[WINOGRAD_CELLS / PANEL_COLUMNS];
    for (int64_t c = 0; c < w->conv->shape.channels; c += WINOGRAD_CHUNK) {
        const int64_t chunk = chunk_at(w, c);
        const float *inputs = inputs_at(w, block, c);
        const Run run = {1, 0, chunk};
        for (int64_t t = 0; t < count; t++) at[t] = t * chunk;
        for (int64_t p = first; p < end; p++) {
            const int64_t columns = packed_columns(&panel_shape, &w->conv->shape, p);
            transform_weights(w, p, columns, c, chunk, weights + (p - first) * WINOGRAD_CHUNK * PANEL_COLUMNS);
        }
        for (int64_t plane = 0; plane < PLANES; plane++)
            for (int64_t p = first; p < end; p++) {
                const int64_t columns = packed_columns(&panel_shape, &w->conv->shape, p);
                multiply(inputs + plane * w->plane_in, at, count, &run,
                         weights + plane * w->plane_weights + (p - first) * WINOGRAD_CHUNK * PANEL_COLUMNS, columns,
                         sums + plane * w->plane_sums + (p - first) * w->block_tiles * PANEL_COLUMNS, columns, c > 0);
            }
    }
}

/* The 4×4 outputs of a tile, `columns` of them each, `lines` × `width` of which exist, side by side from `to` on. */
static void transform_back(const float *sums, int64_t plane, int64_t columns, int64_t lines, int64_t width, float *to)
{
    for (int64_t j = 0; j < columns; j += VEC_WIDTH) {
        Vec half[4][6], m[6], out[4];
        UNROLL for (int q = 0; q < 6; q++)
        {
            UNROLL for (int p = 0; p < 6; p++) m[p] = v_load(sums + (p * 6 + q) * plane + j);
            to_outputs(m, out);
            UNROLL for (int p = 0; p < 4; p++) half[p][q] = out[p];
        }
        for (int64_t p = 0; p < lines; p++) {
            to_outputs(half[p], out);
            for (int64_t q = 0; q < width; q++) v_store(to + (p * width + q) * columns + j, out[q]);
        }
    }
}

/* Tiles t … end − 1 of a block (`first` its first one) back to pixels, and out through the store. */
static void store_tiles(const Winograd *w, const float *sums, int64_t first, int64_t t, int64_t end, int64_t panel,
                        int64_t panel_end)
{
    _Alignas(64) float pixels[BLOCK_FLOATS];
    int64_t y_at[BLOCK_ROWS], residual_at[BLOCK_ROWS], channels_at[BLOCK_ROWS], count = 0;
    const Conv *conv = w->conv;
    for (; t < end; t++) {
        const TileAt at = tile_at(w, t);
        const Area area = {
            at.image, at.image + 1, at.i, smaller(at.i + 4, conv->out_height), at.j, smaller(at.j + 4, conv->out_width)};
        const int64_t lines = area.i_end - area.i, width = area.j_end - area.j;
        for (int64_t p = panel; p < panel_end; p++) {
            const int64_t columns = packed_columns(&panel_shape, &conv->shape, p);
            transform_back(sums + (p - panel) * w->block_tiles * PANEL_COLUMNS + (t - first) * columns, w->plane_sums, columns,
                           lines, width, pixels + (p - panel) * BLOCK_ROWS * PANEL_COLUMNS + count * columns);
        }
        pixel_offsets(conv->y, &area, y_at + count);
        if (conv->store.residual) pixel_offsets(conv->residual, &area, residual_at + count);
        for (int64_t i = 0; i < lines * width; i++) channels_at[count + i] = at.image * conv->store.channels_stride;
        count += lines * width;
    }
    const Block block = {pixels, count, BLOCK_ROWS * PANEL_COLUMNS, y_at, residual_at, channels_at};
    store_block(&conv->store, &block, panel, panel_end - panel, NULL);
}

/* As many slots as threads, so one is always free; which one a part gets changes nothing in its result. */
static int take_slot(Winograd *w)
{
    for (;;) {
        uint64_t busy = atomic_load(&w->busy);
        for (int i = 0; i < w->slot_count; i++) {
            const uint64_t bit = UINT64_C(1) << i;
            if (!(busy & bit) && !(atomic_fetch_or(&w->busy, bit) & bit)) return i;
        }
    }
}

static void products_part(void *state, int64_t part)
{
    Winograd *w = state;
    const int64_t block = part % w->blocks, panels = w->columns / PANEL_COLUMNS;
    const int64_t panel = part / w->blocks * panels, panel_end = smaller(panel + panels, w->conv->shape.panels);
    int64_t first, end;
    block_range(w, block, &first, &end);
    const int slot = take_slot(w);
    float *sums = w->slots + slot * w->slot_floats, *weights = sums + PLANES * w->plane_sums;
    plane_sums(w, block, end - first, panel, panel_end, sums, weights);
    for (int64_t t = first; t < end; t += STORE_TILES)
        store_tiles(w, sums, first, t, smaller(end, t + STORE_TILES), panel, panel_end);
    atomic_fetch_and(&w->busy, ~(UINT64_C(1) << slot));
}

/* ---- The whole ---- */

static bool winograd_pays(const Op *op)
{
    const Conv2dAttrs *window = op->kind == OP_CONV2D_FUSED ? &((const Conv2dFusedAttrs *)op->attributes)->conv : op->attributes;
    const View *x = &op->in[0], *w = &op->in[1], *y = &op->out;
    const int64_t tiles = y->dim[0] * divide_up(y->dim[2], 4) * divide_up(y->dim[3], 4);
    return w->dim[2] == 3 && w->dim[3] == 3 && window->stride == 1 && x->stride[1] == 1 && x->dim[1] >= WINOGRAD_CHUNK &&
           y->dim[1] >= WINOGRAD_CHUNK && tiles >= WINOGRAD_TILES && tiles * 16 <= 2 * y->dim[0] * y->dim[2] * y->dim[3];
}

static void winograd_cut(Winograd *w, const View *y, int64_t channels, int64_t panels, int threads)
{
    w->down = divide_up(y->dim[2], 4);
    w->across = divide_up(y->dim[3], 4);
    w->tiles = y->dim[0] * w->down * w->across;
    w->columns = PANEL_COLUMNS * 2 > 64 || w->tiles * 64 <= WINOGRAD_CELLS ? 64 : 32;
    w->column_blocks = divide_up(panels * PANEL_COLUMNS, w->columns);
    w->tile_blocks = divide_up(w->tiles, WINOGRAD_CELLS / w->columns);
    w->block_tiles = divide_up(w->tiles, w->tile_blocks);
    w->plane_in = w->block_tiles * WINOGRAD_CHUNK + PLANE_PAD;
    w->plane_weights = WINOGRAD_CHUNK * w->columns + PLANE_PAD;
    w->plane_sums = w->block_tiles * w->columns + PLANE_PAD;
    w->block_floats = divide_up(channels, WINOGRAD_CHUNK) * PLANES * w->plane_in;
    w->group = smaller(w->tile_blocks, 1 + WINOGRAD_INPUTS / w->block_floats);
    w->slot_floats = PLANES * (w->plane_sums + w->plane_weights);
    w->slot_count = threads < 64 ? threads : 64;
}

static size_t winograd_scratch(const Op *op, int threads)
{
    Winograd w = {0};
    winograd_cut(&w, &op->out, op->in[0].dim[1], divide_up(op->out.dim[1], PANEL_COLUMNS), threads);
    return (size_t)(w.group * w.block_floats + w.slot_count * w.slot_floats) * sizeof(float);
}

static void winograd_run(const Call *call, const Conv *conv, float *scratch)
{
    Winograd w = {.conv = conv, .inputs = scratch};
    winograd_cut(&w, conv->y, conv->shape.channels, conv->shape.panels, call->workers->threads);
    w.slots = w.inputs + w.group * w.block_floats;
    for (w.first = 0; w.first < w.tile_blocks; w.first += w.group) {
        w.blocks = smaller(w.group, w.tile_blocks - w.first);
        cpu_each(call, w.blocks * divide_up(conv->shape.channels, WINOGRAD_CHUNK), inputs_part, &w);
        cpu_each(call, w.blocks * w.column_blocks, products_part, &w);
    }
}
