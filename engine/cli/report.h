/* report.h: what the engine found wrong, for people. */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H
#include <cjson/cJSON.h>
#include <stdio.h>

/* Prints the members "error" and "node_errors" of a report or of a `finished` event, a line each. */
void report_print_problems(const cJSON *report, FILE *to);
/* A member that is a text, or "". */
const char *report_text(const cJSON *object, const char *name);
#endif
