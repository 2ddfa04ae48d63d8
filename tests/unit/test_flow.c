/* test_flow.c: graphs that grow, results that come later, undeclared inputs, raw links: the scenarios of engine-and-api.md §9
 * ("Execution") that show without a server, each with the cache and without one. */
#include "engine/base/memory.h"
#include "tests/support_graph.h"
#include "tests/test.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static NodusEngine *engine; /* of the scenario that runs */
static bool no_cache;

static NodusEngine *open_engine(bool forgetful)
{
    NodusEngine *opened;
    const NodusEngineOptions options = {
        .struct_size = sizeof options, .threads = 1, .device = "ref", .base_directory = ".", .no_cache = forgetful};
    NodusStatus status = toy_engine(&options, &opened);
    if (status) fail_msg("engine: %s", nodus_error_message(status));
    return opened;
}

/* A scenario runs twice: with the cache, and with an engine that keeps nothing. */
#define SCENARIO(name_)                     \
    static void name_##_scenario(void);     \
    TEST(name_)                             \
    {                                       \
        (void)state_;                       \
        for (int way = 0; way < 2; way++) { \
            no_cache = way;                 \
            engine = open_engine(no_cache); \
            atomic_store(&toy_calls, 0);    \
            name_##_scenario();             \
            engine_close(engine);           \
        }                                   \
    }                                       \
    static void name_##_scenario(void)

/* What the Show node `node` showed. */
static void expect_shown(const ToyLog *log, const char *node, const char *ui)
{
    const ToyEvent *event = toy_find(log, NODUS_EVENT_DONE, node);
    if (!event) event = toy_find(log, NODUS_EVENT_CACHED, node);
    if (!event) fail_msg("node %s showed nothing", node);
    if (!ui) assert_null(event->ui);
    else assert_string_equal(event->ui, ui);
}

static void run_well(const char *prompt, ToyLog *log)
{
    ToyLog own = {0};
    if (!log) log = &own;
    const NodusOutcome outcome = toy_run(engine, prompt, NULL, log);
    const ToyEvent *error = toy_find(log, NODUS_EVENT_ERROR, NULL);
    if (outcome != NODUS_SUCCESS) fail_msg("%s: %s", prompt, error ? error->message : "no error event");
    assert_null(error);
    toy_log_free(&own);
}

/* It fails with one error event, which names `node` and says `message`. */
static void run_badly(const char *prompt, const char *node, const char *message)
{
    ToyLog log = {0};
    assert_int_equal(toy_run(engine, prompt, NULL, &log), NODUS_FAILED);
    assert_int_equal(toy_count(&log, NODUS_EVENT_ERROR, NULL), 1);
    const ToyEvent *error = toy_find(&log, NODUS_EVENT_ERROR, node);
    if (!error) fail_msg("%s: the error is of node %s", prompt, toy_find(&log, NODUS_EVENT_ERROR, NULL)->node);
    if (!strstr(error->message, message)) fail_msg("%s: \"%s\"", prompt, error->message);
    assert_int_equal(toy_count(&log, NODUS_EVENT_DONE, node), 0);
    toy_log_free(&log);
    run_well("1 Int value=1; 2 Show value=@1", &log); /* the next prompt works */
    toy_log_free(&log);
}

/* How many nodes ran, or were done otherwise. */
static int ran(const ToyLog *log, const char *node)
{
    return toy_count(log, NODUS_EVENT_DONE, node);
}

/* ---- Lazy inputs --------------------------------------------------------------------------------------------------- */

SCENARIO(a_lazy_node_runs_the_branch_that_it_wants)
{
    ToyLog log = {0};
    run_well("1 Add a=1 b=1; 2 Add a=2 b=2; 3 Choose first=true a=@1 b=@2; 4 Show value=@3", &log);
    expect_shown(&log, "4", "{\"text\": [\"2\"]}");
    assert_int_equal(ran(&log, "1"), 1);
    assert_int_equal(ran(&log, "2"), 0);
    toy_log_free(&log);
}

SCENARIO(a_lazy_node_over_a_list_runs_what_any_element_wants)
{
    ToyLog log = {0};
    run_well("1 Add a=1 b=1; 2 Add a=2 b=2; 4 Ints from=0 count=2; 5 Odd value=@4; 3 Choose first=@5 a=@1 b=@2; 6 Show value=@3",
             &log);
    expect_shown(&log, "6", "{\"text\": [\"4\", \"2\"]}");
    assert_int_equal(ran(&log, "1") + ran(&log, "2"), 2);
    toy_log_free(&log);
    run_well("1 Add a=1 b=1; 2 Add a=2 b=2; 4 Ints from=1 count=1; 5 Odd value=@4; 3 Choose first=@5 a=@1 b=@2; 6 Show value=@3",
             &log);
    assert_int_equal(ran(&log, "2"), 0);
    toy_log_free(&log);
}

SCENARIO(a_lazy_branch_may_be_an_expansion)
{
    ToyLog log = {0};
    run_well("1 Repeat value=1 times=3; 2 Repeat value=2 times=1; 3 Choose first=false a=@1 b=@2; 4 Show value=@3", &log);
    expect_shown(&log, "4", "{\"text\": [\"3\"]}");
    assert_int_equal(toy_count(&log, NODUS_EVENT_START, "1"), 0);
    toy_log_free(&log);
}

/* ---- The cache ----------------------------------------------------------------------------------------------------- */

SCENARIO(the_same_prompt_again_runs_nothing_and_a_changed_literal_its_descendants)
{
    ToyLog log = {0};
    run_well("1 Int value=1; 2 Add a=@1 b=2; 3 Add a=@1 b=3; 4 Show value=@2; 5 Show value=@3", NULL);
    run_well("1 Int value=1; 2 Add a=@1 b=2; 3 Add a=@1 b=3; 4 Show value=@2; 5 Show value=@3", &log);
    assert_int_equal(ran(&log, NULL), no_cache ? 5 : 0);
    toy_log_free(&log);
    run_well("1 Int value=1; 2 Add a=@1 b=2; 3 Add a=@1 b=4; 4 Show value=@2; 5 Show value=@3", &log);
    assert_int_equal(ran(&log, NULL), no_cache ? 5 : 2);
    assert_int_equal(ran(&log, "3") + ran(&log, "5"), 2);
    toy_log_free(&log);
}

SCENARIO(a_stable_fingerprint_is_cached_and_one_that_equals_nothing_runs_each_time)
{
    for (int turn = 0; turn < 2; turn++) {
        ToyLog log = {0};
        run_well("1 Always value=3; 2 Stable value=4; 3 Show value=@1; 4 Show value=@2", &log);
        assert_int_equal(ran(&log, "1"), 1);
        assert_int_equal(ran(&log, "3"), 1);
        assert_int_equal(ran(&log, "2"), !turn || no_cache);
        toy_log_free(&log);
    }
}

SCENARIO(a_fingerprint_sees_literals_not_what_is_linked)
{
    ToyLog log = {0};
    run_well("1 Int value=7; 2 Stable value=@1; 3 Show value=@2", NULL);
    atomic_store(&toy_calls, 0);
    run_well("9 Int value=7; 8 Stable value=@9; 7 Show value=@8", &log);
    assert_int_equal(atomic_load(&toy_calls), no_cache ? 3 : 0);
    toy_log_free(&log);
}

SCENARIO(one_value_for_two_outputs_and_equal_subgraphs_run_once)
{
    ToyLog log = {0};
    run_well("1 Add a=1 b=2; 2 Add a=@1 b=5; 3 Pass value=@2; 4 Add a=1 b=2; 5 Add a=@4 b=5; 6 Show value=@5; 7 Show value=@2",
             &log);
    assert_int_equal(atomic_load(&toy_calls), 4); /* two Adds, Pass, Show */
    expect_shown(&log, "6", "{\"text\": [\"8\"]}");
    expect_shown(&log, "7", "{\"text\": [\"8\"]}");
    toy_log_free(&log);
    atomic_store(&toy_calls, 0);
    run_well("1 Repeat value=50 times=5; 2 Repeat value=50 times=5; 3 Add a=@1 b=@2; 4 Pass value=@3", &log);
    expect_shown(&log, "4", "{\"number\": [110]}");
    assert_int_equal(atomic_load(&toy_calls), 7); /* one expansion of two */
    assert_int_equal(ran(&log, "1") + ran(&log, "2"), 1);
    assert_int_equal(toy_count(&log, NODUS_EVENT_CACHED, NULL), 1);
    toy_log_free(&log);
}

SCENARIO(children_that_equal_a_node_of_the_prompt_share_its_result)
{
    ToyLog log = {0};
    run_well("1 Add a=1 b=1; 2 Even value=1; 3 Add a=@1 b=@2; 4 Pass value=@3", &log);
    expect_shown(&log, "4", "{\"number\": [4]}");
    assert_int_equal(atomic_load(&toy_calls), 3);
    toy_log_free(&log);
}

/* ---- What is refused before it runs -------------------------------------------------------------------------------- */

SCENARIO(a_refused_literal_a_wrong_link_a_cycle_and_an_unknown_class_are_refused)
{
    static const char *const prompts[] = {"1 Check value=3; 2 Show value=@1", "1 Text text=a; 2 Add a=@1 b=1; 3 Show value=@2",
                                          "1 Add a=@2 b=1; 2 Add a=@1 b=1; 3 Show value=@2",
                                          "1 NoSuchClass value=1; 2 Show value=@1", "1 Extras x=@9; 2 Show value=@1"};
    for (size_t i = 0; i < sizeof prompts / sizeof *prompts; i++)
        if (toy_run(engine, prompts[i], NULL, NULL) != NODUS_REFUSED) fail_msg("%s was not refused", prompts[i]);
    run_well("1 Check value=4; 2 Show value=@1", NULL);
}

/* ---- Lists, blockers ----------------------------------------------------------------------------------------------- */

SCENARIO(a_blocker_in_a_list_blocks_its_element)
{
    ToyLog log = {0};
    run_well("1 Ints from=1 count=4; 2 Block value=@1 message=odd; 3 Even value=@2; 4 Show value=@3", &log);
    expect_shown(&log, "4", "{\"text\": [\"2\", \"4\"]}");
    assert_int_equal(toy_count(&log, NODUS_EVENT_WARNING, NULL), 1); /* a reason is told once */
    toy_log_free(&log);
    run_well("1 Ints from=1 count=4; 2 Block value=@1; 3 Later value=@2; 4 Extras x=@3; 5 Pass value=@4", &log);
    assert_int_equal(toy_count(&log, NODUS_EVENT_WARNING, NULL), 0); /* silent */
    expect_shown(&log, "5", "{\"number\": [2, 4]}");
    toy_log_free(&log);
}

SCENARIO(a_list_output_may_have_a_blocked_element)
{
    ToyLog log = {0};
    run_well("1 Gaps value=5; 2 Add a=@1 b=10; 3 Pass value=@2; 4 Sum values=@1; 5 Pass value=@4", &log);
    expect_shown(&log, "3", "{\"number\": [11, 12, 14, 15]}");
    expect_shown(&log, "5", NULL); /* a whole list with a blocker in it */
    assert_int_equal(toy_count(&log, NODUS_EVENT_WARNING, NULL), 1);
    toy_log_free(&log);
}

SCENARIO(a_blocker_comes_out_of_an_expansion)
{
    ToyLog log = {0};
    run_well("1 Wrap value=3 class=Block; 2 Show value=@1; 3 Wrap value=4 class=Block; 4 Show value=@3", &log);
    expect_shown(&log, "2", NULL);
    expect_shown(&log, "4", "{\"text\": [\"4\"]}");
    toy_log_free(&log);
}

SCENARIO(an_empty_list_means_no_calls_and_empty_outputs)
{
    ToyLog log = {0};
    run_well("1 Ints from=1 count=0; 2 Even value=@1; 3 Show value=@2; 4 Later value=@2; 5 Sum values=@4; 6 Show value=@5; "
             "7 Extras x=@2; 8 Show value=@7; 13 Odd value=@1; 9 Choose first=@13 a=1 b=2; 10 Show value=@9; 11 Names x=@1; 12 "
             "Show value=@11",
             &log);
    expect_shown(&log, "3", NULL);
    expect_shown(&log, "6", "{\"text\": [\"0\"]}");
    expect_shown(&log, "8", NULL);
    expect_shown(&log, "10", NULL);
    expect_shown(&log, "12", "{\"text\": [\"x:0\"]}");
    toy_log_free(&log);
}

/* ---- Undeclared inputs, raw links ---------------------------------------------------------------------------------- */

SCENARIO(undeclared_links_and_literals_reach_a_variadic_node)
{
    ToyLog log = {0};
    run_well("1 Int value=5; 2 Ints from=1 count=3; 3 Extras base=1000 p=@1 q=@2 r=100 s=text; 4 Pass value=@3; "
             "5 Names first=@1 second=@2 third=7; 6 Show value=@5",
             &log);
    expect_shown(&log, "4", "{\"number\": [1106, 1107, 1108]}");
    expect_shown(&log, "6", "{\"text\": [\"first:1 second:3 third:1\"]}");
    toy_log_free(&log);
}

SCENARIO(undeclared_inputs_are_part_of_a_signature)
{
    ToyLog log = {0};
    run_well("1 Extras p=1; 2 Extras q=1; 3 Extras p=2; 4 Extras p=1; 5 Extras x=@1 y=@2 z=@3; 6 Pass value=@5", &log);
    expect_shown(&log, "6", "{\"number\": [4]}");
    assert_int_equal(ran(&log, NULL), 5);
    toy_log_free(&log);
}

SCENARIO(an_undeclared_link_that_fails_fails_its_reader)
{
    run_badly("1 Fail value=1; 2 Extras x=@1; 3 Show value=@2", "1", "no luck");
}

SCENARIO(an_undeclared_link_of_a_node_that_is_not_variadic_is_ignored)
{
    ToyLog log = {0};
    run_well("1 Fail value=1; 2 Add a=1 b=2 c=@1; 3 Show value=@2", &log);
    expect_shown(&log, "3", "{\"text\": [\"3\"]}");
    assert_int_equal(toy_count(&log, NODUS_EVENT_WARNING, NULL), 1);
    toy_log_free(&log);
}

SCENARIO(a_raw_link_names_its_source_and_only_a_lazy_one_does_not_run_it)
{
    ToyLog log = {0};
    run_well("17 Ints from=1 count=3; 2 Place value=@17; 3 Show value=@2; 4 Fail value=1; 5 Outside value=@4 run=false; 6 Pass "
             "value=@5; 7 Place value=3; 8 Show value=@7",
             &log);
    expect_shown(&log, "3", "{\"text\": [\"17 0 3\"]}");
    expect_shown(&log, "6", "{\"number\": [-1]}");
    expect_shown(&log, "8", "{\"text\": [\"none 0 1\"]}");
    assert_int_equal(toy_count(&log, NODUS_EVENT_START, "4"), 0);
    toy_log_free(&log);
}

SCENARIO(a_raw_link_is_read_from_inside)
{
    ToyLog log = {0};
    run_well("1 Ints from=1 count=2; 2 Outside value=@1 run=true; 3 Pass value=@2", &log);
    expect_shown(&log, "3", "{\"number\": [101, 102]}");
    assert_int_equal(ran(&log, "1"), 1); /* a node of the prompt, though only a child reads it */
    toy_log_free(&log);
    run_badly("1 Fail value=1; 2 Outside value=@1 run=true; 3 Pass value=@2", "1", "no luck");
}

/* ---- Expansion ----------------------------------------------------------------------------------------------------- */

SCENARIO(a_loop_written_as_repeated_expansion_gives_the_right_result)
{
    ToyLog log = {0};
    run_well("1 Repeat value=5 times=10; 2 Show value=@1", &log);
    expect_shown(&log, "2", "{\"text\": [\"15\"]}");
    for (int i = 0; i < log.count; i++) /* events name nodes of the prompt only */
        if (log.event[i].node) assert_true(!strcmp(log.event[i].node, "1") || !strcmp(log.event[i].node, "2"));
    assert_int_equal(toy_count(&log, NODUS_EVENT_START, "1"), 1);
    assert_int_equal(toy_count(&log, NODUS_EVENT_DONE, "1"), 1);
    toy_log_free(&log);
    atomic_store(&toy_calls, 0);
    run_well("1 Repeat value=5 times=10; 2 Show value=@1", &log); /* cached as a whole */
    assert_int_equal(atomic_load(&toy_calls), no_cache ? 11 : 0);
    toy_log_free(&log);
}

SCENARIO(calls_of_one_node_may_give_values_or_expand)
{
    ToyLog log = {0};
    run_well("1 Ints from=1 count=5; 2 Even value=@1; 3 Pass value=@2", &log);
    expect_shown(&log, "3", "{\"number\": [2, 2, 4, 4, 6]}");
    toy_log_free(&log);
}

SCENARIO(output_nodes_among_the_children_run)
{
    ToyLog log = {0};
    run_well("1 Wrap value=3 class=Show mode=show; 2 Show value=@1", &log);
    assert_int_equal(atomic_load(&toy_calls), 2);
    toy_log_free(&log);
    run_well("1 Wrap value=4 class=Pass mode=show; 2 Show value=@1", &log);
    assert_int_equal(atomic_load(&toy_calls), 4);
    toy_log_free(&log);
    run_badly("1 Wrap value=5 class=Width mode=missing; 2 Show value=@1", "1", "image");
}

SCENARIO(what_is_wrong_with_an_expansion_is_an_error_of_the_visible_parent)
{
    run_badly("1 Wrap value=3 class=NoSuch; 2 Show value=@1", "1", "NoSuch");
    run_badly("1 Wrap value=3 class=Unbuilt; 2 Show value=@1", "1", "Unbuilt");
    run_badly("1 Wrap value=3 class=Int mode=twice; 2 Show value=@1", "1", "two nodes");
    run_badly("1 Wrap value=3 class=Int mode=dangling; 2 Show value=@1", "1", "nobody");
    run_badly("1 Wrap value=3 class=Int mode=missing; 2 Show value=@1", "1", "missing");
    run_badly("1 Wrap value=3 class=Int mode=text; 2 Show value=@1", "1", "a whole number is wanted");
    run_badly("1 Wrap value=3 class=Int mode=stranger; 2 Show value=@1", "1", "no_such");
    run_badly("1 Wrap value=3 class=Int mode=slot; 2 Show value=@1", "1", "output");
    run_badly("1 Wrap value=3 class=Fail; 2 Show value=@1", "1", "no luck");
    run_badly("1.0.inner Int value=1; 1 Wrap value=3 class=Int; 2 Show value=@1; 3 Show value=@1.0.inner", "1", "already");
}

SCENARIO(a_cycle_made_by_expansion_is_an_error_not_a_hang)
{
    run_badly("1 Wrap value=3 class=Int mode=cycle; 2 Show value=@1", "1", "Dependency cycle detected: 1.0.inner");
    ToyLog log = {0};
    assert_int_equal(
        toy_run(engine, "1 Wrap value=3 class=Int mode=cycle; 2 Show value=@1; 3 Int value=8; 4 Pass value=@3", NULL, &log),
        NODUS_FAILED);
    expect_shown(&log, "4", "{\"number\": [8]}");
    assert_non_null(strstr(toy_find(&log, NODUS_EVENT_ERROR, "1")->json, "\"exception_type\": \"DependencyCycleError\""));
    assert_non_null(strstr(toy_find(&log, NODUS_EVENT_ERROR, "1")->json, "\"path\": [\"1\", \"2\"]"));
    toy_log_free(&log);
}

static void repeat_often(int times, const char *shown)
{
    char prompt[64];
    ToyLog log = {0};
    snprintf(prompt, sizeof prompt, "1 Repeat value=0 times=%d; 2 Pass value=@1", times);
    run_well(prompt, &log);
    expect_shown(&log, "2", shown);
    toy_log_free(&log);
}

SCENARIO(deep_expansion_is_iterative)
{
    repeat_often(1000, "{\"number\": [1000]}");
    repeat_often(10000, "{\"number\": [10000]}");
}

/* ---- Results that come later --------------------------------------------------------------------------------------- */

SCENARIO(a_deferred_result_arrives_and_is_cached)
{
    ToyLog log = {0};
    run_well("1 Later value=4; 2 Add a=@1 b=1; 3 Pass value=@2", &log);
    expect_shown(&log, "3", "{\"number\": [5]}");
    toy_log_free(&log);
    atomic_store(&toy_calls, 0);
    run_well("1 Later value=4; 2 Add a=@1 b=1; 3 Pass value=@2", &log);
    assert_int_equal(atomic_load(&toy_calls), no_cache ? 3 : 0);
    toy_log_free(&log);
}

SCENARIO(deferred_nodes_are_under_way_together)
{
    ToyLog log = {0};
    run_well("1 Later value=1 together=3; 2 Later value=2 together=3; 3 Later value=3 together=3; 4 Extras a=@1 b=@2 c=@3; "
             "5 Pass value=@4",
             &log);
    expect_shown(&log, "5", "{\"number\": [6]}");
    toy_log_free(&log);
    run_well("1 Ints from=5 count=4; 2 Later value=@1 together=4; 3 Pass value=@2", &log); /* the calls of one node too */
    expect_shown(&log, "3", "{\"number\": [5, 6, 7, 8]}");
    toy_log_free(&log);
    run_well("1 Crowd value=5; 2 Pass value=@1", &log); /* and the children of an expansion */
    expect_shown(&log, "2", "{\"number\": [10]}");
    toy_log_free(&log);
}

SCENARIO(a_result_may_be_finished_before_its_function_returns)
{
    ToyLog log = {0};
    run_well("1 Ints from=1 count=3; 2 Await value=@1 mode=now; 3 Pass value=@2", &log);
    expect_shown(&log, "3", "{\"number\": [1, 2, 3]}");
    toy_log_free(&log);
}

SCENARIO(a_deferred_call_may_expand)
{
    ToyLog log = {0};
    run_well("1 Ints from=1 count=3; 2 Await value=@1 mode=expand; 3 Pass value=@2", &log);
    expect_shown(&log, "3", "{\"number\": [42, 42, 42]}");
    toy_log_free(&log);
}

SCENARIO(a_deferred_node_may_fail_in_every_way)
{
    run_badly("1 Await value=1 mode=fail; 2 Show value=@1", "1", "it came to nothing");
    run_badly("1 Await value=1 mode=throw; 2 Show value=@1", "1", "thrown");
    run_badly("1 Wrap value=1 class=Await mode=missing; 2 Show value=@1", "1", "missing");
}

SCENARIO(an_error_while_another_node_is_pending_waits_for_it)
{
    ToyLog log = {0};
    assert_int_equal(toy_run(engine,
                             "1 Later value=1 together=2; 2 Pass value=@1; 3 Fail value=1; 4 Show value=@3; 5 Later value=2 "
                             "together=2; 6 Pass value=@5",
                             NULL, &log),
                     NODUS_FAILED);
    assert_int_equal(toy_count(&log, NODUS_EVENT_ERROR, "3"), 1);
    expect_shown(&log, "2", "{\"number\": [1]}");
    expect_shown(&log, "6", "{\"number\": [2]}");
    toy_log_free(&log);
}

SCENARIO(a_time_limit_ends_a_pending_node)
{
    ToyLog log = {0};
    const NodusRunOptions options = {.struct_size = sizeof options, .timeout = 0.05};
    assert_int_equal(toy_run(engine, "1 Await value=1 mode=cancel; 2 Show value=@1", &options, &log), NODUS_CANCELLED);
    assert_int_equal(toy_count(&log, NODUS_EVENT_ERROR, NULL), 0);
    toy_log_free(&log);
    run_well("1 Await value=1 mode=now; 2 Show value=@1", NULL);
}

SCENARIO(deferred_io_and_plain_nodes_mix)
{
    ToyLog log = {0};
    run_well(
        "1 Ints from=1 count=3; 2 Later value=@1 together=3; 3 Even value=@2; 4 Add a=@3 b=@1; 5 Choose first=false a=@9 b=@4; "
        "6 Pass value=@5; 9 Fail value=0",
        &log);
    expect_shown(&log, "6", "{\"number\": [3, 4, 7]}");
    toy_log_free(&log);
}

/* ---- Partial targets ----------------------------------------------------------------------------------------------- */

static NodusOutcome run_only(const char *prompt, const char *only, ToyLog *log)
{
    const NodusRunOptions options = {.struct_size = sizeof options, .only = &only, .only_count = 1};
    return toy_run(engine, prompt, &options, log);
}

SCENARIO(only_the_targets_run_with_what_they_need)
{
    ToyLog log = {0};
    assert_int_equal(
        run_only("1 Int value=1; 2 Pass value=@1; 3 Pass value=@2; 4 Show value=@1; 5 Fail value=1; 6 Choose first=true "
                 "a=@3 b=@5; 7 Show value=@6",
                 "7", &log),
        NODUS_SUCCESS);
    for (int i = 1; i <= 7; i++) {
        const bool needed = i != 4 && i != 5;
        if (ran(&log, (char[]){(char)('0' + i), 0}) != needed) fail_msg("node %d: %d", i, !needed);
    }
    toy_log_free(&log);
    const NodusOutcome none = toy_run(engine,
                                      "{\"prompt\": {\"1\": {\"class_type\": \"Show\", \"inputs\": {\"value\": 1}}}, "
                                      "\"partial_execution_targets\": []}",
                                      NULL, NULL);
    assert_int_equal(none, NODUS_REFUSED);
}

/* ---- Loops --------------------------------------------------------------------------------------------------------- */

SCENARIO(a_for_loop_carries_values_from_turn_to_turn)
{
    ToyLog log = {0};
    run_well("1 ForLoopStart total=4 initial_value1=100; 2 Add a=[\"1\",2] b=[\"1\",1]; 3 ForLoopEnd flow=@1 value1=@2; "
             "4 Show value=@3",
             &log);
    expect_shown(&log, "4", "{\"text\": [\"106\"]}");
    toy_log_free(&log);
}

SCENARIO(a_loop_of_no_turns_gives_the_initial_values)
{
    ToyLog log = {0};
    run_well("1 ForLoopStart total=0 initial_value1=100; 2 Add a=[\"1\",2] b=[\"1\",1]; 3 ForLoopEnd flow=@1 value1=@2; 4 Show "
             "value=@3",
             &log);
    expect_shown(&log, "4", "{\"text\": [\"100\"]}");
    toy_log_free(&log);
    run_well("1 WhileLoopStart condition=false initial_value1=7; 2 Add a=[\"1\",1] b=1; 3 WhileLoopEnd flow=@1 condition=true "
             "value1=@2; "
             "4 Show value=@3",
             &log);
    expect_shown(&log, "4", "{\"text\": [\"7\"]}");
    toy_log_free(&log);
}

SCENARIO(a_while_loop_goes_on_as_long_as_its_condition_is_true)
{
    ToyLog log = {0};
    run_well("1 WhileLoopStart condition=true max_turns=100 initial_value1=1; 2 Add a=[\"1\",1] b=[\"1\",1]; 5 Less a=@2 b=1000; "
             "3 WhileLoopEnd flow=@1 condition=@5 value1=@2; 4 Pass value=@3",
             &log);
    expect_shown(&log, "4", "{\"number\": [1024]}");
    toy_log_free(&log);
}

SCENARIO(a_while_loop_is_bounded)
{
    ToyLog log = {0};
    run_well("1 WhileLoopStart condition=true max_turns=5 initial_value1=1; 2 Add a=[\"1\",1] b=1; 3 WhileLoopEnd flow=@1 "
             "condition=true "
             "value1=@2; 4 Pass value=@3",
             &log);
    expect_shown(&log, "4", "{\"number\": [6]}");
    assert_int_equal(toy_count(&log, NODUS_EVENT_WARNING, "3"), 1);
    toy_log_free(&log);
}

#define LONG_LOOP(total_)                                                                                                      \
    "1 ForLoopStart total=" total_ " initial_value1=0 initial_value2=@7; 2 Add a=[\"1\",2] b=[\"1\",1]; 3 ForLoopEnd flow=@1 " \
    "value1=@2; 4 Pass value=@3; 7 Int value=9; 8 Pass value=[\"3\",1]"

SCENARIO(a_loop_of_1000_turns_is_cached_and_one_of_1001_reuses_its_turns)
{
    ToyLog log = {0};
    run_well(LONG_LOOP("1000"), &log);
    expect_shown(&log, "4", "{\"number\": [499500]}");
    expect_shown(&log, "8", "{\"number\": [9]}"); /* not linked at the end: carried on */
    assert_int_equal(atomic_load(&toy_calls), 1003);
    toy_log_free(&log);
    atomic_store(&toy_calls, 0);
    run_well(LONG_LOOP("1000"), &log);
    assert_int_equal(atomic_load(&toy_calls), no_cache ? 1003 : 0);
    assert_int_equal(ran(&log, NULL), no_cache ? 4 : 0);
    toy_log_free(&log);
    atomic_store(&toy_calls, 0);
    run_well(LONG_LOOP("1001"), &log);
    expect_shown(&log, "4", "{\"number\": [500500]}");
    assert_int_equal(atomic_load(&toy_calls), no_cache ? 1004 : 3);
    toy_log_free(&log);
}

SCENARIO(a_while_loop_of_1000_turns_is_cached)
{
    static const char prompt[] =
        "1 WhileLoopStart condition=true max_turns=5000 initial_value1=0; 2 Add a=[\"1\",1] b=1; 5 Less a=@2 "
        "b=1000; 3 WhileLoopEnd flow=@1 condition=@5 value1=@2; 4 Pass value=@3";
    ToyLog log = {0};
    run_well(prompt, &log);
    expect_shown(&log, "4", "{\"number\": [1000]}");
    assert_int_equal(atomic_load(&toy_calls), 1001);
    toy_log_free(&log);
    atomic_store(&toy_calls, 0);
    run_well(prompt, &log);
    assert_int_equal(atomic_load(&toy_calls), no_cache ? 1001 : 0);
    toy_log_free(&log);
}

SCENARIO(loops_nest)
{
    ToyLog log = {0};
    run_well("1 ForLoopStart total=4 initial_value1=0; 2 ForLoopStart total=3 initial_value1=[\"1\",2]; 3 Add a=[\"2\",2] "
             "b=[\"1\",1]; "
             "4 Add a=@3 b=1; 5 ForLoopEnd flow=@2 value1=@4; 6 ForLoopEnd flow=@1 value1=@5; 7 Pass value=@6",
             &log);
    expect_shown(&log, "7", "{\"number\": [30]}"); /* 3·(0+1+2+3) + 12 */
    toy_log_free(&log);
    run_well(
        "1 ForLoopStart total=3 initial_value1=1; 2 WhileLoopStart condition=true initial_value1=[\"1\",2]; 3 Add a=[\"2\",1] "
        "b=[\"2\",1]; 4 Odd value=@3; 5 WhileLoopEnd flow=@2 condition=@4 value1=@3; 6 ForLoopEnd flow=@1 value1=@5; 7 Pass "
        "value=@6",
        &log);
    expect_shown(&log, "7", "{\"number\": [8]}");
    toy_log_free(&log);
}

SCENARIO(a_loop_carries_whole_lists_and_pictures)
{
    ToyLog log = {0};
    run_well(
        "1 Ints from=1 count=3; 2 Picture width=9; 3 ForLoopStart total=2 initial_value1=@1 initial_value2=@2; 4 Add a=[\"3\",2] "
        "b=10; 5 ForLoopEnd flow=@3 value1=@4; 6 Pass value=@5; 7 Width image=[\"5\",1]; 8 Pass value=@7",
        &log);
    expect_shown(&log, "6", "{\"number\": [21, 22, 23]}");
    expect_shown(&log, "8", "{\"number\": [9]}");
    toy_log_free(&log);
}

/* Each turn shows a number that depends on no other turn. */
SCENARIO(the_outputs_of_turns_run_in_order)
{
    ToyLog log = {0};
    toy_note_count = 0;
    run_well("1 ForLoopStart total=5 initial_value1=0; 2 Note value=[\"1\",1]; 3 Add a=[\"1\",2] b=@2; 4 ForLoopEnd flow=@1 "
             "value1=@3; 5 "
             "Show value=@4",
             &log);
    expect_shown(&log, "5", "{\"text\": [\"10\"]}");
    assert_int_equal(toy_note_count, 6); /* the pattern's own too: it is an output of the prompt */
    for (int i = 0, next = 1; i < toy_note_count; i++)
        if (toy_notes[i]) assert_int_equal(toy_notes[i], next++);
    toy_log_free(&log);
}

SCENARIO(output_nodes_in_a_loop_run_once_a_turn)
{
    ToyLog log = {0};
    run_well(
        "1 ForLoopStart total=5 initial_value1=0; 2 Pass value=[\"1\",2]; 3 Add a=@2 b=1; 4 ForLoopEnd flow=@1 value1=@3; 5 Show "
        "value=@4",
        &log);
    expect_shown(&log, "5", "{\"text\": [\"5\"]}");
    assert_int_equal(atomic_load(&toy_calls), 12); /* 5 turns, the output of the pattern, the end */
    toy_log_free(&log);
}

SCENARIO(progress_in_a_turn_is_that_of_the_end)
{
    ToyLog log = {0};
    run_well("1 ForLoopStart total=2 initial_value1=3; 2 Steps count=[\"1\",2]; 3 Add a=@2 b=1; 4 ForLoopEnd flow=@1 value1=@3; "
             "5 Pass "
             "value=@4",
             &log);
    expect_shown(&log, "5", "{\"number\": [5]}");
    assert_true(toy_count(&log, NODUS_EVENT_PROGRESS, "4") >= 2); /* the last step of each turn */
    assert_int_equal(toy_count(&log, NODUS_EVENT_PROGRESS, NULL), toy_count(&log, NODUS_EVENT_PROGRESS, "4"));
    toy_log_free(&log);
}

SCENARIO(an_error_in_a_turn_is_one_of_the_end)
{
    run_badly("1 ForLoopStart total=3 initial_value1=0; 2 Fail value=[\"1\",2]; 3 ForLoopEnd flow=@1 value1=@2; 4 Show value=@3",
              "3", "no luck");
    run_badly(
        "1 ForLoopStart total=3 initial_value1=0; 2 Choose first=true a=@1 b=0; 3 ForLoopEnd flow=@2 value1=1; 4 Show value=@3",
        "3", "flow");
    run_badly("1 Int value=100001; 2 ForLoopStart total=@1; 3 ForLoopEnd flow=@2; 4 Show value=@3", "3", "turns");
}

/* ---- Several runs at once ------------------------------------------------------------------------------------------ */

static const char shared_prompt[] =
    "1 ForLoopStart total=20 initial_value1=0; 2 Later value=[\"1\",1]; 3 Add a=[\"1\",2] b=@2; 4 ForLoopEnd flow=@1 value1=@3; "
    "5 Pass value=@4; 6 Repeat value=@4 times=10; 7 Ints from=1 count=6; 8 Even value=@7; 9 Extras x=@6 y=@8; 10 Pass value=@9";

static void *run_shared(void *user)
{
    for (int i = 0; i < 5; i++) *(int *)user += toy_run(engine, shared_prompt, NULL, NULL) != NODUS_SUCCESS;
    return NULL;
}

SCENARIO(four_runs_of_growing_graphs_share_an_engine)
{
    pthread_t thread[4];
    int failed[4] = {0};
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&thread[i], NULL, run_shared, &failed[i]), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(thread[i], NULL);
        assert_int_equal(failed[i], 0);
    }
}

static void *cancel_soon(void *run)
{
    usleep(20000);
    run_cancel(run);
    return NULL;
}

SCENARIO(a_cancel_reaches_a_pending_node)
{
    char *json = toy_json("1 Await value=1 mode=cancel; 2 Show value=@1");
    NodusRun *run;
    pthread_t thread;
    assert_null(run_new(engine, json, strlen(json), &(NodusRunOptions){.struct_size = sizeof(NodusRunOptions)}, &run));
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, run), 0);
    assert_int_equal(run_execute(run), NODUS_CANCELLED);
    pthread_join(thread, NULL);
    run_free(run);
    memory_free(json);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(a_lazy_node_runs_the_branch_that_it_wants),
        CASE(a_lazy_node_over_a_list_runs_what_any_element_wants),
        CASE(a_lazy_branch_may_be_an_expansion),
        CASE(the_same_prompt_again_runs_nothing_and_a_changed_literal_its_descendants),
        CASE(a_stable_fingerprint_is_cached_and_one_that_equals_nothing_runs_each_time),
        CASE(a_fingerprint_sees_literals_not_what_is_linked),
        CASE(one_value_for_two_outputs_and_equal_subgraphs_run_once),
        CASE(children_that_equal_a_node_of_the_prompt_share_its_result),
        CASE(a_refused_literal_a_wrong_link_a_cycle_and_an_unknown_class_are_refused),
        CASE(a_blocker_in_a_list_blocks_its_element),
        CASE(a_list_output_may_have_a_blocked_element),
        CASE(a_blocker_comes_out_of_an_expansion),
        CASE(an_empty_list_means_no_calls_and_empty_outputs),
        CASE(undeclared_links_and_literals_reach_a_variadic_node),
        CASE(undeclared_inputs_are_part_of_a_signature),
        CASE(an_undeclared_link_that_fails_fails_its_reader),
        CASE(an_undeclared_link_of_a_node_that_is_not_variadic_is_ignored),
        CASE(a_raw_link_names_its_source_and_only_a_lazy_one_does_not_run_it),
        CASE(a_raw_link_is_read_from_inside),
        CASE(a_loop_written_as_repeated_expansion_gives_the_right_result),
        CASE(calls_of_one_node_may_give_values_or_expand),
        CASE(output_nodes_among_the_children_run),
        CASE(what_is_wrong_with_an_expansion_is_an_error_of_the_visible_parent),
        CASE(a_cycle_made_by_expansion_is_an_error_not_a_hang),
        CASE(deep_expansion_is_iterative),
        CASE(a_deferred_result_arrives_and_is_cached),
        CASE(deferred_nodes_are_under_way_together),
        CASE(a_result_may_be_finished_before_its_function_returns),
        CASE(a_deferred_call_may_expand),
        CASE(a_deferred_node_may_fail_in_every_way),
        CASE(an_error_while_another_node_is_pending_waits_for_it),
        CASE(a_time_limit_ends_a_pending_node),
        CASE(deferred_io_and_plain_nodes_mix),
        CASE(only_the_targets_run_with_what_they_need),
        CASE(a_for_loop_carries_values_from_turn_to_turn),
        CASE(a_loop_of_no_turns_gives_the_initial_values),
        CASE(a_while_loop_goes_on_as_long_as_its_condition_is_true),
        CASE(a_while_loop_is_bounded),
        CASE(a_loop_of_1000_turns_is_cached_and_one_of_1001_reuses_its_turns),
        CASE(a_while_loop_of_1000_turns_is_cached),
        CASE(loops_nest),
        CASE(a_loop_carries_whole_lists_and_pictures),
        CASE(the_outputs_of_turns_run_in_order),
        CASE(output_nodes_in_a_loop_run_once_a_turn),
        CASE(progress_in_a_turn_is_that_of_the_end),
        CASE(an_error_in_a_turn_is_one_of_the_end),
        CASE(four_runs_of_growing_graphs_share_an_engine),
        CASE(a_cancel_reaches_a_pending_node),
    };
    return cmocka_run_group_tests(cases, NULL, NULL);
}
