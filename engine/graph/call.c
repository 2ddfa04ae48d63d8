/* call.c: the functions of node.h that a node calls while it runs, and the calls themselves. */
#include "engine/graph/call.h"
#include "engine/base/file.h"
#include "engine/base/status.h"
#include "engine/graph/args.h"
#include "engine/graph/check.h"
#include "engine/graph/filehash.h"
#include "engine/graph/rates.h"
#include "engine/graph/run.h"
#include <stdio.h>
#include <string.h>

enum { SMALL_ARGS = 512 /* bytes on the stack; larger structs are allocated */ };
#define PROGRESS_SECONDS 0.05 /* at most 20 progress events a second */

/* ---- Opening and closing ------------------------------------------------------------------------------------------- */

static void call_open(NodusCall *call, NodusEngine *engine, const Workflow *workflow, const Node *node)
{
    static const Cancel never;
    *call = (NodusCall){.engine = engine, .workflow = workflow, .node = node};
    call->math = (NodusMath){
        .device = engine->device, .pool = engine->pool, .cancel = &never, .plans = engine->plans, .weights = engine->weights};
}

static void call_close(NodusCall *call)
{
    for (NodusText *text = call->texts; text; text = text->next) text_free(&text->text);
    math_clear(&call->math);
    arena_free(call->arena);
}

void *nodus_alloc(NodusCall *call, size_t bytes)
{
    if (!call->arena && !(call->arena = arena_new())) return NULL;
    return arena_alloc(call->arena, bytes);
}

NodusMath *nodus_math(NodusCall *call)
{
    return &call->math;
}

void nodus_parallel(NodusCall *call, int64_t parts, void (*body)(void *state, int64_t part), void *state)
{
    pool_each(call->engine->pool, parts, body, state);
}

/* ---- Calls --------------------------------------------------------------------------------------------------------- */

typedef NodusStatus Body(NodusCall *call, const void *args, void *user);

/* Opens a call, fills the arguments, runs `body`, and gives everything back. */
static NodusStatus with_args(NodusCall *call, const CallInputs *inputs, uint32_t index, Body *body, void *user)
{
    _Alignas(16) char small[SMALL_ARGS];
    const size_t size = call->node->def->args_size;
    void *args = size <= SMALL_ARGS ? memset(small, 0, size) : nodus_alloc(call, size);
    NodusStatus status = args ? args_fill(call, inputs, index, args) : status_memory();
    if (!status) status = body(call, args, user);
    call_close(call);
    return status;
}

static NodusStatus check_body(NodusCall *call, const void *args, void *user)
{
    (void)user;
    return call->node->def->check(call, args);
}

NodusStatus call_check(NodusEngine *engine, const Workflow *workflow, const Node *node)
{
    NodusCall call;
    CallInputs inputs;
    args_literals(node, &inputs);
    call_open(&call, engine, workflow, node);
    return with_args(&call, &inputs, 0, check_body, NULL);
}

static NodusStatus fingerprint_body(NodusCall *call, const void *args, void *user)
{
    return call->node->def->fingerprint(call, args, user);
}

NodusStatus call_fingerprint(NodusEngine *engine, const Workflow *workflow, const Node *node, NodusHash *hash)
{
    NodusCall call;
    CallInputs inputs;
    args_literals(node, &inputs);
    call_open(&call, engine, workflow, node);
    return with_args(&call, &inputs, 0, fingerprint_body, hash);
}

static void open_in_run(NodusCall *call, NodusRun *run, const Node *node)
{
    call_open(call, run->engine, run->workflow, node);
    call->run = run;
    call->math.cancel = &run->cancel;
}

static NodusStatus wants_body(NodusCall *call, const void *args, void *user)
{
    return call->node->def->wants(call, args, user);
}

NodusStatus call_wants(NodusRun *run, const Node *node, const CallInputs *inputs, uint64_t *wanted)
{
    *wanted = 0;
    const uint32_t calls = args_calls(node, inputs);
    for (uint32_t i = 0; i < calls; i++) {
        NodusCall call;
        uint64_t these = 0;
        const char *message;
        if (args_blocked(node, inputs, i, &message)) continue;
        open_in_run(&call, run, node);
        NODUS_TRY(with_args(&call, inputs, i, wants_body, &these));
        *wanted |= these;
    }
    return NULL;
}

/* ---- Executing ----------------------------------------------------------------------------------------------------- */

static NodusStatus run_body(NodusCall *call, const void *args, void *user)
{
    (void)user;
    return call->node->def->run(call, args);
}

/* Each call must give one value to each output that is no list. */
static NodusStatus check_emitted(const Execution *execution, uint32_t calls)
{
    const NodusNode *def = execution->node->def;
    for (uint32_t s = 0; s < def->output_count; s++) {
        if ((def->outputs[s].flags & NODUS_OUT_LIST) || execution->result->slot[s].count == calls) continue;
        return nodus_error(NODUS_ERROR_INTERNAL, "%s gave %s to its output %u (%s): please report this", def->name,
                           execution->result->slot[s].count < calls ? "nothing" : "several values", s, def->outputs[s].type);
    }
    return NULL;
}

/* What a blocked element gives: a blocker in every slot. Only the first in line tells the reason. */
static NodusStatus emit_blocked(Execution *execution, const char *message)
{
    if (message) run_warn(execution->run, execution->node, message);
    for (uint32_t s = 0; s < execution->result->slots; s++) {
        NodusValue *value;
        NODUS_TRY(value_text(VALUE_BLOCKER, NULL, &value));
        NODUS_TRY(result_append(execution->result, s, value));
    }
    return NULL;
}

static NodusStatus finish_ui(Execution *execution)
{
    Text text = {0};
    if (!execution->ui) return NULL;
    text_char(&text, '{');
    for (const UiKey *key = execution->ui; key; key = key->next) {
        if (key != execution->ui) text_add(&text, ", ");
        json_put_string(&text, key->key, false);
        text_add(&text, ": [");
        text_add(&text, text_get(&key->items));
        text_char(&text, ']');
        text.failed |= key->items.failed;
    }
    text_char(&text, '}');
    return text_take(&text, &execution->result->ui);
}

NodusStatus call_execute(Execution *execution, const CallInputs *inputs)
{
    NODUS_TRY(result_new(execution->node->def->output_count, &execution->result));
    const uint32_t calls = args_calls(execution->node, inputs);
    for (uint32_t i = 0; i < calls; i++) {
        const char *message = NULL;
        if (args_blocked(execution->node, inputs, i, &message)) {
            NODUS_TRY(emit_blocked(execution, message));
            continue;
        }
        NodusCall call;
        open_in_run(&call, execution->run, execution->node);
        call.execution = execution;
        NODUS_TRY(with_args(&call, inputs, i, run_body, NULL));
        NODUS_TRY(call_expect_end(execution));
        NODUS_TRY(check_emitted(execution, i + 1));
    }
    return finish_ui(execution);
}

void call_execution_free(Execution *execution)
{
    for (UiKey *key = execution->ui, *next; key; key = next) {
        next = key->next;
        text_free(&key->items);
        memory_free(key->key);
        memory_free(key);
    }
    memory_free(execution->kind);
}

/* ---- Emitting ------------------------------------------------------------------------------------------------------ */

/* Takes the value over, also on failure. */
static NodusStatus emit(NodusCall *call, uint32_t slot, NodusValue *value)
{
    const NodusNode *def = call->node->def;
    if (call->execution && slot < def->output_count &&
        (value->kind == VALUE_BLOCKER || value->kind == VALUE_JSON ||
         check_types_fit(value->type->name, def->outputs[slot].type) ||
         (value->kind == VALUE_STRING && !strcmp(def->outputs[slot].type, "COMBO"))))
        return result_append(call->execution->result, slot, value);
    NodusStatus status = nodus_error(NODUS_ERROR_INTERNAL, "%s emits a %s into slot %u, which %s: please report this", def->name,
                                     value->type->name, slot,
                                     !call->execution           ? "is closed"
                                     : slot < def->output_count ? "has another type"
                                                                : "does not exist");
    value_unref(value);
    return status;
}

NodusStatus nodus_emit(NodusCall *call, uint32_t slot, const NodusType *type, void *payload)
{
    NodusValue *value;
    NODUS_TRY(value_payload(type, payload, &value));
    return emit(call, slot, value);
}

NodusStatus nodus_emit_tensor(NodusCall *call, uint32_t slot, const char *type, const NodusTensor *tensor)
{
    const NodusType *known = registry_type(call->engine->registry, type);
    if (!known || !registry_is_tensor(known)) return nodus_error(NODUS_ERROR_INTERNAL, "%s is no type of tensors", type);
    return nodus_emit(call, slot, known, nodus_tensor_ref(tensor));
}

NodusStatus nodus_emit_int(NodusCall *call, uint32_t slot, int64_t number)
{
    NodusValue *value;
    NODUS_TRY(value_integer(number < 0, number < 0 ? 0 - (uint64_t)number : (uint64_t)number, false, &value));
    return emit(call, slot, value);
}

NodusStatus nodus_emit_uint(NodusCall *call, uint32_t slot, uint64_t number)
{
    NodusValue *value;
    NODUS_TRY(value_integer(false, number, true, &value));
    return emit(call, slot, value);
}

NodusStatus nodus_emit_float(NodusCall *call, uint32_t slot, double number)
{
    NodusValue *value;
    NODUS_TRY(value_float(number, &value));
    return emit(call, slot, value);
}

NodusStatus nodus_emit_boolean(NodusCall *call, uint32_t slot, bool truth)
{
    NodusValue *value;
    NODUS_TRY(value_boolean(truth, &value));
    return emit(call, slot, value);
}

NodusStatus nodus_emit_string(NodusCall *call, uint32_t slot, const char *text)
{
    NodusValue *value;
    NODUS_TRY(value_text(VALUE_STRING, text, &value));
    return emit(call, slot, value);
}

NodusStatus nodus_emit_value(NodusCall *call, uint32_t slot, NodusValue *value)
{
    return emit(call, slot, value_ref(value));
}

NodusStatus nodus_block(NodusCall *call, uint32_t slot, const char *message)
{
    NodusValue *value;
    NODUS_TRY(value_text(VALUE_BLOCKER, message, &value));
    return emit(call, slot, value);
}

static UiKey *ui_key(Execution *execution, const char *name)
{
    UiKey **at = &execution->ui;
    while (*at && strcmp((*at)->key, name)) at = &(*at)->next;
    if (*at) return *at;
    UiKey *key = memory_alloc(sizeof *key);
    if (key) key->key = memory_text(name);
    if (key && key->key) return *at = key;
    memory_free(key);
    return NULL;
}

NodusStatus nodus_ui(NodusCall *call, const char *key, const char *json)
{
    if (!call->execution) return nodus_error(NODUS_ERROR_INTERNAL, "nodus_ui is for running nodes only");
    Json *parsed = NULL;
    NodusStatus status = json_parse(json, strlen(json), &parsed); /* clients read it: one bad node must not break their stream */
    json_free(parsed);
    if (status) return nodus_error_prefix(status, "%s shows something that is no JSON under \"%s\"", call->node->class_type, key);
    UiKey *entry = ui_key(call->execution, key);
    if (!entry) return status_memory();
    if (entry->items.length) text_add(&entry->items, ", ");
    text_add(&entry->items, json);
    return NULL;
}

NodusStatus nodus_expand(NodusCall *call, NodusGraph *children)
{
    (void)children;
    return nodus_error(NODUS_ERROR_MISSING, "%s: nodes that expand are not part of this build yet", call->node->class_type);
}

NodusStatus nodus_emit_link(NodusCall *call, uint32_t slot, const char *child, uint32_t child_slot)
{
    (void)slot;
    (void)child;
    (void)child_slot;
    return nodus_error(NODUS_ERROR_MISSING, "%s: nodes that expand are not part of this build yet", call->node->class_type);
}

NodusStatus nodus_defer(NodusCall *call, NodusPending **pending)
{
    *pending = NULL;
    return nodus_error(NODUS_ERROR_MISSING, "%s: deferred results are not part of this build yet", call->node->class_type);
}

/* ---- Progress ------------------------------------------------------------------------------------------------------ */

NodusStatus call_expect_end(Execution *execution)
{
    if (!execution->kind) return NULL;
    const double seconds = file_clock() - execution->expected_at;
    if (seconds > 0) rates_set(execution->run->engine->rates, execution->kind, execution->flop / seconds);
    execution->flop_total += execution->flop;
    execution->flop_seconds += seconds;
    memory_free(execution->kind);
    execution->kind = NULL;
    return NULL;
}

NodusStatus nodus_expect(NodusCall *call, const char *kind, double flop)
{
    Execution *execution = call->execution;
    if (!execution || !(flop > 0)) return NULL;
    NODUS_TRY(call_expect_end(execution));
    if (!(execution->kind = memory_text(kind))) return status_memory();
    execution->flop = flop;
    execution->expected_at = file_clock();
    const double rate = rates_get(call->engine->rates, kind);
    event_progress(&call->run->events, call->node, 0, 1, rate > 0 ? flop / rate : -1);
    return NULL;
}

/* Seconds to the end: from the steps done so far, before the first from the rate that such work had. */
static double estimate(const Execution *execution, double value, double max, double now)
{
    const double begun = execution->kind ? execution->expected_at : execution->started_at;
    if (value > 0 && max >= value) return (now - begun) * (max - value) / value;
    const double rate = execution->kind ? rates_get(execution->run->engine->rates, execution->kind) : 0;
    return rate > 0 ? execution->flop / rate : -1;
}

NodusStatus nodus_progress(NodusCall *call, double value, double max, const NodusTensor *preview)
{
    (void)preview; /* shown from step 2 on */
    Execution *execution = call->execution;
    if (!execution) return NULL;
    const double now = file_clock();
    if (value >= max || now - execution->reported_at >= PROGRESS_SECONDS) {
        event_progress(&call->run->events, call->node, value, max, estimate(execution, value, max, now));
        execution->reported_at = now;
    }
    return math_cancelled(&call->math);
}

void nodus_warn(NodusCall *call, const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    const int length = vasprintf(&text, format, args);
    va_end(args);
    if (length >= 0 && call->run) run_warn(call->run, call->node, text);
    if (length >= 0) memory_free(text);
}

NodusStatus nodus_input_error(NodusCall *call, const char *input, const char *format, ...)
{
    (void)call;
    va_list args;
    va_start(args, format);
    NodusStatus status = status_v(NODUS_ERROR_INPUT, input, format, args);
    va_end(args);
    return nodus_error_prefix(status, "%s", input);
}

/* ---- Files and options --------------------------------------------------------------------------------------------- */

NodusStatus nodus_find_file(NodusCall *call, const char *folder, const char *name, const char **path)
{
    char *found = NULL;
    NODUS_TRY(folders_find(call->engine->folders, folder, name, &found));
    if (!found) {
        Text searched = {0};
        folders_searched(call->engine->folders, folder, &searched);
        NodusStatus status =
            nodus_error(NODUS_ERROR_FILE, "there is no file '%s' in %s; searched %s", name, folder, text_get(&searched));
        text_free(&searched);
        return status;
    }
    char *copy = nodus_alloc(call, strlen(found) + 1);
    if (copy) strcpy(copy, found);
    memory_free(found);
    *path = copy;
    return copy ? NULL : status_memory();
}

NodusStatus nodus_folder(NodusCall *call, const char *which, const char **path)
{
    return folders_directory(call->engine->folders, which, path);
}

NodusStatus nodus_hash_file(NodusCall *call, NodusHash *hash, const char *path)
{
    Hash128 content;
    NODUS_TRY(filehash_get(call->engine->files, path, &content));
    nodus_hash_u64(hash, content.low);
    nodus_hash_u64(hash, content.high);
    return NULL;
}

const char *nodus_option(NodusCall *call, const char *name)
{
    if (!call->run) return NULL;
    const NodusRunOptions *options = &call->run->options;
    if (!strcmp(name, "disable_metadata")) return options->disable_metadata ? "1" : NULL;
    if (!strcmp(name, "png_fast")) return options->png_fast ? "1" : NULL;
    return !strcmp(name, "noise_compat") ? options->noise_compat : NULL;
}

const NodusSamplerDef *nodus_sampler(NodusCall *call, const char *name)
{
    return registry_sampler(call->engine->registry, name);
}

const NodusSchedulerDef *nodus_scheduler(NodusCall *call, const char *name)
{
    return registry_scheduler(call->engine->registry, name);
}

/* ---- Values and texts ---------------------------------------------------------------------------------------------- */

const char *nodus_value_type(const NodusValue *value)
{
    return value->type->name;
}

const void *nodus_value_payload(const NodusValue *value)
{
    return value->kind == VALUE_PAYLOAD ? value->as.payload : NULL;
}

NodusStatus nodus_value_print(const NodusValue *value, NodusText *text)
{
    if (!text) return status_memory();
    value_print(value, &text->text);
    return text->text.failed ? status_memory() : NULL;
}

/* NULL when out of memory: the functions that write into a text say so then. */
NodusText *nodus_text(NodusCall *call)
{
    NodusText *text = nodus_alloc(call, sizeof *text);
    if (!text) return NULL;
    text->next = call->texts;
    call->texts = text;
    return text;
}

const char *nodus_text_get(const NodusText *text)
{
    return text ? text_get(&text->text) : "";
}

NodusStatus nodus_print(NodusText *text, const char *format, ...)
{
    char *piece = NULL;
    va_list args;
    va_start(args, format);
    const int length = vasprintf(&piece, format, args);
    va_end(args);
    if (length < 0) return status_memory();
    if (text) text_add_n(&text->text, piece, (size_t)length);
    memory_free(piece);
    return !text || text->text.failed ? status_memory() : NULL;
}
