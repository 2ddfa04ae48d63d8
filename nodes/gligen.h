/* gligen.h: the type of GLIGEN models. */
#ifndef NODES_GLIGEN_H
#define NODES_GLIGEN_H
#include <nodus/node.h>

extern const NodusType type_gligen;
#endif
