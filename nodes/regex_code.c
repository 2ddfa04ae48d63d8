/* regex_code.c: the tree of a pattern becomes a program for the matcher.
 *
 * One idea: a program is as long as its pattern: repetition counts turns instead of copying what it repeats. The most frequent
 * kind, of one character (.*, \w+), is a single instruction. */
#include "engine/base/status.h"
#include "nodes/regex_inside.h"
#include "nodes/unicode.h"
#include <string.h>

static NodusStatus emit_piece(Regex *regex, const Piece *piece);

static NodusStatus emit(Regex *regex, Code code, int index, const Piece *piece)
{
    void *items = regex->code;
    if (!memory_reserve(&items, &regex->capacity, regex->count, sizeof *regex->code)) return status_memory();
    regex->code = items;
    regex->code[regex->count++] = (Instruction){.code = code, .index = index, .piece = piece};
    return NULL;
}

/* ---- Widths, for looking behind -------------------------------------------------------------------------------------- */

/* How many characters the piece takes, or −1 if that varies. */
static int64_t width_of(const Piece *piece)
{
    int64_t sum = 0, first = -1;
    switch (piece->kind) {
    case PIECE_CHAR:
    case PIECE_ANY:
    case PIECE_SET: return 1;
    case PIECE_ROW:
        for (const Piece *child = piece->child; child && sum >= 0; child = child->next) {
            const int64_t width = width_of(child);
            sum = width < 0 ? -1 : sum + width;
        }
        return sum;
    case PIECE_IF:
        first = piece->child->next ? -1 : 0; /* nothing, instead */
        /* fall through */
    case PIECE_EITHER:
        for (const Piece *child = piece->child; child; child = child->next) {
            const int64_t width = width_of(child);
            if (width < 0 || (first >= 0 && width != first)) return -1;
            first = width;
        }
        return first;
    case PIECE_REPEAT:
        sum = width_of(piece->child);
        return sum == 0                                                                                     ? 0
               : sum > 0 && piece->min == piece->max && piece->max <= REGEX_LONGEST && sum <= REGEX_LONGEST ? sum * piece->min
                                                                                                            : -1;
    case PIECE_GROUP: return width_of(piece->child);
    case PIECE_SUB: return piece->sub == SUB_ATOMIC ? width_of(piece->child) : 0;
    case PIECE_PLACE: return 0;
    default: return -1;
    }
}

/* ---- Pieces ---------------------------------------------------------------------------------------------------------- */

static NodusStatus emit_either(Regex *regex, const Piece *piece)
{
    int last_jump = -1; /* the jumps to the end are a chain until it is known */
    for (const Piece *child = piece->child; child; child = child->next) {
        const size_t split = regex->count;
        if (child->next) NODUS_TRY(emit(regex, CODE_SPLIT, 0, NULL));
        NODUS_TRY(emit_piece(regex, child));
        if (!child->next) break;
        NODUS_TRY(emit(regex, CODE_JUMP, 0, NULL));
        regex->code[regex->count - 1].to = last_jump;
        last_jump = (int)regex->count - 1;
        regex->code[split].to = (int)regex->count;
    }
    while (last_jump >= 0) {
        const int before = regex->code[last_jump].to;
        regex->code[last_jump].to = (int)regex->count;
        last_jump = before;
    }
    return NULL;
}

static bool one_character(const Piece *piece)
{
    return piece->kind == PIECE_CHAR || piece->kind == PIECE_ANY || piece->kind == PIECE_SET;
}

static NodusStatus emit_repeat(Regex *regex, const Piece *piece)
{
    if (one_character(piece->child) && !piece->lazy) return emit(regex, CODE_RUN, 0, piece);
    const int loop = regex->loops++;
    NODUS_TRY(emit(regex, CODE_BEGIN, loop, NULL));
    const size_t start = regex->count;
    NODUS_TRY(emit(regex, CODE_LOOP, loop, piece));
    NODUS_TRY(emit(regex, CODE_TURN, loop, piece));
    NODUS_TRY(emit_piece(regex, piece->child));
    NODUS_TRY(emit(regex, CODE_JUMP, 0, NULL));
    regex->code[regex->count - 1].to = (int)start;
    regex->code[start].to = (int)regex->count;
    return NULL;
}

static NodusStatus emit_sub(Regex *regex, const Piece *piece)
{
    const size_t start = regex->count;
    NODUS_TRY(emit(regex, CODE_SUB, 0, piece));
    if (piece->sub == SUB_BEHIND) {
        regex->code[start].width = width_of(piece->child);
        if (regex->code[start].width < 0) return nodus_error(NODUS_ERROR_INPUT, "look-behind requires fixed-width pattern");
    }
    NODUS_TRY(emit_piece(regex, piece->child));
    NODUS_TRY(emit(regex, CODE_END, 0, NULL));
    regex->code[start].to = (int)regex->count;
    return NULL;
}

static NodusStatus emit_if(Regex *regex, const Piece *piece)
{
    const size_t test = regex->count;
    const Piece *yes = piece->child, *no = yes->next;
    NODUS_TRY(emit(regex, CODE_IF, piece->group, NULL));
    NODUS_TRY(emit_piece(regex, yes));
    const size_t jump = regex->count;
    if (no) NODUS_TRY(emit(regex, CODE_JUMP, 0, NULL));
    regex->code[test].to = (int)regex->count;
    if (!no) return NULL;
    NODUS_TRY(emit_piece(regex, no));
    regex->code[jump].to = (int)regex->count;
    return NULL;
}

static NodusStatus emit_piece(Regex *regex, const Piece *piece)
{
    switch (piece->kind) {
    case PIECE_ROW:
        for (const Piece *child = piece->child; child; child = child->next) NODUS_TRY(emit_piece(regex, child));
        return NULL;
    case PIECE_EITHER: return emit_either(regex, piece);
    case PIECE_REPEAT: return emit_repeat(regex, piece);
    case PIECE_GROUP:
        NODUS_TRY(emit(regex, CODE_SAVE, 2 * piece->group, NULL));
        NODUS_TRY(emit_piece(regex, piece->child));
        return emit(regex, CODE_SAVE, 2 * piece->group + 1, NULL);
    case PIECE_SUB: return emit_sub(regex, piece);
    case PIECE_BACK: return emit(regex, CODE_BACK, piece->group, piece);
    case PIECE_IF: return emit_if(regex, piece);
    case PIECE_PLACE: return emit(regex, CODE_PLACE, 0, piece);
    default: return emit(regex, CODE_ONE, 0, piece);
    }
}

NodusStatus regex_compile(Regex *regex)
{
    NODUS_TRY(emit_piece(regex, regex->tree));
    return emit(regex, CODE_END, 0, NULL);
}

/* ---- The public part ------------------------------------------------------------------------------------------------- */

static NodusStatus build(Regex *regex, const char *pattern, uint32_t flags)
{
    const size_t count = unicode_length(pattern);
    uint32_t *points = memory_array(count + 1, sizeof *points);
    if (!points) return status_memory();
    for (size_t i = 0; i < count; i++) points[i] = unicode_next(&pattern);
    NodusStatus status = regex_parse(regex, points, count, flags);
    memory_free(points);
    return status ? status : regex_compile(regex);
}

NodusStatus regex_new(const char *pattern, uint32_t flags, Regex **out)
{
    Regex *regex = memory_alloc(sizeof *regex);
    if (!regex) return status_memory();
    regex->arena = arena_new();
    NodusStatus status = regex->arena ? build(regex, pattern, flags) : status_memory();
    if (status) regex_free(regex);
    else *out = regex;
    return status;
}

void regex_free(Regex *regex)
{
    if (!regex) return;
    arena_free(regex->arena);
    memory_free(regex->code);
    memory_free(regex);
}

int regex_groups(const Regex *regex)
{
    return regex->groups;
}

int regex_group_named(const Regex *regex, const char *name, size_t length)
{
    for (const GroupName *at = regex->names; at; at = at->next)
        if (strlen(at->name) == length && !memcmp(at->name, name, length)) return at->group;
    return -1;
}
