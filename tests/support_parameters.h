/* support_parameters.h: for each built-in node, what must change what it makes: its main parameters with other values, or, where a node has
 * none, another input. tests/unit/test_parameters.c turns a row into two workflows and compares what comes out of them. */
#ifndef TESTS_SUPPORT_PARAMETERS_H
#define TESTS_SUPPORT_PARAMETERS_H
#include <nodus/node.h>

/* Settings are "input=value; input=value". A value of a text or a choice stands as it is, up to the semicolon; @ID and @ID:SLOT are
 * links to the nodes of parameter_stage, @node to the node under test. */
typedef struct StageNode { const char *id, *class_type, *settings; } StageNode;

/* How a value that cannot be compared is made one: the nodes that use it, one after the other. In their settings @? is the value, @< the
 * node before; what the last emits first is compared. */
typedef struct Sink { const char *type; StageNode node[3]; } Sink;

/* The node with `given` against the node with `given` and each of `other`, which must make a difference. Words among `other`:
 *   !SETTINGS    these are refused, or fail
 *   pass         instead of a change, the node is left out: what it makes of its input differs from that input
 *   class=NAME   instead, a node of another class
 * "ID.input=value" sets an input of a node of the stage, "sink.input=value" one of the sinks'. `sink`: the sink of this row, read
 * through the first output; NULL: those of the types of all outputs. `idle`: why no parameter of this node can make a difference yet. */
enum { MOST_OTHERS = 8 };
typedef struct MainParameter { const char *node, *given, *other[MOST_OTHERS], *sink, *idle; } MainParameter;

extern const StageNode parameter_stage[]; /* these end with an empty row */
extern const Sink parameter_sinks[];
extern const MainParameter main_parameters[];
/* The nodes that an input takes when nothing is set, the first input of a type the first: MODEL, @model, @model2. */
typedef struct Source { const char *type, *link[4]; } Source;
extern const Source parameter_sources[];
#endif
