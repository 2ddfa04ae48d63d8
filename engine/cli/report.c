/* report.c: errors of a workflow as lines that people can act on: which node and input, what is there, what is expected, what may
 * have been meant, where it was looked for, at which byte. The same for `check` and for a refused run.
 *
 * One idea: the engine's report holds all of it as data, ComfyUI's words beside ours; here the sentence is made. */
#include "engine/cli/report.h"
#include "engine/cli/comfyui.h"
#include <stdbool.h>
#include <string.h>

enum { LONGEST = 400 /* of a piece: lists of files can be endless */ };

const char *report_text(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    return text ? text : "";
}

static void put_cut(const char *text, FILE *to)
{
    size_t cut = strlen(text) > LONGEST ? LONGEST : strlen(text);
    while (cut && ((unsigned char)text[cut] & 0xc0) == 0x80) cut--; /* not within a letter */
    fprintf(to, "%.*s%s", (int)cut, text, text[cut] ? " …" : "");
}

/* ---- One error ----------------------------------------------------------------------------------------------------- */

/* The details without the input's name, which the line has already. */
static const char *rest_of(const char *details, const char *input)
{
    const size_t length = strlen(input);
    if (!length || strncmp(details, input, length)) return details;
    const char *rest = details + length;
    if (!strncmp(rest, ": ", 2)) return rest + 2;
    return !strncmp(rest, " - ", 3) ? rest + 3 : details;
}

static void put_message(const cJSON *error, FILE *to)
{
    const char *message = report_text(error, "message"), *details = report_text(error, "details");
    const char *input = report_text(cJSON_GetObjectItemCaseSensitive(error, "extra_info"), "input_name");
    const size_t end = strlen(message);
    const char *type = report_text(error, "type");
    const bool enough = *details && (!strcmp(type, "custom_validation_failed") || !strncmp(type, "link_", 5)); /* as it stands */
    if (!enough) fprintf(to, "%.*s%s", (int)(end && message[end - 1] == '.' ? end - 1 : end), message, *details ? ": " : "");
    put_cut(rest_of(details, input), to);
}

static void put_got(const cJSON *extra, const char *got, const char *expected, FILE *to)
{
    fputs("got ", to);
    put_cut(got, to);
    fputs(", expected ", to);
    put_cut(expected, to);
    const char *reason = report_text(extra, "exception_message");
    if (*reason) fprintf(to, " (%s)", reason);
}

static void put_what(const cJSON *error, const cJSON *extra, FILE *to)
{
    const char *type = report_text(error, "type"), *got = report_text(extra, "got"), *expected = report_text(extra, "expected");
    const char *received = report_text(extra, "received_type");
    if (!strcmp(type, "required_input_missing") && *expected) {
        fputs("is missing, expected ", to);
        put_cut(expected, to);
    } else if (!strcmp(type, "bad_linked_input") && *got) {
        put_got(extra, got, "a link, [\"node id\", number of its output]", to);
    } else if (*received && *expected) {
        fprintf(to, "got a link to a value of type %s, expected ", received);
        put_cut(expected, to);
    } else if (*got && *expected && strncmp(type, "link_", 5)) {
        put_got(extra, got, expected, to);
    } else {
        put_message(error, to);
    }
}

static void put_help(const cJSON *extra, FILE *to)
{
    const char *nearest = report_text(extra, "nearest"), *searched = report_text(extra, "searched");
    const cJSON *offset = cJSON_GetObjectItemCaseSensitive(extra, "offset");
    if (*nearest) fprintf(to, "; did you mean \"%s\"?", nearest);
    if (*searched) fprintf(to, "; searched %s", searched);
    if (cJSON_IsNumber(offset)) fprintf(to, " (byte %.0f)", cJSON_GetNumberValue(offset));
}

/* ---- Nodes --------------------------------------------------------------------------------------------------------- */

static void put_node(const char *id, const char *title, const char *class_type, FILE *to)
{
    fprintf(to, "  node %s", id);
    if (*title && strcmp(title, class_type)) fprintf(to, " \"%s\"", title);
    fprintf(to, " (%s)", class_type);
}

static void put_node_error(const cJSON *node, const cJSON *error, FILE *to)
{
    const cJSON *extra = cJSON_GetObjectItemCaseSensitive(error, "extra_info");
    const char *input = report_text(extra, "input_name");
    put_node(node->string, report_text(node, "title"), report_text(node, "class_type"), to);
    if (*input) fprintf(to, ", %s", input);
    fputs(": ", to);
    put_what(error, extra, to);
    put_help(extra, to);
    fputc('\n', to);
}

/* Whether a class is known, and of ComfyUI's own when it comes or why it does not. */
static void put_class(const cJSON *node, FILE *to)
{
    const bool known = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(node, "known"));
    const ComfyuiGroup *group = comfyui_find(report_text(node, "class_type"));
    if (known) fputs(": this class is known, but not built yet", to);
    else fputs(group ? ": nodus lacks this class of ComfyUI" : ": there is no such class", to);
    if (group && *group->when) fprintf(to, " (%s)", group->when);
    put_help(node, to);
}

/* Every node whose class is missing, and at the end "3 of 41 nodes unknown: A, B, C". */
static void put_unknown(const cJSON *extra, FILE *to)
{
    const cJSON *node, *name, *nodes = cJSON_GetObjectItemCaseSensitive(extra, "unknown_nodes");
    const double count = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(extra, "unknown_count"));
    const double all = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(extra, "node_count"));
    cJSON_ArrayForEach (node, nodes) {
        put_node(report_text(node, "id"), report_text(node, "title"), report_text(node, "class_type"), to);
        put_class(node, to);
        fputc('\n', to);
    }
    if (count > cJSON_GetArraySize(nodes)) fprintf(to, "  … and %.0f more\n", count - cJSON_GetArraySize(nodes));
    fprintf(to, "%.0f of %.0f nodes unknown:", count, all);
    const char *comma = " ";
    cJSON_ArrayForEach (name, cJSON_GetObjectItemCaseSensitive(extra, "unknown")) {
        fprintf(to, "%s%s", comma, cJSON_GetStringValue(name));
        comma = ", ";
    }
    fputc('\n', to);
}

/* ---- The report ---------------------------------------------------------------------------------------------------- */

static void put_whole(const cJSON *error, bool nodes, FILE *to)
{
    const cJSON *extra = cJSON_GetObjectItemCaseSensitive(error, "extra_info");
    if (cJSON_GetObjectItemCaseSensitive(extra, "unknown_nodes")) {
        put_unknown(extra, to);
        return;
    }
    if (nodes) fputs(report_text(error, "message"), to); /* its details are the lines that follow */
    else put_message(error, to);
    fputc('\n', to);
}

void report_print_problems(const cJSON *report, FILE *to)
{
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(report, "error");
    const cJSON *nodes = cJSON_GetObjectItemCaseSensitive(report, "node_errors"), *node, *one;
    if (cJSON_IsObject(error)) put_whole(error, cJSON_GetArraySize(nodes) > 0, to);
    cJSON_ArrayForEach (node, nodes)
        cJSON_ArrayForEach (one, cJSON_GetObjectItemCaseSensitive(node, "errors")) put_node_error(node, one, to);
}
