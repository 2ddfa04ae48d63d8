/* args.c: typed fields from values, by the table of the node.
 *
 * One idea: nothing is converted on links in ComfyUI; a C struct cannot take what does not fit, so a value of another type is an
 * error here that names the input, except between numbers, where no meaning is lost. */
#include "engine/graph/args.h"
#include "engine/base/status.h"
#include "engine/graph/check.h"
#include "engine/graph/object_info.h"
#include "engine/graph/run.h"
#include <math.h>
#include <string.h>

static void *field(void *args, const NodusInput *input)
{
    return (char *)args + input->offset;
}

static NodusStatus wrong_type(const NodusInput *input, const char *wanted, const NodusValue *value)
{
    Text shown = {0};
    value_short(value, &shown);
    NodusStatus status =
        status_input(input->name, "%s: %s is wanted here, not %s %s", input->name, wanted, value->type->name, text_get(&shown));
    text_free(&shown);
    return status;
}

/* ---- Numbers and texts --------------------------------------------------------------------------------------------- */

static NodusStatus put_int(const NodusInput *input, const NodusValue *value, void *to)
{
    double number = value->kind == VALUE_BOOLEAN ? value->as.truth : value->as.number;
    if (value->kind == VALUE_INT) {
        const uint64_t most = value->negative ? (uint64_t)INT64_MAX + 1 : INT64_MAX;
        if (value->as.magnitude > most) return wrong_type(input, "a number of 64 bits with sign", value);
        *(int64_t *)to = value->negative ? (int64_t)(0 - value->as.magnitude) : (int64_t)value->as.magnitude;
        return NULL;
    }
    if (value->kind != VALUE_FLOAT && value->kind != VALUE_BOOLEAN) return wrong_type(input, "a whole number", value);
    if (!(fabs(number) < 9.2e18)) return wrong_type(input, "a number of 64 bits with sign", value);
    *(int64_t *)to = (int64_t)number;
    return NULL;
}

static NodusStatus put_seed(const NodusInput *input, const NodusValue *value, void *to)
{
    if (value->kind != VALUE_INT || value->negative) return wrong_type(input, "a whole number from 0", value);
    *(uint64_t *)to = value->as.magnitude;
    return NULL;
}

static NodusStatus put_float(const NodusInput *input, const NodusValue *value, void *to)
{
    if (value->kind == VALUE_FLOAT) *(double *)to = value->as.number;
    else if (value->kind == VALUE_INT)
        *(double *)to = value->negative ? -(double)value->as.magnitude : (double)value->as.magnitude;
    else if (value->kind == VALUE_BOOLEAN) *(double *)to = value->as.truth;
    else return wrong_type(input, "a number", value);
    return NULL;
}

static NodusStatus put_boolean(const NodusInput *input, const NodusValue *value, void *to)
{
    if (value->kind == VALUE_BOOLEAN) *(bool *)to = value->as.truth;
    else if (value->kind == VALUE_INT) *(bool *)to = value->as.magnitude != 0;
    else return wrong_type(input, "true or false", value);
    return NULL;
}

static NodusStatus put_string(const NodusInput *input, const NodusValue *value, void *to)
{
    if (value->kind != VALUE_STRING) return wrong_type(input, "a text", value);
    *(const char **)to = value->as.text;
    return NULL;
}

/* ---- The others ---------------------------------------------------------------------------------------------------- */

static NodusStatus put_link(const NodusInput *input, const NodusValue *value, void *to)
{
    const bool null = value->kind == VALUE_JSON && !strcmp(value->as.text, "null");
    if (null && (input->flags & NODUS_OPTIONAL)) return NULL;
    if (value->kind != VALUE_PAYLOAD || !check_types_fit(value->type->name, input->type))
        return wrong_type(input, input->type, value);
    *(const void **)to = value->as.payload;
    return NULL;
}

static NodusStatus put_hidden(NodusCall *call, const NodusInput *input, void *to)
{
    const char *text = NULL;
    if (!strcmp(input->type, "UNIQUE_ID")) text = call->node->id;
    else if (!strcmp(input->type, "PROMPT") && call->run) NODUS_TRY(run_prompt_text(call->run, &text));
    else if (!strcmp(input->type, "EXTRA_PNGINFO") && call->run) NODUS_TRY(run_pnginfo_text(call->run, &text));
    *(const char **)to = text;
    return NULL;
}

/* The first option of a combo that has no default of its own. */
static NodusStatus first_option(NodusCall *call, const NodusInput *input, const char **out)
{
    Options options;
    NODUS_TRY(object_info_options(call->engine->registry, call->engine->folders, input, &options));
    NodusStatus status = NULL;
    if (options.count) {
        char *copy = nodus_alloc(call, strlen(options.name[0]) + 1);
        if (copy) strcpy(copy, options.name[0]);
        else status = status_memory();
        *out = copy;
    }
    object_info_options_free(&options);
    return status;
}

static NodusStatus put_default(NodusCall *call, const NodusInput *input, void *to)
{
    switch (input->kind) {
    case NODUS_INT: *(int64_t *)to = input->as.i.def; break;
    case NODUS_SEED: *(uint64_t *)to = input->as.u.def; break;
    case NODUS_FLOAT: *(double *)to = input->as.f.def; break;
    case NODUS_BOOLEAN: *(bool *)to = input->as.b; break;
    case NODUS_STRING: *(const char **)to = input->as.s.def ? input->as.s.def : ""; break;
    case NODUS_COMBO: *(const char **)to = input->as.c.def; return input->as.c.def ? NULL : first_option(call, input, to);
    default: break; /* a link that is not given is NULL */
    }
    return NULL;
}

static NodusStatus put_value(const NodusInput *input, NodusValue *value, void *to)
{
    switch (input->kind) {
    case NODUS_INT: return put_int(input, value, to);
    case NODUS_SEED: return put_seed(input, value, to);
    case NODUS_FLOAT: return put_float(input, value, to);
    case NODUS_BOOLEAN: return put_boolean(input, value, to);
    case NODUS_STRING:
    case NODUS_COMBO: return put_string(input, value, to);
    case NODUS_LINK: return put_link(input, value, to);
    default: *(NodusValue **)to = value; return NULL;
    }
}

/* Where the values would come from. */
static NodusStatus put_raw(NodusCall *call, const NodusList *list, uint32_t index, void *to)
{
    const Bind *bind = &call->node->bind[index];
    if (bind->kind == BIND_NONE) return NULL;
    NodusRawLink *link = nodus_alloc(call, sizeof *link);
    if (!link) return status_memory();
    *link = (NodusRawLink){.list = *list, .slot = bind->slot};
    *(bind->kind == BIND_LINK ? &link->node : &link->name) = bind->name;
    *(const NodusRawLink **)to = link;
    return NULL;
}

/* Every value of a whole list must have the input's type. */
static NodusStatus put_list(const NodusInput *input, const NodusList *list, void *to)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (!check_types_fit(list->item[i]->type->name, input->type)) return wrong_type(input, input->type, list->item[i]);
    *(NodusList *)to = *list;
    return NULL;
}

NodusStatus args_fill(NodusCall *call, const CallInputs *inputs, uint32_t index, void *args)
{
    const NodusNode *def = call->node->def;
    for (uint32_t i = 0; i < def->input_count; i++) {
        const NodusInput *input = &def->inputs[i];
        const NodusList *list = &inputs->list[i];
        void *to = field(args, input);
        if (input->kind == NODUS_HIDDEN) NODUS_TRY(put_hidden(call, input, to));
        else if (input->flags & NODUS_RAW_LINK) NODUS_TRY(put_raw(call, list, i, to));
        else if (!(inputs->given >> i & 1)) NODUS_TRY(input->flags & NODUS_WHOLE_LIST ? NULL : put_default(call, input, to));
        else if (input->flags & NODUS_WHOLE_LIST) NODUS_TRY(put_list(input, list, to));
        else if (!list->count) NODUS_TRY(put_default(call, input, to));
        else NODUS_TRY(put_value(input, list->item[index < list->count ? index : list->count - 1], to));
    }
    return NULL;
}

void args_literals(const Node *node, CallInputs *inputs)
{
    inputs->given = 0;
    inputs->extra = NULL;
    for (uint32_t i = 0; i < node->def->input_count; i++) {
        inputs->list[i] = (NodusList){0};
        if (node->bind[i].kind != BIND_LITERAL || node->def->inputs[i].kind == NODUS_LINK) continue;
        inputs->given |= 1ull << i;
        inputs->list[i] = (NodusList){&node->bind[i].value, 1};
    }
}

/* The list that counts for how often the function is called, or NULL: of a raw link only its place does. */
static const NodusList *mapped_list(const Node *node, const CallInputs *inputs, uint32_t bind)
{
    const uint32_t declared = node->def->input_count;
    if (bind >= declared) return inputs->extra ? &inputs->extra[bind - declared] : NULL;
    if (!(inputs->given >> bind & 1) || (node->def->inputs[bind].flags & NODUS_RAW_LINK)) return NULL;
    return &inputs->list[bind];
}

bool args_blocked(const Node *node, const CallInputs *inputs, uint32_t index, const char **message)
{
    const bool whole = node->def->flags & NODUS_TAKES_LISTS;
    for (uint32_t i = 0; i < node->binds; i++) {
        const NodusList *list = mapped_list(node, inputs, i);
        if (!list || !list->count) continue;
        const uint32_t first = whole ? 0 : index < list->count ? index : list->count - 1;
        for (uint32_t k = first; k < (whole ? list->count : first + 1); k++) {
            if (list->item[k]->kind != VALUE_BLOCKER) continue;
            *message = list->item[k]->as.text;
            return true;
        }
    }
    return false;
}

uint32_t args_calls(const Node *node, const CallInputs *inputs)
{
    if (node->def->flags & NODUS_TAKES_LISTS) return 1;
    uint32_t calls = 1;
    for (uint32_t i = 0; i < node->binds; i++) {
        const NodusList *list = mapped_list(node, inputs, i);
        if (!list) continue;
        if (!list->count) return 0; /* an empty list: nothing to do */
        if (list->count > calls) calls = list->count;
    }
    return calls;
}
