/* values.c: the types of what crosses the sockets of diffusion nodes: how each is freed, accounted for, printed and dumped.
 *
 * One idea: a MODEL, CLIP or VAE is a light note about a shared set of weights, so copies cost nothing. They stay in the process:
 * a file is mapped faster than any copy of it could be read back. */
#include "nodes/values.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include <string.h>

enum { MOST_ENTRIES = 1 << 16 /* of a conditioning in a record */ };

NodusStatus values_require(NodusCall *call, const char *input, const WeightSet *weights, const char *origin, const char *part)
{
    if (weights) return NULL;
    return nodus_input_error(call, input, "'%s' has no %s: link one from another file", origin ? origin : "the file", part);
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
    memory_free(model->patches);
    memory_free(model->origin);
    memory_free(model);
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

static void conditioning_free(void *payload)
{
    Conditioning *conditioning = payload;
    for (int i = 0; i < conditioning->count; i++) {
        nodus_tensor_unref(conditioning->cond[i].text);
        nodus_tensor_unref(conditioning->cond[i].pooled);
    }
    memory_free(conditioning->cond);
    memory_free(conditioning);
}

static void conditioning_account(const void *payload, NodusAccount *account)
{
    const Conditioning *conditioning = payload;
    for (int i = 0; i < conditioning->count; i++) {
        nodus_account_tensor(account, conditioning->cond[i].text);
        nodus_account_tensor(account, conditioning->cond[i].pooled);
    }
}

static NodusStatus conditioning_print(const void *payload, NodusText *text)
{
    const Conditioning *conditioning = payload;
    NODUS_TRY(nodus_print(text, "conditioning"));
    for (int i = 0; i < conditioning->count; i++) {
        const NodusTensor *tokens = conditioning->cond[i].text;
        NODUS_TRY(nodus_print(text, " [%d tokens × %d]", (int)nodus_tensor_dim(tokens, 1), (int)nodus_tensor_dim(tokens, 2)));
    }
    return NULL;
}

static NodusStatus conditioning_array(const void *payload, const char *part, const NodusTensor **out)
{
    const Conditioning *conditioning = payload;
    const Cond *first = conditioning->count ? &conditioning->cond[0] : NULL;
    *out = !first ? NULL : !part ? first->text : !strcmp(part, "pooled") ? first->pooled : NULL;
    return *out ? NULL : nodus_error(NODUS_ERROR_INPUT, "this conditioning has no %s", part ? part : "entries");
}

static NodusStatus conditioning_store(const void *payload, NodusWriter *writer)
{
    const Conditioning *conditioning = payload;
    NODUS_TRY(nodus_write_u64(writer, (uint64_t)conditioning->count));
    for (int i = 0; i < conditioning->count; i++) {
        NODUS_TRY(nodus_write_tensor(writer, conditioning->cond[i].text));
        NODUS_TRY(nodus_write_tensor(writer, conditioning->cond[i].pooled));
    }
    return NULL;
}

/* `count` entries are there, empty; each is filled as far as the record goes. */
static NodusStatus conditioning_read(NodusReader *reader, Conditioning *conditioning)
{
    for (int i = 0; i < conditioning->count; i++) {
        NODUS_TRY(nodus_read_tensor(reader, &conditioning->cond[i].text));
        NODUS_TRY(nodus_read_tensor(reader, &conditioning->cond[i].pooled));
        if (!conditioning->cond[i].text) return nodus_error(NODUS_ERROR_FILE, "a conditioning without its text");
    }
    return NULL;
}

static NodusStatus conditioning_load(NodusReader *reader, void **payload)
{
    uint64_t count;
    NODUS_TRY(nodus_read_u64(reader, &count));
    if (count > MOST_ENTRIES) return nodus_error(NODUS_ERROR_FILE, "a conditioning of %llu entries", (unsigned long long)count);
    Conditioning *conditioning = memory_alloc(sizeof *conditioning);
    if (!conditioning) return status_memory();
    conditioning->cond = memory_array((size_t)count + 1, sizeof *conditioning->cond);
    conditioning->count = conditioning->cond ? (int)count : 0;
    NodusStatus status = conditioning->cond ? conditioning_read(reader, conditioning) : status_memory();
    if (status) conditioning_free(conditioning);
    else *payload = conditioning;
    return status;
}

const NodusType type_model = {
    .struct_size = sizeof(NodusType), .name = "MODEL", .free = model_free, .account = model_account, .print = model_print};
const NodusType type_clip = {
    .struct_size = sizeof(NodusType), .name = "CLIP", .free = clip_free, .account = clip_account, .print = clip_print};
const NodusType type_vae = {
    .struct_size = sizeof(NodusType), .name = "VAE", .free = vae_free, .account = vae_account, .print = vae_print};
const NodusType type_conditioning = {.struct_size = sizeof(NodusType),
                                     .name = "CONDITIONING",
                                     .free = conditioning_free,
                                     .account = conditioning_account,
                                     .print = conditioning_print,
                                     .store = conditioning_store,
                                     .load = conditioning_load,
                                     .array = conditioning_array};
