/* photomaker.h: the type of what puts persons into prompts. */
#ifndef NODES_PHOTOMAKER_H
#define NODES_PHOTOMAKER_H
#include <nodus/node.h>

extern const NodusType type_photomaker;
#endif
