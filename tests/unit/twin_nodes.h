/* twin_nodes.h: the nodes of test_twin.c: one of each way that a node can behave, all over integers.
 *
 *   TInt(value)  TAdd(a, b)  TList(from, count) → a list  TSum(values): takes lists  TChoose(which, a, b): lazy, odd takes a
 *   TBlock(value): blocks odd numbers  TGrow(value, turns): expands, adds 1 a turn  TFail(value): fails at multiples of 5
 *   TShow(value): output, one "n" a call  TInner: what TGrow expands into */
#ifndef TESTS_TWIN_NODES_H
#define TESTS_TWIN_NODES_H
#include "engine/graph/value.h"
#include <nodus/node.h>
#include <stdio.h>

typedef struct TwinArgs {
    int64_t a, b, c;
    NodusList values;
    NodusValue *value;
} TwinArgs;

#define TWIN_INT(name_, field_) NODUS_IN_INT(name_, TwinArgs, field_, "", .min = -1000000000, .max = 1000000000)
#define TWIN_LAZY(name_, field_) NODUS_FLAG_INT(NODUS_LAZY, name_, TwinArgs, field_, "", .min = -1000000000, .max = 1000000000)
static const NodusInput twin_one[] = {TWIN_INT("a", a)};
static const NodusInput twin_two[] = {TWIN_INT("a", a), TWIN_INT("b", b)};
static const NodusInput twin_grow_inputs[] = {NODUS_IN_ANY("a", TwinArgs, value, ""), TWIN_INT("b", b)};
static const NodusInput twin_lists[] = {NODUS_FLAG_LINK(NODUS_WHOLE_LIST, "a", TwinArgs, values, "INT", "")};
static const NodusInput twin_choice[] = {TWIN_INT("a", a), TWIN_LAZY("b", b), TWIN_LAZY("c", c)};
static const NodusOutput twin_out[] = {{"INT", "INT", ""}};
static const NodusOutput twin_out_list[] = {{"INT", "INT", "", NODUS_OUT_LIST}};

static NodusStatus twin_int(NodusCall *call, const void *args)
{
    const TwinArgs *in = args;
    return nodus_emit_int(call, 0, in->a);
}

static NodusStatus twin_add(NodusCall *call, const void *args)
{
    const TwinArgs *in = args;
    return nodus_emit_int(call, 0, in->a + in->b);
}

static NodusStatus twin_list(NodusCall *call, const void *args)
{
    const TwinArgs *in = args;
    for (int64_t i = 0; i < in->b; i++) NODUS_TRY(nodus_emit_int(call, 0, in->a + i));
    return NULL;
}

static int64_t twin_number(const NodusValue *value)
{
    return value->negative ? -(int64_t)value->as.magnitude : (int64_t)value->as.magnitude;
}

static NodusStatus twin_sum(NodusCall *call, const void *args)
{
    const TwinArgs *in = args;
    int64_t sum = 0;
    for (uint32_t i = 0; i < in->values.count; i++) sum += twin_number(in->values.item[i]);
    return nodus_emit_int(call, 0, sum);
}

static NodusStatus twin_choose(NodusCall *call, const void *args)
{
    const TwinArgs *in = args;
    return nodus_emit_int(call, 0, in->a & 1 ? in->b : in->c);
}

static NodusStatus twin_choose_wants(NodusCall *call, const void *args, uint64_t *inputs)
{
    const TwinArgs *in = args;
    (void)call;
    *inputs = in->a & 1 ? 2 : 4;
    return NULL;
}

static NodusStatus twin_block(NodusCall *call, const void *args)
{
    const TwinArgs *in = args;
    return in->a & 1 ? nodus_block(call, 0, NULL) : nodus_emit_int(call, 0, in->a);
}

static NodusStatus twin_grow(NodusCall *call, const void *args)
{
    const TwinArgs *in = args;
    char turns[16];
    if (in->b <= 0) return nodus_emit_value(call, 0, in->value);
    snprintf(turns, sizeof turns, "%d", (int)in->b - 1);
    NodusGraph *graph = nodus_graph(call);
    NODUS_TRY(nodus_graph_node(graph, "add", "TInner"));
    NODUS_TRY(nodus_graph_value(graph, "add", "a", in->value));
    NODUS_TRY(nodus_graph_literal(graph, "add", "b", "1"));
    NODUS_TRY(nodus_graph_node(graph, "next", "TGrow"));
    NODUS_TRY(nodus_graph_link(graph, "next", "a", "add", 0));
    NODUS_TRY(nodus_graph_literal(graph, "next", "b", turns));
    NODUS_TRY(nodus_expand(call, graph));
    return nodus_emit_link(call, 0, "next", 0);
}

static NodusStatus twin_fail(NodusCall *call, const void *args)
{
    const TwinArgs *in = args;
    return in->a % 5 ? nodus_emit_int(call, 0, in->a) : nodus_input_error(call, "a", "is a multiple of five");
}

static NodusStatus twin_show(NodusCall *call, const void *args)
{
    const TwinArgs *in = args;
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)in->a);
    return nodus_ui(call, "n", text);
}

static const NodusNode twin_nodes[] = {
    {NODUS_NODE("TInt", "", "", TwinArgs, twin_one, twin_out), .run = twin_int},
    {NODUS_NODE("TAdd", "", "", TwinArgs, twin_two, twin_out), .run = twin_add},
    {NODUS_NODE("TList", "", "", TwinArgs, twin_two, twin_out_list), .run = twin_list},
    {NODUS_NODE("TSum", "", "", TwinArgs, twin_lists, twin_out), .flags = NODUS_TAKES_LISTS, .run = twin_sum},
    {NODUS_NODE("TChoose", "", "", TwinArgs, twin_choice, twin_out), .run = twin_choose, .wants = twin_choose_wants},
    {NODUS_NODE("TBlock", "", "", TwinArgs, twin_one, twin_out), .run = twin_block},
    {NODUS_NODE("TGrow", "", "", TwinArgs, twin_grow_inputs, twin_out), .run = twin_grow},
    {NODUS_NODE("TFail", "", "", TwinArgs, twin_one, twin_out), .run = twin_fail},
    {NODUS_NODE_END("TShow", "", "", TwinArgs, twin_one), .flags = NODUS_OUTPUT, .run = twin_show},
    {NODUS_NODE("TInner", "", "", TwinArgs, twin_two, twin_out), .run = twin_add},
};
#endif
