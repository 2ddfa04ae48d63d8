/* patch.h: patches of a model as objects that models share.
 *
 * One idea: a node that changes a model emits a copy of it with one more patch: a class (what happens where) and an object of
 * that class (how strongly …), a small struct that nobody changes once it is made. */
#ifndef NODES_PATCH_H
#define NODES_PATCH_H
#include "nodes/values.h"

/* Zeroed memory for an object, with one reference; NULL when out of memory. It lives until the last model that has it goes. */
void *patch_new(size_t size);
void *patch_new_holding(size_t size, void (*release)(void *self)); /* `release` gives back what the object points to */
const void *patch_ref(const void *self);                           /* returns its argument */
void patch_unref(const void *self);                                /* NULL is allowed */

/* `model` with one more patch, behind the others; takes `self`. */
NodusStatus patch_emit(NodusCall *call, uint32_t slot, const Model *model, const NodusPatchClass *class, void *self);
#endif
