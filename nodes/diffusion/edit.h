/* edit.h: prompt-to-prompt at work in a sampling: what an entry of a conditioning shares with the prompt that it was made from.
 *
 * One idea: source and target are neighbours in a batch (items 0 and 1, 2 and 3, …) and each second item attends as the first does, which
 * keeps the composition. Let M be the source's map of attention to its tokens, M* the target's own, A which token of the source stands for
 * which of the target, f how fresh each token is. The target's map M·A + M*·diag(f) would be multiplied by its values V; as
 * (M·A + M*·diag(f))·V = M·(A·V) + M*·(diag(f)·V), the map need not be made: the work is one small product with A and, where there are
 * fresh tokens, one attention more.                     after Hertz et al., "Prompt-to-Prompt Image Editing with Cross Attention Control",
 * 2022 */
#ifndef DIFFUSION_EDIT_H
#define DIFFUSION_EDIT_H
#include "nodes/diffusion/network.h"
#include "nodes/values.h"
#include <stdatomic.h>

/* One edit; immutable, with a count of its holders. Arrays hold a pair: what changes nothing, then the target's. */
typedef struct EditUse {
    atomic_int holders;
    NodusTensor *text, *pooled; /* what the source says: [1, t, d], and [1, d] or NULL */
    NodusTensor *map;           /* A: [2, 1, t, t]: rows are tokens of the source */
    NodusTensor *fresh;         /* f: [2, t, 1], or NULL: no token is fresh */
    NodusTensor *mask;          /* [b, h, w] of any size, the first counts: where the target may differ; or NULL: everywhere */
    double cross_end, self_end; /* up to which part of the sampling maps to the text, and to the picture itself, are those of the source */
} EditUse;
EditUse *edit_ref(EditUse *use); /* NULL passes */
void edit_unref(EditUse *use);   /* NULL is allowed */

/* What a batch of pairs gives to the patches. */
typedef struct EditRun {
    const EditUse *use;
    NodusTensor *map, *fresh; /* as in the use, once a pair */
} EditRun;
/* For `items` items. An odd number of latents, `batch`, or a text of another length than that of the source, is an error. */
NodusStatus edit_run(NodusCall *call, const EditUse *use, const NodusTensor *text, int64_t batch, int64_t items, EditRun *out);
/* What source and target are told, in turns: [2, …]. `source` NULL: zeros. */
NodusStatus edit_pair(NodusMath *math, const NodusTensor *source, const NodusTensor *target, NodusTensor **out);
/* x [b, c, h, w], in which each second item is x where mask [1, 1, h, w] is 1, and the item before it where that is 0; takes *x. */
NodusStatus edit_blend(NodusMath *math, const NodusTensor *mask, NodusTensor **x);
/* The patches in force at sigma, at most EDIT_PATCHES: how many they are. */
enum { EDIT_PATCHES = 2 };
int edit_patches(EditRun *run, const ModelSampling *sampling, float sigma, PatchRun patch[EDIT_PATCHES]);
#endif
