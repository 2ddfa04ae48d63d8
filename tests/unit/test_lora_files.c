/* LoraExtract, LoraSave, LoraResize, LoraInspect: the difference that a LoRA made comes back as that LoRA; a lower rank keeps the
 * largest values; norms and values of each kind are those of the matrix that it stands for. */
#include "engine/formats/safetensors.h"
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "nodes/lora_inspect.h"
#include "tests/support_lab.h"
#include "tests/test.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define NEON "models/loras/neon-lora.safetensors"
static Lab lab;
LAB_FIXTURE(lab_open(&lab, NULL))

static void sure(NodusStatus status)
{
    if (status) fail_msg("%s", nodus_error_message(status));
}

static Lora opened(const char *path)
{
    WeightSet *set;
    Lora lora;
    sure(safetensors_open(path, &set));
    sure(lora_read(set, &lora));
    return lora;
}

/* The patch of the same name, or the test fails. */
static LoraEntry named(const Lora *lora, const char *name)
{
    LoraEntry entry;
    for (int i = 0; i < weights_count(lora->weights); i++)
        if (lora_entry(lora, i, &entry) && !strcmp(entry.name, name)) return entry;
    fail_msg("%s is not there", name);
    return entry;
}

static float *delta_of(const Lora *lora, const LoraEntry *entry)
{
    float *out = malloc((size_t)(entry->rows * entry->columns) * sizeof *out);
    assert_non_null(out);
    sure(lora_entry_delta(lora, entry, out));
    return out;
}

/* |a − b| beside |a|, of a's layer `index`; `factor`: on a. */
static double apart(const Lora *a, const LoraEntry *entry, const Lora *b)
{
    const LoraEntry other = named(b, entry->name);
    assert_int_equal(other.rows, entry->rows);
    assert_int_equal(other.columns, entry->columns);
    float *one = delta_of(a, entry), *two = delta_of(b, &other);
    double wrong = 0, all = 0;
    for (int64_t i = 0; i < entry->rows * entry->columns; i++) {
        wrong += ((double)one[i] - (double)two[i]) * ((double)one[i] - (double)two[i]);
        all += (double)one[i] * (double)one[i];
    }
    free(one);
    free(two);
    return sqrt(wrong / all);
}

#define BASE "{\"1\": {\"class_type\": \"CheckpointLoaderSimple\", \"inputs\": {\"ckpt_name\": \"shapes-sd1.safetensors\"}},"
#define PUT                                                                                                             \
    "\"2\": {\"class_type\": \"LoraLoader\", \"inputs\": {\"model\": [\"1\", 0], \"clip\": [\"1\", 1], \"lora_name\": " \
    "\"neon-lora.safetensors\", \"strength_model\": 1, \"strength_clip\": 1}},"
#define EXTRACT(inputs_) "\"3\": {\"class_type\": \"LoraExtract\", \"inputs\": {" inputs_ "}}}"
#define BOTH "\"model\": [\"2\", 0], \"model_base\": [\"1\", 0], \"clip\": [\"2\", 1], \"clip_base\": [\"1\", 1], \"energy\": 1, "

TEST(an_extracted_lora_is_the_one_that_was_put_on)
{
    assert_int_equal(lab_run(&lab, BASE PUT EXTRACT(BOTH "\"rank\": 8, \"filename_prefix\": \"loras/back\"")), NODUS_SUCCESS);
    Lora neon = opened(NEON), back = opened(lab_path(&lab, "output/loras/back_00001_.safetensors"));
    double worst = 0;
    assert_int_equal(neon.parts, back.parts);
    for (int i = 0; i < weights_count(neon.weights); i++) {
        LoraEntry entry;
        if (!lora_entry(&neon, i, &entry)) continue;
        const double off = apart(&neon, &entry, &back);
        if (off > worst) worst = off;
    }
    print_message("%d layers, the worst is %.2g of its norm off\n", neon.parts, worst);
    assert_true(worst < 1e-3);
    weights_unref(neon.weights);
    weights_unref(back.weights);
}

static NodusOutcome resized(const char *rank, const char *energy, const char *prefix)
{
    char json[512];
    snprintf(json, sizeof json,
             "{\"1\": {\"class_type\": \"LoraResize\", \"inputs\": {\"lora_name\": \"neon-lora.safetensors\", \"rank\": %s, "
             "\"energy\": %s, \"filename_prefix\": "
             "\"%s\"}}}",
             rank, energy, prefix);
    return lab_run(&lab, json);
}

/* What is missing are the values from the third on: Eckart, Young. */
TEST(a_lower_rank_keeps_the_largest_values)
{
    assert_int_equal(resized("2", "1", "two"), NODUS_SUCCESS);
    Lora neon = opened(NEON), two = opened(lab_path(&lab, "output/two_00001_.safetensors"));
    assert_int_equal(neon.parts, two.parts);
    for (int i = 0; i < weights_count(neon.weights); i++) {
        LoraEntry entry;
        Svd svd;
        double energy, rest = 0;
        if (!lora_entry(&neon, i, &entry)) continue;
        assert_int_equal(named(&two, entry.name).rank, 2);
        assert_ok(lora_inspect(&neon, &entry, 8, &svd, &energy));
        for (int64_t k = 2; k < svd.count; k++) rest += svd.s[k] * svd.s[k];
        const double off = apart(&neon, &entry, &two), expected = sqrt(rest / energy);
        if (fabs(off - expected) > 1e-3) fail_msg("%s: %g off, expected %g", entry.name, off, expected);
        svd_free(&svd);
    }
    weights_unref(neon.weights);
    weights_unref(two.weights);
}

TEST(a_share_of_the_energy_is_enough)
{
    assert_int_equal(resized("8", "0.9", "share"), NODUS_SUCCESS);
    Lora neon = opened(NEON), share = opened(lab_path(&lab, "output/share_00001_.safetensors"));
    int lower = 0;
    for (int i = 0; i < weights_count(neon.weights); i++) {
        LoraEntry entry;
        if (!lora_entry(&neon, i, &entry)) continue;
        lower += named(&share, entry.name).rank < entry.rank;
        assert_true(apart(&neon, &entry, &share) < sqrt(0.1) + 1e-3);
    }
    assert_true(lower > neon.parts / 2);
    weights_unref(neon.weights);
    weights_unref(share.weights);
}

TEST(what_cannot_be_extracted_is_said)
{
    assert_int_not_equal(
        lab_run(&lab,
                BASE EXTRACT(
                    "\"model\": [\"1\", 0], \"model_base\": [\"1\", 0], \"rank\": 8, \"energy\": 1, \"filename_prefix\": \"x\"")),
        NODUS_SUCCESS);
    assert_non_null(strstr(lab.error, "there is nothing to extract"));
    assert_int_not_equal(
        lab_run(&lab, BASE PUT EXTRACT(
                          "\"model\": [\"2\", 0], \"model_base\": [\"1\", 0], \"clip\": [\"2\", 1], \"rank\": 8, \"energy\": 1, "
                          "\"filename_prefix\": \"x\"")),
        NODUS_SUCCESS);
    assert_non_null(strstr(lab.error, "connect both or none"));
}

/* ---- LoraSave -------------------------------------------------------------------------------------------------------------- */

#define SUBTRACT                                                                                                                  \
    "\"5\": {\"class_type\": \"ModelMergeSubtract\", \"inputs\": {\"model1\": [\"2\", 0], \"model2\": [\"1\", 0], \"multiplier\": 1}}," \
    "\"6\": {\"class_type\": \"CLIPMergeSubtract\", \"inputs\": {\"clip1\": [\"2\", 1], \"clip2\": [\"1\", 1], \"multiplier\": 1}},"
#define SAVE(inputs_) "\"7\": {\"class_type\": \"LoraSave\", \"inputs\": {\"rank\": 8, " inputs_ "}}}"
#define DIFFERENCES   "\"model_diff\": [\"5\", 0], \"text_encoder_diff\": [\"6\", 0]"

static void saved(const char *type, const char *inputs, bool bias, const char *lora, const char *file)
{
    char json[4096];
    snprintf(json, sizeof json,
             BASE "\"2\": {\"class_type\": \"LoraLoader\", \"inputs\": {\"model\": [\"1\", 0], \"clip\": [\"1\", 1], "
                  "\"lora_name\": \"%s\", "
                  "\"strength_model\": 1, \"strength_clip\": 1}}," SUBTRACT SAVE("\"lora_type\": \"%s\", \"bias_diff\": %s, "
                                                                                 "\"filename_prefix\": \"%s\", %s"),
             lora, type, bias ? "true" : "false", file, inputs);
    if (lab_run(&lab, json) != NODUS_SUCCESS) fail_msg("%s: %s", file, lab.error);
}

/* The written file, read again by LoraLoader, as kohya's names have it. */
static Lora loaded_again(const char *file)
{
    char from[256], json[2048];
    snprintf(from, sizeof from, "output/%s_00001_.safetensors", file);
    snprintf(json, sizeof json, "models/loras/%s.safetensors", file);
    sure(file_make_folders(lab_path(&lab, "models/loras")));
    assert_int_equal(rename(lab_path(&lab, from), lab_path(&lab, json)), 0);
    snprintf(json, sizeof json,
             BASE
             "\"2\": {\"class_type\": \"LoraLoader\", \"inputs\": {\"model\": [\"1\", 0], \"clip\": [\"1\", 1], \"lora_name\": "
             "\"%s.safetensors\", \"strength_model\": 1, \"strength_clip\": 1}}," EXTRACT(
                 BOTH "\"rank\": 64, \"filename_prefix\": \"%s-again\""),
             file, file);
    lab.warning[0] = '\0';
    if (lab_run(&lab, json) != NODUS_SUCCESS) fail_msg("%s: %s", file, lab.error);
    assert_string_equal(lab.warning, ""); /* all of it found a layer */
    snprintf(from, sizeof from, "output/%s-again_00001_.safetensors", file);
    return opened(lab_path(&lab, from));
}

/* How far the file is from the LoRA that it was made of: mean and worst of all layers. */
static double off_neon(const Lora *back, double *worst)
{
    Lora neon = opened(NEON);
    double sum = 0;
    *worst = 0;
    assert_int_equal(neon.parts, back->parts);
    for (int i = 0; i < weights_count(neon.weights); i++) {
        LoraEntry entry;
        if (!lora_entry(&neon, i, &entry)) continue;
        const double off = apart(&neon, &entry, back);
        sum += off;
        if (off > *worst) *worst = off;
    }
    weights_unref(neon.weights);
    return sum / back->parts;
}

TEST(a_saved_difference_is_the_lora_that_was_put_on)
{
    double worst, worst_thin;
    saved("full_diff", DIFFERENCES, true, "neon-lora.safetensors", "whole");
    Lora whole = loaded_again("whole");
    const double mean = off_neon(&whole, &worst);
    saved("standard", DIFFERENCES, true, "neon-lora.safetensors", "thin");
    Lora thin = loaded_again("thin");
    const double mean_thin = off_neon(&thin, &worst_thin);
    print_message("whole: %.2g of the norm off, at worst %.2g; thin: %.2g, %.2g\n", mean, worst, mean_thin, worst_thin);
    assert_true(worst < 2e-3);
    assert_true(mean_thin < 0.15); /* its largest numbers are cut */
    weights_unref(whole.weights);
    weights_unref(thin.weights);
}

/* As many numbers of a layer as lie beyond the quantile, on both sides, have the largest size. */
TEST(a_saved_pair_of_matrices_is_cut_at_its_quantile)
{
    saved("standard", DIFFERENCES, true, "neon-lora.safetensors", "cut");
    Lora cut = opened(lab_path(&lab, "output/cut_00001_.safetensors"));
    for (int i = 0; i < weights_count(cut.weights); i++) {
        LoraEntry entry;
        float *numbers;
        double most = 0;
        int64_t at = 0, of = 0;
        if (!lora_entry(&cut, i, &entry)) continue;
        assert_int_equal(entry.rank, named(&cut, entry.name).rank);
        for (int pass = 0; pass < 4; pass++) {
            const Weight *part = weights_at(cut.weights, pass % 2 ? entry.down : entry.up);
            const int64_t count = (pass % 2 ? entry.columns : entry.rows) * entry.rank;
            assert_non_null(numbers = malloc((size_t)count * sizeof *numbers));
            sure(weights_read_f32(part, numbers));
            for (int64_t k = 0; k < count; k++) {
                const double size = fabs((double)numbers[k]);
                if (pass < 2) most = size > most ? size : most;
                else at += size == most;
            }
            of += pass < 2 ? count : 0;
            free(numbers);
        }
        if (at < of / 100 || at > of * 4 / 100 + 1) fail_msg("%s: %d of %d numbers are cut", entry.name, (int)at, (int)of);
    }
    weights_unref(cut.weights);
}

#define NORM  "diffusion_model.input_blocks.1.1.norm"
#define LAYER "text_encoders.clip_l.transformer.text_model.encoder.layers.0.layer_norm1"
enum { EDITED = 64 };
static float edit[EDITED];

/* Norms and biases, which only LoraSave's own names reach. */
static void write_edits(void)
{
    static const char *const names[] = {NORM ".diff", NORM ".diff_b", LAYER ".diff", LAYER ".diff_b"};
    SafetensorsItem item[4];
    for (int i = 0; i < EDITED; i++) edit[i] = (float)(i % 7 - 3) / 8 + 0.0625f;
    for (int i = 0; i < 4; i++) item[i] = (SafetensorsItem){.name = names[i], .dtype = NODUS_F32, .rank = 1, .dim = {EDITED}, .data = edit};
    sure(file_make_folders(lab_path(&lab, "models/loras")));
    sure(safetensors_write(lab_path(&lab, "models/loras/edits.safetensors"), true, NULL, item, 4, NULL, 0));
}

/* Whether the file has that entry, with the numbers of `edit`. */
static bool has_edit(const Lora *lora, const char *name)
{
    float numbers[EDITED];
    const Weight *weight = weights_get(lora->weights, name);
    if (!weight) return false;
    assert_int_equal(weight->dtype, DTYPE_F16);
    assert_int_equal(weight->dim[0], EDITED);
    sure(weights_read_f32(weight, numbers));
    for (int i = 0; i < EDITED; i++)
        if (numbers[i] != edit[i]) fail_msg("%s: number %d is %g, not %g", name, i, (double)numbers[i], (double)edit[i]);
    return true;
}

TEST(norms_and_biases_are_saved_exactly)
{
    static const struct { const char *type; bool bias, norms, biases; const char *file;
    } rows[] = {{"standard", true, true, true, "norms-a"},
                {"full_diff", true, true, true, "norms-b"},
                {"full_diff", false, true, false, "norms-c"}};
    write_edits();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char path[128];
        saved(rows[i].type, DIFFERENCES, rows[i].bias, "edits.safetensors", rows[i].file);
        snprintf(path, sizeof path, "output/%s_00001_.safetensors", rows[i].file);
        Lora lora = opened(lab_path(&lab, path));
        assert_int_equal(lora.parts, 2 * (rows[i].norms + rows[i].biases));
        assert_true(has_edit(&lora, NORM ".diff") == rows[i].norms && has_edit(&lora, LAYER ".diff") == rows[i].norms);
        assert_true(has_edit(&lora, NORM ".diff_b") == rows[i].biases && has_edit(&lora, LAYER ".diff_b") == rows[i].biases);
        weights_unref(lora.weights);
    }
}

TEST(what_is_no_difference_is_not_saved)
{
#define REFUSED "\"lora_type\": \"standard\", \"bias_diff\": true, \"filename_prefix\": \"none\""
    assert_int_not_equal(lab_run(&lab, BASE PUT SUBTRACT SAVE(REFUSED)), NODUS_SUCCESS);
    assert_non_null(strstr(lab.error, "connect this, text_encoder_diff or both"));
    assert_int_not_equal(lab_run(&lab, BASE PUT SAVE(REFUSED ", \"model_diff\": [\"2\", 0]")), NODUS_SUCCESS);
    assert_non_null(strstr(lab.error, "connect what ModelMergeSubtract makes"));
    assert_int_not_equal(lab_run(&lab, BASE PUT SAVE(REFUSED ", \"text_encoder_diff\": [\"1\", 1]")), NODUS_SUCCESS);
    assert_non_null(strstr(lab.error, "connect what CLIPMergeSubtract makes"));
    assert_int_not_equal(
        lab_run(&lab, BASE "\"5\": {\"class_type\": \"ModelMergeSubtract\", \"inputs\": {\"model1\": [\"1\", 0], \"model2\": "
                           "[\"1\", 0], \"multiplier\": 1}}," SAVE(REFUSED ", \"model_diff\": [\"5\", 0]")),
        NODUS_SUCCESS);
    assert_non_null(strstr(lab.error, "the difference is 0"));
    assert_int_not_equal(lab_run(&lab, BASE PUT SUBTRACT SAVE("\"lora_type\": \"standard\", \"bias_diff\": true, \"filename_prefix\": "
                                                              "\"../../outside\", " DIFFERENCES)),
                         NODUS_SUCCESS);
}

/* ---- Kinds --------------------------------------------------------------------------------------------------------------- */

static void give(WeightSet *set, const char *name, int64_t rows, int64_t columns, const float *numbers)
{
    sure(weights_add(set, name, DTYPE_F32, 2, (int64_t[]){rows, columns}, numbers, (size_t)(rows * columns) * sizeof *numbers, false));
}

static void inspected(const Lora *lora, const char *name, const char *kind, double first, double second)
{
    Svd svd;
    double energy;
    const LoraEntry entry = named(lora, name);
    assert_string_equal(entry.kind, kind);
    sure(lora_inspect(lora, &entry, 2, &svd, &energy));
    if (fabs(svd.s[0] - first) > 1e-5 || fabs(svd.s[1] - second) > 1e-5) fail_msg("%s: %g, %g", name, svd.s[0], svd.s[1]);
    if (fabs(energy - first * first - second * second) > 1e-4) fail_msg("%s: energy %g", name, energy);
    svd_free(&svd);
}

/* K = [[3, 0], [4, 5]] has the values √45 and √5, the matrix of ones with 2 and 2 numbers has 2 and 0. */
TEST(each_kind_has_the_values_of_its_matrix)
{
    static const float k[] = {3, 0, 4, 5}, one[] = {1, 0, 0, 1}, ones[] = {1, 1, 1, 1}, two[] = {2}, alpha[] = {6};
    WeightSet *set;
    Lora lora;
    assert_ok(weights_new(&set));
    give(set, "a.lora_up.weight", 2, 2, k);
    give(set, "a.lora_down.weight", 2, 2, one);
    assert_ok(weights_add(set, "a.alpha", DTYPE_F32, 0, NULL, alpha, sizeof alpha, false));
    give(set, "b.hada_w1_a", 2, 2, k); /* K ∘ ones = K: the matrix of ones is a product of ones of rank 1 */
    give(set, "b.hada_w1_b", 2, 2, one);
    give(set, "b.hada_w2_a", 2, 1, ones);
    give(set, "b.hada_w2_b", 1, 2, ones);
    give(set, "c.lokr_w1", 1, 1, two);
    give(set, "c.lokr_w2", 2, 2, k);
    give(set, "d.diff", 2, 2, k);
    give(set, "e.lora_up.weight", 2, 2, k); /* DoRA: without magnitudes */
    give(set, "e.lora_down.weight", 2, 2, one);
    give(set, "e.dora_scale", 2, 1, ones);
    give(set, "f.oft_blocks", 2, 2, k);
    assert_ok(lora_read(set, &lora));
    assert_int_equal(lora.parts, 6);
    inspected(&lora, "a", "LoRA", 3 * sqrt(45), 3 * sqrt(5));
    inspected(&lora, "b", "LoHa", sqrt(45), sqrt(5));
    inspected(&lora, "c", "LoKr", 2 * sqrt(45), 2 * sqrt(5));
    inspected(&lora, "d", "difference", sqrt(45), sqrt(5));
    inspected(&lora, "e", "DoRA", sqrt(45), sqrt(5));
    const LoraEntry turned = named(&lora, "f");
    assert_string_equal(turned.kind, "OFT");
    assert_int_equal(turned.rows, 0);
    weights_unref(set);
}

TEST(the_table_and_the_picture_show_each_layer)
{
    LabArray picture;
    assert_ok(lab_array(
        &lab,
        "{\"1\": {\"class_type\": \"LoraInspect\", \"inputs\": {\"lora_name\": \"neon-lora.safetensors\", \"bars\": \"layers\"}},"
        "\"2\": {\"class_type\": \"PreviewAny\", \"inputs\": {\"source\": [\"1\", 0]}}}",
        "1", 1, NULL, &picture));
    assert_non_null(strstr(lab.ui, "largest singular values"));
    assert_int_equal(picture.dim[1], 210 * 12 + 12);
    assert_int_equal(picture.dim[3], 3);
    free(picture.data);
}

int main(void)
{
    const struct CMUnitTest cases[] = {CASE(an_extracted_lora_is_the_one_that_was_put_on),
                                       CASE(a_lower_rank_keeps_the_largest_values),
                                       CASE(a_share_of_the_energy_is_enough),
                                       CASE(what_cannot_be_extracted_is_said),
                                       CASE(a_saved_difference_is_the_lora_that_was_put_on),
                                       CASE(a_saved_pair_of_matrices_is_cut_at_its_quantile),
                                       CASE(norms_and_biases_are_saved_exactly),
                                       CASE(what_is_no_difference_is_not_saved),
                                       CASE(each_kind_has_the_values_of_its_matrix),
                                       CASE(the_table_and_the_picture_show_each_layer)};
    return cmocka_run_group_tests(cases, setup, teardown);
}
