/* fuzz_tokenizer.c: any bytes as a prompt. Whatever it is, the result is whole chunks that begin with the start token. */
#include "engine/base/memory.h"
#include "nodes/models/clip_tokenizer.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) __builtin_trap();
}

static void check_prompt(const ClipPrompt *prompt)
{
    require(prompt->chunks >= 1 && prompt->length >= 2 && prompt->length <= CLIP_CHUNK);
    for (int i = 0; i < prompt->chunks * CLIP_CHUNK; i++) {
        require(prompt->ids[i] >= 0 && prompt->ids[i] < CLIP_VOCABULARY);
        if (i % CLIP_CHUNK == 0) require(prompt->ids[i] == CLIP_START && prompt->weights[i] == 1);
        if (!prompt->weighted) require(prompt->weights[i] == 1);
    }
    for (int i = 0; i < prompt->embedding_count; i++) require(strlen(prompt->embeddings[i]) > 0);
}

static void tokenize(const ClipTokenizer *tokenizer, const char *text, int32_t pad)
{
    ClipPrompt prompt;
    require(!clip_tokenize(tokenizer, text, pad, NULL, &prompt));
    check_prompt(&prompt);
    clip_prompt_free(&prompt);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static ClipTokenizer *tokenizer; /* made once: the vocabulary never changes */
    if (!tokenizer) require(!clip_tokenizer_new(&tokenizer));
    char *text = memory_text_n((const char *)data, size);
    int32_t *ids;
    size_t count;
    tokenize(tokenizer, text, CLIP_END);
    tokenize(tokenizer, text, 0);
    require(!clip_encode(tokenizer, (const char *)data, size, &ids, &count));
    for (size_t i = 0; i < count; i++) require(ids[i] >= 0 && ids[i] < CLIP_VOCABULARY);
    memory_free(ids);
    memory_free(text);
    return 0;
}
