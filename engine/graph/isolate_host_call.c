/* isolate_host_call.c: a function of a node, called in the child process.
 *
 * One idea: the function runs as in the engine, with a call of its own; what it emits is collected here and sent when it returns, and
 * what it asks of its run meanwhile is asked over the socket. */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/graph/isolate.h"
#include <fenv.h>
#include <string.h>

enum { OPTIONS = 4, MOST_EXTRA = 1 << 16 };

/* A call that is open: CallHost's functions get the NodusCall in it. */
typedef struct HostCall {
    NodusCall call; /* first */
    Host *host;
    const char *option[OPTIONS];
    Node node;
    Execution execution;
    CallInputs inputs;
    NodusValue **value; /* all that it was given */
    size_t values, capacity;
} HostCall;

/* ---- What the function asks of its run ------------------------------------------------------------------------------ */

static Host *host_of(NodusCall *call)
{
    return ((HostCall *)call)->host;
}

/* For questions whose answer is a status alone. */
static NodusStatus ask(NodusCall *call, FrameKind kind, NodusWriter *body, NodusStatus written)
{
    Frame answer = {0};
    NodusReader reader;
    NodusStatus status = written ? written : isolate_ask(host_of(call), kind, body, &answer, &reader);
    memory_free(body->data);
    frame_free(&answer);
    return status;
}

/* For those with a text, which then lives until the call returns. */
static NodusStatus ask_text(NodusCall *call, FrameKind kind, NodusWriter *body, NodusStatus written, const char **out)
{
    Frame answer = {0};
    NodusReader reader;
    char *text = NULL;
    NodusStatus status = written ? written : isolate_ask(host_of(call), kind, body, &answer, &reader);
    if (!status) status = frame_get_text(&reader, &text);
    char *copy = status ? NULL : nodus_alloc(call, strlen(text) + 1);
    if (copy) strcpy(copy, text);
    else if (!status) status = status_memory();
    *out = copy;
    memory_free(text);
    memory_free(body->data);
    frame_free(&answer);
    return status;
}

static NodusStatus ask_progress(NodusCall *call, double value, double max, const NodusTensor *preview)
{
    NodusWriter body = {.limit = SIZE_MAX, .raw = true};
    NodusStatus status = nodus_write_double(&body, value);
    if (!status) status = nodus_write_double(&body, max);
    if (!status) status = nodus_write_tensor(&body, nodus_option(call, "previews") ? preview : NULL);
    return ask(call, FRAME_PROGRESS, &body, status);
}

static NodusStatus ask_expect(NodusCall *call, const char *kind, double flop)
{
    NodusWriter body = {.limit = SIZE_MAX};
    NodusStatus status = nodus_write_double(&body, flop);
    if (!status) status = nodus_write_text(&body, kind);
    return ask(call, FRAME_EXPECT, &body, status);
}

static void send_warning(NodusCall *call, const char *text)
{
    Host *host = host_of(call);
    NodusWriter body = {.limit = SIZE_MAX};
    NodusStatus status = nodus_write_text(&body, text);
    pthread_mutex_lock(&host->lock);
    if (!status) status = frame_send(host->socket, FRAME_WARN, &body);
    pthread_mutex_unlock(&host->lock);
    nodus_error_free(status);
    memory_free(body.data);
}

static const char *give_option(NodusCall *call, const char *name)
{
    static const char *const names[OPTIONS] = {"disable_metadata", "previews", "png_fast", "noise_compat"};
    for (int i = 0; i < OPTIONS; i++)
        if (!strcmp(name, names[i])) return ((HostCall *)call)->option[i];
    return NULL;
}

static NodusStatus ask_file(NodusCall *call, const char *folder, const char *name, const char **path)
{
    NodusWriter body = {.limit = SIZE_MAX};
    NodusStatus status = nodus_write_text(&body, folder);
    if (!status) status = nodus_write_text(&body, name);
    return ask_text(call, FRAME_FIND, &body, status, path);
}

static NodusStatus ask_folder(NodusCall *call, const char *which, const char **path)
{
    NodusWriter body = {.limit = SIZE_MAX};
    NodusStatus status = nodus_write_text(&body, which);
    return ask_text(call, FRAME_FOLDER, &body, status, path);
}

static NodusStatus ask_manifest(NodusCall *call, Text *text)
{
    const char *members = NULL;
    NodusWriter body = {.limit = SIZE_MAX};
    NODUS_TRY(ask_text(call, FRAME_MANIFEST, &body, NULL, &members));
    text_add(text, members);
    return text->failed ? status_memory() : NULL;
}

static const CallHost asking = {ask_progress, ask_expect, send_warning, give_option, ask_file, ask_folder, ask_manifest};

/* ---- What it is given ---------------------------------------------------------------------------------------------- */

static NodusStatus get_value(HostCall *open, NodusReader *reader, NodusValue **out)
{
    void *items = open->value;
    if (!memory_reserve(&items, &open->capacity, open->values, sizeof *open->value)) return status_memory();
    open->value = items;
    NODUS_TRY(frame_get_value(reader, open->host->engine->registry, out));
    open->value[open->values++] = *out;
    return NULL;
}

static NodusStatus get_list(HostCall *open, NodusReader *reader, NodusList *out)
{
    size_t count;
    NODUS_TRY(frame_get_count(reader, UINT32_MAX, &count));
    NodusValue **items = nodus_alloc(&open->call, count * sizeof *items + 1);
    if (!items) return status_memory();
    for (size_t i = 0; i < count; i++) NODUS_TRY(get_value(open, reader, &items[i]));
    *out = (NodusList){items, (uint32_t)count};
    return NULL;
}

static NodusStatus get_text(HostCall *open, NodusReader *reader, const char **out)
{
    char *text;
    NODUS_TRY(nodus_read_text(reader, &text));
    char *copy = text ? nodus_alloc(&open->call, strlen(text) + 1) : NULL;
    if (copy) strcpy(copy, text);
    const bool lost = text && !copy;
    memory_free(text);
    *out = copy;
    return lost ? status_memory() : NULL;
}

/* A link's payload, or any value itself. */
static NodusStatus get_link(HostCall *open, NodusReader *reader, const NodusInput *input, void *field)
{
    uint64_t given;
    NodusValue *value;
    NODUS_TRY(nodus_read_u64(reader, &given));
    if (!given) return NULL;
    NODUS_TRY(get_value(open, reader, &value));
    if (input->kind == NODUS_ANY) *(NodusValue **)field = value;
    else if (value->kind == VALUE_PAYLOAD) *(const void **)field = value->as.payload;
    else return nodus_input_error(&open->call, input->name, "a %s is wanted here", input->type);
    return NULL;
}

static NodusStatus get_input(HostCall *open, NodusReader *reader, const NodusInput *input, void *args)
{
    void *field = (char *)args + input->offset;
    uint64_t number;
    if (input->flags & NODUS_RAW_LINK) return NULL;
    if (input->flags & NODUS_WHOLE_LIST) return get_list(open, reader, field);
    switch (input->kind) {
    case NODUS_INT:
        NODUS_TRY(nodus_read_u64(reader, &number));
        *(int64_t *)field = (int64_t)number;
        return NULL;
    case NODUS_SEED: return nodus_read_u64(reader, field);
    case NODUS_FLOAT: return nodus_read_double(reader, field);
    case NODUS_BOOLEAN:
        NODUS_TRY(nodus_read_u64(reader, &number));
        *(bool *)field = number != 0;
        return NULL;
    case NODUS_LINK:
    case NODUS_ANY: return get_link(open, reader, input, field);
    default: return get_text(open, reader, field);
    }
}

/* Undeclared inputs: nodus_extra_list finds them behind the binds of the node. */
static NodusStatus get_extra(HostCall *open, NodusReader *reader)
{
    size_t count;
    const uint32_t declared = open->node.def->input_count;
    NODUS_TRY(frame_get_count(reader, MOST_EXTRA, &count));
    Bind *bind = nodus_alloc(&open->call, (declared + count) * sizeof *bind + 1);
    const char **name = nodus_alloc(&open->call, count * sizeof *name + 1);
    NodusList *list = nodus_alloc(&open->call, count * sizeof *list + 1);
    if (!bind || !name || !list) return status_memory();
    for (size_t i = 0; i < count; i++) {
        NODUS_TRY(get_text(open, reader, &name[i]));
        NODUS_TRY(get_list(open, reader, &list[i]));
        bind[declared + i] = (Bind){.kind = BIND_LINK};
    }
    open->inputs.extra = list;
    open->node.bind = bind;
    open->node.extra = name;
    open->node.binds = declared + (uint32_t)count;
    return NULL;
}

static NodusStatus get_args(HostCall *open, NodusReader *reader, void **out)
{
    const NodusNode *def = open->node.def;
    void *args = *out = nodus_alloc(&open->call, def->args_size + 1);
    if (!args) return status_memory();
    NODUS_TRY(get_text(open, reader, &open->node.id));
    for (int i = 0; i < OPTIONS; i++) NODUS_TRY(get_text(open, reader, &open->option[i]));
    for (uint32_t i = 0; i < def->input_count; i++) NODUS_TRY(get_input(open, reader, &def->inputs[i], args));
    return get_extra(open, reader);
}

/* ---- What it gives ------------------------------------------------------------------------------------------------- */

static NodusStatus put_shown(const Execution *execution, NodusWriter *done)
{
    uint64_t count = 0;
    for (const UiKey *key = execution->ui; key; key = key->next) count++;
    NODUS_TRY(nodus_write_u64(done, count));
    for (const UiKey *key = execution->ui; key; key = key->next) {
        if (key->items.failed) return status_memory();
        NODUS_TRY(nodus_write_text(done, key->key));
        NODUS_TRY(nodus_write_text(done, text_get(&key->items)));
    }
    return NULL;
}

static NodusStatus put_value(const NodusValue *value, NodusWriter *done)
{
    const bool blocker = value->kind == VALUE_BLOCKER;
    NODUS_TRY(nodus_write_u64(done, blocker));
    if (blocker) return nodus_write_text(done, value->as.text);
    if (value->kind == VALUE_PAYLOAD && (!value->type->store || !value->type->load)) return isolate_refuse_type(value->type->name);
    return frame_put_value(done, value);
}

static NodusStatus put_result(const HostCall *open, NodusWriter *done)
{
    const Result *result = open->execution.result;
    NODUS_TRY(frame_put_status(done, NULL));
    NODUS_TRY(nodus_write_u64(done, result->local));
    NODUS_TRY(put_shown(&open->execution, done));
    for (uint32_t s = 0; s < result->slots; s++) {
        NODUS_TRY(nodus_write_u64(done, result->slot[s].count));
        for (uint32_t i = 0; i < result->slot[s].count; i++) NODUS_TRY(put_value(result->slot[s].item[i], done));
    }
    return NULL;
}

/* ---- The call ------------------------------------------------------------------------------------------------------ */

static NodusStatus fingerprint(NodusCall *call, const NodusNode *def, const void *args, NodusWriter *done)
{
    Text bytes = {0};
    NodusHash *hash = hash_new();
    if (!hash) return status_memory();
    hash_listen(hash, &bytes);
    NodusStatus status = def->fingerprint(call, args, hash);
    if (!status && bytes.failed) status = status_memory();
    if (!status) status = frame_put_status(done, NULL);
    if (!status) status = record_items_put(done, bytes.data, bytes.length);
    text_free(&bytes);
    hash_free(hash);
    return status;
}

static NodusStatus wants(NodusCall *call, const NodusNode *def, const void *args, NodusWriter *done)
{
    uint64_t inputs = 0;
    NODUS_TRY(def->wants(call, args, &inputs));
    NODUS_TRY(frame_put_status(done, NULL));
    return nodus_write_u64(done, inputs);
}

static NodusStatus run(HostCall *open, const void *args, NodusWriter *done)
{
    NODUS_TRY(result_new(open->node.def->output_count, &open->execution.result));
    open->execution.node = &open->node;
    open->call.execution = &open->execution;
    NODUS_TRY(open->node.def->run(&open->call, args));
    return put_result(open, done);
}

static NodusStatus call_function(HostCall *open, uint64_t function, const void *args, NodusWriter *done)
{
    const NodusNode *def = open->node.def;
    if (function == ISOLATE_RUN) return run(open, args, done);
    if (function == ISOLATE_FINGERPRINT && def->fingerprint) return fingerprint(&open->call, def, args, done);
    if (function == ISOLATE_WANTS && def->wants) return wants(&open->call, def, args, done);
    if (function != ISOLATE_CHECK || !def->check) return nodus_error(NODUS_ERROR_INTERNAL, "a function that %s does not have", def->name);
    NODUS_TRY(def->check(&open->call, args));
    return frame_put_status(done, NULL);
}

/* Its own error is about what it was refused, if it was. */
static NodusStatus refusal(const HostCall *open, NodusStatus status)
{
    if (!status || !open->call.refused) return status;
    nodus_error_free(status);
    return nodus_error(NODUS_ERROR_MISSING, "%s calls %s, which cannot cross from a plug-in in a process of its own: run without --isolate",
                       open->node.def->name, open->call.refused);
}

static void close_call(HostCall *open)
{
    result_unref(open->execution.result);
    call_execution_free(&open->execution);
    call_close(&open->call);
    for (size_t i = 0; i < open->values; i++) value_unref(open->value[i]);
    memory_free(open->value);
    memory_free(open);
}

NodusStatus isolate_host_call(Host *host, NodusReader *reader, NodusWriter *done)
{
    uint64_t index, function;
    void *args;
    const Staged *nodes = &host->plugin->stage[PLUGIN_NODE];
    NODUS_TRY(nodus_read_u64(reader, &index));
    NODUS_TRY(nodus_read_u64(reader, &function));
    if (index >= nodes->count) return record_items_wrong(reader, "a node that the plug-in does not have");
    HostCall *open = memory_alloc(sizeof *open);
    if (!open) return status_memory();
    const NodusNode *def = nodes->item[index];
    open->host = host;
    open->node = (Node){.def = def, .class_type = def->name, .title = def->title, .id = ""};
    call_open(&open->call, host->engine, NULL, &open->node);
    open->call.host = &asking;
    open->call.inputs = &open->inputs;
    NodusStatus status = get_args(open, reader, &args);
    fenv_t arithmetic; /* as in the engine: its mode belongs to whoever calls next */
    fegetenv(&arithmetic);
    if (!status) status = refusal(open, status_from(def->name, call_function(open, function, args, done)));
    fesetenv(&arithmetic);
    close_call(open);
    return status;
}
