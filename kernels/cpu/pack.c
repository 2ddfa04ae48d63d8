/* pack.c: weights in the order in which the kernels read them.
 *
 * One idea: a matrix product reads, for a few columns at a time, one row after another; so the columns are cut into panels and a
 * panel is stored row by row. Rows are (chunk of input channels, tap, channel): what convolutions of one tile need lies together.
 * Elements keep their stored type, but for two: f64 becomes f32, and an 8-bit float the f16 of equal value; a kernel widens a piece of a
 * panel just before it multiplies with it. */
#include <emmintrin.h>
#include <string.h>
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/rows.h"

int packed_dtype(int dtype)
{
    if (dtype == DTYPE_F8_E4M3 || dtype == DTYPE_F8_E5M2) return DTYPE_F16;
    return dtype == DTYPE_F16 || dtype == DTYPE_BF16 ? dtype : DTYPE_F32;
}

/* 8-bit floats as f16. A subnormal of e4m3 is normal there: its leading bit becomes the hidden one. */
static uint16_t half_of_e4m3(uint8_t byte)
{
    static const uint16_t subnormal[8] = {0, 0x1800, 0x1C00, 0x1E00, 0x2000, 0x2100, 0x2200, 0x2300};
    const unsigned size = byte & 127u, sign = (byte & 128u) << 8;
    return (uint16_t)(sign | (size == 127 ? 0x7E00 : size < 8 ? subnormal[size] : (size << 7) + (8u << 10)));
}

static uint16_t half_of_e5m2(uint8_t byte)
{
    return (uint16_t)(byte << 8);
}

PackedShape packed_shape(const PanelShape *panel, const View *weight, bool two_halves)
{
    PackedShape shape = {.halves = two_halves ? 2 : 1, .dtype = packed_dtype(weight->dtype), .taps = 1};
    shape.outputs = weight->dim[0] / shape.halves;
    shape.channels = weight->dim[1];
    for (int i = 2; i < weight->rank; i++) shape.taps *= weight->dim[i];
    shape.chunk = panel->depth / shape.taps;
    if (shape.taps == 1 || shape.chunk > shape.channels) shape.chunk = shape.channels;
    if (shape.chunk < 1) shape.chunk = 1;
    shape.panels = divide_up(shape.outputs, panel->columns);
    shape.row_panel = shape.channels * shape.taps * panel->columns;
    const int64_t last = shape.panels ? packed_columns(panel, &shape, shape.panels - 1) : 0;
    shape.half = shape.channels * shape.taps * ((shape.panels - 1) * panel->columns + last);
    return shape;
}

int64_t packed_columns(const PanelShape *panel, const PackedShape *shape, int64_t p)
{
    const int64_t left = shape->outputs - p * panel->columns;
    return left >= panel->columns ? panel->columns : divide_up(left, panel->vector) * panel->vector;
}

size_t packed_bytes(const PanelShape *panel, const View *weight, bool two_halves)
{
    const PackedShape shape = packed_shape(panel, weight, two_halves);
    return (size_t)(shape.half * shape.halves) * dtype_size(shape.dtype);
}

/* Some outputs of a panel, side by side from `to` on: `from` holds them one after another, `count` of them, the other columns are
 * zero. */
typedef struct Strip {
    const PackedShape *shape;
    const void *from;
    void *to;
    int64_t count, columns; /* of the strip, of the panel */
} Strip;

/* The row of a chunk's `length` channels that takes number k of the run (channel, tap) in the file. */
static int64_t row_of(const PackedShape *shape, int64_t k, int64_t length)
{
    return k % shape->taps * length + k / shape->taps;
}

/* Numbers k … end − 1 of a chunk whose first number in the file is `first`, one by one, for each kind of element. */
#define DEFINE_PACK_SLOWLY(name, From, To, convert)                                                \
    static void name(const Strip *s, int64_t first, int64_t k, int64_t end, int64_t length)       \
    {                                                                                             \
        const From *from = (const From *)s->from + first;                                         \
        const int64_t step = s->shape->channels * s->shape->taps;                                 \
        for (; k < end; k++) {                                                                    \
            To *to = (To *)s->to + first * s->columns + row_of(s->shape, k, length) * s->columns; \
            for (int64_t j = 0; j < s->count; j++) to[j] = (To)convert(from[j * step + k]);       \
        }                                                                                         \
    }
DEFINE_PACK_SLOWLY(pack_slowly_16, uint16_t, uint16_t, )
DEFINE_PACK_SLOWLY(pack_slowly_32, float, float, )
DEFINE_PACK_SLOWLY(pack_slowly_64, double, float, )
DEFINE_PACK_SLOWLY(pack_slowly_e4m3, uint8_t, uint16_t, half_of_e4m3)
DEFINE_PACK_SLOWLY(pack_slowly_e5m2, uint8_t, uint16_t, half_of_e5m2)

/* Eight registers of eight: rows become columns. */
static void transpose_8x8(__m128i *r)
{
    __m128i a[8], b[8];
    for (int i = 0; i < 4; i++) {
        a[2 * i] = _mm_unpacklo_epi16(r[i], r[i + 4]);
        a[2 * i + 1] = _mm_unpackhi_epi16(r[i], r[i + 4]);
    }
    for (int i = 0; i < 4; i++) {
        b[2 * i] = _mm_unpacklo_epi16(a[i], a[i + 4]);
        b[2 * i + 1] = _mm_unpackhi_epi16(a[i], a[i + 4]);
    }
    for (int i = 0; i < 4; i++) {
        r[2 * i] = _mm_unpacklo_epi16(b[i], b[i + 4]);
        r[2 * i + 1] = _mm_unpackhi_epi16(b[i], b[i + 4]);
    }
}

/* Eight outputs of two bytes, in squares of eight by eight: this is nearly all there is to pack in a checkpoint. */
static void pack_eight_16(const Strip *s, int64_t first, int64_t length)
{
    const uint16_t *from = (const uint16_t *)s->from + first;
    uint16_t *to = (uint16_t *)s->to + first * s->columns;
    const int64_t step = s->shape->channels * s->shape->taps, end = length * s->shape->taps;
    int64_t k = 0, channel = 0, tap = 0;
    for (; k + 8 <= end; k += 8) {
        __m128i square[8];
        for (int i = 0; i < 8; i++) square[i] = _mm_loadu_si128((const __m128i *)(const void *)(from + i * step + k));
        transpose_8x8(square);
        for (int i = 0; i < 8; i++) {
            _mm_storeu_si128((__m128i *)(void *)(to + (tap * length + channel) * s->columns), square[i]);
            if (++tap == s->shape->taps) tap = 0, channel++;
        }
    }
    pack_slowly_16(s, first, k, end, length);
}

static void pack_strip(const Strip *s, int from_dtype, int64_t first, int64_t length)
{
    const int64_t end = length * s->shape->taps;
    if (from_dtype == DTYPE_F8_E4M3) pack_slowly_e4m3(s, first, 0, end, length);
    else if (from_dtype == DTYPE_F8_E5M2) pack_slowly_e5m2(s, first, 0, end, length);
    else if (s->shape->dtype != DTYPE_F32 && s->count == 8) pack_eight_16(s, first, length);
    else if (s->shape->dtype != DTYPE_F32) pack_slowly_16(s, first, 0, end, length);
    else if (from_dtype == DTYPE_F64) pack_slowly_64(s, first, 0, end, length);
    else pack_slowly_32(s, first, 0, end, length);
}

/* `outputs` outputs from `from` on as a panel of `columns`. */
static void pack_panel(const PackedShape *shape, int from_dtype, const uint8_t *from, int64_t outputs, int64_t columns,
                       uint8_t *to)
{
    const size_t size = dtype_size(shape->dtype), output_bytes = (size_t)(shape->channels * shape->taps) * dtype_size(from_dtype);
    if (outputs < columns) memset(to, 0, (size_t)(shape->channels * shape->taps * columns) * size);
    for (int64_t start = 0; start < shape->channels; start += shape->chunk)
        for (int64_t j = 0; j < outputs; j += 8) {
            const Strip strip = {shape, from + (size_t)j * output_bytes, to + (size_t)j * size, smaller(8, outputs - j), columns};
            pack_strip(&strip, from_dtype, start * shape->taps, smaller(shape->chunk, shape->channels - start));
        }
}

void pack_weight(const PanelShape *panel, const View *weight, bool two_halves, void *to)
{
    const PackedShape shape = packed_shape(panel, weight, two_halves);
    const size_t from_size = dtype_size(weight->dtype), to_size = dtype_size(shape.dtype);
    for (int64_t half = 0; half < shape.halves; half++)
        for (int64_t p = 0; p < shape.panels; p++) {
            const int64_t first = p * panel->columns, outputs = smaller(panel->columns, shape.outputs - first);
            const int64_t from = (half * shape.outputs + first) * shape.channels * shape.taps;
            pack_panel(&shape, weight->dtype, (const uint8_t *)weight->data + (size_t)from * from_size, outputs,
                       packed_columns(panel, &shape, p),
                       (uint8_t *)to + (size_t)(half * shape.half + p * shape.row_panel) * to_size);
        }
}
