/* budget.c: one byte budget with an eviction order (Cao & Irani, "Cost-Aware WWW Proxy Caching Algorithms", 1997:
 * GreedyDual-Size).
 *
 * One idea: an entry's priority is the clock when it was last used plus its cost per byte; the lowest unpinned entry goes first,
 * and the clock rises to its priority, so that what is not used grows old. The unpinned entries, and only they, form a heap: a
 * pin, an unpin and an eviction cost O(log n), so a hundred thousand small values are no burden. */
#include <pthread.h>
#include "engine/base/memory.h"
#include "engine/tensor/budget.h"

#define NOT_IN_HEAP SIZE_MAX

struct BudgetEntry {
    size_t bytes, at;       /* at: place in the heap, or NOT_IN_HEAP */
    double worth, priority; /* seconds per byte; clock at last use + worth */
    uint64_t number;        /* the older one goes first when priorities are equal */
    int pins;
    bool evicting;
    void (*evict)(void *owner);
    void *owner;
};

struct Budget {
    pthread_mutex_t lock;
    BudgetEntry **heap; /* unpinned entries, the lowest first; room for all entries, so that an unpin cannot fail */
    size_t unpinned, entries, capacity;
    uint64_t numbers;
    size_t limit, used, pinned, peak; /* pinned: of `used`, what cannot go now */
    double clock;
};

NodusStatus budget_new(size_t bytes, Budget **out)
{
    Budget *budget = memory_alloc(sizeof *budget);
    if (!budget) return status_memory();
    pthread_mutex_init(&budget->lock, NULL);
    budget->limit = bytes;
    *out = budget;
    return NULL;
}

void budget_free(Budget *budget)
{
    if (!budget) return;
    pthread_mutex_destroy(&budget->lock);
    memory_free(budget->heap);
    memory_free(budget);
}

static void budget_touch(Budget *budget, BudgetEntry *entry)
{
    entry->priority = budget->clock + entry->worth;
}

/* ---- The heap, with the lock --------------------------------------------------------------------------------------- */

static bool goes_before(const BudgetEntry *a, const BudgetEntry *b)
{
    return a->priority < b->priority || (a->priority == b->priority && a->number < b->number);
}

static void heap_place(Budget *budget, size_t at, BudgetEntry *entry)
{
    budget->heap[at] = entry;
    entry->at = at;
}

/* Moves an entry from `at` up or down to where it belongs. */
static void heap_settle(Budget *budget, size_t at, BudgetEntry *entry)
{
    for (size_t parent; at && goes_before(entry, budget->heap[parent = (at - 1) / 2]); at = parent)
        heap_place(budget, at, budget->heap[parent]);
    for (size_t child; (child = at * 2 + 1) < budget->unpinned; at = child) {
        if (child + 1 < budget->unpinned && goes_before(budget->heap[child + 1], budget->heap[child])) child++;
        if (!goes_before(budget->heap[child], entry)) break;
        heap_place(budget, at, budget->heap[child]);
    }
    heap_place(budget, at, entry);
}

static void heap_put(Budget *budget, BudgetEntry *entry)
{
    budget->unpinned++;
    heap_settle(budget, budget->unpinned - 1, entry);
}

static void heap_take(Budget *budget, BudgetEntry *entry)
{
    const size_t at = entry->at;
    if (at == NOT_IN_HEAP) return;
    BudgetEntry *last = budget->heap[--budget->unpinned];
    if (last != entry) heap_settle(budget, at, last);
    entry->at = NOT_IN_HEAP;
}

static bool heap_reserve(Budget *budget)
{
    void *items = budget->heap;
    if (!memory_reserve(&items, &budget->capacity, budget->entries, sizeof *budget->heap)) return false;
    budget->heap = items;
    return true;
}

/* ---- Entries ------------------------------------------------------------------------------------------------------- */

static void budget_unlink(Budget *budget, BudgetEntry *entry)
{
    heap_take(budget, entry);
    budget->entries--;
    budget->used -= entry->bytes;
    if (entry->pins) budget->pinned -= entry->bytes;
}

/* The unpinned entry to go next, taken out; NULL when everything is pinned. With the lock. */
static BudgetEntry *budget_victim(Budget *budget)
{
    if (!budget->unpinned) return NULL;
    BudgetEntry *lowest = budget->heap[0];
    budget->clock = lowest->priority;
    lowest->evicting = true;
    budget_unlink(budget, lowest);
    return lowest;
}

NodusStatus budget_add(Budget *budget, size_t bytes, double seconds, void (*evict)(void *owner), void *owner, BudgetEntry **out)
{
    BudgetEntry *entry = memory_alloc(sizeof *entry);
    if (!entry) return status_memory();
    *entry = (BudgetEntry){.bytes = bytes,
                           .at = NOT_IN_HEAP,
                           .worth = seconds / (double)(bytes ? bytes : 1),
                           .pins = 1,
                           .evict = evict,
                           .owner = owner};
    pthread_mutex_lock(&budget->lock);
    if (!heap_reserve(budget)) {
        pthread_mutex_unlock(&budget->lock);
        memory_free(entry);
        return status_memory();
    }
    budget->entries++; /* from here on it has its room, whatever others add while the lock is open */
    BudgetEntry *victim;
    while (budget->used + bytes > budget->limit && (victim = budget_victim(budget))) {
        pthread_mutex_unlock(&budget->lock);
        victim->evict(victim->owner);
        memory_free(victim);
        pthread_mutex_lock(&budget->lock);
    }
    budget_touch(budget, entry);
    entry->number = budget->numbers++;
    budget->used += bytes;
    budget->pinned += bytes;
    if (budget->used > budget->peak) budget->peak = budget->used;
    pthread_mutex_unlock(&budget->lock);
    *out = entry;
    return NULL;
}

bool budget_pin(Budget *budget, BudgetEntry *entry)
{
    pthread_mutex_lock(&budget->lock);
    const bool alive = !entry->evicting;
    if (alive) {
        if (!entry->pins++) {
            heap_take(budget, entry);
            budget->pinned += entry->bytes;
        }
        budget_touch(budget, entry);
    }
    pthread_mutex_unlock(&budget->lock);
    return alive;
}

void budget_unpin(Budget *budget, BudgetEntry *entry)
{
    pthread_mutex_lock(&budget->lock);
    if (!--entry->pins) {
        heap_put(budget, entry);
        budget->pinned -= entry->bytes;
    }
    pthread_mutex_unlock(&budget->lock);
}

void budget_remove(Budget *budget, BudgetEntry *entry)
{
    pthread_mutex_lock(&budget->lock);
    budget_unlink(budget, entry);
    pthread_mutex_unlock(&budget->lock);
    memory_free(entry);
}

static size_t budget_read(Budget *budget, const size_t *value)
{
    pthread_mutex_lock(&budget->lock);
    const size_t result = *value;
    pthread_mutex_unlock(&budget->lock);
    return result;
}

size_t budget_used(Budget *budget)
{
    return budget_read(budget, &budget->used);
}
size_t budget_pinned(Budget *budget)
{
    return budget_read(budget, &budget->pinned);
}
size_t budget_peak(Budget *budget)
{
    return budget_read(budget, &budget->peak);
}
size_t budget_limit(const Budget *budget)
{
    return budget->limit;
}
