/* Hypernetworks' activations and norms. A last layer without weights gives the activation of its bias wherever it stands, and so
 * must one without activation whose bias is that value, from the textbook's formula in f64. */
#include "engine/formats/safetensors.h"
#include "tests/support.h"
#include "tests/support_examples.h"
#include "tests/test.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 64 /* of the demo's text tower */, PARTS = 8 };

static Lab lab;

LAB_FIXTURE(examples_open(&lab, NULL))

static void sure(NodusStatus status)
{
    if (status) fail_msg("%s", nodus_error_message(status));
}

/* clang-format off */
#define WORKFLOW \
    "{\"1\": {\"class_type\": \"CheckpointLoaderSimple\", \"inputs\": {\"ckpt_name\": \"shapes-sd1.safetensors\"}}, " \
    "\"2\": {\"class_type\": \"CLIPTextEncode\", \"inputs\": {\"text\": \"a red star\", \"clip\": [\"1\", 1]}}, " \
    "\"3\": {\"class_type\": \"HypernetworkLoader\", \"inputs\": " \
    "{\"model\": [\"1\", 0], \"hypernetwork_name\": \"%s\", \"strength\": 10}}, " \
    "\"4\": {\"class_type\": \"EmptyLatentImage\", \"inputs\": {\"width\": 64, \"height\": 64, \"batch_size\": 1}}, " \
    "\"5\": {\"class_type\": \"KSampler\", \"inputs\": {\"model\": [\"3\", 0], \"seed\": 1, " \
    "\"steps\": 1, \"cfg\": 1, \"sampler_name\": " \
    "\"euler\", \"scheduler\": \"normal\", \"positive\": [\"2\", 0], \"negative\": [\"2\", 0], \"latent_image\": " \
    "[\"4\", 0], \"denoise\": 1}}}"
/* clang-format on */

/* Two networks of one product, with weights `weight` and the bias; behind it, if any, a norm that changes nothing in the mean. */
static void write_file(const char *name, const char *activation, bool output, const float *weight, const float *bias, bool norm)
{
    static const char *const tails[] = {"0.weight", "0.bias", "2.weight", "2.bias"};
    static float ones[WIDTH], zeros[WIDTH];
    const float *data[] = {weight, bias, ones, zeros};
    char key[PARTS][48], path[96];
    SafetensorsItem item[PARTS];
    const SafetensorsText text[] = {{"activation_func", activation}, {"activate_output", output ? "true" : "false"}};
    int count = 0;
    for (int i = 0; i < WIDTH; i++) ones[i] = 1;
    for (int number = 0; number < 2; number++)
        for (int i = 0; i < (norm ? 4 : 2); i++, count++) {
            snprintf(key[count], sizeof key[count], "%d.%d.linear.%s", WIDTH, number, tails[i]);
            item[count] = (SafetensorsItem){
                .name = key[count], .dtype = NODUS_F32, .rank = i ? 1 : 2, .dim = {WIDTH, i ? 0 : WIDTH}, .data = data[i]};
        }
    snprintf(path, sizeof path, "models/hypernetworks/%s", name);
    sure(safetensors_write(lab_path(&lab, path), true, NULL, item, count, text, 2));
}

static LabArray draw(const char *name)
{
    char json[2048];
    LabArray out = {.count = 0};
    snprintf(json, sizeof json, WORKFLOW, name);
    sure(lab_array(&lab, json, "5", 0, NULL, &out));
    return out;
}

static double apart(const char *one, const char *other)
{
    LabArray a = draw(one), b = draw(other);
    const double error = lab_apart(a.data, b.data, a.count);
    free(a.data);
    free(b.data);
    return error;
}

static double clamped(double x, double low, double high)
{
    return fmin(fmax(x, low), high);
}

/* clang-format off */
static double leaky(double x) { return x > 0 ? x : 0.01 * x; }
static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double softsign(double x) { return x / (1 + fabs(x)); }
static double elu(double x) { return x > 0 ? x : expm1(x); }
static double gelu(double x) { return x * 0.5 * (1 + erf(x / sqrt(2))); }
static double hardsigmoid(double x) { return clamped(x + 3, 0, 6) / 6; }
static double hardswish(double x) { return x * hardsigmoid(x); }
static double hardtanh(double x) { return clamped(x, -1, 1); }
static double mish(double x) { return x * tanh(log1p(exp(x))); }
static double relu(double x) { return fmax(x, 0); }
static double relu6(double x) { return clamped(x, 0, 6); }
static double selu(double x) { return 1.0507009873554805 * (x > 0 ? x : 1.6732632423543773 * expm1(x)); }
static double silu(double x) { return x * sigmoid(x); }
static double softshrink(double x) { return fabs(x) > 0.5 ? x - copysign(0.5, x) : 0; }
static double tanhshrink(double x) { return x - tanh(x); }
/* clang-format on */

typedef struct Function {
    const char *name;
    double (*at)(double x);
} Function;
static const Function functions[] = {
    {"relu", relu},
    {"leakyrelu", leaky},
    {"sigmoid", sigmoid},
    {"softsign", softsign},
    {"tanh", tanh},
    {"elu", elu},
    {"celu", elu},
    {"gelu", gelu},
    {"swish", hardswish},
    {"hardswish", hardswish},
    {"hardtanh", hardtanh},
    {"hardsigmoid", hardsigmoid},
    {"mish", mish},
    {"relu6", relu6},
    {"selu", selu},
    {"silu", silu},
    {"softshrink", softshrink},
    {"tanhshrink", tanhshrink},
};

TEST(activations_are_what_their_names_say)
{
    static float none[WIDTH * WIDTH], bias[WIDTH], want[WIDTH];
    for (size_t f = 0; f < sizeof functions / sizeof *functions; f++) {
        for (int i = 0; i < WIDTH; i++) {
            bias[i] = 8 * sinf(1.3f * (float)(i + 1));
            want[i] = (float)functions[f].at((double)bias[i]);
        }
        write_file("one.safetensors", functions[f].name, true, none, bias, false);
        write_file("other.safetensors", "linear", false, none, want, false);
        const double error = apart("one.safetensors", "other.safetensors");
        if (!(error < 2e-6)) fail_msg("%s: %g from its formula", functions[f].name, error);
    }
    write_file("one.safetensors", "softplus", true, none, bias, false);
    char json[2048];
    snprintf(json, sizeof json, WORKFLOW, "one.safetensors");
    LabArray out;
    NodusStatus status = lab_array(&lab, json, "5", 0, NULL, &out);
    assert_non_null(status);
    assert_non_null(strstr(nodus_error_message(status), "softplus"));
    nodus_error_free(status);
}

/* ComfyUI 0.16.3: only the very last layer is left as it is, and that may be a norm. */
TEST(a_product_in_front_of_a_last_norm_is_activated)
{
    static float weight[WIDTH * WIDTH], bias[WIDTH];
    for (int i = 0; i < WIDTH * WIDTH; i++) weight[i] = 0.2f * sinf(1.7f * (float)i);
    write_file("one.safetensors", "relu", false, weight, bias, true);
    write_file("other.safetensors", "linear", false, weight, bias, true);
    assert_true(apart("one.safetensors", "other.safetensors") > 1e-3);
    write_file("one.safetensors", "relu", false, weight, bias, false);
    write_file("other.safetensors", "linear", false, weight, bias, false);
    assert_true(apart("one.safetensors", "other.safetensors") < 1e-6);
}

int main(void)
{
    const struct CMUnitTest cases[] = {CASE(activations_are_what_their_names_say),
                                       CASE(a_product_in_front_of_a_last_norm_is_activated)};
    return cmocka_run_group_tests(cases, setup, teardown);
}
