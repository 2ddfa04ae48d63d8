/* nodes.c: `nodus nodes`: the node definitions, as a table, one by one, or as the JSON that ComfyUI's clients know. */
#include "engine/cli/comfyui.h"
#include "engine/cli/commands.h"
#include "engine/cli/report.h"
#include "engine/cli/say.h"
#include "engine/cli/script.h"
#include "engine/cli/session.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_CHOICES = 12 };

/* ---- The table ----------------------------------------------------------------------------------------------------- */

static int compare_nodes(const void *a, const void *b)
{
    const cJSON *x = *(const cJSON *const *)a, *y = *(const cJSON *const *)b;
    const int by_category = strcmp(report_text(x, "category"), report_text(y, "category"));
    return by_category ? by_category : strcmp(x->string, y->string);
}

static bool is_built(const cJSON *node)
{
    return !cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(node, "built"));
}

/* The nodes of a list, those that are not built marked, or only counted when `hide`. */
static void show_table(const cJSON *all, bool hide)
{
    const int count = cJSON_GetArraySize(all);
    const cJSON **list = need(calloc((size_t)count + 1, sizeof *list)), *node;
    int at = 0, width = 0;
    cJSON_ArrayForEach(node, all)
    {
        if (hide && !is_built(node)) continue;
        list[at++] = node;
        if ((int)strlen(node->string) > width) width = (int)strlen(node->string);
    }
    qsort(list, (size_t)at, sizeof *list, compare_nodes);
    const char *category = NULL;
    for (int i = 0; i < at; i++) {
        const char *mine = report_text(list[i], "category");
        if (!category || strcmp(category, mine)) printf("%s%s\n", category ? "\n" : "", *mine ? mine : "(no category)");
        category = mine;
        printf("  %-*s  %s%s\n", width, list[i]->string, report_text(list[i], "display_name"),
               is_built(list[i]) ? "" : " (not built yet)");
    }
    if (count > at) printf("\n%d more are known, but not built yet: nodus nodes --all\n", count - at);
    free(list);
}

/* ---- One node ------------------------------------------------------------------------------------------------------ */

static void show_value(const char *name, const cJSON *value)
{
    const double number = cJSON_IsNumber(value) ? fabs(value->valuedouble) : 0;
    if (number >= 0x1p64) printf(", %s 2^64-1", name); /* the largest seed: a double rounds it up */
    else if (number >= 0x1p62) return; /* whatever the type can hold */
    else if (cJSON_IsNumber(value)) printf(", %s %.10g", name, value->valuedouble);
    else if (cJSON_IsBool(value)) printf(", %s %s", name, cJSON_IsTrue(value) ? "true" : "false");
    else if (cJSON_IsString(value) && *value->valuestring) printf(", %s \"%s\"", name, value->valuestring);
}

static void show_choices(const cJSON *choices)
{
    const int count = cJSON_GetArraySize(choices);
    const cJSON *choice;
    int shown = 0;
    fputs(count ? "one of" : "a file, but there is none", stdout);
    cJSON_ArrayForEach(choice, choices)
    {
        if (shown == MOST_CHOICES) break;
        printf("%s %s", shown++ ? "," : "", cJSON_GetStringValue(choice));
    }
    if (count > shown) printf(" and %d more", count - shown);
}

/* An input is [type or list of choices, {options}]. What is said of the one before it as well is not said again. */
static void show_input(const cJSON *input, const cJSON *before, bool optional)
{
    static const char *const limits[] = {"default", "min", "max", "step"};
    const cJSON *type = cJSON_GetArrayItem(input, 0), *options = cJSON_GetArrayItem(input, 1);
    printf("  %-18s ", input->string);
    if (cJSON_IsArray(type)) show_choices(type);
    else fputs(cJSON_IsString(type) ? type->valuestring : "?", stdout);
    for (int i = 0; i < 4; i++) show_value(limits[i], cJSON_GetObjectItemCaseSensitive(options, limits[i]));
    printf("%s\n", optional ? ", optional" : "");
    const char *help = report_text(options, "tooltip"), *last = report_text(cJSON_GetArrayItem(before, 1), "tooltip");
    if (strcmp(help, last)) printf("  %-18s %s\n", "", help);
}

static void show_group(const cJSON *node, const char *group, bool optional)
{
    const cJSON *input, *before = NULL;
    cJSON_ArrayForEach(input, cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(node, "input"), group))
    {
        show_input(input, before, optional);
        before = input;
    }
}

static void show_outputs(const cJSON *node)
{
    const cJSON *types = cJSON_GetObjectItemCaseSensitive(node, "output"),
                *names = cJSON_GetObjectItemCaseSensitive(node, "output_name");
    const cJSON *helps = cJSON_GetObjectItemCaseSensitive(node, "output_tooltips"), *type;
    int slot = 0;
    cJSON_ArrayForEach(type, types)
    {
        const char *name = cJSON_GetStringValue(cJSON_GetArrayItem(names, slot)),
                   *help = cJSON_GetStringValue(cJSON_GetArrayItem(helps, slot));
        printf("  %d: %-15s %s%s%s\n", slot, name ? name : "", cJSON_IsString(type) ? type->valuestring : "?",
               help && *help ? ". " : "", help ? help : "");
        slot++;
    }
    if (!slot) puts("  none: the node writes or shows something");
}

/* When a node comes, where ComfyUI's page of the documentation tells it. */
static void show_not_built(const cJSON *node)
{
    const ComfyuiGroup *group = comfyui_find(node->string);
    fputs("Known, not built yet", stdout);
    if (group && *group->when) printf(" (%s)", group->when);
    puts(": workflows with it convert, but do not run.");
}

static void show_node(NodusEngine *engine, const cJSON *node)
{
    const char *title = report_text(node, "display_name");
    const NodusNode *table = nodus_engine_node(engine, node->string);
    fputs(node->string, stdout);
    if (strcmp(title, node->string)) printf(" (%s)", title);
    printf(", %s\n", report_text(node, "category"));
    if (!is_built(node)) show_not_built(node);
    if (*report_text(node, "description")) printf("%s\n", report_text(node, "description"));
    puts("\nInputs");
    show_group(node, "required", false);
    show_group(node, "optional", true);
    puts("\nOutputs");
    show_outputs(node);
    if (table && table->example) printf("\nExample\n  %s\n", table->example);
}

/* ---- The command --------------------------------------------------------------------------------------------------- */

static int unknown_node(NodusEngine *engine, const char *name)
{
    char *text = NULL;
    nodus_error_free(nodus_engine_known_nodes(engine, &text));
    cJSON *all = text ? cJSON_Parse(text) : NULL;
    const char **names = need(calloc((size_t)cJSON_GetArraySize(all) + 1, sizeof *names));
    const cJSON *node;
    int count = 0;
    cJSON_ArrayForEach(node, all) names[count++] = node->string;
    const char *near = most_like(name, names);
    const ComfyuiGroup *group = comfyui_find(name);
    if (group) refuse("%s is a node of ComfyUI that nodus does not know: %s", name, *group->when ? group->when : "a later step");
    else if (near) refuse("there is no node \"%s\"; did you mean \"%s\"?", name, near);
    else refuse("there is no node \"%s\"; nodus nodes lists them", name);
    free(names);
    cJSON_Delete(all);
    nodus_free(text);
    return EXIT_REFUSED;
}

static int show_nodes(const Options *options, NodusEngine *engine)
{
    const char *name = options->words.count ? options->words.item[0] : NULL;
    char *text = NULL;
    const bool known = !name && (options->all || !options->json); /* the table counts what it does not show */
    NodusStatus status = known ? nodus_engine_known_nodes(engine, &text) : nodus_engine_nodes(engine, name, &text);
    if (status) return refuse_status(status);
    cJSON *nodes = options->json && !name ? NULL : cJSON_Parse(text);
    const cJSON *one = name ? cJSON_GetObjectItemCaseSensitive(nodes, name) : NULL;
    int code = EXIT_GOOD;
    if (name && !one) code = unknown_node(engine, name);
    else if (options->json) puts(text);
    else if (name) show_node(engine, one);
    else show_table(nodes, !options->all);
    cJSON_Delete(nodes);
    nodus_free(text);
    return code;
}

int command_nodes(const Options *options)
{
    Session session;
    if (options->luals && options->words.count) return refuse("--luals is of all nodes");
    if (options->words.count > 1) return refuse("nodus nodes takes the name of one node, or none");
    int code = session_open(&session, options);
    if (code) return code;
    code = options->luals ? script_print(session.engine, "require('nodus.luals').text()") : show_nodes(options, session.engine);
    session_close(&session);
    return code;
}
