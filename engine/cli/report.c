/* report.c: errors of a workflow as lines: which node, what is wrong with it, and the detail. The same for `check` and for a
 * refused run. */
#include "engine/cli/report.h"
#include <string.h>

enum { LONGEST_DETAIL = 400 /* lists of files can be endless */ };

const char *report_text(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    return text ? text : "";
}

/* "message: details", and the input if neither names it. */
static void put_error(const cJSON *error, FILE *to)
{
    const char *message = report_text(error, "message"), *details = report_text(error, "details");
    const char *input = report_text(cJSON_GetObjectItemCaseSensitive(error, "extra_info"), "input_name");
    if (*input && !strstr(details, input)) fprintf(to, "%s: ", input);
    const size_t end = strlen(message);
    fprintf(to, "%.*s", (int)(end && message[end - 1] == '.' ? end - 1 : end), message);
    size_t cut = strlen(details) > LONGEST_DETAIL ? LONGEST_DETAIL : strlen(details);
    while (cut && ((unsigned char)details[cut] & 0xc0) == 0x80) cut--; /* not within a letter */
    if (*details) fprintf(to, ": %.*s%s", (int)cut, details, details[cut] ? " …" : "");
    fputc('\n', to);
}

void report_print_problems(const cJSON *report, FILE *to)
{
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(report, "error");
    if (cJSON_IsObject(error)) put_error(error, to);
    const cJSON *node;
    cJSON_ArrayForEach(node, cJSON_GetObjectItemCaseSensitive(report, "node_errors"))
    {
        const cJSON *one;
        cJSON_ArrayForEach(one, cJSON_GetObjectItemCaseSensitive(node, "errors"))
        {
            fprintf(to, "  node %s (%s): ", node->string, report_text(node, "class_type"));
            put_error(one, to);
        }
    }
}
