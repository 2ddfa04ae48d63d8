/* reference.c: `nodus reference`: docs/nodes.md and docs/comfyui-nodes.md, generated from the nodes' tables.
 *
 * One idea: a node is described once, in its table. These pages say nothing of their own about it: docs/make_reference writes them,
 * and a test of the command line compares. The engine here has no folder, so that what lies in models/ or plugins/ of one machine
 * is not in the pages. */
#include "engine/cli/comfyui.h"
#include "engine/cli/help.h"
#include "engine/cli/report.h"
#include "engine/cli/say.h"
#include "engine/cli/script.h"
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define GENERATED "<!-- Generated from the nodes' tables by docs/make_reference: change those, not this file. -->\n\n"

typedef struct Nodes {
    const NodusNode **item; /* built, by category and name */
    int count;
} Nodes;

static int compare_nodes(const void *a, const void *b)
{
    const NodusNode *x = *(const NodusNode *const *)a, *y = *(const NodusNode *const *)b;
    const int by_category = strcmp(x->category, y->category);
    return by_category ? by_category : strcasecmp(x->name, y->name);
}

static Nodes built_nodes(NodusEngine *engine)
{
    Nodes nodes = {0};
    const NodusNode *node;
    int all = 0;
    while (nodus_engine_node_at(engine, all)) all++;
    nodes.item = need(calloc((size_t)all + 1, sizeof *nodes.item));
    for (int i = 0; (node = nodus_engine_node_at(engine, i)); i++)
        if (node->run) nodes.item[nodes.count++] = node;
    qsort(nodes.item, (size_t)nodes.count, sizeof *nodes.item, compare_nodes);
    return nodes;
}

static bool begins_category(const Nodes *nodes, int i)
{
    return !i || strcmp(nodes->item[i]->category, nodes->item[i - 1]->category) != 0;
}

/* ---- Markdown ------------------------------------------------------------------------------------------------------ */

/* Text of one line in which no letter means something to Markdown. */
static void put_text(const char *text)
{
    for (; text && *text; text++) {
        if (*text == '<') fputs("&lt;", stdout);
        else if (*text == '\n') putchar(' ');
        else {
            if (strchr("|*`\\[]", *text)) putchar('\\');
            putchar(*text);
        }
    }
}

/* A value as it is typed; in a table a | would end the cell. */
static void put_code(const char *text)
{
    putchar('`');
    for (; *text; text++) {
        if (*text == '|') putchar('\\');
        putchar(*text == '\n' ? ' ' : *text);
    }
    putchar('`');
}

/* Writes the place of a heading as GitHub names it: lower case, blanks as hyphens, no other signs. */
static void slug_of(const char *heading, char out[128])
{
    size_t length = 0;
    for (; *heading && length < 127; heading++) {
        const unsigned char c = (unsigned char)*heading;
        if (c == ' ') out[length++] = '-';
        else if (isalnum(c) || c == '-' || c == '_' || c >= 0x80) out[length++] = (char)tolower(c);
    }
    out[length] = '\0';
}

/* Of several headings with one slug the second gets "-1", and so on. */
static void put_place(const Nodes *nodes, const char *heading)
{
    char wanted[128], slug[128];
    int before = 0;
    slug_of(heading, wanted);
    for (int i = 0; i < nodes->count; i++) {
        slug_of(nodes->item[i]->category, slug);
        if (begins_category(nodes, i) && !strcmp(nodes->item[i]->category, heading)) break;
        if (begins_category(nodes, i)) before += !strcmp(slug, wanted);
        if (!strcmp(nodes->item[i]->name, heading)) break;
        slug_of(nodes->item[i]->name, slug);
        before += !strcmp(slug, wanted);
    }
    fputs(wanted, stdout);
    if (before) printf("-%d", before);
}

/* A link to the heading of a node or category in docs/nodes.md; `page` is "" there. */
static void put_link(const Nodes *nodes, const char *page, const char *heading)
{
    putchar('[');
    put_text(heading);
    printf("](%s#", page);
    put_place(nodes, heading);
    putchar(')');
}

/* ---- One input ----------------------------------------------------------------------------------------------------- */

static void put_int_limits(const NodusInput *input)
{
    const bool any = input->as.i.max == INT64_MAX || (!input->as.i.min && !input->as.i.max);
    if (!any) printf("%" PRId64 " … %" PRId64, input->as.i.min, input->as.i.max);
    if (input->as.i.step > 1) printf(", step %" PRId64, input->as.i.step);
}

static void put_float_limits(const NodusInput *input)
{
    const bool any = input->as.f.max >= 0x1p62 || (input->as.f.min == 0 && input->as.f.max == 0);
    if (!any) printf("%.10g … %.10g", input->as.f.min, input->as.f.max);
    if (input->as.f.step > 0) printf(", step %.10g", input->as.f.step);
}

static void put_choices(const NodusInput *input)
{
    const char *folder = input->as.c.folder, *const *names = input->as.c.names;
    for (int i = 0; names && names[i]; i++) {
        if (i) fputs(", ", stdout);
        put_code(names[i]);
    }
    if (names || !folder) return;
    if (*folder == '@') printf("[a %.*s](#samplers-and-schedulers)", (int)strlen(folder) - 2, folder + 1);
    else if (!strcmp(folder, "input")) fputs("a file in `input/`", stdout);
    else printf("a file in `models/%s/`", folder);
}

static void put_values(const NodusInput *input)
{
    switch (input->kind) {
    case NODUS_INT: put_int_limits(input); break;
    case NODUS_SEED: fputs("0 … 2^64−1", stdout); break;
    case NODUS_FLOAT: put_float_limits(input); break;
    case NODUS_BOOLEAN: fputs("true, false", stdout); break;
    case NODUS_STRING: fputs(input->as.s.multiline ? "lines of text" : "text", stdout); break;
    case NODUS_COMBO: put_choices(input); break;
    default: break; /* a socket takes what its type says */
    }
}

static void put_default(const NodusInput *input)
{
    const char *text = NULL;
    switch (input->kind) {
    case NODUS_INT: printf("%" PRId64, input->as.i.def); break;
    case NODUS_SEED: printf("%" PRIu64, input->as.u.def); break;
    case NODUS_FLOAT: printf("%.10g", input->as.f.def); break;
    case NODUS_BOOLEAN: fputs(input->as.b ? "true" : "false", stdout); break;
    case NODUS_STRING: text = input->as.s.def; break;
    case NODUS_COMBO: text = input->as.c.def || !input->as.c.names ? input->as.c.def : input->as.c.names[0]; break;
    default: break;
    }
    if (text && *text) put_code(text);
}

static void put_input(const NodusInput *input)
{
    fputs("| ", stdout);
    put_code(input->name);
    fputs(" | ", stdout);
    put_text(input->type);
    fputs(input->flags & NODUS_OPTIONAL ? ", optional | " : " | ", stdout);
    put_default(input);
    fputs(" | ", stdout);
    put_values(input);
    fputs(" | ", stdout);
    put_text(input->tooltip);
    fputs(" |\n", stdout);
}

/* ---- One node ------------------------------------------------------------------------------------------------------ */

static void put_inputs(const NodusNode *node)
{
    bool begun = false;
    for (uint32_t i = 0; i < node->input_count; i++) {
        if (node->inputs[i].kind == NODUS_HIDDEN) continue;
        if (!begun) fputs("| input | type | default | values | |\n| --- | --- | --- | --- | --- |\n", stdout);
        begun = true;
        put_input(&node->inputs[i]);
    }
    if (begun) putchar('\n');
    if (node->flags & NODUS_VARIADIC) fputs("It takes more inputs than these, under names that a workflow chooses.\n\n", stdout);
}

static void put_outputs(const NodusNode *node)
{
    for (uint32_t i = 0; i < node->output_count; i++) {
        const NodusOutput *output = &node->outputs[i];
        fputs("- gives ", stdout);
        put_code(output->name ? output->name : output->type);
        if (output->name && strcmp(output->name, output->type)) {
            fputs(", ", stdout);
            put_text(output->type);
        }
        fputs(output->flags & NODUS_OUT_LIST ? ", a list: " : ": ", stdout);
        put_text(output->tooltip);
        putchar('\n');
    }
    if (node->output_count) putchar('\n');
}

static void put_traits(const NodusNode *node)
{
    static const struct {
        uint32_t flag;
        const char *words;
    } traits[] = {{NODUS_OUTPUT, "output node"},
                  {NODUS_TAKES_LISTS, "takes whole lists"},
                  {NODUS_EXPERIMENTAL, "experimental"},
                  {NODUS_DEPRECATED, "deprecated"}};
    for (size_t i = 0; i < sizeof traits / sizeof *traits; i++)
        if (node->flags & traits[i].flag) printf(" · %s", traits[i].words);
}

static void put_node(const NodusNode *node)
{
    fputs("### ", stdout);
    put_text(node->name);
    fputs("\n\n**", stdout);
    put_text(node->title);
    fputs("**", stdout);
    put_traits(node);
    if (node->example) printf(" · example: [%s](../%s)", node->example, node->example);
    fputs("\n\n", stdout);
    put_text(node->help);
    fputs("\n\n", stdout);
    put_inputs(node);
    put_outputs(node);
}

/* ---- docs/nodes.md ------------------------------------------------------------------------------------------------- */

static void put_contents(const Nodes *nodes)
{
    for (int i = 0; i < nodes->count; i++) {
        if (begins_category(nodes, i)) {
            fputs(i ? "\n- **" : "- **", stdout);
            put_link(nodes, "", nodes->item[i]->category);
            fputs("**: ", stdout);
        } else {
            fputs(" · ", stdout);
        }
        put_link(nodes, "", nodes->item[i]->name);
    }
    fputs("\n- **[Samplers and schedulers](#samplers-and-schedulers)**\n", stdout);
}

/* The names of a combo of KSampler, of which the engine has the list. */
static void put_names(const cJSON *inputs, const char *title, const char *input)
{
    const cJSON *name, *names = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(inputs, input), 0);
    const char *comma = "";
    printf("**%s**: ", title);
    cJSON_ArrayForEach(name, names)
    {
        fputs(comma, stdout);
        put_code(cJSON_GetStringValue(name));
        comma = ", ";
    }
    fputs(".\n", stdout);
}

static NodusStatus put_samplers(NodusEngine *engine)
{
    char *text = NULL;
    NODUS_TRY(nodus_engine_nodes(engine, "KSampler", &text));
    cJSON *nodes = need(cJSON_Parse(text));
    const cJSON *inputs = cJSON_GetObjectItemCaseSensitive(
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(nodes, "KSampler"), "input"), "required");
    fputs("## Samplers and schedulers\n\n", stdout);
    put_names(inputs, "Samplers", "sampler_name");
    putchar('\n');
    put_names(inputs, "Schedulers", "scheduler");
    cJSON_Delete(nodes);
    nodus_free(text);
    return NULL;
}

static NodusStatus put_nodes_page(NodusEngine *engine, const Nodes *nodes)
{
    printf("# Nodes\n\n" GENERATED "The %d nodes of nodus " NODUS_VERSION
           ". `nodus nodes NAME` shows one of them on a terminal. What nodus has of ComfyUI's nodes, and what not:\n"
           "[comfyui-nodes.md](comfyui-nodes.md).\n\n"
           "An input without values is a socket: it takes a link to an output of its type. Every other input takes a value or such a "
           "link.\n\n",
           nodes->count);
    put_contents(nodes);
    for (int i = 0; i < nodes->count; i++) {
        if (begins_category(nodes, i)) printf("\n## %s\n\n", nodes->item[i]->category);
        put_node(nodes->item[i]);
    }
    return put_samplers(engine);
}

/* ---- docs/comfyui-nodes.md ----------------------------------------------------------------------------------------- */

typedef enum State { RUNS, KNOWN, UNKNOWN, STATES } State;

static State state_of(NodusEngine *engine, const char *name)
{
    const NodusNode *node = nodus_engine_node(engine, name);
    return !node ? UNKNOWN : node->run ? RUNS : KNOWN;
}

static int count_in_state(NodusEngine *engine, const ComfyuiGroup *group, State state)
{
    int count = 0;
    for (int i = 0; group->names[i]; i++) count += state_of(engine, group->names[i]) == state;
    return count;
}

static void put_running(const Nodes *nodes, bool comfyui)
{
    const char *category = NULL;
    for (int i = 0; i < nodes->count; i++) {
        const NodusNode *node = nodes->item[i];
        if ((comfyui_find(node->name) != NULL) != comfyui) continue;
        if (!category || strcmp(category, node->category)) {
            fputs(category ? "\n- **" : "- **", stdout);
            put_text(node->category);
            fputs("**: ", stdout);
        } else {
            fputs(" · ", stdout);
        }
        put_link(nodes, "nodes.md", node->name);
        category = node->category;
    }
    if (category) putchar('\n');
}

static void put_heading(const ComfyuiGroup *group, int count)
{
    const char *subject = *group->subject ? group->subject : "Others", *when = *group->when ? group->when : "a later step";
    printf("### %s\n\n%d: %s.\n\n", subject, count, when);
}

static void put_known(NodusEngine *engine, const ComfyuiGroup *group)
{
    const int count = count_in_state(engine, group, KNOWN);
    if (!count) return;
    put_heading(group, count);
    for (int i = 0; group->names[i]; i++) {
        if (state_of(engine, group->names[i]) != KNOWN) continue;
        fputs("- ", stdout);
        put_code(group->names[i]);
        fputs(": ", stdout);
        put_text(nodus_engine_node(engine, group->names[i])->help);
        putchar('\n');
    }
    putchar('\n');
}

static void put_unknown(NodusEngine *engine, const ComfyuiGroup *group)
{
    const int count = count_in_state(engine, group, UNKNOWN);
    const char *comma = "";
    if (!count) return;
    put_heading(group, count);
    for (int i = 0; group->names[i]; i++) {
        if (state_of(engine, group->names[i]) != UNKNOWN) continue;
        fputs(comma, stdout);
        put_code(group->names[i]);
        comma = ", ";
    }
    fputs("\n\n", stdout);
}

static NodusStatus put_comfyui_page(NodusEngine *engine, const Nodes *nodes)
{
    int count[STATES] = {0};
    for (const ComfyuiGroup *group = comfyui_groups; group->names; group++)
        for (int i = 0; group->names[i]; i++) count[state_of(engine, group->names[i])]++;
    printf("# ComfyUI's built-in nodes in nodus\n\n" GENERATED
           "ComfyUI of October 2025 has %d built-in nodes that run on one's own machine. nodus " NODUS_VERSION " runs %d of them.\n"
           "%d more are known by their inputs and outputs: a workflow with them converts, and is refused by name before anything runs.\n"
           "%d are not known. Steps are those of nodus's plan.\n\n",
           count[RUNS] + count[KNOWN] + count[UNKNOWN], count[RUNS], count[KNOWN], count[UNKNOWN]);
    printf("## They run (%d)\n\n", count[RUNS]);
    put_running(nodes, true);
    printf("\n## Known, not built (%d)\n\n", count[KNOWN]);
    for (const ComfyuiGroup *group = comfyui_groups; group->names; group++) put_known(engine, group);
    printf("## Not known (%d)\n\n", count[UNKNOWN]);
    for (const ComfyuiGroup *group = comfyui_groups; group->names; group++) put_unknown(engine, group);
    printf("## Beside ComfyUI's (%d)\n\nOf other packs, and nodus's own:\n\n", nodes->count - count[RUNS]);
    put_running(nodes, false);
    return NULL;
}

static NodusStatus put_lua_page(NodusEngine *engine, const Nodes *nodes)
{
    (void)nodes;
    return script_print(engine, "require('nodus.doc').page()") ? nodus_error(NODUS_ERROR_INTERNAL, "the page of the library") : NULL;
}

/* ---- The command --------------------------------------------------------------------------------------------------- */

int command_reference(const Options *options)
{
    static const struct {
        const char *name;
        NodusStatus (*put)(NodusEngine *engine, const Nodes *nodes);
    } pages[] = {{"nodes", put_nodes_page}, {"comfyui", put_comfyui_page}, {"lua", put_lua_page}};
    const NodusEngineOptions bare = {
        .struct_size = sizeof bare, .threads = 1, .device = "ref", .base_directory = "/nonexistent", .no_cache = true};
    for (size_t i = 0; options->words.count == 1 && i < sizeof pages / sizeof *pages; i++) {
        if (strcmp(options->words.item[0], pages[i].name)) continue;
        NodusEngine *engine;
        NodusStatus status = nodus_engine_new(&bare, &engine);
        if (status) return refuse_status(status);
        Nodes nodes = built_nodes(engine);
        status = pages[i].put(engine, &nodes);
        free(nodes.item);
        nodus_engine_free(engine);
        return status ? refuse_status(status) : EXIT_GOOD;
    }
    return refuse("nodus reference takes the name of a page: nodes or comfyui or lua");
}
