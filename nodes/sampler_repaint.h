/* sampler_repaint.h: resampling around a sampler: RePaint, after Lugmayr et al., "RePaint: Inpainting using Denoising Diffusion
 * Probabilistic Models", 2022. */
#ifndef NODES_SAMPLER_REPAINT_H
#define NODES_SAMPLER_REPAINT_H
#include "nodes/objects.h"

/* What repaint_run takes as options. */
typedef struct Repaint {
    const NodusSamplerDef *base;
    const void *options; /* of the base */
    int64_t length;      /* how many levels a jump goes back */
    int64_t jumps;       /* how often each stretch is sampled; 1: as the base does it */
} Repaint;
NodusSampler repaint_run;

/* A visitor of the walk: down from level `from` to level `to` (to > from: less noise), or up one level (to = from − 1). */
typedef NodusStatus RepaintVisit(void *context, int from, int to);
NodusStatus repaint_walk(int steps, int64_t length, int64_t jumps, RepaintVisit *visit, void *context);

/* How often each of `steps` steps is taken on average. */
double repaint_repeats(const SamplerObject *self, int steps);
NodusStatus repaint_bind(NodusCall *call, const SamplerObject *self, const void **options);
#endif
