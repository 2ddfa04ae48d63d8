/* Prompt-to-prompt: which token stands for which; a layer of attention against numpy, map by map
 * (tests/golden/prompt_to_prompt.py); whole samplings against diffusers' UNet (tests/golden/prompt_to_prompt_sampling.py); equal
 * prompts give the unedited picture bit for bit; and what cannot be edited is said. */
#include "nodes/diffusion/edit.h"
#include "nodes/prompt_words.h"
#include "tests/support_demo.h"
#include "tests/support_examples.h"
#include "tests/support_lab.h"
#include "tests/test.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { HEADS = 2, PLACES = 6, TOKENS = 77, WIDTH = 8, PAIR = 2 };

/* ---- Words ---------------------------------------------------------------------------------------------------------------- */

static float map[TOKENS * TOKENS], fresh[TOKENS];

static NodusStatus map_of(const char *source, const char *target, bool refine)
{
    PromptWords a, b = {0};
    NodusStatus status = prompt_words(source, &a);
    if (!status) status = prompt_words(target, &b);
    if (!status) status = prompt_words_map(&a, &b, refine, map, fresh);
    prompt_words_free(&a);
    prompt_words_free(&b);
    return status;
}

/* The token of the source that all the attention to token j comes from; −1: several, or none. */
static int comes_from(int j)
{
    int from = -1;
    for (int i = 0; i < TOKENS; i++)
        if (map[i * TOKENS + j] == 1) from = i;
        else if (map[i * TOKENS + j] != 0) return -1;
    return from;
}

TEST(equal_prompts_stand_for_themselves)
{
    for (int refine = 0; refine < 2; refine++)
        for (int empty = 0; empty < 2; empty++) {
            const char *prompt = empty ? "" : "a (red:1.2) house, green meadow";
            assert_ok(map_of(prompt, prompt, refine));
            for (int j = 0; j < TOKENS; j++) {
                assert_int_equal(comes_from(j), j);
                assert_true(fresh[j] == 0);
            }
        }
}

TEST(words_are_replaced_in_order)
{
    assert_ok(map_of("a red star", "a blue star", false));
    for (int j = 0; j < TOKENS; j++) assert_int_equal(comes_from(j), j);
    /* "watercolorish" is more than one token: they share what "red" had, and what follows moves */
    assert_ok(map_of("a red star", "a watercolorish star", false));
    int shared = 2;
    while (comes_from(shared) < 0) shared++;
    const int tokens = shared - 2;
    assert_true(tokens > 1);
    for (int j = 2; j < shared; j++) assert_near(map[2 * TOKENS + j], 1.0 / tokens, 1e-7);
    assert_int_equal(comes_from(shared), 3);
    assert_int_equal(comes_from(shared + 1), 4);
    /* and back: one word gathers nothing but its share */
    assert_ok(map_of("a watercolorish star", "a red star", false));
    for (int i = 2; i < 2 + tokens; i++) assert_true(map[i * TOKENS + 2] == 1);
    assert_int_equal(comes_from(3), 2 + tokens);
    assert_int_equal(comes_from(TOKENS - 1), TOKENS - 1);
    assert_error(map_of("a star", "a red star", false), "the source has 2, the target 3");
}

TEST(what_both_have_keeps_its_place)
{
    assert_ok(map_of("a red star", "a big blue star", true));
    static const int from[] = {0, 1, -1, -1, 3, 4, 5};
    for (int j = 0; j < 7; j++) {
        assert_int_equal(comes_from(j), from[j]);
        assert_true(fresh[j] == (from[j] < 0));
    }
    assert_ok(map_of("star", "a star, a star", true)); /* the first of two that could be it */
    int old = 0;
    for (int j = 1; j < 6; j++) old += fresh[j] == 0;
    assert_int_equal(old, 1);
    assert_error(map_of("embedding:x", "a", true), "textual inversions");
    assert_error(
        map_of("a",
               "a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a "
               "a a a a a a a a a a a a a a a a a a a a a a a a a a a a",
               true),
        "1 and 2 chunks");
}

TEST(a_phrase_may_begin_in_one_chunk_and_end_in_the_next)
{
    PromptWords words;
    float factor[2 * TOKENS];
    int found, many = 0;
    assert_ok(prompt_words(
        "a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a "
        "a a a a a a a a a a a a a a a a a red star",
        &words));
    assert_int_equal(words.tokens, 2 * TOKENS);
    for (int i = 0; i < words.tokens; i++) factor[i] = 1;
    assert_ok(prompt_words_weigh(&words, "red star", 8, 3, factor, &found));
    for (int i = 0; i < words.tokens; i++) many += factor[i] == 3;
    assert_true(found == 1 && many == 2 && factor[75] == 3 && factor[78] == 3);
    assert_ok(prompt_words_weigh(&words, "star star", 9, 3, factor, &found));
    assert_int_equal(found, 0);
    prompt_words_free(&words);
}

/* ---- A layer -------------------------------------------------------------------------------------------------------------- */

typedef struct Layer {
    EditRun run;
    ModelSampling sampling;
    int tokens;
    bool cross;
} Layer;

static NodusStatus build_layer(void *context, OpGraph *graph)
{
    Layer *layer = context;
    PatchRun patch[EDIT_PATCHES];
    Site site = {.kind = SITE_ATTENTION_RESULT, .heads = HEADS, .probs = OP_NONE, .out = OP_NONE};
    site.q = op_input(graph, "q", DTYPE_F32, 3, (const int64_t[]){PAIR, PLACES, WIDTH});
    site.k = op_input(graph, "k", DTYPE_F32, 3, (const int64_t[]){PAIR, layer->tokens, WIDTH});
    site.v = op_input(graph, "v", DTYPE_F32, 3, (const int64_t[]){PAIR, layer->tokens, WIDTH});
    site.context = layer->cross ? site.k : OP_NONE;
    const int count = edit_patches(&layer->run, &layer->sampling, 1, patch);
    for (int i = 0; i < count; i++) NODUS_TRY(patch[i].class->build(patch[i].self, graph, &site));
    op_output(graph, "out", site.out);
    return NULL;
}

static NodusStatus formula(NodusMath *math, int tokens, int n, NodusTensor **out)
{
    float numbers[PAIR * TOKENS * WIDTH];
    for (int i = 0; i < PAIR * tokens * WIDTH; i++) numbers[i] = (float)sin(1.7 * (i + 1) + 0.37 * n);
    return nodus_tensor_from_f32(math, out, 3, (const int64_t[]){PAIR, tokens, WIDTH}, numbers);
}

/* The arrays of a use from map, fresh and a factor on one token. */
static NodusStatus layer_arrays(NodusMath *math, int token, float factor, EditRun *run)
{
    static float maps[PAIR * TOKENS * TOKENS], freshes[PAIR * TOKENS];
    memset(maps, 0, sizeof maps);
    memset(freshes, 0, sizeof freshes);
    for (int i = 0; i < TOKENS; i++) maps[i * TOKENS + i] = 1;
    for (int j = 0; j < TOKENS; j++) {
        for (int i = 0; i < TOKENS; i++) maps[(TOKENS + i) * TOKENS + j] = map[i * TOKENS + j] * (j == token ? factor : 1);
        freshes[TOKENS + j] = fresh[j] * (j == token ? factor : 1);
    }
    NODUS_TRY(nodus_tensor_from_f32(math, &run->map, 4, (const int64_t[]){PAIR, 1, TOKENS, TOKENS}, maps));
    return nodus_tensor_from_f32(math, &run->fresh, 3, (const int64_t[]){PAIR, TOKENS, 1}, freshes);
}

static void check_layer(Demo *demo, const char *target, bool refine, int token, float factor, const double expected[7])
{
    void **state_ = NULL;
    NodusMath *math = &demo->support.math;
    EditUse use = {.cross_end = target != NULL, .self_end = target == NULL};
    Layer layer = {.run = {.use = &use}, .tokens = target ? TOKENS : PLACES, .cross = target != NULL};
    NodusTensor *q, *k, *v, *out;
    Bindings bindings = {.math = math};
    const float *numbers;
    model_sampling_discrete(&layer.sampling);
    if (target) {
        assert_ok(map_of("a red star", target, refine));
        assert_ok(layer_arrays(math, token, factor, &layer.run));
        bindings_input(&bindings, "edit.map", layer.run.map);
        bindings_input(&bindings, "edit.fresh", layer.run.fresh);
    }
    assert_ok(formula(math, PLACES, 0, &q));
    assert_ok(formula(math, layer.tokens, target ? 1 : 3, &k));
    assert_ok(formula(math, layer.tokens, target ? 2 : 4, &v));
    bindings_input(&bindings, "q", q);
    bindings_input(&bindings, "k", k);
    bindings_input(&bindings, "v", v);
    bindings_output(&bindings, "out", &out);
    assert_ok(demo_run(demo, build_layer, &layer, &bindings));
    assert_ok(nodus_tensor_map_f32(math, out, &numbers));
    double sum = 0;
    for (int i = 0; i < PLACES * WIDTH; i++) sum += numbers[PLACES * WIDTH + i];
    for (int i = 0; i < 6; i++) assert_near(numbers[PLACES * WIDTH + i], expected[i], 2e-6);
    assert_near(sum, expected[6], 1e-5);
}

TEST(a_layer_is_that_of_the_oracle)
{
    static const struct {
        const char *target;
        bool refine;
        int token;
        float factor;
        double expected[7];
    } rows[] = {
        {"a blue star", false, 2, 1, {0.055915, 0.460013, -0.174456, -0.415058, 0.246308, 0.385012, 0.090647}},
        {"a blue star", false, 2, 2, {0.059013, 0.456156, -0.176559, -0.410658, 0.247160, 0.380926, 0.134802}},
        {"a big blue star", true, 3, 1, {0.438596, 0.141487, -0.475056, -0.019070, 0.494357, -0.057559, 0.078082}},
        {"a big blue star", true, 3, 2, {0.434884, 0.130367, -0.468478, -0.009645, 0.486412, -0.063826, 0.079590}},
        {NULL, false, 0, 1, {0.410206, -0.263964, -0.342185, 0.352142, 0.302506, -0.408233, -0.057254}},
    };
    Demo demo;
    assert_ok(demo_open(&demo));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check_layer(&demo, rows[i].target, rows[i].refine, rows[i].token, rows[i].factor, rows[i].expected);
    demo_close(&demo);
}

/* ---- Pictures ------------------------------------------------------------------------------------------------------------- */

static Lab lab;
LAB_FIXTURE(examples_open(&lab, NULL))

/* A latent of two items after a few steps; `positive`: the node of the prompt. */
static NodusStatus paint(const char *positive, int items, LabArray *out)
{
    char json[2048];
    snprintf(json, sizeof json,
             "{\"1\": {\"class_type\": \"CheckpointLoaderSimple\", \"inputs\": {\"ckpt_name\": \"shapes-sd1.safetensors\"}},"
             "\"2\": {\"class_type\": %s},"
             "\"3\": {\"class_type\": \"CLIPTextEncode\", \"inputs\": {\"text\": \"\", \"clip\": [\"1\", 1]}},"
             "\"4\": {\"class_type\": \"EmptyLatentImage\", \"inputs\": {\"width\": 64, \"height\": 64, \"batch_size\": %d}},"
             "\"5\": {\"class_type\": \"LatentBatchSeedBehavior\", \"inputs\": {\"samples\": [\"4\", 0], \"seed_behavior\": "
             "\"fixed\"}},"
             "\"9\": {\"class_type\": \"KSampler\", \"inputs\": {\"model\": [\"1\", 0], \"seed\": 7, \"steps\": 3, \"cfg\": 5, "
             "\"sampler_name\": \"euler\","
             "\"scheduler\": \"normal\", \"positive\": [\"2\", 0], \"negative\": [\"3\", 0], \"latent_image\": [\"5\", 0], "
             "\"denoise\": 1}}}",
             positive, items);
    return lab_array(&lab, json, "9", 0, NULL, out);
}

#define EDIT(source_, target_, mode_, cross_, more_)                                                             \
    "\"PromptToPrompt\", \"inputs\": {\"clip\": [\"1\", 1], \"source\": \"" source_ "\", \"target\": \"" target_ \
    "\", \"mode\": \"" mode_ "\", \"cross_steps\": " cross_ ", \"self_steps\": 0.5, \"reweight\": \"" more_ "\"}"
#define PLAIN(text_) "\"CLIPTextEncode\", \"inputs\": {\"clip\": [\"1\", 1], \"text\": \"" text_ "\"}"

static bool same(const LabArray *a, const LabArray *b, size_t from, size_t count)
{
    return !memcmp(a->data + from, b->data + from, count * sizeof *a->data);
}

TEST(equal_prompts_give_the_unedited_picture_bit_for_bit)
{
    static const char *const edits[] = {EDIT("a red star", "a red star", "replace", "0.8", ""),
                                        EDIT("a red star", "a red star", "refine", "1", "red = 1")};
    LabArray plain, edited;
    assert_ok(paint(PLAIN("a red star"), 2, &plain));
    for (int i = 0; i < 2; i++) {
        assert_ok(paint(edits[i], 2, &edited));
        assert_true(edited.count == plain.count && same(&edited, &plain, 0, plain.count));
        free(edited.data);
    }
    free(plain.data);
}

TEST(the_source_stays_and_the_target_changes)
{
    static const char *const edits[] = {EDIT("a red star", "a blue star", "replace", "0.8", ""),
                                        EDIT("a red star", "a big blue star", "refine", "0.8", ""),
                                        EDIT("a red star", "a red star", "replace", "0.8", "red = 3")};
    LabArray plain, edited;
    assert_ok(paint(PLAIN("a red star"), 2, &plain));
    const size_t half = plain.count / 2;
    for (int i = 0; i < 3; i++) {
        assert_ok(paint(edits[i], 2, &edited));
        assert_true(same(&edited, &plain, 0, half));
        assert_false(same(&edited, &plain, half, half));
        free(edited.data);
    }
    free(plain.data);
}

/* A mask of the left half, made of node 6, 7. */
TEST(outside_a_mask_the_source_stays)
{
    static const char edit[] =
        "\"PromptToPrompt\", \"inputs\": {\"clip\": [\"1\", 1], \"source\": \"a red star\", \"target\": \"a blue house\", "
        "\"mode\":"
        "\"replace\", \"self_steps\": 0, \"mask\": [\"7\", 0]}},"
        "\"6\": {\"class_type\": \"SolidMask\", \"inputs\": {\"value\": 0, \"width\": 64, \"height\": 64}},"
        "\"8\": {\"class_type\": \"SolidMask\", \"inputs\": {\"value\": 1, \"width\": 32, \"height\": 64}},"
        "\"7\": {\"class_type\": \"MaskComposite\", \"inputs\": {\"destination\": [\"6\", 0], \"source\": [\"8\", 0], \"x\": 0, "
        "\"y\": 0,"
        "\"operation\": \"add\"}";
    LabArray edited;
    assert_ok(paint(edit, 2, &edited));
    assert_int_equal(edited.dim[3], 8);
    const size_t half = edited.count / 2;
    int kept = 0, changed = 0;
    for (size_t i = 0; i < half; i++) {
        const bool same_number = edited.data[i] == edited.data[half + i];
        if (i % 8 >= 4) assert_true(same_number);
        kept += i % 8 >= 4 && same_number;
        changed += i % 8 < 4 && !same_number;
    }
    assert_true(kept == (int)half / 2 && changed > (int)half / 3);
    free(edited.data);
}

/* ---- Whole samplings ------------------------------------------------------------------------------------------------------- */

enum { EDITS = 5, PICTURE = 4 * 8 * 8 };

#define SAMPLING(class_, latent_, guider_)                                                                          \
    "{\"class_type\": \"" class_                                                                                    \
    "\", \"inputs\": {\"noise\": [\"10\", 0], \"sampler\": [\"11\", 0], \"sigmas\": [\"12\", 0], \"latent_image\":" \
    "[\"" latent_ "\", 0], \"guider\": [\"" guider_ "\", 0]}}"
#define EMPTY(items_) \
    "{\"class_type\": \"EmptyLatentImage\", \"inputs\": {\"width\": 64, \"height\": 64, \"batch_size\": " #items_ "}}"
#define GUIDED(positive_)                                                                             \
    "{\"class_type\": \"CFGGuider\", \"inputs\": {\"model\": [\"1\", 0], \"positive\": [\"" positive_ \
    "\", 0], \"negative\": [\"3\", 0],"                                                               \
    "\"cfg\": 5}}"

/* What the script samples: the mask is made of maps of a sampling of the source alone. */
static NodusStatus sample_edit(const char *target, const char *mode, const char *more, LabArray *out)
{
    char json[4096];
    snprintf(json, sizeof json,
             "{\"1\": {\"class_type\": \"CheckpointLoaderSimple\", \"inputs\": {\"ckpt_name\": \"shapes-sd1.safetensors\"}},"
             "\"2\": {\"class_type\": " PLAIN("a red house, green meadow") "}, \"3\": {\"class_type\": " PLAIN(
                 "") "},"
                     "\"5\": {\"class_type\": \"PromptToPrompt\", \"inputs\": {\"clip\": [\"1\", 1], \"source\": \"a red house, "
                     "green meadow\","
                     "\"target\": \"%s\", \"mode\": \"%s\", \"cross_steps\": 0.8, \"self_steps\": 0.4%s}},"
                     "\"6\": " EMPTY(2) ", \"20\": " EMPTY(1) ", \"13\": " GUIDED("5") ", \"21\": " GUIDED(
                         "2") ","
                              "\"7\": {\"class_type\": \"LatentBatchSeedBehavior\", \"inputs\": {\"samples\": [\"6\", 0], "
                              "\"seed_behavior\": \"fixed\"}},"
                              "\"10\": {\"class_type\": \"RandomNoise\", \"inputs\": {\"noise_seed\": 7}},"
                              "\"11\": {\"class_type\": \"KSamplerSelect\", \"inputs\": {\"sampler_name\": \"euler\"}},"
                              "\"12\": {\"class_type\": \"BasicScheduler\", \"inputs\": {\"model\": [\"1\", 0], \"scheduler\": "
                              "\"ddim_uniform\", \"steps\": 8,"
                              "\"denoise\": 1}},"
                              "\"14\": " SAMPLING("SamplerCustomAdvanced", "7", "13") ", \"22\": " SAMPLING(
                                  "SampleWithAttention", "20", "21") ","
                                                                     "\"23\": {\"class_type\": \"AttentionMapsToMask\", "
                                                                     "\"inputs\": {\"attention_maps\": [\"22\", 1], \"prompt\":"
                                                                     "\"a red house, green meadow\", \"word\": \"house\", "
                                                                     "\"layer\": \"out\", \"width\": 64, \"height\": 64}},"
                                                                     "\"24\": {\"class_type\": \"ThresholdMask\", \"inputs\": "
                                                                     "{\"mask\": [\"23\", 0], \"value\": 0.65}}}",
             target, mode, more);
    return lab_array(&lab, json, "14", 0, NULL, out);
}

TEST(whole_samplings_are_those_of_the_oracle)
{
    static const struct {
        const char *target, *mode, *more;
    } rows[EDITS] = {
        {"a blue house, green meadow", "replace", ""},
        {"a big blue house, green meadow", "refine", ""},
        {"a red house, green meadow", "replace", ", \"reweight\": \"red = 3\\nmeadow = -1\""},
        {"a big blue house, green meadow", "refine", ", \"reweight\": \"blue = 2\\nmeadow = 0.5\""},
        {"a blue house, green meadow", "replace", ", \"mask\": [\"24\", 0]"},
    };
    LabArray recorded, got;
    assert_ok(lab_recorded("tests/golden/prompt_to_prompt.npy", &recorded));
    assert_int_equal(recorded.count, EDITS * PAIR * PICTURE);
    for (int i = 0; i < EDITS; i++) {
        assert_ok(sample_edit(rows[i].target, rows[i].mode, rows[i].more, &got));
        assert_int_equal(got.count, PAIR * PICTURE);
        for (int k = 0; k < PAIR; k++) {
            const double far = lab_apart(got.data + k * PICTURE, recorded.data + (i * PAIR + k) * PICTURE, PICTURE);
            if (!(far < 2e-5)) fail_msg("edit %d, %s: %g away", i, k ? "target" : "source", far);
        }
        free(got.data);
    }
    free(recorded.data);
}

TEST(what_cannot_be_edited_is_said)
{
    LabArray none;
    assert_error(paint(EDIT("a red star", "a blue star", "replace", "0.8", ""), 1, &none), "");
    assert_non_null(strstr(lab.error, "the latent has 1 items, it needs 2, 4"));
    assert_error(paint(EDIT("a star", "a blue star", "replace", "0.8", ""), 2, &none), "");
    assert_non_null(strstr(lab.error, "or refine"));
    assert_error(paint(EDIT("a star", "a star", "replace", "0.8", "boat = 2"), 2, &none), "");
    assert_non_null(strstr(lab.error, "the target prompt has no \"boat"));
    assert_error(paint(EDIT("a star", "a star", "replace", "0.8", "star"), 2, &none), "");
    assert_non_null(strstr(lab.error, "is no line \"word = factor\""));
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(equal_prompts_stand_for_themselves),      CASE(words_are_replaced_in_order),
        CASE(what_both_have_keeps_its_place),          CASE(a_phrase_may_begin_in_one_chunk_and_end_in_the_next),
        CASE(a_layer_is_that_of_the_oracle),           CASE(equal_prompts_give_the_unedited_picture_bit_for_bit),
        CASE(the_source_stays_and_the_target_changes), CASE(outside_a_mask_the_source_stays),
        CASE(whole_samplings_are_those_of_the_oracle), CASE(what_cannot_be_edited_is_said),
    };
    return cmocka_run_group_tests(cases, setup, teardown);
}
