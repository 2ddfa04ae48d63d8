/* clip_prompt.c: weights in prompts: (a) counts 1.1 times, (a:1.3) has weight 1.3, \( and \) are literal.
 *
 * One idea: nesting is resolved before anything is cut. One pass notes each "(" its ")" and each place the colon before it; then
 * a stack of ranges with their weights is worked off, so ten thousand parentheses need neither recursion nor a second look. A
 * parenthesis is escaped when a backslash stands before it, whatever stands before that. */
#include "nodes/models/clip_prompt.h"
#include "nodes/models/clip_points.h"
#include "engine/base/memory.h"
#include <ctype.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const double GROUP_WEIGHT = 1.1;

typedef struct Range {
    int32_t begin, end;
    double weight;
} Range;
typedef struct Parser {
    const char *text;
    int32_t *close; /* for each "(" the ")" that brings the depth back, or −1 */
    int32_t *colon; /* for each place the last ":" before it, or −1 if a parenthesis stands between; one place more than bytes */
    Range *stack;
    size_t depth, room;
    ClipSegments *out;
} Parser;

/* ---- Python's float() ---------------------------------------------------------------------------------------------- */

size_t clip_prompt_blank(const char *text, size_t length)
{
    int32_t point;
    if (!length) return 0;
    const size_t bytes = clip_points_decode(text, length, &point);
    return clip_points_space(point) || (point >= 0x1C && point <= 0x1F) ? bytes : 0;
}

/* Copies a run of digits without its underscores; false when one does not stand between two digits. */
static bool copy_digits(const char **from, const char *end, char **to)
{
    const char *begin = *from;
    for (; *from < end && (isdigit((unsigned char)**from) || **from == '_'); ++*from) {
        if (**from != '_') *(*to)++ = **from;
        else if (*from == begin || *from + 1 == end || !isdigit((unsigned char)(*from)[-1]) ||
                 !isdigit((unsigned char)(*from)[1]))
            return false;
    }
    return true;
}

/* Decimal text as C's strtod wants it: checked, and without underscores. */
static bool copy_decimal(const char *from, const char *end, char *to)
{
    const char *start = to;
    if (!copy_digits(&from, end, &to)) return false;
    size_t digits = (size_t)(to - start);
    if (from < end && *from == '.') {
        *to++ = *from++;
        start = to;
        if (!copy_digits(&from, end, &to)) return false;
        digits += (size_t)(to - start);
    }
    if (!digits) return false;
    if (from < end && (*from == 'e' || *from == 'E')) {
        *to++ = *from++;
        if (from < end && (*from == '+' || *from == '-')) *to++ = *from++;
        start = to;
        if (!copy_digits(&from, end, &to) || to == start) return false;
    }
    *to = '\0';
    return from == end;
}

/* strtod with a decimal point, whatever locale the program around us has set. */
static bool read_decimal(const char *text, size_t length, double *out)
{
    char *copy = memory_alloc(length + 1);
    const locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    const bool ok = copy && c && copy_decimal(text, text + length, copy);
    if (ok) *out = strtod_l(copy, NULL, c);
    if (c) freelocale(c);
    memory_free(copy);
    return ok;
}

bool clip_prompt_number(const char *text, size_t length, double *out)
{
    const char *at = text, *end = text + length;
    for (size_t n; (n = clip_prompt_blank(at, (size_t)(end - at))) != 0;) at += n;
    const char *number = at;
    while (at < end && (isalnum((unsigned char)*at) || strchr("+-._", *at)) && *at) at++;
    const size_t size = (size_t)(at - number);
    for (size_t n; (n = clip_prompt_blank(at, (size_t)(end - at))) != 0;) at += n;
    if (at != end || !size) return false;

    const bool sign = *number == '+' || *number == '-', negative = *number == '-';
    const char *digits = number + sign;
    const size_t rest = size - sign;
    double value;
    if ((rest == 3 && !strncasecmp(digits, "inf", 3)) || (rest == 8 && !strncasecmp(digits, "infinity", 8))) value = INFINITY;
    else if (rest == 3 && !strncasecmp(digits, "nan", 3)) value = NAN;
    else if (!read_decimal(digits, rest, &value)) return false;
    *out = negative ? -value : value;
    return true;
}

/* ---- Ranges -------------------------------------------------------------------------------------------------------- */

/* "(" or ")" where the text has one that is not escaped, else 0. */
static char bracket(const Parser *p, int32_t at)
{
    const char c = p->text[at];
    return (c == '(' || c == ')') && (at == 0 || p->text[at - 1] != '\\') ? c : '\0';
}

static NodusStatus parser_survey(Parser *p, int32_t length)
{
    p->close = memory_array((size_t)length + 1, sizeof *p->close);
    p->colon = memory_array((size_t)length + 1, sizeof *p->colon);
    int32_t *open = memory_array((size_t)length + 1, sizeof *open);
    if (p->close && p->colon && open) {
        int32_t depth = 0, colon = -1;
        for (int32_t i = 0; i < length; i++) {
            p->colon[i] = colon;
            p->close[i] = -1;
            if (p->text[i] == ':') colon = i;
            if (p->text[i] == '(' || p->text[i] == ')') colon = -1; /* no number reaches across */
            if (bracket(p, i) == '(') open[depth++] = i;
            if (bracket(p, i) == ')' && depth) p->close[open[--depth]] = i;
        }
        p->colon[length] = colon;
    }
    memory_free(open);
    return p->close && p->colon && open ? NULL : status_memory();
}

static NodusStatus parser_push(Parser *p, Range range)
{
    if (range.begin >= range.end) return NULL;
    if (!memory_reserve((void **)&p->stack, &p->room, p->depth, sizeof *p->stack)) return status_memory();
    p->stack[p->depth++] = range;
    return NULL;
}

/* What is in a group, with the group's weight: a number behind the last colon, if there is one and text before it. */
static Range group_range(const Parser *p, int32_t begin, int32_t end, double weight)
{
    const int32_t colon = p->colon[end];
    double number;
    if (colon > begin && clip_prompt_number(p->text + colon + 1, (size_t)(end - colon - 1), &number))
        return (Range){begin, colon, number};
    return (Range){begin, end, weight * GROUP_WEIGHT};
}

static NodusStatus parser_emit(Parser *p, int32_t begin, int32_t end, double weight)
{
    ClipSegments *out = p->out;
    if (begin == end) return NULL;
    if (!memory_reserve((void **)&out->item, &out->capacity, out->count, sizeof *out->item)) return status_memory();
    char *text = out->text + begin;
    size_t length = 0;
    for (int32_t i = begin; i < end; i++) {
        const bool escape = p->text[i] == '\\' && i + 1 < end && (p->text[i + 1] == '(' || p->text[i + 1] == ')');
        if (!escape) text[length++] = p->text[i];
    }
    out->item[out->count++] = (ClipSegment){text, length, weight};
    return NULL;
}

/* Emits the text up to the first group, then leaves the group and what follows on the stack. A ")" too many makes the next "("
 * literal. A "(" that is never closed takes the rest with it: as text, or as a group if the rest happens to end in ")". */
static NodusStatus parser_step(Parser *p, Range range)
{
    int32_t i = range.begin, surplus = 0;
    for (; i < range.end; i++) {
        const char c = bracket(p, i);
        if (c == '(' && surplus == 0) break;
        surplus += c == ')' ? 1 : c == '(' ? -1 : 0;
    }
    NODUS_TRY(parser_emit(p, range.begin, i, range.weight));
    if (i == range.end) return NULL;
    const bool closed = p->close[i] >= 0 && p->close[i] < range.end;
    const int32_t last = closed ? p->close[i] : range.end - 1;
    if (bracket(p, last) != ')') return parser_emit(p, i, range.end, range.weight);
    NODUS_TRY(parser_push(p, (Range){last + 1, range.end, range.weight}));
    return parser_push(p, group_range(p, i + 1, last, range.weight));
}

NodusStatus clip_prompt_parse(const char *text, size_t length, ClipSegments *out)
{
    *out = (ClipSegments){.text = memory_text_n(text, length)};
    Parser p = {.text = text, .out = out};
    NodusStatus status = out->text ? parser_survey(&p, (int32_t)length) : status_memory();
    if (!status) status = parser_push(&p, (Range){0, (int32_t)length, 1});
    while (!status && p.depth) status = parser_step(&p, p.stack[--p.depth]);
    memory_free(p.close);
    memory_free(p.colon);
    memory_free(p.stack);
    return status;
}

void clip_segments_free(ClipSegments *segments)
{
    memory_free(segments->item);
    memory_free(segments->text);
    *segments = (ClipSegments){0};
}
