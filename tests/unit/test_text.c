/* A text that grows, and "did you mean". */
#include "tests/test.h"
#include "engine/base/memory.h"
#include "engine/base/text.h"

TEST(pieces_add_up)
{
    Text text = {0};
    assert_string_equal(text_get(&text), "");
    text_add(&text, "a");
    text_char(&text, 'b');
    text_add_n(&text, "cdef", 2);
    text_format(&text, "%s%d", "-", 42);
    char *taken;
    assert_ok(text_take(&text, &taken));
    assert_string_equal(taken, "abcd-42");
    assert_int_equal(text.length, 0);
    memory_free(taken);
}

TEST(empty_text_can_be_taken)
{
    Text text = {0};
    char *taken;
    assert_ok(text_take(&text, &taken));
    assert_string_equal(taken, "");
    memory_free(taken);
}

TEST(long_texts_stay_whole)
{
    Text text = {0};
    for (int i = 0; i < 10000; i++) text_format(&text, "%05d", i);
    assert_int_equal(text.length, 50000);
    assert_memory_equal(text.data + 5 * 1234, "01234", 5);
    text_free(&text);
}

TEST(failure_sticks_until_taken)
{
    Text text = {0};
    text_add_n(&text, "x", 1);
    text_add_n(&text, "", SIZE_MAX / 2); /* no such length exists: refused before anything is read */
    assert_true(text.failed);
    text_add(&text, "more");
    char *taken;
    assert_error(text_take(&text, &taken), "out of memory");
    assert_false(text.failed);
}

TEST(nearest_finds_slips_and_nothing_else)
{
    const char *const names[] = {"euler", "euler_ancestral", "heun", "dpmpp_2m", "ddim", NULL};
    assert_string_equal(text_nearest("eular", names, 5), "euler");
    assert_string_equal(text_nearest("Heun", names, 5), "heun");
    assert_string_equal(text_nearest("dpmpp2m", names, 5), "dpmpp_2m");
    assert_string_equal(text_nearest("euler_ancestrel", names, 99), "euler_ancestral");
    assert_null(text_nearest("banana", names, 5));
    assert_null(text_nearest("", names, 5));
    char endless[200];
    memset(endless, 'e', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    assert_null(text_nearest(endless, names, 5));
}

TEST_MAIN(CASE(pieces_add_up), CASE(empty_text_can_be_taken), CASE(long_texts_stay_whole), CASE(failure_sticks_until_taken),
          CASE(nearest_finds_slips_and_nothing_else))
