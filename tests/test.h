/* test.h: the shape of every unit test: TEST(name) { … } and one TEST_MAIN with the cases. Thin words over cmocka, so that a test reads as
 * a claim. A test program takes no arguments and prints cmocka's report; tests/run counts. */
#ifndef TESTS_TEST_H
#define TESTS_TEST_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <nodus/tensor.h>

#define TEST(name) static void name(__attribute__((unused)) void **state_)
#define CASE(name) cmocka_unit_test(name)
#define TEST_MAIN(...)                                            \
    int main(void)                                                \
    {                                                             \
        const struct CMUnitTest cases[] = {__VA_ARGS__};          \
        return cmocka_run_group_tests(cases, NULL, NULL);         \
    }

/* The status is success; else its message is shown. */
#define assert_ok(expr)                                                                          \
    do {                                                                                         \
        (void)state_;                                                                            \
        NodusStatus status_ = (expr);                                                            \
        if (status_) fail_msg("%s: %s", #expr, nodus_error_message(status_));                    \
    } while (0)
/* The status is an error whose message contains `piece`. */
#define assert_error(expr, piece)                                                                \
    do {                                                                                         \
        (void)state_;                                                                            \
        NodusStatus status_ = (expr);                                                            \
        if (!status_) fail_msg("%s: succeeded, expected an error with \"%s\"", #expr, piece);    \
        if (!strstr(nodus_error_message(status_), piece))                                        \
            fail_msg("%s: \"%s\" does not contain \"%s\"", #expr, nodus_error_message(status_), piece); \
        nodus_error_free(status_);                                                               \
    } while (0)
#define assert_near(got, want, tolerance)                                                        \
    do {                                                                                         \
        (void)state_;                                                                            \
        const double got_ = (got), want_ = (want), tolerance_ = (tolerance);                     \
        if (!(got_ - want_ <= tolerance_ && want_ - got_ <= tolerance_))                         \
            fail_msg("%s is %.9g, expected %.9g ± %g", #got, got_, want_, tolerance_);           \
    } while (0)
#endif
