/* engine.h: the struct behind NodusEngine: what all runs of an engine share. api.c opens it with the built-in nodes; tests with
 * nodes of their own. */
#ifndef GRAPH_ENGINE_H
#define GRAPH_ENGINE_H
#include "engine/base/hash.h"
#include "engine/base/pool.h"
#include "engine/graph/folders.h"
#include "engine/graph/registry.h"
#include "engine/tensor/device.h"
#include "engine/tensor/plan.h"
#include "engine/tensor/weights.h"
#include <nodus/nodus.h>

typedef struct Cache Cache;
typedef struct Disk Disk;
typedef struct Rates Rates;
typedef struct FileHashes FileHashes;
typedef struct Plugins Plugins;

struct NodusEngine {
    Registry *registry;
    Plugins *plugins; /* whose tables the registry has */
    Folders *folders;
    Pool *pool;
    Device *device;
    Budget *budget;
    PlanCache *plans;
    WeightStore *weights;
    Cache *cache;
    Rates *rates;
    FileHashes *files;
    Hash128 identity;     /* of the device: into every signature */
    atomic_ullong unique; /* numbers for signatures that must equal no other */
    uint64_t own;         /* a random number, for signatures that must equal none of another engine */
    Disk *disk;           /* NULL: results stay in memory */
    char *history;        /* folder of what the last runs were given; NULL: not remembered */
};

/* `fill` registers types, nodes, samplers and schedulers. */
NodusStatus engine_open(const NodusEngineOptions *options, NodusStatus (*fill)(Registry *registry, void *user), void *user,
                        NodusEngine **out);
void engine_close(NodusEngine *engine); /* NULL is allowed */
#endif
