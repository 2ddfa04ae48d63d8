/* regex.h: regular expressions as Python's re understands them, over code points.
 *
 * One idea: prompts come with patterns that were written for Python, so the dialect is Python's: named groups (?P<n>…), look-around,
 * references back, possessive and lazy repetition, Unicode classes. A pattern and a text are both from outside, and some pairs take ages: a
 * search counts its steps and its memory, and ends with an error that says so. */
#ifndef NODES_REGEX_H
#define NODES_REGEX_H
#include <nodus/tensor.h>

enum { REGEX_IGNORE_CASE = 1, REGEX_MULTILINE = 2, REGEX_DOTALL = 4, REGEX_VERBOSE = 8, REGEX_ASCII = 16 };

typedef struct Regex Regex;
/* An error names what is wrong and the position in the pattern. */
NodusStatus regex_new(const char *pattern, uint32_t flags, Regex **out);
void regex_free(Regex *regex); /* NULL is allowed */
int regex_groups(const Regex *regex); /* how many groups capture, besides the whole match, which is group 0 */
int regex_group_named(const Regex *regex, const char *name, size_t length); /* its number, or −1 */

/* A text as code points, and how many steps searches in it may still take: shared by all searches of one call. */
typedef struct RegexText {
    const uint32_t *point;
    int64_t count, steps;
} RegexText;
/* Steps that are enough for every sensible pattern on a text of that length. */
int64_t regex_steps(int64_t count);

/* The first match at or behind `from`. `advance`: a match at `from` must not be empty. group[2n], group[2n + 1]: where group n begins and
 * ends, −1 where it took no part; room for 2·(regex_groups + 1). */
NodusStatus regex_search(const Regex *regex, RegexText *text, int64_t from, bool advance, int64_t *group, bool *found);
#endif
