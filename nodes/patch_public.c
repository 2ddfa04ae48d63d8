/* patch_public.c: patches of plug-ins (nodus/patch.h): the door through which a node emits one.
 *
 * One idea: a stranger's class is worn by a class of ours. Each object has a table of its own, with those functions that the
 * stranger's has; they set the names that its inputs go by and pass on. So nothing that runs patches knows of strangers, and plan
 * keys hold the file, the version and the place of each. */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/tensor/op_public.h"
#include "nodes/patch.h"
#include <nodus/patch.h>
#include <stdio.h>

typedef struct Stranger {
    NodusPatchClass class; /* ours; first, so that it lies where the object does */
    const NodusPatchClass *inner;
    void *self;
    void (*release)(void *self);
    Hash128 origin; /* of the plug-in's file */
    char scope[24];
} Stranger;

static void stranger_hash(const Stranger *stranger, NodusHash *hash)
{
    nodus_hash_text(hash, "plug-in");
    nodus_hash_text(hash, stranger->scope);
    nodus_hash_text(hash, stranger->inner->name);
    nodus_hash_u64(hash, stranger->inner->version);
    nodus_hash_u64(hash, stranger->origin.low);
    nodus_hash_u64(hash, stranger->origin.high);
}

static void stranger_structure(const void *self, NodusHash *hash)
{
    const Stranger *stranger = self;
    stranger_hash(stranger, hash);
    if (stranger->inner->structure) stranger->inner->structure(stranger->self, hash);
}

static void stranger_identity(const void *self, NodusHash *hash)
{
    const Stranger *stranger = self;
    stranger_hash(stranger, hash);
    if (stranger->inner->identity) stranger->inner->identity(stranger->self, hash);
}

static bool stranger_active(const void *self, float sigma)
{
    const Stranger *stranger = self;
    return stranger->inner->active(stranger->self, sigma);
}

static NodusStatus stranger_build(const void *self, NodusOpGraph *graph, NodusSite *site)
{
    const Stranger *stranger = self;
    op_public_scope(graph, stranger->scope);
    NodusStatus status = status_from(stranger->inner->name, stranger->inner->build(stranger->self, graph, site));
    op_public_scope(graph, NULL);
    return status;
}

static NodusStatus stranger_begin(const void *self, void **run_state)
{
    const Stranger *stranger = self;
    return status_from(stranger->inner->name, stranger->inner->begin(stranger->self, run_state));
}

static NodusStatus stranger_bind(const void *self, void *run_state, float sigma, NodusBindings *bindings)
{
    const Stranger *stranger = self;
    bindings->scope = stranger->scope;
    NodusStatus status = status_from("it", stranger->inner->bind(stranger->self, run_state, sigma, bindings));
    bindings->scope = NULL;
    return status ? nodus_error_prefix(status, "patch %s", stranger->inner->name) : NULL;
}

static NodusStatus stranger_guide(const void *self, void *run_state, NodusGuidance *guidance)
{
    const Stranger *stranger = self;
    NodusStatus status = status_from("it", stranger->inner->guide(stranger->self, run_state, guidance));
    return status ? nodus_error_prefix(status, "patch %s", stranger->inner->name) : NULL;
}

static NodusStatus stranger_mask(const void *self, NodusMath *math, float left, const NodusTensor *mask, NodusTensor **out)
{
    const Stranger *stranger = self;
    return status_from(stranger->inner->name, stranger->inner->mask(stranger->self, math, left, mask, out));
}

static void stranger_release(void *self)
{
    Stranger *stranger = self;
    if (stranger->release) stranger->release(stranger->self);
}

/* What callers tell from NULL is NULL where the stranger's is. */
static NodusPatchClass class_like(const NodusPatchClass *inner)
{
    return (NodusPatchClass){.struct_size = sizeof(NodusPatchClass),
                             .version = inner->version,
                             .name = inner->name,
                             .structure = stranger_structure,
                             .identity = stranger_identity,
                             .active = inner->active ? stranger_active : NULL,
                             .build = inner->build ? stranger_build : NULL,
                             .begin = inner->begin ? stranger_begin : NULL,
                             .end = inner->end,
                             .bind = inner->bind ? stranger_bind : NULL,
                             .guide = inner->guide ? stranger_guide : NULL,
                             .mask = inner->mask ? stranger_mask : NULL,
                             .flags = inner->flags};
}

/* `self` and its release belong to the object from here on. */
static NodusStatus stranger_new(NodusCall *call, const Model *model, const char *name, Stranger *stranger)
{
    if (!model) return nodus_input_error(call, "model", "is not there");
    NodusHash *origin = hash_new();
    if (!origin) return status_memory();
    stranger->inner = nodus_patch_class(call, name, origin);
    stranger->origin = hash_value(origin);
    hash_free(origin);
    if (!stranger->inner)
        return nodus_error(NODUS_ERROR_INPUT, "no plug-in brings the patch class %s (nodus_plugin_patch)",
                           name ? name : "without name");
    stranger->class = class_like(stranger->inner);
    snprintf(stranger->scope, sizeof stranger->scope, "patch %d", model->patch_count);
    return values_require(call, "model", model->weights, model->origin, "diffusion model");
}

NodusStatus nodus_emit_patched_model(NodusCall *call, uint32_t slot, const void *model, const char *name, void *self,
                                     void (*release)(void *self))
{
    Stranger *stranger = patch_new_holding(sizeof *stranger, stranger_release);
    if (!stranger) {
        if (release) release(self);
        return status_memory();
    }
    stranger->self = self;
    stranger->release = release;
    NodusStatus status = stranger_new(call, model, name, stranger);
    if (!status) return patch_emit(call, slot, model, &stranger->class, stranger);
    patch_unref(stranger);
    return status;
}

float nodus_model_percent_sigma(const void *model, double percent)
{
    return (float)model_sampling_percent(&((const Model *)model)->sampling, percent);
}

int64_t nodus_model_channels(const void *model)
{
    const Model *own = model;
    return own->weights ? own->unet.model_channels : 0;
}
