/* test_known.c: every node of the catalogue has its table, built or only known, and it is the table that ComfyUI has; what is
 * only known is listed apart and never runs.
 *
 * One idea: tests/golden/node_tables.txt has a line a node; the table is written down in the same words and must be that line. */
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/graph/object_info.h"
#include "nodes/register.h"
#include "tests/support_graph.h"
#include "tests/test.h"
#include <inttypes.h>
#include <stdio.h>

/* ---- A table in the words of the catalogue ------------------------------------------------------------------------- */

static void put_int(Text *out, int64_t number)
{
    if (number == INT64_MAX || number == -INT64_MAX) text_add(out, number < 0 ? "-big" : "big");
    else text_format(out, "%" PRId64, number);
}

static void put_float(Text *out, double number)
{
    if (number > 9e18 || number < -9e18) text_add(out, number < 0 ? "-big" : "big");
    else text_format(out, "%.10g", number);
}

static void put_numbers(const NodusInput *input, Text *out)
{
    const bool whole = input->kind == NODUS_INT;
    const double step = whole ? (double)input->as.i.step : input->as.f.step, round = whole ? 0 : input->as.f.round;
    text_format(out, "%s(", input->type);
    if (whole) put_int(out, input->as.i.def);
    else put_float(out, input->as.f.def);
    if (whole && (input->as.i.min || input->as.i.max)) {
        text_add(out, "; ");
        put_int(out, input->as.i.min);
        text_add(out, "..");
        put_int(out, input->as.i.max);
    } else if (!whole && (input->as.f.min != 0 || input->as.f.max != 0)) {
        text_add(out, "; ");
        put_float(out, input->as.f.min);
        text_add(out, "..");
        put_float(out, input->as.f.max);
    }
    if (step > 0) text_format(out, "; step %.10g", step);
    if (round > 0) text_format(out, "; round %.10g", round);
    if (round < 0) text_add(out, "; round False");
    if (input->flags & NODUS_FORCE_INPUT) text_add(out, "; socket");
    if (input->flags & NODUS_CONTROL) text_add(out, "; ctl");
    text_char(out, ')');
}

static void put_seed(const NodusInput *input, Text *out)
{
    assert_true(input->as.u.max == UINT64_MAX);
    text_format(out, "INT(%" PRIu64 "; %" PRIu64 "..2^64-1%s)", input->as.u.def, input->as.u.min,
                input->flags & NODUS_CONTROL ? "; ctl" : "");
}

static void put_combo(const NodusInput *input, Text *out)
{
    const char *folder = input->as.c.folder, *const *names = input->as.c.names;
    if (!names) {
        text_format(out, "COMBO<%s>", *folder == '@' ? folder + 1 : folder);
        return;
    }
    for (int i = 0; names[i]; i++) text_format(out, "%c%s", i ? '|' : '{', names[i]);
    text_char(out, '}');
    if (input->as.c.def && strcmp(input->as.c.def, names[0])) text_format(out, "=%s", input->as.c.def);
}

static void put_string(const NodusInput *input, Text *out)
{
    text_format(out, "STRING%s", input->as.s.dynamic ? "(ml,dyn)" : input->as.s.multiline ? "(ml)" : "");
    if (input->as.s.def && *input->as.s.def) text_format(out, "=\"%s\"", input->as.s.def);
}

static void put_kind(const NodusInput *input, Text *out)
{
    switch (input->kind) {
    case NODUS_INT:
    case NODUS_FLOAT: put_numbers(input, out); break;
    case NODUS_SEED: put_seed(input, out); break;
    case NODUS_COMBO: put_combo(input, out); break;
    case NODUS_STRING: put_string(input, out); break;
    case NODUS_BOOLEAN: text_format(out, "BOOL=%s", input->as.b ? "true" : "false"); break;
    default: text_add(out, input->type);
    }
}

static void put_inputs(const NodusNode *node, bool hidden, bool optional, Text *out)
{
    const char *comma = "";
    for (uint32_t i = 0; i < node->input_count; i++) {
        const NodusInput *input = &node->inputs[i];
        if ((input->kind == NODUS_HIDDEN) != hidden || (!hidden && !(input->flags & NODUS_OPTIONAL) == optional)) continue;
        text_format(out, "%s%s", comma, input->name);
        comma = hidden ? ", " : "; ";
        if (hidden) continue;
        text_char(out, ' ');
        put_kind(input, out);
    }
}

static void put_flags(const NodusNode *node, Text *out)
{
    bool lists = false;
    for (uint32_t i = 0; i < node->output_count; i++) lists |= node->outputs[i].flags & NODUS_OUT_LIST;
    const struct {
        const char *word;
        bool set;
    } words[] = {{"OUTPUT", node->flags & NODUS_OUTPUT},
                 {"takes lists", node->flags & NODUS_TAKES_LISTS},
                 {"gives list", lists},
                 {"deprecated", node->flags & NODUS_DEPRECATED},
                 {"experimental", node->flags & NODUS_EXPERIMENTAL}};
    const char *comma = "";
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (!words[i].set) continue;
        text_format(out, "%s%s", comma, words[i].word);
        comma = ", ";
    }
}

/* class | title | category | flags | inputs | optional inputs | hidden inputs | outputs. Where ComfyUI has no title but the name
 * of the class (`untitled`), ours may be a better one. */
static void put_node(const NodusNode *node, bool untitled, Text *out)
{
    text_format(out, "%s | %s | %s | ", node->name, untitled ? node->name : node->title, node->category);
    put_flags(node, out);
    text_add(out, " | ");
    put_inputs(node, false, false, out);
    text_add(out, " | ");
    put_inputs(node, false, true, out);
    text_add(out, " | ");
    put_inputs(node, true, true, out);
    text_add(out, " | ");
    for (uint32_t i = 0; i < node->output_count; i++) {
        const NodusOutput *output = &node->outputs[i];
        text_format(out, "%s%s", i ? ", " : "", output->type);
        if (output->name && strcmp(output->name, output->type)) text_format(out, " %s", output->name);
    }
}

/* ---- Both lists ---------------------------------------------------------------------------------------------------- */

static const NodusNode *find_built(const char *name)
{
    for (const NodusNode *const *at = builtin_nodes; *at; at++)
        if (!strcmp((*at)->name, name)) return *at;
    return NULL;
}

static const NodusNode *find_known(const char *name)
{
    for (const NodusNode *const *list = known_nodes; *list; list++)
        for (const NodusNode *node = *list; node->name; node++)
            if (!strcmp(node->name, name)) return node;
    return NULL;
}

TEST(every_node_of_the_catalogue_has_its_table)
{
    uint8_t *data;
    size_t size;
    int lines = 0, wrong = 0;
    assert_ok(file_read("tests/golden/node_tables.txt", 1 << 20, &data, &size));
    for (char *rest = (char *)data, *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
        if (!*line || *line == '#') continue;
        char name[128], title[128];
        assert_int_equal(sscanf(line, "%127[^|]| %127[^|]", name, title), 2);
        const bool untitled = !strcmp(name, title);
        name[strlen(name) - 1] = '\0'; /* the blank before the | */
        const NodusNode *node = find_built(name);
        Text text = {0};
        if (!node) node = find_known(name);
        if (node) put_node(node, untitled, &text);
        if (!node || strcmp(text_get(&text), line)) {
            print_message("is      %s\nmust be %s\n", node ? text_get(&text) : "missing", line);
            wrong++;
        }
        text_free(&text);
        lines++;
    }
    memory_free(data);
    assert_int_equal(lines, 276);
    assert_int_equal(wrong, 0);
}

TEST(no_node_is_in_both_lists)
{
    int twice = 0;
    for (const NodusNode *const *list = known_nodes; *list; list++)
        for (const NodusNode *node = *list; node->name; node++) {
            if (find_known(node->name) != node) fail_msg("%s is known twice", node->name);
            if (!find_built(node->name)) continue;
            print_message("%s is built: its row in nodes/known/ goes\n", node->name);
            twice++;
        }
    assert_int_equal(twice, 0);
}

/* ---- Sound tables -------------------------------------------------------------------------------------------------- */

static bool default_is_within(const NodusInput *input)
{
    if (input->kind == NODUS_INT)
        return (!input->as.i.min && !input->as.i.max) ||
               (input->as.i.min < input->as.i.max && input->as.i.def >= input->as.i.min && input->as.i.def <= input->as.i.max);
    if (input->kind == NODUS_SEED) return input->as.u.def <= input->as.u.max;
    if (input->kind == NODUS_FLOAT)
        return input->as.f.min < input->as.f.max && input->as.f.def >= input->as.f.min && input->as.f.def <= input->as.f.max;
    if (input->kind != NODUS_COMBO || !input->as.c.names) return true;
    bool found = !input->as.c.def;
    for (int i = 0; input->as.c.names[i]; i++) found |= input->as.c.def && !strcmp(input->as.c.def, input->as.c.names[i]);
    return found && input->as.c.names[0];
}

static int rank_of(const NodusInput *input) /* required, optional, hidden: the order that converting relies on */
{
    return input->kind == NODUS_HIDDEN ? 2 : input->flags & NODUS_OPTIONAL ? 1 : 0;
}

static void check_table(const NodusNode *node)
{
    if (node->run || node->args_size) fail_msg("%s has a function or arguments", node->name);
    if (!node->help || !*node->help || node->help[strlen(node->help) - 1] != '.') fail_msg("%s lacks a help text", node->name);
    if (!*node->title || !*node->category) fail_msg("%s lacks a title or category", node->name);
    if (!node->output_count && !(node->flags & NODUS_OUTPUT)) fail_msg("%s neither gives nor shows anything", node->name);
    for (uint32_t i = 0; i < node->input_count; i++) {
        const NodusInput *input = &node->inputs[i];
        if (!default_is_within(input)) fail_msg("%s.%s: the default is not allowed", node->name, input->name);
        if (input->kind == NODUS_COMBO && !input->as.c.names && !input->as.c.folder)
            fail_msg("%s.%s: a combo of nothing", node->name, input->name);
        if (i && rank_of(input) < rank_of(input - 1)) fail_msg("%s.%s: out of order", node->name, input->name);
        for (uint32_t k = 0; k < i; k++)
            if (!strcmp(input->name, node->inputs[k].name)) fail_msg("%s has two inputs %s", node->name, input->name);
    }
}

TEST(known_tables_have_help_and_defaults_that_are_allowed)
{
    for (const NodusNode *const *list = known_nodes; *list; list++)
        for (const NodusNode *node = *list; node->name; node++) check_table(node);
}

/* ---- What clients and people see ----------------------------------------------------------------------------------- */

static NodusEngine *open_engine(void)
{
    const NodusEngineOptions options = {
        .struct_size = sizeof options, .threads = 1, .device = "ref", .base_directory = "/nonexistent/nodus"};
    NodusEngine *engine = NULL;
    NodusStatus status = nodus_engine_new(&options, &engine);
    if (status) fail_msg("%s", nodus_error_message(status));
    return engine;
}

static Json *definitions(NodusEngine *engine, bool all)
{
    char *text = NULL;
    Json *json = NULL;
    NodusStatus status = all ? nodus_engine_known_nodes(engine, &text) : nodus_engine_nodes(engine, NULL, &text);
    if (!status) status = json_parse(text, strlen(text), &json);
    if (status) fail_msg("%s", nodus_error_message(status));
    nodus_free(text);
    return json;
}

static int known_count(void)
{
    int count = 0;
    for (const NodusNode *const *list = known_nodes; *list; list++)
        for (const NodusNode *node = *list; node->name; node++) count += !find_built(node->name);
    return count;
}

TEST(clients_see_what_runs_and_on_request_what_is_known)
{
    NodusEngine *engine = open_engine();
    Json *built = definitions(engine, false), *all = definitions(engine, true);
    const char *before = "";
    int marked = 0;
    for (const cJSON *node = json_root(all)->child; node; node = node->next) {
        const bool runs = find_built(node->string) != NULL;
        assert_true(strcmp(before, node->string) < 0);
        before = node->string;
        marked += !runs;
        if (cJSON_IsFalse(json_get(node, "built")) == runs || (json_get(json_root(built), node->string) != NULL) != runs)
            fail_msg("%s is listed wrongly", node->string);
    }
    assert_int_equal(marked, known_count());
    json_free(built);
    json_free(all);
    nodus_engine_free(engine);
}

/* The options of an input, from the definition of one class. */
static const cJSON *options_of(const Json *json, const char *class, const char *input)
{
    const cJSON *found = json_get(json_get(json_get(json_get(json_root(json), class), "input"), "required"), input);
    if (!found) fail_msg("%s has no input %s", class, input);
    return found->child->next;
}

TEST(definitions_tell_all_that_a_client_draws)
{
    NodusEngine *engine = open_engine();
    Json *all = definitions(engine, true);
    const cJSON *text = options_of(all, "CLIPTextEncodeSDXL", "text_g"), *eta = options_of(all, "SamplerDPMPP_3M_SDE", "eta");
    assert_true(cJSON_IsTrue(json_get(text, "multiline")) && cJSON_IsTrue(json_get(text, "dynamicPrompts")));
    assert_true(cJSON_IsFalse(json_get(eta, "round")));
    assert_near(json_double(json_get(eta, "step")), 0.01, 0);
    assert_near(json_double(json_get(options_of(all, "KSampler", "cfg"), "round")), 0.01, 0);
    assert_true(cJSON_IsTrue(json_get(options_of(all, "RandomNoise", "noise_seed"), "control_after_generate")));
    assert_null(json_get(options_of(all, "TrainLoraNode", "seed"), "control_after_generate"));
    static const char *const pictures[] = {"LoadImage", "LoadImageMask", "LoadImageOutput"};
    for (int i = 0; i < 3; i++) assert_true(cJSON_IsTrue(json_get(options_of(all, pictures[i], "image"), "image_upload")));
    const cJSON *save = json_get(json_root(all), "SaveLoRANode");
    assert_true(
        cJSON_IsTrue(json_get(json_get(json_get(json_get(save, "input"), "optional"), "steps")->child->next, "forceInput")));
    assert_true(cJSON_IsTrue(json_get(save, "output_node")) && cJSON_IsTrue(json_get(save, "experimental")));
    assert_true(cJSON_IsTrue(json_get(json_get(json_root(all), "RebatchImages"), "output_is_list")->child));
    json_free(all);
    nodus_engine_free(engine);
}

/* ---- Checks -------------------------------------------------------------------------------------------------------- */

static Json *report_of(NodusEngine *engine, const char *prompt)
{
    char *json = toy_json(prompt), *text = NULL;
    bool valid;
    Json *report = NULL;
    NodusStatus status = run_check(engine, json, strlen(json), false, &text, &valid);
    if (!status) status = json_parse(text, strlen(text), &report);
    if (status) fail_msg("%s", nodus_error_message(status));
    memory_free(json);
    memory_free(text);
    return report;
}

TEST(a_node_that_is_only_known_is_refused_as_an_unknown_one_with_a_note)
{
    NodusEngine *engine;
    assert_ok(toy_engine(NULL, &engine));
    Json *report = report_of(engine, "1 Unbuilt; 2 Show value=@1");
    const cJSON *error = json_get(json_root(report), "error");
    assert_string_equal(json_string(json_get(error, "type")), "invalid_prompt");
    assert_string_equal(json_string(json_get(error, "details")), "Node ID '#1': known, not built yet");
    assert_null(json_get(json_get(error, "extra_info"), "nearest")); /* the name is right */
    json_free(report);
    engine_close(engine);
}

TEST(an_output_node_that_is_only_known_stops_no_other_output)
{
    static const NodusInput inputs[] = {{.name = "value", .type = "INT", .kind = NODUS_LINK}};
    static const NodusNode saver = {
        .struct_size = sizeof saver, .name = "Saver", .flags = NODUS_OUTPUT, .inputs = inputs, .input_count = 1};
    NodusEngine *engine;
    assert_ok(toy_engine(NULL, &engine));
    assert_ok(registry_add_node(engine->registry, &saver));
    Json *report = report_of(engine, "1 Int value=3; 2 Show value=@1; 3 Saver value=@1");
    assert_true(cJSON_IsTrue(json_get(json_root(report), "valid")));
    assert_int_equal(cJSON_GetArraySize(json_get(json_root(report), "outputs")), 1);
    json_free(report);
    report = report_of(engine, "1 Int value=3; 3 Saver value=@1"); /* alone, it is what is missing */
    assert_string_equal(json_string(json_get(json_get(json_root(report), "error"), "details")),
                        "Node ID '#3': known, not built yet");
    json_free(report);
    engine_close(engine);
}

TEST_MAIN(CASE(every_node_of_the_catalogue_has_its_table), CASE(no_node_is_in_both_lists),
          CASE(known_tables_have_help_and_defaults_that_are_allowed), CASE(clients_see_what_runs_and_on_request_what_is_known),
          CASE(definitions_tell_all_that_a_client_draws),
          CASE(a_node_that_is_only_known_is_refused_as_an_unknown_one_with_a_note),
          CASE(an_output_node_that_is_only_known_stops_no_other_output))
