/* descriptor.h: whether a table that a stranger wrote can be right: what a node, type, sampler, scheduler, operation or patch class
 * says of itself, field by field, before the engine trusts it. */
#ifndef GRAPH_DESCRIPTOR_H
#define GRAPH_DESCRIPTOR_H
#include "engine/graph/faults.h"
#include <nodus/node.h>

enum {
    DESCRIPTOR_NAME = 100,      /* bytes of a name at most */
    DESCRIPTOR_INPUTS = 64,     /* bits of `wants` */
    DESCRIPTOR_OUTPUTS = 64,
    DESCRIPTOR_ARGS = 1 << 16,  /* bytes of a struct of arguments */
    DESCRIPTOR_CHOICES = 10000
};
void descriptor_node(const NodusNode *node, Faults *faults);
void descriptor_type(const NodusType *type, Faults *faults);
void descriptor_sampler(const NodusSamplerDef *sampler, Faults *faults);
void descriptor_scheduler(const NodusSchedulerDef *scheduler, Faults *faults);
void descriptor_op(const NodusOpDef *op, Faults *faults);
void descriptor_patch(const NodusPatchClass *patch, Faults *faults);
/* The bytes of the field that an input fills. */
size_t descriptor_field_size(const NodusInput *input);
/* UTF-8 of 1 … DESCRIPTOR_NAME bytes, without control characters and blanks at its ends. */
bool descriptor_name(const char *text);
#endif
