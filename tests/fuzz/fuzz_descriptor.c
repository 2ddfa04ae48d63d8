/* fuzz_descriptor.c: bytes become the tables of a plug-in: two nodes and one each of the others, with texts, ranges, flags,
 * offsets, counts and sizes of every kind. What the checks let pass must be safe to use: it is printed, made into Lua
 * constructors, validated and run.
 *
 * One idea: a zero byte chooses what a good table has, so no bytes at all are a good plug-in and each byte can spoil one field.
 * Pointers are NULL or lead to what is there: a lie about them cannot be found by anyone. Every text and table is an allocation
 * of its exact size. */
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/formats/json.h"
#include "engine/graph/engine.h"
#include "engine/graph/plugin.h"
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MANY = 512, NODES = 2, MOST_INPUTS = 6, MOST_OUTPUTS = 3, FIELD = 8 };
enum { BAD = 160, WORSE = 216 }; /* bytes below BAD choose what is good, those from WORSE on what comes from further bytes */

typedef struct Source {
    const uint8_t *at, *end;
    void *made[MANY]; /* what the tables point to; freed when the engine is closed */
    size_t count;
} Source;
static Source source;
static NodusPlugin plugin;
static volatile uint64_t sink;

static void require(bool condition)
{
    if (!condition) __builtin_trap();
}

/* ---- Pieces from bytes --------------------------------------------------------------------------------------------- */

/* Also from a node's function, on a thread of the engine. */
static uint8_t byte(void)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock);
    const uint8_t value = source.at < source.end ? *source.at++ : 0;
    pthread_mutex_unlock(&lock);
    return value;
}

static uint64_t word(void)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) value = value << 8 | byte();
    return value;
}

static void *make(const void *from, size_t size)
{
    void *copy = calloc(size + !size, 1);
    require(copy && source.count < MANY);
    if (from) memcpy(copy, from, size);
    return source.made[source.count++] = copy;
}

static char *repeated(const char *piece, size_t times)
{
    const size_t length = strlen(piece);
    char *text = make(NULL, length * times + 1);
    for (size_t i = 0; i < times; i++) memcpy(text + i * length, piece, length);
    return text;
}

static const char *text(const char *good)
{
    static const char *const odd[] = {"",     " ",    "a\n",          "\"", "\\",  "*",     "A,B", "{",
                                      "\xff", "\xc3", "\xed\xa0\x80", "ä",  "INT", "IMAGE", "1",   "%s"};
    const uint8_t way = byte();
    if (way < BAD) return good ? make(good, strlen(good) + 1) : NULL;
    if (way < BAD + 8) return NULL;
    if (way < BAD + 24) return make(odd[way - BAD - 8], strlen(odd[way - BAD - 8]) + 1);
    if (way < WORSE) return repeated(way % 2 ? "n" : "ü", way < 200 ? 48 + way % 8 : 32767 + way % 8);
    const size_t length = byte() % 24;
    char *some = make(NULL, length + 1);
    for (size_t i = 0; i < length; i++) some[i] = (char)byte();
    return some;
}

static uint64_t number(uint64_t good)
{
    static const uint64_t odd[] = {0,   1,       2,         7,          8,         63,         64,         65,
                                   100, 1 << 16, INT32_MAX, UINT32_MAX, INT64_MAX, 1ull << 63, UINT64_MAX, UINT64_MAX - 7};
    const uint8_t way = byte();
    if (way < BAD) return good;
    return way < WORSE ? odd[way % (sizeof odd / sizeof *odd)] : word();
}

static double real(double good)
{
    static const double odd[] = {0, 1, -1, 0.5, 1e300, -1e300, 1e-300, INFINITY, -INFINITY, NAN};
    const uint8_t way = byte();
    if (way < BAD) return good;
    if (way < WORSE) return odd[way % (sizeof odd / sizeof *odd)];
    const uint64_t bits = word();
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static bool present(void)
{
    return byte() < BAD;
}

/* How many rows a table says it has: as many as there are, or more than any table may have. */
static uint32_t told(uint32_t rows)
{
    const uint8_t way = byte();
    return way < WORSE ? rows : way % 2 ? 65 : UINT32_MAX;
}

/* ---- Functions of the tables --------------------------------------------------------------------------------------- */

static const NodusNode *table_of(NodusCall *call)
{
    return nodus_call_data(call);
}

/* Reads every byte of the arguments, and what they point to. `node` NULL: an older header had no field for it. */
static void read_args(const NodusNode *node, const void *args)
{
    if (!node) return;
    for (size_t i = 0; i < node->args_size; i++) sink += ((const uint8_t *)args)[i];
    for (uint32_t i = 0; i < node->input_count; i++) {
        const NodusInput *input = &node->inputs[i];
        const char *const *pointer = (const void *)((const char *)args + input->offset);
        if (input->flags & (NODUS_RAW_LINK | NODUS_WHOLE_LIST)) continue;
        if (input->kind == NODUS_STRING || input->kind == NODUS_COMBO || input->kind == NODUS_HIDDEN)
            sink += *pointer ? strlen(*pointer) : 0;
    }
}

static NodusStatus run(NodusCall *call, const void *args)
{
    const NodusNode *node = table_of(call);
    read_args(node, args);
    NodusStatus status = NULL;
    for (uint32_t i = 0; !status && node && i < node->output_count; i++) {
        const uint8_t way = byte();
        const uint32_t slot = way < BAD ? i : way < WORSE ? byte() : UINT32_MAX;
        const char *type = node->outputs[i].type;
        if (way == 1) continue; /* emits nothing */
        if (!strcmp(type, "INT")) status = nodus_emit_int(call, slot, (int64_t)number(1));
        else if (!strcmp(type, "FLOAT")) status = nodus_emit_float(call, slot, real(1));
        else if (!strcmp(type, "STRING")) status = nodus_emit_string(call, slot, byte() < BAD ? "text" : "\xff");
        else status = nodus_emit_boolean(call, slot, true);
    }
    return status;
}

static NodusStatus check(NodusCall *call, const void *args)
{
    read_args(table_of(call), args);
    return byte() < BAD ? NULL : nodus_input_error(call, byte() % 2 ? "i0" : "nobody", "%s", "is wrong");
}

static NodusStatus fingerprint(NodusCall *call, const void *args, NodusHash *hash)
{
    read_args(table_of(call), args);
    nodus_hash_u64(hash, byte());
    return NULL;
}

static NodusStatus wants(NodusCall *call, const void *args, uint64_t *inputs)
{
    read_args(table_of(call), args);
    *inputs |= number(1);
    return NULL;
}

static NodusStatus infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    const NodusNode *node = table_of(call);
    read_args(node, args);
    for (uint32_t i = 0; node && i < node->input_count; i++) sink += (uint64_t)in[i].rank;
    if (!node || !node->output_count) return NULL;
    out[0].rank = (int)number(1);
    out[0].dim[0] = (int64_t)number(1);
    out[0].family = byte() % 2 ? "sd1" : NULL;
    out[0].file = byte() % 2 ? "none" : NULL;
    return NULL;
}

static NodusStatus cost(NodusCall *call, const void *args, const NodusFacts *in, NodusCost *out)
{
    read_args(table_of(call), args);
    (void)in;
    out->work = (size_t)number(0);
    out->weights = (size_t)number(0);
    out->flop = real(0);
    return NULL;
}

static void type_free(void *payload)
{
    (void)payload;
}

static NodusStatus sample(const NodusSampling *s, const void *options, const NodusTensor *x, NodusTensor **out)
{
    (void)options;
    return s->denoise(s->context, x, s->sigmas[0], out, NULL);
}

static int schedule(const NodusNoiseLevels *levels, int steps, float *out, int capacity)
{
    (void)capacity;
    for (int i = 0; i <= steps; i++) out[i] = levels->sigma_max * (float)(steps - i);
    return steps + 1;
}

/* ---- Tables -------------------------------------------------------------------------------------------------------- */

/* A table that may say another size: too small or too large to be true, that of an older header, or that of a later one, with
 * zeros or a byte where this one's table ends. */
static void *sized(const void *table, uint32_t size)
{
    const uint8_t way = byte();
    uint8_t *copy = make(NULL, way < WORSE ? size : size + 64u);
    memcpy(copy, table, size);
    const uint32_t odd[] = {size * 64, size / 2, size - 8};
    const uint32_t says = way < BAD ? size : way < WORSE ? odd[way % 3] : size + 64u;
    if (way >= WORSE) copy[size + way % 64] = way % 2;
    memcpy(copy, &says, sizeof says);
    return copy;
}

static const char *const *choices(void)
{
    const uint8_t way = byte();
    if (way >= WORSE) return NULL;
    const uint32_t count = way < BAD ? 2 : way < BAD + 4 ? 10001u : way % 3;
    const char **list = make(NULL, (count + 1) * sizeof *list);
    for (uint32_t i = 0; i < count; i++) list[i] = count > 2 ? "many" : text(i ? "second" : "first");
    return list;
}

static const char *const kind_type[] = {"INT", "INT", "FLOAT", "BOOLEAN", "STRING", "COMBO", "INT", "*", "PROMPT"};

static NodusInput input(uint32_t index, size_t offset)
{
    char name[16];
    const uint8_t way = byte();
    const uint32_t kind = way < WORSE ? way % 9u : (uint32_t)number(0);
    snprintf(name, sizeof name, "i%u", index);
    NodusInput made = {
        .name = text(name), .type = text(kind < 9 ? kind_type[kind] : "INT"), .tooltip = text("A tip."), .kind = kind};
    made.flags = (uint32_t)number(byte() & 1 ? NODUS_OPTIONAL : byte());
    made.offset = (size_t)number(offset);
    switch (kind) {
    case NODUS_INT:
        made.as.i.def = (int64_t)number(1), made.as.i.min = (int64_t)number(0), made.as.i.max = (int64_t)number(9),
        made.as.i.step = (int64_t)number(1);
        break;
    case NODUS_SEED:
        made.as.u.def = number(1), made.as.u.min = number(0), made.as.u.max = number(9), made.as.u.step = number(0);
        break;
    case NODUS_FLOAT:
        made.as.f.def = real(1), made.as.f.min = real(0), made.as.f.max = real(2), made.as.f.step = real(0.5),
        made.as.f.round = real(0);
        break;
    case NODUS_BOOLEAN: *(uint8_t *)&made.as = (uint8_t)number(1); break;
    case NODUS_STRING:
        made.as.s.def = text("x");
        *(uint8_t *)&made.as.s.multiline = (uint8_t)number(0);
        break;
    case NODUS_COMBO:
        made.as.c.names = choices();
        made.as.c.def = text(made.as.c.names ? "first" : NULL);
        made.as.c.folder = text(byte() % 2 ? "@samplers" : byte() % 2 ? "checkpoints" : NULL);
        break;
    default: break;
    }
    return made;
}

static const NodusInput *inputs(uint32_t count, uint32_t flags)
{
    NodusInput *rows = make(NULL, count * sizeof *rows);
    size_t offset = 0;
    for (uint32_t i = 0; i < count; i++) {
        rows[i] = input(i, offset);
        if (!(flags & NODUS_TAKES_LISTS) && byte() < BAD) rows[i].flags &= ~(uint32_t)NODUS_WHOLE_LIST;
        offset += rows[i].flags & NODUS_WHOLE_LIST ? 2 * FIELD : FIELD;
    }
    return rows;
}

static const NodusOutput *outputs(uint32_t count)
{
    static const char *const types[] = {"INT", "FLOAT", "STRING", "BOOLEAN", "IMAGE", "FUZZ_THING", "NOBODYS"};
    NodusOutput *rows = make(NULL, count * sizeof *rows);
    for (uint32_t i = 0; i < count; i++)
        rows[i] = (NodusOutput){.name = text(NULL),
                                .type = text(types[byte() % 7]),
                                .tooltip = text("A tip."),
                                .flags = (uint32_t)number(byte() & 1)};
    return rows;
}

/* The fields of a table that passed lie within its arguments, where their C types may, and none over another. It is asked at once, for the
 * registry looks at offsets again. */
static void require_fields(const NodusNode *node)
{
    static uint8_t owner[1 << 16];
    require(node->args_size <= sizeof owner);
    memset(owner, 0, node->args_size);
    for (uint32_t i = 0; i < node->input_count; i++) {
        const NodusInput *in = &node->inputs[i];
        const bool list = in->flags & NODUS_WHOLE_LIST, byte_wide = !list && in->kind == NODUS_BOOLEAN && !(in->flags & NODUS_RAW_LINK);
        const size_t size = list ? 2 * FIELD : byte_wide ? 1 : FIELD;
        require(in->offset <= node->args_size && size <= node->args_size - in->offset);
        require(byte_wide || in->offset % FIELD == 0);
        for (size_t k = 0; k < size; k++) require(!owner[in->offset + k]++);
    }
}

static void stage_node(int index)
{
    static const uint32_t flags[] = {NODUS_OUTPUT,
                                     0,
                                     NODUS_OUTPUT | NODUS_TAKES_LISTS,
                                     NODUS_OUTPUT | NODUS_VARIADIC,
                                     NODUS_IO,
                                     NODUS_OUTPUT | NODUS_NOT_IDEMPOTENT};
    const uint32_t rows = byte() % (MOST_INPUTS + 1), slots = 1 + byte() % MOST_OUTPUTS, in = told(rows), out = told(slots);
    NodusNode node = {.version = byte(),
                      .flags = (uint32_t)number(flags[byte() % 6]),
                      .name = text(index ? "Second" : "First"),
                      .title = text("Title"),
                      .category = text("fuzz"),
                      .help = text("Helps."),
                      .example = text(NULL),
                      .input_count = in,
                      .output_count = out};
    node.inputs = present() ? inputs(rows, node.flags) : NULL;
    node.outputs = present() ? outputs(slots) : NULL;
    node.args_size = (size_t)number(MOST_INPUTS * 2 * FIELD);
    const uint8_t has = byte();
    node.run = present() ? run : NULL;
    node.check = has & 1 ? check : NULL;
    node.fingerprint = has & 2 ? fingerprint : NULL;
    node.wants = has & 4 ? wants : NULL;
    node.infer = has & 8 ? infer : NULL;
    node.cost = has & 16 ? cost : NULL;
    node.data = NULL;
    NodusNode *copy = sized(&node, sizeof node);
    copy->data = copy; /* so that its functions know their table */
    const size_t before = plugin.stage[PLUGIN_NODE].count;
    nodus_plugin_node(&plugin, copy);
    const Staged *stage = &plugin.stage[PLUGIN_NODE];
    if (stage->count > before) require_fields(stage->item[stage->count - 1]);
}

static void stage_others(void)
{
    const NodusType type = {.name = text("FUZZ_THING"), .free = present() ? type_free : NULL};
    const NodusSamplerDef sampler = {
        .name = text("fuzz_sampler"), .run = present() ? sample : NULL, .flags = (uint32_t)number(0)};
    const NodusSchedulerDef scheduler = {
        .name = text("fuzz_scheduler"), .run = present() ? schedule : NULL, .flags = (uint32_t)number(0)};
    nodus_plugin_type(&plugin, sized(&type, sizeof type));
    nodus_plugin_sampler(&plugin, sized(&sampler, sizeof sampler));
    nodus_plugin_scheduler(&plugin, sized(&scheduler, sizeof scheduler));
}

static NodusStatus build_op(NodusOpGraph *graph, const NodusOpRef *in, const double *parameter, NodusOpRef *out)
{
    (void)parameter;
    out[0] = nodus_op_silu(graph, in[0]);
    return NULL;
}

static NodusStatus build_patch(const void *self, NodusOpGraph *graph, NodusSite *site)
{
    (void)self, (void)graph, (void)site;
    return NULL;
}

static void structure(const void *self, NodusHash *hash)
{
    (void)self, (void)hash;
}

/* Behind the nodes, so that bytes found earlier still mean what they meant. */
static void stage_composed(void)
{
    const NodusOpDef op = {.version = byte(),
                           .name = text("fuzz_op"),
                           .about = text("Fuzz."),
                           .inputs = (uint32_t)number(1),
                           .outputs = (uint32_t)number(1),
                           .parameters = (uint32_t)number(0),
                           .flags = (uint32_t)number(0),
                           .build = present() ? build_op : NULL};
    const NodusPatchClass patch = {.version = byte(),
                                   .name = text("fuzz_patch"),
                                   .flags = (uint32_t)number(0),
                                   .structure = present() ? structure : NULL,
                                   .build = present() ? build_patch : NULL};
    nodus_plugin_op(&plugin, sized(&op, sizeof op));
    nodus_plugin_patch(&plugin, sized(&patch, sizeof patch));
    for (size_t i = 0; i < plugin.stage[PLUGIN_OP].count; i++) {
        const NodusOpDef *passed = plugin.stage[PLUGIN_OP].item[i];
        require(passed->build && passed->inputs - 1 < NODUS_OP_MOST && passed->outputs - 1 < NODUS_OP_MOST);
        require(passed->parameters <= NODUS_OP_PARAMETERS && !passed->flags);
    }
}

static NodusStatus fill(Registry *registry, void *user)
{
    (void)user;
    plugin.registry = registry;
    stage_others();
    for (int i = 0; i < NODES; i++) stage_node(i);
    stage_composed();
    NodusStatus status = plugin_register(&plugin);
    return status ? status : faults_status(&plugin.faults);
}

/* ---- Use ----------------------------------------------------------------------------------------------------------- */

static void put_literal(const NodusInput *in, int node, Text *out)
{
    static const char *const literals[] = {
        "1", "-1", "0.5", "true", "null", "[]", "{}", "1e300", "18446744073709551615", "\"x\"", "[\"1\", 7]", "[[1]]"};
    const uint8_t way = byte();
    if (node && way < 96) text_add(out, "[\"1\", 0]");
    else if (way >= BAD) text_add(out, literals[way % (sizeof literals / sizeof *literals)]);
    else if (in->kind == NODUS_COMBO || in->kind == NODUS_STRING)
        json_put_string(out, in->as.s.def ? in->as.s.def : "first", false);
    else text_add(out, in->kind == NODUS_BOOLEAN ? "true" : "1");
}

static void put_node(const NodusNode *node, int index, Text *out)
{
    text_format(out, "%s\"%d\": {\"class_type\": ", index ? ", " : "", index + 1);
    json_put_string(out, node->name, false);
    text_add(out, ", \"inputs\": {");
    for (uint32_t i = 0, some = 0; i < node->input_count; i++) {
        if (node->inputs[i].kind == NODUS_HIDDEN || byte() >= WORSE) continue;
        if (some++) text_add(out, ", ");
        json_put_string(out, node->inputs[i].name, false);
        text_add(out, ": ");
        put_literal(&node->inputs[i], index, out);
    }
    text_add(out, "}}");
}

static void print_nodes(NodusEngine *engine)
{
    Json *json;
    for (size_t i = 0; i < plugin.stage[PLUGIN_NODE].count; i++) {
        const NodusNode *node = plugin.stage[PLUGIN_NODE].item[i];
        char *info = NULL;
        require(!nodus_engine_nodes(engine, node->name, &info));
        require(!json_parse(info, strlen(info), &json)); /* whatever its texts and numbers are */
        json_free(json);
        nodus_free(info);
    }
    Text report = {0};
    plugin_report(&plugin, &report);
    require(!report.failed && !json_parse(text_get(&report), report.length, &json));
    json_free(json);
    text_free(&report);
}

static void construct_nodes(NodusEngine *engine)
{
    static const char script[] =
        "local n = require 'nodus' for _, name in ipairs{'First', 'Second'} do pcall(function() local c = n[name] "
        "local node = c{} node.i0 = 1 return node:to_json(), tostring(node[1]) end) end";
    const NodusScriptOptions options = {.struct_size = sizeof options, .memory = 16 << 20, .seconds = 5};
    NodusStatus error = NULL;
    require(nodus_script_run(engine, script, sizeof script - 1, &options, &error) == NODUS_SUCCESS && !error);
}

static void run_prompt(NodusEngine *engine)
{
    Text prompt = {0};
    char *report = NULL;
    bool valid;
    NodusRun *nodus_run = NULL;
    const NodusRunOptions options = {.struct_size = sizeof options};
    text_char(&prompt, '{');
    for (size_t i = 0; i < plugin.stage[PLUGIN_NODE].count; i++) put_node(plugin.stage[PLUGIN_NODE].item[i], (int)i, &prompt);
    text_char(&prompt, '}');
    NodusStatus status = nodus_engine_check(engine, text_get(&prompt), prompt.length, byte() & 1, &report, &valid);
    if (!status) status = nodus_run_new(engine, text_get(&prompt), prompt.length, &options, &nodus_run);
    if (!status) nodus_run_execute(nodus_run);
    nodus_error_free(status);
    nodus_run_free(nodus_run);
    nodus_free(report);
    text_free(&prompt);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const NodusEngineOptions options = {
        .struct_size = sizeof options, .threads = 1, .memory = 64 << 20, .device = "ref", .base_directory = "/dev/null/none"};
    NodusEngine *engine = NULL;
    source = (Source){.at = data, .end = data + size};
    plugin = (NodusPlugin){.file = (char[]){"fuzz.so"}};
    NodusStatus status = engine_open(&options, fill, NULL, &engine);
    if (status) require(nodus_error_message(status)[0]);
    else {
        print_nodes(engine);
        if (byte() % 4 == 1) construct_nodes(engine);
        run_prompt(engine);
        engine_close(engine);
    }
    nodus_error_free(status);
    for (int kind = 0; kind < PLUGIN_KINDS; kind++) {
        for (size_t i = 0; i < plugin.stage[kind].count; i++) memory_free(plugin.stage[kind].item[i]);
        memory_free(plugin.stage[kind].item);
    }
    faults_free(&plugin.faults);
    faults_free(&plugin.remarks);
    for (size_t i = 0; i < source.count; i++) free(source.made[i]);
    return 0;
}
