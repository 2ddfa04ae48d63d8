/* cond_public.c: conditionings as plug-ins see them (nodus/patch.h): what the network attends to, and others in its place. */
#include "engine/base/status.h"
#include "nodes/values.h"
#include <nodus/patch.h>

static const Cond *cond_at(const void *conditioning, uint32_t entry)
{
    const Conditioning *list = conditioning;
    return list && entry < (uint32_t)list->count ? &list->cond[entry] : NULL;
}

uint32_t nodus_conditioning_count(const void *conditioning)
{
    return conditioning ? (uint32_t)((const Conditioning *)conditioning)->count : 0;
}

const NodusTensor *nodus_conditioning_text(const void *conditioning, uint32_t entry)
{
    const Cond *cond = cond_at(conditioning, entry);
    return cond ? cond->text : NULL;
}

const NodusTensor *nodus_conditioning_pooled(const void *conditioning, uint32_t entry)
{
    const Cond *cond = cond_at(conditioning, entry);
    return cond ? cond->pooled : NULL;
}

/* `tensor` (NULL: nothing) instead of *field. */
static NodusStatus cond_replace(NodusTensor **field, const NodusTensor *tensor, int rank, const char *what)
{
    if (!tensor) return NULL;
    if (nodus_tensor_rank(tensor) != rank || nodus_tensor_dim(tensor, 0) != 1 || nodus_tensor_dtype(tensor) != NODUS_F32 ||
        !nodus_tensor_count(tensor))
        return nodus_error(NODUS_ERROR_INPUT, "%s of a conditioning is f32 of %d dimensions, the first of them 1", what, rank);
    nodus_tensor_unref(*field);
    *field = nodus_tensor_ref(tensor);
    return NULL;
}

NodusStatus nodus_emit_conditioning(NodusCall *call, uint32_t slot, const void *like, const NodusTensor *const *text,
                                    const NodusTensor *const *pooled)
{
    Conditioning *copy = conditioning_copy(like);
    if (!copy) return status_memory();
    NodusStatus status = NULL;
    for (int i = 0; i < copy->count && !status; i++) {
        status = cond_replace(&copy->cond[i].text, text ? text[i] : NULL, 3, "the text");
        if (!status) status = cond_replace(&copy->cond[i].pooled, pooled ? pooled[i] : NULL, 2, "the summary");
    }
    if (!status) return nodus_emit(call, slot, &type_conditioning, copy);
    conditioning_free(copy);
    return status;
}
