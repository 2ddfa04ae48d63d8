/* Runs with adapters, attention, tables and inversion in them, with the n-th allocation of the run failing: each ends in an error
 * with a message or in success, and leaves nothing behind. Every n up to some, then spaced ever wider; NODUS_FAULTS=all takes
 * every one (by hand; hours). The opening of the engine is not counted: test_run.c has it. */
#include "tests/faults/faults.h"
#include "tests/support_examples.h"
#include <nodus/nodus.h>
#include <stdio.h>
#include <stdlib.h>

static Lab lab;
LAB_FIXTURE(examples_open(&lab, NULL))

/* ---- Workflows ---------------------------------------------------------------------------------------------------------------
 */

#define NODE(name_, class_, inputs_) "\"" name_ "\": {\"class_type\": \"" class_ "\", \"inputs\": {" inputs_ "}}"
#define PROMPTS                                                                                      \
    NODE("M", "CheckpointLoaderSimple", "\"ckpt_name\": \"shapes-sd1.safetensors\"")                 \
    ", " NODE("pos", "CLIPTextEncode", "\"text\": \"a red house\", \"clip\": [\"M\", 1]") ", " NODE( \
        "neg", "CLIPTextEncode",                                                                     \
        "\"text\": \"\", \"clip\": [\"M\", 1]") ", " NODE("L", "EmptyLatentImage",                   \
                                                          "\"width\": 16, \"height\": 16, \"batch_size\": 1") ", "
#define CUSTOM(positive_)                                                                                                        \
    PROMPTS NODE(                                                                                                                \
        "guider", "CFGGuider",                                                                                                   \
        "\"model\": [\"M\", 0], \"positive\": [\"" positive_                                                                     \
        "\", 0], \"negative\": [\"neg\", 0], \"cfg\": 3") ", " NODE("noise", "RandomNoise",                                      \
                                                                    "\"noise_seed\": 7") ", " NODE("euler", "KSamplerSelect",    \
                                                                                                   "\"sampler_name\": "          \
                                                                                                   "\"euler\"") ", " NODE("leve" \
                                                                                                                          "ls",  \
                                                                                                                          "Basi" \
                                                                                                                          "cSch" \
                                                                                                                          "edul" \
                                                                                                                          "er",  \
                                                                                                                          "\"mo" \
                                                                                                                          "del"  \
                                                                                                                          "\": " \
                                                                                                                          "[\"M" \
                                                                                                                          "\", " \
                                                                                                                          "0], " \
                                                                                                                          "\"sc" \
                                                                                                                          "hedu" \
                                                                                                                          "ler"  \
                                                                                                                          "\": " \
                                                                                                                          "\"no" \
                                                                                                                          "rmal" \
                                                                                                                          "\", " \
                                                                                                                          "\"st" \
                                                                                                                          "eps"  \
                                                                                                                          "\": " \
                                                                                                                          "1, "  \
                                                                                                                          "\"de" \
                                                                                                                          "nois" \
                                                                                                                          "e\":" \
                                                                                                                          " 1") ", "
#define SHOW(from_) NODE("S", "PreviewAny", "\"source\": [\"" from_ "\", 0]")

static const char adapters[] =
    "{" PROMPTS
        NODE("lora", "LoraLoader",
             "\"model\": [\"M\", 0], \"clip\": [\"M\", 1], \"lora_name\": \"neon-lora.safetensors\", \"strength_model\": 1, "
             "\"strength_clip\": 0") ", " NODE("I", "LoadImage",
                                               "\"image\": \"scene.png\"") ", " NODE("net", "ControlNetLoader",
                                                                                     "\"control_net_name\": "
                                                                                     "\"control.safetensors\"") ", " NODE("guide"
                                                                                                                          "d",
                                                                                                                          "Contro"
                                                                                                                          "lNetAp"
                                                                                                                          "plyAdv"
                                                                                                                          "anced",
                                                                                                                          "\"posi"
                                                                                                                          "tive\""
                                                                                                                          ": "
                                                                                                                          "[\"pos"
                                                                                                                          "\", "
                                                                                                                          "0], "
                                                                                                                          "\"nega"
                                                                                                                          "tive\""
                                                                                                                          ": "
                                                                                                                          "[\"neg"
                                                                                                                          "\", "
                                                                                                                          "0], "
                                                                                                                          "\"cont"
                                                                                                                          "rol_"
                                                                                                                          "net\":"
                                                                                                                          " ["
                                                                                                                          "\"net"
                                                                                                                          "\", "
                                                                                                                          "0], "
                                                                                                                          "\"imag"
                                                                                                                          "e\": "
                                                                                                                          "[\"I\""
                                                                                                                          ", 0], "
                                                                                                                          "\"stre"
                                                                                                                          "ngth\""
                                                                                                                          ": 1, "
                                                                                                                          "\"star"
                                                                                                                          "t_"
    "percen"
    "t\": "
    "0, "
    "\"end_"
    "percen"
    "t\": "
    "1") ","
    " " NODE("V",
    "CLIPVisionLoader", "\"clip_name\": \"clip_vision.safetensors\"") ", "
    NODE("ip", "IPAdapterModelLoader", "\"ipadapter_file\": \"ip-adapter_sd15.safetensors\"") ", "
    NODE("P",
    "IPAdapterAdvanced",
    "\"model\": [\"lora\", 0], \"ipadapter\": [\"ip\", 0], \"image\": [\"I\", 0], \"weight\": 1, \"weight_type\": \"linear\", "
    "\"combine_embeds\": \"concat\", \"start_at\": 0, \"end_at\": 1, \"embeds_scaling\": \"V only\", "
    "\"clip_vision\": [\"V\", 0]") ", "
    NODE("K",
    "KSampler",
    "\"model\": [\"P\", 0], \"seed\": 7, \"steps\": 1, \"cfg\": 3, \"sampler_name\": \"euler\", \"scheduler\": \"normal\", "
    "\"positive\": [\"guided\", 0], \"negative\": [\"guided\", 1], \"latent_image\": [\"L\", 0], \"denoise\": 1") ", " SHOW("K") "}";

static const char attention[] =
    "{" CUSTOM("edit")
    NODE("edit", "PromptToPrompt", "\"clip\": [\"M\", 1], \"source\": \"a red house\", \"target\": \"a blue house\", "
    "\"mode\": \"replace\", \"reweight\": \"blue = 2\"") ", "
    NODE(
            "pair", "EmptyLatentImage",
            "\"width\": 16, \"height\": 16, \"batch_size\": 2") ", " NODE("same", "LatentBatchSeedBehavior",
    "\"samples\": [\"pair\", 0], \"seed_behavior\": "
    "\"fixed\"") ", " NODE("A", "SampleWithAttention",
    "\"noise\": [\"noise\", 0], "
    "\"guider\": [\"guider\", 0], "
    "\"sampler\": [\"euler\", 0], "
    "\"sigmas\": [\"levels\", 0], "
    "\"latent_image\": [\"same\", "
    "0], \"max_side\": 8, "
    "\"every\": 1, \"transformer\": "
    "-1, \"tokens\": 0") ", " NODE("mask",
    "AttentionMapsToMask",
    "\"attention_maps\": [\"A\", 1], \"prompt\": \"a red house\", \"word\": \"house\"") ", " NODE("W",
    "SaveAttentionMaps",
    "\"attention_maps\": [\"A\", 1], \"filename_prefix\": \"maps\"") ", " SHOW("mask") "}";

    static const char tables[] = "{"
    NODE("I", "LoadImage", "\"image\": \"scene.png\"") ", "
    NODE("J", "ImageFlip", "\"image\": [\"I\", 0], \"flip_method\": \"y-axis: horizontally\"") ", "
    NODE("psnr", "MeasurePSNR", "\"image\": [\"J\", 0], \"reference\": [\"I\", 0]") ", "
    NODE("ssim", "MeasureSSIM", "\"image\": [\"J\", 0], \"reference\": [\"I\", 0]") ", "
    NODE("one", "TableRow", "\"label\": \"one\", \"psnr\": [\"psnr\", 0], \"ssim\": [\"ssim\", 0]") ", "
    NODE("two", "TableRow", "\"label\": \"two\", \"psnr\": 12.5, \"other\": \"x\"") ", "
    NODE(
    "R", "TableJoin",
    "\"tables\": [\"one\", 0], \"columns\": \"\", \"second\": [\"two\", 0]") ", " NODE("look", "LoraInspect",
    "\"lora_name\": "
    "\"neon-lora.safetensors\", \"bars\": "
    "\"blocks\"") ", " NODE("T", "PreviewAny",
    "\"source\": "
    "[\"look\", 0]") ", " NODE("plot",
    "PlotTable",
    "\"table\": [\"R\", 0], \"x\": \"label\", \"y\": \"psnr\", \"group_by\": \"\", \"width\": 256, \"height\": 256") ", " NODE("save",
    "SaveTable",
    "\"table\": [\"R\", 0], \"filename_prefix\": \"tables/t\"") ", " SHOW("plot") "}";

static const char inversion[] = "{" PROMPTS NODE(
    "A", "InvertLatent",
    "\"model\": [\"M\", 0], \"positive\": [\"pos\", 0], \"latent_image\": [\"L\", 0], \"steps\": 2, \"start_at_step\": 0, "
    "\"scheduler\": \"normal\", \"cfg\": 1.0, \"rounds\": 2") ", " SHOW("A") "}";

/* ---- Faults -------------------------------------------------------------------------------------------------------------------
 */

typedef struct Attempt {
    const char *json;
    NodusOutcome outcome;
    int errors; /* told */
} Attempt;

static void event(void *user, const NodusEvent *e)
{
    Attempt *attempt = user;
    attempt->errors += e->kind == NODUS_EVENT_ERROR && e->message && *e->message;
}

/* A run in an engine of its own, which has nothing cached. */
static NodusStatus run_once(void *context)
{
    Attempt *attempt = context;
    const bool armed = atomic_exchange(&faults.armed, false);
    char output[128];
    snprintf(output, sizeof output, "%s", lab_path(&lab, "output"));
    const NodusEngineOptions options = {.struct_size = sizeof options,
                                        .threads = 1,
                                        .memory = (size_t)1 << 30,
                                        .base_directory = lab.folder,
                                        .output = output,
                                        .system_models = "models"};
    const NodusRunOptions run_options = {.struct_size = sizeof run_options, .event = event, .user = attempt};
    NodusEngine *engine = NULL;
    NodusRun *run = NULL;
    attempt->outcome = NODUS_REFUSED;
    attempt->errors = 0;
    NodusStatus status = nodus_engine_new(&options, &engine);
    atomic_store(&faults.armed, armed);
    if (!status) status = nodus_run_new(engine, attempt->json, strlen(attempt->json), &run_options, &run);
    if (!status) attempt->outcome = nodus_run_execute(run);
    atomic_store(&faults.armed, false);
    nodus_run_free(run);
    nodus_engine_free(engine);
    return status;
}

enum { EACH = 24, SPACE = 6 };

static long next_fault(long n)
{
    const char *all = getenv("NODUS_FAULTS");
    return n < EACH || (all && !strcmp(all, "all")) ? n + 1 : n + n / SPACE;
}

static void replay(const char *json)
{
    Attempt attempt = {.json = json};
    NodusStatus status = run_once(&attempt); /* warms up */
    int failed = 0, replays = 0;
    assert_null(status);
    assert_int_equal(attempt.outcome, NODUS_SUCCESS);
    bool hit = true;
    for (long n = 1; hit; n = next_fault(n), replays++) {
        const long live = atomic_load(&faults.live);
        hit = faults_run(FAULT_OF_ALLOCATION, n, false, run_once, &attempt, &status);
        if (status && nodus_error_kind(status) != NODUS_ERROR_MEMORY) fail_msg("fault %ld: %s", n, nodus_error_message(status));
        if (!status && attempt.outcome == NODUS_FAILED && !attempt.errors) fail_msg("fault %ld: failed without a word", n);
        if (!hit && (status || attempt.outcome != NODUS_SUCCESS)) fail_msg("without faults: failed");
        failed += status != NULL || attempt.outcome != NODUS_SUCCESS;
        nodus_error_free(status);
        if (FAULTS_COUNT_LIVE && atomic_load(&faults.live) != live)
            fail_msg("fault %ld: %ld allocations left behind", n, atomic_load(&faults.live) - live);
    }
    assert_true(failed > 20);
    print_message("%d replays, %d failed as they should\n", replays, failed);
}

TEST(a_run_with_adapters)
{
    replay(adapters);
}

TEST(a_run_with_attention_and_edits)
{
    replay(attention);
}

TEST(a_run_with_tables_and_measures)
{
    replay(tables);
}

TEST(a_run_with_an_inversion)
{
    replay(inversion);
}

int main(void)
{
    const struct CMUnitTest cases[] = {CASE(a_run_with_adapters), CASE(a_run_with_attention_and_edits),
                                       CASE(a_run_with_tables_and_measures), CASE(a_run_with_an_inversion)};
    return cmocka_run_group_tests(cases, setup, teardown);
}
