/* register.h: the list of all built-in nodes, types, samplers and schedulers, as tables for engine/api.c. */
#ifndef NODES_REGISTER_H
#define NODES_REGISTER_H
#include <nodus/node.h>
extern const NodusNode *const builtin_nodes[];         /* NULL-terminated, as are the others */
extern const NodusNode *const known_nodes[];           /* not built yet: arrays of tables, each ends with a NULL name */
extern const NodusType *const builtin_types[];
extern const NodusSamplerDef *builtin_samplers(void);   /* ends with a NULL name */
extern const NodusSchedulerDef *builtin_schedulers(void);
extern const NodusPatchClass *const builtin_patches[]; /* those that are made by the public door (nodus/patch.h) */
#endif
