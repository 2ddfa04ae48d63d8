/* patch_numbers.c: see patch_numbers.h. */
#include "nodes/patch_numbers.h"
#include "engine/base/status.h"
#include <stdio.h>

static void numbers_release(void *self)
{
    nodus_tensor_unref(((PatchNumbers *)self)->tensor);
}

NodusStatus patch_numbers_new(NodusCall *call, const Model *model, size_t size, const double value[PATCH_NUMBERS], void **out)
{
    NodusTensor *tensor;
    float number[PATCH_NUMBERS];
    NODUS_TRY(values_require(call, "model", model->weights, model->origin, "diffusion model"));
    for (int i = 0; i < PATCH_NUMBERS; i++) number[i] = (float)value[i];
    NODUS_TRY(nodus_tensor_from_f32(nodus_math(call), &tensor, 1, (int64_t[]){PATCH_NUMBERS}, number));
    PatchNumbers *numbers = patch_new_holding(size, numbers_release);
    if (!numbers) return status_memory();
    for (int i = 0; i < PATCH_NUMBERS; i++) numbers->value[i] = number[i];
    numbers->tensor = nodus_tensor_ref(tensor);
    numbers->place = model->patch_count;
    snprintf(numbers->name, sizeof numbers->name, "patch %d", model->patch_count);
    *out = numbers;
    return NULL;
}

OpRef patch_number(OpGraph *graph, const void *self, int i)
{
    const PatchNumbers *numbers = self;
    const OpRef all = op_input(graph, numbers->name, DTYPE_F32, 1, (const int64_t[]){PATCH_NUMBERS});
    return op_slice(graph, all, 0, i, 1);
}

void patch_numbers_structure(const void *self, NodusHash *hash)
{
    nodus_hash_u64(hash, (uint64_t)((const PatchNumbers *)self)->place);
}

void patch_numbers_identity(const void *self, NodusHash *hash)
{
    const PatchNumbers *numbers = self;
    patch_numbers_structure(self, hash);
    nodus_hash_bytes(hash, numbers->value, sizeof numbers->value);
}

NodusStatus patch_numbers_bind(const void *self, void *run_state, float sigma, Bindings *bindings)
{
    (void)run_state;
    (void)sigma;
    const PatchNumbers *numbers = self;
    bindings_input(bindings, numbers->name, numbers->tensor);
    return NULL;
}
