/* guidance_rules.c: see guidance_rules.h. Each formula is a few loops over a latent, which is small, in host memory; sums are in
 * f64. The predictions are of the picture; "noise" below is x − prediction. */
#include "nodes/guidance_rules.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include <math.h>

static double dot(const float *a, const float *b, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++) sum += (double)a[i] * b[i];
    return sum;
}

/* The square root of the unbiased variance of a linear mix a·u + b·v + c·w. */
static double spread(int64_t count, double a, const float *u, double b, const float *v, double c, const float *w)
{
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < count; i++) sum += a * u[i] + b * v[i] + c * w[i];
    const double mean = sum / (double)count;
    for (int64_t i = 0; i < count; i++) {
        const double off = a * u[i] + b * v[i] + c * w[i] - mean;
        squares += off * off;
    }
    return count > 1 ? sqrt(squares / (double)(count - 1)) : 0;
}

/* ---- Instead of the usual rule --------------------------------------------------------------------------------------- */

/* Lin et al., "Common Diffusion Noise Schedules and Sample Steps are Flawed", 2023: in terms of v the guided prediction gets the
 * spread of the positive one, by a share. */
static NodusStatus rescale(RuleStep *step)
{
    const double sigma = step->sigma, root = sqrt(sigma * sigma + 1), share = step->number[0], cfg = step->cfg;
    const double part = 1 / (sigma * sigma + 1), to_v = root / sigma;
    for (int64_t b = 0; b < step->batch; b++) {
        const float *x = step->x + b * step->item, *c = step->cond + b * step->item, *u = step->uncond + b * step->item;
        float *out = step->out + b * step->item;
        const double positive = spread(step->item, part * to_v, x, -to_v, c, 0, u);
        const double guided = spread(step->item, part * to_v, x, -to_v * cfg, c, -to_v * (1 - cfg), u);
        const double factor = share * (positive / guided) + 1 - share;
        for (int64_t i = 0; i < step->item; i++) {
            const double near = part * x[i], v = (near - (u[i] + cfg * ((double)c[i] - u[i]))) * to_v;
            out[i] = (float)(near - factor * v / to_v);
        }
    }
    return NULL;
}

/* A guided prediction that is longer than the positive one times a factor is cut to that; above a noise level there is no
 * guidance. */
static NodusStatus renorm(RuleStep *step)
{
    const bool guides = step->sigma < step->number[0];
    const double most = step->number[1];
    for (int64_t b = 0; b < step->batch; b++) {
        const float *c = step->cond + b * step->item, *u = step->uncond + b * step->item;
        float *out = step->out + b * step->item;
        for (int64_t i = 0; i < step->item; i++) out[i] = guides ? (float)(u[i] + step->cfg * ((double)c[i] - u[i])) : c[i];
        const double limit = sqrt(dot(c, c, step->item)) * most, length = sqrt(dot(out, out, step->item));
        if (guides && most > 0 && length >= limit)
            for (int64_t i = 0; i < step->item; i++) out[i] *= (float)(limit / length);
    }
    return NULL;
}

/* The strength rises from the first item of the batch to the last. */
static NodusStatus linear(RuleStep *step)
{
    for (int64_t b = 0; b < step->batch; b++) {
        const double way = step->batch > 1 ? (double)b / (double)(step->batch - 1) : 0, low = step->number[0];
        const double cfg = low + (step->cfg - low) * way;
        for (int64_t i = b * step->item; i < (b + 1) * step->item; i++)
            step->out[i] = (float)(step->uncond[i] + cfg * ((double)step->cond[i] - step->uncond[i]));
    }
    return NULL;
}

/* ---- Before it ------------------------------------------------------------------------------------------------------- */

/* Sadat et al., "Eliminating Oversaturation and Artifacts of High Guidance Scales", 2024: of the guidance, smoothed over steps
 * and not too long, the part along the positive prediction counts less. */
static void apg_item(const RuleStep *step, const float *cond, const float *uncond, float *memory, bool first, float *out)
{
    const double eta = step->number[0], most = step->number[1], momentum = step->number[2];
    for (int64_t i = 0; i < step->item; i++) {
        const double guidance = (double)cond[i] - uncond[i];
        memory[i] = (float)(first || momentum == 0 ? guidance : momentum * memory[i] + guidance);
    }
    const double length = sqrt(dot(memory, memory, step->item)), scale = most > 0 && length > most ? most / length : 1;
    const double norm = fmax(sqrt(dot(cond, cond, step->item)), 1e-12);
    const double along = scale * dot(memory, cond, step->item) / (norm * norm);
    for (int64_t i = 0; i < step->item; i++) {
        const double parallel = along * cond[i], across = scale * memory[i] - parallel;
        out[i] = (float)(uncond[i] + across + eta * parallel + ((double)cond[i] - uncond[i]) / step->cfg);
    }
}

static NodusStatus apg(RuleStep *step)
{
    const bool first = !step->memory;
    if (first) step->memory = memory_array((size_t)(step->batch * step->item), sizeof *step->memory);
    if (!step->memory) return status_memory();
    for (int64_t b = 0, at = 0; b < step->batch; b++, at += step->item)
        apg_item(step, step->cond + at, step->uncond + at, step->memory + at, first, step->out + at);
    return NULL;
}

/* Kwon et al., "TCFG: Tangential Damping Classifier-Free Guidance", 2025: the negative noise keeps the part along the main
 * direction of both, the first right singular vector of the two as rows: by the 2 × 2 matrix of their products. */
static NodusStatus tangential(RuleStep *step)
{
    for (int64_t b = 0; b < step->batch; b++) {
        const float *x = step->x + b * step->item, *c = step->cond + b * step->item, *u = step->uncond + b * step->item;
        float *out = step->out + b * step->item;
        double uu = 0, uc = 0, cc = 0;
        for (int64_t i = 0; i < step->item; i++) {
            const double negative = (double)x[i] - u[i], positive = (double)x[i] - c[i];
            uu += negative * negative, uc += negative * positive, cc += positive * positive;
        }
        const double angle = 0.5 * atan2(2 * uc, uu - cc), p = cos(angle),
                     q = sin(angle); /* direction: p·negative + q·positive */
        const double square = p * p * uu + 2 * p * q * uc + q * q * cc, share = square > 0 ? (p * uu + q * uc) / square : 0;
        for (int64_t i = 0; i < step->item; i++)
            out[i] = (float)(x[i] - share * (p * ((double)x[i] - u[i]) + q * ((double)x[i] - c[i])));
    }
    return NULL;
}

/* Table of Σ cos and Σ sin of 2πud/n over the low frequencies u, by n, for d = 0 … n−1: those within `cutoff` of 0 as a shifted
 * spectrum has them, one more below than above. */
static void low_table(int64_t n, int64_t cutoff, double *cosine, double *sine)
{
    const int64_t first = cutoff < n / 2 ? -cutoff : -(n / 2), last = cutoff < n - n / 2 ? cutoff : n - n / 2;
    for (int64_t d = 0; d < n; d++) {
        cosine[d] = sine[d] = 0;
        for (int64_t u = first; u < last; u++) {
            const double angle = 2 * M_PI * (double)(u * d % n) / (double)n;
            cosine[d] += cos(angle) / (double)n, sine[d] += sin(angle) / (double)n;
        }
    }
}

/* The real part of a plane's low frequencies: along rows, then along columns. `room` holds 2·(plane + height + width). */
static void low_plane(const double *from, int64_t height, int64_t width, int64_t cutoff, double *room, double *to)
{
    const int64_t plane = height * width;
    double *real = room, *imaginary = room + plane, *cw = room + 2 * plane, *sw = cw + width, *ch = sw + width, *sh = ch + height;
    low_table(width, cutoff, cw, sw);
    low_table(height, cutoff, ch, sh);
    for (int64_t i = 0; i < height; i++)
        for (int64_t j = 0; j < width; j++) {
            double a = 0, b = 0;
            for (int64_t k = 0; k < width; k++) {
                const int64_t d = (j - k + width) % width;
                a += cw[d] * from[i * width + k], b += sw[d] * from[i * width + k];
            }
            real[i * width + j] = a, imaginary[i * width + j] = b;
        }
    for (int64_t i = 0; i < height; i++)
        for (int64_t j = 0; j < width; j++) {
            double sum = 0;
            for (int64_t k = 0; k < height; k++) {
                const int64_t d = (i - k + height) % height;
                sum += ch[d] * real[k * width + j] - sh[d] * imaginary[k * width + j];
            }
            to[i * width + j] = sum;
        }
}

/* Huang et al., "FreSca: Scaling in Frequency Space Enhances Diffusion Models", 2025. */
static NodusStatus frequencies(RuleStep *step)
{
    const double low = step->number[0], high = step->number[1];
    double *room = memory_array((size_t)(4 * step->plane + 2 * (step->height + step->width)), sizeof *room);
    if (!room) return status_memory();
    double *guidance = room, *smooth = room + step->plane;
    for (int64_t p = 0; p < step->batch * step->channels; p++) {
        const float *c = step->cond + p * step->plane, *u = step->uncond + p * step->plane;
        for (int64_t i = 0; i < step->plane; i++) guidance[i] = (double)c[i] - u[i];
        low_plane(guidance, step->height, step->width, (int64_t)step->number[2], room + 2 * step->plane, smooth);
        for (int64_t i = 0; i < step->plane; i++)
            step->out[p * step->plane + i] = (float)(u[i] + high * guidance[i] + (low - high) * smooth[i]);
    }
    memory_free(room);
    return NULL;
}

/* ---- After it -------------------------------------------------------------------------------------------------------- */

/* Fan et al., "CFG-Zero*: Improved Classifier-Free Guidance for Flow Matching Models", 2025: the negative counts as much as fits
 * the positive. */
static NodusStatus zero_star(RuleStep *step)
{
    for (int64_t b = 0; b < step->batch; b++) {
        double product = 0, square = 0;
        for (int64_t i = b * step->item; i < (b + 1) * step->item; i++) {
            const double negative = (double)step->x[i] - step->uncond[i];
            product += ((double)step->x[i] - step->cond[i]) * negative, square += negative * negative;
        }
        const double fit = product / (square + 1e-8), more = (fit - 1) + step->cfg * (1 - fit);
        for (int64_t i = b * step->item; i < (b + 1) * step->item; i++)
            step->out[i] = (float)(step->denoised[i] + more * step->uncond[i]);
    }
    return NULL;
}

/* The length of a cell's channels. */
static double cell_length(const float *item, const RuleStep *step, int64_t cell)
{
    double sum = 0;
    for (int64_t c = 0; c < step->channels; c++) sum += (double)item[c * step->plane + cell] * item[c * step->plane + cell];
    return sqrt(sum);
}

/* No cell of the result is longer than in the positive prediction. */
static NodusStatus norm(RuleStep *step)
{
    for (int64_t b = 0; b < step->batch; b++)
        for (int64_t p = 0; p < step->plane; p++) {
            const int64_t at = b * step->item;
            const double ratio = cell_length(step->cond + at, step, p) / (cell_length(step->denoised + at, step, p) + 1e-8);
            const double scale = fmin(ratio, 1) * step->number[0];
            for (int64_t i = at + p; i < at + step->item; i += step->plane) step->out[i] = (float)(step->denoised[i] * scale);
        }
    return NULL;
}

static double root_with_sign(double x)
{
    return x < 0 ? -sqrt(-x) : sqrt(x);
}

/* The mean over cells of the cosine between negative and result, both by the roots of their numbers. */
static double agreement(const RuleStep *step)
{
    double total = 0;
    for (int64_t b = 0; b < step->batch; b++)
        for (int64_t p = 0; p < step->plane; p++) {
            double product = 0, one = 0, two = 0;
            for (int64_t i = b * step->item + p; i < (b + 1) * step->item; i += step->plane) {
                const double negative = root_with_sign(step->uncond[i] * step->cfg);
                const double middle = root_with_sign((step->cond[i] * step->cfg + step->denoised[i]) / 2);
                product += negative * middle, one += negative * negative, two += middle * middle;
            }
            total += product / (fmax(sqrt(one), 1e-8) * fmax(sqrt(two), 1e-8));
        }
    return total / (double)(step->batch * step->plane);
}

/* Where positive and negative agree, the result; where not, the positive times the strength. */
static NodusStatus agree(RuleStep *step)
{
    const double weight = 2 * (agreement(step) + 1);
    for (int64_t i = 0; i < step->batch * step->item; i++)
        step->out[i] = (float)((weight * step->denoised[i] + (4 - weight) * step->cond[i] * step->cfg) / 4);
    return NULL;
}

/* Ning et al., "Elucidating the Exposure Bias in Diffusion Models", 2023: less noise than was predicted. */
static NodusStatus epsilon(RuleStep *step)
{
    for (int64_t i = 0; i < step->batch * step->item; i++)
        step->out[i] = (float)(step->x[i] - ((double)step->x[i] - step->denoised[i]) / step->number[0]);
    return NULL;
}

/* The result's spread, as a whole, is moved towards that of the positive prediction, by a share. */
static NodusStatus spread_whole(RuleStep *step)
{
    const int64_t count = step->batch * step->item;
    const double positive = spread(count, 1, step->cond, 0, step->cond, 0, step->cond);
    const double result = spread(count, 1, step->denoised, 0, step->denoised, 0, step->denoised), share = step->number[0];
    const double factor = share * (positive / result) + 1 - share;
    for (int64_t i = 0; i < count; i++) step->out[i] = (float)(step->denoised[i] * factor);
    return NULL;
}

const GuidanceRule rule_rescale = {.name = "rescale", .stage = GUIDANCE_RULE, .apply = rescale},
                   rule_renorm = {.name = "renorm", .stage = GUIDANCE_RULE, .apply = renorm},
                   rule_linear = {.name = "linear", .stage = GUIDANCE_RULE, .apply = linear},
                   rule_apg = {.name = "apg", .stage = GUIDANCE_BEFORE, .remembers = true, .apply = apg},
                   rule_tangential = {.name = "tangential",
                                      .stage = GUIDANCE_BEFORE,
                                      .changes_uncond = true,
                                      .apply = tangential},
                   rule_frequencies = {.name = "frequencies", .stage = GUIDANCE_BEFORE, .apply = frequencies},
                   rule_zero_star = {.name = "zero star", .stage = GUIDANCE_AFTER, .apply = zero_star},
                   rule_norm = {.name = "norm", .stage = GUIDANCE_AFTER, .apply = norm},
                   rule_agree = {.name = "agree", .stage = GUIDANCE_AFTER, .apply = agree},
                   rule_epsilon = {.name = "epsilon", .stage = GUIDANCE_AFTER, .apply = epsilon},
                   rule_spread = {.name = "spread", .stage = GUIDANCE_AFTER, .apply = spread_whole};
