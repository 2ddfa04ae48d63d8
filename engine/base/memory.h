/* memory.h: allocation. Two ideas: sizes that come from outside are multiplied with a check, and short-lived objects that
 * belong together live in an arena that is freed at once. All return NULL when out of memory. */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void *memory_alloc(size_t bytes);                            /* zeroed; 0 bytes give a unique pointer */
void *memory_array(size_t count, size_t size);               /* zeroed; NULL also when count·size overflows */
void *memory_grow(void *old, size_t count, size_t size);     /* realloc to count·size with the check; old stays on failure */
char *memory_text(const char *text);                         /* a copy; NULL gives NULL */
char *memory_text_n(const char *text, size_t length);
void *memory_aligned(size_t bytes);                          /* 64-byte aligned, content undefined; free with memory_free */
void memory_free(void *memory);

/* Makes room for one more element in a growing array: *items has `count` of `size` bytes and room for *capacity. */
bool memory_reserve(void **items, size_t *capacity, size_t count, size_t size);

/* An arena: many allocations, one free. Not thread-safe. */
typedef struct Arena Arena;
Arena *arena_new(void);
void *arena_alloc(Arena *arena, size_t bytes); /* zeroed, 16-byte aligned */
char *arena_text(Arena *arena, const char *text);
char *arena_text_n(Arena *arena, const char *text, size_t length);
char *arena_format(Arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
void arena_free(Arena *arena); /* NULL is allowed */
size_t arena_bytes(const Arena *arena);
#endif
