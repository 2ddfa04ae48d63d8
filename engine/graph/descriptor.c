/* descriptor.c: checks of tables, field by field.
 *
 * One idea: what a pointer leads to cannot be checked, all else can: so every count has a bound before it is walked, every text a
 * length, every number a range, and each fault is a sentence that names the table and the field. */
#include "engine/graph/descriptor.h"
#include "engine/base/file.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <utf8proc.h>

enum { LONGEST_TEXT = 1 << 16 };
enum {
    INPUT_FLAGS = NODUS_OPTIONAL | NODUS_LAZY | NODUS_FORCE_INPUT | NODUS_WHOLE_LIST | NODUS_RAW_LINK | NODUS_CONTROL | NODUS_UPLOAD,
    NODE_FLAGS = NODUS_OUTPUT | NODUS_TAKES_LISTS | NODUS_VARIADIC | NODUS_NOT_IDEMPOTENT | NODUS_IO | NODUS_EXPERIMENTAL |
                 NODUS_DEPRECATED,
    SAMPLER_FLAGS = NODUS_SAMPLER_DROPS_SIGMA | NODUS_SAMPLER_NEEDS_UNCOND | NODUS_SAMPLER_TWO_CALLS | NODUS_SAMPLER_BROWNIAN
};

/* ---- Texts --------------------------------------------------------------------------------------------------------- */

static bool is_utf8(const char *text, size_t length)
{
    for (size_t at = 0; at < length;) {
        utf8proc_int32_t point;
        const utf8proc_ssize_t step =
            utf8proc_iterate((const utf8proc_uint8_t *)text + at, (utf8proc_ssize_t)(length - at), &point);
        if (step <= 0) return false;
        at += (size_t)step;
    }
    return true;
}

bool descriptor_name(const char *text)
{
    const size_t length = text ? strnlen(text, DESCRIPTOR_NAME + 1) : 0;
    if (!length || length > DESCRIPTOR_NAME || text[0] == ' ' || text[length - 1] == ' ') return false;
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f) return false;
    return is_utf8(text, length);
}

/* NULL is allowed. */
static bool is_text(const char *text)
{
    const size_t length = text ? strnlen(text, LONGEST_TEXT) : 0;
    return length < LONGEST_TEXT && (!text || is_utf8(text, length));
}

/* ---- Inputs -------------------------------------------------------------------------------------------------------- */

/* An input and its table, for messages. */
typedef struct Place {
    const NodusNode *node;
    const NodusInput *input;
    Faults *faults;
} Place;
#define FAULT(place_, text_, ...) \
    faults_add((place_)->faults, "node %s, input %s: " text_, (place_)->node->name, (place_)->input->name, ##__VA_ARGS__)

size_t descriptor_field_size(const NodusInput *input)
{
    if (input->flags & NODUS_WHOLE_LIST) return sizeof(NodusList);
    return input->kind == NODUS_BOOLEAN && !(input->flags & NODUS_RAW_LINK) ? sizeof(bool) : 8;
}

static void check_int(const Place *place)
{
    const NodusInput *input = place->input;
    const int64_t min = input->as.i.min, max = input->as.i.max, value = input->as.i.def;
    if (input->as.i.step < 0) FAULT(place, "its step is negative");
    if (!min && !max) return;
    if (min > max) FAULT(place, "its least value %" PRId64 " is above its largest %" PRId64, min, max);
    else if (value < min || value > max)
        FAULT(place, "its default %" PRId64 " is outside %" PRId64 " to %" PRId64, value, min, max);
}

static void check_seed(const Place *place)
{
    const NodusInput *input = place->input;
    const uint64_t min = input->as.u.min, max = input->as.u.max, value = input->as.u.def;
    if (!min && !max) return;
    if (min > max) FAULT(place, "its least value %" PRIu64 " is above its largest %" PRIu64, min, max);
    else if (value < min || value > max)
        FAULT(place, "its default %" PRIu64 " is outside %" PRIu64 " to %" PRIu64, value, min, max);
}

static void check_float(const Place *place)
{
    const NodusInput *input = place->input;
    const double min = input->as.f.min, max = input->as.f.max, value = input->as.f.def;
    if (!isfinite(value)) FAULT(place, "its default is not a finite number");
    if (!isfinite(min) || !isfinite(max)) FAULT(place, "its least or largest value is not a finite number: both 0 are no limits");
    if (!isfinite(input->as.f.step) || input->as.f.step < 0) FAULT(place, "its step is negative or not a finite number");
    if (!isfinite(input->as.f.round)) FAULT(place, "its round is not a finite number: use NODUS_NO_ROUND for none");
    if (min == 0 && max == 0) return;
    if (min > max) FAULT(place, "its least value %g is above its largest %g", min, max);
    else if (value < min || value > max) FAULT(place, "its default %g is outside %g to %g", value, min, max);
}

static void check_names(const Place *place)
{
    const NodusInput *input = place->input;
    const char *const *names = input->as.c.names;
    bool found = !input->as.c.def;
    size_t count = 0;
    for (; names[count]; count++) {
        if (count >= DESCRIPTOR_CHOICES) {
            FAULT(place, "its choices have no end within %d: the list ends with NULL", DESCRIPTOR_CHOICES);
            return;
        }
        if (!is_text(names[count])) FAULT(place, "choice %zu is no UTF-8 text, or too long", count);
        else found = found || !strcmp(names[count], input->as.c.def);
    }
    if (!count) FAULT(place, "its list of choices is empty");
    else if (!found) FAULT(place, "its default \"%s\" is none of its choices", input->as.c.def);
}

static void check_combo(const Place *place)
{
    const char *folder = place->input->as.c.folder;
    if (!is_text(place->input->as.c.def)) FAULT(place, "its default is no UTF-8 text, or too long");
    else if (place->input->as.c.names) check_names(place);
    else if (!folder) FAULT(place, "it has neither choices (.names) nor a folder (.folder)");
    else if (folder[0] == '@' ? strcmp(folder, "@samplers") && strcmp(folder, "@schedulers") :
                                !is_text(folder) || !file_name_is_inside(folder))
        FAULT(place, "its folder is neither the name of a model folder nor input, @samplers or @schedulers");
}

static void check_bool(const Place *place, const bool *value, const char *what)
{
    unsigned char byte; /* what is neither 0 nor 1 is no bool and must not be read as one */
    memcpy(&byte, value, 1);
    if (byte > 1) FAULT(place, "its %s is neither false nor true (byte %d)", what, byte);
}

static void check_string(const Place *place)
{
    if (!is_text(place->input->as.s.def)) FAULT(place, "its default is no UTF-8 text, or too long");
    check_bool(place, &place->input->as.s.multiline, "`multiline`");
    check_bool(place, &place->input->as.s.dynamic, "`dynamic`");
}

static void check_kind(const Place *place)
{
    const NodusInput *input = place->input;
    switch (input->kind) {
    case NODUS_INT: check_int(place); break;
    case NODUS_SEED: check_seed(place); break;
    case NODUS_FLOAT: check_float(place); break;
    case NODUS_BOOLEAN: check_bool(place, &input->as.b, "default"); break;
    case NODUS_STRING: check_string(place); break;
    case NODUS_COMBO: check_combo(place); break;
    case NODUS_HIDDEN:
        if (strcmp(input->type, "PROMPT") && strcmp(input->type, "EXTRA_PNGINFO") && strcmp(input->type, "UNIQUE_ID"))
            FAULT(place, "a hidden input is PROMPT, EXTRA_PNGINFO or UNIQUE_ID, not %s", input->type);
        break;
    default: break;
    }
}

/* The type that the kind of a literal has; NULL: any. */
static const char *type_of_kind(uint32_t kind)
{
    static const char *const types[] = {
        [NODUS_INT] = "INT", [NODUS_SEED] = "INT", [NODUS_FLOAT] = "FLOAT", [NODUS_BOOLEAN] = "BOOLEAN", [NODUS_STRING] = "STRING",
        [NODUS_COMBO] = "COMBO", [NODUS_LINK] = NULL, [NODUS_ANY] = NULL, [NODUS_HIDDEN] = NULL};
    return types[kind];
}

static void check_flags(const Place *place)
{
    const NodusInput *input = place->input;
    if (input->flags & ~(uint32_t)INPUT_FLAGS) FAULT(place, "it has flags (%#x) that this nodus does not know", input->flags);
    if ((input->flags & NODUS_LAZY) && !(input->flags & NODUS_RAW_LINK) && !place->node->wants)
        FAULT(place, "it is lazy, but the node has no function `wants` that could ask for it");
    if ((input->flags & NODUS_WHOLE_LIST) && !(place->node->flags & NODUS_TAKES_LISTS))
        FAULT(place, "it wants a whole list, but the node does not take lists (NODUS_TAKES_LISTS)");
}

static void check_field(const Place *place)
{
    const NodusInput *input = place->input;
    const size_t size = descriptor_field_size(input), room = place->node->args_size;
    if (size > room || input->offset > room - size)
        FAULT(place, "its field (offset %zu, %zu bytes) lies outside the struct of arguments (%zu bytes)", input->offset, size, room);
    else if (size > sizeof(bool) && input->offset % 8)
        FAULT(place, "its field at offset %zu is not aligned: is it of the C type that its kind asks for?", input->offset);
}

/* False: the input has no name that the other checks could use. */
static bool check_input(const NodusNode *node, uint32_t index, Faults *faults)
{
    const Place place = {node, &node->inputs[index], faults};
    if (!descriptor_name(place.input->name)) {
        faults_add(faults, "node %s, input %u: it has no name of 1 to %d bytes", node->name, index, DESCRIPTOR_NAME);
        return false;
    }
    const char *type = place.input->type;
    if (place.input->kind > NODUS_HIDDEN) {
        FAULT(&place, "its kind %u is unknown", place.input->kind);
        return true;
    }
    const char *wanted = type_of_kind(place.input->kind);
    if (!descriptor_name(type)) FAULT(&place, "it has no type");
    else if (wanted && strcmp(type, wanted)) FAULT(&place, "its type is %s, but its kind asks for %s", type, wanted);
    else check_kind(&place);
    if (!is_text(place.input->tooltip)) FAULT(&place, "its tooltip is no UTF-8 text, or too long");
    check_flags(&place);
    check_field(&place);
    return true;
}

/* Names and fields belong to one input each. */
static void check_pairs(const NodusNode *node, Faults *faults)
{
    for (uint32_t i = 0; i < node->input_count; i++)
        for (uint32_t k = 0; k < i; k++) {
            const NodusInput *a = &node->inputs[k], *b = &node->inputs[i];
            if (!strcmp(a->name, b->name)) faults_add(faults, "node %s has two inputs called %s", node->name, a->name);
            else if (a->offset < b->offset + descriptor_field_size(b) && b->offset < a->offset + descriptor_field_size(a))
                faults_add(faults, "node %s: the inputs %s and %s fill the same field", node->name, a->name, b->name);
        }
}

static void check_inputs(const NodusNode *node, Faults *faults)
{
    bool named = true;
    if (node->input_count > DESCRIPTOR_INPUTS)
        faults_add(faults, "node %s has %u inputs, at most %d are possible", node->name, node->input_count, DESCRIPTOR_INPUTS);
    else if (node->input_count && !node->inputs)
        faults_add(faults, "node %s has %u inputs, but no table of them", node->name, node->input_count);
    else {
        for (uint32_t i = 0; i < node->input_count; i++) named = check_input(node, i, faults) && named;
        if (named) check_pairs(node, faults);
    }
}

/* ---- Nodes --------------------------------------------------------------------------------------------------------- */

static void check_outputs(const NodusNode *node, Faults *faults)
{
    if (node->output_count > DESCRIPTOR_OUTPUTS) {
        faults_add(faults, "node %s has %u outputs, at most %d are possible", node->name, node->output_count, DESCRIPTOR_OUTPUTS);
        return;
    }
    if (node->output_count && !node->outputs) {
        faults_add(faults, "node %s has %u outputs, but no table of them", node->name, node->output_count);
        return;
    }
    for (uint32_t i = 0; i < node->output_count; i++) {
        const NodusOutput *output = &node->outputs[i];
        if (!descriptor_name(output->type)) faults_add(faults, "node %s, output %u: it has no type", node->name, i);
        if (output->name && !descriptor_name(output->name))
            faults_add(faults, "node %s, output %u: its name is not 1 to %d bytes", node->name, i, DESCRIPTOR_NAME);
        if (!is_text(output->tooltip)) faults_add(faults, "node %s, output %u: its tooltip is no UTF-8 text, or too long", node->name, i);
        if (output->flags & ~(uint32_t)NODUS_OUT_LIST)
            faults_add(faults, "node %s, output %u: it has flags (%#x) that this nodus does not know", node->name, i, output->flags);
    }
}

void descriptor_node(const NodusNode *node, Faults *faults)
{
    if (!descriptor_name(node->name)) {
        faults_add(faults, "a node has no name of 1 to %d bytes without control characters", DESCRIPTOR_NAME);
        return;
    }
    if (!descriptor_name(node->title)) faults_add(faults, "node %s has no title of 1 to %d bytes", node->name, DESCRIPTOR_NAME);
    if (!descriptor_name(node->category))
        faults_add(faults, "node %s has no category of 1 to %d bytes, such as \"image/filter\"", node->name, DESCRIPTOR_NAME);
    if (!is_text(node->help) || !is_text(node->example))
        faults_add(faults, "node %s: its help or example is no UTF-8 text, or too long", node->name);
    if (!node->run) faults_add(faults, "node %s has no function `run`", node->name);
    if (node->flags & ~(uint32_t)NODE_FLAGS)
        faults_add(faults, "node %s has flags (%#x) that this nodus does not know", node->name, node->flags);
    if (!node->output_count && !(node->flags & NODUS_OUTPUT))
        faults_add(faults, "node %s would never run: it has no output slots and is no output node (NODUS_OUTPUT)", node->name);
    if (node->args_size > DESCRIPTOR_ARGS)
        faults_add(faults, "node %s: its struct of arguments has %zu bytes, at most %d are possible", node->name, node->args_size,
                   DESCRIPTOR_ARGS);
    else check_inputs(node, faults);
    check_outputs(node, faults);
}

/* ---- The rest ------------------------------------------------------------------------------------------------------ */

void descriptor_type(const NodusType *type, Faults *faults)
{
    if (!descriptor_name(type->name)) faults_add(faults, "a type has no name of 1 to %d bytes", DESCRIPTOR_NAME);
    else if (strchr(type->name, ',')) faults_add(faults, "type %s: a comma parts the types of a socket", type->name);
    else {
        if (!type->free) faults_add(faults, "type %s has no function `free`", type->name);
        if (!type->store != !type->load) faults_add(faults, "type %s has only one of `store` and `load`", type->name);
    }
}

void descriptor_sampler(const NodusSamplerDef *sampler, Faults *faults)
{
    if (!descriptor_name(sampler->name)) faults_add(faults, "a sampler has no name of 1 to %d bytes", DESCRIPTOR_NAME);
    else if (!sampler->run) faults_add(faults, "sampler %s has no function `run`", sampler->name);
    else if (sampler->flags & ~(uint32_t)SAMPLER_FLAGS)
        faults_add(faults, "sampler %s has flags (%#x) that this nodus does not know", sampler->name, sampler->flags);
}

void descriptor_scheduler(const NodusSchedulerDef *scheduler, Faults *faults)
{
    if (!descriptor_name(scheduler->name)) faults_add(faults, "a scheduler has no name of 1 to %d bytes", DESCRIPTOR_NAME);
    else if (!scheduler->run) faults_add(faults, "scheduler %s has no function `run`", scheduler->name);
    else if (scheduler->flags)
        faults_add(faults, "scheduler %s has flags (%#x) that this nodus does not know", scheduler->name, scheduler->flags);
}

static void check_amount(const NodusOpDef *op, const char *what, uint32_t count, uint32_t least, uint32_t most, Faults *faults)
{
    if (count < least || count > most)
        faults_add(faults, "operation %s has %u %s, %u to %u are possible", op->name, count, what, least, most);
}

void descriptor_op(const NodusOpDef *op, Faults *faults)
{
    if (!descriptor_name(op->name)) {
        faults_add(faults, "an operation has no name of 1 to %d bytes", DESCRIPTOR_NAME);
        return;
    }
    if (!op->build) faults_add(faults, "operation %s has no function `build`", op->name);
    if (!is_text(op->about)) faults_add(faults, "operation %s: its line about itself is no UTF-8 text, or too long", op->name);
    if (op->flags) faults_add(faults, "operation %s has flags (%#x) that this nodus does not know", op->name, op->flags);
    check_amount(op, "inputs", op->inputs, 1, NODUS_OP_MOST, faults);
    check_amount(op, "outputs", op->outputs, 1, NODUS_OP_MOST, faults);
    check_amount(op, "parameters", op->parameters, 0, NODUS_OP_PARAMETERS, faults);
}

void descriptor_patch(const NodusPatchClass *patch, Faults *faults)
{
    if (!descriptor_name(patch->name)) {
        faults_add(faults, "a patch class has no name of 1 to %d bytes", DESCRIPTOR_NAME);
        return;
    }
    if (!patch->build && !patch->guide && !patch->mask)
        faults_add(faults, "patch class %s does nothing: it has none of the functions `build`, `guide`, `mask`", patch->name);
    if (patch->build && !patch->structure)
        faults_add(faults, "patch class %s has a function `build`, but no `structure` that tells what it builds", patch->name);
    if (!patch->begin != !patch->end) faults_add(faults, "patch class %s has only one of `begin` and `end`", patch->name);
    if (patch->bind && !patch->build)
        faults_add(faults, "patch class %s has a function `bind`, but no `build` whose inputs it could give", patch->name);
    if (patch->conditioning || patch->answer)
        faults_add(faults, "patch class %s has a function `%s`, which is not for plug-ins", patch->name,
                   patch->answer ? "answer" : "conditioning");
    if (patch->flags & ~(uint32_t)NODUS_PATCH_NEEDS_UNCOND)
        faults_add(faults, "patch class %s has flags (%#x) that are not for plug-ins, or not known", patch->name, patch->flags);
}
