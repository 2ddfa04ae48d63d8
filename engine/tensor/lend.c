/* lend.c: see lend.h. A loan that nobody has is on a list; the smallest that is large enough, but not more than twice too large, is lent
 * again. An evicted loan leaves the list and is freed. */
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

/* Takes the best idle loan, or answers NULL. */
static Loan *lend_again(Lender *lender, const Device *device, size_t bytes)
{
    Loan *best = NULL;
    pthread_mutex_lock(&lender->lock);
    for (Loan *loan = lender->idle; loan; loan = loan->next) {
        const bool fits = loan->device == device && loan->bytes >= bytes && loan->bytes / 2 <= bytes;
        if (fits && (!best || loan->bytes < best->bytes)) best = loan;
    }
    if (best && !budget_pin(lender->budget, best->entry)) best = NULL; /* it is just being evicted */
    if (best) lend_unlink(lender, best);
    pthread_mutex_unlock(&lender->lock);
    return best;
}

NodusStatus lender_borrow(Lender *lender, Device *device, size_t bytes, Loan **out)
{
    *out = lend_again(lender, device, bytes);
    if (*out) return NULL;
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
