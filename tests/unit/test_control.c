/* ControlNets and T2I-Adapters in all their forms: each layout gives the same numbers, a union and a light adapter those of diffusers
 * (tests/golden/control_kinds.py), a Control-LoRA those of the ControlNet that it is; and what they cost. */
#include "engine/graph/engine.h"
#include "nodes/model_file.h"
#include "nodes/models/control.h"
#include "tests/support.h"
#include "tests/support_examples.h"
#include "tests/test.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static Lab lab;

LAB_FIXTURE(examples_open(&lab, NULL))

static void sure(NodusStatus status)
{
    if (status) fail_msg("%s", nodus_error_message(status));
}

/* ---- Workflows --------------------------------------------------------------------------------------------------------- */

#define NODE(id_, class_, ...) "\"" id_ "\": {\"class_type\": \"" class_ "\", \"inputs\": {" __VA_ARGS__ "}}"

/* The array of a sampling that `file` guides, told `type` if that is not NULL. */
static NodusStatus draw(const char *file, const char *type, const char *strength, int steps, LabArray *out)
{
    char json[4096];
    snprintf(json, sizeof json,
             "{" NODE("1", "CheckpointLoaderSimple", "\"ckpt_name\": \"shapes-sd1.safetensors\"") ", "
             NODE("2", "CLIPTextEncode", "\"text\": \"a red star\", \"clip\": [\"1\", 1]") ", "
             NODE("3", "CLIPTextEncode", "\"text\": \"\", \"clip\": [\"1\", 1]") ", "
             NODE("4", "LoadImage", "\"image\": \"scene.png\"") ", "
             NODE("6", "ControlNetLoader", "\"control_net_name\": \"%s\"") ", "
             NODE("8", "SetUnionControlNetType", "\"control_net\": [\"6\", 0], \"type\": \"%s\"") ", "
             NODE("7", "ControlNetApplyAdvanced", "\"positive\": [\"2\", 0], \"negative\": [\"3\", 0], \"control_net\": [\"%s\", 0], "
                  "\"image\": [\"4\", 0], %s") ", "
             NODE("9", "EmptyLatentImage", "\"width\": 64, \"height\": 64, \"batch_size\": 1") ", "
             NODE("5", "KSampler", "\"model\": [\"1\", 0], \"seed\": 1, \"steps\": %d, \"cfg\": 4, \"sampler_name\": \"euler\", "
                  "\"scheduler\": \"normal\", \"positive\": [\"7\", 0], \"negative\": [\"7\", 1], \"latent_image\": [\"9\", 0], \"denoise\": 1") "}",
             file, type ? type : "auto", type ? "8" : "6", strength, steps);
    return lab_array(&lab, json, "5", 0, NULL, out);
}

#define WHOLE "\"strength\": 0.7, \"start_percent\": 0, \"end_percent\": 1"

/* ‖a − b‖ / ‖b‖ of two such samplings. */
static double apart(const char *one, const char *type_one, const char *other, const char *type_other)
{
    LabArray a, b;
    double square = 0, size = 0;
    sure(draw(one, type_one, WHOLE, 2, &a));
    sure(draw(other, type_other, WHOLE, 2, &b));
    assert_int_equal(a.count, b.count);
    for (size_t i = 0; i < a.count; i++) {
        const double x = (double)a.data[i], y = (double)b.data[i];
        square += (x - y) * (x - y);
        size += y * y;
    }
    free(a.data);
    free(b.data);
    return sqrt(square / size);
}

/* ---- Layouts and forms ------------------------------------------------------------------------------------------------- */

TEST(diffusers_names_give_the_same_numbers)
{
    assert_true(apart("control-diffusers.safetensors", NULL, "control.safetensors", NULL) == 0);
    assert_true(apart("t2i-diffusers.safetensors", NULL, "t2i.safetensors", NULL) == 0);
    assert_true(apart("t2i-light-diffusers.safetensors", NULL, "t2i-light.safetensors", NULL) == 0);
    assert_true(apart("t2i-light.safetensors", NULL, "t2i.safetensors", NULL) > 1e-3);
}

TEST(a_control_lora_is_the_network_that_it_makes_of_the_model)
{
    const double distance = apart("control-lora.safetensors", NULL, "control-lora-merged.safetensors", NULL);
    if (distance > 1e-4) fail_msg("relative distance %g", distance);
    assert_true(apart("control-lora.safetensors", NULL, "control.safetensors", NULL) > 1e-3);
}

TEST(a_union_heeds_the_kind_that_it_is_told)
{
    assert_true(apart("union.safetensors", NULL, "union.safetensors", "auto") == 0);
    assert_true(apart("union.safetensors", "depth", "union.safetensors", "auto") > 1e-3);
    assert_true(apart("union.safetensors", "depth", "union.safetensors", "normal") > 1e-3);
}

TEST(a_kind_that_the_union_does_not_know_is_an_error)
{
    LabArray out;
    assert_error(draw("union.safetensors", "tile", WHOLE, 2, &out), "knows only the first 6 kinds");
}

TEST(other_networks_are_not_told_a_kind_and_it_is_said)
{
    assert_true(apart("control.safetensors", NULL, "control.safetensors", "depth") == 0);
    assert_non_null(strstr(lab.warning, "made for one kind"));
}

/* ---- What it costs ------------------------------------------------------------------------------------------------------- */

/* How many plans are compiled, and how many are asked for, while it draws. */
static PlanCounters drawing(const char *file, const char *strength, int steps)
{
    LabArray out;
    const PlanCounters before = plan_cache_counters(lab.engine->plans);
    sure(draw(file, NULL, strength, steps, &out));
    const PlanCounters after = plan_cache_counters(lab.engine->plans);
    free(out.data);
    return (PlanCounters){after.compiled - before.compiled, after.hits - before.hits};
}

TEST(strength_start_and_end_compile_one_plan)
{
    static const char *const files[] = {"control.safetensors", "t2i.safetensors", "control-lora.safetensors"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char told[128];
        uint64_t compiled = 0;
        drawing(files[i], "\"strength\": 0.5, \"start_percent\": 0.2, \"end_percent\": 0.6", 5);
        for (int k = 1; k < 6; k++) {
            snprintf(told, sizeof told, "\"strength\": 0.%d, \"start_percent\": 0.1%d, \"end_percent\": 0.7%d", k, k, k);
            compiled += drawing(files[i], told, 5).compiled;
        }
        assert_int_equal(compiled, 0);
    }
}

/* How many plans are asked for beyond those of a sampling in which the guide never acts. Nothing is compiled: `file` was there before. */
static int asked_for(const char *file, int steps)
{
    const PlanCounters plain = drawing(file, "\"strength\": 0.42, \"start_percent\": 1, \"end_percent\": 1", steps),
                       guided = drawing(file, "\"strength\": 0.42, \"start_percent\": 0, \"end_percent\": 1", steps);
    assert_int_equal(plain.compiled + guided.compiled, 0);
    return (int)guided.hits - (int)plain.hits;
}

TEST(an_adapter_looks_once_a_sampling_and_a_controlnet_is_asked_at_each_step)
{
    static const char *const files[] = {"t2i.safetensors", "control.safetensors"};
    int few[2], many[2];
    for (int i = 0; i < 2; i++) {
        drawing(files[i], "\"strength\": 0.41, \"start_percent\": 0, \"end_percent\": 0.5", 4);
        few[i] = asked_for(files[i], 3);
        many[i] = asked_for(files[i], 13);
        print_message("%s: asked %d times in 3 steps, %d times in 13\n", files[i], few[i], many[i]);
    }
    assert_int_equal(few[0], 1);
    assert_int_equal(many[0], 1);
    assert_true(many[1] - few[1] >= 10);
}

/* ---- Against diffusers --------------------------------------------------------------------------------------------------- */

typedef struct Net {
    ControlConfig config;
    UnetShape shape;
} Net;

static NodusStatus build_hint(void *context, OpGraph *graph)
{
    const Net *net = context;
    control_build_hint(graph, &net->config, net->shape.batch, net->shape.height, net->shape.width);
    return NULL;
}

static NodusStatus build_net(void *context, OpGraph *graph)
{
    const Net *net = context;
    control_build(graph, &net->config, &net->shape);
    return NULL;
}

static NodusStatus build_adapter(void *context, OpGraph *graph)
{
    const Net *net = context;
    control_build_adapter(graph, &net->config, net->shape.batch, net->shape.height, net->shape.width);
    return NULL;
}

static WeightSet *open_net(const char *file, Net *net)
{
    char path[512];
    WeightSet *weights;
    snprintf(path, sizeof path, "%s/controlnet/%s", lab_path(&lab, "models"), file);
    sure(model_file_open(path, &weights));
    sure(control_config(weights, &net->config));
    return weights;
}

/* sin(1.7·i + 0.37·n)·scale + shift, i from 1 */
static NodusTensor *formula(SupportMath *math, int n, float scale, float shift, int rank, const int64_t *dim)
{
    NodusTensor *out;
    size_t count = 1;
    for (int i = 0; i < rank; i++) count *= (size_t)dim[i];
    float *data = malloc(count * sizeof *data);
    assert_non_null(data);
    for (size_t i = 0; i < count; i++) data[i] = scale * (float)sin(1.7 * (double)(i + 1) + 0.37 * n) + shift;
    sure(nodus_tensor_from_f32(&math->math, &out, rank, dim, data));
    free(data);
    return out;
}

static void run_plan(SupportMath *math, WeightSet *weights, Net *net, const char *kind, NodusStatus (*build)(void *context, OpGraph *graph),
                     const Bindings *bindings)
{
    NodusHash *hash;
    Plan *plan;
    sure(plan_key_begin(&math->math, weights, kind, &hash));
    sure(plan_get(&math->math, plan_key_end(hash), weights, build, net, &plan));
    sure(plan_run(&math->math, plan, bindings));
    plan_unref(plan);
}

/* Mean, standard deviation and the first three numbers. */
typedef struct Recorded { const char *output; double mean, deviation, first[3]; } Recorded;

static void compare(SupportMath *math, const NodusTensor *x, const Recorded *want)
{
    const float *data;
    const size_t count = (size_t)(nodus_tensor_dim(x, 0) * nodus_tensor_dim(x, 1) * nodus_tensor_dim(x, 2) * nodus_tensor_dim(x, 3));
    double sum = 0, square = 0;
    sure(nodus_tensor_map_f32(&math->math, x, &data));
    for (size_t i = 0; i < count; i++) sum += (double)data[i];
    for (size_t i = 0; i < count; i++) square += ((double)data[i] - sum / (double)count) * ((double)data[i] - sum / (double)count);
    const double got[] = {sum / (double)count, sqrt(square / (double)count), (double)data[0], (double)data[1], (double)data[2]};
    const double wanted[] = {want->mean, want->deviation, want->first[0], want->first[1], want->first[2]};
    for (int i = 0; i < 5; i++)
        if (fabs(got[i] - wanted[i]) > 1e-4 * fmax(1, want->deviation))
            fail_msg("%s, number %d: %.6f, recorded %.6f", want->output, i, got[i], wanted[i]);
}

TEST(a_union_gives_the_numbers_of_diffusers)
{
    static const Recorded recorded[] = {
        {"output.11", 0.102554, 1.038375, {-0.319500, -1.841581, -1.140476}},
        {"output.10", 0.137148, 1.161063, {2.033217, 2.004251, 1.126620}},
        {"output.9", 0.029633, 0.987734, {0.442141, -0.668024, -0.174331}},
        {"output.8", 0.078968, 1.479506, {-1.316820, -0.429877, -1.400126}},
        {"output.7", 0.012807, 0.925917, {0.825520, 0.314109, 1.088493}},
        {"output.6", 0.061576, 0.791786, {0.320606, 0.320455, 0.438745}},
        {"output.5", 0.038791, 1.040410, {0.731019, -0.304839, -0.859182}},
        {"output.4", -0.115348, 1.078863, {-0.057982, -0.467378, 1.253444}},
        {"output.3", -0.017263, 1.082730, {0.310117, 0.310085, 1.695727}},
        {"output.2", 0.112526, 0.591713, {0.592304, 0.176774, 0.178481}},
        {"output.1", -0.074749, 0.660689, {-0.182615, 0.297463, -0.488993}},
        {"output.0", -0.054823, 0.733989, {0.154192, -0.011324, 1.017872}},
        {"middle", -0.116934, 0.537073, {0.418962, -0.166576, -0.542477}},
    };
    enum { COUNT = sizeof recorded / sizeof *recorded };
    SupportMath math;
    Net net = {.shape = {1, 8, 8, 5}};
    NodusTensor *hint, *kind, *out[COUNT];
    assert_ok(support_math_open("cpu", NULL, 1, &math));
    WeightSet *weights = open_net("union.safetensors", &net);
    net.config.typed = true;
    Bindings first = {0}, second = {0};
    bindings_input(&first, "picture", formula(&math, 1, 0.5f, 0.5f, 4, (int64_t[]){1, 3, 64, 64}));
    bindings_output(&first, "hint", &hint);
    run_plan(&math, weights, &net, "hint", build_hint, &first);
    const float time = 500, kinds[6] = {0, 0, 0, 1};
    NodusTensor *timesteps, *told;
    int32_t id = 3;
    assert_ok(nodus_tensor_from_f32(&math.math, &timesteps, 1, (int64_t[]){1}, &time));
    assert_ok(nodus_tensor_from_f32(&math.math, &told, 1, (int64_t[]){6}, kinds));
    assert_ok(tensor_borrow(NODUS_I32, 2, (int64_t[]){1, 1}, &id, NULL, NULL, &kind));
    bindings_input(&second, "x", formula(&math, 2, 1, 0, 4, (int64_t[]){1, net.config.unet.in_channels, 8, 8}));
    bindings_input(&second, "timesteps", timesteps);
    bindings_input(&second, "context", formula(&math, 3, 1, 0, 3, (int64_t[]){1, 5, net.config.unet.context_width}));
    bindings_input(&second, "hint", hint);
    bindings_input(&second, "kinds", told);
    bindings_input(&second, "kind", kind);
    for (int i = 0; i < COUNT; i++) bindings_output(&second, recorded[i].output, &out[i]);
    run_plan(&math, weights, &net, "net", build_net, &second);
    for (int i = 0; i < COUNT; i++) compare(&math, out[i], &recorded[i]);
    nodus_tensor_unref(kind);
    weights_unref(weights);
    support_math_close(&math);
}

TEST(a_light_adapter_gives_the_numbers_of_diffusers)
{
    static const Recorded recorded[] = {
        {"input.2", -0.021852, 0.917815, {0.444372, 0.534528, 0.526804}},
        {"input.5", -0.122076, 1.088032, {-0.533607, 0.615931, -0.173109}},
        {"input.8", 0.092536, 1.022127, {1.412529, 0.842541, 0.123478}},
        {"input.11", 0.016928, 0.710253, {0.334339, -0.848550, 0.630254}},
    };
    enum { COUNT = sizeof recorded / sizeof *recorded };
    SupportMath math;
    Net net = {.shape = {1, 8, 8, 0}};
    NodusTensor *out[COUNT];
    Bindings bindings = {0};
    assert_ok(support_math_open("cpu", NULL, 1, &math));
    WeightSet *weights = open_net("t2i-light.safetensors", &net);
    bindings_input(&bindings, "picture", formula(&math, 1, 0.5f, 0.5f, 4, (int64_t[]){1, 192, 8, 8}));
    for (int i = 0; i < COUNT; i++) bindings_output(&bindings, recorded[i].output, &out[i]);
    run_plan(&math, weights, &net, "adapter", build_adapter, &bindings);
    for (int i = 0; i < COUNT; i++) compare(&math, out[i], &recorded[i]);
    weights_unref(weights);
    support_math_close(&math);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(diffusers_names_give_the_same_numbers), CASE(a_control_lora_is_the_network_that_it_makes_of_the_model),
        CASE(a_union_heeds_the_kind_that_it_is_told), CASE(a_kind_that_the_union_does_not_know_is_an_error),
        CASE(other_networks_are_not_told_a_kind_and_it_is_said), CASE(strength_start_and_end_compile_one_plan),
        CASE(an_adapter_looks_once_a_sampling_and_a_controlnet_is_asked_at_each_step),
        CASE(a_union_gives_the_numbers_of_diffusers),
        CASE(a_light_adapter_gives_the_numbers_of_diffusers)};
    return cmocka_run_group_tests(cases, setup, teardown);
}
