/* dumps.h: what --dump NODE[:SLOT][.PART]=FILE means for one prompt.
 *
 * One idea: ids may hold ':' , '.' and '=', so the text is read against the ids that the prompt has, the longest first. */
#ifndef CLI_DUMPS_H
#define CLI_DUMPS_H
#include "engine/cli/options.h"

typedef struct Dumps {
    NodusDump *item;
    int count;
    char **texts; /* what the items point to */
    int text_count;
} Dumps;
/* Resolves each text; one whose node the prompt lacks is left out. */
void dumps_resolve(Dumps *dumps, const TextList *given, const char *prompt, size_t length);
void dumps_free(Dumps *dumps);
/* Whether the text has the form that --dump takes, whatever the ids. */
bool dumps_well_formed(const char *text);
/* Whether the prompt has the node. A prompt that is no JSON has every node, for its error is another one. */
bool dumps_has_node(const char *text, const char *prompt, size_t length);
#endif
