/* test_reuse.c: results that outlive their process: which are found again by another engine, which must not be, --force, and
 * what `why` says. The nodes here take two milliseconds, so that their results are worth a file. */
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/graph/disk.h"
#include "engine/graph/why.h"
#include "tests/support_graph.h"
#include "tests/test.h"
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char base[64], cache[96];
static atomic_int *calls; /* of Slow and its like, and of Nest, in all processes */
static int warnings;

/* ---- Nodes --------------------------------------------------------------------------------------------------------- */

static void take_time(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

typedef struct {
    int64_t value, more;
    const char *prompt;
} SlowArgs;

static NodusStatus slow_run(NodusCall *call, const void *args)
{
    const SlowArgs *in = args;
    take_time();
    atomic_fetch_add(calls, 1);
    return nodus_emit_int(call, 0, in->value + in->more);
}
static const NodusInput slow_inputs[] = {
    NODUS_IN_INT("value", SlowArgs, value, "A number.", .min = -1000000, .max = 1000000),
    NODUS_FLAG_INT(NODUS_OPTIONAL, "more", SlowArgs, more, "Added.", .def = 1, .min = -1000000, .max = 1000000),
    NODUS_IN_HIDDEN("prompt", SlowArgs, prompt, "PROMPT")};
static const NodusOutput int_output[] = {{"INT", "INT", "The number."}};
static const NodusNode node_slow = {NODUS_NODE("Slow", "Slow", "toy", SlowArgs, slow_inputs, int_output), .run = slow_run};
static const NodusNode node_never = {NODUS_NODE("Never", "Never Shared", "toy", SlowArgs, slow_inputs, int_output),
                                     .flags = NODUS_NOT_IDEMPOTENT, .run = slow_run};

static NodusStatus near_run(NodusCall *call, const void *args)
{
    nodus_keep_local(call);
    return slow_run(call, args);
}
static const NodusNode node_near = {NODUS_NODE("Near", "Near", "toy", SlowArgs, slow_inputs, int_output), .run = near_run};
static const NodusNode node_next = {NODUS_NODE("Slow", "Slow", "toy", SlowArgs, slow_inputs, int_output), .version = 1,
                                    .run = slow_run};

typedef struct {
    const char *text;
} NameArgs;

static NodusStatus name_run(NodusCall *call, const void *args)
{
    take_time();
    atomic_fetch_add(calls, 1);
    return nodus_emit_string(call, 0, ((const NameArgs *)args)->text);
}
static NodusStatus name_fingerprint(NodusCall *call, const void *args, NodusHash *hash)
{
    return nodus_hash_file(call, hash, ((const NameArgs *)args)->text);
}
static const NodusInput name_inputs[] = {NODUS_IN_STRING("text", NameArgs, text, "A text.", .def = "")};
static const NodusOutput name_output[] = {{"STRING", "STRING", "The text."}};
static const NodusNode node_read = {NODUS_NODE("Read", "Read", "toy", NameArgs, name_inputs, name_output), .run = name_run,
                                    .fingerprint = name_fingerprint};
static const NodusNode node_word = {NODUS_NODE("Word", "Word", "toy", NameArgs, name_inputs, name_output), .run = name_run};

/* A type that no file can hold, and an output node that shows a number or a text. */
static void thing_free(void *payload)
{
    memory_free(payload);
}
static const NodusType type_thing = {.struct_size = sizeof type_thing, .name = "THING", .free = thing_free};
static NodusStatus thing_run(NodusCall *call, const void *args)
{
    (void)args;
    take_time();
    atomic_fetch_add(calls, 1);
    void *thing = memory_alloc(8);
    return thing ? nodus_emit(call, 0, &type_thing, thing) : nodus_error(NODUS_ERROR_MEMORY, "no memory");
}
typedef struct {
    const void *thing;
} ThingArgs;
static const NodusInput thing_inputs[] = {NODUS_FLAG_LINK(NODUS_OPTIONAL, "thing", ThingArgs, thing, "THING", "A thing.")};
static const NodusOutput thing_output[] = {{"THING", "THING", "A thing."}};
static const NodusNode node_thing = {NODUS_NODE("Thing", "Thing", "toy", ThingArgs, thing_inputs, thing_output),
                                     .run = thing_run};

typedef struct {
    NodusValue *value;
} ShowArgs;
static NodusStatus show_run(NodusCall *call, const void *args)
{
    NodusText *json = nodus_text(call);
    take_time();
    NODUS_TRY(nodus_print(json, "\""));
    NODUS_TRY(nodus_value_print(((const ShowArgs *)args)->value, json));
    NODUS_TRY(nodus_print(json, "\""));
    return nodus_ui(call, "text", nodus_text_get(json));
}
static const NodusInput show_inputs[] = {NODUS_IN_ANY("value", ShowArgs, value, "Anything.")};
static const NodusNode node_show = {NODUS_NODE_END("Show", "Show", "toy", ShowArgs, show_inputs), .flags = NODUS_OUTPUT,
                                    .run = show_run};

/* Expands to a Slow and a Show of it, or to a Never: what makes a result its process's own. */
static NodusStatus nest_run(NodusCall *call, const void *args)
{
    NodusGraph *graph = nodus_graph(call);
    const bool show = ((const SlowArgs *)args)->more;
    char json[32];
    snprintf(json, sizeof json, "%d", (int)((const SlowArgs *)args)->value);
    atomic_fetch_add(&calls[1], 1);
    NODUS_TRY(nodus_graph_node(graph, "s", show ? "Slow" : "Never"));
    NODUS_TRY(nodus_graph_literal(graph, "s", "value", json));
    if (show) NODUS_TRY(nodus_graph_node(graph, "o", "Show"));
    if (show) NODUS_TRY(nodus_graph_link(graph, "o", "value", "s", 0));
    NODUS_TRY(nodus_emit_link(call, 0, "s", 0));
    return nodus_expand(call, graph);
}
static const NodusNode node_nest = {NODUS_NODE("Nest", "Nest", "toy", SlowArgs, slow_inputs, int_output), .run = nest_run};

static NodusStatus fill(Registry *registry, void *user)
{
    const NodusNode *const nodes[] = {
        user ? &node_next : &node_slow, &node_never, &node_near, &node_read, &node_word, &node_thing, &node_show, &node_nest};
    NODUS_TRY(registry_add_type(registry, &type_thing));
    for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++) NODUS_TRY(registry_add_node(registry, nodes[i]));
    return NULL;
}

/* ---- Engines ------------------------------------------------------------------------------------------------------- */

static void warn(void *user, const char *text)
{
    (void)user;
    (void)text;
    warnings++;
}

static NodusEngine *open_as(NodusEngineOptions options, void *version)
{
    NodusEngine *engine;
    options.struct_size = sizeof options;
    options.threads = 1;
    options.base_directory = base;
    options.warn = warn;
    if (!options.device) options.device = "ref";
    NodusStatus status = engine_open(&options, fill, version, &engine);
    if (status) {
        fprintf(stderr, "%s\n", nodus_error_message(status));
        abort();
    }
    return engine;
}

static NodusEngine *open_engine(void)
{
    return open_as((NodusEngineOptions){.cache_directory = cache}, NULL);
}

/* Runs a prompt in an engine of its own; how often Slow and its like were called. */
static int run_in(NodusEngine *engine, const char *prompt, const NodusRunOptions *options, ToyLog *log)
{
    const int before = atomic_load(calls);
    if (toy_run(engine, prompt, options, log) != NODUS_SUCCESS) abort();
    engine_close(engine);
    return atomic_load(calls) - before;
}

static int run_new_process(const char *prompt, ToyLog *log)
{
    return run_in(open_engine(), prompt, NULL, log);
}

static void clear(const char *path)
{
    DIR *stream = opendir(path);
    for (struct dirent *entry; stream && (entry = readdir(stream));) {
        char *below = file_join(path, entry->d_name);
        if (entry->d_name[0] != '.' || (entry->d_name[1] && entry->d_name[1] != '.')) {
            if (file_is_folder(below)) clear(below);
            else unlink(below);
        }
        memory_free(below);
    }
    if (stream) closedir(stream);
    rmdir(path);
}

static int files_in(const char *below)
{
    int count = 0;
    char *path = file_join(cache, below);
    DIR *stream = opendir(path);
    for (struct dirent *entry; stream && (entry = readdir(stream));) count += entry->d_name[0] != '.';
    if (stream) closedir(stream);
    memory_free(path);
    return count;
}

/* ---- Found again --------------------------------------------------------------------------------------------------- */

TEST(another_process_with_other_ids_runs_only_the_output_node)
{
    (void)state_;
    ToyLog first = {0}, second = {0};
    assert_int_equal(run_new_process("1 Slow value=5; 2 Slow value=@1; 3 Show value=@2", &first), 2);
    assert_int_equal(run_new_process("a Slow value=@b; b Slow value=5; c Show value=@a", &second), 0);
    assert_string_equal(toy_find(&first, NODUS_EVENT_DONE, "3")->ui, toy_find(&second, NODUS_EVENT_DONE, "c")->ui);
    assert_int_equal(toy_count(&second, NODUS_EVENT_DONE, NULL), 1);
    assert_int_equal(toy_count(&second, NODUS_EVENT_CACHED, "a"), 1);
    assert_int_equal(toy_count(&second, NODUS_EVENT_CACHED, NULL), 1); /* what nobody reads is not even looked for */
    toy_log_free(&first);
    toy_log_free(&second);
}

TEST(another_workflow_finds_the_part_that_it_shares)
{
    (void)state_;
    assert_int_equal(run_new_process("1 Slow value=5; 2 Show value=@1", NULL), 1);
    assert_int_equal(run_new_process("1 Slow value=5; 2 Slow value=@1; 3 Slow value=6; 4 Show value=@2; 5 Show value=@3", NULL),
                     2);
}

TEST(the_prompt_that_a_node_may_see_is_not_part_of_its_key)
{
    (void)state_;
    assert_int_equal(run_new_process("1 Slow value=5; 2 Show value=@1", NULL), 1);
    assert_int_equal(run_new_process("1 Slow value=5; 2 Show value=@1; 3 Show value=7", NULL), 0);
}

TEST(a_file_with_the_same_content_is_the_same_input)
{
    (void)state_;
    char path[200], prompt[300];
    snprintf(path, sizeof path, "%s/f", base);
    snprintf(prompt, sizeof prompt, "1 Read text=%s; 2 Show value=@1", path);
    FILE *file = fopen(path, "w");
    fputs("one", file);
    fclose(file);
    assert_int_equal(run_new_process(prompt, NULL), 1);
    unlink(path);
    file = fopen(path, "w");
    fputs("one", file);
    fclose(file);
    assert_int_equal(run_new_process(prompt, NULL), 0);
    file = fopen(path, "w");
    fputs("two", file); /* of the same size, within the same tick of the clock perhaps */
    fclose(file);
    assert_int_equal(run_new_process(prompt, NULL), 1);
    unlink(path);
}

TEST(what_memory_had_to_let_go_is_read_back)
{
    (void)state_;
    NodusEngine *engine = open_as((NodusEngineOptions){.cache_directory = cache, .memory = 1}, NULL); /* nothing unpinned stays */
    const int before = atomic_load(calls);
    assert_int_equal(toy_run(engine, "1 Slow value=5; 2 Show value=@1", NULL, NULL), NODUS_SUCCESS);
    disk_flush(engine->disk);
    assert_int_equal(toy_run(engine, "1 Slow value=77; 2 Show value=@1", NULL, NULL), NODUS_SUCCESS);
    assert_int_equal(toy_run(engine, "1 Slow value=5; 2 Slow value=@1; 3 Show value=@2", NULL, NULL), NODUS_SUCCESS);
    assert_int_equal(atomic_load(calls) - before, 3);
    assert_true(disk_counters(engine->disk).read >= 1);
    engine_close(engine);
}

/* What is read while planning stays pinned until it is used: a small budget must not be filled with it. */
TEST(a_crowded_memory_leaves_values_on_disk_until_they_are_claimed)
{
    (void)state_;
    const char *prompt = "1 Slow value=1; 2 Show value=@1; 3 Slow value=2; 4 Show value=@3";
    ToyLog log = {0};
    assert_int_equal(run_new_process(prompt, NULL), 2);
    NodusEngine *engine = open_as((NodusEngineOptions){.cache_directory = cache, .memory = 300}, NULL);
    assert_int_equal(run_in(engine, prompt, NULL, &log), 0);
    assert_non_null(strstr(log.event[0].json, "\"to_run\": 4, \"cached\": 0"));
    assert_int_equal(toy_count(&log, NODUS_EVENT_CACHED, NULL), 2);
    toy_log_free(&log);
}

/* ---- Never found --------------------------------------------------------------------------------------------------- */

TEST(what_is_never_shared_runs_in_every_process_with_what_follows)
{
    (void)state_;
    const char *prompt = "1 Never value=5; 2 Slow value=@1; 3 Show value=@2";
    assert_int_equal(run_new_process(prompt, NULL), 2);
    assert_int_equal(run_new_process(prompt, NULL), 2);
    assert_int_equal(files_in("results"), 0);
}

TEST(what_a_node_keeps_local_runs_in_every_process_with_what_follows)
{
    (void)state_;
    const char *prompt = "1 Slow value=5; 2 Near value=@1; 3 Slow value=@2; 4 Show value=@3";
    assert_int_equal(run_new_process(prompt, NULL), 3);
    assert_int_equal(run_new_process(prompt, NULL), 2);
    assert_int_equal(files_in("results"), 2); /* that of the first Slow, and the lock */
}

TEST(a_value_that_no_file_can_hold_stays_in_its_process)
{
    (void)state_;
    const char *prompt = "1 Thing; 2 Show value=@1";
    assert_int_equal(run_new_process(prompt, NULL), 1);
    assert_int_equal(run_new_process(prompt, NULL), 1);
    assert_int_equal(files_in("results"), 0);
}

TEST(an_expansion_with_an_output_node_runs_in_every_process)
{
    (void)state_;
    const char *output = "1 Nest value=5 more=1; 2 Slow value=@1; 3 Show value=@2",
               *own = "1 Nest value=5 more=0; 2 Show value=@1";
    atomic_store(&calls[1], 0);
    assert_int_equal(run_new_process(output, NULL), 2);
    assert_int_equal(run_new_process("1 Nest value=5 more=1; 2 Slow value=@1 more=4; 3 Show value=@2", NULL), 1);
    assert_int_equal(atomic_load(&calls[1]), 2);
    assert_int_equal(run_new_process(own, NULL), 1);
    assert_int_equal(run_new_process(own, NULL), 1);
    assert_int_equal(atomic_load(&calls[1]), 4);
}

TEST(another_back_end_or_version_shares_nothing)
{
    (void)state_;
    const char *prompt = "1 Slow value=5; 2 Show value=@1";
    assert_int_equal(run_new_process(prompt, NULL), 1);
    NodusEngine *other = open_as((NodusEngineOptions){.cache_directory = cache, .device = "cpu"}, NULL);
    assert_int_equal(run_in(other, prompt, NULL, NULL), 1);
    assert_int_equal(run_in(open_as((NodusEngineOptions){.cache_directory = cache}, base), prompt, NULL, NULL), 1);
    assert_int_equal(run_new_process(prompt, NULL), 0);
}

TEST(without_a_disk_cache_nothing_is_written_or_read)
{
    (void)state_;
    const char *prompt = "1 Slow value=5; 2 Show value=@1";
    const NodusEngineOptions memory = {.cache_directory = cache, .no_disk_cache = true},
                             nothing = {.cache_directory = cache, .no_cache = true};
    assert_int_equal(run_in(open_as(memory, NULL), prompt, NULL, NULL), 1);
    assert_int_equal(run_in(open_as(nothing, NULL), prompt, NULL, NULL), 1);
    assert_int_equal(files_in("results"), 0);
    assert_int_equal(run_new_process(prompt, NULL), 1);
    assert_int_equal(run_in(open_as(memory, NULL), prompt, NULL, NULL), 1);
    assert_int_equal(run_in(open_as(nothing, NULL), prompt, NULL, NULL), 1);
}

TEST(a_cache_folder_that_cannot_be_used_costs_a_warning)
{
    (void)state_;
    char path[200];
    snprintf(path, sizeof path, "%s/none", base);
    FILE *file = fopen(path, "w");
    fclose(file);
    warnings = 0;
    for (int i = 0; i < 2; i++) {
        NodusEngine *engine = open_as((NodusEngineOptions){.cache_directory = path}, NULL);
        assert_int_equal(run_in(engine, "1 Slow value=5; 2 Slow value=@1; 3 Show value=@2", NULL, NULL), 2);
    }
    assert_int_equal(warnings, 2); /* one a process */
    unlink(path);
}

/* ---- Several threads ----------------------------------------------------------------------------------------------- */

static void *run_some(void *user)
{
    NodusEngine *engine = user;
    static atomic_int turn;
    for (int i = 0; i < 12; i++) {
        char prompt[120], want[40];
        const int value = atomic_fetch_add(&turn, 1) % 5;
        ToyLog log = {0};
        snprintf(prompt, sizeof prompt, "1 Slow value=%d; 2 Slow value=@1; 3 Show value=@2", value);
        snprintf(want, sizeof want, "{\"text\": [\"%d\"]}", value + 2);
        const NodusOutcome outcome = toy_run(engine, prompt, NULL, &log);
        const ToyEvent *event = toy_find(&log, NODUS_EVENT_DONE, "3");
        if (!event) event = toy_find(&log, NODUS_EVENT_CACHED, "3");
        const bool right = outcome == NODUS_SUCCESS && event && event->ui && !strcmp(event->ui, want);
        toy_log_free(&log);
        if (!right) return engine;
    }
    return NULL;
}

/* Memory lets go of everything that nobody holds, so that most is read from disk, by one and written by another. */
TEST(four_threads_run_on_one_engine_without_memory)
{
    (void)state_;
    pthread_t thread[4];
    NodusEngine *engine = open_as((NodusEngineOptions){.cache_directory = cache, .memory = 1}, NULL);
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&thread[i], NULL, run_some, engine), 0);
    for (int i = 0; i < 4; i++) {
        void *wrong;
        pthread_join(thread[i], &wrong);
        assert_null(wrong);
    }
    assert_true(disk_counters(engine->disk).read > 0);
    engine_close(engine);
}

/* ---- Force --------------------------------------------------------------------------------------------------------- */

TEST(a_forced_node_runs_again_with_what_follows_and_no_more)
{
    (void)state_;
    const char *prompt = "1 Slow value=5; 2 Slow value=@1; 3 Slow value=@2; 4 Show value=@3", *const force[] = {"2"};
    const NodusRunOptions options = {.struct_size = sizeof options, .force = force, .force_count = 1};
    assert_int_equal(run_new_process(prompt, NULL), 3);
    assert_int_equal(run_in(open_engine(), prompt, &options, NULL), 2);
    assert_int_equal(run_new_process(prompt, NULL), 0); /* the new results took the place of the old ones */
    NodusEngine *engine = open_engine();
    const int before = atomic_load(calls);
    ToyLog log = {0};
    assert_int_equal(toy_run(engine, prompt, NULL, NULL), NODUS_SUCCESS);
    assert_int_equal(toy_run(engine, prompt, &options, &log), NODUS_SUCCESS); /* in memory as well, outputs too */
    assert_int_equal(atomic_load(calls) - before, 2);
    assert_int_equal(toy_count(&log, NODUS_EVENT_DONE, "4"), 1);
    toy_log_free(&log);
    engine_close(engine);
}

TEST(forcing_a_node_that_is_not_there_is_refused)
{
    NodusRun *run;
    const char *const force[] = {"77"};
    const NodusRunOptions options = {.struct_size = sizeof options, .force = force, .force_count = 1};
    NodusEngine *engine = open_engine();
    char *json = toy_json("1 Slow value=5; 2 Show value=@1");
    assert_error(run_new(engine, json, strlen(json), &options, &run), "77");
    memory_free(json);
    engine_close(engine);
}

/* ---- Two processes ------------------------------------------------------------------------------------------------- */

TEST(two_processes_that_race_do_the_work_at_most_twice)
{
#if defined(__SANITIZE_THREAD__)
    skip();
#endif
    (void)state_;
    const char *prompt = "1 Slow value=5; 2 Slow value=@1; 3 Slow value=@2; 4 Slow value=@3; 5 Show value=@4";
    for (int round = 0; round < 5; round++) {
        pid_t child[2];
        atomic_store(calls, 0);
        for (int i = 0; i < 2; i++)
            if (!(child[i] = fork())) {
                run_new_process(prompt, NULL);
                _exit(0);
            }
        for (int i = 0; i < 2; i++) {
            int status = 0;
            while (waitpid(child[i], &status, 0) < 0 && errno == EINTR) {}
            assert_true(WIFEXITED(status) && !WEXITSTATUS(status));
        }
        assert_in_range(atomic_load(calls), 4, 8);
        assert_int_equal(run_new_process(prompt, NULL), 0);
        char path[200];
        snprintf(path, sizeof path, "%s/results", cache);
        clear(path);
    }
}

/* ---- Why ----------------------------------------------------------------------------------------------------------- */

static char *why(NodusEngine *engine, const char *prompt)
{
    char *report, *json = toy_json(prompt);
    bool valid;
    const NodusRunOptions options = {.struct_size = sizeof options};
    NodusStatus status = why_report(engine, json, strlen(json), &options, &report, &valid);
    if (status) fail_msg("%s", nodus_error_message(status));
    memory_free(json);
    engine_close(engine);
    return report;
}

static void expect_why(NodusEngine *engine, const char *prompt, const char *piece)
{
    char *report = why(engine, prompt);
    if (!strstr(report, piece)) fail_msg("%s\n  has no  %s", report, piece);
    memory_free(report);
}

#define LAST "1 Slow value=5; 2 Word text=hello; 3 Slow value=@1; 4 Show value=@3; 5 Show value=@2"

TEST(why_tells_where_each_result_is)
{
    (void)state_;
    expect_why(open_engine(), LAST, "no earlier run of this workflow is remembered");
    run_new_process(LAST, NULL);
    expect_why(open_engine(), LAST, "\"to_run\": 2}");
    expect_why(open_engine(), LAST, "\"node\": \"3\", \"class_type\": \"Slow\", \"title\": \"Slow\", \"state\": \"disk\"");
    expect_why(open_engine(), LAST, "an output node runs in every process");
    NodusEngine *engine = open_engine();
    assert_int_equal(toy_run(engine, LAST, NULL, NULL), NODUS_SUCCESS);
    expect_why(engine, LAST, "\"node\": \"4\", \"class_type\": \"Show\", \"title\": \"Show\", \"state\": \"memory\"");
}

TEST(why_names_what_changed)
{
    (void)state_;
    run_new_process(LAST, NULL);
    const char *edits[][2] = {
        {"1 Slow value=6; 2 Word text=hello; 3 Slow value=@1; 4 Show value=@3; 5 Show value=@2",
         "\"changed\": [{\"node\": \"1\", \"input\": \"value\", \"was\": \"5\", \"is\": \"6\"}]"},
        {"1 Slow value=6; 2 Word text=hello; 3 Slow value=@1; 4 Show value=@3; 5 Show value=@2",
         "its source 3 changed, because 1 did"},
        {"1 Slow value=5 more=2; 2 Word text=hello; 3 Slow value=@1; 4 Show value=@3; 5 Show value=@2",
         "input \\\"more\\\" was not given, is 2"},
        {"1 Slow value=5; 2 Word text=hallo; 3 Slow value=@1; 4 Show value=@3; 5 Show value=@2",
         "\"changed\": [{\"node\": \"2\", \"input\": \"text\", \"was\": \"\\\"hello\\\"\", \"is\": \"\\\"hallo\\\"\"}]"},
        {"1 Slow value=5; 2 Word text=hello; 3 Slow value=9; 4 Show value=@3; 5 Show value=@2",
         "\"changed\": [{\"node\": \"3\", \"input\": \"value\", \"was\": \"[\\\"1\\\",0]\", \"is\": \"9\"}]"},
        {"1 Slow value=5; 2 Word text=hello; 6 Slow value=@1 more=3; 3 Slow value=@6; 4 Show value=@3; 5 Show value=@2",
         "new since the last run"},
    };
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) expect_why(open_engine(), edits[i][0], edits[i][1]);
    expect_why(open_as((NodusEngineOptions){.cache_directory = cache, .device = "cpu"}, NULL), LAST, "was computed by ref");
    expect_why(open_as((NodusEngineOptions){.cache_directory = cache}, base), LAST, "version was 0, is 1");
}

TEST(why_tells_evicted_from_never_kept)
{
    (void)state_;
    char path[200];
    run_new_process("1 Slow value=5; 2 Show value=@1; 3 Thing; 4 Show value=@3; 5 Never value=3; 6 Show value=@5", NULL);
    snprintf(path, sizeof path, "%s/results", cache);
    clear(path);
    const char *prompt = "1 Slow value=5; 2 Show value=@1; 3 Thing; 4 Show value=@3; 5 Never value=3; 6 Show value=@5";
    expect_why(open_engine(), prompt, "unchanged, but its result was evicted");
    expect_why(open_engine(), prompt, "a THING is kept in memory only");
    expect_why(open_engine(), prompt, "its result is never the same twice");
}

TEST(broken_and_foreign_history_is_no_history)
{
    (void)state_;
    char path[200];
    run_new_process(LAST, NULL);
    snprintf(path, sizeof path, "%s/runs/x.json", cache);
    const char *texts[] = {
        "",
        "{",
        "[]",
        "{\"nodes\": 3}",
        "{\"nodes\": {\"1\": 7, \"2\": {\"class\": []}}}",
        ("{\"nodes\": {\"1\": {\"class\": \"Slow\"}, \"2\": {\"class\": \"Word\"}, \"3\": {\"class\": \"Slow\"}, "
         "\"4\": {\"class\": \"Show\"}, \"5\": {\"class\": \"Show\"}}, \"engine\": 3}")};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        FILE *file = fopen(path, "w");
        fputs(texts[i], file);
        fclose(file);
        memory_free(why(open_engine(), LAST));
    }
}

/* ---- The frame ----------------------------------------------------------------------------------------------------- */

static int fresh(void **state)
{
    (void)state;
    clear(cache);
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    calls = mmap(NULL, 2 * sizeof *calls, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    strcpy(base, "/tmp/nodus-test-reuse-XXXXXX");
    if (calls == MAP_FAILED || !mkdtemp(base)) return -1;
    snprintf(cache, sizeof cache, "%s/cache", base);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    clear(base);
    return 0;
}

#define FRESH(name) cmocka_unit_test_setup(name, fresh)

int main(void)
{
    const struct CMUnitTest cases[] = {FRESH(another_process_with_other_ids_runs_only_the_output_node),
                                       FRESH(another_workflow_finds_the_part_that_it_shares),
                                       FRESH(the_prompt_that_a_node_may_see_is_not_part_of_its_key),
                                       FRESH(a_file_with_the_same_content_is_the_same_input),
                                       FRESH(what_memory_had_to_let_go_is_read_back),
                                       FRESH(a_crowded_memory_leaves_values_on_disk_until_they_are_claimed),
                                       FRESH(what_is_never_shared_runs_in_every_process_with_what_follows),
                                       FRESH(what_a_node_keeps_local_runs_in_every_process_with_what_follows),
                                       FRESH(a_value_that_no_file_can_hold_stays_in_its_process),
                                       FRESH(an_expansion_with_an_output_node_runs_in_every_process),
                                       FRESH(another_back_end_or_version_shares_nothing),
                                       FRESH(without_a_disk_cache_nothing_is_written_or_read),
                                       FRESH(a_cache_folder_that_cannot_be_used_costs_a_warning),
                                       FRESH(four_threads_run_on_one_engine_without_memory),
                                       FRESH(a_forced_node_runs_again_with_what_follows_and_no_more),
                                       FRESH(forcing_a_node_that_is_not_there_is_refused),
                                       FRESH(two_processes_that_race_do_the_work_at_most_twice),
                                       FRESH(why_tells_where_each_result_is),
                                       FRESH(why_names_what_changed),
                                       FRESH(why_tells_evicted_from_never_kept),
                                       FRESH(broken_and_foreign_history_is_no_history)};
    return cmocka_run_group_tests(cases, set_up, tear_down);
}
