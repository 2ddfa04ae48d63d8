/* copy.c: copies of a part of the run's graph: the body of a loop, once a turn.
 *
 * One idea: what lies between two nodes is what the one leads to and the other comes from; one walk upwards finds it. Links that
 * leave the body stay what they are, so only the body is copied, and equal turns have equal signatures. */
#include "engine/base/status.h"
#include "engine/graph/call.h"
#include "engine/graph/expand.h"
#include "engine/graph/hashmap.h"
#include "engine/graph/run.h"
#include <string.h>

struct NodusBody {
    int32_t from;
    int32_t *node; /* sources first */
    size_t count, capacity;
    HashMap seen; /* by node: Side */
    NodusBody *next;
};

/* What the walk knows of a node; the map takes no 0. */
typedef enum Side { SIDE_OPEN = 1, SIDE_ELSEWHERE, SIDE_WITHIN } Side;

typedef struct Step {
    int32_t node;
    uint32_t next; /* bind to look at */
    bool within;   /* some source leads to `from` */
} Step;

typedef struct Walk {
    const Growth *growth;
    NodusBody *body;
    Step *step;
    size_t depth, capacity;
} Walk;

static Hash128 key_of(int32_t node)
{
    return (Hash128){(uint64_t)node * 0x9e3779b97f4a7c15u, (uint64_t)node};
}

static Side side_of(const NodusBody *body, int32_t node)
{
    return (Side)(intptr_t)hashmap_get(&body->seen, key_of(node));
}

static bool set_side(NodusBody *body, int32_t node, Side side)
{
    return hashmap_put(&body->seen, key_of(node), (void *)(intptr_t)side);
}

void copy_free(NodusBody *bodies)
{
    for (NodusBody *next; bodies; bodies = next) {
        next = bodies->next;
        hashmap_free(&bodies->seen);
        memory_free(bodies->node);
        memory_free(bodies);
    }
}

/* ---- What lies between --------------------------------------------------------------------------------------------- */

static bool enter(Walk *walk, int32_t node)
{
    void *items = walk->step;
    if (!memory_reserve(&items, &walk->capacity, walk->depth, sizeof *walk->step)) return false;
    walk->step = items;
    walk->step[walk->depth++] = (Step){.node = node};
    return set_side(walk->body, node, SIDE_OPEN);
}

/* All sources of the node on top were seen. */
static bool leave(Walk *walk)
{
    const Step step = walk->step[--walk->depth];
    NodusBody *body = walk->body;
    if (!set_side(body, step.node, step.within ? SIDE_WITHIN : SIDE_ELSEWHERE)) return false;
    if (!step.within || !walk->depth) return true; /* the last one is `to` */
    walk->step[walk->depth - 1].within = true;
    void *items = body->node;
    if (!memory_reserve(&items, &body->capacity, body->count, sizeof *body->node)) return false;
    body->node = items;
    body->node[body->count++] = step.node;
    return true;
}

static NodusStatus walk_up(Walk *walk, int32_t to)
{
    bool fine = enter(walk, to);
    while (walk->depth && fine) {
        Step *top = &walk->step[walk->depth - 1];
        const Node *node = growth_at(walk->growth, top->node);
        if (top->next >= node->binds) {
            fine = leave(walk);
            continue;
        }
        const Bind *bind = &node->bind[top->next++];
        if (bind->kind != BIND_LINK) continue;
        const Side side = bind->source == walk->body->from ? SIDE_WITHIN : side_of(walk->body, bind->source);
        if (side == SIDE_WITHIN) top->within = true;
        else if (!side) fine = enter(walk, bind->source);
    }
    return fine ? NULL : status_memory();
}

static NodusStatus no_node(const char *id)
{
    return nodus_error(NODUS_ERROR_INPUT, "there is no node %s", id);
}

NodusStatus nodus_graph_between(NodusGraph *graph, const char *from, const char *to, const NodusBody **body)
{
    if (!graph) return status_memory();
    Growth *growth = graph->call->run->growth;
    NodusBody *made = memory_alloc(sizeof *made);
    if (!made) return status_memory();
    made->next = graph->bodies;
    *body = graph->bodies = made;
    Walk walk = {.growth = growth, .body = made};
    pthread_mutex_lock(&growth->lock);
    made->from = growth_find(growth, from);
    const int32_t end = growth_find(growth, to ? to : graph->call->node->id);
    NodusStatus status = made->from < 0 ? no_node(from) : end < 0 ? no_node(to) : walk_up(&walk, end);
    pthread_mutex_unlock(&growth->lock);
    memory_free(walk.step);
    return status;
}

NodusStatus nodus_graph_input(NodusGraph *graph, const char *node, const char *input, NodusRawLink *link)
{
    *link = (NodusRawLink){0};
    if (!graph) return status_memory();
    Growth *growth = graph->call->run->growth;
    pthread_mutex_lock(&growth->lock);
    const int32_t index = growth_find(growth, node);
    const Node *found = index < 0 ? NULL : growth_at(growth, index);
    pthread_mutex_unlock(&growth->lock);
    const int at = found ? workflow_input_index(found->def, input) : -1;
    if (at < 0)
        return found ? nodus_error(NODUS_ERROR_INPUT, "node %s (%s) has no input %s", node, found->class_type, input)
                     : no_node(node);
    const Bind *bind = &found->bind[at];
    if (bind->kind == BIND_LINK) *link = (NodusRawLink){.node = bind->name, .slot = bind->slot};
    if (bind->kind == BIND_LITERAL) *link = (NodusRawLink){.list = {&bind->value, 1}, .name = bind->name};
    return NULL;
}

/* ---- Copying ------------------------------------------------------------------------------------------------------- */

static bool is_empty(const NodusRawLink *link)
{
    return !link->node && !link->list.count && !link->json;
}

static NodusStatus child_name(NodusGraph *graph, const char *prefix, const char *id, const char **out)
{
    *out = arena_format(graph->arena, "%s.%s", prefix, id);
    return *out ? NULL : status_memory();
}

/* What a link to a node of the run leads to in the copy. */
static NodusStatus translate(NodusGraph *graph, const NodusBody *body, const char *prefix, const NodusRawLink *feed,
                             uint32_t feeds, int32_t source, NodusRawLink *link)
{
    if (source == body->from) {
        if (link->slot < feeds && !is_empty(&feed[link->slot])) *link = feed[link->slot];
    } else if (side_of(body, source) == SIDE_WITHIN) {
        link->child = true;
        return child_name(graph, prefix, link->node, &link->node);
    }
    return NULL;
}

NodusStatus nodus_graph_copied(NodusGraph *graph, const NodusBody *body, const char *prefix, const NodusRawLink *feed,
                               uint32_t feeds, NodusRawLink *link)
{
    if (!link->node || link->child) return NULL;
    Growth *growth = graph->call->run->growth;
    pthread_mutex_lock(&growth->lock);
    const int32_t source = growth_find(growth, link->node);
    pthread_mutex_unlock(&growth->lock);
    return source < 0 ? no_node(link->node) : translate(graph, body, prefix, feed, feeds, source, link);
}

typedef struct Copy {
    NodusGraph *graph;
    const NodusBody *body;
    const char *prefix;
    const NodusRawLink *feed;
    uint32_t feeds;
} Copy;

static NodusStatus copy_bind(const Copy *copy, const Node *node, const char *child, uint32_t index)
{
    const Bind *bind = &node->bind[index];
    const uint32_t declared = node->def->input_count;
    const char *input = index < declared ? node->def->inputs[index].name : node->extra[index - declared];
    NodusRawLink link = {.node = bind->name, .slot = bind->slot};
    if (bind->kind == BIND_LITERAL) link = (NodusRawLink){.list = {&bind->value, 1}, .name = bind->name};
    else NODUS_TRY(translate(copy->graph, copy->body, copy->prefix, copy->feed, copy->feeds, bind->source, &link));
    return nodus_graph_outside(copy->graph, child, input, &link);
}

static NodusStatus copy_node(const Copy *copy, const Node *node)
{
    const char *child;
    NODUS_TRY(child_name(copy->graph, copy->prefix, node->id, &child));
    NODUS_TRY(expand_add(copy->graph, child, node->def));
    for (uint32_t i = 0; i < node->binds; i++)
        if (node->bind[i].kind != BIND_NONE) NODUS_TRY(copy_bind(copy, node, child, i));
    return NULL;
}

NodusStatus nodus_graph_copy(NodusGraph *graph, const NodusBody *body, const char *prefix, const NodusRawLink *feed,
                             uint32_t feeds)
{
    if (!graph) return status_memory();
    const Copy copy = {graph, body, prefix, feed, feeds};
    Growth *growth = graph->call->run->growth;
    for (size_t i = 0; i < body->count; i++) {
        pthread_mutex_lock(&growth->lock);
        const Node *node = growth_at(growth, body->node[i]);
        pthread_mutex_unlock(&growth->lock);
        NODUS_TRY(copy_node(&copy, node));
    }
    return NULL;
}
