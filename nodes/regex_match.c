/* regex_match.c: runs the program of a pattern on a text.
 *
 * One idea: one stack holds both what else could be tried and what to put back before trying it (bounds of groups, turns of
 * loops), so going back is popping. It lives on the heap: a long text costs memory, never the C stack; only look-around and
 * atomic groups recurse, as deep as they are nested in the pattern. Each instruction is a step, and the steps are limited. */
#include "engine/base/status.h"
#include "nodes/regex_inside.h"
#include <string.h>

enum { MOST_STEPS = 100000000, STEPS_A_CHARACTER = 100, MOST_ENTRIES = 1 << 22, RUN_SPEED = 4 /* characters a step */ };

int64_t regex_steps(int64_t count)
{
    return MOST_STEPS + STEPS_A_CHARACTER * count;
}

/* A way not taken: go on at instruction `at` from position `position`, or any one down to `least` (a RUN gives characters back).
 * Or, with `at` < 0, a number to put back: register −1 − at gets `position`. */
typedef struct Entry {
    int at;
    int64_t position, least;
} Entry;

typedef struct Matcher {
    const Regex *regex;
    RegexText *text;
    int64_t *reg; /* bounds of groups, then of each loop its turns and where the last turn began */
    Entry *stack;
    size_t height, capacity;
    int64_t forbidden; /* where the whole match may not end, or −1 */
    NodusStatus error;
} Matcher;

static bool push(Matcher *m, int at, int64_t position, int64_t least)
{
    void *items = m->stack;
    if (m->height >= MOST_ENTRIES) {
        m->error = nodus_error(NODUS_ERROR_INPUT, "the pattern has too many ways to match this text: make it simpler");
        return false;
    }
    if (!memory_reserve(&items, &m->capacity, m->height, sizeof *m->stack)) {
        m->error = status_memory();
        return false;
    }
    m->stack = items;
    m->stack[m->height++] = (Entry){at, position, least};
    return true;
}

static bool set(Matcher *m, int reg, int64_t value)
{
    if (m->reg[reg] == value) return true;
    if (!push(m, -1 - reg, m->reg[reg], 0)) return false;
    m->reg[reg] = value;
    return true;
}

/* Where a RUN that gives characters back may go on: a character that must follow tells. */
static int64_t next_place(Matcher *m, const Entry *top)
{
    const Instruction *next = &m->regex->code[top->at];
    int64_t position = top->position;
    if (next->code != CODE_ONE) return position;
    while (position > top->least && !regex_fits(next->piece, m->text->point[position])) position--;
    m->text->steps -= (top->position - position) / RUN_SPEED;
    return position;
}

/* Goes back to the last way not taken above `base`; false when there is none. */
static bool back(Matcher *m, size_t base, int *at, int64_t *position)
{
    while (m->height > base) {
        Entry *top = &m->stack[m->height - 1];
        if (top->at < 0) {
            m->reg[-1 - top->at] = top->position;
            m->height--;
            continue;
        }
        *at = top->at;
        *position = top->position = next_place(m, top);
        if (top->position > top->least) top->position--;
        else m->height--;
        return true;
    }
    return false;
}

/* Puts back all that was changed above `base`. */
static void undo(Matcher *m, size_t base)
{
    while (m->height > base) {
        const Entry *top = &m->stack[--m->height];
        if (top->at < 0) m->reg[-1 - top->at] = top->position;
    }
}

/* Forgets the ways not taken above `base`, but not what to put back. */
static void commit(Matcher *m, size_t base)
{
    size_t kept = base;
    for (size_t i = base; i < m->height; i++)
        if (m->stack[i].at < 0) m->stack[kept++] = m->stack[i];
    m->height = kept;
}

/* ---- Instructions ---------------------------------------------------------------------------------------------------- */

static bool word_at(const Matcher *m, int64_t position, bool ascii)
{
    return position >= 0 && position < m->text->count && regex_in_class('w', m->text->point[position], ascii);
}

static bool at_place(const Matcher *m, const Piece *piece, int64_t at)
{
    const RegexText *text = m->text;
    const bool lines = piece->flags & REGEX_MULTILINE, ascii = piece->flags & REGEX_ASCII;
    switch (piece->point) {
    case '^': return at == 0 || (lines && text->point[at - 1] == '\n');
    case '$': return at == text->count || (text->point[at] == '\n' && (lines || at == text->count - 1));
    case 'A': return at == 0;
    case 'Z': return at == text->count;
    case 'b': return word_at(m, at - 1, ascii) != word_at(m, at, ascii);
    default: return text->count && word_at(m, at - 1, ascii) == word_at(m, at, ascii);
    }
}

/* As many characters as fit, up to the most; at least the fewest can be given back later. */
static bool run_of_one(Matcher *m, const Piece *repeat, int next, int64_t *position)
{
    const int64_t from = *position, left = m->text->count - from;
    const int64_t most = repeat->max == REGEX_NO_MOST || repeat->max > left ? left : repeat->max;
    int64_t count = 0;
    while (count < most && regex_fits(repeat->child, m->text->point[from + count])) count++;
    m->text->steps -= count / RUN_SPEED;
    if (count < repeat->min) return false;
    *position = from + count;
    return count == repeat->min || push(m, next, from + count - 1, from + repeat->min);
}

static bool same_again(const Matcher *m, const Instruction *code, int64_t *position)
{
    const int64_t from = m->reg[2 * code->index], to = m->reg[2 * code->index + 1];
    if (from < 0 || to < from || to - from > m->text->count - *position) return false;
    for (int64_t i = 0; i < to - from; i++)
        if (regex_fold(m->text->point[from + i], code->piece->flags) !=
            regex_fold(m->text->point[*position + i], code->piece->flags))
            return false;
    *position += to - from;
    return true;
}

/* Where a loop goes on: another turn at the next instruction, or `to`. A turn that took nothing, beyond those that must be, is
 * the last. */
static bool loop(Matcher *m, const Instruction *code, int *at, int64_t position)
{
    const Piece *repeat = code->piece;
    const int first = 2 * (m->regex->groups + 1) + 2 * code->index, next = *at + 1;
    const int64_t turns = m->reg[first];
    *at = next;
    if (turns < repeat->min) return true;
    const bool more = (repeat->max == REGEX_NO_MOST || turns < repeat->max) && m->reg[first + 1] != position;
    if (!more || repeat->lazy) *at = code->to;
    return !more || push(m, repeat->lazy ? next : code->to, position, position);
}

static bool turn(Matcher *m, const Instruction *code, int64_t position)
{
    const int first = 2 * (m->regex->groups + 1) + 2 * code->index;
    const int64_t turns = m->reg[first];
    return set(m, first, turns + 1) && (turns < code->piece->min || set(m, first + 1, position));
}

static bool match(Matcher *m, int at, int64_t *position, bool whole);

/* Tries what is inside by itself. */
static bool sub(Matcher *m, const Instruction *code, int at, int64_t *position)
{
    const size_t base = m->height;
    const Piece *piece = code->piece;
    int64_t inner = *position - code->width;
    const bool found = inner >= 0 && match(m, at + 1, &inner, false);
    if (found && !piece->negated) commit(m, base);
    else undo(m, base);
    if (piece->sub == SUB_ATOMIC && found) *position = inner;
    return found != piece->negated;
}

/* One instruction; false: it does not match. */
static bool step(Matcher *m, int *at, int64_t *position)
{
    const Instruction *code = &m->regex->code[*at];
    const int loops = 2 * (m->regex->groups + 1);
    switch (code->code) {
    case CODE_ONE: ++*at; return *position < m->text->count && regex_fits(code->piece, m->text->point[(*position)++]);
    case CODE_RUN: ++*at; return run_of_one(m, code->piece, *at, position);
    case CODE_SPLIT: ++*at; return push(m, code->to, *position, *position);
    case CODE_JUMP: *at = code->to; return true;
    case CODE_SAVE: ++*at; return set(m, code->index, *position);
    case CODE_BEGIN: ++*at; return set(m, loops + 2 * code->index, 0) && set(m, loops + 2 * code->index + 1, -1);
    case CODE_LOOP: return loop(m, code, at, *position);
    case CODE_TURN: ++*at; return turn(m, code, *position);
    case CODE_SUB: *at = code->to; return sub(m, code, (int)(code - m->regex->code), position);
    case CODE_BACK: ++*at; return same_again(m, code, position);
    case CODE_IF: *at = m->reg[2 * code->index + 1] >= 0 ? *at + 1 : code->to; return true;
    default: ++*at; return at_place(m, code->piece, *position);
    }
}

/* From instruction `at` to the END that belongs to it. */
static bool match(Matcher *m, int at, int64_t *position, bool whole)
{
    const size_t base = m->height;
    while (!m->error) {
        if (--m->text->steps < 0) {
            m->error = nodus_error(NODUS_ERROR_INPUT, "the pattern takes too long on this text: make it simpler");
            return false;
        }
        if (m->regex->code[at].code == CODE_END) {
            if (!whole || *position != m->forbidden) return true;
        } else if (step(m, &at, position)) {
            continue;
        }
        if (m->error || !back(m, base, &at, position)) return false;
    }
    return false;
}

NodusStatus regex_search(const Regex *regex, RegexText *text, int64_t from, bool advance, int64_t *group, bool *found)
{
    const size_t bounds = 2 * ((size_t)regex->groups + 1), count = bounds + 2 * (size_t)regex->loops;
    Matcher m = {.regex = regex, .text = text, .reg = memory_array(count, sizeof *m.reg)};
    if (!m.reg) return status_memory();
    *found = false;
    for (int64_t start = from; start <= text->count && !*found && !m.error; start++) {
        int64_t end = start;
        for (size_t i = 0; i < count; i++) m.reg[i] = -1;
        m.height = 0;
        m.forbidden = advance && start == from ? start : -1;
        *found = match(&m, 0, &end, true);
        m.reg[0] = start;
        m.reg[1] = end;
    }
    if (*found) memcpy(group, m.reg, bounds * sizeof *group);
    memory_free(m.reg);
    memory_free(m.stack);
    return m.error;
}
