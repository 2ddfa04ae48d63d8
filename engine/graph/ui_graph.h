/* ui_graph.h: the saved workflow as the files ui_*.c see it: scopes (the root graph and each sub-graph definition) with nodes and
 * links by index, and places (a scope as one instance of it shows it).
 *
 * One idea: everything is an index into an array; what the document names and does not have is −1. Nothing recurses: a chain of
 * 100,000 reroutes is a loop, and sub-graphs unfold from a stack. */
#ifndef GRAPH_UI_GRAPH_H
#define GRAPH_UI_GRAPH_H
#include "engine/base/memory.h"
#include "engine/graph/names.h"
#include "engine/graph/ui.h"

enum {
    UI_ABSENT = -1,
    UI_ENTRY = -10, /* as the origin of a link: the scope's inputs */
    UI_EXIT = -20,  /* as its target: the scope's outputs */
    UI_MUTED = 2,
    UI_BYPASSED = 4
};

typedef enum UiKind {
    UI_NODE,
    UI_NOTE,
    UI_REROUTE,
    UI_PRIMITIVE,
    UI_SET, /* stores its input under a name */
    UI_GET, /* what is stored under a name */
    UI_INSTANCE,
    UI_REFUSED /* known, but what it does is its extension's secret */
} UiKind;

typedef struct UiInput {
    const char *name, *type;
    const char *widget; /* name of the widget behind the socket, or NULL */
    int32_t link;       /* of the scope */
} UiInput;

typedef struct UiNode {
    const char *id, *type; /* type: after renames */
    const cJSON *json;
    UiKind kind;
    int mode;
    const NodusNode *def; /* UI_NODE: NULL when the class is unknown */
    int32_t scope;        /* UI_INSTANCE: the definition */
    const char *variable; /* UI_SET, UI_GET */
    UiInput *input;
    int32_t inputs, outputs;
    const char **output; /* types */
} UiNode;

typedef struct UiLink {
    int32_t origin, target; /* nodes, UI_ENTRY, UI_EXIT, UI_ABSENT */
    int32_t origin_slot, target_slot;
} UiLink;

/* A port of a sub-graph: `link` is the first inside that starts or ends there. */
typedef struct UiPort {
    const char *name;
    int32_t link;
} UiPort;

typedef struct UiScope {
    const cJSON *json;
    const char *id; /* NULL: the root graph */
    UiNode *node;
    UiLink *link;
    UiPort *in, *out;
    int32_t nodes, links, ins, outs;
    Names node_index, variables;
    int32_t *order; /* nodes, sources first, else as in the file */
    size_t bytes;   /* of its text: what an instance costs */
} UiScope;

typedef struct UiPlace {
    int32_t scope, parent, instance; /* instance: a node of the parent's scope; of the root both are UI_ABSENT */
    int32_t depth;
    const char *path;       /* ids of the instances, ending in ':'; "" for the root */
    int32_t *child;         /* one a node: the place of an instance */
    int32_t *socket;        /* one a port `in`: the input of the instance, or UI_ABSENT */
    const cJSON **promoted; /* one a port `in`: the instance's value of a promoted widget, or NULL */
} UiPlace;

typedef struct UiEntry {
    int32_t place, node;
} UiEntry;

typedef struct Ui {
    Arena *arena;
    const Registry *registry;
    Folders *folders;
    const Json *json;
    Report *report;
    int warnings;
    UiScope *scope;
    UiPlace *place;
    UiEntry *entry;
    int32_t scopes, places, entries;
    size_t scope_room, place_room, entry_room;
    Names scope_index;
    Text scratch;                   /* the path that ui_path made last */
    size_t unfolded, steps, copied; /* work so far, against limits */
} Ui;

/* ui_parse.c */
NodusStatus ui_parse(Ui *ui, const cJSON *document);
void ui_free(Ui *ui);
void ui_warn(Ui *ui, const char *format, ...) NODUS_PRINTF(2, 3); /* the first of many only */
void ui_warn_rest(Ui *ui);                                        /* how many were not told */
/* ui_order.c */
NodusStatus ui_order(Ui *ui, UiScope *scope);
NodusStatus ui_unfold(Ui *ui); /* fills places and entries */
const UiNode *ui_node(const Ui *ui, int32_t place, int32_t node);
const char *ui_path(Ui *ui, int32_t place, int32_t node); /* the node's id in the prompt, until the next call */
bool ui_sent(const Ui *ui, int32_t place, int32_t node);  /* it becomes a node of the prompt */

/* ui_resolve.c: where the value of an input comes from. */
typedef enum UiFrom { UI_NOTHING, UI_LITERAL, UI_SLOT } UiFrom;
typedef struct UiSource {
    UiFrom from;
    int32_t place, node, slot; /* UI_SLOT */
    const cJSON *value;        /* UI_LITERAL */
} UiSource;
NodusStatus ui_resolve(Ui *ui, int32_t place, int32_t node, int32_t input, UiSource *out);

/* ui_widgets.c: which literals a node holds. */
typedef struct UiValue {
    const char *name;
    const cJSON *stored;     /* a value of the document; or NULL: */
    const NodusInput *input; /* the default of this input */
    size_t cut;              /* bytes to leave out at the beginning of a text: old names of samplers */
} UiValue;
bool ui_is_widget(const NodusInput *input);
/* The widget that a socket stands for, or NULL. */
const char *ui_widget_of(const UiNode *node, const UiInput *input);
/* The values of a node, in the order of its widgets. They live in the arena. */
NodusStatus ui_widgets(Ui *ui, const UiNode *node, UiValue **out, int32_t *count);
/* A default as JSON, or NULL where the editor would have none (an empty list of files). *value is the caller's. */
NodusStatus ui_default(const Registry *registry, Folders *folders, const NodusInput *input, cJSON **value);
/* The promoted values of an instance of `scope`, one a port. */
void ui_promoted(const UiScope *scope, const UiNode *instance, const cJSON **out);
#endif
