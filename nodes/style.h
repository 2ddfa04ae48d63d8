/* style.h: the type of style models. */
#ifndef NODES_STYLE_H
#define NODES_STYLE_H
#include <nodus/node.h>

extern const NodusType type_style_model;
#endif
