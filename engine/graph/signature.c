/* signature.c: one hash a node, made from those of its sources, so the whole graph costs linear time.
 *
 * One idea: what cannot be named exactly is given a number of its own and so equals nothing: a node whose fingerprint fails runs,
 * fails by itself with the better message, and nobody gets its result by mistake. Such a number, and what is never shared, is
 * drawn from this engine's own random number, so that it equals nothing of another process either. */
#include "engine/graph/signature.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/graph/call.h"
#include "engine/graph/plugins.h"
#include <string.h>

static void hash_hash(NodusHash *hash, Hash128 value)
{
    nodus_hash_u64(hash, value.low);
    nodus_hash_u64(hash, value.high);
}

static void hash_unique(NodusEngine *engine, NodusHash *hash)
{
    nodus_hash_text(hash, "unique");
    nodus_hash_u64(hash, engine->own);
    nodus_hash_u64(hash, atomic_fetch_add(&engine->unique, 1));
}

/* What the class promises to readers: a build with other outputs must not read this one's results. */
static void hash_class(const NodusNode *def, NodusHash *hash)
{
    nodus_hash_text(hash, def->name);
    nodus_hash_u64(hash, def->version);
    nodus_hash_u64(hash, def->output_count);
    for (uint32_t s = 0; s < def->output_count; s++) nodus_hash_text(hash, def->outputs[s].type);
}

/* A sampler or scheduler of a plug-in is code that results depend on; which one a link will name is not known yet. */
static void hash_named_code(const Plugins *plugins, const NodusInput *input, const Bind *bind, NodusHash *hash)
{
    const char *folder = input && input->kind == NODUS_COMBO && !input->as.c.names ? input->as.c.folder : NULL;
    if (!folder || folder[0] != '@') return;
    const PluginKind kind = strcmp(folder, "@samplers") ? PLUGIN_SCHEDULER : PLUGIN_SAMPLER;
    if (bind->kind == BIND_LINK) plugins_hash_all(plugins, hash);
    else if (bind->kind == BIND_LITERAL && bind->value && bind->value->kind == VALUE_STRING)
        plugins_hash(plugins, kind, bind->value->as.text, hash);
}

/* Each input by its kind: literals typed, links by what they lead to. The declared order names them. False: a source's result
 * is its process's own. */
static bool hash_inputs(const Plugins *plugins, const Node *node, const Hash128 *signature, NodusHash *hash)
{
    bool stable = true;
    for (uint32_t i = 0; i < node->binds; i++) {
        const Bind *bind = &node->bind[i];
        const NodusInput *input = i < node->def->input_count ? &node->def->inputs[i] : NULL;
        if (!input) nodus_hash_text(hash, node->extra[i - node->def->input_count]);
        nodus_hash_u64(hash, bind->kind);
        hash_named_code(plugins, input, bind, hash);
        if (bind->kind == BIND_LITERAL) {
            if (bind->name) nodus_hash_text(hash, bind->name);
            else value_hash(bind->value, hash);
            stable = stable && !(bind->name && bind->name[0] == '~');
        } else if (bind->kind == BIND_LINK) {
            hash_hash(hash, signature[bind->source]);
            nodus_hash_u64(hash, bind->slot);
            stable = stable && (signature[bind->source].low & SIGNATURE_STABLE);
        } else if (input && input->kind == NODUS_HIDDEN && !strcmp(input->type, "UNIQUE_ID")) {
            nodus_hash_text(hash, node->id);
        }
    }
    return stable;
}

NodusStatus signature_node(NodusEngine *engine, const Workflow *workflow, const Node *node, const Hash128 *signature,
                           NodusHash *hash, Hash128 *out)
{
    const bool own = node->def->flags & NODUS_NOT_IDEMPOTENT;
    hash_reset(hash);
    hash_hash(hash, engine->identity);
    hash_class(node->def, hash);
    plugins_hash(engine->plugins, PLUGIN_NODE, node->def->name, hash);
    if (own) nodus_hash_text(hash, node->id);
    if (own) nodus_hash_u64(hash, engine->own);
    bool stable = hash_inputs(engine->plugins, node, signature, hash) && !own;
    NodusStatus status = node->def->fingerprint ? call_fingerprint(engine, workflow, node, hash) : NULL;
    if (status && nodus_error_kind(status) == NODUS_ERROR_MEMORY) return status;
    if (status) {
        hash_unique(engine, hash);
        stable = false;
    }
    nodus_error_free(status);
    *out = hash_value(hash);
    out->low &= ~(uint64_t)(SIGNATURE_STABLE | SIGNATURE_KEPT);
    if (stable) out->low |= SIGNATURE_STABLE;
    if (stable && !(node->def->flags & NODUS_OUTPUT)) out->low |= SIGNATURE_KEPT;
    return NULL;
}

NodusStatus signature_all(NodusEngine *engine, const Workflow *workflow, Hash128 **out)
{
    NodusHash *hash = hash_new();
    Hash128 *signature = memory_array((size_t)workflow->count + 1, sizeof *signature);
    NodusStatus status = hash && signature ? NULL : status_memory();
    for (int32_t k = 0; k < workflow->order_count && !status; k++) {
        const int32_t n = workflow->order[k];
        const Node *node = &workflow->node[n];
        if (!node->bad) status = signature_node(engine, workflow, node, signature, hash, &signature[n]);
    }
    hash_free(hash);
    if (status) memory_free(signature);
    else *out = signature;
    return status;
}
