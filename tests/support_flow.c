/* support_flow.c: toy nodes that expand, defer, take undeclared inputs, or look at links instead of values. */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "tests/support_graph.h"
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const NodusOutput int_outputs[] = {{"INT", "INT", "A number."}};
static const NodusOutput any_outputs[] = {{"value", "*", "A value."}};
static const NodusOutput text_outputs[] = {{"STRING", "STRING", "A text."}};

#define NUMBER(number_, text_) snprintf(text_, sizeof text_, "%" PRId64, (int64_t)(number_))

/* ---- Expansion ----------------------------------------------------------------------------------------------------- */

typedef struct {
    int64_t value, times;
} RepeatArgs;

/* A loop as nodes can write it: one turn, and itself for the others. */
static NodusStatus repeat_run(NodusCall *call, const void *args)
{
    const RepeatArgs *in = args;
    char value[24], times[24];
    if (in->times <= 0) return nodus_emit_int(call, 0, in->value);
    NUMBER(in->value, value);
    NUMBER(in->times - 1, times);
    NodusGraph *graph = nodus_graph(call);
    NODUS_TRY(nodus_graph_node(graph, "add", "Add"));
    NODUS_TRY(nodus_graph_literal(graph, "add", "a", value));
    NODUS_TRY(nodus_graph_literal(graph, "add", "b", "1"));
    NODUS_TRY(nodus_graph_node(graph, "next", "Repeat"));
    NODUS_TRY(nodus_graph_link(graph, "next", "value", "add", 0));
    NODUS_TRY(nodus_graph_literal(graph, "next", "times", times));
    NODUS_TRY(nodus_expand(call, graph));
    return nodus_emit_link(call, 0, "next", 0);
}
static const NodusInput repeat_inputs[] = {NODUS_IN_INT("value", RepeatArgs, value, "A number.", .def = 0),
                                           NODUS_IN_INT("times", RepeatArgs, times, "How often.", .def = 1)};
static const NodusNode toy_repeat = {NODUS_NODE("Repeat", "Repeat", "toy", RepeatArgs, repeat_inputs, int_outputs),
                                     .run = repeat_run};

typedef struct {
    int64_t value;
} ValueArgs;

/* Even numbers as they are, odd ones plus 1 by a child. */
static NodusStatus even_run(NodusCall *call, const void *args)
{
    const int64_t number = ((const ValueArgs *)args)->value;
    char value[24];
    if (number % 2 == 0) return nodus_emit_int(call, 0, number);
    NUMBER(number, value);
    NodusGraph *graph = nodus_graph(call);
    NODUS_TRY(nodus_graph_node(graph, "add", "Add"));
    NODUS_TRY(nodus_graph_literal(graph, "add", "a", value));
    NODUS_TRY(nodus_graph_literal(graph, "add", "b", "1"));
    NODUS_TRY(nodus_expand(call, graph));
    return nodus_emit_link(call, 0, "add", 0);
}
static const NodusInput value_inputs[] = {NODUS_IN_INT("value", ValueArgs, value, "A number.", .def = 0)};
static const NodusNode toy_even = {NODUS_NODE("Even", "Make Even", "toy", ValueArgs, value_inputs, int_outputs), .run = even_run};

typedef struct {
    NodusValue *value;
    const char *class_type, *mode;
} WrapArgs;

/* One child of a class: what can go wrong with expansions. */
static NodusStatus wrap_graph(NodusCall *call, const WrapArgs *in, NodusGraph *graph)
{
    NODUS_TRY(nodus_graph_node(graph, "inner", in->class_type));
    if (!strcmp(in->mode, "twice")) NODUS_TRY(nodus_graph_node(graph, "inner", in->class_type));
    if (!strcmp(in->mode, "dangling")) NODUS_TRY(nodus_graph_link(graph, "inner", "value", "nobody", 0));
    else if (!strcmp(in->mode, "cycle")) NODUS_TRY(nodus_graph_link(graph, "inner", "value", "inner", 0));
    else if (!strcmp(in->mode, "text")) NODUS_TRY(nodus_graph_literal(graph, "inner", "value", "\"a text\""));
    else if (!strcmp(in->mode, "stranger")) NODUS_TRY(nodus_graph_value(graph, "inner", "no_such", in->value));
    else if (strcmp(in->mode, "missing") != 0) NODUS_TRY(nodus_graph_value(graph, "inner", "value", in->value));
    NODUS_TRY(nodus_expand(call, graph));
    if (strcmp(in->mode, "show") != 0) return nodus_emit_link(call, 0, "inner", !strcmp(in->mode, "slot") ? 7 : 0);
    return nodus_emit_value(call, 0, in->value);
}
static NodusStatus wrap_run(NodusCall *call, const void *args)
{
    return wrap_graph(call, args, nodus_graph(call));
}
static const NodusInput wrap_inputs[] = {
    NODUS_IN_ANY("value", WrapArgs, value, "A value."),
    NODUS_IN_STRING("class", WrapArgs, class_type, "Of the child.", .def = "Add"),
    NODUS_FLAG_STRING(NODUS_OPTIONAL, "mode", WrapArgs, mode, "What goes wrong.", .def = "")};
static const NodusNode toy_wrap = {NODUS_NODE("Wrap", "Wrap", "toy", WrapArgs, wrap_inputs, any_outputs), .run = wrap_run};

typedef struct {
    const NodusRawLink *value;
    bool run;
} OutsideArgs;

/* Reads a link only from inside. */
static NodusStatus outside_run(NodusCall *call, const void *args)
{
    const OutsideArgs *in = args;
    if (!in->run) return nodus_emit_int(call, 0, -1);
    NodusGraph *graph = nodus_graph(call);
    NODUS_TRY(nodus_graph_node(graph, "add", "Add"));
    NODUS_TRY(nodus_graph_outside(graph, "add", "a", in->value));
    NODUS_TRY(nodus_graph_literal(graph, "add", "b", "100"));
    NODUS_TRY(nodus_expand(call, graph));
    return nodus_emit_link(call, 0, "add", 0);
}
static const NodusInput outside_inputs[] = {
    NODUS_FLAG_LINK(NODUS_RAW_LINK | NODUS_LAZY, "value", OutsideArgs, value, "INT", "A link."),
    NODUS_IN_BOOLEAN("run", OutsideArgs, run, "Whether it is read.", true)};
static const NodusNode toy_outside = {NODUS_NODE("Outside", "From Outside", "toy", OutsideArgs, outside_inputs, int_outputs),
                                      .run = outside_run};

/* The place of a link, and its values when they were asked for. */
static NodusStatus place_run(NodusCall *call, const void *args)
{
    const NodusRawLink *link = ((const OutsideArgs *)args)->value;
    NodusText *text = nodus_text(call);
    NODUS_TRY(nodus_print(text, "%s %u %u", link && link->node ? link->node : "none", link ? link->slot : 0,
                          link ? link->list.count : 0));
    return nodus_emit_string(call, 0, nodus_text_get(text));
}
static const NodusInput place_inputs[] = {NODUS_FLAG_LINK(NODUS_RAW_LINK, "value", OutsideArgs, value, "INT", "A link.")};
static const NodusNode toy_place = {NODUS_NODE("Place", "Place", "toy", OutsideArgs, place_inputs, text_outputs),
                                    .run = place_run};

/* Children that wait for each other, so they have to run at the same time. */
static NodusStatus crowd_run(NodusCall *call, const void *args)
{
    char count[24], name[24];
    const int64_t many = ((const ValueArgs *)args)->value;
    NUMBER(many, count);
    NodusGraph *graph = nodus_graph(call);
    for (int64_t i = 0; i < many; i++) {
        char value[24];
        NUMBER(i, value);
        snprintf(name, sizeof name, "later%d", (int)i);
        NODUS_TRY(nodus_graph_node(graph, name, "Later"));
        NODUS_TRY(nodus_graph_literal(graph, name, "value", value));
        NODUS_TRY(nodus_graph_literal(graph, name, "together", count));
    }
    NODUS_TRY(nodus_graph_node(graph, "all", "Extras"));
    for (int64_t i = 0; i < many; i++) {
        snprintf(name, sizeof name, "later%d", (int)i);
        NODUS_TRY(nodus_graph_link(graph, "all", name, name, 0));
    }
    NODUS_TRY(nodus_expand(call, graph));
    return nodus_emit_link(call, 0, "all", 0);
}
static const NodusNode toy_crowd = {NODUS_NODE("Crowd", "Crowd", "toy", ValueArgs, value_inputs, int_outputs), .run = crowd_run};

/* ---- Undeclared inputs --------------------------------------------------------------------------------------------- */

typedef struct {
    int64_t base;
} ExtrasArgs;
static NodusStatus extras_run(NodusCall *call, const void *args)
{
    int64_t sum = ((const ExtrasArgs *)args)->base;
    atomic_fetch_add(&toy_calls, 1);
    for (uint32_t i = 0; i < nodus_extra_count(call); i++) {
        const NodusList list = nodus_extra_list(call, i);
        for (uint32_t k = 0; k < list.count; k++)
            if (list.item[k]->kind == VALUE_INT) sum += (int64_t)list.item[k]->as.magnitude;
    }
    return nodus_emit_int(call, 0, sum);
}
static const NodusInput extras_inputs[] = {NODUS_FLAG_INT(NODUS_OPTIONAL, "base", ExtrasArgs, base, "Added to them.", .def = 0)};
static const NodusNode toy_extras = {NODUS_NODE("Extras", "Sum of All", "toy", ExtrasArgs, extras_inputs, int_outputs),
                                     .flags = NODUS_VARIADIC, .run = extras_run};
static NodusStatus names_run(NodusCall *call, const void *args)
{
    NodusText *text = nodus_text(call);
    (void)args;
    for (uint32_t i = 0; i < nodus_extra_count(call); i++)
        NODUS_TRY(nodus_print(text, "%s%s:%u", i ? " " : "", nodus_extra_name(call, i), nodus_extra_list(call, i).count));
    return nodus_emit_string(call, 0, nodus_text_get(text));
}
static const NodusNode toy_names = {NODUS_NODE("Names", "Names of All", "toy", ExtrasArgs, extras_inputs, text_outputs),
                                    .flags = NODUS_VARIADIC | NODUS_TAKES_LISTS, .run = names_run};

/* ---- Deferred results ---------------------------------------------------------------------------------------------- */

enum { MOST_WAITING = 64 };
typedef struct Waiting {
    NodusPending *pending[MOST_WAITING];
    int64_t value[MOST_WAITING];
    int count;
} Waiting;

/* The last to come is the first to go. */
static void *finish_all(void *user)
{
    Waiting all = *(Waiting *)user;
    memory_free(user); /* when the run ends, nothing of it is left */
    while (all.count--)
        nodus_pending_finish(all.pending[all.count],
                             nodus_emit_int(nodus_pending_call(all.pending[all.count]), 0, all.value[all.count]));
    return NULL;
}

typedef struct {
    int64_t value, together;
} LaterArgs;

/* Ends when so many calls are open. */
static NodusStatus later_run(NodusCall *call, const void *args)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static Waiting waiting;
    const LaterArgs *in = args;
    NodusPending *pending;
    Waiting *all = memory_alloc(sizeof *all);
    if (!all) return status_memory();
    NodusStatus status = nodus_defer(call, &pending);
    if (status) {
        memory_free(all);
        return status;
    }
    atomic_fetch_add(&toy_calls, 1);
    pthread_mutex_lock(&lock);
    waiting.pending[waiting.count] = pending;
    waiting.value[waiting.count++] = in->value;
    const bool complete = waiting.count >= in->together;
    if (complete) {
        *all = waiting;
        waiting.count = 0;
    }
    pthread_mutex_unlock(&lock);
    pthread_t thread;
    if (!complete) memory_free(all);
    else if (pthread_create(&thread, NULL, finish_all, all)) finish_all(all);
    else pthread_detach(thread);
    return NULL;
}
static const NodusInput later_inputs[] = {NODUS_IN_INT("value", LaterArgs, value, "A number.", .def = 0),
                                          NODUS_FLAG_INT(NODUS_OPTIONAL, "together", LaterArgs, together, "How many.", .def = 1)};
static const NodusNode toy_later = {NODUS_NODE("Later", "Later", "toy", LaterArgs, later_inputs, int_outputs), .run = later_run};

typedef struct {
    int64_t value;
    const char *mode;
} AwaitArgs;

static void *await_main(void *user)
{
    NodusPending *pending = user;
    NodusCall *call = nodus_pending_call(pending);
    NodusStatus status = NULL;
    while (!(status = nodus_progress(call, 1, 2, NULL))) usleep(1000);
    nodus_pending_finish(pending, status);
    return NULL;
}

/* A deferred call may expand as well. */
static NodusStatus expand_later(NodusCall *call)
{
    NodusGraph *graph = nodus_graph(call);
    NODUS_TRY(nodus_graph_node(graph, "add", "Add"));
    NODUS_TRY(nodus_graph_literal(graph, "add", "a", "40"));
    NODUS_TRY(nodus_graph_literal(graph, "add", "b", "2"));
    NODUS_TRY(nodus_expand(call, graph));
    return nodus_emit_link(call, 0, "add", 0);
}

static void *expand_main(void *user)
{
    nodus_pending_finish(user, expand_later(nodus_pending_call(user)));
    return NULL;
}

/* "now": ends before the function does; "fail": with an error; "throw": the function fails after deferring; "expand": with a
 * graph; "cancel": when the run is cancelled. */
static NodusStatus await_run(NodusCall *call, const void *args)
{
    const AwaitArgs *in = args;
    NodusPending *pending;
    NODUS_TRY(nodus_defer(call, &pending));
    if (!strcmp(in->mode, "throw")) return nodus_error(NODUS_ERROR_INPUT, "thrown");
    if (!strcmp(in->mode, "now")) {
        nodus_pending_finish(pending, nodus_emit_int(call, 0, in->value));
    } else if (!strcmp(in->mode, "fail")) {
        nodus_pending_finish(pending, nodus_error(NODUS_ERROR_INPUT, "it came to nothing"));
    } else {
        pthread_t thread;
        void *(*body)(void *) = !strcmp(in->mode, "expand") ? expand_main : await_main;
        if (pthread_create(&thread, NULL, body, pending)) return status_memory();
        pthread_detach(thread);
    }
    return NULL;
}
static const NodusInput await_inputs[] = {NODUS_IN_INT("value", AwaitArgs, value, "A number.", .def = 0),
                                          NODUS_IN_STRING("mode", AwaitArgs, mode, "How it ends.", .def = "now")};
static const NodusNode toy_await = {NODUS_NODE("Await", "Await", "toy", AwaitArgs, await_inputs, int_outputs), .run = await_run};

/* ---- Fingerprints -------------------------------------------------------------------------------------------------- */

static NodusStatus count_run(NodusCall *call, const void *args)
{
    atomic_fetch_add(&toy_calls, 1);
    return nodus_emit_int(call, 0, ((const ValueArgs *)args)->value);
}
static NodusStatus always_fingerprint(NodusCall *call, const void *args, NodusHash *hash)
{
    (void)call;
    (void)args;
    (void)hash;
    return nodus_error(NODUS_ERROR_INPUT, "like NaN, it equals nothing");
}
static NodusStatus never_fingerprint(NodusCall *call, const void *args, NodusHash *hash)
{
    (void)call;
    nodus_hash_u64(hash, (uint64_t)((const ValueArgs *)args)->value); /* 0 where it is linked */
    return NULL;
}
static const NodusNode toy_always = {NODUS_NODE("Always", "Always Runs", "toy", ValueArgs, value_inputs, int_outputs),
                                     .run = count_run, .fingerprint = always_fingerprint};
static const NodusNode toy_stable = {NODUS_NODE("Stable", "Stable", "toy", ValueArgs, value_inputs, int_outputs),
                                     .run = count_run, .fingerprint = never_fingerprint};

static NodusStatus odd_run(NodusCall *call, const void *args)
{
    return nodus_emit_boolean(call, 0, ((const ValueArgs *)args)->value % 2);
}
static const NodusOutput boolean_outputs[] = {{"BOOLEAN", "BOOLEAN", "Whether it is odd."}};
static const NodusNode toy_odd = {NODUS_NODE("Odd", "Odd", "toy", ValueArgs, value_inputs, boolean_outputs), .run = odd_run};

typedef struct {
    int64_t a, b;
} LessArgs;
static NodusStatus less_run(NodusCall *call, const void *args)
{
    const LessArgs *in = args;
    return nodus_emit_boolean(call, 0, in->a < in->b);
}
static const NodusInput less_inputs[] = {NODUS_IN_INT("a", LessArgs, a, "One.", .def = 0),
                                         NODUS_IN_INT("b", LessArgs, b, "The other.", .def = 0)};
static const NodusNode toy_less = {NODUS_NODE("Less", "Less", "toy", LessArgs, less_inputs, boolean_outputs), .run = less_run};

/* A list in which every third element is a blocker. */
static NodusStatus gaps_run(NodusCall *call, const void *args)
{
    const int64_t count = ((const ValueArgs *)args)->value;
    for (int64_t i = 1; i <= count; i++) NODUS_TRY(i % 3 ? nodus_emit_int(call, 0, i) : nodus_block(call, 0, "a gap"));
    return NULL;
}
static const NodusOutput gaps_outputs[] = {{"INT", "INT", "A list.", NODUS_OUT_LIST}};
static const NodusNode toy_gaps = {NODUS_NODE("Gaps", "Gaps", "toy", ValueArgs, value_inputs, gaps_outputs), .run = gaps_run};

/* ---- An output node that others read ------------------------------------------------------------------------------- */

static NodusStatus pass_run(NodusCall *call, const void *args)
{
    char text[24];
    atomic_fetch_add(&toy_calls, 1);
    NUMBER(((const ValueArgs *)args)->value, text);
    NODUS_TRY(nodus_ui(call, "number", text));
    return nodus_emit_int(call, 0, ((const ValueArgs *)args)->value);
}
static const NodusNode toy_pass = {NODUS_NODE("Pass", "Show And Pass", "toy", ValueArgs, value_inputs, int_outputs),
                                   .flags = NODUS_OUTPUT, .run = pass_run};

int toy_notes[64], toy_note_count;
static NodusStatus note_run(NodusCall *call, const void *args)
{
    const int64_t value = ((const ValueArgs *)args)->value;
    if (toy_note_count < 64) toy_notes[toy_note_count++] = (int)value;
    return nodus_emit_int(call, 0, value);
}
static const NodusNode toy_note = {NODUS_NODE("Note", "Note", "toy", ValueArgs, value_inputs, int_outputs), .flags = NODUS_OUTPUT,
                                   .run = note_run};

/* The real ones, from nodes/loop.c. */
extern const NodusNode node_for_loop_start, node_for_loop_end, node_while_loop_start, node_while_loop_end;

const NodusNode *const toy_flow_nodes[] = {&node_for_loop_start,
                                           &node_for_loop_end,
                                           &node_while_loop_start,
                                           &node_while_loop_end,
                                           &toy_repeat,
                                           &toy_even,
                                           &toy_wrap,
                                           &toy_outside,
                                           &toy_place,
                                           &toy_crowd,
                                           &toy_extras,
                                           &toy_names,
                                           &toy_later,
                                           &toy_await,
                                           &toy_always,
                                           &toy_stable,
                                           &toy_pass,
                                           &toy_odd,
                                           &toy_less,
                                           &toy_note,
                                           &toy_gaps,
                                           NULL};
