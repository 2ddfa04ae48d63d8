/* JSON without losses: what is accepted, what is refused and how that is said, numbers, spans, printing. */
#include "tests/test.h"
#include "engine/base/memory.h"
#include "engine/formats/json.h"
#include <math.h>
#include <stdio.h>

static Json *parse(const char *text)
{
    Json *json = NULL;
    NodusStatus status = json_parse(text, strlen(text), &json);
    if (status) fail_msg("%s: %s", text, nodus_error_message(status));
    return json;
}

static void assert_prints(const cJSON *item, bool python, bool finite, const char *wanted)
{
    Text text = {0};
    json_print(&text, item, python, finite);
    assert_string_equal(text_get(&text), wanted);
    text_free(&text);
}

TEST(wrong_texts_are_refused_with_their_place)
{
    static const struct {
        const char *text, *message;
    } rows[] = {
        {"", "the text ends where a value is expected (line 1, column 1, byte 0)"},
        {" \n", "the text ends where a value is expected (line 2, column 1, byte 2)"},
        {"{\"a\": 1,\n \"b\" 2}", "':' is expected after a key (line 2, column 6, byte 14)"},
        {"[1]x", "there is more text after the end (line 1, column 4, byte 3)"},
        {"[1 2]", "',' or ']' is expected (line 1, column 4"},
        {"{\"a\":1 \"b\":2}", "',' or '}' is expected"},
        {"[1,]", "a value is missing"},
        {"{\"a\":}", "a value is missing"},
        {"{\"a\":1,}", "a key in quotation marks is expected"},
        {"{a:1}", "a key in quotation marks is expected"},
        {"[", "the text ends where a value is expected"},
        {"{\"a\":[1", "',' or ']' is expected"},
        {"[01]", "a number starts with 0"},
        {"[-]", "this is not a value"},
        {"[+1]", "this is not a value"},
        {"0x10", "there is more text after the end"},
        {"[1.]", "ends in its decimal point"},
        {"[.5]", "this is not a value"},
        {"[1e]", "no digits in its exponent"},
        {"[tru]", "this is not a value"},
        {"[nan]", "this is not a value"},
        {"[-NaN]", "this is not a value"},
        {"\"abc", "a string has no end"},
        {"\"a\tb\"", "a string holds a control character"},
        {"\"\\x\"", "unknown escape"},
        {"\"\\u12g4\"", "unknown escape"},
        {"\"\\u12\"", "unknown escape"},
        {"\"\\u0000\"", "\\u0000, which nodus does not allow"},
        {"\"\\ud800\"", "half of a surrogate pair"},
        {"\"\\udc00\\ud800\"", "half of a surrogate pair"},
        {"\"\\ud800\\u0041\"", "half of a surrogate pair"},
        {"\"\xff\"", "not valid UTF-8"},
        {"\"\xc0\x80\"", "not valid UTF-8"},
        {"\"\xed\xa0\x80\"", "not valid UTF-8"},
        {"\"\xf4\x90\x80\x80\"", "not valid UTF-8"},
        {"\"\xe2\x82\"", "not valid UTF-8"},
        {"\xef\xbb\xbf", "the text ends where a value is expected"},
        {"[\"\xc3\xa4\xc3\xb6\", x]", "this is not a value (line 1, column 8, byte 9)"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Json *json;
        assert_error(json_parse(rows[i].text, strlen(rows[i].text), &json), rows[i].message);
    }
}

TEST(text_behind_a_nul_byte_is_seen)
{
    Json *json;
    assert_error(json_parse("1\0", 2, &json), "more text after the end");
    assert_error(json_parse("\"a\0b\"", 5, &json), "control character");
    assert_error(json_parse("\0", 1, &json), "this is not a value");
}

TEST(depth_512_passes_and_513_is_refused)
{
    char text[2 * 513 + 1] = "";
    memset(text, '[', 512);
    memset(text + 512, ']', 512);
    Json *json = parse(text);
    json_free(json);
    memset(text, '[', 513);
    memset(text + 513, ']', 513);
    assert_error(json_parse(text, 2 * 513, &json), "nested more than 512 deep (line 1, column 513");
}

TEST(two_million_values_are_the_limit)
{
    const size_t count = 2000001; /* with the array itself one too many */
    char *text = memory_alloc(2 * count + 2);
    for (size_t i = 0; i < count; i++) memcpy(text + 2 * i, i ? ",0" : "[0", 2);
    text[2 * count] = ']';
    Json *json;
    assert_error(json_parse(text, 2 * count + 1, &json), "more than 2 million values");
    memory_free(text);
}

TEST(numbers_keep_all_their_digits)
{
    static const char source[] =
        "{\"seed\": 18446744073709551615, \"x\": [1.0, 1e5, -0, -0.0, 7.50, NaN, -Infinity, 9007199254740993]}";
    Json *json = parse(source);
    assert_prints(json_root(json), true, false, source);
    assert_prints(json_root(json), false, true,
                  "{\"seed\":18446744073709551615,\"x\":[1.0,1e5,-0,-0.0,7.50,null,null,9007199254740993]}");
    json_free(json);
}

TEST(very_long_numbers_survive)
{
    char source[1003] = "[";
    memset(source + 1, '7', 1000);
    strcpy(source + 1001, "]");
    Json *json = parse(source);
    assert_prints(json_root(json), false, false, source);
    assert_true(isinf(json_double(json_root(json)->child)));
    json_free(json);
}

TEST(integers_are_read_with_sign_and_64_bits)
{
    Json *json =
        parse("[18446744073709551615, 18446744073709551616, -9223372036854775808, 0, -0, 1.0, 1e2, NaN, \"5\", -Infinity]");
    static const struct {
        bool integer, fits, negative;
        uint64_t magnitude;
    } wanted[] = {{true, true, false, UINT64_MAX},
                  {true, false},
                  {true, true, true, UINT64_C(1) << 63},
                  {true, true, false, 0},
                  {true, true, true, 0},
                  {false},
                  {false},
                  {false},
                  {false},
                  {false}};
    const cJSON *item = json_root(json)->child;
    for (int i = 0; i < 10; i++, item = item->next) {
        bool negative = false;
        uint64_t magnitude = 0;
        assert_int_equal(json_is_integer(item), wanted[i].integer);
        assert_int_equal(json_integer(item, &negative, &magnitude), wanted[i].fits);
        if (!wanted[i].fits) continue;
        assert_int_equal(negative, wanted[i].negative);
        assert_true(magnitude == wanted[i].magnitude);
    }
    json_free(json);
}

TEST(doubles_read_what_is_written)
{
    Json *json = parse("[0.1, 1e400, NaN, Infinity, -Infinity, \"x\", null, 12]");
    const cJSON *item = json_root(json);
    assert_true(json_double(cJSON_GetArrayItem(item, 0)) == 0.1);
    assert_true(isinf(json_double(cJSON_GetArrayItem(item, 1))));
    assert_true(isnan(json_double(cJSON_GetArrayItem(item, 2))));
    assert_true(json_double(cJSON_GetArrayItem(item, 3)) > 1e308);
    assert_true(json_double(cJSON_GetArrayItem(item, 4)) < -1e308);
    assert_true(json_double(cJSON_GetArrayItem(item, 5)) == 0);
    assert_true(json_double(cJSON_GetArrayItem(item, 7)) == 12);
    assert_false(json_is_number(cJSON_GetArrayItem(item, 5)));
    assert_false(json_is_number(cJSON_GetArrayItem(item, 6)));
    json_free(json);
}

TEST(get_is_exact_and_the_last_duplicate_wins)
{
    Json *json = parse("{\"Key\": 1, \"key\": 2, \"key\": 3, \"other\": \"text\"}");
    assert_string_equal(json_get(json_root(json), "key")->valuestring, "3");
    assert_string_equal(json_get(json_root(json), "Key")->valuestring, "1");
    assert_null(json_get(json_root(json), "KEY"));
    assert_string_equal(json_string(json_get(json_root(json), "other")), "text");
    assert_null(json_string(json_get(json_root(json), "key")));
    assert_null(json_get(json_get(json_root(json), "key"), "x"));
    assert_null(json_get(NULL, "x"));
    json_free(json);
}

TEST(every_value_knows_where_it_stands)
{
    static const char source[] = " {\"a\": [10, \"x\", {}], \"b\": null}";
    Json *json = parse(source);
    size_t offset, length;
    json_span(json, json_root(json), &offset, &length);
    assert_int_equal(offset, 1);
    assert_int_equal(length, sizeof source - 2);
    const cJSON *a = json_get(json_root(json), "a");
    static const char *const pieces[] = {"10", "\"x\"", "{}"};
    for (int i = 0; i < 3; i++) {
        json_span(json, cJSON_GetArrayItem(a, i), &offset, &length);
        assert_int_equal(length, strlen(pieces[i]));
        assert_memory_equal(source + offset, pieces[i], length);
    }
    json_span(json, json_get(json_root(json), "b"), &offset, &length);
    assert_memory_equal(source + offset, "null", 4);
    cJSON *made = cJSON_CreateNumber(1);
    json_span(json, made, &offset, &length);
    assert_int_equal(length, 0);
    cJSON_Delete(made);
    json_free(json);
}

TEST(python_layout_is_json_dumps)
{
    Json *json = parse(
        "\xef\xbb\xbf{\"k\\u00e4\":[1,true,false,null,{},[]],\"s\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0001\\ud83d\\ude00\x7f\"}");
    assert_prints(
        json_root(json), true, false,
        "{\"k\\u00e4\": [1, true, false, null, {}, []], \"s\": \"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\ud83d\\ude00\\u007f\"}");
    assert_prints(json_root(json), false, false,
                  "{\"k\xc3\xa4\":[1,true,false,null,{},[]],\"s\":\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\xf0\x9f\x98\x80\x7f\"}");
    json_free(json);
}

TEST(strings_that_are_no_utf8_become_json_all_the_same)
{
    Text text = {0};
    json_put_string(&text, "a\xff\xc3\xe2\x82z\xed\xa0\x80", true);
    assert_string_equal(text_get(&text), "\"a\\ufffd\\ufffd\\ufffd\\ufffdz\\ufffd\\ufffd\\ufffd\"");
    text_free(&text);
}

TEST(doubles_are_written_as_short_as_they_read_back)
{
    static const struct {
        double value;
        const char *text;
    } rows[] = {{0.1, "0.1"},
                {1, "1.0"},
                {-0.0, "-0.0"},
                {1.0 / 3, "0.3333333333333333"},
                {1e300, "1e+300"},
                {100000, "100000.0"},
                {0.1 + 0.2, "0.30000000000000004"},
                {NAN, "null"},
                {INFINITY, "null"},
                {5e-324, "4.94065645841247e-324"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Text text = {0};
        json_put_double(&text, rows[i].value);
        assert_string_equal(text_get(&text), rows[i].text);
        text_free(&text);
    }
}

TEST(trees_made_by_hand_print_too)
{
    cJSON *made = cJSON_CreateObject();
    cJSON_AddNumberToObject(made, "n", 5);
    cJSON_AddNumberToObject(made, "bad", NAN);
    cJSON_AddStringToObject(made, "s", "x");
    cJSON_AddRawToObject(made, "raw", "[1,2]");
    assert_prints(made, false, true, "{\"n\":5,\"bad\":null,\"s\":\"x\",\"raw\":[1,2]}");
    cJSON_Delete(made);
    json_free(NULL);
}

TEST_MAIN(CASE(wrong_texts_are_refused_with_their_place), CASE(text_behind_a_nul_byte_is_seen),
          CASE(depth_512_passes_and_513_is_refused), CASE(two_million_values_are_the_limit), CASE(numbers_keep_all_their_digits),
          CASE(very_long_numbers_survive), CASE(integers_are_read_with_sign_and_64_bits), CASE(doubles_read_what_is_written),
          CASE(get_is_exact_and_the_last_duplicate_wins), CASE(every_value_knows_where_it_stands),
          CASE(python_layout_is_json_dumps), CASE(strings_that_are_no_utf8_become_json_all_the_same),
          CASE(doubles_are_written_as_short_as_they_read_back), CASE(trees_made_by_hand_print_too))
