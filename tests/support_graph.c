/* support_graph.c: toy nodes. Each is as small as a node can be; together they show every way a node can behave. */
#include "tests/support_graph.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/formats/json.h"
#include "nodes/loop.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

atomic_int toy_calls;

typedef struct {
    int64_t value;
} IntArgs;
static NodusStatus int_run(NodusCall *call, const void *args)
{
    const IntArgs *in = args;
    atomic_fetch_add(&toy_calls, 1);
    return nodus_emit_int(call, 0, in->value);
}
static const NodusInput int_inputs[] = {
    NODUS_IN_INT("value", IntArgs, value, "A number.", .def = 3, .min = -1000000000, .max = 1000000000)};
static const NodusOutput int_outputs[] = {{"INT", "INT", "The number."}};
static const NodusNode toy_int = {NODUS_NODE("Int", "Integer", "toy", IntArgs, int_inputs, int_outputs),
                                  .help = "Gives a number.", .run = int_run};
static const NodusNode toy_same = {NODUS_NODE("Same", "Never Shared", "toy", IntArgs, int_inputs, int_outputs),
                                   .flags = NODUS_NOT_IDEMPOTENT, .run = int_run};
static const NodusNode toy_unbuilt = {NODUS_NODE("Unbuilt", "Not Built", "toy", IntArgs, int_inputs, int_outputs)};

typedef struct {
    int64_t a, b;
} AddArgs;
static NodusStatus add_run(NodusCall *call, const void *args)
{
    const AddArgs *in = args;
    atomic_fetch_add(&toy_calls, 1);
    return nodus_emit_int(call, 0, (int64_t)((uint64_t)in->a + (uint64_t)in->b));
}
static const NodusInput add_inputs[] = {NODUS_IN_INT("a", AddArgs, a, "One.", .def = 0),
                                        NODUS_IN_INT("b", AddArgs, b, "The other.", .def = 0)};
static const NodusNode toy_add = {NODUS_NODE("Add", "Add Integers", "toy", AddArgs, add_inputs, int_outputs), .run = add_run};

typedef struct {
    int64_t from, count;
} IntsArgs;
static NodusStatus ints_run(NodusCall *call, const void *args)
{
    const IntsArgs *in = args;
    for (int64_t i = 0; i < in->count; i++) NODUS_TRY(nodus_emit_int(call, 0, in->from + i));
    return NULL;
}
static const NodusInput ints_inputs[] = {NODUS_IN_INT("from", IntsArgs, from, "The first.", .def = 0),
                                         NODUS_IN_INT("count", IntsArgs, count, "How many.", .def = 2, .min = 0, .max = 100)};
static const NodusOutput ints_outputs[] = {{"INT", "INT", "A list.", NODUS_OUT_LIST}};
static const NodusNode toy_ints = {NODUS_NODE("Ints", "Integers", "toy", IntsArgs, ints_inputs, ints_outputs), .flags = NODUS_IO,
                                   .run = ints_run};

typedef struct {
    NodusList values;
} SumArgs;
static NodusStatus sum_run(NodusCall *call, const void *args)
{
    const SumArgs *in = args;
    int64_t sum = 0;
    for (uint32_t i = 0; i < in->values.count; i++) {
        const NodusValue *value = in->values.item[i];
        sum += value->negative ? -(int64_t)value->as.magnitude : (int64_t)value->as.magnitude;
    }
    return nodus_emit_int(call, 0, sum);
}
static const NodusInput sum_inputs[] = {NODUS_FLAG_LINK(NODUS_WHOLE_LIST, "values", SumArgs, values, "INT", "A list.")};
static const NodusNode toy_sum = {NODUS_NODE("Sum", "Sum", "toy", SumArgs, sum_inputs, int_outputs), .flags = NODUS_TAKES_LISTS,
                                  .run = sum_run};

typedef struct {
    const char *text;
} TextArgs;
static NodusStatus text_run(NodusCall *call, const void *args)
{
    return nodus_emit_string(call, 0, ((const TextArgs *)args)->text);
}
static const NodusInput text_inputs[] = {NODUS_IN_STRING("text", TextArgs, text, "A text.", .def = "")};
static const NodusOutput text_outputs[] = {{"STRING", "STRING", "The text."}};
static const NodusNode toy_text = {NODUS_NODE("Text", "Text", "toy", TextArgs, text_inputs, text_outputs), .run = text_run};

typedef struct {
    int64_t width;
} PictureArgs;
static NodusStatus picture_run(NodusCall *call, const void *args)
{
    NodusTensor *out;
    NODUS_TRY(nodus_tensor_fill(nodus_math(call), &out, 4, (const int64_t[]){1, 1, ((const PictureArgs *)args)->width, 3}, 0.5f));
    return nodus_emit_tensor(call, 0, "IMAGE", out);
}
static const NodusInput picture_inputs[] = {
    NODUS_IN_INT("width", PictureArgs, width, "Pixels.", .def = 4, .min = 1, .max = 1 << 24)};
static const NodusOutput picture_outputs[] = {{"IMAGE", "IMAGE", "A grey picture."}};
static const NodusNode toy_picture = {NODUS_NODE("Picture", "Picture", "toy", PictureArgs, picture_inputs, picture_outputs),
                                      .run = picture_run};

typedef struct {
    NodusValue *value;
} ShowArgs;
static NodusStatus show_run(NodusCall *call, const void *args)
{
    NodusText *text = nodus_text(call);
    Text json = {0};
    atomic_fetch_add(&toy_calls, 1);
    NODUS_TRY(nodus_value_print(((const ShowArgs *)args)->value, text));
    json_put_string(&json, nodus_text_get(text), false);
    NodusStatus status = nodus_ui(call, "text", text_get(&json));
    text_free(&json);
    return status;
}
static const NodusInput show_inputs[] = {NODUS_IN_ANY("value", ShowArgs, value, "Anything.")};
static const NodusNode toy_show = {NODUS_NODE_END("Show", "Show", "toy", ShowArgs, show_inputs), .flags = NODUS_OUTPUT,
                                   .run = show_run};

typedef struct {
    const NodusTensor *image;
} WidthArgs;
static NodusStatus width_run(NodusCall *call, const void *args)
{
    return nodus_emit_int(call, 0, nodus_tensor_dim(((const WidthArgs *)args)->image, 2));
}
static const NodusInput width_inputs[] = {NODUS_IN_LINK("image", WidthArgs, image, "IMAGE", "A picture.")};
static const NodusNode toy_width = {NODUS_NODE("Width", "Width", "toy", WidthArgs, width_inputs, int_outputs), .run = width_run};

typedef struct {
    int64_t value;
    const char *message;
} FailArgs;
static NodusStatus fail_run(NodusCall *call, const void *args)
{
    const FailArgs *in = args;
    return nodus_input_error(call, "value", "%s", in->message);
}
static const NodusInput fail_inputs[] = {
    NODUS_IN_INT("value", FailArgs, value, "A number.", .def = 0),
    NODUS_FLAG_STRING(NODUS_OPTIONAL, "message", FailArgs, message, "Why.", .def = "no luck")};
static const NodusNode toy_fail = {NODUS_NODE("Fail", "Fail", "toy", FailArgs, fail_inputs, int_outputs), .run = fail_run};

static NodusStatus check_check(NodusCall *call, const void *args)
{
    return ((const IntArgs *)args)->value % 2 ? nodus_input_error(call, "value", "is odd") : NULL;
}
static const NodusNode toy_check = {NODUS_NODE("Check", "Even Only", "toy", IntArgs, int_inputs, int_outputs), .run = int_run,
                                    .check = check_check};

typedef struct {
    bool first;
    NodusValue *a, *b;
} ChooseArgs;
static NodusStatus choose_wants(NodusCall *call, const void *args, uint64_t *inputs)
{
    (void)call;
    *inputs = ((const ChooseArgs *)args)->first ? 1u << 1 : 1u << 2;
    return NULL;
}
static NodusStatus choose_run(NodusCall *call, const void *args)
{
    const ChooseArgs *in = args;
    return nodus_emit_value(call, 0, in->first ? in->a : in->b);
}
static const NodusInput choose_inputs[] = {NODUS_IN_BOOLEAN("first", ChooseArgs, first, "Which.", true),
                                           NODUS_FLAG_ANY(NODUS_LAZY, "a", ChooseArgs, a, "One."),
                                           NODUS_FLAG_ANY(NODUS_LAZY, "b", ChooseArgs, b, "The other.")};
static const NodusOutput any_outputs[] = {{"value", "*", "The chosen one."}};
static const NodusNode toy_choose = {NODUS_NODE("Choose", "Choose", "toy", ChooseArgs, choose_inputs, any_outputs),
                                     .run = choose_run, .wants = choose_wants};

typedef struct {
    int64_t value;
    const char *message;
} BlockArgs;
static NodusStatus block_run(NodusCall *call, const void *args)
{
    const BlockArgs *in = args;
    if (in->value % 2) return nodus_block(call, 0, *in->message ? in->message : NULL);
    return nodus_emit_int(call, 0, in->value);
}
static const NodusInput block_inputs[] = {NODUS_IN_INT("value", BlockArgs, value, "A number.", .def = 0),
                                          NODUS_FLAG_STRING(NODUS_OPTIONAL, "message", BlockArgs, message, "Why.", .def = "")};
static const NodusNode toy_block = {NODUS_NODE("Block", "Block Odd Numbers", "toy", BlockArgs, block_inputs, int_outputs),
                                    .run = block_run};

typedef struct {
    int64_t count;
} StepsArgs;
static NodusStatus steps_run(NodusCall *call, const void *args)
{
    const int64_t count = ((const StepsArgs *)args)->count;
    for (int64_t i = 1; i <= count; i++) NODUS_TRY(nodus_progress(call, (double)i, (double)count, NULL));
    return nodus_emit_int(call, 0, count);
}
static const NodusInput steps_inputs[] = {NODUS_IN_INT("count", StepsArgs, count, "Steps.", .def = 3)};
static const NodusNode toy_steps = {NODUS_NODE("Steps", "Steps", "toy", StepsArgs, steps_inputs, int_outputs), .run = steps_run};

static NodusStatus meet_run(NodusCall *call, const void *args)
{
    static atomic_int here;
    atomic_fetch_add(&here, 1);
    for (int i = 0; i < 5000 && atomic_load(&here) % 2; i++) usleep(1000);
    return atomic_load(&here) % 2 ? nodus_error(NODUS_ERROR_INTERNAL, "nobody came")
                                  : nodus_emit_int(call, 0, ((const IntArgs *)args)->value);
}
static const NodusNode toy_meet_io = {NODUS_NODE("MeetIo", "Meet", "toy", IntArgs, int_inputs, int_outputs), .flags = NODUS_IO,
                                      .run = meet_run};
static const NodusNode toy_meet = {NODUS_NODE("Meet", "Meet", "toy", IntArgs, int_inputs, int_outputs), .run = meet_run};

typedef struct {
    double flop;
} WorkArgs;
static NodusStatus work_run(NodusCall *call, const void *args)
{
    NODUS_TRY(nodus_expect(call, "toy f32", ((const WorkArgs *)args)->flop));
    volatile double sum = 0;
    for (int i = 0; i < 200000; i++) sum = sum + i;
    return nodus_emit_int(call, 0, 1);
}
static const NodusInput work_inputs[] = {NODUS_IN_FLOAT("flop", WorkArgs, flop, "How much.", .def = 1e6)};
static const NodusNode toy_work = {NODUS_NODE("Work", "Work", "toy", WorkArgs, work_inputs, int_outputs),
                                   .flags = NODUS_NOT_IDEMPOTENT, /* never from disk */ .run = work_run};

typedef struct {
    int64_t i;
    uint64_t u;
    double f;
    bool b;
    const char *s, *c;
    const NodusTensor *link;
    NodusValue *any;
    const char *id, *prompt;
} WidgetsArgs;
static NodusStatus widgets_run(NodusCall *call, const void *args)
{
    const WidgetsArgs *in = args;
    NodusText *text = nodus_text(call);
    NODUS_TRY(nodus_print(text, "%" PRId64 " %" PRIu64 " %g %d %s %s %s %s %s", in->i, in->u, in->f, in->b, in->s, in->c,
                          in->link ? "link" : "none", in->any ? nodus_value_type(in->any) : "none", in->id));
    return nodus_emit_string(call, 0, nodus_text_get(text));
}
static const char *const widgets_names[] = {"red", "green", "blue", NULL};
static const NodusInput widgets_inputs[] = {
    NODUS_FLAG_INT(NODUS_OPTIONAL, "i", WidgetsArgs, i, "INT", .def = -5, .min = -10, .max = 10),
    NODUS_FLAG_SEED(NODUS_OPTIONAL | NODUS_CONTROL, "u", WidgetsArgs, u, "SEED", .def = 7, .max = UINT64_MAX),
    NODUS_FLAG_FLOAT(NODUS_OPTIONAL, "f", WidgetsArgs, f, "FLOAT", .def = 0.5, .min = 0, .max = 1, .step = 0.01),
    NODUS_FLAG_BOOLEAN(NODUS_OPTIONAL, "b", WidgetsArgs, b, "BOOLEAN", true),
    NODUS_FLAG_STRING(NODUS_OPTIONAL, "s", WidgetsArgs, s, "STRING", .def = "text", .multiline = true),
    NODUS_FLAG_COMBO(NODUS_OPTIONAL, "c", WidgetsArgs, c, "COMBO", .names = widgets_names),
    NODUS_FLAG_LINK(NODUS_OPTIONAL, "link", WidgetsArgs, link, "IMAGE", "LINK"),
    NODUS_FLAG_ANY(NODUS_OPTIONAL, "any", WidgetsArgs, any, "ANY"),
    NODUS_IN_HIDDEN("id", WidgetsArgs, id, "UNIQUE_ID"),
    NODUS_IN_HIDDEN("prompt", WidgetsArgs, prompt, "PROMPT"),
};
static const NodusNode toy_widgets = {NODUS_NODE("Widgets", "All Widgets", "toy", WidgetsArgs, widgets_inputs, text_outputs),
                                      .run = widgets_run};

typedef struct {
    const char *prompt, *info, *id;
} PromptArgs;
static NodusStatus prompt_run(NodusCall *call, const void *args)
{
    const PromptArgs *in = args;
    NODUS_TRY(nodus_emit_string(call, 0, in->prompt));
    return nodus_emit_string(call, 1, in->info ? in->info : "none");
}
static const NodusInput prompt_inputs[] = {NODUS_IN_HIDDEN("prompt", PromptArgs, prompt, "PROMPT"),
                                           NODUS_IN_HIDDEN("info", PromptArgs, info, "EXTRA_PNGINFO"),
                                           NODUS_IN_HIDDEN("id", PromptArgs, id, "UNIQUE_ID")};
static const NodusOutput prompt_outputs[] = {{"prompt", "STRING", "The prompt."}, {"info", "STRING", "The rest."}};
static const NodusNode toy_prompt = {NODUS_NODE("Prompt", "Prompt", "toy", PromptArgs, prompt_inputs, prompt_outputs),
                                     .run = prompt_run};

typedef struct {
    const char *name;
} FileArgs;
static NodusStatus file_run(NodusCall *call, const void *args)
{
    const char *path;
    NODUS_TRY(nodus_find_file(call, "input", ((const FileArgs *)args)->name, &path));
    return nodus_emit_string(call, 0, path);
}
static NodusStatus file_fingerprint(NodusCall *call, const void *args, NodusHash *hash)
{
    const char *path;
    NODUS_TRY(nodus_find_file(call, "input", ((const FileArgs *)args)->name, &path));
    return nodus_hash_file(call, hash, path);
}
static const NodusInput file_inputs[] = {NODUS_FLAG_COMBO(NODUS_UPLOAD, "name", FileArgs, name, "A picture.", .folder = "input")};
static const NodusNode toy_file = {NODUS_NODE("File", "Input File", "toy", FileArgs, file_inputs, text_outputs), .run = file_run,
                                   .fingerprint = file_fingerprint};

static const NodusInput model_inputs[] = {NODUS_IN_COMBO("name", FileArgs, name, "A checkpoint.", .folder = "checkpoints")};
static const NodusNode toy_model = {NODUS_NODE("Model", "Checkpoint", "toy", FileArgs, model_inputs, text_outputs),
                                    .run = text_run};

static NodusStatus fill_registry(Registry *registry, void *user)
{
    static const NodusNode *const nodes[] = {&toy_int,    &toy_same,    &toy_unbuilt, &toy_add,     &toy_ints,   &toy_sum,
                                             &toy_text,   &toy_picture, &toy_show,    &toy_width,   &toy_fail,   &toy_check,
                                             &toy_choose, &toy_block,   &toy_steps,   &toy_widgets, &toy_prompt, &toy_file,
                                             &toy_work,   &toy_model,   &toy_meet,    &toy_meet_io};
    (void)user;
    for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++) NODUS_TRY(registry_add_node(registry, nodes[i]));
    NODUS_TRY(registry_add_type(registry, &type_flow));
    for (const NodusNode *const *at = toy_flow_nodes; *at; at++) NODUS_TRY(registry_add_node(registry, *at));
    return NULL;
}

NodusStatus toy_engine(const NodusEngineOptions *options, NodusEngine **out)
{
    const NodusEngineOptions plain = {.struct_size = sizeof plain, .threads = 1, .device = "ref", .base_directory = "."};
    return engine_open(options ? options : &plain, fill_registry, NULL, out);
}

/* ---- The log ------------------------------------------------------------------------------------------------------- */

void toy_listen(void *user, const NodusEvent *event)
{
    ToyLog *log = user;
    if (log->count == log->capacity) {
        log->capacity = log->capacity ? log->capacity * 2 : 64;
        log->event = memory_grow(log->event, (size_t)log->capacity, sizeof *log->event);
    }
    log->event[log->count++] = (ToyEvent){event->kind,
                                          event->id,
                                          memory_text(event->node),
                                          memory_text(event->ui_json),
                                          memory_text(event->message),
                                          memory_text(event->json),
                                          event->value,
                                          event->max,
                                          event->eta,
                                          event->flop_rate};
    if (log->cancel_at_start && event->kind == NODUS_EVENT_START) run_cancel(log->cancel_at_start);
}

void toy_log_free(ToyLog *log)
{
    for (int i = 0; i < log->count; i++) {
        memory_free(log->event[i].node);
        memory_free(log->event[i].ui);
        memory_free(log->event[i].message);
        memory_free(log->event[i].json);
    }
    memory_free(log->event);
    *log = (ToyLog){0};
}

/* The piece of `text` up to one of `ends`, which is taken too. */
static char *next_piece(char **text, const char *ends)
{
    char *piece = *text + strspn(*text, " ");
    const size_t length = strcspn(piece, ends);
    *text = piece + length + (piece[length] != '\0');
    piece[length] = '\0';
    return *piece ? piece : NULL;
}

static void put_value(Text *out, const char *value)
{
    if (*value == '@') text_format(out, "[\"%s\", 0]", value + 1);
    else if (strchr("-0123456789[{\"", *value) || !strcmp(value, "true") || !strcmp(value, "false") || !strcmp(value, "null"))
        text_add(out, value);
    else json_put_string(out, value, false);
}

static void put_node(Text *out, char *node)
{
    const char *id = next_piece(&node, " "), *class_type = next_piece(&node, " ");
    text_format(out, "%s\"%s\": {\"class_type\": \"%s\", \"inputs\": {", out->length > 1 ? ", " : "", id,
                class_type ? class_type : "");
    for (char *name; (name = next_piece(&node, "="));) {
        if (out->data[out->length - 1] != '{') text_add(out, ", ");
        json_put_string(out, name, false);
        text_add(out, ": ");
        put_value(out, next_piece(&node, " "));
    }
    text_add(out, "}}");
}

char *toy_json(const char *text)
{
    char *copy = memory_text(text), *rest = copy;
    Text out = {0};
    text_char(&out, '{');
    for (char *node; (node = next_piece(&rest, ";"));) put_node(&out, node);
    text_char(&out, '}');
    memory_free(copy);
    return out.data;
}

NodusOutcome toy_run(NodusEngine *engine, const char *prompt, const NodusRunOptions *options, ToyLog *log)
{
    NodusRun *run;
    NodusRunOptions with = options ? *options : (NodusRunOptions){.struct_size = sizeof with};
    if (log) {
        with.event = toy_listen;
        with.user = log;
    }
    char *json = *prompt == '{' ? memory_text(prompt) : toy_json(prompt);
    NodusStatus status = run_new(engine, json, strlen(json), &with, &run);
    memory_free(json);
    if (status) {
        fprintf(stderr, "run_new: %s\n", nodus_error_message(status));
        nodus_error_free(status);
        return NODUS_REFUSED;
    }
    const NodusOutcome outcome = run_execute(run);
    run_free(run);
    return outcome;
}

int toy_count(const ToyLog *log, NodusEventKind kind, const char *node)
{
    int count = 0;
    for (int i = 0; i < log->count; i++)
        count += log->event[i].kind == kind && (!node || (log->event[i].node && !strcmp(log->event[i].node, node)));
    return count;
}

const ToyEvent *toy_find(const ToyLog *log, NodusEventKind kind, const char *node)
{
    for (int i = 0; i < log->count; i++)
        if (log->event[i].kind == kind && (!node || (log->event[i].node && !strcmp(log->event[i].node, node))))
            return &log->event[i];
    return NULL;
}
