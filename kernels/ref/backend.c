/* backend.c: the reference back end: a table of kernels, and programs that are lists of ops.
 *
 * One idea: the oracle has no state and no tricks. A device is nothing, weights are used as they lie in the file, and a program
 * is a copy of the ops; launching it turns each view's place into an address and calls the kernel. */
#include <stdlib.h>
#include <string.h>
#include "kernels/ref/ref.h"

static const RefKernel *const tables[] = {ref_attention, ref_conv, ref_eager,     ref_linear, ref_merge,
                                          ref_move,      ref_norm, ref_pointwise, ref_resize, ref_spectrum};

static const size_t attribute_bytes[OP_COUNT] = {
#define ATTRIBUTE_BYTES(id, inputs, attrs, tolerance) [OP_##id] = sizeof(attrs),
    OP_LIST(ATTRIBUTE_BYTES)
#undef ATTRIBUTE_BYTES
};

typedef struct Step {
    Op op; /* in and attributes point into this struct */
    View in[OP_INPUTS];
    union {
        LincombAttrs largest;
        Conv2dFusedAttrs fused;
        PermuteAttrs permute;
    } attributes;
} Step;

typedef struct Program {
    int count;
    Step step[];
} Program;

static const RefKernel *find_kernel(int kind)
{
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (const RefKernel *kernel = tables[i]; kernel->run; kernel++)
            if (kernel->kind == kind) return kernel;
    return NULL;
}

/* ---- Device and memory ---- */

static Fault ref_open(const char *which, const Workers *workers, void **device)
{
    static char nothing; /* an address that is not NULL; there is no state */
    (void)workers;
    if (which && strcmp(which, "ref") != 0) return FAULT_DEVICE;
    *device = &nothing;
    return FAULT_NONE;
}

static void ref_close(void *device)
{
    (void)device;
}

static const char *ref_variant(void *device)
{
    (void)device;
    return "ref";
}

static Fault ref_allocate(void *device, size_t bytes, void **memory)
{
    (void)device;
    if (bytes > PTRDIFF_MAX - 64) return FAULT_MEMORY;
    *memory = aligned_alloc(64, (bytes + 64) / 64 * 64);
    return *memory ? FAULT_NONE : FAULT_MEMORY;
}

static void ref_release(void *device, void *memory)
{
    (void)device;
    free(memory);
}

/* ---- What it can do ---- */

static bool ref_supports(void *device, const Op *op)
{
    (void)device;
    return find_kernel(op->kind) != NULL;
}

static bool ref_channels_last(void *device)
{
    (void)device;
    return false;
}

static uint32_t ref_packing(void *device, const Op *op, int input)
{
    (void)device, (void)op, (void)input;
    return 0;
}

static size_t ref_pack(void *device, const Op *op, int input, const View *weight, void *to)
{
    (void)device, (void)op, (void)input, (void)weight, (void)to;
    return 0;
}

static size_t ref_workspace(void *device, const Op *op)
{
    (void)device, (void)op;
    return 0;
}

/* ---- Running ---- */

static Fault ref_run(void *device, const Op *op)
{
    (void)device;
    const RefKernel *kernel = find_kernel(op->kind);
    return kernel ? kernel->run(op) : FAULT_DEVICE;
}

static Fault ref_copy(void *device, const View *to, const View *from)
{
    const Op op = {.kind = OP_COPY, .inputs = 1, .in = from, .out = *to};
    return ref_run(device, &op);
}

static Fault ref_compile(void *device, const Op *ops, int count, uint64_t workspace_at, void **program)
{
    (void)device, (void)workspace_at;
    Program *made = calloc(1, sizeof *made + (size_t)count * sizeof *made->step);
    if (!made) return FAULT_MEMORY;
    made->count = count;
    for (int i = 0; i < count; i++) {
        Step *step = &made->step[i];
        step->op = ops[i];
        memcpy(step->in, ops[i].in, ops[i].inputs * sizeof(View));
        if (!ops[i].attributes) continue;
        memcpy(&step->attributes, ops[i].attributes, attribute_bytes[ops[i].kind]);
        step->op.attributes = &step->attributes;
    }
    *program = made;
    return FAULT_NONE;
}

static void ref_discard(void *program)
{
    free(program);
}

static void find_data(View *view, void *arena, void *const *inputs, const void *const *packed)
{
    switch (view->place) {
    case PLACE_ARENA: view->data = (char *)arena + view->at; break;
    case PLACE_INPUT: view->data = inputs[view->at]; break;
    case PLACE_WEIGHT: memcpy(&view->data, &packed[view->at], sizeof view->data); break; /* a View cannot say that it is const */
    default: return;
    }
    view->place = PLACE_MEMORY;
}

static Fault ref_launch(void *program, void *arena, void *const *inputs, const void *const *packed, const Cancel *cancel)
{
    const Program *made = program;
    for (int i = 0; i < made->count; i++) {
        if (cancel && atomic_load(&cancel->set)) return FAULT_CANCELLED;
        View in[OP_INPUTS];
        Op op = made->step[i].op;
        memcpy(in, made->step[i].in, sizeof in);
        for (int n = 0; n < op.inputs; n++) find_data(&in[n], arena, inputs, packed);
        find_data(&op.out, arena, inputs, packed);
        op.in = in;
        const Fault fault = ref_run(NULL, &op);
        if (fault) return fault;
    }
    return FAULT_NONE;
}

const Backend backend_ref = {
    .abi = BACKEND_ABI,
    .name = "ref",
    .open = ref_open,
    .close = ref_close,
    .variant = ref_variant,
    .allocate = ref_allocate,
    .release = ref_release,
    .copy = ref_copy,
    .supports = ref_supports,
    .channels_last = ref_channels_last,
    .packing = ref_packing,
    .pack = ref_pack,
    .workspace = ref_workspace,
    .eager = ref_run,
    .compile = ref_compile,
    .discard = ref_discard,
    .launch = ref_launch,
};
