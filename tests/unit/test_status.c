/* Errors as values: kinds, messages, prefixes, the static out-of-memory error. */
#include "tests/test.h"
#include "engine/base/status.h"
#include <stdio.h>

TEST(error_keeps_kind_and_message)
{
    NodusStatus status = nodus_error(NODUS_ERROR_FILE, "'%s' has %d bytes", "a.png", 7);
    assert_int_equal(nodus_error_kind(status), NODUS_ERROR_FILE);
    assert_string_equal(nodus_error_message(status), "'a.png' has 7 bytes");
    assert_null(nodus_error_input(status));
    nodus_error_free(status);
}

TEST(prefixes_stack_in_front)
{
    NodusStatus status = nodus_error(NODUS_ERROR_INPUT, "wrong");
    assert_ptr_equal(nodus_error_prefix(status, "inner %d", 1), status);
    assert_ptr_equal(nodus_error_prefix(status, "outer"), status);
    assert_string_equal(nodus_error_message(status), "outer: inner 1: wrong");
    assert_int_equal(nodus_error_kind(status), NODUS_ERROR_INPUT);
    nodus_error_free(status);
}

TEST(out_of_memory_is_static_and_never_changes)
{
    NodusStatus status = status_memory();
    char before[200];
    snprintf(before, sizeof before, "%s", nodus_error_message(status));
    assert_ptr_equal(nodus_error_prefix(status, "outer"), status);
    assert_ptr_equal(status_blame(status, "image"), status);
    assert_string_equal(nodus_error_message(status), before);
    assert_null(nodus_error_input(status));
    nodus_error_free(status);
    assert_int_equal(nodus_error_kind(status), NODUS_ERROR_MEMORY);
}

TEST(first_blame_stays)
{
    NodusStatus status = status_input("width", "must be a multiple of %d", 8);
    status_blame(status, "height");
    assert_string_equal(nodus_error_input(status), "width");
    assert_string_equal(nodus_error_message(status), "must be a multiple of 8");
    nodus_error_free(status);
}

TEST(control_characters_do_not_reach_a_terminal)
{
    NodusStatus status = nodus_error(NODUS_ERROR_FILE, "name '%s'", "\x1b[31mred\x7f");
    nodus_error_prefix(status, "%s", "\a\nnext line");
    assert_string_equal(nodus_error_message(status), "?\nnext line: name '?[31mred?'");
    nodus_error_free(status);
}

TEST(freeing_null_is_allowed)
{
    nodus_error_free(NULL);
}

TEST_MAIN(CASE(error_keeps_kind_and_message), CASE(prefixes_stack_in_front), CASE(out_of_memory_is_static_and_never_changes),
          CASE(first_blame_stays), CASE(control_characters_do_not_reach_a_terminal), CASE(freeing_null_is_allowed))
