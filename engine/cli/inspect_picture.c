/* inspect_picture.c: a picture's size, its texts, and what the prompt among them says in short.
 *
 * One idea: nothing is known here of single nodes: a setting is a literal under a name that says what it is, so prompts with
 * nodes that this build lacks are summed up as well. */
#include "engine/cli/inspect.h"
#include "engine/cli/say.h"
#include "engine/formats/metadata.h"
#include <string.h>

/* ---- A prompt ----------------------------------------------------------------------------------------------------------- */

static const char *const settings[] = {"seed",      "noise_seed", "steps",         "cfg",        "sampler_name",
                                       "scheduler", "denoise",    "start_at_step", "end_at_step"};
enum { SETTINGS = sizeof settings / sizeof *settings };

static bool ends_with(const char *text, const char *end)
{
    const size_t length = strlen(text), tail = strlen(end);
    return length >= tail && !strcmp(text + length - tail, end);
}

/* A file of a model folder: "ckpt_name": "a.safetensors". */
static bool names_model(const cJSON *input)
{
    const char *value = json_string(input);
    const size_t length = strlen(input->string);
    const bool name = ends_with(input->string, "_name") || (length > 5 && ends_with(input->string, "_name1")) ||
                      ends_with(input->string, "_name2");
    return value && name && strcmp(input->string, "sampler_name") && strchr(value, '.');
}

static bool is_text(const cJSON *input)
{
    return json_string(input) && (!strncmp(input->string, "text", 4) || !strcmp(input->string, "prompt"));
}

static cJSON *add_row(cJSON *list, const cJSON *node)
{
    cJSON *row = need(cJSON_CreateObject());
    const char *title = json_string(json_get(json_get(node, "_meta"), "title")),
               *type = json_string(json_get(node, "class_type"));
    need(cJSON_AddStringToObject(row, "node", node->string));
    need(cJSON_AddStringToObject(row, "class_type", type ? type : ""));
    if (title) need(cJSON_AddStringToObject(row, "title", title));
    cJSON_AddItemToArray(list, row);
    return row;
}

static void copy_member(cJSON *row, const cJSON *item)
{
    cJSON_AddItemToObject(row, item->string, need(cJSON_Duplicate(item, true)));
}

static void add_settings(cJSON *list, const cJSON *node, const cJSON *inputs)
{
    cJSON *row = NULL;
    for (int i = 0; i < SETTINGS; i++) {
        const cJSON *item = json_get(inputs, settings[i]);
        if (!item || cJSON_IsArray(item)) continue;
        if (!row) row = add_row(list, node);
        copy_member(row, item);
    }
}

static void sum_up(const cJSON *prompt, cJSON *out)
{
    cJSON *models = need(cJSON_AddArrayToObject(out, "models")), *samplers = need(cJSON_AddArrayToObject(out, "samplers"));
    cJSON *texts = need(cJSON_AddArrayToObject(out, "texts"));
    for (const cJSON *node = prompt->child; node; node = node->next) {
        const cJSON *inputs = json_get(node, "inputs");
        if (!cJSON_IsObject(inputs)) continue;
        add_settings(samplers, node, inputs);
        for (const cJSON *input = inputs->child; input; input = input->next) {
            if (names_model(input)) copy_member(add_row(models, node), input);
            if (is_text(input)) copy_member(add_row(texts, node), input);
        }
    }
}

void inspect_prompt(const char *text, cJSON *found)
{
    Json *json = NULL;
    NodusStatus status = json_parse(text, strlen(text), &json);
    nodus_error_free(status);
    if (json && cJSON_IsObject(json_root(json))) {
        cJSON *out = need(cJSON_AddObjectToObject(found, "prompt"));
        need(cJSON_AddNumberToObject(out, "nodes", cJSON_GetArraySize(json_root(json))));
        sum_up(json_root(json), out);
    }
    json_free(json);
}

/* ---- The picture -------------------------------------------------------------------------------------------------------- */

/* A text: its key, and its value as JSON where it is JSON. */
static void add_text(cJSON *list, const MetadataText *text)
{
    Json *json = NULL;
    NodusStatus status = json_parse(text->value, text->length, &json);
    nodus_error_free(status);
    const cJSON *root = json ? json_root(json) : NULL;
    const bool tree = cJSON_IsObject(root) || cJSON_IsArray(root);
    cJSON *row = need(cJSON_CreateObject());
    need(cJSON_AddStringToObject(row, "key", text->key));
    need(cJSON_AddNumberToObject(row, "bytes", (double)text->length));
    cJSON_AddItemToObject(row, "value", need(tree ? cJSON_Duplicate(root, true) : cJSON_CreateString(text->value)));
    cJSON_AddItemToArray(list, row);
    json_free(json);
}

NodusStatus inspect_picture(const void *data, size_t size, cJSON *found)
{
    Metadata metadata;
    NODUS_TRY(metadata_read(data, size, &metadata));
    need(cJSON_AddStringToObject(found, "kind", "picture"));
    need(cJSON_AddStringToObject(found, "format", metadata.format));
    need(cJSON_AddNumberToObject(found, "width", metadata.width));
    need(cJSON_AddNumberToObject(found, "height", metadata.height));
    need(cJSON_AddNumberToObject(found, "damaged", (double)metadata.damaged));
    if (metadata_get(&metadata, "prompt")) inspect_prompt(metadata_get(&metadata, "prompt"), found);
    cJSON *texts = need(cJSON_AddArrayToObject(found, "texts"));
    for (size_t i = 0; i < metadata.count; i++) add_text(texts, &metadata.text[i]);
    metadata_free(&metadata);
    return NULL;
}
