/* ui_resolve.c: where the value of an input comes from, through reroutes, bypassed nodes, Set/Get pairs and the borders of
 * sub-graphs.
 *
 * One idea: every rule replaces the question by one other question, so the way is a loop over one small state. Where it comes by
 * the same state again, the workflow is circular; Brent's method finds that without remembering the way. */
#include "engine/graph/ui_graph.h"
#include "engine/base/status.h"
#include <string.h>
#include <strings.h>

enum { MOST_STEPS = 1 << 26 /* of a whole conversion */ };

/* The question: what feeds that input, or what is that output. */
typedef struct Walk {
    int32_t place, node, slot;
    bool output;
} Walk;

typedef struct Search {
    Ui *ui;
    Walk at;
    const char *want; /* the type of the input that asked */
    bool first;       /* no step was made yet */
    bool done;
    UiSource *found;
} Search;

/* ---- Types -------------------------------------------------------------------------------------------------------------- */

static bool is_any(const char *type)
{
    return !*type || !strcmp(type, "*") || !strcmp(type, "0");
}

/* A name of a comma list, without blanks around it. */
static const char *next_type(const char **list, size_t *length)
{
    *list += strspn(*list, ", ");
    const char *name = *list;
    *length = strcspn(name, ",");
    *list = name + *length;
    while (*length && name[*length - 1] == ' ') --*length;
    return *length ? name : NULL;
}

static bool types_fit(const char *a, const char *b)
{
    size_t a_length, b_length;
    if (is_any(a) || is_any(b)) return true;
    for (const char *a_rest = a, *one; (one = next_type(&a_rest, &a_length));)
        for (const char *b_rest = b, *other; (other = next_type(&b_rest, &b_length));)
            if (a_length == b_length && !strncasecmp(one, other, a_length)) return true;
    return false;
}

/* ---- Ends --------------------------------------------------------------------------------------------------------------- */

static void end_with(Search *search, UiFrom from, const cJSON *value)
{
    *search->found = (UiSource){from, search->at.place, search->at.node, search->at.slot, value};
    search->done = true;
}

/* What the box of a PrimitiveNode says goes to widgets directly behind it; the editor pushes it through nothing else. */
static void end_at_primitive(Search *search, const UiNode *asker, const UiInput *input, const UiNode *primitive)
{
    const cJSON *values = json_get(primitive->json, "widgets_values");
    const cJSON *value = values ? values->child : NULL;
    const bool widget = search->first && (ui_widget_of(asker, input) || !asker->def);
    const bool reaches = asker->kind == UI_INSTANCE || (asker->kind == UI_NODE && widget);
    if (value && !reaches)
        ui_warn(search->ui,
                "the value of node %s (PrimitiveNode) goes to widgets only, not through node %s (%s), as in the editor",
                primitive->id, asker->id, asker->type);
    end_with(search, value && reaches ? UI_LITERAL : UI_NOTHING, value);
}

/* ---- Steps -------------------------------------------------------------------------------------------------------------- */

/* From a sub-graph's input `port` to the instance's: what is linked there, else the promoted value. */
static void leave(Search *search, int32_t place, int32_t port)
{
    const UiPlace *inner = &search->ui->place[place];
    const UiScope *scope = &search->ui->scope[inner->scope];
    if (inner->parent < 0 || port < 0 || port >= scope->ins) {
        end_with(search, UI_NOTHING, NULL);
        return;
    }
    const UiNode *instance = ui_node(search->ui, inner->parent, inner->instance);
    const int32_t socket = inner->socket[port];
    if (socket >= 0 && instance->input[socket].link >= 0) search->at = (Walk){inner->parent, inner->instance, socket, false};
    else end_with(search, inner->promoted[port] ? UI_LITERAL : UI_NOTHING, inner->promoted[port]);
}

static void step_input(Search *search)
{
    const Walk at = search->at;
    const UiNode *node = ui_node(search->ui, at.place, at.node);
    const UiInput *input = at.slot >= 0 && at.slot < node->inputs ? &node->input[at.slot] : NULL;
    if (!input || input->link < 0) {
        end_with(search, UI_NOTHING, NULL);
        return;
    }
    const UiScope *scope = &search->ui->scope[search->ui->place[at.place].scope];
    const UiLink *link = &scope->link[input->link];
    if (link->origin == UI_ENTRY) leave(search, at.place, link->origin_slot);
    else if (link->origin < 0 || link->origin_slot < 0) {
        ui_warn(search->ui, "node %s (%s), input %s: its link comes from nowhere and is left out", node->id, node->type,
                input->name);
        end_with(search, UI_NOTHING, NULL);
    } else if (scope->node[link->origin].kind == UI_PRIMITIVE) {
        end_at_primitive(search, node, input, &scope->node[link->origin]);
    } else search->at = (Walk){at.place, link->origin, link->origin_slot, true};
}

/* Which input stands for an output of a bypassed node; UI_ABSENT when none fits. */
static int32_t bypass(const UiNode *node, int32_t slot, const char *want)
{
    if (is_any(want)) return slot < node->inputs ? slot : 0;
    const char *type = slot < node->outputs ? node->output[slot] : "";
    if (slot < node->inputs && types_fit(node->input[slot].type, type) && types_fit(node->input[slot].type, want)) return slot;
    for (int32_t i = 0; i < node->inputs; i++)
        if (!strcmp(node->input[i].type, want)) return i;
    for (int32_t i = 0; i < node->inputs; i++)
        if (types_fit(node->input[i].type, type) && types_fit(node->input[i].type, want)) return i;
    return UI_ABSENT;
}

/* Into a sub-graph: what feeds its output. */
static void enter(Search *search, const UiNode *instance)
{
    const int32_t place = search->ui->place[search->at.place].child[search->at.node];
    const UiScope *scope = &search->ui->scope[instance->scope];
    const int32_t first = search->at.slot < scope->outs ? scope->out[search->at.slot].link : UI_ABSENT;
    const UiLink *link = first >= 0 ? &scope->link[first] : NULL;
    if (link && link->origin == UI_ENTRY) leave(search, place, link->origin_slot);
    else if (link && link->origin >= 0 && link->origin_slot >= 0)
        search->at = (Walk){place, link->origin, link->origin_slot, true};
    else end_with(search, UI_NOTHING, NULL);
}

/* A name is looked up where the GetNode is, then around it. */
static void step_get(Search *search, const UiNode *node)
{
    for (int32_t place = search->at.place; place >= 0; place = search->ui->place[place].parent) {
        const int32_t set = names_get(&search->ui->scope[search->ui->place[place].scope].variables, node->variable);
        if (set < 0) continue;
        search->at = (Walk){place, set, 0, false};
        return;
    }
    ui_warn(search->ui, "node %s (%s): nothing is stored under \"%s\"", node->id, node->type, node->variable);
    end_with(search, UI_NOTHING, NULL);
}

static void step_output(Search *search)
{
    const UiNode *node = ui_node(search->ui, search->at.place, search->at.node);
    if (node->mode == UI_BYPASSED) {
        search->ui->steps += (size_t)node->inputs;
        search->at.slot = bypass(node, search->at.slot, search->want);
        search->at.output = false;
        return;
    }
    switch (node->kind) {
    case UI_NODE: end_with(search, UI_SLOT, NULL); break;
    case UI_INSTANCE: enter(search, node); break;
    case UI_REROUTE:
    case UI_SET: search->at.output = false; break;
    case UI_GET: step_get(search, node); break;
    case UI_NOTE:
    case UI_PRIMITIVE:
    case UI_REFUSED: end_with(search, UI_NOTHING, NULL); break;
    }
}

/* ---- The way ------------------------------------------------------------------------------------------------------------ */

static bool same_walk(const Walk *a, const Walk *b)
{
    return a->place == b->place && a->node == b->node && a->slot == b->slot && a->output == b->output;
}

NodusStatus ui_resolve(Ui *ui, int32_t place, int32_t node, int32_t input, UiSource *out)
{
    const UiInput *asker = &ui_node(ui, place, node)->input[input];
    Search search = {.ui = ui, .at = {place, node, input, false}, .want = asker->type, .first = true, .found = out};
    Walk mark = search.at;
    for (size_t step = 0, turn = 1; !search.done; search.first = false) {
        if (search.at.output) step_output(&search);
        else step_input(&search);
        if (++ui->steps > MOST_STEPS)
            return nodus_error(NODUS_ERROR_INPUT, "the links lead through too many reroutes and bypassed nodes to be followed");
        if (!search.done && same_walk(&search.at, &mark))
            return nodus_error(NODUS_ERROR_INPUT, "input %s of node %s (%s) is fed by itself: the links lead in a circle",
                               asker->name, ui_path(ui, place, node), ui_node(ui, place, node)->type);
        if (++step < turn) continue;
        step = 0;
        turn *= 2;
        mark = search.at;
    }
    return NULL;
}
