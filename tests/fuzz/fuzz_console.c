/* fuzz_console.c: up to its first zero byte the input is a piece for the console, which is asked about and run; what is behind is completed
 * on what the piece left. Completion runs and prints nothing, and offers plain words; where it begins is within the text. */
#include <nodus/nodus.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t printed;

static void require(bool condition)
{
    if (!condition) __builtin_trap();
}

static void print(void *user, const char *text, size_t length)
{
    (void)user;
    printed += strnlen(text, length) + 1;
}

static NodusEngine *open_engine(void)
{
    NodusEngine *engine;
    const NodusEngineOptions options = {.struct_size = sizeof options, .threads = 1, .memory = 64 << 20, .device = "ref",
                                        .base_directory = "/dev/null/none" /* nothing is written */, .no_cache = true,
                                        .no_plugins = true};
    require(!nodus_engine_new(&options, &engine));
    return engine;
}

static void complete(NodusScript *script, const char *text, size_t length)
{
    size_t start = SIZE_MAX;
    char *names = NULL;
    const size_t before = printed;
    NodusStatus status = nodus_script_complete(script, text, length, &start, &names);
    require(printed == before && start <= length && !(status && names));
    for (const char *name = names ? names : ""; *name; name++) require((unsigned char)*name >= ' ' || *name == '\n');
    if (status) require(nodus_error_message(status)[0]);
    nodus_error_free(status);
    nodus_free(names);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static NodusEngine *engine;
    if (!engine) engine = open_engine();
    const NodusScriptOptions options = {.struct_size = sizeof options, .name = "c", .memory = 48 << 20, .instructions = 300000,
                                        .seconds = 0.3, .print = print, .console = true};
    NodusScript *script;
    NodusStatus error = NULL;
    const char *text = (const char *)data, *zero = size ? memchr(text, 0, size) : NULL;
    const size_t piece = zero ? (size_t)(zero - text) : size;
    require(!nodus_script_open(engine, &options, &script));
    if (!nodus_script_incomplete(script, text, piece)) {
        const NodusOutcome outcome = nodus_script_do(script, text, piece, &error);
        require((outcome == NODUS_SUCCESS) == !error);
    }
    nodus_error_free(error);
    if (zero) complete(script, zero + 1, size - piece - 1);
    else complete(script, text, size);
    nodus_script_close(script);
    return 0;
}
