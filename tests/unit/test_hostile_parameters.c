/* Values that nobody means: texts of a megabyte and in broken UTF-8, numbers without sense, paths that lead out of the output
 * folder, masks and pictures that do not belong together. Each node that came with adapters, attention, tables and measures
 * answers with a message or with the right result; none crashes, and no file is written elsewhere. */
#include "tests/support_examples.h"
#include "tests/test.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static Lab lab;
LAB_FIXTURE(examples_open(&lab, NULL))

/* ---- Workflows ---------------------------------------------------------------------------------------------------------------
 */

#define NODE(name_, class_, inputs_) "\"" name_ "\": {\"class_type\": \"" class_ "\", \"inputs\": {" inputs_ "}}"
#define SHOW(from_)                  ", " NODE("S", "PreviewAny", "\"source\": [\"" from_ "\", 0]")
#define MODEL                        NODE("M", "CheckpointLoaderSimple", "\"ckpt_name\": \"shapes-sd1.safetensors\"") ", "
#define IMAGE(name_, width_, height_, batch_)                                                                                   \
    NODE(name_, "EmptyImage", "\"width\": " width_ ", \"height\": " height_ ", \"batch_size\": " batch_ ", \"color\": 8421504") \
    ", "
#define MASK(name_, value_, width_, height_) \
    NODE(name_, "SolidMask", "\"value\": " value_ ", \"width\": " width_ ", \"height\": " height_) ", "
#define PROMPTS \
    MODEL NODE("pos", "CLIPTextEncode", "\"text\": \"a red house\", \"clip\": [\"M\", 1]") ", " NODE( \
        "neg", "CLIPTextEncode", \
        "\"text\": \"\", \"clip\": [\"M\", 1]") ", " NODE("guider", "CFGGuider", \
                                                          "\"model\": [\"M\", 0], \"positive\": [\"pos\", 0], \"negative\": " \
                                                          "[\"neg\", 0], \"cfg\": 3") ", " NODE("noise", "RandomNoise", \
                                                                                                "\"noise_seed\": 7") ", " NODE("euler", \
    "KSamplerSelect", \
    "\"sampler_name\": \"euler\"")  \
    ", " \
    NODE("L", \
    "EmptyLatentImage", \
    "\"width\": 64, \"height\": 64, \"batch_size\": 1") \
    ", "
#define LEVELS(steps_)                                                                                                          \
    NODE("levels", "BasicScheduler", "\"model\": [\"M\", 0], \"scheduler\": \"normal\", \"steps\": " steps_ ", \"denoise\": 1") \
    ", "
#define MAPS                                                                                                              \
    PROMPTS LEVELS("2") NODE("maps", "SampleWithAttention",                                                               \
                             "\"noise\": [\"noise\", 0], \"guider\": [\"guider\", 0], \"sampler\": [\"euler\", 0], "      \
                             "\"sigmas\": [\"levels\", 0], \"latent_image\": [\"L\", 0], \"max_side\": 8, \"every\": 1, " \
                             "\"transformer\": -1, \"tokens\": 0") ", "
#define TO_MASK(more_) \
    MAPS NODE("A", "AttentionMapsToMask", "\"attention_maps\": [\"maps\", 1], \"prompt\": \"a red house\", " more_) SHOW("A")
#define EDIT(source_, target_, more_)   \
    PROMPTS NODE("A", "PromptToPrompt", \
                 "\"clip\": [\"M\", 1], \"source\": \"" source_ "\", \"target\": \"" target_ "\", " more_) SHOW("A")
#define SELECT(rules_)                                                                                                          \
    MODEL NODE("A", "LoraLoaderSelective",                                                                                      \
               "\"model\": [\"M\", 0], \"clip\": [\"M\", 1], \"lora_name\": \"neon-lora.safetensors\", \"strength_model\": 1, " \
               "\"strength_clip\": 1, \"select\": \"" rules_ "\", \"start_percent\": 0, \"end_percent\": 1") SHOW("A")
#define ROWS          NODE("R", "TableRow", "\"label\": \"one\", \"value\": 1, \"text\": \"x\"") ", "
#define SAVE(prefix_) ROWS NODE("A", "SaveTable", "\"table\": [\"R\", 0], \"filename_prefix\": \"" prefix_ "\"")
#define PLOT(more_)   NODE("A", "PlotTable", "\"table\": [\"R\", 0], " more_ ", \"width\": 256, \"height\": 256") SHOW("A")
#define CROP(more_)                                                                                                    \
    NODE("A", "InpaintCrop",                                                                                           \
         "\"image\": [\"I\", 0], \"mask\": [\"K\", 0], \"blend_pixels\": 16, \"resize_method\": \"bilinear\", " more_) \
    SHOW("A")
#define CUT             "\"context_factor\": 1.5, \"context_pixels\": 0, \"width\": 0, \"height\": 0, \"multiple\": 8"
#define MEASURE(class_) NODE("A", class_, "\"image\": [\"I\", 0], \"reference\": [\"J\", 0]") SHOW("A")
#define REPAINT(length_, jumps_)                                                                                            \
    PROMPTS LEVELS("3") MASK("K", "1.0", "64", "64")                                                                        \
        NODE("masked", "SetLatentNoiseMask", "\"samples\": [\"L\", 0], \"mask\": [\"K\", 0]") ", " NODE(                    \
            "R", "SamplerRePaint",                                                                                          \
            "\"sampler\": [\"euler\", 0], \"jump_length\": " length_ ", \"jumps\": " jumps_                                 \
            ", \"known_noise\": \"new at each step\"") ", " NODE("A", "SamplerCustomAdvanced",                              \
                                                                 "\"noise\": [\"noise\", 0], \"guider\": [\"guider\", 0], " \
                                                                 "\"sampler\": [\"R\", 0], \"sigmas\": [\"levels\", 0], "   \
                                                                 "\"latent_image\": [\"masked\", 0]") SHOW("A")
#define FLIPPED(steps_)                                                                                                    \
    PROMPTS LEVELS(steps_) NODE("back", "FlipSigmas", "\"sigmas\": [\"levels\", 0]") ", " NODE(                            \
        "A", "SamplerCustomAdvanced",                                                                                      \
        "\"noise\": [\"noise\", 0], \"guider\": [\"guider\", 0], \"sampler\": [\"euler\", 0], \"sigmas\": [\"back\", 0], " \
        "\"latent_image\": [\"L\", 0]") SHOW("A")

#define INVERT(more_)                                                                                                         \
    PROMPTS NODE(                                                                                                             \
        "A", "InvertLatent",                                                                                                  \
        "\"model\": [\"M\", 0], \"positive\": [\"pos\", 0], \"latent_image\": [\"L\", 0], \"scheduler\": \"normal\", " more_) \
        SHOW("A")

static const struct {
    const char *json, *says; /* says: a part of the error; empty: it works */
} rows[] = {
    /* Attention */
    {TO_MASK("\"word\": \"tree\""), "word: the prompt has no \"tree\"; it says \"a red house\""},
    {TO_MASK("\"word\": \"\\\"(house:1.5)\\\"\""), "word: the prompt has no \"\"(house:1.5)\"\"; it says \"a red hous"},
    {TO_MASK("\"word\": \"((((((\""), "word: the prompt has no \"((((((\"; it says \"a red house\""},
    {TO_MASK("\"word\": \"\xff\xfe house\""), "a string is not valid UTF-8"},
    {TO_MASK("\"word\": \"\", \"token\": 4096"), "token: the maps are of 77 tokens, counted from 0"},
    {TO_MASK("\"word\": \"house\", \"layer\": \"in99999999999999999999\""),
     "layer: there is none called \"in99999999999999999999\"; they a"},
    {TO_MASK("\"word\": \"house\", \"first_step\": 9"), "first_step: lies behind the last of 2 steps, which is 1"},
    {TO_MASK("\"word\": \"house\", \"first_step\": 1, \"last_step\": 0"), "first_step: is 1, more than last_step, 0"},
    {TO_MASK("\"word\": \"house\", \"width\": 1, \"height\": 1"), ""},
    {TO_MASK("\"word\": \"house\", \"width\": 1e308"), "bigger than max"},
    {MAPS NODE("A", "SaveAttentionMaps", "\"attention_maps\": [\"maps\", 1], \"filename_prefix\": \"../../out\""),
     "filename_prefix: '../../out_in1.0' leads out of the output f"},
    {EDIT("a red house", "a blue house now", "\"mode\": \"replace\""),
     "to replace words both prompts need equally many: the source "},
    {EDIT("", "", "\"mode\": \"replace\""), ""},
    {EDIT("", "a house", "\"mode\": \"refine\""), ""},
    {EDIT("a \\\"red\\\" (house:1.2)", "a \\\"blue\\\" (house:0.8)", "\"mode\": \"replace\""), ""},
    {EDIT("a (((red house", "a ]]]blue house", "\"mode\": \"refine\""), ""},
    {EDIT("a \xc3 house", "a \xff house", "\"mode\": \"replace\""), "a string is not valid UTF-8"},
    {EDIT("a house", "a tree", "\"mode\": \"replace\", \"reweight\": \"tree = nan\""),
     "reweight: \"tree = nan\" is no line \"word = factor\", the facto"},
    {EDIT("a house", "a tree", "\"mode\": \"replace\", \"reweight\": \"tree = 1e308\""),
     "reweight: \"tree = 1e308\" is no line \"word = factor\", the fac"},
    {EDIT("a house", "a tree", "\"mode\": \"replace\", \"reweight\": \"= 1\""), "reweight: the target prompt has no \"\""},
    {EDIT("a house", "a tree", "\"mode\": \"replace\", \"reweight\": \"wood = 1\""),
     "reweight: the target prompt has no \"wood \""},
    {EDIT("a house", "a tree", "\"mode\": \"replace\", \"cross_steps\": 1e308"), "Value 1e+308 bigger than max of 1.0"},
    {EDIT("a house", "a tree", "\"mode\": \"replace\", \"self_steps\": -1"), "Value -1.0 smaller than min of 0.0"},
    /* Rules of LoRA */
    {SELECT("((.*)*)* = 1"), ""},
    {SELECT("*****************a*b*c*d*e = 0.5"), ""},
    {SELECT("in99999999999999999999 = 1"), ""},
    {SELECT("q = nan"), "is no factor from -100 to 100"},
    {SELECT("q = 1e308"), "is no factor from -100 to 100"},
    {SELECT("q = 1 = 2"), "is no factor from -100 to 100"},
    {SELECT("= 1"), "line 1 has nothing before"},
    {SELECT("\xff\xfe = 1"), "a string is not valid UTF-8"},
    {SELECT(""), ""},
    /* Tables */
    {SAVE("../../out"), "filename_prefix: '../../out' leads out of the output folder:"},
    {SAVE("/tmp/nodus-out"), "filename_prefix: '/tmp/nodus-out' leads out of the output fo"},
    {SAVE("a/../../../out"), "filename_prefix: 'a/../../../out' leads out of the output fo"},
    {SAVE("..\\\\..\\\\out"), ""},
    {SAVE(""), ""},
    {SAVE("a\\u0000b"), "which nodus does not allow"},
    {ROWS PLOT("\"x\": \"nothing\", \"y\": \"\", \"group_by\": \"\""),
     "x: the table has no column 'nothing'; the first of its 3 is "},
    {ROWS PLOT("\"x\": \"label\", \"y\": \"text\", \"group_by\": \"\""), "y: the column 'text' does not hold numbers"},
    {ROWS PLOT("\"x\": \"label\", \"y\": \",,,,\", \"group_by\": \"\""), "y: there is no column of numbers to draw"},
    {NODE("R", "TableRow", "\"label\": \"a\", \"v\": 1e308") ", " PLOT("\"x\": \"label\", \"y\": \"v\", \"group_by\": \"\""),
     "y: the numbers are too far apart, or too near to each other,"},
    {NODE("R", "TableRow", "\"label\": \"a\", \"v\": 5e-324") ", " PLOT("\"x\": \"label\", \"y\": \"v\", \"group_by\": \"\""),
     "y: the numbers are too far apart, or too near to each other,"},
    {NODE("Q", "TableRow", "\"label\": \"a\", \"v\": 1e17") ", " NODE(
         "P", "TableRow",
         "\"label\": \"b\", \"v\": 1.00000000000000016e17") ", " NODE("R", "TableJoin",
                                                                      "\"tables\": [\"Q\", 0], \"columns\": \"\", \"more\": "
                                                                      "[\"P\", 0]") ", " PLOT("\"x\": \"v\", \"y\": \"v\", "
                                                                                              "\"group_by\": \"\""),
     ""},
    {NODE("R", "TableRow", "\"label\": \"\"") SHOW("R"), "label: the row is empty: give a label, or inputs of any name"},
    {NODE("R", "TableRow", "\"label\": \"\xff\", \"\xfe\": 1") SHOW("R"), "a string is not valid UTF-8"},
    {MODEL NODE("R", "TableRow", "\"label\": \"x\", \"model\": [\"M\", 0]") SHOW("R"),
     "model: is a value of type MODEL: a cell of a table is a numb"},
    {ROWS NODE("A", "TableJoin", "\"tables\": [\"R\", 0], \"columns\": \"no, such, column\"") SHOW("A"),
     "columns: no table has a column 'no': they have label"},
    /* Masks and crops */
    {NODE("A", "MaskPattern", "\"kind\": \"thin\", \"width\": 0, \"height\": 8, \"seed\": 0") SHOW("A"),
     "Value 0 smaller than min of 1"},
    {NODE("A", "MaskPattern", "\"kind\": \"thick\", \"width\": 1, \"height\": 1, \"seed\": 18446744073709551615") SHOW("A"), ""},
    {NODE("A", "MaskPattern", "\"kind\": \"expand\", \"width\": 1, \"height\": 3, \"seed\": 0") SHOW("A"), ""},
    {NODE("A", "MaskPattern", "\"kind\": \"2x grid\", \"width\": 16384, \"height\": 1, \"seed\": 0") SHOW("A"), ""},
    {NODE("A", "MaskPattern", "\"kind\": \"half\", \"width\": 99999999999, \"height\": 8, \"seed\": 0") SHOW("A"),
     "Value 99999999999 bigger than max of 16384"},
    {IMAGE("I", "64", "64", "1") MASK("K", "0.0", "64", "64") CROP(CUT), "mask: is 0 everywhere: there is nothing to repaint"},
    {IMAGE("I", "64", "64", "1") MASK("K", "1.0", "64", "64") CROP(CUT), ""},
    {IMAGE("I", "1", "1", "1") MASK("K", "1.0", "1", "1") CROP(CUT), ""},
    {IMAGE("I", "64", "48", "2") MASK("K", "1.0", "7", "5") CROP(CUT), ""},
    {IMAGE("I", "64", "64", "1") MASK("K", "1.0", "64", "64")
         CROP("\"context_factor\": 100, \"context_pixels\": 16384, \"width\": 1, \"height\": 1, \"multiple\": 256"),
     ""},
    {IMAGE("I", "64", "64", "1") MASK("K", "1.0", "64", "64")
         CROP("\"context_factor\": 1e308, \"context_pixels\": 0, \"width\": 0, \"height\": 0, \"multiple\": 8"),
     "Value 1e+308 bigger than max of 100.0"},
    {IMAGE("I", "64", "64", "1") MASK("K", "1.0", "64", "64")
         CROP("\"context_factor\": 1, \"context_pixels\": -1, \"width\": 0, \"height\": 0, \"multiple\": 0"),
     "Value 0 smaller than min of 1"},
    /* RePaint and inversion */
    {REPAINT("1000", "2"), "a jump of 1000 levels needs at least 1001 steps; the samplin"},
    {REPAINT("3", "2"), "a jump of 3 levels needs at least 4 steps; the sampling has "},
    {REPAINT("2", "1"), ""},
    {REPAINT("0", "1"), "Value 0 smaller than min of 1"},
    {REPAINT("1", "-1"), "Value -1 smaller than min of 1"},
    {FLIPPED("0"), "Value 0 smaller than min of 1"},
    {FLIPPED("1"), ""},
    {INVERT("\"steps\": 0, \"start_at_step\": 0, \"cfg\": 1, \"rounds\": 1"), "Value 0 smaller than min of 1"},
    {INVERT("\"steps\": 1, \"start_at_step\": 0, \"cfg\": 1, \"rounds\": 1"), ""},
    {INVERT("\"steps\": 2, \"start_at_step\": 2, \"cfg\": 1, \"rounds\": 1"), "~start_at_step is 2 of 2 steps: no step is left"},
    {INVERT("\"steps\": 2, \"start_at_step\": 9, \"cfg\": 1, \"rounds\": 1"), "~start_at_step is 9 of 2 steps: no step is left"},
    {INVERT("\"steps\": 1, \"start_at_step\": 0, \"cfg\": 1e308, \"rounds\": 1"), "bigger than max"},
    /* Measures */
    {IMAGE("I", "8", "8", "1") IMAGE("J", "8", "9", "1") MEASURE("MeasurePSNR"),
     "reference: it is 8 × 9 pixels, the picture 8 × 8: bring them"},
    {IMAGE("I", "8", "8", "3") IMAGE("J", "8", "8", "2") MEASURE("MeasureMSE"), ""},
    {IMAGE("I", "8", "8", "1") IMAGE("J", "8", "8", "2") MEASURE("MeasureMSE"), ""},
    {IMAGE("I", "1", "1", "1") IMAGE("J", "1", "1", "1") MEASURE("MeasureSSIM"), "image: SSIM needs at least 11 × 11 pixels"},
    {IMAGE("I", "8", "8", "1") IMAGE("J", "8", "8", "1") MASK("K", "0.0", "8", "8")
         NODE("A", "MeasurePSNR", "\"image\": [\"I\", 0], \"reference\": [\"J\", 0], \"mask\": [\"K\", 0]") SHOW("A"),
     "mask: it leaves nothing to measure"},
    {IMAGE("I", "8", "8", "1") IMAGE("J", "8", "8", "1") MASK("K", "1.0", "3", "5")
         NODE("A", "MeasureSSIM", "\"image\": [\"I\", 0], \"reference\": [\"J\", 0], \"mask\": [\"K\", 0]") SHOW("A"),
     "mask: it is 3 × 5 pixels, the pictures 8 × 8"},
    /* Names of files */
    {NODE("A", "LoraResize",
          "\"lora_name\": \"neon-lora.safetensors\", \"rank\": 1, \"energy\": 1, \"filename_prefix\": \"../../out\""),
     "'neon-lora.safetensors': filename_prefix: '../../out' leads "},
    {NODE("A", "LoraResize",
          "\"lora_name\": \"neon-lora.safetensors\", \"rank\": 4096, \"energy\": 0, \"filename_prefix\": \"loras/small\""),
     ""},
    {NODE("A", "LoraResize",
          "\"lora_name\": \"../checkpoints/shapes-sd1.safetensors\", \"rank\": 1, \"energy\": 1, \"filename_prefix\": \"x\""),
     "Value not in list"},
    {NODE("A", "LoraInspect", "\"lora_name\": \"/etc/passwd\", \"bars\": \"layers\"") SHOW("A"), "Value not in list"},
};
enum { COUNT = sizeof rows / sizeof *rows, ROOM = 16000 };

static void run_row(int i)
{
    static char json[ROOM];
    assert_true(snprintf(json, sizeof json, "{%s}", rows[i].json) < ROOM);
    const NodusOutcome outcome = lab_run(&lab, json);
    if (getenv("SHOW_ROWS")) {
        const size_t length = strlen(rows[i].json), from = length > 220 ? length - 220 : 0;
        printf("%d …%s => %d E:%s W:%s\n", i, rows[i].json + from, outcome, outcome == NODUS_SUCCESS ? "" : lab.error,
               lab.warning);
        return;
    }
    const bool warns = rows[i].says[0] == '~', fails = !warns && rows[i].says[0];
    if ((outcome != NODUS_SUCCESS) != fails) fail_msg("row %d: outcome %d, %s", i, outcome, lab.error);
    if (fails && !strstr(lab.error, rows[i].says)) fail_msg("row %d: %s", i, lab.error);
    if (warns && !strstr(lab.warning, rows[i].says + 1)) fail_msg("row %d: warned of %s", i, lab.warning);
}

TEST(senseless_values_have_a_message_or_a_result)
{
    for (int i = 0; i < COUNT; i++) run_row(i);
}

TEST(nothing_is_written_outside_of_the_output_folder)
{
    struct stat info;
    char path[128];
    assert_int_not_equal(stat(lab_path(&lab, "out_00001_.csv"), &info), 0);
    snprintf(path, sizeof path, "%s/../out_00001_.csv", lab.folder);
    assert_int_not_equal(stat(path, &info), 0);
    assert_int_not_equal(stat("/tmp/nodus-out_00001_.csv", &info), 0);
}

/* ---- Large texts and tables ------------------------------------------------------------------------------------------ */

/* "{HEAD" + `piece` again and again, up to `size` letters, + "TAIL}" */
static char *long_json(const char *head, const char *piece, size_t size, const char *tail)
{
    char *json = malloc(strlen(head) + size + strlen(piece) + strlen(tail) + 3), *at = json;
    assert_non_null(json);
    at += sprintf(at, "{%s", head);
    for (size_t done = 0; done < size; done += strlen(piece)) at = stpcpy(at, piece);
    sprintf(at, "%s}", tail);
    return json;
}

static void run_long(const char *head, const char *piece, size_t size, const char *tail, const char *says)
{
    char *json = long_json(head, piece, size, tail);
    const NodusOutcome outcome = lab_run(&lab, json);
    free(json);
    if (getenv("SHOW_ROWS")) printf("%s => %d %s\n", piece, outcome, lab.error);
    if ((outcome != NODUS_SUCCESS) != (*says != 0)) fail_msg("%s…: outcome %d, %s", piece, outcome, lab.error);
    if (*says && !strstr(lab.error, says)) fail_msg("%s…: %s", piece, lab.error);
}

enum { MEGABYTE = 1 << 20 };

TEST(texts_of_a_megabyte_are_no_trouble)
{
    run_long(PROMPTS "\"A\": {\"class_type\": \"PromptToPrompt\", \"inputs\": {\"clip\": [\"M\", 1], \"mode\": \"refine\", "
                     "\"source\": \"a house\", \"target\": \"",
             "a ", MEGABYTE, "\"}}" SHOW("A"), "an edit compares at most");
    run_long(MODEL "\"A\": {\"class_type\": \"LoraLoaderSelective\", \"inputs\": {\"model\": [\"M\", 0], \"clip\": [\"M\", 1], "
                   "\"lora_name\": "
                   "\"neon-lora.safetensors\", \"strength_model\": 1, \"strength_clip\": 1, \"start_percent\": 0, "
                   "\"end_percent\": 1, \"select\": \"",
             "q = 1\\n", MEGABYTE, "\"}}" SHOW("A"), "letters long: at most");
    run_long("\"R\": {\"class_type\": \"TableRow\", \"inputs\": {\"v\": 1, \"label\": \"", "x", MEGABYTE,
             "\"}}, " PLOT("\"x\": \"label\", \"y\": \"\", \"group_by\": \"\""), "leave no room");
    run_long(ROWS "\"A\": {\"class_type\": \"SaveTable\", \"inputs\": {\"table\": [\"R\", 0], \"filename_prefix\": \"", "x",
             MEGABYTE, "\"}}", "cannot write");
    run_long(ROWS "\"A\": {\"class_type\": \"TableJoin\", \"inputs\": {\"tables\": [\"R\", 0], \"columns\": \"", "label,", MEGABYTE,
             "\"}}" SHOW("A"), "");
    run_long(ROWS "\"A\": {\"class_type\": \"TableJoin\", \"inputs\": {\"tables\": [\"R\", 0], \"columns\": \"", "x", MEGABYTE,
             "\"}}" SHOW("A"), "no table has a column 'xxx");
}

int main(void)
{
    const struct CMUnitTest cases[] = {CASE(senseless_values_have_a_message_or_a_result),
                                       CASE(nothing_is_written_outside_of_the_output_folder),
                                       CASE(texts_of_a_megabyte_are_no_trouble)};
    return cmocka_run_group_tests(cases, setup, teardown);
}
