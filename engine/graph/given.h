/* given.h: values of the host as nodes of a prompt: the class NodusGiven, which every engine knows and none lists. */
#ifndef GRAPH_GIVEN_H
#define GRAPH_GIVEN_H
#include <nodus/nodus.h>

#define GIVEN_CLASS "NodusGiven"
extern const NodusNode given_node;
/* Whether a tensor can be a value of that type (nodus_value_from_tensor), and the hash of its content. */
NodusStatus given_tensor(NodusEngine *engine, const char *type, const NodusTensor *tensor, const NodusTensor *mask,
                         uint64_t identity[2]);
#endif
