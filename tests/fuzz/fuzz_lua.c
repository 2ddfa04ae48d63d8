/* fuzz_lua.c: any bytes as a Lua script with small limits, on an engine without models. It ends, in success or in a message; what
 * it allocated is freed, and never is much more than its limit in use. */
#include <nodus/nodus.h>
#include <sanitizer/allocator_interface.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* MOST: of the process, over what it had: the limit, a tensor on its way, and what the engine and a node may use. */
enum { LIMIT = 16 << 20, ENGINE = 64 << 20, MOST = 512 << 20 };
enum { PATIENCE = 5 /* seconds that a script's runs may take */ };
static size_t printed;

static void require(bool condition)
{
    if (!condition) __builtin_trap();
}

static NodusEngine *open_engine(void)
{
    NodusEngine *engine;
    const NodusEngineOptions options = {.struct_size = sizeof options,
                                        .threads = 1,
                                        .memory = ENGINE,
                                        .device = "ref",
                                        .base_directory = "/dev/null/none", /* nothing can be made there: scripts write files */
                                        .no_cache = true,
                                        .no_plugins = true};
    require(!nodus_engine_new(&options, &engine));
    return engine;
}

static void print(void *user, const char *text, size_t length)
{
    (void)user;
    printed += strnlen(text, length);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static double give_up;
static NodusRun *running;

/* Runs are not counted in a script's time: so that this ends, they are cancelled. */
static void event(void *user, const NodusEvent *e)
{
    (void)user;
    (void)e;
    if (running && now() > give_up) nodus_run_cancel(running);
}

static void prepare(void *user, NodusRunOptions *options)
{
    (void)user;
    *options = (NodusRunOptions){.struct_size = sizeof *options, .event = event};
}

static void watch(void *user, NodusRun *run, bool ended)
{
    (void)user;
    running = ended ? NULL : run;
}

static bool cancelled(void *user)
{
    (void)user;
    return now() > give_up;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static NodusEngine *engine;
    if (!engine) engine = open_engine();
    const NodusScriptOptions options = {.struct_size = sizeof options,
                                        .name = "s.lua",
                                        .memory = LIMIT,
                                        .instructions = 1000000,
                                        .seconds = 0.2,
                                        .print = print,
                                        .prepare = prepare,
                                        .watch = watch,
                                        .cancelled = cancelled};
    NodusStatus error;
    const size_t before = __sanitizer_get_current_allocated_bytes();
    give_up = now() + PATIENCE;
    const NodusOutcome outcome = nodus_script_run(engine, (const char *)data, size, &options, &error);
    require((outcome == NODUS_SUCCESS) == !error);
    if (error) require(nodus_error_message(error)[0]);
    nodus_error_free(error);
    require(__sanitizer_get_current_allocated_bytes() < before + MOST);
    return 0;
}
