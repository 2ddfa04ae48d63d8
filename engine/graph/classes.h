/* classes.h: nodes whose class is not in this build: unknown, or known and not built yet. */
#ifndef GRAPH_CLASSES_H
#define GRAPH_CLASSES_H
#include "engine/graph/engine.h"
#include "engine/graph/workflow.h"

/* The first node, in the order of the prompt, without a class or of one that cannot run, refuses the prompt: false. Of such
 * classes only those that an output needs count, the others are warned of; without outputs all count. */
bool classes_check(const NodusEngine *engine, const Workflow *workflow, bool outputs, Report *report);
#endif
