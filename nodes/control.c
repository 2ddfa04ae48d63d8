/* control.c: nodes that let a picture guide the sampling through a ControlNet or a T2I-Adapter: ControlNetLoader, DiffControlNetLoader,
 * SetUnionControlNetType, ControlNetApply, ControlNetApplyAdvanced, CLIPTextEncodeControlnet.
 *
 * One idea: applying is a note on the entries of a conditioning; the networks are asked where the sampling happens
 * (nodes/diffusion/control.h). */
#include "nodes/diffusion/control.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/tensor/derived.h"
#include "nodes/cond.h"
#include "nodes/control.h"
#include "nodes/cost.h"
#include "nodes/model_file.h"
#include "nodes/text_encode.h"
#include <stdio.h>
#include <string.h>

/* ---- CONTROL_NET ---------------------------------------------------------------------------------------------------------- */

static void control_free(void *payload)
{
    Control *control = payload;
    weights_unref(control->weights);
    memory_free(control->origin);
    memory_free(control);
}

static NodusStatus control_print(const void *payload, NodusText *text)
{
    const Control *control = payload;
    return nodus_print(text, "%s %s", control->config.kind == CONTROL_NET ? "ControlNet" : "T2I-Adapter", control->origin);
}

const NodusType type_control_net = {.struct_size = sizeof(NodusType), .name = "CONTROL_NET", .free = control_free, .print = control_print};

/* ---- Loading -------------------------------------------------------------------------------------------------------------- */

typedef struct {
    const Model *model; /* DiffControlNetLoader */
    const char *name;
} LoadArgs;

static bool ends_in(const char *text, size_t length, const char *tail)
{
    const size_t size = strlen(tail);
    return length >= size && !strncmp(text + length - size, tail, size);
}

/* Networks that look at a picture as a whole say so by their file's name alone. */
static bool is_shuffle(const char *name)
{
    const char *dot = strrchr(name, '.');
    const size_t length = dot ? (size_t)(dot - name) : strlen(name);
    return ends_in(name, length, "_shuffle") || ends_in(name, length, "_shuffle_fp16");
}

/* Adds the model's weights to those of the same names. */
static NodusStatus add_model(Derived *derived, const WeightSet *net, const ControlConfig *config, const Model *model)
{
    const size_t skip = strlen(config->prefix);
    char key[512];
    for (int i = 0; i < weights_count(net); i++) {
        const Weight *weight = weights_at(net, i), *base;
        if (strncmp(weight->name, config->prefix, skip) != 0) continue;
        const int length = snprintf(key, sizeof key, "%s%s", model->unet.prefix, weight->name + skip);
        const int at = length < (int)sizeof key ? weights_find(model->weights, key) : -1;
        if (at < 0) continue;
        base = weights_at(model->weights, at);
        if (base->rank == weight->rank && !memcmp(base->dim, weight->dim, weight->rank * sizeof *base->dim))
            NODUS_TRY(derived_mix(derived, i, 1, model->weights, at, 1));
    }
    return NULL;
}

/* The network whose differences to the model the file holds. */
static NodusStatus whole(WeightSet **weights, const ControlConfig *config, const Model *model)
{
    Derived *derived;
    WeightSet *out;
    NODUS_TRY(derived_new(*weights, false, &derived));
    NodusStatus status = derived_keep(derived, model->weights);
    if (!status) status = add_model(derived, *weights, config, model);
    if (!status) status = derived_finish(derived, &out);
    if (status) {
        derived_free(derived);
        return status;
    }
    weights_unref(*weights);
    *weights = out;
    return NULL;
}

static NodusStatus open_control(NodusCall *call, const char *path, const Model *model, Control *control)
{
    NODUS_TRY(model_file_open(path, &control->weights));
    NODUS_TRY(control_config(control->weights, &control->config));
    if (weights_find(control->weights, "difference") < 0) return NULL;
    if (!model)
        return nodus_error(NODUS_ERROR_INPUT, "it holds differences to a model: load it with DiffControlNetLoader");
    NODUS_TRY(values_require(call, "model", model->weights, model->origin, "diffusion model"));
    return whole(&control->weights, &control->config, model);
}

static NodusStatus load(NodusCall *call, const void *args)
{
    const LoadArgs *in = args;
    const char *path;
    NODUS_TRY(nodus_find_file(call, "controlnet", in->name, &path));
    Control *control = memory_alloc(sizeof *control);
    if (!control) return status_memory();
    NodusStatus status = open_control(call, path, in->model, control);
    control->average = is_shuffle(in->name);
    control->type = -1;
    control->origin = memory_text(in->name);
    if (!status) return nodus_emit(call, 0, &type_control_net, control);
    control_free(control);
    return nodus_error_prefix(status, "'%s'", in->name);
}

static NodusStatus load_fingerprint(NodusCall *call, const void *args, NodusHash *hash)
{
    const LoadArgs *in = args;
    return model_file_hash(call, "controlnet", in->name, hash);
}

static NodusStatus load_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    const LoadArgs *given = args;
    (void)in;
    return nodus_find_file(call, "controlnet", given->name, &out[0].file);
}

static NodusStatus load_cost(NodusCall *call, const void *args, const NodusFacts *in, NodusCost *out)
{
    const LoadArgs *given = args;
    (void)in;
    return cost_file(call, "controlnet", given->name, out);
}

#define CONTROL_NAME NODUS_IN_COMBO("control_net_name", LoadArgs, name, "A file of models/controlnet.", .folder = "controlnet")
static const NodusInput load_inputs[] = {CONTROL_NAME};
static const NodusOutput load_outputs[] = {{.name = "CONTROL_NET", .type = "CONTROL_NET", .tooltip = "What lets a picture guide the sampling."}};
const NodusNode node_control_net_loader = {
    NODUS_NODE("ControlNetLoader", "Load ControlNet Model", "loaders", LoadArgs, load_inputs, load_outputs),
    .flags = NODUS_IO,
    .help = "Open a ControlNet or a T2I-Adapter: networks that let a picture (edges, depth, a pose) guide the sampling.",
    .example = "graphs/control.json",
    .run = load,
    .fingerprint = load_fingerprint,
    .infer = load_infer,
    .cost = load_cost,
};

static const NodusInput load_difference_inputs[] = {
    NODUS_IN_LINK("model", LoadArgs, model, "MODEL", "The model that the file holds differences to."),
    CONTROL_NAME,
};
const NodusNode node_diff_control_net_loader = {
    NODUS_NODE("DiffControlNetLoader", "Load ControlNet Model (diff)", "loaders", LoadArgs, load_difference_inputs, load_outputs),
    .flags = NODUS_IO,
    .help = "Open a ControlNet; one that is stored as its difference to a model is added to that model's weights.",
    .example = "graphs/control_difference.json",
    .run = load,
    .fingerprint = load_fingerprint,
    .infer = load_infer,
    .cost = load_cost,
};

/* ---- Unions --------------------------------------------------------------------------------------------------------------- */

typedef struct {
    const Control *control;
    const char *type;
} TypeArgs;

static const char *const union_types[] = {"auto", "openpose", "depth", "hed/pidi/scribble/ted", "canny/lineart/anime_lineart/mlsd",
                                          "normal", "segment", "tile", "repaint", NULL};

/* −1: "auto", the network is not told. */
static int type_number(const char *name)
{
    for (int i = 0; union_types[i]; i++)
        if (!strcmp(union_types[i], name)) return i - 1;
    return -1;
}

static NodusStatus set_type(NodusCall *call, const void *args)
{
    const TypeArgs *in = args;
    const int type = type_number(in->type);
    if (!in->control->config.types)
        nodus_warn(call, "'%s' was made for one kind of pictures, so it is not told \"%s\"", in->control->origin, in->type);
    else if (type >= in->control->config.types)
        return nodus_input_error(call, "type", "'%s' knows only the first %d kinds of this list", in->control->origin,
                                 in->control->config.types);
    Control *told = memory_alloc(sizeof *told);
    if (!told) return status_memory();
    *told = *in->control;
    weights_ref(told->weights);
    told->type = type;
    told->origin = memory_text(in->control->origin);
    return nodus_emit(call, 0, &type_control_net, told);
}

static NodusStatus set_type_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    (void)call, (void)args;
    out[0].file = in[0].file;
    return NULL;
}

static const NodusInput set_type_inputs[] = {
    NODUS_IN_LINK("control_net", TypeArgs, control, "CONTROL_NET", "A union ControlNet: one that learned several kinds of pictures."),
    NODUS_IN_COMBO("type", TypeArgs, type, "What the picture is. auto: the network is not told, and takes the picture as it is.",
                   .names = union_types),
};
static const NodusOutput set_type_outputs[] = {
    {.name = "CONTROL_NET", .type = "CONTROL_NET", .tooltip = "The network, which expects such a picture."}};
const NodusNode node_set_union_control_net_type = {
    NODUS_NODE("SetUnionControlNetType", "SetUnionControlNetType", "conditioning/controlnet", TypeArgs, set_type_inputs, set_type_outputs),
    .help = "Tell a union ControlNet of what kind the picture is that it will get: edges, depth, a pose.",
    .example = "graphs/control_union.json",
    .run = set_type,
    .infer = set_type_infer,
};

/* ---- Applying ------------------------------------------------------------------------------------------------------------- */

typedef struct {
    const Conditioning *positive, *negative; /* the old node has one */
    const Control *control;
    const NodusTensor *image;
    double strength, start, end;
    const void *vae;
} ApplyArgs;

static NodusStatus put(const ApplyArgs *in, bool everywhere, Conditioning *conditioning)
{
    for (int i = 0; i < conditioning->count; i++) {
        Cond *cond = &conditioning->cond[i];
        ControlUse *use = control_use(in->control, in->image, in->strength, in->start, in->end, cond->control);
        if (!use) return status_memory();
        use->everywhere = everywhere;
        control_unref(cond->control);
        cond->control = use;
    }
    return NULL;
}

static NodusStatus apply_to(NodusCall *call, uint32_t slot, const ApplyArgs *in, const Conditioning *to, bool everywhere)
{
    Conditioning *changed = conditioning_copy(to);
    if (!changed) return status_memory();
    return cond_finish(call, slot, changed, in->strength == 0 ? NULL : put(in, everywhere, changed));
}

static NodusStatus apply_old(NodusCall *call, const void *args)
{
    ApplyArgs in = *(const ApplyArgs *)args;
    in.end = 1;
    return apply_to(call, 0, &in, in.positive, true);
}

static NodusStatus apply(NodusCall *call, const void *args)
{
    const ApplyArgs *in = args;
    NODUS_TRY(apply_to(call, 0, in, in->positive, false));
    return apply_to(call, 1, in, in->negative, false);
}

/* What the conditioning had, and the network. */
static const char *guided_by(NodusCall *call, const ApplyArgs *in, const NodusFacts *to, const NodusFacts *net)
{
    if (in->strength == 0 || !net->file) return to->file;
    return cost_files(call, to->file, cost_files(call, "\n", net->file));
}

static NodusStatus apply_old_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    NODUS_TRY(cond_infer(call, args, in, out));
    out[0].file = guided_by(call, args, &in[0], &in[1]);
    return NULL;
}

static NodusStatus apply_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    NODUS_TRY(cond_infer_pair(call, args, in, out));
    for (int i = 0; i < 2; i++) out[i].file = guided_by(call, args, &in[i], &in[2]);
    return NULL;
}

#define CONTROL_NET_IN NODUS_IN_LINK("control_net", ApplyArgs, control, "CONTROL_NET", "The ControlNet or T2I-Adapter.")
#define PICTURE_IN NODUS_IN_LINK("image", ApplyArgs, image, "IMAGE", "The picture that guides, of the kind that the network learned: edges, depth, a pose …")
#define STRENGTH_IN                                                                                                                  \
    NODUS_IN_FLOAT("strength", ApplyArgs, strength, "How strongly it guides; 0: not at all.", .def = 1, .min = 0, .max = 10, .step = 0.01)
static const NodusInput apply_old_inputs[] = {
    NODUS_IN_LINK("conditioning", ApplyArgs, positive, "CONDITIONING", "The conditioning that it guides; a negative one without a ControlNet gets the same."),
    CONTROL_NET_IN,
    PICTURE_IN,
    STRENGTH_IN,
};
const NodusNode node_control_net_apply = {
    NODUS_NODE("ControlNetApply", "Apply ControlNet (OLD)", "conditioning/controlnet", ApplyArgs, apply_old_inputs, cond_outputs),
    .flags = NODUS_DEPRECATED,
    .help = "Let a picture guide a conditioning, and the other one of a sampling with it. ControlNetApplyAdvanced is its successor.",
    .example = "graphs/control_old.json",
    .run = apply_old,
    .infer = apply_old_infer,
};

static const NodusInput apply_inputs[] = {
    NODUS_IN_LINK("positive", ApplyArgs, positive, "CONDITIONING", "What is wanted."),
    NODUS_IN_LINK("negative", ApplyArgs, negative, "CONDITIONING", "What is not wanted; it is guided too."),
    CONTROL_NET_IN,
    PICTURE_IN,
    STRENGTH_IN,
    NODUS_IN_FLOAT("start_percent", ApplyArgs, start, "From this part of the sampling on: 0 is its start.", .def = 0, .min = 0, .max = 1, .step = 0.001),
    NODUS_IN_FLOAT("end_percent", ApplyArgs, end, "Up to this part of the sampling: 1 is its end.", .def = 1, .min = 0, .max = 1, .step = 0.001),
    NODUS_FLAG_LINK(NODUS_OPTIONAL, "vae", ApplyArgs, vae, "VAE", "For networks that work on latents; those of SD1, SD2 and SDXL do not."),
};
const NodusNode node_control_net_apply_advanced = {
    NODUS_NODE("ControlNetApplyAdvanced", "Apply ControlNet", "conditioning/controlnet", ApplyArgs, apply_inputs, cond_pair_outputs),
    .help = "Let a picture guide both conditionings, in a part of the sampling. Several can be put on one after the other.",
    .example = "graphs/control.json",
    .run = apply,
    .infer = apply_infer,
};

/* ---- CLIPTextEncodeControlnet ----------------------------------------------------------------------------------------------- */

typedef struct {
    const Clip *clip;
    const Conditioning *conditioning;
    const char *text;
} TextArgs;

static NodusStatus tell(NodusCall *call, const void *args)
{
    const TextArgs *in = args;
    NodusTensor *text, *pooled;
    NODUS_TRY(values_require(call, "clip", in->clip->weights, in->clip->origin, "text encoder"));
    NODUS_TRY(text_encode(call, in->clip, in->text, NULL, &text, &pooled));
    Conditioning *changed = conditioning_copy(in->conditioning);
    if (!changed) return status_memory();
    for (int i = 0; i < changed->count; i++) {
        cond_assign(&changed->cond[i].control_text, text);
        cond_assign(&changed->cond[i].control_pooled, pooled);
    }
    return cond_finish(call, 0, changed, NULL);
}

static NodusStatus tell_fingerprint(NodusCall *call, const void *args, NodusHash *hash)
{
    const TextArgs *in = args;
    return text_fingerprint(call, in->text, hash);
}

static const NodusInput tell_inputs[] = {
    NODUS_IN_LINK("clip", TextArgs, clip, "CLIP", "The text encoder."),
    NODUS_IN_LINK("conditioning", TextArgs, conditioning, "CONDITIONING", "The conditioning, with a prompt for the model."),
    NODUS_IN_STRING("text", TextArgs, text, "The prompt that its ControlNets are told instead.", .multiline = true, .dynamic = true),
};
const NodusNode node_clip_text_encode_controlnet = {
    NODUS_NODE("CLIPTextEncodeControlnet", "CLIPTextEncodeControlnet", "_for_testing/conditioning", TextArgs, tell_inputs, cond_outputs),
    .flags = NODUS_EXPERIMENTAL,
    .help = "Give the ControlNets of a conditioning a prompt of their own; the model goes on hearing the first.",
    .example = "graphs/control_text.json",
    .run = tell,
    .fingerprint = tell_fingerprint,
};
