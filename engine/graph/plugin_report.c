/* plugin_report.c: a plug-in as JSON, for `nodus plugin check` and its child process. */
#include "engine/formats/json.h"
#include "engine/graph/plugin.h"
#include <string.h>

static void put_text(Text *out, size_t index, const char *text)
{
    if (index) text_add(out, ", ");
    json_put_string(out, text, false);
}

static void put_tables(Text *out, const char *name, const NodusPlugin *plugin, PluginKind kind)
{
    text_format(out, ", \"%s\": [", name);
    for (size_t i = 0; i < plugin->stage[kind].count; i++) put_text(out, i, plugin_table_name(kind, plugin->stage[kind].item[i]));
    text_char(out, ']');
}

static void put_faults(Text *out, const char *name, const Faults *faults)
{
    text_format(out, ", \"%s\": [", name);
    for (size_t i = 0; i < faults->count; i++) put_text(out, i, faults->item[i]);
    text_char(out, ']');
}

/* What people will miss, though it works. */
static void add_remarks(NodusPlugin *plugin)
{
    Faults *remarks = &plugin->remarks;
    const Staged *nodes = &plugin->stage[PLUGIN_NODE];
    for (size_t i = 0; i < nodes->count; i++) {
        const NodusNode *node = nodes->item[i];
        if (!node->help || !*node->help) faults_add(remarks, "node %s has no help", node->name);
        for (uint32_t k = 0; k < node->input_count; k++) {
            const NodusInput *input = &node->inputs[k];
            if (input->kind != NODUS_HIDDEN && (!input->tooltip || !*input->tooltip))
                faults_add(remarks, "node %s, input %s: it has no tooltip", node->name, input->name);
            if (input->kind == NODUS_LINK && !strchr(input->type, ',') && !registry_type(plugin->registry, input->type) &&
                !faults_any(&plugin->faults))
                faults_add(remarks, "node %s, input %s: no node gives a %s", node->name, input->name, input->type);
        }
    }
}

static void put_info(Text *out, const NodusPluginInfo *info)
{
    text_format(out, ", \"abi\": %u, \"name\": ", info->abi);
    json_put_string(out, info->name, false);
    text_add(out, ", \"version\": ");
    json_put_string(out, info->version, false);
    text_add(out, ", \"about\": ");
    json_put_string(out, info->about ? info->about : "", false);
}

void plugin_report(NodusPlugin *plugin, Text *out)
{
    text_add(out, "{\"file\": ");
    json_put_string(out, plugin->file, false);
    text_format(out, ", \"good\": %s", faults_any(&plugin->faults) ? "false" : "true");
    if (plugin->info) put_info(out, plugin->info);
    put_tables(out, "types", plugin, PLUGIN_TYPE);
    put_tables(out, "nodes", plugin, PLUGIN_NODE);
    put_tables(out, "samplers", plugin, PLUGIN_SAMPLER);
    put_tables(out, "schedulers", plugin, PLUGIN_SCHEDULER);
    put_tables(out, "operations", plugin, PLUGIN_OP);
    put_tables(out, "patches", plugin, PLUGIN_PATCH);
    put_faults(out, "faults", &plugin->faults);
    add_remarks(plugin);
    put_faults(out, "remarks", &plugin->remarks);
    text_char(out, '}');
}

void plugin_report_fault(const char *file, const char *fault, Text *out)
{
    text_add(out, "{\"file\": ");
    json_put_string(out, file, false);
    text_add(out, ", \"good\": false, \"types\": [], \"nodes\": [], \"samplers\": [], \"schedulers\": [], \"operations\": [], \"patches\": [], \"faults\": [");
    json_put_string(out, fault, false);
    text_add(out, "], \"remarks\": []}");
}
