/* Counted faults in derived state dicts: each failed allocation, while a set is made and while its weights are computed, is an error and
 * leaves nothing behind. */
#include "engine/tensor/derived.h"
#include "nodes/models/taesd.h"
#include "tests/faults/faults.h"

static float numbers[24] = {1, 2, 3, 4};

static NodusStatus fill(WeightSet *set)
{
    NODUS_TRY(weights_add(set, "l.weight", DTYPE_F32, 2, (int64_t[]){4, 6}, numbers, 24 * sizeof(float), false));
    NODUS_TRY(weights_add(set, "up", DTYPE_F32, 2, (int64_t[]){4, 2}, numbers, 8 * sizeof(float), false));
    return weights_add(set, "down", DTYPE_F32, 2, (int64_t[]){2, 6}, numbers, 12 * sizeof(float), false);
}

static NodusStatus patch(Derived *derived, WeightSet *other, bool beside)
{
    bool fits;
    NODUS_TRY(derived_keep(derived, other));
    if (beside) NODUS_TRY(derived_beside(derived, 0, &(BesidePair){other, 2, 1, 0.5f, 0}, &fits));
    else NODUS_TRY(derived_mix(derived, 0, 0.5f, other, 0, 2));
    return NULL;
}

static NodusStatus derive(WeightSet *base, WeightSet *other, bool beside, WeightSet **out)
{
    Derived *derived;
    NODUS_TRY(derived_new(base, false, &derived));
    NodusStatus status = patch(derived, other, beside);
    if (!status) status = derived_finish(derived, out);
    if (status) derived_free(derived);
    return status;
}

static NodusStatus read_both(WeightSet *base)
{
    WeightSet *one, *two;
    float value[24];
    NODUS_TRY(derive(base, base, true, &one));
    NodusStatus status = derive(one, base, false, &two);
    if (!status) {
        status = derived_read(two, 0, value);
        /* W + ½·up·down = 1 + ½·(1·1 + 2·0) at the first place, halved, and twice W added */
        if (!status && value[0] != 0.75f + 2) status = nodus_error(NODUS_ERROR_INTERNAL, "wrong value");
        weights_unref(two);
    }
    weights_unref(one);
    return status;
}

static NodusStatus make_and_read(void *context)
{
    WeightSet *base;
    (void)context;
    NODUS_TRY(weights_new(&base));
    NodusStatus status = fill(base);
    if (!status) status = read_both(base);
    weights_unref(base);
    return status;
}

TEST(derived_sets)
{
    assert_true(faults_each(FAULT_OF_ALLOCATION, NODUS_ERROR_MEMORY, make_and_read, NULL) > 20);
}

static NodusStatus join(void *context)
{
    WeightSet *half, *joined;
    (void)context;
    NODUS_TRY(weights_new(&half));
    NodusStatus status = fill(half);
    if (!status && !(status = taesd_join(half, half, &joined))) weights_unref(joined);
    weights_unref(half);
    return status;
}

TEST(two_files_as_one)
{
    assert_true(faults_each(FAULT_OF_ALLOCATION, NODUS_ERROR_MEMORY, join, NULL) > 5);
}

TEST_MAIN(CASE(derived_sets), CASE(two_files_as_one))
