/* status.c: errors as values.
 *
 * One idea: an error is one allocation that holds its kind, its message and the input it blames; out of memory is a static
 * object, so that reporting it needs no memory. Messages quote names from files and prompts; control characters in them are
 * replaced, so that a hostile file cannot send escape sequences to somebody's terminal. */
#include "engine/base/status.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct NodusError {
    NodusErrorKind kind;
    char *message; /* the text below, or a longer one of its own after a prefix */
    char *input;   /* NULL, or a text of its own */
    uint64_t mark; /* MARK while it lives; behind what an allocator overwrites in freed memory */
    char text[];
};
#define MARK 0x6e6f647573657272u

static const struct NodusError out_of_memory = {
    NODUS_ERROR_MEMORY, (char[]){"out of memory: close other programs, or choose a smaller size or batch"}, NULL};

NodusStatus status_memory(void)
{
    return (NodusStatus)(uintptr_t)&out_of_memory; /* never written: every function below asks first */
}

static void make_printable(char *text)
{
    for (; *text; text++)
        if (((unsigned char)*text < ' ' && *text != '\n' && *text != '\t') || *text == 127) *text = '?';
}

NodusStatus status_v(NodusErrorKind kind, const char *input, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    const int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (length < 0) return status_memory();
    NodusStatus status = malloc(sizeof *status + (size_t)length + 1);
    if (!status) return status_memory();
    *status = (struct NodusError){.kind = kind, .message = status->text, .mark = MARK};
    vsnprintf(status->text, (size_t)length + 1, format, args);
    make_printable(status->text);
    return status_blame(status, input);
}

NodusStatus nodus_error(NodusErrorKind kind, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    NodusStatus status = status_v(kind, NULL, format, args);
    va_end(args);
    return status;
}

NodusStatus status_input(const char *input, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    NodusStatus status = status_v(NODUS_ERROR_INPUT, input, format, args);
    va_end(args);
    return status;
}

NodusStatus status_blame(NodusStatus status, const char *input)
{
    if (!status || status == status_memory() || status->input || !input) return status;
    status->input = strdup(input); /* without it the error still says what is wrong */
    return status;
}

NodusStatus nodus_error_prefix(NodusStatus status, const char *format, ...)
{
    if (!status || status == status_memory()) return status;
    char *prefix = NULL, *whole = NULL;
    va_list args;
    va_start(args, format);
    if (vasprintf(&prefix, format, args) < 0) prefix = NULL;
    va_end(args);
    if (prefix && asprintf(&whole, "%s: %s", prefix, status->message) >= 0) {
        if (status->message != status->text) free(status->message);
        make_printable(whole);
        status->message = whole;
    }
    free(prefix);
    return status;
}

NodusErrorKind nodus_error_kind(NodusStatus status)
{
    return status->kind;
}

const char *nodus_error_message(NodusStatus status)
{
    return status->message;
}

const char *nodus_error_input(NodusStatus status)
{
    return status->input;
}

void nodus_error_free(NodusStatus status)
{
    if (!status || status == status_memory()) return;
    if (status->message != status->text) free(status->message);
    free(status->input);
    *(volatile uint64_t *)&status->mark = 0;
    free(status);
}

NodusStatus status_from(const char *who, NodusStatus status)
{
    if (!status || status == status_memory() || status->mark == MARK) return status;
    return nodus_error(NODUS_ERROR_INTERNAL, "%s failed with an error that is none: nodus_error makes one, and who returns it does not free it", who);
}
