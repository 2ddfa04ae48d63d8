/* test_validate.c: what is refused, in which words; what passes; and that everything wrong is said at once. */
#include "engine/base/memory.h"
#include "engine/formats/json.h"
#include "tests/support_graph.h"
#include "tests/test.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static NodusEngine *engine;

static int open_engine(void **state)
{
    (void)state;
    return toy_engine(NULL, &engine) != NULL;
}

static int close_engine(void **state)
{
    (void)state;
    engine_close(engine);
    return 0;
}

/* The report of a prompt, parsed; json_free. */
static Json *report_of(const char *prompt, bool strict)
{
    char *text = NULL;
    bool valid = false;
    Json *json = NULL;
    NodusStatus status = run_check(engine, prompt, strlen(prompt), strict, &text, &valid);
    if (status) fail_msg("check: %s", nodus_error_message(status));
    status = json_parse(text, strlen(text), &json);
    if (status) fail_msg("the report is no JSON: %s in %s", nodus_error_message(status), text);
    assert_int_equal(valid, cJSON_IsTrue(json_get(json_root(json), "valid")));
    memory_free(text);
    return json;
}

static cJSON *errors_of(const Json *report, const char *node)
{
    return json_get(json_get(json_get(json_root(report), "node_errors"), node), "errors");
}

/* The error of that type that blames that input, or a failure of the test that shows the report. */
static cJSON *find_error(const Json *report, const char *node, const char *type, const char *input)
{
    cJSON *errors = errors_of(report, node);
    for (cJSON *error = errors ? errors->child : NULL; error; error = error->next) {
        const char *name = json_string(json_get(json_get(error, "extra_info"), "input_name"));
        if (!strcmp(json_string(json_get(error, "type")), type) && (!input || (name && !strcmp(name, input)))) return error;
    }
    Text text = {0};
    json_print(&text, json_root(report), false, true);
    fail_msg("no error %s of node %s, input %s in %s", type, node, input ? input : "-", text_get(&text));
    return NULL;
}

static void expect_error(const char *prompt, const char *node, const char *type, const char *input, const char *message,
                         const char *details)
{
    Json *report = report_of(prompt, false);
    const cJSON *error = find_error(report, node, type, input);
    if (message) assert_string_equal(json_string(json_get(error, "message")), message);
    if (details) assert_string_equal(json_string(json_get(error, "details")), details);
    json_free(report);
}

static void expect_whole(const char *prompt, const char *type, const char *message, const char *details)
{
    Json *report = report_of(prompt, false);
    const cJSON *error = json_get(json_root(report), "error");
    assert_string_equal(json_string(json_get(error, "type")), type);
    if (message) assert_string_equal(json_string(json_get(error, "message")), message);
    if (details) assert_string_equal(json_string(json_get(error, "details")), details);
    json_free(report);
}

static void expect_valid(const char *prompt, int outputs)
{
    Json *report = report_of(prompt, false);
    if (!cJSON_IsTrue(json_get(json_root(report), "valid"))) {
        Text text = {0};
        json_print(&text, json_root(report), false, true);
        fail_msg("refused: %s", text_get(&text));
    }
    assert_int_equal(cJSON_GetArraySize(json_get(json_root(report), "outputs")), outputs);
    json_free(report);
}

/* A prompt with one Widgets node whose input `name` has the value `json`, shown. */
static const char *widget(const char *name, const char *json)
{
    static char text[8192];
    snprintf(text, sizeof text,
             "{\"1\": {\"class_type\": \"Widgets\", \"inputs\": {\"%s\": %s}}, \"2\": {\"class_type\": \"Show\", \"inputs\": "
             "{\"value\": [\"1\", 0]}}}",
             name, json);
    return text;
}

#define SHOW2 ", \"2\": {\"class_type\": \"Show\", \"inputs\": {\"value\": [\"1\", 0]}}}"

TEST(integers_are_taken_as_python_takes_them)
{
    (void)state_;
    static const char *const good[] = {"7",       "7.9", "-7.9", "\"7\"", "\" +7_0_0 \"", "true", "{\"__value__\": 5}",
                                       "\"007\"", "-0"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (strcmp(good[i], "\" +7_0_0 \"")) expect_valid(widget("i", good[i]), 1);
    expect_error(widget("i", "\" +7_0_0 \""), "1", "value_bigger_than_max", "i", "Value 700 bigger than max of 10", "i");
    static const char *const bad[] = {"\"abc\"", "\"7.5\"", "\"\"",     "\"7__0\"",   "\"_7\"",
                                      "null",    "NaN",     "Infinity", "{\"a\": 1}", "{\"__value__\": [1, 2]}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        expect_error(widget("i", bad[i]), "1", "invalid_input_type", "i", "Failed to convert an input value to a INT value",
                     NULL);
}

TEST(seeds_have_all_64_bits)
{
    (void)state_;
    expect_valid(widget("u", "18446744073709551615"), 1);
    expect_error(widget("u", "18446744073709551616"), "1", "value_bigger_than_max", "u",
                 "Value 18446744073709551616 bigger than max of 18446744073709551615", "u");
    expect_error(widget("u", "1.8446744073709552e19"), "1", "value_bigger_than_max", "u",
                 "Value 18446744073709551616 bigger than max of 18446744073709551615", "u");
    expect_error(widget("u", "-1"), "1", "value_smaller_than_min", "u", "Value -1 smaller than min of 0", "u");
    expect_error(widget("u", "-99999999999999999999999"), "1", "value_smaller_than_min", "u",
                 "Value -99999999999999999999999 smaller than min of 0", "u");
}

TEST(floats_are_taken_as_python_takes_them)
{
    (void)state_;
    static const char *const good[] = {"0", "1", "0.25", "\"2.5e-1\"", "\" .5 \"", "\"1_0e-1_0\"", "true"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) expect_valid(widget("f", good[i]), 1);
    static const char *const bad[] = {"\"abc\"", "\"\"", "\".\"", "\"1e\"", "null", "{}", "NaN", "\"0x1p0\""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        expect_error(widget("f", bad[i]), "1", "invalid_input_type", "f", "Failed to convert an input value to a FLOAT value",
                     NULL);
    expect_error(widget("f", "1.0000001"), "1", "value_bigger_than_max", "f", "Value 1.0000001 bigger than max of 1.0", "f");
    expect_error(widget("f", "-0.001"), "1", "value_smaller_than_min", "f", "Value -0.001 smaller than min of 0.0", "f");
    expect_error(widget("f", "Infinity"), "1", "value_bigger_than_max", "f", "Value inf bigger than max of 1.0", "f");
}

TEST(texts_take_everything_and_truth_too)
{
    (void)state_;
    static const char *const any[] = {"5", "null", "true", "\"x\"", "{\"a\": [1, 2.0]}", "{\"__value__\": [\"1\", 0]}"};
    for (size_t i = 0; i < sizeof any / sizeof *any; i++) {
        expect_valid(widget("s", any[i]), 1);
        expect_valid(widget("b", any[i]), 1);
    }
}

TEST(a_wrong_option_is_named_with_the_list_and_the_nearest)
{
    (void)state_;
    Json *report = report_of(widget("c", "\"gren\""), false);
    const cJSON *error = find_error(report, "1", "value_not_in_list", "c"), *extra = json_get(error, "extra_info");
    assert_string_equal(json_string(json_get(error, "details")), "c: 'gren' not in ['red', 'green', 'blue']");
    assert_string_equal(json_string(json_get(extra, "nearest")), "green");
    assert_string_equal(json_string(json_get(extra, "received_value")), "gren");
    assert_int_equal(cJSON_GetArraySize(json_get(extra, "input_config")->child), 3);
    json_free(report);
    expect_error(widget("c", "null"), "1", "value_not_in_list", "c", "Value not in list",
                 "c: 'None' not in ['red', 'green', 'blue']");
    expect_error(widget("c", "\"Red\""), "1", "value_not_in_list", "c", NULL, NULL);
}

TEST(links_are_checked_for_shape_source_slot_and_type)
{
    (void)state_;
    expect_error(widget("i", "[]"), "1", "bad_linked_input", "i",
                 "Bad linked input, must be a length-2 list of [node_id, slot_index]", "i");
    expect_error(widget("i", "[1, 2, 3]"), "1", "bad_linked_input", "i", NULL, "i");
    expect_error(widget("i", "[\"9\", 0]"), "1", "link_source_missing", "i", NULL, "i: there is no node \"9\"");
    expect_error(widget("i", "[9, 0]"), "1", "link_source_missing", "i", NULL,
                 "i: there is no node 9; node ids are texts, write \"9\"");
    expect_error(widget("i", "[\"a\", \"b\"]"), "1", "link_source_missing", "i", NULL, NULL);
    expect_error(widget("i", "[\"2\", 0]"), "1", "link_slot_out_of_range", "i", NULL,
                 "i: node 2 has 0 outputs, numbered from 0; this link asks for 0");
    expect_error("{\"0\": {\"class_type\": \"Int\", \"inputs\": {\"value\": 1}}, \"1\": {\"class_type\": \"Width\", \"inputs\": "
                 "{\"image\": [\"0\", 0]}}" SHOW2,
                 "1", "return_type_mismatch", "image", "Return type mismatch between linked nodes",
                 "image, received_type(INT) mismatch input_type(IMAGE)");
    expect_error("{\"0\": {\"class_type\": \"Text\", \"inputs\": {\"text\": \"red\"}}, \"1\": {\"class_type\": \"Widgets\", "
                 "\"inputs\": {\"c\": [\"0\", 0]}}" SHOW2,
                 "1", "return_type_mismatch", "c", NULL,
                 "c, received_type(STRING) mismatch input_type(['red', 'green', 'blue'])");
    expect_error("{\"1\": {\"class_type\": \"Int\", \"inputs\": {\"value\": 1}}, \"2\": {\"class_type\": \"Show\", \"inputs\": "
                 "{\"value\": [\"1\", \"0\"]}}}",
                 "2", "link_slot_out_of_range", "value", NULL, NULL);
}

TEST(all_errors_of_a_node_are_reported_together)
{
    (void)state_;
    Json *report = report_of("{\"1\": {\"class_type\": \"Widgets\", \"inputs\": {\"i\": 11, \"f\": \"x\", \"c\": \"no\", "
                             "\"link\": [\"1\"], \"u\": -1}}" SHOW2,
                             false);
    assert_int_equal(cJSON_GetArraySize(errors_of(report, "1")), 5);
    assert_null(errors_of(report, "2")); /* a node downstream has no errors of its own */
    const cJSON *node = json_get(json_get(json_root(report), "node_errors"), "1");
    assert_string_equal(json_string(json_get(node, "class_type")), "Widgets");
    assert_string_equal(json_string(json_get(node, "dependent_outputs")->child), "2");
    const cJSON *whole = json_get(json_root(report), "error");
    assert_string_equal(json_string(json_get(whole, "type")), "prompt_outputs_failed_validation");
    assert_string_equal(json_string(json_get(whole, "details")), ""); /* only the outputs' own errors */
    json_free(report);
}

TEST(an_error_tells_its_byte_in_the_prompt)
{
    (void)state_;
    const char *prompt = widget("i", "99");
    Json *report = report_of(prompt, false);
    const cJSON *offset = json_get(json_get(find_error(report, "1", "value_bigger_than_max", "i"), "extra_info"), "offset");
    assert_int_equal((int)json_double(offset), (int)(strstr(prompt, "99") - prompt));
    json_free(report);
}

TEST(missing_inputs_are_listed_and_defaults_are_not_applied)
{
    (void)state_;
    expect_error("{\"1\": {\"class_type\": \"Int\", \"inputs\": {}}" SHOW2, "1", "required_input_missing", "value",
                 "Required input is missing", "value");
    expect_error("{\"1\": {\"class_type\": \"Int\"}" SHOW2, "1", "required_input_missing", "value", NULL, "value");
    expect_whole("{\"2\": {\"class_type\": \"Show\", \"inputs\": {}}}", "prompt_outputs_failed_validation",
                 "Prompt outputs failed validation", "Required input is missing: value");
}

TEST(the_first_missing_or_unknown_class_refuses_the_prompt)
{
    (void)state_;
    expect_whole(
        "{\"5\": {\"class_type\": \"NoB\", \"inputs\": {}}, \"3\": {\"class_type\": \"NoA\", \"inputs\": {\"x\": [\"5\", 0]}}, "
        "\"2\": {\"class_type\": \"Show\", \"inputs\": {\"value\": [\"3\", 0]}}}",
        "invalid_prompt", "Cannot execute because node NoB does not exist.", "Node ID '#5'");
    expect_whole("{\"1\": {\"inputs\": {}}, \"2\": {\"class_type\": \"Show\", \"inputs\": {\"value\": 1}}}", "invalid_prompt",
                 "Cannot execute because a node is missing the class_type property.", "Node ID '#1'");
    expect_whole("{\"1\": {\"class_type\": null}" SHOW2, "invalid_prompt", NULL, "Node ID '#1'");
    expect_whole("{\"1\": 5" SHOW2, "invalid_prompt", NULL, "Node ID '#1'");
    expect_whole("{\"1\": {\"class_type\": \"int\", \"inputs\": {\"value\": 1}}" SHOW2, "invalid_prompt",
                 "Cannot execute because node int does not exist.", NULL);
    expect_whole("{\"1\": {\"class_type\": \"Unbuilt\", \"inputs\": {\"value\": 1}}" SHOW2, "invalid_prompt", NULL,
                 "Node ID '#1': known, not built yet");
}

TEST(an_unknown_class_that_no_output_needs_is_a_warning)
{
    (void)state_;
    const char *prompt =
        "{\"1\": {\"class_type\": \"Int\", \"inputs\": {\"value\": 1}}, \"7\": {\"class_type\": \"Nope\", \"inputs\": {}}" SHOW2;
    expect_valid(prompt, 1);
    Json *report = report_of(prompt, false);
    assert_non_null(strstr(json_string(json_get(json_root(report), "warnings")->child), "Nope"));
    assert_string_equal(json_string(json_get(json_root(report), "warnings")->child->next), "1 of 3 nodes unknown: Nope");
    json_free(report);
}

TEST(unknown_classes_are_counted_and_the_nearest_is_named)
{
    (void)state_;
    Json *report = report_of("{\"1\": {\"class_type\": \"Sums\", \"inputs\": {}}" SHOW2, false);
    const cJSON *extra = json_get(json_get(json_root(report), "error"), "extra_info");
    assert_string_equal(json_string(json_get(extra, "nearest")), "Sum");
    assert_int_equal((int)json_double(json_get(extra, "unknown_count")), 1);
    assert_int_equal((int)json_double(json_get(extra, "node_count")), 2);
    json_free(report);
}

TEST(every_node_of_a_missing_class_is_named_each_class_once)
{
    (void)state_;
    Json *report = report_of(
        "{\"1\": {\"class_type\": \"Sums\", \"inputs\": {}}, \"3\": {\"class_type\": \"Sums\", \"inputs\": {}, \"_meta\": "
        "{\"title\": \"B\"}}, \"4\": {\"class_type\": \"Unbuilt\", \"inputs\": {}}" SHOW2,
        false);
    const cJSON *extra = json_get(json_get(json_root(report), "error"), "extra_info");
    assert_int_equal((int)json_double(json_get(extra, "unknown_count")), 3);
    assert_int_equal(cJSON_GetArraySize(json_get(extra, "unknown")), 2);
    const cJSON *node = json_get(extra, "unknown_nodes")->child;
    assert_string_equal(json_string(json_get(node, "nearest")), "Sum");
    node = node->next;
    assert_string_equal(json_string(json_get(node, "id")), "3");
    assert_string_equal(json_string(json_get(node, "title")), "B");
    assert_true(cJSON_IsTrue(json_get(node->next, "known")));
    json_free(report);
}

TEST(texts_that_are_no_prompt_are_reports_too)
{
    (void)state_;
    expect_whole("{\"1\": {\"class_type\": ", "invalid_json", NULL, NULL);
    expect_whole("[1, 2]", "invalid_prompt", NULL, NULL);
    expect_whole("5", "invalid_prompt", NULL, NULL);
    expect_whole("{}", "prompt_no_outputs", "Prompt has no outputs", "");
    expect_whole("{\"1\": {\"class_type\": \"Int\", \"inputs\": {\"value\": 1}}}", "prompt_no_outputs", NULL, "");
}

TEST(deep_json_is_refused_not_a_crash)
{
    (void)state_;
    enum { DEEP = 20000 };
    char *text = malloc(2 * DEEP + 200);
    size_t at = (size_t)sprintf(text, "{\"1\": {\"class_type\": \"Show\", \"inputs\": {\"value\": {\"__value__\": ");
    memset(text + at, '[', DEEP);
    memset(text + at + DEEP, ']', DEEP);
    strcpy(text + at + 2 * DEEP, "}}}}");
    expect_whole(text, "invalid_json", NULL, NULL);
    free(text);
}

TEST(cycles_are_found_and_named)
{
    (void)state_;
    static const char *const prompts[] = {"{\"1\": {\"class_type\": \"Add\", \"inputs\": {\"a\": [\"1\", 0], \"b\": 1}}" SHOW2,
                                          "{\"1\": {\"class_type\": \"Add\", \"inputs\": {\"a\": [\"3\", 0], \"b\": 1}}, \"3\": "
                                          "{\"class_type\": \"Add\", \"inputs\": {\"a\": 1, \"b\": [\"1\", 0]}}" SHOW2,
                                          "{\"1\": {\"class_type\": \"Add\", \"inputs\": {\"a\": 1, \"b\": [\"3\", 0]}}, \"3\": "
                                          "{\"class_type\": \"Add\", \"inputs\": {\"a\": [\"4\", 0], \"b\": 1}}, "
                                          "\"4\": {\"class_type\": \"Add\", \"inputs\": {\"a\": [\"3\", 0], \"b\": 1}}" SHOW2};
    for (size_t i = 0; i < sizeof prompts / sizeof *prompts; i++) {
        Json *report = report_of(prompts[i], false);
        const cJSON *nodes = json_get(json_root(report), "node_errors");
        assert_false(cJSON_IsTrue(json_get(json_root(report), "valid")));
        assert_int_equal(cJSON_GetArraySize(nodes), 1);
        const cJSON *error = json_get(nodes->child, "errors")->child;
        assert_string_equal(json_string(json_get(error, "type")), "dependency_cycle");
        assert_non_null(strstr(json_string(json_get(error, "details")), "→"));
        const cJSON *cycle = json_get(json_get(error, "extra_info"), "cycle");
        assert_int_equal(cJSON_GetArraySize(cycle), i ? 2 : 1);
        assert_non_null(strstr("1 3 4", json_string(cycle->child)));
        json_free(report);
    }
}

TEST(a_cycle_spoils_only_the_outputs_behind_it)
{
    (void)state_;
    expect_valid("{\"1\": {\"class_type\": \"Int\", \"inputs\": {\"value\": 1}}, \"3\": {\"class_type\": \"Add\", \"inputs\": "
                 "{\"a\": [\"4\", 0], \"b\": 1}}, "
                 "\"4\": {\"class_type\": \"Add\", \"inputs\": {\"a\": [\"3\", 0], \"b\": 1}}, \"5\": {\"class_type\": \"Show\", "
                 "\"inputs\": {\"value\": [\"4\", 0]}}" SHOW2,
                 1);
}

TEST(one_bad_output_does_not_stop_the_other)
{
    (void)state_;
    const char *prompt = "{\"1\": {\"class_type\": \"Int\", \"inputs\": {\"value\": 1}}, \"3\": {\"class_type\": \"Add\", "
                         "\"inputs\": {\"a\": 1}}, "
                         "\"4\": {\"class_type\": \"Show\", \"inputs\": {\"value\": [\"3\", 0]}}" SHOW2;
    expect_valid(prompt, 1);
    expect_error(prompt, "3", "required_input_missing", "b", NULL, NULL);
    Json *report = report_of(prompt, true);
    assert_false(cJSON_IsTrue(json_get(json_root(report), "valid"))); /* --strict refuses the whole */
    json_free(report);
}

TEST(nodes_that_no_output_needs_are_not_looked_at)
{
    (void)state_;
    expect_valid("{\"1\": {\"class_type\": \"Int\", \"inputs\": {\"value\": 1, \"foo\": [\"7\", 0], \"bar\": {\"x\": 1}}}, "
                 "\"7\": {\"class_type\": \"Int\", \"inputs\": {\"value\": \"x\"}}" SHOW2,
                 1);
}

TEST(ids_are_opaque)
{
    (void)state_;
    expect_valid("{\"a b\": {\"class_type\": \"Int\", \"inputs\": {\"value\": 1}}, \"12:3\": {\"class_type\": \"Add\", "
                 "\"inputs\": {\"a\": [\"a b\", 0], \"b\": 1}}, "
                 "\"é漢\": {\"class_type\": \"Show\", \"inputs\": {\"value\": [\"12:3\", 0]}}, "
                 "\"\": {\"class_type\": \"Show\", "
                 "\"inputs\": {\"value\": [\"a b\", 0]}}}",
                 2);
}

TEST(targets_choose_outputs)
{
    (void)state_;
#define TWO                                                                                                                      \
    "{\"prompt\": {\"1\": {\"class_type\": \"Int\", \"inputs\": {\"value\": 1}}, \"3\": {\"class_type\": \"Show\", \"inputs\": " \
    "{}}" SHOW2 ", \"partial_execution_targets\": "
    expect_valid(TWO "[\"2\"]}", 1);
    expect_valid(TWO "null}", 1);
    expect_whole(TWO "[]}", "prompt_no_outputs", NULL, "");
    expect_whole(TWO "[\"1\"]}", "prompt_no_outputs", NULL, "");
    expect_whole(TWO "[\"3\"]}", "prompt_outputs_failed_validation", NULL, NULL);
}

TEST(a_nodes_own_check_is_asked_last)
{
    (void)state_;
    expect_error("{\"1\": {\"class_type\": \"Check\", \"inputs\": {\"value\": 3}}" SHOW2, "1", "custom_validation_failed",
                 "value", "Custom validation failed for node", "value - is odd");
    expect_valid("{\"1\": {\"class_type\": \"Check\", \"inputs\": {\"value\": 4}}" SHOW2, 1);
}

TEST(strict_takes_no_other_types)
{
    (void)state_;
    static const char *const rows[][3] = {
        {"i", "\"7\"", "no text for a whole number"},
        {"i", "\" +7_0 \"", "no text for a whole number"},
        {"i", "7.9", "no number with a fraction for a whole number"},
        {"i", "7.0", "no number with a fraction for a whole number"},
        {"i", "true", "no true for a whole number"},
        {"i", "null", "no null for a whole number"},
        {"i", "{\"__value__\": [1]}", "no list for a whole number"},
        {"u", "\"7\"", "no text for a whole number"},
        {"u", "false", "no false for a whole number"},
        {"f", "\"2.5\"", "no text for a number"},
        {"f", "\"inf\"", "no text for a number"},
        {"f", "true", "no true for a number"},
        {"f", "null", "no null for a number"},
        {"s", "5", "no number for a text"},
        {"s", "true", "no true for a text"},
        {"s", "null", "no null for a text"},
        {"s", "{\"__value__\": [1, 2]}", "no list for a text"},
        {"s", "{\"a\": 1}", "no object for a text"},
        {"b", "1", "no number for true or false"},
        {"b", "0.5", "no number with a fraction for true or false"},
        {"b", "\"false\"", "no text for true or false"},
        {"b", "\"\"", "no text for true or false"},
        {"b", "null", "no null for true or false"},
        {"b", "{\"__value__\": []}", "no list for true or false"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Json *report = report_of(widget(rows[i][0], rows[i][1]), true);
        const cJSON *error = find_error(report, "1", "invalid_input_type", rows[i][0]);
        assert_non_null(strstr(json_string(json_get(error, "details")), rows[i][2]));
        json_free(report);
    }
    Json *report = report_of(widget("f", "1"), true);
    assert_true(cJSON_IsTrue(json_get(json_root(report), "valid")));
    json_free(report);
}

TEST(strict_takes_no_literal_where_only_a_link_can_bring_the_value)
{
    (void)state_;
    const char *prompt = "{\"1\": {\"class_type\": \"Width\", \"inputs\": {\"image\": 1}}" SHOW2;
    expect_valid(prompt, 1);
    Json *report = report_of(prompt, true);
    const cJSON *error = find_error(report, "1", "invalid_input_type", "image");
    assert_non_null(strstr(json_string(json_get(error, "details")), "that only a link can bring"));
    json_free(report);
}

TEST(errors_of_inputs_say_what_is_expected_and_what_was_given)
{
    (void)state_;
    static const char *const rows[][5] = {
        {"i", "99", "value_bigger_than_max", "99", "a whole number from"},
        {"u", "18446744073709551616", "value_bigger_than_max", "18446744073709551616",
         "a whole number from 0 to 18446744073709551615"},
        {"f", "\"x\"", "invalid_input_type", "\"x\"", "a number"},
        {"i", "[1]", "bad_linked_input", "[1]", "a whole number"},
        {"s", "[\"9\", 0]", "link_source_missing", "[\"9\",0]", "a text"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Json *report = report_of(widget(rows[i][0], rows[i][1]), false);
        const cJSON *extra = json_get(find_error(report, "1", rows[i][2], rows[i][0]), "extra_info");
        assert_string_equal(json_string(json_get(extra, "got")), rows[i][3]);
        assert_non_null(strstr(json_string(json_get(extra, "expected")), rows[i][4]));
        assert_int_equal((int)json_double(json_get(extra, "offset")),
                         (int)(strstr(widget(rows[i][0], rows[i][1]), rows[i][1]) - widget(rows[i][0], rows[i][1])));
        json_free(report);
    }
    Json *report = report_of("{\"1\": {\"class_type\": \"Int\", \"inputs\": {}, \"_meta\": {\"title\": \"Mine\"}}" SHOW2, false);
    const cJSON *extra = json_get(find_error(report, "1", "required_input_missing", "value"), "extra_info");
    assert_non_null(strstr(json_string(json_get(extra, "expected")), "a whole number"));
    assert_string_equal(json_string(json_get(json_get(json_get(json_root(report), "node_errors"), "1"), "title")), "Mine");
    json_free(report);
}

TEST(long_values_are_cut_between_letters)
{
    (void)state_;
    char text[400] = "\"";
    for (int i = 0; i < 60; i++) strcat(text, "äx");
    strcat(text, "\"");
    Json *report = report_of(widget("i", text), false);
    const char *got = json_string(json_get(json_get(find_error(report, "1", "invalid_input_type", "i"), "extra_info"), "got"));
    assert_true(strlen(got) < 110);
    assert_non_null(strstr(got, "…"));
    json_free(report); /* the report was parsed: it is UTF-8 */
}

TEST(a_link_to_an_input_that_is_not_there_is_warned_of)
{
    (void)state_;
    Json *report = report_of("{\"1\": {\"class_type\": \"Int\", \"inputs\": {\"value\": 1, \"valeu\": [\"9\", 0]}}" SHOW2, false);
    assert_true(cJSON_IsTrue(json_get(json_root(report), "valid")));
    assert_non_null(strstr(json_string(json_get(json_root(report), "warnings")->child), "no input \"valeu\""));
    json_free(report);
}

TEST(rare_conversions_are_warned_of)
{
    (void)state_;
    Json *report = report_of(widget("b", "\"false\""), false);
    assert_non_null(strstr(json_string(json_get(json_root(report), "warnings")->child), "without quotes"));
    json_free(report);
    report = report_of(widget("s", "null"), false);
    assert_non_null(strstr(json_string(json_get(json_root(report), "warnings")->child), "None"));
    json_free(report);
}

TEST(the_report_holds_no_nan)
{
    (void)state_;
    Json *report = report_of(widget("f", "NaN"), false);
    assert_true(
        cJSON_IsNull(json_get(json_get(find_error(report, "1", "invalid_input_type", "f"), "extra_info"), "received_value")));
    json_free(report);
}

TEST(files_must_exist)
{
    (void)state_;
    Json *report = report_of("{\"1\": {\"class_type\": \"File\", \"inputs\": {\"name\": \"none.png\"}}" SHOW2, false);
    const cJSON *error = find_error(report, "1", "custom_validation_failed", "name");
    assert_string_equal(json_string(json_get(error, "details")), "name - Invalid image file: none.png");
    json_free(report);
    report = report_of("{\"1\": {\"class_type\": \"Model\", \"inputs\": {\"name\": \"none.safetensors\"}}" SHOW2, false);
    error = find_error(report, "1", "value_not_in_list", "name");
    assert_non_null(strstr(json_string(json_get(json_get(error, "extra_info"), "searched")), "checkpoints"));
    json_free(report);
}

TEST(a_chain_of_100000_nodes_is_checked_without_recursion)
{
    (void)state_;
    enum { LONG = 100000 };
    Text text = {0};
    text_add(&text, "{\"0\": {\"class_type\": \"Int\", \"inputs\": {\"value\": 1}}");
    for (int i = 1; i < LONG; i++)
        text_format(&text, ", \"%d\": {\"class_type\": \"Add\", \"inputs\": {\"a\": [\"%d\", 0], \"b\": 1}}", i, i - 1);
    text_format(&text, ", \"out\": {\"class_type\": \"Show\", \"inputs\": {\"value\": [\"%d\", 0]}}}", LONG - 1);
    expect_valid(text_get(&text), 1);
    text_free(&text);
}

TEST(a_ring_of_100000_nodes_is_a_cycle)
{
    (void)state_;
    enum { LONG = 100000 };
    Text text = {0};
    text_add(&text, "{\"out\": {\"class_type\": \"Show\", \"inputs\": {\"value\": [\"0\", 0]}}");
    for (int i = 0; i < LONG; i++)
        text_format(&text, ", \"%d\": {\"class_type\": \"Add\", \"inputs\": {\"a\": [\"%d\", 0], \"b\": 1}}", i, (i + 1) % LONG);
    text_char(&text, '}');
    Json *report = report_of(text_get(&text), false);
    assert_int_equal(cJSON_GetArraySize(json_get(json_root(report), "node_errors")), 1);
    json_free(report);
    text_free(&text);
}

int main(void)
{
    const struct CMUnitTest cases[] = {CASE(integers_are_taken_as_python_takes_them),
                                       CASE(seeds_have_all_64_bits),
                                       CASE(floats_are_taken_as_python_takes_them),
                                       CASE(texts_take_everything_and_truth_too),
                                       CASE(a_wrong_option_is_named_with_the_list_and_the_nearest),
                                       CASE(links_are_checked_for_shape_source_slot_and_type),
                                       CASE(all_errors_of_a_node_are_reported_together),
                                       CASE(an_error_tells_its_byte_in_the_prompt),
                                       CASE(missing_inputs_are_listed_and_defaults_are_not_applied),
                                       CASE(the_first_missing_or_unknown_class_refuses_the_prompt),
                                       CASE(an_unknown_class_that_no_output_needs_is_a_warning),
                                       CASE(unknown_classes_are_counted_and_the_nearest_is_named),
                                       CASE(every_node_of_a_missing_class_is_named_each_class_once),
                                       CASE(strict_takes_no_literal_where_only_a_link_can_bring_the_value),
                                       CASE(errors_of_inputs_say_what_is_expected_and_what_was_given),
                                       CASE(long_values_are_cut_between_letters),
                                       CASE(texts_that_are_no_prompt_are_reports_too),
                                       CASE(deep_json_is_refused_not_a_crash),
                                       CASE(cycles_are_found_and_named),
                                       CASE(a_cycle_spoils_only_the_outputs_behind_it),
                                       CASE(one_bad_output_does_not_stop_the_other),
                                       CASE(nodes_that_no_output_needs_are_not_looked_at),
                                       CASE(ids_are_opaque),
                                       CASE(targets_choose_outputs),
                                       CASE(a_nodes_own_check_is_asked_last),
                                       CASE(strict_takes_no_other_types),
                                       CASE(a_link_to_an_input_that_is_not_there_is_warned_of),
                                       CASE(rare_conversions_are_warned_of),
                                       CASE(the_report_holds_no_nan),
                                       CASE(files_must_exist),
                                       CASE(a_chain_of_100000_nodes_is_checked_without_recursion),
                                       CASE(a_ring_of_100000_nodes_is_a_cycle)};
    return cmocka_run_group_tests(cases, open_engine, close_engine);
}
