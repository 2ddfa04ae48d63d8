/* control.c: see control.h. */
#include "nodes/diffusion/control.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/tensor/plan.h"
#include "nodes/diffusion/control_inside.h"
#include "nodes/diffusion/control_lora.h"
#include "nodes/models/keys.h"
#include "nodes/resize.h"
#include <stdio.h>
#include <string.h>

enum { LATENT_PIXELS = 8 };

/* ---- Notes -------------------------------------------------------------------------------------------------------------- */

ControlUse *control_use(const Control *net, const NodusTensor *picture, double strength, double start, double end, ControlUse *before)
{
    ControlUse *use = memory_alloc(sizeof *use);
    if (!use) return NULL;
    atomic_init(&use->holders, 1);
    use->net = *net;
    use->net.origin = NULL;
    weights_ref(net->weights);
    use->picture = nodus_tensor_ref(picture);
    use->strength = strength;
    use->start = start;
    use->end = end;
    use->before = control_ref(before);
    return use;
}

ControlUse *control_ref(ControlUse *use)
{
    if (use) atomic_fetch_add_explicit(&use->holders, 1, memory_order_relaxed);
    return use;
}

void control_unref(ControlUse *use)
{
    while (use && atomic_fetch_sub_explicit(&use->holders, 1, memory_order_acq_rel) == 1) {
        ControlUse *before = use->before;
        weights_unref(use->net.weights);
        nodus_tensor_unref(use->picture);
        memory_free(use);
        use = before;
    }
}

bool control_same(const ControlUse *a, const ControlUse *b)
{
    for (; a && b && a != b; a = a->before, b = b->before)
        if (a->net.weights != b->net.weights || a->picture != b->picture || a->strength != b->strength || a->start != b->start ||
            a->end != b->end || a->net.average != b->net.average || a->net.type != b->net.type)
            return false;
    return a == b;
}

static bool acts(const ControlUse *use, const Model *model, float sigma)
{
    const ModelSampling *sampling = &model->sampling;
    return sigma <= (float)model_sampling_percent(sampling, use->start) && sigma >= (float)model_sampling_percent(sampling, use->end);
}

/* What the network is for this model. */
static ControlConfig config_for(const ControlUse *use, const Model *model)
{
    ControlConfig config = use->net.config.lora ? control_of_model(&use->net.config, &model->unet) : use->net.config;
    config.typed = config.types && use->net.type >= 0;
    if (!config.unet.context_width) config.unet.context_width = model->unet.context_width; /* it has no transformers: any will do */
    return config;
}

bool controls_places(const ControlUse *chain, const Model *model, float sigma, ControlPlaces *out)
{
    *out = (ControlPlaces){0, 0, false, model->unet.input_blocks};
    bool any = false;
    for (const ControlUse *use = chain; use; use = use->before) {
        if (!acts(use, model, sigma)) continue;
        const ControlConfig config = config_for(use, model);
        const ControlPlaces more = control_places(&config);
        out->input |= more.input;
        out->output |= more.output;
        out->middle |= more.middle;
        any = true;
    }
    return any;
}

/* ---- What is known of a picture --------------------------------------------------------------------------------------- */

typedef struct Features {
    const ControlUse *use;
    Control net; /* for the model of the sampling; it lives as long as Controls */
    int64_t height, width, rows; /* rows: how many pictures count */
    ControlSignals signals; /* of an adapter */
    NodusTensor *hint;      /* of a ControlNet */
} Features;

/* A network that is a change to a model. */
typedef struct Whole {
    const WeightSet *file, *model;
    WeightSet *weights;
} Whole;

struct Controls {
    Features *item;
    size_t count, capacity;
    Whole *whole;
    size_t wholes, room;
};

void controls_free(Controls *controls)
{
    if (!controls) return;
    for (size_t i = 0; i < controls->wholes; i++) weights_unref(controls->whole[i].weights);
    memory_free(controls->whole);
    memory_free(controls->item);
    memory_free(controls);
}

static NodusStatus controls_open(Controls **controls)
{
    return *controls || (*controls = memory_alloc(sizeof **controls)) ? NULL : status_memory();
}

/* The network of a note, for this model. */
static NodusStatus net_for(Controls *controls, const ControlUse *use, const Model *model, Control *out)
{
    *out = use->net;
    out->config = config_for(use, model);
    if (!use->net.config.lora) return NULL;
    for (size_t i = 0; i < controls->wholes; i++) {
        out->weights = controls->whole[i].weights;
        if (controls->whole[i].file == use->net.weights && controls->whole[i].model == model->weights) return NULL;
    }
    if (!memory_reserve((void **)&controls->whole, &controls->room, controls->wholes, sizeof *controls->whole)) return status_memory();
    NODUS_TRY(control_lora_weights(use->net.weights, use->net.config.prefix, model, &out->weights));
    controls->whole[controls->wholes++] = (Whole){use->net.weights, model->weights, out->weights};
    return NULL;
}

/* The picture at `height` × `width`, as planes [b, c, h, w]. */
static NodusStatus planes(NodusCall *call, const ControlUse *use, int64_t height, int64_t width, int64_t batch, NodusTensor **out)
{
    static const int order[] = {0, 3, 1, 2};
    NodusMath *math = nodus_math(call);
    const int64_t count = nodus_tensor_dim(use->picture, 0), channels = use->net.config.hint_channels;
    NodusTensor *x;
    NODUS_TRY(nodus_tensor_slice(math, &x, use->picture, 0, 0, count < batch ? count : batch));
    NODUS_TRY(resize_image(call, x, width, height, "nearest-exact", true, &x));
    if (channels == 1 && nodus_tensor_dim(x, 3) >= 3) {
        NodusTensor *part[3];
        const float third = 1.0f / 3;
        for (int i = 0; i < 3; i++) NODUS_TRY(nodus_tensor_slice(math, &part[i], x, 3, i, 1));
        NODUS_TRY(nodus_tensor_lincomb(math, &x, 3, (const float[]){third, third, third}, (const NodusTensor *const *)part));
    } else {
        if (nodus_tensor_dim(x, 3) < channels) return nodus_input_error(call, "image", "the picture has too few channels for this network");
        NODUS_TRY(nodus_tensor_slice(math, &x, x, 3, 0, channels));
    }
    NODUS_TRY(nodus_tensor_permute(math, &x, x, order));
    return nodus_tensor_affine(math, out, x, 1, 0);
}

/* Each cell × cell square of pixels becomes channels of one place. */
static NodusStatus unshuffle(NodusMath *math, const NodusTensor *x, int cell, NodusTensor **out)
{
    static const int order[] = {0, 2, 4, 1, 3};
    const int64_t items = nodus_tensor_dim(x, 0), channels = nodus_tensor_dim(x, 1), height = nodus_tensor_dim(x, 2) / cell,
                  width = nodus_tensor_dim(x, 3) / cell;
    NodusTensor *h;
    NODUS_TRY(nodus_tensor_reshape(math, &h, x, 5, (const int64_t[]){items * channels, height, cell, width, cell}));
    NODUS_TRY(nodus_tensor_permute(math, &h, h, order));
    return nodus_tensor_reshape(math, out, h, 4, (const int64_t[]){items, channels * cell * cell, height, width});
}

typedef struct Job {
    const ControlConfig *config;
    UnetShape shape;
} Job;

static NodusStatus build_hint(void *context, OpGraph *graph)
{
    const Job *job = context;
    control_build_hint(graph, job->config, job->shape.batch, job->shape.height, job->shape.width);
    return NULL;
}

static NodusStatus build_adapter(void *context, OpGraph *graph)
{
    const Job *job = context;
    control_build_adapter(graph, job->config, job->shape.batch, job->shape.height, job->shape.width);
    return NULL;
}

static NodusStatus build_net(void *context, OpGraph *graph)
{
    const Job *job = context;
    control_build(graph, job->config, &job->shape);
    return NULL;
}

static NodusStatus plan_of(NodusMath *math, WeightSet *weights, const char *kind, Job *job,
                           NodusStatus (*build)(void *context, OpGraph *graph), Plan **out)
{
    NodusHash *hash;
    NODUS_TRY(plan_key_begin(math, weights, kind, &hash));
    nodus_hash_u64(hash, (uint64_t)job->shape.batch);
    nodus_hash_u64(hash, (uint64_t)job->shape.height);
    nodus_hash_u64(hash, (uint64_t)job->shape.width);
    nodus_hash_u64(hash, (uint64_t)job->shape.tokens);
    nodus_hash_u64(hash, job->config->typed);
    return plan_get(math, plan_key_end(hash), weights, build, job, out);
}

static NodusStatus run_plan(NodusMath *math, WeightSet *weights, const char *kind, Job *job,
                            NodusStatus (*build)(void *context, OpGraph *graph), const Bindings *bindings)
{
    Plan *plan;
    NODUS_TRY(plan_of(math, weights, kind, job, build, &plan));
    NodusStatus status = plan_run(math, plan, bindings);
    plan_unref(plan);
    return status;
}

static NodusStatus see_hint(NodusCall *call, Features *features)
{
    NodusMath *math = nodus_math(call);
    const Control *net = &features->net;
    NodusTensor *picture;
    Bindings bindings = {0};
    NODUS_TRY(planes(call, features->use, features->height * LATENT_PIXELS, features->width * LATENT_PIXELS, features->rows, &picture));
    Job job = {&net->config, {nodus_tensor_dim(picture, 0), features->height, features->width, 0}};
    bindings_input(&bindings, "picture", picture);
    bindings_output(&bindings, "hint", &features->hint);
    NODUS_TRY(run_plan(math, net->weights, "control hint", &job, build_hint, &bindings));
    nodus_tensor_release(math, picture);
    return NULL;
}

static NodusStatus see_adapter(NodusCall *call, Features *features)
{
    NodusMath *math = nodus_math(call);
    const Control *net = &features->net;
    const int cell = net->config.cell;
    const int64_t height = (features->height * LATENT_PIXELS + cell - 1) / cell, width = (features->width * LATENT_PIXELS + cell - 1) / cell;
    NodusTensor *picture;
    Bindings bindings = {0};
    NODUS_TRY(planes(call, features->use, height * cell, width * cell, features->rows, &picture));
    NODUS_TRY(unshuffle(math, picture, cell, &picture));
    Job job = {&net->config, {nodus_tensor_dim(picture, 0), height, width, 0}};
    bindings_input(&bindings, "picture", picture);
    const ControlPlaces places = control_places(&net->config);
    for (int i = 0; i < CONTROL_SIGNALS; i++) {
        const bool wanted = i == SIGNAL_MIDDLE ? places.middle : i < SIGNAL_OUTPUT && places.input >> i & 1;
        if (!wanted) continue;
        control_signal_name(i, features->signals.name[i], sizeof features->signals.name[i]);
        bindings_output(&bindings, features->signals.name[i] + sizeof "control", &features->signals.at[i]);
    }
    return run_plan(math, net->weights, "adapter", &job, build_adapter, &bindings);
}

/* A picture an item of the batch. When there are as many as the network is asked about at once, negative prompts first, each row has its
 * own, as in ComfyUI: two pictures for one item show the first to the negative prompt and the second to the positive. */
static int64_t rows_of(const ControlUse *use, const ControlQuestion *question)
{
    const int64_t all = question->batch * question->members;
    return nodus_tensor_dim(use->picture, 0) == all ? all : question->batch;
}

/* What is known of a picture does not depend on how strongly and when it guides. */
static bool sees_the_same(const ControlUse *a, const ControlUse *b)
{
    return a->net.weights == b->net.weights && a->picture == b->picture;
}

static NodusStatus features_of(Controls *controls, NodusCall *call, const ControlUse *use, const ControlQuestion *question,
                               const Features **out)
{
    const int64_t height = nodus_tensor_dim(question->x, 2), width = nodus_tensor_dim(question->x, 3), rows = rows_of(use, question);
    for (size_t i = 0; i < controls->count; i++) {
        *out = &controls->item[i];
        if (sees_the_same((*out)->use, use) && (*out)->height == height && (*out)->width == width && (*out)->rows == rows) return NULL;
    }
    if (!memory_reserve((void **)&controls->item, &controls->capacity, controls->count, sizeof *controls->item)) return status_memory();
    Features *features = &controls->item[controls->count];
    *features = (Features){.use = use, .height = height, .width = width, .rows = rows};
    NODUS_TRY(net_for(controls, use, question->model, &features->net));
    NODUS_TRY(use->net.config.kind == CONTROL_NET ? see_hint(call, features) : see_adapter(call, features));
    controls->count++;
    *out = features;
    return NULL;
}

/* ---- A question --------------------------------------------------------------------------------------------------------- */

/* Whether the network was made for models like this one; of a Control-LoRA, control_lora_weights asks. */
static bool made_for(const ControlConfig *config, const ControlQuestion *question)
{
    const UnetConfig *net = &config->unet, *model = &question->model->unet;
    if (config->lora) return true;
    if (net->input_blocks != model->input_blocks || net->model_channels != model->model_channels) return false;
    if (config->kind != CONTROL_NET) return true;
    const bool reads = !net->context_width || net->context_width == nodus_tensor_dim(question->context, 2);
    return reads && net->in_channels == nodus_tensor_dim(question->x, 1) &&
           net->label_width == (question->label ? nodus_tensor_dim(question->label, 1) : 0);
}

static NodusStatus check(NodusCall *call, const ControlUse *use, const ControlQuestion *question)
{
    const ControlConfig *config = &use->net.config;
    const UnetConfig *net = &config->unet, *model = &question->model->unet;
    if (config->types && use->net.type >= config->types)
        return nodus_input_error(call, "model", "the union ControlNet knows only the first %d kinds of pictures of SetUnionControlNetType, "
                                 "and it was told the %d.", config->types, use->net.type + 1);
    if (made_for(config, question)) return NULL;
    if (config->kind != CONTROL_NET)
        return nodus_input_error(call, "model", "the T2I-Adapter was made for %s with %d channels; the model has %d input blocks and %d "
                                 "channels: take an adapter for its family", config->wide ? "SDXL" : "SD1 or SD2", net->model_channels,
                                 model->input_blocks, model->model_channels);
    return nodus_input_error(call, "model", "the ControlNet was made for a model of another family (%d channels and texts %d wide; the model "
                             "has %d and %d)", net->model_channels, net->context_width, model->model_channels, model->context_width);
}

/* Features, once a member and item. */
static NodusStatus spread(NodusMath *math, const NodusTensor *x, const ControlQuestion *question, NodusTensor **out)
{
    const int64_t rows = nodus_tensor_dim(x, 0), all = question->batch * question->members;
    NodusTensor *each;
    if (rows == 1 || rows == all) return nodus_tensor_repeat(math, out, x, all);
    NODUS_TRY(nodus_tensor_repeat(math, &each, x, question->batch));
    NODUS_TRY(nodus_tensor_repeat(math, out, each, all));
    nodus_tensor_release(math, each);
    return NULL;
}

/* A union hears of what kind the picture is. */
static NodusStatus bind_kind(NodusMath *math, const Control *net, Bindings *bindings)
{
    const int64_t types = net->config.types;
    NodusTensor *kinds, *kind;
    float *one = memory_array((size_t)types, sizeof *one);
    int32_t *id = memory_alloc(sizeof *id);
    if (one && net->config.typed) one[net->type] = 1;
    if (id) *id = net->type;
    NodusStatus status = one && id ? nodus_tensor_from_f32(math, &kinds, 1, &types, one) : status_memory();
    memory_free(one);
    if (!status) status = tensor_borrow(NODUS_I32, 2, (const int64_t[]){1, 1}, id, memory_free, id, &kind);
    if (status) {
        memory_free(id);
        return status;
    }
    NODUS_TRY(math_keep(math, kind));
    bindings_input(bindings, "kinds", kinds);
    if (net->config.typed) bindings_input(bindings, "kind", kind);
    return NULL;
}

static NodusStatus ask_net(NodusMath *math, const Control *net, const Features *features, const ControlQuestion *question,
                           ControlSignals *out)
{
    const int64_t items = question->members * question->batch;
    NodusTensor *hint;
    Bindings bindings = {0};
    NODUS_TRY(spread(math, features->hint, question, &hint));
    bindings_input(&bindings, "x", question->x);
    bindings_input(&bindings, "timesteps", question->timesteps);
    bindings_input(&bindings, "context", question->context);
    if (question->label) bindings_input(&bindings, "y", question->label);
    bindings_input(&bindings, "hint", hint);
    if (net->config.types) NODUS_TRY(bind_kind(math, net, &bindings));
    const ControlPlaces places = control_places(&net->config);
    for (int i = SIGNAL_OUTPUT; i < CONTROL_SIGNALS; i++) {
        if (i != SIGNAL_MIDDLE && !(places.output >> (i - SIGNAL_OUTPUT) & 1)) continue;
        control_signal_name(i, out->name[i], sizeof out->name[i]);
        bindings_output(&bindings, out->name[i] + sizeof "control", &out->at[i]);
    }
    Job job = {&net->config, {items, features->height, features->width, question->tokens}};
    NODUS_TRY(run_plan(math, net->weights, "control", &job, build_net, &bindings));
    nodus_tensor_release(math, hint);
    return NULL;
}

static NodusStatus ask_adapter(NodusMath *math, const Features *features, const ControlQuestion *question, ControlSignals *out)
{
    for (int i = 0; i < CONTROL_SIGNALS; i++)
        if (features->signals.at[i]) NODUS_TRY(spread(math, features->signals.at[i], question, &out->at[i]));
    return NULL;
}

/* *x = what `use` makes of it: its mean over the picture, its strength; plus `before`, which is released. */
static NodusStatus weigh(NodusMath *math, const ControlUse *use, NodusTensor *before, NodusTensor **x)
{
    NodusTensor *raw = *x, *sum;
    if (use->net.average) {
        NodusTensor *mean;
        NODUS_TRY(nodus_tensor_resize(math, &mean, raw, 1, 1, NODUS_AREA));
        NODUS_TRY(nodus_tensor_resize(math, x, mean, nodus_tensor_dim(raw, 2), nodus_tensor_dim(raw, 3), NODUS_NEAREST));
        nodus_tensor_release(math, mean);
        nodus_tensor_release(math, raw);
        raw = *x;
    }
    NODUS_TRY(nodus_tensor_affine(math, x, raw, (float)use->strength, 0));
    nodus_tensor_release(math, raw);
    if (!before) return NULL;
    NODUS_TRY(nodus_tensor_add(math, &sum, *x, before));
    nodus_tensor_release(math, *x);
    nodus_tensor_release(math, before);
    *x = sum;
    return NULL;
}

static NodusStatus ask_one(Controls *controls, NodusCall *call, const ControlUse *use, const ControlQuestion *question, ControlSignals *out)
{
    NodusMath *math = nodus_math(call);
    const Features *features = NULL;
    const ControlSignals before = *out;
    NODUS_TRY(check(call, use, question));
    NODUS_TRY(features_of(controls, call, use, question, &features));
    *out = (ControlSignals){.at = {NULL}};
    Control net = features->net;
    net.type = use->net.type;
    net.config.typed = config_for(use, question->model).typed;
    NODUS_TRY(use->net.config.kind == CONTROL_NET ? ask_net(math, &net, features, question, out) : ask_adapter(math, features, question, out));
    for (int i = 0; i < CONTROL_SIGNALS; i++) {
        if (out->at[i]) NODUS_TRY(weigh(math, use, before.at[i], &out->at[i]));
        else out->at[i] = before.at[i];
    }
    return NULL;
}

/* The oldest note first. */
static NodusStatus ask_chain(Controls *controls, NodusCall *call, const ControlUse *use, const ControlQuestion *question, ControlSignals *out)
{
    if (!use) return NULL;
    NODUS_TRY(ask_chain(controls, call, use->before, question, out));
    return acts(use, question->model, question->sigma) ? ask_one(controls, call, use, question, out) : NULL;
}

NodusStatus controls_ask(Controls **controls, NodusCall *call, const ControlUse *chain, const ControlQuestion *question, ControlSignals *out)
{
    *out = (ControlSignals){.at = {NULL}};
    NODUS_TRY(controls_open(controls));
    return ask_chain(*controls, call, chain, question, out);
}

void controls_release(NodusMath *math, ControlSignals *signals)
{
    for (int i = 0; i < CONTROL_SIGNALS; i++) nodus_tensor_release(math, signals->at[i]);
}

NodusStatus controls_flop(Controls **controls, NodusMath *math, const ControlUse *chain, const Model *model, float sigma,
                          const NetworkShape *shape, double *flop)
{
    NODUS_TRY(controls_open(controls));
    for (const ControlUse *use = chain; use; use = use->before) {
        Plan *plan;
        if (use->net.config.kind != CONTROL_NET || !acts(use, model, sigma)) continue;
        Control net;
        NODUS_TRY(net_for(*controls, use, model, &net));
        Job job = {&net.config, {shape->items, shape->height, shape->width, shape->tokens}};
        NODUS_TRY(plan_of(math, net.weights, "control", &job, build_net, &plan));
        *flop += plan_flop(plan);
        plan_unref(plan);
    }
    return NULL;
}

/* ---- Before a run --------------------------------------------------------------------------------------------------------- */

static size_t bytes_of(int64_t items, int64_t channels, int64_t height, int64_t width)
{
    const int64_t dim[] = {items, channels, height, width};
    size_t bytes;
    return dims_bytes(NODUS_F32, 4, dim, &bytes) ? bytes : SIZE_MAX / (4 * UNET_MAX_BLOCKS);
}

/* The tensors that it gives at its places: as many channels as the layers that make them, at the size that their blocks have. */
static size_t signal_bytes(const WeightSet *weights, const ControlConfig *config, const NetworkShape *shape)
{
    int64_t height = shape->height, width = shape->width, channels = 0;
    size_t bytes = 0;
    for (int i = 0; i < config->unet.input_blocks; i++) {
        if (keys_get(weights, config->prefix, "input_blocks.%d.0.op.weight", i)) height = (height + 1) / 2, width = (width + 1) / 2;
        const Weight *last = keys_get(weights, config->prefix, "zero_convs.%d.0.weight", i);
        if (last) channels = last->dim[0];
        if (last) bytes += bytes_of(shape->items, channels, height, width);
    }
    return bytes + bytes_of(shape->items, channels, height, width);
}

static NodusStatus plans_cost(NodusMath *math, WeightSet *weights, const ControlConfig *config, const NetworkShape *shape, ControlCost *out)
{
    const bool net = config->kind == CONTROL_NET;
    const int64_t height = shape->height * LATENT_PIXELS, width = shape->width * LATENT_PIXELS;
    Plan *plan;
    Job look = {config, {1, net ? shape->height : height / config->cell, net ? shape->width : width / config->cell, 0}};
    Job ask = {config, {shape->items, shape->height, shape->width, shape->tokens}};
    NODUS_TRY(plan_of(math, weights, net ? "control hint" : "adapter", &look, net ? build_hint : build_adapter, &plan));
    out->look = plan_arena_bytes(plan);
    plan_unref(plan);
    if (!net) return NULL;
    NODUS_TRY(plan_of(math, weights, "control", &ask, build_net, &plan));
    out->ask = plan_arena_bytes(plan);
    plan_unref(plan);
    out->hint = bytes_of(shape->items + 1, config->unet.model_channels, shape->height, shape->width);
    out->signals = signal_bytes(weights, config, shape);
    return NULL;
}

NodusStatus controls_cost(NodusMath *math, WeightSet *weights, const Model *model, const NetworkShape *shape, ControlPlaces *places,
                          ControlCost *out)
{
    ControlUse use = {.net.type = -1};
    *out = (ControlCost){0};
    NODUS_TRY(control_config(weights, &use.net.config));
    const ControlConfig config = config_for(&use, model);
    const ControlPlaces more = control_places(&config);
    if (config.lora) NODUS_TRY(control_lora_weights(weights, config.prefix, model, &use.net.weights));
    else use.net.weights = weights_ref(weights);
    NodusStatus status = plans_cost(math, use.net.weights, &config, shape, out);
    places->input |= more.input, places->output |= more.output, places->middle |= more.middle;
    weights_unref(use.net.weights);
    return status;
}
