/* expected.c: one phrase an input, from its row of the table: the same words in every message. */
#include "engine/graph/expected.h"
#include "engine/graph/python.h"
#include <inttypes.h>

enum { LISTED = 20 /* options */ };

static void put_float_range(const NodusInput *input, Text *out)
{
    const double min = input->as.f.min, max = input->as.f.max;
    text_add(out, "a number");
    if (min != 0 || max != 0) text_format(out, " from %.10g to %.10g", min, max);
}

static void put_options(const Options *options, Text *out)
{
    if (!options->count) text_add(out, "a name, but there is none to choose from");
    else if (options->count > LISTED) text_format(out, "one of %zu names", options->count);
    else text_add(out, options->count > 1 ? "one of " : "");
    for (size_t i = 0; i < options->count && options->count <= LISTED; i++) {
        if (i) text_add(out, ", ");
        python_quote(out, options->name[i]);
    }
}

void expected_put(const NodusInput *input, const Options *options, Text *out)
{
    const bool limited = input->as.i.min || input->as.i.max;
    switch (input->kind) {
    case NODUS_INT:
        text_add(out, "a whole number");
        if (limited) text_format(out, " from %" PRId64 " to %" PRId64, input->as.i.min, input->as.i.max);
        break;
    case NODUS_SEED:
        text_format(out, "a whole number from %" PRIu64 " to %" PRIu64, input->as.u.min,
                    input->as.u.min || input->as.u.max ? input->as.u.max : UINT64_MAX);
        break;
    case NODUS_FLOAT: put_float_range(input, out); break;
    case NODUS_BOOLEAN: text_add(out, "true or false"); break;
    case NODUS_STRING: text_add(out, "a text"); break;
    case NODUS_COMBO: put_options(options, out); break;
    case NODUS_LINK: text_format(out, "a link to a value of type %s", input->type); break;
    default: text_add(out, "any value");
    }
}

const char *expected_kind(const cJSON *item)
{
    if (cJSON_IsString(item)) return "text";
    if (cJSON_IsBool(item)) return cJSON_IsTrue(item) ? "true" : "false";
    if (cJSON_IsNull(item)) return "null";
    if (cJSON_IsArray(item)) return "list";
    if (cJSON_IsObject(item)) return "object";
    return json_is_integer(item) ? "number" : "number with a fraction";
}
