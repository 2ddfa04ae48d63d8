/* facts.h: what is known of the values before anything runs: sizes, channels, the family of a model.
 *
 * One idea: facts flow from file headers and literals along the links, in the order of the graph, through each node's `infer`. A
 * fact that is not known is 0 or NULL and never an error; so only what certainly fails is reported before a run.
 *
 * What `infer` and `cost` can rely on: in[i].struct_size is 0 for an input that is not linked; else the rest of in[i] is what is
 * known of its values (all 0: nothing). Linked sockets are NULL in the arguments. A node with a linked number, text or choice is
 * called only when that value is known (a primitive's), and has it in its arguments; a linked seed is the default. Numbers and
 * texts that a node emits in `infer` (nodus_emit_int …) are known to its readers. What is said of a slot holds for each element
 * of its list. */
#ifndef GRAPH_FACTS_H
#define GRAPH_FACTS_H
#include "engine/graph/engine.h"
#include "engine/graph/workflow.h"

typedef struct Facts Facts;

/* Asks every good node of workflow->order. What an `infer` finds impossible (nodus_input_error) becomes an error of its node,
 * entry[n], and the node and its readers are bad. The error return is for memory. The facts live no longer than the workflow. */
NodusStatus facts_new(NodusEngine *engine, Workflow *workflow, Report *report, ReportNode **entry, Facts **out);
void facts_free(Facts *facts); /* NULL is allowed */

/* Never NULL: all 0 where nothing is known, and where `facts` is NULL. facts_input(f, node, 0) is an array, one a declared input.
 */
const NodusFacts *facts_input(const Facts *facts, int32_t node, uint32_t input);
const NodusFacts *facts_output(const Facts *facts, int32_t node, uint32_t slot);
/* The value of a number, text or choice, literal or linked, as far as it is known; NULL. Lives as long as the workflow. */
const NodusValue *facts_value(const Facts *facts, const Workflow *workflow, int32_t node, uint32_t input);
/* What the node will need by its `cost`; all 0 where it has none or too little is known. */
NodusStatus facts_cost(const Facts *facts, NodusEngine *engine, const Workflow *workflow, int32_t node, NodusCost *out);
#endif
