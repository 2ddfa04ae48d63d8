/* test_own_guider: nodus_emit_guider: a GUIDER whose rule is a node's own, as plug-ins make one. */
#include "tests/support_lab.h"
#include "tests/test.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static Lab lab;
static atomic_int freed;
static double strength = 5;

/* The usual rule, or one of the predictions themselves, or nothing. */
static NodusStatus guide(const void *self, const NodusGuiding *guiding, NodusTensor **out)
{
    const double cfg = *(const double *)self;
    NodusTensor *difference;
    assert_int_equal(guiding->predictions, 2);
    assert_true(guiding->sigma > 0);
    if (cfg < 0) return NULL;
    if (cfg == 1) {
        *out = nodus_tensor_ref(guiding->prediction[0]);
        nodus_tensor_unref(*out); /* borrowed */
        return NULL;
    }
    NODUS_TRY(nodus_tensor_sub(guiding->math, &difference, guiding->prediction[0], guiding->prediction[1]));
    return nodus_tensor_lincomb(guiding->math, out, 2, (float[]){1, (float)cfg},
                                (const NodusTensor *[]){guiding->prediction[1], difference});
}

static void count_free(void *self)
{
    (void)self;
    freed++;
}

static const NodusGuiderDef own = {.struct_size = sizeof own, .name = "own guidance", .guide = guide, .free = count_free};

typedef struct {
    const void *model, *list[2];
    int64_t count;
    double cfg;
} OwnArgs;

static NodusStatus own_run(NodusCall *call, const void *args)
{
    const OwnArgs *in = args;
    strength = in->cfg;
    return nodus_emit_guider(call, 0, &own, &strength, in->model, in->list, (int)in->count);
}

static const NodusInput own_inputs[] = {
    NODUS_IN_LINK("model", OwnArgs, model, "MODEL", "The model."),
    NODUS_IN_LINK("positive", OwnArgs, list[0], "CONDITIONING", "What to show."),
    NODUS_IN_LINK("negative", OwnArgs, list[1], "CONDITIONING", "What not."),
    NODUS_IN_INT("count", OwnArgs, count, "How many are handed over."),
    NODUS_IN_FLOAT("cfg", OwnArgs, cfg, "The strength.", .def = 1),
};
static const NodusOutput own_outputs[] = {{.name = "GUIDER", .type = "GUIDER", .tooltip = ""}};
static const NodusNode node_own = {
    NODUS_NODE("OwnGuider", "Own Guider", "test", OwnArgs, own_inputs, own_outputs), .flags = NODUS_NOT_IDEMPOTENT, .run = own_run};

LAB_FIXTURE(lab_open(&lab, (const NodusNode *const[]){&node_own, NULL}))

static const char *workflow(const char *guider)
{
    static char json[2048];
    snprintf(json, sizeof json,
             "{\"1\":{\"class_type\":\"CheckpointLoaderSimple\",\"inputs\":{\"ckpt_name\":\"shapes-sd1.safetensors\"}},"
             "\"2\":{\"class_type\":\"CLIPTextEncode\",\"inputs\":{\"clip\":[\"1\",1],\"text\":\"a red star\"}},"
             "\"3\":{\"class_type\":\"CLIPTextEncode\",\"inputs\":{\"clip\":[\"1\",1],\"text\":\"\"}},"
             "\"4\":{\"class_type\":\"EmptyLatentImage\",\"inputs\":{\"width\":64,\"height\":64,\"batch_size\":1}},"
             "\"5\":{\"class_type\":\"RandomNoise\",\"inputs\":{\"noise_seed\":3}},"
             "\"6\":{\"class_type\":\"KSamplerSelect\",\"inputs\":{\"sampler_name\":\"euler\"}},"
             "\"7\":{\"class_type\":\"BasicScheduler\",\"inputs\":{\"model\":[\"1\",0],\"scheduler\":\"normal\",\"steps\":2,\"denoise\":1}},"
             "\"8\":{\"class_type\":\"%s,\"model\":[\"1\",0],\"positive\":[\"2\",0],\"negative\":[\"3\",0]}},"
             "\"9\":{\"class_type\":\"SamplerCustomAdvanced\",\"inputs\":{\"noise\":[\"5\",0],\"guider\":[\"8\",0],\"sampler\":[\"6\",0],"
             "\"sigmas\":[\"7\",0],\"latent_image\":[\"4\",0]}}}",
             guider);
    return json;
}

TEST(a_rule_of_its_own_is_asked_each_step)
{
    LabArray usual, mine;
    assert_ok(lab_array(&lab, workflow("CFGGuider\",\"inputs\":{\"cfg\":5"), "9", 0, NULL, &usual));
    assert_ok(lab_array(&lab, workflow("OwnGuider\",\"inputs\":{\"count\":2,\"cfg\":5"), "9", 0, NULL, &mine));
    assert_int_equal(usual.count, mine.count);
    assert_memory_equal(usual.data, mine.data, usual.count * sizeof *usual.data);
    free(usual.data);
    free(mine.data);
}

TEST(a_prediction_itself_may_be_the_result)
{
    LabArray mine;
    assert_ok(lab_array(&lab, workflow("OwnGuider\",\"inputs\":{\"count\":2,\"cfg\":1"), "9", 0, NULL, &mine));
    assert_int_equal(mine.count, 4 * 8 * 8);
    free(mine.data);
}

TEST(what_is_no_guider_is_an_error_and_gives_its_object_back)
{
    LabArray mine;
    const int before = freed;
    lab.error[0] = 0;
    NodusStatus status = lab_array(&lab, workflow("OwnGuider\",\"inputs\":{\"count\":0,\"cfg\":5"), "9", 0, NULL, &mine);
    assert_non_null(status);
    nodus_error_free(status);
    assert_non_null(strstr(lab.error, "a guider has a model and 1 to 3 conditionings"));
    assert_int_equal(freed, before + 1);
    status = lab_array(&lab, workflow("OwnGuider\",\"inputs\":{\"count\":2,\"cfg\":-1"), "9", 0, NULL, &mine);
    assert_non_null(status);
    nodus_error_free(status);
    assert_non_null(strstr(lab.error, "the guider own guidance gave no prediction of the latent's shape"));
}

int main(void)
{
    const struct CMUnitTest cases[] = {CASE(a_rule_of_its_own_is_asked_each_step), CASE(a_prediction_itself_may_be_the_result),
                                       CASE(what_is_no_guider_is_an_error_and_gives_its_object_back)};
    return cmocka_run_group_tests(cases, setup, teardown);
}
