/* The tokenizer: ids, weights and chunks are the reference's, and no text breaks it. Ids with (R) were recorded from the
 * reference (numerics.md §6). */
#include "tests/test.h"
#include "tests/support.h"
#include "engine/base/memory.h"
#include "nodes/models/clip_prompt.h"
#include "nodes/models/clip_tokenizer.h"
#include "nodes/models/merges_table.h"
#include <math.h>
#include <stdlib.h>
#include <time.h>

static ClipTokenizer *tokenizer;

static int open_tokenizer(void **state_)
{
    (void)state_;
    return clip_tokenizer_new(&tokenizer) ? -1 : 0;
}

static int close_tokenizer(void **state_)
{
    (void)state_;
    clip_tokenizer_free(tokenizer);
    return 0;
}

/* One chunk: start, the ids with their weights (NULL: all 1), end, pads. */
static void expect(const char *text, int count, const int32_t *ids, const float *weights)
{
    void **state_ = NULL;
    ClipPrompt prompt;
    assert_ok(clip_tokenize(tokenizer, text, CLIP_END, NULL, &prompt));
    if (prompt.chunks != 1 || prompt.ids[count + 1] != CLIP_END) fail_msg("\"%s\": not %d tokens", text, count);
    assert_int_equal(prompt.ids[0], CLIP_START);
    for (int i = 0; i < count; i++) {
        if (prompt.ids[i + 1] != ids[i]) fail_msg("\"%s\": token %d is %d, expected %d", text, i, prompt.ids[i + 1], ids[i]);
        assert_near(prompt.weights[i + 1], weights ? weights[i] : 1, 1e-7);
    }
    for (int i = count + 1; i < CLIP_CHUNK; i++) {
        assert_int_equal(prompt.ids[i], CLIP_END);
        assert_near(prompt.weights[i], 1, 0);
    }
    clip_prompt_free(&prompt);
}
#define IDS(...)                                                                 \
    (int)(sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t)), (const int32_t[]) \
    {                                                                            \
        __VA_ARGS__                                                              \
    }
#define WEIGHTS(...) \
    (const float[])  \
    {                \
        __VA_ARGS__  \
    }

/* Text as clip_encode sees it. */
static void expect_encoded(const char *text, size_t length, int count, const int32_t *want)
{
    void **state_ = NULL;
    int32_t *ids;
    size_t got;
    assert_ok(clip_encode(tokenizer, text, length, &ids, &got));
    assert_int_equal(got, count);
    for (int i = 0; i < count; i++) assert_int_equal(ids[i], want[i]);
    memory_free(ids);
}

TEST(merges_make_the_vocabulary_of_clip)
{
    (void)state_;
    assert_int_equal(MERGES_FIRST_TOKEN + MERGES_COUNT, CLIP_START);
    for (int row = 0; row < MERGES_COUNT; row++) /* a token is made of tokens that were there before it */
        assert_true(merges_table[row][0] < MERGES_FIRST_TOKEN + row && merges_table[row][1] < MERGES_FIRST_TOKEN + row);
}

TEST(plain_text_has_the_recorded_ids) /* (R) */
{
    (void)state_;
    expect("a photo of a cat", IDS(320, 1125, 539, 320, 2368), NULL);
    expect("A Photo  of\ta CAT!!", IDS(320, 1125, 539, 320, 2368, 748), NULL);
    expect("don't 123 4k café naïve", IDS(847, 713, 272, 273, 274, 275, 330, 15304, 1097, 35689, 563), NULL);
    expect("ÀÉ", IDS(36149, 4166), NULL);
    expect("日本", IDS(39121, 19277, 361), NULL);
    expect("😀", IDS(7334), NULL);
    expect("e\xCC\x81", IDS(4166), NULL); /* e and a combining accent are é */
    expect("I'm we'll", IDS(328, 880, 649, 1342), NULL);
    expect("a,,b!!", IDS(320, 8844, 321, 748), NULL);
    expect("3.14", IDS(274, 269, 272, 275), NULL);
    expect("Hello_World", IDS(3306, 318, 1002), NULL);
    expect("a_b-c,d.e", IDS(320, 318, 321, 268, 322, 267, 323, 269, 324), NULL);
    expect("a red star, night sky", IDS(320, 736, 1565, 267, 930, 2390), NULL);
    expect("a yellow moon above a green tree, purple background", IDS(320, 4481, 3293, 4348, 320, 1901, 2677, 267, 5496, 5994),
           NULL);
    expect("a striped blue fish, sea", IDS(320, 22192, 1746, 2759, 267, 2102), NULL);
}

TEST(weights_follow_the_grammar) /* (R) but for the last four */
{
    (void)state_;
    expect("(masterpiece:1.2), best quality", IDS(12066, 267, 949, 3027), WEIGHTS(1.2f, 1, 1, 1));
    expect("((a)) (b:0.5) c", IDS(320, 321, 322), WEIGHTS(1.21f, 0.5f, 1));
    expect("(a (b:1.5) c)", IDS(320, 321, 322), WEIGHTS(1.1f, 1.5f, 1.1f));
    expect("\\(not weight\\) x", IDS(263, 783, 3868, 264, 343), NULL);
    expect("(a:1.2:1.3)", IDS(320, 281, 272, 269, 273), WEIGHTS(1.3f, 1.3f, 1.3f, 1.3f, 1.3f));
    expect("(a:abc)", IDS(320, 281, 5334), WEIGHTS(1.1f, 1.1f, 1.1f));
    expect("(unclosed a", IDS(263, 569, 4552, 320), NULL);
    expect("(:1.3)", IDS(281, 272, 269, 274), WEIGHTS(1.1f, 1.1f, 1.1f, 1.1f));
    expect("((a:0.3) b:2) c", IDS(320, 321, 322), WEIGHTS(0.3f, 2, 1));
    expect("close) early (b)", IDS(2660, 264, 2090, 263, 321, 264), NULL);
    expect("((a)", IDS(263, 320), WEIGHTS(1.1f, 1.1f));
    expect("a \\\\(b", IDS(320, 59, 263, 321), NULL);
    expect("()", 0, NULL, NULL);
    expect("(a: 1_0.5e-1 )", IDS(320), WEIGHTS(1.05f));
}

TEST(numbers_are_python_floats)
{
    (void)state_;
    double value;
    static const struct {
        const char *text;
        double value;
    } right[] = {{"1", 1},
                 {" 1.5 ", 1.5},
                 {".5", 0.5},
                 {"5.", 5},
                 {"-2", -2},
                 {"+3", 3},
                 {"1e2", 100},
                 {"1E+2", 100},
                 {"1_0", 10},
                 {"1_0.2_5", 10.25},
                 {"inf", INFINITY},
                 {"-Infinity", -INFINITY},
                 {"1e999", INFINITY},
                 {"\xE3\x80\x80"
                  "2\xC2\xA0",
                  2}};
    static const char *const wrong[] = {"",     " ",   "1__0",   "_1",  "1_",      "1_.5",  "1._5", "0x10", "1e",
                                        "1e_5", "+-1", "nan(1)", "1 2", "infinit", "1.2.3", ".",    "1,5"};
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        if (!clip_prompt_number(right[i].text, strlen(right[i].text), &value)) fail_msg("\"%s\" is refused", right[i].text);
        assert_true(value == right[i].value);
    }
    assert_true(clip_prompt_number("-NaN", 4, &value) && isnan(value));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (clip_prompt_number(wrong[i], strlen(wrong[i]), &value)) fail_msg("\"%s\" is taken for %g", wrong[i], value);
}

TEST(letters_and_spaces_are_unicode) /* recorded from Hugging Face's tokenizers 0.23 with the same merges */
{
    (void)state_;
    expect_encoded("ΟΔΟΣ ος Σ", strlen("ΟΔΟΣ ος Σ"), IDS(138, 123, 138, 112, 138, 123, 139, 481, 138, 123, 139, 480, 139, 481));
    expect_encoded("İstanbul", strlen("İstanbul"), IDS(328, 16384, 11231));
    expect_encoded("a\x1C"
                   "b a\xC2\x85"
                   "b a\x01"
                   "b",
                   12, IDS(320, 472, 321, 320, 321, 320, 445, 321));
    expect_encoded("\xEF\xBF\xBD", 3, IDS(39802));
    expect_encoded("\xFF", 1, IDS(39802)); /* what is no UTF-8 becomes U+FFFD */
    expect_encoded("", 0, 0, NULL);
    expect_encoded(" \t\n\xE3\x80\x80", 6, 0, NULL);
}

TEST(special_tokens_are_cut_out_where_they_are_literal)
{
    (void)state_;
    expect_encoded("<|ENDOFTEXT|> <|endoftext|> x<|startoftext|>y", 45,
                   IDS(27, 347, 40786, 4160, 91, 285, 49407, 343, 49406, 344));
    expect_encoded("a<|endoftext|>'s", 16, IDS(320, 49407, 568));
    ClipPrompt prompt;
    assert_ok(clip_tokenize(tokenizer, "<|startoftext|> a <|endoftext|> b", CLIP_END, NULL, &prompt));
    assert_int_equal(prompt.length, 4); /* pooling stops at the first end token */
    clip_prompt_free(&prompt);
}

TEST(embeddings_are_taken_out_and_named)
{
    ClipPrompt prompt;
    assert_ok(clip_tokenize(tokenizer, "a embedding:nothere, b\nembedding:two (embedding:three:1.2) c", CLIP_END, NULL, &prompt));
    assert_int_equal(prompt.embedding_count, 3);
    assert_string_equal(prompt.embeddings[0], "nothere");
    assert_string_equal(prompt.embeddings[1], "two");
    assert_string_equal(prompt.embeddings[2], "three");
    assert_memory_equal(prompt.ids, ((int32_t[]){CLIP_START, 320, 267, 321, 322, CLIP_END}), 6 * sizeof(int32_t));
    clip_prompt_free(&prompt);
    expect("an xembedding:a", IDS(550, 87, 19703, 796, 281, 320), NULL); /* only behind a blank or a line feed */
}

/* `count` times the word "red" and then `tail`. */
static void reds(char *text, int count, const char *tail)
{
    *text = '\0';
    for (int i = 0; i < count; i++) strcat(text, "red ");
    strcat(text, tail);
}

TEST(long_groups_are_cut_at_the_border_and_short_ones_move_on)
{
    char text[1024];
    ClipPrompt prompt;
    reds(text, 75, "");
    assert_ok(clip_tokenize(tokenizer, text, CLIP_END, NULL, &prompt));
    assert_int_equal(prompt.chunks, 1);
    assert_int_equal(prompt.length, 77);
    clip_prompt_free(&prompt);

    reds(text, 76, ""); /* one more: cut */
    assert_ok(clip_tokenize(tokenizer, text, CLIP_END, NULL, &prompt));
    assert_int_equal(prompt.chunks, 2);
    assert_int_equal(prompt.ids[75], 736);
    assert_int_equal(prompt.ids[76], CLIP_END);
    assert_memory_equal(prompt.ids + 77, ((int32_t[]){CLIP_START, 736, CLIP_END}), 3 * sizeof(int32_t));
    clip_prompt_free(&prompt);

    reds(text, 72, "(a b c d e:1.2)"); /* five do not fit behind 72: they stay together */
    assert_ok(clip_tokenize(tokenizer, text, CLIP_END, NULL, &prompt));
    assert_int_equal(prompt.chunks, 2);
    assert_int_equal(prompt.length, 74);
    assert_int_equal(prompt.ids[73], CLIP_END);
    assert_memory_equal(prompt.ids + 77, ((int32_t[]){CLIP_START, 320, 321, 322, 323, 324, CLIP_END}), 7 * sizeof(int32_t));
    assert_near(prompt.weights[78], 1.2, 1e-6);
    assert_true(prompt.weighted);
    clip_prompt_free(&prompt);

    reds(text, 72, "(a b c d e f g h:1.2)"); /* eight are cut */
    assert_ok(clip_tokenize(tokenizer, text, 0, NULL, &prompt));
    assert_int_equal(prompt.chunks, 2);
    assert_memory_equal(prompt.ids + 73, ((int32_t[]){320, 321, 322, CLIP_END, CLIP_START, 323, 324, 325, 326, 327, CLIP_END, 0}),
                        12 * sizeof(int32_t));
    clip_prompt_free(&prompt);
}

static char *repeat(const char *piece, size_t times)
{
    const size_t length = strlen(piece);
    char *text = malloc(times * length + 1);
    assert_non_null(text);
    for (size_t i = 0; i < times; i++) memcpy(text + i * length, piece, length);
    text[times * length] = '\0';
    return text;
}

TEST(hostile_prompts_take_linear_time)
{
    static const struct {
        const char *piece;
        size_t times;
    } cases[] = {{"(", 10000},
                 {"a", 1000000},
                 {"\xCC\x81\xCC\xA3", 200000},
                 {"<|endoftext|>", 40000},
                 {"(x:1) (", 100000},
                 {" embedding:,", 80000},
                 {"\\(", 400000}};
    const clock_t begin = clock();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = repeat(cases[i].piece, cases[i].times);
        ClipPrompt prompt;
        assert_ok(clip_tokenize(tokenizer, text, CLIP_END, NULL, &prompt));
        clip_prompt_free(&prompt);
        free(text);
    }
    char *open = repeat("(", 300000), *digits = repeat("1", 300000), *close = repeat(")", 300000), *all = malloc(900003);
    strcat(strcat(strcat(strcpy(all, open), "a:"), digits), close);
    ClipPrompt prompt;
    assert_ok(clip_tokenize(tokenizer, all, CLIP_END, NULL, &prompt));
    assert_true(isinf(prompt.weights[1]));
    clip_prompt_free(&prompt);
    free(open), free(digits), free(close), free(all);
    assert_true((double)(clock() - begin) / CLOCKS_PER_SEC <
                30); /* about 1 s; quadratic ones would take minutes; sanitizers are slow */
}

TEST(a_prompt_has_a_largest_size)
{
    char *text = repeat("a ", CLIP_PROMPT_LIMIT / 2 + 1);
    ClipPrompt prompt;
    int32_t *ids;
    size_t count;
    assert_error(clip_tokenize(tokenizer, text, CLIP_END, NULL, &prompt), "4194306 bytes");
    assert_error(clip_encode(tokenizer, text, strlen(text), &ids, &count), "4194306 bytes");
    free(text);
}

TEST(random_bytes_give_tokens_of_the_vocabulary)
{
    uint64_t state = 7;
    static const char *const pieces[] = {"(",   ")",    ":",    "\\", "1.5", " ", "embedding:", "<|endoftext|>",
                                         "cat", "\xC3", "\xFF", "é",  "'s",  ",", "\n"};
    for (int round = 0; round < 3000; round++) {
        char text[512] = "";
        for (int64_t n = support_between(&state, 0, 30); n > 0; n--) strcat(text, pieces[support_between(&state, 0, 14)]);
        ClipPrompt prompt;
        assert_ok(clip_tokenize(tokenizer, text, CLIP_END, NULL, &prompt));
        for (int i = 0; i < prompt.chunks * CLIP_CHUNK; i++) assert_in_range(prompt.ids[i], 0, CLIP_VOCABULARY - 1);
        assert_in_range(prompt.length, 2, CLIP_CHUNK);
        clip_prompt_free(&prompt);
    }
}

int main(void)
{
    const struct CMUnitTest cases[] = {CASE(merges_make_the_vocabulary_of_clip),
                                       CASE(plain_text_has_the_recorded_ids),
                                       CASE(weights_follow_the_grammar),
                                       CASE(numbers_are_python_floats),
                                       CASE(letters_and_spaces_are_unicode),
                                       CASE(special_tokens_are_cut_out_where_they_are_literal),
                                       CASE(embeddings_are_taken_out_and_named),
                                       CASE(long_groups_are_cut_at_the_border_and_short_ones_move_on),
                                       CASE(hostile_prompts_take_linear_time),
                                       CASE(a_prompt_has_a_largest_size),
                                       CASE(random_bytes_give_tokens_of_the_vocabulary)};
    return cmocka_run_group_tests(cases, open_tokenizer, close_tokenizer);
}
