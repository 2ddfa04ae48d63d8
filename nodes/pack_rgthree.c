/* pack_rgthree.c: nodes that shared workflows carry from rgthree-comfy, by what its README and files made with it tell.
 *
 * One idea: each is a thin name for what other nodes do. What only that pack's part of the editor does is done where a prompt is
 * read: a seed of −1 is drawn in engine/graph/edit.c, the rows of LoRAs are named in engine/graph/ui_widgets.c. */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/formats/json.h"
#include "nodes/lora.h"
#include "nodes/util.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define EXAMPLE "graphs/pack_rgthree.json"

/* ---- Seed ---------------------------------------------------------------------------------------------------------- */

typedef struct {
    uint64_t seed;
} SeedArgs;

static NodusStatus rgthree_seed(NodusCall *call, const void *args)
{
    const SeedArgs *in = args;
    return nodus_emit_uint(call, 0, in->seed);
}

static const NodusInput seed_inputs[] = {
    NODUS_FLAG_SEED(0, "seed", SeedArgs, seed,
                    "The number. -1: a new one each run; it is told, and stored with the pictures. So are -2 and -3, one more and "
                    "one less than the last in the editor, for there is no last one here.",
                    .def = 0, .min = 0, .max = UINT64_MAX),
};
static const NodusOutput seed_outputs[] = {{.name = "SEED", .type = "INT", .tooltip = "The number."}};
const NodusNode node_rgthree_seed = {
    NODUS_NODE("Seed (rgthree)", "Seed (rgthree)", "rgthree", SeedArgs, seed_inputs, seed_outputs),
    .help = "A seed for any inputs that are linked to it.",
    .example = EXAMPLE,
    .run = rgthree_seed,
};

/* ---- Any Switch ---------------------------------------------------------------------------------------------------- */

enum { SWITCH_INPUTS = 16 };
typedef struct {
    const NodusRawLink *any[SWITCH_INPUTS];
} SwitchArgs;

/* What is muted is not in a prompt, so the first input that is there is chosen before anything runs; the others' sources do not
 * run for it. */
static NodusStatus rgthree_switch(NodusCall *call, const void *args)
{
    const SwitchArgs *in = args;
    for (int i = 0; i < SWITCH_INPUTS; i++)
        if (in->any[i] && (in->any[i]->node || in->any[i]->list.count)) return nodus_emit_outside(call, 0, in->any[i]);
    return nodus_input_error(call, "any_01", "none of the inputs is linked: nothing to choose from");
}

#define SWITCH_INPUT(name_, index_)                                                                               \
    NODUS_FLAG_ANY(NODUS_OPTIONAL | NODUS_RAW_LINK | NODUS_LAZY, name_, SwitchArgs, any[index_], \
                   "Taken if it is linked and none before it is.")
static const NodusInput switch_inputs[] = {
    SWITCH_INPUT("any_01", 0),  SWITCH_INPUT("any_02", 1),  SWITCH_INPUT("any_03", 2),  SWITCH_INPUT("any_04", 3),
    SWITCH_INPUT("any_05", 4),  SWITCH_INPUT("any_06", 5),  SWITCH_INPUT("any_07", 6),  SWITCH_INPUT("any_08", 7),
    SWITCH_INPUT("any_09", 8),  SWITCH_INPUT("any_10", 9),  SWITCH_INPUT("any_11", 10), SWITCH_INPUT("any_12", 11),
    SWITCH_INPUT("any_13", 12), SWITCH_INPUT("any_14", 13), SWITCH_INPUT("any_15", 14), SWITCH_INPUT("any_16", 15),
};
static const NodusOutput switch_outputs[] = {{.name = "*", .type = "*", .tooltip = "The first input that is linked."}};
const NodusNode node_rgthree_any_switch = {
    NODUS_NODE("Any Switch (rgthree)", "Any Switch (rgthree)", "rgthree", SwitchArgs, switch_inputs, switch_outputs),
    .help = "Pass on the first input that is linked. With muted nodes before it, it chooses between branches of a workflow; only the "
            "chosen one runs.",
    .example = EXAMPLE,
    .run = rgthree_switch,
};

/* ---- Power Lora Loader --------------------------------------------------------------------------------------------- */

typedef struct {
    const Model *model;
    const Clip *clip;
} PowerLoraArgs;

/* A row that counts: it is on, names a file, and is not of strength 0. */
typedef struct Row {
    const char *input; /* NULL: it does not count */
    char *file;        /* lives as long as the call */
    double model, clip;
} Row;

static NodusStatus row_strength(NodusCall *call, const char *input, const cJSON *row, const char *name, double missing, double *out)
{
    const cJSON *item = json_get(row, name);
    *out = missing;
    if (!item || cJSON_IsNull(item)) return NULL;
    *out = json_double(item);
    if (json_is_number(item) && *out >= -100 && *out <= 100) return NULL;
    return nodus_input_error(call, input, "\"%s\" is no number from -100 to 100", name);
}

/* {"on": true, "lora": "a.safetensors", "strength": 1, "strengthTwo": 0.5}; the second strength, of the text encoder, may be missing:
 * it is the first then. */
static NodusStatus row_read(NodusCall *call, const char *input, const cJSON *json, Row *out)
{
    const cJSON *on = json_get(json, "on"), *lora = json_get(json, "lora");
    const char *file = json_string(lora);
    *out = (Row){0};
    if (!cJSON_IsObject(json) || !on || !lora)
        return nodus_input_error(call, input, "is no row: an object with \"on\", \"lora\" and \"strength\"");
    if (!cJSON_IsTrue(on) || !file || !*file || !strcasecmp(file, "none")) return NULL;
    NODUS_TRY(row_strength(call, input, json, "strength", 1, &out->model));
    NODUS_TRY(row_strength(call, input, json, "strengthTwo", out->model, &out->clip));
    if (!out->model && !out->clip) return NULL;
    if (!(out->file = nodus_alloc(call, strlen(file) + 1))) return status_memory();
    memcpy(out->file, file, strlen(file) + 1);
    out->input = input;
    return NULL;
}

/* Row `index` of the undeclared inputs. Others (the heading, the button) are no rows; neither is a link. */
static NodusStatus row_at(NodusCall *call, uint32_t index, Row *out)
{
    const char *input = nodus_extra_name(call, index);
    const NodusList list = nodus_extra_list(call, index);
    NodusText *text = nodus_text(call);
    Json *json;
    *out = (Row){0};
    if (strncasecmp(input, "lora_", 5) || !list.count) return NULL;
    if (!text) return status_memory();
    NODUS_TRY(nodus_value_print(list.item[0], text));
    NodusStatus status = json_parse(nodus_text_get(text), strlen(nodus_text_get(text)), &json);
    if (status && nodus_error_kind(status) == NODUS_ERROR_MEMORY) return status;
    nodus_error_free(status);
    if (status) return nodus_input_error(call, input, "is no row: an object with \"on\", \"lora\" and \"strength\"");
    status = row_read(call, input, json_root(json), out);
    json_free(json);
    return status;
}

static NodusStatus put_rows(NodusCall *call, Model **model, Clip **clip)
{
    Row row;
    for (uint32_t i = 0; i < nodus_extra_count(call); i++) {
        NODUS_TRY(row_at(call, i, &row));
        if (row.input) NODUS_TRY(lora_put(call, row.file, row.model, row.clip, model, clip));
    }
    return NULL;
}

/* An output without its input blocks whoever reads it. */
static NodusStatus block_missing(NodusCall *call, const PowerLoraArgs *in)
{
    if (!in->model) NODUS_TRY(nodus_block(call, 0, "no model is linked to the Power Lora Loader"));
    return in->clip ? NULL : nodus_block(call, 1, "no clip is linked to the Power Lora Loader");
}

static NodusStatus power_lora(NodusCall *call, const void *args)
{
    const PowerLoraArgs *in = args;
    Model *model = in->model ? model_copy(in->model) : NULL;
    Clip *clip = in->clip ? clip_copy(in->clip) : NULL;
    NodusStatus status = (model || !in->model) && (clip || !in->clip) ? NULL : status_memory();
    if (!status) status = put_rows(call, &model, &clip);
    if (!status) {
        NODUS_TRY(lora_emit(call, model, clip));
        return block_missing(call, in);
    }
    if (model) type_model.free(model);
    if (clip) type_clip.free(clip);
    return status;
}

/* A file that is not there is told before anything runs. */
static NodusStatus power_lora_check(NodusCall *call, const void *args)
{
    Row row;
    (void)args;
    for (uint32_t i = 0; i < nodus_extra_count(call); i++) {
        const char *path;
        NODUS_TRY(row_at(call, i, &row));
        NodusStatus status = row.input ? nodus_find_file(call, "loras", row.file, &path) : NULL;
        if (!status || nodus_error_kind(status) == NODUS_ERROR_MEMORY) NODUS_TRY(status);
        else {
            nodus_error_free(status);
            return nodus_input_error(call, row.input, "there is no file '%s' in models/loras", row.file);
        }
    }
    return NULL;
}

static NodusStatus power_lora_fingerprint(NodusCall *call, const void *args, NodusHash *hash)
{
    Row row;
    (void)args;
    for (uint32_t i = 0; i < nodus_extra_count(call); i++) {
        NODUS_TRY(row_at(call, i, &row));
        if (row.input) NODUS_TRY(lora_hash(call, hash, row.file));
    }
    return NULL;
}

static const NodusInput power_lora_inputs[] = {
    NODUS_FLAG_LINK(NODUS_OPTIONAL, "model", PowerLoraArgs, model, "MODEL", "The diffusion model that they are put on."),
    NODUS_FLAG_LINK(NODUS_OPTIONAL, "clip", PowerLoraArgs, clip, "CLIP", "The text encoder that they are put on."),
};
static const NodusOutput power_lora_outputs[] = {
    {.name = "MODEL", .type = "MODEL", .tooltip = "The diffusion model with the LoRAs."},
    {.name = "CLIP", .type = "CLIP", .tooltip = "The text encoder with the LoRAs."},
};
const NodusNode node_rgthree_power_lora_loader = {
    NODUS_NODE("Power Lora Loader (rgthree)", "Power Lora Loader (rgthree)", "rgthree", PowerLoraArgs, power_lora_inputs,
               power_lora_outputs),
    .flags = NODUS_IO | NODUS_VARIADIC,
    .help = "Put any number of LoRAs on a model and its text encoder, in order. Each is an input lora_1, lora_2 ... of its own: "
            "{\"on\": true, \"lora\": \"FILE\", \"strength\": 1}, with \"strengthTwo\" if the text encoder has another strength.",
    .example = EXAMPLE,
    .run = power_lora,
    .check = power_lora_check,
    .fingerprint = power_lora_fingerprint,
    .infer = lora_infer,
};

/* ---- Display Any -------------------------------------------------------------------------------------------------- */

static const NodusInput display_inputs[] = {NODUS_IN_ANY("source", PreviewAnyArgs, source, "Any value.")};
const NodusNode node_rgthree_display_any = {
    NODUS_NODE_END("Display Any (rgthree)", "Display Any (rgthree)", "rgthree", PreviewAnyArgs, display_inputs),
    .flags = NODUS_OUTPUT,
    .help = "Show any value as text.",
    .example = EXAMPLE,
    .run = util_preview,
};
