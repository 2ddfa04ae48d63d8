/* execute.c: all calls of one node: one for each list element, and what they gave as one result.
 *
 * One idea: calls give into one execution, in their order, until one of them is deferred; the calls behind it give into
 * executions of their own, which are joined at the end. So calls may end in any order, on any thread, without a lock. */
#include "engine/graph/args.h"
#include "engine/graph/call.h"
#include "engine/graph/run.h"
#include "engine/base/status.h"
#include "engine/formats/json.h"
#include <fenv.h>
#include <string.h>

/* ---- The end of a call --------------------------------------------------------------------------------------------- */

/* Each call must give one value to each output that is no list. */
static NodusStatus check_emitted(const Execution *execution)
{
    const NodusNode *def = execution->node->def;
    for (uint32_t s = 0; s < def->output_count; s++) {
        if (def->outputs[s].flags & NODUS_OUT_LIST) continue;
        const uint32_t links = execution->assembly ? execution->assembly->links[s] : 0;
        const uint32_t count = execution->result->slot[s].count + links;
        if (count == execution->calls) continue;
        return nodus_error(NODUS_ERROR_INTERNAL, "%s gave %s to its output %u (%s): please report this", def->name,
                           count < execution->calls ? "nothing" : "several values", s, def->outputs[s].type);
    }
    return NULL;
}

/* Links to children become links into the graph that the call expanded to. */
static NodusStatus keep_graph(NodusCall *call)
{
    Assembly *assembly = call->execution->assembly;
    for (size_t i = call->first_piece; assembly && i < assembly->pieces; i++) {
        if (assembly->piece[i].child && !call->expanded)
            return nodus_error(NODUS_ERROR_INTERNAL, "%s links its result to a child, but did not expand",
                               call->node->class_type);
        assembly->piece[i].graph = call->expanded;
    }
    if (!call->expanded) return NULL;
    if (!(assembly = assembly_of(&call->execution->assembly, call->node->def->output_count))) return status_memory();
    assembly_add_graph(assembly, call->expanded);
    call->expanded->call = NULL;
    call->expanded = NULL;
    return NULL;
}

NodusStatus call_end(NodusCall *call, NodusStatus status)
{
    if (!status) status = call_expect_end(call->execution);
    if (!status) status = keep_graph(call);
    if (!status) status = check_emitted(call->execution);
    call_close(call);
    return status;
}

void call_leave(Execution *first)
{
    if (atomic_fetch_sub(&first->open, 1) == 1) first->ended(first);
}

/* ---- The calls ----------------------------------------------------------------------------------------------------- */

/* What a blocked element gives: a blocker in every slot. Only the first in line tells the reason. */
static NodusStatus emit_blocked(Execution *execution, const char *message)
{
    if (message) run_warn(execution->run, execution->node, message);
    execution->calls++;
    for (uint32_t s = 0; s < execution->result->slots; s++) {
        NodusValue *value;
        NODUS_TRY(value_text(VALUE_BLOCKER, NULL, &value));
        NODUS_TRY(result_append(execution->result, s, value));
    }
    return NULL;
}

/* *deferred: the call stays open. */
static NodusStatus run_call(Execution *first, Execution *execution, const CallInputs *inputs, uint32_t index, bool *deferred)
{
    NodusPending *open = memory_alloc(sizeof *open + execution->node->def->args_size);
    if (!open) return status_memory();
    NodusCall *call = &open->call;
    call_open_in_run(call, execution->run, execution->node);
    open->first = first;
    call->execution = execution;
    call->inputs = inputs;
    call->index = index;
    call->first_piece = execution->assembly ? execution->assembly->pieces : 0;
    execution->calls++;
    NodusStatus status = args_fill(call, inputs, index, open->args);
    fenv_t arithmetic; /* a plug-in's function may change its mode: what runs next must not be other for that */
    fegetenv(&arithmetic);
    if (!status) status = status_from(execution->node->def->name, execution->node->def->run(call, open->args));
    fesetenv(&arithmetic);
    *deferred = open->deferred && !status;
    if (*deferred) {
        pending_release(open);
        return NULL;
    }
    if (open->deferred) atomic_fetch_sub(&first->open, 1); /* it failed after all */
    status = call_end(call, status);
    memory_free(open);
    return status;
}

static NodusStatus next_execution(Execution *before)
{
    Execution *execution = memory_alloc(sizeof *execution);
    if (!execution) return status_memory();
    *execution = (Execution){.run = before->run, .node = before->node, .started_at = before->started_at};
    NodusStatus status = result_new(before->node->def->output_count, &execution->result);
    if (status) memory_free(execution);
    else before->next = execution;
    return status;
}

static NodusStatus execute_all(Execution *first, const CallInputs *inputs)
{
    NODUS_TRY(result_new(first->node->def->output_count, &first->result));
    const uint32_t calls = args_calls(first->node, inputs);
    Execution *execution = first;
    bool deferred = false;
    for (uint32_t i = 0; i < calls; i++) {
        const char *message = NULL;
        if (deferred) {
            NODUS_TRY(next_execution(execution));
            execution = execution->next;
        }
        deferred = false;
        if (args_blocked(first->node, inputs, i, &message)) NODUS_TRY(emit_blocked(execution, message));
        else NODUS_TRY(run_call(first, execution, inputs, i, &deferred));
    }
    return NULL;
}

void call_execute(Execution *first, const CallInputs *inputs)
{
    first->failed = execute_all(first, inputs);
}

/* ---- One result of all --------------------------------------------------------------------------------------------- */

static NodusStatus finish_ui(Execution *execution)
{
    Text text = {0};
    if (!execution->ui) return NULL;
    text_char(&text, '{');
    for (const UiKey *key = execution->ui; key; key = key->next) {
        if (key != execution->ui) text_add(&text, ", ");
        json_put_string(&text, key->key, false);
        text_add(&text, ": [");
        text_add(&text, text_get(&key->items));
        text_char(&text, ']');
        text.failed |= key->items.failed;
    }
    text_char(&text, '}');
    return text_take(&text, &execution->result->ui);
}

/* Takes an error over. */
static NodusStatus take_status(NodusStatus *from)
{
    NodusStatus status = *from;
    *from = NULL;
    return status;
}

static NodusStatus join_ui(Execution *execution, const Execution *later)
{
    for (const UiKey *key = later->ui; key; key = key->next) NODUS_TRY(emit_ui(execution, key->key, text_get(&key->items)));
    return NULL;
}

static NodusStatus join_one(Execution *execution, Execution *later)
{
    const uint32_t slots = execution->node->def->output_count;
    if (later->status) return take_status(&later->status);
    execution->flop_total += later->flop_total;
    execution->flop_seconds += later->flop_seconds;
    execution->result->local |= later->result->local;
    if (later->assembly && !assembly_of(&execution->assembly, slots)) return status_memory();
    if (later->assembly) NODUS_TRY(assembly_append(execution->assembly, later->assembly, execution->result));
    for (uint32_t s = 0; s < slots; s++) {
        const NodusList list = slot_list(&later->result->slot[s]);
        for (uint32_t i = 0; i < list.count; i++) NODUS_TRY(result_append(execution->result, s, value_ref(list.item[i])));
    }
    return join_ui(execution, later);
}

NodusStatus call_join(Execution *first)
{
    NodusStatus status = take_status(&first->status);
    for (Execution *later = first->next; later && !status; later = later->next) status = join_one(first, later);
    if (!status) status = take_status(&first->failed);
    return status ? status : finish_ui(first);
}

static void free_one(Execution *execution)
{
    for (UiKey *key = execution->ui, *next; key; key = next) {
        next = key->next;
        text_free(&key->items);
        memory_free(key->key);
        memory_free(key);
    }
    memory_free(execution->kind);
    assembly_free(execution->assembly);
    nodus_error_free(execution->status);
    nodus_error_free(execution->failed);
}

void call_execution_free(Execution *first)
{
    for (Execution *later = first->next, *next; later; later = next) {
        next = later->next;
        free_one(later);
        result_unref(later->result);
        memory_free(later);
    }
    free_one(first);
}
