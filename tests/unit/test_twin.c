/* test_twin.c: random graphs through the engine and through a naive twin: an evaluator of thirty lines a rule, without cache,
 * scheduler or sharing. Results must be the same, and the engine must run just the nodes that had to: those that an output needs,
 * behind the choices of lazy nodes, less what an equal node or an earlier prompt has made.
 *
 * One idea: a graph is an array of nodes that read earlier ones; a mutation changes one literal. Lists, repetition, laziness,
 * blockers and expansion all appear; failures in a test of their own, for what runs beside a failing node depends on the order.
 */
#include "tests/test.h"
#include "engine/base/memory.h"
#include "engine/base/text.h"
#include "engine/formats/json.h"
#include "engine/graph/run.h"
#include "tests/support_graph.h"
#include "tests/unit/twin_nodes.h"
#include <stdlib.h>

enum { MOST_NODES = 28, MOST_INPUTS = 3, MOST_ITEMS = 256, GRAPHS = 300, PROMPTS = 5, KNOWN = 4096 };
typedef enum Kind { INT, ADD, LIST, SUM, CHOOSE, BLOCK, GROW, FAIL, SHOW, KINDS } Kind;
static const int inputs_of[KINDS] = {1, 2, 2, 1, 3, 1, 2, 1, 1};

typedef struct Item {
    bool blocked;
    int64_t number;
} Item;
typedef struct Items {
    Item item[MOST_ITEMS];
    int count;
} Items;

typedef struct Spot { /* a node */
    Kind kind;
    int source[MOST_INPUTS]; /* −1: the literal */
    int64_t literal[MOST_INPUTS];
} Spot;

typedef struct Twin {
    Spot spot[MOST_NODES];
    int count;
    /* of the present evaluation */
    Items value[MOST_NODES];
    bool known[MOST_NODES], needed[MOST_NODES], failed[MOST_NODES], too_long;
    uint64_t hash[MOST_NODES];
    /* over all prompts of an engine */
    uint64_t made[KNOWN];
    int made_count;
} Twin;

static uint64_t random_state;
static int draw(int below)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (int)((random_state >> 33) % (uint64_t)below);
}

/* ---- Random graphs ------------------------------------------------------------------------------------------------- */

static int any_source(const Twin *twin, int before)
{
    for (int tries = 0; tries < 8; tries++) {
        const int source = draw(3) ? before - 1 - draw(before < 6 ? before : 6) : draw(before); /* mostly near: deep graphs */
        if (twin->spot[source].kind != SHOW) return source;
    }
    return 0;
}

/* How many elements, or turns: seldom none. */
static int draw_count(void)
{
    return draw(8) ? 1 + draw(3) : 0;
}

static void draw_spot(Twin *twin, int at, bool failures)
{
    static const Kind kinds[] = {INT, ADD, ADD, ADD, ADD, LIST, LIST, LIST, SUM, CHOOSE, CHOOSE, BLOCK, GROW, GROW, FAIL, SHOW};
    Spot *spot = &twin->spot[at];
    do spot->kind = at < 2 ? INT : kinds[draw(sizeof kinds / sizeof *kinds)];
    while (spot->kind == FAIL && !failures);
    for (int i = 0; i < inputs_of[spot->kind]; i++) {
        const bool number = (spot->kind == LIST || spot->kind == GROW) && i == 1; /* counts stay small literals */
        const bool link = spot->kind != INT && !number && (draw(4) || spot->kind == SUM || spot->kind == SHOW);
        spot->source[i] = link ? any_source(twin, at) : -1;
        spot->literal[i] = number ? draw_count() : draw(20);
    }
}

static void draw_graph(Twin *twin, bool failures)
{
    twin->count = 4 + draw(MOST_NODES - 4);
    for (int i = 0; i < twin->count - 1; i++) draw_spot(twin, i, failures);
    twin->spot[twin->count - 1] = (Spot){SHOW, {any_source(twin, twin->count - 1)}, {0}};
}

static void mutate(Twin *twin)
{
    for (int tries = 0; tries < 50; tries++) {
        Spot *spot = &twin->spot[draw(twin->count)];
        const int input = draw(inputs_of[spot->kind]);
        if (spot->source[input] >= 0) continue;
        spot->literal[input] = (spot->kind == LIST || spot->kind == GROW) && input == 1 ? draw_count() : draw(20);
        return;
    }
}

static char *graph_json(const Twin *twin)
{
    static const char *const classes[KINDS] = {"TInt", "TAdd", "TList", "TSum", "TChoose", "TBlock", "TGrow", "TFail", "TShow"};
    Text text = {0};
    char *out = NULL;
    for (int n = 0; n < twin->count; n++) {
        const Spot *spot = &twin->spot[n];
        text_format(&text, "%s\"%d\": {\"class_type\": \"%s\", \"inputs\": {", n ? ", " : "{", n, classes[spot->kind]);
        for (int i = 0; i < inputs_of[spot->kind]; i++) {
            text_format(&text, "%s\"%c\": ", i ? ", " : "", 'a' + i);
            if (spot->source[i] >= 0) text_format(&text, "[\"%d\", 0]", spot->source[i]);
            else text_format(&text, "%d", (int)spot->literal[i]);
        }
        text_add(&text, "}}");
    }
    text_char(&text, '}');
    nodus_error_free(text_take(&text, &out));
    return out;
}

/* ---- The twin ------------------------------------------------------------------------------------------------------ */

static void put(Twin *twin, Items *items, Item item)
{
    if (items->count == MOST_ITEMS) twin->too_long = true;
    else items->item[items->count++] = item;
}

static const Items *evaluate(Twin *twin, int n);

/* An input's list: a literal is a list of one. NULL: its source failed. */
static const Items *input_items(Twin *twin, int n, int i, Items *literal)
{
    const Spot *spot = &twin->spot[n];
    if (spot->source[i] >= 0) return evaluate(twin, spot->source[i]);
    *literal = (Items){{{false, spot->literal[i]}}, 1};
    return literal;
}

static Item item_at(const Items *items, int call)
{
    return items->item[call < items->count ? call : items->count - 1];
}

/* One call with plain numbers. false: it fails. */
static bool call_spot(Twin *twin, const Spot *spot, const int64_t x[MOST_INPUTS], Items *out)
{
    switch (spot->kind) {
    case LIST:
        for (int64_t i = 0; i < x[1]; i++) put(twin, out, (Item){false, x[0] + i});
        return true;
    case BLOCK: put(twin, out, (Item){(x[0] & 1) != 0, x[0]}); return true;
    case FAIL:
        if (x[0] % 5 == 0) return false;
        break;
    case CHOOSE: put(twin, out, (Item){false, x[0] & 1 ? x[1] : x[2]}); return true;
    case ADD:
    case GROW: put(twin, out, (Item){false, x[0] + x[1]}); return true;
    default: break;
    }
    put(twin, out, (Item){false, x[0]});
    return true;
}

static int longest(const Items *const list[], int count)
{
    int calls = 1;
    for (int i = 0; i < count; i++) {
        if (!list[i]) continue;
        if (!list[i]->count) return 0;
        if (list[i]->count > calls) calls = list[i]->count;
    }
    return calls;
}

static bool run_calls(Twin *twin, int n, const Items *const list[], Items *out)
{
    const Spot *spot = &twin->spot[n];
    const int calls = longest(list, inputs_of[spot->kind]);
    for (int c = 0; c < calls; c++) {
        int64_t x[MOST_INPUTS] = {0};
        bool blocked = false;
        for (int i = 0; i < inputs_of[spot->kind]; i++) {
            if (!list[i]) continue;
            const Item item = item_at(list[i], c);
            blocked |= item.blocked;
            x[i] = item.number;
        }
        if (blocked) put(twin, out, (Item){true, 0});
        else if (!call_spot(twin, spot, x, out)) return false;
    }
    return true;
}

/* Takes the whole list: one call, blocked by any element. */
static void run_sum(Twin *twin, const Items *list, Items *out)
{
    Item sum = {false, 0};
    for (int i = 0; i < list->count; i++) {
        sum.blocked |= list->item[i].blocked;
        sum.number += list->item[i].number;
    }
    put(twin, out, sum);
}

/* Which of the two lazy inputs some element asks for; blocked elements ask for nothing. */
static void choose_inputs(const Items *which, bool wants[MOST_INPUTS])
{
    for (int c = 0; c < which->count; c++)
        if (!which->item[c].blocked) wants[which->item[c].number & 1 ? 1 : 2] = true;
}

static const Items *evaluate(Twin *twin, int n)
{
    const Spot *spot = &twin->spot[n];
    if (twin->known[n]) return twin->failed[n] ? NULL : &twin->value[n];
    twin->known[n] = twin->needed[n] = true;
    Items literal[MOST_INPUTS];
    const Items *list[MOST_INPUTS] = {0};
    bool wants[MOST_INPUTS] = {true, spot->kind != CHOOSE, false};
    for (int i = 0; i < inputs_of[spot->kind]; i++) {
        if (!wants[i]) continue;
        list[i] = input_items(twin, n, i, &literal[i]);
        twin->failed[n] |= !list[i];
        if (spot->kind == CHOOSE && !i && list[0]) choose_inputs(list[0], wants);
    }
    if (spot->kind == CHOOSE) /* literals are there without asking */
        for (int i = 1; i < 3; i++)
            if (spot->source[i] < 0 && !list[i]) list[i] = input_items(twin, n, i, &literal[i]);
    twin->value[n].count = 0;
    if (twin->failed[n]) return NULL;
    if (spot->kind == SUM) run_sum(twin, list[0], &twin->value[n]);
    else twin->failed[n] = !run_calls(twin, n, list, &twin->value[n]);
    return twin->failed[n] ? NULL : &twin->value[n];
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 29;
}

static void evaluate_all(Twin *twin)
{
    memset(twin->known, 0, sizeof twin->known);
    memset(twin->needed, 0, sizeof twin->needed);
    memset(twin->failed, 0, sizeof twin->failed);
    twin->too_long = false;
    for (int n = 0; n < twin->count; n++) {
        twin->hash[n] = mix(1, twin->spot[n].kind);
        for (int i = 0; i < inputs_of[twin->spot[n].kind]; i++)
            twin->hash[n] = twin->spot[n].source[i] < 0 ? mix(mix(twin->hash[n], 2), (uint64_t)twin->spot[n].literal[i])
                                                        : mix(mix(twin->hash[n], 3), twin->hash[twin->spot[n].source[i]]);
    }
    for (int n = 0; n < twin->count; n++)
        if (twin->spot[n].kind == SHOW) evaluate(twin, n);
}

/* ---- What has to run ----------------------------------------------------------------------------------------------- */

static bool is_made(const Twin *twin, int n)
{
    for (int i = 0; i < twin->made_count; i++)
        if (twin->made[i] == twin->hash[n]) return true;
    return false;
}

/* From an output backwards, behind what is stored; `runs`: one node for each piece of work. */
static void demand(Twin *twin, int n, bool runs[MOST_NODES], bool seen[MOST_NODES])
{
    if (seen[n] || is_made(twin, n)) return;
    seen[n] = true;
    bool first = true;
    for (int k = 0; k < n; k++) first &= !(runs[k] && twin->hash[k] == twin->hash[n]);
    for (int k = n + 1; k < twin->count; k++) first &= !(runs[k] && twin->hash[k] == twin->hash[n]);
    runs[n] = first;
    const Spot *spot = &twin->spot[n];
    bool wants[MOST_INPUTS] = {true, spot->kind != CHOOSE, false};
    if (spot->kind == CHOOSE && (spot->source[0] < 0 || twin->known[spot->source[0]])) {
        Items literal;
        choose_inputs(input_items(twin, n, 0, &literal), wants);
    }
    for (int i = 0; i < inputs_of[spot->kind]; i++)
        if (wants[i] && spot->source[i] >= 0) demand(twin, spot->source[i], runs, seen);
}

/* ---- Comparing ----------------------------------------------------------------------------------------------------- */

static NodusStatus fill(Registry *registry, void *user)
{
    (void)user;
    for (size_t i = 0; i < sizeof twin_nodes / sizeof *twin_nodes; i++) NODUS_TRY(registry_add_node(registry, &twin_nodes[i]));
    return NULL;
}

static NodusEngine *open_engine(bool no_cache)
{
    NodusEngine *engine = NULL;
    const NodusEngineOptions options = {
        .struct_size = sizeof options, .threads = 1, .device = "ref", .base_directory = ".", .no_cache = no_cache};
    NodusStatus status = engine_open(&options, fill, NULL, &engine);
    if (status) fail_msg("%s", nodus_error_message(status));
    return engine;
}

/* What an output shows: {"n": [1, 2]}, or nothing. */
static char *shown(const Twin *twin, int n)
{
    Text text = {0};
    char *out = NULL;
    for (int i = 0; i < twin->value[n].count; i++)
        if (!twin->value[n].item[i].blocked)
            text_format(&text, "%s%d", text.length ? ", " : "{\"n\": [", (int)twin->value[n].item[i].number);
    if (text.length) text_add(&text, "]}");
    nodus_error_free(text_take(&text, &out));
    return out;
}

static const ToyEvent *end_of(const ToyLog *log, const char *id)
{
    const ToyEvent *done = toy_find(log, NODUS_EVENT_DONE, id);
    return done ? done : toy_find(log, NODUS_EVENT_CACHED, id);
}

static void compare_results(const Twin *twin, const ToyLog *log, const char *json)
{
    for (int n = 0; n < twin->count; n++) {
        char id[16];
        if (twin->spot[n].kind != SHOW) continue;
        snprintf(id, sizeof id, "%d", n);
        const ToyEvent *end = end_of(log, id);
        if (!end != twin->failed[n]) fail_msg("output %d %s in %s", n, end ? "should have failed" : "is missing", json);
        if (!end) continue;
        char *want = shown(twin, n);
        const char *got = end->ui ? end->ui : "";
        if (strcmp(got, want)) fail_msg("output %d shows %s, the twin %s in %s", n, got, want, json);
        memory_free(want);
    }
}

/* Each piece of work once, and no other. */
static void compare_work(Twin *twin, const ToyLog *log, const char *json)
{
    bool runs[MOST_NODES] = {0}, seen[MOST_NODES] = {0};
    for (int n = 0; n < twin->count; n++)
        if (twin->spot[n].kind == SHOW) demand(twin, n, runs, seen);
    for (int n = 0; n < twin->count; n++) {
        int wanted = 0, done = 0;
        for (int k = 0; k < twin->count; k++) {
            char id[16];
            snprintf(id, sizeof id, "%d", k);
            if (twin->hash[k] != twin->hash[n]) continue;
            wanted += runs[k];
            done += toy_count(log, NODUS_EVENT_DONE, id);
        }
        if (wanted != done) fail_msg("node %d and its equals ran %d times instead of %d in %s", n, done, wanted, json);
    }
    for (int n = 0; n < twin->count; n++)
        if (runs[n] && twin->made_count < KNOWN) twin->made[twin->made_count++] = twin->hash[n];
}

static void run_prompt(NodusEngine *engine, Twin *twin, bool work)
{
    ToyLog log = {0};
    char *json = graph_json(twin);
    const NodusOutcome outcome = toy_run(engine, json, NULL, &log);
    bool failed = false;
    for (int n = 0; n < twin->count; n++) failed |= twin->failed[n];
    if (outcome != (failed ? NODUS_FAILED : NODUS_SUCCESS)) fail_msg("outcome %d in %s", (int)outcome, json);
    compare_results(twin, &log, json);
    if (work) compare_work(twin, &log, json);
    toy_log_free(&log);
    memory_free(json);
}

/* Prompts in a row on one engine, each a small change of the one before. */
static void run_graphs(uint64_t seed, bool no_cache, bool failures)
{
    random_state = seed;
    Twin *twin = memory_alloc(sizeof *twin);
    for (int g = 0; g < GRAPHS; g++) {
        NodusEngine *engine = open_engine(no_cache);
        twin->made_count = 0;
        draw_graph(twin, failures);
        for (int p = 0; p < PROMPTS; p++) {
            evaluate_all(twin);
            if (!twin->too_long) run_prompt(engine, twin, !no_cache && !failures);
            if (p != 1) mutate(twin); /* the second prompt again, unchanged */
        }
        engine_close(engine);
    }
    memory_free(twin);
}

TEST(random_graphs_give_what_the_twin_gives_and_run_only_what_they_must)
{
    run_graphs(1, false, false);
    (void)state_;
}

TEST(random_graphs_without_a_cache_give_the_same)
{
    run_graphs(2, true, false);
    (void)state_;
}

TEST(failures_spoil_only_what_reads_them)
{
    run_graphs(3, false, true);
    (void)state_;
}

TEST_MAIN(CASE(random_graphs_give_what_the_twin_gives_and_run_only_what_they_must),
          CASE(random_graphs_without_a_cache_give_the_same), CASE(failures_spoil_only_what_reads_them))
