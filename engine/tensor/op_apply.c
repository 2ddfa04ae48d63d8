/* op_apply.c: an operation of a plug-in on tensors, at once, and within a graph (nodus/op.h).
 *
 * One idea: on tensors it is a network without weights. So it is compiled like one, for the shapes it meets, and its plan is
 * found again by a key of name, version, builder, shapes and parameters; the tensors are what is bound. */
#include "engine/tensor/node.h"
#include "engine/tensor/op_public.h"
#include "engine/tensor/shape.h"
#include <math.h>
#include <stdio.h>

enum { FIRST_SIZE = 48 /* of the table, in the first build that had it */ };

typedef struct Applied {
    const NodusOpDef *def;
    const NodusTensor *const *in;
    const double *parameter;
    char name[2][NODUS_OP_MOST][16]; /* of inputs, outputs */
} Applied;

static NodusStatus applied_build(void *context, OpGraph *graph)
{
    const Applied *applied = context;
    NodusOpRef in[NODUS_OP_MOST] = {NODUS_OP_NONE}, out[NODUS_OP_MOST] = {NODUS_OP_NONE};
    for (uint32_t i = 0; i < applied->def->inputs; i++) {
        const NodusTensor *x = applied->in[i];
        in[i] = op_to_public(graph, op_input(graph, applied->name[0][i], DTYPE_F32, x->rank, x->dim));
    }
    NODUS_TRY(status_from("its builder", applied->def->build(graph, in, applied->parameter, out)));
    for (uint32_t i = 0; i < applied->def->outputs; i++)
        op_output(graph, applied->name[1][i], op_from_public(graph, applied->name[1][i], out[i]));
    return NULL;
}

static NodusStatus check_tensors(uint32_t inputs, const NodusTensor *const *in)
{
    char text[SHAPE_TEXT];
    for (uint32_t i = 0; i < inputs; i++) {
        if (!in[i]) return nodus_error(NODUS_ERROR_INPUT, "tensor %u is missing", i);
        if (in[i]->dtype != DTYPE_F32) return nodus_error(NODUS_ERROR_INPUT, "tensor %u is not f32", i);
        if (!in[i]->rank || !nodus_tensor_count(in[i]))
            return nodus_error(NODUS_ERROR_INPUT, "tensor %u has the shape %s: there is nothing in it", i,
                               shape_text(in[i]->rank, in[i]->dim, text));
    }
    return NULL;
}

static NodusStatus check_call(const NodusOpDef *def, uint32_t inputs, const double *parameter)
{
    if (def->struct_size < FIRST_SIZE || !def->build || !def->inputs || def->inputs > NODUS_OP_MOST || !def->outputs ||
        def->outputs > NODUS_OP_MOST || def->parameters > NODUS_OP_PARAMETERS)
        return nodus_error(NODUS_ERROR_INPUT,
                           "its table cannot be right: inputs, outputs and parameters have limits (nodus/op.h)");
    if (inputs != def->inputs) return nodus_error(NODUS_ERROR_INPUT, "takes %u inputs, was given %u", def->inputs, inputs);
    for (uint32_t i = 0; i < def->parameters; i++)
        if (!parameter || !isfinite(parameter[i]))
            return nodus_error(NODUS_ERROR_INPUT, "parameter %u is not a finite number", i);
    return NULL;
}

static NodusStatus applied_key(NodusMath *math, const WeightSet *none, const Applied *applied, PlanKey *key)
{
    const NodusOpDef *def = applied->def;
    NodusHash *hash;
    NODUS_TRY(plan_key_begin(math, none, "op", &hash));
    nodus_hash_text(hash, def->name);
    nodus_hash_u64(hash, def->version);
    nodus_hash_bytes(hash, &def->build, sizeof def->build); /* a plug-in is never unloaded: no other function can lie there */
    for (uint32_t i = 0; i < def->inputs; i++)
        nodus_hash_bytes(hash, applied->in[i]->dim, applied->in[i]->rank * sizeof(int64_t));
    for (uint32_t i = 0; i < def->parameters; i++) nodus_hash_double(hash, applied->parameter[i]);
    *key = plan_key_end(hash);
    return NULL;
}

static NodusStatus apply(NodusMath *math, Applied *applied, NodusTensor **out)
{
    const NodusOpDef *def = applied->def;
    WeightSet *none;
    Plan *plan = NULL;
    PlanKey key;
    Bindings bindings = {0};
    for (uint32_t i = 0; i < def->inputs; i++) bindings_input(&bindings, applied->name[0][i], applied->in[i]);
    for (uint32_t i = 0; i < def->outputs; i++) bindings_output(&bindings, applied->name[1][i], &out[i]);
    NODUS_TRY(weights_new(&none));
    NodusStatus status = applied_key(math, none, applied, &key);
    if (!status) status = plan_get(math, key, none, applied_build, applied, &plan);
    if (!status) status = plan_run(math, plan, &bindings);
    plan_unref(plan);
    weights_unref(none);
    return status;
}

static NodusStatus op_blame(const NodusOpDef *def, NodusStatus status)
{
    return nodus_error_prefix(status, "operation %s", def->name ? def->name : "without name");
}

NodusStatus nodus_op_apply(NodusMath *math, const NodusOpDef *def, uint32_t inputs, const NodusTensor *const *in,
                           const double *parameter, NodusTensor **out)
{
    Applied applied = {.def = def, .in = in, .parameter = parameter};
    for (int i = 0; i < NODUS_OP_MOST; i++) {
        snprintf(applied.name[0][i], sizeof applied.name[0][i], "input %d", i);
        snprintf(applied.name[1][i], sizeof applied.name[1][i], "output %d", i);
    }
    NodusStatus status = check_call(def, inputs, parameter);
    if (!status) status = check_tensors(inputs, in);
    for (uint32_t i = 0; i < def->outputs && !status; i++) out[i] = NULL;
    if (!status) status = apply(math, &applied, out);
    return status ? op_blame(def, status) : NULL;
}

void nodus_op_call(NodusOpGraph *graph, const NodusOpDef *def, uint32_t inputs, const NodusOpRef *in, const double *parameter,
                   NodusOpRef *out)
{
    NodusOpRef made[NODUS_OP_MOST] = {NODUS_OP_NONE};
    const char *scope = graph->public_scope;
    const bool failed = graph->error;
    NodusStatus status = failed ? NULL : check_call(def, inputs, parameter);
    const uint32_t outputs = def->outputs < NODUS_OP_MOST ? def->outputs : NODUS_OP_MOST;
    graph->public_scope = NULL; /* it has no inputs of its own */
    if (!failed && !status) status = status_from("its builder", def->build(graph, in, parameter, made));
    graph->public_scope = scope;
    if (!graph->error) graph->error = status;
    else nodus_error_free(status);
    for (uint32_t i = 0; i < outputs; i++) out[i] = op_to_public(graph, op_from_public(graph, "what it makes", made[i]));
    if (graph->error && !failed) graph->error = op_blame(def, graph->error);
}
