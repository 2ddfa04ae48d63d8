/* The picture, mask, latent, text and table nodes with every allocation failing in turn: an error or the result each time, nothing left behind. The engine goes
 * on, so this also shows that a failed node leaves it working. */
#include "tests/faults/faults.h"
#include <nodus/nodus.h>
#include <stdio.h>

static NodusEngine *engine;

static int open_engine(void **state)
{
    const NodusEngineOptions options = {.struct_size = sizeof options, .threads = 1, .base_directory = "/nonexistent", .no_cache = true};
    (void)state;
    return nodus_engine_new(&options, &engine) != NULL;
}

static int close_engine(void **state)
{
    (void)state;
    nodus_engine_free(engine);
    return 0;
}

#define NODE(id_, class_, inputs_) "\"" id_ "\": {\"class_type\": \"" class_ "\", \"inputs\": {" inputs_ "}}"
#define SHOW(id_, node_)           NODE(id_, "PreviewAny", "\"source\": [\"" node_ "\", 0]")
#define SOURCES                                                                                                            \
    "{" NODE("1", "EmptyImage", "\"width\": 9, \"height\": 6, \"batch_size\": 2, \"color\": 8404992") ", "                 \
        NODE("2", "EmptyImage", "\"width\": 5, \"height\": 7, \"batch_size\": 1, \"color\": 255") ", "                     \
        NODE("3", "SolidMask", "\"value\": 0.5, \"width\": 6, \"height\": 4") ", "

static const char sizes[] = SOURCES
    NODE("4", "ImageScale", "\"image\": [\"1\", 0], \"upscale_method\": \"lanczos\", \"width\": 4, \"height\": 0, \"crop\": \"center\"") ", "
    NODE("5", "ImageScaleBy", "\"image\": [\"4\", 0], \"upscale_method\": \"bicubic\", \"scale_by\": 2.5") ", "
    NODE("6", "ResizeAndPadImage", "\"image\": [\"5\", 0], \"target_width\": 8, \"target_height\": 8, \"padding_color\": \"white\", \"interpolation\": \"area\"") ", "
    NODE("7", "ImageRotate", "\"image\": [\"6\", 0], \"rotation\": \"90 degrees\"") ", "
    NODE("8", "ImageBatch", "\"image1\": [\"7\", 0], \"image2\": [\"2\", 0]") ", "
    NODE("9", "RebatchImages", "\"images\": [\"8\", 0], \"batch_size\": 2") ", "
    NODE("10", "ImagePadForOutpaint", "\"image\": [\"9\", 0], \"left\": 8, \"top\": 0, \"right\": 0, \"bottom\": 0, \"feathering\": 2") ", "
    SHOW("11", "10") "}";

static const char layers[] = SOURCES
    NODE("4", "ImageCompositeMasked", "\"destination\": [\"1\", 0], \"source\": [\"2\", 0], \"mask\": [\"3\", 0], \"x\": 1, \"y\": 1, \"resize_source\": true") ", "
    NODE("5", "JoinImageWithAlpha", "\"image\": [\"4\", 0], \"alpha\": [\"3\", 0]") ", "
    NODE("6", "SplitImageWithAlpha", "\"image\": [\"5\", 0]") ", "
    NODE("7", "PorterDuffImageComposite", "\"source\": [\"6\", 0], \"source_alpha\": [\"6\", 1], \"destination\": [\"2\", 0], \"destination_alpha\": [\"3\", 0], \"mode\": \"SRC_OVER\"") ", "
    NODE("8", "ImageStitch", "\"image1\": [\"7\", 0], \"image2\": [\"1\", 0], \"direction\": \"down\", \"match_image_size\": true, \"spacing_width\": 2, \"spacing_color\": \"red\"") ", "
    SHOW("9", "8") "}";

static const char filters[] = SOURCES
    NODE("4", "ImageBlend", "\"image1\": [\"1\", 0], \"image2\": [\"2\", 0], \"blend_factor\": 0.5, \"blend_mode\": \"screen\"") ", "
    NODE("5", "ImageSharpen", "\"image\": [\"4\", 0], \"sharpen_radius\": 2, \"sigma\": 1, \"alpha\": 1") ", "
    NODE("6", "ImageAddNoise", "\"image\": [\"5\", 0], \"seed\": 1, \"strength\": 0.2") ", "
    NODE("7", "ImageRGBToYUV", "\"image\": [\"6\", 0]") ", "
    NODE("8", "ImageYUVToRGB", "\"Y\": [\"7\", 0], \"U\": [\"7\", 1], \"V\": [\"7\", 2]") ", "
    NODE("9", "Morphology", "\"image\": [\"8\", 0], \"operation\": \"gradient\", \"kernel_size\": 3") ", "
    NODE("10", "ImageQuantize", "\"image\": [\"9\", 0], \"colors\": 4, \"dither\": \"floyd-steinberg\"") ", "
    NODE("11", "Canny", "\"image\": [\"10\", 0], \"low_threshold\": 0.1, \"high_threshold\": 0.2") ", "
    SHOW("12", "11") "}";

static const char tables[] = "{"
    NODE("1", "TableRow", "\"label\": \"a\", \"x\": 1, \"y\": 2.5") ", "
    NODE("2", "TableRow", "\"label\": \"b\", \"y\": 4") ", "
    NODE("3", "TableJoin", "\"tables\": [\"1\", 0], \"more\": [\"2\", 0]") ", "
    NODE("4", "PlotTable", "\"table\": [\"3\", 0], \"x\": \"label\", \"y\": \"y\", \"group_by\": \"label\", \"width\": 256, \"height\": 160") ", "
    SHOW("5", "3") ", " SHOW("6", "4") "}";

static const char masks[] = SOURCES
    NODE("4", "MaskComposite", "\"destination\": [\"3\", 0], \"source\": [\"3\", 0], \"x\": 1, \"y\": 1, \"operation\": \"add\"") ", "
    NODE("5", "FeatherMask", "\"mask\": [\"4\", 0], \"left\": 2, \"top\": 1, \"right\": 0, \"bottom\": 0") ", "
    NODE("6", "GrowMask", "\"mask\": [\"5\", 0], \"expand\": 2, \"tapered_corners\": true") ", "
    NODE("7", "CropMask", "\"mask\": [\"6\", 0], \"x\": 1, \"y\": 1, \"width\": 4, \"height\": 4") ", "
    NODE("8", "ThresholdMask", "\"mask\": [\"7\", 0], \"value\": 0.5") ", "
    NODE("9", "MaskToImage", "\"mask\": [\"8\", 0]") ", "
    NODE("10", "ImageColorToMask", "\"image\": [\"9\", 0], \"color\": 0") ", "
    SHOW("11", "10") "}";

#define LATENTS                                                                                       \
    "{" NODE("1", "EmptyLatentImage", "\"width\": 96, \"height\": 64, \"batch_size\": 2") ", "           \
        NODE("2", "SolidMask", "\"value\": 0.5, \"width\": 6, \"height\": 4") ", "

static const char latents[] = LATENTS
    NODE("3", "LatentUpscaleBy", "\"samples\": [\"1\", 0], \"upscale_method\": \"bislerp\", \"scale_by\": 1.5") ", "
    NODE("4", "LatentRotate", "\"samples\": [\"3\", 0], \"rotation\": \"90 degrees\"") ", "
    NODE("5", "LatentComposite", "\"samples_to\": [\"4\", 0], \"samples_from\": [\"1\", 0], \"x\": 8, \"y\": 8, \"feather\": 16") ", "
    NODE("6", "LatentCompositeMasked", "\"destination\": [\"5\", 0], \"source\": [\"1\", 0], \"x\": 0, \"y\": 0, \"resize_source\": true, \"mask\": [\"2\", 0]") ", "
    NODE("7", "LatentInterpolate", "\"samples1\": [\"6\", 0], \"samples2\": [\"3\", 0], \"ratio\": 0.5") ", "
    NODE("8", "LatentOperationSharpen", "\"sharpen_radius\": 1, \"sigma\": 1, \"alpha\": 0.1") ", "
    NODE("9", "LatentApplyOperation", "\"samples\": [\"7\", 0], \"operation\": [\"8\", 0]") ", "
    NODE("10", "SetLatentNoiseMask", "\"samples\": [\"9\", 0], \"mask\": [\"2\", 0]") ", "
    NODE("11", "LatentFromBatch", "\"samples\": [\"10\", 0], \"batch_index\": 1, \"length\": 1") ", "
    NODE("12", "RepeatLatentBatch", "\"samples\": [\"11\", 0], \"amount\": 3") ", "
    NODE("13", "RebatchLatents", "\"latents\": [\"12\", 0], \"batch_size\": 2") ", "
    SHOW("14", "13") "}";

static const char sigmas[] = "{"
    NODE("1", "KarrasScheduler", "\"steps\": 4, \"sigma_max\": 14, \"sigma_min\": 0.1, \"rho\": 7") ", "
    NODE("2", "ExtendIntermediateSigmas", "\"sigmas\": [\"1\", 0], \"steps\": 2, \"start_at_sigma\": -1, \"end_at_sigma\": 1, \"spacing\": \"sine\"") ", "
    NODE("3", "SplitSigmas", "\"sigmas\": [\"2\", 0], \"step\": 2") ", "
    NODE("4", "FlipSigmas", "\"sigmas\": [\"3\", 1]") ", " SHOW("5", "4") ", "
    NODE("6", "RandomNoise", "\"noise_seed\": 1") ", " SHOW("7", "6") ", "
    NODE("8", "KSamplerSelect", "\"sampler_name\": \"euler\"") ", " SHOW("9", "8") "}";

static const char texts[] = "{"
    NODE("1", "StringConcatenate", "\"string_a\": \"a Red fox\", \"string_b\": \"snow\", \"delimiter\": \", \"") ", "
    NODE("2", "CaseConverter", "\"string\": [\"1\", 0], \"mode\": \"Title Case\"") ", "
    NODE("3", "RegexReplace", "\"string\": [\"2\", 0], \"regex_pattern\": \"(?P<w>\\\\w+)(?=,)|(?:x|S)*n[a-o]\", \"replace\": \"[\\\\g<w>]\"") ", "
    NODE("4", "StringContains", "\"string\": [\"3\", 0], \"substring\": \"FOX\", \"case_sensitive\": false") ", "
    NODE("5", "RegexReplace", "\"string\": \"a\", \"regex_pattern\": \"(a)|b\", \"replace\": \"\\\\1\"") ", "
    SHOW("6", "4") ", " SHOW("7", "5") "}";

static char told[256]; /* the last error event; empty where the run failed outside of its nodes */

static void listen(void *user, const NodusEvent *event)
{
    (void)user;
    if (event->kind == NODUS_EVENT_ERROR) snprintf(told, sizeof told, "%s", event->message);
}

static NodusStatus run(void *context)
{
    const char *prompt = context;
    const NodusRunOptions options = {.struct_size = sizeof options, .event = listen};
    NodusRun *graph = NULL;
    told[0] = '\0';
    NODUS_TRY(nodus_run_new(engine, prompt, strlen(prompt), &options, &graph));
    const NodusOutcome outcome = nodus_run_execute(graph);
    nodus_run_free(graph);
    if (outcome == NODUS_SUCCESS) return NULL;
    return nodus_error(!told[0] || strstr(told, "memory") ? NODUS_ERROR_MEMORY : NODUS_ERROR_INTERNAL, "the run failed: %s", told);
}

static void survives(const char *prompt)
{
    assert_true(faults_each(FAULT_OF_ALLOCATION, NODUS_ERROR_MEMORY, run, (void *)(uintptr_t)prompt) > 100);
}

TEST(resizing_and_batches)
{
    (void)state_;
    survives(sizes);
}

TEST(compositing)
{
    (void)state_;
    survives(layers);
}

TEST(filtering)
{
    (void)state_;
    survives(filters);
}

TEST(masking)
{
    (void)state_;
    survives(masks);
}

TEST(latents_and_their_batches)
{
    (void)state_;
    survives(latents);
}

TEST(tables_and_plots)
{
    (void)state_;
    survives(tables);
}

TEST(noise_levels)
{
    (void)state_;
    survives(sigmas);
}

TEST(text_and_patterns)
{
    (void)state_;
    survives(texts);
}

int main(void)
{
    const struct CMUnitTest cases[] = {CASE(resizing_and_batches), CASE(compositing), CASE(filtering), CASE(masking),
                                       CASE(latents_and_their_batches), CASE(noise_levels), CASE(text_and_patterns),
                                       CASE(tables_and_plots)};
    return cmocka_run_group_tests(cases, open_engine, close_engine);
}
