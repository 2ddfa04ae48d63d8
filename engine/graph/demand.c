/* demand.c: the ready set and its bookkeeping; iterative throughout, constant work an edge.
 *
 * One idea: the walk visits a node twice: first it is looked up, then, when all its sources were visited, it is connected to
 * those that are not there yet. A source's result is kept while `uses` says that somebody will read it. */
#include "engine/graph/demand.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/graph/signature.h"

enum { SHOWN_OF_A_CYCLE = 12 };

/* ---- Opening and growing ------------------------------------------------------------------------------------------- */

static NodusStatus sign(Demand *demand, int32_t n)
{
    return signature_node(demand->run->engine, demand->workflow, demand_at(demand, n), demand->growth.signature, demand->hash,
                          &demand->growth.signature[n]);
}

static NodusStatus sign_nodes(Demand *demand)
{
    for (int32_t k = 0; k < demand->workflow->order_count; k++)
        if (!demand->workflow->node[demand->workflow->order[k]].bad) NODUS_TRY(sign(demand, demand->workflow->order[k]));
    return NULL;
}

static NodusStatus make_tasks(Demand *demand, int32_t first)
{
    const size_t count = (size_t)growth_total(&demand->growth);
    if (count > demand->task_capacity || !demand->task) {
        const size_t capacity = demand->task ? count * 2 : count + 1;
        Task *grown = memory_grow(demand->task, capacity, sizeof *grown);
        if (!grown) return status_memory();
        demand->task = grown;
        demand->task_capacity = capacity;
    }
    for (size_t n = (size_t)first; n < count; n++)
        demand->task[n] = (Task){
            .leader = -1, .next_follower = -1, .first_follower = -1, .first_reader = -1, .previous_ready = -1, .next_ready = -1};
    demand->tasks = (int32_t)count;
    return NULL;
}

NodusStatus demand_open(Demand *demand, NodusRun *run)
{
    *demand = (Demand){.run = run, .workflow = run->workflow, .first_ready = -1, .last_ready = -1, .behind = -1};
    NodusStatus status = growth_open(&demand->growth, run->workflow);
    run->growth = &demand->growth;
    if (!status) status = make_tasks(demand, 0);
    if (!status && !(demand->hash = hash_new())) status = status_memory();
    return status ? status : sign_nodes(demand);
}

void demand_close(Demand *demand)
{
    for (int32_t n = 0; n < demand->tasks; n++) {
        cache_release(demand->run->engine->cache, demand->task[n].entry);
        assembly_free(demand->task[n].assembly);
    }
    demand->run->growth = NULL;
    growth_close(&demand->growth);
    memory_free(demand->task);
    hash_free(demand->hash);
    hashmap_free(&demand->leaders);
    memory_free(demand->edge);
    memory_free(demand->stack);
    memory_free(demand->cached);
}

/* Signs a new node behind its sources; `next`: by new node, the bind to look at + 1, 0 unseen. On a cycle a source has no
 * signature yet: such nodes never run, so nobody will miss it. */
static NodusStatus sign_from(Demand *demand, int32_t first, int32_t root, uint32_t *next, int32_t *stack)
{
    size_t depth = 0;
    if (next[root - first]) return NULL;
    stack[depth++] = root;
    next[root - first] = 1;
    while (depth) {
        const int32_t n = stack[depth - 1];
        const Node *node = demand_at(demand, n);
        uint32_t *at = &next[n - first];
        if (*at > node->binds) {
            NODUS_TRY(sign(demand, n));
            depth--;
            continue;
        }
        const Bind *bind = &node->bind[(*at)++ - 1];
        if (bind->kind != BIND_LINK || bind->source < first || next[bind->source - first]) continue;
        next[bind->source - first] = 1;
        stack[depth++] = bind->source;
    }
    return NULL;
}

NodusStatus demand_grow(Demand *demand, int32_t first)
{
    const size_t count = (size_t)(growth_total(&demand->growth) - first);
    NODUS_TRY(make_tasks(demand, first));
    uint32_t *next = memory_array(count + 1, sizeof *next);
    int32_t *stack = memory_array(count + 1, sizeof *stack);
    NodusStatus status = next && stack ? NULL : status_memory();
    for (size_t n = 0; n < count && !status; n++) status = sign_from(demand, first, first + (int32_t)n, next, stack);
    memory_free(next);
    memory_free(stack);
    return status;
}

/* ---- The ready list ------------------------------------------------------------------------------------------------ */

/* Behind another one, or in front of all (−1). */
static void ready_insert(Demand *demand, int32_t node, int32_t behind)
{
    Task *task = &demand->task[node];
    task->state = TASK_READY;
    task->previous_ready = behind;
    task->next_ready = behind < 0 ? demand->first_ready : demand->task[behind].next_ready;
    if (behind >= 0) demand->task[behind].next_ready = node;
    else demand->first_ready = node;
    if (task->next_ready >= 0) demand->task[task->next_ready].previous_ready = node;
    else demand->last_ready = node;
    demand->ready_count++;
}

static void ready_take(Demand *demand, int32_t node)
{
    const Task *task = &demand->task[node];
    if (task->previous_ready >= 0) demand->task[task->previous_ready].next_ready = task->next_ready;
    else demand->first_ready = task->next_ready;
    if (task->next_ready >= 0) demand->task[task->next_ready].previous_ready = task->previous_ready;
    else demand->last_ready = task->previous_ready;
    if (demand->behind == node) demand->behind = task->previous_ready;
    demand->ready_count--;
}

int32_t demand_next(Demand *demand)
{
    const int32_t node = demand->first_ready;
    if (node < 0) return -1;
    ready_take(demand, node);
    demand->task[node].state = TASK_RUNNING;
    return node;
}

void demand_later(Demand *demand, int32_t node)
{
    ready_insert(demand, node, demand->last_ready);
}

/* ---- Uses ---------------------------------------------------------------------------------------------------------- */

static Task *leader_of(const Demand *demand, int32_t node)
{
    return &demand->task[demand->task[node].leader];
}

NodusList demand_source(const Demand *demand, const Bind *bind)
{
    return slot_list(&cache_result(leader_of(demand, bind->source)->entry)->slot[bind->slot]);
}

/* What a node may read: its inputs, and once it has expanded, what its result waits for. */
static uint32_t count_reads(const Demand *demand, int32_t node)
{
    const Assembly *assembly = demand->task[node].assembly;
    return demand_at(demand, node)->binds + (assembly ? assembly->awaits : 0);
}

static const Bind *read_at(const Demand *demand, int32_t node, uint32_t read)
{
    const Node *of = demand_at(demand, node);
    return read < of->binds ? &of->bind[read] : &demand->task[node].assembly->await[read - of->binds];
}

/* Of a node that has expanded, the inputs are not read any more. */
static bool is_read(const Demand *demand, int32_t node, uint32_t read)
{
    const Node *of = demand_at(demand, node);
    if (demand->task[node].assembly) return read >= of->binds;
    if (of->bind[read].kind != BIND_LINK) return false;
    if (read >= of->def->input_count || !(of->def->inputs[read].flags & NODUS_LAZY)) return true;
    return demand->task[node].asked >> read & 1;
}

/* `task`: that of the node, or as it was. */
static bool is_connected(const Demand *demand, int32_t node, const Task *task, uint32_t read)
{
    const Node *of = demand_at(demand, node);
    if (read >= of->binds) return task->awaits_connected;
    if (read >= of->def->input_count) return task->extras_connected && of->bind[read].kind == BIND_LINK;
    return task->connected >> read & 1;
}

/* Of the inputs to connect. */
static bool is_fresh(const Demand *demand, int32_t node, uint32_t read)
{
    const Task *task = &demand->task[node];
    return read >= demand_at(demand, node)->def->input_count ? task->fresh == UINT64_MAX : task->fresh >> read & 1;
}

/* One reader less. A result that nobody will read any more is let go. */
static void drop_use(Demand *demand, Task *task)
{
    if (--task->uses || task->state != TASK_DONE) return;
    cache_release(demand->run->engine->cache, task->entry);
    task->entry = NULL;
}

static bool is_local(const Demand *demand, int32_t source)
{
    const CacheEntry *entry = leader_of(demand, source)->entry;
    return entry && cache_result(entry)->local;
}

bool demand_reads_local(const Demand *demand, int32_t node)
{
    const Task *task = &demand->task[node];
    const Node *of = demand_at(demand, node);
    for (uint32_t i = 0; i < of->binds; i++)
        if (is_connected(demand, node, task, i) && is_local(demand, of->bind[i].source)) return true;
    for (uint32_t i = 0; task->awaits_connected && i < task->assembly->awaits; i++)
        if (is_local(demand, task->assembly->await[i].source)) return true;
    return false;
}

/* It has read its inputs; what its result waits for it may still need. */
static void release_inputs(Demand *demand, int32_t node)
{
    Task *task = &demand->task[node];
    const Node *of = demand_at(demand, node);
    for (uint32_t i = 0; i < of->binds; i++)
        if (is_connected(demand, node, task, i)) drop_use(demand, leader_of(demand, of->bind[i].source));
    task->connected = 0;
    task->extras_connected = false;
}

void demand_release_sources(Demand *demand, int32_t node)
{
    Task *task = &demand->task[node];
    release_inputs(demand, node);
    for (uint32_t i = 0; task->awaits_connected && i < task->assembly->awaits; i++)
        drop_use(demand, leader_of(demand, task->assembly->await[i].source));
    task->awaits_connected = false;
}

/* ---- The walk ------------------------------------------------------------------------------------------------------ */

static NodusStatus push(Demand *demand, int32_t node, bool connect)
{
    void *items = demand->stack;
    if (!memory_reserve(&items, &demand->stack_capacity, demand->depth, sizeof *demand->stack)) return status_memory();
    demand->stack = items;
    demand->stack[demand->depth++] = node * 2 + connect;
    return NULL;
}

static NodusStatus note_cached(Demand *demand, int32_t node)
{
    void *items = demand->cached;
    if (!memory_reserve(&items, &demand->cached_capacity, demand->cached_count, sizeof *demand->cached)) return status_memory();
    demand->cached = items;
    demand->cached[demand->cached_count++] = node;
    return NULL;
}

/* Puts a node without a result behind its sources. */
static NodusStatus visit_sources(Demand *demand, int32_t node)
{
    demand->task[node].state = TASK_WAITING;
    demand->task[node].pending = 0;
    demand->task[node].fresh = UINT64_MAX;
    NODUS_TRY(push(demand, node, true));
    for (uint32_t i = count_reads(demand, node); i-- > 0;) /* the first input ends up on top */
        if (is_read(demand, node, i)) NODUS_TRY(push(demand, read_at(demand, node, i)->source, false));
    return NULL;
}

/* A node that was given up, or whose result was, because nobody was to read it; it is wanted after all. */
static NodusStatus revive(Demand *demand, int32_t node)
{
    Task *task = &demand->task[node];
    task->entry = cache_lookup(demand->run->engine->cache, demand->growth.signature[node]);
    if (!task->entry) return visit_sources(demand, node);
    task->state = TASK_DONE;
    return task->announced ? NULL : note_cached(demand, node);
}

static bool needs_revival(const Task *leader)
{
    return leader->state == TASK_IDLE || (leader->state == TASK_DONE && !leader->entry);
}

static NodusStatus visit(Demand *demand, int32_t node)
{
    Task *task = &demand->task[node];
    if (task->leader >= 0) return needs_revival(leader_of(demand, node)) ? revive(demand, task->leader) : NULL;
    const intptr_t known = (intptr_t)hashmap_get(&demand->leaders, demand->growth.signature[node]);
    if (known) {
        Task *leader = &demand->task[known - 1];
        task->leader = (int32_t)(known - 1);
        task->next_follower = leader->first_follower;
        leader->first_follower = node;
        if (leader->state == TASK_DONE) NODUS_TRY(note_cached(demand, node));
        return needs_revival(leader) ? revive(demand, task->leader) : NULL;
    }
    task->leader = node;
    if (!hashmap_put(&demand->leaders, demand->growth.signature[node], (void *)((intptr_t)node + 1))) return status_memory();
    task->entry = cache_lookup(demand->run->engine->cache, demand->growth.signature[node]);
    if (!task->entry) {
        demand->to_run++;
        return visit_sources(demand, node);
    }
    task->state = TASK_DONE;
    return note_cached(demand, node);
}

static NodusStatus add_edge(Demand *demand, Task *source, int32_t reader)
{
    void *items = demand->edge;
    if (!memory_reserve(&items, &demand->edge_capacity, demand->edges, sizeof *demand->edge)) return status_memory();
    demand->edge = items;
    demand->edge[demand->edges] = (Edge){reader, source->first_reader, demand->task[reader].turn};
    source->first_reader = (int32_t)demand->edges++;
    return NULL;
}

/* Reads one input: waits for its source if that is not done. False in *sound: the source has failed. */
static NodusStatus connect_input(Demand *demand, int32_t node, uint32_t read, bool *sound)
{
    Task *task = &demand->task[node], *source = leader_of(demand, read_at(demand, node, read)->source);
    source->uses++;
    if (source->state == TASK_DONE) return NULL;
    if (source->state == TASK_FAILED) *sound = false;
    task->pending++;
    return add_edge(demand, source, node);
}

/* Joins a node to its sources. When one of them has failed, the whole walk is for a node that fails too, so it does not matter
 * that some of its part was given up meanwhile. */
static NodusStatus connect(Demand *demand, int32_t node)
{
    Task *task = &demand->task[node];
    const uint32_t reads = count_reads(demand, node), declared = demand_at(demand, node)->def->input_count;
    bool sound = true;
    for (uint32_t i = 0; i < reads; i++) {
        if (!is_fresh(demand, node, i) || !is_read(demand, node, i)) continue;
        if (i < declared) task->connected |= 1ull << i;
        else if (task->assembly) task->awaits_connected = true;
        else task->extras_connected = true;
        NODUS_TRY(connect_input(demand, node, i, &sound));
    }
    if (!sound) demand_failed(demand, node);
    if (!sound || task->pending) return NULL;
    ready_insert(demand, node, demand->front ? demand->behind : demand->last_ready);
    demand->behind = node;
    return NULL;
}

static NodusStatus walk(Demand *demand)
{
    while (demand->depth) {
        const int32_t top = demand->stack[--demand->depth];
        NODUS_TRY(top & 1 ? connect(demand, top / 2) : visit(demand, top / 2));
    }
    return NULL;
}

NodusStatus demand_node(Demand *demand, int32_t node)
{
    NODUS_TRY(push(demand, node, false));
    return walk(demand);
}

NodusStatus demand_inputs(Demand *demand, int32_t node, uint64_t inputs)
{
    Task *task = &demand->task[node];
    const Node *of = demand_at(demand, node);
    task->asked |= inputs;
    task->fresh = inputs;
    task->state = TASK_WAITING;
    demand->front = true;
    demand->behind = -1;
    NODUS_TRY(push(demand, node, true));
    for (uint32_t i = of->def->input_count; i-- > 0;)
        if (inputs >> i & 1) NODUS_TRY(push(demand, of->bind[i].source, false));
    return walk(demand);
}

/* Outputs among the children are roots. What the children read is demanded before their parent lets its inputs go. */
NodusStatus demand_expanded(Demand *demand, int32_t node, Assembly *assembly)
{
    Task *task = &demand->task[node];
    task->assembly = assembly;
    if (!task->uses && !task->root) { /* its readers have failed meanwhile */
        task->state = TASK_IDLE;
        task->turn++;
        release_inputs(demand, node);
        return NULL;
    }
    demand->front = true;
    demand->behind = -1;
    for (uint32_t i = (uint32_t)assembly->pieces; i < assembly->awaits; i++) demand->task[assembly->await[i].source].root = true;
    NODUS_TRY(visit_sources(demand, node));
    NODUS_TRY(walk(demand));
    for (uint32_t i = (uint32_t)assembly->pieces; i < assembly->awaits; i++)
        leader_of(demand, assembly->await[i].source)->root = true;
    release_inputs(demand, node);
    return NULL;
}

/* ---- The ends ------------------------------------------------------------------------------------------------------ */

void demand_done(Demand *demand, int32_t node)
{
    Task *task = &demand->task[node];
    task->state = TASK_DONE;
    for (int32_t e = task->first_reader; e >= 0; e = demand->edge[e].next) {
        const Edge *edge = &demand->edge[e];
        Task *reader = &demand->task[edge->reader];
        if (reader->state == TASK_WAITING && reader->turn == edge->turn && !--reader->pending)
            ready_insert(demand, edge->reader, -1);
    }
    task->first_reader = -1;
    if (task->uses) return;
    cache_release(demand->run->engine->cache, task->entry);
    task->entry = NULL;
}

/* Nodes to settle form a list through next_ready, which they need no more. */
static void settle_later(Demand *demand, int32_t node, TaskState state, int32_t *first)
{
    Task *task = &demand->task[node];
    if (task->state == TASK_READY) ready_take(demand, node);
    task->state = (uint8_t)state;
    task->next_ready = *first;
    *first = node;
}

/* A failed node reads nothing; a source that was to run for it alone is given up. */
static void give_up_sources(Demand *demand, int32_t node, int32_t *first)
{
    const Task was = demand->task[node];
    const uint32_t reads = count_reads(demand, node);
    demand_release_sources(demand, node);
    for (uint32_t i = 0; i < reads; i++) {
        if (!is_connected(demand, node, &was, i)) continue;
        const int32_t leader = demand->task[read_at(demand, node, i)->source].leader;
        Task *source = &demand->task[leader];
        if (source->uses || source->root || (source->state != TASK_WAITING && source->state != TASK_READY)) continue;
        source->turn++;
        settle_later(demand, leader, TASK_IDLE, first);
    }
}

void demand_failed(Demand *demand, int32_t node)
{
    int32_t first = -1;
    settle_later(demand, node, TASK_FAILED, &first);
    while (first >= 0) {
        const int32_t settled = first;
        const Task *task = &demand->task[settled];
        first = task->next_ready;
        give_up_sources(demand, settled, &first);
        for (int32_t e = task->state == TASK_FAILED ? task->first_reader : -1; e >= 0; e = demand->edge[e].next) {
            const Edge *edge = &demand->edge[e];
            if (demand->task[edge->reader].state == TASK_WAITING && demand->task[edge->reader].turn == edge->turn)
                settle_later(demand, edge->reader, TASK_FAILED, &first);
        }
    }
}

/* ---- Cycles -------------------------------------------------------------------------------------------------------- */

/* A source that a waiting node waits for; −1: none that waits too. */
static int32_t waits_for(const Demand *demand, int32_t node)
{
    const uint32_t reads = count_reads(demand, node);
    for (uint32_t i = 0; i < reads; i++) {
        if (!is_connected(demand, node, &demand->task[node], i)) continue;
        const int32_t leader = demand->task[read_at(demand, node, i)->source].leader;
        if (demand->task[leader].state == TASK_WAITING) return leader;
    }
    return -1;
}

/* Of two walkers, one twice as fast, both are on the cycle where they meet; −1: it was a way with an end. */
static int32_t find_cycle(const Demand *demand, int32_t from)
{
    int32_t slow = from, fast = from;
    do {
        for (int step = 0; step < 2 && fast >= 0; step++) fast = waits_for(demand, fast);
        slow = waits_for(demand, slow);
    } while (fast >= 0 && slow != fast);
    return fast;
}

bool demand_cycle(Demand *demand, int32_t *node, Text *ids)
{
    int32_t tried = 0;
    for (; tried < demand->tasks && demand->task[demand->looked].state != TASK_WAITING; tried++)
        demand->looked = (demand->looked + 1) % demand->tasks;
    if (tried == demand->tasks) return false;
    const int32_t start = find_cycle(demand, demand->looked);
    int32_t at = start, child = -1, shown = 0;
    if (start < 0) return false;
    do {
        if (child < 0 && demand_at(demand, at)->visible) child = at;
        if (shown++ < SHOWN_OF_A_CYCLE) text_format(ids, "%s → ", demand_at(demand, at)->id);
        at = waits_for(demand, at);
    } while (at != start);
    text_add(ids, shown > SHOWN_OF_A_CYCLE ? "…" : demand_at(demand, start)->id);
    *node = child >= 0 ? child : start;
    return true;
}
