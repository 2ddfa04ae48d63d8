/* Validation with the n-th allocation failing, for every n: the answer is "out of memory" or the same report as ever, never another one, nothing
 * is left behind, and the engine goes on working. The workflows have every kind of error, and facts that flow from a file. As in test_run.c the
 * fault numbers are every one of the first, then spaced ever wider; NODUS_FAULTS=all takes every one. */
#include "tests/faults/faults.h"
#include <nodus/nodus.h>
#include <stdio.h>
#include <stdlib.h>

static NodusEngine *engine;

/* A model file, primitives that are known, sizes that fit: nothing is wrong. */
static const char good[] =
    "{\"1\": {\"class_type\": \"CheckpointLoaderSimple\", \"inputs\": {\"ckpt_name\": \"shapes-sd1.safetensors\"}},"
    "\"2\": {\"class_type\": \"PrimitiveInt\", \"inputs\": {\"value\": \"64\"}},"
    "\"3\": {\"class_type\": \"EmptyLatentImage\", \"inputs\": {\"width\": [\"2\", 0], \"height\": 64, \"batch_size\": 1}},"
    "\"4\": {\"class_type\": \"VAEDecode\", \"inputs\": {\"samples\": [\"3\", 0], \"vae\": [\"1\", 2]}},"
    "\"5\": {\"class_type\": \"SaveImage\", \"inputs\": {\"images\": [\"4\", 0], \"filename_prefix\": true}},"
    "\"6\": {\"class_type\": \"Nobody\", \"inputs\": {\"x\": [\"5\", 0]}}}";
static const char bad[] =
    "{\"1\": {\"class_type\": \"CheckpointLoaderSimple\", \"inputs\": {\"ckpt_name\": \"shapes.safetensors\"}},"
    "\"3\": {\"class_type\": \"EmptyLatentImage\", \"inputs\": {\"width\": \"x\", \"height\": 1e9, \"batch_size\": [1]}},"
    "\"4\": {\"class_type\": \"KSampler\", \"inputs\": {\"model\": [\"1\", 2], \"seed\": -1, \"cfg\": null, \"sampler_name\": \"eular\", \"scheduler\": 5,"
    "\"positive\": [\"99\", 0], \"negative\": [\"3\", 7], \"latent_image\": [\"4\", 0], \"denoise\": 2}},"
    "\"5\": {\"class_type\": \"PreviewAny\", \"inputs\": {\"source\": [\"4\", 0]}},"
    "\"6\": {\"class_type\": \"LoadImage\", \"inputs\": {\"image\": \"none.png\"}},"
    "\"7\": {\"class_type\": \"PreviewImage\", \"inputs\": {\"images\": [\"6\", 0]}},"
    "\"8\": {\"class_type\": \"ImageScale\", \"inputs\": {\"image\": [\"6\", 0], \"upscale_method\": \"best\", \"width\": 1, \"height\": 1, \"crop\": \"disabled\"}},"
    "\"9\": {\"class_type\": \"PreviewImage\", \"inputs\": {\"images\": [\"8\", 0]}}}";
static const char unknown[] = "{\"1\": {\"class_type\": \"KSamplr\", \"inputs\": {}}, \"2\": {\"class_type\": \"TrainLoraNode\", \"inputs\": {}},"
                              "\"3\": {\"class_type\": \"PreviewAny\", \"inputs\": {\"source\": [\"1\", 0]}}}";
static const char broken[] = "{\"1\": {\"class_type\": tru}}";
static const char *const prompts[] = {good, bad, unknown, broken};

typedef struct Check {
    const char *prompt;
    bool strict, valid;
    char *report;
} Check;

static NodusStatus check(void *context)
{
    Check *self = context;
    self->report = NULL;
    return nodus_engine_check(engine, self->prompt, strlen(self->prompt), self->strict, &self->report, &self->valid);
}

static long next_fault(long n)
{
    const char *all = getenv("NODUS_FAULTS");
    return (all && !strcmp(all, "all")) || n < 40 ? n + 1 : n + n / 32;
}

/* Fault after fault; returns how many. */
static long replay(Check *self, bool forever)
{
    NodusStatus status = check(self);
    assert_null(status);
    char *want = self->report;
    long count = 0;
    bool hit = true;
    for (long n = 1; hit; n = next_fault(n), count++) {
        const long live = atomic_load(&faults.live);
        hit = faults_run(FAULT_OF_ALLOCATION, n, forever, check, self, &status);
        if (status && nodus_error_kind(status) != NODUS_ERROR_MEMORY) fail_msg("fault %ld: %s", n, nodus_error_message(status));
        if (!status && strcmp(self->report, want) != 0) fail_msg("fault %ld: another report:\n%s\ninstead of\n%s", n, self->report, want);
        nodus_error_free(status);
        nodus_free(self->report);
        if (FAULTS_COUNT_LIVE && atomic_load(&faults.live) != live)
            fail_msg("fault %ld: %ld allocations left behind", n, atomic_load(&faults.live) - live);
    }
    nodus_free(want);
    return count;
}

static void replay_all(bool forever)
{
    long faults_seen = 0;
    for (size_t i = 0; i < sizeof prompts / sizeof *prompts; i++)
        for (int strict = 0; strict < 2; strict++) faults_seen += replay(&(Check){.prompt = prompts[i], .strict = strict}, forever);
    assert_true(faults_seen > (FAULTS_COUNT_LIVE ? 500 : 8)); /* under a sanitizer only nodus's own allocations count */
    print_message("%ld faults\n", faults_seen);
}

TEST(a_failed_allocation_never_changes_a_report)
{
    (void)state_;
    replay_all(false);
}

TEST(memory_that_stays_exhausted_never_changes_a_report)
{
    (void)state_;
    replay_all(true);
}

static int set_up(void **state)
{
    const NodusEngineOptions options = {.struct_size = sizeof options, .threads = 1, .device = "ref", .base_directory = "."};
    (void)state;
    return nodus_engine_new(&options, &engine) != NULL;
}

static int tear_down(void **state)
{
    (void)state;
    nodus_engine_free(engine);
    return 0;
}

int main(void)
{
    const struct CMUnitTest cases[] = {CASE(a_failed_allocation_never_changes_a_report), CASE(memory_that_stays_exhausted_never_changes_a_report)};
    return cmocka_run_group_tests(cases, set_up, tear_down);
}
