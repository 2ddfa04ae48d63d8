/* The UNet on the demo checkpoint: recorded outputs, sizes that are not even, and what patches may change at its sites. The
 * recorded numbers are a NumPy evaluation in f64 that agrees with the training program's (shared/models/reference_unet_t500.npy)
 * to 4e-7. */
#include "tests/test.h"
#include "tests/support_demo.h"
#include <math.h>

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

enum { TOKENS = 7 };
typedef struct UnetCase {
    UnetConfig config;
    int64_t batch, height, width;
    const NodusPatchClass *patch;
    const void *self;
} UnetCase;

static NodusStatus build_unet(void *context, OpGraph *graph)
{
    const UnetCase *unet = context;
    if (unet->patch) graph_set_patches(graph, &unet->patch, &unet->self, 1);
    unet_build(graph, &unet->config, unet->batch, unet->height, unet->width, TOKENS);
    return NULL;
}

static UnetCase a_unet(int64_t batch, int64_t height, int64_t width)
{
    return (UnetCase){demo.checkpoint.unet, batch, height, width, NULL, NULL};
}

static NodusStatus run_unet(UnetCase *unet, float timestep, const float **out)
{
    NodusMath *math = &demo.support.math;
    Bindings bindings = {0};
    NodusTensor *x, *t, *text, *eps;
    NODUS_TRY(demo_noise(&demo, 1, 4, (const int64_t[]){unet->batch, 4, unet->height, unet->width}, &x));
    NODUS_TRY(demo_noise(&demo, 2, 3, (const int64_t[]){unet->batch, TOKENS, 64}, &text));
    NODUS_TRY(nodus_tensor_fill(math, &t, 1, &unet->batch, timestep));
    bindings_input(&bindings, "x", x);
    bindings_input(&bindings, "timesteps", t);
    bindings_input(&bindings, "context", text);
    bindings_output(&bindings, "out", &eps);
    NODUS_TRY(demo_run(&demo, build_unet, unet, &bindings));
    return nodus_tensor_map_f32(math, eps, out);
}

TEST(a_batch_of_two_has_the_recorded_output)
{
    static const float recorded[8] = {0.004857338f, 0.5622835f, 1.238802f,  -0.2628955f,
                                      -0.3018318f,  0.6283041f, 0.9491376f, -0.06504581f};
    UnetCase unet = a_unet(2, 8, 8);
    const float *out;
    assert_ok(run_unet(&unet, 500, &out));
    assert_near(demo_distance(out, recorded, 8), 0, 2e-5);
    assert_near(demo_rms(out, 512), 0.8386981, 1e-5);
    assert_near(out[511], -0.3694139, 2e-5);
}

TEST(odd_sizes_are_doubled_to_the_size_of_the_skip)
{
    static const float recorded[8] = {-0.0764345f, 0.7005432f, 1.683755f, -0.5472278f,
                                      -0.4628072f, 1.322441f,  1.76187f,  -0.0977478f};
    UnetCase unet = a_unet(1, 5, 7);
    const float *out;
    assert_ok(run_unet(&unet, 1, &out));
    assert_near(demo_distance(out, recorded, 8), 0, 2e-5);
    assert_near(demo_rms(out, 140), 1.214971, 1e-5);
    assert_near(out[139], -0.6254166, 2e-5);
}

/* ---- Patches --------------------------------------------------------------------------------------------------------- */

typedef struct Seen {
    int count[16], self_attention, heads;
    int64_t least_height, most_height;
} Seen;

static NodusStatus look(const void *self, NodusOpGraph *graph, NodusSite *site)
{
    Seen *seen = *(Seen *const *)self;
    (void)graph;
    seen->count[site->kind]++;
    if (site->kind == SITE_ATTENTION) {
        seen->self_attention += op_is_none(site->context);
        seen->heads = site->heads;
    }
    if (!seen->least_height || site->height < seen->least_height) seen->least_height = site->height;
    if (site->height > seen->most_height) seen->most_height = site->height;
    return NULL;
}

TEST(every_site_is_visited_and_looking_costs_nothing)
{
    static const NodusPatchClass looker = {.struct_size = sizeof looker, .name = "looker", .build = look};
    Seen seen = {0}, *self = &seen;
    UnetCase plain = a_unet(1, 8, 8), watched = plain;
    watched.patch = &looker;
    watched.self = &self;
    const float *a, *b;
    assert_ok(run_unet(&plain, 500, &a));
    assert_ok(run_unet(&watched, 500, &b));
    assert_near(demo_distance(a, b, 256), 0, 0);
    assert_int_equal(seen.count[SITE_INPUT_BLOCK], 12);
    assert_int_equal(seen.count[SITE_INPUT_BLOCK_AFTER_SKIP], 12);
    assert_int_equal(seen.count[SITE_MIDDLE_BLOCK], 1);
    assert_int_equal(seen.count[SITE_OUTPUT_BLOCK], 12);
    assert_int_equal(seen.count[SITE_EMB], 1);
    assert_int_equal(seen.count[SITE_MIDDLE_PATCH], 16);
    assert_int_equal(seen.count[SITE_ATTENTION], 32);
    assert_int_equal(seen.count[SITE_ATTENTION_OUTPUT], 32);
    assert_int_equal(seen.self_attention, 16);
    assert_int_equal(seen.heads, 8);
    assert_int_equal(seen.least_height, 1);
    assert_int_equal(seen.most_height, 8);
}

/* Perturbed attention: each token of the middle block looks only at itself. */
static NodusStatus blind(const void *self, NodusOpGraph *graph, NodusSite *site)
{
    (void)self, (void)graph;
    if (site->kind == SITE_ATTENTION && site->stage == 1 && op_is_none(site->context)) site->out = site->v;
    return NULL;
}

static NodusStatus double_skip(const void *self, NodusOpGraph *graph, NodusSite *site)
{
    (void)self;
    if (site->kind == SITE_OUTPUT_BLOCK && site->block == 11) site->skip = op_add(graph, site->skip, site->skip);
    return NULL;
}

TEST(patches_change_what_they_rewrite)
{
    static const NodusPatchClass classes[] = {{.struct_size = sizeof *classes, .name = "blind", .build = blind},
                                              {.struct_size = sizeof *classes, .name = "skips", .build = double_skip}};
    UnetCase plain = a_unet(1, 16, 16);
    const float *before, *after;
    assert_ok(run_unet(&plain, 500, &before));
    for (int i = 0; i < 2; i++) {
        UnetCase patched = plain;
        patched.patch = &classes[i];
        assert_ok(run_unet(&patched, 500, &after));
        assert_true(demo_distance(before, after, 1024) > 1e-4);
    }
}

static NodusStatus refuse(const void *self, NodusOpGraph *graph, NodusSite *site)
{
    (void)self, (void)graph, (void)site;
    return nodus_error(NODUS_ERROR_INPUT, "this patch does not fit");
}

TEST(errors_of_patches_and_missing_weights_stop_the_plan)
{
    static const NodusPatchClass refuser = {.struct_size = sizeof refuser, .name = "refuser", .build = refuse};
    UnetCase unet = a_unet(1, 8, 8);
    const float *out;
    unet.patch = &refuser;
    assert_error(run_unet(&unet, 500, &out), "does not fit");
    unet = a_unet(1, 8, 8);
    unet.config.depth_in[1] = 2;
    assert_error(run_unet(&unet, 500, &out), "model.diffusion_model.input_blocks.1.1.transformer_blocks.1.norm2");
    unet = a_unet(1, 8, 8);
    unet.config.heads = 7;
    assert_error(run_unet(&unet, 500, &out), "heads");
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(a_batch_of_two_has_the_recorded_output), CASE(odd_sizes_are_doubled_to_the_size_of_the_skip),
        CASE(every_site_is_visited_and_looking_costs_nothing), CASE(patches_change_what_they_rewrite),
        CASE(errors_of_patches_and_missing_weights_stop_the_plan)};
    return cmocka_run_group_tests(cases, open_demo, close_demo);
}
