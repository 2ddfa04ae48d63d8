/* Weights: state dicts refuse what does not fit, round where a text encoder wants it, and the store packs once and under the budget. */
#include <stdio.h>
#include "tests/support.h"
#include "tests/test.h"

static const float values[6] = {1, -2, 0.1f, 3, 4.0001f, -5};

static NodusStatus small_set(WeightSet **set)
{
    NODUS_TRY(weights_new(set));
    weights_set_identity(*set, (Hash128){1, 2});
    return weights_add(*set, "a.weight", DTYPE_F32, 2, (int64_t[]){2, 3}, values, sizeof values, false);
}

TEST(names_are_found_and_duplicates_refused)
{
    WeightSet *set;
    assert_ok(small_set(&set));
    assert_int_equal(weights_find(set, "a.weight"), 0);
    assert_int_equal(weights_find(set, "a.bias"), -1);
    assert_error(weights_add(set, "a.weight", DTYPE_F32, 1, (int64_t[]){6}, values, sizeof values, false), "twice");
    assert_error(weights_add(set, "b", DTYPE_F32, 1, (int64_t[]){7}, values, sizeof values, false), "do not fit");
    assert_error(weights_add(set, "c", DTYPE_F32, 2, (int64_t[]){INT64_MAX, 4}, values, sizeof values, false), "do not fit");
    assert_int_equal(weights_count(set), 1);
    weights_unref(set);
}

TEST(thousands_of_names_are_found)
{
    WeightSet *set;
    char name[32];
    assert_ok(weights_new(&set));
    for (int i = 0; i < 5000; i++) {
        snprintf(name, sizeof name, "layer.%d", i);
        assert_ok(weights_add(set, name, DTYPE_F32, 1, (int64_t[]){1}, &values[i % 6], sizeof(float), false));
    }
    for (int i = 0; i < 5000; i++) {
        snprintf(name, sizeof name, "layer.%d", i);
        assert_int_equal(weights_find(set, name), i);
        assert_string_equal(weights_at(set, i)->name, name);
    }
    weights_unref(set);
}

static void release_once(void *owner) { ++*(int *)owner; }

TEST(owners_are_released_with_the_last_reference)
{
    WeightSet *set;
    int released = 0;
    assert_ok(small_set(&set));
    assert_ok(weights_own(set, release_once, &released));
    weights_unref(weights_ref(set));
    assert_int_equal(released, 0);
    weights_unref(set);
    assert_int_equal(released, 1);
}

TEST(marked_weights_are_read_through_f16)
{
    WeightSet *set;
    float out[6];
    assert_ok(small_set(&set));
    assert_ok(weights_read_f32(weights_at(set, 0), out));
    assert_memory_equal(out, values, sizeof out);
    weights_round_f16(set, "a.");
    assert_ok(weights_read_f32(weights_at(set, 0), out));
    assert_true(out[0] == 1 && out[1] == -2);
    assert_true(out[2] == 0.0999755859375f); /* the f16 next to 0.1 */
    assert_true(out[4] == 4.0f);
    weights_unref(set);
}

/* A linear layer's op over the weight, as a plan would pin it. */
static void pin(SupportMath *math, WeightSet *set, int64_t rows, const void **packed)
{
    View in[3] = {{.dtype = DTYPE_F32, .rank = 2, .place = PLACE_ARENA, .dim = {rows, 3}, .stride = {3, 1}},
                  {.dtype = DTYPE_F32, .rank = 2, .place = PLACE_WEIGHT, .dim = {2, 3}, .stride = {3, 1}}};
    const Op op = {.kind = OP_LINEAR, .inputs = 3, .in = in, .out = {.dtype = DTYPE_F32, .rank = 2, .place = PLACE_ARENA, .dim = {rows, 2}, .stride = {2, 1}}};
    NodusStatus status = weights_pin(math->math.weights, set, 0, math->device, &op, 1, packed);
    assert_null(status);
}

TEST(another_size_packs_nothing)
{
    SupportMath math;
    WeightSet *set;
    const void *first, *second;
    assert_ok(support_math_open("cpu", NULL, 1, &math));
    assert_ok(small_set(&set));
    pin(&math, set, 5, &first);
    const WeightCounters before = weight_store_counters(math.math.weights);
    pin(&math, set, 700, &second);
    const WeightCounters after = weight_store_counters(math.math.weights);
    assert_ptr_equal(first, second);
    assert_int_equal(before.packs, after.packs);
    weights_unpin(math.math.weights, first);
    weights_unpin(math.math.weights, second);
    weights_unref(set);
    support_math_close(&math);
}

TEST(packed_weights_leave_when_the_budget_is_full_and_come_back)
{
    SupportMath math;
    WeightSet *set;
    const void *packed;
    assert_ok(support_math_open("cpu", NULL, 1, &math));
    WeightStore *store;
    Budget *tiny;
    assert_ok(budget_new(1, &tiny));
    assert_ok(weight_store_new(tiny, &store));
    WeightStore *kept = math.math.weights;
    math.math.weights = store;
    assert_ok(small_set(&set));
    pin(&math, set, 5, &packed);
    if (packed != values) { /* a device that packs */
        weights_unpin(store, packed);
        BudgetEntry *entry;
        assert_ok(budget_add(tiny, 1, 1, release_once, NULL, &entry)); /* needs room: the packed weight goes */
        assert_int_equal(weight_store_counters(store).bytes, 0);
        pin(&math, set, 5, &packed);
        assert_int_equal(weight_store_counters(store).packs, 2);
        budget_remove(tiny, entry);
    }
    weights_unpin(store, packed);
    weight_store_free(store);
    budget_free(tiny);
    math.math.weights = kept;
    weights_unref(set);
    support_math_close(&math);
}

TEST_MAIN(CASE(names_are_found_and_duplicates_refused), CASE(thousands_of_names_are_found), CASE(owners_are_released_with_the_last_reference),
          CASE(marked_weights_are_read_through_f16), CASE(another_size_packs_nothing), CASE(packed_weights_leave_when_the_budget_is_full_and_come_back))
