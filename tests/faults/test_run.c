/* A whole run, from opening the engine to the written PNG, with the n-th allocation failing: it ends in an error with a message or in success, leaves
 * no memory behind and no half-written file. A run has some ten thousand allocations and takes tens of milliseconds, so the fault numbers
 * are every one of the first, then spaced ever wider; NODUS_FAULTS=all takes every one (by hand; hours). The same with so little memory that
 * the weights of the diffusion model are streamed by a helper thread. */
#include "tests/faults/faults.h"
#include <dirent.h>
#include <nodus/nodus.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static char output[64];
enum { PLENTY = 1 << 30, LITTLE = 10 << 20 /* the model's weights are 14 MB */ };
static size_t memory_limit;
static const char prompt[] =
    "{\"1\": {\"class_type\": \"CheckpointLoaderSimple\", \"inputs\": {\"ckpt_name\": \"shapes-sd1.safetensors\"}},"
    "\"2\": {\"class_type\": \"CLIPTextEncode\", \"inputs\": {\"text\": \"a (red:1.2) star\", \"clip\": [\"1\", 1]}},"
    "\"3\": {\"class_type\": \"EmptyLatentImage\", \"inputs\": {\"width\": 16, \"height\": 16, \"batch_size\": 1}},"
    "\"4\": {\"class_type\": \"KSampler\", \"inputs\": {\"model\": [\"7\", 0], \"seed\": 1, \"steps\": 1, \"cfg\": 2.0, \"sampler_name\": \"euler\","
    "\"scheduler\": \"normal\", \"positive\": [\"2\", 0], \"negative\": [\"2\", 0], \"latent_image\": [\"3\", 0], \"denoise\": 1.0}},"
    "\"7\": {\"class_type\": \"FreeU\", \"inputs\": {\"model\": [\"1\", 0], \"b1\": 1.1, \"b2\": 1.2, \"s1\": 0.9, \"s2\": 0.2}},"
    "\"5\": {\"class_type\": \"VAEDecode\", \"inputs\": {\"samples\": [\"4\", 0], \"vae\": [\"1\", 2]}},"
    "\"6\": {\"class_type\": \"SaveImage\", \"inputs\": {\"images\": [\"5\", 0], \"filename_prefix\": \"x\"}}}";

/* Removes what is in the output folder; tells whether every file is a whole PNG. */
static bool sweep(int *files)
{
    static const char end[8] = "IEND\xae\x42\x60\x82";
    DIR *folder = opendir(output);
    bool whole = true;
    *files = 0;
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        char path[512], tail[8] = "";
        if (entry->d_name[0] == '.' && (!entry->d_name[1] || entry->d_name[1] == '.')) continue;
        snprintf(path, sizeof path, "%s/%s", output, entry->d_name);
        FILE *file = fopen(path, "rb");
        whole = whole && file && fseek(file, -8, SEEK_END) == 0 && fread(tail, 1, 8, file) == 8 && memcmp(tail, end, 8) == 0;
        if (file) fclose(file);
        remove(path);
        ++*files;
    }
    if (folder) closedir(folder);
    return whole;
}

typedef struct Seen { int errors, finished; NodusOutcome outcome; } Seen;

static void event(void *user, const NodusEvent *e)
{
    Seen *seen = user;
    seen->errors += e->kind == NODUS_EVENT_ERROR && e->message && *e->message;
    seen->finished += e->kind == NODUS_EVENT_FINISHED;
}

static NodusStatus whole_run(void *context)
{
    Seen *seen = context;
    const NodusEngineOptions engine_options = {.struct_size = sizeof engine_options, .threads = 1, .base_directory = ".", .output = output, .memory = memory_limit};
    const NodusRunOptions run_options = {.struct_size = sizeof run_options, .event = event, .user = seen};
    NodusEngine *engine = NULL;
    NodusRun *run = NULL;
    *seen = (Seen){0, 0, NODUS_REFUSED};
    NodusStatus status = nodus_engine_new(&engine_options, &engine);
    if (!status) status = nodus_run_new(engine, prompt, sizeof prompt - 1, &run_options, &run);
    if (!status) seen->outcome = nodus_run_execute(run);
    nodus_run_free(run);
    nodus_engine_free(engine);
    return status;
}

static long next_fault(long n)
{
    const char *all = getenv("NODUS_FAULTS");
    return all && strcmp(all, "all") == 0 ? n + 1 : n < 40 ? n + 1 : n + n / 32;
}

static void replay(bool forever, size_t memory)
{
    memory_limit = memory;
    Seen seen;
    int files, failed = 0, replays = 0;
    NodusStatus status = whole_run(&seen); /* warms up */
    assert_null(status);
    assert_int_equal(seen.outcome, NODUS_SUCCESS);
    assert_true(sweep(&files));
    assert_int_equal(files, 1);
    bool hit = true;
    for (long n = 1; hit; n = next_fault(n), replays++) {
        const long live = atomic_load(&faults.live);
        hit = faults_run(FAULT_OF_ALLOCATION, n, forever, whole_run, &seen, &status);
        const bool whole = sweep(&files);
        if (!whole) fail_msg("fault %ld: a half-written file", n);
        if (status && nodus_error_kind(status) != NODUS_ERROR_MEMORY) fail_msg("fault %ld: %s", n, nodus_error_message(status));
        if (!status && seen.outcome == NODUS_SUCCESS && files != 1) fail_msg("fault %ld: success without a file", n);
        if (!hit && (status || seen.outcome != NODUS_SUCCESS)) fail_msg("without faults: failed");
        failed += status != NULL || seen.outcome != NODUS_SUCCESS;
        nodus_error_free(status);
        if (FAULTS_COUNT_LIVE && atomic_load(&faults.live) != live) fail_msg("fault %ld: %ld allocations left behind", n, atomic_load(&faults.live) - live);
    }
    assert_true(failed > 20);
    print_message("%d replays, %d failed as they should\n", replays, failed);
}

TEST(a_run_survives_one_failed_allocation)
{
    replay(false, PLENTY);
}

TEST(a_run_survives_memory_that_stays_exhausted)
{
    replay(true, PLENTY);
}

TEST(a_run_that_streams_survives_one_failed_allocation)
{
    replay(false, LITTLE);
}

TEST(a_run_that_streams_survives_memory_that_stays_exhausted)
{
    replay(true, LITTLE);
}

static int set_up(void **state)
{
    (void)state;
    snprintf(output, sizeof output, "/tmp/nodus-faults-XXXXXX");
    return mkdtemp(output) == NULL;
}

static int tear_down(void **state)
{
    int files;
    (void)state;
    sweep(&files);
    return remove(output);
}

int main(void)
{
    const struct CMUnitTest cases[] = {CASE(a_run_survives_one_failed_allocation), CASE(a_run_survives_memory_that_stays_exhausted),
                                       CASE(a_run_that_streams_survives_one_failed_allocation), CASE(a_run_that_streams_survives_memory_that_stays_exhausted)};
    return cmocka_run_group_tests(cases, set_up, tear_down);
}
