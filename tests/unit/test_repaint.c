/* RePaint: its walk and its numbers are those of tests/golden/repaint.py, which is written from the paper in other variables; on the demo
 * model one pass is the wrapped sampler bit for bit, and what is kept stays. */
#include "nodes/diffusion/inpaint.h"
#include "nodes/sampler_repaint.h"
#include "tests/support.h"
#include "tests/support_lab.h"
#include "tests/test.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static Lab lab;
LAB_FIXTURE(lab_open(&lab, NULL))

/* ---- The walk -------------------------------------------------------------------------------------------------------------- */

typedef struct Trail {
    char text[512];
    int64_t moves;
    int steps;
} Trail;

/* The levels that a visit passes, in the paper's count: what is left to the last noisy one. */
static NodusStatus trail_visit(void *context, int from, int to)
{
    Trail *trail = context;
    const int step = to > from ? 1 : -1;
    assert_true(to > from || to == from - 1);
    for (int k = from + step; k != to + step; k += step) {
        const size_t length = strlen(trail->text);
        if (length + 16 < sizeof trail->text) snprintf(trail->text + length, 16, " %d", trail->steps - 1 - k);
        trail->moves++;
    }
    return NULL;
}

TEST(the_walk_is_the_papers)
{
    Trail trail = {.steps = 8}, paper = {.steps = 250}, once = {.steps = 4};
    assert_ok(repaint_walk(8, 2, 3, trail_visit, &trail));
    assert_string_equal(trail.text, " 6 5 4 5 6 5 4 5 6 5 4 3 2 3 4 3 2 3 4 3 2 1 0 1 2 1 0 1 2 1 0 -1");
    assert_ok(repaint_walk(250, 10, 10, trail_visit, &paper));
    assert_int_equal(paper.moves, 4570);
    assert_ok(repaint_walk(4, 2, 1, trail_visit, &once));
    assert_string_equal(once.text, " 2 1 0 -1");
}

static NodusStatus count_down(void *context, int from, int to)
{
    if (to > from) *(int *)context += to - from;
    return NULL;
}

TEST(the_work_is_known_before)
{
    for (int steps = 1; steps <= 20; steps++)
        for (int length = 1; length < steps; length++) {
            SamplerObject sampler = {0};
            int walked = 0;
            sampler.repaint.length = length;
            sampler.repaint.jumps = 3;
            assert_ok(repaint_walk(steps, length, 3, count_down, &walked));
            assert_near(repaint_repeats(&sampler, steps) * steps, walked, 1e-9);
        }
}

/* ---- A formula model -------------------------------------------------------------------------------------------------------- */

enum { COUNT = 64 };
static const int64_t shape[] = {1, 1, 1, COUNT};
static const float levels[] = {14.6146431f, 9.1029291f, 5.4783921f, 3.1686049f, 1.7494180f, 0.9140727f, 0.4469184f, 0.2013984f, 0};

static const float flow[] = {1, 0.95f, 0.85f, 0.7f, 0.55f, 0.4f, 0.25f, 0.1f, 0};

typedef struct Toy {
    bool flow;
    SupportMath support;
    Inpaint inpaint;
    ModelSampling sampling;
    int draws, reports, last_report;
} Toy;

static NodusStatus toy_draw(void *context, int rank, const int64_t *dim, NodusTensor **out)
{
    Toy *toy = context;
    float number[COUNT];
    toy->draws++;
    for (int i = 0; i < COUNT; i++) number[i] = (float)(1.4 * sin(0.7 + 12.9898 * toy->draws + 78.233 * (i + 1)));
    assert_int_equal(rank, 4);
    assert_int_equal(dim[3], COUNT);
    return nodus_tensor_from_f32(&toy->support.math, out, 4, shape, number);
}

static NodusStatus toy_noise(void *context, float from, float to, NodusTensor **out)
{
    assert_true(from > to && to > 0);
    return toy_draw(context, 4, shape, out);
}

/* As the driver does it (guidance.c): new noise on what is kept, the network, and what is kept in its prediction. */
static NodusStatus toy_denoise(void *context, const NodusTensor *x, float sigma, NodusTensor **denoised, NodusTensor **uncond)
{
    Toy *toy = context;
    NodusMath *math = &toy->support.math;
    NodusTensor *seen;
    const float *in;
    float out[COUNT];
    (void)uncond;
    nodus_tensor_release(math, toy->inpaint.noise);
    NODUS_TRY(toy_draw(toy, 4, shape, &toy->inpaint.noise));
    NODUS_TRY(inpaint_before(&toy->inpaint, math, &toy->sampling, x, sigma, &seen));
    NODUS_TRY(nodus_tensor_map_f32(math, seen, &in));
    for (int i = 0; i < COUNT; i++)
        out[i] = (in[i] + 0.3f * in[(i + 1) % COUNT]) / (1 + sigma * sigma) + 0.25f * tanhf(in[i]) / (1 + sigma);
    NODUS_TRY(nodus_tensor_from_f32(math, denoised, 4, shape, out));
    return inpaint_after(&toy->inpaint, math, denoised);
}

static NodusStatus toy_step_done(void *context, int step, const NodusTensor *x, const NodusTensor *denoised)
{
    Toy *toy = context;
    assert_non_null(x);
    assert_non_null(denoised);
    assert_true(step >= toy->last_report && step < 8);
    toy->last_report = step;
    toy->reports++;
    return NULL;
}

static NodusStatus toy_open(Toy *toy)
{
    float picture[COUNT], drawn[COUNT];
    NodusTensor *latent, *mask, *noise;
    NodusMath *math = &toy->support.math;
    NODUS_TRY(support_math_open("ref", NULL, 1, &toy->support));
    if (toy->flow) model_sampling_shifted(&toy->sampling, 1, 1000);
    else model_sampling_discrete(&toy->sampling);
    for (int i = 0; i < COUNT; i++) picture[i] = (float)cos(0.37 * i), drawn[i] = i % 16 < 6;
    NODUS_TRY(nodus_tensor_from_f32(math, &latent, 4, shape, picture));
    NODUS_TRY(nodus_tensor_from_f32(math, &noise, 4, shape, picture));
    NODUS_TRY(nodus_tensor_from_f32(math, &mask, 4, shape, drawn));
    return inpaint_open(&toy->inpaint, math, mask, latent, noise);
}

static NodusStatus toy_run(Toy *toy, const char *base, int64_t length, int64_t jumps, NodusTensor **out)
{
    const NodusSamplerDef *def = sampler_table;
    while (strcmp(def->name, base) != 0) def++;
    const Repaint repaint = {def, NULL, length, jumps};
    const NodusSampling sampling = {
        .struct_size = sizeof sampling, .math = &toy->support.math, .context = toy,
        .sigmas = toy->flow ? flow : levels, .steps = 8, .flow = toy->flow,
        .denoise = toy_denoise, .noise = toy_noise, .step_done = toy_step_done, .draw = toy_draw,
    };
    NodusTensor *noise, *x;
    NODUS_TRY(toy_draw(toy, 4, shape, &noise));
    NODUS_TRY(nodus_tensor_affine(&toy->support.math, &x, noise, toy->flow ? 1 : sqrtf(1 + levels[0] * levels[0]), 0));
    return repaint_run(&sampling, &repaint, x, out);
}

TEST(the_papers_numbers)
{
    /* printed by tests/golden/repaint.py; draws: how often noise was made */
    static const struct { const char *base; bool flow; int length, jumps, draws; double first[6], mean, std; } rows[] = {
        {"ddim", false, 2, 3, 33, {-0.2556572, 0.0077868, 0.2256797, -0.4829755, 0.4176788, -1.3942854}, -0.0068356, 0.5740156},
        {"ddpm", false, 2, 3, 52, {-0.7279751, 0.7663804, -0.7822903, 0.4439228, -0.9686206, -0.9412856}, 0.0109461, 0.6439751},
        {"euler", false, 3, 2, 21, {-0.8389802, 0.8188982, -0.7477037, 0.6442956, -0.2692098, -0.4562703}, 0.0107183, 0.6813564},
        {"ddpm", false, 1, 4, 79, {-0.4488786, 0.3450433, -0.2452276, -0.1378705, -0.3297407, -1.1495376}, -0.0317114, 0.4482893},
        {"ddim", false, 2, 1, 9, {-0.7696002, 0.6234531, -0.4244543, 0.0626233, -0.0971687, -1.7356817}, 0.0253218, 0.7891101},
        {"euler", true, 2, 3, 33, {-0.1623863, 0.0091105, 0.1371948, -0.3157412, 0.2208241, -1.0748213}, -0.0104863, 0.4024613},
        {"euler", true, 7, 2, 23, {-0.4956589, 0.3050556, -0.0671650, -0.2184336, 0.0670129, -1.7192514}, 0.0119042, 0.6720659},
    };
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
        Toy toy = {.flow = rows[row].flow};
        NodusTensor *out;
        const float *got;
        double sum = 0, squares = 0;
        int drawn = 0;
        assert_ok(toy_open(&toy));
        assert_ok(toy_run(&toy, rows[row].base, rows[row].length, rows[row].jumps, &out));
        assert_ok(nodus_tensor_map_f32(&toy.support.math, out, &got));
        for (int i = 0; i < COUNT; i++) {
            if (i % 16 >= 6) assert_near(got[i], cos(0.37 * i), 1e-5); /* what is kept */
            else sum += got[i], squares += got[i] * got[i], drawn++;
        }
        for (int i = 0; i < 6; i++) assert_near(got[i], rows[row].first[i], 2e-5);
        assert_near(sum / drawn, rows[row].mean, 1e-5);
        assert_near(sqrt(squares / drawn - sum / drawn * sum / drawn), rows[row].std, 1e-5);
        assert_int_equal(toy.draws, rows[row].draws);
        assert_int_equal(toy.last_report, 7);
        support_math_close(&toy.support);
    }
}

TEST(a_jump_that_is_too_long_is_said)
{
    Toy toy = {.draws = 0};
    NodusTensor *out;
    assert_ok(toy_open(&toy));
    assert_error(toy_run(&toy, "euler", 8, 2, &out), "a jump of 8 levels needs at least 9 steps; the sampling has 8");
    support_math_close(&toy.support);
}

/* ---- The demo model --------------------------------------------------------------------------------------------------------- */

#define NODE(id_, type_, inputs_) "\"" id_ "\": {\"class_type\": \"" type_ "\", \"inputs\": {" inputs_ "}}"
#define LINK(name_, node_) "\"" name_ "\": [\"" node_ "\", 0]"
#define BASE                                                                                                                    \
    "{" NODE("1", "CheckpointLoaderSimple", "\"ckpt_name\": \"shapes-sd1.safetensors\"") ", "                                    \
    NODE("2", "CLIPTextEncode", "\"text\": \"a red star\", \"clip\": [\"1\", 1]") ", "                                           \
    NODE("I", "EmptyImage", "\"width\": 64, \"height\": 64, \"batch_size\": 1, \"color\": 14483456") ", "                        \
    NODE("V", "VAEEncode", LINK("pixels", "I") ", \"vae\": [\"1\", 2]") ", "                                                     \
    NODE("H", "MaskPattern", "\"kind\": \"half\", \"width\": 64, \"height\": 64, \"seed\": 0") ", "                              \
    NODE("L", "SetLatentNoiseMask", LINK("samples", "V") ", " LINK("mask", "H")) ", "                                            \
    NODE("S", "BasicScheduler", LINK("model", "1") ", \"scheduler\": \"normal\", \"steps\": 5, \"denoise\": 1") ", "

/* A sampling by that sampler, wrapped as `wrap` says (NULL: not). */
static LabArray drawn(const char *sampler, const char *wrap)
{
    void **state_ = NULL;
    char json[4096];
    LabArray out;
    snprintf(json, sizeof json,
             BASE NODE("K", "KSamplerSelect", "\"sampler_name\": \"%s\"") ", " NODE("R", "SamplerRePaint", LINK("sampler", "K") "%s") ", "
             NODE("5", "SamplerCustom", LINK("model", "1") ", \"add_noise\": true, \"noise_seed\": 5, \"cfg\": 1, " LINK("positive", "2") ", "
                  LINK("negative", "2") ", \"sampler\": [\"%s\", 0], " LINK("sigmas", "S") ", " LINK("latent_image", "L")) "}",
             sampler, wrap ? wrap : "", wrap ? "R" : "K");
    assert_ok(lab_array(&lab, json, "5", 0, NULL, &out));
    return out;
}

#define SAME ", \"jump_length\": 2, \"known_noise\": \"one for all steps\", \"jumps\": "
#define NEW  ", \"jump_length\": 2, \"known_noise\": \"new at each step\", \"jumps\": "

TEST(one_pass_is_the_sampler_itself)
{
    static const char *const samplers[] = {"euler", "ddim", "euler_ancestral", "heun", "dpmpp_2m", "ddpm", "dpmpp_sde"};
    (void)state_;
    for (size_t i = 0; i < sizeof samplers / sizeof *samplers; i++)
        if (lab_farthest(drawn(samplers[i], NULL), drawn(samplers[i], SAME "1")) != 0) fail_msg("%s differs", samplers[i]);
}

TEST(jumps_and_new_noise_change_what_is_drawn)
{
    (void)state_;
    assert_true(lab_farthest(drawn("euler", NULL), drawn("euler", NEW "1")) > 1e-2); /* blended latents */
    assert_true(lab_farthest(drawn("euler", NULL), drawn("euler", SAME "2")) > 1e-2);
    assert_true(lab_farthest(drawn("euler", NEW "2"), drawn("euler", SAME "2")) > 1e-2);
    assert_true(lab_farthest(drawn("euler", NEW "2"), drawn("euler", NEW "2")) == 0);
}

TEST(what_is_kept_stays)
{
    LabArray kept, got = drawn("ddpm", NEW "3");
    assert_ok(lab_array(&lab, BASE NODE("Z", "PreviewAny", LINK("source", "L")) "}", "L", 0, NULL, &kept));
    for (size_t i = 0; i < kept.count; i++)
        if (i % 8 < 4) assert_near(got.data[i], kept.data[i], 1e-4);
    free(kept.data);
    free(got.data);
}

TEST(samplers_without_a_way_back_are_refused)
{
    const char *json = BASE NODE("K", "KSamplerSelect", "\"sampler_name\": \"dpmpp_sde\"") ", "
        NODE("R", "SamplerRePaint", LINK("sampler", "K") NEW "2") ", " NODE("Z", "PreviewAny", LINK("source", "R")) "}";
    const char *twice = BASE NODE("K", "KSamplerSelect", "\"sampler_name\": \"euler\"") ", "
        NODE("R", "SamplerRePaint", LINK("sampler", "K") NEW "2") ", "
        NODE("R2", "SamplerRePaint", LINK("sampler", "R") NEW "2") ", " NODE("Z", "PreviewAny", LINK("source", "R2")) "}";
    assert_int_not_equal(lab_run(&lab, json), NODUS_SUCCESS);
    assert_non_null(strstr(lab.error, "dpmpp_sde follows one path of noise, which has no way back"));
    assert_int_not_equal(lab_run(&lab, twice), NODUS_SUCCESS);
    assert_non_null(strstr(lab.error, "euler cannot be sent back in time"));
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(the_walk_is_the_papers), CASE(the_work_is_known_before), CASE(the_papers_numbers), CASE(a_jump_that_is_too_long_is_said), CASE(one_pass_is_the_sampler_itself),
        CASE(jumps_and_new_noise_change_what_is_drawn), CASE(what_is_kept_stays), CASE(samplers_without_a_way_back_are_refused),
    };
    return cmocka_run_group_tests(cases, setup, teardown);
}
