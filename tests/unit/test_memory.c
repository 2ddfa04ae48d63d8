/* Checked sizes, alignment, growing arrays, arenas. */
#include "tests/test.h"
#include "engine/base/memory.h"

TEST(overflowing_sizes_give_null)
{
    assert_null(memory_array(SIZE_MAX / 2, 3));
    assert_null(memory_array(SIZE_MAX, 1));
    assert_null(memory_aligned(SIZE_MAX - 8));
    assert_null(memory_alloc(SIZE_MAX));
    char *kept = memory_text("kept");
    assert_null(memory_grow(kept, SIZE_MAX / 2, 4));
    assert_string_equal(kept, "kept");
    memory_free(kept);
}

TEST(new_memory_is_zero_and_empty_memory_is_unique)
{
    unsigned char *bytes = memory_array(1000, 3);
    for (int i = 0; i < 3000; i++) assert_int_equal(bytes[i], 0);
    void *a = memory_alloc(0), *b = memory_alloc(0);
    assert_non_null(a);
    assert_ptr_not_equal(a, b);
    memory_free(a);
    memory_free(b);
    memory_free(bytes);
}

TEST(aligned_memory_starts_at_a_cache_line)
{
    for (size_t bytes = 0; bytes < 300; bytes += 37) {
        unsigned char *memory = memory_aligned(bytes);
        assert_int_equal((uintptr_t)memory % 64, 0);
        memset(memory, 1, bytes);
        memory_free(memory);
    }
}

TEST(reserve_keeps_content_while_growing)
{
    void *items = NULL;
    size_t capacity = 0;
    for (size_t i = 0; i < 1000; i++) {
        assert_true(memory_reserve(&items, &capacity, i, sizeof(int)));
        ((int *)items)[i] = (int)i;
    }
    for (int i = 0; i < 1000; i++) assert_int_equal(((int *)items)[i], i);
    assert_false(memory_reserve(&items, &capacity, SIZE_MAX / 2, 8));
    memory_free(items);
}

TEST(arena_gives_zeroed_aligned_blocks_of_any_size)
{
    Arena *arena = arena_new();
    for (size_t bytes = 0; bytes < 100000; bytes = bytes * 3 + 1) {
        unsigned char *memory = arena_alloc(arena, bytes);
        assert_int_equal((uintptr_t)memory % 16, 0);
        for (size_t i = 0; i < bytes; i++) assert_int_equal(memory[i], 0);
        memset(memory, 255, bytes);
    }
    assert_true(arena_bytes(arena) >= 100000 / 3);
    assert_null(arena_alloc(arena, SIZE_MAX - 4));
    arena_free(arena);
    arena_free(NULL);
}

TEST(arena_texts_are_copies)
{
    Arena *arena = arena_new();
    assert_string_equal(arena_text(arena, "abc"), "abc");
    assert_string_equal(arena_text_n(arena, "abcdef", 3), "abc");
    assert_string_equal(arena_format(arena, "%d-%s", 12, "x"), "12-x");
    assert_null(arena_text(arena, NULL));
    arena_free(arena);
}

TEST_MAIN(CASE(overflowing_sizes_give_null), CASE(new_memory_is_zero_and_empty_memory_is_unique),
          CASE(aligned_memory_starts_at_a_cache_line), CASE(reserve_keeps_content_while_growing),
          CASE(arena_gives_zeroed_aligned_blocks_of_any_size), CASE(arena_texts_are_copies))
