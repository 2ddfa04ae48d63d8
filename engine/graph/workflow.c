/* workflow.c: from JSON to nodes.
 *
 * One idea: parsing decides the shape only (which nodes there are, of which class); whether it makes sense is validation's
 * matter, so that every error is reported at once. */
#include "engine/graph/workflow.h"
#include "engine/base/status.h"
#include "engine/graph/facts.h"
#include "engine/graph/ui.h"
#include <string.h>

void workflow_replace(cJSON *item, cJSON *other)
{
    const cJSON old = *item;
    item->type = (other->type & 0xff) | (old.type & ~0xff);
    item->child = other->child;
    item->valuestring = other->valuestring;
    item->valuedouble = other->valuedouble;
    other->type = (old.type & 0xff) | (other->type & ~0xff);
    other->child = old.child;
    other->valuestring = old.valuestring;
    cJSON_Delete(other);
}

int workflow_input_index(const NodusNode *def, const char *name)
{
    for (uint32_t i = 0; i < def->input_count; i++)
        if (!strcmp(def->inputs[i].name, name)) return (int)i;
    return -1;
}

static const char *title_of(const cJSON *json, const Node *node)
{
    const char *title = json_string(json_get(json_get(json, "_meta"), "title"));
    if (title && *title) return title;
    return node->def && node->def->title ? node->def->title : node->class_type ? node->class_type : "";
}

/* The items of declared inputs, and of a variadic node the others too; of duplicates the last. */
static bool find_items(Workflow *workflow, Node *node)
{
    const bool variadic = node->def->flags & NODUS_VARIADIC;
    const size_t most = node->def->input_count + 1 + (variadic && node->inputs ? (size_t)cJSON_GetArraySize(node->inputs) : 0);
    Names extra = {0};
    node->item = arena_alloc(workflow->arena, most * sizeof *node->item);
    node->bind = arena_alloc(workflow->arena, most * sizeof *node->bind);
    node->extra = variadic ? arena_alloc(workflow->arena, most * sizeof *node->extra) : NULL;
    node->binds = node->def->input_count;
    bool fine = node->item && node->bind && (node->extra || !variadic);
    for (cJSON *item = node->inputs ? node->inputs->child : NULL; item && fine; item = item->next) {
        int index = workflow_input_index(node->def, item->string);
        if (index < 0 && variadic && (index = names_get(&extra, item->string)) < 0) {
            index = (int)node->binds++;
            node->extra[(uint32_t)index - node->def->input_count] = item->string;
            fine = names_put(&extra, item->string, index);
        }
        if (index >= 0) node->item[index] = item;
    }
    names_free(&extra);
    return fine;
}

static NodusStatus add_node(Workflow *workflow, const Registry *registry, cJSON *json)
{
    Node node = {.id = json->string, .json = json, .class_type = json_string(json_get(json, "class_type"))};
    node.def = node.class_type ? registry_node(registry, node.class_type) : NULL;
    node.inputs = json_get(json, "inputs");
    if (!cJSON_IsObject(node.inputs)) node.inputs = NULL;
    node.title = title_of(json, &node);
    if (node.def && !find_items(workflow, &node)) return status_memory();
    const int32_t known = workflow_find(workflow, node.id);
    if (known >= 0) { /* a duplicate key: the first place, the last content, as in Python */
        workflow->node[known] = node;
        return NULL;
    }
    void *items = workflow->node;
    if (!memory_reserve(&items, &workflow->capacity, (size_t)workflow->count, sizeof node)) return status_memory();
    workflow->node = items;
    if (!names_put(&workflow->ids, node.id, workflow->count)) return status_memory();
    workflow->node[workflow->count++] = node;
    return NULL;
}

/* The envelope of the HTTP interface has the prompt as a member; a node called "prompt" has a class. */
static void open_envelope(Workflow *workflow)
{
    cJSON *root = json_root(workflow->json), *inner = json_get(root, "prompt");
    workflow->prompt = root;
    if (!cJSON_IsObject(inner) || json_get(inner, "class_type")) return;
    workflow->prompt = inner;
    workflow->extra_pnginfo = json_get(json_get(root, "extra_data"), "extra_pnginfo");
    workflow->targets = json_get(root, "partial_execution_targets");
    if (!cJSON_IsArray(workflow->targets)) workflow->targets = NULL; /* null: all outputs */
}

/* The workflow as it was goes into the pictures beside the prompt that was made of it. */
static NodusStatus keep_original(Workflow *workflow, const cJSON *document)
{
    if (workflow->extra_pnginfo && !cJSON_IsNull(workflow->extra_pnginfo)) return NULL;
    cJSON *original = cJSON_CreateObjectReference(document->child);
    workflow->extra_pnginfo = workflow->pnginfo = cJSON_CreateObject();
    if (original && workflow->pnginfo && cJSON_AddItemToObject(workflow->pnginfo, "workflow", original)) return NULL;
    cJSON_Delete(original);
    return status_memory();
}

static NodusStatus convert(Workflow *workflow, const Registry *registry, Folders *folders, Report *report)
{
    const UiOptions options = {0};
    const cJSON *document = workflow->prompt;
    NODUS_TRY(ui_convert(registry, folders, workflow->json, document, &options, report, &workflow->converted));
    workflow->prompt = workflow->converted;
    return keep_original(workflow, document);
}

static NodusStatus build(Workflow *workflow, const Registry *registry, Folders *folders, Report *report)
{
    open_envelope(workflow);
    if (!cJSON_IsObject(workflow->prompt)) {
        report_whole(report, "invalid_prompt", "This is not a prompt", "the document is no JSON object of nodes", NULL);
        return NULL;
    }
    NodusStatus status = ui_is(workflow->prompt) ? convert(workflow, registry, folders, report) : NULL;
    if (status && nodus_error_kind(status) != NODUS_ERROR_MEMORY) {
        report_whole(report, "invalid_prompt", "The workflow cannot be converted", nodus_error_message(status), NULL);
        nodus_error_free(status);
        return NULL;
    }
    NODUS_TRY(status);
    for (cJSON *json = workflow->prompt->child; json; json = json->next) NODUS_TRY(add_node(workflow, registry, json));
    return NULL;
}

NodusStatus workflow_parse(const Registry *registry, Folders *folders, const char *text, size_t length, Report *report,
                           Workflow **out)
{
    *out = NULL;
    Workflow *workflow = memory_alloc(sizeof *workflow);
    if (!workflow || !(workflow->arena = arena_new())) {
        workflow_free(workflow);
        return status_memory();
    }
    NodusStatus status = json_parse(text, length, &workflow->json);
    if (status && nodus_error_kind(status) != NODUS_ERROR_MEMORY) {
        report_whole(report, "invalid_json", "The text is not JSON", nodus_error_message(status), NULL);
        nodus_error_free(status);
        status = NULL;
    } else if (!status) {
        status = build(workflow, registry, folders, report);
    }
    if (status || report->error) workflow_free(workflow);
    else *out = workflow;
    return status;
}

void workflow_free(Workflow *workflow)
{
    if (!workflow) return;
    for (int32_t n = 0; n < workflow->count; n++) {
        const Node *node = &workflow->node[n];
        for (uint32_t i = 0; i < node->binds; i++) value_unref(node->bind[i].value);
    }
    facts_free(workflow->facts);
    memory_free(workflow->node);
    names_free(&workflow->ids);
    cJSON_Delete(workflow->converted);
    cJSON_Delete(workflow->pnginfo);
    json_free(workflow->json);
    arena_free(workflow->arena);
    memory_free(workflow);
}

bool workflow_has_bad_source(const Workflow *workflow, const Node *node)
{
    for (uint32_t i = 0; i < node->binds; i++)
        if (node->bind[i].kind == BIND_LINK && workflow->node[node->bind[i].source].bad) return true;
    return false;
}

int32_t workflow_find(const Workflow *workflow, const char *id)
{
    return names_get(&workflow->ids, id);
}
