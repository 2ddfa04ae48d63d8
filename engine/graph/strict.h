/* strict.h: the literals of a prompt that only lax conversion makes fit, for `nodus convert --strict`: validation has its own
 * way, but needs files and nodes that run, and a conversion needs neither. */
#ifndef GRAPH_STRICT_H
#define GRAPH_STRICT_H
#include "engine/base/text.h"
#include "engine/graph/registry.h"

/* Adds a line for each: "node 5 (KSampler), steps: --strict takes no text for a whole number". */
NodusStatus strict_literals(const Registry *registry, const char *prompt, Text *lines);
#endif
