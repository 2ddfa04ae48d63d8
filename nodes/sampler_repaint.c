/* sampler_repaint.c: SamplerRePaint: a sampler that goes back in time to make a repainted part fit what is around it.
 *
 * One idea: the walk of RePaint is stretches down, which any sampler can take, and levels up, which are plain noise. The walk
 * after Lugmayr et al. 2022 (their schedule with jumps): with T steps, level k is where k steps were taken and t = T − 1 − k
 * counts what is left to the last noisy level. Wherever t is a multiple of the jump's length and below T − length, the walk goes
 * up by that length, jumps − 1 times; each level up adds new noise by the rule of the forward process. A stretch down is one call
 * of the base sampler, so that a single pass is the base sampler itself. The known region is the driver's matter
 * (nodes/diffusion/inpaint.h): wherever the network is asked, it is the known latent, noised. */
#include "nodes/sampler_repaint.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include <math.h>
#include <string.h>

/* ---- The walk -------------------------------------------------------------------------------------------------------------- */

/* The next level at or below `level` from which the walk goes up; `steps` if there is none. */
static int repaint_turn(int level, int steps, int64_t length)
{
    for (int k = level; k < steps; k++) {
        const int64_t left = steps - 1 - k;
        if (left % length == 0 && left < steps - length) return k;
    }
    return steps;
}

/* Up from `level` and down again to it, as often as wanted. */
static NodusStatus repaint_again(int level, int64_t length, int64_t jumps, RepaintVisit *visit, void *context)
{
    const int top = level - (int)length;
    for (int64_t jump = 1; jump < jumps; jump++) {
        for (int k = level; k > top; k--) NODUS_TRY(visit(context, k, k - 1));
        NODUS_TRY(visit(context, top, level));
    }
    return NULL;
}

NodusStatus repaint_walk(int steps, int64_t length, int64_t jumps, RepaintVisit *visit, void *context)
{
    int level = 0;
    if (jumps <= 1) return visit(context, 0, steps);
    while (level < steps) {
        const int turn = repaint_turn(level + 1, steps, length);
        NODUS_TRY(visit(context, level, turn));
        if (turn < steps) NODUS_TRY(repaint_again(turn, length, jumps, visit, context));
        level = turn;
    }
    return NULL;
}

/* ---- The sampler ------------------------------------------------------------------------------------------------------------
 */

typedef struct Pass {
    const NodusSampling *outer;
    const Repaint *repaint;
    const NodusTensor *x; /* where it stands: `own`, or before the first stretch the caller's */
    NodusTensor *own;
    int64_t done, total; /* steps of all stretches */
} Pass;

static NodusStatus pass_denoise(void *context, const NodusTensor *x, float sigma, NodusTensor **denoised, NodusTensor **uncond)
{
    const NodusSampling *s = ((Pass *)context)->outer;
    return s->denoise(s->context, x, sigma, denoised, uncond);
}

static NodusStatus pass_noise(void *context, float from, float to, NodusTensor **out)
{
    const NodusSampling *s = ((Pass *)context)->outer;
    return s->noise(s->context, from, to, out);
}

static NodusStatus pass_add_noise(void *context, const NodusTensor *x, const NodusTensor *noise, float sigma, NodusTensor **out)
{
    const NodusSampling *s = ((Pass *)context)->outer;
    return s->add_noise(s->context, x, noise, sigma, out);
}

static float pass_percent_sigma(void *context, double percent)
{
    const NodusSampling *s = ((Pass *)context)->outer;
    return s->percent_sigma(s->context, percent);
}

static NodusStatus pass_draw(void *context, int rank, const int64_t *dim, NodusTensor **out)
{
    const NodusSampling *s = ((Pass *)context)->outer;
    return s->draw(s->context, rank, dim, out);
}

/* Progress is a share of the whole walk, in the steps that are expected outside. */
static NodusStatus pass_step_done(void *context, int step, const NodusTensor *x, const NodusTensor *denoised)
{
    const Pass *pass = context;
    const NodusSampling *s = pass->outer;
    const int64_t done = pass->done + step + 1, shown = done * s->steps / pass->total;
    return s->step_done(s->context, shown > 0 ? (int)shown - 1 : 0, x, denoised);
}

static void pass_on(Pass *pass, NodusTensor *next)
{
    nodus_tensor_release(pass->outer->math, pass->own);
    pass->x = pass->own = next;
}

static NodusStatus pass_down(Pass *pass, int from, int to)
{
    const NodusSamplerDef *base = pass->repaint->base;
    NodusSampling stretch = *pass->outer;
    NodusTensor *next = NULL;
    stretch.context = pass;
    stretch.sigmas += from;
    stretch.steps = to - from;
    stretch.denoise = pass_denoise;
    stretch.noise = pass_noise;
    stretch.add_noise = pass_add_noise;
    stretch.percent_sigma = pass_percent_sigma;
    stretch.draw = pass_draw;
    stretch.step_done = pass_step_done;
    NODUS_TRY(base->run(&stretch, base->data ? base->data : pass->repaint->options, pass->x, &next));
    if (!next) return nodus_error(NODUS_ERROR_INTERNAL, "sampler %s gave nothing", base->name);
    pass->done += to - from;
    pass_on(pass, next);
    return NULL;
}

/* q(x at σ_to | x at σ_from), σ_to > σ_from: x + √(σ_to² − σ_from²)·noise; of a flow x·a + √(σ_to² − (a·σ_from)²)·noise, a the
 * quotient of the two 1 − σ. */
static NodusStatus pass_up(Pass *pass, int from, int to)
{
    const NodusSampling *s = pass->outer;
    const double low = (double)s->sigmas[from], high = (double)s->sigmas[to];
    const double keep = s->flow ? (1 - high) / (1 - low) : 1, more = high * high - keep * keep * low * low;
    const float part[] = {(float)keep, (float)sqrt(more > 0 ? more : 0)};
    int64_t dim[NODUS_MAX_RANK];
    NodusTensor *noise, *next;
    for (int k = 0; k < nodus_tensor_rank(pass->x); k++) dim[k] = nodus_tensor_dim(pass->x, k);
    NODUS_TRY(s->draw(s->context, nodus_tensor_rank(pass->x), dim, &noise));
    NODUS_TRY(nodus_tensor_lincomb(s->math, &next, 2, part, (const NodusTensor *[]){pass->x, noise}));
    nodus_tensor_release(s->math, noise);
    pass_on(pass, next);
    return NULL;
}

static NodusStatus pass_visit(void *context, int from, int to)
{
    return to > from ? pass_down(context, from, to) : pass_up(context, from, to);
}

static NodusStatus pass_count(void *context, int from, int to)
{
    if (to > from) *(int64_t *)context += to - from;
    return NULL;
}

NodusStatus repaint_run(const NodusSampling *s, const void *options, const NodusTensor *x, NodusTensor **out)
{
    const Repaint *repaint = options;
    Pass pass = {.outer = s, .repaint = repaint, .x = x};
    if (s->steps < 1) return nodus_tensor_affine(s->math, out, x, 1, 0);
    if (repaint->jumps > 1 && repaint->length >= s->steps)
        return nodus_error(NODUS_ERROR_INPUT, "a jump of %lld levels needs at least %lld steps; the sampling has %d",
                           (long long)repaint->length, (long long)repaint->length + 1, s->steps);
    NODUS_TRY(repaint_walk(s->steps, repaint->length, repaint->jumps, pass_count, &pass.total));
    NODUS_TRY(repaint_walk(s->steps, repaint->length, repaint->jumps, pass_visit, &pass));
    *out = pass.own;
    return NULL;
}

/* Each turn adds jumps − 1 stretches. */
double repaint_repeats(const SamplerObject *self, int steps)
{
    const int64_t length = self->repaint.length, turns = steps > length ? (steps - 1) / length : 0;
    return steps > 0 ? 1 + (double)(turns * length * (self->repaint.jumps - 1)) / steps : 1;
}

/* ---- The node ----------------------------------------------------------------------------------------------------------------
 */

NodusStatus repaint_bind(NodusCall *call, const SamplerObject *self, const void **options)
{
    Repaint *repaint = nodus_alloc(call, sizeof *repaint);
    if (!repaint) return status_memory();
    *repaint = (Repaint){self->repaint.base, &self->options, self->repaint.length, self->repaint.jumps};
    *options = repaint;
    return NULL;
}

typedef struct {
    const SamplerObject *sampler;
    int64_t jump_length, jumps;
    const char *known_noise;
} RepaintArgs;

static const char *const known_noises[] = {"new at each step", "one for all steps", NULL};

/* Name and flags are the base's, as the driver goes by them. */
static NodusStatus repaint_make(NodusCall *call, const void *args)
{
    const RepaintArgs *in = args;
    const SamplerObject *base = in->sampler;
    if (base->bind || base->release)
        return nodus_input_error(call, "sampler",
                                 "%s cannot be sent back in time: take one of KSamplerSelect, such as euler or ddim",
                                 base->def->name);
    if (in->jumps > 1 && base->def->flags & NODUS_SAMPLER_BROWNIAN)
        return nodus_input_error(call, "sampler", "%s follows one path of noise, which has no way back: take euler, ddim or ddpm",
                                 base->def->name);
    SamplerObject *made = memory_alloc(sizeof *made);
    if (!made) return status_memory();
    *made = (SamplerObject){.options = base->options, .bind = repaint_bind};
    made->repaint.base = base->def;
    made->repaint.length = in->jump_length;
    made->repaint.jumps = in->jumps;
    made->repaint.new_noise = !strcmp(in->known_noise, known_noises[0]);
    made->own = (NodusSamplerDef){
        .struct_size = sizeof made->own, .flags = base->def->flags, .name = base->def->name, .run = repaint_run};
    made->def = &made->own;
    return nodus_emit(call, 0, &type_sampler, made);
}

static const NodusInput repaint_inputs[] = {
    NODUS_IN_LINK("sampler", RepaintArgs, sampler, "SAMPLER",
                  "The sampler that takes the steps down; the paper's is ddpm, euler or ddim are without noise."),
    NODUS_IN_INT("jump_length", RepaintArgs, jump_length,
                 "How many noise levels a jump goes back; there must be more steps than that.", .def = 10, .min = 1, .max = 1000),
    NODUS_IN_INT("jumps", RepaintArgs, jumps,
                 "How often each stretch is sampled: 1 is once, without going back; time grows with it.", .def = 10, .min = 1,
                 .max = 1000),
    NODUS_IN_COMBO(
        "known_noise", RepaintArgs, known_noise,
        "The noise on what is kept: new each time, as in RePaint and blended latents, or the same, as other samplings have it.",
        .names = known_noises),
};
static const NodusOutput repaint_outputs[] = {
    {.name = "SAMPLER", .type = "SAMPLER", .tooltip = "The sampler, for a custom sampling of a latent with a noise mask."}};
const NodusNode node_sampler_repaint = {
    NODUS_NODE("SamplerRePaint", "RePaint", "sampling/custom_sampling/samplers", RepaintArgs, repaint_inputs, repaint_outputs),
    .help = "Inpaint with any model by going back in time: noise what was drawn, and draw it again, until it fits what is around "
            "it. With 1 "
            "jump and new noise it is blended latents.",
    .example = "graphs/studies/inpainting.json",
    .run = repaint_make,
};
