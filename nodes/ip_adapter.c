/* ip_adapter.c: pictures as prompts: IPAdapterModelLoader, IPAdapterUnifiedLoader, IPAdapter, IPAdapterAdvanced.
 *
 * One idea: the node looks at the picture and makes the keys and values of all layers, of the positive and the negative side; what it puts
 * on the model only has to look at them (nodes/diffusion/image_prompt.h). Names and inputs are those that people's workflows have. */
#include "nodes/ip_adapter.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/tensor/plan.h"
#include "nodes/diffusion/image_prompt.h"
#include "nodes/guidance_nodes.h"
#include "nodes/cost.h"
#include "nodes/model_file.h"
#include "nodes/vision.h"
#include <stdio.h>
#include <string.h>

/* ---- IPADAPTER -------------------------------------------------------------------------------------------------------------- */

typedef struct IpAdapter {
    WeightSet *weights;
    IpAdapterConfig config;
    char *origin;
    ClipVision vision; /* what looks at its pictures unless another is linked; or without weights */
} IpAdapter;

static void adapter_free(void *payload)
{
    IpAdapter *adapter = payload;
    weights_unref(adapter->weights);
    weights_unref(adapter->vision.weights);
    memory_free(adapter->origin);
    memory_free(adapter);
}

static NodusStatus adapter_print(const void *payload, NodusText *text)
{
    const IpAdapter *adapter = payload;
    return nodus_print(text, "IP-Adapter %s, %d layers", adapter->origin, adapter->config.layers);
}

const NodusType type_ip_adapter = {
    .struct_size = sizeof(NodusType), .name = "IPADAPTER", .free = adapter_free, .print = adapter_print};

typedef struct {
    const char *name;
} LoadArgs;

static NodusStatus adapter_open(const char *path, const char *name, IpAdapter **out)
{
    IpAdapter *adapter = memory_alloc(sizeof *adapter);
    if (!adapter) return status_memory();
    NodusStatus status = model_file_open(path, &adapter->weights);
    if (!status) status = ip_adapter_config(adapter->weights, &adapter->config);
    adapter->origin = memory_text(name);
    *out = adapter;
    if (!status) return NULL;
    adapter_free(adapter);
    return nodus_error_prefix(status, "'%s'", name);
}

static NodusStatus adapter_load(NodusCall *call, const void *args)
{
    const LoadArgs *in = args;
    IpAdapter *adapter;
    const char *path;
    NODUS_TRY(nodus_find_file(call, "ipadapter", in->name, &path));
    NODUS_TRY(adapter_open(path, in->name, &adapter));
    return nodus_emit(call, 0, &type_ip_adapter, adapter);
}

static NodusStatus adapter_load_fingerprint(NodusCall *call, const void *args, NodusHash *hash)
{
    const LoadArgs *in = args;
    return model_file_hash(call, "ipadapter", in->name, hash);
}

static NodusStatus adapter_load_cost(NodusCall *call, const void *args, const NodusFacts *in, NodusCost *out)
{
    const LoadArgs *given = args;
    (void)in;
    return cost_file(call, "ipadapter", given->name, out);
}

static const NodusInput load_inputs[] = {
    NODUS_IN_COMBO("ipadapter_file", LoadArgs, name, "A file of models/ipadapter.", .folder = "ipadapter"),
};
static const NodusOutput load_outputs[] = {{.name = "IPADAPTER", .type = "IPADAPTER", .tooltip = "What makes prompts of pictures."}};
const NodusNode node_ip_adapter_model_loader = {
    NODUS_NODE("IPAdapterModelLoader", "IPAdapter Model Loader", "ipadapter", LoadArgs, load_inputs, load_outputs),
    .flags = NODUS_IO,
    .help = "Open an IP-Adapter for SD1 or SDXL: of the plain, plus or full-face kind.",
    .example = "graphs/ip_adapter.json",
    .run = adapter_load,
    .fingerprint = adapter_load_fingerprint,
    .cost = adapter_load_cost,
};

/* ---- IPAdapterUnifiedLoader --------------------------------------------------------------------------------------------------- */

typedef struct {
    const Model *model;
    const char *preset;
    const IpAdapter *ipadapter;
} UnifiedArgs;

/* The files that a preset means, for SD1 and SDXL; they look through ViT-H. */
static const char *const preset_names[] = {"LIGHT - SD1.5 only (low strength)", "STANDARD (medium strength)", "PLUS (high strength)",
                                           "PLUS FACE (portraits)", "FULL FACE - SD1.5 only (portraits stronger)",
                                           "VIT-G (medium strength)", NULL};
static const char *const preset_files[][2] = {{"ip-adapter_sd15_light_v11", NULL},
                                              {"ip-adapter_sd15", "ip-adapter_sdxl_vit-h"},
                                              {"ip-adapter-plus_sd15", "ip-adapter-plus_sdxl_vit-h"},
                                              {"ip-adapter-plus-face_sd15", "ip-adapter-plus-face_sdxl_vit-h"},
                                              {"ip-adapter-full-face_sd15", NULL},
                                              {"ip-adapter_sd15_vit-G", "ip-adapter_sdxl"}};
static const char *const towers[] = {"CLIP-ViT-H-14-laion2B-s32B-b79K", "CLIP-ViT-bigG-14-laion2B-39B-b160k"};
enum { VIT_G_PRESET = 5, NAME_ROOM = 80 };

static int preset_of(const UnifiedArgs *in)
{
    int preset = 0;
    while (strcmp(in->preset, preset_names[preset]) != 0) preset++;
    return preset;
}

/* A file by its name without the ending: in either format. */
static NodusStatus find_either(NodusCall *call, const char *folder, const char *stem, char name[NAME_ROOM], const char **path)
{
    snprintf(name, NAME_ROOM, "%s.bin", stem);
    NodusStatus status = nodus_find_file(call, folder, name, path);
    if (!status) return NULL;
    nodus_error_free(status);
    snprintf(name, NAME_ROOM, "%s.safetensors", stem);
    return nodus_find_file(call, folder, name, path);
}

static NodusStatus open_tower(NodusCall *call, const char *stem, ClipVision *out)
{
    char name[NAME_ROOM];
    const char *path;
    NODUS_TRY(find_either(call, "clip_vision", stem, name, &path));
    NODUS_TRY(model_file_open(path, &out->weights));
    return family_vision(out->weights, path, &out->config);
}

static NodusStatus unified_load(NodusCall *call, const void *args)
{
    const UnifiedArgs *in = args;
    const int preset = preset_of(in);
    char name[NAME_ROOM];
    const char *path, *stem;
    IpAdapter *adapter;
    NODUS_TRY(values_require(call, "model", in->model->weights, in->model->origin, "diffusion model"));
    if (in->model->family != FAMILY_SD1 && in->model->family != FAMILY_SDXL)
        return nodus_input_error(call, "model", "is %s: there are IP-Adapters for SD1 and SDXL", family_name(in->model->family));
    stem = preset_files[preset][in->model->family == FAMILY_SDXL];
    if (!stem) return nodus_input_error(call, "preset", "%s has no adapter for SDXL: choose another", in->preset);
    NODUS_TRY(find_either(call, "ipadapter", stem, name, &path));
    NODUS_TRY(adapter_open(path, name, &adapter));
    NodusStatus status = open_tower(call, towers[preset == VIT_G_PRESET], &adapter->vision);
    if (!status) {
        Model *copy = model_copy(in->model);
        status = copy ? nodus_emit(call, 0, &type_model, copy) : status_memory();
    }
    if (!status) return nodus_emit(call, 1, &type_ip_adapter, adapter);
    adapter_free(adapter);
    return status;
}

/* Which family the model is of is not known here: the files of both, where they are. */
static NodusStatus unified_fingerprint(NodusCall *call, const void *args, NodusHash *hash)
{
    const int preset = preset_of(args);
    const char *const stems[] = {preset_files[preset][0], preset_files[preset][1], towers[preset == VIT_G_PRESET]};
    char name[NAME_ROOM];
    const char *path;
    for (int i = 0; i < 3; i++) {
        if (!stems[i]) continue;
        NodusStatus status = find_either(call, i < 2 ? "ipadapter" : "clip_vision", stems[i], name, &path);
        if (!status) NODUS_TRY(nodus_hash_file(call, hash, path));
        nodus_error_free(status);
    }
    return NULL;
}

static const NodusInput unified_inputs[] = {
    GUIDANCE_MODEL(UnifiedArgs),
    NODUS_IN_COMBO("preset", UnifiedArgs, preset, "How much of the picture the adapter takes over.", .names = preset_names,
                   .def = "PLUS (high strength)"),
    NODUS_FLAG_LINK(NODUS_OPTIONAL, "ipadapter", UnifiedArgs, ipadapter, "IPADAPTER", "Not needed: files stay open anyway."),
};
static const NodusOutput unified_outputs[] = {
    {.name = "model", .type = "MODEL", .tooltip = "The model, as it was."},
    {.name = "ipadapter", .type = "IPADAPTER", .tooltip = "What makes prompts of pictures, with what looks at them."},
};
const NodusNode node_ip_adapter_unified_loader = {
    NODUS_NODE("IPAdapterUnifiedLoader", "IPAdapter Unified Loader", "ipadapter", UnifiedArgs, unified_inputs, unified_outputs),
    .flags = NODUS_IO,
    .help = "Open the IP-Adapter that fits a model, and the vision tower that it needs, by the names under which they are published.",
    .example = "graphs/ip_adapter_preset.json",
    .run = unified_load,
    .fingerprint = unified_fingerprint,
    .infer = guidance_infer,
};

/* ---- What the adapter makes of pictures --------------------------------------------------------------------------------------- */

typedef struct {
    const Model *model;
    const IpAdapter *adapter;
    const NodusTensor *image, *image_negative, *attn_mask;
    double weight, start_at, end_at;
    const char *weight_type, *combine_embeds, *embeds_scaling;
    const ClipVision *vision;
} ApplyArgs;

typedef struct KeysJob {
    const IpAdapterConfig *config;
    int64_t rows;
} KeysJob;

static NodusStatus build_keys(void *context, OpGraph *graph)
{
    const KeysJob *job = context;
    ip_adapter_build(graph, job->config, job->rows);
    return NULL;
}

static NodusStatus read_latents(NodusMath *math, const IpAdapter *adapter, NodusTensor **out)
{
    const int64_t dim[] = {1, adapter->config.tokens, adapter->config.inner};
    float *numbers = memory_array((size_t)(dim[1] * dim[2]), sizeof *numbers);
    if (!numbers) return status_memory();
    NodusStatus status = weights_read_f32(weights_get(adapter->weights, "image_proj.latents"), numbers);
    if (!status) status = nodus_tensor_from_f32(math, out, 3, dim, numbers);
    memory_free(numbers);
    return status;
}

static NodusStatus run_keys(NodusMath *math, const IpAdapter *adapter, Plan *plan, const NodusTensor *seen, int64_t at, NodusTensor **out)
{
    Bindings bindings = {0};
    NodusTensor *one, *latents;
    NODUS_TRY(nodus_tensor_slice(math, &one, seen, 0, at, 1));
    bindings_input(&bindings, "image", one);
    if (adapter->config.kind == IP_PLUS) {
        NODUS_TRY(read_latents(math, adapter, &latents));
        bindings_input(&bindings, "latents", latents);
    }
    bindings_output(&bindings, "keys", out);
    return plan_run(math, plan, &bindings);
}

/* Of encoded pictures [b, rows, width], the keys and values: those of all pictures one behind the other, [1, b·tokens, total]. */
static NodusStatus keys_of(NodusCall *call, const IpAdapter *adapter, const NodusTensor *seen, NodusTensor **out)
{
    NodusMath *math = nodus_math(call);
    KeysJob job = {&adapter->config, nodus_tensor_dim(seen, 1)};
    const int64_t batch = nodus_tensor_dim(seen, 0);
    NodusTensor **keys = nodus_alloc(call, (size_t)batch * sizeof(NodusTensor *));
    NodusHash *hash;
    Plan *plan;
    if (!keys) return status_memory();
    NODUS_TRY(plan_key_begin(math, adapter->weights, "ip_adapter", &hash));
    nodus_hash_u64(hash, (uint64_t)job.rows);
    NODUS_TRY(plan_get(math, plan_key_end(hash), adapter->weights, build_keys, &job, &plan));
    NodusStatus status = NULL;
    for (int64_t i = 0; i < batch && !status; i++) status = run_keys(math, adapter, plan, seen, i, &keys[i]);
    plan_unref(plan);
    return status ? status : nodus_tensor_concat(math, out, 1, (int)batch, (const NodusTensor *const *)keys);
}

/* ---- What it is shown --------------------------------------------------------------------------------------------------------- */

/* What this kind of adapter wants to know of pictures: [b, rows, width]. */
static NodusStatus look(NodusCall *call, const ApplyArgs *in, const NodusTensor *image, NodusTensor **out)
{
    const IpAdapterConfig *config = &in->adapter->config;
    ClipVisionOutput seen;
    NODUS_TRY(vision_see(call, in->vision, image, true, &seen));
    NodusTensor *told = config->kind == IP_PLAIN ? seen.embeds : seen.penultimate;
    const int64_t width = nodus_tensor_dim(told, -1);
    if (width != config->image)
        return nodus_input_error(call, "clip_vision", "tells %d numbers of a picture, '%s' wants %d: it needs another vision tower "
                                 "(most adapters ViT-H, some of SDXL ViT-bigG)", (int)width, in->adapter->origin, config->image);
    if (config->kind != IP_PLAIN) *out = told;
    else NODUS_TRY(nodus_tensor_reshape(nodus_math(call), out, told, 3, (const int64_t[]){nodus_tensor_dim(told, 0), 1, width}));
    return NULL;
}

/* The sum of what several pictures tell, or its mean; "concat" leaves them as they are. */
static NodusStatus combine(NodusCall *call, const ApplyArgs *in, NodusTensor **seen)
{
    NodusMath *math = nodus_math(call);
    const int64_t batch = nodus_tensor_dim(*seen, 0);
    const bool add = !strcmp(in->combine_embeds, "add"), average = !strcmp(in->combine_embeds, "average");
    if (batch == 1 || !strcmp(in->combine_embeds, "concat")) return NULL;
    if (!add && !average)
        return nodus_input_error(call, "combine_embeds", "%s of several pictures is not in this build: choose concat, add or average",
                                 in->combine_embeds);
    NodusTensor **one = nodus_alloc(call, (size_t)batch * sizeof(NodusTensor *));
    float *factor = nodus_alloc(call, (size_t)batch * sizeof *factor);
    if (!one || !factor) return status_memory();
    for (int64_t i = 0; i < batch; i++) {
        factor[i] = add ? 1 : 1 / (float)batch;
        NODUS_TRY(nodus_tensor_slice(math, &one[i], *seen, 0, i, 1));
    }
    return nodus_tensor_lincomb(math, seen, (int)batch, factor, (const NodusTensor *const *)one);
}

/* What the negative side is told: of a picture for it, else zeros; or, of tokens, those of a black picture. */
static NodusStatus look_negative(NodusCall *call, const ApplyArgs *in, const NodusTensor *positive, NodusTensor **out)
{
    NodusMath *math = nodus_math(call);
    const int64_t side = in->vision->config.side, batch = nodus_tensor_dim(positive, 0);
    const NodusTensor *image = in->image_negative;
    NodusTensor *black;
    if (!image && in->adapter->config.kind == IP_PLAIN) return nodus_tensor_affine(math, out, positive, 0, 0);
    if (!image) {
        NODUS_TRY(nodus_tensor_fill(math, &black, 4, (const int64_t[]){1, side, side, 3}, 0));
        image = black;
    }
    NODUS_TRY(look(call, in, image, out));
    if (in->image_negative) NODUS_TRY(combine(call, in, out));
    return nodus_tensor_repeat(math, out, *out, batch);
}

/* ---- IPAdapterAdvanced -------------------------------------------------------------------------------------------------------- */

static const char *const weight_types[] = {"linear", "ease in", "ease out", "ease in-out", "reverse in-out", "weak input", "weak output",
                                           "weak middle", "strong middle", "style transfer", "composition", "strong style transfer",
                                           "style and composition", "style transfer precise", "composition precise", NULL};
static const char *const combinations[] = {"concat", "add", "subtract", "average", "norm average", NULL};
static const char *const scalings[] = {"V only", "K+V", "K+V w/ C penalty", "K+mean(V) w/ C penalty", NULL};

static NodusStatus apply_check(NodusCall *call, const void *args)
{
    const ApplyArgs *in = args;
    for (int i = IMAGE_PROMPT_STRONG_MIDDLE + 1; weight_types[i]; i++)
        if (!strcmp(in->weight_type, weight_types[i]))
            return nodus_input_error(call, "weight_type", "%s is not in this build: choose linear, one of the eases, weak or strong ones",
                                     in->weight_type);
    if (strstr(in->embeds_scaling, "penalty"))
        return nodus_input_error(call, "embeds_scaling", "%s is not in this build: choose V only or K+V", in->embeds_scaling);
    return NULL;
}

static NodusStatus check_model(NodusCall *call, const ApplyArgs *in)
{
    NODUS_TRY(values_require(call, "model", in->model->weights, in->model->origin, "diffusion model"));
    const int wanted = ip_adapter_layer(&in->model->unet, SITE_STAGE_OUTPUT + 1, 0, 0);
    if (wanted != in->adapter->config.layers)
        return nodus_input_error(call, "ipadapter", "'%s' has %d layers, the model %s wants %d: is it for another model family?",
                                 in->adapter->origin, in->adapter->config.layers, in->model->origin, wanted);
    if (in->vision) return NULL;
    return nodus_input_error(call, "clip_vision", "is needed: link a CLIP vision model (Load CLIP Vision) of the kind that '%s' was made "
                             "with", in->adapter->origin);
}

static NodusStatus fill_mask(NodusCall *call, const ApplyArgs *in, ImagePrompt *out)
{
    const NodusTensor *mask = in->attn_mask;
    const int rank = nodus_tensor_rank(mask);
    NodusTensor *plane;
    if (nodus_tensor_dim(mask, 0) != 1)
        return nodus_input_error(call, "attn_mask", "has %d masks: one is wanted, for all pictures", (int)nodus_tensor_dim(mask, 0));
    const int64_t dim[] = {1, 1, nodus_tensor_dim(mask, rank - 2), nodus_tensor_dim(mask, rank - 1)};
    NODUS_TRY(nodus_tensor_reshape(nodus_math(call), &plane, mask, 4, dim));
    out->mask = nodus_tensor_ref(plane);
    return NULL;
}

static NodusStatus fill(NodusCall *call, const ApplyArgs *in, ImagePrompt *out)
{
    const ModelSampling *sampling = &in->model->sampling;
    NodusTensor *positive, *negative, *keys, *weight;
    NODUS_TRY(look(call, in, in->image, &positive));
    NODUS_TRY(combine(call, in, &positive));
    NODUS_TRY(look_negative(call, in, positive, &negative));
    NODUS_TRY(keys_of(call, in->adapter, positive, &keys));
    out->keys[IMAGE_PROMPT_POSITIVE] = nodus_tensor_ref(keys);
    NODUS_TRY(keys_of(call, in->adapter, negative, &keys));
    out->keys[IMAGE_PROMPT_NEGATIVE] = nodus_tensor_ref(keys);
    out->value = (float)in->weight;
    NODUS_TRY(nodus_tensor_fill(nodus_math(call), &weight, 1, (const int64_t[]){1}, out->value));
    out->weight = nodus_tensor_ref(weight);
    if (in->attn_mask) NODUS_TRY(fill_mask(call, in, out));
    out->unet = in->model->unet;
    out->adapter = in->adapter->config;
    out->start = (float)model_sampling_percent(sampling, in->start_at);
    out->end = (float)model_sampling_percent(sampling, in->end_at);
    out->keys_too = !strcmp(in->embeds_scaling, "K+V");
    for (int i = 0; weight_types[i]; i++)
        if (!strcmp(in->weight_type, weight_types[i])) out->rule = (ImagePromptRule)i;
    image_prompt_name(out, in->model->patch_count);
    return NULL;
}

static NodusStatus apply(NodusCall *call, const void *args)
{
    ApplyArgs chosen = *(const ApplyArgs *)args;
    const ApplyArgs *in = &chosen;
    if (!in->vision && in->adapter->vision.weights) chosen.vision = &in->adapter->vision;
    NODUS_TRY(apply_check(call, in));
    NODUS_TRY(check_model(call, in));
    ImagePrompt *prompt = patch_new_holding(sizeof *prompt, image_prompt_release);
    if (!prompt) return status_memory();
    NodusStatus status = fill(call, in, prompt);
    if (!status) return patch_emit(call, 0, in->model, &image_prompt_patch, prompt);
    patch_unref(prompt);
    return status;
}

static const NodusInput apply_inputs[] = {
    GUIDANCE_MODEL(ApplyArgs),
    NODUS_IN_LINK("ipadapter", ApplyArgs, adapter, "IPADAPTER", "What makes a prompt of the picture."),
    NODUS_IN_LINK("image", ApplyArgs, image, "IMAGE", "The picture to draw after; its middle square is looked at."),
    NODUS_IN_FLOAT("weight", ApplyArgs, weight, "How much it counts beside the text.", .def = 1, .min = -1, .max = 5, .step = 0.05),
    NODUS_IN_COMBO("weight_type", ApplyArgs, weight_type, "Where in the network it counts how much: linear is everywhere the same.",
                   .names = weight_types),
    NODUS_IN_COMBO("combine_embeds", ApplyArgs, combine_embeds,
                   "Of several pictures: one behind the other, or their sum or mean.", .names = combinations),
    NODUS_IN_FLOAT("start_at", ApplyArgs, start_at, "Where in the sampling it begins.", .def = 0, .min = 0, .max = 1, .step = 0.001),
    NODUS_IN_FLOAT("end_at", ApplyArgs, end_at, "Where in the sampling it ends.", .def = 1, .min = 0, .max = 1, .step = 0.001),
    NODUS_IN_COMBO("embeds_scaling", ApplyArgs, embeds_scaling, "What the weight scales: what is found in the picture (V), also how (K).",
                   .names = scalings),
    NODUS_FLAG_LINK(NODUS_OPTIONAL, "image_negative", ApplyArgs, image_negative, "IMAGE",
                    "What not to draw; nothing if not given."),
    NODUS_FLAG_LINK(NODUS_OPTIONAL, "attn_mask", ApplyArgs, attn_mask, "MASK", "Where it counts; everywhere if not given."),
    NODUS_FLAG_LINK(NODUS_OPTIONAL, "clip_vision", ApplyArgs, vision, "CLIP_VISION",
                    "The network that looks at the picture: of the kind that the adapter was made with."),
};
const NodusNode node_ip_adapter_advanced = {
    NODUS_NODE("IPAdapterAdvanced", "IPAdapter Advanced", "ipadapter", ApplyArgs, apply_inputs, guidance_outputs),
    .help = "Let a picture be part of the prompt: each layer of the network looks at it as it does at the text.",
    .example = "graphs/ip_adapter.json",
    .run = apply,
    .check = apply_check,
    .infer = guidance_infer,
};

/* ---- IPAdapter -------------------------------------------------------------------------------------------------------------- */

typedef struct {
    const Model *model;
    const IpAdapter *adapter;
    const NodusTensor *image, *attn_mask;
    double weight, start_at, end_at;
    const char *weight_type;
} SimpleArgs;

static const char *const simple_types[] = {"standard", "prompt is more important", "style transfer", NULL};

static NodusStatus simple_check(NodusCall *call, const void *args)
{
    const SimpleArgs *in = args;
    if (strcmp(in->weight_type, "style transfer") != 0) return NULL;
    return nodus_input_error(call, "weight_type", "style transfer is not in this build: choose standard or prompt is more important");
}

static NodusStatus simple(NodusCall *call, const void *args)
{
    const SimpleArgs *in = args;
    const bool ease = !strcmp(in->weight_type, "prompt is more important");
    const ApplyArgs all = {.model = in->model,
                           .adapter = in->adapter,
                           .image = in->image,
                           .attn_mask = in->attn_mask,
                           .weight = in->weight,
                           .start_at = in->start_at,
                           .end_at = in->end_at,
                           .weight_type = ease ? "ease out" : "linear",
                           .combine_embeds = "concat",
                           .embeds_scaling = "V only"};
    NODUS_TRY(simple_check(call, args));
    return apply(call, &all);
}

static const NodusInput simple_inputs[] = {
    GUIDANCE_MODEL(SimpleArgs),
    NODUS_IN_LINK("ipadapter", SimpleArgs, adapter, "IPADAPTER", "What makes a prompt of the picture: of IPAdapter Unified Loader."),
    NODUS_IN_LINK("image", SimpleArgs, image, "IMAGE", "The picture to draw after; its middle square is looked at."),
    NODUS_IN_FLOAT("weight", SimpleArgs, weight, "How much it counts beside the text.", .def = 1, .min = -1, .max = 3, .step = 0.05),
    NODUS_IN_FLOAT("start_at", SimpleArgs, start_at, "Where in the sampling it begins.", .def = 0, .min = 0, .max = 1, .step = 0.001),
    NODUS_IN_FLOAT("end_at", SimpleArgs, end_at, "Where in the sampling it ends.", .def = 1, .min = 0, .max = 1, .step = 0.001),
    NODUS_IN_COMBO("weight_type", SimpleArgs, weight_type, "Whether it counts the same everywhere, or little in the first layers.",
                   .names = simple_types),
    NODUS_FLAG_LINK(NODUS_OPTIONAL, "attn_mask", SimpleArgs, attn_mask, "MASK", "Where it counts; everywhere if not given."),
};
const NodusNode node_ip_adapter_simple = {
    NODUS_NODE("IPAdapter", "IPAdapter", "ipadapter", SimpleArgs, simple_inputs, guidance_outputs),
    .help = "Let a picture be part of the prompt, with an adapter from IPAdapter Unified Loader.",
    .example = "graphs/ip_adapter_preset.json",
    .run = simple,
    .check = simple_check,
    .infer = guidance_infer,
};
