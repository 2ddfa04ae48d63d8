/* Every node heeds its main parameters: for each row of tests/support_parameters.c the node runs twice, with something changed, and what
 * comes out must differ; run again unchanged, it must not, or the difference would prove nothing.
 *
 * One idea: a workflow is made around the node from the types of its sockets: nodes of a stage feed its links, and what it emits ends,
 * through a sink of its type, in Witness nodes, which keep a hash. The engine's cache keeps the stage, so only what is new runs. */
#include "engine/base/file.h"
#include "engine/base/hash.h"
#include "engine/base/memory.h"
#include "engine/base/text.h"
#include "engine/formats/safetensors.h"
#include "engine/graph/value.h"
#include "nodes/register.h"
#include "nodes/values.h"
#include "tests/support_examples.h"
#include "tests/support_parameters.h"
#include "tests/test.h"
#include <ctype.h>
#include <ftw.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MOST_SLOTS = 8, NAME = 64 };
static Lab lab;

/* ---- Witnesses ------------------------------------------------------------------------------------------------------- */

typedef struct Seen { Hash128 slot[MOST_SLOTS], files; } Seen; /* of one run */
static Seen seen;

typedef struct { NodusList value; NodusList at; } WitnessArgs;

static NodusStatus see_tensor(NodusCall *call, NodusHash *hash, const NodusTensor *x)
{
    const float *data;
    nodus_hash_u64(hash, x != NULL);
    if (!x) return NULL;
    size_t count = 1;
    for (int i = 0; i < nodus_tensor_rank(x); i++) {
        nodus_hash_u64(hash, (uint64_t)nodus_tensor_dim(x, i));
        count *= (size_t)nodus_tensor_dim(x, i);
    }
    NODUS_TRY(nodus_tensor_map_f32(nodus_math(call), x, &data));
    nodus_hash_bytes(hash, data, count * sizeof *data);
    return NULL;
}

static NodusStatus see_value(NodusCall *call, NodusHash *hash, const NodusValue *value)
{
    const char *type = nodus_value_type(value);
    const void *payload = nodus_value_payload(value);
    if (!strcmp(type, "LATENT")) {
        const Latent *latent = payload;
        for (int64_t i = 0; latent->batch_index && i < latent->batch; i++) nodus_hash_u64(hash, (uint64_t)latent->batch_index[i]);
        NODUS_TRY(see_tensor(call, hash, latent->noise_mask));
        return see_tensor(call, hash, latent->samples);
    }
    if (!strcmp(type, "CONDITIONING")) {
        const Cond *cond = ((const Conditioning *)payload)->cond;
        NODUS_TRY(see_tensor(call, hash, cond->pooled));
        NODUS_TRY(see_tensor(call, hash, cond->concat_latent));
        return see_tensor(call, hash, cond->text);
    }
    if (value->kind == VALUE_PAYLOAD && value->type->array) {
        const NodusTensor *array;
        NODUS_TRY(value->type->array(payload, NULL, &array));
        return see_tensor(call, hash, array);
    }
    NodusText *text = nodus_text(call);
    NODUS_TRY(nodus_value_print(value, text));
    nodus_hash_text(hash, nodus_text_get(text));
    return NULL;
}

static NodusStatus witness(NodusCall *call, const void *args)
{
    const WitnessArgs *in = args;
    NodusText *text = nodus_text(call);
    NODUS_TRY(nodus_value_print(in->at.item[0], text));
    NodusHash *hash = hash_new();
    NodusStatus status = NULL;
    nodus_hash_u64(hash, in->value.count);
    for (uint32_t i = 0; !status && i < in->value.count; i++) status = see_value(call, hash, in->value.item[i]);
    seen.slot[atoi(nodus_text_get(text))] = hash_value(hash);
    hash_free(hash);
    return status;
}

/* Equal to nothing: what was seen once is seen again. */
static NodusStatus witness_fingerprint(NodusCall *call, const void *args, NodusHash *hash)
{
    static atomic_int turn;
    (void)call, (void)args;
    nodus_hash_u64(hash, (uint64_t)atomic_fetch_add(&turn, 1));
    return NULL;
}

static const NodusInput witness_inputs[] = {
    NODUS_FLAG_ANY(NODUS_WHOLE_LIST, "value", WitnessArgs, value, "What is seen."),
    NODUS_FLAG_ANY(NODUS_WHOLE_LIST, "at", WitnessArgs, at, "Its number."),
};
static const NodusNode node_witness = {NODUS_NODE_END("Witness", "Witness", "test", WitnessArgs, witness_inputs),
                                       .flags = NODUS_OUTPUT | NODUS_TAKES_LISTS | NODUS_NOT_IDEMPOTENT, .help = "", .run = witness,
                                       .fingerprint = witness_fingerprint};
static const NodusNode *const test_nodes[] = {&node_witness, NULL};

/* Files of output/ and temp/, in any order, and their names where the user chose them. */
/* (Links stay: LoadImageOutput reads one.) */
static int see_file(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    uint8_t *data;
    size_t size;
    (void)info, (void)where;
    if (kind != FTW_F || file_read(path, (size_t)1 << 30, &data, &size)) return 0;
    const char *name = path + strlen(lab.folder);
    const Hash128 content = hash_of(data, size), named = strstr(name, "/temp/") ? content : hash_of(name, strlen(name));
    seen.files.low += content.low ^ named.low * 3;
    seen.files.high += content.high ^ named.high * 3;
    memory_free(data);
    return remove(path);
}

static void see_files(void)
{
    nftw(lab_path(&lab, "output"), see_file, 16, FTW_PHYS);
    nftw(lab_path(&lab, "temp"), see_file, 16, FTW_PHYS);
}

/* ---- Workflows from rows --------------------------------------------------------------------------------------------- */

static const NodusNode *find_class(const char *name)
{
    for (const NodusNode *const *at = builtin_nodes; *at; at++)
        if (!strcmp((*at)->name, name)) return *at;
    fail_msg("there is no node %s", name);
    return NULL;
}

typedef struct Piece { const char *data; size_t length; } Piece;

/* The next "name=value" of a list; false at its end. */
static bool next_setting(const char **list, Piece *name, Piece *value)
{
    const char *at = *list + strspn(*list, "; "), *end = strstr(at, "; ");
    const char *equals = strchr(at, '=');
    if (!end) end = at + strlen(at) - (*at && at[strlen(at) - 1] == ';');
    if (!equals || equals >= end) return false;
    *name = (Piece){at, (size_t)(equals - at)};
    *value = (Piece){equals + 1, (size_t)(end - equals - 1)};
    *list = end;
    return true;
}

/* Row settings of a node: those that begin with its prefix, "" for the node under test. */
typedef struct Settings { const char *prefix, *list[3]; } Settings; /* a later list wins */

static bool find_setting(const Settings *settings, const char *input, Piece *found)
{
    bool any = false;
    for (int i = 0; i < 3; i++) {
        const char *prefix = i ? settings->prefix : "", *list = settings->list[i] ? settings->list[i] : "";
        const size_t start = strlen(prefix);
        Piece name, value;
        while (next_setting(&list, &name, &value))
            if (name.length == start + strlen(input) && !strncmp(name.data, prefix, start) &&
                !strncmp(name.data + start, input, strlen(input)))
                any = true, *found = value;
    }
    return any;
}

/* "@ID:SLOT" as a link; @? and @< are what the sink reads. */
static void put_link(Text *json, Piece at, const char *value, const char *before)
{
    char id[NAME], slot[8] = "0";
    if (!strncmp(at.data, "@?", 2)) return text_add(json, value);
    if (!strncmp(at.data, "@<", 2)) return text_format(json, "[\"%s\", 0]", before);
    snprintf(id, sizeof id, "%.*s", (int)at.length - 1, at.data + 1);
    char *colon = strchr(id, ':');
    if (colon) snprintf(slot, sizeof slot, "%s", colon + 1), *colon = '\0';
    text_format(json, "[\"%s\", %s]", id, slot);
}

static void put_quoted(Text *json, Piece value)
{
    text_char(json, '"');
    for (size_t i = 0; i < value.length; i++) {
        if (strchr("\"\\", value.data[i])) text_char(json, '\\');
        if (value.data[i] == '\n') text_add(json, "\\n");
        else text_char(json, value.data[i]);
    }
    text_char(json, '"');
}

static void put_value(Text *json, uint32_t kind, Piece value, const char *tested, const char *before)
{
    const bool any = kind == NODUS_ANY && value.length && (isdigit((unsigned char)*value.data) || strchr("\"{[", *value.data));
    if (value.length && *value.data == '@') put_link(json, value, tested, before);
    else if (any || kind <= NODUS_BOOLEAN) text_add_n(json, value.data, value.length);
    else put_quoted(json, value);
}

static bool put_default(Text *json, const NodusInput *input, int *links)
{
    if (input->kind == NODUS_LINK)
        for (const Source *source = parameter_sources; source->type; source++) {
            if (strcmp(source->type, input->type) != 0) continue;
            const char *link = source->link[links[source - parameter_sources]++];
            if (link) put_link(json, (Piece){link, strlen(link)}, NULL, NULL);
            return link != NULL;
        }
    if (input->kind == NODUS_INT) text_format(json, "%lld", (long long)input->as.i.def);
    else if (input->kind == NODUS_SEED) text_format(json, "%llu", (unsigned long long)input->as.u.def);
    else if (input->kind == NODUS_FLOAT) text_format(json, "%.17g", input->as.f.def);
    else if (input->kind == NODUS_BOOLEAN) text_add(json, input->as.b ? "true" : "false");
    else if (input->kind == NODUS_STRING) put_quoted(json, (Piece){input->as.s.def, strlen(input->as.s.def)});
    else if (input->kind == NODUS_COMBO && (input->as.c.def || input->as.c.names)) {
        const char *name = input->as.c.def ? input->as.c.def : input->as.c.names[0];
        put_quoted(json, (Piece){name, strlen(name)});
    } else return false;
    return true;
}

static bool declares(const NodusNode *node, Piece name)
{
    for (uint32_t i = 0; i < node->input_count; i++)
        if (strlen(node->inputs[i].name) == name.length && !strncmp(node->inputs[i].name, name.data, name.length)) return true;
    return false;
}

/* Inputs that no table declares: JSON, links or texts. */
static void put_extras(Text *json, const NodusNode *node, const Settings *settings, bool first)
{
    for (int i = 0; i < 3; i++) {
        const char *list = settings->list[i] ? settings->list[i] : "";
        Piece name, value, last;
        while (next_setting(&list, &name, &value)) {
            char text[NAME];
            snprintf(text, sizeof text, "%.*s", (int)name.length, name.data);
            const bool wins = find_setting(settings, text, &last) && last.data == value.data;
            if (!wins || strchr(text, '.') || declares(node, name)) continue;
            text_format(json, "%s\"%s\": ", first ? "" : ", ", text);
            put_value(json, NODUS_ANY, value, NULL, NULL);
            first = false;
        }
    }
}

/* A node with all its inputs: what is set, else, if it is required, what its type takes. */
static void put_node(Text *json, const char *id, const char *class_type, const Settings *settings, const char *tested, const char *before)
{
    const NodusNode *node = find_class(class_type);
    int links[32] = {0};
    bool first = true;
    text_format(json, "%s\"%s\": {\"class_type\": \"%s\", \"inputs\": {", json->length > 1 ? ",\n" : "", id, class_type);
    for (uint32_t i = 0; i < node->input_count; i++) {
        const NodusInput *input = &node->inputs[i];
        const size_t start = json->length;
        Piece value;
        bool given = input->kind != NODUS_HIDDEN;
        text_format(json, "%s\"%s\": ", first ? "" : ", ", input->name);
        if (given && find_setting(settings, input->name, &value)) put_value(json, input->kind, value, tested, before);
        else given = given && !(input->flags & NODUS_OPTIONAL) && put_default(json, input, links);
        if (!given) json->data[json->length = start] = '\0';
        else first = false;
    }
    if (node->flags & NODUS_VARIADIC) put_extras(json, node, settings, first);
    text_add(json, "}}");
}

/* What the node emits there, through its sink, to a witness. `tested`: the link. */
static void put_sink(Text *json, const MainParameter *row, const char *other, const char *type, uint32_t slot, const char *tested)
{
    char id[NAME] = "";
    const Sink *sink = parameter_sinks;
    while (sink->type && strcmp(sink->type, row->sink ? row->sink : type) != 0) sink++;
    if (!sink->type && !strcmp(type, "FLOW_CONTROL")) return;
    for (int i = 0; i < 3 && sink->type && sink->node[i].id; i++) {
        char before[NAME];
        strcpy(before, id);
        snprintf(id, sizeof id, "%s%u", sink->node[i].id, slot);
        const Settings settings = {"sink.", {sink->node[i].settings, row->given, other}};
        put_node(json, id, sink->node[i].class_type, &settings, tested, before);
    }
    text_format(json, ",\n\"witness%u\": {\"class_type\": \"Witness\", \"inputs\": {\"at\": %u, \"value\": ", slot, slot);
    if (*id) text_format(json, "[\"%s\", 0]}}", id);
    else text_format(json, "%s}}", tested);
}

/* The link of the node's first input that takes what it emits in `slot`: what would be there without the node. */
static void put_passed(Text *link, const MainParameter *row, const NodusNode *node, uint32_t slot)
{
    const Settings settings = {"", {NULL, row->given, NULL}};
    int links[32] = {0};
    Piece value;
    for (uint32_t i = 0; i < node->input_count; i++) {
        if (strcmp(node->inputs[i].type, node->outputs[slot].type) != 0) continue;
        if (find_setting(&settings, node->inputs[i].name, &value)) return put_link(link, value, NULL, NULL);
        put_default(link, &node->inputs[i], links);
        return;
    }
    fail_msg("%s cannot be passed by", row->node);
}

static char *build(const MainParameter *row, const char *other)
{
    Text json = {0};
    char class_type[NAME], *out;
    const bool pass = !strcmp(other, "pass"), instead = !strncmp(other, "class=", 6);
    snprintf(class_type, sizeof class_type, "%s", instead ? other + 6 : row->node);
    const NodusNode *node = find_class(class_type);
    const Settings own = {"", {NULL, row->given, other}};
    text_char(&json, '{');
    for (const StageNode *stage = parameter_stage; stage->id; stage++) {
        char prefix[NAME];
        snprintf(prefix, sizeof prefix, "%s.", stage->id);
        put_node(&json, stage->id, stage->class_type, &(Settings){prefix, {stage->settings, row->given, other}}, NULL, NULL);
    }
    put_node(&json, "node", class_type, &own, NULL, NULL);
    for (uint32_t slot = 0; slot < node->output_count && slot < MOST_SLOTS && !(row->sink && slot); slot++) {
        Text tested = {0};
        if (pass) put_passed(&tested, row, node, slot);
        else text_format(&tested, "[\"node\", %u]", slot);
        put_sink(&json, row, other, node->outputs[slot].type, slot, text_get(&tested));
        text_free(&tested);
    }
    text_char(&json, '}');
    NodusStatus status = text_take(&json, &out);
    if (status) fail_msg("%s", nodus_error_message(status));
    return out;
}

/* ---- The test -------------------------------------------------------------------------------------------------------- */

static NodusOutcome run(const MainParameter *row, const char *other, Seen *out)
{
    char *json = build(row, other);
    memset(&seen, 0, sizeof seen);
    const NodusOutcome outcome = lab_run(&lab, json);
    see_files();
    if (find_class(row->node)->flags & NODUS_OUTPUT && !seen.files.low) seen.files = hash_of(lab.ui, strlen(lab.ui));
    *out = seen;
    if (getenv("PARAMETERS_SHOW")) fprintf(stderr, "%s {%s}\n%s\n", row->node, other, json);
    memory_free(json);
    return outcome;
}

/* Each setting is one of the node, of the stage or of a sink. */
static const char *misspelt(const MainParameter *row, const char *list)
{
    static char text[NAME];
    const NodusNode *node = find_class(row->node);
    Piece name, value;
    if (!strncmp(list, "class=", 6)) return NULL;
    while (next_setting(&list, &name, &value)) {
        bool known = node->flags & NODUS_VARIADIC || declares(node, name) || !strncmp(name.data, "sink.", 5);
        for (const StageNode *stage = parameter_stage; stage->id; stage++)
            known |= !strncmp(name.data, stage->id, strlen(stage->id)) && name.data[strlen(stage->id)] == '.';
        snprintf(text, sizeof text, "%.*s", (int)name.length, name.data);
        if (!known) return text;
    }
    return NULL;
}

static int complain(const MainParameter *row, const char *other, const char *what, const char *detail)
{
    fprintf(stderr, "%s {%s} {%s}: %s %s\n", row->node, row->given, other, what, detail);
    return 1;
}

/* Something was seen the first time, and is not now, which would pass for a difference. */
static bool misses(const Seen *base, const Seen *got)
{
    bool missing = base->files.low && !got->files.low, any = base->files.low != 0;
    for (int i = 0; i < MOST_SLOTS; i++) {
        missing |= base->slot[i].low && !got->slot[i].low;
        any |= base->slot[i].low != 0;
    }
    return missing || !any;
}

static int check_other(const MainParameter *row, const char *other, const Seen *base)
{
    const bool refused = *other == '!';
    Seen got;
    other += refused;
    if (misspelt(row, other)) return complain(row, other, "no such input:", misspelt(row, other));
    const NodusOutcome outcome = run(row, other, &got);
    if (refused) return outcome == NODUS_SUCCESS ? complain(row, other, "ran, and should not", "") : 0;
    if (outcome != NODUS_SUCCESS) return complain(row, other, "fails:", lab.error);
    if (misses(base, &got)) return complain(row, other, "does not emit what it did", "");
    return memcmp(&got, base, sizeof got) ? 0 : complain(row, other, "makes no difference", "");
}

static int check_row(const MainParameter *row)
{
    Seen base, again;
    if (misspelt(row, row->given)) return complain(row, "", "no such input:", misspelt(row, row->given));
    if (run(row, "", &base) != NODUS_SUCCESS) return complain(row, "", "fails:", lab.error);
    if (run(row, "", &again) != NODUS_SUCCESS || memcmp(&base, &again, sizeof base) != 0)
        return complain(row, "", "differs from run to run", lab.error);
    int wrong = 0;
    for (int i = 0; i < MOST_OTHERS && row->other[i]; i++) wrong += check_other(row, row->other[i], &base);
    return wrong;
}

TEST(every_node_heeds_its_main_parameters)
{
    int wrong = 0;
    const char *only = getenv("PARAMETERS_OF"); /* see support_parameters.c */
    for (const MainParameter *row = main_parameters; row->node; row++)
        if (!only || !strcmp(only, row->node)) wrong += check_row(row);
    if (wrong) fail_msg("%d rows or parameters are wrong (see above)", wrong);
}

/* A node that has widgets is tested by one of them. */
static bool varies_a_widget(const NodusNode *node, const MainParameter *row)
{
    bool any = false, varies = row->idle || node->flags & NODUS_VARIADIC;
    for (uint32_t i = 0; i < node->input_count; i++) {
        const NodusInput *input = &node->inputs[i];
        if (input->kind > NODUS_COMBO || input->flags & NODUS_FORCE_INPUT) continue;
        any = true;
        for (int k = 0; k < MOST_OTHERS && row->other[k]; k++) {
            Piece value;
            varies |= find_setting(&(Settings){"", {NULL, row->other[k] + (*row->other[k] == '!'), NULL}}, input->name, &value);
        }
    }
    return varies || !any;
}

TEST(every_node_has_a_row)
{
    int wrong = 0;
    for (const NodusNode *const *at = builtin_nodes; *at; at++) {
        const MainParameter *row = main_parameters;
        while (row->node && strcmp(row->node, (*at)->name) != 0) row++;
        if (!row->node || !row->other[0]) wrong++, fprintf(stderr, "%s has no row in tests/support_parameters.c\n", (*at)->name);
        else if (!varies_a_widget(*at, row)) wrong++, fprintf(stderr, "the row of %s varies none of its own parameters\n", row->node);
    }
    if (wrong) fail_msg("%d nodes have no row that tests them (see above)", wrong);
}

/* ---- Files that differ ----------------------------------------------------------------------------------------------- */

/* A copy of a file of weights in which those whose names contain `piece` are 0. */
static NodusStatus blank(const char *from, const char *to, const char *piece)
{
    static const float zeros[1 << 16];
    char path[512];
    WeightSet *set;
    snprintf(path, sizeof path, "%s", lab_path(&lab, from));
    NODUS_TRY(safetensors_open(file_exists(path) ? path : from, &set));
    SafetensorsItem *item = calloc((size_t)weights_count(set) + 1, sizeof *item);
    for (int i = 0; i < weights_count(set); i++) {
        const Weight *weight = weights_at(set, i);
        const bool out = strstr(weight->name, piece) && weight->bytes <= sizeof zeros;
        item[i] = (SafetensorsItem){.name = weight->name, .dtype = weight->dtype, .rank = weight->rank, .data = out ? zeros : weight->data};
        memcpy(item[i].dim, weight->dim, sizeof weight->dim);
    }
    snprintf(path, sizeof path, "%s", lab_path(&lab, to));
    *strrchr(path, '/') = '\0';
    NodusStatus status = file_make_folders(path);
    if (!status) status = safetensors_write(lab_path(&lab, to), true, NULL, item, weights_count(set), NULL, 0);
    free(item);
    weights_unref(set);
    return status;
}

/* What a workflow writes to output/, as a file of input/. */
static NodusStatus write_input(const char *json, const char *written, const char *name)
{
    if (lab_run(&lab, json) != NODUS_SUCCESS) return nodus_error(NODUS_ERROR_INTERNAL, "%s", lab.error);
    return rename(lab_path(&lab, written), lab_path(&lab, name)) ? nodus_error(NODUS_ERROR_FILE, "no %s", written) : NULL;
}

#define SHAPES "models/diffusers/shapes/"
#define OTHER  "models/diffusers/other/"
#define PAINT "models/diffusers/paint-by-example/"
#define OTHER_PAINT "models/diffusers/other-paint/"
static NodusStatus open_lab(void)
{
    static const struct { const char *from, *to, *piece; } blanks[] = {
        {"models/checkpoints/shapes-sd1.safetensors", "models/checkpoints/other.safetensors", ".bias"},
        {"models/checkpoints/sd21-unclip.safetensors", "models/checkpoints/other-unclip.safetensors", ".bias"},
        {"models/clip_vision/clip_vision.safetensors", "models/clip_vision/other.safetensors", ".bias"},
        {"models/style_models/style.safetensors", "models/style_models/other.safetensors", "style_embedding"},
        {"models/gligen/gligen.safetensors", "models/gligen/other.safetensors", ".bias"},
        {"models/hypernetworks/hypernetwork.safetensors", "models/hypernetworks/other.safetensors", ".bias"},
        {"models/vae/vae-diffusers.safetensors", "models/vae/other.safetensors", ".bias"},
        {"models/diffusion_models/unet.safetensors", "models/diffusion_models/other.safetensors", ".bias"},
        {"models/text_encoders/clip_l.safetensors", "models/text_encoders/other.safetensors", ".bias"},
        {"models/text_encoders/clip_g.safetensors", "models/text_encoders/other_g.safetensors", ".bias"},
        {"models/upscale_models/small-x4.safetensors", "models/upscale_models/other.safetensors", ".bias"},
        {"models/loras/neon-lora.safetensors", "models/loras/other.safetensors", "lora_up"},
        {SHAPES "unet/diffusion_pytorch_model.safetensors", OTHER "unet/diffusion_pytorch_model.safetensors", ".bias"},
        {SHAPES "vae/diffusion_pytorch_model.safetensors", OTHER "vae/diffusion_pytorch_model.safetensors", ".bias"},
        {"models/checkpoints/paint-by-example.safetensors", "models/checkpoints/other-paint.safetensors", ".bias"},
        {PAINT "unet/diffusion_pytorch_model.safetensors", OTHER_PAINT "unet/diffusion_pytorch_model.safetensors", ".bias"},
        {PAINT "vae/diffusion_pytorch_model.safetensors", OTHER_PAINT "vae/diffusion_pytorch_model.safetensors", ".bias"},
        {PAINT "image_encoder/model.safetensors", OTHER_PAINT "image_encoder/model.safetensors", ".bias"},
        {"models/photomaker/photomaker.safetensors", "models/photomaker/other.safetensors", ".bias"},
        {SHAPES "text_encoder/model.safetensors", OTHER "text_encoder/model.safetensors", ".bias"},
    };
    static const char *const force = "node";
    NODUS_TRY(examples_open(&lab, test_nodes));
    lab.options.disable_metadata = true; /* a file that holds its workflow would always differ */
    for (size_t i = 0; i < sizeof blanks / sizeof *blanks; i++) NODUS_TRY(blank(blanks[i].from, blanks[i].to, blanks[i].piece));
    NODUS_TRY(file_write_whole(lab_path(&lab, "models/diffusers/other/model_index.json"), "{}", 2));
    NODUS_TRY(file_write_whole(lab_path(&lab, OTHER_PAINT "model_index.json"), "{}", 2));
    NODUS_TRY(write_input("{\"1\": {\"class_type\": \"LoadImage\", \"inputs\": {\"image\": \"scene.png\"}},"
                          " \"2\": {\"class_type\": \"ImageInvert\", \"inputs\": {\"image\": [\"1\", 0]}},"
                          " \"3\": {\"class_type\": \"SaveImage\", \"inputs\": {\"images\": [\"2\", 0], \"filename_prefix\": \"other\"}}}",
                          "output/other_00001_.png", "input/other.png"));
    NODUS_TRY(write_input("{\"1\": {\"class_type\": \"EmptyLatentImage\", \"inputs\": {\"width\": 64, \"height\": 64, \"batch_size\": 1}},"
                       " \"2\": {\"class_type\": \"SaveLatent\", \"inputs\": {\"samples\": [\"1\", 0], \"filename_prefix\": \"other\"}}}",
                       "output/other_00001_.latent", "input/other.latent"));
    if (symlink(lab_path(&lab, "input/other.png"), lab_path(&lab, "output/other.png"))) return nodus_error(NODUS_ERROR_FILE, "no link");
    lab.options.force = &force; /* or its files would not be written again */
    lab.options.force_count = 1;
    return NULL;
}

LAB_FIXTURE(open_lab())

int main(void)
{
    const struct CMUnitTest cases[] = {CASE(every_node_has_a_row), CASE(every_node_heeds_its_main_parameters)};
    return cmocka_run_group_tests(cases, setup, teardown);
}
