/* why.c: `nodus why`: what a run would take from memory or disk, what it would make, and which input changed since the last
 * run. */
#include "engine/cli/commands.h"
#include "engine/cli/jobs.h"
#include "engine/cli/report.h"
#include "engine/cli/say.h"
#include "engine/cli/session.h"
#include <stdlib.h>
#include <string.h>

static const char *text_in(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    return text ? text : "";
}

/* "5 KSampler: must run: input "cfg" was 7, is 6.5" */
static void show_node(const cJSON *node)
{
    const char *state = text_in(node, "state");
    printf("%s %s: ", text_in(node, "node"), text_in(node, "title"));
    if (!strcmp(state, "run")) printf("must run: %s\n", text_in(node, "reason"));
    else printf("%s\n", strcmp(state, "disk") ? "in memory" : "on disk");
}

static void show_report(const char *text)
{
    cJSON *report = need(cJSON_Parse(text));
    const cJSON *nodes = cJSON_GetObjectItemCaseSensitive(report, "nodes"), *node;
    cJSON_ArrayForEach(node, nodes) show_node(node);
    printf("%d of %d needed nodes must run\n", (int)cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(report, "to_run")),
           cJSON_GetArraySize(nodes));
    cJSON_Delete(report);
}

static void show_refusal(const char *text)
{
    cJSON *report = need(cJSON_Parse(text));
    printf("not valid\n");
    report_print_problems(report, stdout);
    cJSON_Delete(report);
}

static int explain(const Options *options, const char *text, size_t length)
{
    Session session;
    char *report = NULL;
    bool valid = false;
    const int code = session_open(&session, options);
    if (code) return code;
    const NodusRunOptions run = {
        .struct_size = sizeof run,
        .file = options->words.item[0],
        .strict = options->strict,
        .only = options->only.item,
        .only_count = options->only.count,
        .set = options->set.item,
        .set_count = options->set.count,
        .seed_given = options->seed_given,
        .seed = session.seed,
    };
    NodusStatus status = nodus_engine_why(session.engine, text, length, &run, &report, &valid);
    if (!status && options->json) printf("%s\n", report);
    else if (!status && valid) show_report(report);
    else if (!status) show_refusal(report);
    nodus_free(report);
    session_close(&session);
    if (status) return refuse_status(status);
    return valid ? EXIT_GOOD : EXIT_REFUSED;
}

int command_why(const Options *options)
{
    char *text;
    size_t length;
    if (options->words.count != 1) return refuse("nodus why takes one workflow file, or - for standard input");
    NodusStatus status = jobs_read_workflow(options->words.item[0], &text, &length);
    if (status) return refuse_status(status);
    const int code = explain(options, text, length);
    free(text);
    return code;
}
