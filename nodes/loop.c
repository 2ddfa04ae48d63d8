/* loop.c: loops for people: what lies between a start and an end runs once a turn, and up to five values are carried from turn to
 * turn.
 *
 * One idea: the nodes between the two are a pattern that need not run itself. The end expands to a helper that copies it for each
 * turn; in a copy, whatever reads the start reads what the turn before gave. So a turn that was computed once, in this run or an
 * earlier one, is in the cache, whatever the number of turns. The helper of a `for` copies all turns at once; that of a `while`
 * looks at the condition and then copies one turn, with the next helper behind it. */
#include "nodes/loop.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include <inttypes.h>
#include <stdio.h>

enum { VALUES = 5, MOST_TURNS = 100000, FEWER_TURNS = 1000 /* of a while, when nothing is said */ };

/* On the wire from start to end there is nothing to know: it says which two belong together. */
static NodusStatus flow_print(const void *payload, NodusText *text)
{
    return nodus_print(text, "%s", (const char *)payload);
}

static NodusStatus flow_store(const void *payload, NodusWriter *writer)
{
    return nodus_write_text(writer, payload);
}

static NodusStatus flow_load(NodusReader *reader, void **payload)
{
    char *text = NULL;
    NODUS_TRY(nodus_read_text(reader, &text));
    *payload = text;
    return text ? NULL : nodus_error(NODUS_ERROR_FILE, "a loop's flow without content");
}

const NodusType type_flow = {.struct_size = sizeof(NodusType),
                             .name = "FLOW_CONTROL",
                             .free = memory_free,
                             .print = flow_print,
                             .store = flow_store,
                             .load = flow_load};

/* The values of a loop at one place: links or literals, empty where none is carried. */
typedef struct Carried {
    NodusRawLink value[VALUES];
} Carried;

static const char *const initial_names[VALUES] = {"initial_value1", "initial_value2", "initial_value3", "initial_value4",
                                                  "initial_value5"};
static const char *const value_names[VALUES] = {"value1", "value2", "value3", "value4", "value5"};

static bool is_given(const NodusRawLink *link)
{
    return link->node || link->list.count || link->json;
}

/* A value that nobody gave blocks whoever reads it. */
static NodusStatus emit_carried(NodusCall *call, uint32_t first_slot, const Carried *carried)
{
    for (uint32_t v = 0; v < VALUES; v++) {
        if (is_given(&carried->value[v])) NODUS_TRY(nodus_emit_outside(call, first_slot + v, &carried->value[v]));
        else
            NODUS_TRY(nodus_block(call, first_slot + v,
                                  "this value of the loop is not carried: nothing is linked to the loop's start"));
    }
    return NULL;
}

static Carried carried_of(const NodusRawLink *const *links)
{
    Carried carried = {0};
    for (int v = 0; v < VALUES; v++)
        if (links[v]) carried.value[v] = *links[v];
    return carried;
}

/* ---- The start ----------------------------------------------------------------------------------------------------- */

typedef struct {
    int64_t total;
    bool condition;
    const NodusRawLink *initial[VALUES];
} StartArgs;

static NodusStatus emit_flow(NodusCall *call)
{
    char *flow = memory_text("a loop");
    return flow ? nodus_emit(call, 0, &type_flow, flow) : status_memory();
}

/* Runs only for readers outside the loop: they see the first turn. */
static NodusStatus for_start(NodusCall *call, const void *args)
{
    const Carried initial = carried_of(((const StartArgs *)args)->initial);
    NODUS_TRY(emit_flow(call));
    NODUS_TRY(nodus_emit_int(call, 1, 0));
    return emit_carried(call, 2, &initial);
}

static NodusStatus while_start(NodusCall *call, const void *args)
{
    const Carried initial = carried_of(((const StartArgs *)args)->initial);
    NODUS_TRY(emit_flow(call));
    return emit_carried(call, 1, &initial);
}

/* ---- The end ------------------------------------------------------------------------------------------------------- */

typedef struct {
    const NodusRawLink *flow, *condition, *value[VALUES];
} EndArgs;

/* Links a helper's input to what the loop's start has there; `json`: when it has nothing. */
static NodusStatus pass_on(NodusGraph *graph, const char *start, const char *from, const char *to, const char *json)
{
    NodusRawLink link;
    NODUS_TRY(nodus_graph_input(graph, start, from, &link));
    if (!is_given(&link)) link.json = json;
    return is_given(&link) ? nodus_graph_outside(graph, "turns", to, &link) : NULL;
}

/* The helper that makes the turns, and its values as the result. */
static NodusStatus begin_loop(NodusCall *call, const NodusRawLink *flow, const NodusNode *helper, NodusGraph **out)
{
    const NodusRawLink end = {.node = nodus_graph_self(call)};
    NodusGraph *graph = *out = nodus_graph(call);
    if (!flow->node) return nodus_input_error(call, "flow", "has to come straight from the start of this loop");
    NODUS_TRY(nodus_graph_helper(graph, "turns", helper));
    NODUS_TRY(nodus_graph_outside(graph, "turns", "start", flow));
    NODUS_TRY(nodus_graph_outside(graph, "turns", "end", &end));
    for (uint32_t v = 0; v < VALUES; v++) NODUS_TRY(nodus_emit_link(call, v, "turns", v));
    return NULL;
}

/* The other end of the flow is of another class: its inputs have other names. */
static NodusStatus blame_flow(NodusCall *call, NodusStatus status)
{
    if (!status || nodus_error_kind(status) != NODUS_ERROR_INPUT) return status;
    nodus_error_free(status);
    return nodus_input_error(call, "flow", "has to come straight from the start of this loop");
}

static const NodusNode node_for_turns, node_while_turn;

static NodusStatus for_end(NodusCall *call, const void *args)
{
    const EndArgs *in = args;
    NodusGraph *graph;
    NODUS_TRY(begin_loop(call, in->flow, &node_for_turns, &graph));
    NODUS_TRY(blame_flow(call, pass_on(graph, in->flow->node, "total", "turns", NULL)));
    return nodus_expand(call, graph);
}

static NodusStatus while_end(NodusCall *call, const void *args)
{
    const EndArgs *in = args;
    NodusGraph *graph;
    char most[24];
    snprintf(most, sizeof most, "%d", FEWER_TURNS);
    NODUS_TRY(begin_loop(call, in->flow, &node_while_turn, &graph));
    NODUS_TRY(blame_flow(call, pass_on(graph, in->flow->node, "condition", "condition", NULL)));
    NODUS_TRY(blame_flow(call, pass_on(graph, in->flow->node, "max_turns", "turns", most)));
    for (int v = 0; v < VALUES; v++) NODUS_TRY(pass_on(graph, in->flow->node, initial_names[v], value_names[v], NULL));
    NODUS_TRY(nodus_graph_literal(graph, "turns", "turn", "0"));
    return nodus_expand(call, graph);
}

/* ---- Turns --------------------------------------------------------------------------------------------------------- */

/* A helper's view of its loop: the two ends by id, what lies between, and what the end reads. */
typedef struct Loop {
    NodusGraph *graph;
    const NodusBody *body;
    uint32_t first_slot; /* of the values, at the start */
    Carried given;       /* by the pattern, to the end */
} Loop;

static NodusStatus open_loop(NodusCall *call, const char *start, const char *end, uint32_t first_slot, Loop *loop)
{
    *loop = (Loop){.graph = nodus_graph(call), .first_slot = first_slot};
    NODUS_TRY(nodus_graph_between(loop->graph, start, end, &loop->body));
    for (int v = 0; v < VALUES; v++) NODUS_TRY(nodus_graph_input(loop->graph, end, value_names[v], &loop->given.value[v]));
    return NULL;
}

/* Copies the pattern for a turn that gets *carried, and turns *carried into what that gives. `index` and `condition` may be NULL.
 */
static NodusStatus copy_turn(const Loop *loop, const char *prefix, const char *index, Carried *carried, NodusRawLink *condition)
{
    NodusRawLink feed[2 + VALUES] = {0};
    if (index) feed[1].json = index;
    for (uint32_t v = 0; v < VALUES; v++) feed[loop->first_slot + v] = carried->value[v];
    const uint32_t feeds = loop->first_slot + VALUES;
    NODUS_TRY(nodus_graph_copy(loop->graph, loop->body, prefix, feed, feeds));
    for (int v = 0; v < VALUES; v++) {
        if (!is_given(&loop->given.value[v])) continue; /* carried on as it is */
        carried->value[v] = loop->given.value[v];
        NODUS_TRY(nodus_graph_copied(loop->graph, loop->body, prefix, feed, feeds, &carried->value[v]));
    }
    return condition ? nodus_graph_copied(loop->graph, loop->body, prefix, feed, feeds, condition) : NULL;
}

typedef struct {
    const NodusRawLink *start, *end, *value[VALUES];
    bool condition;
    int64_t turn, turns;
} TurnArgs;

static NodusStatus for_turns(NodusCall *call, const void *args)
{
    const TurnArgs *in = args;
    Loop loop;
    Carried carried;
    if (in->turns < 0 || in->turns > MOST_TURNS)
        return nodus_error(NODUS_ERROR_INPUT, "total: a loop may have 0 to %d turns, not %" PRId64, MOST_TURNS, in->turns);
    NODUS_TRY(open_loop(call, in->start->node, in->end->node, 2, &loop));
    for (int v = 0; v < VALUES; v++)
        NODUS_TRY(nodus_graph_input(loop.graph, in->start->node, initial_names[v], &carried.value[v]));
    for (int64_t turn = 0; turn < in->turns; turn++) {
        char prefix[24], index[24];
        snprintf(index, sizeof index, "%" PRId64, turn);
        snprintf(prefix, sizeof prefix, "t%" PRId64, turn);
        NODUS_TRY(copy_turn(&loop, prefix, index, &carried, NULL));
    }
    NODUS_TRY(emit_carried(call, 0, &carried));
    return nodus_expand(call, loop.graph);
}

/* Behind the turns so far: their values, or one turn more and this helper again. */
static NodusStatus while_turn(NodusCall *call, const void *args)
{
    const TurnArgs *in = args;
    Loop loop;
    Carried carried = carried_of(in->value);
    NodusRawLink condition;
    char text[24];
    if (in->condition && in->turn >= in->turns)
        nodus_warn(call, "the loop was stopped after %" PRId64 " turns (max_turns); its condition was still true", in->turn);
    if (!in->condition || in->turn >= in->turns) return emit_carried(call, 0, &carried);
    NODUS_TRY(open_loop(call, in->start->node, in->end->node, 1, &loop));
    NODUS_TRY(nodus_graph_input(loop.graph, in->end->node, "condition", &condition));
    NODUS_TRY(copy_turn(&loop, "t", NULL, &carried, &condition));
    NODUS_TRY(nodus_graph_helper(loop.graph, "next", &node_while_turn));
    NODUS_TRY(nodus_graph_outside(loop.graph, "next", "start", in->start));
    NODUS_TRY(nodus_graph_outside(loop.graph, "next", "end", in->end));
    NODUS_TRY(nodus_graph_outside(loop.graph, "next", "condition", &condition));
    snprintf(text, sizeof text, "%" PRId64, in->turn + 1);
    NODUS_TRY(nodus_graph_literal(loop.graph, "next", "turn", text));
    snprintf(text, sizeof text, "%" PRId64, in->turns);
    NODUS_TRY(nodus_graph_literal(loop.graph, "next", "turns", text));
    for (uint32_t v = 0; v < VALUES; v++) {
        if (is_given(&carried.value[v])) NODUS_TRY(nodus_graph_outside(loop.graph, "next", value_names[v], &carried.value[v]));
        NODUS_TRY(nodus_emit_link(call, v, "next", v));
    }
    return nodus_expand(call, loop.graph);
}

/* ---- Tables -------------------------------------------------------------------------------------------------------- */

/* clang-format off */
#define CARRIED_LINK(name_, Args_, field_, help_) \
    NODUS_FLAG_ANY(NODUS_OPTIONAL | NODUS_RAW_LINK | NODUS_LAZY, name_, Args_, field_, help_)
#define INITIAL(n_) CARRIED_LINK("initial_value" #n_, StartArgs, initial[n_ - 1], "Value " #n_ " of the first turn.")
#define CARRIED(Args_, n_) CARRIED_LINK("value" #n_, Args_, value[n_ - 1], \
                                        "Value " #n_ " for the next turn. Not linked: it stays as it was.")
#define FIVE_CARRIED(Args_) CARRIED(Args_, 1), CARRIED(Args_, 2), CARRIED(Args_, 3), CARRIED(Args_, 4), CARRIED(Args_, 5)
#define FIVE_INITIAL INITIAL(1), INITIAL(2), INITIAL(3), INITIAL(4), INITIAL(5)
#define VALUE_OUT(n_, help_) {.name = "value" #n_, .type = "*", .tooltip = help_}
#define FIVE_OUT(help_) VALUE_OUT(1, help_), VALUE_OUT(2, help_), VALUE_OUT(3, help_), VALUE_OUT(4, help_), VALUE_OUT(5, help_)
/* clang-format on */

static const NodusInput for_start_inputs[] = {
    NODUS_IN_INT("total", StartArgs, total, "How many turns.", .def = 1, .min = 0, .max = MOST_TURNS), FIVE_INITIAL};
static const NodusOutput for_start_outputs[] = {{.name = "flow", .type = "FLOW_CONTROL", .tooltip = "To the end of the loop."},
                                                {.name = "index", .type = "INT", .tooltip = "The number of the turn, from 0."},
                                                FIVE_OUT("The value in this turn.")};
const NodusNode node_for_loop_start = {
    NODUS_NODE("ForLoopStart", "For Loop Start", "loop", StartArgs, for_start_inputs, for_start_outputs),
    .flags = NODUS_TAKES_LISTS, .run = for_start, .example = "graphs/for_loop.json",
    .help = "Begins a loop: the nodes between here and For Loop End run once a turn."};

static const NodusInput while_start_inputs[] = {
    NODUS_IN_BOOLEAN("condition", StartArgs, condition, "Whether there is a first turn.", true),
    NODUS_FLAG_INT(NODUS_OPTIONAL, "max_turns", StartArgs, total, "The loop stops after so many turns in any case.",
                   .def = FEWER_TURNS, .min = 1, .max = MOST_TURNS),
    FIVE_INITIAL};
static const NodusOutput while_start_outputs[] = {{.name = "flow", .type = "FLOW_CONTROL", .tooltip = "To the end of the loop."},
                                                  FIVE_OUT("The value in this turn.")};
const NodusNode node_while_loop_start = {
    NODUS_NODE("WhileLoopStart", "While Loop Start", "loop", StartArgs, while_start_inputs, while_start_outputs),
    .flags = NODUS_TAKES_LISTS, .run = while_start, .example = "graphs/while_loop.json",
    .help = "Begins a loop: the nodes between here and While Loop End run until the condition there is false."};

#define FLOW_IN \
    NODUS_FLAG_LINK(NODUS_RAW_LINK | NODUS_LAZY, "flow", EndArgs, flow, "FLOW_CONTROL", "Straight from the start of this loop.")
static const NodusInput for_end_inputs[] = {FLOW_IN, FIVE_CARRIED(EndArgs)};
static const NodusOutput end_outputs[] = {FIVE_OUT("The value after the last turn.")};
const NodusNode node_for_loop_end = {
    NODUS_NODE("ForLoopEnd", "For Loop End", "loop", EndArgs, for_end_inputs, end_outputs), .flags = NODUS_TAKES_LISTS,
    .run = for_end, .example = "graphs/for_loop.json",
    .help = "Ends a loop of so many turns: gives the values of the last one, or the initial ones when there was none."};

static const NodusInput while_end_inputs[] = {FLOW_IN,
                                              NODUS_FLAG_LINK(NODUS_RAW_LINK | NODUS_LAZY, "condition", EndArgs, condition,
                                                              "BOOLEAN",
                                                              "Looked at after each turn: whether there is another one."),
                                              FIVE_CARRIED(EndArgs)};
const NodusNode node_while_loop_end = {
    NODUS_NODE("WhileLoopEnd", "While Loop End", "loop", EndArgs, while_end_inputs, end_outputs), .flags = NODUS_TAKES_LISTS,
    .run = while_end, .example = "graphs/while_loop.json",
    .help = "Ends a loop that goes on while its condition holds: gives the values of the last turn, or the initial ones of none."};

#define HELPER_INPUTS                                                                                                 \
    NODUS_FLAG_LINK(NODUS_RAW_LINK | NODUS_LAZY, "start", TurnArgs, start, "FLOW_CONTROL", "The start of the loop."), \
        NODUS_FLAG_LINK(NODUS_RAW_LINK | NODUS_LAZY, "end", TurnArgs, end, "*", "Its end."),                          \
        NODUS_IN_INT("turns", TurnArgs, turns, "How many there are, or may be.", .def = 0)
#define HELPER_VALUE(n_) \
    NODUS_FLAG_ANY(NODUS_OPTIONAL | NODUS_RAW_LINK, "value" #n_, TurnArgs, value[n_ - 1], "Value " #n_ " so far.")
static const NodusInput for_turns_inputs[] = {HELPER_INPUTS};
static const NodusNode node_for_turns = {
    NODUS_NODE("For loop turns", "For Loop Turns", "loop", TurnArgs, for_turns_inputs, end_outputs), .flags = NODUS_TAKES_LISTS,
    .run = for_turns};
static const NodusInput while_turn_inputs[] = {
    HELPER_INPUTS,
    NODUS_FLAG_BOOLEAN(NODUS_FORCE_INPUT, "condition", TurnArgs, condition, "Whether there is another turn.", false),
    NODUS_IN_INT("turn", TurnArgs, turn, "Turns so far.", .def = 0),
    HELPER_VALUE(1),
    HELPER_VALUE(2),
    HELPER_VALUE(3),
    HELPER_VALUE(4),
    HELPER_VALUE(5)};
static const NodusNode node_while_turn = {
    NODUS_NODE("While loop turn", "While Loop Turn", "loop", TurnArgs, while_turn_inputs, end_outputs),
    .flags = NODUS_TAKES_LISTS, .run = while_turn};
