/* prompt_words.c: see prompt_words.h.
 *
 * One idea: byte-pair encoding never joins what a blank parts, so a word encoded by itself has the tokens that it has in its prompt, and
 * walking through both at once tells whose each token is. */
#include "nodes/prompt_words.h"
#include "engine/base/memory.h"
#include "nodes/models/clip_prompt.h"
#include "nodes/models/clip_tokenizer.h"
#include <string.h>

static bool is_text(int32_t id)
{
    return id != CLIP_START && id != CLIP_END;
}

/* The tokens of the next word are the next ones that are text. */
static NodusStatus take_word(PromptWords *words, const ClipTokenizer *tokenizer, const char *text, size_t length)
{
    int32_t *ids;
    size_t count;
    NODUS_TRY(clip_encode(tokenizer, text, length, &ids, &count));
    for (size_t i = 0; i < count; i++) {
        while (words->end < words->tokens && !is_text(words->ids[words->end])) words->end++;
        if (words->end == words->tokens || words->ids[words->end] != ids[i]) {
            memory_free(ids);
            return nodus_error(NODUS_ERROR_INPUT, "cannot tell the tokens of \"%.*s\" in the prompt", (int)length, text);
        }
        words->word[words->end++] = words->words;
    }
    memory_free(ids);
    words->words += count > 0;
    return NULL;
}

static NodusStatus take_segment(PromptWords *words, const ClipTokenizer *tokenizer, const char *text, size_t length)
{
    for (size_t i = 0, blank, start; i < length;) {
        if ((blank = clip_prompt_blank(text + i, length - i))) {
            i += blank;
            continue;
        }
        for (start = i; i < length && !clip_prompt_blank(text + i, length - i);) i++;
        NODUS_TRY(take_word(words, tokenizer, text + start, i - start));
    }
    return NULL;
}

static NodusStatus take_all(PromptWords *words, const ClipTokenizer *tokenizer, const char *prompt)
{
    ClipPrompt tokens = {0};
    ClipSegments segments = {0};
    NodusStatus status = clip_tokenize(tokenizer, prompt, CLIP_END, NULL, &tokens);
    if (!status && tokens.embedding_count)
        status = nodus_error(NODUS_ERROR_INPUT, "textual inversions (embedding:…) have no words to compare");
    if (!status) {
        words->tokens = tokens.chunks * CLIP_CHUNK;
        words->ids = tokens.ids;
        tokens.ids = NULL;
        words->word = memory_array((size_t)words->tokens, sizeof *words->word);
        status = words->word ? clip_prompt_parse(prompt, strlen(prompt), &segments) : status_memory();
    }
    for (int i = 0; i < words->tokens && words->word; i++) words->word[i] = -1;
    for (size_t i = 0; !status && i < segments.count; i++)
        status = take_segment(words, tokenizer, segments.item[i].text, segments.item[i].length);
    clip_segments_free(&segments);
    clip_prompt_free(&tokens);
    return status;
}

NodusStatus prompt_words(const char *prompt, PromptWords *out)
{
    ClipTokenizer *tokenizer;
    *out = (PromptWords){0};
    NODUS_TRY(clip_tokenizer_new(&tokenizer));
    NodusStatus status = take_all(out, tokenizer, prompt);
    clip_tokenizer_free(tokenizer);
    if (!out->words) out->end = 1; /* behind the start */
    return status;
}

void prompt_words_free(PromptWords *words)
{
    memory_free(words->ids);
    memory_free(words->word);
}

/* Is the phrase at token i? The factors of its tokens, as far as it is, are multiplied. It may begin in one chunk and end in the next. */
static bool phrase_at(const PromptWords *words, const int32_t *ids, size_t count, int i, float factor, float *factors)
{
    for (size_t k = 0; k < count; i++) {
        if (i >= words->tokens) return false;
        if (k && !is_text(words->ids[i])) continue;
        if (words->ids[i] != ids[k++]) return false;
        factors[i] *= factor;
    }
    return true;
}

NodusStatus prompt_words_weigh(const PromptWords *words, const char *phrase, size_t length, float factor, float *factors, int *found)
{
    ClipTokenizer *tokenizer;
    int32_t *ids;
    size_t count;
    *found = 0;
    NODUS_TRY(clip_tokenizer_new(&tokenizer));
    NodusStatus status = clip_encode(tokenizer, phrase, length, &ids, &count);
    clip_tokenizer_free(tokenizer);
    if (status) return status;
    for (int i = 0; count && i < words->tokens; i++) {
        if (!phrase_at(words, ids, count, i, 1, factors)) continue;
        phrase_at(words, ids, count, i, factor, factors);
        (*found)++;
    }
    memory_free(ids);
    return NULL;
}

/* ---- Maps ----------------------------------------------------------------------------------------------------------------- */

/* Start tokens stand for start tokens, what lies behind the last word for what lies behind the last word. */
static void map_between(const PromptWords *source, const PromptWords *target, float *map)
{
    const int tokens = target->tokens;
    for (int j = 0; j < tokens; j++) {
        if (target->word[j] >= 0) continue;
        int i = j < target->end ? j : source->end + j - target->end;
        if (i >= tokens) i = tokens - 1;
        map[i * tokens + j] = 1;
    }
}

/* How many tokens word number `word` has, from *first on; what lies between them is no word's. */
static int word_tokens(const PromptWords *words, int word, int *first)
{
    int count = 0;
    for (int i = 0; i < words->tokens; i++)
        if (words->word[i] == word && !count++) *first = i;
    return count;
}

/* The k-th token of the word that begins at `first`. */
static int word_token(const PromptWords *words, int first, int k)
{
    const int word = words->word[first];
    while (k) k -= words->word[++first] == word;
    return first;
}

static void map_words(const PromptWords *source, const PromptWords *target, float *map)
{
    for (int w = 0; w < target->words; w++) {
        int from = 0, to = 0;
        const int old = word_tokens(source, w, &from), now = word_tokens(target, w, &to);
        for (int i = 0; i < old; i++)
            for (int j = 0; j < now; j++)
                if (old != now || i == j)
                    map[word_token(source, from, i) * target->tokens + word_token(target, to, j)] = old == now ? 1 : 1 / (float)now;
    }
}

/* The longest common subsequence: longest[i][j] is its length for the tokens from i and j on. */
static NodusStatus map_common(const PromptWords *source, const PromptWords *target, float *map, float *fresh)
{
    const int t = target->tokens, wide = t + 1;
    int *longest = memory_array((size_t)wide * (size_t)wide, sizeof *longest);
    if (!longest) return status_memory();
#define AT(i_, j_) longest[(i_)*wide + (j_)]
    for (int i = t - 1; i >= 0; i--)
        for (int j = t - 1; j >= 0; j--) {
            const int skip = AT(i + 1, j) > AT(i, j + 1) ? AT(i + 1, j) : AT(i, j + 1);
            const bool same = source->word[i] >= 0 && target->word[j] >= 0 && source->ids[i] == target->ids[j];
            AT(i, j) = same && AT(i + 1, j + 1) + 1 > skip ? AT(i + 1, j + 1) + 1 : skip;
        }
    for (int j = 0; j < t; j++) fresh[j] = target->word[j] >= 0;
    for (int i = 0, j = 0; i < t && j < t;) {
        if (AT(i, j) == AT(i + 1, j)) i++;
        else if (AT(i, j) == AT(i, j + 1)) j++;
        else {
            fresh[j] = 0;
            map[i++ * t + j++] = 1;
        }
    }
#undef AT
    memory_free(longest);
    return NULL;
}

NodusStatus prompt_words_map(const PromptWords *source, const PromptWords *target, bool refine, float *map, float *fresh)
{
    const size_t tokens = (size_t)target->tokens;
    if (source->tokens != target->tokens)
        return nodus_error(NODUS_ERROR_INPUT, "the prompts have %d and %d chunks of %d tokens: make them about equally long",
                           source->tokens / CLIP_CHUNK, target->tokens / CLIP_CHUNK, CLIP_CHUNK);
    if (!refine && source->words != target->words)
        return nodus_error(NODUS_ERROR_INPUT,
                           "to replace words both prompts need equally many: the source has %d, the target %d; or refine", source->words,
                           target->words);
    memset(map, 0, tokens * tokens * sizeof *map);
    memset(fresh, 0, tokens * sizeof *fresh);
    map_between(source, target, map);
    if (refine) return map_common(source, target, map, fresh);
    map_words(source, target, map);
    return NULL;
}
