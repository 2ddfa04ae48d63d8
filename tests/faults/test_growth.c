/* A run whose graph grows, with the n-th allocation failing: loops, expansion, deferred results, lazy, raw and undeclared links.
 * It ends with `finished`, after an error or in success; nothing is left behind, and the same engine then runs a prompt well. */
#include "tests/faults/faults.h"
#include "engine/base/memory.h"
#include "tests/support_graph.h"
#include <stdio.h>
#include <stdlib.h>

static const char prompt[] =
    "1 Ints from=1 count=3; 2 Even value=@1; 3 Extras x=@2 y=5 z=@1; 4 Repeat value=@3 times=2; 5 Pass value=@4; "
    "6 ForLoopStart total=3 initial_value1=@4 initial_value2=1; 7 Add a=[\"6\",2] b=[\"6\",1]; 8 Pass value=@7; "
    "9 ForLoopEnd flow=@6 value1=@8; 10 Show value=@9; "
    "11 WhileLoopStart condition=true initial_value1=1; 12 Add a=[\"11\",1] b=1; 13 Less a=@12 b=4; "
    "14 WhileLoopEnd flow=@11 condition=@13 value1=@12; 15 Await value=@14 mode=now; 16 Outside value=@15 run=true; 17 Odd "
    "value=@16; "
    "18 Choose first=@17 a=@16 b=@15; 19 Show value=@18; 20 Picture width=2; 21 Wrap value=@20 class=Show mode=show; 22 Show "
    "value=@21";

typedef struct Seen {
    int errors, finished;
    NodusOutcome outcome;
} Seen;

static void count_event(void *user, const NodusEvent *event)
{
    Seen *seen = user;
    seen->errors += (event->kind == NODUS_EVENT_ERROR || event->kind == NODUS_EVENT_WARNING) && event->message;
    seen->finished += event->kind == NODUS_EVENT_FINISHED;
}

static NodusStatus run_prompt(NodusEngine *engine, const char *json, Seen *seen)
{
    const NodusRunOptions options = {.struct_size = sizeof options, .event = count_event, .user = seen};
    NodusRun *run = NULL;
    *seen = (Seen){0, 0, NODUS_REFUSED};
    NODUS_TRY(run_new(engine, json, strlen(json), &options, &run));
    seen->outcome = run_execute(run);
    run_free(run);
    return NULL;
}

typedef struct Setting {
    NodusEngine *engine;
    char *json;
    Seen seen;
} Setting;

static NodusStatus run_in_it(void *context)
{
    Setting *setting = context;
    return run_prompt(setting->engine, setting->json, &setting->seen);
}

static void replay(bool forever)
{
    char *json = toy_json(prompt);
    const NodusEngineOptions options = {
        .struct_size = sizeof options, .threads = 1, .device = "ref", .base_directory = ".", .no_cache = true};
    const bool all = getenv("NODUS_FAULTS"); /* every one, by hand */
    bool hit = true;
    int replays = 0, failed = 0;
    for (long n = 0; hit; n = all || n < 60 ? n + 1 : n + n / 24, replays++) {
        Setting setting = {.json = json};
        Seen after;
        NodusStatus status = NULL;
        const long live = atomic_load(&faults.live);
        assert_null(toy_engine(&options, &setting.engine));
        if (n) hit = faults_run(FAULT_OF_ALLOCATION, n, forever, run_in_it, &setting, &status);
        else status = run_in_it(&setting); /* warms up */
        const Seen seen = setting.seen;
        if (!status && seen.finished != 1) fail_msg("fault %ld: finished %d times", n, seen.finished);
        if (!status && seen.outcome == NODUS_SUCCESS && n && !hit && seen.errors) fail_msg("errors without a fault");
        if (!hit && (status || seen.outcome != NODUS_SUCCESS)) fail_msg("without faults: failed");
        failed += status != NULL || seen.outcome != NODUS_SUCCESS;
        if (status) nodus_error_free(status);
        if (run_prompt(setting.engine, json, &after) || after.outcome != NODUS_SUCCESS)
            fail_msg("fault %ld: the engine is broken", n);
        engine_close(setting.engine);
        if (FAULTS_COUNT_LIVE && n && atomic_load(&faults.live) != live)
            fail_msg("fault %ld: %ld allocations left behind", n, atomic_load(&faults.live) - live);
    }
    memory_free(json);
    assert_true(failed > 20);
    print_message("%d replays, %d failed as they should\n", replays, failed);
}

TEST(a_growing_run_survives_one_failed_allocation)
{
    replay(false);
}

TEST(a_growing_run_survives_memory_that_stays_exhausted)
{
    replay(true);
}

TEST_MAIN(CASE(a_growing_run_survives_one_failed_allocation), CASE(a_growing_run_survives_memory_that_stays_exhausted))
