/* LoRA nodes: entries find their layers under the names that trainers give them; strengths count; other files are refused or warned of. */
#include "engine/base/file.h"
#include "engine/formats/safetensors.h"
#include "engine/graph/engine.h"
#include "nodes/models/diffusers_names.h"
#include "nodes/models/family.h"
#include "tests/support_lab.h"
#include "tests/test.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DEMO "models/checkpoints/shapes-sd1.safetensors"
enum { WIDTH = 64, RANK = 2 };

static Lab lab;
static float numbers[RANK * WIDTH * 4], alpha = 3;

/* A LoRA of one layer: matrices `x` + up, `x` + down of 64 × 64, and, unless it is NULL, alpha. */
static NodusStatus write_lora(const char *file, const char *x, const char *up, const char *down, bool with_alpha)
{
    char name[3][256], path[64];
    snprintf(path, sizeof path, "models/loras/%s", file);
    snprintf(name[0], sizeof name[0], "%s%s", x, up);
    snprintf(name[1], sizeof name[1], "%s%s", x, down);
    snprintf(name[2], sizeof name[2], "%s.alpha", x);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) numbers[i] = (float)(i * 37 % 101) / 101 - 0.5f;
    const SafetensorsItem item[] = {
        {.name = name[0], .dtype = NODUS_F32, .rank = 2, .dim = {WIDTH, RANK}, .data = numbers},
        {.name = name[1], .dtype = NODUS_F32, .rank = 2, .dim = {RANK, WIDTH}, .data = numbers + 40},
        {.name = name[2], .dtype = NODUS_F32, .rank = 0, .data = &alpha},
    };
    return safetensors_write(lab_path(&lab, path), true, NULL, item, with_alpha ? 3 : 2, NULL, 0);
}

#define KEY "transformer_blocks.0.attn1.to_q"
static NodusStatus prepare(void)
{
    char demo[512], here[256];
    NODUS_TRY(lab_open(&lab, NULL));
    NODUS_TRY(file_make_folders(lab_path(&lab, "models/loras")));
    if (!getcwd(here, sizeof here)) return nodus_error(NODUS_ERROR_FILE, "no folder");
    snprintf(demo, sizeof demo, "%s/models/loras/neon-lora.safetensors", here);
    if (symlink(demo, lab_path(&lab, "models/loras/neon.safetensors"))) return nodus_error(NODUS_ERROR_FILE, "no link");
    NODUS_TRY(write_lora("ldm.safetensors", "lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q", ".lora_up.weight",
                         ".lora_down.weight", true));
    NODUS_TRY(write_lora("kohya.safetensors", "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q",
                         ".lora_up.weight", ".lora_down.weight", true));
    NODUS_TRY(write_lora("lycoris.safetensors", "lycoris_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q",
                         ".lora_up.weight", ".lora_down.weight", true));
    NODUS_TRY(write_lora("peft.safetensors", "diffusion_model.input_blocks.1.1." KEY, ".lora_B.weight", ".lora_A.weight", true));
    NODUS_TRY(write_lora("diffusers.safetensors", "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor.to_q",
                         "_lora.up.weight", "_lora.down.weight", true));
    NODUS_TRY(write_lora("omi.safetensors", "unet.down_blocks.0.attentions.0." KEY, ".lora_up.weight", ".lora_down.weight", true));
    NODUS_TRY(write_lora("base_model.safetensors", "base_model.model.down_blocks.0.attentions.0." KEY, ".lora_B.default.weight",
                         ".lora_A.default.weight", true));
    NODUS_TRY(write_lora("text_kohya.safetensors", "lora_te_text_model_encoder_layers_0_self_attn_q_proj", ".lora_up.weight",
                         ".lora_down.weight", true));
    NODUS_TRY(write_lora("text_onetrainer.safetensors", "lora_te1_text_model_encoder_layers_0_self_attn_q_proj",
                         ".lora_up.weight", ".lora_down.weight", true));
    NODUS_TRY(write_lora("text_omi.safetensors", "clip_l.text_model.encoder.layers.0.self_attn.q_proj", ".lora_up.weight",
                         ".lora_down.weight", true));
    NODUS_TRY(write_lora("text_diffusers.safetensors", "text_encoder.text_model.encoder.layers.0.self_attn.q_proj",
                         ".lora_linear_layer.up.weight", ".lora_linear_layer.down.weight", true));
    NODUS_TRY(write_lora("strange.safetensors", "lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q", ".lora_up.weight",
                         ".lora_sideways.weight", true));
    NODUS_TRY(write_lora("plain.safetensors", "lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q", ".lora_up.weight",
                         ".lora_down.weight", false));
    NODUS_TRY(write_lora("stranger.safetensors", "lora_unet_input_blocks_77_1_proj_in", ".lora_up.weight", ".lora_down.weight", true));
    return write_lora("loha.safetensors", "lora_unet_input_blocks_1_1_proj_in", ".hada_w1_a", ".hada_w1_b", true);
}
LAB_FIXTURE(prepare())

/* One step over a small latent, with the LoRA loaded so. */
static LabArray sampled(const char *loader)
{
    char json[4096];
    LabArray out = {.count = 0};
    snprintf(json, sizeof json,
             "{\"1\": {\"class_type\": \"CheckpointLoaderSimple\", \"inputs\": {\"ckpt_name\": \"shapes-sd1.safetensors\"}}, %s,"
             "\"2\": {\"class_type\": \"CLIPTextEncode\", \"inputs\": {\"text\": \"a red star\", \"clip\": [\"8\", 1]}},"
             "\"4\": {\"class_type\": \"EmptyLatentImage\", \"inputs\": {\"width\": 64, \"height\": 64, \"batch_size\": 1}},"
             "\"5\": {\"class_type\": \"KSampler\", \"inputs\": {\"model\": [\"8\", 0], \"seed\": 5, \"steps\": 1, \"cfg\": 1, "
             "\"sampler_name\": \"euler\","
             "\"scheduler\": \"normal\", \"positive\": [\"2\", 0], \"negative\": [\"2\", 0], \"latent_image\": [\"4\", 0], "
             "\"denoise\": 1}},"
             "\"S\": {\"class_type\": \"PreviewAny\", \"inputs\": {\"source\": [\"5\", 0]}}}",
             loader);
    NodusStatus status = lab_array(&lab, json, "5", 0, NULL, &out);
    if (status) fail_msg("%s", nodus_error_message(status));
    return out;
}

static LabArray with(const char *file, double model, double clip)
{
    char loader[512];
    snprintf(loader, sizeof loader,
             "\"8\": {\"class_type\": \"LoraLoader\", \"inputs\": {\"model\": [\"1\", 0], \"clip\": [\"1\", 1], \"lora_name\": "
             "\"%s\", \"strength_model\": %g, "
             "\"strength_clip\": %g}}",
             file, model, clip);
    return sampled(loader);
}

static bool same(LabArray a, LabArray b)
{
    const bool equal = a.count == b.count && a.count && !memcmp(a.data, b.data, a.count * sizeof *a.data);
    free(a.data);
    free(b.data);
    return equal;
}

TEST(each_strength_counts_and_none_changes_nothing)
{
    assert_true(same(with("neon.safetensors", 0, 0), with("stranger.safetensors", 1, 1)));
    assert_false(same(with("neon.safetensors", 1, 0), with("neon.safetensors", 0, 0)));
    assert_false(same(with("neon.safetensors", 0, 1), with("neon.safetensors", 0, 0)));
    assert_false(same(with("neon.safetensors", 1, 0), with("neon.safetensors", 0.9, 0)));
    assert_false(same(with("neon.safetensors", 0, 1), with("neon.safetensors", 0, 0.9)));
}

TEST(all_names_of_a_layer_mean_the_same)
{
    static const char *const files[] = {"kohya.safetensors",     "lycoris.safetensors", "peft.safetensors",
                                        "diffusers.safetensors", "omi.safetensors",     "base_model.safetensors"};
    static const char *const text_files[] = {"text_onetrainer.safetensors", "text_omi.safetensors", "text_diffusers.safetensors"};
    assert_false(same(with("ldm.safetensors", 1, 1), with("neon.safetensors", 0, 0)));
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (!same(with("ldm.safetensors", 1, 1), with(files[i], 1, 1))) fail_msg("%s differs", files[i]);
    assert_false(same(with("text_kohya.safetensors", 1, 1), with("neon.safetensors", 0, 0)));
    for (size_t i = 0; i < sizeof text_files / sizeof *text_files; i++)
        if (!same(with("text_kohya.safetensors", 1, 1), with(text_files[i], 1, 1))) fail_msg("%s differs", text_files[i]);
}

TEST(alpha_over_rank_is_part_of_the_strength)
{
    assert_true(same(with("ldm.safetensors", 1, 1), with("plain.safetensors", alpha / RANK, 1)));
    assert_false(same(with("ldm.safetensors", 1, 1), with("plain.safetensors", 1, 1)));
}

#define MODEL_ONLY                                                                                                               \
    "\"7\": {\"class_type\": \"LoraLoaderModelOnly\", \"inputs\": {\"model\": [\"1\", 0], \"lora_name\": \"neon.safetensors\", " \
    "\"strength_model\": 0.8}},"                                                                                                 \
    "\"8\": {\"class_type\": \"LoraLoader\", \"inputs\": {\"model\": [\"7\", 0], \"clip\": [\"1\", 1], \"lora_name\": "          \
    "\"neon.safetensors\", \"strength_model\": 0, "                                                                              \
    "\"strength_clip\": 0}}"
TEST(model_only_leaves_the_text_encoder_alone)
{
    assert_true(same(sampled(MODEL_ONLY), with("neon.safetensors", 0.8, 0)));
}

/* A sweep of strengths: one network is compiled and its weights are packed once, as for a single strength; and each result is that of an
 * engine which has seen no other strength. */
TEST(strengths_share_plan_and_packed_weights)
{
    enum { STRENGTHS = 100, LOOKED_AT = 37 };
    static LabArray looked_at;
    free(with("ldm.safetensors", 0.5, 0).data);
    const PlanCounters plans = plan_cache_counters(lab.engine->plans);
    const WeightCounters packed = weight_store_counters(lab.engine->weights);
    for (int i = 0; i < STRENGTHS; i++) {
        const LabArray out = with("ldm.safetensors", 1 + i / 100.0, 0);
        if (i == LOOKED_AT) looked_at = out;
        else free(out.data);
    }
    const PlanCounters then = plan_cache_counters(lab.engine->plans);
    const WeightCounters packed_then = weight_store_counters(lab.engine->weights);
    print_message("%d strengths: %d plans more, %d hits, %d packed weights more\n", STRENGTHS, (int)(then.compiled - plans.compiled),
                  (int)(then.hits - plans.hits), (int)(packed_then.packs - packed.packs));
    assert_int_equal(then.compiled, plans.compiled);
    assert_int_equal(packed_then.packs, packed.packs);
    assert_true(then.hits - plans.hits >= STRENGTHS);
    Lab swept = lab;
    assert_ok(prepare());
    const LabArray alone = with("ldm.safetensors", 1 + LOOKED_AT / 100.0, 0);
    lab_close(&lab);
    lab = swept;
    assert_true(same(looked_at, alone));
}

static NodusOutcome loads(const char *file)
{
    char json[1024];
    snprintf(json, sizeof json,
             "{\"1\": {\"class_type\": \"CheckpointLoaderSimple\", \"inputs\": {\"ckpt_name\": \"shapes-sd1.safetensors\"}},"
             "\"8\": {\"class_type\": \"LoraLoader\", \"inputs\": {\"model\": [\"1\", 0], \"clip\": [\"1\", 1], \"lora_name\": "
             "\"%s\", \"strength_model\": 0.7, "
             "\"strength_clip\": 1}}, \"S\": {\"class_type\": \"PreviewAny\", \"inputs\": {\"source\": [\"8\", 0]}}}",
             file);
    return lab_run(&lab, json);
}

TEST(a_file_that_fits_nothing_is_warned_of)
{
    assert_int_equal(loads("stranger.safetensors"), NODUS_SUCCESS);
    assert_non_null(strstr(lab.warning, "'stranger.safetensors' changes nothing: none of its 1 parts fits this model: "
                                        "'lora_unet_input_blocks_77_1_proj_in.lora_up.weight': is it for another family?"));
}

TEST(a_patch_that_lacks_a_part_is_warned_of)
{
    assert_int_equal(loads("loha.safetensors"), NODUS_SUCCESS);
    assert_non_null(strstr(lab.warning, "'loha.safetensors' changes nothing"));
    assert_int_equal(loads("strange.safetensors"), NODUS_SUCCESS); /* the last warning of two */
    assert_non_null(strstr(
        lab.warning, "'strange.safetensors': 1 entries are of no kind of LoRA that is known here and are left out, the first is "
                     "'lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q.lora_sideways.weight'"));
}

TEST(layers_have_their_diffusers_names)
{
    static const struct { const char *ldm, *diffusers; } rows[] = {
        {"input_blocks.0.0", "conv_in"},
        {"input_blocks.1.0.in_layers.2", "down_blocks.0.resnets.0.conv1"},
        {"input_blocks.2.1.proj_in", "down_blocks.0.attentions.1.proj_in"},
        {"input_blocks.3.0.op", "down_blocks.0.downsamplers.0.conv"},
        {"input_blocks.4.1." KEY, "down_blocks.1.attentions.0." KEY},
        {"input_blocks.11.0.out_layers.3", "down_blocks.3.resnets.1.conv2"},
        {"middle_block.0.skip_connection", "mid_block.resnets.0.conv_shortcut"},
        {"middle_block.1.proj_out", "mid_block.attentions.0.proj_out"},
        {"middle_block.2.emb_layers.1", "mid_block.resnets.1.time_emb_proj"},
        {"output_blocks.2.1.conv", "up_blocks.0.upsamplers.0.conv"},
        {"output_blocks.3.0.in_layers.0", "up_blocks.1.resnets.0.norm1"},
        {"output_blocks.5.2.conv", "up_blocks.1.upsamplers.0.conv"},
        {"output_blocks.11.1.norm", "up_blocks.3.attentions.2.norm"},
        {"time_embed.2", "time_embedding.linear_2"},
        {"out.2", "conv_out"},
        {"input_blocks.1.0.strange", NULL},
        {"input_blocks.x", NULL},
    };
    WeightSet *set;
    UnetConfig config;
    char name[256];
    assert_ok(safetensors_open(DEMO, &set));
    assert_ok(unet_config(set, "model.diffusion_model.", &config));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const bool known = diffusers_name(set, &config, rows[i].ldm, name, sizeof name);
        if (known != (rows[i].diffusers != NULL) || (known && strcmp(name, rows[i].diffusers)))
            fail_msg("%s: %s", rows[i].ldm, known ? name : "no name");
    }
    weights_unref(set);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(each_strength_counts_and_none_changes_nothing), CASE(all_names_of_a_layer_mean_the_same),
        CASE(alpha_over_rank_is_part_of_the_strength),       CASE(model_only_leaves_the_text_encoder_alone),
        CASE(strengths_share_plan_and_packed_weights),       CASE(a_file_that_fits_nothing_is_warned_of),
        CASE(a_patch_that_lacks_a_part_is_warned_of),        CASE(layers_have_their_diffusers_names)};
    return cmocka_run_group_tests(cases, setup, teardown);
}
