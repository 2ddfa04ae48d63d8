/* memory.c: allocation with checked sizes, and arenas.
 *
 * One idea: no size is multiplied or added here without a check, so that a count from a file becomes NULL instead of a small
 * block. An arena is a list of blocks; each is twice as large as the one before, up to a limit, and all go at once. */
#include "engine/base/memory.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64, ARENA_ALIGNMENT = 16, ARENA_FIRST = 1 << 12, ARENA_LAST = 1 << 18 };

void *memory_alloc(size_t bytes)
{
    return memory_array(bytes ? bytes : 1, 1);
}

void *memory_array(size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > PTRDIFF_MAX) return NULL;
    return calloc(bytes ? bytes : 1, 1);
}

void *memory_grow(void *old, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > PTRDIFF_MAX) return NULL;
    return realloc(old, bytes ? bytes : 1);
}

char *memory_text(const char *text)
{
    return text ? memory_text_n(text, strlen(text)) : NULL;
}

char *memory_text_n(const char *text, size_t length)
{
    char *copy = length < PTRDIFF_MAX ? malloc(length + 1) : NULL;
    if (!copy) return NULL;
    if (length) memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}

void *memory_aligned(size_t bytes)
{
    if (bytes > PTRDIFF_MAX - ALIGNMENT) return NULL;
    const size_t whole = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return aligned_alloc(ALIGNMENT, whole ? whole : ALIGNMENT);
}

void memory_free(void *memory)
{
    free(memory);
}

bool memory_reserve(void **items, size_t *capacity, size_t count, size_t size)
{
    if (count < *capacity) return true;
    if (count > PTRDIFF_MAX / 2) return false;
    const size_t wanted = count < 4 ? 8 : count * 2;
    void *grown = memory_grow(*items, wanted, size);
    if (!grown) return false;
    *items = grown;
    *capacity = wanted;
    return true;
}

typedef struct Block {
    struct Block *next;
    size_t used, size;
    _Alignas(ARENA_ALIGNMENT) unsigned char data[];
} Block;

struct Arena {
    Block *block; /* the newest first */
    size_t bytes;
};

Arena *arena_new(void)
{
    return memory_alloc(sizeof(Arena));
}

static bool arena_add_block(Arena *arena, size_t least)
{
    size_t size = arena->block ? arena->block->size * 2 : ARENA_FIRST;
    if (size > ARENA_LAST) size = ARENA_LAST;
    if (size < least) size = least;
    Block *block = malloc(sizeof *block + size);
    if (!block) return false;
    *block = (Block){.next = arena->block, .size = size};
    arena->block = block;
    arena->bytes += sizeof *block + size;
    return true;
}

void *arena_alloc(Arena *arena, size_t bytes)
{
    if (bytes > PTRDIFF_MAX / 2) return NULL;
    const size_t whole = (bytes + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
    if (!arena->block || arena->block->size - arena->block->used < whole)
        if (!arena_add_block(arena, whole)) return NULL;
    void *memory = arena->block->data + arena->block->used;
    arena->block->used += whole;
    return memset(memory, 0, whole);
}

char *arena_text(Arena *arena, const char *text)
{
    return text ? arena_text_n(arena, text, strlen(text)) : NULL;
}

char *arena_text_n(Arena *arena, const char *text, size_t length)
{
    char *copy = length < PTRDIFF_MAX ? arena_alloc(arena, length + 1) : NULL;
    if (copy && length) memcpy(copy, text, length);
    return copy;
}

char *arena_format(Arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = length < 0 ? NULL : arena_alloc(arena, (size_t)length + 1);
    if (!text) return NULL;
    va_start(args, format);
    vsnprintf(text, (size_t)length + 1, format, args);
    va_end(args);
    return text;
}

void arena_free(Arena *arena)
{
    if (!arena) return;
    for (Block *block = arena->block, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    free(arena);
}

size_t arena_bytes(const Arena *arena)
{
    return arena->bytes;
}
