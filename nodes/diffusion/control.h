/* control.h: ControlNets and adapters at work in a sampling (numerics.md §11).
 *
 * One idea: what entries of a conditioning carry is a chain of notes: which network, which picture, how strongly, from when to when. For
 * a batch of entries with one chain the networks are asked, what they say is added up place by place, and the UNet's plan has an input
 * at each such place. */
#ifndef DIFFUSION_CONTROL_H
#define DIFFUSION_CONTROL_H
#include "nodes/diffusion/network.h"
#include "nodes/models/control.h"
#include "nodes/values.h"
#include <stdatomic.h>

/* CONTROL_NET: a network from a file. */
typedef struct Control {
    WeightSet *weights;
    ControlConfig config;
    bool average; /* "shuffle": only the mean over the picture counts */
    int type;     /* of a union: the kind of the picture; −1: not told */
    char *origin;
} Control;
extern const NodusType type_control_net;

/* A note; immutable, with a count of its holders. */
typedef struct ControlUse {
    atomic_int holders;
    Control net; /* with a reference of its own; without origin */
    NodusTensor *picture;       /* [b, h, w, c], 0 … 1 */
    double strength, start, end; /* start, end: the part of the sampling, 0 … 1 */
    bool everywhere;            /* also for the other list, where that has none */
    struct ControlUse *before;  /* or NULL: its tensors are added too */
} ControlUse;
/* A new note in front of `before`, of which it takes a reference of its own; NULL when out of memory. */
ControlUse *control_use(const Control *net, const NodusTensor *picture, double strength, double start, double end, ControlUse *before);
ControlUse *control_ref(ControlUse *use); /* NULL passes */
void control_unref(ControlUse *use);      /* NULL is allowed */
bool control_same(const ControlUse *a, const ControlUse *b); /* they would say the same */

/* What it is asked about. */
typedef struct ControlQuestion {
    const Model *model;
    const NodusTensor *x;     /* [members·batch, c, h, w]: scaled, without what lies beside it */
    const NodusTensor *timesteps, *context, *label;
    float sigma;
    int64_t members, batch, tokens;
} ControlQuestion;

/* What is added to a UNet: its tensors are inputs of the plan that the patch `control_patch` (self: ControlPlaces, state: ControlSignals)
 * builds. */
enum { CONTROL_SIGNALS = 2 * UNET_MAX_BLOCKS + 1 };
typedef struct ControlSignals {
    NodusTensor *at[CONTROL_SIGNALS]; /* input blocks, output blocks, middle; NULL: nothing */
    char name[CONTROL_SIGNALS][24];   /* of the plan's inputs */
} ControlSignals;
extern const NodusPatchClass control_patch;

/* What one sampling keeps: features of pictures, made once a size, and networks that are changes to its model. */
typedef struct Controls Controls;
void controls_free(Controls *controls); /* NULL is allowed */
/* The places of those of a chain that act at sigma; false: none does. */
bool controls_places(const ControlUse *chain, const Model *model, float sigma, ControlPlaces *out);
/* Asks them. *controls is made when it is NULL. Tensors are on the scratch list: controls_release. */
NodusStatus controls_ask(Controls **controls, NodusCall *call, const ControlUse *chain, const ControlQuestion *question, ControlSignals *out);
void controls_release(NodusMath *math, ControlSignals *signals);
/* Floating-point operations of asking. */
NodusStatus controls_flop(Controls **controls, NodusMath *math, const ControlUse *chain, const Model *model, float sigma,
                          const NetworkShape *shape, double *flop);
/* What memory a sampling with a network from a file needs, besides its weights. Adds its places. */
typedef struct ControlCost {
    size_t look, ask; /* arenas: of looking at the picture, of a question (0: an adapter) */
    size_t hint, signals;
} ControlCost;
NodusStatus controls_cost(NodusMath *math, WeightSet *weights, const Model *model, const NetworkShape *shape, ControlPlaces *places,
                          ControlCost *out);
#endif
