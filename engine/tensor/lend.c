/* lend.c: see lend.h. A loan that nobody has is on a list; the smallest that is large enough is lent again, and where none is, the largest
 * gives way to a new one: networks that take turns share the arena of the largest of them. Lent memory is pinned as a whole, so where memory
 * is scarce one that is more than twice too large is not lent. An evicted loan leaves the list and is freed. */
#include <pthread.h>
#include "engine/base/memory.h"
#include "engine/tensor/budget.h"
#include "engine/tensor/device_memory.h"
#include "engine/tensor/lend.h"

struct Loan {
    Lender *lender;
    Loan *next; /* on the list of those that nobody has */
    Device *device;
    void *memory;
    size_t bytes;
    BudgetEntry *entry;
};

struct Lender {
    pthread_mutex_t lock;
    Budget *budget;
    Loan *idle;
};

static const double LEND_SECONDS_PER_BYTE = 1e-10; /* what the system takes to make memory: far less than packing a weight */

NodusStatus lender_new(Budget *budget, Lender **out)
{
    Lender *lender = memory_alloc(sizeof *lender);
    if (!lender) return status_memory();
    pthread_mutex_init(&lender->lock, NULL);
    lender->budget = budget;
    *out = lender;
    return NULL;
}

static void lend_release(Loan *loan)
{
    if (loan->memory) device_release(loan->device, loan->memory);
    memory_free(loan);
}

void lender_free(Lender *lender)
{
    if (!lender) return;
    for (Loan *loan = lender->idle, *next; loan; loan = next) {
        next = loan->next;
        budget_remove(lender->budget, loan->entry);
        lend_release(loan);
    }
    pthread_mutex_destroy(&lender->lock);
    memory_free(lender);
}

static void lend_unlink(Lender *lender, const Loan *loan)
{
    Loan **at = &lender->idle;
    while (*at != loan) at = &(*at)->next;
    *at = loan->next;
}

static void lend_evict(void *owner)
{
    Loan *loan = owner;
    pthread_mutex_lock(&loan->lender->lock);
    lend_unlink(loan->lender, loan);
    pthread_mutex_unlock(&loan->lender->lock);
    lend_release(loan);
}

static bool is_better(const Loan *loan, const Loan *than, size_t bytes)
{
    const bool fits = loan->bytes >= bytes, before = than->bytes >= bytes;
    if (fits != before) return fits;
    return fits ? loan->bytes < than->bytes : loan->bytes > than->bytes;
}

/* Takes the smallest idle loan that is large enough, or else the largest of those that are not; pinned. NULL: there is none. */
static Loan *lend_again(Lender *lender, const Device *device, size_t bytes)
{
    Loan *best = NULL;
    const bool scarce = budget_used(lender->budget) > budget_limit(lender->budget) / 2;
    pthread_mutex_lock(&lender->lock);
    for (Loan *loan = lender->idle; loan; loan = loan->next) {
        if (loan->device != device || (scarce && loan->bytes / 2 > bytes)) continue;
        if (!best || is_better(loan, best, bytes)) best = loan;
    }
    if (best && !budget_pin(lender->budget, best->entry)) best = NULL; /* it is just being evicted */
    if (best) lend_unlink(lender, best);
    pthread_mutex_unlock(&lender->lock);
    return best;
}

NodusStatus lender_borrow(Lender *lender, Device *device, size_t bytes, Loan **out)
{
    Loan *idle = lend_again(lender, device, bytes);
    *out = idle;
    if (idle && idle->bytes >= bytes) return NULL;
    if (idle) {
        budget_remove(lender->budget, idle->entry);
        lend_release(idle);
        *out = NULL;
    }
    Loan *loan = memory_alloc(sizeof *loan);
    if (!loan) return status_memory();
    *loan = (Loan){.lender = lender, .device = device, .bytes = bytes};
    NodusStatus status = budget_add(lender->budget, bytes, LEND_SECONDS_PER_BYTE * (double)bytes, lend_evict, loan, &loan->entry);
    if (!status) {
        status = device_allocate(device, bytes ? bytes : 1, &loan->memory);
        if (status) budget_remove(lender->budget, loan->entry);
    }
    if (status) {
        lend_release(loan);
        return status;
    }
    *out = loan;
    return NULL;
}

void *loan_memory(const Loan *loan) { return loan->memory; }

void lender_return(Loan *loan)
{
    if (!loan) return;
    Lender *lender = loan->lender;
    pthread_mutex_lock(&lender->lock);
    loan->next = lender->idle;
    lender->idle = loan;
    budget_unpin(lender->budget, loan->entry);
    pthread_mutex_unlock(&lender->lock);
}
