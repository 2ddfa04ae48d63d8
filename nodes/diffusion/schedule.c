/* schedule.c: the schedulers: at which noise levels a sampler asks the model.
 *
 * One idea: a scheduler is a formula from the model's noise levels and a number of steps to a falling list that ends in 0. The
 * formulas come from several papers and programs, and each rounds in its own places; here as there, f32 where the reference
 * has tensors and f64 where it has plain numbers, so that the lists agree. */
#include "nodes/diffusion/schedule.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "nodes/diffusion/schedule_beta.h"
#include <math.h>
#include <string.h>

enum { MOST_STEPS = 1000000 };

/* A list being written; what does not fit is not. */
typedef struct List {
    float *out;
    int count, capacity;
} List;

static void put(List *list, float sigma)
{
    if (list->count < list->capacity) list->out[list->count++] = sigma;
}

static int finish(List *list)
{
    put(list, 0);
    return list->count;
}

float schedule_linspace(float start, float end, int n, int i)
{
    if (n < 2) return start;
    const float step = (end - start) / (float)(n - 1);
    return i < n / 2 ? fmaf(step, (float)i, start) : fmaf(-step, (float)(n - 1 - i), end);
}

/* Every S/steps-th level of the table, from the top. */
static int schedule_simple(const NodusNoiseLevels *levels, int steps, float *out, int capacity)
{
    List list = {out, 0, capacity};
    const double stride = levels->count / (double)steps;
    for (int i = 0; i < steps; i++) put(&list, levels->table[levels->count - 1 - (int)(i * stride)]);
    return finish(&list);
}

/* σ at evenly spaced timesteps: points of n, the last `skip` left out. */
static int uniform(const NodusNoiseLevels *levels, int n, int skip, float *out, int capacity)
{
    List list = {out, 0, capacity};
    const float start = levels->timestep(levels->context, levels->sigma_max),
                end = levels->timestep(levels->context, levels->sigma_min);
    for (int i = 0; i < n - skip; i++) put(&list, levels->sigma(levels->context, schedule_linspace(start, end, n, i)));
    return list.count;
}

static int schedule_sgm_uniform(const NodusNoiseLevels *levels, int steps, float *out, int capacity)
{
    List list = {out, uniform(levels, steps + 1, 1, out, capacity), capacity};
    return finish(&list);
}

static int schedule_normal(const NodusNoiseLevels *levels, int steps, float *out, int capacity)
{
    const float lowest = levels->sigma(levels->context, levels->timestep(levels->context, levels->sigma_min));
    if (fabsf(lowest) < 1e-5f) return uniform(levels, steps + 1, 0, out, capacity); /* the last point is 0 already */
    List list = {out, uniform(levels, steps, 0, out, capacity), capacity};
    return finish(&list);
}

int schedule_karras_between(double sigma_min, double sigma_max, double rho, int steps, float *out, int capacity)
{
    List list = {out, 0, capacity};
    const double high = pow(sigma_max, 1 / rho), low = pow(sigma_min, 1 / rho);
    for (int i = 0; i < steps; i++) {
        const float root = (float)high + schedule_linspace(0, 1, steps, i) * (float)(low - high);
        put(&list, (float)pow((double)root, rho));
    }
    return finish(&list);
}

static int schedule_karras(const NodusNoiseLevels *levels, int steps, float *out, int capacity)
{
    return schedule_karras_between(levels->sigma_min, levels->sigma_max, 7, steps, out, capacity);
}

int schedule_exponential_between(double sigma_min, double sigma_max, int steps, float *out, int capacity)
{
    List list = {out, 0, capacity};
    const float high = (float)log(sigma_max), low = (float)log(sigma_min);
    for (int i = 0; i < steps; i++) put(&list, (float)exp((double)schedule_linspace(high, low, steps, i)));
    return finish(&list);
}

static int schedule_exponential(const NodusNoiseLevels *levels, int steps, float *out, int capacity)
{
    return schedule_exponential_between(levels->sigma_min, levels->sigma_max, steps, out, capacity);
}

/* Every k-th level of the table from the bottom: the list may be longer than steps + 1. Song et al., "DDIM", 2021. */
static int schedule_ddim_uniform(const NodusNoiseLevels *levels, int steps, float *out, int capacity)
{
    List list = {out, 0, capacity};
    const bool has_zero = fabsf(levels->table[1]) < 1e-5f; /* then the table's own zero closes the list */
    const int wanted = has_zero ? steps + 1 : steps, stride = levels->count / wanted > 1 ? levels->count / wanted : 1;
    for (int i = 1 + (levels->count - 2) / stride * stride; i >= 1; i -= stride) put(&list, levels->table[i]);
    return has_zero ? list.count : finish(&list);
}

int schedule_beta_shaped(const NodusNoiseLevels *levels, double alpha, double beta, int steps, float *out, int capacity)
{
    List list = {out, 0, capacity};
    const double step = 1 / (double)steps;
    double x = 1;
    int last = -1;
    for (int i = 0; i < steps; i++) {
        x = beta_quantile(alpha, beta, 1 - i * step, x);
        const int t = (int)nearbyint(x * (levels->count - 1));
        if (t != last) put(&list, levels->table[t]);
        last = t;
    }
    return finish(&list);
}

static int schedule_beta(const NodusNoiseLevels *levels, int steps, float *out, int capacity)
{
    return schedule_beta_shaped(levels, 0.6, 0.6, steps, out, capacity);
}

/* Small even steps first, then quadratically growing ones: Polyak et al., "Movie Gen", 2024. */
static int schedule_linear_quadratic(const NodusNoiseLevels *levels, int steps, float *out, int capacity)
{
    List list = {out, 0, capacity};
    if (steps == 1) {
        put(&list, levels->sigma_max);
        return finish(&list);
    }
    const double threshold = 0.025;
    const int linear = steps / 2, quadratic = steps - linear;
    const double difference = linear - threshold * steps;
    const double a = difference / (linear * (double)quadratic * quadratic);
    const double b = threshold / linear - 2 * difference / ((double)quadratic * quadratic);
    const double c = a * ((double)linear * linear);
    for (int i = 0; i < steps; i++) {
        const double part = i < linear ? i * threshold / linear : a * ((double)i * i) + b * i + c;
        put(&list, (float)(1 - part) * levels->sigma_max);
    }
    return finish(&list);
}

/* Even steps of the angle arctan σ: Sabour et al., "Align Your Steps", 2024, theorem 3.1. With one step: the largest σ. */
static int schedule_kl_optimal(const NodusNoiseLevels *levels, int steps, float *out, int capacity)
{
    List list = {out, 0, capacity};
    const float low = (float)atan((double)levels->sigma_min), high = (float)atan((double)levels->sigma_max);
    for (int i = 0; i < steps; i++) {
        const float part = steps > 1 ? (float)i / (float)(steps - 1) : 0;
        put(&list, (float)tan((double)(part * low + (1 - part) * high)));
    }
    return finish(&list);
}

#define SCHEDULER(name_)                                                                  \
    {                                                                                     \
        .struct_size = sizeof(NodusSchedulerDef), .name = #name_, .run = schedule_##name_ \
    }
const NodusSchedulerDef scheduler_table[] = {
    SCHEDULER(simple), SCHEDULER(sgm_uniform), SCHEDULER(karras),           SCHEDULER(exponential), SCHEDULER(ddim_uniform),
    SCHEDULER(beta),   SCHEDULER(normal),      SCHEDULER(linear_quadratic), SCHEDULER(kl_optimal),  {0},
};

NodusStatus schedule_check(const NodusSchedulerDef *scheduler, const float *sigmas, int count, int capacity)
{
    if (count < 1 || count > capacity)
        return nodus_error(NODUS_ERROR_INTERNAL, "scheduler %s gave %d noise levels; 1 to %d are possible", scheduler->name, count,
                           capacity);
    for (int i = 0; i < count; i++)
        if (!isfinite(sigmas[i]))
            return nodus_error(NODUS_ERROR_INTERNAL, "scheduler %s gave a noise level that is no finite number", scheduler->name);
    return NULL;
}

/* The list for a whole sampling; a sampler may leave the last σ above 0 out and ask for one more in its place. */
static NodusStatus schedule_whole(const NodusNoiseLevels *levels, const NodusSchedulerDef *scheduler,
                                  const NodusSamplerDef *sampler, int steps, float *out, int capacity, int *count)
{
    const bool drops = sampler->flags & NODUS_SAMPLER_DROPS_SIGMA;
    *count = scheduler->run(levels, steps + drops, out, capacity);
    NODUS_TRY(schedule_check(scheduler, out, *count, capacity));
    if (drops && *count >= 2) {
        out[*count - 2] = out[*count - 1];
        --*count;
    }
    return NULL;
}

NodusStatus schedule_sigmas(const NodusNoiseLevels *levels, const NodusSchedulerDef *scheduler, const NodusSamplerDef *sampler,
                            int steps, double denoise, int start, int end, bool force_full_denoise, float **sigmas, int *count)
{
    *sigmas = NULL;
    *count = 0;
    if (!(denoise > 0)) return NULL;
    const double whole =
        denoise > 0.9999 ? steps : steps / denoise; /* as many as a full sampling has, of which `steps` are the tail */
    if (steps < 1 || whole > MOST_STEPS)
        return nodus_error(NODUS_ERROR_INPUT, "%d steps at denoise %g need a schedule of %.0f steps; the most is %d", steps,
                           denoise, whole, MOST_STEPS);
    const int capacity = (int)whole + 3 + levels->count;
    float *list = memory_array((size_t)capacity, sizeof(float));
    if (!list) return status_memory();
    int n, first = 0;
    NodusStatus status = schedule_whole(levels, scheduler, sampler, (int)whole, list, capacity, &n);
    if (status) {
        memory_free(list);
        return status;
    }
    if (denoise <= 0.9999 && n > steps + 1) first = n - (steps + 1);
    n -= first;
    if (end < n - 1) {
        n = end + 1;
        if (force_full_denoise) list[first + n - 1] = 0;
    }
    if (start >= n - 1) { /* nothing is left of it */
        memory_free(list);
        return NULL;
    }
    first += start;
    n -= start;
    memmove(list, list + first, (size_t)n * sizeof *list);
    *sigmas = list;
    *count = n;
    return NULL;
}
