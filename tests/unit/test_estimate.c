/* The estimate of a run's memory: what networks will need is told before they run, once each, and what is there already is not told again; and
 * memory that was lent is lent again. */
#include "engine/graph/machine.h"
#include "engine/tensor/budget.h"
#include "engine/tensor/lend.h"
#include "tests/support.h"
#include "tests/support_examples.h"
#include "tests/test.h"
#include <stdio.h>
#include <stdlib.h>

static Lab lab;
static double peak; /* of the last `begin`; −1: null */

static void event(void *user, const NodusEvent *e)
{
    (void)user;
    const char *at = e->kind == NODUS_EVENT_BEGIN ? strstr(e->json, "\"peak_bytes\": ") : NULL;
    if (at) peak = strncmp(at + 14, "null", 4) ? strtod(at + 14, NULL) : -1;
}

static int setup(void **state)
{
    (void)state;
    if (lab_open(&lab, NULL)) return -1;
    lab.options.event = event;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    lab_close(&lab);
    return 0;
}

#define PICTURE(seed_, size_)                                                                                                             \
    "{\"1\": {\"class_type\": \"CheckpointLoaderSimple\", \"inputs\": {\"ckpt_name\": \"shapes-sd1.safetensors\"}},"                         \
    "\"2\": {\"class_type\": \"CLIPTextEncode\", \"inputs\": {\"text\": \"a red star\", \"clip\": [\"1\", 1]}},"                            \
    "\"4\": {\"class_type\": \"EmptyLatentImage\", \"inputs\": {\"width\": " #size_ ", \"height\": " #size_ ", \"batch_size\": 1}},"        \
    "\"5\": {\"class_type\": \"KSampler\", \"inputs\": {\"model\": [\"1\", 0], \"seed\": " #seed_ ", \"steps\": 1, \"cfg\": 2,"                \
    "\"sampler_name\": \"euler\", \"scheduler\": \"normal\", \"positive\": [\"2\", 0], \"negative\": [\"2\", 0], \"latent_image\": [\"4\", 0], \"denoise\": 1}}," \
    "\"6\": {\"class_type\": \"VAEDecode\", \"inputs\": {\"samples\": [\"5\", 0], \"vae\": [\"1\", 2]}},"                                   \
    "\"7\": {\"class_type\": \"PreviewImage\", \"inputs\": {\"images\": [\"6\", 0]}}}"

/* How much a run will need beyond what the process has, in MB. */
static double told(const char *prompt)
{
    NodusRun *run;
    const double now = (double)machine_anonymous();
    peak = 0;
    assert_null(nodus_run_new(lab.engine, prompt, strlen(prompt), &lab.options, &run));
    assert_int_equal(nodus_run_execute(run), NODUS_SUCCESS);
    nodus_run_free(run);
    return peak < 0 ? -1 : (peak - now) / 1e6;
}

TEST(what_loads_no_network_has_no_estimate)
{
    assert_true(told("{\"1\": {\"class_type\": \"PrimitiveInt\", \"inputs\": {\"value\": 7}}, \"2\": {\"class_type\": \"PreviewAny\", \"inputs\": {\"source\": [\"1\", 0]}}}") < 0);
}

TEST(weights_that_are_there_are_not_told_again_and_a_larger_picture_needs_more)
{
    const double first = told(PICTURE(1, 64)), again = told(PICTURE(2, 64)), larger = told(PICTURE(3, 512));
    if (first < 20 || first > 100) fail_msg("first %g MB", first); /* 20 MB of packed weights, and arenas */
    if (again > first - 15) fail_msg("first %g MB, again %g MB", first, again);
    if (larger < again + 100) fail_msg("again %g MB, larger %g MB", again, larger); /* the decoder's arena at 512 pixels */
}

/* The picture of PICTURE at 256 pixels, with `more` nodes, of the model, positive and negative of these links. */
static double told_guided(const char *more, const char *model, const char *positive, const char *negative)
{
    char prompt[4096];
    snprintf(prompt, sizeof prompt,
             "{\"1\": {\"class_type\": \"CheckpointLoaderSimple\", \"inputs\": {\"ckpt_name\": \"shapes-sd1.safetensors\"}},"
             "\"2\": {\"class_type\": \"CLIPTextEncode\", \"inputs\": {\"text\": \"a red star\", \"clip\": [\"1\", 1]}},"
             "\"3\": {\"class_type\": \"EmptyImage\", \"inputs\": {\"width\": 256, \"height\": 256, \"batch_size\": 1, \"color\": 7}},"
             "\"4\": {\"class_type\": \"EmptyLatentImage\", \"inputs\": {\"width\": 256, \"height\": 256, \"batch_size\": 1}}, %s"
             "\"5\": {\"class_type\": \"KSampler\", \"inputs\": {\"model\": %s, \"seed\": 1, \"steps\": 1, \"cfg\": 2,"
             "\"sampler_name\": \"euler\", \"scheduler\": \"normal\", \"positive\": %s, \"negative\": %s, \"latent_image\": [\"4\", 0],"
             "\"denoise\": 1}}, \"6\": {\"class_type\": \"VAEDecode\", \"inputs\": {\"samples\": [\"5\", 0], \"vae\": [\"1\", 2]}},"
             "\"7\": {\"class_type\": \"PreviewImage\", \"inputs\": {\"images\": [\"6\", 0]}}}",
             more, model, positive, negative);
    lab_close(&lab); /* a new process, as far as memory goes */
    assert_null(examples_open(&lab, NULL));
    lab.options.event = event;
    return told(prompt);
}

#define CONTROL(loader_, apply_, file_, positive_)                                                                                    \
    "\"" loader_ "\": {\"class_type\": \"ControlNetLoader\", \"inputs\": {\"control_net_name\": \"" file_ "\"}},"                       \
    "\"" apply_ "\": {\"class_type\": \"ControlNetApplyAdvanced\", \"inputs\": {\"positive\": " positive_ ", \"negative\": [\"2\", 0],"  \
    "\"control_net\": [\"" loader_ "\", 0], \"image\": [\"3\", 0], \"strength\": 1, \"start_percent\": 0, \"end_percent\": 1}},"

/* What a run had at its peak was, on the demo model, 10 MB more with a ControlNet and 16 MB more with a second one (tests/golden/anon.py): their
 * files have 8 and 10 MB, and most of what they work in is lent to the decoder later. Of the LoRA the 0.9 MB of its file are told. */
TEST(networks_that_guide_are_told_with_their_weights_and_arenas_and_so_is_a_lora)
{
    const double plain = told_guided("", "[\"1\", 0]", "[\"2\", 0]", "[\"2\", 0]");
    const double one = told_guided(CONTROL("8", "9", "control.safetensors", "[\"2\", 0]"), "[\"1\", 0]", "[\"9\", 0]", "[\"9\", 1]");
    const double two = told_guided(CONTROL("8", "9", "control.safetensors", "[\"2\", 0]") CONTROL("10", "11", "union.safetensors", "[\"9\", 0]"),
                                   "[\"1\", 0]", "[\"11\", 0]", "[\"11\", 1]");
    const double adapter = told_guided(CONTROL("8", "9", "t2i.safetensors", "[\"2\", 0]"), "[\"1\", 0]", "[\"9\", 0]", "[\"9\", 1]");
    const double lora = told_guided("\"8\": {\"class_type\": \"LoraLoaderModelOnly\", \"inputs\": {\"model\": [\"1\", 0],"
                                    "\"lora_name\": \"neon-lora.safetensors\", \"strength_model\": 1}},",
                                    "[\"8\", 0]", "[\"2\", 0]", "[\"2\", 0]");
    if (one < plain + 7 || one > plain + 12) fail_msg("plain %g MB, a ControlNet %g MB", plain, one);
    if (two < one + 9 || two > one + 18) fail_msg("a ControlNet %g MB, two %g MB", one, two);
    if (adapter < plain + 2 || adapter > plain + 6) fail_msg("plain %g MB, an adapter %g MB", plain, adapter);
    if (lora < plain + 0.3 || lora > plain + 3) fail_msg("plain %g MB, a LoRA %g MB", plain, lora);
}

/* 400 bytes are lent and come back; then 300, 100 beside which nothing else is lent, and 900. */
static void borrow_in_turn(void **state_, size_t limit, size_t used_with_100, size_t used_with_900)
{
    SupportMath cpu;
    Budget *budget;
    Lender *lender;
    Loan *one, *two, *three;
    assert_ok(support_math_open("cpu", NULL, 1, &cpu));
    assert_ok(budget_new(limit, &budget));
    assert_ok(lender_new(budget, &lender));
    assert_ok(lender_borrow(lender, cpu.device, 400, &one));
    const void *memory = loan_memory(one);
    assert_int_equal(budget_pinned(budget), 400);
    lender_return(one);
    assert_int_equal(budget_used(budget), 400);
    assert_int_equal(budget_pinned(budget), 0);
    assert_ok(lender_borrow(lender, cpu.device, 300, &two));
    assert_ptr_equal(loan_memory(two), memory);
    lender_return(two);
    assert_ok(lender_borrow(lender, cpu.device, 100, &three));
    assert_int_equal(budget_used(budget), used_with_100);
    lender_return(three);
    assert_ok(lender_borrow(lender, cpu.device, 900, &two)); /* the 400 have to go */
    assert_int_equal(budget_used(budget), used_with_900);
    lender_return(two);
    lender_return(NULL);
    lender_free(lender);
    assert_int_equal(budget_used(budget), 0);
    budget_free(budget);
    support_math_close(&cpu);
}

TEST(lent_memory_is_lent_again_and_gives_way_to_larger)
{
    borrow_in_turn(state_, 10000, 400, 900);
}

TEST(where_memory_is_scarce_none_that_is_much_too_large_is_lent)
{
    borrow_in_turn(state_, 700, 500, 900);
}

int main(void)
{
    const struct CMUnitTest cases[] = {CASE(what_loads_no_network_has_no_estimate),
                                       CASE(weights_that_are_there_are_not_told_again_and_a_larger_picture_needs_more),
                                       CASE(networks_that_guide_are_told_with_their_weights_and_arenas_and_so_is_a_lora),
                                       CASE(lent_memory_is_lent_again_and_gives_way_to_larger),
                                       CASE(where_memory_is_scarce_none_that_is_much_too_large_is_lent)};
    return cmocka_run_group_tests(cases, setup, teardown);
}
