/* call.c: the functions of node.h that a node calls while it runs, and the calls themselves. */
#include "engine/graph/call.h"
#include "engine/base/file.h"
#include "engine/base/status.h"
#include "engine/graph/args.h"
#include "engine/graph/check.h"
#include "engine/graph/filehash.h"
#include "engine/graph/manifest.h"
#include "engine/graph/rates.h"
#include "engine/graph/run.h"
#include <fenv.h>
#include <stdio.h>
#include <string.h>

enum { SMALL_ARGS = 512 /* bytes on the stack; larger structs are allocated */ };
enum { LARGEST_PREVIEW = 2048 /* pixels a side */ };
#define PROGRESS_SECONDS 0.05 /* at most 20 progress events a second */

/* ---- Opening and closing ------------------------------------------------------------------------------------------- */

void call_open(NodusCall *call, NodusEngine *engine, const Workflow *workflow, const Node *node)
{
    static const Cancel never;
    *call = (NodusCall){.engine = engine, .workflow = workflow, .node = node};
    call->math = (NodusMath){
        .device = engine->device, .pool = engine->pool, .cancel = &never, .plans = engine->plans, .weights = engine->weights};
}

void call_close(NodusCall *call)
{
    for (NodusText *text = call->texts; text; text = text->next) text_free(&text->text);
    math_clear(&call->math);
    arena_free(call->arena);
    expand_free(call->graphs);
    expand_free(call->expanded);
}

const void *nodus_call_data(NodusCall *call)
{
    return call->node->def->data;
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

typedef struct Parts {
    void (*body)(void *state, int64_t part);
    void *state;
} Parts;

/* The mode of arithmetic is the worker's, as around a node's function (execute.c). */
static void run_part(void *state, int64_t part)
{
    const Parts *parts = state;
    fenv_t arithmetic;
    fegetenv(&arithmetic);
    parts->body(parts->state, part);
    fesetenv(&arithmetic);
}

void nodus_parallel(NodusCall *call, int64_t parts, void (*body)(void *state, int64_t part), void *state)
{
    pool_each(call->engine->pool, parts, run_part, &(Parts){body, state});
}

/* ---- Calls --------------------------------------------------------------------------------------------------------- */

typedef NodusStatus Body(NodusCall *call, const void *args, void *user);

/* Opens a call, fills the arguments, runs `body`, and gives everything back. */
static NodusStatus with_args(NodusCall *call, const CallInputs *inputs, uint32_t index, Body *body, void *user)
{
    _Alignas(16) char small[SMALL_ARGS];
    const size_t size = call->node->def->args_size;
    void *args = size <= SMALL_ARGS ? memset(small, 0, size) : nodus_alloc(call, size);
    call->inputs = inputs;
    call->index = index;
    NodusStatus status = args ? args_fill(call, inputs, index, args) : status_memory();
    if (!status) status = status_from(call->node->def->name, body(call, args, user));
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

typedef struct Forecast {
    const NodusFacts *in;
    NodusFacts *out;
    NodusCost *cost;
    Arena *arena; /* for the texts of `out` */
} Forecast;

static NodusStatus infer_body(NodusCall *call, const void *args, void *user)
{
    const Forecast *forecast = user;
    NODUS_TRY(call->node->def->infer(call, args, forecast->in, forecast->out));
    for (uint32_t s = 0; s < call->node->def->output_count; s++) /* a path that it found belongs to the call */
        if (forecast->out[s].file && !(forecast->out[s].file = arena_text(forecast->arena, forecast->out[s].file)))
            return status_memory();
    return NULL;
}

static NodusStatus cost_body(NodusCall *call, const void *args, void *user)
{
    const Forecast *forecast = user;
    return call->node->def->cost(call, args, forecast->in, forecast->cost);
}

NodusStatus call_infer(NodusEngine *engine, const Workflow *workflow, const Node *node, const CallInputs *inputs,
                       const NodusFacts *in, NodusFacts *out, Result **values, Arena *arena)
{
    NodusCall call;
    Execution execution = {.node = node};
    Forecast forecast = {.in = in, .out = out, .arena = arena};
    NODUS_TRY(result_new(node->def->output_count, &execution.result));
    call_open(&call, engine, workflow, node);
    call.execution = &execution;
    NodusStatus status = with_args(&call, inputs, 0, infer_body, &forecast);
    bool any = false;
    for (uint32_t s = 0; s < execution.result->slots; s++) any |= execution.result->slot[s].count > 0;
    call_execution_free(&execution);
    if (!status && any) *values = execution.result;
    else result_unref(execution.result);
    return status;
}

NodusStatus call_cost(NodusEngine *engine, const Workflow *workflow, const Node *node, const CallInputs *inputs,
                      const NodusFacts *in, NodusCost *out)
{
    NodusCall call;
    Forecast forecast = {.in = in, .cost = out};
    call_open(&call, engine, workflow, node);
    return with_args(&call, inputs, 0, cost_body, &forecast);
}

void call_open_in_run(NodusCall *call, NodusRun *run, const Node *node)
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
        call_open_in_run(&call, run, node);
        NODUS_TRY(with_args(&call, inputs, i, wants_body, &these));
        *wanted |= these;
    }
    return NULL;
}

/* The node that events name. */
static const Node *shown(const Node *node)
{
    return node->visible ? node->visible : node;
}

/* ---- Undeclared inputs --------------------------------------------------------------------------------------------- */

NodusList call_list(const NodusCall *call, uint32_t bind)
{
    const Bind *of = &call->node->bind[bind];
    const uint32_t declared = call->node->def->input_count;
    if (of->kind == BIND_LITERAL) return (NodusList){&of->value, 1};
    if (of->kind == BIND_NONE || !call->inputs || (bind >= declared && !call->inputs->extra)) return (NodusList){0};
    return bind < declared ? call->inputs->list[bind] : call->inputs->extra[bind - declared];
}

NodusValue *nodus_input_value(NodusCall *call, uint32_t input)
{
    const NodusNode *def = call->node->def;
    if (input >= def->input_count || def->inputs[input].flags & NODUS_WHOLE_LIST) return NULL;
    const NodusList list = call_list(call, input);
    return list.count ? list.item[call->index < list.count ? call->index : list.count - 1] : NULL;
}

uint32_t nodus_extra_count(NodusCall *call)
{
    return call->node->binds - call->node->def->input_count;
}

const char *nodus_extra_name(NodusCall *call, uint32_t index)
{
    return index < nodus_extra_count(call) ? call->node->extra[index] : NULL;
}

NodusList nodus_extra_list(NodusCall *call, uint32_t index)
{
    if (index >= nodus_extra_count(call)) return (NodusList){0};
    NodusList list = call_list(call, call->node->def->input_count + index);
    if (!list.count || (call->node->def->flags & NODUS_TAKES_LISTS)) return list;
    list.item += call->index < list.count ? call->index : list.count - 1;
    list.count = 1;
    return list;
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
    if (call->host) return call->host->expect(call, kind, flop);
    NODUS_TRY(call_expect_end(execution));
    if (!(execution->kind = memory_text(kind))) return status_memory();
    execution->flop = flop;
    execution->expected_at = file_clock();
    const double rate = rates_get(call->engine->rates, kind);
    event_progress(&call->run->events, shown(call->node), 0, 1, rate > 0 ? flop / rate : -1, &(EventPreview){0});
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

/* [h, w, 3], 0…1, as bytes on the call's arena; anything else is no preview. NaN is black. */
static NodusStatus preview_pixels(NodusCall *call, const NodusTensor *picture, EventPreview *out)
{
    const float *values;
    *out = (EventPreview){0};
    if (!picture || !call->run->options.previews || nodus_tensor_rank(picture) != 3 || nodus_tensor_dim(picture, 2) != 3)
        return NULL;
    const int64_t height = nodus_tensor_dim(picture, 0), width = nodus_tensor_dim(picture, 1);
    if (height > LARGEST_PREVIEW || width > LARGEST_PREVIEW) return NULL;
    NODUS_TRY(nodus_tensor_map_f32(&call->math, picture, &values));
    uint8_t *rgb = nodus_alloc(call, (size_t)(height * width * 3));
    if (!rgb) return status_memory();
    for (int64_t i = 0; i < height * width * 3; i++)
        rgb[i] = values[i] > 0 ? (uint8_t)(values[i] < 1 ? values[i] * 255 : 255) : 0;
    *out = (EventPreview){rgb, (int)width, (int)height};
    return NULL;
}

NodusStatus nodus_progress(NodusCall *call, double value, double max, const NodusTensor *preview)
{
    Execution *execution = call->execution;
    if (!execution) return NULL;
    if (call->host) return call->host->progress(call, value, max, preview);
    const double now = file_clock();
    if (value >= max || now - execution->reported_at >= PROGRESS_SECONDS) {
        EventPreview picture;
        NODUS_TRY(preview_pixels(call, preview, &picture));
        event_progress(&call->run->events, shown(call->node), value, max, estimate(execution, value, max, now), &picture);
        execution->reported_at = now;
    }
    return math_cancelled(&call->math);
}

void nodus_keep_local(NodusCall *call)
{
    if (call->execution) call->execution->result->local = true;
}

void nodus_warn(NodusCall *call, const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    const int length = vasprintf(&text, format, args);
    va_end(args);
    if (length >= 0 && call->host) call->host->warn(call, text);
    if (length >= 0 && call->run) run_warn(call->run, shown(call->node), text);
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
    if (call->host) return call->host->find_file(call, folder, name, path);
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
    if (call->host) return call->host->folder(call, which, path);
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
    if (call->host) return call->host->option(call, name);
    if (!call->run) return NULL;
    const NodusRunOptions *options = &call->run->options;
    if (!strcmp(name, "disable_metadata")) return options->disable_metadata ? "1" : NULL;
    if (!strcmp(name, "previews")) return options->previews ? "1" : NULL;
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

NodusStatus nodus_manifest(NodusCall *call, NodusText *text)
{
    if (text && call->host) return call->host->manifest(call, &text->text);
    return text ? manifest_members(call, &text->text) : status_memory();
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
