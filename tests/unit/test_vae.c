/* The autoencoder on the demo checkpoint: recorded outputs, the encoder's known formula, and errors. Recorded numbers as in
 * test_unet.c; the same evaluation agrees with the training program's picture to 2e-6. */
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

typedef struct VaeCase {
    VaeConfig config;
    bool decode;
    int64_t height, width;
} VaeCase;

static NodusStatus build_vae(void *context, OpGraph *graph)
{
    const VaeCase *vae = context;
    (vae->decode ? vae_build_decoder : vae_build_encoder)(graph, &vae->config, 1, vae->height, vae->width);
    return NULL;
}

static NodusStatus run_vae(VaeCase *vae, const NodusTensor *in, const float **out)
{
    Bindings bindings = {0};
    NodusTensor *result;
    bindings_input(&bindings, vae->decode ? "latent" : "pixels", in);
    bindings_output(&bindings, vae->decode ? "pixels" : "latent", &result);
    NODUS_TRY(demo_run(&demo, build_vae, vae, &bindings));
    return nodus_tensor_map_f32(&demo.support.math, result, out);
}

TEST(decoding_gives_the_recorded_pixels)
{
    static const float recorded[8] = {1.80567f, 1.855518f, 1.811098f, 1.758265f, 1.685196f, 1.674939f, 1.686197f, 1.702806f};
    VaeCase vae = {demo.checkpoint.vae, true, 4, 6};
    NodusTensor *latent;
    const float *out;
    assert_ok(demo_noise(&demo, 3, 4, (const int64_t[]){1, 4, 4, 6}, &latent));
    assert_ok(run_vae(&vae, latent, &out));
    assert_near(demo_distance(out, recorded, 8), 0, 2e-5);
    assert_near(demo_rms(out, 3 * 32 * 48), 1.585431, 1e-5);
    assert_near(out[3 * 32 * 48 - 1], 1.518493, 2e-5);
}

TEST(encoding_gives_the_recorded_mean) /* of a noise that this encoder blows up to an rms of 228 */
{
    static const float recorded[8] = {30.18866f, 30.97894f, 30.62458f, 30.46491f, 31.31565f, 31.31558f, 31.04828f, 31.42512f};
    VaeCase vae = {demo.checkpoint.vae, false, 32, 48};
    NodusTensor *pixels;
    const float *out;
    assert_ok(demo_noise(&demo, 4, 4, (const int64_t[]){1, 3, 32, 48}, &pixels));
    assert_ok(run_vae(&vae, pixels, &out));
    assert_near(demo_distance(out, recorded, 8), 0, 5e-3);
    assert_near(demo_rms(out, 96), 227.9537, 5e-3);
    assert_near(out[95], 448.566, 2e-2);
}

TEST(a_flat_colour_encodes_to_the_formula_of_the_demo_model) /* its README: mean · 0.18215 = T·(v − m) */
{
    enum { SIDE = 128, CELLS = SIDE / 8 * SIDE / 8 };
    static const float colour[3] = {0.5f, -0.5f, 0.2f}, expected[3] = {1.4296f, -2.5405f, 0.7950f};
    static float pixels[3][SIDE * SIDE];
    VaeCase vae = {demo.checkpoint.vae, false, SIDE, SIDE};
    NodusTensor *in;
    const float *out;
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < SIDE * SIDE; i++) pixels[c][i] = colour[c];
    assert_ok(nodus_tensor_from_f32(&demo.support.math, &in, 4, (const int64_t[]){1, 3, SIDE, SIDE}, pixels[0]));
    assert_ok(run_vae(&vae, in, &out));
    for (int c = 0; c < 3; c++) {
        double mean = 0;
        for (int i = 0; i < CELLS; i++) mean += (double)out[c * CELLS + i] / CELLS;
        assert_near(mean * 0.18215, expected[c], 0.05);
    }
}

TEST(a_missing_half_is_named)
{
    VaeCase vae = {demo.checkpoint.vae, true, 4, 4};
    Bindings bindings = {0};
    strcpy(vae.config.prefix, "nowhere.");
    assert_error(demo_run(&demo, build_vae, &vae, &bindings), "nowhere.decoder.conv_in");
    vae.decode = false;
    assert_error(demo_run(&demo, build_vae, &vae, &bindings), "nowhere.encoder.conv_in");
}

int main(void)
{
    const struct CMUnitTest cases[] = {CASE(decoding_gives_the_recorded_pixels), CASE(encoding_gives_the_recorded_mean),
                                       CASE(a_flat_colour_encodes_to_the_formula_of_the_demo_model),
                                       CASE(a_missing_half_is_named)};
    return cmocka_run_group_tests(cases, open_demo, close_demo);
}
