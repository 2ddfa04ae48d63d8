/* json_scan.h: the strict scan behind json.h: decides what is JSON, and where each value lies. */
#ifndef FORMATS_JSON_SCAN_H
#define FORMATS_JSON_SCAN_H
#include "engine/base/status.h"

enum { JSON_MAX_DEPTH = 512, JSON_MAX_VALUES = 2000000 };

typedef struct JsonSpan { uint32_t offset, length; } JsonSpan;
typedef struct JsonSpans { JsonSpan *item; size_t count, capacity; } JsonSpans;

/* Checks `length` bytes and notes the span of every value (not of keys) in document order. The caller frees spans->item with
 * memory_free, in case of an error too. */
NodusStatus json_scan(const char *text, size_t length, JsonSpans *spans);
#endif
