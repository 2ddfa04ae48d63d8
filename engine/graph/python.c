/* python.c: Python's str() and repr() of JSON values.
 *
 * One idea: what people see in ComfyUI is Python's text of a value; saved prompts and messages depend on its exact form. */
#include "engine/graph/python.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIXED_BELOW = 16, FIXED_FROM = -4 /* decimal exponents that are written without one */ };

void python_float(Text *out, double value)
{
    if (!isfinite(value)) {
        text_add(out, isnan(value) ? "nan" : value > 0 ? "inf" : "-inf");
        return;
    }
    char text[32];
    for (int precision = 0; precision < 17; precision++) {
        snprintf(text, sizeof text, "%.*e", precision, value);
        if (strtod(text, NULL) == value) break;
    }
    const char *digits = text + (text[0] == '-');
    const char *mark = strchr(digits, 'e');
    const int exponent = mark ? atoi(mark + 1) : 0;
    if (exponent < FIXED_FROM || exponent >= FIXED_BELOW) {
        text_add(out, text); /* printf writes the exponent as Python does: sign, two digits at least */
        return;
    }
    const int decimals = (int)(mark - digits) - 2; /* "d.ddd": digits behind the point; −1 for "d" */
    const int wanted = (decimals < 0 ? 0 : decimals) - exponent;
    text_format(out, "%.*f", wanted < 1 ? 1 : wanted, value);
}

void python_quote(Text *out, const char *text)
{
    const char quote = strchr(text, '\'') && !strchr(text, '"') ? '"' : '\'';
    text_char(out, quote);
    for (; *text; text++) {
        const unsigned char c = (unsigned char)*text;
        if (c == '\\' || *text == quote) text_format(out, "\\%c", *text);
        else if (c == '\n') text_add(out, "\\n");
        else if (c == '\r') text_add(out, "\\r");
        else if (c == '\t') text_add(out, "\\t");
        else if (c < ' ' || c == 127) text_format(out, "\\x%02x", c);
        else text_char(out, *text);
    }
    text_char(out, quote);
}

static void repr_children(Text *out, const cJSON *item)
{
    const bool object = cJSON_IsObject(item);
    text_char(out, object ? '{' : '[');
    for (const cJSON *child = item->child; child; child = child->next) {
        if (child != item->child) text_add(out, ", ");
        if (object) {
            python_quote(out, child->string ? child->string : "");
            text_add(out, ": ");
        }
        python_repr(out, child);
    }
    text_char(out, object ? '}' : ']');
}

/* Recursion is as deep as the document, which json_parse limits. */
void python_repr(Text *out, const cJSON *item)
{
    if (cJSON_IsObject(item) || cJSON_IsArray(item)) repr_children(out, item);
    else if (cJSON_IsString(item)) python_quote(out, item->valuestring);
    else if (json_is_integer(item)) text_add(out, strcmp(item->valuestring, "-0") ? item->valuestring : "0");
    else if (json_is_number(item)) python_float(out, json_double(item));
    else if (cJSON_IsBool(item)) text_add(out, cJSON_IsTrue(item) ? "True" : "False");
    else text_add(out, "None");
}

void python_str(Text *out, const cJSON *item)
{
    if (cJSON_IsString(item)) text_add(out, item->valuestring);
    else python_repr(out, item);
}
