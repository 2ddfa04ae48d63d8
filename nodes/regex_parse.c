/* regex_parse.c: a pattern becomes a tree of pieces; see regex.h.
 *
 * One idea: recursive descent over code points, the first error sticks, and the depth is limited, so that hostile patterns cost
 * neither stack nor time. Messages are worded as Python's, with the position. */
#include "engine/base/status.h"
#include "nodes/regex_inside.h"
#include "nodes/unicode.h"
#include <string.h>

static Piece *parse_either(Parser *p);

Piece *regex_fail(Parser *p, const uint32_t *where, const char *what)
{
    if (!p->error)
        p->error = what ? nodus_error(NODUS_ERROR_INPUT, "%s at position %d of the pattern", what, (int)(where - p->start))
                        : status_memory();
    return NULL;
}

Piece *regex_piece(Parser *p, PieceKind kind)
{
    Piece *piece = p->error ? NULL : arena_alloc(p->regex->arena, sizeof *piece);
    if (!piece) return regex_fail(p, NULL, NULL);
    piece->kind = kind;
    piece->flags = p->flags;
    return piece;
}

static bool ahead(const Parser *p, const char *word)
{
    const size_t length = strlen(word);
    if ((size_t)(p->end - p->at) < length) return false;
    for (size_t i = 0; i < length; i++)
        if (p->at[i] != (unsigned char)word[i]) return false;
    return true;
}

static bool take(Parser *p, const char *word)
{
    if (!ahead(p, word)) return false;
    p->at += strlen(word);
    return true;
}

/* ---- Groups by number and name --------------------------------------------------------------------------------------- */

static int64_t number(Parser *p)
{
    int64_t value = 0;
    while (p->at < p->end && *p->at >= '0' && *p->at <= '9') {
        value = value * 10 + (*p->at++ - '0');
        if (value > INT32_MAX) value = INT32_MAX;
    }
    return value;
}

/* A name up to `close`, as UTF-8; NULL after an error. */
static char *group_name(Parser *p, uint32_t close)
{
    const uint32_t *from = p->at;
    Text name = {0};
    for (; p->at < p->end && *p->at != close; p->at++) {
        const bool digits = regex_in_class('d', *p->at, false);
        if (!regex_in_class('w', *p->at, false) || (digits && p->at == from)) regex_fail(p, from, "bad character in group name");
        unicode_put(&name, *p->at);
    }
    if (p->at == p->end) regex_fail(p, from, "missing end of the group name");
    else if (p->at++ == from) regex_fail(p, from, "missing group name");
    char *copy = p->error || name.failed ? NULL : arena_text(p->regex->arena, text_get(&name));
    if (!copy) regex_fail(p, NULL, NULL);
    text_free(&name);
    return copy;
}

/* A group that must be there and closed. */
static bool usable(Parser *p, const uint32_t *from, int64_t group)
{
    if (group < 1 || group > p->regex->groups) return regex_fail(p, from, "invalid group reference") != NULL;
    if (p->open[group]) return regex_fail(p, from, "cannot refer to an open group") != NULL;
    return true;
}

/* A group by name or number up to `close`. `later`: it may still be open, or a number that comes later. */
static int group_reference(Parser *p, uint32_t close, bool later)
{
    const uint32_t *from = p->at;
    int64_t group;
    if (p->at < p->end && *p->at >= '0' && *p->at <= '9') {
        group = number(p);
        if (p->at >= p->end || *p->at++ != close) return regex_fail(p, from, "bad character in group number") != NULL;
    } else {
        char *name = group_name(p, close);
        if (!name) return 0;
        group = regex_group_named(p->regex, name, strlen(name));
        if (group < 0) return regex_fail(p, from, "unknown group name") != NULL;
    }
    if (later && group >= 1 && group <= REGEX_MOST_GROUPS) {
        if (group > p->most_wanted) p->most_wanted = (int)group;
        return (int)group;
    }
    return usable(p, from, group) ? (int)group : 0;
}

static Piece *parse_back(Parser *p, int group)
{
    Piece *piece = group ? regex_piece(p, PIECE_BACK) : NULL;
    if (piece) piece->group = group;
    return piece;
}

static Piece *parse_capture(Parser *p, const char *name)
{
    Regex *regex = p->regex;
    if (regex->groups >= REGEX_MOST_GROUPS) return regex_fail(p, p->at, "too many groups");
    Piece *piece = regex_piece(p, PIECE_GROUP);
    if (!piece) return NULL;
    const int group = piece->group = ++regex->groups;
    if (name) {
        GroupName *entry = arena_alloc(regex->arena, sizeof *entry);
        if (!entry) return regex_fail(p, NULL, NULL);
        if (regex_group_named(regex, name, strlen(name)) >= 0) return regex_fail(p, p->at, "redefinition of a group name");
        *entry = (GroupName){name, group, regex->names};
        regex->names = entry;
    }
    p->open[group] = true;
    piece->child = parse_either(p);
    p->open[group] = false;
    return piece->child ? piece : NULL;
}

/* ---- What stands behind "(?" ----------------------------------------------------------------------------------------- */

static uint32_t flag(uint32_t letter)
{
    switch (letter) {
    case 'i': return REGEX_IGNORE_CASE;
    case 'm': return REGEX_MULTILINE;
    case 's': return REGEX_DOTALL;
    case 'x': return REGEX_VERBOSE;
    case 'a': return REGEX_ASCII;
    default: return 0;
    }
}

/* (?flags), which counts for the whole pattern and stands at its start, or (?flags-flags:…). */
static Piece *parse_flags(Parser *p, const uint32_t *from)
{
    const uint32_t before = p->flags;
    uint32_t on = 0, off = 0;
    for (; p->at < p->end && (flag(*p->at) || *p->at == 'u'); p->at++) on |= flag(*p->at);
    if (p->at < p->end && *p->at == ')') {
        if (from != p->start) return regex_fail(p, from, "global flags not at the start of the expression");
        if (!on && *(p->at - 1) == '?') return regex_fail(p, p->at - 1, "unknown extension");
        p->flags |= on;
        return regex_piece(p, PIECE_FLAGS);
    }
    if (take(p, "-")) {
        for (; p->at < p->end && flag(*p->at); p->at++) off |= flag(*p->at);
        if (!off) return regex_fail(p, p->at, "missing flag");
    }
    if (p->at >= p->end || *p->at != ':') return regex_fail(p, p->at, "unknown extension or flag");
    p->at++;
    p->flags = (p->flags | on) & ~off;
    Piece *piece = parse_either(p);
    p->flags = before;
    return piece;
}

static Piece *parse_sub(Parser *p, SubKind sub, bool negated)
{
    Piece *piece = regex_piece(p, PIECE_SUB);
    if (!piece) return NULL;
    piece->sub = sub;
    piece->negated = negated;
    piece->child = parse_either(p);
    return piece->child ? piece : NULL;
}

/* (?(group)yes|no): the branches become the children. */
static Piece *parse_if(Parser *p)
{
    Piece *piece = regex_piece(p, PIECE_IF);
    const int group = group_reference(p, ')', true);
    if (!piece || !group) return NULL;
    piece->group = group;
    const uint32_t *from = p->at;
    Piece *branches = parse_either(p);
    if (!branches) return NULL;
    if (branches->kind != PIECE_EITHER) {
        piece->child = branches;
        return piece;
    }
    piece->child = branches->child;
    if (piece->child->next->next) return regex_fail(p, from, "conditional with more than two branches");
    return piece;
}

static Piece *parse_special(Parser *p, const uint32_t *from)
{
    if (take(p, ":")) return parse_either(p);
    if (take(p, "P<")) {
        const char *name = group_name(p, '>');
        return name ? parse_capture(p, name) : NULL;
    }
    if (take(p, "P=")) {
        Piece *back = parse_back(p, group_reference(p, ')', false));
        p->at -= !p->error; /* the parenthesis is read by the caller */
        return back;
    }
    if (take(p, "=")) return parse_sub(p, SUB_AHEAD, false);
    if (take(p, "!")) return parse_sub(p, SUB_AHEAD, true);
    if (take(p, "<=")) return parse_sub(p, SUB_BEHIND, false);
    if (take(p, "<!")) return parse_sub(p, SUB_BEHIND, true);
    if (take(p, ">")) return parse_sub(p, SUB_ATOMIC, false);
    if (take(p, "(")) return parse_if(p);
    return parse_flags(p, from);
}

static Piece *parse_group(Parser *p)
{
    const uint32_t *from = p->at - 1;
    const uint32_t flags = p->flags;
    if (p->depth >= REGEX_DEEPEST) return regex_fail(p, from, "too many nested groups");
    p->depth++;
    const bool special = take(p, "?");
    Piece *piece = special ? parse_special(p, from) : parse_capture(p, NULL);
    p->depth--;
    if (piece && piece->kind != PIECE_FLAGS) p->flags = flags;
    if (!piece) return NULL;
    return take(p, ")") ? piece : regex_fail(p, from, "missing ), unterminated subpattern");
}

/* ---- Rows of repeated atoms ------------------------------------------------------------------------------------------ */

static Piece *parse_place(Parser *p, uint32_t which)
{
    Piece *piece = regex_piece(p, PIECE_PLACE);
    if (piece) piece->point = which;
    return piece;
}

static Piece *parse_char(Parser *p, uint32_t point)
{
    Piece *piece = regex_piece(p, PIECE_CHAR);
    if (piece) piece->point = regex_fold(point, p->flags);
    return piece;
}

/* Behind a backslash: a place, a reference back, a class or a character. */
static Piece *parse_backslash(Parser *p)
{
    const uint32_t *from = p->at - 1;
    const uint32_t c = p->at < p->end ? *p->at : 0;
    uint32_t point;
    char class;
    if (c == 'A' || c == 'Z' || c == 'b' || c == 'B') {
        p->at++;
        return parse_place(p, c);
    }
    if (c >= '1' && c <= '9') { /* one digit or two: a group; three octal ones: a character */
        int value = 0, digits = 0;
        for (; digits < 3 && p->at + digits < p->end && p->at[digits] >= '0' && p->at[digits] <= '7'; digits++)
            value = value * 8 + (int)(p->at[digits] - '0');
        if (digits == 3) {
            p->at += 3;
            return value <= 0377 ? parse_char(p, (uint32_t)value)
                                 : regex_fail(p, from, "octal escape value outside of range 0-0o377");
        }
        int64_t group = *p->at++ - '0';
        if (p->at < p->end && *p->at >= '0' && *p->at <= '9') group = group * 10 + (*p->at++ - '0');
        return usable(p, from, group) ? parse_back(p, (int)group) : NULL;
    }
    return regex_escape(p, false, &point, &class) ? parse_char(p, point) : regex_class(p, class);
}

static Piece *parse_atom(Parser *p)
{
    const uint32_t c = *p->at++;
    switch (c) {
    case '(': return parse_group(p);
    case '[': return regex_set(p);
    case '.': return regex_piece(p, PIECE_ANY);
    case '^':
    case '$': return parse_place(p, c);
    case '\\': return parse_backslash(p);
    default: return parse_char(p, c);
    }
}

/* *, +, ?, {n}, {n,}, {,m}, {n,m}; anything else in braces is text. */
static bool parse_count(Parser *p, int64_t *min, int64_t *max)
{
    const uint32_t *from = p->at;
    *min = 0;
    *max = REGEX_NO_MOST;
    if (take(p, "*")) return true;
    if (take(p, "+")) return (*min = 1);
    if (take(p, "?")) return (*max = 1);
    if (!take(p, "{")) return false;
    const uint32_t *digits = p->at;
    *min = number(p);
    const bool has_min = p->at > digits;
    *max = *min;
    if (take(p, ",")) {
        digits = p->at;
        *max = number(p);
        if (p->at == digits) *max = REGEX_NO_MOST;
    } else if (!has_min) {
        p->at = from;
        return false;
    }
    if (!take(p, "}")) {
        p->at = from;
        return false;
    }
    if (*max != REGEX_NO_MOST && *max < *min) regex_fail(p, from, "min repeat greater than max repeat");
    return true;
}

static bool verbose_blank(const Parser *p)
{
    return (p->flags & REGEX_VERBOSE) && p->at < p->end && *p->at < 128 && strchr(" \t\n\r\v\f", (int)*p->at);
}

/* (?#…), and in verbose patterns blanks and the rest of a line behind a '#'. */
static void skip_comments(Parser *p)
{
    while (!p->error) {
        const uint32_t *from = p->at;
        if (take(p, "(?#")) {
            while (p->at < p->end && *p->at != ')') p->at++;
            if (!take(p, ")")) regex_fail(p, from, "missing ), unterminated comment");
        } else if ((p->flags & REGEX_VERBOSE) && take(p, "#")) {
            while (p->at < p->end && *p->at != '\n') p->at++;
        } else if (verbose_blank(p)) {
            p->at++;
        } else {
            return;
        }
    }
}

static Piece *parse_repeats(Parser *p, Piece *atom)
{
    int64_t min, max;
    const uint32_t *where = p->at;
    if (!atom || !parse_count(p, &min, &max)) return atom;
    if (atom->kind == PIECE_PLACE || atom->kind == PIECE_FLAGS) return regex_fail(p, where, "nothing to repeat");
    Piece *repeat = regex_piece(p, PIECE_REPEAT);
    if (!repeat) return NULL;
    repeat->child = atom;
    repeat->min = min;
    repeat->max = max;
    repeat->lazy = take(p, "?");
    if (!repeat->lazy && take(p, "+")) { /* possessive: nothing is given back */
        Piece *atomic = regex_piece(p, PIECE_SUB);
        if (!atomic) return NULL;
        atomic->sub = SUB_ATOMIC;
        atomic->child = repeat;
        repeat = atomic;
    }
    skip_comments(p);
    where = p->at;
    if (parse_count(p, &min, &max)) return regex_fail(p, where, "multiple repeat");
    return p->error ? NULL : repeat;
}

static Piece *parse_row(Parser *p)
{
    Piece *row = regex_piece(p, PIECE_ROW), **last = row ? &row->child : NULL;
    while (row) {
        skip_comments(p);
        if (p->at >= p->end || *p->at == '|' || *p->at == ')') break;
        const uint32_t *from = p->at;
        int64_t min, max;
        if (parse_count(p, &min, &max)) return regex_fail(p, from, "nothing to repeat");
        Piece *atom = parse_atom(p);
        skip_comments(p);
        Piece *piece = parse_repeats(p, atom);
        if (!piece) return NULL;
        if (piece->kind == PIECE_FLAGS) continue;
        *last = piece;
        last = &piece->next;
    }
    return row;
}

static Piece *parse_either(Parser *p)
{
    Piece *first = parse_row(p), *either = NULL, *last = first;
    while (first && take(p, "|")) {
        if (!either) {
            if (!(either = regex_piece(p, PIECE_EITHER))) return NULL;
            either->child = first;
        }
        Piece *next = parse_row(p);
        if (!next) return NULL;
        last->next = next;
        last = next;
    }
    return either ? either : first;
}

NodusStatus regex_parse(Regex *regex, const uint32_t *pattern, size_t count, uint32_t flags)
{
    Parser *p = memory_alloc(sizeof *p);
    if (!p) return status_memory();
    *p = (Parser){.regex = regex, .at = pattern, .start = pattern, .end = pattern + count, .flags = flags};
    if (count > REGEX_LONGEST) regex_fail(p, p->at, "the pattern is too long");
    else regex->tree = parse_either(p);
    if (!p->error && p->at < p->end) regex_fail(p, p->at, "unbalanced parenthesis");
    if (!p->error && p->most_wanted > regex->groups) regex_fail(p, p->at, "invalid group reference");
    NodusStatus error = p->error;
    memory_free(p);
    return error;
}
