/* conds_inside.h: what conds.c (evaluation) and conds_entries.c (preparation) share. */
#ifndef DIFFUSION_CONDS_INSIDE_H
#define DIFFUSION_CONDS_INSIDE_H
#include "nodes/diffusion/area.h"
#include "nodes/diffusion/boxes.h"
#include "nodes/diffusion/conds.h"
#include "nodes/diffusion/control.h"
#include "nodes/diffusion/image_prompt.h"
#include "nodes/diffusion/edit.h"

/* One evaluation. All tensors are on the scratch list. */
typedef struct Entry {
    const Cond *cond;   /* where and when it acts, how strongly */
    const Cond *source; /* what the network is told: mostly the same, else that of an entry of the other list */
    const ControlUse *control; /* what guides it by pictures, or NULL */
    const BoxUse *boxes;       /* what GLIGEN places where, or NULL */
    const EditUse *edit;       /* what it shares with its source, or NULL */
    int list;
    bool boxed, plain;    /* it has an area; its weight is 1 everywhere */
    Box area, box;        /* as it was asked for, and what of it lies on the picture */
    float start, end;     /* it acts while end ≤ σ ≤ start */
    NodusTensor *mask;    /* [b, 1, h, w] on the picture, or NULL */
    NodusTensor *weight;  /* [batch, 1, h, w] in the box */
    NodusTensor *spread;  /* the same on the whole picture, 0 outside the box */
    NodusTensor *pictures; /* [1, n]: the label of an unCLIP model, or NULL */
    NodusTensor *beside;  /* [batch, n, h, w] in the box: further input channels, or NULL */
} Entry;

/* Entries that share a call of the network, and what they need for it at any sigma. */
typedef struct Batch {
    int *member, count; /* by index */
    int64_t tokens;
    NodusTensor *context; /* [count·batch, tokens, d] */
    NodusTensor *label;   /* [count·batch, n] or NULL */
    NodusTensor *boxes;   /* [count·batch, 30, d]: the tokens of boxes, or NULL */
    NodusTensor **prompts; /* by patch of the model: the keys of pictures that are prompts (image_prompt.h), else NULL; or NULL */
    EditRun *edit;        /* or NULL */
    int64_t control_tokens;
    NodusTensor *control_context, *control_label; /* what ControlNets are told: mostly the same */
    NodusTensor *beside;  /* [count·batch, n, h, w] or NULL */
} Batch;

struct Conds {
    CondsSetup setup;
    NodusMath *math;
    int64_t batch;
    Box picture; /* at 0, 0 */
    Entry *entry;
    Batch *batches;
    Controls *controls;
    PatchRun *with_more; /* room for the patches and what batches bring */
    int with_more_room;
    WeightSet *weights;        /* of the network, with those for boxes */
    const BoxUse *boxes_file;  /* any of the boxes, for its file; NULL: there are none */
    Plan **plan; /* those that were used: they stay until the end */
    Plan *drawn; /* the latest that random choices are part of: it may never be wanted again */
    int entries, batch_count, plans;
    size_t batch_room, plan_room;
};

/* Fills `entry`. */
NodusStatus conds_entries(Conds *conds);
#endif
