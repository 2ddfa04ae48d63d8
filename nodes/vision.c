/* vision.c: what vision towers say of pictures, and what becomes of it: CLIPVisionLoader, unCLIPCheckpointLoader, CLIPVisionEncode,
 * unCLIPConditioning.
 *
 * One idea: a picture is encoded once, at the size that the tower looks at; what comes out is told to the network beside the prompt. */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/tensor/plan.h"
#include "nodes/cond.h"
#include "nodes/cost.h"
#include "nodes/model_file.h"
#include "nodes/models/keys.h"
#include "nodes/vision.h"
#include "nodes/vision_pixels.h"
#include <string.h>

/* ---- CLIP_VISION ------------------------------------------------------------------------------------------------------- */

static void vision_free(void *payload)
{
    ClipVision *vision = payload;
    weights_unref(vision->weights);
    memory_free(vision->origin);
    memory_free(vision);
}

static NodusStatus vision_print(const void *payload, NodusText *text)
{
    const ClipVision *vision = payload;
    return nodus_print(text, "vision tower of %s, %d × %d pixels", vision->origin, vision->config.side, vision->config.side);
}

const NodusType type_clip_vision = {
    .struct_size = sizeof(NodusType), .name = "CLIP_VISION", .free = vision_free, .print = vision_print};

static NodusStatus vision_emit(NodusCall *call, uint32_t slot, WeightSet *weights, const ClipVisionConfig *config, const char *name)
{
    ClipVision *vision = memory_alloc(sizeof *vision);
    if (!vision) return status_memory();
    *vision = (ClipVision){.weights = weights_ref(weights), .config = *config, .origin = memory_text(name)};
    return nodus_emit(call, slot, &type_clip_vision, vision);
}

/* ---- CLIP_VISION_OUTPUT ------------------------------------------------------------------------------------------------ */

static void seen_free(void *payload)
{
    ClipVisionOutput *seen = payload;
    nodus_tensor_unref(seen->last);
    nodus_tensor_unref(seen->penultimate);
    nodus_tensor_unref(seen->embeds);
    memory_free(seen);
}

static void seen_account(const void *payload, NodusAccount *account)
{
    const ClipVisionOutput *seen = payload;
    nodus_account_tensor(account, seen->last);
    nodus_account_tensor(account, seen->penultimate);
    nodus_account_tensor(account, seen->embeds);
}

static NodusStatus seen_print(const void *payload, NodusText *text)
{
    const ClipVisionOutput *seen = payload;
    return nodus_print(text, "%d encoded: %d tokens × %d, a whole of %d", (int)nodus_tensor_dim(seen->last, 0),
                       (int)nodus_tensor_dim(seen->last, 1), (int)nodus_tensor_dim(seen->last, 2), (int)nodus_tensor_dim(seen->embeds, 1));
}

static NodusStatus seen_store(const void *payload, NodusWriter *writer)
{
    const ClipVisionOutput *seen = payload;
    NODUS_TRY(nodus_write_tensor(writer, seen->last));
    NODUS_TRY(nodus_write_tensor(writer, seen->penultimate));
    return nodus_write_tensor(writer, seen->embeds);
}

static NodusStatus seen_load(NodusReader *reader, void **payload)
{
    ClipVisionOutput *seen = memory_alloc(sizeof *seen);
    if (!seen) return status_memory();
    NodusStatus status = nodus_read_tensor(reader, &seen->last);
    if (!status) status = nodus_read_tensor(reader, &seen->penultimate);
    if (!status) status = nodus_read_tensor(reader, &seen->embeds);
    if (!status && (!seen->last || !seen->penultimate || !seen->embeds))
        status = nodus_error(NODUS_ERROR_FILE, "an encoded picture that lacks a part");
    if (status) seen_free(seen);
    else *payload = seen;
    return status;
}

static NodusStatus seen_array(const void *payload, const char *part, const NodusTensor **out)
{
    const ClipVisionOutput *seen = payload;
    if (!part || !strcmp(part, "image_embeds")) *out = seen->embeds;
    else if (!strcmp(part, "last_hidden_state")) *out = seen->last;
    else if (!strcmp(part, "penultimate_hidden_states")) *out = seen->penultimate;
    else
        return nodus_error(NODUS_ERROR_INPUT,
                           "an encoded picture has no %s: there are image_embeds, last_hidden_state, penultimate_hidden_states", part);
    return NULL;
}

const NodusType type_clip_vision_output = {.struct_size = sizeof(NodusType),
                                           .name = "CLIP_VISION_OUTPUT",
                                           .free = seen_free,
                                           .account = seen_account,
                                           .print = seen_print,
                                           .store = seen_store,
                                           .load = seen_load,
                                           .array = seen_array,
                                           .version = 1};

/* ---- CLIPVisionLoader, unCLIPCheckpointLoader --------------------------------------------------------------------------- */

typedef struct {
    const char *name;
} VisionLoadArgs;

static NodusStatus vision_open(NodusCall *call, const char *name, const char **path, WeightSet **weights, ClipVisionConfig *config)
{
    NODUS_TRY(nodus_find_file(call, "clip_vision", name, path));
    NODUS_TRY(model_file_open(*path, weights));
    NodusStatus status = family_vision(*weights, *path, config);
    if (status) weights_unref(*weights);
    return status;
}

static NodusStatus vision_load(NodusCall *call, const void *args)
{
    const VisionLoadArgs *in = args;
    const char *path;
    WeightSet *weights;
    ClipVisionConfig config;
    NODUS_TRY(vision_open(call, in->name, &path, &weights, &config));
    NodusStatus status = vision_emit(call, 0, weights, &config, in->name);
    weights_unref(weights);
    return status;
}

static NodusStatus vision_load_fingerprint(NodusCall *call, const void *args, NodusHash *hash)
{
    const VisionLoadArgs *in = args;
    return model_file_hash(call, "clip_vision", in->name, hash);
}

static NodusStatus vision_load_infer(NodusCall *call, const void *args, const NodusFacts *facts, NodusFacts *out)
{
    const VisionLoadArgs *in = args;
    WeightSet *weights;
    ClipVisionConfig config;
    (void)facts;
    NODUS_TRY(vision_open(call, in->name, &out[0].file, &weights, &config));
    weights_unref(weights);
    return NULL;
}

static NodusStatus vision_load_cost(NodusCall *call, const void *args, const NodusFacts *in, NodusCost *out)
{
    const VisionLoadArgs *given = args;
    (void)in;
    return cost_file(call, "clip_vision", given->name, out);
}

static const NodusInput vision_load_inputs[] = {
    NODUS_IN_COMBO("clip_name", VisionLoadArgs, name, "A file of models/clip_vision.", .folder = "clip_vision"),
};
static const NodusOutput vision_load_outputs[] = {
    {.name = "CLIP_VISION", .type = "CLIP_VISION", .tooltip = "The network that looks at pictures."}};
const NodusNode node_clip_vision_loader = {
    NODUS_NODE("CLIPVisionLoader", "Load CLIP Vision", "loaders", VisionLoadArgs, vision_load_inputs, vision_load_outputs),
    .flags = NODUS_IO,
    .help = "Open the half of a CLIP model that looks at pictures: of CLIP-L, OpenCLIP-H or OpenCLIP-G, in either layout.",
    .example = "graphs/clip_vision.json",
    .run = vision_load,
    .fingerprint = vision_load_fingerprint,
    .cost = vision_load_cost,
    .infer = vision_load_infer,
};

static NodusStatus unclip_parts(WeightSet *weights, const char *path, Checkpoint *checkpoint, ClipVisionConfig *config)
{
    if (!keys_any_prefix(weights, "embedder.model.visual."))
        return nodus_error(NODUS_ERROR_FILE, "%s: this is no unCLIP checkpoint, it has no vision tower: use Load Checkpoint", path);
    NODUS_TRY(family_vision(weights, path, config));
    return family_checkpoint(weights, path, checkpoint);
}

static NodusStatus unclip_load(NodusCall *call, const void *args)
{
    const VisionLoadArgs *in = args;
    const char *path;
    WeightSet *weights;
    ClipVisionConfig config;
    Checkpoint checkpoint;
    NODUS_TRY(nodus_find_file(call, "checkpoints", in->name, &path));
    NODUS_TRY(model_file_open(path, &weights));
    NodusStatus status = unclip_parts(weights, path, &checkpoint, &config);
    if (!status) status = model_file_emit_checkpoint(call, weights, &checkpoint, in->name);
    if (!status) status = vision_emit(call, 3, weights, &config, in->name);
    weights_unref(weights);
    return status;
}

static NodusStatus unclip_load_fingerprint(NodusCall *call, const void *args, NodusHash *hash)
{
    const VisionLoadArgs *in = args;
    return model_file_hash(call, "checkpoints", in->name, hash);
}

static NodusStatus unclip_load_infer(NodusCall *call, const void *args, const NodusFacts *facts, NodusFacts *out)
{
    const VisionLoadArgs *in = args;
    const char *path;
    WeightSet *weights;
    ClipVisionConfig config;
    Checkpoint checkpoint;
    (void)facts;
    NODUS_TRY(nodus_find_file(call, "checkpoints", in->name, &path));
    NODUS_TRY(model_file_open(path, &weights));
    NodusStatus status = unclip_parts(weights, path, &checkpoint, &config);
    weights_unref(weights);
    if (status) return status;
    model_file_facts(&checkpoint, path, &out[0], &out[1], &out[2]);
    out[3].file = path;
    return NULL;
}

static const NodusInput unclip_load_inputs[] = {
    NODUS_IN_COMBO("ckpt_name", VisionLoadArgs, name, "A file of models/checkpoints that has a vision tower.", .folder = "checkpoints"),
};
static const NodusOutput unclip_load_outputs[] = {
    {.name = "MODEL", .type = "MODEL", .tooltip = "The network that removes noise."},
    {.name = "CLIP", .type = "CLIP", .tooltip = "The text encoder."},
    {.name = "VAE", .type = "VAE", .tooltip = "Turns latents into pictures and back."},
    {.name = "CLIP_VISION", .type = "CLIP_VISION", .tooltip = "The network that looks at pictures."},
};
const NodusNode node_unclip_checkpoint_loader = {
    NODUS_NODE("unCLIPCheckpointLoader", "unCLIPCheckpointLoader", "loaders", VisionLoadArgs, unclip_load_inputs, unclip_load_outputs),
    .flags = NODUS_IO,
    .help = "Open an unCLIP checkpoint: a model that draws after pictures, with the network that looks at them.",
    .example = "graphs/unclip.json",
    .run = unclip_load,
    .fingerprint = unclip_load_fingerprint,
    .infer = unclip_load_infer,
};

/* ---- CLIPVisionEncode --------------------------------------------------------------------------------------------------- */

typedef struct {
    const ClipVision *vision;
    const NodusTensor *image;
    const char *crop;
} VisionEncodeArgs;

enum { LAST, PENULTIMATE, EMBEDS, PARTS };

static NodusStatus vision_build(void *context, OpGraph *graph)
{
    clip_vision_build(graph, context);
    return NULL;
}

static NodusStatus vision_plan(NodusMath *math, const ClipVision *vision, Plan **out)
{
    ClipVisionConfig config = vision->config;
    NodusHash *hash;
    NODUS_TRY(plan_key_begin(math, vision->weights, "clip_vision", &hash));
    nodus_hash_text(hash, config.prefix);
    return plan_get(math, plan_key_end(hash), vision->weights, vision_build, &config, out);
}

/* One picture after the other; part[i][b]: what comes out of picture b. */
static NodusStatus vision_run(NodusCall *call, Plan *plan, const NodusTensor *pixels, NodusTensor **part[PARTS])
{
    static const char *const names[PARTS] = {"last", "penultimate", "embeds"};
    NodusMath *math = nodus_math(call);
    const int64_t batch = nodus_tensor_dim(pixels, 0);
    NODUS_TRY(nodus_expect(call, "clip_vision f32", plan_flop(plan) * (double)batch));
    for (int64_t b = 0; b < batch; b++) {
        Bindings bindings = {0};
        NodusTensor *one;
        NODUS_TRY(nodus_tensor_slice(math, &one, pixels, 0, b, 1));
        bindings_input(&bindings, "pixels", one);
        for (int i = 0; i < PARTS; i++) bindings_output(&bindings, names[i], &part[i][b]);
        NODUS_TRY(plan_run(math, plan, &bindings));
        NODUS_TRY(nodus_progress(call, (double)(batch + b + 1), 2 * (double)batch, NULL));
    }
    return NULL;
}

NodusStatus vision_see(NodusCall *call, const ClipVision *vision, const NodusTensor *image, bool centre, ClipVisionOutput *out)
{
    NodusTensor *pixels, **part[PARTS], *whole[PARTS] = {NULL};
    Plan *plan;
    NODUS_TRY(vision_pixels(call, image, vision->config.side, centre, &pixels));
    const int64_t batch = nodus_tensor_dim(pixels, 0);
    for (int i = 0; i < PARTS; i++)
        if (!(part[i] = nodus_alloc(call, (size_t)batch * sizeof(NodusTensor *)))) return status_memory();
    NODUS_TRY(vision_plan(nodus_math(call), vision, &plan));
    NodusStatus status = vision_run(call, plan, pixels, part);
    plan_unref(plan);
    for (int i = 0; i < PARTS && !status; i++)
        status = nodus_tensor_concat(nodus_math(call), &whole[i], 0, (int)batch, (const NodusTensor *const *)part[i]);
    *out = (ClipVisionOutput){.last = whole[LAST], .penultimate = whole[PENULTIMATE], .embeds = whole[EMBEDS]};
    return status;
}

static NodusStatus vision_encode(NodusCall *call, const void *args)
{
    const VisionEncodeArgs *in = args;
    ClipVisionOutput found;
    NODUS_TRY(vision_see(call, in->vision, in->image, !strcmp(in->crop, "center"), &found));
    ClipVisionOutput *seen = memory_alloc(sizeof *seen);
    if (!seen) return status_memory();
    *seen = (ClipVisionOutput){.last = nodus_tensor_ref(found.last),
                               .penultimate = nodus_tensor_ref(found.penultimate),
                               .embeds = nodus_tensor_ref(found.embeds)};
    return nodus_emit(call, 0, &type_clip_vision_output, seen);
}

static const char *const crops[] = {"center", "none", NULL};
static const NodusInput vision_encode_inputs[] = {
    NODUS_IN_LINK("clip_vision", VisionEncodeArgs, vision, "CLIP_VISION", "The network that looks at pictures."),
    NODUS_IN_LINK("image", VisionEncodeArgs, image, "IMAGE", "What it looks at; each picture of a batch by itself."),
    NODUS_IN_COMBO("crop", VisionEncodeArgs, crop, "It looks at squares: at the middle of the picture, or at all of it, squeezed.",
                   .names = crops),
};
static const NodusOutput vision_encode_outputs[] = {
    {.name = "CLIP_VISION_OUTPUT", .type = "CLIP_VISION_OUTPUT", .tooltip = "What the picture shows, in numbers."}};
const NodusNode node_clip_vision_encode = {
    NODUS_NODE("CLIPVisionEncode", "CLIP Vision Encode", "conditioning", VisionEncodeArgs, vision_encode_inputs, vision_encode_outputs),
    .help = "Encode a picture as models that draw after pictures want it: unCLIP, style models.",
    .example = "graphs/clip_vision.json",
    .run = vision_encode,
};

/* ---- unCLIPConditioning ------------------------------------------------------------------------------------------------- */

typedef struct {
    const Conditioning *conditioning;
    const ClipVisionOutput *seen;
    double strength, augmentation;
} UnclipArgs;

/* A row for each picture: strength, augmentation, embedding. */
static NodusStatus unclip_rows(NodusMath *math, const UnclipArgs *in, NodusTensor **out)
{
    const int64_t dim[] = {nodus_tensor_dim(in->seen->embeds, 0), 1};
    NodusTensor *strength, *augmentation;
    NODUS_TRY(nodus_tensor_fill(math, &strength, 2, dim, (float)in->strength));
    NODUS_TRY(nodus_tensor_fill(math, &augmentation, 2, dim, (float)in->augmentation));
    return nodus_tensor_concat(math, out, 1, 3, (const NodusTensor *[]){strength, augmentation, in->seen->embeds});
}

static NodusStatus unclip_add(NodusCall *call, Cond *cond, const NodusTensor *rows)
{
    NodusTensor *more;
    if (!cond->pictures) {
        cond_assign(&cond->pictures, rows);
        return NULL;
    }
    if (nodus_tensor_dim(cond->pictures, 1) != nodus_tensor_dim(rows, 1))
        return nodus_input_error(call, "clip_vision_output", "the pictures of one conditioning must be encoded by one vision tower");
    NODUS_TRY(nodus_tensor_concat(nodus_math(call), &more, 0, 2, (const NodusTensor *[]){cond->pictures, rows}));
    cond_assign(&cond->pictures, more);
    return NULL;
}

static NodusStatus unclip_condition(NodusCall *call, const void *args)
{
    const UnclipArgs *in = args;
    NodusTensor *rows = NULL;
    Conditioning *changed = conditioning_copy(in->conditioning);
    if (!changed) return status_memory();
    NodusStatus status = in->strength != 0 ? unclip_rows(nodus_math(call), in, &rows) : NULL;
    for (int i = 0; rows && !status && i < changed->count; i++) status = unclip_add(call, &changed->cond[i], rows);
    return cond_finish(call, 0, changed, status);
}

static const NodusInput unclip_inputs[] = {
    NODUS_IN_LINK("conditioning", UnclipArgs, conditioning, "CONDITIONING", "The prompt."),
    NODUS_IN_LINK("clip_vision_output", UnclipArgs, seen, "CLIP_VISION_OUTPUT", "The encoded picture to draw after."),
    NODUS_IN_FLOAT("strength", UnclipArgs, strength, "How much the picture counts; 0: not at all.", .def = 1, .min = -10, .max = 10,
                   .step = 0.01),
    NODUS_IN_FLOAT("noise_augmentation", UnclipArgs, augmentation,
                   "How freely: 0 keeps to the picture, 1 leaves nothing of it but noise.", .def = 0, .min = 0, .max = 1, .step = 0.01),
};
const NodusNode node_unclip_conditioning = {
    NODUS_NODE("unCLIPConditioning", "unCLIPConditioning", "conditioning", UnclipArgs, unclip_inputs, cond_outputs),
    .help = "Let an unCLIP model draw after an encoded picture beside the prompt. Several, one behind the other, are mixed.",
    .example = "graphs/unclip.json",
    .run = unclip_condition,
    .infer = cond_infer,
};
