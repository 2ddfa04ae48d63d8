/* test_regex.c: patterns against what Python 3.11's re finds in the same texts; errors with their place; and pairs of pattern and text that would
 * take for ever. */
#include "engine/base/memory.h"
#include "nodes/regex.h"
#include "nodes/unicode.h"
#include "tests/test.h"
#include <stdio.h>
#include <stdlib.h>

enum { I = REGEX_IGNORE_CASE, M = REGEX_MULTILINE, S = REGEX_DOTALL, A = REGEX_ASCII, MOST_GROUPS = 16 };

/* The text as code points; free(points). */
static RegexText points_of(const char *text)
{
    const int64_t count = (int64_t)unicode_length(text);
    uint32_t *points = calloc((size_t)count + 1, sizeof *points);
    assert_non_null(points);
    for (int64_t i = 0; i < count; i++) points[i] = unicode_next(&text);
    return (RegexText){points, count, regex_steps(count)};
}

/* All matches: "0-4,2-3 5-6,.": matches with their groups, a dot for one that took no part. */
static NodusStatus find_all(const char *pattern, const char *subject, uint32_t flags, char *out, size_t size)
{
    Regex *regex;
    RegexText text = points_of(subject);
    int64_t group[2 * MOST_GROUPS] = {0}, at = 0;
    bool found = true, advance = false;
    size_t used = 0;
    out[0] = '\0';
    NodusStatus status = regex_new(pattern, flags, &regex);
    if (status) {
        free((void *)(uintptr_t)text.point);
        return status;
    }
    assert_true(regex_groups(regex) < MOST_GROUPS);
    while (!status && !(status = regex_search(regex, &text, at, advance, group, &found)) && found && used < size) {
        for (int g = 0; g <= regex_groups(regex) && used < size; g++) {
            const char *before = g ? "," : used ? " " : "";
            used += (size_t)(group[2 * g] < 0
                                 ? snprintf(out + used, size - used, "%s.", before)
                                 : snprintf(out + used, size - used, "%s%d-%d", before, (int)group[2 * g], (int)group[2 * g + 1]));
        }
        at = group[1];
        advance = group[0] == group[1];
    }
    regex_free(regex);
    free((void *)(uintptr_t)text.point);
    return status;
}

static const struct {
    const char *pattern, *text;
    uint32_t flags;
    const char *want;
} rows[] = {
    {"a", "banana", 0, "1-2 3-4 5-6"},
    {"", "ab", 0, "0-0 1-1 2-2"},
    {"a*", "baac", 0, "0-0 1-3 3-3 4-4"},
    {"(a)|b", "ab", 0, "0-1,0-1 1-2,."},
    {"(a|b)*c", "abac", 0, "0-4,2-3"},
    {"a+?", "aaa", 0, "0-1 1-2 2-3"},
    {"a{2}", "aaaaa", 0, "0-2 2-4"},
    {"a{1,2}?b", "aab", 0, "0-3"},
    {"a{,2}", "aaa", 0, "0-2 2-3 3-3"},
    {"x{a}", "x{a}", 0, "0-4"},
    {"^b", "a\nb", 0, ""},
    {"^b", "a\nb", M, "2-3"},
    {"a$", "a\n", 0, "0-1"},
    {"a$", "a\nb", 0, ""},
    {"a$", "a\nb", M, "0-1"},
    {"a\\Z", "a\n", 0, ""},
    {"\\Aa", "aa", 0, "0-1"},
    {".", "\na", 0, "1-2"},
    {".", "\na", S, "0-1 1-2"},
    {"\\d+", "x٣4¼", 0, "1-3"},
    {"\\d+", "x٣4", A, "2-3"},
    {"\\w+", "é_1-ß", 0, "0-3 4-5"},
    {"\\w+", "é_1", A, "1-3"},
    {"\\s", "a\u00a0b", 0, "1-2"},
    {"\\S+", "a b", 0, "0-1 2-3"},
    {"[^\\W\\d]+", "a1é", 0, "0-1 2-3"},
    {"[]a]+", "]a", 0, "0-2"},
    {"[a-]+", "-a", 0, "0-2"},
    {"[^]]", "],", 0, "1-2"},
    {"[\\x41-C]+", "ABCD", 0, "0-3"},
    {"É", "é", I, "0-1"},
    {"σ", "Σς", I, "0-1 1-2"},
    {"[ſ]", "sS", I, "0-1 1-2"},
    {"K", "k\u212a", I, "0-1 1-2"},
    {"[a-c]+", "ABD", I, "0-2"},
    {"ß", "ẞ", I, "0-1"},
    {"\\bfoo\\b", "foo food foo", 0, "0-3 9-12"},
    {"\\B.", "ab c", 0, "1-2"},
    {"(a)\\1", "aaa", 0, "0-2,0-1"},
    {"(?P<q>[\\'\"]).*?(?P=q)", "say \"hi' \" x", 0, "4-10,4-5"},
    {"(a)(?i:\\1)", "aA", 0, "0-2,0-1"},
    {"a(?=b)", "abac", 0, "0-1"},
    {"a(?!b)", "abac", 0, "2-3"},
    {"(?<=a)b", "abcb", 0, "1-2"},
    {"(?<!a)b", "abcb", 0, "3-4"},
    {"(?<=(a)b)c", "abc", 0, "2-3,0-1"},
    {"(?=(a+))a*b", "aaab", 0, "0-4,0-3"},
    {"(?!(a))b", "b", 0, "0-1,."},
    {"(?>a+)ab", "aaab", 0, ""},
    {"a++ab", "aaab", 0, ""},
    {"a*+b", "aaab", 0, "0-4"},
    {"(?:a|ab)(?:c|bcd)", "abcd", 0, "0-4"},
    {"(<)?a(?(1)>|!)", "<a> a! <a!", 0, "0-3,0-1 4-6,. 8-10,."},
    {"(?:)*", "a", 0, "0-0 1-1"},
    {"(a*)*", "b", 0, "0-0,0-0 1-1,1-1"},
    {"(a*)+", "b", 0, "0-0,0-0 1-1,1-1"},
    {"(a|b|ab)*?c", "abc", 0, "0-3,1-2"},
    {"(?:a?)*?b", "ab", 0, "0-2"},
    {"(?i)a", "A", 0, "0-1"},
    {"(?x) a b # c", "ab", 0, "0-2"},
    {"(?s:.)", "\n", 0, "0-1"},
    {"(?-i:a)", "A", I, ""},
    {"\\.\\(", ".(", 0, "0-2"},
    {"\\u00e9", "é", 0, "0-1"},
    {"\\101", "A", 0, "0-1"},
    {"a(?#note)+", "aa", 0, "0-2"},
    {"()|a", "a", 0, "0-0,0-0 0-1,. 1-1,1-1"},
    {"(a)?b", "b", 0, "0-1,."},
    {"x*", "axb", 0, "0-0 1-2 2-2 3-3"},
};

TEST(patterns_find_what_python_finds)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char got[512];
        assert_ok(find_all(rows[i].pattern, rows[i].text, rows[i].flags, got, sizeof got));
        if (strcmp(got, rows[i].want)) fail_msg("%s in \"%s\": %s, expected %s", rows[i].pattern, rows[i].text, got, rows[i].want);
    }
}

TEST(wrong_patterns_are_named_with_their_place)
{
    static const char *const wrong[][2] = {
        {"a)", "unmatched closing parenthesis at position 1"},
        {"(a", "missing closing parenthesis at position 2"},
        {"a[b", "missing terminating ] for character class at position 3"},
        {"*a", "quantifier does not follow a repeatable item at position 0"},
        {"a|*", "quantifier does not follow a repeatable item at position 2"},
        {"^*", "quantifier does not follow a repeatable item at position 1"},
        {"a**", "quantifier does not follow a repeatable item at position 2"},
        {"a{3,2}", "numbers out of order in {} quantifier at position 5"},
        {"[z-a]", "range out of order in character class at position 3"},
        {"[a-\\d]", "invalid range in character class at position 5"},
        {"\\q", "bad escape at position 0"},
        {"a\\", "bad escape (end of pattern) at position 1"},
        {"\\x4", "incomplete escape at position 0"},
        {"\\1", "reference to non-existent subpattern at position 0"},
        {"(?P=n)", "reference to non-existent subpattern at position 4"},
        {"(?P<n>a)(?P<n>b)", "two named subpatterns have the same name"},
        {"(?P<1>a)", "subpattern name must start with a non-digit at position 4"},
        {"(?P<n", "syntax error in subpattern name (missing terminator?) at position 5"},
        {"(?q)", "unrecognized character after (? or (?- at position 2"},
        {"(?#a", "missing ) after (?# comment at position 4"},
        {"(?(2)a)(b)", "reference to non-existent subpattern at position 2"},
        {"(a)(?(1)b|c|d)", "conditional subpattern contains more than two branches at position 3"},
        {"(?<=a*)b", "lookbehind assertion is not fixed length at position 0"},
        {"(*ACCEPT)", "nothing to repeat at position 1"},
        {"\\K", "bad escape at position 0"},
        {"\\p{L}", "bad escape at position 0"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char got[64];
        assert_error(find_all(wrong[i][0], "aab", 0, got, sizeof got), wrong[i][1]);
    }
}

/* A pattern of `count` times `open`, then `close`. */
static char *nested(const char *open, const char *close, size_t count)
{
    char *pattern = calloc(count, strlen(open) + strlen(close) + 1);
    assert_non_null(pattern);
    char *at = pattern;
    for (size_t i = 0; i < count; i++) at = stpcpy(at, open);
    for (size_t i = 0; i < count; i++) at = stpcpy(at, close);
    return pattern;
}

TEST(deep_and_long_patterns_are_refused)
{
    char got[64], *deep = nested("(", ")", 10000), *nearly = nested("(?:", ")*", 199), *large = nested("a", "", 100001);
    assert_error(find_all(deep, "a", 0, got, sizeof got), "too deeply nested");
    assert_ok(find_all(nearly, "", 0, got, sizeof got));
    assert_string_equal(got, "0-0");
    assert_error(find_all(large, "a", 0, got, sizeof got), "is longer than 100000 characters");
    free(deep);
    free(nearly);
    free(large);
}

/* With `steps` to go, so that the test itself takes no time. */
static NodusStatus search_with(const char *pattern, char letter, size_t count, int64_t steps)
{
    Regex *regex;
    int64_t group[2 * MOST_GROUPS];
    bool found;
    char *subject = calloc(count + 1, 1);
    assert_non_null(subject);
    memset(subject, letter, count);
    RegexText text = points_of(subject);
    NodusStatus status = regex_new(pattern, 0, &regex);
    assert_null(status);
    text.steps = steps;
    status = regex_search(regex, &text, 0, false, group, &found);
    regex_free(regex);
    free((void *)(uintptr_t)text.point);
    free(subject);
    return status;
}

TEST(what_takes_for_ever_ends_with_an_error)
{
    static const char *const slow[] = {"(a+)+[bc]", "(a|a)*[bc]", "(?:a?){40}a{40}[bc]", "(a*)*[bc]", ".*.*.*.*.*[bc]", "(?=(a+)+[bc])", "(?:(?:a*)*)*?[bc]"};
    for (size_t i = 0; i < sizeof slow / sizeof slow[0]; i++)
        assert_error(search_with(slow[i], 'a', 300, 1000000), "takes too long on this text");
    assert_ok(search_with("a*b", 'a', 1000, 1000000));
}

TEST(memory_for_ways_to_go_back_has_a_limit)
{
    assert_error(search_with("(?:a|b)*c", 'a', 5000000, INT64_MAX), "takes too long on this text");
}

TEST_MAIN(CASE(patterns_find_what_python_finds), CASE(wrong_patterns_are_named_with_their_place), CASE(deep_and_long_patterns_are_refused),
          CASE(what_takes_for_ever_ends_with_an_error), CASE(memory_for_ways_to_go_back_has_a_limit))
