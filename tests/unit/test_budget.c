/* Budget: it evicts what costs least per byte, never what is pinned, and agrees with a naive twin on random histories. */
#include "engine/tensor/budget.h"
#include "tests/support.h"
#include "tests/test.h"

typedef struct Item {
    BudgetEntry *entry;
    size_t bytes;
    double worth, priority;
    int pins;
    bool alive, evicted;
} Item;

static void evict(void *owner)
{
    ((Item *)owner)->evicted = true;
}

static void add(Budget *budget, Item *item, size_t bytes, double seconds)
{
    *item = (Item){.bytes = bytes, .alive = true};
    NodusStatus status = budget_add(budget, bytes, seconds, evict, item, &item->entry);
    assert_null(status);
}

TEST(the_cheapest_per_byte_goes_first)
{
    Budget *budget;
    Item dear, cheap, next;
    assert_ok(budget_new(100, &budget));
    add(budget, &dear, 40, 4.0);
    add(budget, &cheap, 40, 0.4);
    budget_unpin(budget, dear.entry);
    budget_unpin(budget, cheap.entry);
    add(budget, &next, 40, 1.0);
    assert_false(dear.evicted);
    assert_true(cheap.evicted);
    assert_int_equal(budget_used(budget), 80);
    budget_remove(budget, dear.entry);
    budget_remove(budget, next.entry);
    assert_int_equal(budget_used(budget), 0);
    assert_int_equal(budget_peak(budget), 80);
    budget_free(budget);
}

TEST(what_is_pinned_stays_although_the_budget_is_exceeded)
{
    Budget *budget;
    Item held, next;
    assert_ok(budget_new(50, &budget));
    add(budget, &held, 40, 0);
    add(budget, &next, 40, 0);
    assert_false(held.evicted);
    assert_int_equal(budget_used(budget), 80);
    budget_remove(budget, held.entry);
    budget_remove(budget, next.entry);
    budget_free(budget);
}

TEST(what_was_not_used_for_long_grows_old)
{
    Budget *budget;
    Item old, item[40];
    assert_ok(budget_new(100, &budget));
    add(budget, &old, 50, 10.0); /* ten times the worth of the others */
    budget_unpin(budget, old.entry);
    int rounds = 0;
    while (!old.evicted && rounds < 40) {
        add(budget, &item[rounds], 50, 1.0);
        budget_unpin(budget, item[rounds++].entry);
    }
    assert_true(old.evicted);
    assert_in_range(rounds, 5, 20);
    for (int i = 0; i < rounds; i++)
        if (!item[i].evicted) budget_remove(budget, item[i].entry);
    budget_free(budget);
}

/* The same rule, written as plainly as possible. */
typedef struct Twin { double clock; size_t used, limit; } Twin;

static void twin_make_room(Twin *twin, Item *items, int count, size_t bytes)
{
    while (twin->used + bytes > twin->limit) {
        int lowest = -1;
        for (int i = 0; i < count; i++)
            if (items[i].alive && !items[i].pins && (lowest < 0 || items[i].priority < items[lowest].priority)) lowest = i;
        if (lowest < 0) return;
        twin->clock = items[lowest].priority;
        twin->used -= items[lowest].bytes;
        items[lowest].alive = false;
    }
}

TEST(random_histories_agree_with_a_naive_twin)
{
    enum { ITEMS = 400 };
    static Item items[ITEMS];
    uint64_t random = 7;
    for (int history = 0; history < 20; history++) {
        Budget *budget;
        Twin twin = {.limit = 1000};
        assert_ok(budget_new(1000, &budget));
        for (int i = 0; i < ITEMS; i++) {
            const size_t bytes = (size_t)support_between(&random, 1, 300);
            const double seconds = (double)support_between(&random, 1, 1000000) / 7;
            twin_make_room(&twin, items, i, bytes);
            add(budget, &items[i], bytes, seconds);
            items[i].worth = seconds / (double)bytes;
            items[i].priority = twin.clock + items[i].worth;
            items[i].pins = 1;
            twin.used += bytes;
            for (int k = 0; k <= i; k++) { /* some are used, some let go */
                if (items[k].alive != !items[k].evicted) fail_msg("history %d: after item %d the twin says %d of item %d", history, i, items[k].alive, k);
                if (items[k].alive && items[k].pins && support_between(&random, 0, 3)) budget_unpin(budget, items[k].entry), items[k].pins--;
                else if (items[k].alive && support_between(&random, 0, 30) == 0) {
                    assert_true(budget_pin(budget, items[k].entry));
                    items[k].pins++;
                    items[k].priority = twin.clock + items[k].worth;
                }
            }
            assert_int_equal(budget_used(budget), twin.used);
        }
        for (int i = 0; i < ITEMS; i++)
            if (items[i].alive) budget_remove(budget, items[i].entry);
        budget_free(budget);
    }
}

TEST(a_hundred_thousand_small_values_are_no_burden)
{
    enum { MANY = 100000 };
    static Item item[MANY];
    Budget *budget;
    assert_ok(budget_new(MANY * 10 / 2, &budget));
    for (int i = 0; i < MANY; i++) { /* those with odd numbers are dear */
        add(budget, &item[i], 10, i % 2 ? 1e12 : i);
        budget_unpin(budget, item[i].entry);
    }
    int dear = 0;
    for (int i = 0; i < MANY; i++) dear += i % 2 && !item[i].evicted;
    assert_int_equal(dear, MANY / 2);
    assert_int_equal(budget_used(budget), MANY * 10 / 2);
    assert_int_equal(budget_pinned(budget), 0);
    for (int turn = 0; turn < MANY; turn++) { /* each pin moves an entry out of the order and back */
        Item *one = &item[turn * 7919ll % MANY | 1];
        assert_true(budget_pin(budget, one->entry));
        assert_int_equal(budget_pinned(budget), 10);
        budget_unpin(budget, one->entry);
    }
    for (int i = 1; i < MANY; i += 2) budget_remove(budget, item[i].entry);
    assert_int_equal(budget_used(budget), 0);
    budget_free(budget);
}

TEST_MAIN(CASE(the_cheapest_per_byte_goes_first), CASE(what_is_pinned_stays_although_the_budget_is_exceeded),
          CASE(what_was_not_used_for_long_grows_old), CASE(random_histories_agree_with_a_naive_twin), CASE(a_hundred_thousand_small_values_are_no_burden))
