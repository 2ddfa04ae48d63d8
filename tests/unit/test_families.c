/* Families and layouts: the same weights under other names give the same numbers; what a family is told changes its picture. */
#include "engine/formats/safetensors.h"
#include "nodes/models/layout.h"
#include "tests/support_demo.h"
#include "tests/support_families.h"
#include "tests/support_lab.h"
#include "tests/test.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static Lab lab;

static NodusStatus prepare(void)
{
    NODUS_TRY(lab_open(&lab, NULL));
    return support_families(lab_path(&lab, "models"));
}
LAB_FIXTURE(prepare())

/* ---- Workflows --------------------------------------------------------------------------------------------------------- */

#define NODE(id_, class_, ...) "\"" id_ "\": {\"class_type\": \"" class_ "\", \"inputs\": {" __VA_ARGS__ "}}"
#define TEXT(id_, clip_, slot_, text_) NODE(id_, "CLIPTextEncode", "\"text\": \"" text_ "\", \"clip\": [\"" clip_ "\", " #slot_ "]")
#define DRAW(model_, clip_, slot_)                                                                                             \
    TEXT("3", clip_, slot_, "a red star, night sky") ", " TEXT("4", clip_, slot_, "") ", "                                     \
    NODE("9", "EmptyLatentImage", "\"width\": 64, \"height\": 64, \"batch_size\": 1") ", "                                     \
    NODE("5", "KSampler", "\"model\": [\"" model_ "\", 0], \"seed\": 1, \"steps\": 2, \"cfg\": 7, \"sampler_name\": \"euler\", " \
         "\"scheduler\": \"normal\", \"positive\": [\"3\", 0], \"negative\": [\"4\", 0], \"latent_image\": [\"9\", 0], \"denoise\": 1")
#define CHECKPOINT(id_, file_) NODE(id_, "CheckpointLoaderSimple", "\"ckpt_name\": \"" file_ "\"")
#define FILES(unet_, dtype_) \
    NODE("1", "UNETLoader", "\"unet_name\": \"" unet_ "\", \"weight_dtype\": \"" dtype_ "\"") ", " NODE("2", "CLIPLoader", "\"clip_name\": \"clip_l.safetensors\", \"type\": \"stable_diffusion\"")

static LabArray run(const char *json, const char *node, const char *part)
{
    LabArray out;
    NodusStatus status = lab_array(&lab, json, node, 0, part, &out);
    if (status) fail_msg("%s", nodus_error_message(status));
    return out;
}

/* ‖a − b‖ / ‖b‖; −1 if the shapes differ. */
static double apart(const char *one, const char *other, const char *node, const char *part)
{
    LabArray a = run(one, node, part), b = run(other, node, part);
    double square = 0, size = 0;
    for (size_t i = 0; i < a.count && i < b.count; i++) {
        const double x = (double)a.data[i], y = (double)b.data[i];
        square += (x - y) * (x - y);
        size += y * y;
    }
    const bool same = a.count == b.count && !memcmp(a.dim, b.dim, sizeof a.dim);
    free(a.data);
    free(b.data);
    return same ? sqrt(square / size) : -1;
}

#define WHOLE "{" CHECKPOINT("1", "shapes-sd1.safetensors") ", " DRAW("1", "1", 1) "}"

/* ---- Layouts ----------------------------------------------------------------------------------------------------------- */

TEST(openclip_towers_get_the_names_and_numbers_of_clip_text_models)
{
    WeightSet *demo, *foreign, *told;
    int checked = 0;
    assert_ok(safetensors_open(DEMO_PATH, &demo));
    assert_ok(support_openclip(demo, "cond_stage_model.transformer.", &foreign));
    assert_ok(layout_apply(foreign, &told));
    for (int i = 0; i < weights_count(demo); i++) {
        const Weight *want = weights_at(demo, i), *got = weights_get(told, want->name);
        if (strncmp(want->name, "cond_stage_model.", 17) != 0 || strstr(want->name, "position_ids")) continue;
        if (!got) fail_msg("%s is missing", want->name);
        assert_int_equal(got->rank, want->rank);
        assert_int_equal(got->bytes, want->bytes);
        if (memcmp(got->data, want->data, got->bytes) != 0) fail_msg("%s has other numbers", want->name);
        checked++;
    }
    assert_true(checked > 30);
    assert_string_equal(weights_metadata(told, "nodus.openclip"), "1");
    weights_unref(told);
    weights_unref(foreign);
    weights_unref(demo);
}

TEST(the_projection_of_openclip_is_transposed)
{
    enum { SIDE = 64 };
    WeightSet *demo, *foreign, *told;
    static float before[SIDE * SIDE], after[SIDE * SIDE];
    assert_ok(safetensors_open(DEMO_PATH, &demo));
    assert_ok(support_openclip(demo, "", &foreign));
    assert_ok(layout_apply(foreign, &told));
    assert_ok(weights_read_f32(weights_get(foreign, "text_projection"), before));
    assert_ok(weights_read_f32(weights_get(told, "text_projection.weight"), after));
    assert_true(after[3 * SIDE + 5] == before[5 * SIDE + 3] && after[1] == before[SIDE]);
    weights_unref(told);
    weights_unref(foreign);
    weights_unref(demo);
}

TEST(what_has_our_names_is_not_told_anew)
{
    WeightSet *demo, *told;
    assert_ok(safetensors_open(DEMO_PATH, &demo));
    assert_ok(layout_apply(demo, &told));
    assert_ptr_equal(told, demo);
    weights_unref(told);
    weights_unref(demo);
}

TEST(openclips_vision_tower_is_told_by_its_own_names)
{
    WeightSet *file, *told;
    ClipVisionConfig vision;
    enum { OUT = 32, IN = 64 };
    static float before[IN * OUT], after[OUT * IN];
    assert_ok(safetensors_open(lab_path(&lab, "models/checkpoints/sd21-unclip.safetensors"), &file));
    assert_ok(layout_apply(file, &told));
    assert_ok(family_vision(told, "f", &vision));
    assert_string_equal(vision.prefix, "embedder.model.visual.");
    assert_int_equal(vision.layers, 2);
    assert_int_equal(vision.side, 32);
    assert_false(vision.quick_gelu);
    assert_non_null(weights_get(told, "embedder.model.visual.vision_model.encoder.layers.1.self_attn.v_proj.bias"));
    assert_non_null(weights_get(told, "cond_stage_model.model.text_model.encoder.layers.0.self_attn.v_proj.bias"));
    assert_ok(weights_read_f32(weights_get(file, "embedder.model.visual.proj"), before));
    assert_ok(weights_read_f32(weights_get(told, "embedder.model.visual.visual_projection.weight"), after));
    assert_near(after[3 * IN + 5], before[5 * OUT + 3], 1e-3); /* rounded to f16 */
    weights_unref(told);
    weights_unref(file);
}

TEST(a_folder_of_diffusers_draws_what_the_checkpoint_draws)
{
    (void)state_;
    assert_true(apart("{" NODE("1", "DiffusersLoader", "\"model_path\": \"shapes\"") ", " DRAW("1", "1", 1) "}", WHOLE, "5", NULL) == 0);
}

TEST(split_files_draw_what_the_checkpoint_draws)
{
    (void)state_;
    assert_true(apart("{" FILES("unet.safetensors", "default") ", " DRAW("1", "2", 0) "}", WHOLE, "5", NULL) == 0);
    assert_true(apart("{" FILES("unet-diffusers.safetensors", "default") ", " DRAW("1", "2", 0) "}", WHOLE, "5", NULL) == 0);
}

TEST(a_vae_of_diffusers_decodes_like_the_checkpoints)
{
    (void)state_;
#define DECODE(vae_, slot_) NODE("6", "VAEDecode", "\"samples\": [\"5\", 0], \"vae\": [\"" vae_ "\", " #slot_ "]")
    assert_true(apart("{" CHECKPOINT("1", "shapes-sd1.safetensors") ", " NODE("8", "VAELoader", "\"vae_name\": \"vae-diffusers.safetensors\"") ", " DRAW("1", "1", 1) ", " DECODE("8", 0) "}",
                      "{" CHECKPOINT("1", "shapes-sd1.safetensors") ", " DRAW("1", "1", 1) ", " DECODE("1", 2) "}", "6", NULL) == 0);
}

TEST(weights_kept_in_8_bits_change_the_picture_a_little)
{
    (void)state_;
    const double e4m3 = apart("{" FILES("unet.safetensors", "fp8_e4m3fn") ", " DRAW("1", "2", 0) "}", WHOLE, "5", NULL);
    const double e5m2 = apart("{" FILES("unet.safetensors", "fp8_e5m2") ", " DRAW("1", "2", 0) "}", WHOLE, "5", NULL);
    assert_true(e4m3 > 1e-4 && e4m3 < 0.5);
    assert_true(e5m2 > e4m3 && e5m2 < 1);
}

/* ---- What families are told -------------------------------------------------------------------------------------------- */

#define SDXL_TEXT(id_, width_, g_, l_)                                                                                              \
    NODE(id_, "CLIPTextEncodeSDXL", "\"clip\": [\"1\", 1], \"width\": " #width_ ", \"height\": 64, \"crop_w\": 0, \"crop_h\": 0, \"target_width\": 64, " \
                                    "\"target_height\": 64, \"text_g\": \"" g_ "\", \"text_l\": \"" l_ "\"")
#define SDXL_DRAW(width_)                                                                                                              \
    "{" CHECKPOINT("1", "sd_xl_base.safetensors") ", " SDXL_TEXT("3", width_, "a star", "a star") ", " SDXL_TEXT("4", 64, "", "") ", " \
    NODE("9", "EmptyLatentImage", "\"width\": 64, \"height\": 64, \"batch_size\": 1") ", "                                             \
    NODE("5", "KSampler", "\"model\": [\"1\", 0], \"seed\": 1, \"steps\": 2, \"cfg\": 7, \"sampler_name\": \"euler\", "                  \
         "\"scheduler\": \"normal\", \"positive\": [\"3\", 0], \"negative\": [\"4\", 0], \"latent_image\": [\"9\", 0], \"denoise\": 1") "}"

TEST(two_files_of_text_encoders_speak_like_those_of_the_checkpoint)
{
    (void)state_;
#define PAIR(a_, b_) "{" NODE("2", "DualCLIPLoader", "\"clip_name1\": \"" a_ "\", \"clip_name2\": \"" b_ "\", \"type\": \"sdxl\"") ", " TEXT("3", "2", 0, "a (red:1.3) star") "}"
    const char *checkpoint = "{" CHECKPOINT("1", "sd_xl_base.safetensors") ", " TEXT("3", "1", 1, "a (red:1.3) star") "}";
    assert_true(apart(PAIR("clip_l.safetensors", "clip_g.safetensors"), checkpoint, "3", NULL) == 0);
    assert_true(apart(PAIR("clip_g.safetensors", "clip_l.safetensors"), checkpoint, "3", "pooled") == 0);
}

TEST(two_encoders_of_one_kind_are_refused)
{
    (void)state_;
    assert_int_equal(lab_run(&lab, "{" NODE("2", "DualCLIPLoader", "\"clip_name1\": \"clip_l.safetensors\", \"clip_name2\": \"clip_l.safetensors\", \"type\": \"sdxl\"") ", " TEXT("3", "2", 0, "x")
                                   ", " NODE("S", "PreviewAny", "\"source\": [\"3\", 0]") "}"), NODUS_FAILED);
    assert_non_null(strstr(lab.error, "of one kind"));
}

TEST(sdxl_sees_the_size_it_is_told)
{
    (void)state_;
    assert_true(apart(SDXL_DRAW(512), SDXL_DRAW(64), "5", NULL) > 1e-4);
}

TEST(the_shorter_prompt_of_two_gets_empty_chunks)
{
    (void)state_;
#define LONG "one two three four five six seven eight nine ten, one two three four five six seven eight nine ten, one two three four five six seven eight nine ten, one two three four five six seven eight nine ten, one two three four five six seven eight nine ten, one two three four five six seven eight nine ten, one two three four five six seven eight nine ten"
    LabArray out = run("{" CHECKPOINT("1", "sd_xl_base.safetensors") ", " SDXL_TEXT("3", 64, LONG, "short") "}", "3", NULL);
    assert_int_equal(out.dim[1], 2 * CLIP_CHUNK);
    assert_int_equal(out.dim[2], 128);
    free(out.data);
}

TEST(the_refiner_is_told_a_score)
{
    (void)state_;
#define REFINE(score_)                                                                                                                             \
    "{" CHECKPOINT("1", "sd_xl_refiner.safetensors") ", "                                                                                          \
    NODE("3", "CLIPTextEncodeSDXLRefiner", "\"ascore\": " #score_ ", \"width\": 64, \"height\": 64, \"text\": \"a star\", \"clip\": [\"1\", 1]") ", " \
    NODE("9", "EmptyLatentImage", "\"width\": 64, \"height\": 64, \"batch_size\": 1") ", "                                                         \
    NODE("5", "KSampler", "\"model\": [\"1\", 0], \"seed\": 1, \"steps\": 2, \"cfg\": 1, \"sampler_name\": \"euler\", "                              \
         "\"scheduler\": \"normal\", \"positive\": [\"3\", 0], \"negative\": [\"3\", 0], \"latent_image\": [\"9\", 0], \"denoise\": 1") "}"
    assert_true(apart(REFINE(9.5), REFINE(6), "5", NULL) > 1e-4);
}

/* ---- Old configurations, textual inversions ---------------------------------------------------------------------------- */

TEST(a_configuration_names_the_layer_of_the_text)
{
    (void)state_;
    assert_true(apart("{" NODE("1", "CheckpointLoader", "\"config_name\": \"v1-inference.yaml\", \"ckpt_name\": \"shapes-sd1.safetensors\"") ", " TEXT("3", "1", 1, "a star") "}",
                      "{" CHECKPOINT("1", "shapes-sd1.safetensors") ", " NODE("2", "CLIPSetLastLayer", "\"clip\": [\"1\", 1], \"stop_at_clip_layer\": -2") ", " TEXT("3", "2", 0, "a star") "}",
                      "3", NULL) == 0);
}

#define SAY(text_) "{" CHECKPOINT("1", "shapes-sd1.safetensors") ", " TEXT("3", "1", 1, text_) "}"

TEST(a_textual_inversion_stands_for_words)
{
    (void)state_;
    assert_true(apart(SAY("a embedding:star night"), SAY("a night"), "3", NULL) > 1e-2);
    assert_true(apart(SAY("a embedding:star night"), SAY("a embedding:star.safetensors night"), "3", NULL) == 0);
    assert_true(apart(SAY("a embedding:star, night"), SAY("a embedding:star night"), "3", NULL) > 1e-3); /* the comma is text */
    assert_true(apart(SAY("a (embedding:star:1.5) night"), SAY("a embedding:star night"), "3", NULL) > 1e-3);
}

TEST(what_is_not_there_is_warned_of_and_left_out)
{
    (void)state_;
    assert_true(apart(SAY("a embedding:nothing night"), SAY("a night"), "3", NULL) == 0);
    assert_int_equal(lab_run(&lab, "{" CHECKPOINT("1", "shapes-sd1.safetensors") ", " TEXT("3", "1", 1, "embedding:../up") ", " NODE("S", "PreviewAny", "\"source\": [\"3\", 0]") "}"), NODUS_SUCCESS);
    assert_non_null(strstr(lab.warning, "embedding:../up is left out"));
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(openclip_towers_get_the_names_and_numbers_of_clip_text_models), CASE(the_projection_of_openclip_is_transposed), CASE(what_has_our_names_is_not_told_anew),
        CASE(openclips_vision_tower_is_told_by_its_own_names), CASE(a_folder_of_diffusers_draws_what_the_checkpoint_draws), CASE(split_files_draw_what_the_checkpoint_draws),
        CASE(a_vae_of_diffusers_decodes_like_the_checkpoints), CASE(weights_kept_in_8_bits_change_the_picture_a_little),
        CASE(two_files_of_text_encoders_speak_like_those_of_the_checkpoint), CASE(two_encoders_of_one_kind_are_refused), CASE(sdxl_sees_the_size_it_is_told),
        CASE(the_shorter_prompt_of_two_gets_empty_chunks), CASE(the_refiner_is_told_a_score), CASE(a_configuration_names_the_layer_of_the_text),
        CASE(a_textual_inversion_stands_for_words), CASE(what_is_not_there_is_warned_of_and_left_out)};
    return cmocka_run_group_tests(cases, setup, teardown);
}
