/* Rules of where a LoRA acts: words, sorts, the last rule that fits, and what is refused; in a sampling, a LoRA on no layer or in
 * no part of it is none. */
#include "nodes/lora_select.h"
#include "tests/test.h"

#define UNET_V  "input_blocks.4.1.transformer_blocks.0.attn2.to_v"
#define UNET_Q  "output_blocks.11.1.transformer_blocks.0.attn1.to_q"
#define TEXT_FC "encoder.layers.3.mlp.fc1"

static const struct {
    const char *rules, *layer;
    bool text;
    double factor;
} rows[] = {
    {"", UNET_V, false, 1},
    {"all = 0", UNET_V, false, 0},
    {"all = 0\ncross v = 0.5", UNET_V, false, 0.5},
    {"all = 0\ncross v = 0.5", UNET_Q, false, 0},
    {"cross q v = 2 # both", UNET_V, false, 2},
    {"in4 in5 = 3", UNET_V, false, 3},
    {"in40 in = 3\nin40 = 5", UNET_V, false, 3},
    {"out1 = 3", UNET_Q, false, 1},
    {"out11 = 3", UNET_Q, false, 3},
    {"out self = -1", UNET_Q, false, -1},
    {"mid = 4", "middle_block.1.proj_in", false, 4},
    {"proj = 4", "middle_block.1.proj_in", false, 4},
    {"conv = 4", "input_blocks.1.0.in_layers.2", false, 4},
    {"conv = 4", "input_blocks.0.0", false, 4},
    {"o = 4", "middle_block.1.transformer_blocks.0.attn1.to_out.0", false, 4},
    {"unet = 0", TEXT_FC, true, 1},
    {"text = 0", TEXT_FC, true, 0},
    {"text3 ff = 0.25", TEXT_FC, true, 0.25},
    {"text2 = 0.25", TEXT_FC, true, 1},
    {"in = 0", TEXT_FC, true, 1},
    {"input_blocks.4.*.to_v = 7", UNET_V, false, 7},
    {"*.4.1.*attn2* = 7", UNET_V, false, 7},
    {"*.to_q = 7", UNET_V, false, 1},
    {"\n\n  # nothing\nall = 0.5\r\n", UNET_V, false, 0.5},
};

TEST(the_last_rule_that_fits_counts)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_ok(lora_select_check(rows[i].rules));
        const double got = lora_select_factor(rows[i].rules, rows[i].layer, rows[i].text);
        if (got != rows[i].factor) fail_msg("\"%s\" on %s: %g, expected %g", rows[i].rules, rows[i].layer, got, rows[i].factor);
    }
}

TEST(what_is_no_rule_is_refused_with_its_line)
{
    assert_error(lora_select_check("all"), "line 1 has no \"=\"");
    assert_error(lora_select_check("all = 1\nvalues = 1"), "line 2: \"values\" is no word");
    assert_error(lora_select_check("all ="), "line 1: the factor");
    assert_error(lora_select_check("= 1"), "line 1 has nothing before");
    assert_error(lora_select_check("all = x"), "line 1: \"x\" is no factor");
    assert_error(lora_select_check("all = nan"), "\"nan\" is no factor");
    assert_error(lora_select_check("all = 101"), "\"101\" is no factor");
    assert_error(lora_select_check("all = 1 2"), "is no factor");
    assert_error(lora_select_check("in4x = 1"), "\"in4x\" is no word");
}

/* Many stars on a name that nearly fits do not take long. */
TEST(stars_are_cheap)
{
    char name[201], rule[210];
    memset(name, 'a', 200);
    name[200] = 0;
    for (int i = 0; i < 100; i++) memcpy(rule + 2 * i, "*a", 2);
    strcpy(rule + 200, "b = 5");
    assert_true(lora_select_factor(rule, name, false) == 1);
}

TEST_MAIN(CASE(the_last_rule_that_fits_counts), CASE(what_is_no_rule_is_refused_with_its_line), CASE(stars_are_cheap))
