/* status.h: errors as values. NULL is success; an error is one allocation that its receiver owns; out of memory is a
 * static object, so reporting it cannot fail. The public part is in nodus/tensor.h. */
#ifndef BASE_STATUS_H
#define BASE_STATUS_H
#include <nodus/tensor.h>
#include <stdarg.h>

NodusStatus status_memory(void); /* the static out-of-memory error */
NodusStatus status_v(NodusErrorKind kind, const char *input, const char *format, va_list args);
/* An error that blames the node input `input`. */
NodusStatus status_input(const char *input, const char *format, ...) NODUS_PRINTF(2, 3);
/* The error that a stranger's function returned, or one that says that it is none: not made by nodus_error, or freed already. */
NodusStatus status_from(const char *who, NodusStatus status);
/* The same error blaming `input`; for an error without one. */
NodusStatus status_blame(NodusStatus status, const char *input);
#endif
