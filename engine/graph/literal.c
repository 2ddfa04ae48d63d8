/* literal.c: int(), float(), str() and bool() as Python has them.
 *
 * One idea: prompts come from programs that were never strict, so "7", 7.9 and true are integers here; what Python's own
 * functions refuse is refused, with their reason. --strict takes only the JSON type that the input declares: what would be
 * converted is refused, and said. */
#include "engine/graph/literal.h"
#include "engine/base/status.h"
#include "engine/graph/expected.h"
#include "engine/graph/python.h"
#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MOST_DIGITS = 4300 /* Python's limit */ };

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r') || (c >= 0x1c && c <= 0x1f);
}

/* The text between outer blanks. */
static const char *trim(const char *text, size_t *length)
{
    while (is_blank(*text)) text++;
    *length = strlen(text);
    while (*length && is_blank(text[*length - 1])) --*length;
    return text;
}

/* Digits with single underscores between them, copied without; returns how much of `text` they are, 0 if there are none. */
static size_t take_digits(const char *text, size_t length, char *to, size_t *count)
{
    size_t at = 0;
    while (at < length &&
           (isdigit((unsigned char)text[at]) || (text[at] == '_' && at && at + 1 < length &&
                                                 isdigit((unsigned char)text[at - 1]) && isdigit((unsigned char)text[at + 1])))) {
        if (text[at] != '_') to[(*count)++] = text[at];
        at++;
    }
    return at;
}

static NodusStatus refuse_strictly(const cJSON *item, const char *wanted, Arena *arena, Literal *out)
{
    out->reason = arena_format(arena, "--strict takes no %s for %s", expected_kind(item), wanted);
    return out->reason ? NULL : status_memory();
}

/* ---- INT ----------------------------------------------------------------------------------------------------------- */

/* An integer from decimal digits; beyond 64 bits the digits themselves. */
static NodusStatus from_digits(bool negative, const char *digits, bool wide, Literal *out)
{
    while (digits[0] == '0' && digits[1]) digits++;
    uint64_t magnitude = 0;
    for (const char *digit = digits; *digit; digit++) {
        if (__builtin_mul_overflow(magnitude, (uint64_t)10, &magnitude) ||
            __builtin_add_overflow(magnitude, (uint64_t)(*digit - '0'), &magnitude)) {
            out->digits = digits;
            out->negative = negative;
            return NULL;
        }
    }
    return value_integer(negative, magnitude, wide, &out->value);
}

static NodusStatus int_from_text(const char *given, bool wide, Arena *arena, Literal *out)
{
    size_t length, count = 0;
    const char *text = trim(given, &length);
    const bool signed_ = length && (*text == '-' || *text == '+');
    char *digits = arena_alloc(arena, length + 1);
    if (!digits) return status_memory();
    const size_t taken = take_digits(text + signed_, length - signed_, digits, &count);
    if (!count || taken != length - signed_) {
        Text quoted = {0};
        python_quote(&quoted, given);
        out->reason = arena_format(arena, "invalid literal for int() with base 10: %.200s", text_get(&quoted));
        text_free(&quoted);
        return out->reason ? NULL : status_memory();
    }
    if (count > MOST_DIGITS) out->reason = "the number has more than 4300 digits";
    return out->reason ? NULL : from_digits(*text == '-', digits, wide, out);
}

static NodusStatus int_from_float(double number, bool wide, Arena *arena, Literal *out)
{
    if (isnan(number)) out->reason = "cannot convert float NaN to integer";
    else if (isinf(number)) out->reason = "cannot convert float infinity to integer";
    if (out->reason) return NULL;
    const char *digits = arena_format(arena, "%.0f", fabs(trunc(number)));
    return digits ? from_digits(number < 0, digits, wide, out) : status_memory();
}

static NodusStatus convert_int(const NodusInput *input, const cJSON *item, bool strict, Arena *arena, Literal *out)
{
    const bool wide = input->kind == NODUS_SEED;
    if (json_is_integer(item)) {
        const bool negative = item->valuestring[0] == '-';
        const char *digits = arena_text(arena, item->valuestring + negative);
        if (!digits) return status_memory();
        if (strlen(digits) > MOST_DIGITS) out->reason = "the number has more than 4300 digits";
        return out->reason ? NULL : from_digits(negative, digits, wide, out);
    }
    if (strict) return refuse_strictly(item, "a whole number", arena, out);
    if (json_is_number(item)) return int_from_float(json_double(item), wide, arena, out);
    if (cJSON_IsBool(item)) return value_integer(false, cJSON_IsTrue(item), wide, &out->value);
    if (cJSON_IsString(item)) return int_from_text(item->valuestring, wide, arena, out);
    out->reason = cJSON_IsNull(item) ? "a number is wanted, not null" : "a number is wanted, not a list or an object";
    return NULL;
}

/* ---- FLOAT --------------------------------------------------------------------------------------------------------- */

static bool is_word(const char *text, size_t length, const char *word)
{
    return length == strlen(word) && !strncasecmp(text, word, length);
}

/* A decimal number as float() takes it; false when the text is none. */
static bool parse_float(const char *text, size_t length, char *plain, double *out)
{
    const bool negative = length && *text == '-';
    size_t at = length && (*text == '-' || *text == '+'), count = 0, mantissa, part = 0;
    if (negative) plain[count++] = '-';
    if (is_word(text + at, length - at, "inf") || is_word(text + at, length - at, "infinity"))
        *out = negative ? -INFINITY : INFINITY;
    else if (is_word(text + at, length - at, "nan")) *out = NAN;
    else {
        at += mantissa = take_digits(text + at, length - at, plain, &count);
        if (at < length && text[at] == '.') {
            plain[count++] = '.';
            part = take_digits(text + at + 1, length - at - 1, plain, &count);
            at += 1 + part;
        }
        if (!mantissa && !part) return false;
        if (at < length && (text[at] == 'e' || text[at] == 'E')) {
            plain[count++] = 'e';
            at++;
            if (at < length && (text[at] == '-' || text[at] == '+')) plain[count++] = text[at++];
            part = take_digits(text + at, length - at, plain, &count);
            at += part;
            if (!part) return false;
        }
        plain[count] = '\0';
        if (at != length) return false;
        *out = strtod(plain, NULL);
    }
    return true;
}

static NodusStatus convert_float(const cJSON *item, bool strict, Arena *arena, Literal *out)
{
    double number = 0;
    if (json_is_number(item)) {
        number = json_double(item);
    } else if (strict) {
        return refuse_strictly(item, "a number", arena, out);
    } else if (cJSON_IsBool(item)) {
        number = cJSON_IsTrue(item);
    } else if (cJSON_IsString(item)) {
        size_t length;
        const char *text = trim(item->valuestring, &length);
        char *plain = arena_alloc(arena, length + 2);
        if (!plain) return status_memory();
        if (!parse_float(text, length, plain, &number)) {
            Text quoted = {0};
            python_quote(&quoted, item->valuestring);
            out->reason = arena_format(arena, "could not convert string to float: %.200s", text_get(&quoted));
            text_free(&quoted);
            return out->reason ? NULL : status_memory();
        }
    } else {
        out->reason = cJSON_IsNull(item) ? "a number is wanted, not null" : "a number is wanted, not a list or an object";
    }
    if (!out->reason && isnan(number)) out->reason = "NaN is no value to compute with";
    return out->reason ? NULL : value_float(number, &out->value);
}

/* ---- The others ---------------------------------------------------------------------------------------------------- */

static bool is_true(const cJSON *item)
{
    if (json_is_number(item)) return json_double(item) != 0; /* NaN is true */
    if (cJSON_IsString(item)) return item->valuestring[0];
    return cJSON_IsTrue(item) || item->child;
}

static NodusStatus convert_boolean(const cJSON *item, bool strict, Arena *arena, Literal *out)
{
    if (strict && !cJSON_IsBool(item)) return refuse_strictly(item, "true or false", arena, out);
    if (cJSON_IsString(item) && (!strcasecmp(item->valuestring, "false") || !strcmp(item->valuestring, "0")))
        out->warning = "a text counts as true, whatever it says: write false without quotes";
    return value_boolean(is_true(item), &out->value);
}

static NodusStatus convert_string(const cJSON *item, bool strict, Arena *arena, Literal *out)
{
    if (strict && !cJSON_IsString(item)) return refuse_strictly(item, "a text", arena, out);
    if (cJSON_IsNull(item)) out->warning = "null counts as the text \"None\"";
    Text text = {0};
    python_str(&text, item);
    NodusStatus status = text.failed ? status_memory() : value_text(VALUE_STRING, text_get(&text), &out->value);
    text_free(&text);
    return status;
}

/* A literal on a socket: of its own type. */
static NodusStatus convert_any(const cJSON *item, Arena *arena, Literal *out)
{
    static const NodusInput as_int = {.kind = NODUS_INT};
    if (json_is_integer(item)) {
        NODUS_TRY(convert_int(&as_int, item, false, arena, out));
        if (out->value || out->reason) return NULL;
        out->digits = NULL; /* larger than any integer type here: a float, as in most languages */
    }
    if (json_is_number(item)) return value_float(json_double(item), &out->value);
    if (cJSON_IsBool(item)) return value_boolean(cJSON_IsTrue(item), &out->value);
    if (cJSON_IsString(item)) return value_text(VALUE_STRING, item->valuestring, &out->value);
    Text text = {0};
    json_print(&text, item, true, true);
    NodusStatus status = text.failed ? status_memory() : value_text(VALUE_JSON, text_get(&text), &out->value);
    text_free(&text);
    return status;
}

NodusStatus literal_convert(const NodusInput *input, const cJSON *item, bool strict, Arena *arena, Literal *out)
{
    *out = (Literal){0};
    switch (input->kind) {
    case NODUS_INT:
    case NODUS_SEED: return convert_int(input, item, strict, arena, out);
    case NODUS_FLOAT: return convert_float(item, strict, arena, out);
    case NODUS_BOOLEAN: return convert_boolean(item, strict, arena, out);
    case NODUS_STRING: return convert_string(item, strict, arena, out);
    case NODUS_LINK:
        if (strict && !(cJSON_IsNull(item) && (input->flags & NODUS_OPTIONAL)))
            return refuse_strictly(item, "a value that only a link can bring", arena, out);
        return convert_any(item, arena, out);
    default: return convert_any(item, arena, out);
    }
}

/* The item says already what the value is. */
static bool is_stored(const cJSON *item, const NodusValue *value)
{
    if (value->kind == VALUE_INT) return json_is_integer(item);
    return value->kind == VALUE_BOOLEAN ? cJSON_IsBool(item) : value->kind == VALUE_STRING && cJSON_IsString(item);
}

NodusStatus literal_store(cJSON *item, const NodusValue *value)
{
    if (is_stored(item, value)) return NULL;
    Text text = {0};
    cJSON *stored = NULL;
    if (value->kind == VALUE_BOOLEAN) {
        stored = cJSON_CreateBool(value->as.truth);
    } else if (value->kind == VALUE_STRING) {
        stored = cJSON_CreateString(value->as.text);
    } else if (value->kind == VALUE_INT || value->kind == VALUE_FLOAT) {
        value_print(value, &text); /* Python's text of a finite number is JSON */
        if (value->kind == VALUE_FLOAT && isinf(value->as.number)) {
            text_free(&text);
            text_add(&text, value->as.number > 0 ? "Infinity" : "-Infinity");
        }
        stored = text.failed ? NULL : cJSON_CreateRaw(text_get(&text));
        text_free(&text);
    } else {
        return NULL; /* JSON as it was */
    }
    if (!stored) return status_memory();
    workflow_replace(item, stored);
    return NULL;
}
