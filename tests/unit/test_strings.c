/* test_strings.c: text nodes against Python's str and re.sub; wrong inputs by name. */
#include "tests/support_pixels.h"
#include "tests/test.h"
#include <stdio.h>
#include <stdlib.h>

/* What PreviewAny shows of node "9", as JSON text. */
static void shows(const char *nodes, const char *text)
{
    char json[4096], want[1024];
    snprintf(json, sizeof json, "{%s, %s}", nodes, NODE("S", "PreviewAny", LINK("source", "9")));
    if (lab_run(&pixels_lab, json) != NODUS_SUCCESS) fail_msg("%s: %s", nodes, pixels_lab.error);
    snprintf(want, sizeof want, "{\"text\": [\"%s\"]}", text);
    if (!strstr(pixels_lab.ui, want)) fail_msg("%s shows %s, expected %s", nodes, pixels_lab.ui, want);
}

/* ---- Joining and cutting ------------------------------------------------------------------------------------------- */

TEST(two_texts_are_joined_with_what_stands_between)
{
    (void)state_;
    shows(NODE("9", "StringConcatenate", "\"string_a\": \"a\", \"string_b\": \"b\", \"delimiter\": \", \""), "a, b");
    shows(NODE("9", "StringConcatenate", "\"string_a\": \"\", \"string_b\": \"\", \"delimiter\": \"\""), "");
}

TEST(a_text_that_doubles_again_and_again_has_an_end)
{
    (void)state_;
    char json[8192];
    size_t used = (size_t)snprintf(json, sizeof json, "%s", NODE("n0", "StringConcatenate", "\"string_a\": \"0123456789\", \"string_b\": \"\", \"delimiter\": \"\""));
    for (int i = 1; i < 40; i++)
        used += (size_t)snprintf(json + used, sizeof json - used,
                                 ", \"%s%d\": {\"class_type\": \"StringConcatenate\", \"inputs\": {\"string_a\": [\"n%d\", 0], \"string_b\": [\"n%d\", 0], \"delimiter\": \"\"}}",
                                 i == 39 ? "" : "n", i == 39 ? 9 : i, i - 1, i - 1);
    pixels_fails(json, "the text would be longer than 64 MB");
}

#define SUBSTRING(text_, start_, end_) NODE("9", "StringSubstring", "\"string\": \"" text_ "\", \"start\": " start_ ", \"end\": " end_)

TEST(positions_count_characters_from_either_end)
{
    (void)state_;
    shows(SUBSTRING("aé漢😀z", "1", "4"), "é漢😀");
    shows(SUBSTRING("aé漢😀z", "-3", "-1"), "漢😀");
    shows(SUBSTRING("abc", "0", "99"), "abc");
    shows(SUBSTRING("abc", "-99", "2"), "ab");
    shows(SUBSTRING("abc", "2", "1"), "");
    shows(SUBSTRING("abc", "-9223372036854775808", "9223372036854775807"), "abc");
    shows(SUBSTRING("", "0", "0"), "");
}

TEST(a_length_counts_code_points)
{
    (void)state_;
    shows(NODE("9", "StringLength", "\"string\": \"aé漢😀\""), "4");
    shows(NODE("9", "StringLength", "\"string\": \"e\\u0301\""), "2");
    shows(NODE("9", "StringLength", "\"string\": \"\""), "0");
}

/* ---- Case, blanks, replacing --------------------------------------------------------------------------------------- */

#define CASED(text_, mode_) NODE("9", "CaseConverter", "\"string\": \"" text_ "\", \"mode\": \"" mode_ "\"")

TEST(letters_change_case_as_in_python)
{
    (void)state_;
    shows(CASED("straße, \ufb01n, \u0149 \u0390 \u1fb3", "UPPERCASE"), "STRASSE, FIN, \u02bcN \u0399\u0308\u0301 \u0391\u0399");
    shows(CASED("İSTANBUL ΣΟΦΟΣ, ΑΣ.", "lowercase"), "i̇stanbul σοφος, ας.");
    shows(CASED("Σ ΣΑ ΑΣΑ Α'Σ Α.ΣΑ", "lowercase"), "σ σα ασα α'ς α.σα");
    shows(CASED("éCOLE ÉTÉ", "Capitalize"), "École été");
    shows(CASED("ǆ ß ﬃ", "Capitalize"), "ǅ ß ﬃ");
    shows(CASED("a QUIET morning, they're 2nd", "Title Case"), "A Quiet Morning, They'Re 2Nd");
    shows(CASED("ßa ﬃ ǆx ᾳ ªb", "Title Case"), "Ssa Ffi ǅx ᾼ ªb");
}

#define TRIM(text_, mode_) NODE("9", "StringTrim", "\"string\": \"" text_ "\", \"mode\": \"" mode_ "\"")

TEST(blanks_of_all_kinds_are_trimmed)
{
    (void)state_;
    shows(TRIM(" \\t\\n\\u00a0a b\\u3000\\u2003", "Both"), "a b");
    shows(TRIM("  a  ", "Left"), "a  ");
    shows(TRIM("  a  ", "Right"), "  a");
    shows(TRIM(" \\n ", "Both"), "");
    shows(TRIM("\\u200ba", "Both"), "\xe2\x80\x8b" "a"); /* of no width: no blank */
}

#define REPLACE(text_, find_, by_) NODE("9", "StringReplace", "\"string\": \"" text_ "\", \"find\": \"" find_ "\", \"replace\": \"" by_ "\"")

TEST(every_occurrence_is_replaced_from_the_left)
{
    (void)state_;
    shows(REPLACE("a red fox, red barn", "red", "blue"), "a blue fox, blue barn");
    shows(REPLACE("aaa", "aa", "b"), "ba");
    shows(REPLACE("aé", "", "-"), "-a-é-");
    shows(REPLACE("", "", "-"), "-");
    shows(REPLACE("abc", "x", "y"), "abc");
}

/* ---- Comparing ----------------------------------------------------------------------------------------------------- */

#define CONTAINS(text_, part_, sensitive_) \
    NODE("9", "StringContains", "\"string\": \"" text_ "\", \"substring\": \"" part_ "\", \"case_sensitive\": " sensitive_)
#define COMPARE(a_, b_, mode_, sensitive_) \
    NODE("9", "StringCompare", "\"string_a\": \"" a_ "\", \"string_b\": \"" b_ "\", \"mode\": \"" mode_ "\", \"case_sensitive\": " sensitive_)

TEST(texts_are_compared_with_or_without_case)
{
    (void)state_;
    shows(CONTAINS("Blue Moon", "moon", "true"), "False");
    shows(CONTAINS("Blue MOON", "moon", "false"), "True");
    shows(CONTAINS("abc", "", "true"), "True");
    shows(COMPARE("Blue", "bl", "Starts With", "false"), "True");
    shows(COMPARE("Blue", "bl", "Starts With", "true"), "False");
    shows(COMPARE("Blue", "ue", "Ends With", "true"), "True");
    shows(COMPARE("Blue", "lu", "Ends With", "true"), "False");
    shows(COMPARE("Blue", "BLUE", "Equal", "false"), "True");
    shows(COMPARE("Blue", "ue", "Equal", "false"), "False");
    shows(COMPARE("a", "aa", "Starts With", "true"), "False");
}

/* ---- Patterns ------------------------------------------------------------------------------------------------------ */

#define SUB(text_, pattern_, by_, more_) \
    NODE("9", "RegexReplace", "\"string\": \"" text_ "\", \"regex_pattern\": \"" pattern_ "\", \"replace\": \"" by_ "\"" more_)

TEST(a_pattern_is_replaced_as_by_re_sub)
{
    (void)state_; /* each as Python 3.11 gives it */
    shows(SUB("img_0042, img_7", "img_(\\\\d+)", "frame \\\\1", ""), "frame 0042, frame 7");
    shows(SUB("A-b", "(?P<x>\\\\w)-(?P<y>\\\\w)", "\\\\g<y>-\\\\g<x>\\\\g<0>", ""), "b-AA-b");
    shows(SUB("aaa", "a", "b", ", \"count\": 2"), "bba");
    shows(SUB("abc", "x*", "-", ""), "-a-b-c-");
    shows(SUB("abxd", "x*", "-", ""), "-a-b--d-");
    shows(SUB("Aa", "a", "b", ", \"case_insensitive\": false"), "Ab");
    shows(SUB("Aa", "a", "b", ""), "bb");
    shows(SUB("a\\nb", "^", "> ", ", \"multiline\": true"), "> a\\n> b");
    shows(SUB("a\\nb", "a.b", "x", ", \"dotall\": true"), "x");
    shows(SUB("a\\nb", "a.b", "x", ""), "a\\nb");
    shows(SUB("ab", "(a)|(b)", "[\\\\1\\\\2]", ""), "[a][b]");
    shows(SUB("a", "a", "\\\\n\\\\101\\\\.", ""), "\\nA\\\\.");
    shows(SUB("漢字", "(.)", "\\\\1!", ""), "漢!字!");
}

TEST(a_wrong_pattern_or_replacement_is_named)
{
    (void)state_;
    pixels_fails(SUB("a", "(", "b", ""), "regex_pattern: missing closing parenthesis at position 1");
    pixels_fails(SUB("a", "a", "\\\\1", ""), "replace: invalid group reference at position 1");
    pixels_fails(SUB("x", "a", "\\\\q", ""), "replace: bad escape at position 0");
    pixels_fails(SUB("x", "a", "b\\\\", ""), "replace: bad escape (end of pattern)");
    pixels_fails(SUB("x", "(a)", "\\\\g<2>", ""), "replace: unknown group at position 3");
    pixels_fails(SUB("x", "(?P<n>a)", "\\\\g<m>", ""), "replace: unknown group");
    pixels_fails(SUB("x", "a", "\\\\g<", ""), "replace: missing group name");
    pixels_fails(SUB("x", "a", "\\\\777", ""), "replace: octal escape value out of range");
}

#define SWITCHES ", \"case_insensitive\": false, \"multiline\": false, \"dotall\": false"
#define FIND(text_, pattern_) NODE("9", "RegexMatch", "\"string\": \"" text_ "\", \"regex_pattern\": \"" pattern_ "\"" SWITCHES)
#define EXTRACT(pattern_, mode_, group_)                                                                                               \
    NODE("9", "RegexExtract", "\"string\": \"k1=v1; k2=v2\", \"regex_pattern\": \"" pattern_ "\", \"mode\": \"" mode_ "\", \"group_index\": " group_ \
                              SWITCHES)

TEST(a_pattern_is_found_anywhere)
{
    (void)state_;
    shows(FIND("a cat", "c.t"), "True");
    shows(FIND("a Cat", "c.t"), "False");
}

TEST(matches_and_groups_are_taken_out)
{
    (void)state_;
    shows(EXTRACT("k\\\\d", "First Match", "1"), "k1");
    shows(EXTRACT("k\\\\d", "All Matches", "1"), "k1\\nk2");
    shows(EXTRACT("(k\\\\d)=(\\\\w+)", "All Matches", "2"), "k1\\nk2");
    shows(EXTRACT("(k\\\\d)=(\\\\w+)", "First Match", "2"), "k1=v1");
    shows(EXTRACT("(k\\\\d)=(\\\\w+)", "First Group", "2"), "v1");
    shows(EXTRACT("(k\\\\d)=(\\\\w+)", "All Groups", "2"), "v1\\nv2");
    shows(EXTRACT("(k\\\\d)=(\\\\w+)", "All Groups", "0"), "k1=v1\\nk2=v2");
    shows(EXTRACT("(k\\\\d)", "All Groups", "2"), "");
    shows(EXTRACT("x(y)", "First Group", "1"), "");
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(two_texts_are_joined_with_what_stands_between),
        CASE(a_text_that_doubles_again_and_again_has_an_end),
        CASE(positions_count_characters_from_either_end),
        CASE(a_length_counts_code_points),
        CASE(letters_change_case_as_in_python),
        CASE(blanks_of_all_kinds_are_trimmed),
        CASE(every_occurrence_is_replaced_from_the_left),
        CASE(texts_are_compared_with_or_without_case),
        CASE(a_pattern_is_replaced_as_by_re_sub),
        CASE(a_wrong_pattern_or_replacement_is_named),
        CASE(a_pattern_is_found_anywhere),
        CASE(matches_and_groups_are_taken_out),
    };
    return cmocka_run_group_tests(cases, pixels_setup, pixels_teardown);
}
