/* regex_nodes.c: RegexMatch, RegexExtract, RegexReplace.
 *
 * One idea: what these do is Python's re.search, re.findall and re.sub; a wrong pattern or replacement is an error that names the
 * input and the place. The text is turned into code points once a call; results are copied from it by position. */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "nodes/pixels.h"
#include "nodes/regex.h"
#include "nodes/strings.h"
#include "nodes/unicode.h"
#include <string.h>

typedef struct {
    const char *string, *regex_pattern, *replace, *mode;
    bool case_insensitive, multiline, dotall;
    int64_t group_index, count;
} RegexArgs;

/* A pattern at work on a text. */
typedef struct Search {
    Regex *regex;
    RegexText text;
    int64_t *group; /* of the last match */
    int groups;
    bool advance;
    int64_t at; /* where the next search begins */
} Search;

/* The same error, if it is about the pattern. */
static NodusStatus blame_pattern(NodusStatus status)
{
    if (!status || nodus_error_kind(status) != NODUS_ERROR_INPUT) return status;
    return nodus_error_prefix(status_blame(status, "regex_pattern"), "regex_pattern");
}

static NodusStatus search_new(NodusCall *call, const RegexArgs *in, Search *search)
{
    const uint32_t flags = (in->case_insensitive ? REGEX_IGNORE_CASE : 0u) | (in->multiline ? REGEX_MULTILINE : 0u) |
                           (in->dotall ? REGEX_DOTALL : 0u);
    const char *text = in->string;
    const int64_t count = (int64_t)unicode_length(text);
    uint32_t *point = pixels_array(call, count, sizeof *point);
    if (!point) return status_memory();
    for (int64_t i = 0; i < count; i++) point[i] = unicode_next(&text);
    *search = (Search){.text = {.point = point, .count = count, .steps = regex_steps(count)}};
    NODUS_TRY(blame_pattern(regex_new(in->regex_pattern, flags, &search->regex)));
    search->groups = regex_groups(search->regex);
    search->group = nodus_alloc(call, (size_t)(search->groups + 1) * 2 * sizeof(int64_t));
    return search->group ? NULL : status_memory();
}

/* The next match, as re.finditer goes on. */
static NodusStatus search_next(Search *search, bool *found)
{
    NodusStatus status = regex_search(search->regex, &search->text, search->at, search->advance, search->group, found);
    search->advance = search->group[1] == search->group[0];
    search->at = search->group[1];
    return blame_pattern(status);
}

static void put_points(Text *out, const Search *search, int64_t from, int64_t to)
{
    for (int64_t i = from; i < to; i++) unicode_put(out, search->text.point[i]);
}

/* Nothing for a group that took no part. */
static void put_group(Text *out, const Search *search, int64_t group)
{
    put_points(out, search, search->group[2 * group], search->group[2 * group + 1]);
}

/* ---- The replacement -------------------------------------------------------------------------------------------------- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_octal(char c)
{
    return c >= '0' && c <= '7';
}

static NodusStatus bad_template(const char *what, const char *at, const char *start)
{
    return nodus_error_prefix(status_input("replace", "%s at position %d", what, (int)(at - start)), "replace");
}

/* What stands between < and >: a number or a name. */
static NodusStatus named_group(const Search *search, const char **at, const char *start, int64_t *group)
{
    const char *from = *at + 1, *end = **at == '<' ? strchr(from, '>') : NULL;
    if (!end || end == from) return bad_template("missing group name", *at, start);
    *group = 0;
    const char *digit = from;
    for (; is_digit(*digit) && *group <= search->groups; digit++) *group = *group * 10 + (*digit - '0');
    if (digit != end)
        *group = is_digit(*from) ? search->groups + 1 : regex_group_named(search->regex, from, (size_t)(end - from));
    if (*group < 0 || *group > search->groups) return bad_template("unknown group", from, start);
    *at = end + 1;
    return NULL;
}

/* Behind a backslash and at a digit: three octal digits, or a 0 and up to two more, are a character; else one or two are a group.
 */
static NodusStatus numbered(const Search *search, const char **at, const char *start, int64_t *group, uint32_t *point)
{
    const char *from = *at;
    const bool three = is_octal(from[0]) && is_octal(from[1]) && is_octal(from[2]);
    if (from[0] == '0' || three) {
        for (int i = 0; i < 3 && is_octal(**at); i++) *point = *point * 8 + (uint32_t)(*(*at)++ - '0');
        return *point && *point <= 0377 ? NULL : bad_template("octal escape value out of range", from, start);
    }
    *group = *(*at)++ - '0';
    if (is_digit(**at)) *group = *group * 10 + (*(*at)++ - '0');
    return *group <= search->groups ? NULL : bad_template("invalid group reference", from, start);
}

/* Behind a backslash. `out` NULL: only checks. */
static NodusStatus put_escape(Text *out, const Search *search, const char **at, const char *start)
{
    static const char letters[] = "abfnrtv\\", values[] = "\a\b\f\n\r\t\v\\";
    const char c = **at, *known = c ? strchr(letters, c) : NULL;
    int64_t group = -1;
    uint32_t point = 0;
    if (!c) return bad_template("bad escape (end of pattern)", *at, start);
    if (is_digit(c)) {
        NODUS_TRY(numbered(search, at, start, &group, &point));
    } else if (known) {
        point = (unsigned char)values[known - letters];
        ++*at;
    } else if (c == 'g') {
        ++*at;
        NODUS_TRY(named_group(search, at, start, &group));
    } else if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
        return bad_template("bad escape", *at - 1, start);
    } else {
        point = '\\'; /* other characters keep their backslash */
    }
    if (out && group >= 0) put_group(out, search, group);
    else if (out) unicode_put(out, point);
    return NULL;
}

static NodusStatus put_template(Text *out, const Search *search, const char *template)
{
    for (const char *at = template; *at;) {
        const size_t plain = strcspn(at, "\\");
        if (out) text_add_n(out, at, plain);
        at += plain;
        if (!*at) break;
        at++;
        NODUS_TRY(put_escape(out, search, &at, template));
    }
    return NULL;
}

/* ---- The nodes ------------------------------------------------------------------------------------------------------- */

static NodusStatus replace_all(Search *search, const RegexArgs *in, Text *out)
{
    int64_t copied = 0;
    bool found = true;
    NODUS_TRY(put_template(NULL, search, in->replace));
    for (int64_t n = 0; in->count == 0 || n < in->count; n++) {
        NODUS_TRY(search_next(search, &found));
        if (!found || strings_too_long(out)) break;
        put_points(out, search, copied, search->group[0]);
        NODUS_TRY(put_template(out, search, in->replace));
        copied = search->group[1];
    }
    put_points(out, search, copied, search->text.count);
    return NULL;
}

/* The group of all matches, or of the first, one a line. */
static NodusStatus extract(Search *search, int64_t group, bool all, Text *out)
{
    bool found = true, any = false;
    if (group > search->groups) return NULL;
    do {
        NODUS_TRY(search_next(search, &found));
        if (!found || strings_too_long(out)) break;
        if (any) text_char(out, '\n');
        put_group(out, search, group);
        any = true;
    } while (all);
    return NULL;
}

static NodusStatus finish(NodusCall *call, Search *search, NodusStatus status, Text *out)
{
    regex_free(search->regex);
    if (!status) return strings_emit(call, out);
    text_free(out);
    return status;
}

static NodusStatus regex_match(NodusCall *call, const void *args)
{
    const RegexArgs *in = args;
    Search search = {0};
    bool found = false;
    NodusStatus status = search_new(call, in, &search);
    if (!status) status = search_next(&search, &found);
    regex_free(search.regex);
    return status ? status : nodus_emit_boolean(call, 0, found);
}

static NodusStatus regex_extract(NodusCall *call, const void *args)
{
    const RegexArgs *in = args;
    const bool all = in->mode[0] == 'A', by_group = strstr(in->mode, "Group") != NULL;
    Search search = {0};
    Text out = {0};
    NodusStatus status = search_new(call, in, &search);
    const int64_t group = by_group ? in->group_index : all && search.groups ? 1 : 0; /* findall prefers groups, too */
    if (!status) status = extract(&search, group, all, &out);
    return finish(call, &search, status, &out);
}

static NodusStatus regex_replace(NodusCall *call, const void *args)
{
    const RegexArgs *in = args;
    Search search = {0};
    Text out = {0};
    NodusStatus status = search_new(call, in, &search);
    if (!status) status = replace_all(&search, in, &out);
    return finish(call, &search, status, &out);
}

#define TEXT_AND_PATTERN                                                                                                     \
    NODUS_IN_STRING("string", RegexArgs, string, "The text to search.", .multiline = true),                                  \
        NODUS_IN_STRING("regex_pattern", RegexArgs, regex_pattern, "What to search for: a regular expression as in Python.", \
                        .multiline = true)
#define SWITCHES(flag_)                                                                                           \
    NODUS_FLAG_BOOLEAN(flag_, "case_insensitive", RegexArgs, case_insensitive,                                    \
                       "Whether capital and small letters count as equal.", true),                                \
        NODUS_FLAG_BOOLEAN(flag_, "multiline", RegexArgs, multiline, "Whether ^ and $ fit at each line.", false), \
        NODUS_FLAG_BOOLEAN(flag_, "dotall", RegexArgs, dotall, "Whether a dot fits the end of a line, too.", false)
#define REGEX_NODE(name_, title_, inputs_, outputs_) \
    NODUS_NODE(name_, title_, "utils/string", RegexArgs, inputs_, outputs_), .example = "graphs/strings.json"

static const NodusOutput string_outputs[] = {{.name = "STRING", .type = "STRING", .tooltip = "The text."}};
static const NodusOutput match_outputs[] = {{.name = "matches", .type = "BOOLEAN", .tooltip = "Whether the pattern occurs."}};
static const char *const modes[] = {"First Match", "All Matches", "First Group", "All Groups", NULL};
static const NodusInput match_inputs[] = {TEXT_AND_PATTERN, SWITCHES(0)};
static const NodusInput extract_inputs[] = {
    TEXT_AND_PATTERN,
    NODUS_IN_COMBO(
        "mode", RegexArgs, mode,
        "What to keep: the first match, all of them one a line (their first group, if the pattern has one), or the group of that "
        "number of the first or of all.",
        .names = modes),
    SWITCHES(0),
    NODUS_IN_INT("group_index", RegexArgs, group_index, "The number of the group, from 1; 0: the whole match.", .def = 1,
                 .min = 0, .max = 100),
};
static const NodusInput replace_inputs[] = {
    TEXT_AND_PATTERN,
    NODUS_IN_STRING("replace", RegexArgs, replace, "What to put in its place; \\1 and \\g<name> stand for groups.",
                    .multiline = true),
    SWITCHES(NODUS_OPTIONAL),
    NODUS_FLAG_INT(NODUS_OPTIONAL, "count", RegexArgs, count, "How many matches are replaced; 0: all.", .def = 0, .min = 0,
                   .max = 100),
};
const NodusNode node_regex_match = {
    REGEX_NODE("RegexMatch", "Regex Match", match_inputs, match_outputs),
    .help = "Whether a text contains what a regular expression describes.",
    .run = regex_match,
};
const NodusNode node_regex_extract = {
    REGEX_NODE("RegexExtract", "Regex Extract", extract_inputs, string_outputs),
    .help = "Take out of a text what a regular expression describes; nothing if it does not occur.",
    .run = regex_extract,
};
const NodusNode node_regex_replace = {
    REGEX_NODE("RegexReplace", "Regex Replace", replace_inputs, string_outputs),
    .help = "Replace what a regular expression describes.",
    .run = regex_replace,
};
