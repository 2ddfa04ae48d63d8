/* fuzz_ui.c: any bytes as a saved workflow, for a registry of all nodes. What converts is a prompt: nodes with a class and
 * inputs, links to nodes that are there; the same text each time; and converting it again changes nothing. */
#include "engine/formats/json.h"
#include "engine/graph/ui.h"
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
        .struct_size = sizeof options, .threads = 1, .memory = 64 << 20, .device = "ref", .base_directory = "/nonexistent"};
    require(!nodus_engine_new(&options, &engine));
    return engine;
}

static char *convert(NodusEngine *engine, const char *text, size_t size, bool fill)
{
    const NodusConvertOptions options = {.struct_size = sizeof options, .fill_defaults = fill};
    char *prompt = NULL, *warnings = NULL;
    NodusStatus status = nodus_convert(engine, text, size, &options, &prompt, &warnings);
    require(!status == (prompt && warnings));
    require(!status || *nodus_error_message(status));
    nodus_error_free(status);
    nodus_free(warnings);
    return prompt;
}

static bool is_ui(const uint8_t *data, size_t size)
{
    Json *json;
    NodusStatus status = json_parse((const char *)data, size, &json);
    nodus_error_free(status);
    if (status) return false;
    const cJSON *root = json_root(json), *inner = json_get(root, "prompt");
    const bool envelope = cJSON_IsObject(inner) && !json_get(inner, "class_type");
    const bool answer = ui_is(envelope ? inner : root);
    json_free(json);
    return answer;
}

static void look_at(const char *prompt)
{
    Json *json;
    require(!json_parse(prompt, strlen(prompt), &json));
    for (const cJSON *node = json_root(json)->child; node; node = node->next) {
        const cJSON *inputs = json_get(node, "inputs");
        require(json_string(json_get(node, "class_type")) && cJSON_IsObject(inputs));
        for (const cJSON *input = inputs->child; input; input = input->next) {
            if (!cJSON_IsArray(input)) continue;
            require(cJSON_GetArraySize(input) == 2 && json_is_integer(input->child->next));
            require(json_get(json_root(json), json_string(input->child)));
        }
    }
    json_free(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static NodusEngine *engine;
    if (!engine) engine = open_engine();
    char *prompt = convert(engine, (const char *)data, size, false);
    if (!prompt) return 0;
    char *again = convert(engine, (const char *)data, size, false), *same = convert(engine, prompt, strlen(prompt), false);
    require(again && same && !strcmp(prompt, again) && !strcmp(prompt, same));
    char *filled = convert(engine, prompt, strlen(prompt), true);
    require(filled && strlen(filled) >= strlen(prompt));
    if (is_ui(data, size)) look_at(prompt);
    nodus_free(prompt);
    nodus_free(again);
    nodus_free(same);
    nodus_free(filled);
    return 0;
}
