/* clip_bpe.c: a piece of plain text → token ids: CLIP's split into words, then byte-pair encoding (numerics.md §6).
 *
 * One idea: a token is an id and nothing else. Bytes are ids 0–255, the same at the end of a word 256–511, and row i of the
 * merges table makes token 512 + i of two ids; so no strings are compared, and the row is the rank. The symbols of a word are a
 * linked list, its possible merges a heap by (row, position): n log n for any word. After Sennrich et al. 2016, Radford et al.
 * 2021. */
#include "nodes/models/clip_points.h"
#include "nodes/models/clip_tokenizer.h"
#include "nodes/models/merges_table.h"
#include "engine/base/memory.h"
#include <string.h>
#include <utf8proc.h>

enum { SLOT_BITS = 17, SLOTS = 1 << SLOT_BITS, WORD_END = 256, NO_ROW = MERGES_COUNT };

struct ClipTokenizer {
    uint16_t byte_token[256];
    uint16_t slot[SLOTS]; /* open addressing over pairs: row + 1; 0 = empty */
};

typedef struct Symbol {
    int32_t token, before, after;
} Symbol; /* token −1: merged into the one before */

/* The state of one clip_encode; all buffers are reused from word to word. */
typedef struct Encoder {
    const ClipTokenizer *tokenizer;
    ClipPoints points;
    uint8_t *bytes;
    Symbol *symbol;
    uint64_t *heap; /* row << 32 | position */
    size_t room, heap_count;
    int32_t *ids;
    size_t count, capacity;
} Encoder;

/* ---- The vocabulary ------------------------------------------------------------------------------------------------ */

static uint32_t slot_of(uint32_t left, uint32_t right)
{
    return ((left << 16 | right) * UINT32_C(0x9E3779B1)) >> (32 - SLOT_BITS);
}

/* The row that merges two tokens, or NO_ROW. */
static uint32_t merge_row(const ClipTokenizer *tokenizer, int32_t left, int32_t right)
{
    for (uint32_t i = slot_of((uint32_t)left, (uint32_t)right);; i = (i + 1) % SLOTS) {
        if (!tokenizer->slot[i]) return NO_ROW;
        const uint16_t *pair = merges_table[tokenizer->slot[i] - 1];
        if (pair[0] == left && pair[1] == right) return tokenizer->slot[i] - 1u;
    }
}

/* Bytes that print in Latin-1 come first in the vocabulary, the others follow. */
static void number_bytes(uint16_t token[256])
{
    uint16_t next = 0;
    for (int others = 0; others < 2; others++)
        for (int byte = 0; byte < 256; byte++) {
            const bool prints = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
            if (prints == !others) token[byte] = next++;
        }
}

NodusStatus clip_tokenizer_new(ClipTokenizer **out)
{
    ClipTokenizer *tokenizer = memory_alloc(sizeof *tokenizer);
    if (!tokenizer) return status_memory();
    number_bytes(tokenizer->byte_token);
    for (uint32_t row = 0; row < MERGES_COUNT; row++) {
        uint32_t i = slot_of(merges_table[row][0], merges_table[row][1]);
        while (tokenizer->slot[i]) i = (i + 1) % SLOTS;
        tokenizer->slot[i] = (uint16_t)(row + 1);
    }
    *out = tokenizer;
    return NULL;
}

void clip_tokenizer_free(ClipTokenizer *tokenizer)
{
    memory_free(tokenizer);
}

/* ---- Byte pairs ---------------------------------------------------------------------------------------------------- */

static void heap_push(Encoder *e, uint64_t entry)
{
    size_t i = e->heap_count++;
    for (; i && e->heap[(i - 1) / 2] > entry; i = (i - 1) / 2) e->heap[i] = e->heap[(i - 1) / 2];
    e->heap[i] = entry;
}

static uint64_t heap_pop(Encoder *e)
{
    const uint64_t top = e->heap[0], last = e->heap[--e->heap_count];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < e->heap_count; i = child) {
        if (child + 1 < e->heap_count && e->heap[child + 1] < e->heap[child]) child++;
        if (e->heap[child] >= last) break;
        e->heap[i] = e->heap[child];
    }
    e->heap[i] = last;
    return top;
}

static uint32_t row_at(const Encoder *e, int32_t at)
{
    const Symbol *s = e->symbol;
    return at < 0 || s[at].token < 0 || s[at].after < 0 ? NO_ROW : merge_row(e->tokenizer, s[at].token, s[s[at].after].token);
}

static void consider(Encoder *e, int32_t at)
{
    const uint32_t row = row_at(e, at);
    if (row != NO_ROW) heap_push(e, (uint64_t)row << 32 | (uint32_t)at);
}

/* The least row first, of equal ones the leftmost. An entry whose pair has gone since is skipped. */
static void merge_all(Encoder *e)
{
    while (e->heap_count) {
        const uint64_t entry = heap_pop(e);
        const uint32_t row = (uint32_t)(entry >> 32);
        const int32_t at = (int32_t)(uint32_t)entry;
        if (row_at(e, at) != row) continue;
        Symbol *left = &e->symbol[at], *right = &e->symbol[left->after];
        left->token = (int32_t)(MERGES_FIRST_TOKEN + row);
        left->after = right->after;
        right->token = -1;
        if (left->after >= 0) e->symbol[left->after].before = at;
        consider(e, left->before);
        consider(e, at);
    }
}

static NodusStatus encoder_push(Encoder *e, int32_t id)
{
    if (!memory_reserve((void **)&e->ids, &e->capacity, e->count, sizeof *e->ids)) return status_memory();
    e->ids[e->count++] = id;
    return NULL;
}

/* Room for a word of n bytes. Each merge offers at most two new pairs, so 3n entries are enough for the heap. */
static NodusStatus encoder_room(Encoder *e, size_t n)
{
    if (n <= e->room) return NULL;
    uint8_t *bytes = memory_grow(e->bytes, n, sizeof *bytes);
    if (bytes) e->bytes = bytes;
    Symbol *symbol = memory_grow(e->symbol, n, sizeof *symbol);
    if (symbol) e->symbol = symbol;
    uint64_t *heap = memory_grow(e->heap, 3 * n, sizeof *heap);
    if (heap) e->heap = heap;
    if (!bytes || !symbol || !heap) return status_memory();
    e->room = n;
    return NULL;
}

static NodusStatus encode_word(Encoder *e, size_t begin, size_t end)
{
    NODUS_TRY(encoder_room(e, (end - begin) * 4));
    int32_t count = 0;
    for (size_t i = begin; i < end; i++) count += (int32_t)utf8proc_encode_char(e->points.point[i], e->bytes + count);
    for (int32_t i = 0; i < count; i++)
        e->symbol[i] = (Symbol){e->tokenizer->byte_token[e->bytes[i]], i - 1, i + 1 < count ? i + 1 : -1};
    e->symbol[count - 1].token += WORD_END;
    for (int32_t i = 0; i < count; i++) consider(e, i);
    merge_all(e);
    for (int32_t i = 0; i >= 0; i = e->symbol[i].after) NODUS_TRY(encoder_push(e, e->symbol[i].token));
    return NULL;
}

/* ---- Words --------------------------------------------------------------------------------------------------------- */

typedef enum Kind { KIND_SPACE, KIND_LETTER, KIND_NUMBER, KIND_OTHER } Kind;
static Kind kind_of(int32_t point)
{
    if (clip_points_space(point)) return KIND_SPACE;
    const utf8proc_category_t category = utf8proc_category(point);
    if (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO) return KIND_LETTER;
    return category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO ? KIND_NUMBER : KIND_OTHER;
}

/* Whether the points from `at` spell an ASCII text; then its length. */
static size_t spells(const ClipPoints *points, size_t at, const char *text)
{
    const size_t length = strlen(text);
    if (length > points->count - at) return 0;
    for (size_t i = 0; i < length; i++)
        if (points->point[at + i] != text[i]) return 0;
    return length;
}

static size_t contraction(const ClipPoints *points, size_t at)
{
    static const char *const endings[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
    size_t length = 0;
    for (size_t i = 0; i < sizeof endings / sizeof *endings && !length; i++) length = spells(points, at, endings[i]);
    return length;
}

/* A contraction, a run of letters, one number character, or a run of anything else. */
static size_t word_end(const ClipPoints *points, size_t at)
{
    const size_t short_form = contraction(points, at);
    if (short_form) return at + short_form;
    const Kind kind = kind_of(points->point[at]);
    size_t end = at + 1;
    while (kind != KIND_NUMBER && end < points->count && kind_of(points->point[end]) == kind) end++;
    return end;
}

/* Text without special tokens. One in capitals is a special token to the first of CLIP's two splits and none to the second: it
 * ends up as three words, which touch nothing behind them. */
static NodusStatus encode_plain(Encoder *e, const char *text, size_t length)
{
    e->points.count = 0;
    NODUS_TRY(clip_points_read(&e->points, text, length));
    for (size_t at = 0; at < e->points.count;) {
        size_t special = spells(&e->points, at, "<|startoftext|>");
        if (!special) special = spells(&e->points, at, "<|endoftext|>");
        const size_t end = special ? at + special : word_end(&e->points, at);
        if (special) {
            NODUS_TRY(encode_word(e, at, at + 2));
            NODUS_TRY(encode_word(e, at + 2, end - 2));
            NODUS_TRY(encode_word(e, end - 2, end));
        } else if (kind_of(e->points.point[at]) != KIND_SPACE) {
            NODUS_TRY(encode_word(e, at, end));
        }
        at = end;
    }
    return NULL;
}

/* The first literal special token: its offset, or `length`; `which` becomes its id, `size` its length. */
static size_t find_special(const char *text, size_t length, int32_t *which, size_t *size)
{
    static const struct {
        const char *text;
        size_t length;
        int32_t id;
    } special[] = {{"<|startoftext|>", 15, CLIP_START}, {"<|endoftext|>", 13, CLIP_END}};
    *size = 0;
    for (size_t at = 0; at < length; at++) {
        const char *mark = memchr(text + at, '<', length - at);
        if (!mark) break;
        at = (size_t)(mark - text);
        for (int i = 0; i < 2; i++)
            if (special[i].length <= length - at && !memcmp(mark, special[i].text, special[i].length)) {
                *which = special[i].id;
                *size = special[i].length;
                return at;
            }
    }
    return length;
}

/* The literal special tokens cut the text before anything else happens to it. */
static NodusStatus encode_text(Encoder *e, const char *text, size_t length)
{
    while (length) {
        int32_t id = 0;
        size_t size;
        const size_t at = find_special(text, length, &id, &size);
        NODUS_TRY(encode_plain(e, text, at));
        if (size) NODUS_TRY(encoder_push(e, id));
        text += at + size;
        length -= at + size;
    }
    return NULL;
}

NodusStatus clip_encode(const ClipTokenizer *tokenizer, const char *text, size_t length, int32_t **ids, size_t *count)
{
    if (length > CLIP_PROMPT_LIMIT)
        return nodus_error(NODUS_ERROR_INPUT, "a text of %zu bytes: a prompt may have %d", length, CLIP_PROMPT_LIMIT);
    Encoder e = {.tokenizer = tokenizer};
    NodusStatus status = encode_text(&e, text, length);
    if (!status && !e.ids && !(e.ids = memory_alloc(sizeof *e.ids))) status = status_memory();
    clip_points_free(&e.points);
    memory_free(e.bytes);
    memory_free(e.symbol);
    memory_free(e.heap);
    if (status) {
        memory_free(e.ids);
        return status;
    }
    *ids = e.ids;
    *count = e.count;
    return NULL;
}
