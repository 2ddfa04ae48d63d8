/* unicode.h: characters as Python sees them: code points, their case, and what counts as a blank, a digit or a letter of a word. */
#ifndef NODES_UNICODE_H
#define NODES_UNICODE_H
#include "engine/base/text.h"

enum { UNICODE_CASE_MOST = 3 }; /* no character has a longer upper or title form */

/* The code point at *text, which moves on. At the end 0, and *text stays. Bytes that are no UTF-8 count one by one. */
uint32_t unicode_next(const char **text);
size_t unicode_length(const char *text);
const char *unicode_skip(const char *text, size_t count); /* `count` code points on, or the end */
void unicode_put(Text *out, uint32_t point);

bool unicode_space(uint32_t point); /* str.isspace */
bool unicode_digit(uint32_t point); /* \d: decimal digits of any script */
bool unicode_word(uint32_t point);  /* \w: str.isalnum, and '_' */

uint32_t unicode_lower(uint32_t point); /* one code point to one */
uint32_t unicode_upper(uint32_t point);
uint32_t unicode_fold(uint32_t point);  /* equal for letters that differ in case only */

/* str.upper(), lower(), capitalize() and title(), appended to `out`: a letter may become several (ß: SS), and a capital sigma at the end
 * of a word becomes ς. */
typedef enum UnicodeCase { UNICODE_UPPER, UNICODE_LOWER, UNICODE_CAPITALIZE, UNICODE_TITLE } UnicodeCase;
void unicode_change_case(Text *out, const char *text, UnicodeCase to);
#endif
