/* pending.c: results that are still to come.
 *
 * One idea: a deferred call has two holders, the function that has yet to return and whoever finishes it, and ends when both let
 * go. So finishing is right at any time, from any thread, even before the function has returned. */
#include "engine/base/status.h"
#include "engine/graph/call.h"

NodusStatus nodus_defer(NodusCall *call, NodusPending **pending)
{
    *pending = NULL;
    if (call->host) call->refused = "nodus_defer";
    if (!call->execution || !call->run) return nodus_error(NODUS_ERROR_INTERNAL, "nodus_defer is for running nodes only");
    NodusPending *open = (NodusPending *)call; /* its first member */
    if (open->deferred) return nodus_error(NODUS_ERROR_INTERNAL, "%s defers twice", call->node->class_type);
    open->deferred = true;
    atomic_store(&open->holders, 2);
    open->first->deferred = true;
    atomic_fetch_add(&open->first->open, 1);
    *pending = open;
    return NULL;
}

NodusCall *nodus_pending_call(NodusPending *pending)
{
    return &pending->call;
}

void pending_release(NodusPending *open)
{
    if (atomic_fetch_sub(&open->holders, 1) != 1) return;
    Execution *first = open->first;
    open->call.execution->status = call_end(&open->call, open->status);
    memory_free(open);
    call_leave(first);
}

void nodus_pending_finish(NodusPending *pending, NodusStatus status)
{
    pending->status = status;
    pending_release(pending);
}
