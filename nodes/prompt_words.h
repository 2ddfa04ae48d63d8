/* prompt_words.h: which tokens of a prompt are which words, and which token of one prompt stands for which of another. */
#ifndef NODES_PROMPT_WORDS_H
#define NODES_PROMPT_WORDS_H
#include "engine/base/status.h"
#include <stdint.h>

/* A prompt's chunks of 77 tokens as the text encoder sees them. */
typedef struct PromptWords {
    int32_t *ids;
    int *word;  /* by token: the number of its word, between blanks; −1: start, end, padding */
    int tokens; /* all chunks */
    int words;
    int end; /* behind the last token of a word */
} PromptWords;
/* Prompts that name textual inversions are an error. prompt_words_free, in case of an error too. */
NodusStatus prompt_words(const char *prompt, PromptWords *out);
void prompt_words_free(PromptWords *words);

/* factor[token] *= factor where `phrase`, one or more words, occurs. *found: how often. */
NodusStatus prompt_words_weigh(const PromptWords *words, const char *phrase, size_t length, float factor, float *factors, int *found);

/* Of two prompts of equally many tokens t: map [t, t], rows of the source: how much of the attention to a source's token goes to each of
 * the target; fresh [t]: 1 where the source has none. `refine` false: word for word, and there must be equally many; a word of n tokens
 * gets the attention to its counterpart, 1/n each, if that has not n too. True: tokens that are in both prompts, in the same order, as many
 * as possible; the others are fresh. */
NodusStatus prompt_words_map(const PromptWords *source, const PromptWords *target, bool refine, float *map, float *fresh);
#endif
