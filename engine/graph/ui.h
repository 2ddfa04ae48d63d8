/* ui.h: workflows as the editor saves them (versions 0.4 and 1) become prompts (engine-and-api.md §1.2–§1.7).
 *
 * One idea: what goes into the prompt is copied from the saved document item by item, and copies keep their place in the source;
 * so an error found later still names the byte of the file that people have. Hostile input: cycles, absent ends and sub-graphs
 * that multiply end in a warning or a clear error. */
#ifndef GRAPH_UI_H
#define GRAPH_UI_H
#include "engine/formats/json.h"
#include "engine/graph/folders.h"
#include "engine/graph/registry.h"
#include "engine/graph/report.h"

typedef struct UiOptions {
    bool name_unknown; /* warn of classes that the registry lacks; validation does that for a run */
} UiOptions;

/* Whether the document is in the editor's format: an object with an array "nodes". */
bool ui_is(const cJSON *document);
/* `document` lies in `json`. *prompt: an object of nodes, for cJSON_Delete. Warnings go to the report; the error says, with the
 * node, what cannot be converted. `folders` NULL: no folder has a file. */
NodusStatus ui_convert(const Registry *registry, Folders *folders, const Json *json, const cJSON *document,
                       const UiOptions *options, Report *report, cJSON **prompt);
/* Gives every widget that a prompt's node lacks its default, as the editor would. */
NodusStatus ui_fill_defaults(const Registry *registry, Folders *folders, cJSON *prompt);
/* A prompt as a file for people: two blanks a level, links on one line. */
void ui_print(Text *out, const cJSON *prompt);
/* `nodus convert`: the text of a workflow in either format, or of the HTTP envelope, to that of a prompt. *warnings: lines, ""
 * when there are none. Both: memory_free. */
NodusStatus ui_convert_text(const Registry *registry, Folders *folders, const char *text, size_t length, bool fill_defaults,
                            char **prompt, char **warnings);
#endif
