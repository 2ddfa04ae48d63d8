/* registry.h: what an engine knows: types, nodes, samplers, schedulers, operations, patch classes. Filled before the first run, then
 * sealed. Nothing is global: two engines may know different nodes. Names are unique; a second registration of a name is an error that
 * names both. Only a node that is known and not built gives its place to one that is. */
#ifndef GRAPH_REGISTRY_H
#define GRAPH_REGISTRY_H
#include <nodus/node.h>

typedef struct Registry Registry;
typedef struct PluginLanguage PluginLanguage; /* plugin.h */
NodusStatus
registry_new(Registry **out); /* knows INT, FLOAT, BOOLEAN, STRING, COMBO, "*" and the tensor types IMAGE, MASK, SIGMAS */
void registry_free(Registry *registry);
NodusStatus registry_add_type(Registry *registry, const NodusType *type);
NodusStatus registry_add_tensor_type(Registry *registry, const char *name); /* a type whose payload is a tensor */
NodusStatus registry_add_node(Registry *registry, const NodusNode *node);
NodusStatus registry_add_sampler(Registry *registry, const NodusSamplerDef *sampler);
NodusStatus registry_add_scheduler(Registry *registry, const NodusSchedulerDef *scheduler);
void registry_use_language(Registry *registry, const PluginLanguage *language); /* of plug-ins that are sources; one at most */
NodusStatus registry_add_op(Registry *registry, const NodusOpDef *op);
NodusStatus registry_add_patch(Registry *registry, const NodusPatchClass *patch);
void registry_seal(Registry *registry);

const PluginLanguage *registry_language(const Registry *registry); /* NULL: none */
const NodusType *registry_type(const Registry *registry, const char *name);
/* A table that a plug-in points to, as it was registered: in this nodus's size; NULL when it was not. */
const NodusType *registry_whole_type(const Registry *registry, const NodusType *type);
const NodusNode *registry_node(const Registry *registry, const char *name); /* NULL when unknown */
int registry_node_count(const Registry *registry);
const NodusNode *registry_node_at(const Registry *registry, int index); /* sorted by name */
const NodusSamplerDef *registry_sampler(const Registry *registry, const char *name);
const NodusSchedulerDef *registry_scheduler(const Registry *registry, const char *name);
const NodusOpDef *registry_op(const Registry *registry, const char *name);
const NodusPatchClass *registry_patch(const Registry *registry, const char *name);
/* In the order of registration, for the lists that nodes offer; NULL behind the last. */
const char *registry_sampler_name(const Registry *registry, int index);
const char *registry_scheduler_name(const Registry *registry, int index);
bool registry_is_tensor(const NodusType *type); /* made by registry_add_tensor_type */
#endif
