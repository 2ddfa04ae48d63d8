/* vae_coder.c: pictures and latents through a VAE.
 *
 * One idea: pictures are coded one at a time, so that a batch needs no more memory than one picture, and any batch size uses the
 * same plan. What does not fit in memory as a whole goes in tiles, three times with tiles of three shapes, and the mean of the
 * three is taken, which hides the seams (numerics.md §10). A VAE's norms look at the whole picture, so tiles change it a little.
 */
#include "nodes/vae_coder.h"
#include "engine/base/status.h"
#include "engine/tensor/plan.h"
#include "nodes/cost.h"
#include "nodes/diffusion/tiles.h"

enum { PASSES = 3, COLOURS = 3, LARGEST_TILE = 64, SMALLEST_TILE = 8 /* latent cells */ };

typedef struct Coder {
    NodusCall *call; /* NULL while costs are told */
    NodusMath *math;
    WeightSet *weights;
    const VaeConfig *config;
    bool encode;
    int64_t height, width; /* of what goes in */
    Plan *plan;            /* for that size; NULL: not made yet */
    int64_t done, total;   /* calls of the network */
} Coder;

static NodusStatus coder_build(void *context, OpGraph *graph)
{
    const Coder *coder = context;
    (coder->encode ? vae_build_encoder : vae_build_decoder)(graph, coder->config, 1, coder->height, coder->width);
    return NULL;
}

/* Makes the plan for inputs of that size, unless it is the one that the coder has. */
static NodusStatus coder_plan(Coder *coder, int64_t height, int64_t width)
{
    if (coder->plan && coder->height == height && coder->width == width) return NULL;
    NodusHash *hash;
    plan_unref(coder->plan);
    coder->plan = NULL;
    coder->height = height;
    coder->width = width;
    NODUS_TRY(plan_key_begin(coder->math, coder->weights, coder->encode ? "vae_encoder" : "vae_decoder", &hash));
    nodus_hash_text(hash, coder->config->prefix);
    nodus_hash_u64(hash, (uint64_t)height);
    nodus_hash_u64(hash, (uint64_t)width);
    return plan_get(coder->math, plan_key_end(hash), coder->weights, coder_build, coder, &coder->plan);
}

/* One picture, or one tile, through the network. */
static NodusStatus coder_item(void *context, const NodusTensor *item, NodusTensor **out)
{
    Coder *coder = context;
    Bindings bindings = {0};
    NODUS_TRY(coder_plan(coder, nodus_tensor_dim(item, 2), nodus_tensor_dim(item, 3)));
    bindings_input(&bindings, coder->encode ? "pixels" : "latent", item);
    bindings_output(&bindings, coder->encode ? "latent" : "pixels", out);
    NODUS_TRY(plan_run(coder->math, coder->plan, &bindings));
    return nodus_progress(coder->call, (double)++coder->done, (double)coder->total, NULL);
}

/* ---- Tiles --------------------------------------------------------------------------------------------------------- */

/* Tiles of pass number `pass`: tall, wide, square. Sides and overlap are whole latent cells, so that both sides of the VAE agree.
 */
static Tiles coder_tiles(Coder *coder, const VaeTiles *wanted, int pass)
{
    const int64_t scale = coder->config->scale, unit = coder->encode ? scale : 1;
    const int64_t cells = wanted->size / unit < 2 ? 2 : wanted->size / unit, half = cells / 2, overlap = wanted->overlap / unit;
    return (Tiles){.height = (pass == 0   ? cells * 2
                              : pass == 1 ? half
                                          : cells) *
                             unit,
                   .width = (pass == 0   ? half
                             : pass == 1 ? cells * 2
                                         : cells) *
                            unit,
                   .overlap = (overlap < half ? overlap : half - 1) * unit, /* tiles must advance */
                   .up = coder->encode ? 1 : scale,
                   .down = coder->encode ? scale : 1,
                   .math = coder->math,
                   .each = coder_item,
                   .context = coder};
}

/* How many calls of the network a picture takes. */
static int64_t coder_tiles_of_item(Coder *coder, const VaeTiles *wanted, int64_t height, int64_t width)
{
    int64_t count = 0;
    for (int i = 0; i < PASSES; i++) {
        const Tiles pass = coder_tiles(coder, wanted, i);
        count += tiles_count(&pass, height, width);
    }
    return count == PASSES ? 1 : count;
}

static NodusStatus coder_tiled(Coder *coder, const VaeTiles *wanted, const NodusTensor *item, NodusTensor **out)
{
    NodusMath *math = coder->math;
    NodusTensor *pass[PASSES], *two, *three, *count;
    if (coder_tiles_of_item(coder, wanted, nodus_tensor_dim(item, 2), nodus_tensor_dim(item, 3)) == 1)
        return coder_item(coder, item, out); /* the mean of three that are alike */
    for (int i = 0; i < PASSES; i++) {
        const Tiles tiles = coder_tiles(coder, wanted, i);
        NODUS_TRY(tiles_run(&tiles, item, coder->encode ? coder->config->latent_channels : COLOURS, &pass[i]));
    }
    NODUS_TRY(nodus_tensor_add(math, &two, pass[0], pass[1]));
    NODUS_TRY(nodus_tensor_add(math, &three, two, pass[2]));
    NODUS_TRY(nodus_tensor_fill(math, &count, 4, (int64_t[]){1, 1, 1, 1}, PASSES));
    NODUS_TRY(nodus_tensor_div(math, out, three, count));
    for (int i = 0; i < PASSES; i++) nodus_tensor_release(math, pass[i]);
    nodus_tensor_release(math, two);
    nodus_tensor_release(math, three);
    return NULL;
}

/* The largest tiles that fit in memory; false when none do. */
static NodusStatus coder_choose_tiles(Coder *coder, VaeTiles *tiles, bool *found)
{
    const int64_t unit = coder->encode ? coder->config->scale : 1;
    *found = false;
    for (int64_t size = LARGEST_TILE; size >= SMALLEST_TILE && !*found; size /= 2) {
        *tiles = (VaeTiles){size * unit, size / 4 * unit};
        *found = true;
        for (int i = 0; i < PASSES && *found; i++) {
            const Tiles pass = coder_tiles(coder, tiles, i);
            NODUS_TRY(coder_plan(coder, pass.height, pass.width));
            *found = plan_fits(coder->math, coder->plan);
        }
    }
    return NULL;
}

/* ---- Whole batches ------------------------------------------------------------------------------------------------- */

static NodusStatus coder_items(Coder *coder, const VaeTiles *tiles, const NodusTensor *all, NodusTensor **out)
{
    NodusMath *math = coder->math;
    const int64_t count = nodus_tensor_dim(all, 0);
    NodusTensor **item = nodus_alloc(coder->call, (size_t)count * sizeof(NodusTensor *));
    if (!item) return status_memory();
    coder->total = count * (tiles ? coder_tiles_of_item(coder, tiles, nodus_tensor_dim(all, 2), nodus_tensor_dim(all, 3)) : 1);
    if (!tiles)
        NODUS_TRY(nodus_expect(coder->call, coder->encode ? "vae-encode f32" : "vae-decode f32",
                               plan_flop(coder->plan) * (double)count));
    for (int64_t i = 0; i < count; i++) {
        NodusTensor *one;
        NODUS_TRY(nodus_tensor_slice(math, &one, all, 0, i, 1));
        NODUS_TRY(tiles ? coder_tiled(coder, tiles, one, &item[i]) : coder_item(coder, one, &item[i]));
        nodus_tensor_release(math, one);
    }
    NODUS_TRY(nodus_tensor_concat(math, out, 0, (int)count, (const NodusTensor *const *)item));
    for (int64_t i = 0; i < count; i++) nodus_tensor_release(math, item[i]);
    return NULL;
}

static NodusStatus coder_whole(Coder *coder, const NodusTensor *all, NodusTensor **out)
{
    const int64_t height = nodus_tensor_dim(all, 2), width = nodus_tensor_dim(all, 3), scale = coder->config->scale;
    VaeTiles tiles;
    bool found;
    NODUS_TRY(coder_plan(coder, height, width));
    if (plan_fits(coder->math, coder->plan)) return coder_items(coder, NULL, all, out);
    NODUS_TRY(coder_choose_tiles(coder, &tiles, &found));
    NODUS_TRY(coder_plan(coder, height, width));
    if (!found) return coder_items(coder, NULL, all, out); /* which says what it lacks */
    const int64_t pixels = coder->encode ? 1 : scale;
    nodus_warn(
        coder->call,
        "the memory limit is too small to %s %d × %d pixels at once: it is done in tiles of %d × %d pixels that are blended, and "
        "light and colours may differ a little; raise the limit (--memory) to avoid that",
        coder->encode ? "encode" : "decode", (int)(width * pixels), (int)(height * pixels), (int)(tiles.size * pixels),
        (int)(tiles.size * pixels));
    nodus_keep_local(coder->call);
    return coder_items(coder, &tiles, all, out);
}

NodusStatus vae_code(NodusCall *call, const Vae *vae, bool encode, const VaeTiles *tiles, const NodusTensor *all,
                     NodusTensor **out)
{
    Coder coder = {.call = call, .math = nodus_math(call), .weights = vae->weights, .config = &vae->config, .encode = encode};
    NodusStatus status = tiles ? coder_items(&coder, tiles, all, out) : coder_whole(&coder, all, out);
    plan_unref(coder.plan);
    return status;
}

NodusStatus vae_cost(NodusMath *math, const NodusFacts *vae, bool encode, int64_t batch, int64_t height, int64_t width,
                     NodusCost *out)
{
    enum { COPIES = 3 /* of the pictures while they are brought into their form */ };
    Coder coder = {.math = math, .encode = encode};
    VaeConfig config;
    if (batch < 1 || height < 1 || width < 1) return NULL;
    NODUS_TRY(cost_open_vae(vae, &coder.weights, &config));
    if (!coder.weights || !(encode ? config.has_encoder : config.has_decoder)) {
        weights_unref(coder.weights);
        return NULL;
    }
    coder.config = &config;
    NodusStatus status = coder_plan(&coder, height, width);
    if (!status) cost_add_plan(math, coder.plan, out);
    const int64_t scale = config.scale;
    const size_t pictures =
        encode ? cost_bytes(batch, COLOURS, height, width) : cost_bytes(batch, COLOURS, height * scale, width * scale);
    out->flop *= (double)batch;
    out->work += COPIES * pictures;
    out->result = encode ? cost_bytes(batch, config.latent_channels, height / scale, width / scale) : pictures;
    plan_unref(coder.plan);
    weights_unref(coder.weights);
    return status;
}
