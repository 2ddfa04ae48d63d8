/* test_events.c: the event stream: order, ids, shapes of the JSON lines, rates and estimates. */
#include "engine/base/memory.h"
#include "engine/formats/json.h"
#include "engine/graph/rates.h"
#include "tests/support_graph.h"
#include "tests/test.h"
#include <stdio.h>
#include <stdlib.h>

static NodusEngine *engine;

static int open_engine(void **state)
{
    (void)state;
    const NodusEngineOptions options = {
        .struct_size = sizeof options, .threads = 1, .device = "ref", .base_directory = ".", .no_cache = true};
    return toy_engine(&options, &engine) != NULL;
}

static int close_engine(void **state)
{
    (void)state;
    engine_close(engine);
    return 0;
}

static Json *line_of(const ToyEvent *event)
{
    Json *json;
    assert_non_null(event);
    NodusStatus status = json_parse(event->json, strlen(event->json), &json);
    if (status) fail_msg("%s: %s", event->json, nodus_error_message(status));
    assert_null(strchr(event->json, '\n'));
    return json;
}

TEST(a_run_is_begin_then_nodes_then_finished_with_rising_ids)
{
    (void)state_;
    ToyLog log = {0};
    const NodusRunOptions options = {.struct_size = sizeof options, .first_event_id = 7, .index = 3, .file = "w.json"};
    toy_run(engine, "1 Int value=1; 2 Show value=@1", &options, &log);
    static const NodusEventKind kinds[] = {NODUS_EVENT_BEGIN, NODUS_EVENT_START, NODUS_EVENT_DONE,
                                           NODUS_EVENT_START, NODUS_EVENT_DONE,  NODUS_EVENT_FINISHED};
    assert_int_equal(log.count, 6);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(log.event[i].kind, kinds[i]);
        assert_int_equal(log.event[i].id, 7 + i);
        Json *json = line_of(&log.event[i]);
        assert_int_equal((int)json_double(json_get(json_root(json), "id")), 7 + i);
        assert_int_equal((int)json_double(json_get(json_root(json), "prompt")), 3);
        json_free(json);
    }
    Json *begin = line_of(&log.event[0]), *start = line_of(&log.event[1]), *done = line_of(&log.event[4]);
    assert_string_equal(json_string(json_get(json_root(begin), "file")), "w.json");
    assert_int_equal((int)json_double(json_get(json_root(begin), "to_run")), 2);
    assert_string_equal(json_string(json_get(json_root(start), "class_type")), "Int");
    assert_string_equal(json_string(json_get(json_root(start), "title")), "Integer");
    assert_true(json_is_number(json_get(json_root(done), "seconds")));
    assert_string_equal(json_string(json_get(json_get(json_root(done), "ui"), "text")->child), "1");
    json_free(begin);
    json_free(start);
    json_free(done);
    toy_log_free(&log);
}

TEST(the_next_runs_ids_go_on)
{
    NodusRun *run;
    char *prompt = toy_json("1 Int value=1; 2 Show value=@1");
    ToyLog log = {0};
    const NodusRunOptions options = {.struct_size = sizeof options, .event = toy_listen, .user = &log};
    assert_ok(run_new(engine, prompt, strlen(prompt), &options, &run));
    run_execute(run);
    assert_int_equal(event_next(&run->events), log.event[log.count - 1].id + 1);
    run_free(run);
    memory_free(prompt);
    toy_log_free(&log);
}

TEST(texts_of_nodes_cannot_break_a_line)
{
    (void)state_;
    ToyLog log = {0};
    toy_run(engine,
            "{\"a\\n\\\"b\": {\"class_type\": \"Text\", \"inputs\": {\"text\": \"line\\nline\\\"\\u0001\"}, \"_meta\": "
            "{\"title\": \"t\\n\"}}, "
            "\"2\": {\"class_type\": \"Show\", \"inputs\": {\"value\": [\"a\\n\\\"b\", 0]}}}",
            NULL, &log);
    for (int i = 0; i < log.count; i++) json_free(line_of(&log.event[i]));
    assert_int_equal(toy_count(&log, NODUS_EVENT_DONE, "a\n\"b"), 1);
    toy_log_free(&log);
}

TEST(progress_is_limited_and_keeps_first_and_last)
{
    (void)state_;
    ToyLog log = {0};
    toy_run(engine, "1 Steps count=20000; 2 Show value=@1", NULL, &log);
    const int count = toy_count(&log, NODUS_EVENT_PROGRESS, "1");
    assert_true(count >= 2 && count < 100);
    double last = 0;
    for (int i = 0; i < log.count; i++) {
        if (log.event[i].kind != NODUS_EVENT_PROGRESS) continue;
        assert_true(log.event[i].value > last && log.event[i].max == 20000);
        last = log.event[i].value;
    }
    assert_true(toy_find(&log, NODUS_EVENT_PROGRESS, "1")->value == 1 && last == 20000);
    toy_log_free(&log);
}

TEST(outputs_only_drops_the_others_and_leaves_no_gaps)
{
    (void)state_;
    ToyLog log = {0};
    const NodusRunOptions options = {.struct_size = sizeof options, .outputs_only = true};
    toy_run(engine, "1 Int value=1; 2 Show value=@1", &options, &log);
    assert_int_equal(log.count, 4); /* begin, start, done, finished */
    for (int i = 0; i < log.count; i++) assert_int_equal(log.event[i].id, i + 1);
    assert_int_equal(toy_count(&log, NODUS_EVENT_DONE, "1"), 0);
    toy_log_free(&log);
}

TEST(a_refused_prompt_is_one_finished_event_with_the_report)
{
    (void)state_;
    static const char *const prompts[] = {"{\"1\": ", "{}", "2 Show value=@9"};
    static const char *const types[] = {"invalid_json", "prompt_no_outputs", "prompt_outputs_failed_validation"};
    for (int i = 0; i < 3; i++) {
        ToyLog log = {0};
        assert_int_equal(toy_run(engine, prompts[i], NULL, &log), NODUS_REFUSED);
        assert_int_equal(log.count, 1);
        Json *json = line_of(&log.event[0]);
        assert_string_equal(json_string(json_get(json_root(json), "status")), "invalid");
        assert_string_equal(json_string(json_get(json_get(json_root(json), "error"), "type")), types[i]);
        assert_true(cJSON_IsObject(json_get(json_root(json), "node_errors")));
        json_free(json);
        toy_log_free(&log);
    }
}

TEST(a_partly_valid_prompt_succeeds_and_tells_the_errors)
{
    (void)state_;
    ToyLog log = {0};
    assert_int_equal(toy_run(engine, "1 Int value=1; 2 Show value=@1; 3 Show value=@9", NULL, &log), NODUS_SUCCESS);
    Json *json = line_of(&log.event[log.count - 1]);
    assert_string_equal(json_string(json_get(json_root(json), "status")), "success");
    assert_true(cJSON_IsNull(json_get(json_root(json), "error")));
    assert_non_null(json_get(json_get(json_root(json), "node_errors"), "3"));
    json_free(json);
    toy_log_free(&log);
}

TEST(an_estimate_comes_from_the_rate_of_the_last_time_and_survives_the_process)
{
    char folder[] = "/tmp/nodus-rates-XXXXXX", command[64];
    static const char prompt[] = "1 Work flop=1e6; 2 Show value=@1";
    assert_non_null(mkdtemp(folder));
    for (int turn = 0; turn < 3; turn++) {
        NodusEngine *own;
        ToyLog log = {0};
        const NodusEngineOptions options = {
            .struct_size = sizeof options, .threads = 1, .device = "ref", .base_directory = ".", .cache_directory = folder};
        assert_ok(toy_engine(&options, &own));
        toy_run(own, prompt, NULL, &log);
        const ToyEvent *first = toy_find(&log, NODUS_EVENT_PROGRESS, "1"), *done = toy_find(&log, NODUS_EVENT_DONE, "1");
        assert_non_null(first);
        assert_true(first->value == 0);
        assert_true(turn ? first->eta > 0 && first->eta < 10 : first->eta < 0); /* unknown the first time */
        assert_true(done->rate > 0);
        toy_log_free(&log);
        engine_close(own);
    }
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

TEST(a_broken_rates_file_is_an_empty_one)
{
    char folder[] = "/tmp/nodus-rates-XXXXXX", path[64], command[64];
    Rates *rates;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/rates.txt", folder);
    FILE *file = fopen(path, "w");
    fputs("m\tgood\t5\nm\tbad\t-1\nm\tnan\tnan\nno tab\n\t\t\nm\tinf\t1e999\n\xff\xfe\n", file);
    fclose(file);
    assert_ok(rates_open(folder, "m", &rates));
    assert_near(rates_get(rates, "good"), 5, 0);
    assert_near(rates_get(rates, "bad") + rates_get(rates, "nan") + rates_get(rates, "inf"), 0, 0);
    rates_set(rates, "new\tkind\n", 2);
    rates_close(rates);
    assert_ok(rates_open(folder, "m", &rates));
    assert_near(rates_get(rates, "new\tkind\n"), 2, 0);
    assert_near(rates_get(rates, "good"), 5, 0);
    rates_close(rates);
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

TEST(events_cost_at_most_300_bytes_a_node)
{
    (void)state_;
    enum { LONG = 3000 };
    Text text = {0};
    ToyLog log = {0};
    text_add(&text, "{\"0\": {\"class_type\": \"Int\", \"inputs\": {\"value\": 1}}");
    for (int i = 1; i < LONG; i++)
        text_format(&text, ", \"%d\": {\"class_type\": \"Add\", \"inputs\": {\"a\": [\"%d\", 0], \"b\": 1}}", i, i - 1);
    text_format(&text, ", \"out\": {\"class_type\": \"Show\", \"inputs\": {\"value\": [\"%d\", 0]}}}", LONG - 1);
    toy_run(engine, text_get(&text), NULL, &log);
    size_t bytes = 0;
    for (int i = 0; i < log.count; i++) bytes += strlen(log.event[i].json) + 1;
    assert_true(bytes <= 300 * LONG);
    text_free(&text);
    toy_log_free(&log);
}

int main(void)
{
    const struct CMUnitTest cases[] = {CASE(a_run_is_begin_then_nodes_then_finished_with_rising_ids),
                                       CASE(the_next_runs_ids_go_on),
                                       CASE(texts_of_nodes_cannot_break_a_line),
                                       CASE(progress_is_limited_and_keeps_first_and_last),
                                       CASE(outputs_only_drops_the_others_and_leaves_no_gaps),
                                       CASE(a_refused_prompt_is_one_finished_event_with_the_report),
                                       CASE(a_partly_valid_prompt_succeeds_and_tells_the_errors),
                                       CASE(an_estimate_comes_from_the_rate_of_the_last_time_and_survives_the_process),
                                       CASE(a_broken_rates_file_is_an_empty_one),
                                       CASE(events_cost_at_most_300_bytes_a_node)};
    return cmocka_run_group_tests(cases, open_engine, close_engine);
}
