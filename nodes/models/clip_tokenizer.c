/* clip_tokenizer.c: a prompt → chunks of 77 tokens with their weights (numerics.md §6).
 *
 * One idea: each segment of the prompt becomes groups of tokens, and groups fill chunks from left to right. A group of fewer than
 * 8 tokens is never torn; a longer one is cut where the chunk ends. Words "embedding:NAME" are taken out: a textual inversion
 * stands for tokens. */
#include "nodes/models/clip_tokenizer.h"
#include "nodes/models/clip_prompt.h"
#include "engine/base/memory.h"
#include <string.h>

enum { LONG_GROUP = 8 };

typedef struct Chunks {
    const ClipTokenizer *tokenizer;
    int32_t pad;
    const ClipInversions *inversions;
    size_t slots, ids_room, weights_room; /* of ids and weights: 77 a chunk */
    size_t used;                          /* slots of the last chunk */
    size_t names, names_room;
    ClipPrompt *out;
} Chunks;

/* ---- Chunks -------------------------------------------------------------------------------------------------------- */

static NodusStatus chunk_open(Chunks *c)
{
    ClipPrompt *out = c->out;
    for (int i = 0; i < CLIP_CHUNK; i++, c->slots++) {
        if (!memory_reserve((void **)&out->ids, &c->ids_room, c->slots, sizeof *out->ids) ||
            !memory_reserve((void **)&out->weights, &c->weights_room, c->slots, sizeof *out->weights))
            return status_memory();
        out->ids[c->slots] = i ? c->pad : CLIP_START;
        out->weights[c->slots] = 1;
    }
    c->used = 1;
    out->chunks++;
    return NULL;
}

/* The end token; the pads are there already. */
static void chunk_close(Chunks *c)
{
    c->out->ids[c->slots - CLIP_CHUNK + c->used] = CLIP_END;
}

static void chunk_put(Chunks *c, const int32_t *ids, size_t count, double weight)
{
    const size_t at = c->slots - CLIP_CHUNK + c->used;
    for (size_t i = 0; i < count; i++) {
        c->out->ids[at + i] = ids[i];
        c->out->weights[at + i] = (float)weight;
    }
    c->used += count;
}

static NodusStatus chunks_add_group(Chunks *c, const int32_t *ids, size_t count, double weight)
{
    const bool whole = count < LONG_GROUP;
    if (count && weight != 1.0) c->out->weighted = true;
    while (count) {
        const size_t room = CLIP_CHUNK - 1 - c->used;
        const size_t now = count <= room ? count : whole ? 0 : room;
        chunk_put(c, ids, now, weight);
        ids += now;
        count -= now;
        if (!count) break;
        chunk_close(c);
        NODUS_TRY(chunk_open(c));
    }
    return NULL;
}

/* ---- Words --------------------------------------------------------------------------------------------------------- */

static const char EMBEDDING[] = "embedding:";
enum { EMBEDDING_LENGTH = sizeof EMBEDDING - 1 };

static NodusStatus add_text(Chunks *c, const char *text, size_t length, double weight)
{
    int32_t *ids;
    size_t count;
    NODUS_TRY(clip_encode(c->tokenizer, text, length, &ids, &count));
    NodusStatus status = chunks_add_group(c, ids, count, weight);
    memory_free(ids);
    return status;
}

static NodusStatus add_missing(Chunks *c, const char *name)
{
    ClipPrompt *out = c->out;
    if (!memory_reserve((void **)&out->embeddings, &c->names_room, c->names, sizeof *out->embeddings)) return status_memory();
    if (!(out->embeddings[c->names] = memory_text(name))) return status_memory();
    out->embedding_count = (int)++c->names;
    return NULL;
}

static NodusStatus add_vectors(Chunks *c, int first, int count, double weight)
{
    int32_t *ids = memory_array((size_t)count, sizeof *ids);
    if (!ids) return status_memory();
    for (int i = 0; i < count; i++) ids[i] = -1 - (first + i);
    NodusStatus status = chunks_add_group(c, ids, (size_t)count, weight);
    memory_free(ids);
    return status;
}

/* The vectors under a name, which may end in commas: if nobody has it so, they are text. Leaves the length of the name. */
static NodusStatus add_name(Chunks *c, char *name, size_t *length, double weight)
{
    const ClipInversions *known = c->inversions;
    int first = 0, count = 0;
    size_t bare = *length;
    while (bare && name[bare - 1] == ',') bare--;
    if (known && *length) NODUS_TRY(known->find(known->context, name, &first, &count));
    if (!count) {
        *length = bare;
        const bool had = name[bare] != '\0';
        name[bare] = '\0';
        if (had && known && bare) NODUS_TRY(known->find(known->context, name, &first, &count));
    }
    if (count) return add_vectors(c, first, count, weight);
    return bare ? add_missing(c, name) : NULL;
}

/* "embedding:" itself is behind us: the name goes to the next blank; what follows is text. */
static NodusStatus add_embedding(Chunks *c, const char *text, size_t length, double weight)
{
    for (size_t n; (n = clip_prompt_blank(text, length)) != 0; length -= n) text += n;
    size_t end = 0;
    while (end < length && !clip_prompt_blank(text + end, length - end)) end++;
    char *name = memory_text_n(text, end);
    if (!name) return status_memory();
    NodusStatus status = add_name(c, name, &end, weight);
    memory_free(name);
    return status ? status : add_text(c, text + end, length - end, weight);
}

/* The end of the word at `text`: a blank or line feed with "embedding:" behind it, or the end. */
static size_t word_length(const char *text, size_t length)
{
    for (size_t i = 0; i + EMBEDDING_LENGTH < length; i++)
        if ((text[i] == ' ' || text[i] == '\n') && !memcmp(text + i + 1, EMBEDDING, EMBEDDING_LENGTH)) return i;
    return length;
}

static NodusStatus add_segment(Chunks *c, const ClipSegment *segment)
{
    const char *text = segment->text, *end = text + segment->length;
    while (text < end) {
        const size_t length = word_length(text, (size_t)(end - text));
        if (length >= EMBEDDING_LENGTH && !memcmp(text, EMBEDDING, EMBEDDING_LENGTH))
            NODUS_TRY(add_embedding(c, text + EMBEDDING_LENGTH, length - EMBEDDING_LENGTH, segment->weight));
        else if (length) NODUS_TRY(add_text(c, text, length, segment->weight));
        text += length + 1;
    }
    return NULL;
}

/* ---- The whole ------------------------------------------------------------------------------------------------------ */

static NodusStatus tokenize(Chunks *c, const char *text, size_t length)
{
    ClipSegments segments;
    NODUS_TRY(chunk_open(c));
    NodusStatus status = clip_prompt_parse(text, length, &segments);
    for (size_t i = 0; !status && i < segments.count; i++) status = add_segment(c, &segments.item[i]);
    clip_segments_free(&segments);
    if (status) return status;
    chunk_close(c);
    while (c->out->ids[c->out->length++] != CLIP_END) continue; /* a literal end token of the prompt counts */
    return NULL;
}

NodusStatus clip_tokenize(const ClipTokenizer *tokenizer, const char *text, int32_t pad, const ClipInversions *inversions, ClipPrompt *out)
{
    *out = (ClipPrompt){0};
    const size_t length = strlen(text);
    if (length > CLIP_PROMPT_LIMIT)
        return nodus_error(NODUS_ERROR_INPUT, "a prompt of %zu bytes: it may have %d", length, CLIP_PROMPT_LIMIT);
    Chunks chunks = {.tokenizer = tokenizer, .pad = pad, .inversions = inversions, .out = out};
    NodusStatus status = tokenize(&chunks, text, length);
    if (status) clip_prompt_free(out);
    return status;
}

void clip_prompt_free(ClipPrompt *prompt)
{
    for (int i = 0; i < prompt->embedding_count; i++) memory_free(prompt->embeddings[i]);
    memory_free(prompt->embeddings);
    memory_free(prompt->ids);
    memory_free(prompt->weights);
    *prompt = (ClipPrompt){0};
}
