/* budget.c: one byte budget with an eviction order (Cao & Irani, "Cost-Aware WWW Proxy Caching Algorithms", 1997: GreedyDual-Size).
 *
 * One idea: an entry's priority is the clock when it was last used plus its cost per byte; the lowest unpinned entry goes first, and
 * the clock rises to its priority, so that what is not used grows old. Entries are few hundred to few thousand: a scan finds the lowest. */
#include <pthread.h>
#include "engine/base/memory.h"
#include "engine/tensor/budget.h"

struct BudgetEntry {
    BudgetEntry *previous, *next;
    size_t bytes;
    double worth, priority; /* seconds per byte; clock at last use + worth */
    int pins;
    bool evicting;
    void (*evict)(void *owner);
    void *owner;
};

struct Budget {
    pthread_mutex_t lock;
    BudgetEntry list; /* the ring's head */
    size_t limit, used, peak;
    double clock;
};

NodusStatus budget_new(size_t bytes, Budget **out)
{
    Budget *budget = memory_alloc(sizeof *budget);
    if (!budget) return status_memory();
    pthread_mutex_init(&budget->lock, NULL);
    budget->list.next = budget->list.previous = &budget->list;
    budget->limit = bytes;
    *out = budget;
    return NULL;
}

void budget_free(Budget *budget)
{
    if (!budget) return;
    pthread_mutex_destroy(&budget->lock);
    memory_free(budget);
}

static void budget_touch(Budget *budget, BudgetEntry *entry)
{
    entry->priority = budget->clock + entry->worth;
}

static void budget_unlink(Budget *budget, BudgetEntry *entry)
{
    entry->previous->next = entry->next;
    entry->next->previous = entry->previous;
    budget->used -= entry->bytes;
}

/* The unpinned entry to go next, taken out of the ring; NULL when everything is pinned. With the lock. */
static BudgetEntry *budget_victim(Budget *budget)
{
    BudgetEntry *lowest = NULL;
    for (BudgetEntry *e = budget->list.next; e != &budget->list; e = e->next)
        if (!e->pins && (!lowest || e->priority < lowest->priority)) lowest = e;
    if (!lowest) return NULL;
    budget->clock = lowest->priority;
    lowest->evicting = true;
    budget_unlink(budget, lowest);
    return lowest;
}

NodusStatus budget_add(Budget *budget, size_t bytes, double seconds, void (*evict)(void *owner), void *owner, BudgetEntry **out)
{
    BudgetEntry *entry = memory_alloc(sizeof *entry);
    if (!entry) return status_memory();
    *entry = (BudgetEntry){.bytes = bytes, .worth = seconds / (double)(bytes ? bytes : 1), .pins = 1, .evict = evict, .owner = owner};
    pthread_mutex_lock(&budget->lock);
    BudgetEntry *victim;
    while (budget->used + bytes > budget->limit && (victim = budget_victim(budget))) {
        pthread_mutex_unlock(&budget->lock);
        victim->evict(victim->owner);
        memory_free(victim);
        pthread_mutex_lock(&budget->lock);
    }
    budget_touch(budget, entry);
    entry->previous = budget->list.previous;
    entry->next = &budget->list;
    entry->previous->next = entry->next->previous = entry;
    budget->used += bytes;
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
        entry->pins++;
        budget_touch(budget, entry);
    }
    pthread_mutex_unlock(&budget->lock);
    return alive;
}

void budget_unpin(Budget *budget, BudgetEntry *entry)
{
    pthread_mutex_lock(&budget->lock);
    entry->pins--;
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

size_t budget_used(Budget *budget) { return budget_read(budget, &budget->used); }
size_t budget_peak(Budget *budget) { return budget_read(budget, &budget->peak); }
size_t budget_limit(const Budget *budget) { return budget->limit; }
