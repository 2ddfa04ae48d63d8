/* hypernetwork.c: HypernetworkLoader: small networks in front of the keys and values of attention.
 *
 * One idea: their weights join the model's under names of their own, and a patch of the model runs what keys and values are made from
 * through them: k + strength·net0(k), v + strength·net1(v). There is a pair of networks for each width. */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/tensor/derived.h"
#include "nodes/guidance_nodes.h"
#include "nodes/cost.h"
#include "nodes/model_file.h"
#include "nodes/models/keys.h"
#include "nodes/patch_numbers.h"
#include <stdio.h>
#include <string.h>

enum { MOST_LAYERS = 64, KEY_ROOM = 512 };
static const float EPS = 1e-5f, LEAK = 0.01f, SELU_SCALE = 1.0507009873554805f, SELU_ALPHA = 1.6732632423543773f;

/* The names are torch's in small letters, for all that the tensor operations make up exactly; a swish is a hard one, as in ComfyUI, which
 * knows the first eight and mish and leaves the model as it is with any other. */
typedef enum HyperActivation {
    LINEAR, RELU, LEAKY_RELU, SWISH, TANH, SIGMOID, SOFTSIGN, ELU, GELU, HARD_SIGMOID, HARD_SWISH, HARD_TANH, MISH, RELU6, SELU, SILU,
    SOFT_SHRINK, TANH_SHRINK, CELU, ACTIVATIONS
} HyperActivation;
static const char *const activation_names[ACTIVATIONS] = {
    "linear", "relu", "leakyrelu", "swish", "tanh", "sigmoid", "softsign", "elu", "gelu", "hardsigmoid", "hardswish", "hardtanh", "mish",
    "relu6", "selu", "silu", "softshrink", "tanhshrink", "celu"};

typedef struct Hypernetwork {
    PatchNumbers numbers; /* the strength */
    char scope[160];      /* of its weights, among the model's */
    HyperActivation activation;
    bool last_too; /* the last layer has an activation as well */
} Hypernetwork;

/* ---- In the network --------------------------------------------------------------------------------------------------- */

static OpRef above(OpGraph *g, OpRef x, float floor)
{
    return op_leaky_relu(g, op_affine(g, x, 1, -floor), 0); /* max(x − floor, 0) */
}

/* min(x, 0) */
static OpRef below_zero(OpGraph *g, OpRef x)
{
    return op_affine(g, op_leaky_relu(g, op_affine(g, x, -1, 0), 0), -1, 0);
}

/* clamp(x, low, high) − low */
static OpRef clamped(OpGraph *g, OpRef x, float low, float high)
{
    return op_sub(g, above(g, x, low), above(g, x, high));
}

/* e^x − 1 of what is not above 0: 2t / (1 − t) with t = tanh(x/2). */
static OpRef exp_less_one(OpGraph *g, OpRef x)
{
    const OpRef t = op_tanh(g, op_affine(g, x, 0.5f, 0));
    return op_div(g, op_affine(g, t, 2, 0), op_affine(g, t, -1, 1));
}

/* x·tanh(ln(1 + e^x)), whose tanh is n / (n + 2) with n = e^x·(e^x + 2); each half with the power that is at most 1. */
static OpRef mish(OpGraph *g, OpRef x)
{
    const OpRef low = below_zero(g, x), high = above(g, x, 0);
    const OpRef a = op_affine(g, exp_less_one(g, low), 1, 1), n = op_mul(g, a, op_affine(g, a, 1, 2));
    const OpRef b = op_affine(g, exp_less_one(g, op_affine(g, high, -1, 0)), 1, 1), top = op_affine(g, b, 2, 1);
    const OpRef whole = op_add(g, top, op_affine(g, op_mul(g, b, b), 2, 0));
    return op_add(g, op_mul(g, low, op_div(g, n, op_affine(g, n, 1, 2))), op_mul(g, high, op_div(g, top, whole)));
}

static OpRef activate(OpGraph *g, HyperActivation activation, OpRef x)
{
    switch (activation) {
    case RELU: return op_leaky_relu(g, x, 0);
    case LEAKY_RELU: return op_leaky_relu(g, x, LEAK);
    case TANH: return op_tanh(g, x);
    case SIGMOID: return op_affine(g, op_tanh(g, op_affine(g, x, 0.5f, 0)), 0.5f, 0.5f);
    case SWISH:
    case HARD_SWISH: return op_affine(g, op_mul(g, x, clamped(g, x, -3, 3)), 1.0f / 6, 0);
    case SOFTSIGN: return op_div(g, x, op_affine(g, op_sub(g, above(g, x, 0), below_zero(g, x)), 1, 1)); /* x / (1 + |x|) */
    case ELU:
    case CELU: return op_add(g, above(g, x, 0), exp_less_one(g, below_zero(g, x)));
    case SELU:
        return op_add(g, op_affine(g, above(g, x, 0), SELU_SCALE, 0),
                      op_affine(g, exp_less_one(g, below_zero(g, x)), SELU_SCALE * SELU_ALPHA, 0));
    case GELU: return op_gelu(g, x);
    case SILU: return op_silu(g, x);
    case MISH: return mish(g, x);
    case RELU6: return clamped(g, x, 0, 6);
    case HARD_SIGMOID: return op_affine(g, clamped(g, x, -3, 3), 1.0f / 6, 0);
    case HARD_TANH: return op_affine(g, clamped(g, x, -1, 1), 1, -1);
    case SOFT_SHRINK: return op_sub(g, above(g, x, 0.5f), above(g, op_affine(g, x, -1, 0), 0.5f));
    case TANH_SHRINK: return op_sub(g, x, op_tanh(g, x));
    default: return x;
    }
}

/* The number of the next layer from `at` on; −1 when there is none. Activations have numbers too, but no weights. */
static int next_layer(const OpGraph *g, int at)
{
    char key[48];
    for (; at < MOST_LAYERS; at++) {
        snprintf(key, sizeof key, "linear.%d.weight", at);
        if (graph_has(g, key)) return at;
    }
    return -1;
}

static bool is_norm(OpGraph *g, int layer)
{
    char key[48];
    snprintf(key, sizeof key, "linear.%d.bias", layer);
    if (!graph_has(g, key)) return false;
    snprintf(key, sizeof key, "linear.%d.weight", layer);
    return graph_rank(g, op_weight(g, key)) == 1;
}

/* A norm behind the last product makes that one, too, a layer in the middle, as in ComfyUI. */
static bool is_last(const OpGraph *g, int layer)
{
    return next_layer(g, layer + 1) < 0;
}

static OpRef run_net(OpGraph *g, const Hypernetwork *self, int64_t width, int number, OpRef x)
{
    char name[32];
    graph_push(g, "/%s%lld.%d", self->scope, (long long)width, number);
    for (int layer = next_layer(g, 0); layer >= 0; layer = next_layer(g, layer + 1)) {
        snprintf(name, sizeof name, "linear.%d", layer);
        if (is_norm(g, layer)) {
            x = op_layer_norm(g, x, name, EPS);
            continue;
        }
        x = op_linear(g, x, name);
        if (self->last_too || !is_last(g, layer)) x = activate(g, self->activation, x);
    }
    graph_pop(g);
    return x;
}

static OpRef through(OpGraph *g, const Hypernetwork *self, int64_t width, int number, OpRef x)
{
    return op_add(g, x, op_mul(g, run_net(g, self, width, number, x), patch_number(g, self, 0)));
}

static NodusStatus hyper_build(const void *object, OpGraph *g, Site *site)
{
    const Hypernetwork *self = object;
    char key[KEY_ROOM];
    if (site->kind != SITE_ATTENTION_INPUT) return NULL;
    const int64_t width = graph_dim(g, site->k, 2);
    snprintf(key, sizeof key, "/%s%lld.0", self->scope, (long long)width);
    graph_push(g, "%s", key);
    const bool there = next_layer(g, 0) >= 0;
    graph_pop(g);
    if (!there) return NULL;
    site->k = through(g, self, width, 0, site->k);
    site->v = through(g, self, width, 1, site->v);
    return NULL;
}

static void hyper_structure(const void *object, NodusHash *hash)
{
    const Hypernetwork *self = object;
    patch_numbers_structure(self, hash);
    nodus_hash_text(hash, self->scope);
    nodus_hash_u64(hash, self->activation);
    nodus_hash_u64(hash, self->last_too);
}

static void hyper_identity(const void *object, NodusHash *hash)
{
    hyper_structure(object, hash);
    patch_numbers_identity(object, hash);
}

static const NodusPatchClass hyper_class = {.struct_size = sizeof(NodusPatchClass),
                                            .name = "hypernetwork",
                                            .structure = hyper_structure,
                                            .identity = hyper_identity,
                                            .build = hyper_build,
                                            .bind = patch_numbers_bind};

/* ---- Loading ------------------------------------------------------------------------------------------------------------ */

typedef struct {
    const Model *model;
    const char *name;
    double strength;
} HyperArgs;

/* Whether there is the first layer of "WIDTH.NUMBER". */
static bool starts(const WeightSet *file, const char *width, int length, int number)
{
    for (int layer = 0; layer < MOST_LAYERS; layer++)
        if (keys_get(file, "", "%.*s.%d.linear.%d.weight", length, width, number, layer)) return true;
    return false;
}

/* "768.0.linear.0.weight": one of a pair, of which both must be there: v + strength·v would be no network at all. */
static NodusStatus check_pair(const WeightSet *file, const char *name)
{
    const int length = (int)strcspn(name, ".");
    const bool width = length > 0 && strspn(name, "0123456789") == (size_t)length;
    if (width && starts(file, name, length, 0) && starts(file, name, length, 1)) return NULL;
    return nodus_error(NODUS_ERROR_FILE, "\"%.200s\" belongs to no pair of networks \"WIDTH.0.linear.N\" and "
                       "\"WIDTH.1.linear.N\" with N below %d", name, MOST_LAYERS);
}

/* Its layers, under the first scope that the model has free. */
static NodusStatus join(Derived *derived, const Model *model, WeightSet *file, char *scope, size_t room)
{
    char name[KEY_ROOM];
    int number = 0, layers = 0;
    do snprintf(scope, room, "%shypernetwork.%d.", model->unet.prefix, number++);
    while (keys_any_prefix(model->weights, scope));
    for (int i = 0; i < weights_count(file); i++) {
        const char *old = weights_at(file, i)->name;
        if (!strstr(old, ".linear.")) continue;
        NODUS_TRY(check_pair(file, old));
        if (snprintf(name, sizeof name, "%s%s", scope, old) < (int)sizeof name) NODUS_TRY(derived_join(derived, name, file, i));
        layers++;
    }
    return layers ? NULL : nodus_error(NODUS_ERROR_FILE, "this is no hypernetwork: it has no entry with \".linear.\" in its name");
}

static NodusStatus read_settings(const WeightSet *file, Hypernetwork *out)
{
    const char *activation = weights_metadata(file, "activation_func"), *last = weights_metadata(file, "activate_output");
    out->last_too = last && !strcmp(last, "true");
    for (int i = 0; i < ACTIVATIONS; i++)
        if (!activation || !strcmp(activation, activation_names[i])) {
            out->activation = (HyperActivation)i;
            return NULL;
        }
    return nodus_error(NODUS_ERROR_MISSING, "its activation function \"%.40s\" is not known here", activation);
}

static NodusStatus put(const Model *model, WeightSet *file, Hypernetwork *hyper, Model **out)
{
    Derived *derived;
    WeightSet *weights;
    NODUS_TRY(read_settings(file, hyper));
    NODUS_TRY(derived_new(model->weights, false, &derived));
    NodusStatus status = derived_keep(derived, file);
    if (!status) status = join(derived, model, file, hyper->scope, sizeof hyper->scope);
    if (!status) status = derived_finish(derived, &weights);
    if (status) {
        derived_free(derived);
        return status;
    }
    *out = model_with_weights(model, weights);
    return *out ? NULL : status_memory();
}

static NodusStatus hyper_load(NodusCall *call, const void *args)
{
    const HyperArgs *in = args;
    const char *path;
    WeightSet *file;
    void *object;
    Model *model = NULL;
    NODUS_TRY(values_require(call, "model", in->model->weights, in->model->origin, "diffusion model"));
    NODUS_TRY(nodus_find_file(call, "hypernetworks", in->name, &path));
    NODUS_TRY(model_file_open(path, &file));
    NodusStatus status = patch_numbers_new(call, in->model, sizeof(Hypernetwork), (const double[PATCH_NUMBERS]){in->strength}, &object);
    if (!status && (status = put(in->model, file, object, &model))) patch_unref(object);
    weights_unref(file);
    if (status) return nodus_error_prefix(status, "'%s'", in->name);
    status = patch_emit(call, 0, model, &hyper_class, object);
    type_model.free(model);
    return status;
}

static NodusStatus hyper_fingerprint(NodusCall *call, const void *args, NodusHash *hash)
{
    const HyperArgs *in = args;
    return model_file_hash(call, "hypernetworks", in->name, hash);
}

static NodusStatus hyper_cost(NodusCall *call, const void *args, const NodusFacts *in, NodusCost *out)
{
    const HyperArgs *given = args;
    (void)in;
    return cost_file(call, "hypernetworks", given->name, out);
}

static const NodusInput hyper_inputs[] = {
    GUIDANCE_MODEL(HyperArgs),
    NODUS_IN_COMBO("hypernetwork_name", HyperArgs, name, "A file of models/hypernetworks.", .folder = "hypernetworks"),
    NODUS_IN_FLOAT("strength", HyperArgs, strength, "How strongly it changes keys and values.", .def = 1,
                   .min = -10, .max = 10, .step = 0.01),
};
const NodusNode node_hypernetwork_loader = {
    NODUS_NODE("HypernetworkLoader", "HypernetworkLoader", "loaders", HyperArgs, hyper_inputs, guidance_outputs),
    .flags = NODUS_IO,
    .help = "Put a hypernetwork on a model: small networks that change what its attention looks at, an older way to teach a style.",
    .example = "graphs/hypernetwork.json",
    .run = hyper_load,
    .fingerprint = hyper_fingerprint,
    .cost = hyper_cost,
};
