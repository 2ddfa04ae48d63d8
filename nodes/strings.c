/* strings.c: nodes that join, cut, change and compare texts.
 *
 * One idea: they do what Python's str does, because prompts were written with it in mind: positions count code points, negative
 * ones from the end, case and blanks are Unicode's. A text that is made has a limit, so that a chain of nodes that double it ends
 * in a message. */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "nodes/strings.h"
#include "nodes/unicode.h"
#include <string.h>

enum { LONGEST = 64 << 20 };

bool strings_too_long(const Text *text)
{
    return text->length > LONGEST;
}

NodusStatus strings_emit(NodusCall *call, Text *text)
{
    char *made;
    if (strings_too_long(text)) {
        text_free(text);
        return nodus_error(NODUS_ERROR_INPUT, "the text would be longer than %d MB", LONGEST >> 20);
    }
    NODUS_TRY(text_take(text, &made));
    NodusStatus status = nodus_emit_string(call, 0, made);
    memory_free(made);
    return status;
}

static const NodusOutput string_outputs[] = {{.name = "STRING", .type = "STRING", .tooltip = "The text."}};
static const NodusOutput boolean_outputs[] = {{.name = "BOOLEAN", .type = "BOOLEAN", .tooltip = "Whether it is so."}};

#define STRING_NODE(name_, title_, Args_, inputs_, outputs_) \
    NODUS_NODE(name_, title_, "utils/string", Args_, inputs_, outputs_), .example = "graphs/strings.json"
#define MULTILINE(name_, Args_, help_) NODUS_IN_STRING(#name_, Args_, name_, help_, .multiline = true)

/* ---- StringConcatenate, StringSubstring, StringLength --------------------------------------------------------------- */

typedef struct {
    const char *string_a, *string_b, *delimiter;
} ConcatenateArgs;

static NodusStatus strings_concatenate(NodusCall *call, const void *args)
{
    const ConcatenateArgs *in = args;
    Text joined = {0};
    text_add(&joined, in->string_a);
    text_add(&joined, in->delimiter);
    text_add(&joined, in->string_b);
    return strings_emit(call, &joined);
}

static const NodusInput concatenate_inputs[] = {
    MULTILINE(string_a, ConcatenateArgs, "The first text."),
    MULTILINE(string_b, ConcatenateArgs, "The second text."),
    NODUS_IN_STRING("delimiter", ConcatenateArgs, delimiter, "What stands between the two, such as a comma.", .def = ""),
};
const NodusNode node_string_concatenate = {
    STRING_NODE("StringConcatenate", "Concatenate", ConcatenateArgs, concatenate_inputs, string_outputs),
    .help = "Join two texts, with a separator between them.",
    .run = strings_concatenate,
};

typedef struct {
    const char *string;
    int64_t start, end;
} SubstringArgs;

/* A position counted from the start, or from the end if negative, brought into the text. */
static size_t position(int64_t given, size_t length)
{
    if (given < 0) given = given < -(int64_t)length ? 0 : given + (int64_t)length;
    return given > (int64_t)length ? length : (size_t)given;
}

static NodusStatus strings_substring(NodusCall *call, const void *args)
{
    const SubstringArgs *in = args;
    const size_t length = unicode_length(in->string), start = position(in->start, length), end = position(in->end, length);
    const char *from = unicode_skip(in->string, start), *to = end > start ? unicode_skip(from, end - start) : from;
    Text part = {0};
    text_add_n(&part, from, (size_t)(to - from));
    return strings_emit(call, &part);
}

static const NodusInput substring_inputs[] = {
    MULTILINE(string, SubstringArgs, "The text to cut from."),
    NODUS_IN_INT("start", SubstringArgs, start, "The first character to keep, from 0; negative: counted from the end.", .def = 0),
    NODUS_IN_INT("end", SubstringArgs, end, "The character before which to stop; negative: counted from the end.", .def = 0),
};
const NodusNode node_string_substring = {
    STRING_NODE("StringSubstring", "Substring", SubstringArgs, substring_inputs, string_outputs),
    .help = "Cut a part out of a text, by the numbers of its characters.",
    .run = strings_substring,
};

typedef struct {
    const char *string;
} LengthArgs;

static NodusStatus strings_length(NodusCall *call, const void *args)
{
    const LengthArgs *in = args;
    return nodus_emit_int(call, 0, (int64_t)unicode_length(in->string));
}

static const NodusInput length_inputs[] = {MULTILINE(string, LengthArgs, "The text.")};
static const NodusOutput length_outputs[] = {{.name = "length", .type = "INT", .tooltip = "How many characters it has."}};
const NodusNode node_string_length = {
    STRING_NODE("StringLength", "Length", LengthArgs, length_inputs, length_outputs),
    .help = "Count the characters of a text.",
    .run = strings_length,
};

/* ---- CaseConverter, StringTrim, StringReplace ------------------------------------------------------------------------ */

typedef struct {
    const char *string, *mode;
} ModeArgs;

static NodusStatus strings_case(NodusCall *call, const void *args)
{
    const ModeArgs *in = args;
    const UnicodeCase to = in->mode[0] == 'U'   ? UNICODE_UPPER
                           : in->mode[0] == 'l' ? UNICODE_LOWER
                           : in->mode[0] == 'C' ? UNICODE_CAPITALIZE
                                                : UNICODE_TITLE;
    Text changed = {0};
    unicode_change_case(&changed, in->string, to);
    return strings_emit(call, &changed);
}

static const char *const cases[] = {"UPPERCASE", "lowercase", "Capitalize", "Title Case", NULL};
static const NodusInput case_inputs[] = {
    MULTILINE(string, ModeArgs, "The text to change."),
    NODUS_IN_COMBO("mode", ModeArgs, mode, "Which letters become capitals: all, none, the first, or the first of each word.",
                   .names = cases),
};
const NodusNode node_case_converter = {
    STRING_NODE("CaseConverter", "Case Converter", ModeArgs, case_inputs, string_outputs),
    .help = "Change a text to capital or small letters.",
    .run = strings_case,
};

static NodusStatus strings_trim(NodusCall *call, const void *args)
{
    const ModeArgs *in = args;
    const char *from = in->string;
    if (in->mode[0] != 'R')
        for (const char *next = from; unicode_space(unicode_next(&next));) from = next;
    const char *to = from;
    for (const char *next = from; *next;)
        if (!unicode_space(unicode_next(&next)) || in->mode[0] == 'L') to = next;
    Text trimmed = {0};
    text_add_n(&trimmed, from, (size_t)(to - from));
    return strings_emit(call, &trimmed);
}

static const char *const sides[] = {"Both", "Left", "Right", NULL};
static const NodusInput trim_inputs[] = {
    MULTILINE(string, ModeArgs, "The text to trim."),
    NODUS_IN_COMBO("mode", ModeArgs, mode, "At which ends blanks are removed.", .names = sides),
};
const NodusNode node_string_trim = {
    STRING_NODE("StringTrim", "Trim", ModeArgs, trim_inputs, string_outputs),
    .help = "Remove blanks and line ends from the ends of a text.",
    .run = strings_trim,
};

typedef struct {
    const char *string, *find, *replace;
} ReplaceArgs;

/* Before each character and at the end, as Python replaces the empty text. */
static void replace_nothing(Text *out, const char *text, const char *replace)
{
    text_add(out, replace);
    while (*text && out->length <= LONGEST) {
        const char *from = text;
        unicode_next(&text);
        text_add_n(out, from, (size_t)(text - from));
        text_add(out, replace);
    }
}

static NodusStatus strings_replace(NodusCall *call, const void *args)
{
    const ReplaceArgs *in = args;
    const char *from = in->string, *found;
    Text replaced = {0};
    if (!in->find[0]) {
        replace_nothing(&replaced, in->string, in->replace);
        return strings_emit(call, &replaced);
    }
    while (replaced.length <= LONGEST && (found = strstr(from, in->find))) {
        text_add_n(&replaced, from, (size_t)(found - from));
        text_add(&replaced, in->replace);
        from = found + strlen(in->find);
    }
    text_add(&replaced, from);
    return strings_emit(call, &replaced);
}

static const NodusInput replace_inputs[] = {
    MULTILINE(string, ReplaceArgs, "The text to change."),
    MULTILINE(find, ReplaceArgs, "What to look for, letter by letter."),
    MULTILINE(replace, ReplaceArgs, "What to put in its place, everywhere."),
};
const NodusNode node_string_replace = {
    STRING_NODE("StringReplace", "Replace", ReplaceArgs, replace_inputs, string_outputs),
    .help = "Replace each occurrence of a text within another.",
    .run = strings_replace,
};

/* ---- StringContains, StringCompare ----------------------------------------------------------------------------------- */

/* `text`, or its small letters. */
static NodusStatus comparable(NodusCall *call, const char *text, bool case_sensitive, const char **out)
{
    *out = text;
    if (case_sensitive) return NULL;
    Text lower = {0};
    unicode_change_case(&lower, text, UNICODE_LOWER);
    char *copy = lower.failed ? NULL : nodus_alloc(call, lower.length + 1);
    if (copy) memcpy(copy, text_get(&lower), lower.length + 1);
    text_free(&lower);
    *out = copy;
    return copy ? NULL : status_memory();
}

typedef struct {
    const char *string, *substring;
    bool case_sensitive;
} ContainsArgs;

static NodusStatus strings_contains(NodusCall *call, const void *args)
{
    const ContainsArgs *in = args;
    const char *string, *part;
    NODUS_TRY(comparable(call, in->string, in->case_sensitive, &string));
    NODUS_TRY(comparable(call, in->substring, in->case_sensitive, &part));
    return nodus_emit_boolean(call, 0, strstr(string, part) != NULL);
}

static const NodusInput contains_inputs[] = {
    MULTILINE(string, ContainsArgs, "The text to look in."),
    MULTILINE(substring, ContainsArgs, "The text to look for."),
    NODUS_IN_BOOLEAN("case_sensitive", ContainsArgs, case_sensitive, "Whether capital and small letters differ.", true),
};
static const NodusOutput contains_outputs[] = {{.name = "contains", .type = "BOOLEAN", .tooltip = "Whether it occurs."}};
const NodusNode node_string_contains = {
    STRING_NODE("StringContains", "Contains", ContainsArgs, contains_inputs, contains_outputs),
    .help = "Whether a text occurs in another.",
    .run = strings_contains,
};

typedef struct {
    const char *string_a, *string_b, *mode;
    bool case_sensitive;
} CompareArgs;

static NodusStatus strings_compare(NodusCall *call, const void *args)
{
    const CompareArgs *in = args;
    const char *a, *b;
    NODUS_TRY(comparable(call, in->string_a, in->case_sensitive, &a));
    NODUS_TRY(comparable(call, in->string_b, in->case_sensitive, &b));
    const size_t length = strlen(a), other = strlen(b);
    const bool fits = other <= length, begins = fits && !memcmp(a, b, other), ends = fits && !strcmp(a + length - other, b);
    return nodus_emit_boolean(call, 0, in->mode[0] == 'S' ? begins : ends && (in->mode[1] == 'n' || length == other));
}

static const char *const comparisons[] = {"Starts With", "Ends With", "Equal", NULL};
static const NodusInput compare_inputs[] = {
    MULTILINE(string_a, CompareArgs, "The text in question."),
    MULTILINE(string_b, CompareArgs, "What it is compared with."),
    NODUS_IN_COMBO("mode", CompareArgs, mode, "Whether the first starts with, ends with, or is the second.",
                   .names = comparisons),
    NODUS_IN_BOOLEAN("case_sensitive", CompareArgs, case_sensitive, "Whether capital and small letters differ.", true),
};
const NodusNode node_string_compare = {
    STRING_NODE("StringCompare", "Compare", CompareArgs, compare_inputs, boolean_outputs),
    .help = "Whether a text starts with, ends with, or equals another.",
    .run = strings_compare,
};
