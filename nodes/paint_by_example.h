/* paint_by_example.h: the type of what makes prompts of example pictures. */
#ifndef NODES_PAINT_BY_EXAMPLE_H
#define NODES_PAINT_BY_EXAMPLE_H
#include <nodus/node.h>

extern const NodusType type_paint_by_example;
#endif
