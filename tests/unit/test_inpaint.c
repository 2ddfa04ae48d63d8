/* test_inpaint.c: nodes that prepare pictures for repainting, and what models for it are shown. */
#include "nodes/diffusion/concat.h"
#include "tests/support_lab.h"
#include "tests/test.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* TestConcat: what a model with that many input channels would see beside its latent, for the first entry of a conditioning. */
typedef struct {
    const Conditioning *conditioning;
    const Latent *latent;
    int64_t channels;
} TestConcatArgs;
static NodusStatus test_concat(NodusCall *call, const void *args)
{
    const TestConcatArgs *in = args;
    const Model model = {.unet = {.in_channels = (int)in->channels, .out_channels = 4}, .latent_scale = 2};
    NodusTensor *out;
    NODUS_TRY(concat_input(call, &model, in->conditioning->cond, in->latent->samples, in->latent->noise_mask, &out));
    return latent_emit(call, 0, NULL, out);
}
static const NodusInput test_concat_inputs[] = {
    NODUS_IN_LINK("conditioning", TestConcatArgs, conditioning, "CONDITIONING", ""),
    NODUS_IN_LINK("latent", TestConcatArgs, latent, "LATENT", ""),
    NODUS_IN_INT("channels", TestConcatArgs, channels, "", .min = 0, .max = 100),
};
static const NodusOutput test_concat_outputs[] = {{.name = "LATENT", .type = "LATENT", .tooltip = ""}};
static const NodusNode node_test_concat = {
    NODUS_NODE("TestConcat", "Test Concat", "test", TestConcatArgs, test_concat_inputs, test_concat_outputs), .help = "", .run = test_concat};
static const NodusNode *const nodes[] = {&node_test_concat, NULL};

static Lab lab;
LAB_FIXTURE(lab_open(&lab, nodes))

/* Pictures of two colours; a mask of one pixel near the middle, and of all. */
#define ITEM(id_, class_, inputs_) "\"" id_ "\": {\"class_type\": \"" class_ "\", \"inputs\": {" inputs_ "}}, "
#define IN(name_, id_)             "\"" name_ "\": [\"" id_ "\", 0]"
#define BASE                                                                                                            \
    ITEM("1", "CheckpointLoaderSimple", "\"ckpt_name\": \"shapes-sd1.safetensors\"")                                    \
    ITEM("A", "CLIPTextEncode", "\"text\": \"a red star\", \"clip\": [\"1\", 1]")                                        \
    ITEM("B", "CLIPTextEncode", "\"text\": \"\", \"clip\": [\"1\", 1]")                                                  \
    ITEM("RED", "EmptyImage", "\"width\": 70, \"height\": 64, \"batch_size\": 1, \"color\": 14483456")                   \
    ITEM("BLUE", "EmptyImage", "\"width\": 70, \"height\": 64, \"batch_size\": 1, \"color\": 221")                       \
    ITEM("M0", "SolidMask", "\"value\": 0.0, \"width\": 70, \"height\": 64")                                             \
    ITEM("M1", "SolidMask", "\"value\": 1.0, \"width\": 70, \"height\": 64")                                             \
    ITEM("MG", "SolidMask", "\"value\": 0.4, \"width\": 70, \"height\": 64")                                             \
    ITEM("DOT", "SolidMask", "\"value\": 1.0, \"width\": 1, \"height\": 1")                                              \
    ITEM("MD", "MaskComposite", IN("destination", "M0") ", " IN("source", "DOT") ", \"x\": 33, \"y\": 20, \"operation\": \"add\"")
#define VAE "\"vae\": [\"1\", 2]"
#define ENCODED(id_, picture_, mask_, grow_) \
    ITEM(id_, "VAEEncodeForInpaint", IN("pixels", picture_) ", " VAE ", " IN("mask", mask_) ", \"grow_mask_by\": " #grow_)
#define PLAIN(id_, picture_) ITEM(id_, "VAEEncode", IN("pixels", picture_) ", " VAE)
#define SHOWN(id_, picture_, mask_, noise_)                                                                                         \
    ITEM(id_, "InpaintModelConditioning",                                                                                           \
         IN("positive", "A") ", " IN("negative", "B") ", " VAE ", " IN("pixels", picture_) ", " IN("mask", mask_) ", \"noise_mask\": " #noise_)
#define EDIT(id_, picture_) \
    ITEM(id_, "InstructPixToPixConditioning", IN("positive", "A") ", " IN("negative", "B") ", " VAE ", " IN("pixels", picture_))
#define CONCAT(id_, cond_, latent_, channels_) \
    ITEM(id_, "TestConcat", IN("conditioning", cond_) ", \"latent\": " latent_ ", \"channels\": " #channels_)
#define END "\"Z\": {\"class_type\": \"PreviewAny\", \"inputs\": {\"source\": [\"M0\", 0]}}}"

static LabArray made(const char *more, const char *node, uint32_t slot, const char *part)
{
    void **state_ = NULL;
    char json[8192];
    LabArray out;
    snprintf(json, sizeof json, "{" BASE "%s" END, more);
    assert_ok(lab_array(&lab, json, node, slot, part, &out));
    return out;
}
static void fails(const char *more, const char *piece)
{
    char json[8192];
    snprintf(json, sizeof json, "{" BASE "%s" END, more);
    assert_int_not_equal(lab_run(&lab, json), NODUS_SUCCESS);
    if (!strstr(lab.error, piece)) fail_msg("\"%s\" does not contain \"%s\"", lab.error, piece);
}
static double apart(const LabArray *a, const LabArray *b)
{
    double largest = 0;
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->count; i++) largest = fmax(largest, fabs((double)a->data[i] - (double)b->data[i]));
    return largest;
}
static void same(LabArray a, LabArray b, double tolerance)
{
    const double off = apart(&a, &b);
    if (!(off <= tolerance)) fail_msg("they differ by %g", off);
    free(a.data);
    free(b.data);
}
static void differs(LabArray a, LabArray b)
{
    const double off = apart(&a, &b);
    if (!(off > 1e-3)) fail_msg("they differ by %g only", off);
    free(a.data);
    free(b.data);
}

/* ---- VAEEncodeForInpaint ------------------------------------------------------------------------------------------- */

TEST(what_is_masked_does_not_matter_and_the_rest_does)
{
    same(made(ENCODED("9", "RED", "M1", 0), "9", 0, NULL), made(ENCODED("9", "BLUE", "M1", 0), "9", 0, NULL), 0);
    same(made(ENCODED("9", "RED", "M0", 6), "9", 0, NULL), made(PLAIN("9", "RED"), "9", 0, NULL), 1e-4);
    differs(made(ENCODED("9", "RED", "M1", 0), "9", 0, NULL), made(PLAIN("9", "RED"), "9", 0, NULL));
}

/* Ones from row and column; the picture lost 3 columns on the left. */
static void expect_grown(const char *encoded, int first_row, int last_row, int first_column, int last_column)
{
    LabArray mask = made(encoded, "9", 0, "noise_mask");
    assert_int_equal(mask.count, 64 * 64);
    for (int i = 0; i < 64 * 64; i++) {
        const int y = i / 64, x = i % 64;
        const bool in = y >= first_row && y <= last_row && x >= first_column && x <= last_column;
        if (mask.data[i] != (in ? 1 : 0)) fail_msg("row %d, column %d: %g", y, x, (double)mask.data[i]);
    }
    free(mask.data);
}

TEST(a_mask_grows_by_as_many_pixels_as_wanted)
{
    expect_grown(ENCODED("9", "RED", "MD", 0), 20, 20, 30, 30);
    expect_grown(ENCODED("9", "RED", "MD", 1), 20, 20, 30, 30);
    expect_grown(ENCODED("9", "RED", "MD", 7), 17, 23, 27, 33);
    expect_grown(ENCODED("9", "RED", "MD", 6), 18, 23, 28, 33); /* even: one more below and on the right */
    expect_grown(ENCODED("9", "RED", "MD", 64), 0, 52, 0, 62);  /* up to the edges */
}

/* ---- Models that are shown a picture ------------------------------------------------------------------------------- */

TEST(an_inpainting_model_sees_mask_and_picture)
{
    LabArray seen = made(SHOWN("C", "RED", "MG", true) CONCAT("9", "C", "[\"C\", 2]", 9), "9", 0, NULL);
    LabArray picture = made(PLAIN("9", "RED"), "9", 0, NULL);
    const size_t plane = 64;
    assert_int_equal(seen.dim[1], 5);
    for (size_t i = 0; i < plane; i++) assert_true(seen.data[i] == 0); /* 0.4, rounded */
    for (size_t i = 0; i < 4 * plane; i++) assert_near(seen.data[plane + i], 2 * picture.data[i], 1e-3); /* scaled for the model */
    free(seen.data);
    free(picture.data);
}

TEST(what_is_masked_is_grey_for_an_inpainting_model)
{
    LabArray seen = made(SHOWN("C", "RED", "M1", true) CONCAT("9", "C", "[\"C\", 2]", 9), "9", 0, NULL);
    same(seen, made(SHOWN("C", "BLUE", "M1", true) CONCAT("9", "C", "[\"C\", 2]", 9), "9", 0, NULL), 0);
    same(made(SHOWN("C", "RED", "M1", true), "C", 2, NULL), made(PLAIN("9", "RED"), "9", 0, NULL), 0); /* the latent is not */
}

TEST(the_sampler_is_told_the_mask_if_wanted)
{
    LabArray mask = made(SHOWN("C", "RED", "M1", true), "C", 2, "noise_mask"), none;
    assert_int_equal(mask.count, 64 * 64);
    free(mask.data);
    assert_error(lab_array(&lab, "{" BASE SHOWN("C", "RED", "M1", false) END, "C", 2, "noise_mask", &none), "failed");
}

TEST(without_a_picture_the_latent_is_shown_or_grey)
{
    LabArray seen = made(ENCODED("L", "RED", "M1", 0) CONCAT("9", "A", "[\"L\", 0]", 9), "9", 0, NULL);
    LabArray latent = made(ENCODED("L", "RED", "M1", 0), "L", 0, NULL);
    for (size_t i = 0; i < 64; i++) assert_true(seen.data[i] == 1);
    assert_memory_equal(seen.data + 64, latent.data, latent.count * sizeof(float));
    free(seen.data);
    free(latent.data);
    seen = made(PLAIN("L", "RED") CONCAT("9", "A", "[\"L\", 0]", 9), "9", 0, NULL); /* no mask: everything, and a grey picture */
    assert_true(seen.data[0] == 1 && seen.data[64] == 0.8223f && seen.data[128] == -0.6876f && seen.data[256] == 0.1380f);
    free(seen.data);
}

TEST(an_editing_model_sees_the_picture_as_it_is)
{
    same(made(EDIT("C", "RED") CONCAT("9", "C", "[\"C\", 2]", 8), "9", 0, NULL), made(PLAIN("9", "RED"), "9", 0, NULL), 0);
    LabArray start = made(EDIT("C", "RED"), "C", 2, NULL), none = made(PLAIN("L", "RED") CONCAT("9", "A", "[\"L\", 0]", 8), "9", 0, NULL);
    for (size_t i = 0; i < start.count; i++) assert_true(start.data[i] == 0 && none.data[i] == 0);
    free(start.data);
    free(none.data);
}

TEST(unknown_channels_are_refused)
{
    fails(PLAIN("L", "RED") CONCAT("9", "A", "[\"L\", 0]", 7) "\"Y\": {\"class_type\": \"PreviewAny\", \"inputs\": {\"source\": [\"9\", 0]}}, ",
          "7 input channels");
}

/* ---- DifferentialDiffusion ----------------------------------------------------------------------------------------- */

#define REPAINT(mask_, model_)                                                                                                     \
    PLAIN("L", "RED") ITEM("S", "SetLatentNoiseMask", IN("samples", "L") ", " IN("mask", mask_))                                   \
    ITEM("9", "KSampler", IN("model", model_) ", \"seed\": 3, \"steps\": 4, \"cfg\": 1.0, \"sampler_name\": \"euler\", \"scheduler\": \"normal\", " \
         IN("positive", "A") ", " IN("negative", "B") ", " IN("latent_image", "S") ", \"denoise\": 1.0")
#define DIFFERENTIAL(strength_) ITEM("D", "DifferentialDiffusion", IN("model", "1") ", \"strength\": " #strength_)

TEST(a_hard_mask_is_the_same_with_and_without_differential_diffusion)
{
    same(made(DIFFERENTIAL(1.0) REPAINT("M1", "D"), "9", 0, NULL), made(REPAINT("M1", "1"), "9", 0, NULL), 0);
}

TEST(a_grey_mask_joins_late)
{
    differs(made(DIFFERENTIAL(1.0) REPAINT("MG", "D"), "9", 0, NULL), made(REPAINT("MG", "1"), "9", 0, NULL));
    differs(made(DIFFERENTIAL(1.0) REPAINT("MG", "D"), "9", 0, NULL), made(DIFFERENTIAL(0.5) REPAINT("MG", "D"), "9", 0, NULL));
    /* As in ComfyUI 0.16.3, strength 0 is strength 1. */
    same(made(DIFFERENTIAL(0.0) REPAINT("MG", "D"), "9", 0, NULL), made(DIFFERENTIAL(1.0) REPAINT("MG", "D"), "9", 0, NULL), 1e-5);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(what_is_masked_does_not_matter_and_the_rest_does), CASE(a_mask_grows_by_as_many_pixels_as_wanted), CASE(an_inpainting_model_sees_mask_and_picture),
        CASE(what_is_masked_is_grey_for_an_inpainting_model), CASE(the_sampler_is_told_the_mask_if_wanted), CASE(without_a_picture_the_latent_is_shown_or_grey),
        CASE(an_editing_model_sees_the_picture_as_it_is), CASE(unknown_channels_are_refused),
        CASE(a_hard_mask_is_the_same_with_and_without_differential_diffusion), CASE(a_grey_mask_joins_late),
    };
    return cmocka_run_group_tests(cases, setup, teardown);
}
