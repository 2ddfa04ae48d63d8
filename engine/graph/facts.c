/* facts.c: `infer` along the graph.
 *
 * One idea: only nodes that have something to say keep facts, so a graph of ten thousand nodes without any costs nothing; all
 * others share one array of zeros. A node that runs only if a lazy input asks for it may be wrong without harm: its errors are
 * left to the run. */
#include "engine/graph/facts.h"
#include "engine/base/status.h"
#include "engine/graph/args.h"
#include "engine/graph/call.h"
#include "engine/graph/check.h"
#include <string.h>

enum { MOST_INPUTS = 64 };

typedef struct Known {
    NodusFacts *in, *out; /* an array each; NULL: nothing */
    Result *value;        /* numbers and texts that are known, or NULL */
} Known;

struct Facts {
    Arena *arena;
    int32_t count;
    Known node[];
};

static const NodusFacts nothing[MOST_INPUTS];

const NodusFacts *facts_input(const Facts *facts, int32_t node, uint32_t input)
{
    return facts && facts->node[node].in ? &facts->node[node].in[input] : &nothing[input < MOST_INPUTS ? input : 0];
}

const NodusFacts *facts_output(const Facts *facts, int32_t node, uint32_t slot)
{
    return facts && facts->node[node].out ? &facts->node[node].out[slot] : &nothing[0];
}

void facts_free(Facts *facts)
{
    if (!facts) return;
    for (int32_t n = 0; n < facts->count; n++) result_unref(facts->node[n].value);
    arena_free(facts->arena);
    memory_free(facts);
}

/* ---- Arguments ----------------------------------------------------------------------------------------------------- */

static const Slot *known_value(const Facts *facts, const Bind *bind)
{
    const Result *result = facts->node[bind->source].value;
    const Slot *slot = result && bind->slot < result->slots ? &result->slot[bind->slot] : NULL;
    return slot && slot->count == 1 ? slot : NULL;
}

const NodusValue *facts_value(const Facts *facts, const Workflow *workflow, int32_t node, uint32_t input)
{
    const Bind *bind = &workflow->node[node].bind[input];
    if (bind->kind == BIND_LITERAL) return bind->value;
    const Slot *slot = facts && bind->kind == BIND_LINK ? known_value(facts, bind) : NULL;
    return slot ? slot_list(slot).item[0] : NULL;
}

/* The literals of a node and the linked values that are known; false when one is missing on which its facts may depend. */
static bool gather(const Facts *facts, const Node *node, CallInputs *inputs)
{
    args_literals(node, inputs);
    for (uint32_t i = 0; i < node->def->input_count; i++) {
        const Bind *bind = &node->bind[i];
        const uint32_t kind = node->def->inputs[i].kind;
        if (bind->kind != BIND_LINK || kind == NODUS_LINK || kind == NODUS_ANY || kind == NODUS_HIDDEN) continue;
        const Slot *slot = known_value(facts, bind);
        if (!slot && kind != NODUS_SEED) return false;
        if (!slot) continue;
        inputs->list[i] = slot_list(slot);
        inputs->given |= 1ull << i;
    }
    return true;
}

/* What the links of a node bring, with struct_size set where there is a link. */
static NodusFacts *gather_facts(const Facts *facts, const Node *node)
{
    NodusFacts *in = arena_alloc(facts->arena, ((size_t)node->def->input_count + 1) * sizeof *in);
    for (uint32_t i = 0; in && i < node->def->input_count; i++) {
        if (node->bind[i].kind != BIND_LINK) continue;
        in[i] = *facts_output(facts, node->bind[i].source, node->bind[i].slot);
        in[i].struct_size = sizeof *in;
    }
    return in;
}

/* ---- The walk ------------------------------------------------------------------------------------------------------ */

/* certain[n]: an output needs node n whatever lazy nodes ask for. */
static void mark_certain(const Workflow *workflow, bool *certain, bool *read)
{
    for (int32_t k = workflow->order_count - 1; k >= 0; k--) {
        const int32_t n = workflow->order[k];
        const Node *node = &workflow->node[n];
        if (!read[n] || (node->def && (node->def->flags & NODUS_OUTPUT))) certain[n] = true;
        for (uint32_t i = 0; i < node->binds; i++) {
            if (node->bind[i].kind != BIND_LINK) continue;
            const bool lazy = i < node->def->input_count && (node->def->inputs[i].flags & (NODUS_LAZY | NODUS_RAW_LINK));
            read[node->bind[i].source] = true;
            certain[node->bind[i].source] |= certain[n] && !lazy;
        }
    }
}

/* Asks one node. *refused: why it cannot work, or NULL. What a file is wrong with tells the run, better than we could. */
static NodusStatus ask(NodusEngine *engine, const Workflow *workflow, Facts *facts, int32_t n, NodusStatus *refused)
{
    const Node *node = &workflow->node[n];
    Known *known = &facts->node[n];
    CallInputs inputs;
    if (!(known->in = gather_facts(facts, node))) return status_memory();
    if (!node->def->infer || !gather(facts, node, &inputs)) return NULL;
    const size_t bytes = ((size_t)node->def->output_count + 1) * sizeof *known->out;
    if (!(known->out = arena_alloc(facts->arena, bytes))) return status_memory();
    NodusStatus status = call_infer(engine, workflow, node, &inputs, known->in, known->out, &known->value, facts->arena);
    if (!status) return NULL;
    memset(known->out, 0, bytes);
    if (nodus_error_kind(status) == NODUS_ERROR_MEMORY) return status;
    if (nodus_error_kind(status) == NODUS_ERROR_INPUT) *refused = status;
    else nodus_error_free(status);
    return NULL;
}

static NodusStatus walk(NodusEngine *engine, Workflow *workflow, Report *report, ReportNode **entry, const bool *certain,
                        Facts *facts)
{
    for (int32_t k = 0; k < workflow->order_count; k++) {
        const int32_t n = workflow->order[k];
        Node *node = &workflow->node[n];
        node->bad = node->bad || workflow_has_bad_source(workflow, node);
        if (node->bad || !(node->def->infer || node->def->cost)) continue;
        NodusStatus refused = NULL;
        NODUS_TRY(ask(engine, workflow, facts, n, &refused));
        if (refused && certain[n]) {
            check_refused(report, node, refused, &entry[n]);
            node->bad = true;
        }
        nodus_error_free(refused);
    }
    return NULL;
}

NodusStatus facts_new(NodusEngine *engine, Workflow *workflow, Report *report, ReportNode **entry, Facts **out)
{
    const size_t count = (size_t)workflow->count + 1;
    Facts *facts = memory_alloc(sizeof *facts + count * sizeof *facts->node);
    bool *marks = memory_array(count, 2 * sizeof *marks);
    NodusStatus status = facts && marks && (facts->arena = arena_new()) ? NULL : status_memory();
    if (!status) {
        facts->count = workflow->count;
        mark_certain(workflow, marks, marks + count);
        status = walk(engine, workflow, report, entry, marks, facts);
    }
    memory_free(marks);
    if (status) facts_free(facts);
    else *out = facts;
    return status;
}

NodusStatus facts_cost(const Facts *facts, NodusEngine *engine, const Workflow *workflow, int32_t n, NodusCost *out)
{
    const Node *node = &workflow->node[n];
    CallInputs inputs;
    *out = (NodusCost){.struct_size = sizeof *out};
    if (!facts || !node->def || !node->def->cost || !gather(facts, node, &inputs)) return NULL;
    NodusStatus status = call_cost(engine, workflow, node, &inputs, facts_input(facts, n, 0), out);
    if (!status || nodus_error_kind(status) == NODUS_ERROR_MEMORY) return status;
    nodus_error_free(status); /* then nothing is known */
    *out = (NodusCost){.struct_size = sizeof *out};
    return NULL;
}
