/* test_descriptor.c: every built-in table passes the checks that plug-ins must pass; tables whose fields were overwritten at random
 * never bring the checks down, and never pass with a field that would. */
#include "engine/graph/descriptor.h"
#include "nodes/diffusion/sampler.h"
#include "nodes/diffusion/schedule.h"
#include "nodes/register.h"
#include "tests/support.h"
#include "tests/test.h"
#include <math.h>

static void expect_none(const Faults *faults)
{
    if (faults_any(faults)) fail_msg("%s", faults->item[0]);
}

TEST(every_built_in_table_is_right)
{
    Faults faults = {0};
    for (const NodusNode *const *node = builtin_nodes; *node; node++) descriptor_node(*node, &faults);
    for (const NodusType *const *type = builtin_types; *type; type++) descriptor_type(*type, &faults);
    for (const NodusSamplerDef *sampler = builtin_samplers(); sampler->name; sampler++) descriptor_sampler(sampler, &faults);
    for (const NodusSchedulerDef *scheduler = builtin_schedulers(); scheduler->name; scheduler++) descriptor_scheduler(scheduler, &faults);
    for (const NodusPatchClass *const *patch = builtin_patches; *patch; patch++) descriptor_patch(*patch, &faults);
    expect_none(&faults);
    faults_free(&faults);
}

TEST(names_are_short_utf8_without_control_characters)
{
    char longest[DESCRIPTOR_NAME + 2] = {0};
    memset(longest, 'n', DESCRIPTOR_NAME);
    assert_true(descriptor_name("KSampler (Efficient) ü"));
    assert_true(descriptor_name(longest));
    longest[DESCRIPTOR_NAME] = 'n';
    static const char *const wrong[] = {"", " a", "a ", "a\tb", "a\x7f", "a\xff", "\xc0\xaf", "\xed\xa0\x80"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (descriptor_name(wrong[i])) fail_msg("name %zu passed", i);
    assert_false(descriptor_name(longest));
    assert_false(descriptor_name(NULL));
}

/* ---- Fields at random ---------------------------------------------------------------------------------------------- */

typedef struct {
    const void *link;
    double number;
    int64_t count;
    uint64_t seed;
    const char *choice, *text;
    bool flag;
} Args;
static const char *const choices[] = {"a", "b", NULL};
static NodusStatus run(NodusCall *call, const void *args)
{
    (void)call;
    (void)args;
    return NULL;
}

enum { INPUTS = 7 };
static const NodusInput good_inputs[INPUTS] = {
    NODUS_IN_LINK("link", Args, link, "IMAGE", "A link."),
    NODUS_IN_FLOAT("number", Args, number, "A number.", .def = 1, .min = 0, .max = 2, .step = 0.5),
    NODUS_IN_INT("count", Args, count, "A count.", .def = 1, .min = 0, .max = 2, .step = 1),
    NODUS_IN_SEED("seed", Args, seed, "A seed.", .def = 1, .min = 0, .max = 2),
    NODUS_IN_COMBO("choice", Args, choice, "A choice.", .names = choices),
    NODUS_IN_STRING("text", Args, text, "A text.", .def = "x"),
    NODUS_IN_BOOLEAN("flag", Args, flag, "A flag.", true),
};
static const NodusOutput good_outputs[] = {{.name = "IMAGE", .type = "IMAGE"}};

/* Numbers that are likely to hurt. */
static uint64_t nasty(uint64_t *state)
{
    static const uint64_t values[] = {0, 1, 2, 7, 8, 63, 64, 65, 1 << 16, INT32_MAX, UINT32_MAX, INT64_MAX, 1ull << 63, UINT64_MAX,
                                      UINT64_MAX - 7,
                                      0x7ff8000000000000u /* NaN */, 0x7ff0000000000000u /* infinity */, 0xfff0000000000000u};
    const uint64_t pick = support_random(state);
    return pick % 3 ? values[pick / 3 % (sizeof values / sizeof *values)] : support_random(state);
}

/* Changes one number of an input, or one pointer to NULL; pointers elsewhere could not be checked by anyone. */
static void spoil_input(NodusInput *input, uint64_t *state)
{
    const bool texts = input->kind == NODUS_STRING || input->kind == NODUS_COMBO;
    switch (support_random(state) % 8) {
    case 0: input->name = NULL; break;
    case 1: input->type = NULL; break;
    case 2: input->tooltip = NULL; break;
    case 3: input->kind = (uint32_t)nasty(state); break;
    case 4: input->flags = (uint32_t)nasty(state); break;
    case 5: input->offset = (size_t)nasty(state); break;
    default: input->as.reserved[support_random(state) % 8] = texts ? 0 : nasty(state); break;
    }
    const bool still = input->kind == NODUS_STRING || input->kind == NODUS_COMBO;
    if (still && !texts) memset(&input->as, 0, sizeof input->as); /* else numbers would be read as pointers */
}

static void spoil_node(NodusNode *node, uint64_t *state)
{
    switch (support_random(state) % 8) {
    case 0: node->name = NULL; break;
    case 1: node->title = NULL; break;
    case 2: node->category = NULL; break;
    case 3: node->run = NULL; break;
    case 4: node->flags = (uint32_t)nasty(state); break;
    case 5: node->args_size = (size_t)nasty(state); break;
    case 6: node->inputs = NULL; break;
    default: node->outputs = NULL; break;
    }
}

/* What the engine relies on without looking again. */
static void expect_safe(const NodusNode *node)
{
    assert_non_null(node->run);
    assert_true(node->args_size <= DESCRIPTOR_ARGS);
    for (uint32_t i = 0; i < node->input_count; i++) {
        const NodusInput *input = &node->inputs[i];
        const size_t size = input->flags & NODUS_WHOLE_LIST                                      ? sizeof(NodusList) :
                            input->kind == NODUS_BOOLEAN && !(input->flags & NODUS_RAW_LINK) ? sizeof(bool) :
                                                                                               8;
        assert_non_null(input->name);
        assert_non_null(input->type);
        assert_true(input->kind <= NODUS_HIDDEN);
        assert_true(input->offset <= node->args_size && size <= node->args_size - input->offset);
        if (input->kind == NODUS_FLOAT) assert_true(isfinite(input->as.f.def));
    }
}

TEST(tables_with_fields_at_random_are_refused_or_safe)
{
    uint64_t state = 7;
    int refused = 0;
    for (int turn = 0; turn < 20000; turn++) {
        NodusInput inputs[INPUTS];
        NodusNode node = {NODUS_NODE("Test", "Test", "tests", Args, inputs, good_outputs), .run = run};
        Faults faults = {0};
        memcpy(inputs, good_inputs, sizeof inputs);
        const int changes = 1 + (int)(support_random(&state) % 3);
        for (int i = 0; i < changes; i++)
            if (support_random(&state) % 4) spoil_input(&inputs[support_random(&state) % INPUTS], &state);
            else spoil_node(&node, &state);
        descriptor_node(&node, &faults);
        refused += faults_any(&faults);
        if (!faults_any(&faults)) expect_safe(&node);
        faults_free(&faults);
    }
    assert_in_range(refused, 10000, 19900);
}

/* ---- Operations and patch classes ------------------------------------------------------------------------------------- */

static NodusStatus op_build(NodusOpGraph *graph, const NodusOpRef *in, const double *parameter, NodusOpRef *out)
{
    (void)graph, (void)in, (void)parameter, (void)out;
    return NULL;
}

static bool op_passes(const NodusOpDef *op)
{
    Faults faults = {0};
    descriptor_op(op, &faults);
    const bool passes = !faults_any(&faults);
    faults_free(&faults);
    return passes;
}

/* What nodus_op_apply sizes its arrays by. */
TEST(operations_with_fields_at_random_are_refused_or_safe)
{
    uint64_t state = 11;
    int refused = 0;
    for (int turn = 0; turn < 20000; turn++) {
        NodusOpDef op = {.struct_size = sizeof op, .name = "op", .inputs = 1, .outputs = 1, .build = op_build};
        switch (support_random(&state) % 6) {
        case 0: op.name = NULL; break;
        case 1: op.inputs = (uint32_t)nasty(&state); break;
        case 2: op.outputs = (uint32_t)nasty(&state); break;
        case 3: op.parameters = (uint32_t)nasty(&state); break;
        case 4: op.flags = (uint32_t)nasty(&state); break;
        default: op.build = NULL; break;
        }
        const bool passes = op_passes(&op);
        refused += !passes;
        if (!passes) continue;
        assert_true(op.name && op.build && !op.flags);
        assert_in_range(op.inputs, 1, NODUS_OP_MOST);
        assert_in_range(op.outputs, 1, NODUS_OP_MOST);
        assert_true(op.parameters <= NODUS_OP_PARAMETERS);
    }
    assert_in_range(refused, 5000, 19900);
}

TEST(a_patch_class_has_what_its_functions_need)
{
    const NodusPatchClass good = *builtin_patches[0];
    for (int i = 0; i < 8; i++) {
        NodusPatchClass patch = good;
        Faults faults = {0};
        switch (i) {
        case 0: patch.name = ""; break;
        case 1: patch.build = NULL, patch.bind = NULL; break;
        case 2: patch.structure = NULL; break;
        case 3: patch.build = NULL; break;
        case 4: patch.flags = NODUS_PATCH_DRAWS; break;
        case 5: patch.flags = 1u << 31; break;
        case 6: patch.flags = NODUS_PATCH_NEEDS_UNCOND; break;
        default: patch.identity = NULL, patch.active = NULL; break;
        }
        descriptor_patch(&patch, &faults);
        if (faults_any(&faults) != (i < 6)) fail_msg("change %d of the table: %s", i, i < 6 ? "nothing was said" : faults.item[0]);
        faults_free(&faults);
    }
}

TEST_MAIN(CASE(every_built_in_table_is_right), CASE(names_are_short_utf8_without_control_characters),
          CASE(tables_with_fields_at_random_are_refused_or_safe), CASE(operations_with_fields_at_random_are_refused_or_safe),
          CASE(a_patch_class_has_what_its_functions_need))
