/* backend.c: the cpu back end: opens an instruction set, compiles op lists and runs them.
 *
 * One idea: an instruction set is a table of kernels (cpu.h), chosen when the device is opened; an op whose kernel is missing or
 * does not fit goes to ref, op by op, on the same memory. On a machine without AVX2 every op goes there. A program is
 * the list of ops with their views; launching turns places into addresses and calls one kernel after another. */
#include <cpuid.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "kernels/cpu/cpu.h"

typedef struct CpuDevice {
    const CpuKernels *kernels; /* NULL: ref does everything */
    const Workers *workers;
    void *ref;
} CpuDevice;

typedef struct Step {
    Op op;                   /* attributes and views belong to the program */
    const CpuKernel *kernel; /* NULL: ref */
} Step;

typedef struct Program {
    CpuDevice *device;
    int count;
    uint64_t workspace_at;
    Step step[];
} Program;

static const size_t attribute_bytes[OP_COUNT] = {
#define ATTRIBUTE_BYTES(id, inputs, attrs, tolerance) [OP_##id] = sizeof(attrs),
    OP_LIST(ATTRIBUTE_BYTES)};

/* ---- Instruction sets ---- */

static bool cpu_has_f16c(void)
{
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}

static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && cpu_has_f16c();
}

static bool has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

/* Best first. avx512bf16 is a name for the avx512 kernels: bf16 products would not keep the precision that is the default
 * (speed.md, section 5). pair_avx2 is never chosen by itself: it runs the code of AVX-512's shapes on AVX2, for tests. */
static const struct {
    const char *name;
    bool (*present)(void);
    const CpuKernels *kernels;
    bool automatic;
} instruction_sets[] = {
    {"avx512", has_avx512, &cpu_kernels_avx512, true},
    {"avx512bf16", has_avx512, &cpu_kernels_avx512, false},
    {"avx2", has_avx2, &cpu_kernels_avx2, true},
    {"pair_avx2", has_avx2, &cpu_kernels_pair, false},
};

static bool find_kernels(const char *which, const CpuKernels **kernels)
{
    for (size_t i = 0; i < sizeof instruction_sets / sizeof *instruction_sets; i++) {
        const bool wanted = which ? strcmp(which, instruction_sets[i].name) == 0 : instruction_sets[i].automatic;
        if (!wanted || !instruction_sets[i].present()) continue;
        *kernels = instruction_sets[i].kernels;
        return true;
    }
    *kernels = NULL;
    return which == NULL;
}

static Fault cpu_open(const char *which, const Workers *workers, void **device)
{
    const CpuKernels *kernels;
    if (!find_kernels(which, &kernels)) return FAULT_DEVICE;
    CpuDevice *cpu = calloc(1, sizeof *cpu);
    if (!cpu) return FAULT_MEMORY;
    cpu->kernels = kernels;
    cpu->workers = workers;
    const Fault fault = backend_ref.open(NULL, workers, &cpu->ref);
    if (fault) {
        free(cpu);
        return fault;
    }
    *device = cpu;
    return FAULT_NONE;
}

static void cpu_close(void *device)
{
    CpuDevice *cpu = device;
    if (!cpu) return;
    backend_ref.close(cpu->ref);
    free(cpu);
}

static const char *cpu_variant(void *device)
{
    const CpuDevice *cpu = device;
    return cpu->kernels ? cpu->kernels->name : backend_ref.variant(cpu->ref);
}

static bool cpu_channels_last(void *device)
{
    const CpuDevice *cpu = device;
    return cpu->kernels || backend_ref.channels_last(cpu->ref);
}

/* ---- Memory ---- */

/* Large blocks lie on huge pages where the system has them, for a kernel walks many rows at once, each on a page of its own;
 * their ends do not, or every block would waste half a huge page (what rounding up adds is never touched). */
static Fault cpu_allocate(void *device, size_t bytes, void **memory)
{
    (void)device;
    const size_t huge = (size_t)2 << 20, align = bytes >= 4 * huge ? huge : 64;
    if (bytes > PTRDIFF_MAX - align) return FAULT_MEMORY;
    *memory = aligned_alloc(align, (bytes + align) / align * align);
    if (!*memory) return FAULT_MEMORY;
    if (align == huge) madvise(*memory, bytes / huge * huge, MADV_HUGEPAGE);
    return FAULT_NONE;
}

static void cpu_release(void *device, void *memory)
{
    (void)device;
    free(memory);
}

/* ---- Which kernel, which packing ---- */

static bool is_weight_dtype(int dtype)
{
    return dtype == DTYPE_F32 || dtype == DTYPE_F16 || dtype == DTYPE_BF16;
}

/* Types that no kernel reads: packing makes them packed_dtype. */
static bool is_packed_dtype(int dtype)
{
    return dtype == DTYPE_F64 || dtype == DTYPE_F8_E4M3 || dtype == DTYPE_F8_E5M2;
}

/* Input numbers from `first_weight` on are weights of their own dtype; the others are f32. */
static int first_weight(int kind)
{
    switch (kind) {
    case OP_LINEAR:
    case OP_LINEAR_FUSED:
    case OP_CONV2D:
    case OP_CONV2D_FUSED:
    case OP_GROUP_NORM:
    case OP_GROUP_NORM_SILU:
    case OP_LAYER_NORM:
    case OP_EMBED:
        return 1;
    default:
        return OP_INPUTS;
    }
}

static bool is_weight(int kind, int input)
{
    if ((kind == OP_LINEAR_FUSED || kind == OP_CONV2D_FUSED) && input > 2) return false;
    return input >= first_weight(kind);
}

static bool is_product(int kind)
{
    return kind == OP_LINEAR || kind == OP_LINEAR_FUSED || kind == OP_CONV2D || kind == OP_CONV2D_FUSED;
}

static bool is_geglu(const Op *op)
{
    return op->kind == OP_LINEAR_FUSED && ((const LinearFusedAttrs *)op->attributes)->geglu;
}

static uint32_t packing_of(const CpuKernels *kernels, const Op *op, int input)
{
    const View *weight = &op->in[input];
    if (!is_weight(op->kind, input) || weight->place == PLACE_NONE) return 0;
    if (!is_weight_dtype(weight->dtype) && !is_packed_dtype(weight->dtype)) return 0;
    if (input != 1 || !is_product(op->kind)) return is_packed_dtype(weight->dtype) ? PACK_WIDENED : 0;
    int64_t taps = 1;
    for (int i = 2; i < weight->rank; i++) taps *= weight->dim[i];
    if (taps > kernels->panel.depth) return 0;
    return is_geglu(op) ? PACK_TWO_HALVES : PACK_PANELS;
}

static uint32_t cpu_packing(void *device, const Op *op, int input)
{
    const CpuDevice *cpu = device;
    return cpu->kernels ? packing_of(cpu->kernels, op, input) : backend_ref.packing(cpu->ref, op, input);
}

static size_t convert_weight(const View *weight, void *to)
{
    size_t count = 1;
    View out = *weight;
    for (int i = 0; i < weight->rank; i++) count *= (size_t)weight->dim[i];
    out.dtype = (uint8_t)packed_dtype(weight->dtype);
    out.data = to;
    if (to) backend_ref.copy(NULL, &out, weight);
    return count * dtype_size(out.dtype);
}

static size_t cpu_pack(void *device, const Op *op, int input, const View *weight, void *to)
{
    const CpuDevice *cpu = device;
    const uint32_t packing = cpu->kernels ? packing_of(cpu->kernels, op, input) : 0;
    if (packing == PACK_WIDENED) return convert_weight(weight, to);
    if (packing == 0) return backend_ref.pack(cpu->ref, op, input, weight, to);
    if (to) pack_weight(&cpu->kernels->panel, weight, packing == PACK_TWO_HALVES, to);
    return packed_bytes(&cpu->kernels->panel, weight, packing == PACK_TWO_HALVES);
}

/* Which tokens: i32. */
static bool is_ids(int kind, int input)
{
    return (kind == OP_EMBED && input == 0) || (kind == OP_MATCH_TOKENS && input == 2) || (kind == OP_MERGE_TOKENS && input == 1);
}

/* Activations are f32 and weights of a type that kernels widen, or the op belongs to ref. COPY has its own rules. */
static bool has_usual_types(const Op *op)
{
    if (op->kind == OP_COPY) return true;
    if (op->out.dtype != (op->kind == OP_MATCH_TOKENS ? DTYPE_I32 : DTYPE_F32)) return false;
    for (int i = 0; i < op->inputs; i++) {
        const View *view = &op->in[i];
        if (view->place == PLACE_NONE) continue;
        if (is_ids(op->kind, i)) {
            if (view->dtype != DTYPE_I32) return false;
        } else if (is_weight(op->kind, i)) {
            const bool widened = view->place == PLACE_WEIGHT && is_packed_dtype(view->dtype);
            if (!is_weight_dtype(view->dtype) && !widened) return false;
        } else if (view->dtype != DTYPE_F32) {
            return false;
        }
    }
    return true;
}

static const CpuKernel *choose_kernel(const CpuDevice *cpu, const Op *op)
{
    if (!cpu->kernels || op->kind >= OP_COUNT) return NULL;
    const CpuKernel *kernel = &cpu->kernels->op[op->kind];
    if (!kernel->run || !has_usual_types(op)) return NULL;
    if (is_product(op->kind) && !packing_of(cpu->kernels, op, 1)) return NULL;
    return !kernel->fits || kernel->fits(op) ? kernel : NULL;
}

static bool cpu_supports(void *device, const Op *op)
{
    const CpuDevice *cpu = device;
    return choose_kernel(cpu, op) || backend_ref.supports(cpu->ref, op);
}

static size_t cpu_workspace(void *device, const Op *op)
{
    const CpuDevice *cpu = device;
    const CpuKernel *kernel = choose_kernel(cpu, op);
    if (!kernel) return backend_ref.workspace(cpu->ref, op);
    return kernel->scratch ? kernel->scratch(op, cpu->workers->threads) : 0;
}

/* ---- Running ---- */

typedef struct Parts {
    void (*body)(void *state, int64_t part);
    void *state;
    const Cancel *cancel;
} Parts;

static bool is_cancelled(const Cancel *cancel)
{
    return cancel && atomic_load_explicit(&cancel->set, memory_order_relaxed);
}

static void run_part(void *state, int64_t part)
{
    const Parts *parts = state;
    if (!is_cancelled(parts->cancel)) parts->body(parts->state, part);
}

void cpu_each(const Call *call, int64_t parts, void (*body)(void *state, int64_t part), void *state)
{
    Parts all = {body, state, call->cancel};
    if (parts > 0) call->workers->each(call->workers->pool, parts, run_part, &all);
}

static Fault run_call(CpuDevice *cpu, const CpuKernel *kernel, Call *call)
{
    if (!kernel) return backend_ref.eager(cpu->ref, &call->op);
    kernel->run(call);
    return FAULT_NONE;
}

static Fault cpu_eager(void *device, const Op *op)
{
    CpuDevice *cpu = device;
    const CpuKernel *kernel = choose_kernel(cpu, op);
    if (!kernel) return backend_ref.eager(cpu->ref, op);
    Call call = {.op = *op, .workers = cpu->workers};
    memcpy(call.in, op->in, op->inputs * sizeof *op->in);
    for (int i = 0; i < op->inputs; i++)
        if (call.in[i].place == PLACE_NONE) call.in[i].data = NULL;
    call.op.in = call.in;
    const size_t bytes = kernel->scratch ? kernel->scratch(op, cpu->workers->threads) : 0;
    const Fault fault = bytes ? cpu_allocate(device, bytes, &call.scratch) : FAULT_NONE;
    if (fault) return fault;
    kernel->run(&call);
    free(call.scratch);
    return FAULT_NONE;
}

static Fault cpu_copy(void *device, const View *to, const View *from)
{
    const Op op = {.kind = OP_COPY, .inputs = 1, .in = from, .out = *to};
    return cpu_eager(device, &op);
}

static size_t padded(size_t bytes)
{
    return (bytes + 15) / 16 * 16;
}

/* One allocation: the steps, then each step's views and attributes. */
static Fault cpu_compile(void *device, const Op *ops, int count, uint64_t workspace_at, void **program)
{
    size_t bytes = padded(sizeof(Program) + (size_t)count * sizeof(Step));
    for (int i = 0; i < count; i++) bytes += padded(ops[i].inputs * sizeof(View)) + padded(attribute_bytes[ops[i].kind]);
    Program *made = calloc(1, bytes);
    if (!made) return FAULT_MEMORY;
    made->device = device;
    made->count = count;
    made->workspace_at = workspace_at;
    uint8_t *at = (uint8_t *)made + padded(sizeof(Program) + (size_t)count * sizeof(Step));
    for (int i = 0; i < count; i++) {
        Step *step = &made->step[i];
        step->op = ops[i];
        step->op.in = memcpy(at, ops[i].in, ops[i].inputs * sizeof(View));
        at += padded(ops[i].inputs * sizeof(View));
        if (ops[i].attributes) step->op.attributes = memcpy(at, ops[i].attributes, attribute_bytes[ops[i].kind]);
        at += padded(attribute_bytes[ops[i].kind]);
        step->kernel = choose_kernel(device, &ops[i]);
    }
    *program = made;
    return FAULT_NONE;
}

static void cpu_discard(void *program)
{
    free(program);
}

typedef struct Bases {
    uint8_t *arena;
    void *const *inputs;
    const void *const *packed;
} Bases;

/* What is packed as in the file is contiguous. */
static void contiguous(View *view)
{
    int64_t stride = 1;
    for (int i = view->rank - 1; i >= 0; stride *= view->dim[i--]) view->stride[i] = stride;
}

/* Gives a view its address; true for a weight. */
static bool resolve(View *view, const Bases *bases)
{
    switch (view->place) {
    case PLACE_NONE:
        view->data = NULL;
        return false;
    case PLACE_ARENA:
        view->data = bases->arena + view->at;
        break;
    case PLACE_INPUT:
        view->data = bases->inputs[view->at];
        break;
    case PLACE_WEIGHT: {
        const void *packed = bases->packed[view->at];
        memcpy(&view->data, &packed, sizeof packed); /* kernels only read it; Views have no const pointer */
        contiguous(view);
        return true;
    }
    default:
        break;
    }
    view->place = PLACE_MEMORY;
    return false;
}

static Fault run_step(const Program *program, const Step *step, const Bases *bases, const Cancel *cancel)
{
    CpuDevice *cpu = program->device;
    Call call = {.op = step->op, .workers = cpu->workers, .cancel = cancel};
    for (int i = 0; i < step->op.inputs; i++) {
        View *view = &call.in[i];
        *view = step->op.in[i];
        if (!resolve(view, bases)) continue;
        call.packed[i] = cpu->kernels && packing_of(cpu->kernels, &step->op, i);
        view->place = PLACE_MEMORY;
        if (call.packed[i]) view->dtype = (uint8_t)packed_dtype(view->dtype);
    }
    resolve(&call.op.out, bases);
    call.op.in = call.in;
    call.scratch = bases->arena + program->workspace_at;
    return run_call(cpu, step->kernel, &call);
}

static Fault cpu_launch(void *program, void *arena, void *const *inputs, const void *const *packed, const Cancel *cancel)
{
    const Program *made = program;
    const Bases bases = {arena, inputs, packed};
    for (int i = 0; i < made->count; i++) {
        if (is_cancelled(cancel)) return FAULT_CANCELLED;
        const Fault fault = run_step(made, &made->step[i], &bases, cancel);
        if (fault) return fault;
    }
    return is_cancelled(cancel) ? FAULT_CANCELLED : FAULT_NONE; /* parts of the last op may have been left out */
}

const Backend backend_cpu = {
    .abi = BACKEND_ABI,
    .name = "cpu",
    .open = cpu_open,
    .close = cpu_close,
    .variant = cpu_variant,
    .allocate = cpu_allocate,
    .release = cpu_release,
    .copy = cpu_copy,
    .supports = cpu_supports,
    .channels_last = cpu_channels_last,
    .packing = cpu_packing,
    .pack = cpu_pack,
    .workspace = cpu_workspace,
    .eager = cpu_eager,
    .compile = cpu_compile,
    .discard = cpu_discard,
    .launch = cpu_launch,
};
