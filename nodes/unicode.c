/* unicode.c: characters as Python sees them; see unicode.h.
 *
 * One idea: utf8proc knows the categories and the case of one letter for one; the letters that become several when their case
 * changes are those whose full case folding has several, so that it gives them too. Only two properties have no table there and
 * have one here: letters with a case although they are no cased letters by category (ª, ʰ), and marks within a word (the
 * apostrophe). */
#include "nodes/unicode.h"
#include <utf8proc.h>

uint32_t unicode_next(const char **text)
{
    const uint8_t *at = (const uint8_t *)*text;
    const int more = at[0] >= 0xf0 ? 3 : at[0] >= 0xe0 ? 2 : at[0] >= 0xc0 ? 1 : 0;
    uint32_t point = more ? at[0] & (0x3fu >> more) : at[0];
    if (!at[0]) return 0;
    for (int i = 1; i <= more; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            *text += 1;
            return at[0];
        }
        point = point << 6 | (at[i] & 0x3f);
    }
    *text += 1 + more;
    return point;
}

size_t unicode_length(const char *text)
{
    size_t count = 0;
    while (*text) {
        unicode_next(&text);
        count++;
    }
    return count;
}

const char *unicode_skip(const char *text, size_t count)
{
    while (count-- && *text) unicode_next(&text);
    return text;
}

void unicode_put(Text *out, uint32_t point)
{
    uint8_t bytes[4];
    const utf8proc_ssize_t count = utf8proc_encode_char((utf8proc_int32_t)point, bytes);
    text_add_n(out, (const char *)bytes, (size_t)count);
}

/* ---- Kinds of characters ------------------------------------------------------------------------------------------- */

typedef struct Range {
    uint32_t first, last;
} Range;

static bool in_ranges(const Range *range, uint32_t point)
{
    for (; range->last; range++)
        if (point >= range->first && point <= range->last) return true;
    return false;
}

bool unicode_space(uint32_t point)
{
    static const Range spaces[] = {
        {0x09, 0x0d},     {0x1c, 0x20},     {0x85, 0x85},     {0xa0, 0xa0}, {0x1680, 0x1680}, {0x2000, 0x200a}, {0x2028, 0x2029},
        {0x202f, 0x202f}, {0x205f, 0x205f}, {0x3000, 0x3000}, {0}};
    return in_ranges(spaces, point);
}

static utf8proc_category_t category(uint32_t point)
{
    return utf8proc_category((utf8proc_int32_t)point);
}

bool unicode_digit(uint32_t point)
{
    return category(point) == UTF8PROC_CATEGORY_ND;
}

bool unicode_word(uint32_t point)
{
    const utf8proc_category_t kind = category(point);
    return point == '_' || (kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_LO) ||
           (kind >= UTF8PROC_CATEGORY_ND && kind <= UTF8PROC_CATEGORY_NO);
}

uint32_t unicode_lower(uint32_t point)
{
    return (uint32_t)utf8proc_tolower((utf8proc_int32_t)point);
}

uint32_t unicode_upper(uint32_t point)
{
    return (uint32_t)utf8proc_toupper((utf8proc_int32_t)point);
}

/* By the capital, so that letters with one capital in common (s and ſ, σ and ς) are equal. */
uint32_t unicode_fold(uint32_t point)
{
    return unicode_lower(unicode_upper(unicode_lower(point)));
}

static bool cased(uint32_t point)
{
    static const Range others[] = {{0xaa, 0xaa},       {0xba, 0xba},       {0x2b0, 0x2b8},     {0x2c0, 0x2c1},
                                   {0x2e0, 0x2e4},     {0x345, 0x345},     {0x37a, 0x37a},     {0x10fc, 0x10fc},
                                   {0x1d2c, 0x1d6a},   {0x1d78, 0x1d78},   {0x1d9b, 0x1dbf},   {0x2071, 0x2071},
                                   {0x207f, 0x207f},   {0x2090, 0x209c},   {0x2160, 0x217f},   {0x24b6, 0x24e9},
                                   {0x2c7c, 0x2c7d},   {0xa69c, 0xa69d},   {0xa770, 0xa770},   {0xa7f2, 0xa7f4},
                                   {0xa7f8, 0xa7f9},   {0xab5c, 0xab5f},   {0xab69, 0xab69},   {0x10780, 0x10780},
                                   {0x10783, 0x10785}, {0x10787, 0x107b0}, {0x107b2, 0x107ba}, {0x1e030, 0x1e06d},
                                   {0x1f130, 0x1f149}, {0x1f150, 0x1f169}, {0x1f170, 0x1f189}, {0}};
    const utf8proc_category_t kind = category(point);
    return kind == UTF8PROC_CATEGORY_LU || kind == UTF8PROC_CATEGORY_LL || kind == UTF8PROC_CATEGORY_LT ||
           in_ranges(others, point);
}

/* What may stand between the letters of one word without ending it. */
static bool case_ignorable(uint32_t point)
{
    static const Range marks[] = {{'\'', '\''},
                                  {'.', '.'},
                                  {':', ':'},
                                  {0xb7, 0xb7},
                                  {0x387, 0x387},
                                  {0x55f, 0x55f},
                                  {0x5f4, 0x5f4},
                                  {0x2018, 0x2019},
                                  {0x2024, 0x2024},
                                  {0x2027, 0x2027},
                                  {0xfe13, 0xfe13},
                                  {0xfe52, 0xfe52},
                                  {0xfe55, 0xfe55},
                                  {0xff07, 0xff07},
                                  {0xff0e, 0xff0e},
                                  {0xff1a, 0xff1a},
                                  {0}};
    const utf8proc_category_t kind = category(point);
    return kind == UTF8PROC_CATEGORY_MN || kind == UTF8PROC_CATEGORY_ME || kind == UTF8PROC_CATEGORY_CF ||
           kind == UTF8PROC_CATEGORY_LM || kind == UTF8PROC_CATEGORY_SK || in_ranges(marks, point);
}

/* ---- Changing case ------------------------------------------------------------------------------------------------- */

enum { CAPITAL_SIGMA = 0x3a3, FINAL_SIGMA = 0x3c2, DOTTED_I = 0x130, DOT_ABOVE = 0x307, IOTA = 0x3b9, IOTA_BELOW = 0x345 };

/* The full case folding, if it has several code points and the letter is no capital itself; else 0. */
static int several(uint32_t point, utf8proc_int32_t parts[UNICODE_CASE_MOST])
{
    int boundary = 0;
    if (point < 0x80 || category(point) == UTF8PROC_CATEGORY_LU) return 0;
    const utf8proc_ssize_t count =
        utf8proc_decompose_char((utf8proc_int32_t)point, parts, UNICODE_CASE_MOST, UTF8PROC_CASEFOLD, &boundary);
    return count > 1 && count <= UNICODE_CASE_MOST ? (int)count : 0;
}

static void put_upper(Text *out, uint32_t point)
{
    utf8proc_int32_t parts[UNICODE_CASE_MOST];
    const int count = several(point, parts);
    for (int i = 0; i < count; i++) unicode_put(out, unicode_upper((uint32_t)parts[i]));
    if (!count) unicode_put(out, unicode_upper(point));
}

/* The first letter of a word: ǆ becomes ǅ, ﬁ becomes Fi. */
static void put_title(Text *out, uint32_t point)
{
    utf8proc_int32_t parts[UNICODE_CASE_MOST];
    const uint32_t one = (uint32_t)utf8proc_totitle((utf8proc_int32_t)point);
    const int count = category(one) == UTF8PROC_CATEGORY_LT ? 0 : several(point, parts); /* ᾳ has a title form of its own */
    bool done = false;
    for (int i = 0; i < count; i++) {
        const uint32_t part = (uint32_t)parts[i];
        unicode_put(out, !done ? unicode_upper(part) : part == IOTA ? IOTA_BELOW : part);
        done |= cased(part) && category(part) != UTF8PROC_CATEGORY_LM;
    }
    if (!count) unicode_put(out, one);
}

/* `before` and the text behind `after` decide about a sigma: it is final after a cased letter and before none. */
static void put_lower(Text *out, uint32_t point, bool before, const char *after)
{
    if (point == CAPITAL_SIGMA && before) {
        uint32_t next = unicode_next(&after);
        while (next && case_ignorable(next)) next = unicode_next(&after);
        unicode_put(out, next && cased(next) ? unicode_lower(point) : FINAL_SIGMA);
    } else if (point == DOTTED_I) {
        unicode_put(out, 'i');
        unicode_put(out, DOT_ABOVE);
    } else {
        unicode_put(out, unicode_lower(point));
    }
}

void unicode_change_case(Text *out, const char *text, UnicodeCase to)
{
    bool within = false, before = false, first = true; /* within a word; after a cased letter, marks aside; the first of all */
    while (*text) {
        const uint32_t point = unicode_next(&text);
        if (to == UNICODE_UPPER) put_upper(out, point);
        else if (to == UNICODE_CAPITALIZE ? first : to == UNICODE_TITLE && !within) put_title(out, point);
        else put_lower(out, point, before, text);
        within = cased(point);
        if (!case_ignorable(point)) before = within;
        first = false;
    }
}
