/* sampler_adaptive.c: DPM-Solver over t = −ln σ: with even steps of mixed order, or with steps as long as the error allows.
 *
 * One idea: in t the noise prediction ε enters linearly with a factor that can be integrated exactly, so steps of order 1 to 3
 * are Taylor steps in ε alone (Lu et al., "DPM-Solver", 2022). Both samplers end at the last σ that is not 0. */
#include "nodes/diffusion/sampler_inside.h"
#include "nodes/diffusion/schedule.h"
#include <math.h>

/* Where the solver stands, and the prediction there. */
typedef struct Solver {
    Walk walk;
    T *denoised, *eps;
    float t;
} Solver;

static float sigma_of(float t)
{
    return f32_exp(-t);
}

/* ε = (x − D)/σ; `denoised` may be NULL. */
static NodusStatus solver_eps(const NodusSampling *s, const T *x, float t, T **denoised, T **eps)
{
    T *prediction;
    NODUS_TRY(sampler_denoise(s, x, sigma_of(t), &prediction));
    NODUS_TRY(sampler_slope(s, x, prediction, sigma_of(t), eps));
    if (denoised) *denoised = prediction;
    else nodus_tensor_release(s->math, prediction);
    return NULL;
}

static void solver_begin(Solver *solver, const NodusSampling *s, const void *options, const T *x, float *end)
{
    *solver = (Solver){.t = -f32_log(s->sigmas[0])};
    walk_begin(&solver->walk, s, options, 0, x);
    const float last = s->sigmas[s->steps];
    *end = -f32_log(last > 0 || !s->steps ? last : s->sigmas[s->steps - 1]);
}

/* Asks for the prediction where the solver stands. */
static NodusStatus solver_look(Solver *solver)
{
    return solver_eps(solver->walk.s, solver->walk.x, solver->t, &solver->denoised, &solver->eps);
}

/* Forgets that prediction. */
static void solver_forget(Solver *solver)
{
    sampler_release(solver->walk.s, 2, (T *[]){solver->denoised, solver->eps});
}

static NodusStatus solver_go(Solver *solver, int step, float t, T *next)
{
    solver->t = t;
    return walk_on(&solver->walk, step, next, solver->denoised);
}

/* ε a share r of the way to t_next, from a step of first order. */
static NodusStatus solver_ahead(const Solver *solver, float t_next, float r, T **eps)
{
    const NodusSampling *s = solver->walk.s;
    const float h = t_next - solver->t, middle = solver->t + r * h;
    T *ahead;
    NODUS_TRY(sampler_mix(s, 1, solver->walk.x, -sigma_of(middle) * f32_expm1(r * h), solver->eps, &ahead));
    NODUS_TRY(solver_eps(s, ahead, middle, NULL, eps));
    nodus_tensor_release(s->math, ahead);
    return NULL;
}

/* x − σ·E(h)·ε − more·(ε_ahead − ε), with E = expm1 */
static NodusStatus solver_step(const Solver *solver, float t_next, const T *eps_ahead, float more, T **out)
{
    const NodusSampling *s = solver->walk.s;
    T *change;
    NODUS_TRY(sampler_mix(s, 1, solver->walk.x, -sigma_of(t_next) * f32_expm1(t_next - solver->t), solver->eps, out));
    if (!eps_ahead) return NULL;
    NODUS_TRY(nodus_tensor_sub(s->math, &change, eps_ahead, solver->eps));
    NODUS_TRY(sampler_add(s, 1, out, -more, change));
    nodus_tensor_release(s->math, change);
    return NULL;
}

/* With ε a share r of the way. */
static NodusStatus solver_second(const Solver *solver, float t_next, float r, const T *eps_ahead, T **out)
{
    return solver_step(solver, t_next, eps_ahead, sigma_of(t_next) / (2 * r) * f32_expm1(t_next - solver->t), out);
}

/* With ε at a third of the way, and at two thirds by way of that. */
static NodusStatus solver_third(const Solver *solver, float t_next, const T *eps_ahead, T **out)
{
    const NodusSampling *s = solver->walk.s;
    const float r1 = 1.0f / 3, r2 = 2.0f / 3, h = t_next - solver->t, far = solver->t + r2 * h;
    T *ahead, *eps_far;
    NODUS_TRY(solver_step(solver, far, eps_ahead, sigma_of(far) * (r2 / r1) * (f32_expm1(r2 * h) / (r2 * h) - 1), &ahead));
    NODUS_TRY(solver_eps(s, ahead, far, NULL, &eps_far));
    NODUS_TRY(solver_step(solver, t_next, eps_far, sigma_of(t_next) / r2 * (f32_expm1(h) / h - 1), out));
    sampler_release(s, 2, (T *[]){ahead, eps_far});
    return NULL;
}

/* ---- Even steps ---------------------------------------------------------------------------------------------------- */

static NodusStatus fast_step(const Solver *solver, int order, float t_next, T **out)
{
    T *eps;
    if (order == 1) return solver_step(solver, t_next, NULL, 0, out);
    const float r = order == 2 ? 0.5f : 1.0f / 3;
    NODUS_TRY(solver_ahead(solver, t_next, r, &eps));
    if (order == 2) NODUS_TRY(solver_second(solver, t_next, r, eps, out));
    else NODUS_TRY(solver_third(solver, t_next, eps, out));
    nodus_tensor_release(solver->walk.s->math, eps);
    return NULL;
}

/* As many predictions as the list has steps: order 3 as long as they last. */
NodusStatus sampler_dpm_fast(const NodusSampling *s, const void *options, const T *x, T **out)
{
    Solver solver;
    float end;
    solver_begin(&solver, s, options, x, &end);
    const float start = solver.t;
    const int calls = s->steps, moves = calls / 3 + 1;
    for (int i = 0, spent = 0; i < moves; i++) {
        const float t_next = schedule_linspace(start, end, moves + 1, i + 1);
        int order = 3;
        if (i == moves - 1) order = calls % 3 ? calls % 3 : 1;
        else if (i == moves - 2 && calls % 3 == 0) order = 2;
        T *next;
        NODUS_TRY(solver_look(&solver));
        NODUS_TRY(fast_step(&solver, order, t_next, &next));
        spent += order;
        NODUS_TRY(solver_go(&solver, spent - 1, t_next, next));
        solver_forget(&solver);
    }
    return walk_end(&solver.walk, out);
}

/* ---- Steps by error ------------------------------------------------------------------------------------------------ */

/* max(|a|, |b|) */
static NodusStatus larger(const NodusSampling *s, const T *a, const T *b, T **out)
{
    const T *of[] = {a, b};
    T *size[2], *excess;
    for (int k = 0; k < 2; k++) {
        T *above, *below;
        NODUS_TRY(nodus_tensor_clamp(s->math, &above, of[k], 0, INFINITY));
        NODUS_TRY(nodus_tensor_clamp(s->math, &below, of[k], -INFINITY, 0));
        NODUS_TRY(nodus_tensor_sub(s->math, &size[k], above, below));
        sampler_release(s, 2, (T *[]){above, below});
    }
    NODUS_TRY(nodus_tensor_sub(s->math, &excess, size[0], size[1]));
    T *positive;
    NODUS_TRY(nodus_tensor_clamp(s->math, &positive, excess, 0, INFINITY));
    NODUS_TRY(nodus_tensor_add(s->math, out, size[1], positive));
    sampler_release(s, 4, (T *[]){size[0], size[1], excess, positive});
    return NULL;
}

/* The root of the mean of the squares: planes are averaged by the device, their means here. */
static NodusStatus root_mean_square(const NodusSampling *s, const T *x, double *out)
{
    T *squares, *means;
    const float *mean;
    double sum = 0;
    NODUS_TRY(nodus_tensor_mul(s->math, &squares, x, x));
    NODUS_TRY(nodus_tensor_resize(s->math, &means, squares, 1, 1, NODUS_AREA));
    NODUS_TRY(nodus_tensor_map_f32(s->math, means, &mean));
    const int64_t count = nodus_tensor_count(means);
    for (int64_t i = 0; i < count; i++) sum += mean[i];
    sampler_release(s, 2, (T *[]){squares, means});
    *out = sqrt(sum / (double)count);
    return NULL;
}

/* How far the lower order is from the higher, against what is allowed: 1 is just right. */
static NodusStatus step_error(const Solver *solver, const T *low, const T *high, const T *previous_low, double *out)
{
    const NodusSampling *s = solver->walk.s;
    const SamplerOptions *options = solver->walk.options;
    T *size, *share, *allowed, *difference, *ratio;
    NODUS_TRY(larger(s, low, previous_low, &size));
    NODUS_TRY(nodus_tensor_affine(s->math, &share, size, options->adaptive.relative, 0));
    NODUS_TRY(nodus_tensor_clamp(s->math, &allowed, share, options->adaptive.absolute, INFINITY));
    NODUS_TRY(nodus_tensor_sub(s->math, &difference, low, high));
    NODUS_TRY(nodus_tensor_div(s->math, &ratio, difference, allowed));
    NODUS_TRY(root_mean_square(s, ratio, out));
    sampler_release(s, 5, (T *[]){size, share, allowed, difference, ratio});
    return NULL;
}

/* One try with two orders that share the ε here, and the one on the way: a third of it for orders 2 and 3, half of it for 1
 * and 2. */
static NodusStatus adaptive_try(const Solver *solver, int order, float t_next, T **low, T **high)
{
    const float r = order == 3 ? 1.0f / 3 : 0.5f;
    T *eps;
    NODUS_TRY(solver_ahead(solver, t_next, r, &eps));
    if (order == 3) {
        NODUS_TRY(solver_second(solver, t_next, r, eps, low));
        NODUS_TRY(solver_third(solver, t_next, eps, high));
    } else {
        NODUS_TRY(solver_step(solver, t_next, NULL, 0, low));
        NODUS_TRY(solver_second(solver, t_next, r, eps, high));
    }
    nodus_tensor_release(solver->walk.s->math, eps);
    return NULL;
}

/* Steps grow and shrink by the error of the last three, as a controller with three gains does: Söderlind 2003. */
typedef struct Controller {
    double power[3]; /* of the errors, the latest first */
    double inverse[3];
    bool began;
} Controller;

static Controller controller_of(const SamplerOptions *options, int order)
{
    const double by = options->adaptive.eta > 0 ? 1.5 : order;
    const double p = options->adaptive.proportional, i = options->adaptive.integral, d = options->adaptive.derivative;
    return (Controller){.power = {(p + i + d) / by, -(p + 2 * d) / by, d / by}};
}

/* By how much the next step is longer; an error that was accepted is remembered. */
static double controller_factor(Controller *controller, double error, double safety, bool *accepted)
{
    const double inverse = 1 / (error + 1e-8);
    if (!controller->began) controller->inverse[1] = controller->inverse[2] = inverse;
    controller->began = true;
    controller->inverse[0] = inverse;
    double product = 1;
    for (int k = 0; k < 3; k++) product *= pow(controller->inverse[k], controller->power[k]);
    const double factor = 1 + atan(product - 1);
    *accepted = !(factor < safety); /* not a number goes on, too, or it would never end */
    if (*accepted) {
        controller->inverse[2] = controller->inverse[1];
        controller->inverse[1] = inverse;
    }
    return factor;
}

/* With η a step leads farther down, to `t_down`, and noise of deviation `up` brings it back to `t_next`. */
static void adaptive_split(const Solver *solver, float end, float t_next, float *t_down, float *up)
{
    float down;
    *t_down = t_next;
    *up = 0;
    if (!(solver->walk.options->adaptive.eta > 0)) return;
    sampler_split(sigma_of(solver->t), sigma_of(t_next), solver->walk.options->adaptive.eta, &down, up);
    *t_down = fminf(end, -f32_log(down));
    *up = sqrtf(fmaxf(sigma_of(t_next) * sigma_of(t_next) - sigma_of(*t_down) * sigma_of(*t_down), 0));
}

static NodusStatus adaptive_accept(Solver *solver, int step, float t_next, float up, T *next)
{
    const NodusSampling *s = solver->walk.s;
    const float scale = up * solver->walk.options->s_noise;
    if (up > 0) NODUS_TRY(sampler_renoise(s, 1, &next, scale, sigma_of(solver->t), sigma_of(t_next)));
    return solver_go(solver, step, t_next, next);
}

NodusStatus sampler_dpm_adaptive(const NodusSampling *s, const void *options, const T *x, T **out)
{
    enum { MOST_TRIES = 10000 };
    Solver solver;
    float end, t_down, up;
    int tries = 0;
    T *previous = NULL; /* the last accepted step of the lower order */
    solver_begin(&solver, s, options, x, &end);
    const SamplerOptions *chosen = solver.walk.options;
    const int order = chosen->order == 2 ? 2 : 3;
    const float start = solver.t;
    float h = chosen->adaptive.first_step;
    Controller controller = controller_of(chosen, order);
    while (solver.t < end - 1e-5f) {
        const float t_next = fminf(end, solver.t + h);
        T *low, *high;
        double error;
        bool accepted;
        if (++tries > MOST_TRIES)
            return nodus_error(NODUS_ERROR_INPUT,
                               "dpm_adaptive has not come to an end after %d steps: allow a larger error (rtol, "
                               "atol), or lower accept_safety",
                               MOST_TRIES);
        adaptive_split(&solver, end, t_next, &t_down, &up);
        NODUS_TRY(solver_look(&solver));
        NODUS_TRY(adaptive_try(&solver, order, t_down, &low, &high));
        NODUS_TRY(step_error(&solver, low, high, previous ? previous : x, &error));
        h = (float)((double)h * controller_factor(&controller, error, chosen->adaptive.safety, &accepted));
        const float done = (float)s->steps * (t_next - start) / (end - start);
        if (accepted) {
            nodus_tensor_release(s->math, previous);
            previous = low;
            NODUS_TRY(adaptive_accept(&solver, done >= 1 ? (int)done - 1 : 0, t_next, up, high));
        } else {
            sampler_release(s, 2, (T *[]){low, high});
        }
        solver_forget(&solver);
    }
    nodus_tensor_release(s->math, previous);
    return walk_end(&solver.walk, out);
}
