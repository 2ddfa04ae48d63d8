/* strict.c: each literal of each known node, asked whether it is of its input's type. */
#include "engine/graph/strict.h"
#include "engine/base/status.h"
#include "engine/graph/literal.h"
#include "engine/graph/order.h"
#include <string.h>

static NodusStatus look_at_input(const NodusInput *input, const cJSON *node, Arena *arena, Text *lines)
{
    const cJSON *item = json_get(json_get(node, "inputs"), input->name);
    const cJSON *inner = cJSON_IsObject(item) ? json_get(item, "__value__") : NULL;
    if (!item || input->kind == NODUS_HIDDEN || order_is_link(item)) return NULL;
    Literal literal;
    NODUS_TRY(literal_convert(input, inner ? inner : item, true, arena, &literal));
    value_unref(literal.value);
    if (literal.reason)
        text_format(lines, "node %s (%s), %s: %s\n", node->string, json_string(json_get(node, "class_type")), input->name,
                    literal.reason);
    return NULL;
}

static NodusStatus look_at_node(const Registry *registry, const cJSON *node, Arena *arena, Text *lines)
{
    const char *class_type = json_string(json_get(node, "class_type"));
    const NodusNode *def = class_type ? registry_node(registry, class_type) : NULL;
    for (uint32_t i = 0; def && i < def->input_count; i++) NODUS_TRY(look_at_input(&def->inputs[i], node, arena, lines));
    return NULL;
}

NodusStatus strict_literals(const Registry *registry, const char *prompt, Text *lines)
{
    Json *json = NULL;
    NODUS_TRY(json_parse(prompt, strlen(prompt), &json));
    Arena *arena = arena_new();
    NodusStatus status = arena ? NULL : status_memory();
    for (const cJSON *node = json_root(json)->child; node && !status; node = node->next)
        status = look_at_node(registry, node, arena, lines);
    arena_free(arena);
    json_free(json);
    return status;
}
