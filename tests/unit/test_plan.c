/* Plans: what the passes make of a graph computes the same; fused ops appear where nobody else reads in between; memory is exact; a key says what
 * changes a program; errors carry the whole key; any number of threads gives the same bits. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "engine/tensor/budget.h"
#include "engine/tensor/passes.h"
#include "engine/tensor/plan_inside.h"
#include "tests/support.h"
#include "tests/test.h"

/* A state dict of random numbers that makes each weight when it is asked for by add(). */
typedef struct Net {
    WeightSet *set;
    uint64_t random;
    int64_t height, width, channels; /* of the random network below */
    uint64_t seed;
} Net;

static void add(Net *net, const char *name, int rank, const int64_t *dim)
{
    const int64_t count = shape_count(rank, dim);
    float *data = malloc((size_t)count * sizeof *data);
    assert_non_null(data);
    support_fill(&net->random, data, (size_t)count);
    for (int64_t i = 0; i < count; i++) data[i] *= 0.3f;
    NodusStatus a = weights_add(net->set, name, DTYPE_F32, rank, dim, data, (size_t)count * sizeof *data, false), b = weights_own(net->set, free, data);
    assert_null(a);
    assert_null(b);
}

static void layer(Net *net, const char *name, int64_t out, int64_t in, int64_t kernel)
{
    char key[64];
    snprintf(key, sizeof key, "%s.weight", name);
    if (kernel) add(net, key, 4, (int64_t[]){out, in, kernel, kernel});
    else if (in) add(net, key, 2, (int64_t[]){out, in});
    else add(net, key, 1, (int64_t[]){out});
    snprintf(key, sizeof key, "%s.bias", name);
    add(net, key, 1, (int64_t[]){out});
}

static Net net_new(uint64_t seed)
{
    Net net = {.random = seed, .seed = seed};
    NodusStatus status = weights_new(&net.set);
    assert_null(status);
    weights_set_identity(net.set, (Hash128){seed, 1});
    net.channels = 32;
    net.height = support_between(&net.random, 2, 9);
    net.width = support_between(&net.random, 2, 9);
    const int64_t c = net.channels;
    layer(&net, "conv_in", c, 4, 3);
    for (int i = 0; i < 3; i++) {
        char name[32];
        snprintf(name, sizeof name, "norm%d", i);
        layer(&net, name, c, 0, 0);
        snprintf(name, sizeof name, "conv%d", i);
        layer(&net, name, c, c, 3);
    }
    layer(&net, "emb", c, 16, 0);
    layer(&net, "ln", c, 0, 0);
    layer(&net, "q", c, c, 0);
    layer(&net, "k", c, c, 0);
    layer(&net, "v", c, c, 0);
    layer(&net, "out", c, c, 0);
    layer(&net, "ff", 8 * c, c, 0);
    layer(&net, "ff_out", c, 4 * c, 0);
    layer(&net, "join", c, 2 * c, 1);
    return net;
}

static OpRef attention(OpGraph *g, OpRef h, bool causal)
{
    OpRef q = op_linear(g, h, "q"), k = op_linear(g, h, "k"), v = op_linear(g, h, "v");
    OpRef p = op_softmax(g, op_scores(g, q, k, 4, 0.35f), causal);
    return op_linear(g, op_values(g, p, v, 4), "out");
}

/* A network with every pattern that the fuse pass knows, in an order that the seed decides. */
static NodusStatus build_net(void *context, OpGraph *g)
{
    Net *net = context;
    uint64_t random = net->seed;
    OpRef x = op_input(g, "x", DTYPE_F32, 4, (int64_t[]){2, 4, net->height, net->width});
    OpRef t = op_input(g, "t", DTYPE_F32, 1, (int64_t[]){2});
    OpRef e = op_linear(g, op_sinusoid(g, t, 16, 10000), "emb");
    OpRef h = op_conv2d(g, x, "conv_in", CONV_3X3), skip = h;
    for (int i = 0; i < 8; i++) {
        char norm[16], conv[16];
        snprintf(norm, sizeof norm, "norm%d", i % 3);
        snprintf(conv, sizeof conv, "conv%d", i % 3);
        switch (support_between(&random, 0, 5)) {
        case 0: h = op_add(g, h, op_conv2d(g, op_silu(g, op_group_norm(g, h, norm, 32, 1e-5f)), conv, CONV_3X3)); break;
        case 1: h = op_add_channels(g, op_conv2d(g, op_silu(g, h), conv, CONV_3X3), op_silu(g, e)); break;
        case 2: h = op_add(g, op_pixels(g, attention(g, op_layer_norm(g, op_tokens(g, h), "ln", 1e-5f), i % 2), h), h); break;
        case 3: {
            OpRef f = op_linear(g, op_layer_norm(g, op_tokens(g, h), "ln", 1e-5f), "ff");
            const int64_t half = graph_dim(g, f, -1) / 2;
            f = op_mul(g, op_slice(g, f, 2, 0, half), op_gelu(g, op_slice(g, f, 2, half, half)));
            h = op_add(g, h, op_pixels(g, op_linear(g, f, "ff_out"), h));
            break;
        }
        case 4: {
            OpRef up = op_conv2d(g, op_upsample(g, h, 2 * graph_dim(g, h, 2), 2 * graph_dim(g, h, 3)), conv, CONV_3X3);
            h = op_conv2d(g, up, conv, CONV_DOWN);
            break;
        }
        default: h = op_conv2d(g, op_concat(g, h, skip, 1), "join", CONV_1X1); break;
        }
    }
    op_output(g, "h", h);
    op_output(g, "e", op_quick_gelu(g, e));
    return NULL;
}

static NodusStatus net_plan(SupportMath *on, Net *net, Plan **plan)
{
    NodusHash *hash;
    NODUS_TRY(plan_key_begin(&on->math, net->set, "net", &hash));
    return plan_get(&on->math, plan_key_end(hash), net->set, build_net, net, plan);
}

static void run_plan(SupportMath *on, const Net *net, Plan *plan, NodusTensor **h, NodusTensor **e)
{
    NodusTensor *x, *t;
    uint64_t random = 99;
    float data[2 * 4 * 9 * 9];
    support_fill(&random, data, sizeof data / sizeof *data);
    assert_null(nodus_tensor_from_f32(&on->math, &x, 4, (int64_t[]){2, 4, net->height, net->width}, data));
    assert_null(nodus_tensor_from_f32(&on->math, &t, 1, (int64_t[]){2}, (float[]){17, 801}));
    Bindings bindings = {.inputs = 0};
    bindings_input(&bindings, "x", x);
    bindings_input(&bindings, "t", t);
    bindings_output(&bindings, "h", h);
    bindings_output(&bindings, "e", e);
    NodusStatus status = plan_run(&on->math, plan, &bindings);
    if (status) fail_msg("%s", nodus_error_message(status));
}

static void run_net(SupportMath *on, Net *net, NodusTensor **h, NodusTensor **e)
{
    Plan *plan;
    NodusStatus status = net_plan(on, net, &plan);
    if (status) fail_msg("%s", nodus_error_message(status));
    run_plan(on, net, plan, h, e);
    plan_unref(plan);
}

static double distance(SupportMath *a, const NodusTensor *x, SupportMath *b, const NodusTensor *y)
{
    const float *p, *q;
    double worst = 0, largest = 1e-30;
    assert_null(nodus_tensor_map_f32(&a->math, x, &p));
    assert_null(nodus_tensor_map_f32(&b->math, y, &q));
    for (int64_t i = 0; i < nodus_tensor_count(x); i++) {
        worst = fmax(worst, fabs((double)p[i] - (double)q[i]));
        largest = fmax(largest, fabs((double)p[i]));
    }
    return isfinite(largest) ? worst / largest : 1e30;
}

TEST(every_network_gives_the_same_fused_on_the_cpu_and_plain_on_ref)
{
    for (uint64_t seed = 1; seed <= 12; seed++) {
        SupportMath ref, cpu;
        NodusTensor *h[2], *e[2];
        assert_ok(support_math_open("ref", NULL, 1, &ref));
        assert_ok(support_math_open("cpu", NULL, 2, &cpu));
        Net net = net_new(seed);
        run_net(&ref, &net, &h[0], &e[0]);
        run_net(&cpu, &net, &h[1], &e[1]);
        const double off = distance(&ref, h[0], &cpu, h[1]);
        if (off > 3e-5) fail_msg("network %d: off by %.2e", (int)seed, off);
        assert_near(distance(&ref, e[0], &cpu, e[1]), 0, 1e-5);
        weights_unref(net.set);
        support_math_close(&ref);
        support_math_close(&cpu);
    }
}

TEST(any_number_of_threads_gives_the_same_bits)
{
    static const int threads[] = {1, 2, 3, 7, 16};
    for (uint64_t seed = 20; seed < 24; seed++) {
        SupportMath first;
        NodusTensor *h, *e;
        assert_ok(support_math_open("cpu", NULL, 1, &first));
        Net net = net_new(seed);
        run_net(&first, &net, &h, &e);
        for (int i = 1; i < 5; i++) {
            SupportMath other;
            NodusTensor *h2, *e2;
            assert_ok(support_math_open("cpu", NULL, threads[i], &other));
            run_net(&other, &net, &h2, &e2);
            assert_true(distance(&first, h, &other, h2) == 0);
            assert_true(distance(&first, e, &other, e2) == 0);
            support_math_close(&other);
        }
        weights_unref(net.set);
        support_math_close(&first);
    }
}

/* ---- Under a memory limit ---- */

static void limit_memory(SupportMath *math, size_t bytes)
{
    math_clear(&math->math);
    plan_cache_free(math->math.plans);
    weight_store_free(math->math.weights);
    budget_free(math->budget);
    assert_null(budget_new(bytes, &math->budget));
    assert_null(plan_cache_new(math->budget, &math->math.plans));
    assert_null(weight_store_new(math->budget, &math->math.weights));
}

TEST(streamed_weights_give_the_same_bits_down_to_the_largest_segment)
{
    int streamed = 0;
    for (uint64_t seed = 60; seed < 68; seed++) {
        SupportMath all, some;
        NodusTensor *h, *e, *h2, *e2;
        Plan *plan;
        assert_ok(support_math_open("cpu", NULL, 2, &all));
        assert_ok(support_math_open("cpu", NULL, 2, &some));
        Net net = net_new(seed);
        run_net(&all, &net, &h, &e);
        assert_ok(net_plan(&all, &net, &plan));
        const size_t arena = plan_arena_bytes(plan), weights = plan_weight_bytes(plan);
        plan_unref(plan);
        bool fits = true;
        for (size_t bytes = (arena + weights) * 16 / 15 + 4096; fits && bytes > arena; bytes -= weights / 9) {
            limit_memory(&some, bytes);
            assert_ok(net_plan(&some, &net, &plan));
            fits = plan_fits(&some.math, plan);
            if (!fits) {
                plan_unref(plan);
                break;
            }
            run_plan(&some, &net, plan, &h2, &e2);
            assert_true(distance(&all, h, &some, h2) == 0);
            assert_true(distance(&all, e, &some, e2) == 0);
            const WeightCounters first = weight_store_counters(some.math.weights);
            run_plan(&some, &net, plan, &h2, &e2);
            plan_unref(plan);
            assert_true(distance(&all, h, &some, h2) == 0);
            const WeightCounters second = weight_store_counters(some.math.weights);
            assert_int_equal(first.packs, second.packs); /* what stays is not packed again */
            assert_true(budget_used(some.budget) <= bytes);
            streamed += second.bytes < weight_store_counters(all.math.weights).bytes;
        }
        assert_true(!fits); /* in the end not even a segment fits */
        weights_unref(net.set);
        support_math_close(&all);
        support_math_close(&some);
    }
    assert_true(streamed > 20);
}

TEST(a_network_that_cannot_fit_says_what_it_needs_and_what_there_is)
{
    SupportMath cpu;
    NodusTensor *h, *e;
    Plan *plan;
    assert_ok(support_math_open("cpu", NULL, 1, &cpu));
    Net net = net_new(3);
    limit_memory(&cpu, 20000);
    assert_ok(net_plan(&cpu, &net, &plan));
    Bindings bindings = {.inputs = 0};
    assert_false(plan_fits(&cpu.math, plan));
    assert_error(plan_run(&cpu.math, plan, &bindings), "out of memory: this needs 1 MB at once");
    plan_unref(plan);
    limit_memory(&cpu, (size_t)1 << 30);
    run_net(&cpu, &net, &h, &e); /* and the next one works */
    weights_unref(net.set);
    support_math_close(&cpu);
}

TEST(a_cancelled_run_returns_what_it_borrowed)
{
    SupportMath cpu;
    Plan *plan;
    NodusTensor *x, *t;
    assert_ok(support_math_open("cpu", NULL, 2, &cpu));
    Net net = net_new(61);
    assert_ok(net_plan(&cpu, &net, &plan));
    limit_memory(&cpu, (plan_arena_bytes(plan) + plan_weight_bytes(plan) / 2) * 16 / 15);
    assert_ok(nodus_tensor_fill(&cpu.math, &x, 4, (int64_t[]){2, 4, net.height, net.width}, 1));
    assert_ok(nodus_tensor_fill(&cpu.math, &t, 1, (int64_t[]){2}, 7));
    Bindings bindings = {.inputs = 0};
    bindings_input(&bindings, "x", x);
    bindings_input(&bindings, "t", t);
    atomic_store(&cpu.cancel.set, 1);
    assert_error(plan_run(&cpu.math, plan, &bindings), "cancelled");
    assert_int_equal(budget_pinned(cpu.budget), 0);
    plan_unref(plan);
    weights_unref(net.set);
    support_math_close(&cpu);
}

/* ---- The passes, one by one ---- */

static int count_kind(const OpGraph *graph, int kind)
{
    int count = 0;
    for (size_t i = 0; i < graph->count; i++) count += !graph->nodes[i].dead && graph->nodes[i].kind == kind;
    return count;
}

typedef NodusStatus Builder(OpGraph *g);
static OpGraph *passed(SupportMath *on, Net *net, Builder *build, GraphStage to, uint64_t *arena)
{
    OpGraph *graph;
    assert_null(graph_new(net->set, &graph));
    assert_null(build(graph));
    NodusStatus status = graph_finish(graph);
    if (status) fail_msg("%s", nodus_error_message(status));
    assert_null(pass_fold(graph));
    assert_null(validate_graph(graph, STAGE_BUILT));
    if (to >= STAGE_FUSED) assert_null(pass_fuse(graph, on->device));
    if (to >= STAGE_LAID_OUT) assert_null(pass_layout(graph, on->device));
    if (to >= STAGE_PLACED) assert_null(pass_memory(graph, arena));
    assert_null(validate_graph(graph, to));
    return graph;
}

static OpRef pixels(OpGraph *g)
{
    return op_conv2d(g, op_input(g, "x", DTYPE_F32, 4, (int64_t[]){1, 4, 6, 5}), "conv_in", CONV_3X3);
}

static NodusStatus build_attention(OpGraph *g)
{
    op_output(g, "y", attention(g, op_tokens(g, pixels(g)), false));
    return NULL;
}

static NodusStatus build_watched_attention(OpGraph *g)
{
    OpRef h = op_tokens(g, pixels(g));
    OpRef p = op_softmax(g, op_scores(g, op_linear(g, h, "q"), op_linear(g, h, "k"), 4, 1), false);
    op_output(g, "maps", p); /* somebody else reads the probabilities */
    op_output(g, "y", op_values(g, p, op_linear(g, h, "v"), 4));
    return NULL;
}

static NodusStatus build_views(OpGraph *g)
{
    OpRef h = pixels(g);
    op_output(g, "y", op_silu(g, op_pixels(g, op_tokens(g, h), h)));
    op_linear(g, op_tokens(g, h), "q"); /* nobody reads this */
    return NULL;
}

static NodusStatus build_chain(OpGraph *g)
{
    OpRef h = pixels(g);
    for (int i = 0; i < 20; i++) h = op_silu(g, h);
    op_output(g, "y", h);
    return NULL;
}

TEST(attention_is_fused_unless_somebody_reads_the_probabilities)
{
    SupportMath cpu;
    assert_ok(support_math_open("cpu", NULL, 1, &cpu));
    Net net = net_new(1);
    OpGraph *plain = passed(&cpu, &net, build_attention, STAGE_FUSED, NULL), *watched = passed(&cpu, &net, build_watched_attention, STAGE_FUSED, NULL);
    assert_int_equal(count_kind(plain, OP_ATTENTION), 1);
    assert_int_equal(count_kind(plain, OP_SOFTMAX), 0);
    assert_int_equal(count_kind(watched, OP_ATTENTION), 0);
    assert_int_equal(count_kind(watched, OP_SOFTMAX), 1);
    graph_free(plain);
    graph_free(watched);
    weights_unref(net.set);
    support_math_close(&cpu);
}

TEST(tokens_and_pixels_cost_nothing_in_channels_last_and_dead_nodes_go)
{
    SupportMath cpu;
    assert_ok(support_math_open("cpu", NULL, 1, &cpu));
    Net net = net_new(1);
    OpGraph *graph = passed(&cpu, &net, build_views, STAGE_LAID_OUT, NULL);
    assert_int_equal(count_kind(graph, OP_LINEAR), 0);
    assert_int_equal(count_kind(graph, OP_COPY), 1); /* the input's, to channels-last */
    graph_free(graph);
    weights_unref(net.set);
    support_math_close(&cpu);
}

TEST(values_that_do_not_live_together_share_memory)
{
    SupportMath ref;
    uint64_t arena;
    assert_ok(support_math_open("ref", NULL, 1, &ref));
    Net net = net_new(1);
    OpGraph *graph = passed(&ref, &net, build_chain, STAGE_PLACED, &arena);
    const uint64_t one = 32 * 6 * 5 * 4;
    assert_int_equal(arena, 2 * one); /* twenty-one values in a chain: two at a time */
    graph_free(graph);
    weights_unref(net.set);
    support_math_close(&ref);
}

TEST(no_two_living_values_overlap)
{
    SupportMath cpu;
    assert_ok(support_math_open("cpu", NULL, 1, &cpu));
    for (uint64_t seed = 40; seed < 52; seed++) {
        Net net = net_new(seed);
        OpGraph *graph;
        uint64_t arena;
        assert_ok(graph_new(net.set, &graph));
        assert_ok(build_net(&net, graph));
        assert_ok(pass_fold(graph));
        assert_ok(pass_fuse(graph, cpu.device));
        assert_ok(pass_layout(graph, cpu.device));
        assert_ok(pass_memory(graph, &arena));
        /* replay: at each node, what it reads must still be what its writer left there */
        int32_t *owner = malloc(arena / 64 * sizeof *owner);
        for (uint64_t i = 0; i < arena / 64; i++) owner[i] = -1;
        for (size_t i = 0; i < graph->count; i++) {
            const Node *node = &graph->nodes[i];
            if (node->kind == NODE_INPUT || node->kind == NODE_WEIGHT || node->base != (int32_t)i) continue;
            const uint64_t blocks = ((uint64_t)shape_count(node->rank, node->dim) * 4 + 63) / 64;
            for (uint64_t b = 0; b < blocks; b++) owner[node->at / 64 + b] = (int32_t)i;
            for (int k = 0; k < node->inputs; k++) {
                const int32_t base = node->in[k] < 0 ? -1 : graph->nodes[node->in[k]].base;
                if (base < 0 || graph->nodes[base].kind >= OP_COUNT) continue;
                if (owner[graph->nodes[base].at / 64] != base) fail_msg("network %d: node %zu reads %d, overwritten by %d", (int)seed, i, base, owner[graph->nodes[base].at / 64]);
            }
        }
        free(owner);
        graph_free(graph);
        weights_unref(net.set);
    }
    support_math_close(&cpu);
}

/* ---- Keys, counters, errors ---- */

TEST(an_equal_key_compiles_once_and_another_network_again)
{
    SupportMath cpu;
    NodusTensor *h, *e;
    assert_ok(support_math_open("cpu", NULL, 1, &cpu));
    Net one = net_new(3), two = net_new(4);
    run_net(&cpu, &one, &h, &e);
    run_net(&cpu, &one, &h, &e);
    run_net(&cpu, &two, &h, &e);
    const PlanCounters counters = plan_cache_counters(cpu.math.plans);
    assert_int_equal(counters.compiled, 2);
    assert_int_equal(counters.hits, 1);
    weights_unref(one.set);
    weights_unref(two.set);
    support_math_close(&cpu);
}

static NodusStatus build_missing(void *context, OpGraph *g)
{
    (void)context;
    graph_push(g, "model.%d.", 3);
    graph_push(g, "block");
    OpRef h = op_linear(g, op_input(g, "x", DTYPE_F32, 2, (int64_t[]){1, 4}), "proj");
    h = op_silu(g, op_conv2d(g, h, "also_missing", CONV_3X3)); /* passes through */
    graph_pop(g);
    graph_pop(g);
    op_output(g, "y", h);
    return NULL;
}

static NodusStatus build_narrow(void *context, OpGraph *g)
{
    (void)context;
    op_output(g, "y", op_linear(g, op_input(g, "x", DTYPE_F32, 2, (int64_t[]){1, 31}), "q"));
    return NULL;
}

TEST(the_first_error_sticks_with_its_whole_key)
{
    SupportMath ref;
    Plan *plan;
    const PlanTrace silent = {NULL, NULL};
    assert_ok(support_math_open("ref", NULL, 1, &ref));
    Net net = net_new(1);
    assert_error(plan_new(ref.device, net.set, build_missing, NULL, silent, &plan), "model.3.block.proj: there is no weight \"weight\"");
    assert_error(plan_new(ref.device, net.set, build_narrow, NULL, silent, &plan), "q.weight has the shape [32, 32], but what comes in is [1, 31]");
    weights_unref(net.set);
    support_math_close(&ref);
}

static void note_pass(void *user, const char *pass, const char *text)
{
    char *names = user;
    assert_true(strstr(text, "output \"h\"") != NULL);
    strcat(names, pass);
    strcat(names, " ");
}

TEST(the_passes_are_shown_in_their_order)
{
    SupportMath cpu;
    NodusTensor *h, *e;
    char names[64] = "";
    assert_ok(support_math_open("cpu", NULL, 1, &cpu));
    plan_cache_trace(cpu.math.plans, note_pass, names);
    Net net = net_new(5);
    run_net(&cpu, &net, &h, &e);
    assert_string_equal(names, "build fold fuse layout memory ");
    weights_unref(net.set);
    support_math_close(&cpu);
}

static NodusStatus build_plain(void *context, OpGraph *g)
{
    (void)context;
    OpRef w = op_weight(g, "w"), x = op_input(g, "x", DTYPE_F32, 1, (int64_t[]){3});
    op_output(g, "tanh", op_tanh(g, w));
    op_output(g, "sum", op_add(g, x, w));
    op_output(g, "product", op_mul(g, w, x));
    op_output(g, "affine", op_affine(g, w, 2, 1));
    op_output(g, "both", op_concat(g, x, w, 0));
    return NULL;
}

/* 1, −0.5, 2 as a file may hold them. */
TEST(a_weight_of_16_bits_counts_in_plain_arithmetic_as_what_it_means)
{
    static const uint16_t half[] = {0x3c00, 0xb800, 0x4000}, brain[] = {0x3f80, 0xbf00, 0x4000};
    static const char *const names[] = {"tanh", "sum", "product", "affine", "both"}, *const devices[] = {"ref", "cpu"};
    static const float want[5][6] = {{0.76159416f, -0.46211716f, 0.96402758f}, {11, 19.5f, 32}, {10, -10, 60}, {3, 0, 5}, {10, 20, 30, 1, -0.5f, 2}};
    for (int kind = 0; kind < 4; kind++) {
        SupportMath on;
        WeightSet *set;
        NodusHash *hash;
        Plan *plan;
        NodusTensor *x, *out[5];
        Bindings bindings = {.inputs = 0};
        assert_ok(support_math_open(devices[kind % 2], NULL, 1, &on));
        assert_ok(weights_new(&set));
        weights_set_identity(set, (Hash128){(uint64_t)kind + 1, 7});
        assert_ok(weights_add(set, "w", kind < 2 ? DTYPE_F16 : DTYPE_BF16, 1, (int64_t[]){3}, kind < 2 ? half : brain, sizeof half, false));
        assert_ok(plan_key_begin(&on.math, set, "plain", &hash));
        assert_ok(plan_get(&on.math, plan_key_end(hash), set, build_plain, NULL, &plan));
        assert_ok(nodus_tensor_from_f32(&on.math, &x, 1, (int64_t[]){3}, (float[]){10, 20, 30}));
        bindings_input(&bindings, "x", x);
        for (int i = 0; i < 5; i++) bindings_output(&bindings, names[i], &out[i]);
        assert_ok(plan_run(&on.math, plan, &bindings));
        for (int i = 0; i < 5; i++) {
            const float *got;
            assert_ok(nodus_tensor_map_f32(&on.math, out[i], &got));
            for (int64_t k = 0; k < nodus_tensor_count(out[i]); k++) assert_near((double)got[k], (double)want[i][k], 1e-5);
        }
        plan_unref(plan);
        weights_unref(set);
        support_math_close(&on);
    }
}

TEST_MAIN(CASE(a_weight_of_16_bits_counts_in_plain_arithmetic_as_what_it_means), CASE(every_network_gives_the_same_fused_on_the_cpu_and_plain_on_ref), CASE(any_number_of_threads_gives_the_same_bits),
          CASE(streamed_weights_give_the_same_bits_down_to_the_largest_segment), CASE(a_network_that_cannot_fit_says_what_it_needs_and_what_there_is),
          CASE(a_cancelled_run_returns_what_it_borrowed), CASE(attention_is_fused_unless_somebody_reads_the_probabilities), CASE(tokens_and_pixels_cost_nothing_in_channels_last_and_dead_nodes_go),
          CASE(values_that_do_not_live_together_share_memory), CASE(no_two_living_values_overlap), CASE(an_equal_key_compiles_once_and_another_network_again),
          CASE(the_first_error_sticks_with_its_whole_key), CASE(the_passes_are_shown_in_their_order))
