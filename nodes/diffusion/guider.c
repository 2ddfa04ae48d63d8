/* guider.c: see guider.h. A list that makes no difference is not evaluated: guidance of 1 is the positive prediction alone. What
 * was not evaluated counts as 0, as in the reference. */
#include "nodes/diffusion/guider.h"
#include <math.h>

static bool is_one(double cfg)
{
    return fabs(cfg - 1) <= 1e-9 * fmax(fabs(cfg), 1);
}

void guider_setup(const Guider *guider, CondsSetup *setup)
{
    static const char *const dual[] = {"cond1", "negative", "cond2"};
    static const char *const other[] = {"positive", "negative", "empty_conditioning"};
    const bool two = guider->rule == GUIDER_DUAL || guider->rule == GUIDER_NESTED;
    setup->model = guider->model;
    setup->lists = 0;
    for (int i = 0; i < GUIDER_LISTS && guider->list[i]; i++)
        setup->list[setup->lists++] =
            (CondsList){guider->list[i], guider->own ? "guider" : (two ? dual : other)[i], i != GUIDER_POSITIVE};
}

unsigned guider_lists(const Guider *guider, bool uncond)
{
    enum { P = 1 << GUIDER_POSITIVE, N = 1 << GUIDER_NEGATIVE, T = 1 << GUIDER_THIRD };
    switch (guider->rule) {
    case GUIDER_CFG: return guider->list[GUIDER_NEGATIVE] && (uncond || !is_one(guider->cfg)) ? P | N : P;
    case GUIDER_DUAL:
        if (uncond || !is_one(guider->second)) return P | N | T;
        return is_one(guider->cfg) ? P : P | T;
    case GUIDER_PERP_NEG: return guider->second != 0 || uncond ? P | N | T : P | T;
    case GUIDER_OWN: return (guider->list[GUIDER_NEGATIVE] ? P | N : P) | (guider->list[GUIDER_THIRD] ? T : 0);
    case GUIDER_NESTED: break;
    }
    return P | N | T;
}

/* ---- Perpendicular negatives --------------------------------------------------------------------------------------- */

/* Σ a·b / Σ b² */
static NodusStatus projection(NodusMath *math, const NodusTensor *a, const NodusTensor *b, float *out)
{
    const float *left, *right;
    double product = 0, square = 0;
    NODUS_TRY(nodus_tensor_map_f32(math, a, &left));
    NODUS_TRY(nodus_tensor_map_f32(math, b, &right));
    const int64_t count = nodus_tensor_count(a);
    for (int64_t i = 0; i < count; i++) {
        product += (double)left[i] * right[i];
        square += (double)right[i] * right[i];
    }
    *out = square > 0 ? (float)(product / square) : 0;
    return NULL;
}

NodusStatus guider_perp_neg(NodusMath *math, const NodusTensor *positive, const NodusTensor *negative, const NodusTensor *empty,
                            double cfg, double scale, NodusTensor **out)
{
    NodusTensor *pos, *neg, *across, *direction;
    NODUS_TRY(nodus_tensor_sub(math, &pos, positive, empty));
    if (negative) {
        float along;
        NODUS_TRY(nodus_tensor_sub(math, &neg, negative, empty));
        NODUS_TRY(projection(math, neg, pos, &along));
        NODUS_TRY(nodus_tensor_lincomb(math, &across, 2, (float[]){1, -along}, (const NodusTensor *[]){neg, pos}));
        NODUS_TRY(nodus_tensor_lincomb(math, &direction, 2, (float[]){1, (float)-scale}, (const NodusTensor *[]){pos, across}));
        nodus_tensor_release(math, neg);
        nodus_tensor_release(math, across);
        nodus_tensor_release(math, pos);
        pos = direction;
    }
    NODUS_TRY(nodus_tensor_lincomb(math, out, 2, (float[]){1, (float)cfg}, (const NodusTensor *[]){empty, pos}));
    nodus_tensor_release(math, pos);
    return NULL;
}

/* ---- The rules ----------------------------------------------------------------------------------------------------- */

/* The rule for two; `step->cond` and `uncond` are borrowed. */
static NodusStatus guider_two(Guidance *step, NodusTensor *cond, NodusTensor *uncond, double cfg)
{
    step->cond = cond;
    step->uncond = uncond;
    step->cfg = cfg;
    return combine_predictions(step);
}

/* denoised + a·(x − y), in place. */
static NodusStatus guider_push(Guidance *step, float a, const NodusTensor *x, const NodusTensor *y)
{
    NodusTensor *before = step->denoised, *difference;
    NODUS_TRY(nodus_tensor_sub(step->math, &difference, x, y));
    NODUS_TRY(nodus_tensor_lincomb(step->math, &step->denoised, 2, (float[]){1, a}, (const NodusTensor *[]){before, difference}));
    nodus_tensor_release(step->math, before);
    nodus_tensor_release(step->math, difference);
    return NULL;
}

static NodusStatus guider_nested(const Guider *guider, Guidance *step, NodusTensor *const *p)
{
    NodusTensor *inner, *difference;
    NODUS_TRY(guider_two(step, p[GUIDER_POSITIVE], p[GUIDER_THIRD], guider->cfg));
    inner = step->denoised;
    NODUS_TRY(nodus_tensor_sub(step->math, &difference, inner, p[GUIDER_NEGATIVE]));
    NODUS_TRY(nodus_tensor_lincomb(step->math, &step->denoised, 2, (float[]){1, (float)guider->second},
                                   (const NodusTensor *[]){p[GUIDER_NEGATIVE], difference}));
    nodus_tensor_release(step->math, inner);
    nodus_tensor_release(step->math, difference);
    return NULL;
}

static NodusStatus guider_perpendicular(const Guider *guider, Guidance *step, NodusTensor *const *p)
{
    step->cond = p[GUIDER_POSITIVE];
    step->uncond = p[GUIDER_NEGATIVE];
    step->cfg = guider->cfg;
    NODUS_TRY(guider_perp_neg(step->math, p[GUIDER_POSITIVE], p[GUIDER_NEGATIVE], p[GUIDER_THIRD], guider->cfg, guider->second,
                              &step->denoised));
    return combine_patches(step);
}

static bool guider_same_shape(const NodusTensor *a, const NodusTensor *b)
{
    bool same = nodus_tensor_rank(a) == nodus_tensor_rank(b);
    for (int i = 0; same && i < nodus_tensor_rank(a); i++) same = nodus_tensor_dim(a, i) == nodus_tensor_dim(b, i);
    return same;
}

static NodusStatus guider_own(const Guider *guider, Guidance *step, NodusTensor *const *p)
{
    const NodusTensor *prediction[GUIDER_LISTS];
    NodusGuiding guiding = {
        .struct_size = sizeof guiding, .math = step->math, .x = step->x, .sigma = step->sigma, .prediction = prediction};
    for (int i = 0; i < GUIDER_LISTS && guider->list[i]; i++) prediction[guiding.predictions++] = p[i];
    NodusTensor *out = NULL;
    NODUS_TRY(guider->own->guide(guider->self, &guiding, &out));
    if (!out || !guider_same_shape(out, step->x))
        return nodus_error(NODUS_ERROR_INPUT, "the guider %s gave no prediction of the latent's shape", guider->own->name);
    /* One of the predictions themselves will be given back, so the result is a view of it. */
    int64_t dim[NODUS_MAX_RANK];
    for (int i = 0; i < nodus_tensor_rank(out); i++) dim[i] = nodus_tensor_dim(out, i);
    NODUS_TRY(nodus_tensor_reshape(step->math, &step->denoised, out, nodus_tensor_rank(out), dim));
    bool given = false;
    for (int i = 0; i < guiding.predictions; i++) given = given || out == prediction[i];
    if (!given && out != step->x) nodus_tensor_release(step->math, out);
    step->cond = p[GUIDER_POSITIVE];
    step->uncond = p[GUIDER_NEGATIVE];
    step->cfg = 1;
    return combine_patches(step);
}

static NodusStatus guider_rule(const Guider *guider, Guidance *step, NodusTensor *const *p)
{
    switch (guider->rule) {
    case GUIDER_DUAL:
        NODUS_TRY(guider_two(step, p[GUIDER_THIRD], p[GUIDER_NEGATIVE], guider->second));
        return guider_push(step, (float)guider->cfg, p[GUIDER_POSITIVE], p[GUIDER_THIRD]);
    case GUIDER_NESTED: return guider_nested(guider, step, p);
    case GUIDER_PERP_NEG: return guider_perpendicular(guider, step, p);
    case GUIDER_OWN: return guider_own(guider, step, p);
    case GUIDER_CFG: break;
    }
    return guider_two(step, p[GUIDER_POSITIVE], p[GUIDER_NEGATIVE], guider->cfg);
}

/* 0 for a prediction that was not asked for and is needed all the same. */
static NodusStatus guider_zero(const Guidance *step, NodusTensor **out)
{
    int64_t dim[NODUS_MAX_RANK];
    const int rank = nodus_tensor_rank(step->x);
    for (int i = 0; i < rank; i++) dim[i] = nodus_tensor_dim(step->x, i);
    return nodus_tensor_fill(step->math, out, rank, dim, 0);
}

/* Gives back what a patch put in the place of a prediction. */
static void guider_release(const Guidance *step, NodusTensor *const *p, NodusTensor *prediction)
{
    for (int i = 0; i < GUIDER_LISTS; i++)
        if (p[i] == prediction) return;
    nodus_tensor_release(step->math, prediction);
}

NodusStatus guider_predict(const Guider *guider, unsigned lists, Guidance *step, NodusTensor **denoised, NodusTensor **uncond)
{
    NodusTensor *p[CONDS_LISTS];
    NODUS_TRY(conds_evaluate(step->conds, lists, step->x, step->sigma, step->patch, step->patches, p));
    if (guider->rule == GUIDER_DUAL && !p[GUIDER_THIRD]) NODUS_TRY(guider_zero(step, &p[GUIDER_THIRD]));
    if (!p[GUIDER_NEGATIVE] && (uncond || combine_needs_uncond(step->patch, step->patches)))
        NODUS_TRY(guider_zero(step, &p[GUIDER_NEGATIVE]));
    NODUS_TRY(guider_rule(guider, step, p));
    *denoised = step->denoised;
    if (uncond) *uncond = step->uncond;
    guider_release(step, p, step->cond);
    if (!uncond) guider_release(step, p, step->uncond);
    for (int i = 0; i < GUIDER_LISTS; i++)
        if (!uncond || p[i] != step->uncond) nodus_tensor_release(step->math, p[i]);
    return NULL;
}
