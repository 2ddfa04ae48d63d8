/* json_scan.c: what is JSON: RFC 8259 plus Python's NaN, Infinity and -Infinity.
 *
 * One idea: the scan is a loop over "what may come next", with a stack of open containers of fixed size instead of recursion, so
 * that no input can exhaust anything. cJSON, which builds the tree afterwards, sees only text that passed here: no bad UTF-8,
 * no lone surrogates, no \u0000 (it would cut a C string), no depth or number of values without a limit. */
#include "engine/formats/json_scan.h"
#include "engine/base/memory.h"
#include <string.h>

typedef enum Next { NEXT_VALUE, NEXT_VALUE_OR_END, NEXT_KEY, NEXT_KEY_OR_END, NEXT_AFTER, NEXT_DONE } Next;

typedef struct Scan {
    const char *text;
    size_t at, length;
    JsonSpans *spans;
    int depth;
    struct {
        uint32_t span;
        bool object;
    } open[JSON_MAX_DEPTH];
    const char *fault; /* the first thing that is wrong, found at `at` */
    bool memory;
} Scan;

/* The byte at the reading position; NUL at the end, where no valid text has one. */
static char peek(const Scan *scan)
{
    return scan->at < scan->length ? scan->text[scan->at] : '\0';
}

static bool fail(Scan *scan, size_t at, const char *fault)
{
    scan->at = at;
    scan->fault = fault;
    return false;
}

static void skip_blanks(Scan *scan)
{
    while (scan->at < scan->length && strchr(" \t\n\r", scan->text[scan->at]) && scan->text[scan->at]) scan->at++;
}

/* One character of two or more bytes: no overlong forms, no surrogates, nothing above U+10FFFF. */
static bool scan_utf8(Scan *scan)
{
    const uint8_t *s = (const uint8_t *)scan->text + scan->at;
    const size_t left = scan->length - scan->at, size = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    bool valid = s[0] >= 0xc2 && s[0] <= 0xf4 && left >= size;
    for (size_t i = 1; valid && i < size; i++) valid = (s[i] & 0xc0) == 0x80;
    if (valid && size == 3) valid = !(s[0] == 0xe0 && s[1] < 0xa0) && !(s[0] == 0xed && s[1] > 0x9f);
    if (valid && size == 4) valid = !(s[0] == 0xf0 && s[1] < 0x90) && !(s[0] == 0xf4 && s[1] > 0x8f);
    if (!valid) return fail(scan, scan->at, "a string is not valid UTF-8");
    scan->at += size;
    return true;
}

/* Four hexadecimal digits at `at`, or −1. */
static int hex4(const Scan *scan, size_t at)
{
    int value = 0;
    if (scan->length - at < 4) return -1;
    for (size_t i = at; i < at + 4; i++) {
        const char c = scan->text[i], lower = (char)(c | 0x20);
        if (c >= '0' && c <= '9') value = value * 16 + c - '0';
        else if (lower >= 'a' && lower <= 'f') value = value * 16 + lower - 'a' + 10;
        else return -1;
    }
    return value;
}

static bool scan_escape(Scan *scan)
{
    const size_t start = scan->at++;
    const char c = peek(scan);
    if (c && strchr("\"\\/bfnrt", c)) {
        scan->at++;
        return true;
    }
    const int unit = c == 'u' ? hex4(scan, scan->at + 1) : -1;
    if (unit < 0) return fail(scan, start, "a string holds an unknown escape");
    if (unit == 0) return fail(scan, start, "a string holds \\u0000, which nodus does not allow");
    scan->at += 5;
    if (unit < 0xd800 || unit > 0xdfff) return true;
    const bool pair = unit < 0xdc00 && scan->length - scan->at >= 6 && !memcmp(scan->text + scan->at, "\\u", 2);
    const int low = pair ? hex4(scan, scan->at + 2) : -1;
    if (low < 0xdc00 || low > 0xdfff) return fail(scan, start, "a string holds half of a surrogate pair");
    scan->at += 6;
    return true;
}

static bool scan_string(Scan *scan)
{
    const size_t start = scan->at++;
    while (scan->at < scan->length) {
        const uint8_t c = (uint8_t)scan->text[scan->at];
        if (c == '"') {
            scan->at++;
            return true;
        }
        if (c < ' ') return fail(scan, scan->at, "a string holds a control character (write \\n, \\t or \\u00..)");
        if (c == '\\') {
            if (!scan_escape(scan)) return false;
        } else if (c < 0x80) scan->at++;
        else if (!scan_utf8(scan)) return false;
    }
    return fail(scan, start, "a string has no end");
}

static bool scan_digits(Scan *scan)
{
    const size_t start = scan->at;
    while (peek(scan) >= '0' && peek(scan) <= '9') scan->at++;
    return scan->at > start;
}

static bool scan_word(Scan *scan, const char *word)
{
    const size_t length = strlen(word);
    if (scan->length - scan->at < length || memcmp(scan->text + scan->at, word, length)) return false;
    scan->at += length;
    return true;
}

static bool scan_number(Scan *scan)
{
    const size_t start = scan->at;
    if (peek(scan) == '-') scan->at++;
    if (scan_word(scan, "Infinity")) return true;
    const bool zero = peek(scan) == '0';
    const size_t digits = scan->at;
    if (!scan_digits(scan)) return fail(scan, start, "this is not a value");
    if (zero && scan->at > digits + 1) return fail(scan, start, "a number starts with 0");
    if (peek(scan) == '.') {
        scan->at++;
        if (!scan_digits(scan)) return fail(scan, start, "a number ends in its decimal point");
    }
    if (peek(scan) == 'e' || peek(scan) == 'E') {
        scan->at++;
        if (peek(scan) == '+' || peek(scan) == '-') scan->at++;
        if (!scan_digits(scan)) return fail(scan, start, "a number has no digits in its exponent");
    }
    return true;
}

static bool add_span(Scan *scan)
{
    if (scan->spans->count == JSON_MAX_VALUES) return fail(scan, scan->at, "there are more than 2 million values");
    void *items = scan->spans->item;
    scan->memory = !memory_reserve(&items, &scan->spans->capacity, scan->spans->count, sizeof(JsonSpan));
    if (scan->memory) return false;
    scan->spans->item = items;
    scan->spans->item[scan->spans->count++] = (JsonSpan){.offset = (uint32_t)scan->at};
    return true;
}

static void close_span(Scan *scan, uint32_t span)
{
    scan->spans->item[span].length = (uint32_t)scan->at - scan->spans->item[span].offset;
}

static bool scan_scalar(Scan *scan)
{
    switch (peek(scan)) {
    case '"':
        return scan_string(scan);
    case 't':
        return scan_word(scan, "true") || fail(scan, scan->at, "this is not a value");
    case 'f':
        return scan_word(scan, "false") || fail(scan, scan->at, "this is not a value");
    case 'n':
        return scan_word(scan, "null") || fail(scan, scan->at, "this is not a value");
    case 'N':
        return scan_word(scan, "NaN") || fail(scan, scan->at, "this is not a value");
    case '}':
    case ']':
    case ',':
        return fail(scan, scan->at, "a value is missing");
    case '\0':
        return fail(scan, scan->at, scan->at < scan->length ? "this is not a value" : "the text ends where a value is expected");
    default:
        return scan_number(scan);
    }
}

static bool scan_value(Scan *scan, Next *next)
{
    const char c = peek(scan);
    const uint32_t span = (uint32_t)scan->spans->count;
    if (!add_span(scan)) return false;
    if (c == '{' || c == '[') {
        if (scan->depth == JSON_MAX_DEPTH) return fail(scan, scan->at, "it is nested more than 512 deep");
        scan->open[scan->depth].object = c == '{';
        scan->open[scan->depth++].span = span;
        scan->at++;
        *next = c == '{' ? NEXT_KEY_OR_END : NEXT_VALUE_OR_END;
        return true;
    }
    if (!scan_scalar(scan)) return false;
    close_span(scan, span);
    *next = NEXT_AFTER;
    return true;
}

static bool scan_key(Scan *scan, Next *next)
{
    if (peek(scan) != '"') return fail(scan, scan->at, "a key in quotation marks is expected");
    if (!scan_string(scan)) return false;
    skip_blanks(scan);
    if (peek(scan) != ':') return fail(scan, scan->at, "':' is expected after a key");
    scan->at++;
    *next = NEXT_VALUE;
    return true;
}

static bool scan_close(Scan *scan, Next *next)
{
    scan->at++;
    close_span(scan, scan->open[--scan->depth].span);
    *next = NEXT_AFTER;
    return true;
}

static bool scan_after(Scan *scan, Next *next)
{
    if (!scan->depth) {
        *next = NEXT_DONE;
        return scan->at == scan->length || fail(scan, scan->at, "there is more text after the end");
    }
    const bool object = scan->open[scan->depth - 1].object;
    if (peek(scan) == (object ? '}' : ']')) return scan_close(scan, next);
    if (peek(scan) != ',') return fail(scan, scan->at, object ? "',' or '}' is expected" : "',' or ']' is expected");
    scan->at++;
    *next = object ? NEXT_KEY : NEXT_VALUE;
    return true;
}

static bool scan_step(Scan *scan, Next *next)
{
    skip_blanks(scan);
    switch (*next) {
    case NEXT_KEY_OR_END:
        return peek(scan) == '}' ? scan_close(scan, next) : scan_key(scan, next);
    case NEXT_VALUE_OR_END:
        return peek(scan) == ']' ? scan_close(scan, next) : scan_value(scan, next);
    case NEXT_KEY:
        return scan_key(scan, next);
    case NEXT_VALUE:
        return scan_value(scan, next);
    default:
        return scan_after(scan, next);
    }
}

static NodusStatus scan_error(const Scan *scan)
{
    if (scan->memory) return status_memory();
    size_t line = 1, column = 1;
    for (size_t i = 0; i < scan->at; i++) {
        const uint8_t c = (uint8_t)scan->text[i];
        if (c == '\n') {
            line++;
            column = 1;
        } else if ((c & 0xc0) != 0x80) column++; /* characters, as an editor counts them */
    }
    return nodus_error(NODUS_ERROR_FILE, "not valid JSON: %s (line %zu, column %zu, byte %zu)", scan->fault, line, column,
                       scan->at);
}

NodusStatus json_scan(const char *text, size_t length, JsonSpans *spans)
{
    if (length >= INT32_MAX) return nodus_error(NODUS_ERROR_FILE, "JSON text of %zu bytes is too long (limit: 2 GiB)", length);
    Scan scan = {.text = text, .length = length, .spans = spans};
    if (length >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) scan.at = 3; /* a byte order mark, as Windows editors write it */
    for (Next next = NEXT_VALUE; next != NEXT_DONE;)
        if (!scan_step(&scan, &next)) return scan_error(&scan);
    return NULL;
}
