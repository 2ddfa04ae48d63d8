/* pack_constants.c: numbers and texts as nodes under the names that packs give them (KJNodes, Easy-Use, Impact, Comfyroll), and ShowText.
 *
 * One idea: they are the primitives of util.c; only the names differ. */
#include "engine/base/status.h"
#include "nodes/util.h"
#include <string.h>

#define EXAMPLE "graphs/pack_constants.json"

/* ---- Numbers, texts, switches -------------------------------------------------------------------------------------- */

#define INT_IN(name_) \
    NODUS_IN_INT(name_, PrimitiveIntArgs, value, "The number.", .def = 0, .min = -UTIL_LIMIT, .max = UTIL_LIMIT)
#define FLOAT_IN(name_)                                                                              \
    NODUS_IN_FLOAT(name_, PrimitiveFloatArgs, value, "The number.", .def = 0, .min = -(double)UTIL_LIMIT, \
                   .max = (double)UTIL_LIMIT, .step = 0.001, .round = NODUS_NO_ROUND)
#define STRING_IN(name_) NODUS_IN_STRING(name_, PrimitiveStringArgs, value, "The text.", .def = "")

static const NodusInput int_inputs[] = {INT_IN("value")};
static const NodusInput float_inputs[] = {FLOAT_IN("value")};
static const NodusInput text_inputs[] = {STRING_IN("string")};
static const NodusInput value_inputs[] = {STRING_IN("value")};
static const NodusInput boolean_inputs[] = {NODUS_IN_BOOLEAN("value", PrimitiveBooleanArgs, value, "On or off.", false)};
static const NodusOutput int_outputs[] = {{.name = "INT", .type = "INT", .tooltip = "The number."}};
static const NodusOutput float_outputs[] = {{.name = "FLOAT", .type = "FLOAT", .tooltip = "The number."}};
static const NodusOutput string_outputs[] = {{.name = "STRING", .type = "STRING", .tooltip = "The text."}};
static const NodusOutput boolean_outputs[] = {{.name = "BOOLEAN", .type = "BOOLEAN", .tooltip = "The choice."}};

#define CONSTANT(class_, title_, category_, Args_, inputs_, outputs_, run_)                        \
    {                                                                                             \
        NODUS_NODE(class_, title_, category_, Args_, inputs_, outputs_), .example = EXAMPLE, \
        .help = "A value for any inputs that are linked to it.", .run = run_, .infer = run_##_infer \
    }
#define INT_NODE(class_, title_, category_) \
    CONSTANT(class_, title_, category_, PrimitiveIntArgs, int_inputs, int_outputs, util_int)
#define FLOAT_NODE(class_, title_, category_) \
    CONSTANT(class_, title_, category_, PrimitiveFloatArgs, float_inputs, float_outputs, util_float)
#define STRING_NODE(class_, title_, category_, inputs_) \
    CONSTANT(class_, title_, category_, PrimitiveStringArgs, inputs_, string_outputs, util_string)

const NodusNode node_kj_int = INT_NODE("INTConstant", "INT Constant", "KJNodes/constants");
const NodusNode node_kj_float = FLOAT_NODE("FloatConstant", "Float Constant", "KJNodes/constants");
const NodusNode node_kj_string = STRING_NODE("StringConstant", "String Constant", "KJNodes/constants", text_inputs);
const NodusNode node_easy_int = INT_NODE("easy int", "Int", "EasyUse/Logic/Type");
const NodusNode node_easy_float = FLOAT_NODE("easy float", "Float", "EasyUse/Logic/Type");
const NodusNode node_easy_string = STRING_NODE("easy string", "String", "EasyUse/Logic/Type", value_inputs);
const NodusNode node_easy_boolean =
    CONSTANT("easy boolean", "Boolean", "EasyUse/Logic/Type", PrimitiveBooleanArgs, boolean_inputs, boolean_outputs, util_boolean);
const NodusNode node_impact_int = INT_NODE("ImpactInt", "ImpactInt", "ImpactPack/Logic");
const NodusNode node_impact_float = FLOAT_NODE("ImpactFloat", "ImpactFloat", "ImpactPack/Logic");
const NodusNode node_impact_boolean =
    CONSTANT("ImpactBoolean", "ImpactBoolean", "ImpactPack/Logic", PrimitiveBooleanArgs, boolean_inputs, boolean_outputs, util_boolean);

/* ---- StringConstantMultiline ---------------------------------------------------------------------------------------- */

typedef struct {
    const char *text;
    bool strip;
} MultilineArgs;

static NodusStatus kj_multiline(NodusCall *call, const void *args)
{
    const MultilineArgs *in = args;
    char *out = nodus_alloc(call, strlen(in->text) + 1), *to = out;
    if (!out) return status_memory();
    for (const char *c = in->text; *c; c++)
        if (!in->strip || (*c != '\n' && *c != '\r')) *to++ = *c;
    return nodus_emit_string(call, 0, out);
}

static NodusStatus kj_multiline_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    (void)in, (void)out;
    return kj_multiline(call, args);
}

static const NodusInput multiline_inputs[] = {
    NODUS_IN_STRING("string", MultilineArgs, text, "The text.", .def = "", .multiline = true),
    NODUS_IN_BOOLEAN("strip_newlines", MultilineArgs, strip, "Leave out the ends of lines: the text becomes one line.", true),
};
const NodusNode node_kj_string_multiline = {
    NODUS_NODE("StringConstantMultiline", "String Constant Multiline", "KJNodes/constants", MultilineArgs, multiline_inputs,
               string_outputs),
    .help = "A text of several lines for any inputs that are linked to it.",
    .example = EXAMPLE,
    .run = kj_multiline,
    .infer = kj_multiline_infer,
};

/* ---- CR Text -------------------------------------------------------------------------------------------------------- */

static NodusStatus cr_text(NodusCall *call, const void *args)
{
    NODUS_TRY(util_string(call, args));
    return nodus_emit_string(call, 1, "CR Text gives its text to any inputs that are linked to it.");
}

static NodusStatus cr_text_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    (void)in, (void)out;
    return cr_text(call, args);
}

static const NodusInput cr_text_inputs[] = {
    NODUS_IN_STRING("text", PrimitiveStringArgs, value, "The text.", .def = "", .multiline = true)};
static const NodusOutput cr_text_outputs[] = {
    {.name = "text", .type = "*", .tooltip = "The text."},
    {.name = "show_help", .type = "STRING", .tooltip = "What the node does."},
};
const NodusNode node_cr_text = {
    NODUS_NODE("CR Text", "CR Text", "Comfyroll/Essential/Core", PrimitiveStringArgs, cr_text_inputs, cr_text_outputs),
    .help = "A text for any inputs that are linked to it.",
    .example = EXAMPLE,
    .run = cr_text,
    .infer = cr_text_infer,
};

/* ---- ShowText ---------------------------------------------------------------------------------------- */

typedef struct {
    NodusList text;
} ShowTextArgs;

static NodusStatus show_text(NodusCall *call, const void *args)
{
    const ShowTextArgs *in = args;
    for (uint32_t i = 0; i < in->text.count; i++) {
        NODUS_TRY(util_show(call, in->text.item[i]));
        NODUS_TRY(nodus_emit_value(call, 0, in->text.item[i]));
    }
    return NULL;
}

static const NodusInput show_text_inputs[] = {
    NODUS_FLAG_STRING(NODUS_FORCE_INPUT | NODUS_WHOLE_LIST, "text", ShowTextArgs, text, "The text to show, or a list of texts.",
                      .def = "")};
static const NodusOutput show_text_outputs[] = {
    {.name = "STRING", .type = "STRING", .tooltip = "The same text.", .flags = NODUS_OUT_LIST}};
const NodusNode node_pysssss_show_text = {
    NODUS_NODE("ShowText|pysssss", "Show Text", "utils", ShowTextArgs, show_text_inputs, show_text_outputs),
    .flags = NODUS_OUTPUT | NODUS_TAKES_LISTS,
    .help = "Show a text, and pass it on.",
    .example = EXAMPLE,
    .run = show_text,
};
