/* assembly.c: collecting the pieces of a result, finding the nodes behind its links, and putting it together.
 *
 * One idea: an output node among the children is awaited like a link that contributes nothing: so its failure is the parent's,
 * and the parent is done when all that it made is. */
#include "engine/graph/assembly.h"
#include "engine/base/status.h"
#include "engine/graph/check.h"
#include <string.h>

void assembly_free(Assembly *assembly)
{
    if (!assembly) return;
    for (size_t i = 0; i < assembly->pieces; i++) memory_free(assembly->piece[i].name);
    memory_free(assembly->piece);
    memory_free(assembly->links);
    memory_free(assembly->await);
    expand_free(assembly->graphs);
    result_unref(assembly->given);
    memory_free(assembly);
}

Assembly *assembly_of(Assembly **assembly, uint32_t slots)
{
    if (*assembly) return *assembly;
    Assembly *made = memory_alloc(sizeof *made);
    if (!made) return NULL;
    made->last = &made->graphs;
    made->links = memory_array((size_t)slots + 1, sizeof *made->links);
    if (made->links) return *assembly = made;
    memory_free(made);
    return NULL;
}

NodusStatus assembly_add(Assembly *assembly, const Piece *piece, const char *name)
{
    void *items = assembly->piece;
    if (!memory_reserve(&items, &assembly->capacity, assembly->pieces, sizeof *assembly->piece)) return status_memory();
    assembly->piece = items;
    Piece *added = &assembly->piece[assembly->pieces];
    *added = *piece;
    if (!(added->name = memory_text(name))) return status_memory();
    assembly->pieces++;
    assembly->links[piece->slot]++;
    return NULL;
}

void assembly_add_graph(Assembly *assembly, NodusGraph *graph)
{
    *assembly->last = graph;
    assembly->last = &graph->next;
}

NodusStatus assembly_append(Assembly *assembly, Assembly *later, const Result *before)
{
    for (size_t i = 0; i < later->pieces; i++) {
        Piece piece = later->piece[i];
        piece.position += before->slot[piece.slot].count;
        NODUS_TRY(assembly_add(assembly, &piece, piece.name));
    }
    if (later->graphs) {
        assembly_add_graph(assembly, later->graphs);
        assembly->last = later->last;
    }
    later->graphs = NULL;
    later->last = &later->graphs;
    return NULL;
}

/* ---- What it waits for --------------------------------------------------------------------------------------------- */

static NodusStatus bind_piece(const Piece *piece, const Growth *growth, const Node *node, Bind *bind)
{
    *bind = (Bind){.kind = BIND_LINK,
                   .source = piece->child ? SOURCE_CHILD : SOURCE_OUTSIDE,
                   .slot = piece->source_slot,
                   .name = piece->name};
    NODUS_TRY(growth_resolve(growth, piece->graph, bind));
    const NodusNode *source = growth_at(growth, bind->source)->def;
    const char *wanted = node->def->outputs[piece->slot].type;
    if (bind->slot >= source->output_count)
        return nodus_error(NODUS_ERROR_INPUT, "%s: its result links to output %u of a %s, which has %u", node->class_type,
                           bind->slot, source->name, source->output_count);
    if (check_types_fit(source->outputs[bind->slot].type, wanted)) return NULL;
    return nodus_error(NODUS_ERROR_INPUT, "%s: its output %s is a %s, the result links to a %s", node->class_type,
                       node->def->outputs[piece->slot].name, wanted, source->outputs[bind->slot].type);
}

static bool is_output(const Growth *growth, int32_t node)
{
    return growth_at(growth, node)->def->flags & NODUS_OUTPUT;
}

static NodusStatus bind_all(Assembly *assembly, const Growth *growth, const Node *node)
{
    size_t outputs = 0;
    for (int32_t n = assembly->first; n < assembly->behind; n++) outputs += is_output(growth, n);
    assembly->await = memory_array(assembly->pieces + outputs + 1, sizeof *assembly->await);
    if (!assembly->await) return status_memory();
    for (size_t i = 0; i < assembly->pieces; i++)
        NODUS_TRY(bind_piece(&assembly->piece[i], growth, node, &assembly->await[assembly->awaits++]));
    for (int32_t n = assembly->first; n < assembly->behind; n++)
        if (is_output(growth, n)) assembly->await[assembly->awaits++] = (Bind){.kind = BIND_LINK, .source = n};
    return NULL;
}

NodusStatus assembly_adopt(Assembly *assembly, Growth *growth, const Node *node, Result *given)
{
    NodusStatus status = NULL;
    assembly->first = growth_total(growth);
    for (NodusGraph *graph = assembly->graphs, *next; graph && !status; graph = next) {
        next = assembly->graphs = graph->next;
        status = growth_adopt(growth, graph, node);
    }
    assembly->behind = growth_total(growth);
    if (!status) status = bind_all(assembly, growth, node);
    assembly->given = result_ref(given);
    return status;
}

/* ---- The end ------------------------------------------------------------------------------------------------------- */

static NodusStatus append_list(Result *result, uint32_t slot, NodusList list)
{
    for (uint32_t i = 0; i < list.count; i++) NODUS_TRY(result_append(result, slot, value_ref(list.item[i])));
    return NULL;
}

/* The values of a slot that come before its `count`-th. */
static NodusStatus append_given(Result *result, const Result *given, uint32_t slot, uint32_t *used, uint32_t count)
{
    NodusList list = slot_list(&given->slot[slot]);
    if (*used) list.item += *used; /* an empty slot has no array */
    list.count = count - *used;
    *used = count;
    return append_list(result, slot, list);
}

static NodusStatus put_together(const Assembly *assembly, AssemblySource *source, const void *user, uint32_t *used,
                                Result *result)
{
    const Result *given = assembly->given;
    for (size_t i = 0; i < assembly->pieces; i++) {
        const Piece *piece = &assembly->piece[i];
        NODUS_TRY(append_given(result, given, piece->slot, &used[piece->slot], piece->position));
        NODUS_TRY(append_list(result, piece->slot, source(user, &assembly->await[i])));
    }
    for (uint32_t s = 0; s < given->slots; s++) NODUS_TRY(append_given(result, given, s, &used[s], given->slot[s].count));
    if (given->ui && !(result->ui = memory_text(given->ui))) return status_memory();
    return NULL;
}

NodusStatus assembly_result(const Assembly *assembly, AssemblySource *source, const void *user, Result **out)
{
    uint32_t *used = memory_array((size_t)assembly->given->slots + 1, sizeof *used);
    NodusStatus status = used ? result_new(assembly->given->slots, out) : status_memory();
    if (!status) status = put_together(assembly, source, user, used, *out);
    memory_free(used);
    return status;
}
