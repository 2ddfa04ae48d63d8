/* pattern.c: how long a pattern of Lua's may take on a text, at most: such a match runs in C, where no limit of the script sees it.
 *
 * One idea: a match takes long by going back: when what follows a repetition fails, the repetition tries a shorter length, and so each
 * one multiplies the work by the text's length. Where nothing that follows can fail, the first try is the last. So `%s+` and `(%w+),?`
 * go through a text once, while `%s+$` may begin anew at each place. */
#include "lua/script.h"

/* The bytes of the set that begins at p[i]. */
static size_t set_length(const char *p, size_t i, size_t length)
{
    size_t at = i + 1;
    if (at < length && p[at] == '^') at++;
    if (at < length && p[at] == ']') at++;
    while (at < length && p[at] != ']') at += p[at] == '%' ? 2 : 1;
    return (at < length ? at + 1 : length) - i;
}

/* The bytes of the item at p[i]: a character, a class, a set; *repeats: whether * + - ? behind it repeat it. */
static size_t item_length(const char *p, size_t i, size_t length, bool *repeats)
{
    *repeats = true;
    if (p[i] == '[') return set_length(p, i, length);
    if (p[i] != '%' || i + 1 == length) return 1;
    const char which = p[i + 1];
    *repeats = which != 'b' && which != 'f' && !(which >= '0' && which <= '9');
    return which == 'b' ? 4 : 2;
}

double pattern_steps(size_t subject, const char *pattern, size_t length, bool anchors)
{
    const double n = (double)subject + 1;
    const bool anchored = anchors && length && pattern[0] == '^';
    double steps = anchored ? 1 : n, open = 1; /* open: of repetitions behind which nothing can fail yet */
    for (size_t i = anchored; i < length && steps < 1e30;) {
        bool repeats;
        if (pattern[i] == '(' || pattern[i] == ')') {
            i++;
            continue;
        }
        const double alone = pattern[i] == '%' && i + 1 < length && pattern[i + 1] == 'b' ? n : 1;
        i += item_length(pattern, i, length, &repeats);
        const char sign = repeats && i < length ? pattern[i] : 0;
        if (sign == '*' || sign == '-') {
            open *= n;
        } else if (sign == '?') {
            open *= 2;
        } else { /* this can fail */
            steps *= open * alone;
            open = sign == '+' ? n : 1;
        }
        i += sign == '*' || sign == '-' || sign == '?' || sign == '+';
    }
    return steps * (1 + (double)length / 64); /* a set, or many characters, take long at each place */
}
