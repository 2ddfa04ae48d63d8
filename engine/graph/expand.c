/* expand.c: building graphs within a call, and adopting them.
 *
 * One idea: children are not validated as prompts are; but a C function cannot be called without its inputs, so adoption looks at
 * exactly what binding needs: that a link leads somewhere of a fitting type, and that nothing required is missing. */
#include "engine/graph/expand.h"
#include "engine/base/status.h"
#include "engine/graph/call.h"
#include "engine/graph/check.h"
#include "engine/graph/literal.h"
#include "engine/graph/run.h"
#include "engine/graph/signature.h"
#include <string.h>

enum { MOST_OF_AN_ID = 200 /* bytes */, MOST_NODES = 5000000 /* made in one run */ };

/* ---- Building ------------------------------------------------------------------------------------------------------ */

NodusGraph *nodus_graph(NodusCall *call)
{
    if (call->host) call->refused = "nodus_graph";
    Arena *arena = call->run && call->execution ? arena_new() : NULL;
    NodusGraph *graph = arena ? memory_alloc(sizeof *graph) : NULL;
    if (!graph) {
        arena_free(arena);
        return NULL;
    }
    *graph = (NodusGraph){.arena = arena, .call = call, .index = call->index, .first = -1, .next = call->graphs};
    return call->graphs = graph;
}

const char *nodus_graph_self(NodusCall *call)
{
    return call->node->id;
}

void expand_free(NodusGraph *graph)
{
    for (NodusGraph *next; graph; graph = next) {
        next = graph->next;
        for (size_t n = 0; n < graph->count; n++)
            for (uint32_t i = 0; i < graph->node[n].binds; i++) value_unref(graph->node[n].bind[i].value);
        memory_free(graph->node);
        names_free(&graph->names);
        copy_free(graph->bodies);
        arena_free(graph->arena);
        memory_free(graph);
    }
}

NodusStatus expand_add(NodusGraph *graph, const char *child, const NodusNode *def)
{
    if (!graph) return status_memory();
    if (graph->closed) return nodus_error(NODUS_ERROR_INTERNAL, "%s: the graph was handed over already", child);
    if (names_get(&graph->names, child) >= 0)
        return nodus_error(NODUS_ERROR_INTERNAL, "the graph has two nodes with the name %s", child);
    if (graph->count >= MOST_NODES) return nodus_error(NODUS_ERROR_INPUT, "the graph has more than %d nodes", MOST_NODES);
    void *items = graph->node;
    if (!memory_reserve(&items, &graph->capacity, graph->count, sizeof *graph->node)) return status_memory();
    graph->node = items;
    Node node = {.id = arena_text(graph->arena, child), .class_type = def->name, .def = def, .binds = def->input_count};
    node.title = def->title ? def->title : def->name;
    node.bind = arena_alloc(graph->arena, (def->input_count + 1) * sizeof *node.bind);
    if (!node.id || !node.bind || !names_put(&graph->names, node.id, (int32_t)graph->count)) return status_memory();
    graph->node[graph->count++] = node;
    return NULL;
}

NodusStatus nodus_graph_node(NodusGraph *graph, const char *child, const char *class_type)
{
    if (!graph) return status_memory();
    const NodusNode *def = registry_node(graph->call->engine->registry, class_type);
    if (!def || !def->run)
        return nodus_error(def ? NODUS_ERROR_MISSING : NODUS_ERROR_INPUT, "%s expands to a node %s, which %s",
                           graph->call->node->class_type, class_type, def ? "is not part of this build yet" : "does not exist");
    return expand_add(graph, child, def);
}

NodusStatus nodus_graph_helper(NodusGraph *graph, const char *child, const NodusNode *node)
{
    return expand_add(graph, child, node);
}

/* A further bind of a variadic node; the arrays double. */
static NodusStatus add_extra(NodusGraph *graph, Node *node, const char *input, Bind **out)
{
    const uint32_t declared = node->def->input_count, extras = node->binds - declared;
    if (!(extras & (extras - 1))) { /* room for 1, 2, 4 … */
        const uint32_t room = extras ? extras * 2 : 1;
        Bind *bind = arena_alloc(graph->arena, (declared + (size_t)room) * sizeof *bind);
        const char **extra = arena_alloc(graph->arena, room * sizeof *extra);
        if (!bind || !extra) return status_memory();
        memcpy(bind, node->bind, node->binds * sizeof *bind);
        if (extras) memcpy(extra, node->extra, extras * sizeof *extra);
        node->bind = bind;
        node->extra = extra;
    }
    if (!(node->extra[extras] = arena_text(graph->arena, input))) return status_memory();
    *out = &node->bind[node->binds++];
    return NULL;
}

/* The bind of an input, emptied. */
NodusStatus expand_input(NodusGraph *graph, const char *child, const char *input, Bind **out)
{
    if (!graph) return status_memory();
    const int32_t index = graph->closed ? -1 : names_get(&graph->names, child);
    if (index < 0) return nodus_error(NODUS_ERROR_INTERNAL, "%s: the graph has no such node", child);
    Node *node = &graph->node[index];
    const int declared = workflow_input_index(node->def, input);
    if (declared >= 0) {
        *out = &node->bind[declared];
        value_unref((*out)->value);
        **out = (Bind){0};
        return NULL;
    }
    if (!(node->def->flags & NODUS_VARIADIC))
        return nodus_error(NODUS_ERROR_INPUT, "%s expands to a %s (%s), which has no input %s", graph->call->node->class_type,
                           node->class_type, child, input);
    for (uint32_t i = node->def->input_count; i < node->binds; i++)
        if (!strcmp(node->extra[i - node->def->input_count], input))
            return nodus_error(NODUS_ERROR_INTERNAL, "%s: the input %s is given twice", child, input);
    return add_extra(graph, node, input, out);
}

static const char *name_of_source(const NodusGraph *graph, const Growth *growth, const Bind *bind, uint32_t element)
{
    char hex[33];
    const Hash128 signature = growth->signature[bind->source];
    hash_hex(signature, hex);
    return arena_format(graph->arena, "%s%s.%u.%u", signature.low & SIGNATURE_STABLE ? "" : "~", hex, bind->slot, element);
}

/* What a payload goes by: the place in a source's result, so that equal graphs are equal however they came by it. Only values
 * that a call got can be passed on, so there is such a place. */
static const char *name_of_value(const NodusGraph *graph, const NodusValue *value)
{
    const NodusCall *call = graph->call;
    const char *name = NULL;
    pthread_mutex_lock(&call->run->growth->lock);
    for (uint32_t i = 0; i < call->node->binds && !name; i++) {
        const Bind *bind = &call->node->bind[i];
        const NodusList list = call_list(call, i);
        if (bind->kind == BIND_LITERAL && bind->value == value) name = bind->name;
        if (bind->kind != BIND_LINK) continue;
        if (call->index < list.count && list.item[call->index] == value) /* most often so */
            name = name_of_source(graph, call->run->growth, bind, call->index);
        for (uint32_t k = 0; k < list.count && !name; k++)
            if (list.item[k] == value) name = name_of_source(graph, call->run->growth, bind, k);
    }
    pthread_mutex_unlock(&call->run->growth->lock);
    return name;
}

static NodusStatus bind_value(NodusGraph *graph, const char *child, const char *input, NodusValue *value, const char *name)
{
    Bind *bind;
    NODUS_TRY(expand_input(graph, child, input, &bind));
    if (value->kind == VALUE_PAYLOAD && !name && !(name = name_of_value(graph, value)))
        return nodus_error(NODUS_ERROR_INTERNAL, "%s: only values that the node got can be passed on to %s", child, input);
    *bind = (Bind){.kind = BIND_LITERAL, .value = value_ref(value), .name = value->kind == VALUE_PAYLOAD ? name : NULL};
    return NULL;
}

NodusStatus nodus_graph_value(NodusGraph *graph, const char *child, const char *input, NodusValue *value)
{
    return bind_value(graph, child, input, value, NULL);
}

NodusStatus nodus_graph_literal(NodusGraph *graph, const char *child, const char *input, const char *json)
{
    static const NodusInput any = {.kind = NODUS_ANY};
    Bind *bind;
    Json *parsed;
    Literal literal = {0};
    NODUS_TRY(expand_input(graph, child, input, &bind));
    NODUS_TRY(json_parse(json, strlen(json), &parsed));
    NodusStatus status = literal_convert(&any, json_root(parsed), false, graph->arena, &literal);
    json_free(parsed);
    if (status) return status;
    if (!literal.value) return nodus_error(NODUS_ERROR_INPUT, "%s: %s is no value for %s", child, json, input);
    *bind = (Bind){.kind = BIND_LITERAL, .value = literal.value};
    return NULL;
}

static NodusStatus bind_source(NodusGraph *graph, const char *child, const char *input, int32_t kind, const char *name,
                               uint32_t slot)
{
    Bind *bind;
    NODUS_TRY(expand_input(graph, child, input, &bind));
    const char *copy = arena_text(graph->arena, name);
    if (!copy) return status_memory();
    *bind = (Bind){.kind = BIND_LINK, .source = kind, .slot = slot, .name = copy};
    return NULL;
}

NodusStatus nodus_graph_link(NodusGraph *graph, const char *child, const char *input, const char *from, uint32_t slot)
{
    return bind_source(graph, child, input, SOURCE_CHILD, from, slot);
}

NodusStatus nodus_graph_outside(NodusGraph *graph, const char *child, const char *input, const NodusRawLink *link)
{
    if (link->node) return bind_source(graph, child, input, link->child ? SOURCE_CHILD : SOURCE_OUTSIDE, link->node, link->slot);
    if (link->list.count) return bind_value(graph, child, input, link->list.item[0], link->name);
    if (link->json) return nodus_graph_literal(graph, child, input, link->json);
    return nodus_error(NODUS_ERROR_INTERNAL, "%s: nothing to link %s to", child, input);
}

NodusStatus nodus_expand(NodusCall *call, NodusGraph *children)
{
    if (!children) return status_memory();
    if (!call->execution || call->expanded || children->call != call || children->closed)
        return nodus_error(NODUS_ERROR_INTERNAL, "%s expands twice, or with a graph of another call", call->node->class_type);
    NodusGraph **at = &call->graphs;
    while (*at != children) at = &(*at)->next;
    *at = children->next;
    children->next = NULL;
    children->closed = true;
    call->expanded = children;
    return NULL;
}

/* ---- The nodes of a run -------------------------------------------------------------------------------------------- */

NodusStatus growth_open(Growth *growth, const Workflow *workflow)
{
    *growth = (Growth){.workflow = workflow, .signature_capacity = (size_t)workflow->count + 1};
    pthread_mutex_init(&growth->lock, NULL);
    growth->signature = memory_array(growth->signature_capacity, sizeof *growth->signature);
    return growth->signature ? NULL : status_memory();
}

void growth_close(Growth *growth)
{
    expand_free(growth->graphs);
    memory_free(growth->signature);
    memory_free(growth->node);
    names_free(&growth->ids);
    pthread_mutex_destroy(&growth->lock);
}

int32_t growth_find(const Growth *growth, const char *id)
{
    const int32_t node = workflow_find(growth->workflow, id);
    return node >= 0 ? node : names_get(&growth->ids, id);
}

/* ---- Adopting ------------------------------------------------------------------------------------------------------ */

/* "PARENT.CALL.CHILD". Of nodes nested deeply a hash stands for the parent, so that ids do not grow with the depth. */
static NodusStatus give_ids(const Growth *growth, NodusGraph *graph, const Node *parent)
{
    char hash[34] = "~";
    const size_t length = strlen(parent->id);
    hash_hex(hash_of(parent->id, length), hash + 1);
    const char *prefix = length > MOST_OF_AN_ID ? hash : parent->id;
    for (size_t n = 0; n < graph->count; n++) {
        Node *node = &graph->node[n];
        node->id = arena_format(graph->arena, "%s.%u.%s", prefix, graph->index, node->id);
        if (!node->id) return status_memory();
        if (growth_find(growth, node->id) >= 0)
            return nodus_error(NODUS_ERROR_INPUT, "%s expands to a node %s, but there is one with that id already",
                               parent->class_type, node->id);
        node->visible = parent->visible ? parent->visible : parent;
    }
    return NULL;
}

NodusStatus growth_resolve(const Growth *growth, const NodusGraph *graph, Bind *bind)
{
    if (bind->source == SOURCE_CHILD) {
        const int32_t child = graph ? names_get(&graph->names, bind->name) : -1;
        if (child < 0) return nodus_error(NODUS_ERROR_INPUT, "a link leads to a child %s, which does not exist", bind->name);
        bind->source = graph->first + child;
    } else {
        const int32_t source = growth_find(growth, bind->name);
        const Node *node = source < 0 ? NULL : growth_at(growth, source);
        if (!node || node->bad || !node->def || !node->def->run || (source < growth->workflow->count && !node->reached))
            return nodus_error(NODUS_ERROR_INPUT, "a link leads to node %s, which %s", bind->name,
                               node ? "cannot run" : "does not exist");
        bind->source = source;
        bind->name = node->id;
    }
    return NULL;
}

/* The node behind a resolved link, also while its graph is not part of the run yet. */
static const Node *source_of(const Growth *growth, const NodusGraph *graph, const Bind *bind)
{
    return bind->source >= graph->first ? &graph->node[bind->source - graph->first] : growth_at(growth, bind->source);
}

static NodusStatus check_child_link(const Growth *growth, const NodusGraph *graph, const Node *node, uint32_t input)
{
    Bind *bind = &node->bind[input];
    const Node *source = source_of(growth, graph, bind);
    const char *wanted = input < node->def->input_count ? node->def->inputs[input].type : "*";
    bind->name = source->id;
    if (bind->slot >= source->def->output_count)
        return nodus_error(NODUS_ERROR_INPUT, "node %s (%s) has %u outputs, a link of %s asks for number %u", source->id,
                           source->class_type, source->def->output_count, node->id, bind->slot);
    const char *given = source->def->outputs[bind->slot].type;
    if (check_types_fit(given, wanted)) return NULL;
    return nodus_error(NODUS_ERROR_INPUT, "input %s of node %s (%s) wants %s, it is linked to %s", node->def->inputs[input].name,
                       node->id, node->class_type, wanted, given);
}

static NodusStatus check_child(const Growth *growth, const NodusGraph *graph, const Node *node)
{
    for (uint32_t i = 0; i < node->binds; i++) {
        if (node->bind[i].kind == BIND_LINK) NODUS_TRY(check_child_link(growth, graph, node, i));
        if (node->bind[i].kind != BIND_NONE || i >= node->def->input_count) continue;
        const NodusInput *input = &node->def->inputs[i];
        if (input->kind != NODUS_HIDDEN && !(input->flags & NODUS_OPTIONAL))
            return nodus_error(NODUS_ERROR_INPUT, "input %s of node %s (%s) is missing", input->name, node->id, node->class_type);
    }
    return NULL;
}

static NodusStatus bind_children(const Growth *growth, NodusGraph *graph, const Node *parent)
{
    NODUS_TRY(give_ids(growth, graph, parent));
    for (size_t n = 0; n < graph->count; n++)
        for (uint32_t i = 0; i < graph->node[n].binds; i++)
            if (graph->node[n].bind[i].kind == BIND_LINK) NODUS_TRY(growth_resolve(growth, graph, &graph->node[n].bind[i]));
    for (size_t n = 0; n < graph->count; n++) NODUS_TRY(check_child(growth, graph, &graph->node[n]));
    return NULL;
}

static bool make_room(Growth *growth, size_t more)
{
    const size_t count = growth->count + more, total = (size_t)growth->workflow->count + count;
    if (count > growth->node_capacity) {
        const size_t capacity = count * 2;
        Node **node = memory_grow(growth->node, capacity, sizeof *node);
        if (!node) return false;
        growth->node = node;
        growth->node_capacity = capacity;
    }
    if (total > growth->signature_capacity) {
        const size_t capacity = total * 2;
        Hash128 *signature = memory_grow(growth->signature, capacity, sizeof *signature);
        if (!signature) return false;
        growth->signature = signature;
        growth->signature_capacity = capacity;
    }
    return true;
}

/* Enters the children; on failure their ids lead nowhere. Locked. */
static NodusStatus enter(Growth *growth, NodusGraph *graph)
{
    bool fine = make_room(growth, graph->count);
    size_t n = 0;
    for (; n < graph->count && fine; n++) {
        fine = names_put(&growth->ids, graph->node[n].id, graph->first + (int32_t)n);
        growth->node[growth->count + n] = &graph->node[n];
        growth->signature[(size_t)graph->first + n] = (Hash128){0};
    }
    if (fine) growth->count += graph->count;
    else
        while (n--) names_put(&growth->ids, graph->node[n].id, -1);
    return fine ? NULL : status_memory();
}

NodusStatus growth_adopt(Growth *growth, NodusGraph *graph, const Node *parent)
{
    graph->next = growth->graphs;
    growth->graphs = graph;
    if (graph->count > MOST_NODES - growth->count)
        return nodus_error(NODUS_ERROR_INPUT, "%s: the graph has grown beyond %d nodes: is there a loop that never ends?",
                           parent->class_type, MOST_NODES);
    graph->first = growth_total(growth);
    NODUS_TRY(bind_children(growth, graph, parent));
    pthread_mutex_lock(&growth->lock);
    NodusStatus status = enter(growth, graph);
    pthread_mutex_unlock(&growth->lock);
    return status;
}
