/* check.c: `nodus check`: validates without running. With --json even a file that cannot be read is answered with the object. */
#include "engine/cli/commands.h"
#include "engine/cli/jobs.h"
#include "engine/cli/report.h"
#include "engine/cli/say.h"
#include "engine/cli/session.h"
#include <stdlib.h>

static int unreadable(const Options *options, NodusStatus status)
{
    if (options->json) {
        cJSON *text = need(cJSON_CreateString(nodus_error_message(status)));
        char *quoted = need(cJSON_PrintUnformatted(text));
        printf("{\"valid\": false, \"error\": {\"type\": \"unreadable_file\", \"message\": %s, \"details\": \"\", "
               "\"extra_info\": {}}, "
               "\"node_errors\": {}, \"outputs\": []}\n",
               quoted);
        cJSON_free(quoted);
        cJSON_Delete(text);
    }
    return refuse_status(status);
}

/* "valid: 1 output can run (7)" and what is wrong all the same. */
static void show_report(const char *text, bool valid)
{
    cJSON *report = cJSON_Parse(text);
    const cJSON *outputs = cJSON_GetObjectItemCaseSensitive(report, "outputs"), *item;
    const int count = cJSON_GetArraySize(outputs);
    printf("%s", valid ? "valid: " : "not valid");
    if (valid) {
        printf("%d output%s can run:", count, count == 1 ? "" : "s");
        cJSON_ArrayForEach(item, outputs) printf(" %s", cJSON_GetStringValue(item));
    }
    putchar('\n');
    report_print_problems(report, stdout);
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(report, "warnings"))
        printf("warning: %s\n", cJSON_GetStringValue(item));
    cJSON_Delete(report);
}

static int check_text(const Options *options, const char *text, size_t length)
{
    Session session;
    char *report = NULL;
    bool valid = false;
    const int code = session_open(&session, options);
    if (code) return code;
    NodusStatus status = nodus_engine_check(session.engine, text, length, options->strict, &report, &valid);
    if (!status && options->json) printf("%s\n", report);
    else if (!status) show_report(report, valid);
    nodus_free(report);
    session_close(&session);
    if (status) return refuse_status(status);
    return valid ? EXIT_GOOD : EXIT_REFUSED;
}

int command_check(const Options *options)
{
    char *text;
    size_t length;
    if (options->words.count != 1) return refuse("nodus check takes one workflow file, or - for standard input");
    NodusStatus status = jobs_read_workflow(options->words.item[0], &text, &length);
    if (status) return unreadable(options, status);
    const int code = check_text(options, text, length);
    free(text);
    return code;
}
