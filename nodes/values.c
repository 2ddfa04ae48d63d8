/* values.c: the types of what crosses the sockets of diffusion nodes: how each is freed, accounted for, printed and dumped.
 *
 * One idea: a MODEL, CLIP or VAE is a light note about a shared set of weights, so copies cost nothing. They stay in the process:
 * a file is mapped faster than any copy of it could be read back. */
#include "nodes/values.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "nodes/patch.h"
#include <string.h>

NodusStatus values_require(NodusCall *call, const char *input, const WeightSet *weights, const char *origin, const char *part)
{
    if (weights) return NULL;
    return nodus_input_error(call, input, "'%s' has no %s: link one from another file", origin ? origin : "the file", part);
}

NodusStatus values_require_clip(NodusCall *call, const Clip *clip)
{
    if (clip->weights || !clip->by_example) return values_require(call, "clip", clip->weights, clip->origin, "text encoder");
    return nodus_input_error(call, "clip", "'%s' has no text encoder: it is a Paint-by-Example model, whose prompt is a picture: open it "
                             "with PaintByExampleLoader and use PaintByExampleConditioning", clip->origin ? clip->origin : "the file");
}

/* Mapped arrays cost nothing that the system could not take back. */
static void account_weights(const WeightSet *weights, NodusAccount *account)
{
    size_t bytes = 0;
    if (!weights) return;
    for (int i = 0; i < weights_count(weights); i++)
        if (!weights_at(weights, i)->mapped) bytes += weights_at(weights, i)->bytes;
    nodus_account(account, weights, "cpu", bytes);
}

static NodusStatus print_part(NodusText *text, const char *part, Family family, const WeightSet *weights, const char *origin)
{
    if (!weights) return nodus_print(text, "no %s in %s", part, origin);
    return nodus_print(text, "%s %s of %s", family_name(family), part, origin);
}

static void model_free(void *payload)
{
    Model *model = payload;
    weights_unref(model->weights);
    for (int i = 0; i < model->patch_count; i++) patch_unref(model->patches[i].self);
    memory_free(model->patches);
    memory_free(model->origin);
    memory_free(model);
}

Model *model_copy(const Model *model)
{
    Model *copy = memory_alloc(sizeof *copy);
    if (!copy) return NULL;
    *copy = *model;
    copy->weights = weights_ref(model->weights);
    copy->origin = memory_text(model->origin);
    copy->patches = memory_array((size_t)model->patch_count, sizeof *copy->patches);
    if (!copy->patches) copy->patch_count = 0;
    for (int i = 0; i < copy->patch_count; i++)
        copy->patches[i] = (Patch){model->patches[i].class, patch_ref(model->patches[i].self)};
    if (copy->patches) return copy;
    model_free(copy);
    return NULL;
}

Model *model_with_weights(const Model *model, WeightSet *weights)
{
    Model *copy = model_copy(model);
    weights_unref(copy ? copy->weights : weights);
    if (copy) copy->weights = weights;
    return copy;
}

static void model_account(const void *payload, NodusAccount *account)
{
    account_weights(((const Model *)payload)->weights, account);
}

static NodusStatus model_print(const void *payload, NodusText *text)
{
    const Model *model = payload;
    return print_part(text, "diffusion model", model->family, model->weights, model->origin);
}

static void clip_free(void *payload)
{
    Clip *clip = payload;
    weights_unref(clip->weights);
    memory_free(clip->origin);
    memory_free(clip);
}

Clip *clip_copy(const Clip *clip)
{
    Clip *copy = memory_alloc(sizeof *copy);
    if (!copy) return NULL;
    *copy = *clip;
    copy->weights = weights_ref(clip->weights);
    copy->origin = memory_text(clip->origin);
    return copy;
}

Clip *clip_with_weights(const Clip *clip, WeightSet *weights)
{
    Clip *copy = clip_copy(clip);
    weights_unref(copy ? copy->weights : weights);
    if (copy) copy->weights = weights;
    return copy;
}

static void clip_account(const void *payload, NodusAccount *account)
{
    account_weights(((const Clip *)payload)->weights, account);
}

static NodusStatus clip_print(const void *payload, NodusText *text)
{
    const Clip *clip = payload;
    return print_part(text, "text encoder", clip->family, clip->weights, clip->origin);
}

static void vae_free(void *payload)
{
    Vae *vae = payload;
    weights_unref(vae->weights);
    memory_free(vae->origin);
    memory_free(vae);
}

static void vae_account(const void *payload, NodusAccount *account)
{
    account_weights(((const Vae *)payload)->weights, account);
}

static NodusStatus vae_print(const void *payload, NodusText *text)
{
    const Vae *vae = payload;
    return nodus_print(text, vae->weights ? "VAE of %s" : "no VAE in %s", vae->origin);
}

const NodusType type_model = {
    .struct_size = sizeof(NodusType), .name = "MODEL", .free = model_free, .account = model_account, .print = model_print};
const NodusType type_clip = {
    .struct_size = sizeof(NodusType), .name = "CLIP", .free = clip_free, .account = clip_account, .print = clip_print};
const NodusType type_vae = {
    .struct_size = sizeof(NodusType), .name = "VAE", .free = vae_free, .account = vae_account, .print = vae_print};
