/* tiles.c: see tiles.h. Sums are host arrays in f32, tile after tile in reading order, so the result is the same for any number
 * of threads. */
#include "nodes/diffusion/tiles.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"

/* Tile number i along an axis; the last one is shorter, not shifted. */
typedef struct Piece {
    int64_t at, length;
} Piece;

/* Where results are summed. */
typedef struct Canvas {
    int64_t channels, height, width;
    float *sum, *weight; /* [channels, height, width], [height, width] */
} Canvas;

static int64_t tiles_along(int64_t tile, int64_t overlap, int64_t size)
{
    const int64_t step = tile - overlap;
    return size <= tile ? 1 : (size - overlap + step - 1) / step;
}

static Piece tiles_piece(int64_t tile, int64_t overlap, int64_t size, int64_t i)
{
    if (size <= tile) return (Piece){0, size};
    Piece piece = {i * (tile - overlap), tile};
    if (piece.at > size - overlap) piece.at = size - overlap;
    if (piece.length > size - piece.at) piece.length = size - piece.at;
    return piece;
}

int64_t tiles_count(const Tiles *tiles, int64_t height, int64_t width)
{
    return tiles_along(tiles->height, tiles->overlap, height) * tiles_along(tiles->width, tiles->overlap, width);
}

/* The ramps of one axis at one place; none where they would fill the tile. */
static float tiles_ramp(int64_t at, int64_t size, int64_t feather)
{
    float weight = 1;
    if (feather >= size) return weight;
    if (at < feather) weight *= (float)(at + 1) / (float)feather;
    if (size - 1 - at < feather) weight *= (float)(size - at) / (float)feather;
    return weight;
}

/* Adds a tile's result at (top, left). */
static void tiles_add(const Canvas *canvas, const float *data, int64_t top, int64_t left, int64_t height, int64_t width,
                      int64_t feather)
{
    for (int64_t y = 0; y < height && top + y < canvas->height; y++) {
        const float row = tiles_ramp(y, height, feather);
        for (int64_t x = 0; x < width && left + x < canvas->width; x++) {
            const float weight = row * tiles_ramp(x, width, feather);
            const int64_t to = (top + y) * canvas->width + left + x;
            canvas->weight[to] += weight;
            for (int64_t c = 0; c < canvas->channels; c++)
                canvas->sum[c * canvas->height * canvas->width + to] += data[(c * height + y) * width + x] * weight;
        }
    }
}

static NodusStatus tiles_one(const Tiles *tiles, const NodusTensor *x, Piece y, Piece z, const Canvas *canvas)
{
    NodusTensor *rows, *tile, *result;
    const float *data;
    NODUS_TRY(nodus_tensor_slice(tiles->math, &rows, x, 2, y.at, y.length));
    NODUS_TRY(nodus_tensor_slice(tiles->math, &tile, rows, 3, z.at, z.length));
    NODUS_TRY(tiles->each(tiles->context, tile, &result));
    NODUS_TRY(nodus_tensor_map_f32(tiles->math, result, &data));
    const int64_t feather = (tiles->overlap * tiles->up + tiles->down / 2) / tiles->down;
    tiles_add(canvas, data, y.at * tiles->up / tiles->down, z.at * tiles->up / tiles->down, nodus_tensor_dim(result, 2),
              nodus_tensor_dim(result, 3), feather);
    nodus_tensor_release(tiles->math, result);
    nodus_tensor_release(tiles->math, tile);
    nodus_tensor_release(tiles->math, rows);
    return NULL;
}

static NodusStatus tiles_all(const Tiles *tiles, const NodusTensor *x, const Canvas *canvas, NodusTensor **out)
{
    const int64_t height = nodus_tensor_dim(x, 2), width = nodus_tensor_dim(x, 3), area = canvas->height * canvas->width;
    if (!canvas->sum || !canvas->weight) return status_memory();
    const int64_t down = tiles_along(tiles->height, tiles->overlap, height),
                  across = tiles_along(tiles->width, tiles->overlap, width);
    for (int64_t i = 0; i < down * across; i++)
        NODUS_TRY(tiles_one(tiles, x, tiles_piece(tiles->height, tiles->overlap, height, i / across),
                            tiles_piece(tiles->width, tiles->overlap, width, i % across), canvas));
    for (int64_t i = 0; i < canvas->channels * area; i++) canvas->sum[i] /= canvas->weight[i % area];
    return nodus_tensor_from_f32(tiles->math, out, 4, (int64_t[]){1, canvas->channels, canvas->height, canvas->width},
                                 canvas->sum);
}

NodusStatus tiles_run(const Tiles *tiles, const NodusTensor *x, int64_t channels, NodusTensor **out)
{
    const int64_t height = nodus_tensor_dim(x, 2), width = nodus_tensor_dim(x, 3);
    if (height <= tiles->height && width <= tiles->width) return tiles->each(tiles->context, x, out);
    Canvas canvas = {channels, height * tiles->up / tiles->down, width * tiles->up / tiles->down, NULL, NULL};
    canvas.sum = memory_array((size_t)(channels * canvas.height * canvas.width), sizeof *canvas.sum);
    canvas.weight = memory_array((size_t)(canvas.height * canvas.width), sizeof *canvas.weight);
    NodusStatus status = tiles_all(tiles, x, &canvas, out);
    memory_free(canvas.sum);
    memory_free(canvas.weight);
    return status;
}
