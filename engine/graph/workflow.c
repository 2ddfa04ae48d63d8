/* workflow.c: from JSON to nodes.
 *
 * One idea: parsing decides the shape only (which nodes there are, of which class); whether it makes sense is validation's
 * matter, so that every error is reported at once. */
#include "engine/graph/workflow.h"
#include "engine/base/status.h"
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

/* The items of declared inputs; of duplicates the last. */
static bool find_items(Workflow *workflow, Node *node)
{
    node->item = arena_alloc(workflow->arena, (node->def->input_count + 1) * sizeof *node->item);
    node->bind = arena_alloc(workflow->arena, (node->def->input_count + 1) * sizeof *node->bind);
    if (!node->item || !node->bind) return false;
    for (cJSON *item = node->inputs ? node->inputs->child : NULL; item; item = item->next) {
        const int index = workflow_input_index(node->def, item->string);
        if (index >= 0) node->item[index] = item;
    }
    return true;
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

static const char *shape_problem(const Workflow *workflow)
{
    const cJSON *root = workflow->prompt;
    if (!cJSON_IsObject(root)) return "the document is no JSON object of nodes";
    if (cJSON_IsArray(json_get(root, "nodes")))
        return "this is a workflow as the editor saves it; nodus reads the API format so far: in the editor choose \"Export "
               "(API)\"";
    return NULL;
}

static NodusStatus build(Workflow *workflow, const Registry *registry, Report *report)
{
    open_envelope(workflow);
    const char *problem = shape_problem(workflow);
    if (problem) {
        report_whole(report, "invalid_prompt", "This is not a prompt", problem, NULL);
        return NULL;
    }
    for (cJSON *json = workflow->prompt->child; json; json = json->next) NODUS_TRY(add_node(workflow, registry, json));
    return NULL;
}

NodusStatus workflow_parse(const Registry *registry, const char *text, size_t length, Report *report, Workflow **out)
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
        status = build(workflow, registry, report);
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
        for (uint32_t i = 0; node->def && i < node->def->input_count; i++) value_unref(node->bind[i].value);
    }
    memory_free(workflow->node);
    names_free(&workflow->ids);
    json_free(workflow->json);
    arena_free(workflow->arena);
    memory_free(workflow);
}

int32_t workflow_find(const Workflow *workflow, const char *id)
{
    return names_get(&workflow->ids, id);
}
