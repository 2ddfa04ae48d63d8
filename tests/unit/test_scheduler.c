/* test_scheduler.c: what runs, how often, in which order; lists, lazy inputs, blockers, failures, cancel; and random graphs
 * against a naive twin that knows neither scheduler nor cache. */
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "tests/support.h"
#include "tests/support_graph.h"
#include "tests/test.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static NodusEngine *open_engine(bool no_cache, size_t budget)
{
    NodusEngine *engine;
    const NodusEngineOptions options = {.struct_size = sizeof options,
                                        .threads = 1,
                                        .device = "ref",
                                        .base_directory = ".",
                                        .no_cache = no_cache,
                                        .memory = budget};
    NodusStatus status = toy_engine(&options, &engine);
    if (status) fail_msg("engine: %s", nodus_error_message(status));
    return engine;
}

static void expect_ui(const ToyLog *log, const char *node, const char *ui)
{
    const ToyEvent *event = toy_find(log, NODUS_EVENT_DONE, node);
    if (!event) event = toy_find(log, NODUS_EVENT_CACHED, node);
    assert_non_null(event);
    if (!ui) assert_null(event->ui);
    else assert_string_equal(event->ui, ui);
}

/* Runs a prompt in an engine of its own. */
static NodusOutcome run_once(const char *prompt, ToyLog *log)
{
    NodusEngine *engine = open_engine(false, 0);
    const NodusOutcome outcome = toy_run(engine, prompt, NULL, log);
    engine_close(engine);
    return outcome;
}

/* ---- Lists --------------------------------------------------------------------------------------------------------- */

TEST(a_node_is_called_once_a_list_element)
{
    (void)state_;
    ToyLog log = {0};
    assert_int_equal(run_once("1 Ints from=5 count=3; 2 Add a=@1 b=10; 3 Show value=@2", &log), NODUS_SUCCESS);
    expect_ui(&log, "3", "{\"text\": [\"15\", \"16\", \"17\"]}");
    assert_int_equal(toy_count(&log, NODUS_EVENT_START, "2"), 1);
    toy_log_free(&log);
}

TEST(the_shorter_list_repeats_its_last)
{
    (void)state_;
    ToyLog log = {0};
    run_once("1 Ints from=1 count=4; 2 Ints from=10 count=2; 3 Add a=@1 b=@2; 4 Show value=@3", &log);
    expect_ui(&log, "4", "{\"text\": [\"11\", \"13\", \"14\", \"15\"]}");
    toy_log_free(&log);
}

TEST(an_empty_list_means_no_calls)
{
    (void)state_;
    ToyLog log = {0};
    assert_int_equal(run_once("1 Ints from=1 count=0; 2 Add a=@1 b=1; 3 Show value=@2; 4 Sum values=@2; 5 Show value=@4", &log),
                     NODUS_SUCCESS);
    expect_ui(&log, "3", NULL);
    expect_ui(&log, "5", "{\"text\": [\"0\"]}");
    toy_log_free(&log);
}

TEST(a_node_that_takes_lists_is_called_once)
{
    (void)state_;
    ToyLog log = {0};
    run_once("1 Ints from=1 count=4; 2 Sum values=@1; 3 Show value=@2", &log);
    expect_ui(&log, "3", "{\"text\": [\"10\"]}");
    toy_log_free(&log);
}

/* ---- Equal nodes, cache -------------------------------------------------------------------------------------------- */

TEST(equal_nodes_run_once_and_both_report)
{
    (void)state_;
    static const char prompt[] =
        "1 Int value=1; 2 Int value=1; 3 Add a=@1 b=@2; 4 Show value=@3; 5 Show value=@3; 6 Show value=@3";
    for (int no_cache = 0; no_cache < 2; no_cache++) {
        ToyLog log = {0};
        NodusEngine *engine = open_engine(no_cache, 0);
        atomic_store(&toy_calls, 0);
        toy_run(engine, prompt, NULL, &log);
        assert_int_equal(atomic_load(&toy_calls), 3); /* Int, Add, Show */
        assert_int_equal(toy_count(&log, NODUS_EVENT_DONE, NULL), 3);
        assert_int_equal(toy_count(&log, NODUS_EVENT_CACHED, NULL), 3);
        for (int i = 4; i <= 6; i++) expect_ui(&log, (char[]){(char)('0' + i), 0}, "{\"text\": [\"2\"]}");
        toy_log_free(&log);
        engine_close(engine);
    }
}

TEST(two_slots_of_one_node_are_different_inputs)
{
    (void)state_;
    ToyLog log = {0};
    run_once("1 Prompt; 2 Show value=[\"1\",0]; 3 Show value=[\"1\",1]", &log);
    assert_non_null(strstr(toy_find(&log, NODUS_EVENT_DONE, "2")->ui, "class_type"));
    expect_ui(&log, "3", "{\"text\": [\"none\"]}");
    toy_log_free(&log);
}

TEST(a_node_that_is_not_idempotent_is_never_shared)
{
    (void)state_;
    ToyLog log = {0};
    run_once("1 Same value=1; 2 Same value=1; 3 Show value=@1; 4 Show value=@2", &log);
    assert_int_equal(toy_count(&log, NODUS_EVENT_DONE, "1"), 1);
    assert_int_equal(toy_count(&log, NODUS_EVENT_DONE, "2"), 1);
    toy_log_free(&log);
}

TEST(the_same_prompt_again_runs_nothing_in_one_engine_and_all_in_another)
{
    (void)state_;
    static const char prompt[] = "1 Int value=1; 2 Add a=@1 b=2; 3 Show value=@2";
    NodusEngine *engine = open_engine(false, 0), *other = open_engine(false, 0), *forgetful = open_engine(true, 0);
    ToyLog log = {0};
    toy_run(engine, prompt, NULL, NULL);
    toy_run(engine, prompt, NULL, &log);
    assert_int_equal(toy_count(&log, NODUS_EVENT_DONE, NULL), 0);
    assert_int_equal(toy_count(&log, NODUS_EVENT_CACHED, NULL), 1); /* only what is used: the output */
    expect_ui(&log, "3", "{\"text\": [\"3\"]}");
    toy_log_free(&log);
    toy_run(other, prompt, NULL, &log);
    assert_int_equal(toy_count(&log, NODUS_EVENT_DONE, NULL), 3);
    toy_log_free(&log);
    toy_run(forgetful, prompt, NULL, NULL);
    toy_run(forgetful, prompt, NULL, &log);
    assert_int_equal(toy_count(&log, NODUS_EVENT_DONE, NULL), 3);
    toy_log_free(&log);
    engine_close(engine);
    engine_close(other);
    engine_close(forgetful);
}

TEST(a_changed_literal_runs_only_what_hangs_on_it)
{
    (void)state_;
    NodusEngine *engine = open_engine(false, 0);
    ToyLog log = {0};
#define TWO_BRANCHES(value) "1 Int value=1; 2 Add a=@1 b=2; 3 Show value=@2; 4 Add a=@1 b=" value "; 5 Show value=@4"
    toy_run(engine, TWO_BRANCHES("3"), NULL, NULL);
    toy_run(engine, TWO_BRANCHES("4"), NULL, &log);
    assert_int_equal(toy_count(&log, NODUS_EVENT_DONE, "4") + toy_count(&log, NODUS_EVENT_DONE, "5"), 2);
    assert_int_equal(toy_count(&log, NODUS_EVENT_DONE, NULL), 2);
    assert_int_equal(toy_count(&log, NODUS_EVENT_CACHED, "1"), 1); /* read by 4 */
    assert_int_equal(toy_count(&log, NODUS_EVENT_CACHED, "3"), 1);
    assert_int_equal(toy_count(&log, NODUS_EVENT_CACHED, "2"), 0); /* nobody reads it */
    toy_log_free(&log);
    toy_run(engine, TWO_BRANCHES("\"4\""), NULL, &log); /* another spelling of the same integer */
    assert_int_equal(toy_count(&log, NODUS_EVENT_DONE, NULL), 0);
    toy_log_free(&log);
    engine_close(engine);
}

TEST(a_changed_file_is_another_input_and_a_rewritten_one_is_not)
{
    (void)state_;
    char folder[] = "/tmp/nodus-file-XXXXXX", path[64], command[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/a.png", folder);
    NodusEngine *engine;
    const NodusEngineOptions options = {
        .struct_size = sizeof options, .threads = 1, .device = "ref", .base_directory = folder, .input = folder};
    assert_ok(toy_engine(&options, &engine));
    static const char *const contents[] = {"one", "one", "two"};
    static const int runs[] = {2, 0, 2};
    for (int i = 0; i < 3; i++) {
        ToyLog log = {0};
        unlink(path); /* another inode, another time */
        FILE *file = fopen(path, "w");
        fputs(contents[i], file);
        fclose(file);
        assert_int_equal(toy_run(engine, "1 File name=a.png; 2 Show value=@1", NULL, &log), NODUS_SUCCESS);
        assert_int_equal(toy_count(&log, NODUS_EVENT_DONE, NULL), runs[i]);
        toy_log_free(&log);
    }
    engine_close(engine);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    assert_int_equal(system(command), 0);
}

/* ---- Lazy inputs, blockers ----------------------------------------------------------------------------------------- */

TEST(a_lazy_input_is_evaluated_only_when_it_is_wanted)
{
    (void)state_;
    ToyLog log = {0};
    run_once("1 Int value=1; 2 Fail value=@1; 3 Choose first=true a=@1 b=@2; 4 Show value=@3", &log);
    expect_ui(&log, "4", "{\"text\": [\"1\"]}");
    assert_int_equal(toy_count(&log, NODUS_EVENT_START, "2"), 0);
    toy_log_free(&log);
}

TEST(a_wanted_lazy_input_that_fails_fails_its_reader)
{
    (void)state_;
    ToyLog log = {0};
    assert_int_equal(run_once("1 Int value=1; 2 Fail value=@1; 3 Choose first=false a=@1 b=@2; 4 Show value=@3", &log),
                     NODUS_FAILED);
    assert_int_equal(toy_count(&log, NODUS_EVENT_ERROR, "2"), 1);
    assert_int_equal(toy_count(&log, NODUS_EVENT_START, "3") + toy_count(&log, NODUS_EVENT_START, "4"), 0);
    toy_log_free(&log);
}

TEST(a_result_that_was_dropped_is_made_again_for_a_late_lazy_reader)
{
    (void)state_;
    NodusEngine *engine = open_engine(true, 0); /* nothing is kept */
    ToyLog log = {0};
    static const char prompt[] = "1 Int value=5; 2 Show value=@1; 3 Steps count=2; 4 Add a=@3 b=0; 5 Choose first=@7 a=@1 b=0; 6 "
                                 "Show value=@5; 7 Choose first=true a=true b=@4";
    assert_int_equal(toy_run(engine, prompt, NULL, &log), NODUS_SUCCESS);
    expect_ui(&log, "6", "{\"text\": [\"5\"]}");
    assert_int_equal(toy_count(&log, NODUS_EVENT_DONE, "1"), 1); /* told once, whatever it took */
    toy_log_free(&log);
    engine_close(engine);
}

TEST(a_blocker_blocks_its_element_only)
{
    (void)state_;
    ToyLog log = {0};
    assert_int_equal(run_once("1 Ints from=1 count=4; 2 Block value=@1 message=odd; 3 Add a=@2 b=1; 4 Show value=@3; 5 Sum "
                              "values=@2; 6 Show value=@5",
                              &log),
                     NODUS_SUCCESS);
    expect_ui(&log, "4", "{\"text\": [\"3\", \"5\"]}");
    expect_ui(&log, "6", NULL); /* a whole list with a blocker in it */
    assert_int_equal(toy_count(&log, NODUS_EVENT_ERROR, NULL), 0);
    assert_int_equal(toy_count(&log, NODUS_EVENT_WARNING, NULL), 1); /* a reason is told once a run */
    toy_log_free(&log);
}

/* ---- Failures, cancel, memory -------------------------------------------------------------------------------------- */

TEST(outputs_do_not_depend_on_each_others_failure)
{
    (void)state_;
    ToyLog log = {0};
    assert_int_equal(
        run_once("1 Int value=1; 2 Fail value=@1 message=no; 3 Add a=@2 b=1; 4 Show value=@3; 5 Add a=@1 b=1; 6 Show value=@5",
                 &log),
        NODUS_FAILED);
    expect_ui(&log, "6", "{\"text\": [\"2\"]}");
    const ToyEvent *error = toy_find(&log, NODUS_EVENT_ERROR, "2");
    assert_non_null(error);
    assert_string_equal(error->message, "value: no");
    assert_non_null(strstr(error->json, "\"path\": [\"2\", \"3\", \"4\"]"));
    assert_non_null(strstr(error->json, "\"inputs\": {\"value\": [1], \"message\": [\"no\"]}"));
    assert_non_null(strstr(error->json, "\"exception_type\": \"InputError\""));
    for (int i = 3; i <= 4; i++) assert_int_equal(toy_count(&log, NODUS_EVENT_START, (char[]){(char)('0' + i), 0}), 0);
    toy_log_free(&log);
}

TEST(what_only_failed_nodes_would_have_read_does_not_run)
{
    (void)state_;
    ToyLog log = {0};
    assert_int_equal(run_once("1 Fail value=1; 2 Int value=2; 3 Add a=@2 b=1; 4 Add a=@1 b=@3; 5 Show value=@4", &log),
                     NODUS_FAILED);
    assert_int_equal(toy_count(&log, NODUS_EVENT_START, NULL), 1);
    toy_log_free(&log);
}

/* 2 and 3 were given up with 4; then the lazy 6 wants 3 after all. */
TEST(what_was_given_up_runs_when_it_is_wanted_again)
{
    (void)state_;
    ToyLog log = {0};
    assert_int_equal(run_once("1 Fail value=1; 2 Int value=2; 3 Add a=@2 b=1; 4 Add a=@1 b=@3; 5 Show value=@4; "
                              "6 Choose first=true a=@3 b=0; 7 Show value=@6",
                              &log),
                     NODUS_FAILED);
    expect_ui(&log, "7", "{\"text\": [\"3\"]}");
    assert_int_equal(toy_count(&log, NODUS_EVENT_START, "2"), 1);
    toy_log_free(&log);
}

/* 5 is given up with 6 while its sources wait for 2; 10 wants it again before they are done. */
TEST(what_is_wanted_again_waits_for_all_its_sources)
{
    (void)state_;
    ToyLog log = {0};
    assert_int_equal(run_once("1 Fail value=1; 2 MeetIo value=2; 3 Add a=@2 b=1; 4 Add a=@2 b=2; 5 Add a=@3 b=@4; "
                              "6 Add a=@1 b=@5; 7 Show value=@6; 8 Show value=@3; 9 Show value=@4; "
                              "10 Choose first=true a=@5 b=0; 11 Show value=@10; 12 Meet value=5; 13 Show value=@12",
                              &log),
                     NODUS_FAILED);
    expect_ui(&log, "11", "{\"text\": [\"7\"]}");
    toy_log_free(&log);
}

TEST(a_failed_node_is_not_cached_and_what_it_read_is)
{
    (void)state_;
    NodusEngine *engine = open_engine(false, 0);
    ToyLog log = {0};
    static const char prompt[] = "1 Int value=1; 2 Fail value=@1; 3 Show value=@2";
    toy_run(engine, prompt, NULL, NULL);
    assert_int_equal(toy_run(engine, prompt, NULL, &log), NODUS_FAILED);
    assert_int_equal(toy_count(&log, NODUS_EVENT_CACHED, "1"), 1);
    assert_int_equal(toy_count(&log, NODUS_EVENT_ERROR, "2"), 1);
    toy_log_free(&log);
    engine_close(engine);
}

TEST(a_text_where_a_picture_is_needed_fails_with_its_name)
{
    (void)state_;
    ToyLog log = {0};
    assert_int_equal(run_once("1 Width image=text; 2 Show value=@1", &log), NODUS_FAILED);
    assert_non_null(strstr(toy_find(&log, NODUS_EVENT_ERROR, "1")->message, "image: IMAGE is wanted here"));
    toy_log_free(&log);
}

TEST(a_cancelled_run_starts_nothing_more)
{
    (void)state_;
    NodusEngine *engine = open_engine(false, 0);
    NodusRun *run;
    ToyLog log = {0};
    char *prompt = toy_json("1 Steps count=1000; 2 Show value=@1");
    const NodusRunOptions options = {.struct_size = sizeof options, .event = toy_listen, .user = &log};
    assert_ok(run_new(engine, prompt, strlen(prompt), &options, &run));
    log.cancel_at_start = run;
    assert_int_equal(run_execute(run), NODUS_CANCELLED);
    run_free(run);
    assert_int_equal(toy_count(&log, NODUS_EVENT_START, NULL), 1);
    assert_int_equal(toy_count(&log, NODUS_EVENT_ERROR, NULL), 0);
    assert_string_equal(log.event[log.count - 1].message, "cancelled");
    toy_log_free(&log);
    assert_int_equal(toy_run(engine, prompt, NULL, NULL), NODUS_SUCCESS); /* the engine works on */
    memory_free(prompt);
    engine_close(engine);
}

TEST(a_time_limit_counts_as_cancelled)
{
    (void)state_;
    NodusEngine *engine = open_engine(false, 0);
    const NodusRunOptions options = {.struct_size = sizeof options, .timeout = 0.05};
    const double started = file_clock();
    assert_int_equal(toy_run(engine, "1 Steps count=1000000000; 2 Show value=@1", &options, NULL), NODUS_CANCELLED);
    assert_true(file_clock() - started < 5);
    engine_close(engine);
}

/* Twenty pictures of 12 MB, each reduced to a number as soon as it is there. */
TEST(values_are_dropped_after_their_last_reader)
{
    (void)state_;
    NodusEngine *engine = open_engine(true, 0);
    Text text = {0};
    for (int i = 0; i < 20; i++)
        text_format(&text, "p%d Picture width=%d; w%d Width image=@p%d; s%d Show value=@w%d; ", i, (1 << 20) + i, i, i, i, i);
    assert_int_equal(toy_run(engine, text_get(&text), NULL, NULL), NODUS_SUCCESS);
    assert_true(budget_peak(engine->budget) > 12000000 && budget_peak(engine->budget) < 30000000);
    assert_int_equal(budget_used(engine->budget), 0);
    text_free(&text);
    engine_close(engine);
}

TEST(a_dumped_value_that_nobody_reads_is_dropped_at_once)
{
    (void)state_;
    NodusEngine *engine = open_engine(true, 0);
    NodusDump dumps[10];
    char ids[10][4];
    Text text = {0};
    for (int i = 0; i < 10; i++) {
        snprintf(ids[i], sizeof ids[i], "p%d", i);
        dumps[i] = (NodusDump){ids[i], 0, NULL, "/tmp/nodus-dump-dropped.npy"};
        text_format(&text, "p%d Picture width=%d; ", i, (1 << 17) + i);
    }
    const NodusRunOptions options = {.struct_size = sizeof options, .dumps = dumps, .dump_count = 10};
    assert_int_equal(toy_run(engine, text_get(&text), &options, NULL), NODUS_SUCCESS);
    assert_true(budget_peak(engine->budget) > 1500000 && budget_peak(engine->budget) < 3500000);
    unlink(dumps[0].file);
    text_free(&text);
    engine_close(engine);
}

TEST(what_the_budget_evicts_is_made_again)
{
    (void)state_;
    NodusEngine *engine = open_engine(false, 30000000);
    char prompt[512];
    for (int turn = 0; turn < 2; turn++) {
        for (int i = 0; i < 6; i++) {
            ToyLog log = {0};
            snprintf(prompt, sizeof prompt, "p Picture width=%d; w Width image=@p; a Add a=@w b=%d; s Show value=@a",
                     (1 << 20) + i, turn);
            assert_int_equal(toy_run(engine, prompt, NULL, &log), NODUS_SUCCESS);
            char expected[64];
            snprintf(expected, sizeof expected, "{\"text\": [\"%d\"]}", (1 << 20) + i + turn);
            expect_ui(&log, "s", expected);
            toy_log_free(&log);
            assert_true(budget_used(engine->budget) <= 30000000);
        }
    }
    engine_close(engine);
}

TEST(a_chain_of_100000_nodes_runs)
{
    (void)state_;
    enum { LONG = 100000 };
    Text text = {0};
    ToyLog log = {0};
    text_add(&text, "{\"0\": {\"class_type\": \"Int\", \"inputs\": {\"value\": 1}}");
    for (int i = 1; i < LONG; i++)
        text_format(&text, ", \"%d\": {\"class_type\": \"Add\", \"inputs\": {\"a\": [\"%d\", 0], \"b\": 1}}", i, i - 1);
    text_format(&text, ", \"out\": {\"class_type\": \"Show\", \"inputs\": {\"value\": [\"%d\", 0]}}}", LONG - 1);
    assert_int_equal(run_once(text_get(&text), &log), NODUS_SUCCESS);
    expect_ui(&log, "out", "{\"text\": [\"100000\"]}");
    text_free(&text);
    toy_log_free(&log);
}

TEST(a_failure_at_the_head_of_a_long_chain_ends_it)
{
    (void)state_;
    enum { LONG = 50000 };
    Text text = {0};
    ToyLog log = {0};
    text_add(&text, "{\"0\": {\"class_type\": \"Fail\", \"inputs\": {\"value\": 1}}");
    for (int i = 1; i < LONG; i++)
        text_format(&text, ", \"%d\": {\"class_type\": \"Add\", \"inputs\": {\"a\": [\"%d\", 0], \"b\": 1}}", i, i - 1);
    text_format(&text, ", \"out\": {\"class_type\": \"Show\", \"inputs\": {\"value\": [\"%d\", 0]}}}", LONG - 1);
    assert_int_equal(run_once(text_get(&text), &log), NODUS_FAILED);
    assert_int_equal(toy_count(&log, NODUS_EVENT_START, NULL), 1);
    text_free(&text);
    toy_log_free(&log);
}

/* ---- Dumps --------------------------------------------------------------------------------------------------------- */

static size_t read_file(const char *path, uint8_t *data, size_t size)
{
    FILE *file = fopen(path, "rb");
    if (!file) return 0;
    const size_t count = fread(data, 1, size, file);
    fclose(file);
    return count;
}

TEST(a_dump_evaluates_its_node_and_writes_the_first_element)
{
    (void)state_;
    static const char prompt[] = "1 Ints from=-3 count=2; p Picture width=2; 2 Int value=1; 3 Show value=@2";
    const NodusDump dumps[] = {{"1", 0, NULL, "/tmp/nodus-dump-int.npy"},
                               {"p", 0, NULL, "/tmp/nodus-dump-picture.npy"},
                               {"absent", 0, NULL, "/tmp/nodus-dump-none.npy"}};
    const NodusRunOptions options = {.struct_size = sizeof options, .dumps = dumps, .dump_count = 3};
    NodusEngine *engine = open_engine(false, 0);
    uint8_t data[512];
    for (int turn = 0; turn < 2; turn++) { /* from the cache as fresh */
        ToyLog log = {0};
        assert_int_equal(toy_run(engine, prompt, &options, &log), NODUS_SUCCESS);
        assert_int_equal(toy_count(&log, NODUS_EVENT_WARNING, NULL), 1); /* the absent node */
        toy_log_free(&log);
        const size_t size = read_file(dumps[0].file, data, sizeof data);
        int64_t number;
        float grey[6];
        assert_true(size > 8 && strstr((char *)data + 10, "'<i8'") && strstr((char *)data + 10, "(1,)"));
        memcpy(&number, data + size - 8, 8);
        assert_int_equal(number, -3);
        const size_t bytes = read_file(dumps[1].file, data, sizeof data);
        assert_true(strstr((char *)data + 10, "(1, 1, 2, 3)") != NULL);
        memcpy(grey, data + bytes - sizeof grey, sizeof grey);
        for (int i = 0; i < 6; i++) assert_true(grey[i] == 0.5f);
        unlink(dumps[0].file);
        unlink(dumps[1].file);
    }
    engine_close(engine);
}

TEST(a_dump_that_cannot_be_written_fails_the_run)
{
    (void)state_;
    const NodusDump dumps[] = {{"1", 7, NULL, "/tmp/nodus-dump.npy"},
                               {"1", 0, "pooled", "/tmp/nodus-dump.npy"},
                               {"1", 0, NULL, "/nonexistent/nodus.npy"},
                               {"t", 0, NULL, "/tmp/nodus-dump.npy"}};
    static const char *const messages[] = {"has 1 outputs", "no part \"pooled\"", "/nonexistent", "no array"};
    for (int i = 0; i < 4; i++) {
        ToyLog log = {0};
        NodusEngine *engine = open_engine(false, 0);
        const NodusRunOptions options = {.struct_size = sizeof options, .dumps = &dumps[i], .dump_count = 1};
        assert_int_equal(toy_run(engine, "1 Int value=1; t Text text=x; 3 Show value=@1", &options, &log), NODUS_FAILED);
        assert_non_null(strstr(toy_find(&log, NODUS_EVENT_WARNING, NULL)->message, messages[i]));
        toy_log_free(&log);
        engine_close(engine);
    }
}

/* ---- A naive twin -------------------------------------------------------------------------------------------------- */

enum { MOST = 24, ELEMENTS = 5 };
typedef enum TwinClass { TWIN_INT, TWIN_ADD, TWIN_INTS, TWIN_SUM, TWIN_FAIL, TWIN_CHOOSE, TWIN_BLOCK, TWIN_SHOW } TwinClass;
typedef struct TwinNode {
    int class, a, b, literal, literal2;
} TwinNode; /* a, b: sources, −1: the literal */
typedef struct TwinList {
    bool failed;
    int count;
    bool blocked[ELEMENTS];
    long value[ELEMENTS];
} TwinList;

static TwinNode random_node(uint64_t *state, int index)
{
    TwinNode node = {
        .a = -1, .b = -1, .literal = (int)support_between(state, 0, 3), .literal2 = (int)support_between(state, 0, 3)};
    node.class = (int)support_between(state, 0, 40);
    node.class = index == 0 || node.class < 8 ? TWIN_INT
                 : node.class < 22            ? TWIN_ADD
                 : node.class < 25            ? TWIN_INTS
                 : node.class < 27            ? TWIN_SUM
                 : node.class < 30            ? TWIN_FAIL
                 : node.class < 37            ? TWIN_CHOOSE
                                              : TWIN_BLOCK;
    if (node.class == TWIN_INT || node.class == TWIN_INTS) return node;
    node.a = (int)support_between(state, 0, index - 1);
    if (node.class != TWIN_SUM && support_between(state, 0, 2)) node.b = (int)support_between(state, 0, index - 1);
    if (node.class == TWIN_FAIL || node.class == TWIN_BLOCK) node.b = -1;
    return node;
}

static void write_node(Text *text, const TwinNode *node, int index)
{
    static const char *const names[] = {"Int", "Add", "Ints", "Sum", "Fail", "Choose", "Block", "Show"};
    static const char *const inputs[][2] = {{"value", NULL}, {"a", "b"}, {"from", "count"}, {"values", NULL},
                                            {"value", NULL}, {"a", "b"}, {"value", NULL},   {"value", NULL}};
    text_format(text, "%s\"%d\": {\"class_type\": \"%s\", \"inputs\": {", index ? ", " : "", index, names[node->class]);
    if (node->class == TWIN_CHOOSE) text_format(text, "\"first\": %s, ", node->literal2 % 2 ? "true" : "false");
    if (node->a >= 0) text_format(text, "\"%s\": [\"%d\", 0]", inputs[node->class][0], node->a);
    else text_format(text, "\"%s\": %d", inputs[node->class][0], node->literal);
    if (inputs[node->class][1] && node->b >= 0) text_format(text, ", \"%s\": [\"%d\", 0]", inputs[node->class][1], node->b);
    else if (inputs[node->class][1]) text_format(text, ", \"%s\": %d", inputs[node->class][1], node->literal2);
    text_add(text, "}}");
}

static TwinList twin_input(const TwinList *of, int source, int literal)
{
    return source >= 0 ? of[source] : (TwinList){.count = 1, .value = {literal}};
}

static int last_of(const TwinList *list, int i)
{
    return i < list->count ? i : list->count - 1;
}

/* What a node gives, from what its sources give; no scheduler, no cache. */
static TwinList twin_value(const TwinList *of, const TwinNode *node)
{
    TwinList a = twin_input(of, node->a, node->literal), b = twin_input(of, node->b, node->literal2), out = {0};
    const bool first = node->literal2 % 2;
    if (node->class == TWIN_CHOOSE) a = first ? a : b;
    const bool two = node->class == TWIN_ADD;
    if (a.failed || (two && b.failed)) return (TwinList){.failed = true};
    if (node->class == TWIN_INTS) {
        out.count = node->literal2;
        for (int i = 0; i < out.count; i++) out.value[i] = node->literal + i;
        return out;
    }
    if (node->class == TWIN_SUM) {
        out.count = 1;
        for (int i = 0; i < a.count; i++) {
            out.blocked[0] |= a.blocked[i];
            out.value[0] += a.value[i];
        }
        return out;
    }
    out.count = !a.count || (two && !b.count) ? 0 : two && b.count > a.count ? b.count : a.count;
    for (int i = 0; i < out.count; i++) {
        const int x = last_of(&a, i), y = two ? last_of(&b, i) : 0;
        out.blocked[i] = a.blocked[x] || (two && b.blocked[y]);
        out.value[i] = a.value[x] + (two ? b.value[y] : 0);
        if (node->class == TWIN_FAIL && !out.blocked[i]) return (TwinList){.failed = true};
        if (node->class == TWIN_BLOCK && out.value[i] % 2) out.blocked[i] = true;
    }
    return out;
}

static bool equal_nodes(const TwinNode *a, const TwinNode *b, const int *same)
{
    const int aa = a->a < 0 ? -1 : same[a->a], ab = a->b < 0 ? -1 : same[a->b], ba = b->a < 0 ? -1 : same[b->a],
              bb = b->b < 0 ? -1 : same[b->b];
    const bool uses2 = a->class == TWIN_ADD || a->class == TWIN_INTS || a->class == TWIN_CHOOSE;
    return a->class == b->class && aa == ba && ab == bb && (a->a >= 0 || a->literal == b->literal) &&
           (!uses2 || a->literal2 == b->literal2 || (a->b >= 0 && a->class == TWIN_ADD) ||
            (a->b >= 0 && a->class == TWIN_CHOOSE && a->literal2 % 2 == b->literal2 % 2));
}

static void need(const TwinNode *node, const int *same, const bool *known, bool *needed, int n)
{
    if (known[same[n]] || needed[same[n]]) return;
    needed[same[n]] = true;
    const bool lazy = node[n].class == TWIN_CHOOSE, first = node[n].literal2 % 2;
    if (node[n].a >= 0 && (!lazy || first)) need(node, same, known, needed, node[n].a);
    if (node[n].b >= 0 && (!lazy || !first)) need(node, same, known, needed, node[n].b);
}

static void expect_shown(const ToyLog *log, int show, const TwinList *list)
{
    char id[16];
    Text text = {0};
    snprintf(id, sizeof id, "%d", show);
    for (int i = 0; i < list->count; i++)
        if (!list->blocked[i]) text_format(&text, "%s\"%ld\"", text.length ? ", " : "{\"text\": [", list->value[i]);
    if (text.length) text_add(&text, "]}");
    if (!list->failed) expect_ui(log, id, text.length ? text_get(&text) : NULL);
    else assert_true(!toy_find(log, NODUS_EVENT_DONE, id) && !toy_find(log, NODUS_EVENT_CACHED, id));
    text_free(&text);
}

/* Compares one run with the twin: what the outputs show, and, where nothing failed, exactly what ran. */
static void compare_run(NodusEngine *engine, const TwinNode *node, int count, bool *known_all, TwinNode *history,
                        int *history_count)
{
    Text text = {0};
    ToyLog log = {0};
    TwinList value[MOST];
    int same[MOST];
    bool needed[4096] = {false}, failed = false;
    text_char(&text, '{');
    for (int n = 0; n < count; n++) write_node(&text, &node[n], n);
    text_char(&text, '}');
    for (int n = 0; n < count; n++) { /* `history`: distinct nodes of all runs, their sources as history numbers */
        value[n] = twin_value(value, &node[n]);
        failed |= value[n].failed && node[n].class == TWIN_SHOW;
        TwinNode canonical = node[n];
        canonical.a = node[n].a < 0 ? -1 : same[node[n].a];
        canonical.b = node[n].b < 0 ? -1 : same[node[n].b];
        int identity[4096];
        for (int h = 0; h < *history_count; h++) identity[h] = h;
        int h = 0;
        while (h < *history_count && !equal_nodes(&canonical, &history[h], identity)) h++;
        if (h == *history_count) history[(*history_count)++] = canonical;
        same[n] = h;
    }
    toy_run(engine, text_get(&text), NULL, &log);
    for (int n = 0; n < count; n++)
        if (node[n].class == TWIN_SHOW) {
            expect_shown(&log, n, &value[n]);
            need(node, same, known_all, needed, n);
        }
    int expected = 0, done = toy_count(&log, NODUS_EVENT_DONE, NULL);
    for (int h = 0; h < *history_count; h++) expected += needed[h];
    if (!failed && done != expected) fail_msg("%d nodes ran instead of %d: %s", done, expected, text_get(&text));
    if (failed) assert_true(done <= expected);
    for (int i = 0; i < log.count; i++)
        if (log.event[i].kind == NODUS_EVENT_DONE) known_all[same[atoi(log.event[i].node)]] = true;
    text_free(&text);
    toy_log_free(&log);
}

/* Graphs of up to 24 nodes, each changed a few times and run again in the same engine. */
static void compare_graphs(bool no_cache, uint64_t seed, int graphs)
{
    for (int g = 0; g < graphs; g++) {
        uint64_t state = seed + (uint64_t)g;
        NodusEngine *engine = open_engine(no_cache, 0);
        TwinNode node[MOST];
        static TwinNode history[4096];
        bool known[4096] = {false};
        int history_count = 0;
        const int count = (int)support_between(&state, 4, MOST - 4);
        for (int n = 0; n < count; n++) node[n] = random_node(&state, n);
        for (int n = count; n < count + 4; n++)
            node[n] = (TwinNode){TWIN_SHOW, (int)support_between(&state, 0, count - 1), -1, 0, 0};
        for (int turn = 0; turn < 4; turn++) {
            compare_run(engine, node, count + 4, known, history, &history_count);
            if (no_cache) memset(known, 0, sizeof known);
            const int changed = (int)support_between(&state, 0, count - 1);
            node[changed] = random_node(&state, changed);
        }
        if (no_cache) assert_int_equal(budget_used(engine->budget), 0);
        engine_close(engine);
    }
}

TEST(random_graphs_give_what_a_naive_twin_gives_and_run_no_more_than_they_must)
{
    (void)state_;
    compare_graphs(false, 1000, 300);
}

TEST(random_graphs_without_cache_do_too)
{
    (void)state_;
    compare_graphs(true, 5000, 150);
}

/* ---- Threads ------------------------------------------------------------------------------------------------------- */

typedef struct Racer {
    NodusEngine *engine;
    int number;
    bool right;
} Racer;

static void *race(void *user)
{
    Racer *racer = user;
    racer->right = true;
    for (int i = 0; i < 40; i++) {
        char prompt[512], expected[64];
        ToyLog log = {0};
        snprintf(prompt, sizeof prompt, "1 Steps count=%d; 2 Add a=@1 b=%d; 3 Show value=@2", 100 + i, i);
        snprintf(expected, sizeof expected, "{\"text\": [\"%d\"]}", 100 + 2 * i);
        racer->right &= toy_run(racer->engine, prompt, NULL, &log) == NODUS_SUCCESS;
        const ToyEvent *event = toy_find(&log, NODUS_EVENT_DONE, "3");
        if (!event) event = toy_find(&log, NODUS_EVENT_CACHED, "3");
        racer->right &= event && event->ui && !strcmp(event->ui, expected);
        toy_log_free(&log);
    }
    return NULL;
}

TEST(four_threads_on_one_engine_share_the_work)
{
    (void)state_;
    NodusEngine *engine = open_engine(false, 0);
    pthread_t thread[4];
    Racer racer[4];
    atomic_store(&toy_calls, 0);
    for (int i = 0; i < 4; i++) {
        racer[i] = (Racer){engine, i, false};
        assert_int_equal(pthread_create(&thread[i], NULL, race, &racer[i]), 0);
    }
    for (int i = 0; i < 4; i++) pthread_join(thread[i], NULL);
    for (int i = 0; i < 4; i++) assert_true(racer[i].right);
    assert_int_equal(atomic_load(&toy_calls), 40 * 2); /* Add and Show of each prompt, once */
    engine_close(engine);
}

TEST(an_io_node_runs_beside_a_compute_node)
{
    (void)state_;
    ToyLog log = {0};
    assert_int_equal(run_once("1 MeetIo value=1; 2 Meet value=2; 3 Add a=@1 b=@2; 4 Show value=@3", &log), NODUS_SUCCESS);
    expect_ui(&log, "4", "{\"text\": [\"3\"]}");
    toy_log_free(&log);
}

TEST_MAIN(CASE(a_node_is_called_once_a_list_element), CASE(the_shorter_list_repeats_its_last), CASE(an_empty_list_means_no_calls),
          CASE(a_node_that_takes_lists_is_called_once), CASE(equal_nodes_run_once_and_both_report),
          CASE(two_slots_of_one_node_are_different_inputs), CASE(a_node_that_is_not_idempotent_is_never_shared),
          CASE(the_same_prompt_again_runs_nothing_in_one_engine_and_all_in_another),
          CASE(a_changed_literal_runs_only_what_hangs_on_it), CASE(a_changed_file_is_another_input_and_a_rewritten_one_is_not),
          CASE(a_lazy_input_is_evaluated_only_when_it_is_wanted), CASE(a_wanted_lazy_input_that_fails_fails_its_reader),
          CASE(a_result_that_was_dropped_is_made_again_for_a_late_lazy_reader), CASE(a_blocker_blocks_its_element_only),
          CASE(outputs_do_not_depend_on_each_others_failure), CASE(what_only_failed_nodes_would_have_read_does_not_run),
          CASE(what_was_given_up_runs_when_it_is_wanted_again), CASE(what_is_wanted_again_waits_for_all_its_sources),
          CASE(a_failed_node_is_not_cached_and_what_it_read_is), CASE(a_text_where_a_picture_is_needed_fails_with_its_name),
          CASE(a_cancelled_run_starts_nothing_more), CASE(a_time_limit_counts_as_cancelled),
          CASE(values_are_dropped_after_their_last_reader), CASE(a_dumped_value_that_nobody_reads_is_dropped_at_once),
          CASE(what_the_budget_evicts_is_made_again), CASE(a_chain_of_100000_nodes_runs),
          CASE(a_failure_at_the_head_of_a_long_chain_ends_it), CASE(a_dump_evaluates_its_node_and_writes_the_first_element),
          CASE(a_dump_that_cannot_be_written_fails_the_run),
          CASE(random_graphs_give_what_a_naive_twin_gives_and_run_no_more_than_they_must),
          CASE(random_graphs_without_cache_do_too), CASE(four_threads_on_one_engine_share_the_work),
          CASE(an_io_node_runs_beside_a_compute_node))
