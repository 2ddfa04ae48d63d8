/* order.c: a depth-first walk from the outputs, without recursion: prompts may be chains of 100,000 nodes.
 *
 * One idea: Tarjan's low links tell which nodes lie on a cycle in one pass: a node on the walk's stack is cyclic when an edge
 * leads from it or from behind it back to it or before it. */
#include "engine/graph/order.h"
#include "engine/base/status.h"
#include <string.h>

enum { SHOWN_OF_A_CYCLE = 12, LISTED_OF_A_CYCLE = 1000 };

typedef struct Frame {
    int32_t node, low; /* low: the smallest stack position that an edge leads back to */
    uint32_t next;     /* input to look at */
} Frame;

typedef struct Walk {
    Workflow *workflow;
    Frame *frame;
    int32_t depth;
    size_t capacity;
    int32_t *position; /* of a node: 0 unseen, > 0 its place on the stack + 1, −1 done */
    OrderCycle cycle;
    bool failed; /* no memory for its texts */
} Walk;

bool order_is_link(const cJSON *item)
{
    return cJSON_IsArray(item);
}

/* Binds an input that is a well-formed link to a slot that exists. */
static void bind_link(Workflow *workflow, Node *node, uint32_t input)
{
    const cJSON *item = node->item[input];
    if (!item || !order_is_link(item) || cJSON_GetArraySize(item) != 2) return;
    bool negative;
    uint64_t slot;
    const char *id = json_string(item->child);
    const int32_t source = id ? workflow_find(workflow, id) : -1;
    if (source < 0 || !json_integer(item->child->next, &negative, &slot) || (negative && slot) || slot > UINT32_MAX) return;
    const NodusNode *def = workflow->node[source].def;
    if (def && slot >= def->output_count) return;
    node->bind[input] = (Bind){.kind = BIND_LINK, .source = source, .slot = (uint32_t)slot, .name = workflow->node[source].id};
}

static NodusStatus push(Walk *walk, int32_t index)
{
    void *items = walk->frame;
    if (!memory_reserve(&items, &walk->capacity, (size_t)walk->depth, sizeof *walk->frame)) return status_memory();
    walk->frame = items;
    walk->frame[walk->depth] = (Frame){.node = index, .low = INT32_MAX};
    walk->position[index] = ++walk->depth;
    Node *node = &walk->workflow->node[index];
    node->reached = true;
    for (uint32_t i = 0; i < node->binds; i++)
        if (i >= node->def->input_count || node->def->inputs[i].kind != NODUS_HIDDEN) bind_link(walk->workflow, node, i);
    return NULL;
}

static const char *id_at(const Walk *walk, int32_t place)
{
    return walk->workflow->node[walk->frame[place].node].id;
}

/* The ids from stack place `first` to the top and back again. */
static void note_cycle(Walk *walk, int32_t first)
{
    if (walk->cycle.text) return;
    Text text = {0}, ids = {0};
    for (int32_t at = first; at < walk->depth && at - first < LISTED_OF_A_CYCLE; at++) {
        if (at - first < SHOWN_OF_A_CYCLE) text_format(&text, "%s → ", id_at(walk, at));
        text_add(&ids, at == first ? "[" : ", ");
        json_put_string(&ids, id_at(walk, at), false);
    }
    if (walk->depth - first > SHOWN_OF_A_CYCLE) text_add(&text, "… → ");
    text_add(&text, id_at(walk, first));
    text_char(&ids, ']');
    walk->cycle.text = arena_text(walk->workflow->arena, text_get(&text));
    walk->cycle.ids = arena_text(walk->workflow->arena, text_get(&ids));
    walk->failed = text.failed || ids.failed || !walk->cycle.text || !walk->cycle.ids;
    text_free(&text);
    text_free(&ids);
}

static void pop(Walk *walk)
{
    const int32_t place = --walk->depth;
    const Frame frame = walk->frame[place];
    Node *node = &walk->workflow->node[frame.node];
    node->cyclic = frame.low <= place;
    if (place && frame.low < place && frame.low < walk->frame[place - 1].low) walk->frame[place - 1].low = frame.low;
    walk->position[frame.node] = -1;
    walk->workflow->order[walk->workflow->order_count++] = frame.node;
}

/* The next source of the node on top that was not seen yet, or −1. */
static int32_t next_source(Walk *walk)
{
    Frame *top = &walk->frame[walk->depth - 1];
    const Node *node = &walk->workflow->node[top->node];
    while (top->next < node->binds) {
        const Bind *bind = &node->bind[top->next++];
        if (bind->kind != BIND_LINK) continue;
        const int32_t place = walk->position[bind->source] - 1;
        if (place == -1) return bind->source;
        if (place < 0) continue; /* done */
        if (place < top->low) top->low = place;
        note_cycle(walk, place);
    }
    return -1;
}

/* Everything that a node needs, into the order. */
static NodusStatus walk_from(Walk *walk, int32_t root)
{
    if (walk->position[root]) return NULL;
    NODUS_TRY(push(walk, root));
    while (walk->depth) {
        const int32_t source = next_source(walk);
        if (source < 0) pop(walk);
        else NODUS_TRY(push(walk, source));
    }
    return NULL;
}

/* Which inputs a node of an unknown class has, nobody knows: whatever looks like a link counts. */
static NodusStatus walk_unknown(Walk *walk, const Node *node)
{
    for (const cJSON *item = node->inputs ? node->inputs->child : NULL; item; item = item->next) {
        const char *id = order_is_link(item) ? json_string(item->child) : NULL;
        const int32_t source = id ? workflow_find(walk->workflow, id) : -1;
        if (source >= 0) NODUS_TRY(walk_from(walk, source));
    }
    return NULL;
}

NodusStatus order_nodes(Workflow *workflow, const int32_t *root, size_t roots, OrderCycle *cycle)
{
    Walk walk = {.workflow = workflow, .position = memory_array((size_t)workflow->count + 1, sizeof *walk.position)};
    workflow->order = arena_alloc(workflow->arena, ((size_t)workflow->count + 1) * sizeof *workflow->order);
    NodusStatus status = walk.position && workflow->order ? NULL : status_memory();
    for (size_t r = 0; r < roots && !status; r++) status = walk_from(&walk, root[r]);
    for (int32_t k = 0; !status && k < workflow->order_count; k++) { /* the order may grow meanwhile */
        const Node *node = &workflow->node[workflow->order[k]];
        if (!node->def) status = walk_unknown(&walk, node);
    }
    if (!status && walk.failed) status = status_memory();
    *cycle = walk.cycle;
    memory_free(walk.position);
    memory_free(walk.frame);
    return status;
}
