/* hypernetwork.c: HypernetworkLoader: small networks in front of the keys and values of attention.
 *
 * One idea: their weights join the model's under names of their own, and a patch of the model runs what keys and values are made from
 * through them: k + strength·net0(k), v + strength·net1(v). There is a pair of networks for each width. */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/tensor/derived.h"
#include "nodes/guidance_nodes.h"
#include "nodes/model_file.h"
#include "nodes/models/keys.h"
#include "nodes/patch_numbers.h"
#include <stdio.h>
#include <string.h>

enum { MOST_LAYERS = 64, KEY_ROOM = 512 };
static const float EPS = 1e-5f, LEAK = 0.01f;

typedef enum HyperActivation { LINEAR, RELU, LEAKY_RELU, SWISH, TANH, SIGMOID, SOFTSIGN, ACTIVATIONS } HyperActivation;
static const char *const activation_names[ACTIVATIONS] = {"linear", "relu", "leakyrelu", "swish", "tanh", "sigmoid", "softsign"};

typedef struct Hypernetwork {
    PatchNumbers numbers; /* the strength */
    char scope[160];      /* of its weights, among the model's */
    HyperActivation activation;
    bool last_too; /* the last layer has an activation as well */
} Hypernetwork;

/* ---- In the network --------------------------------------------------------------------------------------------------- */

static OpRef activate(OpGraph *g, HyperActivation activation, OpRef x)
{
    switch (activation) {
    case RELU: return op_leaky_relu(g, x, 0);
    case LEAKY_RELU: return op_leaky_relu(g, x, LEAK);
    case TANH: return op_tanh(g, x);
    case SIGMOID: return op_affine(g, op_tanh(g, op_affine(g, x, 0.5f, 0)), 0.5f, 0.5f);
    case SWISH: { /* x·clamp(x + 3, 0, 6)/6 */
        const OpRef gate = op_sub(g, op_leaky_relu(g, op_affine(g, x, 1, 3), 0), op_leaky_relu(g, op_affine(g, x, 1, -3), 0));
        return op_affine(g, op_mul(g, x, gate), 1.0f / 6, 0);
    }
    case SOFTSIGN: { /* x / (1 + |x|) */
        const OpRef size = op_add(g, op_leaky_relu(g, x, 0), op_leaky_relu(g, op_affine(g, x, -1, 0), 0));
        return op_div(g, x, op_affine(g, size, 1, 1));
    }
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

static bool is_last(OpGraph *g, int layer)
{
    while ((layer = next_layer(g, layer + 1)) >= 0)
        if (!is_norm(g, layer)) return false;
    return true;
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
    const char *path;
    NODUS_TRY(nodus_find_file(call, "hypernetworks", in->name, &path));
    return nodus_hash_file(call, hash, path);
}

static const NodusInput hyper_inputs[] = {
    GUIDANCE_MODEL(HyperArgs),
    NODUS_IN_COMBO("hypernetwork_name", HyperArgs, name, "A file of models/hypernetworks.", .folder = "hypernetworks"),
    NODUS_IN_FLOAT("strength", HyperArgs, strength, "How strongly it changes keys and values.", .def = 1, .min = -10, .max = 10, .step = 0.01),
};
const NodusNode node_hypernetwork_loader = {
    NODUS_NODE("HypernetworkLoader", "HypernetworkLoader", "loaders", HyperArgs, hyper_inputs, guidance_outputs),
    .flags = NODUS_IO,
    .help = "Put a hypernetwork on a model: small networks that change what its attention looks at, an older way to teach a style.",
    .example = "graphs/hypernetwork.json",
    .run = hyper_load,
    .fingerprint = hyper_fingerprint,
};
