/* report.c: collecting errors and printing them as JSON. Sticky: a failed allocation is asked for once, at the end. */
#include "engine/graph/report.h"
#include "engine/formats/json.h"
#include <stdarg.h>
#include <stdio.h>

bool report_init(Report *report)
{
    *report = (Report){.arena = arena_new()};
    return report->arena;
}

void report_free(Report *report)
{
    for (ReportNode *node = report->first; node; node = node->next) memory_free(node->dependent);
    memory_free(report->outputs);
    memory_free(report->warning);
    arena_free(report->arena);
    *report = (Report){0};
}

static ReportError *make_error(Report *report, const char *type, const char *message, const char *details, const char *extra)
{
    ReportError *error = arena_alloc(report->arena, sizeof *error);
    if (error) {
        error->type = arena_text(report->arena, type);
        error->message = arena_text(report->arena, message);
        error->details = arena_text(report->arena, details ? details : "");
        error->extra = arena_text(report->arena, extra ? extra : "{}");
    }
    if (error && error->type && error->message && error->details && error->extra) return error;
    report->failed = true;
    return NULL;
}

void report_whole(Report *report, const char *type, const char *message, const char *details, const char *extra)
{
    report->error = make_error(report, type, message, details, extra);
}

ReportNode *report_node(Report *report, const char *id, const char *class_type, const char *title)
{
    ReportNode *node = arena_alloc(report->arena, sizeof *node);
    report->failed |= !node;
    if (!node) return NULL;
    node->id = id;
    node->class_type = class_type;
    node->title = title;
    if (report->last) report->last->next = node;
    else report->first = node;
    report->last = node;
    return node;
}

void report_error(Report *report, ReportNode *node, const char *type, const char *message, const char *details, const char *extra)
{
    ReportError *error = node ? make_error(report, type, message, details, extra) : NULL;
    if (!error) return;
    if (node->last) node->last->next = error;
    else node->first = error;
    node->last = error;
}

static void add_text(Report *report, const char ***list, size_t *count, size_t *capacity, const char *text)
{
    void *items = *list;
    if (!text || !memory_reserve(&items, capacity, *count, sizeof **list)) {
        report->failed = true;
        return;
    }
    *list = items;
    (*list)[(*count)++] = text;
}

void report_dependent(Report *report, ReportNode *node, const char *output)
{
    add_text(report, &node->dependent, &node->dependents, &node->capacity, output);
}

void report_output(Report *report, const char *id)
{
    add_text(report, &report->outputs, &report->output_count, &report->output_capacity, id);
}

void report_warning(Report *report, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    const int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = length < 0 ? NULL : arena_alloc(report->arena, (size_t)length + 1);
    if (text) vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    add_text(report, &report->warning, &report->warning_count, &report->warning_capacity, text);
}

/* ---- Printing ------------------------------------------------------------------------------------------------------ */

static void print_error(const ReportError *error, Text *out)
{
    text_add(out, "{\"type\": ");
    json_put_string(out, error->type, false);
    text_add(out, ", \"message\": ");
    json_put_string(out, error->message, false);
    text_add(out, ", \"details\": ");
    json_put_string(out, error->details, false);
    text_add(out, ", \"extra_info\": ");
    text_add(out, error->extra);
    text_char(out, '}');
}

static void print_texts(const char *const *text, size_t count, Text *out)
{
    text_char(out, '[');
    for (size_t i = 0; i < count; i++) {
        if (i) text_add(out, ", ");
        json_put_string(out, text[i], false);
    }
    text_char(out, ']');
}

void report_print_error(const Report *report, Text *out)
{
    if (report->error) print_error(report->error, out);
    else text_add(out, "null");
}

void report_print_node_errors(const Report *report, Text *out)
{
    text_char(out, '{');
    for (const ReportNode *node = report->first; node; node = node->next) {
        if (node != report->first) text_add(out, ", ");
        json_put_string(out, node->id, false);
        text_add(out, ": {\"errors\": [");
        for (const ReportError *error = node->first; error; error = error->next) {
            if (error != node->first) text_add(out, ", ");
            print_error(error, out);
        }
        text_add(out, "], \"dependent_outputs\": ");
        print_texts(node->dependent, node->dependents, out);
        text_add(out, ", \"class_type\": ");
        json_put_string(out, node->class_type, false);
        if (node->title) {
            text_add(out, ", \"title\": ");
            json_put_string(out, node->title, false);
        }
        text_char(out, '}');
    }
    text_char(out, '}');
}

void report_print(const Report *report, Text *out)
{
    text_format(out, "{\"valid\": %s, \"error\": ", report->error ? "false" : "true");
    report_print_error(report, out);
    text_add(out, ", \"node_errors\": ");
    report_print_node_errors(report, out);
    text_add(out, ", \"outputs\": ");
    print_texts(report->outputs, report->output_count, out);
    if (report->warning_count) {
        text_add(out, ", \"warnings\": ");
        print_texts(report->warning, report->warning_count, out);
    }
    text_char(out, '}');
}
