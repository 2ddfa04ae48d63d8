/* conditioning.c: the type CONDITIONING: how it is made, copied, freed, accounted for, printed, dumped and kept on disk.
 *
 * One idea: a conditioning is a list of entries, and an entry is a small struct of numbers that shares its tensors. So a node
 * copies the list and changes a field. */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "nodes/diffusion/boxes.h"
#include "nodes/diffusion/edit.h"
#include "nodes/diffusion/control.h"
#include <string.h>

enum { NUMBERS = 15, TENSORS = 8 };

/* The fields of an entry as lists, for what treats all alike. */
static void cond_tensors(Cond *cond, NodusTensor **field[TENSORS])
{
    NodusTensor **const all[TENSORS] = {&cond->text,          &cond->pooled,      &cond->mask,
                                        &cond->concat_latent, &cond->concat_mask, &cond->pictures,
                                        &cond->control_text,  &cond->control_pooled};
    memcpy(field, all, sizeof all);
}

static void cond_numbers(Cond *cond, double *field[NUMBERS])
{
    CondArea *area = &cond->area;
    CondSize *size = &cond->size;
    double *const all[NUMBERS] = {
        &area->height,
        &area->width,
        &area->y,
        &area->x,
        &size->width,
        &size->height,
        &size->crop_w,
        &size->crop_h,
        &size->target_width,
        &size->target_height,
        &size->aesthetic_score,
        &cond->strength,
        &cond->mask_strength,
        &cond->start,
        &cond->end,
    };
    memcpy(field, all, sizeof all);
}

Cond cond_plain(const NodusTensor *text, const NodusTensor *pooled)
{
    return (Cond){
        .text = nodus_tensor_ref(text), .pooled = nodus_tensor_ref(pooled), .strength = 1, .mask_strength = 1, .end = 1};
}

Conditioning *conditioning_new(int count)
{
    Conditioning *conditioning = memory_alloc(sizeof *conditioning);
    if (!conditioning) return NULL;
    conditioning->cond = memory_array((size_t)count + 1, sizeof *conditioning->cond);
    conditioning->count = count;
    if (conditioning->cond) return conditioning;
    memory_free(conditioning);
    return NULL;
}

Cond cond_share(const Cond *cond)
{
    Cond copy = *cond;
    NodusTensor **field[TENSORS];
    cond_tensors(&copy, field);
    for (int i = 0; i < TENSORS; i++) nodus_tensor_ref(*field[i]);
    control_ref(copy.control);
    box_ref(copy.boxes);
    edit_ref(copy.edit);
    return copy;
}

Conditioning *conditioning_copy(const Conditioning *conditioning)
{
    Conditioning *copy = conditioning_new(conditioning->count);
    for (int i = 0; copy && i < copy->count; i++) copy->cond[i] = cond_share(&conditioning->cond[i]);
    return copy;
}

void conditioning_free(void *payload)
{
    Conditioning *conditioning = payload;
    for (int i = 0; i < conditioning->count; i++) {
        NodusTensor **field[TENSORS];
        cond_tensors(&conditioning->cond[i], field);
        for (int k = 0; k < TENSORS; k++) nodus_tensor_unref(*field[k]);
        control_unref(conditioning->cond[i].control);
        box_unref(conditioning->cond[i].boxes);
        edit_unref(conditioning->cond[i].edit);
    }
    memory_free(conditioning->cond);
    memory_free(conditioning);
}

static void conditioning_account(const void *payload, NodusAccount *account)
{
    const Conditioning *conditioning = payload;
    for (int i = 0; i < conditioning->count; i++) {
        NodusTensor **field[TENSORS];
        cond_tensors(&conditioning->cond[i], field);
        for (int k = 0; k < TENSORS; k++) nodus_account_tensor(account, *field[k]);
        for (const ControlUse *use = conditioning->cond[i].control; use; use = use->before) nodus_account_tensor(account, use->picture);
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

/* ---- To disk and back ---------------------------------------------------------------------------------------------- */

static NodusStatus cond_store(Cond *cond, NodusWriter *writer)
{
    NodusTensor **tensor[TENSORS];
    double *number[NUMBERS];
    if (cond->control || cond->boxes || cond->edit)
        return nodus_error(NODUS_ERROR_MISSING, "a conditioning with a network or an edit stays in its process");
    cond_tensors(cond, tensor);
    cond_numbers(cond, number);
    NODUS_TRY(nodus_write_u64(writer, cond->has));
    NODUS_TRY(nodus_write_u64(writer, cond->area.part));
    for (int i = 0; i < NUMBERS; i++) NODUS_TRY(nodus_write_double(writer, *number[i]));
    for (int i = 0; i < TENSORS; i++) NODUS_TRY(nodus_write_tensor(writer, *tensor[i]));
    return NULL;
}

static NodusStatus conditioning_store(const void *payload, NodusWriter *writer)
{
    const Conditioning *conditioning = payload;
    NODUS_TRY(nodus_write_u64(writer, (uint64_t)conditioning->count));
    for (int i = 0; i < conditioning->count; i++) NODUS_TRY(cond_store(&conditioning->cond[i], writer));
    return NULL;
}

/* Fills an empty entry as far as the record goes. */
static NodusStatus cond_load(NodusReader *reader, Cond *cond)
{
    NodusTensor **tensor[TENSORS];
    double *number[NUMBERS];
    uint64_t has, part;
    cond_tensors(cond, tensor);
    cond_numbers(cond, number);
    NODUS_TRY(nodus_read_u64(reader, &has));
    NODUS_TRY(nodus_read_u64(reader, &part));
    cond->has = (unsigned)has;
    cond->area.part = part != 0;
    for (int i = 0; i < NUMBERS; i++) NODUS_TRY(nodus_read_double(reader, number[i]));
    for (int i = 0; i < TENSORS; i++) NODUS_TRY(nodus_read_tensor(reader, tensor[i]));
    return cond->text ? NULL : nodus_error(NODUS_ERROR_FILE, "a conditioning without its text");
}

static NodusStatus conditioning_load(NodusReader *reader, void **payload)
{
    uint64_t count;
    NodusStatus status = NULL;
    NODUS_TRY(nodus_read_u64(reader, &count));
    if (count > CONDITIONING_MOST)
        return nodus_error(NODUS_ERROR_FILE, "a conditioning of %llu entries", (unsigned long long)count);
    Conditioning *conditioning = conditioning_new((int)count);
    if (!conditioning) return status_memory();
    for (int i = 0; i < conditioning->count && !status; i++) status = cond_load(reader, &conditioning->cond[i]);
    if (status) conditioning_free(conditioning);
    else *payload = conditioning;
    return status;
}

const NodusType type_conditioning = {.struct_size = sizeof(NodusType),
                                     .name = "CONDITIONING",
                                     .free = conditioning_free,
                                     .account = conditioning_account,
                                     .print = conditioning_print,
                                     .store = conditioning_store,
                                     .load = conditioning_load,
                                     .array = conditioning_array,
                                     .version = 3};
