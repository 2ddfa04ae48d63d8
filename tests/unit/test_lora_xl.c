/* test_lora_xl.c: the names that LoRA files for SDXL have, at the published network's blocks (support_xl.h): each is put on,
 * extracted again, and must come back as the same numbers on the layer that is meant. Files of LCM and Hyper-SD have kohya's form
 * over diffusers' words. Embeddings that a LoRA file brings are read from models/embeddings. */
#include "engine/base/file.h"
#include "engine/formats/safetensors.h"
#include "nodes/lora_patch.h"
#include "tests/support_examples.h"
#include "tests/support_xl.h"
#include "tests/test.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { RANK = 2, MOST = 512, NUMBERS = RANK * MOST };
static Lab lab;
static float up[NUMBERS], down[NUMBERS], alpha = 3;

static NodusStatus open_all(void)
{
    NODUS_TRY(examples_open(&lab, NULL));
    NODUS_TRY(file_make_folders(lab_path(&lab, "models/embeddings")));
    for (int i = 0; i < NUMBERS; i++) up[i] = (float)(i * 37 % 101) / 101 - 0.5f, down[i] = (float)(i * 53 % 103) / 103 - 0.5f;
    return support_xl(lab_path(&lab, "models"));
}
LAB_FIXTURE(open_all())

static void sure(NodusStatus status)
{
    if (status) fail_msg("%s", nodus_error_message(status));
}

static const struct Form {
    const char *up, *down;
} forms[] = {{".lora_up.weight", ".lora_down.weight"},
             {".lora_B.weight", ".lora_A.weight"},
             {"_lora.up.weight", "_lora.down.weight"},
             {".lora_linear_layer.up.weight", ".lora_linear_layer.down.weight"}};
enum { KOHYA, PEFT, PROCESSOR, LINEAR };

typedef struct Row {
    const char *name; /* in the file */
    int form;
    int64_t rows, columns;
    const char *layer; /* as LoraExtract calls it */
} Row;

#define TO_Q   "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q"
#define TO_OUT "lora_unet_down_blocks_2_attentions_1_transformer_blocks_1_attn2_to_out_0"
#define TEXT_1 "lora_te1_text_model_encoder_layers_1_mlp_fc1"
#define TEXT_2 "lora_te2_text_model_encoder_layers_0_self_attn_q_proj"
#define HF_2   "text_model.encoder.layers.0.self_attn.q_proj"
static const Row rows[] = {
    {TO_Q, KOHYA, 64, 64, TO_Q},
    {"lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q", KOHYA, 64, 64, TO_Q},
    {"diffusion_model.input_blocks.4.1.transformer_blocks.0.attn1.to_q", KOHYA, 64, 64, TO_Q},
    {"unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q", PEFT, 64, 64, TO_Q},
    {"unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.processor.to_q", PROCESSOR, 64, 64, TO_Q},
    {"base_model.model.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q", PEFT, 64, 64, TO_Q},
    {TO_OUT, KOHYA, 128, 128, TO_OUT},
    {"lora_unet_input_blocks_8_1_transformer_blocks_1_attn2_to_out_0", KOHYA, 128, 128, TO_OUT},
    {"unet.down_blocks.2.attentions.1.transformer_blocks.1.attn2.processor.to_out", PROCESSOR, 128, 128, TO_OUT},
    {"lora_unet_mid_block_attentions_0_transformer_blocks_1_attn2_to_k", KOHYA, 128, 128, NULL},
    {"lora_unet_mid_block_attentions_0_proj_in", KOHYA, 128, 128, NULL},
    {"lora_unet_up_blocks_0_attentions_2_transformer_blocks_1_ff_net_2", KOHYA, 128, 512, NULL},
    {"lora_unet_up_blocks_1_attentions_2_transformer_blocks_0_attn2_to_v", KOHYA, 64, 128, NULL},
    {"lora_unet_down_blocks_1_resnets_0_time_emb_proj", KOHYA, 64, 128, NULL},
    {"lora_unet_add_embedding_linear_2", KOHYA, 128, 128, NULL},
    {"lora_unet_time_embedding_linear_1", KOHYA, 128, 32, NULL},
    {TEXT_1, KOHYA, 256, 64, TEXT_1},
    {"clip_l.text_model.encoder.layers.1.mlp.fc1", KOHYA, 256, 64, TEXT_1},
    {"text_encoder.text_model.encoder.layers.1.mlp.fc1", LINEAR, 256, 64, TEXT_1},
    {"text_encoders.clip_l.transformer.text_model.encoder.layers.1.mlp.fc1", KOHYA, 256, 64, TEXT_1},
    {TEXT_2, KOHYA, 64, 64, TEXT_2},
    {"clip_g." HF_2, KOHYA, 64, 64, TEXT_2},
    {"text_encoder_2." HF_2, LINEAR, 64, 64, TEXT_2},
    {"text_encoder_2." HF_2, PEFT, 64, 64, TEXT_2},
    {"text_encoder_2.base_model.model." HF_2, PEFT, 64, 64, TEXT_2},
    {"text_encoders.clip_g.transformer." HF_2, KOHYA, 64, 64, TEXT_2},
    {"lora_te2_text_projection", KOHYA, 64, 64, NULL},
    {"text_encoders.clip_g.transformer.text_projection", KOHYA, 64, 64, "lora_te2_text_projection"},
};
#define ROWS (sizeof rows / sizeof *rows)

static void write_row(const char *file, const Row *row, const float *bundle)
{
    char name[3][256], path[128];
    const char *const ends[] = {forms[row->form].up, forms[row->form].down, ".alpha"};
    for (int i = 0; i < 3; i++) snprintf(name[i], sizeof name[i], "%s%s", row->name, ends[i]);
    snprintf(path, sizeof path, "models/%s", file);
    const SafetensorsItem item[] = {
        {.name = name[0], .dtype = NODUS_F32, .rank = 2, .dim = {row->rows, RANK}, .data = up},
        {.name = name[1], .dtype = NODUS_F32, .rank = 2, .dim = {RANK, row->columns}, .data = down},
        {.name = name[2], .dtype = NODUS_F32, .rank = 0, .data = &alpha},
        {.name = "bundle_emb.star.clip_l", .dtype = NODUS_F32, .rank = 2, .dim = {2, 64}, .data = bundle},
        {.name = "bundle_emb.star.clip_g", .dtype = NODUS_F32, .rank = 2, .dim = {2, 64}, .data = bundle},
    };
    sure(safetensors_write(lab_path(&lab, path), true, NULL, item, bundle ? 5 : 3, NULL, 0));
}

#define BASE                                                                                                              \
    "{\"1\": {\"class_type\": \"CheckpointLoaderSimple\", \"inputs\": {\"ckpt_name\": \"" SUPPORT_XL "\"}}, \"2\": " \
    "{\"class_type\": \"LoraLoader\", \"inputs\": {\"model\": [\"1\", 0], \"clip\": [\"1\", 1], \"lora_name\": \"%s\", " \
    "\"strength_model\": 1, \"strength_clip\": 1}}, "

/* What the file changes, as LoraExtract finds it. */
static WeightSet *extracted(const char *file, int number)
{
    char json[2048];
    WeightSet *set;
    snprintf(json, sizeof json,
             BASE "\"3\": {\"class_type\": \"LoraExtract\", \"inputs\": {\"model\": [\"2\", 0], \"model_base\": [\"1\", 0], "
                  "\"clip\": [\"2\", 1], "
                  "\"clip_base\": [\"1\", 1], \"rank\": 4, \"energy\": 1, \"filename_prefix\": \"row%d\"}}}",
             file, number);
    lab.warning[0] = '\0';
    if (lab_run(&lab, json) != NODUS_SUCCESS) fail_msg("%s: %s", file, lab.error);
    if (lab.warning[0]) fail_msg("%s", lab.warning);
    snprintf(json, sizeof json, "output/row%d_00001_.safetensors", number);
    sure(safetensors_open(lab_path(&lab, json), &set));
    return set;
}

static void look(const Row *row, WeightSet *set)
{
    Lora lora;
    LoraEntry entry;
    double wrong = 0, all = 0;
    sure(lora_read(set, &lora));
    assert_int_equal(lora.parts, 1);
    int at = 0;
    while (!lora_entry(&lora, at, &entry)) at++;
    if (strcmp(entry.name, row->layer ? row->layer : row->name)) fail_msg("%s is on %s", row->name, entry.name);
    assert_int_equal(entry.rows, row->rows);
    assert_int_equal(entry.columns, row->columns);
    float *got = malloc((size_t)(row->rows * row->columns) * sizeof *got);
    assert_non_null(got);
    sure(lora_entry_delta(&lora, &entry, got));
    for (int64_t i = 0; i < row->rows * row->columns; i++) {
        double want = 0;
        for (int k = 0; k < RANK; k++)
            want += (double)up[i / row->columns * RANK + k] * (double)down[k * row->columns + i % row->columns] * (double)alpha / RANK;
        wrong += (want - (double)got[i]) * (want - (double)got[i]);
        all += want * want;
    }
    free(got);
    if (!(wrong < 4e-6 * all)) fail_msg("%s: %g of the norm off", row->name, sqrt(wrong / all));
}

TEST(each_name_means_its_layer)
{
    for (size_t i = 0; i < ROWS; i++) {
        char file[64];
        snprintf(file, sizeof file, "row%d.safetensors", (int)i);
        char path[96];
        snprintf(path, sizeof path, "loras/%s", file);
        write_row(path, &rows[i], NULL);
        WeightSet *set = extracted(file, (int)i);
        look(&rows[i], set);
        weights_unref(set);
    }
}

/* ---- Embeddings ---------------------------------------------------------------------------------------------------------- */

static LabArray encoded(const char *text)
{
    char json[1024];
    LabArray out = {.count = 0};
    snprintf(json, sizeof json,
             "{\"1\": {\"class_type\": \"CheckpointLoaderSimple\", \"inputs\": {\"ckpt_name\": \"" SUPPORT_XL
             "\"}}, \"2\": {\"class_type\": \"CLIPTextEncode\", \"inputs\": {\"text\": \"%s\", \"clip\": [\"1\", 1]}}, "
             "\"S\": {\"class_type\": \"PreviewAny\", \"inputs\": {\"source\": [\"2\", 0]}}}",
             text);
    NodusStatus status = lab_array(&lab, json, "2", 0, NULL, &out);
    if (status) fail_msg("%s", nodus_error_message(status));
    return out;
}

static bool same(const char *one, const char *two)
{
    const LabArray a = encoded(one), b = encoded(two);
    const bool equal = a.count == b.count && a.count && !memcmp(a.data, b.data, a.count * sizeof *a.data);
    free(a.data);
    free(b.data);
    return equal;
}

TEST(embeddings_of_a_bundle_are_read_where_prompts_look)
{
    const SafetensorsItem item[] = {{.name = "clip_l", .dtype = NODUS_F32, .rank = 2, .dim = {2, 64}, .data = down},
                                    {.name = "clip_g", .dtype = NODUS_F32, .rank = 2, .dim = {2, 64}, .data = down}};
    char json[1024];
    write_row("loras/bundle.safetensors", &rows[0], down);
    write_row("embeddings/bundle.safetensors", &rows[0], down);
    sure(safetensors_write(lab_path(&lab, "models/embeddings/plain.safetensors"), true, NULL, item, 2, NULL, 0));
    snprintf(json, sizeof json, BASE "\"S\": {\"class_type\": \"PreviewAny\", \"inputs\": {\"source\": [\"2\", 0]}}}",
             "bundle.safetensors");
    assert_int_equal(lab_run(&lab, json), NODUS_SUCCESS);
    assert_non_null(strstr(lab.warning, "'star.clip_l', which are not used from here: put them into models/embeddings"));
    assert_true(same("a embedding:bundle", "a embedding:plain"));
    assert_false(same("a embedding:bundle", "a"));
}

int main(void)
{
    const struct CMUnitTest cases[] = {CASE(each_name_means_its_layer), CASE(embeddings_of_a_bundle_are_read_where_prompts_look)};
    return cmocka_run_group_tests(cases, setup, teardown);
}
