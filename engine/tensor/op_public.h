/* op_public.h: the inside of nodus/op.h: from references of strangers to those of the graph, and back. */
#ifndef TENSOR_OP_PUBLIC_H
#define TENSOR_OP_PUBLIC_H
#include "engine/tensor/plan.h"
#include <nodus/op.h>

/* A stranger's reference, checked: OP_NONE, and a sticky error that names `what`, when it is none of this graph's f32 values. */
OpRef op_from_public(OpGraph *graph, const char *what, NodusOpRef ref);
NodusOpRef op_to_public(OpGraph *graph, OpRef ref);
/* What stands before the names of inputs (NULL: nothing), so that two patches never mean the same. Must live as long as it is set. */
void op_public_scope(OpGraph *graph, const char *scope);
/* Whether what a stranger calls an input may go by this name. */
bool op_public_name(const char *name);
#endif
