/* regex.c: Python's patterns by PCRE2, over code points; see regex.h.
 *
 * One idea: the two dialects agree on nearly everything, so a pattern is rewritten where the same letters mean something else
 * (\Z, \v, \uXXXX, {,n}, a bracket within a set) and refused where only PCRE2 would understand it. PCRE2 calls back at every step
 * of a search (automatic callouts), which is where steps are counted. */
#define PCRE2_CODE_UNIT_WIDTH 32
#include "nodes/regex.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "nodes/unicode.h"
#include <pcre2.h>
#include <string.h>

enum { LONGEST_PATTERN = 100000, HEAP_KILOBYTES = 64 * 1024, NAME_HEAD = 1 /* code units before a name in PCRE2's table */ };

struct Regex {
    pcre2_general_context *memory;
    pcre2_code *code;
    pcre2_match_data *match;
    pcre2_match_context *limits;
};

/* ---- Memory: counted faults reach PCRE2, too ------------------------------------------------------------------------- */

static void *take(size_t bytes, void *user)
{
    (void)user;
    return memory_alloc(bytes);
}

static void give(void *memory, void *user)
{
    (void)user;
    memory_free(memory);
}

/* ---- From Python's dialect to PCRE2's -------------------------------------------------------------------------------- */

/* The rewritten pattern, and where each of its points stands in the given one. */
typedef struct Rewrite {
    uint32_t *point, *place;
    size_t count, capacity;
    const uint32_t *from;
    size_t at, length;
    bool set, failed; /* set: between brackets */
} Rewrite;

static void put(Rewrite *r, uint32_t point)
{
    if (r->count == r->capacity) {
        const size_t capacity = r->capacity ? r->capacity * 2 : 128;
        uint32_t *points = memory_grow(r->point, capacity, sizeof *points);
        if (points) r->point = points;
        uint32_t *places = points ? memory_grow(r->place, capacity, sizeof *places) : NULL;
        if (places) r->place = places;
        r->failed |= !places;
        if (r->failed) return;
        r->capacity = capacity;
    }
    r->point[r->count] = point;
    r->place[r->count++] = (uint32_t)r->at;
}

static void put_text(Rewrite *r, const char *text)
{
    for (; *text; text++) put(r, (unsigned char)*text);
}

static uint32_t peek(const Rewrite *r, size_t ahead)
{
    return r->at + ahead < r->length ? r->from[r->at + ahead] : 0;
}

static NodusStatus wrong(const char *what, size_t place)
{
    return nodus_error(NODUS_ERROR_INPUT, "%s at position %zu", what, place);
}

static bool is_letter(uint32_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_hex(uint32_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* \x41, \u00e9, \U0001f600: exactly so many digits. */
static NodusStatus rewrite_code(Rewrite *r, int digits)
{
    put_text(r, "\\x{");
    for (int i = 0; i < digits; i++) {
        const uint32_t digit = peek(r, 2 + (size_t)i);
        if (!is_hex(digit)) return wrong("incomplete escape", r->at);
        put(r, digit);
    }
    put_text(r, "}");
    r->at += 2 + (size_t)digits;
    return NULL;
}

static NodusStatus rewrite_escape(Rewrite *r)
{
    const uint32_t c = peek(r, 1);
    if (r->at + 1 >= r->length) return wrong("bad escape (end of pattern)", r->at);
    if (c == 'x') return rewrite_code(r, 2);
    if (c == 'u') return rewrite_code(r, 4);
    if (c == 'U') return rewrite_code(r, 8);
    const char *known = r->set ? "abdDsSwWfnrtv" : "AbBdDsSwWZafnrtv";
    if (is_letter(c) && !strchr(known, (int)c)) return wrong("bad escape", r->at);
    if (c == 'Z' || c == 'v') {
        put_text(r, c == 'Z' ? "\\z" : "\\x{0b}");
    } else {
        put(r, '\\');
        put(r, c);
    }
    r->at += 2;
    return NULL;
}

/* A bracket opens a set; a closing one that comes first (or behind ^) is a member. */
static void rewrite_set(Rewrite *r)
{
    r->set = true;
    put(r, r->from[r->at++]);
    if (peek(r, 0) == '^') put(r, r->from[r->at++]);
    if (peek(r, 0) != ']' || r->at >= r->length) return;
    put_text(r, "\\]");
    r->at++;
}

static NodusStatus rewrite_point(Rewrite *r)
{
    const uint32_t c = r->from[r->at];
    if (c == '\\') return rewrite_escape(r);
    if (!r->set && c == '[') {
        rewrite_set(r);
        return NULL;
    }
    if (!r->set && c == '(' && peek(r, 1) == '*') return wrong("nothing to repeat", r->at + 1);
    if (r->set && c == '[') put(r, '\\'); /* no POSIX class */
    if (r->set && c == ']') r->set = false;
    put(r, c);
    if (!r->set && c == '{' && peek(r, 1) == ',' && peek(r, 2) >= '0' && peek(r, 2) <= '9') put(r, '0');
    r->at++;
    return NULL;
}

static NodusStatus rewrite(Rewrite *r)
{
    NodusStatus status = NULL;
    while (r->at < r->length && !status && !r->failed) status = rewrite_point(r);
    return status ? status : r->failed ? status_memory() : NULL;
}

static NodusStatus read_points(const char *pattern, uint32_t **points, size_t *count)
{
    *count = unicode_length(pattern);
    *points = NULL;
    if (*count > LONGEST_PATTERN) return nodus_error(NODUS_ERROR_INPUT, "is longer than %d characters", (int)LONGEST_PATTERN);
    *points = memory_array(*count + 1, sizeof **points);
    if (!*points) return status_memory();
    for (size_t i = 0; i < *count; i++) (*points)[i] = unicode_next(&pattern);
    return NULL;
}

/* ---- Compiling ------------------------------------------------------------------------------------------------------- */

static uint32_t options_of(uint32_t flags)
{
    return PCRE2_UTF | PCRE2_AUTO_CALLOUT | PCRE2_NEVER_BACKSLASH_C | (flags & REGEX_ASCII ? 0 : PCRE2_UCP) |
           (flags & REGEX_IGNORE_CASE ? PCRE2_CASELESS : 0) | (flags & REGEX_MULTILINE ? PCRE2_MULTILINE : 0) |
           (flags & REGEX_DOTALL ? PCRE2_DOTALL : 0) | (flags & REGEX_VERBOSE ? PCRE2_EXTENDED : 0);
}

/* PCRE2's words, with the place in the pattern as it was given. */
static NodusStatus compile_error(int error, size_t offset, const Rewrite *r)
{
    PCRE2_UCHAR words[160];
    char text[160];
    size_t n = 0;
    if (error == PCRE2_ERROR_NOMEMORY || error == 121 /* "failed to get memory" while compiling */) return status_memory();
    const int length = pcre2_get_error_message(error, words, sizeof words / sizeof *words);
    for (; length > 0 && n < (size_t)length; n++) text[n] = (char)(words[n] < 127 ? words[n] : '?');
    text[n] = '\0';
    return wrong(n ? text : "is no regular expression", offset < r->count ? r->place[offset] : r->length);
}

static NodusStatus compile(Regex *regex, const Rewrite *r, uint32_t flags)
{
    int error = 0;
    PCRE2_SIZE offset = 0;
    pcre2_compile_context *context = pcre2_compile_context_create(regex->memory);
    if (!context) return status_memory();
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    regex->code =
        pcre2_compile(r->point ? r->point : (const uint32_t[]){0}, r->count, options_of(flags), &error, &offset, context);
    pcre2_compile_context_free(context);
    return regex->code ? NULL : compile_error(error, offset, r);
}

static NodusStatus prepare(Regex *regex)
{
    regex->match = pcre2_match_data_create_from_pattern(regex->code, regex->memory);
    regex->limits = pcre2_match_context_create(regex->memory);
    if (!regex->match || !regex->limits) return status_memory();
    pcre2_set_heap_limit(regex->limits, HEAP_KILOBYTES);
    return NULL;
}

NodusStatus regex_new(const char *pattern, uint32_t flags, Regex **out)
{
    uint32_t *points;
    size_t count;
    NODUS_TRY(read_points(pattern, &points, &count));
    Rewrite r = {.from = points, .length = count};
    Regex *regex = memory_alloc(sizeof *regex);
    if (regex) regex->memory = pcre2_general_context_create(take, give, NULL);
    NodusStatus status = regex && regex->memory ? rewrite(&r) : status_memory();
    if (!status) status = compile(regex, &r, flags);
    if (!status) status = prepare(regex);
    memory_free(r.point);
    memory_free(r.place);
    memory_free(points);
    if (status) regex_free(regex);
    else *out = regex;
    return status;
}

void regex_free(Regex *regex)
{
    if (!regex) return;
    pcre2_match_context_free(regex->limits);
    pcre2_match_data_free(regex->match);
    pcre2_code_free(regex->code);
    pcre2_general_context_free(regex->memory);
    memory_free(regex);
}

int regex_groups(const Regex *regex)
{
    uint32_t count = 0;
    pcre2_pattern_info(regex->code, PCRE2_INFO_CAPTURECOUNT, &count);
    return (int)count;
}

int regex_group_named(const Regex *regex, const char *name, size_t length)
{
    uint32_t count = 0, size = 0;
    PCRE2_SPTR table = NULL;
    pcre2_pattern_info(regex->code, PCRE2_INFO_NAMECOUNT, &count);
    pcre2_pattern_info(regex->code, PCRE2_INFO_NAMEENTRYSIZE, &size);
    pcre2_pattern_info(regex->code, PCRE2_INFO_NAMETABLE, &table);
    for (uint32_t i = 0; i < count; i++, table += size) {
        const char *at = name;
        uint32_t n = NAME_HEAD;
        while (at < name + length && table[n] && unicode_next(&at) == table[n]) n++;
        if (at == name + length && !table[n]) return (int)table[0];
    }
    return -1;
}

/* ---- Searching ------------------------------------------------------------------------------------------------------- */

int64_t regex_steps(int64_t count)
{
    const int64_t steps = 1000000 + 200 * (count < 0 ? 0 : count);
    return steps < 50000000 ? steps : 50000000;
}

static int step(pcre2_callout_block *block, void *user)
{
    RegexText *text = user;
    (void)block;
    return --text->steps < 0 ? PCRE2_ERROR_MATCHLIMIT : 0;
}

NodusStatus regex_search(const Regex *regex, RegexText *text, int64_t from, bool advance, int64_t *group, bool *found)
{
    const uint32_t options = (from ? PCRE2_NO_UTF_CHECK : 0) | (advance ? PCRE2_NOTEMPTY_ATSTART : 0);
    *found = false;
    group[0] = group[1] = from;
    pcre2_set_callout(regex->limits, step, text);
    const int got =
        pcre2_match(regex->code, text->point, (PCRE2_SIZE)text->count, (PCRE2_SIZE)from, options, regex->match, regex->limits);
    if (got == PCRE2_ERROR_NOMATCH) return NULL;
    if (got == PCRE2_ERROR_NOMEMORY) return status_memory();
    if (got < 0)
        return nodus_error(NODUS_ERROR_INPUT,
                           "takes too long on this text: make it simpler, above all repetitions of repetitions");
    const PCRE2_SIZE *ends = pcre2_get_ovector_pointer(regex->match);
    for (int g = 0; g <= regex_groups(regex); g++) {
        const bool part = g < got && ends[2 * g] != PCRE2_UNSET;
        group[2 * g] = part ? (int64_t)ends[2 * g] : -1;
        group[2 * g + 1] = part ? (int64_t)ends[2 * g + 1] : -1;
    }
    *found = true;
    return NULL;
}
