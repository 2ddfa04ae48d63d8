/* test_guides_xl.c: ControlNets, T2I-Adapters and IP-Adapters of SDXL, SD 2 and SD1, alone and together, in whole samplings as diffusers
 * computes them (tests/golden/guides_xl.py). With a folder as argument it writes models and workflows there instead. */
#include "engine/base/file.h"
#include "engine/graph/engine.h"
#include "tests/support_examples.h"
#include "tests/support_xl.h"
#include "tests/test.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static Lab lab;

static NodusStatus open_all(void)
{
    NODUS_TRY(examples_open(&lab, NULL));
    return support_xl(lab_path(&lab, "models"));
}
LAB_FIXTURE(open_all())

/* ---- Workflows --------------------------------------------------------------------------------------------------------------- */

#define NODE(id_, class_, ...) "\"" id_ "\": {\"class_type\": \"" class_ "\", \"inputs\": {" __VA_ARGS__ "}}, "
#define NET(id_, file_) NODE(id_, "ControlNetLoader", "\"control_net_name\": \"" file_ ".safetensors\"")
/* Puts a net on two conditionings. */
#define GUIDE(id_, positive_, negative_, net_, image_, strength_, start_, end_)                                                          \
    NODE(id_, "ControlNetApplyAdvanced", "\"positive\": [" positive_ "], \"negative\": [" negative_ "], \"control_net\": [\"" net_       \
         "\", 0], \"image\": [\"" image_ "\", 0], \"strength\": " strength_ ", \"start_percent\": " start_ ", \"end_percent\": " end_)
#define FIRST(net_, image_, strength_) GUIDE("G", "\"pos\", 0", "\"neg\", 0", net_, image_, strength_, "0", "1")
#define KIND(id_, type_) NODE(id_, "SetUnionControlNetType", "\"control_net\": [\"A\", 0], \"type\": \"" type_ "\"")
#define ADAPTER(id_, file_) NODE(id_, "IPAdapterModelLoader", "\"ipadapter_file\": \"" file_ ".safetensors\"")
#define LOOK(id_, model_, adapter_, image_, weight_, type_, start_, end_, more_)                                                       \
    NODE(id_, "IPAdapterAdvanced", "\"model\": [\"" model_ "\", 0], \"ipadapter\": [\"" adapter_ "\", 0], \"image\": [\"" image_         \
         "\", 0], \"weight\": " weight_ ", \"weight_type\": \"" type_ "\", \"combine_embeds\": \"concat\", \"start_at\": " start_       \
         ", \"end_at\": " end_ ", \"embeds_scaling\": \"V only\", \"clip_vision\": [\"V\", 0]" more_)
/* The left half of the picture. */
#define HALF                                                                                                                          \
    NODE("m1", "SolidMask", "\"value\": 0.0, \"width\": 64, \"height\": 64")                                                             \
    NODE("m2", "SolidMask", "\"value\": 1.0, \"width\": 32, \"height\": 64")                                                             \
    NODE("m", "MaskComposite", "\"destination\": [\"m1\", 0], \"source\": [\"m2\", 0], \"x\": 0, \"y\": 0, \"operation\": \"add\"")

enum { WATCHED = 6, VALUES = 256 };
static const int watched[WATCHED] = {0, 17, 34, 68, 136, 204};
typedef struct Job {
    const char *name, *checkpoint, *model, *positive, *negative; /* nodes; positive and negative with their slots */
    int steps;
    const char *more;
    float largest, value[WATCHED]; /* recorded; largest: of all values */
} Job;
#define XL SUPPORT_XL
#define GUIDED "M", "\"G\", 0", "\"G\", 1"
#define PROMPTED "\"pos\", 0", "\"neg\", 0"

static const Job jobs[] = {
    {"plain", XL, "M", PROMPTED, 1, "",
     467.808568f, {-56.250115f, 129.233363f, 84.735309f, -101.819783f, 180.357337f, -17.100332f}},
    {"ip", XL, "P", PROMPTED, 1, ADAPTER("A", "ip-adapter_sdxl") LOOK("P", "M", "A", "C", "0.8", "linear", "0", "1", ""),
     490.655322f, {-41.911330f, 73.984381f, 106.129517f, -92.370873f, 82.423418f, 21.602177f}},
    {"ip-plus", XL, "P", PROMPTED, 1, ADAPTER("A", "ip-adapter-plus_sdxl") LOOK("P", "M", "A", "C", "0.8", "linear", "0", "1", ""),
     478.565790f, {-129.118132f, 13.336853f, 50.592329f, 11.928271f, 65.449293f, 26.741482f}},
    {"ip-chain", XL, "Q", PROMPTED, 4, ADAPTER("A", "ip-adapter_sdxl") ADAPTER("B", "ip-adapter-plus_sdxl") HALF
         LOOK("P", "M", "A", "C", "0.9", "ease out", "0", "0.6", "")
         LOOK("Q", "P", "B", "D", "0.7", "strong middle", "0.3", "1", ", \"attn_mask\": [\"m\", 0]"),
     437.812773f, {-60.675404f, 96.108478f, 96.823583f, -101.810446f, 160.615651f, 79.634006f}},
    {"ip-full", "shapes-sd1.safetensors", "P", PROMPTED, 1, ADAPTER("A", "ip-adapter-full-face_sd15")
         LOOK("P", "M", "A", "C", "0.8", "linear", "0", "1", ""),
     33.889460f, {5.629658f, 4.025160f, 3.990336f, 20.612149f, -31.548112f, -10.152900f}},
    {"xl", XL, GUIDED, 1, NET("A", "xl") FIRST("A", "H", "0.7"),
     499.040554f, {-108.713404f, 105.714161f, 78.807328f, -169.293195f, 220.199619f, 12.603627f}},
    {"xl-diffusers", XL, GUIDED, 1, NET("A", "xl-diffusers") FIRST("A", "H", "0.7"),
     499.040554f, {-108.713404f, 105.714161f, 78.807328f, -169.293195f, 220.199619f, 12.603627f}},
    {"xl-small", XL, GUIDED, 1, NET("A", "xl-small") FIRST("A", "H", "0.7"),
     446.356412f, {2.084157f, 172.010838f, 107.894771f, -192.327405f, 187.181881f, -15.136577f}},
    {"xl-mid", XL, GUIDED, 1, NET("A", "xl-mid") FIRST("A", "H", "0.7"),
     449.093090f, {15.798214f, 126.648226f, 71.319407f, -282.090985f, 227.069146f, 13.560598f}},
    {"xl-shuffle", XL, GUIDED, 1, NET("A", "xl_shuffle") FIRST("A", "H", "0.7"),
     588.688667f, {-150.544158f, 64.481479f, 91.153898f, -73.422652f, 171.284374f, 22.791723f}},
    {"xl-lora", XL, GUIDED, 1, NET("A", "xl-lora") FIRST("A", "H", "0.7"),
     494.635201f, {-85.416738f, 29.314836f, -84.985562f, -262.229333f, 174.716869f, 99.184836f}},
    {"xl-union", XL, GUIDED, 1, NET("A", "xl-union") KIND("B", "depth") FIRST("B", "H", "0.7"),
     433.606306f, {-48.572758f, 64.267853f, 80.845571f, -199.771789f, 211.464311f, 13.781864f}},
    {"xl-union-two", XL, "M", "\"G2\", 0", "\"G2\", 1", 1,
     NET("A", "xl-union") KIND("B", "depth") KIND("C2", "normal") FIRST("B", "H", "0.7")
         GUIDE("G2", "\"G\", 0", "\"G\", 1", "C2", "H2", "0.5", "0", "1"),
     387.561597f, {-52.385045f, 36.067566f, 49.915029f, -243.790493f, 267.230636f, 21.900135f}},
    {"t2i-xl", XL, GUIDED, 1, NET("A", "t2i-xl") FIRST("A", "H", "0.7"),
     455.455047f, {-40.425346f, 86.659497f, 7.258546f, -77.056489f, 238.582254f, -2.507959f}},
    {"t2i-xl-prefix", XL, GUIDED, 1, NET("A", "t2i-xl-prefix") FIRST("A", "H", "0.7"),
     455.455047f, {-40.425346f, 86.659497f, 7.258546f, -77.056489f, 238.582254f, -2.507959f}},
    {"ranges", XL, "M", "\"G2\", 0", "\"G2\", 1", 4,
     NET("A", "xl") NET("B", "t2i-xl") GUIDE("G", "\"pos\", 0", "\"neg\", 0", "A", "H", "0.7", "0", "0.6")
         GUIDE("G2", "\"G\", 0", "\"G\", 1", "B", "H2", "0.9", "0.3", "1"),
     472.403530f, {-95.878251f, 74.465231f, 74.265090f, -169.747846f, 226.847599f, 33.280347f}},
    {"masked", XL, "M", "\"U\", 0", "\"neg\", 0", 1, NET("A", "xl") HALF
         NODE("G", "ControlNetApply", "\"conditioning\": [\"pos\", 0], \"control_net\": [\"A\", 0], \"image\": [\"H\", 0], "
              "\"strength\": 0.7")
         NODE("T", "ConditioningSetMask", "\"conditioning\": [\"G\", 0], \"mask\": [\"m\", 0], \"strength\": 1.0, "
              "\"set_cond_area\": \"default\"")
         NODE("U", "ConditioningCombine", "\"conditioning_1\": [\"T\", 0], \"conditioning_2\": [\"pos\", 0]"),
     481.382465f, {-103.914475f, 82.666702f, 59.829823f, -56.874516f, 131.940971f, 125.169782f}},
    {"together", XL, "P", "\"G\", 0", "\"G\", 1", 1, NET("A", "xl") FIRST("A", "H", "0.7") ADAPTER("B", "ip-adapter_sdxl")
         LOOK("P", "M", "B", "C", "0.8", "linear", "0", "1", ""),
     453.496248f, {-70.086016f, 63.914654f, 132.624130f, -209.600993f, 189.797863f, -4.083395f}},
    {"sd2", "sd2.safetensors", GUIDED, 1, NET("A", "sd2") FIRST("A", "H", "0.7"),
     366.531199f, {-14.611072f, -44.112021f, 43.840710f, -85.444993f, 93.454018f, 187.107750f}},
    {"sd2-diffusers", "sd2.safetensors", GUIDED, 1, NET("A", "sd2-diffusers") FIRST("A", "H", "0.7"),
     366.531199f, {-14.611072f, -44.112021f, 43.840710f, -85.444993f, 93.454018f, 187.107750f}},
};
enum { JOBS = sizeof jobs / sizeof *jobs };

static const char *workflow(const Job *job)
{
    static char json[8000];
    snprintf(json, sizeof json,
             "{" NODE("M", "CheckpointLoaderSimple", "\"ckpt_name\": \"%s\"") NODE("I", "LoadImage", "\"image\": \"scene.png\"")
             NODE("V", "CLIPVisionLoader", "\"clip_name\": \"clip_vision.safetensors\"")
             NODE("H", "ImageCrop", "\"image\": [\"I\", 0], \"width\": 64, \"height\": 64, \"x\": 16, \"y\": 8")
             NODE("H2", "ImageInvert", "\"image\": [\"H\", 0]")
             NODE("C", "ImageCrop", "\"image\": [\"I\", 0], \"width\": 32, \"height\": 32, \"x\": 32, \"y\": 40")
             NODE("D", "ImageInvert", "\"image\": [\"C\", 0]")
             NODE("pos", "CLIPTextEncode", "\"text\": \"a red house, green meadows\", \"clip\": [\"M\", 1]")
             NODE("neg", "CLIPTextEncode", "\"text\": \"\", \"clip\": [\"M\", 1]")
             NODE("L", "EmptyLatentImage", "\"width\": 64, \"height\": 64, \"batch_size\": 1") "%s"
             "\"K\": {\"class_type\": \"KSampler\", \"inputs\": {\"model\": [\"%s\", 0], \"seed\": 7, \"steps\": %d, \"cfg\": 3, "
             "\"sampler_name\": \"euler\", \"scheduler\": \"simple\", \"positive\": [%s], \"negative\": [%s], \"latent_image\": [\"L\", 0], "
             "\"denoise\": 1}}, \"S\": {\"class_type\": \"PreviewAny\", \"inputs\": {\"source\": [\"K\", 0]}}}",
             job->checkpoint, job->more, job->model, job->steps, job->positive, job->negative);
    return json;
}

static const Job *job_of(const char *name)
{
    for (int i = 0; i < JOBS; i++)
        if (!strcmp(jobs[i].name, name)) return &jobs[i];
    fail_msg("no job %s", name);
    return NULL;
}

static LabArray draw(const Job *job)
{
    LabArray out;
    NodusStatus status = lab_array(&lab, workflow(job), "K", 0, NULL, &out);
    if (status) fail_msg("%s: %s", job->name, nodus_error_message(status));
    assert_int_equal(out.count, VALUES);
    return out;
}

TEST(samplings_are_as_diffusers_computes_them)
{
    bool fine = true;
    for (int i = 0; i < JOBS; i++) {
        double apart = 0;
        LabArray x = draw(&jobs[i]);
        for (int k = 0; k < WATCHED; k++) apart = fmax(apart, fabs((double)x.data[watched[k]] - (double)jobs[i].value[k]));
        free(x.data);
        apart /= (double)jobs[i].largest;
        print_message("%-16s %.1e\n", jobs[i].name, apart);
        fine = fine && apart < 2e-5;
    }
    assert_true(fine);
}

/* The same network under other names: the same bits. */
TEST(other_layouts_give_the_same_numbers)
{
    static const char *const pairs[][2] = {{"xl", "xl-diffusers"}, {"t2i-xl", "t2i-xl-prefix"}, {"sd2", "sd2-diffusers"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        LabArray a = draw(job_of(pairs[i][0])), b = draw(job_of(pairs[i][1]));
        assert_memory_equal(a.data, b.data, a.count * sizeof *a.data);
        free(a.data);
        free(b.data);
    }
}

/* ---- What is looked at how often ------------------------------------------------------------------------------------------------ */

#define BEGIN "\"start_percent\": 0"
#define NEVER "\"start_percent\": 1"
/* In a workflow's text, every `from` becomes `to`, which is as long. */
static void change(char *json, const char *from, const char *to)
{
    assert_int_equal(strlen(from), strlen(to));
    for (char *at = strstr(json, from); at; at = strstr(at + 1, from)) memcpy(at, to, strlen(to));
}

/* How many plans a run asks for; `start`: where in the sampling its guides begin. */
static int plans_asked(const Job *job, const char *strength, const char *start, const char *batch)
{
    char json[8000];
    LabArray out;
    snprintf(json, sizeof json, "%s", workflow(job));
    change(json, "\"strength\": 0.7", strength); /* so that nothing is known of an earlier run */
    change(json, BEGIN, start);
    change(json, "\"batch_size\": 1", batch);
    const PlanCounters before = plan_cache_counters(lab.engine->plans);
    NodusStatus status = lab_array(&lab, json, "K", 0, NULL, &out);
    if (status) fail_msg("%s: %s", job->name, nodus_error_message(status));
    free(out.data);
    const PlanCounters after = plan_cache_counters(lab.engine->plans);
    return (int)(after.compiled + after.hits - before.compiled - before.hits);
}

/* … for its guides alone: more than when they never act, where the plans are asked only what they would cost. */
static int guides_asked(const Job *job, int steps, const char *batch)
{
    Job longer = *job;
    longer.steps = steps;
    plans_asked(&longer, "\"strength\": 0.1", BEGIN, batch);
    const int count = plans_asked(&longer, "\"strength\": 0.6", BEGIN, batch) - plans_asked(&longer, "\"strength\": 0.6", NEVER, batch);
    print_message("%s, %d steps, %s: the guides' networks are asked %d times\n", job->name, steps, batch, count);
    return count;
}

#define ONE "\"batch_size\": 1"
#define TWO "\"batch_size\": 2"
static const Job two_prompts = {"two prompts", XL, "M", "\"U\", 0", "\"G\", 1", 1, NET("A", "t2i-xl") FIRST("A", "H", "0.7")
    NODE("pos2", "CLIPTextEncode", "\"text\": \"a ship at sea\", \"clip\": [\"M\", 1]")
    GUIDE("G2", "\"pos2\", 0", "\"neg\", 0", "A", "H", "0.7", "0", "1")
    NODE("U", "ConditioningCombine", "\"conditioning_1\": [\"G\", 0], \"conditioning_2\": [\"G2\", 0]"), 0, {0}};
/* With another strength again, up to the middle of the sampling. */
static const Job two_parts = {"two parts", XL, "M", "\"G2\", 0", "\"G2\", 1", 1, NET("A", "t2i-xl") FIRST("A", "H", "0.7")
    GUIDE("G2", "\"G\", 0", "\"G\", 1", "A", "H", "0.3", "0", "0.5"), 0, {0}};

TEST(an_adapter_of_sdxl_looks_at_a_picture_once)
{
    const Job *xl = job_of("t2i-xl");
    assert_int_equal(guides_asked(xl, 1, ONE), 1);
    assert_int_equal(guides_asked(xl, 20, ONE), 1);
    assert_int_equal(guides_asked(xl, 20, TWO), 1);
    assert_int_equal(guides_asked(&two_prompts, 5, ONE), 1);
    assert_int_equal(guides_asked(&two_parts, 6, ONE), 1);
    assert_true(guides_asked(job_of("xl"), 20, ONE) > 20); /* a ControlNet at each step */
}

/* ---- What does not fit ------------------------------------------------------------------------------------------------------------ */

TEST(guides_of_another_family_are_refused_by_name)
{
    static const struct { const char *job, *from, *to, *message; } rows[] = {
        {"t2i-xl", "t2i-xl.safetensors", "t2i.safetensors", "T2I-Adapter was made for SD1 or SD2 with 64 channels"},
        {"t2i-xl", SUPPORT_XL, "shapes-sd1.safetensors", "T2I-Adapter was made for SDXL with 32 channels"},
        {"xl", SUPPORT_XL, "shapes-sd1.safetensors", "the ControlNet was made for a model of another family"},
        {"xl-small", SUPPORT_XL, "shapes-sd1.safetensors", "the ControlNet was made for a model of another family"},
        {"xl-lora", SUPPORT_XL, "shapes-sd1.safetensors", "this Control-LoRA was made for a model of another family"},
        {"ip", SUPPORT_XL, "shapes-sd1.safetensors", "17 layers, the model shapes-sd1.safetensors wants 16"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char json[8000], part[8000];
        snprintf(json, sizeof json, "%s", workflow(job_of(rows[i].job)));
        char *at = strstr(json, rows[i].from);
        assert_non_null(at);
        snprintf(part, sizeof part, "%s", at + strlen(rows[i].from));
        snprintf(at, sizeof json - (size_t)(at - json), "%s%s", rows[i].to, part);
        assert_int_equal(lab_run(&lab, json) == NODUS_SUCCESS, false);
        if (!strstr(lab.error, rows[i].message)) fail_msg("\"%s\" does not say \"%s\"", lab.error, rows[i].message);
    }
}

/* ---- For the oracle ------------------------------------------------------------------------------------------------------------ */

static NodusStatus write_workflow(const char *folder, const Job *job)
{
    char path[600];
    FileWriter *writer;
    snprintf(path, sizeof path, "%s/%s.json", folder, job->name);
    NODUS_TRY(file_create(path, &writer));
    NODUS_TRY(file_write(writer, workflow(job), strlen(workflow(job))));
    return file_commit(writer);
}

static NodusStatus write_all(const char *folder)
{
    NODUS_TRY(file_make_folders(folder));
    NODUS_TRY(examples_models(folder));
    NODUS_TRY(support_xl(folder));
    for (int i = 0; i < JOBS; i++) NODUS_TRY(write_workflow(folder, &jobs[i]));
    return NULL;
}

int main(int count, char **arguments)
{
    if (count == 2) return lab_told(write_all(arguments[1]));
    const struct CMUnitTest cases[] = {CASE(samplings_are_as_diffusers_computes_them), CASE(other_layouts_give_the_same_numbers),
                                       CASE(an_adapter_of_sdxl_looks_at_a_picture_once), CASE(guides_of_another_family_are_refused_by_name)};
    return cmocka_run_group_tests(cases, setup, teardown);
}
