/* sweep_values.c: what --sweep NODE.input=VALUES means; see sweep.h.
 *
 * One idea: values stay texts, exactly as --set takes them; only a range has to know that it counts. */
#include "engine/cli/say.h"
#include "engine/cli/sweep.h"
#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_RUNS = 10000, MOST_AXES = 8 };

static void add_value(SweepAxis *axis, char *text)
{
    axis->value = need(realloc(axis->value, (size_t)(axis->count + 1) * sizeof *axis->value));
    axis->value[axis->count++] = text;
}

static NodusStatus too_many(const SweepAxis *axis)
{
    return nodus_error(NODUS_ERROR_INPUT, "--sweep %s: more than %d runs", axis->target, (int)MOST_RUNS);
}

/* ---- Ranges -------------------------------------------------------------------------------------------------------- */

/* A whole number with sign, 0 … 2^64−1 in size. */
typedef struct Whole {
    bool negative;
    uint64_t size;
} Whole;

/* The ends of a range are texts of their own: "1..4" would read as "1." and ".4". */
typedef struct Range {
    char *from, *to, *step; /* step: NULL without one */
} Range;

static bool read_whole(const char *text, Whole *out)
{
    char *stop;
    out->negative = *text == '-';
    text += out->negative;
    if (*text < '0' || *text > '9') return false;
    errno = 0;
    out->size = strtoull(text, &stop, 10);
    return !errno && !*stop;
}

static bool read_number(const char *text, double *out)
{
    char *stop;
    *out = strtod(text, &stop);
    return stop != text && !*stop && isfinite(*out);
}

static NodusStatus count_whole(SweepAxis *axis, Whole from, Whole to, uint64_t step)
{
    const __int128 first = from.negative ? -(__int128)from.size : (__int128)from.size;
    const __int128 last = to.negative ? -(__int128)to.size : (__int128)to.size;
    const bool down = last < first;
    if ((down ? first - last : last - first) / step >= MOST_RUNS) return too_many(axis);
    for (__int128 at = first; down ? at >= last : at <= last; at += down ? -(__int128)step : (__int128)step)
        add_value(axis, format_text("%s%" PRIu64, at < 0 ? "-" : "", (uint64_t)(at < 0 ? -at : at)));
    return NULL;
}

/* The n-th is from + n·step, so errors do not add up; half a thousandth of a step over the end still counts. */
static NodusStatus count_real(SweepAxis *axis, double from, double to, double step)
{
    const double turns = floor(fabs(to - from) / step + 0.0005);
    if (!(turns < MOST_RUNS)) return too_many(axis);
    for (int n = 0; n <= (int)turns; n++) add_value(axis, format_text("%.10g", from + (to < from ? -n : n) * step));
    return NULL;
}

static NodusStatus count_range(SweepAxis *axis, const Range *range)
{
    Whole from, to, by = {false, 1};
    double first, last, step = 1;
    if (range->step && (!read_number(range->step, &step) || step <= 0))
        return nodus_error(NODUS_ERROR_INPUT, "--sweep %s: the step behind the colon must be a number above 0, not '%s'",
                           axis->target, range->step);
    if (read_whole(range->from, &from) && read_whole(range->to, &to) &&
        (!range->step || (read_whole(range->step, &by) && by.size)))
        return count_whole(axis, from, to, by.size);
    read_number(range->from, &first);
    read_number(range->to, &last);
    if (range->step) return count_real(axis, first, last, step);
    return nodus_error(NODUS_ERROR_INPUT, "--sweep %s=%s..%s: a range of fractions needs a step, such as 0.5..1:0.25",
                       axis->target, range->from, range->to);
}

/* "a..b" or "a..b:step"; *found: it is one. */
static NodusStatus read_range(SweepAxis *axis, const char *text, bool *found)
{
    const char *dots = strstr(text, ".."), *colon = dots ? strchr(dots, ':') : NULL;
    NodusStatus status = NULL;
    double first, last;
    *found = false;
    if (!dots) return NULL;
    Range range = {need(strndup(text, (size_t)(dots - text))), copy_text(dots + 2), colon ? copy_text(colon + 1) : NULL};
    range.to[strcspn(range.to, ":")] = '\0';
    *found = read_number(range.from, &first) && read_number(range.to, &last);
    if (*found) status = count_range(axis, &range);
    free(range.from);
    free(range.to);
    free(range.step);
    return status;
}

/* ---- Lists --------------------------------------------------------------------------------------------------------- */

static NodusStatus read_json(SweepAxis *axis, const char *text)
{
    cJSON *list = cJSON_Parse(text);
    const cJSON *item;
    cJSON_ArrayForEach (item, list) {
        char *printed = cJSON_IsString(item) ? NULL : cJSON_PrintUnformatted(item);
        add_value(axis, copy_text(printed ? printed : item->valuestring));
        cJSON_free(printed);
    }
    cJSON_Delete(list);
    if (axis->count) return NULL;
    return nodus_error(NODUS_ERROR_INPUT, "--sweep %s: %s is no JSON list of values", axis->target, text);
}

static void read_commas(SweepAxis *axis, const char *text)
{
    for (;;) {
        const size_t length = strcspn(text, ",");
        add_value(axis, need(strndup(text, length)));
        if (!text[length]) return;
        text += length + 1;
    }
}

static NodusStatus read_axis(const char *text, SweepAxis *axis)
{
    const char *equals = strchr(text, '='), *dot = NULL;
    for (const char *c = text; equals && c < equals; c++)
        if (*c == '.') dot = c;
    if (!dot || dot == text || dot + 1 == equals || !equals[1])
        return nodus_error(NODUS_ERROR_INPUT, "--sweep %s: takes NODE.input=a..b, NODE.input=a,b,c or NODE.input=[\"a\", \"b\"]",
                           text);
    axis->target = need(strndup(text, (size_t)(equals - text)));
    if (equals[1] == '[') return read_json(axis, equals + 1);
    bool range;
    NODUS_TRY(read_range(axis, equals + 1, &range));
    if (!range) read_commas(axis, equals + 1);
    return NULL;
}

/* ---- All of them --------------------------------------------------------------------------------------------------- */

/* --seed would undo a sweep of seeds without a word. */
static NodusStatus check_axis(const Options *options, const Sweep *sweep, int index)
{
    const SweepAxis *axis = &sweep->axis[index];
    const char *input = strrchr(axis->target, '.') + 1;
    if (options->seed_given && (!strcmp(input, "seed") || !strcmp(input, "noise_seed")))
        return nodus_error(NODUS_ERROR_INPUT, "--sweep %s and --seed contradict each other", axis->target);
    for (int i = 0; i < index; i++)
        if (!strcmp(sweep->axis[i].target, axis->target))
            return nodus_error(NODUS_ERROR_INPUT, "--sweep %s is given twice", axis->target);
    return NULL;
}

NodusStatus sweep_parse(const Options *options, Sweep *out)
{
    *out = (Sweep){.runs = 1};
    if (options->sweep.count > MOST_AXES) return nodus_error(NODUS_ERROR_INPUT, "more than %d times --sweep", (int)MOST_AXES);
    out->axis = need(calloc((size_t)options->sweep.count + 1, sizeof *out->axis));
    for (int i = 0; i < options->sweep.count; i++) {
        SweepAxis *axis = &out->axis[out->axes++];
        NODUS_TRY(read_axis(options->sweep.item[i], axis));
        NODUS_TRY(check_axis(options, out, i));
        if (axis->count > MOST_RUNS / out->runs) return too_many(axis);
        out->runs *= axis->count;
    }
    return NULL;
}

void sweep_free(Sweep *sweep)
{
    for (int i = 0; i < sweep->axes; i++) {
        for (int k = 0; k < sweep->axis[i].count; k++) free(sweep->axis[i].value[k]);
        free(sweep->axis[i].value);
        free(sweep->axis[i].target);
    }
    free(sweep->axis);
    *sweep = (Sweep){0};
}
