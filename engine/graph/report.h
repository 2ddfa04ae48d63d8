/* report.h: what validation found, and the answer of `nodus check --json` (engine-and-api.md §2.4).
 *
 * One idea: an error is kept as the pieces of its JSON; nothing is printed before everything was looked at. */
#ifndef GRAPH_REPORT_H
#define GRAPH_REPORT_H
#include "engine/base/memory.h"
#include "engine/base/text.h"

typedef struct ReportError {
    const char *type, *message, *details;
    const char *extra; /* a JSON object */
    struct ReportError *next;
} ReportError;

typedef struct ReportNode {              /* a node with errors of its own */
    const char *id, *class_type, *title; /* title: may be NULL */
    ReportError *first, *last;
    const char **dependent; /* output ids */
    size_t dependents, capacity;
    struct ReportNode *next;
} ReportNode;

typedef struct Report {
    Arena *arena;       /* everything but the lists of dependents */
    ReportError *error; /* of the whole prompt; NULL: valid */
    ReportNode *first, *last;
    const char **outputs; /* that may run */
    size_t output_count, output_capacity;
    const char **warning;
    size_t warning_count, warning_capacity;
    bool failed; /* out of memory */
} Report;

bool report_init(Report *report);
void report_free(Report *report);
/* Texts are copied. `details` and `extra` may be NULL. */
void report_whole(Report *report, const char *type, const char *message, const char *details, const char *extra);
/* A new entry; NULL when out of memory. The texts must live as long as the report. */
ReportNode *report_node(Report *report, const char *id, const char *class_type, const char *title);
void report_error(Report *report, ReportNode *node, const char *type, const char *message, const char *details,
                  const char *extra);
void report_dependent(Report *report, ReportNode *node, const char *output);
void report_output(Report *report, const char *id);
void report_warning(Report *report, const char *format, ...) NODUS_PRINTF(2, 3);

void report_print(const Report *report, Text *out);             /* the whole answer */
void report_print_error(const Report *report, Text *out);       /* the value of "error" */
void report_print_node_errors(const Report *report, Text *out); /* the value of "node_errors" */
#endif
