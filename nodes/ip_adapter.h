/* ip_adapter.h: the type of IP-Adapters. */
#ifndef NODES_IP_ADAPTER_H
#define NODES_IP_ADAPTER_H
#include <nodus/node.h>

extern const NodusType type_ip_adapter;
#endif
