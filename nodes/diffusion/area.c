/* area.c: see area.h. The bounds of a mask and the fading edge are found in host memory: they are small, and made once a
 * sampling. */
#include "nodes/diffusion/area.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include <math.h>

enum { SMALLEST = 8 /* cells a side of a mask's bounds */, FADE = 8 /* cells, at most */ };

NodusStatus area_mask(NodusMath *math, const NodusTensor *mask, const Box *picture, NodusTensor **out)
{
    const int64_t height = nodus_tensor_dim(mask, -2), width = nodus_tensor_dim(mask, -1), plane = height * width;
    const int64_t items = plane ? nodus_tensor_count(mask) / plane : 0;
    NodusTensor *planes;
    if (items < 1) return nodus_error(NODUS_ERROR_INPUT, "the mask is empty");
    NODUS_TRY(nodus_tensor_reshape(math, &planes, mask, 4, (int64_t[]){items, 1, height, width}));
    return nodus_tensor_resize(math, out, planes, picture->height, picture->width, NODUS_BILINEAR);
}

/* ---- Rectangles ---------------------------------------------------------------------------------------------------- */

/* Numbers from a workflow, within what a picture could have. */
static int64_t cells(double value)
{
    return (int64_t)fmin(fmax(value, 0), 1 << 30);
}

static Box area_part(const CondArea *area, const Box *picture)
{
    const double height = (double)picture->height, width = (double)picture->width;
    return (Box){cells(fmax(1, rint(area->height * height))), cells(fmax(1, rint(area->width * width))),
                 cells(rint(area->y * height)), cells(rint(area->x * width))};
}

/* Around all cells in which any item of the mask is not 0. */
static NodusStatus area_bounds(NodusMath *math, const NodusTensor *mask, const Box *picture, Box *out)
{
    const float *data;
    int64_t top = picture->height, bottom = -1, left = picture->width, right = -1;
    NODUS_TRY(nodus_tensor_map_f32(math, mask, &data));
    for (int64_t i = 0; i < nodus_tensor_count(mask); i++) {
        const int64_t x = i % picture->width, y = i / picture->width % picture->height;
        if (data[i] == 0) continue;
        top = y < top ? y : top;
        bottom = y > bottom ? y : bottom;
        left = x < left ? x : left;
        right = x > right ? x : right;
    }
    if (bottom < 0) top = left = 0; /* an empty mask */
    out->height = bottom - top + 1 < SMALLEST ? SMALLEST : bottom - top + 1;
    out->width = right - left + 1 < SMALLEST ? SMALLEST : right - left + 1;
    out->y = top;
    out->x = left;
    return NULL;
}

NodusStatus area_of(NodusMath *math, const Cond *cond, const NodusTensor *mask, const Box *picture, Box *out, bool *boxed)
{
    const CondArea *area = &cond->area;
    *boxed = true;
    if (mask && (cond->has & COND_MASK_BOUNDS)) return area_bounds(math, mask, picture, out);
    *boxed = cond->has & COND_AREA;
    if (!*boxed) *out = *picture;
    else if (area->part) *out = area_part(area, picture);
    else *out = (Box){cells(area->height), cells(area->width), cells(area->y), cells(area->x)};
    return NULL;
}

bool area_clip(Box *box, const Box *picture)
{
    if (box->height > picture->height - box->y) box->height = picture->height - box->y;
    if (box->width > picture->width - box->x) box->width = picture->width - box->x;
    return box->height > 0 && box->width > 0;
}

/* ---- Weights ------------------------------------------------------------------------------------------------------- */

/* line[0 …] fades in from the edges that lie within the picture. */
static void fade(float *line, int64_t size, int64_t offset, int64_t picture)
{
    const int64_t steps = size / 4 < FADE ? size / 4 : FADE;
    for (int64_t i = 0; i < size; i++) line[i] = 1;
    for (int64_t i = 0; i < steps; i++) {
        const float share = (float)(1.0 / (double)steps * (double)(i + 1));
        if (offset > 0) line[i] *= share;
        if (offset + size < picture) line[size - 1 - i] *= share;
    }
}

static NodusStatus area_fade(NodusMath *math, const Box *box, const Box *picture, NodusTensor **out)
{
    float *rows = memory_array((size_t)(box->height + box->width), sizeof *rows);
    NodusTensor *down = NULL, *across = NULL, *ones = NULL, *high = NULL;
    if (!rows) return status_memory();
    fade(rows, box->height, box->y, picture->height);
    fade(rows + box->height, box->width, box->x, picture->width);
    NodusStatus status = nodus_tensor_from_f32(math, &down, 4, (int64_t[]){1, 1, box->height, 1}, rows);
    if (!status) status = nodus_tensor_from_f32(math, &across, 4, (int64_t[]){1, 1, 1, box->width}, rows + box->height);
    memory_free(rows);
    if (status) return status;
    NODUS_TRY(nodus_tensor_fill(math, &ones, 4, (int64_t[]){1, 1, box->height, box->width}, 1));
    NODUS_TRY(nodus_tensor_mul(math, &high, ones, down));
    return nodus_tensor_mul(math, out, high, across);
}

NodusStatus area_weight(NodusMath *math, const Cond *cond, const NodusTensor *mask, bool boxed, const Box *box,
                        const Box *picture, int64_t batch, NodusTensor **out)
{
    NodusTensor *part, *weight;
    if (mask) {
        NODUS_TRY(area_crop(math, mask, box, &part));
        NODUS_TRY(nodus_tensor_affine(math, &weight, part, (float)cond->mask_strength, 0));
    } else if (boxed) {
        NODUS_TRY(area_fade(math, box, picture, &weight));
    } else {
        NODUS_TRY(nodus_tensor_fill(math, &weight, 4, (int64_t[]){1, 1, box->height, box->width}, 1));
    }
    NODUS_TRY(nodus_tensor_affine(math, &part, weight, (float)cond->strength, 0));
    return nodus_tensor_repeat(math, out, part, batch);
}

/* ---- Parts of pictures --------------------------------------------------------------------------------------------- */

NodusStatus area_crop(NodusMath *math, const NodusTensor *x, const Box *box, NodusTensor **out)
{
    NodusTensor *rows;
    NODUS_TRY(nodus_tensor_slice(math, &rows, x, 2, box->y, box->height));
    NODUS_TRY(nodus_tensor_slice(math, out, rows, 3, box->x, box->width));
    nodus_tensor_release(math, rows);
    return NULL;
}

/* Zeros before and behind x along an axis. */
static NodusStatus area_pad(NodusMath *math, const NodusTensor *x, int axis, int64_t before, int64_t behind, NodusTensor **out)
{
    const int64_t zeros[] = {before, behind};
    NodusTensor *side[] = {NULL, NULL};
    const NodusTensor *all[3];
    int count = 0;
    for (int i = 0; i < 2; i++) {
        int64_t dim[4];
        for (int k = 0; k < 4; k++) dim[k] = nodus_tensor_dim(x, k);
        dim[axis] = zeros[i];
        if (zeros[i]) NODUS_TRY(nodus_tensor_fill(math, &side[i], 4, dim, 0));
    }
    if (side[0]) all[count++] = side[0];
    all[count++] = x;
    if (side[1]) all[count++] = side[1];
    NODUS_TRY(nodus_tensor_concat(math, out, axis, count, all));
    nodus_tensor_release(math, side[0]);
    nodus_tensor_release(math, side[1]);
    return NULL;
}

NodusStatus area_paste(NodusMath *math, const NodusTensor *x, const Box *box, const Box *picture, NodusTensor **out)
{
    NodusTensor *rows;
    NODUS_TRY(area_pad(math, x, 3, box->x, picture->width - box->x - box->width, &rows));
    NODUS_TRY(area_pad(math, rows, 2, box->y, picture->height - box->y - box->height, out));
    nodus_tensor_release(math, rows);
    return NULL;
}
