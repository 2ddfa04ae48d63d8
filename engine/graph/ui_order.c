/* ui_order.c: the order of nodes, and sub-graphs unfolded.
 *
 * One idea: the order is the editor's: sources first, nodes that become free queue up in the order of the links. Instances are
 * unfolded from a stack; the text of what is unfolded is counted, so a few lines that multiply into millions of nodes are refused
 * before they fill memory. */
#include "engine/graph/ui_graph.h"
#include "engine/base/status.h"
#include <string.h>

enum {
    MOST_DEPTH = 64,
    MOST_UNFOLDED = 64 << 20, /* bytes of definitions, once an instance */
    PLACE_COST = 1024,        /* of an instance beside its text */
    NODE_COST = 256           /* of each of its nodes */
};

/* ---- The order of one scope ------------------------------------------------------------------------------------------- */

static bool joins_nodes(const UiLink *link)
{
    return link->origin >= 0 && link->target >= 0;
}

/* Links by origin: those of node n are list[start[n]] … list[start[n + 1] − 1]; waits[n] counts those that end at n. */
static void sort_links(const UiScope *scope, int32_t *start, int32_t *list, int32_t *waits)
{
    for (int32_t i = 0; i < scope->links; i++) {
        if (!joins_nodes(&scope->link[i])) continue;
        start[scope->link[i].origin + 1]++;
        waits[scope->link[i].target]++;
    }
    for (int32_t n = 0; n < scope->nodes; n++) start[n + 1] += start[n];
    for (int32_t i = scope->links - 1; i >= 0; i--) { /* from behind, so that the last decrement leaves the beginning */
        if (!joins_nodes(&scope->link[i])) continue;
        list[--start[scope->link[i].origin + 1]] = i;
    }
}

/* After sort_links the beginning of node n's links stands at start[n + 1]; they end where the next node's begin. */
static void queue_nodes(UiScope *scope, const int32_t *start, const int32_t *list, int32_t total, int32_t *waits)
{
    int32_t count = 0;
    for (int32_t n = 0; n < scope->nodes; n++)
        if (!waits[n]) scope->order[count++] = n;
    for (int32_t i = 0; i < count; i++) {
        const int32_t node = scope->order[i], end = node + 1 < scope->nodes ? start[node + 2] : total;
        for (int32_t k = start[node + 1]; k < end; k++) {
            const int32_t target = scope->link[list[k]].target;
            if (--waits[target] == 0) scope->order[count++] = target;
        }
    }
    for (int32_t n = 0; n < scope->nodes; n++) /* on a cycle, or behind one */
        if (waits[n] > 0) scope->order[count++] = n;
}

NodusStatus ui_order(Ui *ui, UiScope *scope)
{
    const size_t nodes = (size_t)scope->nodes;
    int32_t total = 0;
    for (int32_t i = 0; i < scope->links; i++) total += joins_nodes(&scope->link[i]);
    scope->order = arena_alloc(ui->arena, (nodes + 1) * sizeof *scope->order);
    int32_t *start = memory_array(nodes + 2, sizeof *start), *waits = memory_array(nodes + 1, sizeof *waits);
    int32_t *list = memory_array((size_t)total + 1, sizeof *list);
    const bool enough = scope->order && start && waits && list;
    if (enough) {
        sort_links(scope, start, list, waits);
        queue_nodes(scope, start, list, total, waits);
    }
    memory_free(start);
    memory_free(waits);
    memory_free(list);
    return enough ? NULL : status_memory();
}

/* ---- Unfolding -------------------------------------------------------------------------------------------------------- */

const UiNode *ui_node(const Ui *ui, int32_t place, int32_t node)
{
    return &ui->scope[ui->place[place].scope].node[node];
}

const char *ui_path(Ui *ui, int32_t place, int32_t node)
{
    ui->scratch.length = 0;
    text_add(&ui->scratch, ui->place[place].path);
    text_add(&ui->scratch, ui_node(ui, place, node)->id);
    return text_get(&ui->scratch);
}

bool ui_sent(const Ui *ui, int32_t place, int32_t node)
{
    const UiScope *scope = &ui->scope[ui->place[place].scope];
    const UiNode *it = &scope->node[node];
    return it->kind == UI_NODE && it->mode != UI_MUTED && it->mode != UI_BYPASSED &&
           names_get(&scope->node_index, it->id) == node;
}

/* Which input of the instance each port is: by name, in most files at the same position. */
static NodusStatus match_sockets(UiPlace *place, const UiScope *scope, const UiNode *instance)
{
    Names names = {0};
    bool enough = true;
    for (int32_t i = instance->inputs - 1; i >= 0 && enough; i--) enough = names_put(&names, instance->input[i].name, i);
    for (int32_t i = 0; i < scope->ins && enough; i++) {
        const bool same = i < instance->inputs && !strcmp(instance->input[i].name, scope->in[i].name);
        place->socket[i] = same ? i : names_get(&names, scope->in[i].name);
    }
    names_free(&names);
    return enough ? NULL : status_memory();
}

static NodusStatus refuse_instance(Ui *ui, int32_t parent, int32_t instance, const char *why)
{
    return nodus_error(NODUS_ERROR_INPUT, "node %s is a sub-graph that %s", ui_path(ui, parent, instance), why);
}

static NodusStatus check_instance(Ui *ui, int32_t parent, int32_t instance)
{
    const int32_t scope = ui_node(ui, parent, instance)->scope;
    for (int32_t p = parent; p >= 0; p = ui->place[p].parent)
        if (ui->place[p].scope == scope) return refuse_instance(ui, parent, instance, "contains itself");
    if (ui->place[parent].depth >= MOST_DEPTH) return refuse_instance(ui, parent, instance, "lies more than 64 others deep");
    ui->unfolded += ui->scope[scope].bytes + PLACE_COST + (size_t)ui->scope[scope].nodes * NODE_COST;
    if (ui->unfolded > MOST_UNFOLDED)
        return nodus_error(NODUS_ERROR_INPUT, "the sub-graphs unfold to more than %d MB of nodes", MOST_UNFOLDED >> 20);
    return NULL;
}

/* The root when `parent` is UI_ABSENT. */
static NodusStatus add_place(Ui *ui, int32_t parent, int32_t instance)
{
    void *places = ui->place;
    if (!memory_reserve(&places, &ui->place_room, (size_t)ui->places, sizeof *ui->place)) return status_memory();
    ui->place = places;
    const bool root = parent < 0;
    const UiNode *node = root ? NULL : ui_node(ui, parent, instance);
    const UiScope *scope = &ui->scope[root ? 0 : node->scope];
    UiPlace place = {.scope = root ? 0 : node->scope, .parent = parent, .instance = instance};
    place.depth = root ? 0 : ui->place[parent].depth + 1;
    place.path = root ? "" : arena_format(ui->arena, "%s%s:", ui->place[parent].path, node->id);
    place.child = arena_alloc(ui->arena, ((size_t)scope->nodes + 1) * sizeof *place.child);
    place.socket = arena_alloc(ui->arena, ((size_t)scope->ins + 1) * sizeof *place.socket);
    place.promoted = arena_alloc(ui->arena, ((size_t)scope->ins + 1) * sizeof *place.promoted);
    if (!place.path || !place.child || !place.socket || !place.promoted) return status_memory();
    if (!root) {
        NODUS_TRY(match_sockets(&place, scope, node));
        ui_promoted(scope, node, place.promoted);
        ui->place[parent].child[instance] = ui->places;
    }
    ui->place[ui->places++] = place;
    return NULL;
}

static NodusStatus add_entry(Ui *ui, int32_t place, int32_t node)
{
    void *entries = ui->entry;
    if (!memory_reserve(&entries, &ui->entry_room, (size_t)ui->entries, sizeof *ui->entry)) return status_memory();
    ui->entry = entries;
    ui->entry[ui->entries++] = (UiEntry){place, node};
    return NULL;
}

/* An instance's nodes follow it. The stack is the chain of places from the root to the one at hand. */
NodusStatus ui_unfold(Ui *ui)
{
    int32_t at[MOST_DEPTH + 1] = {0}, depth = 0, place = 0;
    NODUS_TRY(add_place(ui, UI_ABSENT, UI_ABSENT));
    while (depth >= 0) {
        const UiScope *scope = &ui->scope[ui->place[place].scope];
        if (at[depth] == scope->nodes) {
            place = ui->place[place].parent;
            depth--;
            continue;
        }
        const int32_t node = scope->order[at[depth]++];
        NODUS_TRY(add_entry(ui, place, node));
        if (scope->node[node].kind != UI_INSTANCE) continue;
        NODUS_TRY(check_instance(ui, place, node));
        NODUS_TRY(add_place(ui, place, node));
        place = ui->places - 1;
        at[++depth] = 0;
    }
    return NULL;
}
