/* test_lua_nodes: files of nodes in an engine: calls on several threads at once, files that are no good, and what becomes of memory. */
#include "tests/test.h"
#include <nodus/nodus.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[] = "/tmp/nodus-lua-nodes-XXXXXX", warning[1024];

static void keep_warning(void *user, const char *text)
{
    (void)user;
    snprintf(warning, sizeof warning, "%s", text);
}

static void write_file(char *path, size_t size, const char *name, const char *text)
{
    snprintf(path, size, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static NodusStatus open_engine(const char *path, NodusEngine **out)
{
    const NodusEngineOptions options = {.struct_size = sizeof options,
                                        .base_directory = folder,
                                        .memory = 256 << 20,
                                        .threads = 2,
                                        .no_plugins = true,
                                        .warn = keep_warning,
                                        .lua_nodes = &path,
                                        .lua_node_count = 1};
    warning[0] = 0;
    return nodus_engine_new(&options, out);
}

/* What a run made of 1 + n by a chain of two nodes, −1 when it failed. */
static int64_t run_chain(NodusEngine *engine, int n)
{
    char json[512];
    NodusRun *run;
    int64_t got = -1;
    const NodusRunOptions options = {
        .struct_size = sizeof options, .keep = (const char *const[]){"2"}, .keep_count = 1};
    snprintf(json, sizeof json,
             "{\"1\":{\"class_type\":\"Grow\",\"inputs\":{\"n\":%d}},\"2\":{\"class_type\":\"Grow\",\"inputs\":{\"n\":[\"1\",0]}}}", n);
    if (nodus_run_new(engine, json, strlen(json), &options, &run)) return -1;
    nodus_run_execute(run);
    const NodusList list = nodus_run_value(run, "2", 0);
    if (list.count == 1) got = nodus_value_int(list.item[0]);
    nodus_run_free(run);
    return got;
}

static const char grow[] =
    "local d = require 'nodus.define'\n"
    "local calls = 0\n"
    "d.node{ name = 'Grow', inputs = { { 'n', 'INT' } }, outputs = { { 'INT', 'INT' } }, run = function(inputs)\n"
    "  calls = calls + 1\n"
    "  local x = d.full({ 4, 4 }, inputs.n)\n"
    "  for i = 1, 20 do x = x + 0 end\n"
    "  return inputs.n + math.tointeger(x:mean()) // inputs.n * calls\n"
    "end }\n";

typedef struct Job {
    NodusEngine *engine;
    int first, wrong;
} Job;

static void *work(void *user)
{
    Job *job = user;
    for (int i = 0; i < 25; i++) job->wrong += run_chain(job->engine, job->first + i) != job->first + i + 2;
    return NULL;
}

TEST(calls_on_several_threads_share_nothing)
{
    enum { THREADS = 4 };
    char path[256];
    NodusEngine *engine;
    pthread_t thread[THREADS];
    Job job[THREADS];
    write_file(path, sizeof path, "grow.lua", grow);
    assert_ok(open_engine(path, &engine));
    assert_string_equal(warning, "");
    for (int i = 0; i < THREADS; i++) {
        job[i] = (Job){engine, 1 + 1000 * i, 0};
        assert_int_equal(pthread_create(&thread[i], NULL, work, &job[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
        assert_int_equal(job[i].wrong, 0);
    }
    nodus_engine_free(engine);
}

TEST(a_file_that_is_no_good_is_told_and_the_engine_opens)
{
    char path[256];
    NodusEngine *engine;
    write_file(path, sizeof path, "bad.lua", "local d = require 'nodus.define'\nd.node{ name = 'Grow' }\n");
    assert_ok(open_engine(path, &engine));
    assert_non_null(strstr(warning, "bad.lua:2: node Grow: it has no run"));
    assert_null(nodus_engine_node(engine, "Grow"));
    nodus_engine_free(engine);
    assert_ok(open_engine("/nowhere/at/all", &engine));
    assert_non_null(strstr(warning, "/nowhere/at/all is left out: there is no such folder"));
    nodus_engine_free(engine);
}

TEST(a_folder_brings_all_its_files)
{
    NodusEngine *engine;
    assert_ok(open_engine(folder, &engine));
    assert_non_null(nodus_engine_node(engine, "Grow"));
    assert_non_null(strstr(warning, "bad.lua")); /* it stays the only one that is left out */
    assert_int_equal(run_chain(engine, 5), 7);
    nodus_engine_free(engine);
}

int main(void)
{
    const struct CMUnitTest cases[] = {CASE(calls_on_several_threads_share_nothing),
                                       CASE(a_file_that_is_no_good_is_told_and_the_engine_opens),
                                       CASE(a_folder_brings_all_its_files)};
    char command[64];
    if (!mkdtemp(folder)) return 1;
    const int failed = cmocka_run_group_tests(cases, NULL, NULL);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) ? 1 : failed;
}
