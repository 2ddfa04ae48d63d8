/* clip_tokenizer.h: CLIP's byte-pair encoding and the prompt grammar, exact (numerics.md §6).
 *
 * One idea: text → weighted segments (parentheses, `embedding:` words) → each segment by itself NFC, lower case, split, BPE → chunks
 * of 77 tokens. The vocabulary comes from the generated merges_table.c. Input is hostile: any bytes. */
#ifndef MODELS_CLIP_TOKENIZER_H
#define MODELS_CLIP_TOKENIZER_H
#include "engine/base/status.h"

enum { CLIP_VOCABULARY = 49408, CLIP_START = 49406, CLIP_END = 49407, CLIP_CHUNK = 77, CLIP_PROMPT_LIMIT = 4 << 20 /* bytes */ };

typedef struct ClipTokenizer ClipTokenizer; /* the vocabulary, hashed; immutable, shared by threads */
NodusStatus clip_tokenizer_new(ClipTokenizer **out);
void clip_tokenizer_free(ClipTokenizer *tokenizer);

/* The tokens of one piece of plain text, without start, end, weights. *ids is freed with memory_free. */
NodusStatus clip_encode(const ClipTokenizer *tokenizer, const char *text, size_t length, int32_t **ids, size_t *count);

/* A tokenised prompt: chunks × 77 ids and weights. `weighted`: some weight is not 1. `length`: tokens of the first chunk up to and
 * including its end token. An id below 0 is vector −1 − id of textual inversions. `embeddings`: names of those that were asked for and not
 * found: they are left out of the ids and the caller warns. */
typedef struct ClipPrompt {
    int chunks;
    int32_t *ids;
    float *weights;
    bool weighted;
    int length;
    char **embeddings;
    int embedding_count;
} ClipPrompt;
/* Who knows textual inversions: the number of the first vector under a name, and how many there are; count 0: there is no such name. */
typedef struct ClipInversions {
    NodusStatus (*find)(void *context, const char *name, int *first, int *count);
    void *context;
} ClipInversions;
/* `pad`: 49407 for CLIP-L, 0 for OpenCLIP. Invalid UTF-8 is replaced by U+FFFD. `inversions` NULL: none is known. */
NodusStatus clip_tokenize(const ClipTokenizer *tokenizer, const char *text, int32_t pad, const ClipInversions *inversions, ClipPrompt *out);
void clip_prompt_free(ClipPrompt *prompt);
#endif
