/* history.c: a file a run in CACHE/runs, as JSON:
 *
 *   {"engine": …, "file": …, "nodes": {"3": {"class": …, "version": 1, "signature": …, "outside": …,
 *                                            "inputs": {"cfg": "7", …}}, …}}
 *
 * One idea: the file's name is the hash of the workflow's ids and classes, so the next run of the same workflow replaces it, and
 * only workflows that differ in these take room; of them the newest few are kept. */
#include "engine/graph/history.h"
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/graph/call.h"
#include "engine/graph/signature.h"
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MOST_NODES = 5000, /* larger workflows are not remembered: writing them down would cost more than running them */
    MOST_FILES = 64,   /* workflows that are remembered */
    MOST_OF_A_VALUE = 4000 /* bytes */,
    LARGEST_FILE = 32 << 20
};

/* ---- What a node was given ----------------------------------------------------------------------------------------- */

void history_engine(NodusEngine *engine, Text *out)
{
    const Backend *backend = engine->device->backend;
    text_format(out, "%s %s, numerics %d, nodus " NODUS_VERSION, backend->name, backend->variant(engine->device->handle),
                NUMERICS_REVISION);
}

bool history_input(const Node *node, uint32_t i, const char **name, Text *value)
{
    const uint32_t declared = node->def->input_count;
    *name = i < declared ? node->def->inputs[i].name : node->extra[i - declared];
    if (node->bind[i].kind == BIND_NONE || !node->item[i]) return false;
    json_print(value, node->item[i], false, false);
    if (value->length > MOST_OF_A_VALUE) {
        char hex[33];
        hash_hex(hash_of(value->data, value->length), hex);
        value->length = MOST_OF_A_VALUE;
        while (value->length && ((unsigned char)value->data[value->length] & 0xc0) == 0x80) value->length--;
        text_format(value, "… %s", hex);
    }
    return true;
}

NodusStatus history_outside(const NodusRun *run, const Node *node, NodusHash *hash, char out[33])
{
    *out = '\0';
    if (!node->def->fingerprint) return NULL;
    hash_reset(hash);
    NodusStatus status = call_fingerprint(run->engine, run->workflow, node, hash);
    if (!status) hash_hex(hash_value(hash), out);
    if (status && nodus_error_kind(status) == NODUS_ERROR_MEMORY) return status;
    nodus_error_free(status); /* a file that is not there: the node itself tells */
    return NULL;
}

/* ---- Writing ------------------------------------------------------------------------------------------------------- */

static void put_inputs(const Node *node, Text *out)
{
    bool first = true;
    for (uint32_t i = 0; i < node->binds; i++) {
        const char *name;
        Text value = {0};
        if (history_input(node, i, &name, &value)) {
            if (!first) text_char(out, ',');
            first = false;
            json_put_string(out, name, false);
            text_char(out, ':');
            json_put_string(out, text_get(&value), false);
        }
        out->failed |= value.failed;
        text_free(&value);
    }
}

static NodusStatus put_node(const NodusRun *run, const Node *node, Hash128 signature, NodusHash *hash, Text *out)
{
    char hex[33];
    json_put_string(out, node->id, false);
    text_add(out, ":{\"class\":");
    json_put_string(out, node->class_type, false);
    hash_hex(signature, hex);
    text_format(out, ",\"version\":%u,\"signature\":\"%s\",\"outside\":\"", node->def->version, hex);
    NODUS_TRY(history_outside(run, node, hash, hex));
    text_add(out, hex);
    text_add(out, "\",\"inputs\":{");
    put_inputs(node, out);
    text_add(out, "}}");
    return NULL;
}

static NodusStatus put_run(const NodusRun *run, const Hash128 *signature, NodusHash *hash, Text *out)
{
    const Workflow *workflow = run->workflow;
    Text engine = {0};
    history_engine(run->engine, &engine);
    text_add(out, "{\"engine\":");
    json_put_string(out, text_get(&engine), false);
    text_free(&engine);
    text_add(out, ",\"file\":");
    json_put_string(out, run->options.file ? run->options.file : "", false);
    text_add(out, ",\"nodes\":{");
    bool first = true;
    for (int32_t k = 0; k < workflow->order_count; k++) {
        const int32_t n = workflow->order[k];
        if (workflow->node[n].bad) continue;
        if (!first) text_char(out, ',');
        first = false;
        NODUS_TRY(put_node(run, &workflow->node[n], signature[n], hash, out));
    }
    text_add(out, "}}\n");
    return out->failed ? status_memory() : NULL;
}

static void name_of(const Workflow *workflow, NodusHash *hash, char hex[33])
{
    hash_reset(hash);
    for (int32_t k = 0; k < workflow->order_count; k++) {
        nodus_hash_text(hash, workflow->node[workflow->order[k]].id);
        nodus_hash_text(hash, workflow->node[workflow->order[k]].class_type);
    }
    hash_hex(hash_value(hash), hex);
}

static NodusStatus write_text(const char *folder, const char *name, const Text *text)
{
    NODUS_TRY(file_make_folders(folder));
    char *path = file_join(folder, name);
    if (!path) return status_memory();
    NodusStatus status = file_write_whole(path, text_get(text), text->length);
    memory_free(path);
    return status;
}

/* ---- The folder ---------------------------------------------------------------------------------------------------- */

/* Calls `each` for every remembered run until it says false. */
static void for_each_file(const char *folder, bool (*each)(const char *path, const struct stat *info, void *user), void *user)
{
    DIR *stream = opendir(folder);
    bool more = true;
    for (struct dirent *entry; stream && more && (entry = readdir(stream));) {
        const char *end = strrchr(entry->d_name, '.');
        struct stat info;
        char *path = end && !strcmp(end, ".json") ? file_join(folder, entry->d_name) : NULL;
        if (path && !stat(path, &info)) more = each(path, &info, user);
        memory_free(path);
    }
    if (stream) closedir(stream);
}

typedef struct Oldest {
    char path[4096];
    struct timespec time;
    int files;
} Oldest;

static bool is_newer(struct timespec a, struct timespec b)
{
    return a.tv_sec > b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec > b.tv_nsec);
}

static bool look_for_oldest(const char *path, const struct stat *info, void *user)
{
    Oldest *oldest = user;
    if (!oldest->files++ || is_newer(oldest->time, info->st_mtim)) {
        oldest->time = info->st_mtim;
        snprintf(oldest->path, sizeof oldest->path, "%s", path);
    }
    return true;
}

/* One more than allowed is one too many; more than that were put there by somebody else. */
static void forget_oldest(const char *folder)
{
    Oldest oldest = {.files = 0};
    for_each_file(folder, look_for_oldest, &oldest);
    if (oldest.files > MOST_FILES) unlink(oldest.path);
}

void history_note(const NodusRun *run)
{
    const char *folder = run->engine->history;
    if (!folder || run->workflow->order_count > MOST_NODES) return;
    char name[40] = "";
    Text text = {0};
    Hash128 *signature = NULL;
    NodusHash *hash = hash_new();
    NodusStatus status = hash ? signature_all(run->engine, run->workflow, &signature) : status_memory();
    if (!status) status = put_run(run, signature, hash, &text);
    if (!status) name_of(run->workflow, hash, name);
    strcat(name, ".json");
    if (!status) status = write_text(folder, name, &text);
    if (!status) forget_oldest(folder);
    nodus_error_free(status);
    memory_free(signature);
    text_free(&text);
    hash_free(hash);
}

/* ---- Finding ------------------------------------------------------------------------------------------------------- */

typedef struct Search {
    const NodusRun *run;
    Json *best;
    int32_t common; /* nodes that the best has */
    bool same_file;
    struct timespec time;
    NodusStatus status;
} Search;

static const cJSON *nodes_of(const Json *json)
{
    return json_get(json_root(json), "nodes");
}

static int32_t find_same(const Workflow *workflow, const cJSON *past)
{
    const char *class = json_string(json_get(past, "class"));
    const int32_t n = past->string ? workflow_find(workflow, past->string) : -1;
    if (n < 0 || !class || !workflow->node[n].def || !workflow->node[n].reached) return -1;
    return strcmp(class, workflow->node[n].class_type) ? -1 : n;
}

/* At least half of the nodes must be the same; then more nodes, then the same file name, then the later run. */
static void consider(Search *search, Json *json, const struct stat *info)
{
    const NodusRun *run = search->run;
    const char *file = json_string(json_get(json_root(json), "file"));
    const bool same_file = file && run->options.file && !strcmp(file, run->options.file);
    int32_t common = 0;
    for (const cJSON *past = nodes_of(json) ? nodes_of(json)->child : NULL; past; past = past->next)
        common += find_same(run->workflow, past) >= 0;
    bool better = common > search->common;
    if (common == search->common && common)
        better = same_file != search->same_file ? same_file : is_newer(info->st_mtim, search->time);
    if (common * 2 < run->workflow->order_count || !better) {
        json_free(json);
        return;
    }
    json_free(search->best);
    search->best = json;
    search->common = common;
    search->same_file = same_file;
    search->time = info->st_mtim;
}

static bool look_at_file(const char *path, const struct stat *info, void *user)
{
    Search *search = user;
    uint8_t *data = NULL;
    size_t size;
    Json *json;
    NodusStatus status = file_read(path, LARGEST_FILE, &data, &size);
    if (!status) status = json_parse((const char *)data, size, &json);
    memory_free(data);
    if (!status) consider(search, json, info);
    else if (nodus_error_kind(status) == NODUS_ERROR_MEMORY) search->status = status;
    else nodus_error_free(status); /* a file that makes no sense is as good as none */
    return !search->status;
}

NodusStatus history_find(const NodusRun *run, History *out, bool *found)
{
    const Workflow *workflow = run->workflow;
    Search search = {.run = run};
    *out = (History){0};
    *found = false;
    if (run->engine->history) for_each_file(run->engine->history, look_at_file, &search);
    out->json = search.best;
    if (search.status || !search.best) return search.status;
    out->node = memory_array((size_t)workflow->count + 1, sizeof *out->node);
    if (!out->node) return status_memory();
    for (const cJSON *past = nodes_of(search.best)->child; past; past = past->next) {
        const int32_t n = find_same(workflow, past);
        if (n >= 0) out->node[n] = past;
    }
    out->engine = json_string(json_get(json_root(search.best), "engine"));
    *found = true;
    return NULL;
}

void history_close(History *history)
{
    json_free(history->json);
    memory_free(history->node);
}
