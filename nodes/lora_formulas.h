/* lora_formulas.h: what the kinds of LoRA do to a weight, on plain f32 numbers (numerics.md §12; LyCORIS for GLoRA and BOFT). Sizes are
 * the caller's to check; the error is memory. */
#ifndef NODES_LORA_FORMULAS_H
#define NODES_LORA_FORMULAS_H
#include <nodus/tensor.h>

/* A weight as these see it: rows × columns, where a column is an input channel at a place of the kernel: columns = channels·places. */
typedef struct LoraShape {
    int64_t rows, channels, places;
} LoraShape;

/* out[rows·columns] = up·down; with a kernel `mid` [rank, second, places] between them: up [rows, rank], down [second, channels]. */
void lora_product(const LoraShape *shape, float *out, const float *up, const float *down, int64_t rank);
NodusStatus lora_tucker(const LoraShape *shape, float *out, const float *up, const float *mid, const float *down, int64_t rank,
                        int64_t second);
/* out = kron(left [a, b], right): right is rows/a × channels/b × places. */
void lora_kronecker(const LoraShape *shape, float *out, const float *left, int64_t a, int64_t b, const float *right);
/* out = W·(A1·A2) + B1·B2: a1 [channels, rank], a2 [rank, channels], b1 [rows, rank_b], b2 [rank_b, channels·places]. */
NodusStatus lora_glora(const LoraShape *shape, float *out, const float *weight, const float *a1, const float *a2, int64_t rank,
                       const float *b1, const float *b2, int64_t rank_b);
/* W += strength·(rotated W − W) in place: `blocks` [count, size, size], count·size = rows. `cap` bounds the norm of the rotation where
 * it is above 0. */
NodusStatus lora_oft(const LoraShape *shape, float *weight, const float *blocks, int64_t count, int64_t size, float cap, float strength);
/* The same with `stages` of rotations between which rows change places as in a butterfly network. */
NodusStatus lora_boft(const LoraShape *shape, float *weight, const float *blocks, int64_t stages, int64_t count, int64_t size, float cap,
                      float strength);
/* DoRA: W ← W + strength·((W + delta) scaled to the magnitudes − W). `magnitude`: one a row, of the rows of W; or (by_column) one an input
 * channel, of those of W + delta; or (of_whole, as PEFT has it) one a row, of those of W + delta. `delta` is used up. */
void lora_dora(const LoraShape *shape, float *weight, float *delta, const float *magnitude, bool by_column, bool of_whole, float strength);
#endif
