/* patch.c: see patch.h. The count of references stands before the object, so that an object is a plain struct. */
#include "nodes/patch.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include <stdatomic.h>

typedef union Head {
    struct {
        atomic_int references;
        void (*release)(void *self);
    } part;
    max_align_t align;
} Head;

static Head *head_of(const void *self)
{
    return (Head *)((uintptr_t)self - sizeof(Head));
}

void *patch_new_holding(size_t size, void (*release)(void *self))
{
    Head *head = memory_alloc(sizeof *head + size);
    if (!head) return NULL;
    atomic_init(&head->part.references, 1);
    head->part.release = release;
    return head + 1;
}

void *patch_new(size_t size)
{
    return patch_new_holding(size, NULL);
}

const void *patch_ref(const void *self)
{
    atomic_fetch_add_explicit(&head_of(self)->part.references, 1, memory_order_relaxed);
    return self;
}

void patch_unref(const void *self)
{
    if (!self || atomic_fetch_sub_explicit(&head_of(self)->part.references, 1, memory_order_acq_rel) != 1) return;
    Head *head = head_of(self);
    if (head->part.release) head->part.release(head + 1);
    memory_free(head);
}

NodusStatus patch_emit(NodusCall *call, uint32_t slot, const Model *model, const NodusPatchClass *class, void *self)
{
    Model *copy = model_copy(model);
    Patch *patches = copy ? memory_grow(copy->patches, (size_t)copy->patch_count + 1, sizeof *patches) : NULL;
    if (!patches) {
        if (copy) type_model.free(copy);
        patch_unref(self);
        return status_memory();
    }
    copy->patches = patches;
    copy->patches[copy->patch_count++] = (Patch){class, self};
    return nodus_emit(call, slot, &type_model, copy);
}
