/* check.c: the inputs of one node: presence, links, conversion, range, options (engine-and-api.md §2.3, §2.4).
 *
 * One idea: an input gets at most one error, the first step that fails; all inputs of a node are looked at. extra_info holds what
 * ComfyUI puts there, and beside it what helps people: the byte offset in the prompt, the nearest option. */
#include "engine/graph/check.h"
#include "engine/base/status.h"
#include "engine/graph/call.h"
#include "engine/graph/expected.h"
#include "engine/graph/literal.h"
#include "engine/graph/object_info.h"
#include "engine/graph/order.h"
#include "engine/graph/python.h"
#include <inttypes.h>
#include <string.h>

enum { LISTED = 20 /* options that messages repeat */, LONGEST_GOT = 100 };

typedef struct Check {
    NodusEngine *engine;
    Workflow *workflow;
    Node *node;
    bool strict;
    Report *report;
    ReportNode **entry;
    const NodusInput *input; /* being looked at */
    const cJSON *item;
} Check;

/* ---- Reporting ----------------------------------------------------------------------------------------------------- */

/* A text that is done with; one that found no memory is told once, at the end. */
static void drop(const Check *check, Text *text)
{
    check->report->failed |= text->failed;
    text_free(text);
}

static void add_error(Check *check, const char *type, const char *message, Text *details, Text *extra)
{
    if (!*check->entry) *check->entry = report_node(check->report, check->node->id, check->node->class_type, check->node->title);
    report_error(check->report, *check->entry, type, message, text_get(details), text_get(extra));
    drop(check, details);
    drop(check, extra);
}

/* {"input_name": …, "offset": …; the caller goes on and closes. */
static void begin_extra(const Check *check, Text *extra)
{
    size_t offset, length;
    json_span(check->workflow->json, check->item, &offset, &length);
    text_add(extra, "{\"input_name\": ");
    json_put_string(extra, check->input->name, false);
    if (length) text_format(extra, ", \"offset\": %zu", offset);
}

/* The input as clients know it, and what it takes in words. */
static void put_config(const Check *check, Text *extra, const Options *options)
{
    Text expected = {0};
    text_add(extra, ", \"input_config\": ");
    if (options->count > LISTED) text_add(extra, "null");
    else object_info_config(check->input, options, extra);
    expected_put(check->input, options, &expected);
    text_add(extra, ", \"expected\": ");
    json_put_string(extra, text_get(&expected), false);
    drop(check, &expected);
}

static NodusStatus add_config(const Check *check, Text *extra, Options *options)
{
    if (check->input->kind == NODUS_COMBO)
        NODUS_TRY(object_info_options(check->engine->registry, check->engine->folders, check->input, options));
    put_config(check, extra, options);
    return NULL;
}

/* The option most like what was given, and where files were looked for. */
static void add_nearest(const Check *check, Text *extra, const Options *options, const char *given)
{
    const char *nearest = options->count ? text_nearest(given, options->name, options->count) : NULL;
    if (nearest) {
        text_add(extra, ", \"nearest\": ");
        json_put_string(extra, nearest, false);
    }
    const char *folder = check->input->as.c.names ? NULL : check->input->as.c.folder;
    if (!folder || *folder == '@') return;
    Text searched = {0};
    folders_searched(check->engine->folders, folder, &searched);
    text_add(extra, ", \"searched\": ");
    json_put_string(extra, text_get(&searched), false);
    drop(check, &searched);
}

/* What was given: `value` (NULL: as it is), and as a short text, as it was written. */
static void add_received(const Check *check, Text *extra, const char *value)
{
    Text json = {0}, got = {0};
    json_print(&json, check->item, false, true);
    const char *whole = text_get(&json);
    size_t cut = json.length;
    if (cut > LONGEST_GOT)
        for (cut = LONGEST_GOT; cut && ((unsigned char)whole[cut] & 0xc0) == 0x80;) cut--; /* not within a letter */
    text_add_n(&got, whole, cut);
    if (cut < json.length) text_add(&got, "…");
    text_format(extra, ", \"received_value\": %s, \"got\": ", value ? value : whole);
    json_put_string(extra, text_get(&got), false);
    drop(check, &json);
    drop(check, &got);
}

/* An error whose extra_info is name, config and value. `details` is consumed. */
static NodusStatus input_error(Check *check, const char *type, const char *message, Text *details, const char *received)
{
    Text extra = {0};
    Options options = {0};
    begin_extra(check, &extra);
    NodusStatus status = add_config(check, &extra, &options);
    add_received(check, &extra, received);
    text_char(&extra, '}');
    object_info_options_free(&options);
    if (!status) add_error(check, type, message, details, &extra);
    drop(check, &extra);
    drop(check, details);
    return status;
}

/* ---- Links --------------------------------------------------------------------------------------------------------- */

/* The next part of a comma-separated list, trimmed; NULL at the end. */
static const char *next_part(const char **list, size_t *length)
{
    if (!*list) return NULL;
    const char *start = *list + strspn(*list, " "), *end = strchr(start, ',');
    *list = end ? end + 1 : NULL;
    *length = end ? (size_t)(end - start) : strlen(start);
    while (*length && start[*length - 1] == ' ') --*length;
    return start;
}

bool check_types_fit(const char *output, const char *input)
{
    if (!strcmp(output, input) || !strcmp(output, "*") || !strcmp(input, "*")) return true;
    size_t a_length, b_length;
    for (const char *a_list = output, *a; (a = next_part(&a_list, &a_length));)
        for (const char *b_list = input, *b; (b = next_part(&b_list, &b_length));)
            if (a_length == b_length && !strncmp(a, b, a_length)) return true;
    return false;
}

/* The input's type as a message shows it: for a combo its options. */
static NodusStatus put_input_type(const Check *check, Text *out)
{
    Options options = {0};
    if (check->input->kind != NODUS_COMBO) {
        text_add(out, check->input->type);
        return NULL;
    }
    NODUS_TRY(object_info_options(check->engine->registry, check->engine->folders, check->input, &options));
    text_char(out, '[');
    for (size_t i = 0; i < options.count; i++) {
        if (i) text_add(out, ", ");
        python_quote(out, options.name[i]);
    }
    text_char(out, ']');
    object_info_options_free(&options);
    return NULL;
}

static NodusStatus check_link_type(Check *check, const Bind *bind)
{
    const NodusNode *source = check->workflow->node[bind->source].def;
    const char *received = source ? source->outputs[bind->slot].type : check->input->type;
    if (check_types_fit(received, check->input->type)) return NULL;
    Text details = {0}, extra = {0};
    Options options = {0};
    text_format(&details, "%s, received_type(%s) mismatch input_type(", check->input->name, received);
    begin_extra(check, &extra);
    NodusStatus status = put_input_type(check, &details);
    if (!status) status = add_config(check, &extra, &options);
    text_char(&details, ')');
    text_add(&extra, ", \"received_type\": ");
    json_put_string(&extra, received, false);
    text_add(&extra, ", \"linked_node\": ");
    json_print(&extra, check->item, false, true);
    text_char(&extra, '}');
    object_info_options_free(&options);
    if (!status) {
        add_error(check, "return_type_mismatch", "Return type mismatch between linked nodes", &details, &extra);
        return NULL;
    }
    drop(check, &details);
    drop(check, &extra);
    return status;
}

/* A link that order.c could not bind: says why. */
static NodusStatus unbound_link(Check *check)
{
    Text details = {0};
    if (cJSON_GetArraySize(check->item) != 2) {
        text_add(&details, check->input->name);
        return input_error(check, "bad_linked_input", "Bad linked input, must be a length-2 list of [node_id, slot_index]",
                           &details, NULL);
    }
    const cJSON *id = check->item->child;
    const int32_t source = cJSON_IsString(id) ? workflow_find(check->workflow, id->valuestring) : -1;
    text_format(&details, "%s: ", check->input->name);
    if (source >= 0) {
        const NodusNode *def = check->workflow->node[source].def;
        text_format(&details, "node %s has %u outputs, numbered from 0; this link asks for ", id->valuestring,
                    def ? def->output_count : 0);
        json_print(&details, id->next, false, true);
        return input_error(check, "link_slot_out_of_range", "Link to an output that does not exist", &details, NULL);
    }
    text_add(&details, "there is no node ");
    json_print(&details, id, false, true);
    if (json_is_number(id)) text_format(&details, "; node ids are texts, write \"%s\"", id->valuestring);
    return input_error(check, "link_source_missing", "Link to a node that does not exist", &details, NULL);
}

/* ---- Literals ------------------------------------------------------------------------------------------------------ */

static NodusStatus refuse_conversion(Check *check, const char *reason)
{
    Text details = {0}, extra = {0}, message = {0};
    Options options = {0};
    text_format(&details, "%s, ", check->input->name);
    json_print(&details, check->item, false, true);
    text_format(&details, ", %s", reason);
    text_format(&message, "Failed to convert an input value to a %s value", check->input->type);
    begin_extra(check, &extra);
    NodusStatus status = add_config(check, &extra, &options);
    add_received(check, &extra, NULL);
    text_add(&extra, ", \"exception_message\": ");
    json_put_string(&extra, reason, false);
    text_char(&extra, '}');
    object_info_options_free(&options);
    if (!status) add_error(check, "invalid_input_type", text_get(&message), &details, &extra);
    drop(check, &details);
    drop(check, &extra);
    drop(check, &message);
    return status;
}

static NodusStatus out_of_range(Check *check, bool below, const char *value, const char *limit)
{
    Text details = {0}, message = {0};
    text_add(&details, check->input->name);
    text_format(&message, below ? "Value %s smaller than min of %s" : "Value %s bigger than max of %s", value, limit);
    const bool finite = strcmp(value, "inf") && strcmp(value, "-inf");
    NodusStatus status = input_error(check, below ? "value_smaller_than_min" : "value_bigger_than_max", text_get(&message),
                                     &details, finite ? value : "null");
    drop(check, &details);
    drop(check, &message);
    return status;
}

typedef struct Limits {
    bool min_negative, max_negative;
    uint64_t min, max;
} Limits; /* sign and magnitude */

static Limits int_limits(const NodusInput *input)
{
    if (input->kind == NODUS_SEED)
        return (Limits){false, false, input->as.u.min, input->as.u.min || input->as.u.max ? input->as.u.max : UINT64_MAX};
    const bool limited = input->as.i.min || input->as.i.max;
    const int64_t min = limited ? input->as.i.min : INT64_MIN, max = limited ? input->as.i.max : INT64_MAX;
    return (Limits){min < 0, max < 0, min < 0 ? 0 - (uint64_t)min : (uint64_t)min, max < 0 ? 0 - (uint64_t)max : (uint64_t)max};
}

static bool int_less(bool a_negative, uint64_t a, bool b_negative, uint64_t b)
{
    if (a_negative != b_negative) return a_negative && (a || b);
    return a_negative ? a > b : a < b;
}

static NodusStatus check_int_range(Check *check, const Literal *literal)
{
    const Limits limit = int_limits(check->input);
    const NodusValue *value = literal->value;
    const bool below = value ? int_less(value->negative, value->as.magnitude, limit.min_negative, limit.min) : literal->negative;
    const bool above = value ? int_less(limit.max_negative, limit.max, value->negative, value->as.magnitude) : !literal->negative;
    if (!below && !above) return NULL;
    Text shown = {0}, bound = {0};
    if (value) value_print(value, &shown);
    else text_format(&shown, "%s%s", literal->negative ? "-" : "", literal->digits);
    text_format(&bound, "%s%" PRIu64, (below ? limit.min_negative : limit.max_negative) ? "-" : "",
                below ? limit.min : limit.max);
    NodusStatus status = out_of_range(check, below, text_get(&shown), text_get(&bound));
    drop(check, &shown);
    drop(check, &bound);
    return status;
}

static NodusStatus check_float_range(Check *check, const NodusValue *value)
{
    const double min = check->input->as.f.min, max = check->input->as.f.max, number = value->as.number;
    if ((min == 0 && max == 0) || (number >= min && number <= max)) return NULL;
    Text shown = {0}, bound = {0};
    python_float(&shown, number);
    python_float(&bound, number < min ? min : max);
    NodusStatus status = out_of_range(check, number < min, text_get(&shown), text_get(&bound));
    drop(check, &shown);
    drop(check, &bound);
    return status;
}

static NodusStatus not_in_list(Check *check, const Options *options)
{
    Text details = {0}, extra = {0}, shown = {0};
    python_str(&shown, check->item);
    text_format(&details, "%s: '%s' not in ", check->input->name, text_get(&shown));
    if (options->count > LISTED) text_format(&details, "(list of length %zu)", options->count);
    else {
        text_char(&details, '[');
        for (size_t i = 0; i < options->count; i++) {
            if (i) text_add(&details, ", ");
            python_quote(&details, options->name[i]);
        }
        text_char(&details, ']');
    }
    begin_extra(check, &extra);
    put_config(check, &extra, options);
    add_received(check, &extra, NULL);
    add_nearest(check, &extra, options, text_get(&shown));
    text_char(&extra, '}');
    add_error(check, "value_not_in_list", "Value not in list", &details, &extra);
    drop(check, &shown);
    return NULL;
}

/* A picture that a client uploaded, or that a run made: its existence counts, not a list. */
static NodusStatus check_upload(Check *check, const char *name)
{
    char *path = NULL;
    if (name) NODUS_TRY(folders_find(check->engine->folders, check->input->as.c.folder, name, &path));
    memory_free(path);
    if (path) return NULL;
    Text details = {0}, extra = {0}, shown = {0};
    Options options;
    NODUS_TRY(object_info_options(check->engine->registry, check->engine->folders, check->input, &options));
    python_str(&shown, check->item);
    text_format(&details, "%s - Invalid image file: %s", check->input->name, text_get(&shown));
    begin_extra(check, &extra);
    add_received(check, &extra, NULL);
    add_nearest(check, &extra, &options, text_get(&shown));
    text_char(&extra, '}');
    object_info_options_free(&options);
    add_error(check, "custom_validation_failed", "Custom validation failed for node", &details, &extra);
    drop(check, &shown);
    return NULL;
}

/* A file of a model folder needs no list: it is there or it is not. */
static NodusStatus check_combo(Check *check, const NodusValue *value)
{
    const char *name = value->kind == VALUE_STRING ? value->as.text : NULL, *folder = check->input->as.c.folder;
    if (check->input->as.c.names) folder = NULL;
    if (folder && (!strcmp(folder, "input") || !strcmp(folder, "output"))) return check_upload(check, name);
    if (folder && *folder != '@' && name) {
        char *path = NULL;
        NODUS_TRY(folders_find(check->engine->folders, folder, name, &path));
        memory_free(path);
        if (path) return NULL;
    }
    Options options;
    NODUS_TRY(object_info_options(check->engine->registry, check->engine->folders, check->input, &options));
    bool listed = false;
    for (size_t i = 0; name && i < options.count && !listed; i++) listed = !strcmp(options.name[i], name);
    NodusStatus status = listed ? NULL : not_in_list(check, &options);
    object_info_options_free(&options);
    return status;
}

static NodusStatus check_range(Check *check, const Literal *literal)
{
    switch (check->input->kind) {
    case NODUS_INT:
    case NODUS_SEED: return check_int_range(check, literal);
    case NODUS_FLOAT: return check_float_range(check, literal->value);
    case NODUS_COMBO: return check_combo(check, literal->value);
    default: return NULL;
    }
}

/* {"__value__": X} stands for X, one level deep. */
static void unwrap(cJSON *item)
{
    cJSON *inner = cJSON_IsObject(item) ? json_get(item, "__value__") : NULL;
    if (inner) workflow_replace(item, cJSON_DetachItemViaPointer(item, inner));
}

static NodusStatus check_literal(Check *check, Bind *bind)
{
    Literal literal;
    cJSON *item = check->node->item[check->input - check->node->def->inputs];
    unwrap(item);
    NODUS_TRY(literal_convert(check->input, item, check->strict, check->workflow->arena, &literal));
    if (literal.reason) return refuse_conversion(check, literal.reason);
    *bind = (Bind){.kind = literal.value ? BIND_LITERAL : BIND_NONE, .value = literal.value};
    if (literal.warning)
        report_warning(check->report, "node %s, input %s: %s", check->node->id, check->input->name, literal.warning);
    NODUS_TRY(check_range(check, &literal));
    return literal.value ? literal_store(item, literal.value) : NULL;
}

/* ---- The node ------------------------------------------------------------------------------------------------------ */

static NodusStatus missing_input(Check *check)
{
    Text details = {0}, extra = {0};
    Options options = {0};
    text_add(&details, check->input->name);
    begin_extra(check, &extra);
    NodusStatus status = add_config(check, &extra, &options);
    text_char(&extra, '}');
    object_info_options_free(&options);
    if (!status) add_error(check, "required_input_missing", "Required input is missing", &details, &extra);
    drop(check, &details);
    drop(check, &extra);
    return status;
}

static NodusStatus check_input(Check *check, uint32_t index)
{
    Bind *bind = &check->node->bind[index];
    check->input = &check->node->def->inputs[index];
    check->item = check->node->item[index];
    if (check->input->kind == NODUS_HIDDEN) return NULL;
    if (bind->kind == BIND_LINK) return check_link_type(check, bind);
    if (check->item && order_is_link(check->item)) return unbound_link(check);
    if (check->item) return check_literal(check, bind);
    if (check->input->flags & NODUS_OPTIONAL) return NULL;
    return missing_input(check);
}

void check_refused(Report *report, Node *node, NodusStatus status, ReportNode **entry)
{
    Check check = {.node = node, .report = report, .entry = entry};
    const char *blamed = nodus_error_input(status), *message = nodus_error_message(status);
    const size_t length = blamed ? strlen(blamed) : 0;
    if (length && !strncmp(message, blamed, length) && !strncmp(message + length, ": ", 2)) message += length + 2;
    Text details = {0}, extra = {0};
    text_format(&details, "%s%s%s", blamed ? blamed : "", blamed ? " - " : "", message);
    text_add(&extra, "{\"input_name\": ");
    json_put_string(&extra, blamed ? blamed : "", false);
    text_char(&extra, '}');
    add_error(&check, "custom_validation_failed", "Custom validation failed for node", &details, &extra);
}

/* The node's own check, when its inputs are in order. */
static NodusStatus check_custom(Check *check)
{
    NodusStatus status = call_check(check->engine, check->workflow, check->node);
    if (!status || nodus_error_kind(status) == NODUS_ERROR_MEMORY) return status;
    check_refused(check->report, check->node, status, check->entry);
    nodus_error_free(status);
    return NULL;
}

/* An undeclared input of a variadic node: a link of any type, or a literal of its own type. */
static NodusStatus check_extra(Check *check, uint32_t index)
{
    Bind *bind = &check->node->bind[index];
    const NodusInput any = {.name = check->node->extra[index - check->node->def->input_count], .type = "*", .kind = NODUS_ANY};
    Literal literal;
    check->input = &any;
    check->item = check->node->item[index];
    if (bind->kind == BIND_LINK) return NULL;
    if (order_is_link(check->item) && json_string(check->item->child)) return unbound_link(check);
    NODUS_TRY(literal_convert(&any, check->item, check->strict, check->workflow->arena, &literal));
    if (literal.reason) return refuse_conversion(check, literal.reason);
    *bind = (Bind){.kind = literal.value ? BIND_LITERAL : BIND_NONE, .value = literal.value};
    return NULL;
}

/* A link that no input takes is ignored; it is most often a misspelt name. */
static void warn_of_strangers(const Check *check)
{
    if (check->node->def->flags & NODUS_VARIADIC) return;
    for (const cJSON *item = check->node->inputs ? check->node->inputs->child : NULL; item; item = item->next)
        if (order_is_link(item) && workflow_input_index(check->node->def, item->string) < 0)
            report_warning(check->report, "node %s (%s): it has no input \"%s\", what is linked there is ignored",
                           check->node->id, check->node->class_type, item->string);
}

NodusStatus check_node(NodusEngine *engine, Workflow *workflow, Node *node, bool strict, Report *report, ReportNode **entry)
{
    Check check = {.engine = engine, .workflow = workflow, .node = node, .strict = strict, .report = report, .entry = entry};
    for (uint32_t i = 0; i < node->def->input_count; i++) NODUS_TRY(check_input(&check, i));
    for (uint32_t i = node->def->input_count; i < node->binds; i++) NODUS_TRY(check_extra(&check, i));
    warn_of_strangers(&check);
    return node->def->check && !*entry ? check_custom(&check) : NULL;
}
