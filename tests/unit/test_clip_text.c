/* CLIP's text tower on the demo checkpoint: the recorded conditioning, clip skip, causality, and errors that name the key. */
#include "tests/test.h"
#include "tests/support_demo.h"

static Demo demo;

static int open_demo(void **state_)
{
    (void)state_;
    return demo_open(&demo) ? -1 : 0;
}

static int close_demo(void **state_)
{
    (void)state_;
    demo_close(&demo);
    return 0;
}

typedef struct TextCase {
    ClipTextConfig config;
    int layer;
    bool normalize;
} TextCase;

static NodusStatus build_text(void *context, OpGraph *graph)
{
    const TextCase *text = context;
    clip_text_build(graph, &text->config, &(ClipTextPass){.batch = 1, .layer = text->layer, .normalize = text->normalize});
    return NULL;
}

/* "a red star, night sky" with its token 2 replaced by `colour`: 736 is red. */
static NodusStatus run_text(int layer, bool normalize, int32_t colour, const float **hidden, const float **last)
{
    TextCase text = {demo.checkpoint.clip, layer, normalize};
    int32_t ids[CLIP_CHUNK] = {CLIP_START, 320, colour, 1565, 267, 930, 2390};
    for (int i = 7; i < CLIP_CHUNK; i++) ids[i] = CLIP_END;
    Bindings bindings = {0};
    NodusTensor *in, *out[2];
    NODUS_TRY(demo_ids(&demo, 1, ids, &in));
    bindings_input(&bindings, "ids", in);
    bindings_output(&bindings, "hidden", &out[0]);
    bindings_output(&bindings, "last", &out[1]);
    NODUS_TRY(demo_run(&demo, build_text, &text, &bindings));
    NODUS_TRY(nodus_tensor_map_f32(&demo.support.math, out[0], hidden));
    return nodus_tensor_map_f32(&demo.support.math, out[1], last);
}

enum { WIDTH = 64, COUNT = CLIP_CHUNK * WIDTH };

TEST(demo_prompt_has_the_recorded_conditioning) /* from the training program, shared/models/reference_cond.npy */
{
    static const struct {
        int token;
        float value[8];
    } recorded[] = {
        {0, {-0.4176616f, -0.8982804f, -1.666567f, -5.242959f, -1.976169f, 2.70088f, 3.806661f, 0.6955672f}},
        {1, {-0.2191818f, 0.5548788f, -1.810278f, -4.489606f, -1.711381f, 3.077236f, 4.15958f, -0.03213063f}},
        {6, {2.921443f, -0.9758361f, -2.646833f, -1.326211f, -1.689557f, 4.97415f, 1.297595f, 1.705813f}},
        {76, {1.65504f, -1.740006f, -1.382559f, 0.5607105f, -0.924199f, 2.559844f, 2.358582f, -0.6129982f}},
    };
    const float *hidden, *last;
    assert_ok(run_text(3, true, 736, &hidden, &last));
    for (int i = 0; i < 4; i++) assert_near(demo_distance(hidden + recorded[i].token * WIDTH, recorded[i].value, 8), 0, 2e-5);
    assert_near(demo_rms(hidden, COUNT), 1.928405, 1e-5);
    assert_near(demo_distance(hidden, last, COUNT), 0, 0);
}

TEST(an_earlier_layer_comes_with_or_without_the_final_norm)
{
    static const float normed[8] = {-0.873816f, -0.9253687f, -1.453385f, -3.869723f,
                                    -3.175741f, 0.8004444f,  4.225419f,  0.3622255f};
    static const float plain[8] = {-1.368983f, -1.495731f, -1.391722f, -4.41403f, -3.190023f, 0.3782893f, 4.476507f, 0.7943226f};
    const float *hidden, *last, *final, *same;
    assert_ok(run_text(2, true, 736, &hidden, &last));
    assert_near(demo_distance(hidden, normed, 8), 0, 2e-5);
    assert_ok(run_text(2, false, 736, &hidden, &last));
    assert_near(demo_distance(hidden, plain, 8), 0, 2e-5);
    assert_ok(run_text(3, true, 736, &final, &same));
    assert_near(demo_distance(last, final, COUNT), 0, 0); /* pooling always takes the last layer */
}

TEST(a_token_changes_nothing_before_it)
{
    const float *red, *green, *last;
    assert_ok(run_text(3, true, 736, &red, &last));
    assert_ok(run_text(3, true, 1901, &green, &last));
    assert_near(demo_distance(red, green, 2 * WIDTH), 0, 0);
    assert_true(demo_distance(red + 2 * WIDTH, green + 2 * WIDTH, WIDTH) > 0.1);
    assert_true(demo_distance(red + 6 * WIDTH, green + 6 * WIDTH, WIDTH) > 0.01);
}

TEST(a_layer_that_is_not_there_is_an_error)
{
    const float *hidden, *last;
    assert_error(run_text(4, true, 736, &hidden, &last), "no layer 4 of 3");
    assert_error(run_text(0, true, 736, &hidden, &last), "no layer 0 of 3");
}

TEST(a_missing_weight_is_named)
{
    TextCase text = {demo.checkpoint.clip, 4, true};
    text.config.layers = 4;
    Bindings bindings = {0};
    assert_error(demo_run(&demo, build_text, &text, &bindings),
                 "cond_stage_model.transformer.text_model.encoder.layers.3.layer_norm1");
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(demo_prompt_has_the_recorded_conditioning), CASE(an_earlier_layer_comes_with_or_without_the_final_norm),
        CASE(a_token_changes_nothing_before_it), CASE(a_layer_that_is_not_there_is_an_error), CASE(a_missing_weight_is_named)};
    return cmocka_run_group_tests(cases, open_demo, close_demo);
}
