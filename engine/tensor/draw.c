/* draw.c: see draw.h. Numbers are drawn in the order in which a builder visits its sites, which is the order in which they run.
 */
#include "engine/tensor/draw.h"
#include "engine/tensor/node.h"
#include "engine/tensor/tensor.h"

enum { DRAWN_INPUTS = BINDINGS_INPUTS / 4 /* the rest is for the network and its patches */ };
static const char *const drawn_name[DRAWN_INPUTS] = {"drawn 0",  "drawn 1",  "drawn 2",  "drawn 3", "drawn 4",  "drawn 5",
                                                     "drawn 6",  "drawn 7",  "drawn 8",  "drawn 9", "drawn 10", "drawn 11",
                                                     "drawn 12", "drawn 13", "drawn 14", "drawn 15"};

void draws_free(Draws *draws)
{
    for (size_t i = 0; i < draws->inputs; i++) nodus_tensor_unref(draws->input[i]);
    memory_free(draws->input);
    memory_free(draws->choice);
    *draws = (Draws){0};
}

void draws_again(Draws *draws)
{
    draws->again = true;
    draws->choices_read = draws->inputs_read = 0;
}

void draws_hash(const Draws *draws, NodusHash *hash)
{
    nodus_hash_bytes(hash, draws->choice, draws->choices * sizeof *draws->choice);
}

void draws_bind(const Draws *draws, Bindings *bindings)
{
    for (size_t i = 0; i < draws->inputs; i++) bindings_input(bindings, drawn_name[i], draws->input[i]);
}

uint32_t draws_below(Draws *draws, uint32_t below)
{
    return draws->next(draws->generator) % below;
}

/* The draws of a graph, or NULL and an error: a defect of the caller, or of a patch that draws without saying so. */
static Draws *draws_of(OpGraph *graph)
{
    if (!graph->error && !graph->draws)
        graph->error = nodus_error(NODUS_ERROR_INTERNAL,
                                   "a patch draws at random where nothing can be drawn: has its class NODUS_PATCH_DRAWS?");
    return graph->error ? NULL : graph->draws;
}

static void draws_differ(OpGraph *graph)
{
    graph->error = nodus_error(NODUS_ERROR_INTERNAL, "a patch draws more often the second time it builds");
}

uint32_t graph_draw(OpGraph *graph, uint32_t below)
{
    Draws *draws = draws_of(graph);
    if (!draws) return 0;
    if (!draws->again) {
        if (!memory_reserve((void **)&draws->choice, &draws->choice_room, draws->choices, sizeof *draws->choice)) {
            graph->error = status_memory();
            return 0;
        }
        draws->choice[draws->choices++] = draws_below(draws, below);
    }
    if (draws->choices_read == draws->choices) {
        draws_differ(graph);
        return 0;
    }
    return draws->choice[draws->choices_read++];
}

static NodusStatus draws_input(Draws *draws, int rank, const int64_t *dim,
                               void (*fill)(const void *context, Draws *draws, int32_t *value), const void *context)
{
    if (draws->inputs == DRAWN_INPUTS)
        return nodus_error(NODUS_ERROR_INPUT, "the model's patches draw at random in more than %d places: take one of them away",
                           DRAWN_INPUTS);
    if (!memory_reserve((void **)&draws->input, &draws->input_room, draws->inputs, sizeof(Tensor *))) return status_memory();
    int32_t *value = memory_array((size_t)shape_count(rank, dim) + 1, sizeof *value);
    if (!value) return status_memory();
    fill(context, draws, value);
    NodusStatus status = tensor_borrow(DTYPE_I32, rank, dim, value, memory_free, value, &draws->input[draws->inputs]);
    if (status) memory_free(value); /* else it is the tensor's */
    else draws->inputs++;
    return status;
}

OpRef op_drawn(OpGraph *graph, int rank, const int64_t *dim, void (*fill)(const void *context, Draws *draws, int32_t *value),
               const void *context)
{
    Draws *draws = draws_of(graph);
    if (!draws) return OP_NONE;
    if (!draws->again) graph->error = draws_input(draws, rank, dim, fill, context);
    if (!graph->error && draws->inputs_read == draws->inputs) draws_differ(graph);
    if (graph->error) return OP_NONE;
    return op_input(graph, drawn_name[draws->inputs_read++], DTYPE_I32, rank, dim);
}
