/* fuzz_frame.c: any bytes as what the process of an isolated plug-in sends: the first says whether the rest is a packet with tables in
 * it, the tables alone, or an answer with values. Tables that are accepted are registered and told to clients, written and read
 * again, and are then the same bytes each time. */
#include "engine/base/memory.h"
#include "engine/graph/engine.h"
#include "engine/graph/isolate.h"
#include "engine/graph/object_info.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LIMIT = 1 << 20, MODES = 3 };

static void require(bool condition)
{
    if (!condition) __builtin_trap();
}

/* A plug-in made of those bytes, in a registry of its own; *written: its tables, if nothing was wrong with them. */
static bool make_plugin(const uint8_t *data, size_t size, Folders *folders, NodusWriter *written)
{
    Registry *registry;
    NodusPlugin plugin = {0};
    Isolated isolated = {.plugin = &plugin, .arena = arena_new()};
    require(!registry_new(&registry));
    plugin.registry = registry;
    NodusReader reader = {.data = data, .size = size};
    NodusStatus status = isolate_get_tables(&reader, &isolated);
    if (!status) status = isolate_own_types(&isolated);
    if (!status) status = plugin_register(&plugin);
    const bool good = !status && !faults_any(&plugin.faults);
    Text text = {0};
    for (size_t i = 0; good && i < plugin.stage[PLUGIN_NODE].count; i++)
        require(!object_info_print(registry, folders, plugin.stage[PLUGIN_NODE].item[i], &text));
    if (good) require(!isolate_put_tables(written, &plugin));
    nodus_error_free(status);
    text_free(&text);
    registry_free(registry);
    for (int kind = 0; kind < PLUGIN_KINDS; kind++) {
        for (size_t i = 0; i < plugin.stage[kind].count; i++) memory_free(plugin.stage[kind].item[i]);
        memory_free(plugin.stage[kind].item);
    }
    faults_free(&plugin.faults);
    arena_free(isolated.arena);
    return good;
}

static void read_tables(const uint8_t *data, size_t size, Folders *folders)
{
    NodusWriter first = {.limit = LIMIT}, second = {.limit = LIMIT};
    if (make_plugin(data, size, folders, &first)) {
        require(make_plugin(first.data, first.size, folders, &second));
        require(first.size == second.size && !memcmp(first.data, second.data, first.size));
    }
    memory_free(first.data);
    memory_free(second.data);
}

static void read_answer(const uint8_t *data, size_t size, const NodusEngine *engine)
{
    NodusReader reader = {.data = data, .size = size, .device = engine->device};
    NodusStatus said = NULL, status = frame_get_status(&reader, &said);
    while (!status && record_items_left(&reader)) {
        NodusValue *value;
        status = frame_get_value(&reader, engine->registry, &value);
        if (!status) value_unref(value);
    }
    nodus_error_free(said);
    nodus_error_free(status);
}

static void read_packet(const uint8_t *data, size_t size, Folders *folders)
{
    FrameKind kind;
    size_t body;
    bool file;
    NodusStatus status = frame_check(data, size, LIMIT, &kind, &body, &file);
    if (!status) require(kind > FRAME_END && kind < FRAME_KINDS && body <= LIMIT);
    if (!status && !file) {
        uint8_t *copy = memory_alloc(body);
        if (body) memcpy(copy, data + FRAME_HEAD, body);
        read_tables(copy, body, folders);
        memory_free(copy);
    }
    nodus_error_free(status);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static NodusEngine *engine;
    const NodusEngineOptions options = {
        .struct_size = sizeof options, .threads = 1, .memory = 64 << 20, .device = "ref", .base_directory = "/nonexistent"};
    if (!engine) require(!nodus_engine_new(&options, &engine));
    if (!size) return 0;
    uint8_t *exact = memory_alloc(size - 1); /* so that one byte more is one too many */
    if (size > 1) memcpy(exact, data + 1, size - 1);
    if (data[0] % MODES == 0) read_packet(exact, size - 1, engine->folders);
    else if (data[0] % MODES == 1) read_tables(exact, size - 1, engine->folders);
    else read_answer(exact, size - 1, engine);
    memory_free(exact);
    return 0;
}
