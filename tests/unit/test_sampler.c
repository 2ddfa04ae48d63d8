/* sampler: every sampler gives the reference's numbers on a toy model (numerics.md §4), and asks as often as expected. */
#include "engine/base/memory.h"
#include "nodes/diffusion/model_sampling.h"
#include "nodes/diffusion/noise.h"
#include "nodes/diffusion/sampler.h"
#include "tests/support.h"
#include "tests/test.h"
#include <math.h>

enum { COUNT = 256 };
static const int64_t shape[] = {1, 4, 8, 8};
static const float eps[] = {14.6146431f, 9.1029291f, 5.4783921f, 3.1686049f, 1.7494180f, 0.9140727f, 0.4469184f, 0.2013984f, 0.0819103f, 0.0291672f, 0};
static const float flow[] = {1, 0.9642857f, 0.9230770f, 0.8749999f, 0.8181818f, 0.75f, 0.6666667f, 0.5625f, 0.4285715f, 0.25f, 0};

typedef struct Toy {
    SupportMath support;
    Generator noise;
    bool flow;
    int calls, steps;
    int fail_at; /* this call of denoise fails; 0: none */
} Toy;

/* U = x/(1+σ²), C = U + 0.25·tanh(x)/(1+σ), D = U + 2(C − U) */
static NodusStatus toy_denoise(void *context, const NodusTensor *x, float sigma, NodusTensor **denoised, NodusTensor **uncond)
{
    Toy *toy = context;
    const float *in;
    float out[COUNT];
    (void)uncond;
    if (++toy->calls == toy->fail_at) return nodus_error(NODUS_ERROR_CANCELLED, "the toy fails");
    NODUS_TRY(nodus_tensor_map_f32(&toy->support.math, x, &in));
    for (int i = 0; i < COUNT; i++) {
        const float u = in[i] / (1 + sigma * sigma), c = u + 0.25f * tanhf(in[i]) / (1 + sigma);
        out[i] = u + 2 * (c - u);
    }
    return nodus_tensor_from_f32(&toy->support.math, denoised, 4, shape, out);
}

static NodusStatus toy_noise(void *context, float from, float to, NodusTensor **out)
{
    Toy *toy = context;
    float numbers[COUNT];
    (void)from, (void)to;
    generator_normal(&toy->noise, numbers, COUNT);
    return nodus_tensor_from_f32(&toy->support.math, out, 4, shape, numbers);
}

static NodusStatus toy_add_noise(void *context, const NodusTensor *x, const NodusTensor *noise, float sigma, NodusTensor **out)
{
    Toy *toy = context;
    const float parts[] = {sigma, toy->flow ? 1 - sigma : 1};
    return nodus_tensor_lincomb(&toy->support.math, out, 2, parts, (const NodusTensor *[]){noise, x});
}

static NodusStatus toy_step_done(void *context, int step, const NodusTensor *x, const NodusTensor *denoised)
{
    Toy *toy = context;
    assert_int_equal(step, toy->steps++);
    assert_non_null(x);
    assert_non_null(denoised);
    return NULL;
}

static NodusStatus toy_run(Toy *toy, const char *name, const float *sigmas, int steps, NodusTensor **out)
{
    const NodusSamplerDef *def = sampler_table;
    while (def->name && strcmp(def->name, name) != 0) def++;
    if (!def->name) return nodus_error(NODUS_ERROR_INPUT, "no sampler %s", name);
    const NodusSampling sampling = {
        .struct_size = sizeof sampling, .math = &toy->support.math, .context = toy, .seed = 42, .sigmas = sigmas, .steps = steps,
        .flow = toy->flow, .denoise = toy_denoise, .noise = toy_noise, .add_noise = toy_add_noise, .step_done = toy_step_done,
    };
    NodusTensor *noise, *x;
    generator_seed(&toy->noise, 42);
    NODUS_TRY(toy_noise(toy, 0, 0, &noise));
    generator_seed(&toy->noise, 42);
    NODUS_TRY(nodus_tensor_affine(&toy->support.math, &x, noise, toy->flow ? sigmas[0] : sqrtf(1 + sigmas[0] * sigmas[0]), 0));
    return def->run(&sampling, NULL, x, out);
}

typedef struct Row { const char *name; int calls; double first[4], mean, std; } Row;

static void expect(const Row *row, bool is_flow)
{
    void **state_ = NULL;
    Toy toy = {.flow = is_flow};
    NodusTensor *out;
    const float *got;
    double sum = 0, squares = 0;
    assert_ok(support_math_open("ref", NULL, 1, &toy.support));
    assert_ok(toy_run(&toy, row->name, is_flow ? flow : eps, 10, &out));
    assert_ok(nodus_tensor_map_f32(&toy.support.math, out, &got));
    for (int i = 0; i < COUNT; i++) sum += got[i];
    for (int i = 0; i < COUNT; i++) squares += (got[i] - sum / COUNT) * (got[i] - sum / COUNT);
    for (int i = 0; i < 4; i++) assert_near(got[i], row->first[i], 2e-5 * fabs(row->first[i]));
    assert_near(sum / COUNT, row->mean, 2e-6);
    assert_near(sqrt(squares / (COUNT - 1)), row->std, 2e-5);
    assert_int_equal(toy.calls, row->calls);
    assert_int_equal(toy.steps, 10);
    support_math_close(&toy.support);
}

TEST(the_reference_on_eps_sigmas)
{
    static const Row rows[] = {
        {"euler", 10, {3.0261581, 2.6212587, 1.9990630, -3.1844642}, 0.1421792, 1.8830621},
        {"euler_ancestral", 10, {-2.1913958, -1.7233331, -2.7508626, -2.4316015}, -0.0324600, 1.9486479},
        {"heun", 19, {4.2809100, 3.7970245, 3.0859756, -4.4733534}, 0.2345783, 2.8807559},
        {"dpmpp_2m", 10, {3.8380501, 3.3511634, 2.6263623, -4.0309753}, 0.1910654, 2.4618824},
        {"lcm", 10, {-2.3859887, -1.6701468, -2.3103149, -0.7091696}, -0.0884834, 1.9007401},
        {"ddim", 10, {3.0261581, 2.6212587, 1.9990630, -3.1844642}, 0.1421792, 1.8830621},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) expect(&rows[i], false);
}

TEST(the_reference_on_flow_sigmas)
{
    static const Row rows[] = {
        {"euler", 10, {1.9638594, 1.6255980, 1.1038208, -2.0943742}, 0.0760969, 1.1003076},
        {"euler_ancestral", 10, {-0.9656760, 0.2043010, -0.6867026, -0.9689450}, -0.0188944, 0.8977956},
        {"heun", 19, {2.0873308, 1.7409608, 1.2026968, -2.2209401}, 0.0828316, 1.1855100},
        {"dpmpp_2m", 10, {2.0692313, 1.7209703, 1.1815690, -2.2036543}, 0.0813938, 1.1693640},
        {"lcm", 10, {-0.6305801, 0.5328528, 0.2686773, -0.0540454}, -0.0185296, 0.6632381},
        {"ddim", 10, {1.9638594, 1.6255980, 1.1038208, -2.0943742}, 0.0760969, 1.1003076},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) expect(&rows[i], true);
}

TEST(a_sampler_keeps_nothing_but_its_result)
{
    for (const NodusSamplerDef *def = sampler_table; def->name; def++) {
        Toy toy = {0};
        NodusTensor *out;
        assert_ok(support_math_open("ref", NULL, 1, &toy.support));
        assert_ok(toy_run(&toy, def->name, eps, 10, &out));
        /* noise, start, result; and what the toy mapped stays: once a call */
        const size_t expected = 3 + (size_t)toy.calls;
        if (toy.support.math.scratch_count > expected)
            fail_msg("%s leaves %zu tensors, expected %zu", def->name, toy.support.math.scratch_count, expected);
        support_math_close(&toy.support);
    }
}

TEST(an_error_of_the_model_ends_the_sampling)
{
    for (const NodusSamplerDef *def = sampler_table; def->name; def++) {
        Toy toy = {.fail_at = 3};
        NodusTensor *out;
        assert_ok(support_math_open("ref", NULL, 1, &toy.support));
        assert_error(toy_run(&toy, def->name, eps, 10, &out), "the toy fails");
        assert_int_equal(toy.calls, 3);
        support_math_close(&toy.support);
    }
}

TEST_MAIN(CASE(the_reference_on_eps_sigmas), CASE(the_reference_on_flow_sigmas), CASE(a_sampler_keeps_nothing_but_its_result),
          CASE(an_error_of_the_model_ends_the_sampling))
