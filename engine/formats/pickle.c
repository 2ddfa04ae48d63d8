/* pickle.c: the little stack machine that a pickle is a program for.
 *
 * Format: opcodes of one byte, with arguments behind them: push a constant, put the newest value into a memo and get it again,
 * make a list, tuple or dictionary of what lies above a mark, name a function, call it with a tuple. STOP ends the program; the
 * value on top is the result. One idea: every value is made in one arena and none is ever run; sizes are bounded by counting
 * values, stack and memo. Shared and even circular values are possible: whoever walks them bounds the walk. */
#include "engine/formats/pickle.h"
#include "engine/formats/pickle_inside.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { VALUE_LIMIT = 1 << 22 /* values, stack and memo, each */, LINE_LIMIT = 4096 };

typedef struct Machine {
    Pickle *pickle;
    const uint8_t *data;
    size_t size, at;
    PickleValue **stack;
    size_t depth, stack_room, values;
    PickleValue **memo;
    size_t memos, memo_room;
} Machine;

NodusStatus pickle_damaged(const char *what)
{
    return nodus_error(NODUS_ERROR_FILE, "its pickle is damaged (%s)", what);
}

PickleValue *pickle_new(Pickle *pickle, PickleKind kind)
{
    PickleValue *value = arena_alloc(pickle->arena, sizeof *value);
    if (value) value->kind = kind;
    return value;
}

bool pickle_append(Pickle *pickle, PickleValue *to, PickleValue *item)
{
    if (to->count == to->capacity) {
        const size_t capacity = to->capacity ? to->capacity * 2 : 4;
        PickleValue **grown = arena_alloc(pickle->arena, capacity * sizeof *grown);
        if (!grown) return false;
        if (to->count) memcpy(grown, to->item, to->count * sizeof *grown);
        to->item = grown;
        to->capacity = capacity;
    }
    to->item[to->count++] = item;
    return true;
}

const PickleValue *pickle_get(const PickleValue *value, const char *key)
{
    if (value->kind != PICKLE_DICT) return NULL;
    for (size_t i = value->count; i >= 2; i -= 2)
        if (value->item[i - 2]->kind == PICKLE_TEXT && !strcmp(value->item[i - 2]->text, key)) return value->item[i - 1];
    return NULL;
}

/* ---- Bytes and stack ------------------------------------------------------------------------------------------------ */

static NodusStatus take(Machine *m, size_t bytes, const uint8_t **out)
{
    if (bytes > m->size - m->at) return pickle_damaged("it ends early");
    *out = m->data + m->at;
    m->at += bytes;
    return NULL;
}

static NodusStatus take_number(Machine *m, int bytes, uint64_t *out)
{
    const uint8_t *from = NULL;
    NODUS_TRY(take(m, (size_t)bytes, &from));
    *out = 0;
    for (int i = bytes - 1; i >= 0; i--) *out = *out << 8 | from[i];
    return NULL;
}

/* Up to a line's end, which is taken too. */
static NodusStatus take_line(Machine *m, const char **text, size_t *length)
{
    const uint8_t *from = m->data + m->at, *end = memchr(from, '\n', m->size - m->at);
    if (!end || end - from > LINE_LIMIT) return pickle_damaged("a line does not end");
    *text = (const char *)from;
    *length = (size_t)(end - from);
    m->at += *length + 1;
    return NULL;
}

static NodusStatus push(Machine *m, PickleValue *value)
{
    if (m->depth >= VALUE_LIMIT) return nodus_error(NODUS_ERROR_FILE, "its pickle stacks more than %d values", VALUE_LIMIT);
    if (!memory_reserve((void **)&m->stack, &m->stack_room, m->depth, sizeof *m->stack)) return status_memory();
    m->stack[m->depth++] = value;
    return NULL;
}

static NodusStatus count_value(Machine *m)
{
    return ++m->values > VALUE_LIMIT ? nodus_error(NODUS_ERROR_FILE, "its pickle has more than %d values", VALUE_LIMIT) : NULL;
}

static NodusStatus push_new(Machine *m, PickleKind kind, PickleValue **out)
{
    NODUS_TRY(count_value(m));
    *out = pickle_new(m->pickle, kind);
    return *out ? push(m, *out) : status_memory();
}

static NodusStatus push_integer(Machine *m, PickleKind kind, int64_t integer)
{
    PickleValue *value;
    NODUS_TRY(push_new(m, kind, &value));
    value->integer = integer;
    return NULL;
}

static NodusStatus push_text(Machine *m, const char *text, size_t length)
{
    PickleValue *value;
    NODUS_TRY(push_new(m, PICKLE_TEXT, &value));
    value->text = arena_text_n(m->pickle->arena, text, length);
    value->length = length;
    return value->text ? NULL : status_memory();
}

static NodusStatus pop(Machine *m, PickleValue **out)
{
    if (!m->depth) return pickle_damaged("it takes from an empty stack");
    *out = m->stack[--m->depth];
    return NULL;
}

/* A value that is used, so no mark. */
static NodusStatus pop_value(Machine *m, PickleValue **out)
{
    NODUS_TRY(pop(m, out));
    return (*out)->kind == PICKLE_MARK ? pickle_damaged("it uses a mark as a value") : NULL;
}

/* The index behind the newest mark. */
static NodusStatus find_mark(const Machine *m, size_t *out)
{
    size_t at = m->depth;
    while (at && m->stack[at - 1]->kind != PICKLE_MARK) at--;
    *out = at;
    return at ? NULL : pickle_damaged("it goes back to a mark that is not there");
}

static NodusStatus top_of_kind(const Machine *m, PickleKind kind, PickleValue **out)
{
    if (!m->depth) return pickle_damaged("it takes from an empty stack");
    *out = m->stack[m->depth - 1];
    if ((*out)->kind == kind || (*out)->kind == PICKLE_IGNORED) return NULL;
    return pickle_damaged(kind == PICKLE_DICT ? "it sets an item of no dictionary" : "it adds to no list");
}

/* ---- Containers ----------------------------------------------------------------------------------------------------- */

/* What lies from `first` on becomes the content of a new value, which takes its place; `drop` is 1 where a mark lies below. */
static NodusStatus collect(Machine *m, PickleKind kind, size_t first, size_t drop)
{
    const size_t count = m->depth - first;
    NODUS_TRY(count_value(m));
    PickleValue *value = pickle_new(m->pickle, kind);
    if (!value) return status_memory();
    if (kind == PICKLE_DICT && count % 2) return pickle_damaged("a dictionary has a key without a value");
    for (size_t i = first; i < m->depth; i++) {
        if (m->stack[i]->kind == PICKLE_MARK) return pickle_damaged("it uses a mark as a value");
        if (!pickle_append(m->pickle, value, m->stack[i])) return status_memory();
    }
    m->depth = first - drop;
    return push(m, value);
}

static NodusStatus collect_marked(Machine *m, PickleKind kind)
{
    size_t first;
    NODUS_TRY(find_mark(m, &first));
    return collect(m, kind, first, 1);
}

static NodusStatus collect_newest(Machine *m, size_t count)
{
    return count > m->depth ? pickle_damaged("it takes from an empty stack") : collect(m, PICKLE_LIST, m->depth - count, 0);
}

/* Adds what lies from `first` on to the container below; `drop` as in collect. */
static NodusStatus extend(Machine *m, PickleKind kind, size_t first, size_t drop)
{
    const size_t end = m->depth;
    PickleValue *to = NULL;
    if (kind == PICKLE_DICT && (end - first) % 2) return pickle_damaged("a dictionary has a key without a value");
    m->depth = first - drop;
    NODUS_TRY(top_of_kind(m, kind, &to));
    for (size_t i = first; i < end && to->kind == kind; i++) {
        if (m->stack[i]->kind == PICKLE_MARK) return pickle_damaged("it uses a mark as a value");
        if (!pickle_append(m->pickle, to, m->stack[i])) return status_memory();
    }
    return NULL;
}

static NodusStatus extend_marked(Machine *m, PickleKind kind)
{
    size_t first;
    NODUS_TRY(find_mark(m, &first));
    return extend(m, kind, first, 1);
}

static NodusStatus extend_newest(Machine *m, PickleKind kind, size_t count)
{
    return count >= m->depth ? pickle_damaged("it takes from an empty stack") : extend(m, kind, m->depth - count, 0);
}

/* ---- Memo ----------------------------------------------------------------------------------------------------------- */

static NodusStatus memo_put(Machine *m, uint64_t index)
{
    if (!m->depth) return pickle_damaged("it takes from an empty stack");
    if (index >= VALUE_LIMIT) return nodus_error(NODUS_ERROR_FILE, "its pickle remembers more than %d values", VALUE_LIMIT);
    while (m->memos <= index) {
        if (!memory_reserve((void **)&m->memo, &m->memo_room, m->memos, sizeof *m->memo)) return status_memory();
        m->memo[m->memos++] = NULL;
    }
    m->memo[index] = m->stack[m->depth - 1];
    return NULL;
}

static NodusStatus memo_get(Machine *m, uint64_t index)
{
    return index < m->memos && m->memo[index] ? push(m, m->memo[index]) : pickle_damaged("it gets a value that was never put");
}

/* A decimal line as an index or a value. */
static NodusStatus take_decimal(Machine *m, int64_t *out)
{
    const char *text;
    size_t length;
    char digits[32], *end;
    NODUS_TRY(take_line(m, &text, &length));
    if (length && text[length - 1] == 'L') length--; /* Python 2's long */
    if (!length || length >= sizeof digits) return pickle_damaged("a number has too many digits or none");
    memcpy(digits, text, length);
    digits[length] = '\0';
    errno = 0;
    *out = strtoll(digits, &end, 10);
    return *end || errno ? pickle_damaged("a number has other signs than digits") : NULL;
}

/* ---- Opcodes -------------------------------------------------------------------------------------------------------- */

/* A long of any size; what 64 bits do not hold is no size or count, so it is only kept as something. */
static NodusStatus push_long(Machine *m, int length_bytes)
{
    uint64_t length, value = 0;
    const uint8_t *from = NULL;
    PickleValue *ignored;
    NODUS_TRY(take_number(m, length_bytes, &length));
    NODUS_TRY(take(m, length, &from));
    if (length > 8) return push_new(m, PICKLE_IGNORED, &ignored);
    for (size_t i = 0; i < length; i++) value |= (uint64_t)from[i] << 8 * i;
    if (length && length < 8 && from[length - 1] & 128) value |= ~(uint64_t)0 << 8 * length;
    return push_integer(m, PICKLE_INT, (int64_t)value);
}

static NodusStatus push_float(Machine *m)
{
    const uint8_t *from = NULL;
    uint64_t bits = 0;
    PickleValue *value;
    NODUS_TRY(take(m, 8, &from));
    for (int i = 0; i < 8; i++) bits = bits << 8 | from[i];
    NODUS_TRY(push_new(m, PICKLE_FLOAT, &value));
    memcpy(&value->number, &bits, sizeof bits);
    return NULL;
}

static NodusStatus push_bytes_as_text(Machine *m, int length_bytes)
{
    uint64_t length;
    const uint8_t *from = NULL;
    NODUS_TRY(take_number(m, length_bytes, &length));
    NODUS_TRY(take(m, length, &from));
    return push_text(m, (const char *)from, length);
}

static NodusStatus push_name(Machine *m, const PickleName *name)
{
    PickleValue *value;
    NODUS_TRY(push_new(m, PICKLE_NAME, &value));
    value->name = name;
    return NULL;
}

static NodusStatus named_by_lines(Machine *m)
{
    const char *module, *name;
    size_t module_length, name_length;
    const PickleName *found;
    NODUS_TRY(take_line(m, &module, &module_length));
    NODUS_TRY(take_line(m, &name, &name_length));
    NODUS_TRY(pickle_name_find(module, module_length, name, name_length, &found));
    return push_name(m, found);
}

static NodusStatus named_by_stack(Machine *m)
{
    PickleValue *name, *module;
    const PickleName *found;
    NODUS_TRY(pop_value(m, &name));
    NODUS_TRY(pop_value(m, &module));
    if (name->kind != PICKLE_TEXT || module->kind != PICKLE_TEXT) return pickle_damaged("a name is no text");
    NODUS_TRY(pickle_name_find(module->text, module->length, name->text, name->length, &found));
    return push_name(m, found);
}

/* A function and a tuple become the result. */
static NodusStatus call(Machine *m)
{
    PickleValue *arguments, *function, *result;
    NODUS_TRY(pop_value(m, &arguments));
    NODUS_TRY(pop_value(m, &function));
    if (function->kind != PICKLE_NAME || arguments->kind != PICKLE_LIST) return pickle_damaged("it calls what is no function");
    NODUS_TRY(count_value(m));
    NODUS_TRY(pickle_name_call(m->pickle, function->name, arguments, &result));
    return push(m, result);
}

/* An object's further state: an OrderedDict's attributes, what an ignored thing holds. */
static NodusStatus build(Machine *m)
{
    PickleValue *state, *object;
    NODUS_TRY(pop_value(m, &state));
    if (!m->depth) return pickle_damaged("it takes from an empty stack");
    object = m->stack[m->depth - 1];
    const bool passes = object->kind == PICKLE_DICT || object->kind == PICKLE_IGNORED || object->kind == PICKLE_TENSOR;
    return passes ? NULL : pickle_damaged("it gives state to what has none");
}

static NodusStatus persistent(Machine *m)
{
    PickleValue *id, *storage;
    NODUS_TRY(pop_value(m, &id));
    NODUS_TRY(count_value(m));
    NODUS_TRY(pickle_storage(m->pickle, id, &storage));
    return push(m, storage);
}

static NodusStatus pop_to_mark(Machine *m)
{
    size_t first;
    NODUS_TRY(find_mark(m, &first));
    m->depth = first - 1;
    return NULL;
}

/* `I`: a number, or 00 and 01 for False and True. */
static NodusStatus decimal(Machine *m)
{
    const bool flag =
        m->size - m->at >= 3 && m->data[m->at] == '0' && (m->data[m->at + 1] | 1) == '1' && m->data[m->at + 2] == '\n';
    int64_t value;
    NODUS_TRY(take_decimal(m, &value));
    return push_integer(m, flag ? PICKLE_BOOL : PICKLE_INT, value);
}

static NodusStatus memo_line(Machine *m, bool put)
{
    int64_t index;
    NODUS_TRY(take_decimal(m, &index));
    return put ? memo_put(m, (uint64_t)index) : memo_get(m, (uint64_t)index);
}

static NodusStatus memo_number(Machine *m, int bytes, bool put)
{
    uint64_t index;
    NODUS_TRY(take_number(m, bytes, &index));
    return put ? memo_put(m, index) : memo_get(m, index);
}

static NodusStatus constant(Machine *m, int opcode)
{
    PickleValue *value;
    uint64_t number;
    switch (opcode) {
    case 'N': return push_new(m, PICKLE_NONE, &value);
    case 0x88:
    case 0x89: return push_integer(m, PICKLE_BOOL, opcode == 0x88);
    case 'I': return decimal(m);
    case 'L': return decimal(m);
    case 'K':
    case 'M': NODUS_TRY(take_number(m, opcode == 'K' ? 1 : 2, &number)); return push_integer(m, PICKLE_INT, (int64_t)number);
    case 'J': NODUS_TRY(take_number(m, 4, &number)); return push_integer(m, PICKLE_INT, (int32_t)(uint32_t)number);
    case 0x8a: return push_long(m, 1);
    case 0x8b: return push_long(m, 4);
    case 'G': return push_float(m);
    case 'U':
    case 'C':
    case 0x8c: return push_bytes_as_text(m, 1);
    case 'T':
    case 'X':
    case 'B': return push_bytes_as_text(m, 4);
    case 0x8d:
    case 0x8e: return push_bytes_as_text(m, 8);
    default:
        return nodus_error(NODUS_ERROR_FILE, "its pickle uses the operation 0x%02x, which files of tensors do not need", opcode);
    }
}

static NodusStatus container(Machine *m, int opcode)
{
    PickleValue *value;
    switch (opcode) {
    case '(': return push_new(m, PICKLE_MARK, &value);
    case ')': return collect_newest(m, 0);
    case 0x85:
    case 0x86:
    case 0x87: return collect_newest(m, (size_t)opcode - 0x84);
    case 't':
    case 'l': return collect_marked(m, PICKLE_LIST);
    case ']': return collect_newest(m, 0);
    case '}': return push_new(m, PICKLE_DICT, &value);
    case 'd': return collect_marked(m, PICKLE_DICT);
    case 0x8f: return push_new(m, PICKLE_IGNORED, &value); /* a set */
    case 0x90: return extend_marked(m, PICKLE_LIST);       /* goes into the ignored set */
    case 'a': return extend_newest(m, PICKLE_LIST, 1);
    case 'e': return extend_marked(m, PICKLE_LIST);
    case 's': return extend_newest(m, PICKLE_DICT, 2);
    case 'u': return extend_marked(m, PICKLE_DICT);
    default: return constant(m, opcode);
    }
}

static NodusStatus step(Machine *m, int opcode)
{
    PickleValue *value;
    uint64_t number;
    switch (opcode) {
    case 0x80: return take_number(m, 1, &number); /* protocol */
    case 0x95: return take_number(m, 8, &number); /* length of a frame */
    case 'c': return named_by_lines(m);
    case 0x93: return named_by_stack(m);
    case 'R':
    case 0x81: return call(m);
    case 'b': return build(m);
    case 'Q': return persistent(m);
    case '0': return pop(m, &value);
    case '1': return pop_to_mark(m);
    case '2': return m->depth ? push(m, m->stack[m->depth - 1]) : pickle_damaged("it takes from an empty stack");
    case 'p': return memo_line(m, true);
    case 'g': return memo_line(m, false);
    case 'q': return memo_number(m, 1, true);
    case 'r': return memo_number(m, 4, true);
    case 'h': return memo_number(m, 1, false);
    case 'j': return memo_number(m, 4, false);
    case 0x94: return memo_put(m, m->memos);
    case 'i': /* an instance of the class named here */
        NODUS_TRY(named_by_lines(m));
        return pickle_damaged("it makes an instance in a way that nothing in a file of tensors needs");
    default: return container(m, opcode);
    }
}

static NodusStatus run(Machine *m)
{
    while (m->at < m->size) {
        const int opcode = m->data[m->at++];
        if (opcode == '.') {
            NODUS_TRY(pop_value(m, &m->pickle->root));
            m->pickle->used = m->at;
            return NULL;
        }
        NODUS_TRY(step(m, opcode));
    }
    return pickle_damaged("it ends early");
}

NodusStatus pickle_read(const uint8_t *data, size_t size, Pickle *out)
{
    *out = (Pickle){.arena = arena_new()};
    if (!out->arena) return status_memory();
    Machine m = {.pickle = out, .data = data, .size = size};
    NodusStatus status = run(&m);
    memory_free(m.stack);
    memory_free(m.memo);
    if (status) pickle_free(out);
    return status;
}

void pickle_free(Pickle *pickle)
{
    arena_free(pickle->arena);
    *pickle = (Pickle){0};
}
