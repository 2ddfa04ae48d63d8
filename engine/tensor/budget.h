/* budget.h: one memory budget with three clients: node values, packed weights, plan arenas.
 *
 * One idea: everything that could be made again is an entry with its bytes and what it cost in seconds; when the budget is
 * exceeded, the unpinned entry with the least cost per byte goes first, aged as in GreedyDual-Size. Thread-safe. */
#ifndef TENSOR_BUDGET_H
#define TENSOR_BUDGET_H
#include "engine/base/status.h"

typedef struct Budget Budget;


typedef struct BudgetEntry BudgetEntry;
NodusStatus budget_new(size_t bytes, Budget **out);
void budget_free(Budget *budget);
/* Adds an entry, pinned once, and evicts others until it fits (or nothing more can go: then the budget is exceeded, for the work must be
 * done). `evict(owner)` must free the memory; it is called without the budget's lock and never for a pinned entry. */
NodusStatus budget_add(Budget *budget, size_t bytes, double seconds, void (*evict)(void *owner), void *owner, BudgetEntry **out);
/* Pins an entry; false when its eviction has begun. A pin counts as a use. */
bool budget_pin(Budget *budget, BudgetEntry *entry);
void budget_unpin(Budget *budget, BudgetEntry *entry);
/* Forgets an entry whose owner frees the memory itself; not for one being evicted. */
void budget_remove(Budget *budget, BudgetEntry *entry);
size_t budget_used(Budget *budget);
size_t budget_pinned(Budget *budget); /* of that, what cannot go now */
size_t budget_peak(Budget *budget);
size_t budget_limit(const Budget *budget);
#endif
