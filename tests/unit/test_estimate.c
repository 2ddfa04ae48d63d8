/* The estimate of a run's memory: what networks will need is told before they run, once each, and what is there already is not told again; and
 * memory that was lent is lent again. */
#include "engine/graph/machine.h"
#include "engine/tensor/budget.h"
#include "engine/tensor/lend.h"
#include "tests/support.h"
#include "tests/support_lab.h"
#include "tests/test.h"
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

TEST(lent_memory_is_lent_again_if_it_is_about_as_large_and_leaves_when_room_is_needed)
{
    SupportMath cpu;
    Budget *budget;
    Lender *lender;
    Loan *one, *two, *three;
    assert_ok(support_math_open("cpu", NULL, 1, &cpu));
    assert_ok(budget_new(1000, &budget));
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
    assert_ok(lender_borrow(lender, cpu.device, 100, &three)); /* 400 would be a waste */
    assert_int_equal(budget_used(budget), 500);
    assert_ok(lender_borrow(lender, cpu.device, 900, &two)); /* the 400 have to go */
    assert_int_equal(budget_used(budget), 1000);
    lender_return(two);
    lender_return(three);
    lender_return(NULL);
    lender_free(lender);
    assert_int_equal(budget_used(budget), 0);
    budget_free(budget);
    support_math_close(&cpu);
}

int main(void)
{
    const struct CMUnitTest cases[] = {CASE(what_loads_no_network_has_no_estimate),
                                       CASE(weights_that_are_there_are_not_told_again_and_a_larger_picture_needs_more),
                                       CASE(lent_memory_is_lent_again_if_it_is_about_as_large_and_leaves_when_room_is_needed)};
    return cmocka_run_group_tests(cases, setup, teardown);
}
