/* Derived sets: what nobody changed is the base's, with its packed form; what was changed is computed when it is packed; products that stand
 * beside a weight do what adding them would do. */
#include "engine/tensor/derived.h"
#include "engine/tensor/graph.h"
#include "tests/support.h"
#include "tests/test.h"
#include <math.h>

enum { ROWS = 4, COLUMNS = 6, RANK = 2 };

/* sin(1.7·i + 0.37·n), i from 1, the numbers of the recorded values (numerics.md §16). */
static void formula(float *out, int count, int n)
{
    for (int i = 0; i < count; i++) out[i] = (float)sin(1.7 * (i + 1) + 0.37 * n);
}

static void sure(NodusStatus status)
{
    if (status) fail_msg("%s", nodus_error_message(status));
}

static float weight_values[ROWS * COLUMNS], other_values[ROWS * COLUMNS], bias_values[ROWS], up_values[ROWS * RANK], down_values[RANK * COLUMNS];

static WeightSet *base_set(void)
{
    WeightSet *set;
    formula(weight_values, ROWS * COLUMNS, 0);
    formula(bias_values, ROWS, 9);
    sure(weights_new(&set));
    weights_set_identity(set, (Hash128){1, 2});
    sure(weights_add(set, "l.weight", DTYPE_F32, 2, (int64_t[]){ROWS, COLUMNS}, weight_values, sizeof weight_values, false));
    sure(weights_add(set, "l.bias", DTYPE_F32, 1, (int64_t[]){ROWS}, bias_values, sizeof bias_values, false));
    return set;
}

static WeightSet *other_set(uint64_t identity)
{
    WeightSet *set;
    formula(other_values, ROWS * COLUMNS, 3);
    formula(up_values, ROWS * RANK, 1);
    formula(down_values, RANK * COLUMNS, 2);
    sure(weights_new(&set));
    weights_set_identity(set, (Hash128){identity, 4});
    sure(weights_add(set, "l.weight", DTYPE_F32, 2, (int64_t[]){ROWS, COLUMNS}, other_values, sizeof other_values, false));
    sure(weights_add(set, "up", DTYPE_F32, 2, (int64_t[]){ROWS, RANK}, up_values, sizeof up_values, false));
    sure(weights_add(set, "down", DTYPE_F32, 2, (int64_t[]){RANK, COLUMNS}, down_values, sizeof down_values, false));
    sure(weights_add(set, "thin", DTYPE_F32, 2, (int64_t[]){1, COLUMNS}, down_values, sizeof(float) * COLUMNS, false));
    return set;
}

static WeightSet *mixed(WeightSet *base, WeightSet *other, float keep, float share, bool round)
{
    Derived *derived;
    WeightSet *set;
    sure(derived_new(base, round, &derived));
    sure(derived_keep(derived, other));
    sure(derived_mix(derived, 0, keep, other, 0, share));
    sure(derived_finish(derived, &set));
    return set;
}

static WeightSet *with_product(WeightSet *base, WeightSet *other, float scale)
{
    Derived *derived;
    WeightSet *set;
    bool fits;
    sure(derived_new(base, false, &derived));
    sure(derived_keep(derived, other));
    sure(derived_beside(derived, 0, &(BesidePair){other, 2, 1, scale, 0}, &fits));
    assert_true(fits);
    sure(derived_finish(derived, &set));
    return set;
}

static NodusStatus build_layer(void *context, OpGraph *graph)
{
    (void)context;
    op_output(graph, "y", op_linear(graph, op_input(graph, "x", DTYPE_F32, 2, (int64_t[]){3, COLUMNS}), "l"));
    return NULL;
}

/* y of a layer "l" over these weights. */
static void layer(SupportMath *math, WeightSet *set, float y[3 * ROWS])
{
    float x[3 * COLUMNS];
    NodusTensor *in, *out;
    NodusHash *hash;
    Plan *plan;
    Bindings bindings = {0};
    const float *data;
    formula(x, 3 * COLUMNS, 5);
    sure(nodus_tensor_from_f32(&math->math, &in, 2, (int64_t[]){3, COLUMNS}, x));
    sure(plan_key_begin(&math->math, set, "layer", &hash));
    sure(plan_get(&math->math, plan_key_end(hash), set, build_layer, NULL, &plan));
    bindings_input(&bindings, "x", in);
    bindings_output(&bindings, "y", &out);
    sure(plan_run(&math->math, plan, &bindings));
    sure(nodus_tensor_map_f32(&math->math, out, &data));
    memcpy(y, data, 3 * ROWS * sizeof *y);
    plan_unref(plan);
}

TEST(a_product_has_the_recorded_values)
{
    static const float first[] = {1.724459f, -2.094904f, -1.184625f, 2.400169f, 0.566128f, -2.546054f};
    WeightSet *base = base_set(), *other = other_set(3), *set = with_product(base, other, 0.7f * 4 / 2);
    float value[ROWS * COLUMNS], sum = 0;
    assert_ok(derived_read(set, weights_find(set, "l.weight"), value));
    for (int i = 0; i < 6; i++) assert_true(fabsf(value[i] - first[i]) < 2e-6f);
    for (int i = 0; i < ROWS * COLUMNS; i++) sum += value[i];
    assert_true(fabsf(sum - 1.053853f) < 1e-5f);
    weights_unref(set);
    weights_unref(other);
    weights_unref(base);
}

TEST(a_product_beside_a_weight_does_what_adding_it_does)
{
    SupportMath math;
    WeightSet *base = base_set(), *other = other_set(3), *beside = with_product(base, other, 0.4f), *twice = with_product(beside, other, -1.5f), *sum;
    float value[ROWS * COLUMNS], plain[3 * ROWS], apart[3 * ROWS], together[3 * ROWS];
    assert_ok(support_math_open("cpu", NULL, 1, &math));
    assert_ok(derived_read(twice, 0, value));
    assert_ok(weights_new(&sum));
    assert_ok(weights_add(sum, "l.weight", DTYPE_F32, 2, (int64_t[]){ROWS, COLUMNS}, value, sizeof value, false));
    assert_ok(weights_add(sum, "l.bias", DTYPE_F32, 1, (int64_t[]){ROWS}, bias_values, sizeof bias_values, false));
    layer(&math, base, plain);
    layer(&math, twice, apart);
    layer(&math, sum, together);
    float change = 0;
    for (int i = 0; i < 3 * ROWS; i++) {
        assert_true(fabsf(apart[i] - together[i]) < 1e-5f);
        change = fmaxf(change, fabsf(apart[i] - plain[i]));
    }
    assert_true(change > 0.1f);
    weights_unref(sum);
    weights_unref(twice);
    weights_unref(beside);
    weights_unref(other);
    weights_unref(base);
    support_math_close(&math);
}

TEST(what_nobody_changed_shares_the_bases_packed_form)
{
    SupportMath math;
    WeightSet *base = base_set(), *other = other_set(3), *one = with_product(base, other, 0.4f), *two = with_product(base, other, 0.9f);
    float y[3 * ROWS], z[3 * ROWS];
    assert_ok(support_math_open("cpu", NULL, 1, &math));
    layer(&math, one, y);
    const uint64_t packs = weight_store_counters(math.math.weights).packs;
    layer(&math, two, z);
    assert_true(memcmp(y, z, sizeof y) != 0);
    layer(&math, base, y);
    assert_int_equal(weight_store_counters(math.math.weights).packs, packs);
    weights_unref(two);
    weights_unref(one);
    weights_unref(other);
    weights_unref(base);
    support_math_close(&math);
}

TEST(a_mix_is_computed_when_it_is_packed)
{
    SupportMath math;
    WeightSet *base = base_set(), *other = other_set(3), *mix = mixed(base, other, 0.25f, 0.75f, false);
    float y[3 * ROWS], a[3 * ROWS], value[ROWS * COLUMNS];
    assert_ok(support_math_open("cpu", NULL, 1, &math));
    assert_ok(derived_read(mix, 0, value));
    for (int i = 0; i < ROWS * COLUMNS; i++) assert_true(value[i] == weight_values[i] * 0.25f + other_values[i] * 0.75f);
    layer(&math, mix, y);
    layer(&math, base, a);
    assert_true(memcmp(y, a, sizeof y) != 0);
    WeightSet *more = mixed(base, other, 0.25f, 0.5f, false);
    layer(&math, more, a);
    assert_true(memcmp(y, a, sizeof y) != 0); /* another recipe is another weight to the store */
    weights_unref(more);
    weights_unref(mix);
    weights_unref(other);
    weights_unref(base);
    support_math_close(&math);
}

TEST(a_mix_has_the_products_beside_its_parts_in_it)
{
    WeightSet *base = base_set(), *other = other_set(3), *beside = with_product(base, other, 0.4f), *mix = mixed(beside, beside, 2, -1, false);
    float value[ROWS * COLUMNS], expected[ROWS * COLUMNS];
    assert_ok(derived_read(beside, 0, expected));
    assert_ok(derived_read(mix, 0, value));
    for (int i = 0; i < ROWS * COLUMNS; i++) assert_true(fabsf(value[i] - expected[i]) < 1e-6f);
    assert_int_equal(weights_count(mix), 2); /* the product is no longer beside it */
    weights_unref(mix);
    weights_unref(beside);
    weights_unref(other);
    weights_unref(base);
}

TEST(text_weights_are_rounded_once_after_all_changes)
{
    static const float one[] = {1}, small[] = {0.0003f}; /* an f16 near 1 has steps of 0.00098: half of one, 0.0005, rounds away */
    WeightSet *base, *other;
    float value;
    assert_ok(weights_new(&base));
    assert_ok(weights_add(base, "t.weight", DTYPE_F32, 2, (int64_t[]){1, 1}, one, sizeof one, false));
    assert_ok(weights_new(&other));
    assert_ok(weights_add(other, "t.weight", DTYPE_F32, 2, (int64_t[]){1, 1}, small, sizeof small, false));
    WeightSet *once = mixed(base, other, 1, 1, true), *twice = mixed(once, other, 1, 1, true);
    assert_ok(weights_read_f32(weights_at(once, 0), &value));
    assert_true(value == 1);
    assert_ok(weights_read_f32(weights_at(twice, 0), &value));
    assert_true(value == 1.0009765625f);
    weights_unref(twice);
    weights_unref(once);
    weights_unref(other);
    weights_unref(base);
}

TEST(products_of_other_shapes_are_not_taken)
{
    WeightSet *base = base_set(), *other = other_set(3);
    Derived *derived;
    bool fits;
    assert_ok(derived_new(base, false, &derived));
    assert_ok(derived_beside(derived, 0, &(BesidePair){other, 1, 2, 1, 0}, &fits)); /* up and down exchanged */
    assert_false(fits);
    assert_ok(derived_beside(derived, 0, &(BesidePair){other, 3, 1, 1, 0}, &fits)); /* another rank */
    assert_false(fits);
    assert_ok(derived_beside(derived, 1, &(BesidePair){other, 2, 1, 1, 0}, &fits)); /* a bias */
    assert_false(fits);
    assert_error(derived_mix(derived, 0, 1, other, 1, 1), "has the shape [4, 6] in one and [4, 2] in the other");
    derived_free(derived);
    weights_unref(other);
    weights_unref(base);
}

TEST(a_file_that_pretends_to_be_derived_is_refused)
{
    SupportMath math;
    WeightSet *set = base_set();
    float value[ROWS * COLUMNS];
    NodusHash *hash;
    Plan *plan;
    assert_ok(support_math_open("cpu", NULL, 1, &math));
    assert_ok(weights_add(set, "l.lora.0.down", DTYPE_F32, 2, (int64_t[]){ROWS, COLUMNS}, weight_values, sizeof weight_values, false));
    assert_ok(weights_add(set, "l.lora.0.up", DTYPE_F32, 1, (int64_t[]){ROWS}, bias_values, sizeof bias_values, false));
    assert_ok(weights_add(set, "l.lora.0.scale", DTYPE_F32, 1, (int64_t[]){ROWS}, bias_values, sizeof bias_values, false));
    assert_error(derived_read(set, 0, value), "does not fit the weight beside it");
    assert_ok(plan_key_begin(&math.math, set, "layer", &hash));
    assert_error(plan_get(&math.math, plan_key_end(hash), set, build_layer, NULL, &plan), "shape");
    weights_unref(set);
    support_math_close(&math);
}

TEST_MAIN(CASE(a_product_has_the_recorded_values), CASE(a_product_beside_a_weight_does_what_adding_it_does), CASE(what_nobody_changed_shares_the_bases_packed_form),
          CASE(a_mix_is_computed_when_it_is_packed), CASE(a_mix_has_the_products_beside_its_parts_in_it), CASE(text_weights_are_rounded_once_after_all_changes),
          CASE(products_of_other_shapes_are_not_taken), CASE(a_file_that_pretends_to_be_derived_is_refused))
