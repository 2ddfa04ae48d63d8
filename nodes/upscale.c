/* upscale.c: nodes that enlarge pictures with a model.
 *
 * One idea: a picture goes through the network in tiles that overlap and are blended (numerics.md §10), so its size is limited by
 * the result's memory only; where a tile does not fit in memory, smaller ones are taken. */
#include "nodes/upscale.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/formats/weights_file.h"
#include "engine/tensor/plan.h"
#include "nodes/cost.h"
#include "nodes/diffusion/tiles.h"
#include "nodes/pixels.h"

enum { LARGEST_TILE = 512, SMALLEST_TILE = 128, OVERLAP = 32 };

/* ---- UPSCALE_MODEL ------------------------------------------------------------------------------------------------- */

static void upscale_free(void *payload)
{
    Upscaler *model = payload;
    weights_unref(model->weights);
    memory_free(model->origin);
    memory_free(model);
}

static NodusStatus upscale_print(const void *payload, NodusText *text)
{
    const Upscaler *model = payload;
    return nodus_print(text, "upscale model %s, ×%d", model->origin, model->config.scale);
}

const NodusType type_upscale_model = {
    .struct_size = sizeof(NodusType), .name = "UPSCALE_MODEL", .free = upscale_free, .print = upscale_print};

typedef struct {
    const char *name;
} UpscaleLoadArgs;

static NodusStatus upscale_open(const char *path, WeightSet **weights, EsrganConfig *config)
{
    NODUS_TRY(checkpoint_open(path, weights));
    NodusStatus status = esrgan_config(*weights, config);
    if (!status) return NULL;
    weights_unref(*weights);
    *weights = NULL;
    return nodus_error_prefix(status, "%s", path);
}

static NodusStatus upscale_load(NodusCall *call, const void *args)
{
    const UpscaleLoadArgs *in = args;
    const char *path;
    NODUS_TRY(nodus_find_file(call, "upscale_models", in->name, &path));
    Upscaler *model = memory_alloc(sizeof *model);
    if (!model) return status_memory();
    NodusStatus status = upscale_open(path, &model->weights, &model->config);
    model->origin = memory_text(in->name);
    if (!status) return nodus_emit(call, 0, &type_upscale_model, model);
    upscale_free(model);
    return status;
}

static NodusStatus upscale_load_fingerprint(NodusCall *call, const void *args, NodusHash *hash)
{
    const UpscaleLoadArgs *in = args;
    const char *path;
    NODUS_TRY(nodus_find_file(call, "upscale_models", in->name, &path));
    return nodus_hash_file(call, hash, path);
}

static NodusStatus upscale_load_infer(NodusCall *call, const void *args, const NodusFacts *facts, NodusFacts *out)
{
    const UpscaleLoadArgs *in = args;
    const char *path;
    WeightSet *weights;
    EsrganConfig config;
    (void)facts;
    NODUS_TRY(nodus_find_file(call, "upscale_models", in->name, &path));
    NODUS_TRY(upscale_open(path, &weights, &config));
    weights_unref(weights);
    out[0].file = path;
    out[0].scale = config.scale;
    out[0].channels = config.colours;
    return NULL;
}

static const NodusInput upscale_load_inputs[] = {
    NODUS_IN_COMBO("model_name", UpscaleLoadArgs, name, "A file of models/upscale_models.", .folder = "upscale_models")};
static const NodusOutput upscale_load_outputs[] = {
    {.name = "UPSCALE_MODEL", .type = "UPSCALE_MODEL", .tooltip = "The network that enlarges pictures."}};
const NodusNode node_upscale_model_loader = {
    NODUS_NODE("UpscaleModelLoader", "Load Upscale Model", "loaders", UpscaleLoadArgs, upscale_load_inputs, upscale_load_outputs),
    .flags = NODUS_IO,
    .help = "Open a network that enlarges pictures: ESRGAN, Real-ESRGAN and their relatives.",
    .example = "graphs/upscale_model.json",
    .run = upscale_load,
    .fingerprint = upscale_load_fingerprint,
    .infer = upscale_load_infer,
};

/* ---- ImageUpscaleWithModel ----------------------------------------------------------------------------------------- */

typedef struct {
    const Upscaler *model;
    const NodusTensor *image;
} UpscaleArgs;

/* One call of the network at a time; the plan of the last size is kept, for most tiles have it. */
typedef struct Enlarging {
    NodusCall *call; /* NULL while costs are told */
    NodusMath *math;
    WeightSet *weights;
    const EsrganConfig *config;
    int64_t height, width; /* that the plan is for */
    Plan *plan;
    int64_t done, total; /* tiles */
} Enlarging;

static NodusStatus upscale_build(void *context, OpGraph *graph)
{
    const Enlarging *work = context;
    esrgan_build(graph, work->config, work->height, work->width);
    return NULL;
}

static NodusStatus upscale_plan(Enlarging *work, int64_t height, int64_t width)
{
    NodusHash *hash;
    if (work->plan && work->height == height && work->width == width) return NULL;
    plan_unref(work->plan);
    work->plan = NULL;
    work->height = height;
    work->width = width;
    NODUS_TRY(plan_key_begin(work->math, work->weights, "esrgan", &hash));
    nodus_hash_u64(hash, (uint64_t)height);
    nodus_hash_u64(hash, (uint64_t)width);
    return plan_get(work->math, plan_key_end(hash), work->weights, upscale_build, work, &work->plan);
}

/* An axis continued to a whole number of the network's cells by what lies before its end, backwards. */
static NodusStatus upscale_continue(NodusMath *math, const NodusTensor *x, int axis, int fold, NodusTensor **out)
{
    const int64_t size = nodus_tensor_dim(x, axis), more = (fold - size % fold) % fold;
    const NodusTensor *part[1 + ESRGAN_MAX_DOUBLINGS] = {x};
    for (int64_t i = 0; i < more; i++) {
        NodusTensor *line;
        const int64_t from = size - 2 - i;
        NODUS_TRY(nodus_tensor_slice(math, &line, x, axis, from < 0 ? 0 : from, 1));
        part[1 + i] = line;
    }
    return nodus_tensor_concat(math, out, axis, (int)more + 1, part);
}

static NodusStatus upscale_tile(void *context, const NodusTensor *tile, NodusTensor **out)
{
    Enlarging *work = context;
    NodusMath *math = work->math;
    const int scale = work->config->scale;
    const int64_t height = nodus_tensor_dim(tile, 2), width = nodus_tensor_dim(tile, 3);
    NodusTensor *rows, *whole, *larger, *cut;
    Bindings bindings = {0};
    NODUS_TRY(upscale_continue(math, tile, 2, work->config->fold, &rows));
    NODUS_TRY(upscale_continue(math, rows, 3, work->config->fold, &whole));
    nodus_tensor_release(math, rows);
    NODUS_TRY(upscale_plan(work, nodus_tensor_dim(whole, 2), nodus_tensor_dim(whole, 3)));
    bindings_input(&bindings, "pixels", whole);
    bindings_output(&bindings, "larger", &larger);
    NODUS_TRY(plan_run(math, work->plan, &bindings));
    nodus_tensor_release(math, whole);
    NODUS_TRY(nodus_tensor_slice(math, &cut, larger, 2, 0, height * scale));
    NODUS_TRY(nodus_tensor_slice(math, out, cut, 3, 0, width * scale));
    nodus_tensor_release(math, larger);
    nodus_tensor_release(math, cut);
    return nodus_progress(work->call, (double)++work->done, (double)work->total, NULL);
}

static int64_t upscale_side(int64_t size, int64_t tile, int fold)
{
    const int64_t side = size < tile ? size : tile;
    return (side + fold - 1) / fold * fold;
}

/* The largest tiles whose work fits in memory; if none do, the smallest, which then say what they lack. */
static NodusStatus upscale_tiles(Enlarging *work, int64_t height, int64_t width, int64_t *tile)
{
    for (*tile = LARGEST_TILE;; *tile /= 2) {
        NODUS_TRY(
            upscale_plan(work, upscale_side(height, *tile, work->config->fold), upscale_side(width, *tile, work->config->fold)));
        if (*tile == SMALLEST_TILE || plan_fits(work->math, work->plan)) return NULL;
    }
}

/* [1, h, w, c] → the same, larger, 0 … 1 */
static NodusStatus upscale_item(Enlarging *work, const Tiles *tiles, const NodusTensor *item, NodusTensor **out)
{
    NodusMath *math = work->math;
    NodusTensor *planes, *larger, *clamped;
    NODUS_TRY(nodus_tensor_permute(math, &planes, item, (int[]){0, 3, 1, 2}));
    NODUS_TRY(tiles_run(tiles, planes, work->config->colours, &larger));
    nodus_tensor_release(math, planes);
    NODUS_TRY(nodus_tensor_clamp(math, &clamped, larger, 0, 1));
    nodus_tensor_release(math, larger);
    NODUS_TRY(nodus_tensor_permute(math, out, clamped, (int[]){0, 2, 3, 1}));
    nodus_tensor_release(math, clamped);
    return NULL;
}

static NodusStatus upscale_all(Enlarging *work, const NodusTensor *image, NodusTensor **out)
{
    const int64_t batch = nodus_tensor_dim(image, 0), height = nodus_tensor_dim(image, 1), width = nodus_tensor_dim(image, 2);
    NodusTensor **item = nodus_alloc(work->call, (size_t)batch * sizeof(NodusTensor *)), *colours;
    int64_t tile;
    if (!item) return status_memory();
    NODUS_TRY(upscale_tiles(work, height, width, &tile));
    const Tiles tiles = {.height = tile,
                         .width = tile,
                         .overlap = OVERLAP,
                         .up = work->config->scale,
                         .down = 1,
                         .math = work->math,
                         .each = upscale_tile,
                         .context = work};
    work->total = batch * tiles_count(&tiles, height, width);
    if (tile < LARGEST_TILE)
        nodus_warn(work->call,
                   "the memory limit is too small for tiles of %d pixels: they have %d, and the seams may differ a little; raise "
                   "it (--memory)",
                   LARGEST_TILE, (int)tile);
    NODUS_TRY(nodus_expect(work->call, "upscale f32", plan_flop(work->plan) * (double)work->total));
    NODUS_TRY(nodus_tensor_slice(work->math, &colours, image, 3, 0, work->config->colours));
    for (int64_t i = 0; i < batch; i++) {
        NodusTensor *one;
        NODUS_TRY(nodus_tensor_slice(work->math, &one, colours, 0, i, 1));
        NODUS_TRY(upscale_item(work, &tiles, one, &item[i]));
        nodus_tensor_release(work->math, one);
    }
    return nodus_tensor_concat(work->math, out, 0, (int)batch, (const NodusTensor *const *)item);
}

static NodusStatus upscale_run(NodusCall *call, const void *args)
{
    const UpscaleArgs *in = args;
    const EsrganConfig *config = &in->model->config;
    Enlarging work = {.call = call, .math = nodus_math(call), .weights = in->model->weights, .config = config};
    Pixels size;
    NodusTensor *larger;
    NODUS_TRY(pixels_size(call, "image", in->image, &size));
    if (size.channels < config->colours)
        return nodus_input_error(call, "image", "has %d colour channels, '%s' needs %d", (int)size.channels, in->model->origin,
                                 config->colours);
    NodusStatus status = upscale_all(&work, in->image, &larger);
    plan_unref(work.plan);
    return status ? status : nodus_emit_tensor(call, 0, "IMAGE", larger);
}

static NodusStatus upscale_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    const NodusFacts *model = &in[0], *image = &in[1];
    (void)call, (void)args;
    if (image->rank != 4 || !model->scale) return NULL;
    out[0].rank = 4;
    out[0].dim[0] = image->dim[0];
    out[0].dim[1] = image->dim[1] * model->scale;
    out[0].dim[2] = image->dim[2] * model->scale;
    out[0].dim[3] = model->channels;
    return NULL;
}

static NodusStatus upscale_cost(NodusCall *call, const void *args, const NodusFacts *in, NodusCost *out)
{
    const NodusFacts *model = &in[0], *image = &in[1];
    Enlarging work = {.math = nodus_math(call)};
    EsrganConfig config;
    int64_t tile;
    (void)args;
    if (!model->file || image->rank != 4 || image->dim[0] < 1 || image->dim[1] < 1 || image->dim[2] < 1) return NULL;
    NODUS_TRY(upscale_open(model->file, &work.weights, &config));
    work.config = &config;
    NodusStatus status = upscale_tiles(&work, image->dim[1], image->dim[2], &tile);
    if (!status) {
        const Tiles tiles = {.height = tile, .width = tile, .overlap = OVERLAP, .up = config.scale, .down = 1};
        cost_add_plan(work.math, work.plan, out);
        out->flop *= (double)(image->dim[0] * tiles_count(&tiles, image->dim[1], image->dim[2]));
        out->result = cost_bytes(image->dim[0], config.colours, image->dim[1] * config.scale, image->dim[2] * config.scale);
        out->work += 2 * out->result; /* sums, and the picture before it is clamped */
    }
    plan_unref(work.plan);
    weights_unref(work.weights);
    return status;
}

static const NodusInput upscale_inputs[] = {
    NODUS_IN_LINK("upscale_model", UpscaleArgs, model, "UPSCALE_MODEL",
                  "The network; it decides how much larger the picture becomes."),
    NODUS_IN_LINK("image", UpscaleArgs, image, "IMAGE", "What to enlarge."),
};
static const NodusOutput upscale_outputs[] = {{.name = "IMAGE", .type = "IMAGE", .tooltip = "The larger picture."}};
const NodusNode node_image_upscale_with_model = {
    NODUS_NODE("ImageUpscaleWithModel", "Upscale Image (using Model)", "image/upscaling", UpscaleArgs, upscale_inputs,
               upscale_outputs),
    .help = "Enlarge pictures with a model that adds detail. It works tile by tile, so any size will do.",
    .example = "graphs/upscale_model.json",
    .run = upscale_run,
    .infer = upscale_infer,
    .cost = upscale_cost,
};
