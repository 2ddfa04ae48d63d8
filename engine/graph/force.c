/* force.c: forgets what is to be made again.
 *
 * One idea: a forced node needs no way of its own through the run: without a stored result it is a node like any other, and what
 * it gives takes the place of what was stored. */
#include "engine/graph/force.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/graph/cache.h"
#include "engine/graph/signature.h"

NodusStatus force_check(const NodusRun *run)
{
    for (int i = 0; i < run->options.force_count; i++) {
        int32_t node;
        NODUS_TRY(workflow_named(run->workflow, run->options.force[i], &node));
    }
    return NULL;
}

/* Marks the readers of what is marked: sources come first in the order. */
static void mark_readers(const Workflow *workflow, bool *forced)
{
    for (int32_t k = 0; k < workflow->order_count; k++) {
        const int32_t n = workflow->order[k];
        const Node *node = &workflow->node[n];
        for (uint32_t i = 0; i < node->binds && !node->bad; i++)
            if (node->bind[i].kind == BIND_LINK && forced[node->bind[i].source]) forced[n] = true;
    }
}

NodusStatus force_apply(const NodusRun *run)
{
    const Workflow *workflow = run->workflow;
    Hash128 *signature = NULL;
    if (!run->options.force_count) return NULL;
    bool *forced = memory_array((size_t)workflow->count + 1, sizeof *forced);
    NodusStatus status = forced ? signature_all(run->engine, workflow, &signature) : status_memory();
    for (int i = 0; i < run->options.force_count && !status; i++) {
        int32_t node;
        status = workflow_named(workflow, run->options.force[i], &node);
        if (!status) forced[node] = true;
    }
    if (!status) mark_readers(workflow, forced);
    for (int32_t k = 0; k < workflow->order_count && !status; k++) {
        const int32_t n = workflow->order[k];
        if (forced[n] && !workflow->node[n].bad) cache_forget(run->engine->cache, signature[n]);
    }
    memory_free(forced);
    memory_free(signature);
    return status;
}
