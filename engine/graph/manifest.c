/* manifest.c: a walk from a node up its links, collecting files, seeds and settings.
 *
 * One idea: nothing is known here of samplers or loaders. A model is what an input with a model folder names; a node with
 * settings worth telling is one that takes a seed, a sampler or a scheduler. */
#include "engine/graph/manifest.h"
#include "engine/base/file.h"
#include "engine/base/status.h"
#include "engine/graph/facts.h"
#include "engine/graph/filehash.h"
#include "engine/graph/run.h"
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

enum { WHOLE_UP_TO = 64 << 20, END_BYTES = 1 << 20 };

typedef struct Manifest {
    NodusEngine *engine;
    const Workflow *workflow;
    const bool *used;
    Text *out;
    bool any; /* a comma is due */
} Manifest;

/* ---- Which nodes --------------------------------------------------------------------------------------------------- */

/* used[n]: the node at `from` is n or depends on it. Sources stand before their readers in the order. */
static void mark_used(const Workflow *workflow, int32_t from, bool *used)
{
    used[from] = true;
    for (int32_t k = workflow->order_count - 1; k >= 0; k--) {
        const Node *node = &workflow->node[workflow->order[k]];
        for (uint32_t i = 0; used[workflow->order[k]] && i < node->binds; i++)
            if (node->bind[i].kind == BIND_LINK) used[node->bind[i].source] = true;
    }
}

/* ---- Lists --------------------------------------------------------------------------------------------------------- */

static void put_member(Text *out, const char *name, const char *text)
{
    text_format(out, "\"%s\": ", name);
    json_put_string(out, text, true);
}

static void begin_item(Manifest *manifest)
{
    if (manifest->any) text_add(manifest->out, ", ");
    manifest->any = true;
}

/* Each input of each node in use. */
static NodusStatus each_input(Manifest *manifest, const char *list, NodusStatus (*put)(Manifest *, int32_t node, uint32_t input))
{
    text_format(manifest->out, ", \"%s\": [", list);
    manifest->any = false;
    for (int32_t n = 0; n < manifest->workflow->count; n++) {
        const Node *node = &manifest->workflow->node[n];
        for (uint32_t i = 0; manifest->used[n] && node->def && i < node->def->input_count; i++) NODUS_TRY(put(manifest, n, i));
    }
    text_char(manifest->out, ']');
    return NULL;
}

/* ---- Models -------------------------------------------------------------------------------------------------------- */

static NodusStatus hash_ends(const char *path, Hash128 *out)
{
    FileMap map;
    NODUS_TRY(file_map(path, &map));
    const size_t end = map.size < END_BYTES ? map.size : END_BYTES;
    NodusHash *hash = hash_new();
    if (hash) {
        nodus_hash_u64(hash, map.size);
        nodus_hash_bytes(hash, map.data, end);
        nodus_hash_bytes(hash, map.data + map.size - end, end);
        *out = hash_value(hash);
    }
    NodusStatus status = hash ? NULL : status_memory();
    hash_free(hash);
    file_unmap(&map);
    return status;
}

/* A file that has gone meanwhile is named without size and hash. */
static NodusStatus put_file(Manifest *manifest, const char *path)
{
    struct stat info;
    Hash128 hash;
    char hex[33];
    if (stat(path, &info)) return NULL;
    const bool whole = info.st_size <= WHOLE_UP_TO;
    NodusStatus status = whole ? filehash_get(manifest->engine->files, path, &hash) : hash_ends(path, &hash);
    if (status && nodus_error_kind(status) == NODUS_ERROR_MEMORY) return status;
    if (!status) {
        hash_hex(hash, hex);
        text_format(manifest->out, ", \"bytes\": %" PRIu64 ", \"hash\": \"%s:%s\"", (uint64_t)info.st_size,
                    whole ? "xxh128" : "xxh128-ends", hex);
    }
    nodus_error_free(status);
    return NULL;
}

static NodusStatus put_model(Manifest *manifest, int32_t n, uint32_t i)
{
    const Node *node = &manifest->workflow->node[n];
    const NodusInput *input = &node->def->inputs[i];
    const NodusValue *value = facts_value(manifest->workflow->facts, manifest->workflow, n, i);
    if (input->kind != NODUS_COMBO || input->as.c.names || !value || value->kind != VALUE_STRING) return NULL;
    const char *folder = input->as.c.folder;
    if (!folder || *folder == '@' || !strcmp(folder, "input") || !strcmp(folder, "output")) return NULL;
    char *path;
    NODUS_TRY(folders_find(manifest->engine->folders, folder, value->as.text, &path));
    begin_item(manifest);
    text_char(manifest->out, '{');
    put_member(manifest->out, "node", node->id);
    text_add(manifest->out, ", ");
    put_member(manifest->out, "folder", folder);
    text_add(manifest->out, ", ");
    put_member(manifest->out, "file", value->as.text);
    NodusStatus status = path ? put_file(manifest, path) : NULL;
    text_char(manifest->out, '}');
    memory_free(path);
    return status;
}

/* ---- Settings ------------------------------------------------------------------------------------------------------ */

static bool has_settings(const NodusNode *def)
{
    for (uint32_t i = 0; i < def->input_count; i++) {
        const NodusInput *input = &def->inputs[i];
        if (input->kind == NODUS_SEED) return true;
        if (input->kind == NODUS_COMBO && input->as.c.folder && *input->as.c.folder == '@') return true;
    }
    return false;
}

static bool is_setting(const NodusInput *input)
{
    return input->kind == NODUS_INT || input->kind == NODUS_SEED || input->kind == NODUS_FLOAT || input->kind == NODUS_BOOLEAN ||
           input->kind == NODUS_COMBO;
}

static void put_value(Manifest *manifest, int32_t n, uint32_t i)
{
    const NodusValue *value = facts_value(manifest->workflow->facts, manifest->workflow, n, i);
    if (value) value_short(value, manifest->out);
    else json_print(manifest->out, manifest->workflow->node[n].item[i], true, true);
}

static NodusStatus put_setting(Manifest *manifest, int32_t n, uint32_t i)
{
    const Node *node = &manifest->workflow->node[n];
    if (!has_settings(node->def)) return NULL;
    if (i == 0) {
        begin_item(manifest);
        text_char(manifest->out, '{');
        put_member(manifest->out, "node", node->id);
        text_add(manifest->out, ", ");
        put_member(manifest->out, "class_type", node->class_type);
    }
    if (is_setting(&node->def->inputs[i]) && node->item[i]) {
        text_format(manifest->out, ", \"%s\": ", node->def->inputs[i].name);
        put_value(manifest, n, i);
    }
    if (i + 1 == node->def->input_count) text_char(manifest->out, '}');
    return NULL;
}

static NodusStatus put_seed(Manifest *manifest, int32_t n, uint32_t i)
{
    const Node *node = &manifest->workflow->node[n];
    if (node->def->inputs[i].kind != NODUS_SEED || !node->item[i]) return NULL;
    begin_item(manifest);
    put_value(manifest, n, i);
    return NULL;
}

/* ---- The whole ----------------------------------------------------------------------------------------------------- */

static NodusStatus put_lists(Manifest *manifest)
{
    NODUS_TRY(each_input(manifest, "models", put_model));
    NODUS_TRY(each_input(manifest, "settings", put_setting));
    return each_input(manifest, "seeds", put_seed);
}

NodusStatus manifest_members(const NodusCall *call, Text *out)
{
    const Device *device = call->engine->device;
    const Node *visible = call->node->visible ? call->node->visible : call->node;
    const int32_t node = workflow_find(call->workflow, visible->id);
    bool *used = memory_array((size_t)call->workflow->count + 1, sizeof *used);
    if (!used) return status_memory();
    if (node >= 0) mark_used(call->workflow, node, used);
    put_member(out, "version", NODUS_VERSION);
    text_add(out, ", ");
    put_member(out, "device", device->backend->name);
    text_add(out, ", ");
    put_member(out, "instruction_set", device->backend->variant(device->handle));
    text_format(out, ", \"precision\": \"f32\", \"numerics\": %d", NUMERICS_REVISION);
    Manifest manifest = {.engine = call->engine, .workflow = call->workflow, .used = used, .out = out};
    NodusStatus status = put_lists(&manifest);
    memory_free(used);
    if (call->run) text_format(out, ", \"seconds\": %.3f", file_clock() - call->run->started);
    return status ? status : out->failed ? status_memory() : NULL;
}
