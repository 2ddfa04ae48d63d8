/* latent_preview.c: one matrix a family; see latent_preview.h. For eyes only: nothing is computed from it. */
#include "nodes/diffusion/latent_preview.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include <string.h>

enum { COLOURS = 3, MOST_CHANNELS = 4 };

typedef struct PreviewMap {
    Family family;
    int channels;
    float weight[MOST_CHANNELS][COLOURS], bias[COLOURS];
} PreviewMap;

#define MAP_SD {{.3512f, .2297f, .3227f}, {.3250f, .4974f, .2350f}, {-.2829f, .1762f, .2721f}, {-.2120f, -.2616f, -.7177f}}, {0}
#define MAP_SDXL                                                                                                              \
    {{.3651f, .4232f, .4341f}, {-.2533f, -.0042f, .1068f}, {.1076f, .1111f, -.0362f}, {-.3165f, -.2492f, -.2188f}}, \
    {                                                                                                                         \
        .1084f, -.0175f, -.0011f                                                                                              \
    }
static const PreviewMap maps[] = {
    {FAMILY_SD1, 4, MAP_SD},
    {FAMILY_SD2, 4, MAP_SD},
    {FAMILY_SDXL, 4, MAP_SDXL},
    {FAMILY_SDXL_REFINER, 4, MAP_SDXL},
};

static float clamp(float value)
{
    return value < 0 ? 0 : value > 1 ? 1 : value; /* NaN, in a run that went wrong, passes: whoever shows it decides */
}

static void map_pixels(const PreviewMap *map, const float *latent, int64_t cells, float *rgb)
{
    for (int64_t i = 0; i < cells; i++)
        for (int c = 0; c < COLOURS; c++) {
            float sum = map->bias[c];
            for (int k = 0; k < map->channels; k++) sum += latent[k * cells + i] * map->weight[k][c];
            rgb[i * COLOURS + c] = clamp((sum + 1) / 2);
        }
}

NodusStatus latent_preview(NodusMath *math, Family family, const NodusTensor *latent, NodusTensor **out)
{
    const PreviewMap *map = NULL;
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++)
        if (maps[i].family == family) map = &maps[i];
    *out = NULL;
    if (!map || nodus_tensor_rank(latent) != 4 || nodus_tensor_dim(latent, 1) != map->channels) return NULL;
    const int64_t height = nodus_tensor_dim(latent, 2), width = nodus_tensor_dim(latent, 3);
    const float *values;
    NODUS_TRY(nodus_tensor_map_f32(math, latent, &values));
    float *rgb = memory_array((size_t)(height * width), COLOURS * sizeof *rgb);
    if (!rgb) return status_memory();
    map_pixels(map, values, height * width, rgb);
    NodusStatus status = nodus_tensor_from_f32(math, out, 3, (int64_t[]){height, width, COLOURS}, rgb);
    memory_free(rgb);
    return status;
}
