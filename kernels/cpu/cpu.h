/* cpu.h: what the files of kernels/cpu share: a call, a kernel, and the tables that each instruction set exports.
 *
 * One idea: a kernel is a row (fits, scratch, run). `fits` says whether it can run an op; what it cannot, ref runs. The answer
 * for ops with packed weights depends on the weight and the attributes only, because the packing is chosen before activations are
 * known. Work is cut into parts by shape, never by the number of threads, so the bits are the same for any number. */
#ifndef CPU_CPU_H
#define CPU_CPU_H
#include "kernels/ops.h"

/* An op with addresses instead of places. */
typedef struct Call {
    Op op;              /* op.in is `in` */
    View in[OP_INPUTS]; /* absent operands have data NULL */
    bool packed[OP_INPUTS];
    void *scratch; /* 64-byte aligned, as large as the kernel's `scratch` said */
    const Workers *workers;
    const Cancel *cancel; /* NULL in eager calls */
} Call;

typedef struct CpuKernel {
    void (*run)(const Call *call);                /* NULL: ref */
    bool (*fits)(const Op *op);                   /* NULL: always */
    size_t (*scratch)(const Op *op, int threads); /* NULL: none */
} CpuKernel;

/* How weight matrices are packed for an instruction set (pack.c). */
typedef struct PanelShape {
    int columns; /* of a full panel */
    int vector;  /* the last panel of a matrix is as wide as it must be, in steps of this */
    int depth;   /* most rows of a panel that are multiplied at once */
} PanelShape;

typedef struct CpuKernels {
    const char *name;
    PanelShape panel;
    CpuKernel op[OP_COUNT];
} CpuKernels;

extern const CpuKernels cpu_kernels_avx2, cpu_kernels_avx512, cpu_kernels_pair;

/* Runs the parts on the workers; a cancelled call leaves parts out. */
void cpu_each(const Call *call, int64_t parts, void (*body)(void *state, int64_t part), void *state);

/* ---- Packed weights (pack.c) ---- */

/* Numbers that `packing` returns; 0 is "as in the file". */
enum { PACK_PANELS = 1, PACK_TWO_HALVES, PACK_WIDENED };

/* A weight [O, C, P, Q] (or [N, K]: P = Q = 1) as panels: for every `columns` outputs, for every `chunk` input channels, the P·Q
 * taps, for each tap the channels, for each channel its outputs side by side. For geglu the two halves of the outputs are packed
 * one after the other, so that the panels of value and gate start at outputs 0 and O/2. */
typedef struct PackedShape {
    int64_t outputs; /* of one half when there are two */
    int64_t channels, taps, chunk, halves, panels /* of one half */,
        row_panel /* elements of a full panel: channels·taps·columns */;
    int64_t half; /* elements of one half */
    int dtype;    /* of the stored elements: packed_dtype */
} PackedShape;

PackedShape packed_shape(const PanelShape *panel, const View *weight, bool two_halves);
/* The columns of panel p of a half: a multiple of panel->vector. */
int64_t packed_columns(const PanelShape *panel, const PackedShape *shape, int64_t p);
void pack_weight(const PanelShape *panel, const View *weight, bool two_halves, void *to);
size_t packed_bytes(const PanelShape *panel, const View *weight, bool two_halves);
int packed_dtype(int dtype); /* f16 and bf16 stay, 8-bit floats become f16, everything else f32 */

#endif
