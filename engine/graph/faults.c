/* faults.c: see faults.h. */
#include "engine/graph/faults.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/base/text.h"
#include <stdarg.h>
#include <stdio.h>

enum { MOST_FAULTS = 50, LONGEST_FAULT = 1000 };

void faults_add(Faults *faults, const char *format, ...)
{
    char text[LONGEST_FAULT];
    va_list args;
    if (faults->count >= MOST_FAULTS) return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    void *items = faults->item;
    char *copy = memory_text(text);
    if (!copy || !memory_reserve(&items, &faults->capacity, faults->count, sizeof *faults->item)) {
        memory_free(copy);
        faults->failed = true;
        return;
    }
    faults->item = items;
    faults->item[faults->count++] = copy;
}

bool faults_any(const Faults *faults)
{
    return faults->count || faults->failed;
}

NodusStatus faults_status(const Faults *faults)
{
    if (faults->failed) return status_memory();
    if (!faults->count) return NULL;
    if (faults->count == 1) return nodus_error(NODUS_ERROR_INPUT, "%s", faults->item[0]);
    return nodus_error(NODUS_ERROR_INPUT, "%s (and %zu more)", faults->item[0], faults->count - 1);
}

void faults_free(Faults *faults)
{
    for (size_t i = 0; i < faults->count; i++) memory_free(faults->item[i]);
    memory_free(faults->item);
    *faults = (Faults){0};
}
