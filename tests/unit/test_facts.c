/* test_facts.c: what is known before a run: how facts flow, when a node is not asked, and that only what certainly fails is
 * refused. The nodes of this file know sizes only; those of the library are tested with the demo model. */
#include "engine/base/memory.h"
#include "engine/formats/json.h"
#include "engine/graph/facts.h"
#include "engine/graph/run.h"
#include "tests/support_lab.h"
#include "tests/test.h"
#include <stdio.h>
#include <stdlib.h>

static Lab lab;

/* ---- Nodes that know sizes ----------------------------------------------------------------------------------------- */

typedef struct {
    int64_t width, height;
    uint64_t seed;
} CanvasArgs;
typedef struct {
    const NodusTensor *a, *b;
} PairArgs;
typedef struct {
    const NodusTensor *first, *second;
} EitherArgs;

static NodusStatus run_canvas(NodusCall *call, const void *args)
{
    const CanvasArgs *in = args;
    NodusTensor *out;
    NODUS_TRY(nodus_tensor_fill(nodus_math(call), &out, 3, (int64_t[]){1, in->height, in->width}, 0));
    return nodus_emit_tensor(call, 0, "MASK", out);
}

static NodusStatus infer_canvas(NodusCall *call, const void *args, const NodusFacts *facts, NodusFacts *out)
{
    const CanvasArgs *in = args;
    (void)call;
    (void)facts;
    out[0].rank = 3;
    out[0].dim[0] = 1;
    out[0].dim[1] = in->height;
    out[0].dim[2] = in->width;
    if (in->width == 13) return nodus_error(NODUS_ERROR_FILE, "a file is broken");
    return in->width == 666 ? nodus_error(NODUS_ERROR_MEMORY, "out of memory") : NULL;
}

static const NodusInput canvas_inputs[] = {
    NODUS_IN_INT("width", CanvasArgs, width, "Width.", .def = 7, .min = 1, .max = 1000),
    NODUS_IN_INT("height", CanvasArgs, height, "Height.", .def = 7, .min = 1, .max = 1000),
    NODUS_FLAG_SEED(NODUS_OPTIONAL, "seed", CanvasArgs, seed, "Seed.", .max = UINT64_MAX),
};
static const NodusOutput mask_outputs[] = {{.name = "MASK", .type = "MASK", .tooltip = "A mask."}};
static const NodusNode node_canvas = {NODUS_NODE("Canvas", "Canvas", "test", CanvasArgs, canvas_inputs, mask_outputs),
                                      .run = run_canvas, .infer = infer_canvas};

/* Two masks of one width: the first goes on. */
static NodusStatus run_pair(NodusCall *call, const void *args)
{
    const PairArgs *in = args;
    if (nodus_tensor_dim(in->a, 2) != nodus_tensor_dim(in->b, 2)) return nodus_input_error(call, "b", "has another width");
    return nodus_emit_tensor(call, 0, "MASK", in->a);
}

static NodusStatus infer_pair(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    const PairArgs *given = args;
    if (given->a || given->b) return nodus_error(NODUS_ERROR_INTERNAL, "a socket has a value before the run");
    if (in[0].dim[2] && in[1].dim[2] && in[0].dim[2] != in[1].dim[2])
        return nodus_input_error(call, "b", "is %d wide, a is %d", (int)in[1].dim[2], (int)in[0].dim[2]);
    out[0] = in[0];
    return NULL;
}

static NodusStatus cost_pair(NodusCall *call, const void *args, const NodusFacts *in, NodusCost *out)
{
    (void)call;
    (void)args;
    out->work = (size_t)(in[0].dim[1] * in[0].dim[2]);
    return NULL;
}

static const NodusInput pair_inputs[] = {
    NODUS_IN_LINK("a", PairArgs, a, "MASK", "A mask."),
    NODUS_FLAG_LINK(NODUS_OPTIONAL, "b", PairArgs, b, "MASK", "Another."),
};
static const NodusNode node_pair = {NODUS_NODE("Pair", "Pair", "test", PairArgs, pair_inputs, mask_outputs), .run = run_pair,
                                    .infer = infer_pair, .cost = cost_pair};

/* Takes the first of two masks; never asks for the second. */
static NodusStatus run_either(NodusCall *call, const void *args)
{
    const EitherArgs *in = args;
    return nodus_emit_tensor(call, 0, "MASK", in->first);
}

static NodusStatus wants_either(NodusCall *call, const void *args, uint64_t *inputs)
{
    const EitherArgs *in = args;
    (void)call;
    *inputs = in->first ? 0 : 1;
    return NULL;
}

static const NodusInput either_inputs[] = {
    NODUS_FLAG_LINK(NODUS_LAZY, "first", EitherArgs, first, "MASK", "Taken."),
    NODUS_FLAG_LINK(NODUS_LAZY, "second", EitherArgs, second, "MASK", "Not taken."),
};
static const NodusNode node_either = {NODUS_NODE("Either", "Either", "test", EitherArgs, either_inputs, mask_outputs),
                                      .run = run_either, .wants = wants_either};

/* A number that only the run knows. */
static NodusStatus run_late(NodusCall *call, const void *args)
{
    (void)args;
    return nodus_emit_int(call, 0, 9);
}
static const NodusOutput int_outputs[] = {{.name = "INT", .type = "INT", .tooltip = "A number."}};
static const NodusNode node_late = {.struct_size = sizeof(NodusNode),
                                    .name = "Late",
                                    .title = "Late",
                                    .category = "test",
                                    .outputs = int_outputs,
                                    .output_count = 1,
                                    .args_size = 1,
                                    .run = run_late};

static const NodusNode *const nodes[] = {&node_canvas, &node_pair, &node_either, &node_late, NULL};

LAB_FIXTURE(lab_open(&lab, nodes))

/* ---- Looking ------------------------------------------------------------------------------------------------------- */

#define NODE(id_, class_, inputs_) "\"" id_ "\": {\"class_type\": \"" class_ "\", \"inputs\": {" inputs_ "}}"
#define CANVAS(id_, width_)        NODE(id_, "Canvas", "\"width\": " width_ ", \"height\": 5")
#define PAIR(id_, a_, b_)          NODE(id_, "Pair", "\"a\": [\"" a_ "\", 0], \"b\": [\"" b_ "\", 0]")
#define SHOW(id_)                  NODE("S", "MaskPreview", "\"mask\": [\"" id_ "\", 0]")

static NodusRun *open_run(const char *json)
{
    NodusRun *run = NULL;
    const NodusRunOptions options = {.struct_size = sizeof options};
    NodusStatus status = run_new(lab.engine, json, strlen(json), &options, &run);
    if (status) fail_msg("%s", nodus_error_message(status));
    return run;
}

static const NodusFacts *output_of(const NodusRun *run, const char *node, uint32_t slot)
{
    return facts_output(run->workflow->facts, workflow_find(run->workflow, node), slot);
}

/* "" when the run is valid, else the details of the only error of `node`. */
static const char *refusal(const NodusRun *run, const char *node)
{
    if (!run->report.error) return "";
    for (const ReportNode *entry = run->report.first; entry; entry = entry->next)
        if (!strcmp(entry->id, node)) return entry->first == entry->last ? entry->first->details : "several";
    return "another node";
}

static void expect(const char *json, const char *node, const char *details)
{
    NodusRun *run = open_run(json);
    assert_string_equal(refusal(run, node), details);
    run_free(run);
}

/* ---- The flow ------------------------------------------------------------------------------------------------------ */

TEST(facts_flow_along_links)
{
    (void)state_;
    NodusRun *run = open_run("{" CANVAS("1", "4") ", " PAIR("2", "1", "1") ", " SHOW("2") "}");
    const int32_t pair = workflow_find(run->workflow, "2");
    assert_int_equal(output_of(run, "2", 0)->rank, 3);
    assert_int_equal(output_of(run, "2", 0)->dim[2], 4);
    assert_int_equal(facts_input(run->workflow->facts, pair, 0)->dim[1], 5);
    assert_int_equal(facts_input(run->workflow->facts, pair, 0)[1].dim[2], 4); /* an array */
    run_free(run);
}

TEST(what_is_not_linked_is_told_apart_from_what_is_not_known)
{
    (void)state_;
    NodusRun *run = open_run("{" NODE("1", "Either", "\"first\": [\"0\", 0], \"second\": [\"0\", 0]") ", " CANVAS(
        "0", "4") ", " NODE("2", "Pair", "\"a\": [\"1\", 0]") ", " SHOW("2") "}");
    const NodusFacts *in = facts_input(run->workflow->facts, workflow_find(run->workflow, "2"), 0);
    assert_int_equal(in[0].struct_size, sizeof *in);
    assert_int_equal(in[0].rank, 0);
    assert_int_equal(in[1].struct_size, 0);
    run_free(run);
}

TEST(what_cannot_fit_is_an_error_of_its_node_before_anything_runs)
{
    (void)state_;
    expect("{" CANVAS("1", "4") ", " CANVAS("2", "6") ", " PAIR("3", "1", "2") ", " SHOW("3") "}", "3", "b - is 6 wide, a is 4");
    expect("{" CANVAS("1", "4") ", " CANVAS("2", "4") ", " PAIR("3", "1", "2") ", " SHOW("3") "}", "3", "");
}

TEST(only_the_outputs_that_depend_on_it_are_refused)
{
    (void)state_;
    NodusRun *run = open_run("{" CANVAS("1", "4") ", " CANVAS("2", "6") ", " PAIR("3", "1", "2") ", " SHOW("3") ", " NODE(
        "G", "MaskPreview", "\"mask\": [\"1\", 0]") "}");
    assert_null(run->report.error);
    assert_int_equal(run->report.output_count, 1);
    assert_string_equal(run->report.outputs[0], "G");
    assert_string_equal(run->report.first->dependent[0], "S");
    run_free(run);
}

TEST(a_linked_primitive_is_known)
{
    (void)state_;
    expect("{" NODE("n", "PrimitiveInt", "\"value\": 6") ", " CANVAS("1", "4") ", " CANVAS("2", "[\"n\", 0]") ", " PAIR(
               "3", "1", "2") ", " SHOW("3") "}",
           "3", "b - is 6 wide, a is 4");
}

TEST(a_number_that_only_the_run_knows_leaves_the_facts_open)
{
    (void)state_;
    NodusRun *run = open_run("{" NODE("n", "Late", "") ", " CANVAS("1", "4") ", " CANVAS("2", "[\"n\", 0]") ", " PAIR(
        "3", "1", "2") ", " SHOW("3") "}");
    assert_string_equal(refusal(run, "3"), "");
    assert_int_equal(output_of(run, "2", 0)->rank, 0); /* and not the default of the width */
    run_free(run);
}

TEST(a_linked_seed_changes_no_facts)
{
    (void)state_;
    NodusRun *run = open_run("{" NODE("n", "Late", "") ", " NODE(
        "1", "Canvas", "\"width\": 4, \"height\": 5, \"seed\": [\"n\", 0]") ", " SHOW("1") "}");
    assert_int_equal(output_of(run, "1", 0)->dim[2], 4);
    run_free(run);
}

TEST(what_only_a_lazy_input_would_ask_for_is_left_to_the_run)
{
    (void)state_;
    const char *json = "{" CANVAS("1", "4") ", " CANVAS("2", "6") ", " PAIR("3", "1", "2") ", " NODE(
        "4", "Either", "\"first\": [\"1\", 0], \"second\": [\"3\", 0]") ", " SHOW("4") "}";
    expect(json, "3", "");
    assert_int_equal(lab_run(&lab, json), NODUS_SUCCESS);
}

TEST(a_broken_file_is_left_to_the_run)
{
    (void)state_;
    NodusRun *run = open_run("{" CANVAS("1", "13") ", " SHOW("1") "}");
    assert_string_equal(refusal(run, "1"), "");
    assert_int_equal(output_of(run, "1", 0)->rank, 0);
    run_free(run);
}

TEST(a_literal_on_a_socket_is_left_to_the_run)
{
    (void)state_;
    const char *json = "{" NODE("1", "Pair", "\"a\": 1") ", " SHOW("1") "}";
    expect(json, "1", "");
    assert_int_equal(lab_run(&lab, json), NODUS_FAILED);
}

TEST(lack_of_memory_is_no_verdict)
{
    (void)state_;
    NodusRun *run = NULL;
    const char *json = "{" CANVAS("1", "666") ", " SHOW("1") "}";
    const NodusRunOptions options = {.struct_size = sizeof options};
    assert_error(run_new(lab.engine, json, strlen(json), &options, &run), "out of memory");
}

TEST(the_cost_of_a_node_is_asked_with_its_facts)
{
    NodusRun *run = open_run("{" CANVAS("1", "4") ", " PAIR("2", "1", "1") ", " SHOW("2") "}");
    NodusCost cost;
    assert_ok(facts_cost(run->workflow->facts, lab.engine, run->workflow, workflow_find(run->workflow, "2"), &cost));
    assert_int_equal(cost.work, 20);
    assert_ok(facts_cost(run->workflow->facts, lab.engine, run->workflow, workflow_find(run->workflow, "1"), &cost));
    assert_int_equal(cost.work, 0);
    run_free(run);
}

TEST(a_chain_of_100000_nodes_is_inferred_without_recursion)
{
    (void)state_;
    enum { LONG = 100000 };
    char *json = malloc(LONG * 80 + 400), *at = json + sprintf(json, "{" CANVAS("0", "4"));
    for (int i = LONG; i > 0; i--) /* readers first: the order must come from the links */
        at += sprintf(at, ", \"%d\": {\"class_type\": \"Pair\", \"inputs\": {\"a\": [\"%d\", 0]}}", i, i - 1);
    sprintf(at, ", " NODE("S", "MaskPreview", "\"mask\": [\"%d\", 0]") "}", LONG);
    NodusRun *run = open_run(json);
    assert_int_equal(output_of(run, "100000", 0)->dim[2], 4);
    run_free(run);
    free(json);
}

/* ---- The nodes of the library -------------------------------------------------------------------------------------- */

#define DEMO_LOADER NODE("1", "CheckpointLoaderSimple", "\"ckpt_name\": \"shapes-sd1.safetensors\"")
#define WORDS(id_)  NODE(id_, "CLIPTextEncode", "\"text\": \"x\", \"clip\": [\"1\", 1]")
#define EMPTY       NODE("4", "EmptyLatentImage", "\"width\": 64, \"height\": 96, \"batch_size\": 2")
#define SAMPLER                                                                                                       \
    NODE("5", "KSampler",                                                                                             \
         "\"model\": [\"1\", 0], \"seed\": 1, \"steps\": 2, \"cfg\": 5, \"sampler_name\": \"euler\", \"scheduler\": " \
         "\"normal\", \"positive\": [\"2\", 0], \"negative\": [\"3\", 0], \"latent_image\": [\"4\", 0], \"denoise\": 1")
#define DECODE NODE("6", "VAEDecode", "\"samples\": [\"5\", 0], \"vae\": [\"1\", 2]")
#define SAVE   NODE("7", "SaveImage", "\"images\": [\"6\", 0], \"filename_prefix\": \"x\"")

static void assert_dims(const NodusFacts *facts, int rank, const int64_t *dim)
{
    assert_int_equal(facts->rank, rank);
    for (int i = 0; i < rank; i++) assert_int_equal(facts->dim[i], dim[i]);
}

TEST(text_to_image_is_known_from_the_header_to_the_picture)
{
    (void)state_;
    NodusRun *run = open_run("{" DEMO_LOADER ", " WORDS("2") ", " WORDS("3") ", " EMPTY ", " SAMPLER ", " DECODE ", " SAVE "}");
    assert_null(run->report.error);
    assert_string_equal(output_of(run, "1", 0)->family, "sd1");
    assert_int_equal(output_of(run, "1", 0)->channels, 4);
    assert_int_equal(output_of(run, "1", 2)->scale, 8);
    assert_string_equal(output_of(run, "2", 0)->family, "sd1");
    assert_dims(output_of(run, "5", 0), 4, (int64_t[]){2, 4, 12, 8});
    assert_dims(output_of(run, "6", 0), 4, (int64_t[]){2, 96, 64, 3});
    run_free(run);
}

TEST(a_picture_file_tells_its_size)
{
    (void)state_;
    assert_int_equal(
        lab_run(&lab, "{" DEMO_LOADER ", " WORDS("2") ", " WORDS("3") ", " EMPTY ", " SAMPLER ", " DECODE ", " SAVE "}"),
        NODUS_SUCCESS);
    NodusRun *run = open_run("{" DEMO_LOADER ", " NODE("L", "LoadImage", "\"image\": \"x_00001_.png [output]\"") ", " NODE(
        "E", "VAEEncode",
        "\"pixels\": [\"L\", 0], \"vae\": [\"1\", 2]") ", " NODE("7", "SaveLatent",
                                                                 "\"samples\": [\"E\", 0], \"filename_prefix\": \"l\"") "}");
    assert_dims(output_of(run, "L", 0), 4, (int64_t[]){1, 96, 64, 3});
    assert_dims(output_of(run, "L", 1), 3, (int64_t[]){1, 64, 64});
    assert_dims(output_of(run, "E", 0), 4, (int64_t[]){1, 4, 12, 8});
    run_free(run);
}

TEST(known_values_are_found_literal_or_linked)
{
    (void)state_;
    NodusRun *run = open_run("{" NODE("n", "PrimitiveInt", "\"value\": 6") ", " CANVAS("2", "[\"n\", 0]") ", " SHOW("2") "}");
    const int32_t node = workflow_find(run->workflow, "2");
    assert_int_equal(facts_value(run->workflow->facts, run->workflow, node, 0)->as.magnitude, 6);
    assert_int_equal(facts_value(run->workflow->facts, run->workflow, node, 1)->as.magnitude, 5);
    assert_null(facts_value(run->workflow->facts, run->workflow, node, 2));
    run_free(run);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(facts_flow_along_links),
        CASE(what_is_not_linked_is_told_apart_from_what_is_not_known),
        CASE(what_cannot_fit_is_an_error_of_its_node_before_anything_runs),
        CASE(only_the_outputs_that_depend_on_it_are_refused),
        CASE(a_linked_primitive_is_known),
        CASE(a_number_that_only_the_run_knows_leaves_the_facts_open),
        CASE(a_linked_seed_changes_no_facts),
        CASE(what_only_a_lazy_input_would_ask_for_is_left_to_the_run),
        CASE(a_broken_file_is_left_to_the_run),
        CASE(a_literal_on_a_socket_is_left_to_the_run),
        CASE(lack_of_memory_is_no_verdict),
        CASE(the_cost_of_a_node_is_asked_with_its_facts),
        CASE(a_chain_of_100000_nodes_is_inferred_without_recursion),
        CASE(text_to_image_is_known_from_the_header_to_the_picture),
        CASE(a_picture_file_tells_its_size),
        CASE(known_values_are_found_literal_or_linked),
    };
    return cmocka_run_group_tests(cases, setup, teardown);
}
