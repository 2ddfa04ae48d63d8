/* test_backend.c: every operation, on every back end and instruction set of this machine, against the oracle.
 *
 * One idea: a random op (cases.h) is computed by ref on contiguous copies of its operands: that is the truth. Then each back end
 * computes it in place, at once (eager) and as a program with packed weights, on 1, 2, 3 and 7 threads: never further from the
 * truth than OP_LIST allows, never a byte beside the output, and the same bits for every number of threads.
 *
 * On an emulated CPU (tests/emulate) that is slow, so NODUS_OPS_ISA tries one instruction set alone, with one thread, and NODUS_OPS_TRIALS sets
 * how many trials an op gets. */
#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include "engine/base/pool.h"
#include "tests/ops/cases.h"
#include "tests/test.h"

enum { THREADS = 4 };
static int trials = 56;
static const int thread_counts[THREADS] = {1, 2, 3, 7};

static const struct {
    const char *name;
    double tolerance;
    void (*make)(Trial *);
} ops[OP_COUNT] = {
#define CASE_ROW(id, inputs, attrs, tolerance) [OP_##id] = {#id, tolerance, case_##id},
    OP_LIST(CASE_ROW)
#undef CASE_ROW
};

/* A back end with an instruction set, opened once for each number of threads. */
typedef struct Subject {
    const Backend *backend;
    const char *variant;
    Pool *pool[THREADS];
    Workers workers[THREADS];
    void *device[THREADS];
    int counts; /* of thread_counts that are tried: ref works alone */
    int cases[OP_COUNT];
} Subject;

static const struct {
    const Backend *backend;
    const char *which;
} candidates[] = {{&backend_ref, NULL},
                  {&backend_cpu, "avx2"},
                  {&backend_cpu, "pair_avx2"},
                  {&backend_cpu, "avx512"},
                  {&backend_cpu, "avx512bf16"}};
static Subject subjects[sizeof candidates / sizeof *candidates];
static int subject_count;
static void *oracle;

static int open_subjects(void **state)
{
    (void)state;
    const char *only = getenv("NODUS_OPS_ISA"), *count = getenv("NODUS_OPS_TRIALS");
    if (count && atoi(count) > 0) trials = atoi(count);
    assert_int_equal(backend_ref.open(NULL, NULL, &oracle), FAULT_NONE);
    for (size_t i = 0; i < sizeof candidates / sizeof *candidates; i++) {
        if (only && (!candidates[i].which || strcmp(candidates[i].which, only) != 0)) continue;
        Subject *s = &subjects[subject_count];
        s->backend = candidates[i].backend;
        s->counts = s->backend == &backend_ref || only ? 1 : THREADS;
        s->variant = candidates[i].which ? candidates[i].which : s->backend->name;
        Fault fault = FAULT_NONE;
        for (int k = 0; k < s->counts && !fault; k++) {
            assert_null(pool_new(thread_counts[k], &s->pool[k]));
            s->workers[k] = (Workers){pool_each, s->pool[k], thread_counts[k]};
            fault = s->backend->open(candidates[i].which, &s->workers[k], &s->device[k]);
            if (fault) pool_free(s->pool[k]);
        }
        if (fault) print_message("%s: not on this machine\n", s->variant);
        else subject_count++;
    }
    return 0;
}

static int close_subjects(void **state)
{
    (void)state;
    for (int i = 0; i < subject_count; i++) {
        int total = 0;
        for (int k = 0; k < subjects[i].counts; k++) {
            subjects[i].backend->close(subjects[i].device[k]);
            pool_free(subjects[i].pool[k]);
        }
        for (int kind = 0; kind < OP_COUNT; kind++) total += subjects[i].cases[kind];
        print_message("%s: %d cases, each eager and as a program%s\n", subjects[i].variant, total,
                      subjects[i].counts > 1 ? ", on 1, 2, 3 and 7 threads" : "");
    }
    backend_ref.close(oracle);
    return 0;
}

/* ---- The truth ---- */

static View contiguous_copy(const View *view)
{
    View copy = trial_view(view->dtype, view->rank, view->dim);
    const size_t size = dtype_size(view->dtype);
    const int64_t count = view_count(view);
    copy.data = malloc((size_t)count * size + 1);
    for (int64_t i = 0; i < count; i++)
        memcpy((char *)copy.data + (size_t)i * size, (char *)view->data + view_at(view, i) * (int64_t)size, size);
    return copy;
}

/* Row-major; the caller frees the data. */
static View truth_of(const Trial *t)
{
    View in[OP_INPUTS], out = trial_view(t->op.out.dtype, t->op.out.rank, t->op.out.dim);
    memcpy(in, t->in, sizeof in);
    for (int i = 0; i < t->op.inputs; i++)
        if (in[i].place) in[i] = contiguous_copy(&t->in[i]);
    out.data = malloc((size_t)view_count(&out) * dtype_size(out.dtype) + 1);
    Op op = t->op;
    op.in = in;
    op.out = out;
    assert_int_equal(backend_ref.eager(oracle, &op), FAULT_NONE);
    for (int i = 0; i < t->op.inputs; i++)
        if (in[i].place) free(in[i].data);
    return out;
}

/* ---- A run of the subject ---- */

static void *aligned_block(size_t bytes)
{
    void *block = aligned_alloc(64, (bytes + 2 * 64) / 64 * 64);
    memset(block, TRIAL_PATTERN, (bytes + 2 * 64) / 64 * 64);
    return block;
}

static bool has_pattern(const void *from, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (((const uint8_t *)from)[i] != TRIAL_PATTERN) return false;
    return true;
}

/* Compiles the op with its weights packed and the rest bound as inputs, and launches it once. */
static Fault run_program(const Subject *s, void *device, const Trial *t, const Cancel *cancel)
{
    enum { BEFORE = 64 };
    View in[OP_INPUTS];
    void *inputs[TRIAL_ARRAYS], *packed[OP_INPUTS] = {0};
    memcpy(in, t->in, sizeof in);
    Op op = t->op;
    op.in = in;
    for (int i = 0; i < op.inputs; i++) {
        inputs[i] = in[i].data;
        if (!in[i].place) continue;
        in[i].place = t->is_weight[i] ? PLACE_WEIGHT : PLACE_INPUT;
        in[i].at = (uint64_t)i;
        in[i].data = NULL;
    }
    inputs[OP_INPUTS] = op.out.data;
    op.out.place = PLACE_INPUT;
    op.out.at = OP_INPUTS;
    op.out.data = NULL;
    for (int i = 0; i < op.inputs; i++) {
        if (in[i].place != PLACE_WEIGHT) continue;
        if (!s->backend->packing(device, &op, i)) {
            packed[i] = t->in[i].data;
            continue;
        }
        const size_t bytes = s->backend->pack(device, &op, i, &t->in[i], NULL);
        packed[i] = aligned_block(bytes);
        assert_int_equal(s->backend->pack(device, &op, i, &t->in[i], packed[i]), bytes);
        assert_true(has_pattern((char *)packed[i] + bytes, 64));
    }
    const size_t workspace = s->backend->workspace(device, &op);
    char *arena = aligned_block(BEFORE + workspace);
    void *program;
    assert_int_equal(s->backend->compile(device, &op, 1, BEFORE, &program), FAULT_NONE);
    const Fault fault = s->backend->launch(program, arena, inputs, (const void *const *)packed, cancel);
    s->backend->discard(program);
    assert_true(has_pattern(arena, BEFORE) && has_pattern(arena + BEFORE + workspace, 64));
    free(arena);
    for (int i = 0; i < op.inputs; i++)
        if (packed[i] != t->in[i].data) free(packed[i]);
    return fault;
}

/* ---- Judging ---- */

static double number_at(const View *view, int64_t at)
{
    switch (view->dtype) {
    case DTYPE_F32: return ((const float *)view->data)[at];
    case DTYPE_F64: return ((const double *)view->data)[at];
    case DTYPE_I32: return ((const int32_t *)view->data)[at];
    default: return ((const uint16_t *)view->data)[at]; /* 16-bit results are compared as bits */
    }
}

/* Bytes of the block that belong to no number are as they were. */
static bool gaps_are_whole(const Trial *t)
{
    const View *out = &t->op.out;
    const size_t size = dtype_size(out->dtype), bytes = t->bytes[OP_INPUTS],
                 start = (size_t)((char *)out->data - (char *)t->block[OP_INPUTS]);
    uint8_t *copy = malloc(bytes);
    memcpy(copy, t->block[OP_INPUTS], bytes);
    for (int64_t i = 0; i < view_count(out); i++) memset(copy + start + (size_t)view_at(out, i) * size, TRIAL_PATTERN, size);
    const bool whole = has_pattern(copy, bytes);
    free(copy);
    return whole;
}

static bool is_equal(double got, double want, double allowed)
{
    if (isnan(want)) return isnan(got);
    return got == want || fabs(got - want) <= allowed;
}

static double largest_input(const Trial *t)
{
    double largest = 0;
    for (int i = 0; i < t->op.inputs; i++) {
        if (!t->in[i].place || t->is_weight[i] || t->in[i].dtype != DTYPE_F32) continue;
        for (int64_t n = 0; n < view_count(&t->in[i]); n++)
            largest = fmax(largest, fabs(number_at(&t->in[i], view_at(&t->in[i], n))));
    }
    return largest;
}

/* Where an output is one sum, or few, all of them may cancel; errors are then measured against what was summed (weights are up to 1),
 * not against what is left. */
static double least_scale(const Trial *t)
{
    switch (t->op.kind) {
    case OP_LINEAR:
    case OP_LINEAR_FUSED:
    case OP_CONV2D:
    case OP_CONV2D_FUSED: return largest_input(t);
    case OP_SCORES:
    case OP_VALUES:
    case OP_ATTENTION: return 0.1 * largest_input(t);
    default: return 0;
    }
}

/* Beside the tolerance, numbers that f32 can hold only as denormals may be flushed, and a sigmoid may end at the least normal number.
 * NULL, or what is wrong. Numbers are wild in a wild trial, so there only exact operations are compared. */
static const char *judge(const Trial *t, const View *truth, char text[256])
{
    const double tolerance = ops[t->op.kind].tolerance;
    double largest = 0;
    if (!gaps_are_whole(t)) return "wrote beside its output";
    if (t->fill == FILL_WILD && tolerance > 0) return NULL;
    for (int64_t i = 0; i < view_count(truth); i++) {
        const double size = fabs(number_at(truth, i));
        if (isfinite(size) && size > largest) largest = size;
    }
    const double allowed = tolerance > 0 ? tolerance * fmax(largest, least_scale(t)) + FLT_MIN * (1 + largest_input(t)) : FLT_MIN;
    for (int64_t i = 0; i < view_count(truth); i++) {
        const double want = number_at(truth, i), got = number_at(&t->op.out, view_at(&t->op.out, i));
        if (is_equal(got, want, allowed)) continue;
        snprintf(text, 256, "number %lld is %.9g, expected %.9g ± %.3g (largest %.9g)", (long long)i, got, want, allowed,
                 largest);
        return text;
    }
    return NULL;
}

static void describe(const Trial *t, char *text, size_t size)
{
    size_t at = 0;
    for (int i = 0; i <= t->op.inputs; i++) {
        const View *view = i < t->op.inputs ? &t->in[i] : &t->op.out;
        at += (size_t)snprintf(text + at, size - at, "%s%d:[", i < t->op.inputs ? " in" : " out", view->dtype);
        for (int k = 0; k < view->rank; k++)
            at += (size_t)snprintf(text + at, size - at, " %lld/%lld", (long long)view->dim[k], (long long)view->stride[k]);
        at += (size_t)snprintf(text + at, size - at, "]");
    }
}

static void run_trial(Subject *s, Trial *t, const View *truth, uint64_t seed)
{
    char text[256], shapes[1024];
    const size_t bytes = t->bytes[OP_INPUTS];
    uint8_t *first = malloc(bytes);
    for (int program = 0; program < 2; program++)
        for (int k = 0; k < s->counts; k++) {
            memset(t->block[OP_INPUTS], TRIAL_PATTERN, bytes);
            void *device = s->device[k];
            assert_int_equal(program ? run_program(s, device, t, &(Cancel){0}) : s->backend->eager(device, &t->op), FAULT_NONE);
            const char *wrong = NULL;
            if (k == 0) {
                wrong = judge(t, truth, text);
                memcpy(first, t->block[OP_INPUTS], bytes);
            } else if (memcmp(first, t->block[OP_INPUTS], bytes) != 0) {
                wrong = "other bits than with one thread";
            }
            if (!wrong) continue;
            describe(t, shapes, sizeof shapes);
            fail_msg("%s %s, %s, %d threads, seed %llu, fill %d: %s; %s", s->variant, ops[t->op.kind].name,
                     program ? "program" : "eager", thread_counts[k], (unsigned long long)seed, t->fill, wrong, shapes);
        }
    free(first);
}

static void test_op(int kind)
{
    for (int trial = 0; trial < trials; trial++) {
        /* half of the trials have plain numbers, the others take the special ones in turn */
        const Fill fill = trial % 2 ? FILL_UNIFORM : (Fill)(trial / 2 % FILL_COUNT);
        const uint64_t seed = (uint64_t)kind * 1000003 + (uint64_t)trial;
        Trial t;
        trial_begin(&t, kind, seed, fill);
        ops[kind].make(&t);
        if (t.view_only) {
            for (int i = 0; i < subject_count; i++) assert_false(subjects[i].backend->supports(subjects[i].device[0], &t.op));
        } else {
            View truth = truth_of(&t);
            for (int i = 0; i < subject_count; i++) {
                assert_true(subjects[i].backend->supports(subjects[i].device[0], &t.op));
                run_trial(&subjects[i], &t, &truth, seed);
                subjects[i].cases[kind]++;
            }
            free(truth.data);
        }
        trial_end(&t);
    }
}

#define OP_TEST(id, inputs, attrs, tolerance) \
    TEST(id##_agrees_with_the_oracle)         \
    {                                         \
        test_op(OP_##id);                     \
    }
OP_LIST(OP_TEST)

/* Closer than OP_LIST asks for: results that are in somebody's cache are those of ref, whoever computed them. */
TEST(means_have_the_bits_of_ref)
{
    static const int kinds[] = {OP_MEAN_CHANNELS, OP_MERGE_TOKENS};
    for (int trial = 0; trial < 2 * trials; trial++) {
        Trial t;
        const int kind = kinds[trial % 2];
        trial_begin(&t, kind, (uint64_t)trial + 77, FILL_UNIFORM);
        ops[kind].make(&t);
        View truth = truth_of(&t);
        for (int i = 0; i < subject_count; i++) {
            assert_int_equal(subjects[i].backend->eager(subjects[i].device[0], &t.op), FAULT_NONE);
            for (int64_t n = 0; n < view_count(&truth); n++)
                assert_true(number_at(&t.op.out, view_at(&t.op.out, n)) == number_at(&truth, n));
        }
        free(truth.data);
        trial_end(&t);
    }
}

TEST(a_cancelled_program_says_so)
{
    const Cancel cancel = {1};
    Trial t;
    trial_begin(&t, OP_LINEAR, 1, FILL_UNIFORM);
    case_LINEAR(&t);
    for (int i = 0; i < subject_count; i++)
        assert_int_equal(run_program(&subjects[i], subjects[i].device[0], &t, &cancel), FAULT_CANCELLED);
    trial_end(&t);
}

TEST(an_unknown_instruction_set_is_refused)
{
    const Workers workers = {pool_each, NULL, 1};
    void *device = NULL;
    assert_int_equal(backend_cpu.open("mmx", &workers, &device), FAULT_DEVICE);
    assert_int_equal(backend_ref.open("mmx", &workers, &device), FAULT_DEVICE);
}

#define OP_CASE(id, inputs, attrs, tolerance) CASE(id##_agrees_with_the_oracle),
int main(void)
{
    const struct CMUnitTest cases[] = {OP_LIST(OP_CASE) CASE(means_have_the_bits_of_ref), CASE(a_cancelled_program_says_so),
                                       CASE(an_unknown_instruction_set_is_refused)};
    return cmocka_run_group_tests(cases, open_subjects, close_subjects);
}
