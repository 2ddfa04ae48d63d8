/* sd15.c: the shapes of Stable Diffusion 1.5, written down as the networks are built: UNet (Rombach et al. 2022), KL-VAE, CLIP-L
 * text tower; and numbers by the formula of numerics.md §17.
 *
 * One idea: `nodus bench` measures the networks that people have, so it needs their shapes, but no file. The formula scales each
 * tensor by its fan-in, so that activations stay near one; random bits would not. */
#include "engine/cli/sd15.h"
#include "engine/cli/say.h"
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum {
    UNET_WIDTH = 320,
    TIME_WIDTH = 1280,
    CONTEXT = 768,
    LEVELS = 4,
    VAE_WIDTH = 128,
    LATENT = 4,
    TOKENS = 49408,
    POSITIONS = 77,
    LAYERS = 12
};
static const int multiple[LEVELS] = {1, 2, 4, 4};

/* A list being filled; names begin with the part's prefix. */
typedef struct Part {
    Sd15 *list;
    const char *prefix;
} Part;

static void add(const Part *part, int rank, const int64_t *dim, const char *name, const char *end)
{
    Sd15 *list = part->list;
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? 2 * list->capacity : 256;
        list->item = need(realloc(list->item, (size_t)list->capacity * sizeof *list->item));
    }
    Sd15Tensor *tensor = &list->item[list->count++];
    *tensor = (Sd15Tensor){.name = format_text("%s%s%s", part->prefix, name, end), .rank = rank};
    memcpy(tensor->dim, dim, (size_t)rank * sizeof *dim);
}

/* ---- Layers -------------------------------------------------------------------------------------------------------- */

static void matrix(const Part *part, const char *name, int64_t out, int64_t in)
{
    add(part, 2, (int64_t[]){out, in}, name, ".weight");
}

static void linear(const Part *part, const char *name, int64_t out, int64_t in)
{
    matrix(part, name, out, in);
    add(part, 1, &out, name, ".bias");
}

static void conv(const Part *part, const char *name, int64_t out, int64_t in, int64_t side)
{
    add(part, 4, (int64_t[]){out, in, side, side}, name, ".weight");
    add(part, 1, &out, name, ".bias");
}

static void norm(const Part *part, const char *name, int64_t width)
{
    add(part, 1, &width, name, ".weight");
    add(part, 1, &width, name, ".bias");
}

/* A part below this one: its names begin with the formatted text. The prefix lives as long as `room`. */
static Part inner(const Part *part, char room[128], const char *format, ...) NODUS_PRINTF(3, 4);
static Part inner(const Part *part, char room[128], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int used = snprintf(room, 128, "%s", part->prefix);
    vsnprintf(room + used, (size_t)(128 - used), format, args);
    va_end(args);
    return (Part){part->list, room};
}

/* ---- UNet ---------------------------------------------------------------------------------------------------------- */

static void unet_block(const Part *at, int64_t in, int64_t out)
{
    norm(at, "in_layers.0", in);
    conv(at, "in_layers.2", out, in, 3);
    linear(at, "emb_layers.1", out, TIME_WIDTH);
    norm(at, "out_layers.0", out);
    conv(at, "out_layers.3", out, out, 3);
    if (in != out) conv(at, "skip_connection", out, in, 1);
}

static void unet_attention(const Part *at, int64_t width, int64_t from)
{
    matrix(at, "to_q", width, width);
    matrix(at, "to_k", width, from);
    matrix(at, "to_v", width, from);
    linear(at, "to_out.0", width, width);
}

static void unet_transformer(const Part *at, int64_t width)
{
    char room[128];
    norm(at, "norm", width);
    conv(at, "proj_in", width, width, 1);
    conv(at, "proj_out", width, width, 1);
    Part part = inner(at, room, "transformer_blocks.0.attn1.");
    unet_attention(&part, width, width);
    part = inner(at, room, "transformer_blocks.0.attn2.");
    unet_attention(&part, width, CONTEXT);
    part = inner(at, room, "transformer_blocks.0.");
    linear(&part, "ff.net.0.proj", 8 * width, width);
    linear(&part, "ff.net.2", width, 4 * width);
    norm(&part, "norm1", width);
    norm(&part, "norm2", width);
    norm(&part, "norm3", width);
}

/* Input blocks; leaves the widths that the way up gets back in `skip`. */
static void unet_down(const Part *unet, int64_t skip[12])
{
    int64_t width = UNET_WIDTH;
    int n = 0;
    char room[128];
    conv(unet, "input_blocks.0.0", width, LATENT, 3);
    skip[n++] = width;
    for (int level = 0; level < LEVELS; level++) {
        for (int i = 0; i < 2; i++) {
            Part part = inner(unet, room, "input_blocks.%d.0.", n);
            unet_block(&part, width, UNET_WIDTH * multiple[level]);
            width = UNET_WIDTH * multiple[level];
            part = inner(unet, room, "input_blocks.%d.1.", n);
            if (level < LEVELS - 1) unet_transformer(&part, width);
            skip[n++] = width;
        }
        if (level == LEVELS - 1) break;
        const Part part = inner(unet, room, "input_blocks.%d.0.", n);
        conv(&part, "op", width, width, 3);
        skip[n++] = width;
    }
}

static void unet_up(const Part *unet, const int64_t skip[12])
{
    int64_t width = UNET_WIDTH * multiple[LEVELS - 1];
    char room[128];
    for (int n = 0; n < 12; n++) {
        const int level = LEVELS - 1 - n / 3;
        Part part = inner(unet, room, "output_blocks.%d.0.", n);
        unet_block(&part, width + skip[11 - n], UNET_WIDTH * multiple[level]);
        width = UNET_WIDTH * multiple[level];
        part = inner(unet, room, "output_blocks.%d.1.", n);
        if (level < LEVELS - 1) unet_transformer(&part, width);
        if (n % 3 != 2 || !level) continue;
        part = inner(unet, room, "output_blocks.%d.%d.", n, level < LEVELS - 1 ? 2 : 1);
        conv(&part, "conv", width, width, 3);
    }
}

static void list_unet(Sd15 *list)
{
    const Part unet = {list, "model.diffusion_model."};
    const int64_t width = UNET_WIDTH * multiple[LEVELS - 1];
    int64_t skip[12];
    char room[128];
    linear(&unet, "time_embed.0", TIME_WIDTH, UNET_WIDTH);
    linear(&unet, "time_embed.2", TIME_WIDTH, TIME_WIDTH);
    unet_down(&unet, skip);
    Part part = inner(&unet, room, "middle_block.0.");
    unet_block(&part, width, width);
    part = inner(&unet, room, "middle_block.1.");
    unet_transformer(&part, width);
    part = inner(&unet, room, "middle_block.2.");
    unet_block(&part, width, width);
    unet_up(&unet, skip);
    norm(&unet, "out.0", UNET_WIDTH);
    conv(&unet, "out.2", LATENT, UNET_WIDTH, 3);
}

/* ---- VAE ----------------------------------------------------------------------------------------------------------- */

static void vae_block(const Part *at, int64_t in, int64_t out)
{
    norm(at, "norm1", in);
    conv(at, "conv1", out, in, 3);
    norm(at, "norm2", out);
    conv(at, "conv2", out, out, 3);
    if (in != out) conv(at, "nin_shortcut", out, in, 1);
}

static void vae_middle(const Part *coder, int64_t width)
{
    static const char *const parts[] = {"q", "k", "v", "proj_out"};
    char room[128];
    Part part = inner(coder, room, "mid.block_1.");
    vae_block(&part, width, width);
    part = inner(coder, room, "mid.block_2.");
    vae_block(&part, width, width);
    part = inner(coder, room, "mid.attn_1.");
    norm(&part, "norm", width);
    for (int i = 0; i < 4; i++) conv(&part, parts[i], width, width, 1);
}

static void vae_encoder(const Part *coder)
{
    int64_t width = VAE_WIDTH;
    char room[128];
    conv(coder, "conv_in", width, 3, 3);
    for (int level = 0; level < LEVELS; level++) {
        for (int i = 0; i < 2; i++) {
            const Part part = inner(coder, room, "down.%d.block.%d.", level, i);
            vae_block(&part, width, VAE_WIDTH * multiple[level]);
            width = VAE_WIDTH * multiple[level];
        }
        const Part part = inner(coder, room, "down.%d.downsample.", level);
        if (level < LEVELS - 1) conv(&part, "conv", width, width, 3);
    }
    vae_middle(coder, width);
    norm(coder, "norm_out", width);
    conv(coder, "conv_out", 2 * LATENT, width, 3);
}

static void vae_decoder(const Part *coder)
{
    int64_t width = VAE_WIDTH * multiple[LEVELS - 1];
    char room[128];
    conv(coder, "conv_in", width, LATENT, 3);
    vae_middle(coder, width);
    for (int level = LEVELS - 1; level >= 0; level--) {
        for (int i = 0; i < 3; i++) {
            const Part part = inner(coder, room, "up.%d.block.%d.", level, i);
            vae_block(&part, width, VAE_WIDTH * multiple[level]);
            width = VAE_WIDTH * multiple[level];
        }
        const Part part = inner(coder, room, "up.%d.upsample.", level);
        if (level) conv(&part, "conv", width, width, 3);
    }
    norm(coder, "norm_out", width);
    conv(coder, "conv_out", 3, width, 3);
}

static void list_vae(Sd15 *list)
{
    const Part vae = {list, "first_stage_model."}, encoder = {list, "first_stage_model.encoder."},
               decoder = {list, "first_stage_model.decoder."};
    vae_encoder(&encoder);
    vae_decoder(&decoder);
    conv(&vae, "quant_conv", 2 * LATENT, 2 * LATENT, 1);
    conv(&vae, "post_quant_conv", LATENT, LATENT, 1);
}

/* ---- Text tower ---------------------------------------------------------------------------------------------------- */

static void list_clip(Sd15 *list)
{
    static const char *const parts[] = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj"};
    const Part clip = {list, "cond_stage_model.transformer.text_model."};
    char room[128];
    matrix(&clip, "embeddings.token_embedding", TOKENS, CONTEXT);
    matrix(&clip, "embeddings.position_embedding", POSITIONS, CONTEXT);
    for (int i = 0; i < LAYERS; i++) {
        const Part layer = inner(&clip, room, "encoder.layers.%d.", i);
        for (int k = 0; k < 4; k++) linear(&layer, parts[k], CONTEXT, CONTEXT);
        norm(&layer, "layer_norm1", CONTEXT);
        linear(&layer, "mlp.fc1", 4 * CONTEXT, CONTEXT);
        linear(&layer, "mlp.fc2", CONTEXT, 4 * CONTEXT);
        norm(&layer, "layer_norm2", CONTEXT);
    }
    norm(&clip, "final_layer_norm", CONTEXT);
}

/* ---- The list ------------------------------------------------------------------------------------------------------ */

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const Sd15Tensor *)a)->name, ((const Sd15Tensor *)b)->name);
}

void sd15_list(Sd15 *out)
{
    *out = (Sd15){0};
    list_unet(out);
    list_vae(out);
    list_clip(out);
    qsort(out->item, (size_t)out->count, sizeof *out->item, compare_names);
}

void sd15_free(Sd15 *list)
{
    for (int i = 0; i < list->count; i++) free(list->item[i].name);
    free(list->item);
    *list = (Sd15){0};
}

int64_t sd15_numbers(const Sd15Tensor *tensor)
{
    int64_t count = 1;
    for (int i = 0; i < tensor->rank; i++) count *= tensor->dim[i];
    return count;
}

/* ---- Numbers ------------------------------------------------------------------------------------------------------- */

static inline float formula(uint32_t i, uint32_t n)
{
    uint32_t h = (i + 1) * 2654435761u + n * 2246822519u;
    h ^= h >> 15;
    h *= 0x2c1b3c6du;
    h ^= h >> 12;
    return (float)(h >> 8) * 0x1p-23f - 1;
}

float sd15_formula(uint32_t i, uint32_t n)
{
    return formula(i, n);
}

/* The nearest half, ties to even, of a number well below 65504. */
static inline uint16_t half_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    const uint32_t sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
    if (magnitude >= 0x38800000u) return (uint16_t)(sign | ((magnitude - 0x38000000u + 0xfffu + (magnitude >> 13 & 1)) >> 13));
    const float shifted = fabsf(x) + 0.5f; /* the last bit of 0.5 is that of the smallest halves */
    memcpy(&bits, &shifted, sizeof bits);
    return (uint16_t)(sign | (bits - 0x3f000000u));
}

void sd15_fill(const Sd15Tensor *tensor, int index, int64_t begin, int64_t end, uint16_t *to)
{
    const size_t length = strlen(tensor->name);
    const bool weight = length > 6 && !strcmp(tensor->name + length - 6, "weight");
    float scale = 0.05f, shift = 0;
    if (tensor->rank > 1) scale = (float)(1 / sqrt((double)(sd15_numbers(tensor) / tensor->dim[0])));
    else if (weight) scale = 0.1f, shift = 1;
    for (int64_t i = begin; i < end; i++) to[i] = half_of(formula((uint32_t)i, (uint32_t)index) * scale + shift);
}
