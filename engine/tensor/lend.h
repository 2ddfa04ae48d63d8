/* lend.h: working memory that is lent for one run: arenas of plans, windows of streamed weights.
 *
 * One idea: fresh memory is dear and a sampler runs the same plan again and again, so what comes back is kept under the budget for the next
 * borrower. Lent memory is pinned in the budget, kept memory may be evicted. Thread-safe. */
#ifndef TENSOR_LEND_H
#define TENSOR_LEND_H
#include "engine/tensor/device.h"

typedef struct Lender Lender;
typedef struct Loan Loan;
NodusStatus lender_new(Budget *budget, Lender **out);
void lender_free(Lender *lender); /* NULL is allowed; everything has come back */
/* At least `bytes` bytes, 64-byte aligned, content undefined. */
NodusStatus lender_borrow(Lender *lender, Device *device, size_t bytes, Loan **out);
void *loan_memory(const Loan *loan);
void lender_return(Loan *loan); /* NULL is allowed */
#endif
