/* named.c: what plug-ins register for nodes to call by name: operations and patch classes.
 *
 * One idea: what a node calls so is code that its result depends on. Its own plug-in's file is in its signature already; with
 * another's, or nobody's at the time of signing, the result stays in this process. */
#include "engine/graph/call.h"
#include "engine/graph/plugins.h"
#include <nodus/op.h>

static void note_origin(NodusCall *call, PluginKind kind, const char *name, NodusHash *origin)
{
    const Plugins *plugins = call->engine->plugins;
    if (origin) plugins_hash(plugins, kind, name, origin);
    if (call->run && !plugins_same(plugins, kind, name, call->node->def->name)) nodus_keep_local(call);
}

const NodusOpDef *nodus_op(NodusCall *call, const char *name, NodusHash *origin)
{
    const NodusOpDef *op = registry_op(call->engine->registry, name);
    if (op) note_origin(call, PLUGIN_OP, name, origin);
    return op;
}

const NodusPatchClass *nodus_patch_class(NodusCall *call, const char *name, NodusHash *origin)
{
    const NodusPatchClass *patch = registry_patch(call->engine->registry, name);
    if (patch) note_origin(call, PLUGIN_PATCH, name, origin);
    return patch;
}

NodusStatus nodus_op_run(NodusCall *call, const char *name, uint32_t inputs, const NodusTensor *const *in,
                         const double *parameter, NodusTensor **out)
{
    const NodusOpDef *op = nodus_op(call, name, NULL);
    if (!op) return nodus_error(NODUS_ERROR_INPUT, "no plug-in brings the operation %s", name ? name : "without name");
    return nodus_op_apply(nodus_math(call), op, inputs, in, parameter, out);
}
