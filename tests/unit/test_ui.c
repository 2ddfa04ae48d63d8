/* test_ui.c: workflows of the editor become prompts: values, links, what stands between, sub-graphs; and what is refused.
 *
 * Documents are written with ' instead of ". Nodes are the built-in ones; an engine without a model is enough. */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/formats/json.h"
#include "engine/graph/engine.h"
#include "engine/graph/ui.h"
#include "tests/test.h"
#include <nodus/nodus.h>
#include <stdio.h>
#include <stdlib.h>

static NodusEngine *engine;

static int open_engine(void **state)
{
    const NodusEngineOptions options = {
        .struct_size = sizeof options, .threads = 1, .device = "ref", .base_directory = "/nonexistent"};
    (void)state;
    NodusStatus status = nodus_engine_new(&options, &engine);
    if (status) fprintf(stderr, "%s\n", nodus_error_message(status));
    return status != NULL;
}

static int close_engine(void **state)
{
    (void)state;
    nodus_engine_free(engine);
    return 0;
}

/* ---- Words of these tests ------------------------------------------------------------------------------------------------ */

static char *quoted(const char *text)
{
    char *copy = memory_text(text);
    for (char *c = copy; *c; c++)
        if (*c == '\'') *c = '"';
    return copy;
}

static NodusStatus convert(const char *text, bool fill, char **prompt, char **warnings)
{
    char *json = quoted(text);
    const NodusConvertOptions options = {.struct_size = sizeof options, .fill_defaults = fill};
    NodusStatus status = nodus_convert(engine, json, strlen(json), &options, prompt, warnings);
    memory_free(json);
    return status;
}

static void expect_same_json(const cJSON *got, const cJSON *want, const char *where)
{
    Text a = {0}, b = {0};
    json_print(&a, got, false, false);
    json_print(&b, want, false, false);
    if (strcmp(text_get(&a), text_get(&b))) fail_msg("%s: %s instead of %s", where, text_get(&a), text_get(&b));
    text_free(&a);
    text_free(&b);
}

/* `want`: {'1': {…its inputs…}, …}; every node, every input, in any order of nodes. The warnings contain `warning`; NULL: there
 * are none. */
static void expect_prompt(const char *workflow, const char *want, const char *warning)
{
    char *prompt, *warnings, *wanted = quoted(want);
    Json *got_json, *want_json;
    NodusStatus status = convert(workflow, false, &prompt, &warnings);
    if (status) fail_msg("%s", nodus_error_message(status));
    if (warning ? !strstr(warnings, warning) : *warnings != '\0') fail_msg("warnings: %s", warnings);
    if (json_parse(prompt, strlen(prompt), &got_json) || json_parse(wanted, strlen(wanted), &want_json)) fail();
    const cJSON *got = json_root(got_json), *expected = json_root(want_json);
    if (cJSON_GetArraySize(got) != cJSON_GetArraySize(expected)) fail_msg("other nodes: %s", prompt);
    for (const cJSON *node = expected->child; node; node = node->next) {
        const cJSON *inputs = json_get(json_get(got, node->string), "inputs");
        if (!inputs) fail_msg("node %s is not there: %s", node->string, prompt);
        if (cJSON_GetArraySize(inputs) != cJSON_GetArraySize(node))
            fail_msg("node %s has other inputs: %s", node->string, prompt);
        for (const cJSON *input = node->child; input; input = input->next)
            expect_same_json(json_get(inputs, input->string), input, input->string);
    }
    json_free(got_json);
    json_free(want_json);
    nodus_free(prompt);
    nodus_free(warnings);
    memory_free(wanted);
}

static void expect_refused(const char *workflow, const char *message)
{
    char *prompt = NULL, *warnings = NULL;
    NodusStatus status = convert(workflow, false, &prompt, &warnings);
    if (!status) fail_msg("converted: %s", prompt);
    if (!strstr(nodus_error_message(status), message)) fail_msg("\"%s\" lacks \"%s\"", nodus_error_message(status), message);
    nodus_error_free(status);
}

#define EMPTY(id_, more_) "{'id': " #id_ ", 'type': 'EmptyImage', 'outputs': [{'name': 'IMAGE', 'type': 'IMAGE'}]" more_ "}"
#define INVERT(id_, link_, more_)                                                                           \
    "{'id': " #id_ ", 'type': 'ImageInvert', 'inputs': [{'name': 'image', 'type': 'IMAGE', 'link': " #link_ \
    "}], 'outputs': [{'type': 'IMAGE'}]" more_ "}"
#define SHOW(id_, link_) \
    "{'id': " #id_ ", 'type': 'PreviewImage', 'inputs': [{'name': 'images', 'type': 'IMAGE', 'link': " #link_ "}]}"
#define REROUTE(id_, link_)                                                                    \
    "{'id': " #id_ ", 'type': 'Reroute', 'inputs': [{'name': '', 'type': '*', 'link': " #link_ \
    "}], 'outputs': [{'type': 'IMAGE'}]}"
#define DEFAULTS "{'width': 512, 'height': 512, 'batch_size': 1, 'color': 0}"

/* ---- Values -------------------------------------------------------------------------------------------------------------- */

TEST(values_get_the_names_of_their_boxes)
{
    expect_prompt("{'nodes': [" EMPTY(1, ", 'widgets_values': [16, 24, 2, 255]") "], 'links': []}",
                  "{'1': {'width': 16, 'height': 24, 'batch_size': 2, 'color': 255}}", NULL);
}

TEST(control_words_are_never_sent_wherever_they_stand)
{
    expect_prompt(
        "{'nodes': [{'id': 1, 'type': 'KSampler', 'widgets_values': [42, 'randomize', 9, 2.5, 'euler', 'normal', 0.5]},"
        "{'id': 2, 'type': 'KSamplerAdvanced', 'widgets_values': ['enable', 7, true, 30, 5.5, 'euler', 'simple', 3, 99, "
        "'disable']}]}",
        "{'1': {'seed': 42, 'steps': 9, 'cfg': 2.5, 'sampler_name': 'euler', 'scheduler': 'normal', 'denoise': 0.5},"
        "'2': {'add_noise': 'enable', 'noise_seed': 7, 'steps': 30, 'cfg': 5.5, 'sampler_name': 'euler', 'scheduler': 'simple',"
        "'start_at_step': 3, 'end_at_step': 99, 'return_with_leftover_noise': 'disable'}}",
        NULL);
}

TEST(a_short_list_leaves_the_rest_at_their_defaults_and_a_long_one_is_cut)
{
    expect_prompt("{'nodes': [" EMPTY(1, "") ", " EMPTY(2, ", 'widgets_values': [9]") ", " EMPTY(
                      3, ", 'widgets_values': [1, 2, 3, 4, 5, 6]") "]}",
                  "{'1': " DEFAULTS ", '2': {'width': 9, 'height': 512, 'batch_size': 1, 'color': 0},"
                  "'3': {'width': 1, 'height': 2, 'batch_size': 3, 'color': 4}}",
                  NULL);
}

TEST(an_object_of_values_is_taken_by_name)
{
    expect_prompt("{'nodes': [" EMPTY(1, ", 'widgets_values': {'color': 7, 'width': 5, 'other': 1}") "]}",
                  "{'1': {'width': 5, 'height': 512, 'batch_size': 1, 'color': 7}}", NULL);
}

TEST(seeds_keep_all_their_bits)
{
    expect_prompt("{'nodes': [{'id': 1, 'type': 'RandomNoise', 'widgets_values': [18446744073709551615, 'fixed']}]}",
                  "{'1': {'noise_seed': 18446744073709551615}}", NULL);
}

TEST(a_list_is_wrapped_so_that_it_is_no_link)
{
    expect_prompt("{'nodes': [{'id': 1, 'type': 'PrimitiveString', 'widgets_values': [['2', 0]]}]}",
                  "{'1': {'value': {'__value__': ['2', 0]}}}", NULL);
}

TEST(old_names_of_classes_and_samplers_are_replaced)
{
    expect_prompt("{'nodes': [{'id': 1, 'type': 'KSampler', 'widgets_values': [1, 'fixed', 2, 3, 'sample_euler', 'normal', 1]},"
                  "{'id': 2, 'type': 'T2IAdapterLoader', 'widgets_values': ['a.pth']}]}",
                  "{'1': {'seed': 1, 'steps': 2, 'cfg': 3, 'sampler_name': 'euler', 'scheduler': 'normal', 'denoise': 1},"
                  "'2': {'control_net_name': 'a.pth'}}",
                  NULL);
}

TEST(a_choice_between_braces_is_sent_as_it_is_and_told)
{
    expect_prompt("{'nodes': [{'id': 1, 'type': 'CLIPTextEncode', 'widgets_values': ['a {red|blue} car']}]}",
                  "{'1': {'text': 'a {red|blue} car'}}", "choose one of");
}

/* A class that no built-in node is like: an optional box before the required ones, a forced socket, options with a filter, an
 * upload. */
typedef struct {
    const char *late, *text, *pick, *file;
    uint64_t seed;
    int64_t number;
} OddArgs;
static const char *const odd_names[] = {"a", "b", NULL};
static const NodusInput odd_inputs[] = {
    NODUS_FLAG_STRING(NODUS_OPTIONAL, "late", OddArgs, late, "", .def = "default"),
    NODUS_FLAG_SEED(NODUS_FORCE_INPUT, "seed", OddArgs, seed, "", .max = UINT64_MAX),
    NODUS_FLAG_COMBO(NODUS_CONTROL, "pick", OddArgs, pick, "", .names = odd_names),
    NODUS_FLAG_COMBO(NODUS_UPLOAD, "file", OddArgs, file, "", .folder = "input"),
    NODUS_FLAG_INT(NODUS_CONTROL, "number", OddArgs, number, "", .def = 3),
};
static const NodusOutput odd_outputs[] = {{"INT", "INT", "", 0}};
static const NodusNode odd_node = {NODUS_NODE("Odd", "Odd", "test", OddArgs, odd_inputs, odd_outputs), .help = "For tests."};

/* The inputs of the one node of a workflow, for a registry that has that class only. */
static void expect_odd(const char *values, const char *want)
{
    Registry *registry;
    Json *json, *wanted = NULL;
    Report report = {0};
    cJSON *prompt;
    Text text = {0};
    text_format(&text, "{'nodes': [{'id': 1, 'type': 'Odd', 'widgets_values': %s}]}", values);
    char *document = quoted(text_get(&text)), *expected = quoted(want);
    if (registry_new(&registry) || registry_add_node(registry, &odd_node) || !report_init(&report)) fail();
    if (json_parse(document, strlen(document), &json) || json_parse(expected, strlen(expected), &wanted)) fail();
    if (ui_convert(registry, NULL, json, json_root(json), &(UiOptions){0}, &report, &prompt)) fail();
    expect_same_json(json_get(prompt->child, "inputs"), json_root(wanted), values);
    cJSON_Delete(prompt);
    json_free(json);
    json_free(wanted);
    report_free(&report);
    registry_free(registry);
    memory_free(document);
    memory_free(expected);
    text_free(&text);
}

TEST(required_boxes_come_first_and_what_lies_between_is_never_sent)
{
    expect_odd("['b', 'fixed', 'filter', 'x.png', 9, 'randomize', 'last']",
               "{'pick': 'b', 'file': 'x.png', 'number': 9, 'late': 'last'}");
    expect_odd("['b', 'fixed', 'filter', 'x.png', 9, 'randomize']",
               "{'pick': 'b', 'file': 'x.png', 'number': 9, 'late': 'default'}");
    expect_odd("[]", "{'pick': 'a', 'number': 3, 'late': 'default'}"); /* no folder has a file */
}

TEST(values_that_old_editors_stored_for_forced_sockets_are_dropped)
{
    expect_odd("[77, 'fixed', 'b', 'fixed', 'filter', 'x.png', 9, 'randomize', 'last']",
               "{'pick': 'b', 'file': 'x.png', 'number': 9, 'late': 'last'}");
}

TEST(rows_of_loras_are_named_in_their_order)
{
    static const char want[] = "{'1': {'lora_1': {'on': true, 'lora': 'a', 'strength': 1, 'strengthTwo': null}, 'lora_2': {'on': false, 'lora': 'b'}}}";
    expect_prompt("{'nodes': [{'id': 1, 'type': 'Power Lora Loader (rgthree)', 'widgets_values': [null, {'type': 'PowerLoraLoaderHeaderWidget'}, "
                  "{'on': true, 'lora': 'a', 'strength': 1, 'strengthTwo': null}, {'on': false, 'lora': 'b'}, {'on': true, 'lora': null}, {}, '']}]}",
                  want, NULL);
    expect_prompt("{'nodes': [{'id': 1, 'type': 'Power Lora Loader (rgthree)', 'widgets_values': {'lora_1': "
                  "{'on': true, 'lora': 'a', 'strength': 1, 'strengthTwo': null}, 'lora_2': {'on': false, 'lora': 'b'}, 'other': {}}}]}",
                  want, NULL);
}

/* ---- Links --------------------------------------------------------------------------------------------------------------- */

TEST(links_of_both_versions_mean_the_same)
{
    static const char want[] = "{'1': " DEFAULTS ", '2': {'image': ['1', 0]}, '3': {'images': ['2', 0]}}";
    expect_prompt("{'version': 0.4, 'nodes': [" EMPTY(1, "") "," INVERT(2, 7, "") "," SHOW(
                      3, 8) "],"
                            "'links': [[7, 1, 0, 2, 0, 'IMAGE'], null, [8, 2, '0', 3, 0]]}",
                  want, NULL);
    expect_prompt("{'version': 1, 'nodes': [" EMPTY(1, "") "," INVERT(2, 7, "") "," SHOW(
                      3, 8) "], 'links': ["
                            "{'id': 7, 'origin_id': 1, 'origin_slot': 0, 'target_id': 2, 'target_slot': 0},"
                            "{'id': 8, 'origin_id': 2, 'origin_slot': 0, 'target_id': 3, 'target_slot': 0}]}",
                  want, NULL);
}

TEST(a_link_wins_over_the_box)
{
    expect_prompt(
        "{'nodes': [{'id': 1, 'type': 'PrimitiveInt', 'outputs': [{'type': 'INT'}], 'widgets_values': [32, 'fixed']},"
        "{'id': 2, 'type': 'EmptyImage', 'inputs': [{'name': 'height', 'type': 'INT', 'widget': {'name': 'height'}, 'link': 1}],"
        "'widgets_values': [64, 48, 1, 9]}], 'links': [[1, 1, 0, 2, 0, 'INT']]}",
        "{'1': {'value': 32}, '2': {'width': 64, 'height': ['1', 0], 'batch_size': 1, 'color': 9}}", NULL);
}

TEST(notes_are_dropped_and_reroutes_are_looked_through)
{
    expect_prompt("{'nodes': [" EMPTY(1, "") "," REROUTE(2, 1) "," REROUTE(3, 2) "," SHOW(
                      4, 3) ", {'id': 5, 'type': 'Note', 'widgets_values': ['x']},"
                            "{'id': 6, 'type': 'MarkdownNote'}], 'links': [[1, 1, 0, 2, 0], [2, 2, 0, 3, 0], [3, 3, 0, 4, 0]]}",
                  "{'1': " DEFAULTS ", '4': {'images': ['1', 0]}}", NULL);
}

TEST(a_primitive_node_puts_its_value_into_the_box_behind_it)
{
    expect_prompt(
        "{'nodes': [{'id': 1, 'type': 'PrimitiveNode', 'outputs': [{'type': 'INT'}], 'widgets_values': [96, 'fixed']},"
        "{'id': 2, 'type': 'EmptyImage', 'inputs': [{'name': 'width', 'type': 'INT', 'widget': {'name': 'width'}, 'link': 1}],"
        "'widgets_values': [5, 6, 1, 0]}], 'links': [[1, 1, 0, 2, 0, 'INT']]}",
        "{'2': {'width': 96, 'height': 6, 'batch_size': 1, 'color': 0}}", NULL);
}

TEST(a_muted_source_leaves_the_input_open)
{
    expect_prompt("{'nodes': [" EMPTY(1, "") "," INVERT(2, 1, ", 'mode': 2") "," SHOW(
                      3, 2) "], 'links': [[1, 1, 0, 2, 0], [2, 2, 0, 3, 0]]}",
                  "{'1': " DEFAULTS ", '3': {}}", NULL);
}

TEST(a_bypassed_node_hands_on_the_input_of_the_same_type)
{
    expect_prompt("{'nodes': [" EMPTY(
                      1, "") ",{'id': 2, 'type': 'Unheard', 'mode': 4, 'inputs': [{'name': 'm', 'type': 'MASK', 'link': null},"
                             "{'name': 'i', 'type': 'IMAGE', 'link': 1}], 'outputs': [{'type': 'IMAGE'}]}," SHOW(
                                 3, 2) "], 'links': [[1, 1, 0, 2, 1], [2, 2, 0, 3, 0]]}",
                  "{'1': " DEFAULTS ", '3': {'images': ['1', 0]}}", NULL);
}

TEST(behind_a_bypassed_source_the_box_counts_again)
{
    expect_prompt(
        "{'nodes': [{'id': 1, 'type': 'StringLength', 'mode': 4, 'outputs': [{'type': 'INT'}], 'widgets_values': ['x']},"
        "{'id': 2, 'type': 'EmptyImage', 'inputs': [{'name': 'width', 'type': 'INT', 'widget': {'name': 'width'}, 'link': 1}],"
        "'widgets_values': [5, 6, 1, 0]}], 'links': [[1, 1, 0, 2, 0, 'INT']]}",
        "{'2': {'width': 5, 'height': 6, 'batch_size': 1, 'color': 0}}", NULL);
}

TEST(set_and_get_nodes_are_looked_through)
{
    expect_prompt(
        "{'nodes': [" EMPTY(1, "") ",{'id': 2, 'type': 'SetNode', 'inputs': [{'name': 'IMAGE', 'type': 'IMAGE', 'link': 1}], "
                                   "'outputs': [{'type': '*'}],"
                                   "'widgets_values': ['base']}, {'id': 3, 'type': 'GetNode', 'outputs': [{'type': 'IMAGE'}], "
                                   "'widgets_values': ['base']}," SHOW(4, 2) "], 'links': [[1, 1, 0, 2, 0], [2, 3, 0, 4, 0]]}",
        "{'1': " DEFAULTS ", '4': {'images': ['1', 0]}}", NULL);
    expect_prompt("{'nodes': [{'id': 3, 'type': 'GetNode', 'outputs': [{'type': 'IMAGE'}], 'widgets_values': ['base']}," SHOW(
                      4, 2) "], 'links': [[2, 3, 0, 4, 0]]}",
                  "{'4': {}}", "nothing is stored under \"base\"");
}

TEST(absent_links_and_ends_leave_the_input_open_and_are_told)
{
    expect_prompt("{'nodes': [" SHOW(1, 5) "], 'links': []}", "{'1': {}}",
                  "node 1 (PreviewImage), input images: it names link 5");
    expect_prompt("{'nodes': [" SHOW(1, 5) "], 'links': [[5, 99, 0, 1, 0]]}", "{'1': {}}", "comes from nowhere");
    expect_prompt("{'nodes': [" SHOW(1, 5) ", 3, {'id': 2}], 'links': [[5, 1]]}", "{'1': {}}", "is left out");
}

/* ---- Sub-graphs ---------------------------------------------------------------------------------------------------------- */

#define INNER_NODES                                                                                                              \
    "'nodes': [" INVERT(                                                                                                         \
        1, 1,                                                                                                                    \
        "") ", {'id': 2, 'type': 'ImageScaleBy', 'inputs': [{'name': 'image', 'type': 'IMAGE', 'link': 2},"                      \
            "{'name': 'scale_by', 'type': 'FLOAT', 'widget': {'name': 'scale_by'}, 'link': 4}], 'outputs': [{'type': 'IMAGE'}]," \
            "'widgets_values': ['area', 0.5]}],"
#define INNER_LINKS                                                                              \
    "'links': [{'id': 1, 'origin_id': -10, 'origin_slot': 0, 'target_id': 1, 'target_slot': 0}," \
    "{'id': 2, 'origin_id': 1, 'origin_slot': 0, 'target_id': 2, 'target_slot': 0},"             \
    "{'id': 3, 'origin_id': 2, 'origin_slot': 0, 'target_id': -20, 'target_slot': 0},"           \
    "{'id': 4, 'origin_id': -10, 'origin_slot': 1, 'target_id': 2, 'target_slot': 1}]"
#define INNER                                                                                            \
    "{'id': 'abc', 'inputs': [{'name': 'image', 'linkIds': [1]}, {'name': 'scale_by', 'linkIds': [4]}]," \
    "'outputs': [{'name': 'IMAGE', 'linkIds': [3]}]," INNER_NODES INNER_LINKS "}"
#define INSTANCE(id_, link_, more_)                                                                 \
    "{'id': " #id_ ", 'type': 'abc', 'inputs': [{'name': 'image', 'type': 'IMAGE', 'link': " #link_ \
    "}], 'outputs': [{'type': 'IMAGE'}]" more_ "}"

TEST(sub_graphs_unfold_and_each_instance_has_its_own_values)
{
    expect_prompt(
        "{'nodes': [" EMPTY(1, "") "," INSTANCE(2, 1, ", 'widgets_values': [2.5]") "," INSTANCE(3, 2, "") "," SHOW(
            4, 3) "], 'links': [[1, 1, 0, 2, 0], [2, 2, 0, 3, 0], [3, 3, 0, 4, 0]], 'definitions': {'subgraphs': [" INNER "]}}",
        "{'1': " DEFAULTS ", '2:1': {'image': ['1', 0]}, '2:2': {'upscale_method': 'area', 'scale_by': 2.5, 'image': ['2:1', 0]},"
        "'3:1': {'image': ['2:2', 0]}, '3:2': {'upscale_method': 'area', 'scale_by': 0.5, 'image': ['3:1', 0]}, '4': {'images': "
        "['3:2', 0]}}",
        NULL);
}

TEST(a_promoted_box_that_is_linked_takes_the_link)
{
    expect_prompt(
        "{'nodes': [{'id': 9, 'type': 'PrimitiveFloat', 'outputs': [{'type': 'FLOAT'}], 'widgets_values': [3.5]},"
        "{'id': 2, 'type': 'abc', 'inputs': [{'name': 'image', 'type': 'IMAGE', 'link': null},"
        "{'name': 'scale_by', 'type': 'FLOAT', 'widget': {'name': 'scale_by'}, 'link': 1}], 'widgets_values': [2.5]}],"
        "'links': [[1, 9, 0, 2, 1]], 'definitions': {'subgraphs': [" INNER "]}}",
        "{'9': {'value': 3.5}, '2:1': {}, '2:2': {'upscale_method': 'area', 'scale_by': ['9', 0], 'image': ['2:1', 0]}}", NULL);
}

TEST(sub_graphs_lie_in_sub_graphs)
{
    expect_prompt("{'nodes': [" EMPTY(
                      1, "") ", {'id': 5, 'type': 'outer', 'inputs': [{'name': 'x', 'type': 'IMAGE', 'link': 1}], "
                             "'outputs': [{'type': 'IMAGE'}]}," SHOW(
                                 4, 2) "], 'links': [[1, 1, 0, 5, 0], [2, 5, 0, 4, 0]], 'definitions': {'subgraphs': "
                                       "[{'id': 'outer',"
                                       "'inputs': [{'name': 'x', 'linkIds': [1]}], 'outputs': [{'name': 'y', 'linkIds': "
                                       "[2]}], 'nodes': [" INSTANCE(
                                           7, 1, ", 'widgets_values': [4]") "],"
                                                                            "'links': [{'id': 1, 'origin_id': -10, "
                                                                            "'origin_slot': 0, 'target_id': 7, 'target_slot': 0},"
                                                                            "{'id': 2, 'origin_id': 7, 'origin_slot': 0, "
                                                                            "'target_id': -20, 'target_slot': 0}], "
                                                                            "'definitions': {'subgraphs': [" INNER "]}}]}}",
                  "{'1': " DEFAULTS
                  ", '5:7:1': {'image': ['1', 0]}, '5:7:2': {'upscale_method': 'area', 'scale_by': 4, 'image': ['5:7:1', 0]},"
                  "'4': {'images': ['5:7:2', 0]}}",
                  NULL);
}

TEST(a_bypassed_instance_hands_on_its_input)
{
    expect_prompt("{'nodes': [" EMPTY(1, "") "," INSTANCE(2, 1, ", 'mode': 4") "," SHOW(
                      4, 2) "], 'links': [[1, 1, 0, 2, 0], [2, 2, 0, 4, 0]],"
                            "'definitions': {'subgraphs': [{'id': 'abc', 'inputs': [{'name': 'image'}], 'outputs': [{'name': "
                            "'IMAGE'}], 'nodes': [], 'links': []}]}}",
                  "{'1': " DEFAULTS ", '4': {'images': ['1', 0]}}", NULL);
}

/* ---- What is refused ----------------------------------------------------------------------------------------------------- */

TEST(circles_end_in_an_error)
{
    expect_refused("{'nodes': [" REROUTE(1, 2) "," REROUTE(2, 1) "," SHOW(
                       3, 3) "], 'links': [[1, 1, 0, 2, 0], [2, 2, 0, 1, 0], [3, 2, 0, 3, 0]]}",
                   "node 3 (PreviewImage) is fed by itself");
    expect_refused("{'nodes': [" INVERT(1, 1, ", 'mode': 4") "," SHOW(3, 3) "], 'links': [[1, 1, 0, 1, 0], [3, 1, 0, 3, 0]]}",
                   "circle");
    expect_refused(
        "{'nodes': [{'id': 1, 'type': 'a'}], 'definitions': {'subgraphs': [{'id': 'a', 'nodes': [{'id': 1, 'type': 'b'}]},"
        "{'id': 'b', 'nodes': [{'id': 1, 'type': 'a'}]}]}}",
        "node 1:1:1 is a sub-graph that contains itself");
}

TEST(sub_graphs_that_multiply_are_refused)
{
    Text text = {0};
    text_add(&text, "{'nodes': [{'id': 1, 'type': 's0'}], 'definitions': {'subgraphs': [");
    for (int i = 0; i < 40; i++)
        text_format(&text, "%s{'id': 's%d', 'nodes': [{'id': 1, 'type': 's%d'}, {'id': 2, 'type': 's%d'}]}", i ? "," : "", i,
                    i + 1, i + 1);
    text_add(&text, "]}}");
    expect_refused(text_get(&text), "unfold to more than 64 MB");
    text_free(&text);
}

TEST(values_that_multiply_are_refused)
{
    enum { LONG = 1 << 20, TARGETS = 300 };
    Text text = {0};
    char *value = memory_alloc(LONG + 1);
    memset(value, 'x', LONG);
    text_format(&text, "{'nodes': [{'id': 1, 'type': 'PrimitiveNode', 'widgets_values': ['%s']}", value);
    for (int i = 2; i < TARGETS; i++)
        text_format(&text,
                    ", {'id': %d, 'type': 'CLIPTextEncode', 'inputs': [{'name': 'text', 'type': 'STRING', 'widget': {'name': "
                    "'text'}, 'link': %d}]}",
                    i, i);
    text_add(&text, "], 'links': [");
    for (int i = 2; i < TARGETS; i++) text_format(&text, "%s[%d, 1, 0, %d, 0]", i > 2 ? "," : "", i, i);
    text_add(&text, "]}");
    expect_refused(text_get(&text), "more than 256 MB");
    text_free(&text);
    memory_free(value);
}

TEST(group_nodes_and_everywhere_nodes_are_refused_by_name_unless_muted)
{
    expect_refused("{'nodes': [{'id': 1, 'type': 'workflow>Pair'}, {'id': 2, 'type': 'Anything Everywhere'}]}",
                   "node 1 (workflow>Pair), node 2 (Anything Everywhere) cannot be converted");
    expect_prompt("{'nodes': [{'id': 1, 'type': 'workflow/Pair', 'mode': 2}, {'id': 2, 'type': 'Seed Everywhere', 'mode': 4}]}",
                  "{}", NULL);
}

TEST(what_is_no_workflow_is_named)
{
    expect_refused("[1]", "it is no object of nodes");
    expect_refused("{'a': 1}", "\"a\" is no node of a prompt");
    expect_refused("{'nodes': [", "not valid JSON");
}

TEST(a_chain_of_20000_reroutes_converts)
{
    enum { LENGTH = 20000 };
    Text text = {0};
    text_add(&text, "{'nodes': [" EMPTY(0, ""));
    for (int i = 1; i <= LENGTH; i++)
        text_format(&text, ", {'id': %d, 'type': '%s', 'inputs': [{'name': 'images', 'type': 'IMAGE', 'link': %d}]}", i,
                    i < LENGTH ? "Reroute" : "PreviewImage", i);
    text_add(&text, "], 'links': [");
    for (int i = 1; i <= LENGTH; i++) text_format(&text, "%s[%d, %d, 0, %d, 0]", i > 1 ? "," : "", i, i - 1, i);
    text_add(&text, "]}");
    expect_prompt(text_get(&text), "{'0': " DEFAULTS ", '20000': {'images': ['0', 0]}}", NULL);
    text_free(&text);
}

/* ---- Unknown classes ------------------------------------------------------------------------------------------------------ */

TEST(unknown_classes_are_counted_and_named)
{
    expect_prompt(
        "{'nodes': [" EMPTY(
            1, "") ", {'id': 2, 'type': 'Foo', 'widgets_values': [1, 2]}, {'id': 3, 'type': 'Foo'}, {'id': 4, 'type': 'Bar'}]}",
        "{'1': " DEFAULTS ", '2': {}, '3': {}, '4': {}}", "3 of 4 nodes unknown: Foo, Bar\n");
    expect_prompt("{'nodes': [{'id': 2, 'type': 'Foo', 'widgets_values': [1, 2]}]}", "{'2': {}}",
                  "its 2 stored values have no name");
}

TEST(values_of_an_unknown_class_are_kept_where_the_file_names_them)
{
    expect_prompt(
        "{'nodes': [{'id': 2, 'type': 'Foo', 'inputs': [{'name': 'n', 'type': 'INT', 'widget': {'name': 'n'}, 'link': null},"
        "{'name': 's', 'type': 'STRING', 'widget': {'name': 's'}, 'link': null}], 'widgets_values': [1, 'randomize', 'x']},"
        "{'id': 3, 'type': 'Foo', 'widgets_values': {'n': 4}}]}",
        "{'2': {'n': 1, 's': 'x'}, '3': {'n': 4}}", "2 of 2 nodes unknown: Foo");
}

/* ---- The result as a text ------------------------------------------------------------------------------------------------ */

static const char plain[] = "{'nodes': [" SHOW(3, 8) "," INVERT(2, 7, ", 'title': 'turn'") "," EMPTY(
    1, "") "],"
           "'links': [[8, 2, 0, 3, 0], [7, 1, 0, 2, 0]]}";

TEST(the_text_is_the_same_each_time_and_sources_come_first)
{
    static const char want[] =
        "{'1': {'inputs': {'width': 512,'height': 512,'batch_size': 1,'color': 0},'class_type': 'EmptyImage',";
    char *prompt[2], *warnings[2], *flat = memory_alloc(4096), *to = flat, *wanted = quoted(want);
    for (int i = 0; i < 2; i++) assert_ok(convert(plain, false, &prompt[i], &warnings[i]));
    assert_string_equal(prompt[0], prompt[1]);
    for (const char *c = prompt[0]; *c; c++) { /* without line feeds and what indents the lines */
        if (*c != '\n') *to++ = *c;
        else
            while (c[1] == ' ') c++;
    }
    if (strncmp(flat, wanted, strlen(wanted))) fail_msg("%s", flat);
    assert_non_null(strstr(flat, "\"title\": \"turn\""));
    for (int i = 0; i < 2; i++) {
        nodus_free(prompt[i]);
        nodus_free(warnings[i]);
    }
    memory_free(flat);
    memory_free(wanted);
}

TEST(the_order_of_nodes_in_the_file_changes_no_node)
{
    static const char want[] = "{'1': " DEFAULTS ", '2': {'image': ['1', 0]}, '3': {'images': ['2', 0]}}";
    expect_prompt(plain, want, NULL);
    expect_prompt(
        "{'nodes': [" EMPTY(1, "") "," INVERT(2, 7, "") "," SHOW(3, 8) "], 'links': [[7, 1, 0, 2, 0], [8, 2, 0, 3, 0]]}", want,
        NULL);
}

TEST(a_prompt_stays_what_it_is_and_can_be_filled)
{
    char *prompt, *warnings, *again, *more;
    assert_ok(convert("{'prompt': {'1': {'class_type': 'EmptyImage', 'inputs': {'width': 8}}}, 'extra_data': {}}", false, &prompt,
                      &warnings));
    assert_non_null(strstr(prompt, "\"width\": 8\n"));
    assert_null(strstr(prompt, "height"));
    assert_ok(convert(prompt, true, &again, &more));
    assert_non_null(strstr(again, "\"width\": 8,\n      \"height\": 512,"));
    char *const texts[] = {prompt, warnings, again, more};
    for (size_t i = 0; i < 4; i++) nodus_free(texts[i]);
}

/* ---- Runs and checks ------------------------------------------------------------------------------------------------------ */

TEST(a_check_takes_a_workflow_and_errors_name_its_bytes)
{
    char *report, *json = quoted("{'nodes': [{'id': 1, 'type': 'EmptyImage', 'widgets_values': ['wide', 2, 3, 4]}," SHOW(
                      3, 1) "], 'links': [[1, 1, 0, 3, 0]]}");
    bool valid;
    Json *parsed;
    assert_ok(nodus_engine_check(engine, json, strlen(json), false, &report, &valid));
    assert_false(valid);
    assert_ok(json_parse(report, strlen(report), &parsed));
    const cJSON *errors = json_get(json_get(json_get(json_root(parsed), "node_errors"), "1"), "errors");
    const cJSON *offset = json_get(json_get(errors->child, "extra_info"), "offset");
    assert_int_equal((int)json_double(offset), (int)(strstr(json, "\"wide\"") - json));
    json_free(parsed);
    nodus_free(report);
    memory_free(json);
}

TEST(a_check_of_what_cannot_be_converted_says_so)
{
    char *report, *json = quoted("{'nodes': [{'id': 1, 'type': 'workflow>Pair'}]}");
    bool valid;
    assert_ok(nodus_engine_check(engine, json, strlen(json), false, &report, &valid));
    assert_false(valid);
    assert_non_null(strstr(report, "node 1 (workflow>Pair) cannot be converted"));
    nodus_free(report);
    memory_free(json);
}

static void listen(void *user, const NodusEvent *event)
{
    if (event->ui_json) snprintf(user, 256, "%s", event->ui_json);
}

TEST(a_run_takes_a_workflow)
{
    char shown[256] = "";
    char *json = quoted(
        "{'nodes': [{'id': 1, 'type': 'PrimitiveInt', 'outputs': [{'type': 'INT'}], 'widgets_values': [21, 'fixed']},"
        "{'id': 2, 'type': 'PreviewAny', 'inputs': [{'name': 'source', 'type': '*', 'link': 1}]}], 'links': [[1, 1, 0, 2, 0]]}");
    const NodusRunOptions options = {.struct_size = sizeof options, .event = listen, .user = shown};
    NodusRun *run;
    assert_ok(nodus_run_new(engine, json, strlen(json), &options, &run));
    assert_int_equal(nodus_run_execute(run), NODUS_SUCCESS);
    nodus_run_free(run);
    assert_non_null(strstr(shown, "21"));
    memory_free(json);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(values_get_the_names_of_their_boxes),
        CASE(control_words_are_never_sent_wherever_they_stand),
        CASE(a_short_list_leaves_the_rest_at_their_defaults_and_a_long_one_is_cut),
        CASE(an_object_of_values_is_taken_by_name),
        CASE(seeds_keep_all_their_bits),
        CASE(a_list_is_wrapped_so_that_it_is_no_link),
        CASE(old_names_of_classes_and_samplers_are_replaced),
        CASE(a_choice_between_braces_is_sent_as_it_is_and_told),
        CASE(required_boxes_come_first_and_what_lies_between_is_never_sent),
        CASE(values_that_old_editors_stored_for_forced_sockets_are_dropped),
        CASE(rows_of_loras_are_named_in_their_order),
        CASE(links_of_both_versions_mean_the_same),
        CASE(a_link_wins_over_the_box),
        CASE(notes_are_dropped_and_reroutes_are_looked_through),
        CASE(a_primitive_node_puts_its_value_into_the_box_behind_it),
        CASE(a_muted_source_leaves_the_input_open),
        CASE(a_bypassed_node_hands_on_the_input_of_the_same_type),
        CASE(behind_a_bypassed_source_the_box_counts_again),
        CASE(set_and_get_nodes_are_looked_through),
        CASE(absent_links_and_ends_leave_the_input_open_and_are_told),
        CASE(sub_graphs_unfold_and_each_instance_has_its_own_values),
        CASE(a_promoted_box_that_is_linked_takes_the_link),
        CASE(sub_graphs_lie_in_sub_graphs),
        CASE(a_bypassed_instance_hands_on_its_input),
        CASE(circles_end_in_an_error),
        CASE(sub_graphs_that_multiply_are_refused),
        CASE(values_that_multiply_are_refused),
        CASE(group_nodes_and_everywhere_nodes_are_refused_by_name_unless_muted),
        CASE(what_is_no_workflow_is_named),
        CASE(a_chain_of_20000_reroutes_converts),
        CASE(unknown_classes_are_counted_and_named),
        CASE(values_of_an_unknown_class_are_kept_where_the_file_names_them),
        CASE(the_text_is_the_same_each_time_and_sources_come_first),
        CASE(the_order_of_nodes_in_the_file_changes_no_node),
        CASE(a_prompt_stays_what_it_is_and_can_be_filled),
        CASE(a_check_takes_a_workflow_and_errors_name_its_bytes),
        CASE(a_check_of_what_cannot_be_converted_says_so),
        CASE(a_run_takes_a_workflow),
    };
    return cmocka_run_group_tests(cases, open_engine, close_engine);
}
