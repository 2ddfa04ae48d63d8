/* regex_set.c: one character: escapes, classes and sets of a pattern, and whether a character fits them. */
#include "engine/base/status.h"
#include "nodes/regex_inside.h"
#include "nodes/unicode.h"
#include <string.h>

enum { MOST_POINT = 0x10ffff, ASCII = 128 };

static bool letter(uint32_t point)
{
    return (point >= 'a' && point <= 'z') || (point >= 'A' && point <= 'Z');
}

static int digit(uint32_t point)
{
    if (point >= '0' && point <= '9') return (int)point - '0';
    if (point >= 'a' && point <= 'f') return (int)point - 'a' + 10;
    if (point >= 'A' && point <= 'F') return (int)point - 'A' + 10;
    return 99;
}

/* ---- Fitting --------------------------------------------------------------------------------------------------------- */

bool regex_in_class(char class, uint32_t point, bool ascii)
{
    const bool outside = ascii && point >= ASCII;
    switch (class) {
    case 'd':
    case 'D': return (unicode_digit(point) && !outside) == (class == 'd');
    case 's':
    case 'S': /* within ASCII the four separators are no blanks */
        return (unicode_space(point) && !(ascii && (outside || (point >= 0x1c && point <= 0x1f)))) == (class == 's');
    default: return (unicode_word(point) && !outside) == (class == 'w');
    }
}

uint32_t regex_fold(uint32_t point, uint32_t flags)
{
    if (!(flags & REGEX_IGNORE_CASE)) return point;
    if (point < ASCII || (flags & REGEX_ASCII)) return point >= 'A' && point <= 'Z' ? point + ('a' - 'A') : point;
    return unicode_fold(point);
}

static bool in_set(const Piece *piece, uint32_t point)
{
    for (const SetItem *item = piece->set; item; item = item->next) {
        if (item->class ? regex_in_class(item->class, point, piece->flags & REGEX_ASCII)
                        : point >= item->first && point <= item->last)
            return true;
        if (item->first == item->last && !item->class && regex_fold(point, piece->flags) == regex_fold(item->first, piece->flags))
            return true;
    }
    return false;
}

/* Without regard to case: if any form of the character is in the set. */
static bool in_folded_set(const Piece *piece, uint32_t point)
{
    if (piece->flags & REGEX_ASCII) {
        const uint32_t other = letter(point) ? point ^ ('a' ^ 'A') : point;
        return in_set(piece, point) || in_set(piece, other);
    }
    return in_set(piece, point) || in_set(piece, unicode_lower(point)) || in_set(piece, unicode_upper(point)) ||
           in_set(piece, unicode_fold(point));
}

bool regex_fits(const Piece *piece, uint32_t point)
{
    switch (piece->kind) {
    case PIECE_CHAR: return regex_fold(point, piece->flags) == piece->point;
    case PIECE_ANY: return point != '\n' || (piece->flags & REGEX_DOTALL);
    default: return (piece->flags & REGEX_IGNORE_CASE ? in_folded_set(piece, point) : in_set(piece, point)) != piece->negated;
    }
}

/* ---- Reading --------------------------------------------------------------------------------------------------------- */

/* `count` hexadecimal digits; exactly as many. */
static uint32_t hexadecimal(Parser *p, int count)
{
    const uint32_t *from = p->at;
    uint32_t value = 0;
    for (; count && p->at < p->end && digit(*p->at) < 16; count--) value = value << 4 | (uint32_t)digit(*p->at++);
    if (count || value > MOST_POINT) regex_fail(p, from, "incomplete or bad hexadecimal escape");
    return value;
}

/* Up to three octal digits, of which the first is read. */
static uint32_t octal(Parser *p, uint32_t first)
{
    const uint32_t *from = p->at;
    uint32_t value = (uint32_t)digit(first);
    for (int more = 0; more < 2 && p->at < p->end && digit(*p->at) < 8; more++) value = value * 8 + (uint32_t)digit(*p->at++);
    if (value > 0377) regex_fail(p, from, "octal escape value outside of range 0-0o377");
    return value;
}

bool regex_escape(Parser *p, bool in_a_set, uint32_t *point, char *class)
{
    static const char names[] = "afnrtv\\", values[] = "\a\f\n\r\t\v\\";
    *point = 0;
    if (p->at >= p->end) {
        regex_fail(p, p->at, "bad escape (end of pattern)");
        return true;
    }
    const uint32_t *from = p->at - 1, c = *p->at++;
    const char *known = c < ASCII ? strchr(names, (int)c) : NULL;
    if (c < ASCII && strchr("dDsSwW", (int)c)) {
        *class = (char)c;
        return false;
    }
    if (known) *point = (uint32_t)values[known - names];
    else if (c == 'b' && in_a_set) *point = '\b';
    else if (c == 'x') *point = hexadecimal(p, 2);
    else if (c == 'u') *point = hexadecimal(p, 4);
    else if (c == 'U') *point = hexadecimal(p, 8);
    else if (digit(c) < 8 && (c == '0' || in_a_set)) *point = octal(p, c);
    else if (letter(c) || digit(c) < 10) regex_fail(p, from, "bad escape");
    else *point = c;
    return true;
}

static bool set_add(Parser *p, Piece *set, uint32_t first, uint32_t last, char class)
{
    SetItem *item = arena_alloc(p->regex->arena, sizeof *item);
    if (!item) {
        regex_fail(p, NULL, NULL);
        return false;
    }
    *item = (SetItem){first, last, class, set->set};
    set->set = item;
    return true;
}

/* One member of a set: a character, or a class in *class. */
static uint32_t set_member(Parser *p, char *class)
{
    uint32_t point = *p->at++;
    *class = 0;
    if (point == '\\') regex_escape(p, true, &point, class);
    return point;
}

Piece *regex_set(Parser *p)
{
    Piece *set = regex_piece(p, PIECE_SET);
    const uint32_t *from = p->at - 1;
    if (!set) return NULL;
    if (p->at < p->end && *p->at == '^') {
        set->negated = true;
        p->at++;
    }
    for (bool first = true; !p->error; first = false) {
        char class, last_class = 0;
        if (p->at >= p->end) return regex_fail(p, from, "unterminated character set");
        if (*p->at == ']' && !first) break;
        const uint32_t *member = p->at, low = set_member(p, &class);
        uint32_t high = low;
        if (p->at + 1 < p->end && *p->at == '-' && p->at[1] != ']') {
            p->at++;
            high = set_member(p, &last_class);
            if (!p->error && (class || last_class || high < low)) return regex_fail(p, member, "bad character range");
        }
        if (p->error || !set_add(p, set, low, high, class)) return NULL;
    }
    p->at++;
    return p->error ? NULL : set;
}

Piece *regex_class(Parser *p, char class)
{
    Piece *set = regex_piece(p, PIECE_SET);
    return set && set_add(p, set, 0, 0, class) ? set : NULL;
}
