/* fuzz_workflow.c: any bytes as a prompt for an engine with all nodes. Whatever it is, the answer is a report in JSON, the same
 * each time. */
#include "engine/formats/json.h"
#include <nodus/nodus.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) __builtin_trap();
}

static NodusEngine *open_engine(void)
{
    NodusEngine *engine;
    const NodusEngineOptions options = {
        .struct_size = sizeof options, .threads = 1, .memory = 64 << 20, .device = "ref", .base_directory = "/dev/null/none"};
    NodusStatus status = nodus_engine_new(&options, &engine);
    require(!status);
    return engine;
}

static char *check(NodusEngine *engine, const uint8_t *data, size_t size, bool strict)
{
    char *report = NULL;
    bool valid;
    require(!nodus_engine_check(engine, (const char *)data, size, strict, &report, &valid));
    Json *json;
    require(!json_parse(report, strlen(report), &json));
    require(cJSON_IsTrue(json_get(json_root(json), "valid")) == valid);
    json_free(json);
    return report;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static NodusEngine *engine;
    if (!engine) engine = open_engine();
    char *lax = check(engine, data, size, false), *again = check(engine, data, size, false),
         *strict = check(engine, data, size, true);
    require(!strcmp(lax, again));
    nodus_free(lax);
    nodus_free(again);
    nodus_free(strict);
    return 0;
}
