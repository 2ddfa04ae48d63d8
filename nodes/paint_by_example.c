/* paint_by_example.c: inpainting after an example picture: PaintByExampleLoader, PaintByExampleDiffusersLoader,
 * PaintByExampleConditioning.
 *
 * One idea: such a model is an inpainting model whose prompt is a picture. So only the prompt is made here; what is painted over,
 * and where, it is shown as any inpainting model is, by InpaintModelConditioning. */
#include "nodes/paint_by_example.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/tensor/plan.h"
#include "nodes/cond.h"
#include "nodes/load_diffusers.h"
#include "nodes/model_file.h"
#include "nodes/models/paint_by_example.h"
#include "nodes/vision_pixels.h"
#include <string.h>

/* ---- PAINT_BY_EXAMPLE -------------------------------------------------------------------------------------------------------
 */

typedef struct PaintByExample {
    WeightSet *weights;
    PaintByExampleConfig config;
    char *origin;
} PaintByExample;

static void paint_free(void *payload)
{
    PaintByExample *paint = payload;
    weights_unref(paint->weights);
    memory_free(paint->origin);
    memory_free(paint);
}

static NodusStatus paint_print(const void *payload, NodusText *text)
{
    const PaintByExample *paint = payload;
    return nodus_print(text, "example encoder of %s, %d × %d pixels", paint->origin, paint->config.vision.side,
                       paint->config.vision.side);
}

const NodusType type_paint_by_example = {
    .struct_size = sizeof(NodusType), .name = "PAINT_BY_EXAMPLE", .free = paint_free, .print = paint_print};

/* ---- PaintByExampleLoader, PaintByExampleDiffusersLoader ----------------------------------------------------------------------
 */

typedef struct {
    const char *name;
} LoadArgs;

static NodusStatus load_parts(WeightSet *weights, const char *name, Checkpoint *checkpoint, PaintByExampleConfig *config)
{
    NODUS_TRY(family_checkpoint(weights, name, checkpoint));
    NodusStatus status = paint_by_example_config(weights, config);
    if (status) return nodus_error_prefix(status, "'%s'", name);
    if (!checkpoint->by_example)
        return nodus_error(NODUS_ERROR_FILE, "'%s' has no UNet of nine input channels: it can paint nothing by example", name);
    if (checkpoint->unet.context_width == config->context) return NULL;
    return nodus_error(NODUS_ERROR_FILE, "'%s' makes a token of %d numbers of an example, its UNet takes %d", name,
                       config->context, checkpoint->unet.context_width);
}

static NodusStatus load_emit(NodusCall *call, WeightSet *weights, const char *name)
{
    Checkpoint checkpoint;
    PaintByExampleConfig config;
    NODUS_TRY(load_parts(weights, name, &checkpoint, &config));
    NODUS_TRY(model_file_emit_model(call, 0, weights, &checkpoint, name));
    PaintByExample *paint = memory_alloc(sizeof *paint);
    if (!paint) return status_memory();
    *paint = (PaintByExample){.weights = weights_ref(weights), .config = config, .origin = memory_text(name)};
    NODUS_TRY(nodus_emit(call, 1, &type_paint_by_example, paint));
    return model_file_emit_vae(call, 2, weights, checkpoint.has_vae ? &checkpoint.vae : NULL, name);
}

static NodusStatus load_facts(WeightSet *weights, const char *name, const char *path, NodusFacts *out)
{
    Checkpoint checkpoint;
    PaintByExampleConfig config;
    NODUS_TRY(load_parts(weights, name, &checkpoint, &config));
    model_file_facts(&checkpoint, path, &out[0], NULL, &out[2]);
    out[1].family = family_name(checkpoint.family);
    return NULL;
}

static NodusStatus load_file(NodusCall *call, const void *args)
{
    const LoadArgs *in = args;
    const char *path;
    WeightSet *weights;
    NODUS_TRY(nodus_find_file(call, "checkpoints", in->name, &path));
    NODUS_TRY(model_file_open(path, &weights));
    NodusStatus status = load_emit(call, weights, in->name);
    weights_unref(weights);
    return status;
}

static NodusStatus load_file_fingerprint(NodusCall *call, const void *args, NodusHash *hash)
{
    const LoadArgs *in = args;
    return model_file_hash(call, "checkpoints", in->name, hash);
}

static NodusStatus load_file_infer(NodusCall *call, const void *args, const NodusFacts *facts, NodusFacts *out)
{
    const LoadArgs *in = args;
    const char *path;
    WeightSet *weights;
    (void)facts;
    NODUS_TRY(nodus_find_file(call, "checkpoints", in->name, &path));
    NODUS_TRY(model_file_open(path, &weights));
    NodusStatus status = load_facts(weights, in->name, path, out);
    weights_unref(weights);
    return status;
}

static const NodusInput file_inputs[] = {
    NODUS_IN_COMBO("ckpt_name", LoadArgs, name, "A file of models/checkpoints: the authors' model.ckpt.",
                   .folder = "checkpoints"),
};
static const NodusOutput load_outputs[] = {
    {.name = "MODEL", .type = "MODEL", .tooltip = "The network that removes noise."},
    {.name = "PAINT_BY_EXAMPLE", .type = "PAINT_BY_EXAMPLE", .tooltip = "What makes a prompt of an example."},
    {.name = "VAE", .type = "VAE", .tooltip = "Turns latents into pictures and back."},
};
const NodusNode node_paint_by_example_loader = {
    NODUS_NODE("PaintByExampleLoader", "Load Paint by Example", "loaders", LoadArgs, file_inputs, load_outputs),
    .flags = NODUS_IO,
    .help = "Open a Paint-by-Example checkpoint: an inpainting model that is told by a picture, not by words, what to paint.",
    .example = "graphs/paint_by_example.json",
    .run = load_file,
    .fingerprint = load_file_fingerprint,
    .infer = load_file_infer,
};

static NodusStatus load_folder(NodusCall *call, const void *args)
{
    const LoadArgs *in = args;
    WeightSet *weights;
    NODUS_TRY(load_diffusers_open(call, in->name, &weights));
    NodusStatus status = load_emit(call, weights, in->name);
    weights_unref(weights);
    return status;
}

static NodusStatus load_folder_fingerprint(NodusCall *call, const void *args, NodusHash *hash)
{
    const LoadArgs *in = args;
    return load_diffusers_hash(call, in->name, hash);
}

/* There is no one file for `file`, so what a run costs stays unknown. */
static NodusStatus load_folder_infer(NodusCall *call, const void *args, const NodusFacts *facts, NodusFacts *out)
{
    const LoadArgs *in = args;
    WeightSet *weights;
    (void)facts;
    NODUS_TRY(load_diffusers_open(call, in->name, &weights));
    NodusStatus status = load_facts(weights, in->name, NULL, out);
    weights_unref(weights);
    return status;
}

static const NodusInput folder_inputs[] = {
    NODUS_IN_COMBO("model_path", LoadArgs, name, "A folder below models/diffusers that holds a model_index.json.",
                   .folder = "diffusers"),
};
const NodusNode node_paint_by_example_diffusers_loader = {
    NODUS_NODE("PaintByExampleDiffusersLoader", "Load Paint by Example (Diffusers)", "loaders", LoadArgs, folder_inputs,
               load_outputs),
    .flags = NODUS_IO,
    .help = "Open a Paint-by-Example model in the layout of the diffusers library: a folder with unet, vae and image_encoder.",
    .example = "graphs/paint_by_example_diffusers.json",
    .run = load_folder,
    .fingerprint = load_folder_fingerprint,
    .infer = load_folder_infer,
};

/* ---- PaintByExampleConditioning -------------------------------------------------------------------------------------- */

typedef struct {
    const PaintByExample *paint;
    const NodusTensor *example;
    const char *crop;
} PromptArgs;

static NodusStatus prompt_build(void *context, OpGraph *graph)
{
    paint_by_example_build(graph, context);
    return NULL;
}

static NodusStatus prompt_token(NodusCall *call, const PaintByExample *paint, const NodusTensor *pixels, NodusTensor **out)
{
    NodusMath *math = nodus_math(call);
    PaintByExampleConfig config = paint->config;
    Bindings bindings = {0};
    NodusHash *hash;
    Plan *plan;
    NODUS_TRY(plan_key_begin(math, paint->weights, "paint_by_example", &hash));
    NODUS_TRY(plan_get(math, plan_key_end(hash), paint->weights, prompt_build, &config, &plan));
    bindings_input(&bindings, "pixels", pixels);
    bindings_output(&bindings, "token", out);
    NodusStatus status = nodus_expect(call, "paint_by_example f32", plan_flop(plan));
    if (!status) status = plan_run(math, plan, &bindings);
    plan_unref(plan);
    return status;
}

static NodusStatus prompt_nothing(NodusMath *math, const PaintByExample *paint, NodusTensor **out)
{
    const int64_t dim[] = {1, 1, paint->config.context};
    float *numbers = memory_array((size_t)dim[2], sizeof *numbers);
    if (!numbers) return status_memory();
    NodusStatus status = paint_by_example_nothing(paint->weights, &paint->config, numbers);
    if (!status) status = nodus_tensor_from_f32(math, out, 3, dim, numbers);
    memory_free(numbers);
    return status;
}

static NodusStatus prompt(NodusCall *call, const void *args)
{
    const PromptArgs *in = args;
    NodusTensor *pixels, *token, *nothing;
    if (nodus_tensor_dim(in->example, 0) != 1)
        return nodus_input_error(call, "example", "has %d pictures: one is wanted; pick it with ImageFromBatch",
                                 (int)nodus_tensor_dim(in->example, 0));
    NODUS_TRY(vision_pixels(call, in->example, in->paint->config.vision.side, !strcmp(in->crop, "center"), &pixels));
    NODUS_TRY(prompt_token(call, in->paint, pixels, &token));
    NODUS_TRY(prompt_nothing(nodus_math(call), in->paint, &nothing));
    NODUS_TRY(cond_emit_plain(call, 0, token, NULL));
    return cond_emit_plain(call, 1, nothing, NULL);
}

static NodusStatus prompt_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    (void)call, (void)args;
    out[0].family = out[1].family = in[0].family;
    return NULL;
}

static const char *const crops[] = {"none", "center", NULL};
static const NodusInput prompt_inputs[] = {
    NODUS_IN_LINK("paint_by_example", PromptArgs, paint, "PAINT_BY_EXAMPLE", "What makes a prompt of the example."),
    NODUS_IN_LINK("example", PromptArgs, example, "IMAGE", "What to paint: a picture of it, with little else."),
    NODUS_IN_COMBO("crop", PromptArgs, crop, "A square is looked at: all of the example, squeezed, or its middle.",
                   .names = crops),
};
static const NodusOutput prompt_outputs[] = {
    {.name = "positive", .type = "CONDITIONING", .tooltip = "The example, as the model's prompt."},
    {.name = "negative", .type = "CONDITIONING", .tooltip = "No example, as the model has learned it."},
};
const NodusNode node_paint_by_example_conditioning = {
    NODUS_NODE("PaintByExampleConditioning", "Paint by Example Conditioning", "conditioning/inpaint", PromptArgs, prompt_inputs,
               prompt_outputs),
    .help = "Make a prompt of an example picture. InpaintModelConditioning, behind it, shows the model the picture and the mask "
            "to paint in.",
    .example = "graphs/paint_by_example.json",
    .run = prompt,
    .infer = prompt_infer,
};
