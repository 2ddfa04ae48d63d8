/* test_vision.c: what models are told of pictures: as the tower sees them, as unCLIP models hear of them, as style tokens. Numbers that
 * are said to be recorded were made with PyTorch 2 from the formulas of numerics.md §5 and nodes.md (interpolate with antialias). */
#include "nodes/diffusion/unclip.h"
#include "nodes/vision_pixels.h"
#include "tests/support.h"
#include "tests/support_examples.h"
#include "tests/test.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static Lab lab;

/* ---- A node that shows what the tower sees ---- */

typedef struct SeeArgs {
    const NodusTensor *image;
    int64_t side;
    bool centre;
} SeeArgs;

static NodusStatus see(NodusCall *call, const void *args)
{
    const SeeArgs *in = args;
    NodusTensor *seen, *picture;
    NODUS_TRY(vision_pixels(call, in->image, (int)in->side, in->centre, &seen));
    NODUS_TRY(nodus_tensor_permute(nodus_math(call), &picture, seen, (int[]){0, 2, 3, 1}));
    return nodus_emit_tensor(call, 0, "IMAGE", picture);
}

static const NodusInput see_inputs[] = {
    NODUS_IN_LINK("image", SeeArgs, image, "IMAGE", ""),
    NODUS_IN_INT("side", SeeArgs, side, "", .min = 1, .max = 1000),
    NODUS_IN_BOOLEAN("centre", SeeArgs, centre, "", true),
};
static const NodusOutput see_outputs[] = {{.name = "IMAGE", .type = "IMAGE", .tooltip = ""}};
static const NodusNode see_node = {NODUS_NODE("SeePixels", "SeePixels", "test", SeeArgs, see_inputs, see_outputs), .run = see};
static const NodusNode *const see_nodes[] = {&see_node, NULL};

static NodusStatus prepare(void)
{
    NODUS_TRY(examples_open(&lab, see_nodes));
    if (symlink("../style_models/redux.safetensors", lab_path(&lab, "models/clip_vision/style.safetensors")))
        return nodus_error(NODUS_ERROR_FILE, "no link");
    return NULL;
}
LAB_FIXTURE(prepare())

/* ---- Workflows ---- */

#define NODE(id_, class_, ...) "\"" id_ "\": {\"class_type\": \"" class_ "\", \"inputs\": {" __VA_ARGS__ "}}"
#define IN(name_, id_)         "\"" name_ "\": [\"" id_ "\", 0]"
#define SCENE                  NODE("I", "LoadImage", "\"image\": \"scene.png\"") ", "
#define CROP(id_, width_, height_) \
    NODE(id_, "ImageCrop", IN("image", "I") ", \"width\": " #width_ ", \"height\": " #height_ ", \"x\": 0, \"y\": 0") ", "
#define LOOK(id_, tower_, slot_, image_, crop_) \
    NODE(id_, "CLIPVisionEncode", "\"clip_vision\": [\"" tower_ "\", " #slot_ "], " IN("image", image_) ", \"crop\": \"" crop_ "\"")
#define VISION(file_) NODE("V", "CLIPVisionLoader", "\"clip_name\": \"" file_ "\"") ", "
#define TOWER         VISION("clip_vision.safetensors")

static LabArray run(const char *json, const char *node, const char *part)
{
    LabArray out;
    NodusStatus status = lab_array(&lab, json, node, 0, part, &out);
    if (status) fail_msg("%s", nodus_error_message(status));
    return out;
}

static void fails(const char *json, const char *piece)
{
    assert_int_equal(lab_run(&lab, json), NODUS_FAILED);
    if (!strstr(lab.error, piece)) fail_msg("\"%s\" does not say \"%s\"", lab.error, piece);
}

/* ‖a − b‖ / ‖b‖; frees both. */
static double apart(LabArray a, LabArray b)
{
    double square = 0, size = 0;
    assert_int_equal(a.count, b.count);
    for (size_t i = 0; i < a.count; i++) {
        square += pow((double)a.data[i] - (double)b.data[i], 2);
        size += pow((double)b.data[i], 2);
    }
    free(a.data);
    free(b.data);
    return sqrt(square / size);
}

/* ---- As the tower sees pictures ---- */

TEST(pictures_are_resized_cropped_and_normalised_as_recorded)
{
    static const struct { const char *json; int side; float first[6], last[6]; double mean, deviation; } rows[] = {
        {"{" SCENE CROP("C", 128, 48) NODE("S", "SeePixels", IN("image", "C") ", \"side\": 24, \"centre\": true") "}", 24,
         {-0.507601f, -0.941678f, 0.268848f, -0.507601f, -0.941678f, 0.268848f},
         {1.288005f, -0.281336f, -0.143534f, 1.273407f, -0.296344f, -0.143534f}, -0.014150, 0.615423},
        {"{" SCENE CROP("C", 128, 48) NODE("S", "SeePixels", IN("image", "C") ", \"side\": 24, \"centre\": false") "}", 24,
         {-0.434609f, -0.896654f, 0.126648f, -0.478404f, -0.941678f, 0.197748f},
         {1.171218f, -0.311351f, -0.100873f, 1.15662f, -0.296344f, -0.100873f}, -0.052634, 0.537107},
        {"{" SCENE CROP("C", 36, 20) NODE("S", "SeePixels", IN("image", "C") ", \"side\": 56, \"centre\": true") "}", 56,
         {-0.493003f, -0.941678f, 0.211968f, -0.493003f, -0.941678f, 0.211968f},
         {0.120131f, -0.701553f, 0.155088f, 0.120131f, -0.701553f, 0.155088f}, -0.277253, 0.435707},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        LabArray x = run(rows[i].json, "S", NULL);
        double sum = 0, squares = 0;
        assert_int_equal(x.count, 3 * rows[i].side * rows[i].side);
        for (size_t k = 0; k < x.count; k++) sum += (double)x.data[k];
        const double mean = sum / (double)x.count;
        for (size_t k = 0; k < x.count; k++) squares += pow((double)x.data[k] - mean, 2);
        for (int k = 0; k < 6; k++) assert_near(x.data[k], rows[i].first[k], 2e-6);
        for (int k = 0; k < 6; k++) assert_near(x.data[x.count - 6 + (size_t)k], rows[i].last[k], 2e-6);
        assert_near(mean, rows[i].mean, 2e-5);
        assert_near(sqrt(squares / (double)(x.count - 1)), rows[i].deviation, 2e-5);
        free(x.data);
    }
}

TEST(pictures_of_a_batch_are_encoded_each_by_itself)
{
    static const char *const parts[] = {NULL, "last_hidden_state", "penultimate_hidden_states"};
    static const char both[] = "{" TOWER SCENE CROP("A", 40, 32) NODE("B", "ImageFlip", IN("image", "A") ", \"flip_method\": \"y-axis: horizontally\"")
        ", " NODE("C", "ImageBatch", IN("image1", "A") ", " IN("image2", "B")) ", " LOOK("9", "V", 0, "C", "center") "}";
    static const char second[] = "{" TOWER SCENE CROP("A", 40, 32) NODE("B", "ImageFlip", IN("image", "A") ", \"flip_method\": \"y-axis: horizontally\"")
        ", " LOOK("9", "V", 0, "B", "center") "}";
    for (int i = 0; i < 3; i++) {
        LabArray two = run(both, "9", parts[i]), one = run(second, "9", parts[i]);
        assert_int_equal(two.dim[0], 2);
        assert_int_equal(two.count, 2 * one.count);
        assert_memory_equal(two.data + one.count, one.data, one.count * sizeof(float));
        assert_memory_not_equal(two.data, one.data, one.count * sizeof(float));
        free(two.data);
        free(one.data);
    }
}

TEST(what_is_no_vision_tower_is_refused)
{
    fails("{" VISION("style.safetensors") SCENE LOOK("9", "V", 0, "I", "none") ", " NODE("S", "PreviewAny", IN("source", "9")) "}",
          "this is no CLIP vision model that we know");
    fails("{" NODE("1", "unCLIPCheckpointLoader", "\"ckpt_name\": \"shapes-sd1.safetensors\"") ", " NODE("S", "PreviewAny", IN("source", "1")) "}",
          "no unCLIP checkpoint, it has no vision tower");
}

/* ---- unCLIP ---- */

enum { WIDTH = 16, LABEL = 2 * WIDTH };
static Model unclip_model = {.family = FAMILY_SD2, .unet = {.label_width = LABEL}};

static NodusTensor *told(SupportMath *math, int pictures, const float rows[][2 + WIDTH])
{
    void **state_ = NULL;
    NodusTensor *out = NULL;
    Cond cond = {.strength = 1};
    if (pictures) assert_ok(nodus_tensor_from_f32(&math->math, &cond.pictures, 2, (int64_t[]){pictures, 2 + WIDTH}, &rows[0][0]));
    assert_ok(unclip_vector(&math->math, &unclip_model, &cond, 43, &out));
    return out;
}

TEST(embeddings_are_noised_and_mixed_as_recorded)
{
    static const float one[LABEL] = {
        -1.195426f, -1.200625f, -1.230264f, -0.5959121f, -0.4664755f, -0.6452183f, 0.1616011f, -0.1539153f,
        -0.463535f, 0.6493543f, 0.5314962f, 0.3645298f, 0.7606426f, 0.3253393f, 1.170584f, 1.447029f,
        -0.0176773f, 0.6508459f, 0.1233997f, -0.7984602f, -0.791994f, 0.4662031f, 0.7642692f, 0.7964027f,
        -0.7998047f, 0.4651876f, -0.7904255f, -0.04961187f, 0.112896f, 0.650119f, 0.2364161f, 0.07578089f};
    static const float two[LABEL] = {
        -2.262712f, -2.200212f, -1.809608f, -1.335551f, -0.9885415f, -0.8633564f, -0.2535555f, -0.232441f,
        -0.3119958f, 0.5476758f, 0.7055501f, 0.7982016f, 1.218719f, 0.9939812f, 1.744359f, 2.15433f,
        0.9649661f, -0.9946564f, 0.2836617f, -0.01034222f, 0.8775826f, 0.987526f, 0.9987503f, 0.999875f,
        -0.2623748f, -0.1032405f, -0.9589244f, 0.9999465f, 0.4794255f, 0.1574558f, 0.04997917f, 0.01581073f};
    float rows[2][2 + WIDTH] = {{0.8f, 0.3f}, {-0.5f, 0.1f}};
    SupportMath math;
    const float *data;
    for (int i = 0; i < WIDTH; i++) {
        rows[0][2 + i] = (float)i / 4 - 2;
        rows[1][2 + i] = 2 - (float)i / 4;
    }
    assert_ok(support_math_open("cpu", NULL, 1, &math));
    assert_ok(nodus_tensor_map_f32(&math.math, told(&math, 0, rows), &data));
    for (int i = 0; i < LABEL; i++) assert_near(data[i], 0, 0);
    assert_ok(nodus_tensor_map_f32(&math.math, told(&math, 1, rows), &data));
    for (int i = 0; i < LABEL; i++) assert_near(data[i], one[i], 3e-5);
    assert_ok(nodus_tensor_map_f32(&math.math, told(&math, 2, rows), &data));
    for (int i = 0; i < LABEL; i++) assert_near(data[i], two[i], 3e-5);
    support_math_close(&math);
}

TEST(an_embedding_of_another_width_is_refused)
{
    SupportMath math;
    NodusTensor *out;
    Cond cond = {.strength = 1};
    assert_ok(support_math_open("cpu", NULL, 1, &math));
    assert_ok(nodus_tensor_fill(&math.math, &cond.pictures, 2, (int64_t[]){1, 2 + LABEL}, 0));
    assert_error(unclip_vector(&math.math, &unclip_model, &cond, 1, &out), "has 32 numbers, the model wants 16");
    support_math_close(&math);
}

#define UNCLIP                                                                                                                        \
    NODE("1", "unCLIPCheckpointLoader", "\"ckpt_name\": \"sd21-unclip.safetensors\"") ", "                                            \
    NODE("2", "CLIPTextEncode", "\"text\": \"a star\", \"clip\": [\"1\", 1]") ", " SCENE LOOK("9", "1", 3, "I", "center") ", "
#define AFTER(id_, on_, strength_) \
    NODE(id_, "unCLIPConditioning", IN("conditioning", on_) ", " IN("clip_vision_output", "9") ", \"strength\": " #strength_ ", \"noise_augmentation\": 0.1") ", "
#define DRAW(positive_)                                                                    \
    NODE("E", "EmptyLatentImage", "\"width\": 32, \"height\": 32, \"batch_size\": 1") ", "   \
    NODE("S", "KSampler", IN("model", "1") ", \"seed\": 3, \"steps\": 1, \"cfg\": 4, \"sampler_name\": \"euler\", \"scheduler\": \"normal\", " \
         IN("positive", positive_) ", " IN("negative", "2") ", " IN("latent_image", "E") ", \"denoise\": 1")

TEST(a_picture_counts_by_its_strength)
{
    static const char none[] = "{" UNCLIP DRAW("2") "}", weak[] = "{" UNCLIP AFTER("U", "2", 0) DRAW("U") "}";
    static const char strong[] = "{" UNCLIP AFTER("U", "2", 1) DRAW("U") "}", twice[] = "{" UNCLIP AFTER("U", "2", 1) AFTER("W", "U", 1) DRAW("W") "}";
    assert_true(apart(run(weak, "S", NULL), run(none, "S", NULL)) == 0);
    assert_true(apart(run(strong, "S", NULL), run(none, "S", NULL)) > 1e-3);
    assert_true(apart(run(twice, "S", NULL), run(strong, "S", NULL)) > 1e-3);
}

/* ---- Style models ---- */

#define STYLED(file_, strength_, type_)                                                                                      \
    "{" TOWER SCENE LOOK("9", "V", 0, "I", "center") ", " NODE("1", "CheckpointLoaderSimple", "\"ckpt_name\": \"shapes-sd1.safetensors\"") ", " \
    NODE("2", "CLIPTextEncode", "\"text\": \"a star\", \"clip\": [\"1\", 1]") ", "                                                \
    NODE("Y", "StyleModelLoader", "\"style_model_name\": \"" file_ "\"") ", "                                                     \
    NODE("S", "StyleModelApply", IN("conditioning", "2") ", " IN("style_model", "Y") ", " IN("clip_vision_output", "9")           \
         ", \"strength\": " #strength_ ", \"strength_type\": \"" type_ "\"") ", " NODE("P", "PreviewAny", IN("source", "S")) "}"

TEST(style_tokens_stand_behind_the_prompt)
{
    enum { TEXT = 77, TOKENS = 4, SEEN = 17, D = 64 };
    LabArray plain = run(STYLED("style.safetensors", 1, "multiply"), "2", NULL), one = run(STYLED("style.safetensors", 1, "multiply"), "S", NULL);
    LabArray half = run(STYLED("style.safetensors", 0.5, "multiply"), "S", NULL), many = run(STYLED("redux.safetensors", 1, "attn_bias"), "S", NULL);
    assert_int_equal(one.dim[1], TEXT + TOKENS);
    assert_int_equal(many.dim[1], TEXT + SEEN);
    assert_memory_equal(one.data, plain.data, plain.count * sizeof(float));
    for (int i = TEXT * D; i < (TEXT + TOKENS) * D; i++) assert_near(half.data[i], one.data[i] / 2, 1e-7);
    free(plain.data);
    free(one.data);
    free(half.data);
    free(many.data);
}

/* As in ComfyUI 0.16.3, whose UNets do not look at the bias. */
TEST(a_bias_of_attention_does_nothing_to_the_tokens)
{
    LabArray one = run(STYLED("redux.safetensors", 1, "multiply"), "S", NULL), biased = run(STYLED("redux.safetensors", 0.5, "attn_bias"), "S", NULL);
    assert_memory_equal(biased.data, one.data, one.count * sizeof(float));
    free(one.data);
    free(biased.data);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(pictures_are_resized_cropped_and_normalised_as_recorded), CASE(pictures_of_a_batch_are_encoded_each_by_itself),
        CASE(what_is_no_vision_tower_is_refused), CASE(embeddings_are_noised_and_mixed_as_recorded),
        CASE(an_embedding_of_another_width_is_refused), CASE(a_picture_counts_by_its_strength),
        CASE(style_tokens_stand_behind_the_prompt), CASE(a_bias_of_attention_does_nothing_to_the_tokens)};
    return cmocka_run_group_tests(cases, setup, teardown);
}
