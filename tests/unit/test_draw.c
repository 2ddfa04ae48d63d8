/* What patches draw at random: a graph that is built again reads the same numbers, in order; a plan whose inputs alone are drawn
 * serves all draws; who draws where nothing can be drawn, or too much, is told. And HyperTile and TomePatchModel, which draw:
 * equal seeds, equal bits. */
#include "engine/tensor/draw.h"
#include "engine/tensor/tensor.h"
#include "tests/support.h"
#include "tests/support_lab.h"
#include "tests/test.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static uint32_t count_up(void *generator)
{
    return (*(uint32_t *)generator)++;
}

/* ---- Draws --------------------------------------------------------------------------------------------------------- */

/* What the graphs below are about. */
typedef struct Lots {
    Draws draws;
    WeightSet *set;
    uint32_t at;
    int filled;
} Lots;

static void lots_open(Lots *lots)
{
    void **state_ = NULL;
    *lots = (Lots){.draws = {.next = count_up}};
    assert_ok(weights_new(&lots->set));
    lots->draws.generator = &lots->at;
}

static OpGraph *lots_graph(Lots *lots, Draws *draws)
{
    void **state_ = NULL;
    OpGraph *graph;
    assert_ok(graph_new(lots->set, &graph));
    graph_set_draws(graph, draws);
    return graph;
}

static void lots_close(Lots *lots)
{
    draws_free(&lots->draws);
    weights_unref(lots->set);
}

static void fill_two(const void *context, Draws *draws, int32_t *value)
{
    Lots *lots = *(Lots *const *)context;
    for (int i = 0; i < 2; i++) value[i] = (int32_t)draws_below(draws, 3);
    lots->filled++;
}

TEST(a_graph_that_is_built_again_reads_the_numbers_of_the_first_time)
{
    Lots lots, *context = &lots;
    lots_open(&lots);
    for (int time = 0; time < 2; time++) {
        OpGraph *graph = lots_graph(&lots, &lots.draws);
        assert_int_equal(graph_draw(graph, 10), 0);
        assert_int_equal(graph_draw(graph, 1), 0);
        const OpRef ids = op_drawn(graph, 2, (const int64_t[]){1, 2}, fill_two, &context);
        assert_int_equal(graph_draw(graph, 10), 4);
        op_output(graph, "ids", ids);
        assert_ok(graph_finish(graph));
        graph_free(graph);
        draws_again(&lots.draws);
    }
    assert_int_equal(lots.at, 5); /* each number was drawn once */
    assert_int_equal(lots.filled, 1);
    assert_int_equal(lots.draws.choices, 3);
    const int32_t *ids = lots.draws.input[0]->data;
    assert_int_equal(ids[0], 2);
    assert_int_equal(ids[1], 0);
    lots_close(&lots);
}

TEST(drawing_more_the_second_time_too_much_or_where_nothing_can_be_drawn_is_an_error)
{
    Lots lots, *context = &lots;
    lots_open(&lots);
    OpGraph *graph = lots_graph(&lots, &lots.draws);
    draws_again(&lots.draws);
    assert_int_equal(graph_draw(graph, 10), 0);
    assert_error(graph_finish(graph), "more often the second time");
    graph_free(graph);
    graph = lots_graph(&lots, NULL);
    assert_true(op_is_none(op_drawn(graph, 2, (const int64_t[]){1, 2}, fill_two, &context)));
    assert_error(graph_finish(graph), "where nothing can be drawn");
    graph_free(graph);
    lots.draws.again = false;
    graph = lots_graph(&lots, &lots.draws);
    for (int i = 0; i < 40; i++) op_drawn(graph, 2, (const int64_t[]){1, 2}, fill_two, &context);
    assert_error(graph_finish(graph), "in more than 16 places");
    graph_free(graph);
    lots_close(&lots);
}

/* ---- Plans --------------------------------------------------------------------------------------------------------- */

/* x [1, 6, 2]: one of each three tokens is a centre, two of the others are merged. */
static NodusStatus build_merge(void *context, OpGraph *graph)
{
    Lots *lots = context;
    graph_set_draws(graph, &lots->draws);
    const OpRef x = op_input(graph, "x", DTYPE_F32, 3, (const int64_t[]){1, 6, 2});
    const OpRef centres = op_drawn(graph, 2, (const int64_t[]){1, 2}, fill_two, &lots);
    const OpRef ids = op_match_tokens(graph, x, centres, 2);
    op_output(graph, "y", op_pick_tokens(graph, ids, op_merge_tokens(graph, x, ids, 4)));
    return NULL;
}

/* Draws, and runs the plan. */
static void run_merge(SupportMath *math, Lots *lots, uint32_t at, const float x[12], float y[12])
{
    void **state_ = NULL;
    NodusTensor *in, *out;
    const float *data;
    Plan *plan;
    NodusHash *hash;
    Bindings bindings = {0};
    OpGraph *graph = lots_graph(lots, NULL);
    lots->at = at;
    assert_ok(build_merge(lots, graph));
    assert_ok(graph_finish(graph));
    graph_free(graph);
    draws_again(&lots->draws);
    assert_ok(plan_key_begin(&math->math, lots->set, "merge", &hash));
    draws_hash(&lots->draws, hash);
    assert_ok(plan_get(&math->math, plan_key_end(hash), lots->set, build_merge, lots, &plan));
    assert_ok(nodus_tensor_from_f32(&math->math, &in, 3, (const int64_t[]){1, 6, 2}, x));
    bindings_input(&bindings, "x", in);
    bindings_output(&bindings, "y", &out);
    draws_bind(&lots->draws, &bindings);
    assert_ok(plan_run(&math->math, plan, &bindings));
    assert_ok(nodus_tensor_map_f32(&math->math, out, &data));
    for (int i = 0; i < 12; i++) y[i] = data[i];
    plan_unref(plan);
}

TEST(one_plan_serves_all_that_is_drawn_for_an_input)
{
    static const float x[12] = {1, 0, 0, 1, 1, 0.1f, 1, 0.2f, 0, 2, 1, 4};
    /* Centres 0 and 1: token 4 is exactly like 1, 2 nearly like 0. Centres 1 and 2: 4 like 1, and 3 nearly like 2. */
    static const float first[12] = {1, 0.05f, 0, 1.5f, 1, 0.05f, 1, 0.2f, 0, 1.5f, 1, 4},
                       second[12] = {1, 0, 0, 1.5f, 1, 0.15f, 1, 0.15f, 0, 1.5f, 1, 4};
    const char *const devices[] = {"ref", "cpu"};
    for (int d = 0; d < 2; d++) {
        SupportMath math;
        Lots lots;
        float y[12];
        assert_ok(support_math_open(devices[d], NULL, 2, &math));
        for (uint32_t at = 0; at < 2; at++) {
            lots_open(&lots);
            weights_set_identity(lots.set, (Hash128){1, 2});
            run_merge(&math, &lots, at, x, y);
            for (int i = 0; i < 12; i++) assert_float_equal(y[i], (at ? second : first)[i], 1e-6f);
            lots_close(&lots);
        }
        assert_int_equal(plan_cache_counters(math.math.plans).compiled, 1);
        assert_int_equal(plan_cache_counters(math.math.plans).hits, 1);
        support_math_close(&math);
    }
}

/* ---- Nodes --------------------------------------------------------------------------------------------------------- */

#define ITEM(id_, class_, inputs_) "\"" id_ "\": {\"class_type\": \"" class_ "\", \"inputs\": {" inputs_ "}}, "
#define GRAPH                                                                                                                    \
    "{" ITEM("1", "CheckpointLoaderSimple", "\"ckpt_name\": \"shapes-sd1.safetensors\"")                                         \
        ITEM("2", "CLIPTextEncode", "\"text\": \"a red star\", \"clip\": [\"1\", 1]") ITEM(                                      \
            "4", "EmptyLatentImage", "\"width\": 192, \"height\": 128, \"batch_size\": 1") ITEM("5", "%s",                       \
                                                                                                "\"model\": [\"1\", 0], %s")     \
            ITEM("7", "KSampler",                                                                                                \
                 "\"model\": [\"5\", 0], \"seed\": 5, \"steps\": 3, \"cfg\": 4, \"sampler_name\": \"euler\", "                   \
                 "\"scheduler\": \"normal\", \"positive\": [\"2\", 0], \"negative\": [\"2\", 0], \"latent_image\": [\"4\", 0], " \
                 "\"denoise\": 1") "\"S\": {\"class_type\": \"PreviewAny\", \"inputs\": {\"source\": [\"7\", 0]}}}"

/* In an engine of its own, so that nothing is taken from a cache. */
static LabArray sampled(const char *class_, const char *inputs)
{
    void **state_ = NULL;
    char json[4000];
    Lab lab;
    LabArray out = {.count = 0};
    assert_ok(lab_open(&lab, NULL));
    snprintf(json, sizeof json, GRAPH, class_, inputs);
    NodusStatus status = lab_array(&lab, json, "7", 0, NULL, &out);
    if (status) fail_msg("%s: %s", class_, nodus_error_message(status));
    lab_close(&lab);
    return out;
}

static double apart(LabArray a, LabArray b)
{
    double most = 0;
    assert_int_equal(a.count, b.count);
    for (size_t i = 0; i < a.count; i++) most = fmax(most, fabs((double)a.data[i] - b.data[i]));
    return most;
}

TEST(a_seed_decides_what_patches_draw)
{
    static const char *const patches[][3] = {{"HyperTile",
                                              "\"tile_size\": 32, \"swap_size\": 4, \"max_depth\": 1, \"scale_depth\": false",
                                              "\"tile_size\": 32, \"swap_size\": 2, \"max_depth\": 1, \"scale_depth\": false"},
                                             {"TomePatchModel", "\"ratio\": 0.5", "\"ratio\": 0.0"}};
    for (int i = 0; i < 2; i++) {
        const LabArray one = sampled(patches[i][0], patches[i][1]), same = sampled(patches[i][0], patches[i][1]);
        const LabArray less = sampled(patches[i][0], patches[i][2]);
        assert_true(apart(one, same) == 0);
        assert_true(apart(one, less) > 1e-4);
        free(one.data);
        free(same.data);
        free(less.data);
    }
}

TEST_MAIN(CASE(a_graph_that_is_built_again_reads_the_numbers_of_the_first_time),
          CASE(drawing_more_the_second_time_too_much_or_where_nothing_can_be_drawn_is_an_error),
          CASE(one_plan_serves_all_that_is_drawn_for_an_input), CASE(a_seed_decides_what_patches_draw))
