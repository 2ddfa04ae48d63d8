/* test_api.c: nodus.h as a stranger uses it: engine, definitions, check, run, find. With the built-in nodes, without a model. */
#include "engine/base/memory.h"
#include "engine/formats/json.h"
#include "tests/test.h"
#include <nodus/nodus.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[] = "/tmp/nodus-api-XXXXXX";
static NodusEngine *engine;

static NodusEngineOptions plain_options(void)
{
    return (NodusEngineOptions){
        .struct_size = sizeof(NodusEngineOptions), .threads = 2, .device = "ref", .base_directory = folder};
}

static int open_engine(void **state)
{
    (void)state;
    const NodusEngineOptions options = plain_options();
    if (!mkdtemp(folder)) return 1;
    NodusStatus status = nodus_engine_new(&options, &engine);
    if (status) fprintf(stderr, "%s\n", nodus_error_message(status));
    return status != NULL;
}

static int close_engine(void **state)
{
    char command[64];
    (void)state;
    nodus_engine_free(engine);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static const char sum_prompt[] = "{\"1\": {\"class_type\": \"PrimitiveInt\", \"inputs\": {\"value\": 7}}, "
                                 "\"2\": {\"class_type\": \"PreviewAny\", \"inputs\": {\"source\": [\"1\", 0]}}}";

typedef struct Heard {
    int count, kinds[16];
    char ui[64], last[16];
} Heard;

static void listen(void *user, const NodusEvent *event)
{
    Heard *heard = user;
    if (heard->count < 16) heard->kinds[heard->count++] = (int)event->kind;
    if (event->ui_json) snprintf(heard->ui, sizeof heard->ui, "%s", event->ui_json);
    if (event->kind == NODUS_EVENT_FINISHED) snprintf(heard->last, sizeof heard->last, "%s", event->message);
}

TEST(a_struct_of_another_version_is_refused)
{
    NodusEngine *other;
    NodusRun *run;
    assert_error(nodus_engine_new(&(NodusEngineOptions){.struct_size = 4}, &other), "struct_size");
    assert_error(nodus_engine_new(NULL, &other), "struct_size");
    assert_error(nodus_run_new(engine, "{}", 2, &(NodusRunOptions){.struct_size = 4}, &run), "struct_size");
}

TEST(an_unknown_device_is_an_error_and_nothing_leaks)
{
    NodusEngine *other;
    NodusEngineOptions options = plain_options();
    options.device = "abacus";
    assert_error(nodus_engine_new(&options, &other), "abacus");
}

TEST(the_description_names_version_device_and_libraries)
{
    char *text;
    assert_ok(nodus_engine_describe(engine, &text));
    static const char *const pieces[] = {"nodus ", NODUS_VERSION, "ref", "threads: 2", "cJSON ", "libpng ", "zlib ",
                                         "numerics revision"};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
        if (!strstr(text, pieces[i])) fail_msg("%s lacks %s", text, pieces[i]);
    nodus_free(text);
}

TEST(definitions_are_json_for_all_nodes_or_one)
{
    char *text;
    Json *json;
    assert_ok(nodus_engine_nodes(engine, NULL, &text));
    assert_ok(json_parse(text, strlen(text), &json));
    nodus_free(text);
    static const char *const classes[] = {"KSampler", "CheckpointLoaderSimple", "CLIPTextEncode", "SaveImage", "PreviewAny"};
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) assert_non_null(json_get(json_root(json), classes[i]));
    const char *before = "";
    for (const cJSON *node = json_root(json)->child; node; node = node->next) { /* every node is complete and in order */
        assert_true(strcmp(before, node->string) < 0);
        before = node->string;
        assert_true(*json_string(json_get(node, "display_name")) && *json_string(json_get(node, "description")));
        assert_true(*json_string(json_get(node, "category")));
        for (const cJSON *group = json_get(node, "input")->child; group; group = group->next)
            for (const cJSON *input = group->child; input && strcmp(group->string, "hidden"); input = input->next)
                if (!json_get(input->child->next, "tooltip")) fail_msg("%s.%s has no tooltip", node->string, input->string);
    }
    json_free(json);
    assert_ok(nodus_engine_nodes(engine, "KSampler", &text));
    assert_non_null(strstr(text, "\"sampler_name\": [[\"euler\""));
    nodus_free(text);
    assert_ok(nodus_engine_nodes(engine, "Nope", &text));
    assert_string_equal(text, "{}");
    nodus_free(text);
}

TEST(check_reports_and_does_not_run)
{
    char *report;
    bool valid;
    assert_ok(nodus_engine_check(engine, sum_prompt, strlen(sum_prompt), false, &report, &valid));
    assert_true(valid);
    assert_string_equal(report, "{\"valid\": true, \"error\": null, \"node_errors\": {}, \"outputs\": [\"2\"]}");
    nodus_free(report);
    assert_ok(nodus_engine_check(engine, "no json", 7, false, &report, &valid));
    assert_false(valid);
    assert_non_null(strstr(report, "invalid_json"));
    nodus_free(report);
}

TEST(a_prompt_runs_and_a_second_time_is_cached)
{
    uint64_t next = 0;
    for (int turn = 0; turn < 2; turn++) {
        Heard heard = {0};
        NodusRun *run;
        const NodusRunOptions options = {
            .struct_size = sizeof options, .event = listen, .user = &heard, .first_event_id = next, .index = turn};
        assert_ok(nodus_run_new(engine, sum_prompt, strlen(sum_prompt), &options, &run));
        assert_int_equal(nodus_run_execute(run), NODUS_SUCCESS);
        assert_string_equal(heard.ui, "{\"text\": [\"7\"]}");
        assert_string_equal(heard.last, "success");
        assert_int_equal(heard.count, turn ? 3 : 6); /* begin, cached, finished */
        assert_int_equal(nodus_run_next_event_id(run), turn ? 10 : 7);
        next = nodus_run_next_event_id(run);
        nodus_run_free(run);
    }
}

TEST(a_picture_that_is_not_there_is_refused_by_name)
{
    static const char prompt[] = "{\"1\": {\"class_type\": \"LoadImage\", \"inputs\": {\"image\": \"no.png\"}}, "
                                 "\"2\": {\"class_type\": \"PreviewAny\", \"inputs\": {\"source\": [\"1\", 0]}}}";
    char *report;
    bool valid;
    assert_ok(nodus_engine_check(engine, prompt, strlen(prompt), false, &report, &valid));
    assert_false(valid);
    assert_non_null(strstr(report, "custom_validation_failed"));
    assert_non_null(strstr(report, "Invalid image file: no.png"));
    nodus_free(report);
}

TEST(find_says_where_it_looked)
{
    char *path, *name;
    assert_error(nodus_engine_find(engine, "checkpoints", "none.safetensors", &path, &name), folder);
    assert_error(nodus_engine_find(engine, "checkpoints", NULL, &path, &name), "put one into");
    assert_error(nodus_engine_find(engine, "nonsense", NULL, &path, &name), "nonsense");
}

static void *cancel_later(void *run)
{
    usleep(1000);
    nodus_run_cancel(run);
    return NULL;
}

/* Whichever comes first: the run ends as cancelled or as finished, and both threads agree that it ended. */
TEST(a_run_can_be_cancelled_from_another_thread)
{
    NodusRun *run;
    pthread_t thread;
    const NodusRunOptions options = {.struct_size = sizeof options};
    assert_ok(nodus_run_new(engine, sum_prompt, strlen(sum_prompt), &options, &run));
    nodus_run_cancel(run);
    assert_int_equal(nodus_run_execute(run), NODUS_CANCELLED); /* before it began */
    nodus_run_free(run);
    assert_ok(nodus_run_new(engine, sum_prompt, strlen(sum_prompt), &options, &run));
    assert_int_equal(pthread_create(&thread, NULL, cancel_later, run), 0);
    const NodusOutcome outcome = nodus_run_execute(run);
    assert_true(outcome == NODUS_SUCCESS || outcome == NODUS_CANCELLED);
    pthread_join(thread, NULL);
    nodus_run_free(run);
}

TEST(several_engines_live_side_by_side)
{
    NodusEngine *second;
    NodusRun *run;
    Heard heard = {0};
    const NodusEngineOptions options = plain_options();
    assert_ok(nodus_engine_new(&options, &second));
    const NodusRunOptions run_options = {.struct_size = sizeof run_options, .event = listen, .user = &heard};
    assert_ok(nodus_run_new(second, sum_prompt, strlen(sum_prompt), &run_options, &run));
    assert_int_equal(nodus_run_execute(run), NODUS_SUCCESS);
    assert_int_equal(heard.count, 6); /* nothing came from the other's cache */
    nodus_run_free(run);
    nodus_engine_free(second);
    nodus_engine_free(NULL);
}

TEST(only_and_set_that_name_no_node_are_usage_errors)
{
    NodusRun *run;
    const char *only[] = {"9"}, *set[] = {"9.value=1"};
    assert_error(nodus_run_new(engine, sum_prompt, strlen(sum_prompt),
                               &(NodusRunOptions){.struct_size = sizeof(NodusRunOptions), .only = only, .only_count = 1}, &run),
                 "no node has the id or title \"9\"");
    assert_error(nodus_run_new(engine, sum_prompt, strlen(sum_prompt),
                               &(NodusRunOptions){.struct_size = sizeof(NodusRunOptions), .set = set, .set_count = 1}, &run),
                 "no node has the id or title \"9\"");
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(a_struct_of_another_version_is_refused),
        CASE(an_unknown_device_is_an_error_and_nothing_leaks),
        CASE(the_description_names_version_device_and_libraries),
        CASE(definitions_are_json_for_all_nodes_or_one),
        CASE(check_reports_and_does_not_run),
        CASE(a_prompt_runs_and_a_second_time_is_cached),
        CASE(a_picture_that_is_not_there_is_refused_by_name),
        CASE(find_says_where_it_looked),
        CASE(a_run_can_be_cancelled_from_another_thread),
        CASE(several_engines_live_side_by_side),
        CASE(only_and_set_that_name_no_node_are_usage_errors),
    };
    return cmocka_run_group_tests(cases, open_engine, close_engine);
}
