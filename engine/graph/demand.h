/* demand.h: which nodes have to run: the state of a run's nodes, and the walk from what is wanted to what is there.
 *
 * One idea: a node is demanded by whoever reads it, not planned in advance. So caching, lazy inputs and graphs that grow are one
 * mechanism: demanding a node finds its result in the cache, finds an equal node (its leader) that is under way, or puts it
 * behind its own sources. */
#ifndef GRAPH_DEMAND_H
#define GRAPH_DEMAND_H
#include "engine/graph/assembly.h"
#include "engine/graph/cache.h"
#include "engine/graph/expand.h"
#include "engine/graph/hashmap.h"
#include "engine/graph/run.h"

typedef enum TaskState {
    TASK_IDLE,    /* nobody asked, or nobody needs it any more */
    TASK_WAITING, /* for `pending` sources */
    TASK_READY,   /* in the ready list */
    TASK_RUNNING, /* taken from it */
    TASK_DONE,
    TASK_FAILED /* itself, or a source of it */
} TaskState;

typedef struct Task {
    uint8_t state;
    bool root;             /* an output, or wanted by name */
    bool announced;        /* its `done` or `cached` event is out */
    int32_t leader;        /* the node that runs for all equal ones; −1: not demanded */
    int32_t next_follower; /* of the same leader; −1 ends */
    int32_t first_follower;
    int32_t first_reader; /* edge; −1 ends */
    int32_t pending;
    uint32_t turn; /* rises when it is given up: edges of earlier turns mean nothing */
    int32_t uses;  /* reads of its result that are still to come */
    int32_t previous_ready, next_ready;
    uint64_t asked;     /* lazy inputs that were demanded */
    uint64_t fresh;     /* inputs to connect */
    uint64_t connected; /* inputs whose sources count it among their readers */
    bool extras_connected, awaits_connected;
    CacheEntry *entry;  /* pinned while somebody will read it */
    Assembly *assembly; /* it has expanded: its function is not called again */
} Task;

typedef struct Edge {
    int32_t reader, next;
    uint32_t turn;
} Edge;

typedef struct Demand {
    NodusRun *run;
    const Workflow *workflow;
    Growth growth;
    Task *task;
    int32_t tasks; /* of nodes that have one: all, unless memory ran out */
    size_t task_capacity;
    NodusHash *hash; /* to work with */
    HashMap leaders; /* signature → index + 1 */
    Edge *edge;
    size_t edges, edge_capacity;
    int32_t *stack; /* node × 2 + phase */
    size_t depth, stack_capacity;
    int32_t first_ready, last_ready, ready_count;
    bool front;      /* where nodes that need not wait join the ready list; */
    int32_t behind;  /* there behind this one, so that they stay in order; −1: none came yet */
    int32_t looked;  /* where the search for cycles goes on */
    int32_t *cached; /* hits that are not announced yet */
    size_t cached_count, cached_capacity;
    int to_run;
} Demand;

NodusStatus demand_open(Demand *demand, NodusRun *run); /* signatures of all nodes in the order */
void demand_close(Demand *demand);
/* Demands a node and everything that it needs. Ready ones go to the back of the ready list. */
NodusStatus demand_node(Demand *demand, int32_t node);
/* Demands lazy inputs (a bit each) of a node that was taken from the ready list; it comes back there when they are done. */
NodusStatus demand_inputs(Demand *demand, int32_t node, uint64_t inputs);
/* A node that runs has expanded: the children from `assembly->first` on join, and it comes back when its result can be put
 * together. Owns the assembly, of which the run has adopted the graphs. */
NodusStatus demand_expanded(Demand *demand, int32_t node, Assembly *assembly);
/* Signs the nodes that joined from `first` on and makes their tasks. */
NodusStatus demand_grow(Demand *demand, int32_t first);
/* Where nothing is ready and nothing runs, whatever waits is on a cycle or behind one: its ids; false when nothing waits. *node:
 * the first of it that was made by expansion, else the first. */
bool demand_cycle(Demand *demand, int32_t *node, Text *ids);
int32_t demand_next(Demand *demand);                       /* takes the first ready node; −1 when there is none */
void demand_later(Demand *demand, int32_t node);           /* back to the end of the list */
void demand_done(Demand *demand, int32_t node);            /* it has its entry: readers may become ready */
void demand_failed(Demand *demand, int32_t node);          /* with all that depend on it */
void demand_release_sources(Demand *demand, int32_t node); /* it has read them */
/* Whether a result that it reads is this process's own (Result.local): then its own is, too. Before they are released. */
bool demand_reads_local(const Demand *demand, int32_t node);
/* The source's values: of the leader. */
NodusList demand_source(const Demand *demand, const Bind *bind);
static inline const Node *demand_at(const Demand *demand, int32_t node)
{
    return growth_at(&demand->growth, node);
}
#endif
