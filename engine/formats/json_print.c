/* json_print.c: JSON as text: compact, or byte for byte as Python's json.dumps lays it out (picture metadata).
 *
 * One idea: numbers are printed as they were written. Strings that are no valid UTF-8 (file names may be any bytes) get U+FFFD,
 * so that what comes out is JSON in every case. */
#include "engine/formats/json.h"
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The code point at *text, which moves on; U+FFFD for a byte that starts none. */
static uint32_t next_code(const char **text)
{
    const uint8_t *s = (const uint8_t *)*text;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const int size = s[0] < 0x80                   ? 1
                     : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
                     : s[0] >= 0xe0 && s[0] < 0xf0 ? 3
                     : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
                                                   : 0;
    uint32_t code = size <= 1 ? s[0] : s[0] & (0x7fu >> size);
    bool valid = size > 0;
    for (int i = 1; valid && i < size; i++) { /* the closing NUL is no continuation byte, so this stays inside */
        valid = (s[i] & 0xc0) == 0x80;
        code = code << 6 | (s[i] & 0x3f);
    }
    if (valid && size > 1) valid = code >= least[size] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
    *text += valid ? size : 1;
    return valid ? code : 0xfffd;
}

static void put_code(Text *out, uint32_t code, bool ascii)
{
    static const char names[] = "\"\\\n\r\t\b\f", letters[] = "\"\\nrtbf";
    const char *name = code < 0x80 ? strchr(names, (int)code) : NULL;
    if (name) text_format(out, "\\%c", letters[name - names]);
    else if (code < ' ' || (ascii && code > '~' && code < 0x10000)) text_format(out, "\\u%04x", (unsigned)code);
    else if (ascii && code >= 0x10000)
        text_format(out, "\\u%04x\\u%04x", 0xd800 + (unsigned)(code - 0x10000) / 1024, 0xdc00 + (unsigned)code % 1024);
    else if (code < 0x80) text_char(out, (char)code);
    else if (code < 0x800) text_format(out, "%c%c", 0xc0 | code >> 6, 0x80 | (code & 63));
    else if (code < 0x10000) text_format(out, "%c%c%c", 0xe0 | code >> 12, 0x80 | (code >> 6 & 63), 0x80 | (code & 63));
    else text_format(out, "%c%c%c%c", 0xf0 | code >> 18, 0x80 | (code >> 12 & 63), 0x80 | (code >> 6 & 63), 0x80 | (code & 63));
}

void json_put_string(Text *out, const char *text, bool ascii)
{
    text_char(out, '"');
    while (*text) {
        size_t plain = 0; /* most strings are plain throughout */
        while (text[plain] >= ' ' && text[plain] <= '~' && text[plain] != '"' && text[plain] != '\\') plain++;
        text_add_n(out, text, plain);
        text += plain;
        if (*text) put_code(out, next_code(&text), ascii);
    }
    text_char(out, '"');
}

/* The shortest text that reads back as the same double, with a point in any locale. */
static void shortest(double value, char text[32])
{
    const locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0), before = c ? uselocale(c) : (locale_t)0;
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, 32, "%.*g", digits, value);
        if (strtod(text, NULL) == value) break;
    }
    if (c) uselocale(before);
    if (c) freelocale(c);
}

void json_put_double(Text *out, double value)
{
    char text[32];
    if (!isfinite(value)) {
        text_add(out, "null");
        return;
    }
    shortest(value, text);
    text_add(out, text);
    if (!strpbrk(text, ".e")) text_add(out, ".0");
}

static void put_number(Text *out, const cJSON *item, bool finite)
{
    char text[32];
    const double value = json_double(item);
    if (finite && !isfinite(value)) text_add(out, "null"); /* 1e999 too */
    else if (cJSON_IsRaw(item)) text_add(out, item->valuestring);
    else if (!isfinite(value)) text_add(out, isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity");
    else {
        shortest(value, text);
        text_add(out, text);
    }
}

static void put_children(Text *out, const cJSON *item, bool python, bool finite)
{
    const bool object = cJSON_IsObject(item);
    text_char(out, object ? '{' : '[');
    for (const cJSON *child = item->child; child; child = child->next) {
        if (child != item->child) text_add(out, python ? ", " : ",");
        if (object) {
            json_put_string(out, child->string ? child->string : "", python);
            text_add(out, python ? ": " : ":");
        }
        json_print(out, child, python, finite);
    }
    text_char(out, object ? '}' : ']');
}

/* Recursion is as deep as the document: JSON_MAX_DEPTH for what was parsed. */
void json_print(Text *out, const cJSON *item, bool python, bool finite)
{
    if (cJSON_IsObject(item) || cJSON_IsArray(item)) put_children(out, item, python, finite);
    else if (cJSON_IsString(item)) json_put_string(out, item->valuestring, python);
    else if (json_is_number(item)) put_number(out, item, finite);
    else if (cJSON_IsBool(item)) text_add(out, cJSON_IsTrue(item) ? "true" : "false");
    else text_add(out, cJSON_IsRaw(item) && item->valuestring ? item->valuestring : "null");
}
