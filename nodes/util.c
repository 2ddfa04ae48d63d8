/* util.c: literals as nodes, so that one number or text can feed many inputs, and a node that shows any value as text.
 *
 * One idea: the five primitives differ in their C type only, so each is one line of work and one table. */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/formats/json.h"
#include "nodes/util.h"

NodusStatus util_int(NodusCall *call, const void *args)
{
    const PrimitiveIntArgs *in = args;
    return nodus_emit_int(call, 0, in->value);
}

NodusStatus util_float(NodusCall *call, const void *args)
{
    const PrimitiveFloatArgs *in = args;
    return nodus_emit_float(call, 0, in->value);
}

NodusStatus util_string(NodusCall *call, const void *args)
{
    const PrimitiveStringArgs *in = args;
    return nodus_emit_string(call, 0, in->value);
}

NodusStatus util_boolean(NodusCall *call, const void *args)
{
    const PrimitiveBooleanArgs *in = args;
    return nodus_emit_boolean(call, 0, in->value);
}

/* A literal is known before anything runs: emitted as a fact too (engine/graph/facts.h). */
#define KNOWN(function_)                                                                                                \
    NodusStatus function_##_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)      \
    {                                                                                                                   \
        (void)in;                                                                                                       \
        (void)out;                                                                                                      \
        return function_(call, args);                                                                                   \
    }
KNOWN(util_int)
KNOWN(util_float)
KNOWN(util_string)
KNOWN(util_boolean)

static const NodusInput int_inputs[] = {
    NODUS_FLAG_INT(NODUS_CONTROL, "value", PrimitiveIntArgs, value, "The number.", .def = 0, .min = -UTIL_LIMIT, .max = UTIL_LIMIT)};
static const NodusInput float_inputs[] = {
    NODUS_IN_FLOAT("value", PrimitiveFloatArgs, value, "The number.", .def = 0, .min = -(double)UTIL_LIMIT, .max = (double)UTIL_LIMIT)};
static const NodusInput string_inputs[] = {
    NODUS_IN_STRING("value", PrimitiveStringArgs, value, "The text, in one line.", .def = "")};
static const NodusInput multiline_inputs[] = {
    NODUS_IN_STRING("value", PrimitiveStringArgs, value, "The text.", .def = "", .multiline = true)};
static const NodusInput boolean_inputs[] = {NODUS_IN_BOOLEAN("value", PrimitiveBooleanArgs, value, "On or off.", false)};
static const NodusOutput int_outputs[] = {{.name = "INT", .type = "INT", .tooltip = "The number."}};
static const NodusOutput float_outputs[] = {{.name = "FLOAT", .type = "FLOAT", .tooltip = "The number."}};
static const NodusOutput string_outputs[] = {{.name = "STRING", .type = "STRING", .tooltip = "The text."}};
static const NodusOutput boolean_outputs[] = {{.name = "BOOLEAN", .type = "BOOLEAN", .tooltip = "The choice."}};

#define PRIMITIVE(name_, title_, Args_, inputs_, outputs_) \
    NODUS_NODE(name_, title_, "utils/primitive", Args_, inputs_, outputs_), .example = "graphs/primitives.json"
const NodusNode node_primitive_int = {PRIMITIVE("PrimitiveInt", "Int", PrimitiveIntArgs, int_inputs, int_outputs),
                                      .help = "A whole number for any inputs that are linked to it.", .run = util_int, .infer = util_int_infer};
const NodusNode node_primitive_float = {PRIMITIVE("PrimitiveFloat", "Float", PrimitiveFloatArgs, float_inputs, float_outputs),
                                        .help = "A number for any inputs that are linked to it.", .run = util_float, .infer = util_float_infer};
const NodusNode node_primitive_string = {
    PRIMITIVE("PrimitiveString", "String", PrimitiveStringArgs, string_inputs, string_outputs),
    .help = "A text of one line for any inputs that are linked to it.", .run = util_string, .infer = util_string_infer};
const NodusNode node_primitive_string_multiline = {
    PRIMITIVE("PrimitiveStringMultiline", "String (Multiline)", PrimitiveStringArgs, multiline_inputs, string_outputs),
    .help = "A text of several lines for any inputs that are linked to it.", .run = util_string, .infer = util_string_infer};
const NodusNode node_primitive_boolean = {
    PRIMITIVE("PrimitiveBoolean", "Boolean", PrimitiveBooleanArgs, boolean_inputs, boolean_outputs),
    .help = "On or off for any inputs that are linked to it.", .run = util_boolean, .infer = util_boolean_infer};

/* ---- PreviewAny ---------------------------------------------------------------------------------------------------- */

NodusStatus util_show(NodusCall *call, const NodusValue *value)
{
    NodusText *shown = nodus_text(call);
    if (!shown) return status_memory();
    NODUS_TRY(nodus_value_print(value, shown));
    Text json = {0};
    char *text;
    json_put_string(&json, nodus_text_get(shown), false);
    NODUS_TRY(text_take(&json, &text));
    NodusStatus status = nodus_ui(call, "text", text);
    memory_free(text);
    return status;
}

NodusStatus util_preview(NodusCall *call, const void *args)
{
    const PreviewAnyArgs *in = args;
    return util_show(call, in->source);
}

static const NodusInput preview_any_inputs[] = {NODUS_IN_ANY("source", PreviewAnyArgs, source, "Any value.")};
const NodusNode node_preview_any = {
    NODUS_NODE_END("PreviewAny", "Preview Any", "utils", PreviewAnyArgs, preview_any_inputs),
    .flags = NODUS_OUTPUT,
    .help = "Show any value as text.",
    .example = "graphs/primitives.json",
    .run = util_preview,
};
