/* control.h: the type of ControlNets. */
#ifndef NODES_CONTROL_H
#define NODES_CONTROL_H
#include <nodus/node.h>

extern const NodusType type_control_net;
#endif
