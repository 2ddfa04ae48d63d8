/* draw.h: what the patches of a network draw at random, anew for each of its calls.
 *
 * One idea: a graph whose patches draw is built twice. First the numbers are drawn, and the nodes thrown away; then it is
 * compiled, unless a plan with these numbers is there, and the patches read the same numbers back. Those that change the graph
 * are part of the plan's key; those that only fill an input are bound when the plan runs, so one plan serves all of them. */
#ifndef TENSOR_DRAW_H
#define TENSOR_DRAW_H
#include "engine/tensor/plan.h"

/* The draws of one call; zeroed but for the first two. */
typedef struct Draws {
    uint32_t (*next)(void *generator); /* the next 32 random bits */
    void *generator;
    bool again;         /* numbers are read back */
    uint32_t *choice;   /* those that change the graph */
    Tensor **input;     /* i32, those that fill an input */
    size_t choices, choice_room, choices_read, inputs, input_room, inputs_read;
} Draws;
void draws_free(Draws *draws); /* what it holds, not the struct */
void draws_again(Draws *draws); /* from now on the numbers are read back, from the first */
void draws_hash(const Draws *draws, NodusHash *hash);
void draws_bind(const Draws *draws, Bindings *bindings); /* which must not outlive the draws */

/* ---- For patches, while a graph is built; `graph` fails where nothing can be drawn ---- */

/* A number below `below` that changes the graph: PyTorch's randint. */
uint32_t graph_draw(OpGraph *graph, uint32_t below);
/* The same for the numbers of an input. */
uint32_t draws_below(Draws *draws, uint32_t below);
/* An i32 input; `fill` draws its numbers (row-major) from `draws`, once. */
OpRef op_drawn(OpGraph *graph, int rank, const int64_t *dim, void (*fill)(const void *context, Draws *draws, int32_t *value),
               const void *context);
#endif
