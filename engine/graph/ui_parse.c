/* ui_parse.c: the saved document becomes scopes: nodes and links that know each other by index.
 *
 * One idea: a node's sockets name links, and links name nodes; so ids of nodes are read first, links second, sockets last. What
 * is named and absent becomes −1 here, and nothing after this looks at an id again. Both spellings of a link are read: the array
 * of version 0.4 and the object of version 1 and of sub-graphs. */
#include "engine/graph/ui_graph.h"
#include "engine/base/status.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_WARNINGS = 40, MOST_SLOT = 1 << 20, LINK_FIELDS = 5 };

void ui_warn(Ui *ui, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (ui->warnings++ < MOST_WARNINGS) report_warning(ui->report, "%s", text);
}

void ui_warn_rest(Ui *ui)
{
    if (ui->warnings > MOST_WARNINGS) report_warning(ui->report, "… and %d more", ui->warnings - MOST_WARNINGS);
}

/* ---- Small pieces ----------------------------------------------------------------------------------------------------- */

/* An id, number or text, as text; NULL when there is none. */
static const char *id_of(const cJSON *item)
{
    return cJSON_IsString(item) || json_is_integer(item) ? item->valuestring : NULL;
}

/* A slot, which old files write as a text. */
static int32_t slot_of(const cJSON *item)
{
    const char *text = id_of(item);
    if (!text || !*text || text[strspn(text, "0123456789")] || strlen(text) > 9) return UI_ABSENT;
    const long slot = strtol(text, NULL, 10);
    return slot <= MOST_SLOT ? (int32_t)slot : UI_ABSENT;
}

/* A type's name: "" is any; old files write a combo's options in its place. */
static const char *type_of(const cJSON *item)
{
    return cJSON_IsString(item) ? item->valuestring : cJSON_IsArray(item) ? "COMBO" : "";
}

static const char *text_of(const cJSON *item)
{
    return cJSON_IsString(item) ? item->valuestring : "";
}

/* Room for one element for each child of `list`, which may be NULL. */
static NodusStatus room_for(Ui *ui, const cJSON *list, size_t size, int32_t *count, void *out)
{
    *count = cJSON_GetArraySize(list);
    void *room = arena_alloc(ui->arena, ((size_t)*count + 1) * size);
    memcpy(out, &room, sizeof room);
    return room ? NULL : status_memory();
}

static const cJSON *list_of(const cJSON *object, const char *name)
{
    const cJSON *list = json_get(object, name);
    return cJSON_IsArray(list) ? list : NULL;
}

/* ---- What a node is ------------------------------------------------------------------------------------------------- */

typedef struct TypeKind {
    const char *type;
    UiKind kind;
} TypeKind;
static const TypeKind type_kinds[] = {
    {"Note", UI_NOTE},
    {"MarkdownNote", UI_NOTE},
    {"Label (rgthree)", UI_NOTE},
    {"Bookmark (rgthree)", UI_NOTE},
    {"Fast Groups Muter (rgthree)", UI_NOTE},
    {"Fast Groups Bypasser (rgthree)", UI_NOTE},
    {"Fast Muter (rgthree)", UI_NOTE},
    {"Fast Bypasser (rgthree)", UI_NOTE},
    {"Reroute", UI_REROUTE},
    {"Reroute (rgthree)", UI_REROUTE},
    {"PrimitiveNode", UI_PRIMITIVE},
    {"SetNode", UI_SET},
    {"GetNode", UI_GET},
    {"easy setNode", UI_SET},
    {"easy getNode", UI_GET},
    {"Anything Everywhere", UI_REFUSED},
    {"Anything Everywhere3", UI_REFUSED},
    {"Anything Everywhere?", UI_REFUSED},
    {"Prompts Everywhere", UI_REFUSED},
    {"Seed Everywhere", UI_REFUSED},
};

static const char *const renamed[][2] = {
    {"T2IAdapterLoader", "ControlNetLoader"},
    {"ConditioningAverage ", "ConditioningAverage"},
    {"SDV_img2vid_Conditioning", "SVD_img2vid_Conditioning"},
};

static bool is_group_node(const char *type)
{
    return !strncmp(type, "workflow>", 9) || !strncmp(type, "workflow/", 9);
}

static void classify(const Ui *ui, UiNode *node)
{
    for (size_t i = 0; i < sizeof renamed / sizeof *renamed; i++)
        if (!strcmp(node->type, renamed[i][0])) node->type = renamed[i][1];
    node->scope = names_get(&ui->scope_index, node->type);
    node->kind = node->scope >= 0 ? UI_INSTANCE : is_group_node(node->type) ? UI_REFUSED : UI_NODE;
    for (size_t i = 0; node->kind == UI_NODE && i < sizeof type_kinds / sizeof *type_kinds; i++)
        if (!strcmp(node->type, type_kinds[i].type)) node->kind = type_kinds[i].kind;
    if (node->kind == UI_NODE) node->def = registry_node(ui->registry, node->type);
}

/* ---- Nodes ------------------------------------------------------------------------------------------------------------ */

/* First pass: who is there. */
static NodusStatus read_node(Ui *ui, UiScope *scope, const cJSON *json)
{
    UiNode *node = &scope->node[scope->nodes];
    const char *id = id_of(json_get(json, "id")), *type = json_string(json_get(json, "type"));
    if (!id || !type) {
        size_t offset, length;
        json_span(ui->json, json, &offset, &length);
        ui_warn(ui, "the entry of \"nodes\" at byte %zu has no id or no type and is left out", offset);
        return NULL;
    }
    *node = (UiNode){.id = id, .type = type, .json = json};
    node->mode = slot_of(json_get(json, "mode"));
    classify(ui, node);
    if (names_get(&scope->node_index, id) >= 0) ui_warn(ui, "several nodes have the id %s: the last counts", id);
    if (!names_put(&scope->node_index, id, scope->nodes)) return status_memory();
    const cJSON *values = json_get(json, "widgets_values");
    if (node->kind == UI_SET || node->kind == UI_GET) node->variable = text_of(values ? values->child : NULL);
    if (node->kind == UI_SET && !names_put(&scope->variables, node->variable, scope->nodes)) return status_memory();
    scope->nodes++;
    return NULL;
}

static NodusStatus read_nodes(Ui *ui, UiScope *scope)
{
    const cJSON *list = list_of(scope->json, "nodes");
    NODUS_TRY(room_for(ui, list, sizeof *scope->node, &scope->nodes, &scope->node));
    scope->nodes = 0;
    for (const cJSON *json = list ? list->child : NULL; json; json = json->next) NODUS_TRY(read_node(ui, scope, json));
    return NULL;
}

/* Last pass: sockets. */
static NodusStatus read_sockets(Ui *ui, UiNode *node, const Names *link_index)
{
    const cJSON *inputs = list_of(node->json, "inputs"), *outputs = list_of(node->json, "outputs");
    NODUS_TRY(room_for(ui, inputs, sizeof *node->input, &node->inputs, &node->input));
    NODUS_TRY(room_for(ui, outputs, sizeof *node->output, &node->outputs, &node->output));
    UiInput *input = node->input;
    for (const cJSON *json = inputs ? inputs->child : NULL; json; json = json->next, input++) {
        *input = (UiInput){text_of(json_get(json, "name")), type_of(json_get(json, "type")), NULL, UI_ABSENT};
        input->widget = json_string(json_get(json_get(json, "widget"), "name"));
        const char *link = id_of(json_get(json, "link"));
        if (!link) continue;
        input->link = names_get(link_index, link);
        if (input->link < 0)
            ui_warn(ui, "node %s (%s), input %s: it names link %s, which does not exist, and stays open", node->id, node->type,
                    input->name, link);
    }
    const char **type = node->output;
    for (const cJSON *json = outputs ? outputs->child : NULL; json; json = json->next) *type++ = type_of(json_get(json, "type"));
    return NULL;
}

/* ---- Links ------------------------------------------------------------------------------------------------------------ */

static int32_t end_of(const UiScope *scope, const char *id, const char *border, int32_t border_end)
{
    if (!id) return UI_ABSENT;
    const int32_t node = names_get(&scope->node_index, id);
    return node < 0 && scope->id && !strcmp(id, border) ? border_end : node;
}

static const char *read_link(const UiScope *scope, const cJSON *json, UiLink *link)
{
    static const char *const names[LINK_FIELDS] = {"id", "origin_id", "origin_slot", "target_id", "target_slot"};
    const cJSON *field[LINK_FIELDS] = {0}, *item = json->child;
    for (int i = 0; i < LINK_FIELDS; i++) {
        field[i] = cJSON_IsArray(json) ? item : json_get(json, names[i]);
        if (item) item = item->next;
    }
    link->origin = end_of(scope, id_of(field[1]), "-10", UI_ENTRY);
    link->origin_slot = slot_of(field[2]);
    link->target = end_of(scope, id_of(field[3]), "-20", UI_EXIT);
    link->target_slot = slot_of(field[4]);
    return id_of(field[0]);
}

static NodusStatus read_links(Ui *ui, UiScope *scope, Names *link_index)
{
    const cJSON *list = list_of(scope->json, "links");
    NODUS_TRY(room_for(ui, list, sizeof *scope->link, &scope->links, &scope->link));
    scope->links = 0;
    for (const cJSON *json = list ? list->child : NULL; json; json = json->next) {
        const char *id = read_link(scope, json, &scope->link[scope->links]);
        if (!id) continue; /* null: the editor leaves holes */
        if (!names_put(link_index, id, scope->links)) return status_memory();
        scope->links++;
    }
    return NULL;
}

/* The inputs or outputs of a sub-graph. Which link is the first inside, the port says; else the order of links. */
static NodusStatus read_ports(Ui *ui, const UiScope *scope, const char *name, const Names *link_index, bool entry, UiPort **out,
                              int32_t *count)
{
    const cJSON *list = list_of(scope->json, name);
    NODUS_TRY(room_for(ui, list, sizeof **out, count, out));
    UiPort *port = *out;
    for (const cJSON *json = list ? list->child : NULL; json; json = json->next, port++) {
        const cJSON *ids = list_of(json, "linkIds");
        const char *id = ids ? id_of(ids->child) : NULL;
        *port = (UiPort){text_of(json_get(json, "name")), id ? names_get(link_index, id) : UI_ABSENT};
    }
    for (int32_t i = scope->links - 1; i >= 0; i--) {
        const UiLink *link = &scope->link[i];
        const int32_t slot = entry ? link->origin_slot : link->target_slot;
        if ((entry ? link->origin != UI_ENTRY : link->target != UI_EXIT) || slot < 0 || slot >= *count) continue;
        const int32_t known = (*out)[slot].link;
        const UiLink *first = known >= 0 ? &scope->link[known] : NULL;
        const bool right = first && (entry ? first->origin == UI_ENTRY && first->origin_slot == slot
                                           : first->target == UI_EXIT && first->target_slot == slot);
        if (!right || known > i) (*out)[slot].link = i;
    }
    return NULL;
}

/* ---- Scopes ----------------------------------------------------------------------------------------------------------- */

static NodusStatus add_scope(Ui *ui, const cJSON *json, const char *id)
{
    void *scopes = ui->scope;
    if (!memory_reserve(&scopes, &ui->scope_room, (size_t)ui->scopes, sizeof *ui->scope)) return status_memory();
    ui->scope = scopes;
    size_t offset;
    UiScope *scope = &ui->scope[ui->scopes];
    *scope = (UiScope){.json = json, .id = id};
    json_span(ui->json, json, &offset, &scope->bytes);
    if (id && !names_put(&ui->scope_index, id, ui->scopes)) return status_memory();
    ui->scopes++;
    return NULL;
}

/* Definitions may hold definitions. */
static NodusStatus add_definitions(Ui *ui, const cJSON *json)
{
    const cJSON *list = list_of(json_get(json, "definitions"), "subgraphs");
    for (const cJSON *inner = list ? list->child : NULL; inner; inner = inner->next) {
        const char *id = id_of(json_get(inner, "id"));
        if (id) NODUS_TRY(add_scope(ui, inner, id));
    }
    return NULL;
}

static NodusStatus read_rest(Ui *ui, UiScope *scope, Names *link_index)
{
    NODUS_TRY(read_links(ui, scope, link_index));
    for (int32_t i = 0; i < scope->nodes; i++) NODUS_TRY(read_sockets(ui, &scope->node[i], link_index));
    if (!scope->id) return NULL;
    NODUS_TRY(read_ports(ui, scope, "inputs", link_index, true, &scope->in, &scope->ins));
    return read_ports(ui, scope, "outputs", link_index, false, &scope->out, &scope->outs);
}

NodusStatus ui_parse(Ui *ui, const cJSON *document)
{
    NODUS_TRY(add_scope(ui, document, NULL));
    for (int32_t i = 0; i < ui->scopes; i++) NODUS_TRY(add_definitions(ui, ui->scope[i].json));
    for (int32_t i = 0; i < ui->scopes; i++) NODUS_TRY(read_nodes(ui, &ui->scope[i]));
    for (int32_t i = 0; i < ui->scopes; i++) {
        Names link_index = {0};
        NodusStatus status = read_rest(ui, &ui->scope[i], &link_index);
        names_free(&link_index);
        NODUS_TRY(status);
        NODUS_TRY(ui_order(ui, &ui->scope[i]));
    }
    return NULL;
}

void ui_free(Ui *ui)
{
    for (int32_t i = 0; i < ui->scopes; i++) {
        names_free(&ui->scope[i].node_index);
        names_free(&ui->scope[i].variables);
    }
    names_free(&ui->scope_index);
    memory_free(ui->scope);
    memory_free(ui->place);
    memory_free(ui->entry);
    text_free(&ui->scratch);
    arena_free(ui->arena);
}
