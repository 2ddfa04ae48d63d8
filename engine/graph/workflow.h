/* workflow.h: a prompt as the engine sees it: nodes with their class, and what each declared input is bound to.
 *
 * One idea: the JSON tree stays the truth about the prompt (it is what pictures carry as metadata), so edits and converted
 * literals are written into it; bindings are made from it once, by validation, and nothing looks at the JSON of an input again.
 */
#ifndef GRAPH_WORKFLOW_H
#define GRAPH_WORKFLOW_H
#include "engine/base/memory.h"
#include "engine/formats/json.h"
#include "engine/graph/folders.h"
#include "engine/graph/names.h"
#include "engine/graph/registry.h"
#include "engine/graph/report.h"
#include "engine/graph/value.h"

typedef enum BindKind { BIND_NONE, BIND_LITERAL, BIND_LINK } BindKind;
typedef struct Bind {
    uint8_t kind;
    uint32_t slot;     /* BIND_LINK */
    int32_t source;    /* BIND_LINK: index of a node */
    NodusValue *value; /* BIND_LITERAL: a list of one */
    const char *name;  /* BIND_LINK: the source's id; BIND_LITERAL: what a payload goes by in signatures, else NULL. "~…": in
                        * this process only */
} Bind;

typedef struct Node {
    const char *id, *class_type; /* class_type: NULL when it has none */
    const char *title;           /* of the prompt, else of the class */
    const NodusNode *def;        /* NULL: unknown class */
    cJSON *json, *inputs;        /* inputs: NULL when it has none */
    uint32_t binds;              /* declared inputs, then the undeclared ones of a variadic node */
    cJSON **item;                /* one a bind: what the prompt has there, or NULL */
    Bind *bind;
    const char **extra;          /* the names of undeclared inputs */
    const struct Node *visible;  /* made by expansion: the node of the prompt that its events name; else NULL */
    bool reached, cyclic, bad;   /* by validation: an output needs it; it lies on a cycle; it cannot run */
} Node;

typedef struct Workflow {
    Arena *arena;
    Json *json;
    cJSON *prompt, *extra_pnginfo, *targets; /* the last two may be NULL */
    cJSON *converted, *pnginfo;              /* made here, of a workflow in the editor's format: what the above point to */
    Node *node;                              /* in the order of the prompt */
    int32_t count;
    size_t capacity;
    Names ids;
    int32_t *order; /* by validation: the nodes that roots need, sources first */
    int32_t order_count;
    struct Facts *facts; /* by validation: what is known before a run (facts.h); may be NULL */
    const struct NodusGiven *given; /* values of the host, by name */
    int given_count;
} Workflow;

/* Parses the API format, its HTTP envelope, or a workflow as the editor saves it, which is converted (ui.h). What is wrong with the
 * text goes into the report (then *out is NULL); the error return is for memory. `folders` may be NULL. */
NodusStatus workflow_parse(const Registry *registry, Folders *folders, const char *text, size_t length, Report *report,
                           Workflow **out);
void workflow_free(Workflow *workflow); /* NULL is allowed */

/* Whether a node is linked to one that cannot run. */
bool workflow_has_bad_source(const Workflow *workflow, const Node *node);

int32_t workflow_find(const Workflow *workflow, const char *id); /* −1 when absent */
/* A node by id or, where no id matches, by title; a title that several nodes have, or a name that none has, is an error. */
NodusStatus workflow_named(const Workflow *workflow, const char *name, int32_t *out);

/* `--set NODE.input=value` and `--seed`: before validation. */
NodusStatus workflow_set(Workflow *workflow, const char *edit);
NodusStatus workflow_set_seed(Workflow *workflow, uint64_t seed);
/* Gives seeds that stand for a random number one; told as a warning, and stored with the prompt. */
NodusStatus workflow_draw_seeds(Workflow *workflow, Report *report);

/* Gives `item` the content of `other`, which is consumed; its place in the tree and its name stay. */
void workflow_replace(cJSON *item, cJSON *other);
/* The input of that declared name, or NULL. */
int workflow_input_index(const NodusNode *def, const char *name); /* −1 when absent */
#endif
