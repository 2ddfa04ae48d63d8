/* Saving and LoRA of SD 2, SDXL and its refiner: what was saved paints the same picture, bit for bit; a LoRA finds its layers, and is
 * in what is saved. */
#include "engine/base/file.h"
#include "engine/formats/safetensors.h"
#include "nodes/model_file.h"
#include "tests/support_families.h"
#include "tests/support_lab.h"
#include "tests/test.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static Lab lab;

#define NODE(id_, class_, ...) "\"" id_ "\": {\"class_type\": \"" class_ "\", \"inputs\": {" __VA_ARGS__ "}}"
static const char *const families[] = {"sd2", "sd_xl_base", "sd_xl_refiner"};
enum { FAMILIES = 3, RANK = 2, WIDTH = 64 };

/* ---- A LoRA of two layers ---------------------------------------------------------------------------------------------- */

static float numbers[2][2 * RANK * WIDTH];

/* Of the second attention's query, and of a text tower's first query, whose name begins with `text`. */
static NodusStatus write_lora(const char *file, const char *text)
{
    static const char unet[] = "lora_unet_input_blocks_3_1_transformer_blocks_0_attn2_to_q", tower[] = "text_model_encoder_layers_0_self_attn_q_proj";
    char name[4][160];
    for (size_t i = 0; i < 2 * RANK * WIDTH; i++)
        for (size_t k = 0; k < 2; k++) numbers[k][i] = (float)((i + 7 * k) * 37 % 101) / 101 - 0.5f;
    snprintf(name[0], sizeof name[0], "%s.lora_up.weight", unet);
    snprintf(name[1], sizeof name[1], "%s.lora_down.weight", unet);
    snprintf(name[2], sizeof name[2], "%s_%s.lora_up.weight", text, tower);
    snprintf(name[3], sizeof name[3], "%s_%s.lora_down.weight", text, tower);
    SafetensorsItem item[4];
    for (int i = 0; i < 4; i++) {
        const bool up = i % 2 == 0;
        item[i] = (SafetensorsItem){.name = name[i], .dtype = NODUS_F32, .rank = 2, .data = numbers[i / 2] + (up ? 0 : RANK * WIDTH)};
        item[i].dim[0] = up ? WIDTH : RANK;
        item[i].dim[1] = up ? RANK : WIDTH;
    }
    return safetensors_write(lab_path(&lab, file), true, NULL, item, 4, NULL, 0);
}

static NodusStatus prepare(void)
{
    NODUS_TRY(lab_open(&lab, NULL));
    NODUS_TRY(support_families(lab_path(&lab, "models")));
    NODUS_TRY(file_make_folders(lab_path(&lab, "models/loras")));
    NODUS_TRY(write_lora("models/loras/sd2.safetensors", "lora_te"));
    NODUS_TRY(write_lora("models/loras/sd_xl_base.safetensors", "lora_te2"));
    return write_lora("models/loras/sd_xl_refiner.safetensors", "lora_te");
}
LAB_FIXTURE(prepare())

/* ---- Pictures ---------------------------------------------------------------------------------------------------------- */

/* Two steps, decoded. `load` makes node 1 (a checkpoint), or more; `model`, `clip`, `vae`: links. */
static LabArray painted(const char *load, const char *model, const char *clip, const char *vae)
{
    char json[4096];
    LabArray out = {.count = 0};
    snprintf(json, sizeof json,
             "{%s, " NODE("3", "CLIPTextEncode", "\"text\": \"a red star\", \"clip\": %s") ", " NODE("4", "CLIPTextEncode", "\"text\": \"\", \"clip\": %s") ", "
             NODE("9", "EmptyLatentImage", "\"width\": 64, \"height\": 64, \"batch_size\": 1") ", "
             NODE("5", "KSampler", "\"model\": %s, \"seed\": 1, \"steps\": 2, \"cfg\": 7, \"sampler_name\": \"euler\", \"scheduler\": \"normal\", "
                  "\"positive\": [\"3\", 0], \"negative\": [\"4\", 0], \"latent_image\": [\"9\", 0], \"denoise\": 1") ", "
             NODE("6", "VAEDecode", "\"samples\": [\"5\", 0], \"vae\": %s") "}",
             load, clip, clip, model, vae);
    NodusStatus status = lab_array(&lab, json, "6", 0, NULL, &out);
    if (status) fail_msg("%s", nodus_error_message(status));
    for (size_t i = 0; i < out.count; i++)
        if (!isfinite(out.data[i])) fail_msg("a pixel is no number");
    return out;
}

#define CHECKPOINT(id_) NODE(id_, "CheckpointLoaderSimple", "\"ckpt_name\": \"%s.safetensors\"")
static LabArray plain(const char *file)
{
    char load[256];
    snprintf(load, sizeof load, CHECKPOINT("1"), file);
    return painted(load, "[\"1\", 0]", "[\"1\", 1]", "[\"1\", 2]");
}

static const char *with_lora(const char *family, const char *strengths, char out[512])
{
    snprintf(out, 512, CHECKPOINT("1") ", " NODE("8", "LoraLoader", "\"model\": [\"1\", 0], \"clip\": [\"1\", 1], \"lora_name\": \"%s.safetensors\", %s"),
             family, family, strengths);
    return out;
}

/* The largest difference of two pictures; both are freed. */
static double apart(LabArray a, LabArray b)
{
    double most = a.count == b.count && a.count ? 0 : INFINITY;
    for (size_t i = 0; i < a.count && i < b.count; i++) most = fmax(most, fabs((double)a.data[i] - (double)b.data[i]));
    free(a.data);
    free(b.data);
    return most;
}

static void run(const char *json)
{
    if (lab_run(&lab, json) != NODUS_SUCCESS) fail_msg("%s", lab.error);
}

/* A file of the output folder under a name of the models'. */
static void move(const char *from, const char *to)
{
    char path[256];
    snprintf(path, sizeof path, "%s", lab_path(&lab, from));
    if (rename(path, lab_path(&lab, to))) fail_msg("%s was not written", from);
}

/* ---- Tests ------------------------------------------------------------------------------------------------------------- */

TEST(a_saved_checkpoint_of_each_family_paints_the_same_bits)
{
    for (int f = 0; f < FAMILIES; f++) {
        char json[1024];
        snprintf(json, sizeof json, "{" CHECKPOINT("1") ", "
                 NODE("2", "CheckpointSave", "\"model\": [\"1\", 0], \"clip\": [\"1\", 1], \"vae\": [\"1\", 2], \"filename_prefix\": \"copy\"") "}",
                 families[f]);
        run(json);
        move("output/copy_00001_.safetensors", "models/checkpoints/copy.safetensors");
        const double off = apart(plain("copy"), plain(families[f]));
        if (off != 0) fail_msg("%s: %g apart", families[f], off);
        unlink(lab_path(&lab, "models/checkpoints/copy.safetensors"));
    }
}

TEST(a_saved_diffusion_model_and_vae_of_each_family_paint_the_same_bits)
{
    for (int f = 0; f < FAMILIES; f++) {
        char json[1024];
        snprintf(json, sizeof json, "{" CHECKPOINT("1") ", " NODE("2", "ModelSave", "\"model\": [\"1\", 0], \"filename_prefix\": \"unet\"") ", "
                 NODE("3", "VAESave", "\"vae\": [\"1\", 2], \"filename_prefix\": \"vae\"") "}", families[f]);
        run(json);
        move("output/unet_00001_.safetensors", "models/diffusion_models/copy.safetensors");
        move("output/vae_00001_.safetensors", "models/vae/copy.safetensors");
        snprintf(json, sizeof json, CHECKPOINT("1") ", " NODE("2", "UNETLoader", "\"unet_name\": \"copy.safetensors\", \"weight_dtype\": \"default\"") ", "
                 NODE("7", "VAELoader", "\"vae_name\": \"copy.safetensors\""), families[f]);
        const double off = apart(painted(json, "[\"2\", 0]", "[\"1\", 1]", "[\"7\", 0]"), plain(families[f]));
        if (off != 0) fail_msg("%s: %g apart", families[f], off);
    }
}

static void fine(NodusStatus status)
{
    if (status) fail_msg("%s", nodus_error_message(status));
}

/* All numbers of a saved tower are those of the checkpoint, as they are used. */
static void expect_tower(const char *family, const char *file, const char *prefix)
{
    WeightSet *set, *from;
    char path[256];
    static float saved[1 << 22], used[1 << 22]; /* the words of 64 numbers */
    snprintf(path, sizeof path, "models/checkpoints/%s.safetensors", family);
    fine(model_file_open(lab_path(&lab, path), &from));
    fine(safetensors_open(lab_path(&lab, file), &set));
    assert_true(weights_count(set) > 30);
    weights_round_f16(from, "");
    for (int i = 0; i < weights_count(set); i++) {
        const Weight *weight = weights_at(set, i);
        snprintf(path, sizeof path, "%s%s", prefix, weight->name);
        const Weight *want = weights_get(from, path);
        if (strstr(weight->name, "position_ids")) continue;
        if (!want) fail_msg("%s: %s is not in the checkpoint", family, path);
        size_t count = 1;
        for (int d = 0; d < weight->rank; d++) count *= (size_t)weight->dim[d];
        assert_true(count <= 1 << 22);
        fine(weights_read_f32(weight, saved));
        fine(weights_read_f32(want, used));
        if (memcmp(saved, used, count * sizeof(float)) != 0) fail_msg("%s: %s has other numbers", family, path);
    }
    weights_unref(set);
    weights_unref(from);
    unlink(lab_path(&lab, file));
}

TEST(saved_text_encoders_of_each_family_hold_its_numbers)
{
    for (int f = 0; f < FAMILIES; f++) {
        char json[512];
        snprintf(json, sizeof json, "{" CHECKPOINT("1") ", " NODE("2", "CLIPSave", "\"clip\": [\"1\", 1], \"filename_prefix\": \"text\"") "}", families[f]);
        run(json);
        if (f == 0) expect_tower(families[f], "output/text_clip_h_00001_.safetensors", "cond_stage_model.model.");
        if (f == 1) expect_tower(families[f], "output/text_clip_l_00001_.safetensors", "conditioner.embedders.0.transformer.");
        if (f > 0) expect_tower(families[f], "output/text_clip_g_00001_.safetensors", f == 1 ? "conditioner.embedders.1.model." : "conditioner.embedders.0.model.");
    }
}

#define STRENGTHS(model_, clip_) "\"strength_model\": " model_ ", \"strength_clip\": " clip_
TEST(a_lora_finds_both_its_layers_in_each_family_and_is_saved_with_them)
{
    for (int f = 0; f < FAMILIES; f++) {
        char load[512], json[1024];
        static const char *const halves[] = {STRENGTHS("0.7", "0"), STRENGTHS("0", "0.7"), STRENGTHS("0.7", "0.7")};
        for (int k = 0; k < 3; k++) {
            const double off = apart(painted(with_lora(families[f], halves[k], load), "[\"8\", 0]", "[\"8\", 1]", "[\"1\", 2]"), plain(families[f]));
            if (off < 1e-6) fail_msg("%s: nothing changes with %s", families[f], halves[k]);
        }
        if (lab.warning[0]) fail_msg("%s: %s", families[f], lab.warning);
        snprintf(json, sizeof json, "{%s, "
                 NODE("2", "CheckpointSave", "\"model\": [\"8\", 0], \"clip\": [\"8\", 1], \"vae\": [\"1\", 2], \"filename_prefix\": \"baked\"") "}", load);
        run(json);
        move("output/baked_00001_.safetensors", "models/checkpoints/baked.safetensors");
        const double off = apart(plain("baked"), painted(load, "[\"8\", 0]", "[\"8\", 1]", "[\"1\", 2]"));
        if (off > 1e-3) fail_msg("%s: what is saved is %g apart", families[f], off);
        unlink(lab_path(&lab, "models/checkpoints/baked.safetensors"));
    }
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(a_saved_checkpoint_of_each_family_paints_the_same_bits),
        CASE(a_saved_diffusion_model_and_vae_of_each_family_paint_the_same_bits),
        CASE(saved_text_encoders_of_each_family_hold_its_numbers),
        CASE(a_lora_finds_both_its_layers_in_each_family_and_is_saved_with_them),
    };
    return cmocka_run_group_tests(cases, setup, teardown);
}
