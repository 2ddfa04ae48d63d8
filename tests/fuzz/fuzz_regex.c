/* fuzz_regex.c: any bytes as flags, a pattern (up to the first line end) and a text. Whatever they are, matches lie in the text, groups in order,
 * and searching all of it comes to an end. */
#include "engine/base/memory.h"
#include "nodes/regex.h"
#include "nodes/unicode.h"
#include <string.h>

enum { FEW_STEPS = 200000, ALL_FLAGS = 31 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) __builtin_trap();
}

static void search(const Regex *regex, RegexText text)
{
    const int groups = regex_groups(regex);
    int64_t *group = memory_array(2 * ((size_t)groups + 1), sizeof *group), at = 0, matches = 0;
    bool found = true, advance = false;
    NodusStatus status = NULL;
    require(group != NULL);
    while (!status && !(status = regex_search(regex, &text, at, advance, group, &found)) && found) {
        require(group[0] >= at && group[1] >= group[0] && group[1] <= text.count && (!advance || group[1] > at));
        for (int g = 1; g <= groups; g++) require(group[2 * g + 1] <= text.count && (group[2 * g] < 0) == (group[2 * g + 1] < 0));
        advance = group[0] == group[1];
        at = group[1];
        require(++matches <= 2 * text.count + 1);
    }
    if (status) require(nodus_error_message(status)[0]);
    nodus_error_free(status);
    memory_free(group);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size) return 0;
    char *bytes = memory_text_n((const char *)data + 1, size - 1), *rest = strchr(bytes, '\n');
    Regex *regex;
    if (rest) *rest++ = '\0';
    const char *next = rest ? rest : "";
    const size_t count = unicode_length(next);
    uint32_t *points = memory_array(count + 1, sizeof *points);
    require(points != NULL);
    for (size_t i = 0; i < count; i++) points[i] = unicode_next(&next);
    NodusStatus status = regex_new(bytes, data[0] & ALL_FLAGS, &regex);
    if (!status) {
        search(regex, (RegexText){points, (int64_t)count, FEW_STEPS});
        regex_free(regex);
    } else {
        require(nodus_error_message(status)[0]);
        nodus_error_free(status);
    }
    memory_free(points);
    memory_free(bytes);
    return 0;
}
