/* signature.c: one hash a node, made from those of its sources, so the whole graph costs linear time.
 *
 * One idea: what cannot be named exactly is given a number of its own and so equals nothing: a node whose fingerprint fails runs,
 * fails by itself with the better message, and nobody gets its result by mistake. */
#include "engine/graph/signature.h"
#include "engine/base/status.h"
#include "engine/graph/call.h"
#include <string.h>

static void hash_hash(NodusHash *hash, Hash128 value)
{
    nodus_hash_u64(hash, value.low);
    nodus_hash_u64(hash, value.high);
}

static void hash_unique(NodusEngine *engine, NodusHash *hash)
{
    nodus_hash_text(hash, "unique");
    nodus_hash_u64(hash, atomic_fetch_add(&engine->unique, 1));
}

/* Each input by its kind: literals typed, links by what they lead to. The declared order names them. */
static void hash_inputs(const Node *node, const Hash128 *signature, NodusHash *hash)
{
    for (uint32_t i = 0; i < node->def->input_count; i++) {
        const Bind *bind = &node->bind[i];
        const NodusInput *input = &node->def->inputs[i];
        nodus_hash_u64(hash, bind->kind);
        if (bind->kind == BIND_LITERAL) {
            value_hash(bind->value, hash);
        } else if (bind->kind == BIND_LINK) {
            hash_hash(hash, signature[bind->source]);
            nodus_hash_u64(hash, bind->slot);
        } else if (input->kind == NODUS_HIDDEN && !strcmp(input->type, "UNIQUE_ID")) {
            nodus_hash_text(hash, node->id);
        }
    }
}

NodusStatus signature_node(NodusEngine *engine, const Workflow *workflow, const Node *node, const Hash128 *signature,
                           NodusHash *hash, Hash128 *out)
{
    hash_reset(hash);
    hash_hash(hash, engine->identity);
    nodus_hash_text(hash, node->def->name);
    nodus_hash_u64(hash, node->def->version);
    if (node->def->flags & NODUS_NOT_IDEMPOTENT) nodus_hash_text(hash, node->id);
    hash_inputs(node, signature, hash);
    NodusStatus status = node->def->fingerprint ? call_fingerprint(engine, workflow, node, hash) : NULL;
    if (status && nodus_error_kind(status) == NODUS_ERROR_MEMORY) return status;
    if (status) hash_unique(engine, hash);
    nodus_error_free(status);
    *out = hash_value(hash);
    return NULL;
}
