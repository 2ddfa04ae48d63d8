/* Counted faults in an operation of a plug-in: each failed allocation, while it is described, compiled and run, is an error and leaves
 * nothing behind. */
#include "tests/faults/faults.h"
#include "tests/support.h"
#include <nodus/op.h>

static NodusStatus build(NodusOpGraph *graph, const NodusOpRef *in, const double *parameter, NodusOpRef *out)
{
    const float numbers[] = {1, 2, 3, 4};
    (void)parameter;
    const NodusOpRef row = nodus_op_constant(graph, 1, (const int64_t[]){4}, numbers);
    const NodusOpRef norm = nodus_op_layer_norm(graph, nodus_op_add(graph, in[0], row), row, NODUS_OP_NONE, 1e-5f);
    const NodusOpRef turned = nodus_op_permute(graph, norm, (const int[]){0, 2, 1});
    out[0] = nodus_op_softmax(graph, nodus_op_matmul(graph, norm, turned));
    return NULL;
}

static NodusStatus apply(SupportMath *math)
{
    const NodusOpDef def = {.struct_size = sizeof def, .name = "test", .inputs = 1, .outputs = 1, .build = build};
    NodusTensor *x, *out;
    NODUS_TRY(nodus_tensor_fill(&math->math, &x, 3, (const int64_t[]){2, 3, 4}, 0.5f));
    return nodus_op_apply(&math->math, &def, 1, (const NodusTensor *const[]){x}, NULL, &out);
}

static NodusStatus whole(void *context)
{
    SupportMath math;
    (void)context;
    NodusStatus status = support_math_open("cpu", NULL, 1, &math);
    if (!status) status = apply(&math);
    support_math_close(&math); /* whatever of it was opened */
    return status;
}

TEST(operations)
{
    assert_true(faults_each(FAULT_OF_ALLOCATION, NODUS_ERROR_MEMORY, whole, NULL) > 50);
}

TEST_MAIN(CASE(operations))
