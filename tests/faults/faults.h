/* faults.h: counted fault injection: the n-th allocation or the n-th read fails, for n = 1, 2, … until nothing fails any more.
 *
 * One idea: this program's malloc family is our own and forwards to glibc's, so every allocation counts, those of cJSON, libpng, zlib
 * and the C library too, and live memory is known exactly. Under a sanitizer, which needs the names for itself, only nodus's own calls
 * count (the Makefile links them to __wrap_…), and the sanitizer looks for leaks. Include it in one file of a program. */
#ifndef TESTS_FAULTS_H
#define TESTS_FAULTS_H
#include "tests/test.h"
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

typedef enum FaultKind { FAULT_OF_ALLOCATION, FAULT_OF_READ } FaultKind;

/* `left`: calls that still succeed while armed. `forever`: what follows the n-th fails as well, as when memory has really run out. */
static struct {
    atomic_bool armed, forever;
    atomic_int kind;
    atomic_long left, delivered, live;
} faults;

static inline bool faults_hit(FaultKind kind)
{
    if (!atomic_load(&faults.armed) || atomic_load(&faults.kind) != (int)kind) return false;
    const long left = atomic_fetch_sub(&faults.left, 1);
    if (left > 0 || (left < 0 && !atomic_load(&faults.forever))) return false;
    atomic_fetch_add(&faults.delivered, 1);
    errno = kind == FAULT_OF_READ ? EIO : ENOMEM;
    return true;
}

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
ssize_t __wrap_read(int descriptor, void *buffer, size_t size);
ssize_t __wrap_pread(int descriptor, void *buffer, size_t size, off_t offset);
ssize_t __real_read(int descriptor, void *buffer, size_t size);
ssize_t __real_pread(int descriptor, void *buffer, size_t size, off_t offset);

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { FAULTS_COUNT_LIVE = false };
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size) { return faults_hit(FAULT_OF_ALLOCATION) ? NULL : __real_malloc(size); }
void *__wrap_calloc(size_t count, size_t size) { return faults_hit(FAULT_OF_ALLOCATION) ? NULL : __real_calloc(count, size); }
void *__wrap_realloc(void *old, size_t size) { return faults_hit(FAULT_OF_ALLOCATION) ? NULL : __real_realloc(old, size); }
void *__wrap_aligned_alloc(size_t alignment, size_t size) { return faults_hit(FAULT_OF_ALLOCATION) ? NULL : __real_aligned_alloc(alignment, size); }
#else
enum { FAULTS_COUNT_LIVE = true };
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *memory);
/* Visible, so that shared libraries call them too. */
NODUS_API void *malloc(size_t size);
NODUS_API void *calloc(size_t count, size_t size);
NODUS_API void *realloc(void *old, size_t size);
NODUS_API void *aligned_alloc(size_t alignment, size_t size);
NODUS_API void free(void *memory);

static inline void *faults_count(void *memory)
{
    if (memory) atomic_fetch_add(&faults.live, 1);
    return memory;
}

void *malloc(size_t size) { return faults_hit(FAULT_OF_ALLOCATION) ? NULL : faults_count(__libc_malloc(size)); }
void *calloc(size_t count, size_t size) { return faults_hit(FAULT_OF_ALLOCATION) ? NULL : faults_count(__libc_calloc(count, size)); }
void *aligned_alloc(size_t alignment, size_t size) { return faults_hit(FAULT_OF_ALLOCATION) ? NULL : faults_count(__libc_memalign(alignment, size)); }

void *realloc(void *old, size_t size)
{
    if (faults_hit(FAULT_OF_ALLOCATION)) return NULL;
    void *memory = __libc_realloc(old, size);
    return old ? memory : faults_count(memory);
}

void free(void *memory)
{
    if (memory) atomic_fetch_sub(&faults.live, 1);
    __libc_free(memory);
}

void *__wrap_malloc(size_t size) { return malloc(size); }
void *__wrap_calloc(size_t count, size_t size) { return calloc(count, size); }
void *__wrap_realloc(void *old, size_t size) { return realloc(old, size); }
void *__wrap_aligned_alloc(size_t alignment, size_t size) { return aligned_alloc(alignment, size); }
#endif

ssize_t __wrap_read(int descriptor, void *buffer, size_t size)
{
    return faults_hit(FAULT_OF_READ) ? -1 : __real_read(descriptor, buffer, size);
}

ssize_t __wrap_pread(int descriptor, void *buffer, size_t size, off_t offset)
{
    return faults_hit(FAULT_OF_READ) ? -1 : __real_pread(descriptor, buffer, size, offset);
}

/* One run of `attempt` with fault number n (from 1); tells whether a fault was delivered. */
static inline bool faults_run(FaultKind kind, long n, bool forever, NodusStatus (*attempt)(void *context), void *context, NodusStatus *status)
{
    atomic_store(&faults.kind, (int)kind);
    atomic_store(&faults.forever, forever);
    atomic_store(&faults.left, n - 1);
    atomic_store(&faults.delivered, 0);
    atomic_store(&faults.armed, true);
    *status = attempt(context);
    atomic_store(&faults.armed, false);
    return atomic_load(&faults.delivered) > 0;
}

/* `attempt` does the work and frees its result; on success it has checked the result. With each fault it must return an error of `wanted`
 * kind (or do without what failed) and leave no memory behind; the last attempt, without a fault, must succeed. Returns how many faults
 * gave an error. */
static inline long faults_each(FaultKind kind, NodusErrorKind wanted, NodusStatus (*attempt)(void *context), void *context)
{
    long errors = 0;
    NodusStatus status = attempt(context); /* warms up what libraries keep, and must work */
    if (status) fail_msg("without faults: %s", nodus_error_message(status));
    for (int forever = 0; forever < 2; forever++) {
        bool hit = true;
        for (long n = 1; hit; n++) {
            const long live = atomic_load(&faults.live);
            hit = faults_run(kind, n, forever, attempt, context, &status);
            if (!hit && status) fail_msg("without faults: %s", nodus_error_message(status));
            if (status && nodus_error_kind(status) != wanted) fail_msg("fault %ld: wrong kind: %s", n, nodus_error_message(status));
            errors += status != NULL;
            nodus_error_free(status);
            if (FAULTS_COUNT_LIVE && atomic_load(&faults.live) != live)
                fail_msg("fault %ld%s: %ld allocations left behind", n, forever ? " and all after it" : "", atomic_load(&faults.live) - live);
        }
    }
    return errors;
}
#endif
