/* lora_inspect.h: the singular values of what a LoRA adds. */
#ifndef NODES_LORA_INSPECT_H
#define NODES_LORA_INSPECT_H
#include "nodes/lora_patch.h"
#include "nodes/svd.h"

/* The `count` largest of a patch at a strength of 1, and the sum of the squares of all its numbers (lora_entry: `rows` is not 0). Of a plain
 * LoRA there are as many as its rank, however many are asked for. From any thread. */
NodusStatus lora_inspect(const Lora *lora, const LoraEntry *entry, int64_t count, Svd *out, double *energy);
#endif
