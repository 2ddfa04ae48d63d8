/* json.h: cJSON without losses (design: dependencies.md §1).
 *
 * One idea: a strict scan of our own decides what is JSON (RFC 8259 plus Python's NaN, Infinity, -Infinity; UTF-8; no \u0000; depth ≤ 512;
 * ≤ 2 million values) and notes the byte span of every value; cJSON then builds the tree; the spans are tied to its items, so
 * that integers keep all 64 bits, numbers print back as written, and every error can name a byte. Hostile input. */
#ifndef FORMATS_JSON_H
#define FORMATS_JSON_H
#include "engine/base/text.h"
#include <cjson/cJSON.h>

typedef struct Json Json; /* a document: tree, source text, spans */

/* Parses `length` bytes (copied). On error: NODUS_ERROR_FILE with line, column and byte offset in the message. */
NodusStatus json_parse(const char *text, size_t length, Json **out);
void json_free(Json *json); /* NULL is allowed */
cJSON *json_root(const Json *json);
/* Byte offset and length of an item in the source. Items that were not parsed have offset 0 and length 0. */
void json_span(const Json *json, const cJSON *item, size_t *offset, size_t *length);

/* Numbers are cJSON_Raw items whose valuestring is the source text. */
bool json_is_number(const cJSON *item);
bool json_is_integer(const cJSON *item); /* written without '.', 'e' and not NaN or Infinity */
/* Sign and magnitude of an integer; false on overflow of 64 bits or when it is none. */
bool json_integer(const cJSON *item, bool *negative, uint64_t *magnitude);
double json_double(const cJSON *item); /* NaN and infinities too; 0 when it is no number */
/* A member by exact name; of duplicates the last, as in Python. NULL when absent. O(n). */
cJSON *json_get(const cJSON *object, const char *name);
const char *json_string(const cJSON *item); /* NULL when it is no string */

/* Prints a tree. `python`: separators ", " and ": ", ASCII escapes, as Python's json.dumps; else compact UTF-8. `finite`: NaN and infinities
 * become null. */
void json_print(Text *out, const cJSON *item, bool python, bool finite);
/* Pieces for writers: a quoted string; the shortest double that reads back equal, with ".0" if it looks like an integer (non-finite: null). */
void json_put_string(Text *out, const char *text, bool ascii);
void json_put_double(Text *out, double value);
#endif
