/* measure.c: how far two pictures are apart, as numbers: MeasureMSE, MeasurePSNR, MeasureSSIM.
 *
 * One idea: each is a mean over pixels, or over windows, weighed by a mask where one is given; sums are kept in double, in a fixed order.
 * SSIM after Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity", 2004: windows of 11 × 11 with a
 * Gaussian of σ 1.5, K1 0.01, K2 0.03, only windows that lie within the picture, the mean over its channels. */
#include "engine/base/status.h"
#include "nodes/pixels.h"
#include <math.h>

enum { WINDOW = 11, HALF = WINDOW / 2 };

typedef struct {
    const NodusTensor *image, *reference, *mask; /* mask: NULL: everywhere */
} MeasureArgs;

typedef struct Pair {
    Pixels a, b, mask; /* mask.data NULL: none */
    int64_t channels;  /* that both have, at most three: alpha does not count */
} Pair;

static NodusStatus pair_open(NodusCall *call, const MeasureArgs *in, Pair *out)
{
    *out = (Pair){.channels = 3};
    NODUS_TRY(pixels_map(call, "image", in->image, &out->a));
    NODUS_TRY(pixels_map(call, "reference", in->reference, &out->b));
    if (in->mask) NODUS_TRY(pixels_map_mask(call, "mask", in->mask, &out->mask));
    if (out->a.height != out->b.height || out->a.width != out->b.width)
        return nodus_input_error(call, "reference", "it is %d × %d pixels, the picture %d × %d: bring them to one size", (int)out->b.width,
                                 (int)out->b.height, (int)out->a.width, (int)out->a.height);
    if (in->mask && (out->mask.height != out->a.height || out->mask.width != out->a.width))
        return nodus_input_error(call, "mask", "it is %d × %d pixels, the pictures %d × %d", (int)out->mask.width, (int)out->mask.height,
                                 (int)out->a.width, (int)out->a.height);
    if (out->a.channels < out->channels) out->channels = out->a.channels;
    if (out->b.channels < out->channels) out->channels = out->b.channels;
    return NULL;
}

/* The weight of a pixel of item i. */
static double weight_at(const Pair *pair, int64_t i, int64_t y, int64_t x)
{
    return pair->mask.data ? (double)pixels_of(&pair->mask, i)[y * pair->mask.width + x] : 1;
}

/* A mean over nothing is an error, or it would look like a result. */
static NodusStatus mean(NodusCall *call, double sum, double weight, double *out)
{
    if (!(weight > 0)) return nodus_input_error(call, "mask", "it leaves nothing to measure");
    *out = sum / weight;
    return NULL;
}

static NodusStatus mse(NodusCall *call, const Pair *pair, double *out)
{
    double sum = 0, weights = 0;
    for (int64_t i = 0; i < pair->a.batch; i++) {
        const float *a = pixels_of(&pair->a, i), *b = pixels_of(&pair->b, i);
        for (int64_t y = 0; y < pair->a.height; y++)
            for (int64_t x = 0; x < pair->a.width; x++) {
                const double weight = weight_at(pair, i, y, x);
                const int64_t at = y * pair->a.width + x;
                for (int64_t c = 0; c < pair->channels; c++) {
                    const double d = (double)a[at * pair->a.channels + c] - (double)b[at * pair->b.channels + c];
                    sum += weight * d * d;
                }
                weights += weight * (double)pair->channels;
            }
    }
    return mean(call, sum, weights, out);
}

/* ---- SSIM ---------------------------------------------------------------------------------------------------------------- */

static void gaussian(double out[WINDOW])
{
    double sum = 0;
    for (int i = 0; i < WINDOW; i++) sum += out[i] = exp(-(i - HALF) * (i - HALF) / (2 * 1.5 * 1.5));
    for (int i = 0; i < WINDOW; i++) out[i] /= sum;
}

typedef struct Moments {
    double a, b, aa, bb, ab;
} Moments;

/* Means over the window whose centre is at y, x. */
static Moments moments(const Pair *pair, const float *a, const float *b, const double weight[WINDOW], int64_t y, int64_t x, int64_t c)
{
    Moments m = {0};
    for (int i = 0; i < WINDOW; i++)
        for (int j = 0; j < WINDOW; j++) {
            const int64_t at = (y + i - HALF) * pair->a.width + x + j - HALF;
            const double w = weight[i] * weight[j], p = (double)a[at * pair->a.channels + c], q = (double)b[at * pair->b.channels + c];
            m.a += w * p;
            m.b += w * q;
            m.aa += w * p * p;
            m.bb += w * q * q;
            m.ab += w * p * q;
        }
    return m;
}

static double similarity(const Moments *m)
{
    const double c1 = 0.01 * 0.01, c2 = 0.03 * 0.03, va = m->aa - m->a * m->a, vb = m->bb - m->b * m->b, ab = m->ab - m->a * m->b;
    return (2 * m->a * m->b + c1) * (2 * ab + c2) / ((m->a * m->a + m->b * m->b + c1) * (va + vb + c2));
}

typedef struct Row {
    double sum, weight;
} Row;

typedef struct SsimWork {
    const Pair *pair;
    double window[WINDOW];
    int64_t rows; /* of windows in a picture */
    Row *row;
} SsimWork;

static void ssim_row(void *state, int64_t part)
{
    const SsimWork *work = state;
    const Pair *pair = work->pair;
    const int64_t item = part / work->rows, y = part % work->rows + HALF;
    const float *a = pixels_of(&pair->a, item), *b = pixels_of(&pair->b, item);
    Row *row = &work->row[part];
    for (int64_t x = HALF; x < pair->a.width - HALF; x++) {
        const double weight = weight_at(pair, item, y, x);
        if (!(weight > 0)) continue;
        for (int64_t c = 0; c < pair->channels; c++) {
            const Moments m = moments(pair, a, b, work->window, y, x, c);
            row->sum += weight * similarity(&m);
        }
        row->weight += weight * (double)pair->channels;
    }
}

static NodusStatus ssim(NodusCall *call, const Pair *pair, double *out)
{
    SsimWork work = {.pair = pair, .rows = pair->a.height - 2 * HALF};
    if (work.rows < 1 || pair->a.width <= 2 * HALF)
        return nodus_input_error(call, "image", "SSIM needs at least %d × %d pixels", WINDOW, WINDOW);
    work.row = pixels_array(call, work.rows * pair->a.batch, sizeof *work.row);
    if (!work.row) return status_memory();
    gaussian(work.window);
    nodus_parallel(call, work.rows * pair->a.batch, ssim_row, &work);
    Row all = {0};
    for (int64_t i = 0; i < work.rows * pair->a.batch; i++) all.sum += work.row[i].sum, all.weight += work.row[i].weight;
    return mean(call, all.sum, all.weight, out);
}

/* ---- Nodes --------------------------------------------------------------------------------------------------------------- */

static NodusStatus measure_mse(NodusCall *call, const void *args)
{
    Pair pair;
    double value = 0;
    NODUS_TRY(pair_open(call, args, &pair));
    NODUS_TRY(mse(call, &pair, &value));
    return nodus_emit_float(call, 0, value);
}

static NodusStatus measure_psnr(NodusCall *call, const void *args)
{
    Pair pair;
    double value = 0;
    NODUS_TRY(pair_open(call, args, &pair));
    NODUS_TRY(mse(call, &pair, &value));
    return nodus_emit_float(call, 0, -10 * log10(value));
}

static NodusStatus measure_ssim(NodusCall *call, const void *args)
{
    Pair pair;
    double value = 0;
    NODUS_TRY(pair_open(call, args, &pair));
    NODUS_TRY(ssim(call, &pair, &value));
    return nodus_emit_float(call, 0, value);
}

static const NodusInput measure_inputs[] = {
    NODUS_IN_LINK("image", MeasureArgs, image, "IMAGE", "The picture, or a batch."),
    NODUS_IN_LINK("reference", MeasureArgs, reference, "IMAGE", "What it is compared with, of the same size; a shorter batch is repeated."),
    NODUS_FLAG_LINK(NODUS_OPTIONAL, "mask", MeasureArgs, mask, "MASK", "Where to look: 1 counts, 0 does not."),
};
#define OUTPUT(name_, help_) static const NodusOutput name_##_outputs[] = {{.name = #name_, .type = "FLOAT", .tooltip = help_}}
OUTPUT(mse, "The mean of the squared differences; 0: the same.");
OUTPUT(psnr, "In decibels, for values from 0 to 1; infinite: the same.");
OUTPUT(ssim, "1: the same; about 0: nothing in common.");
#define MEASURE(name_, class_, title_, help_)                                                                            \
    const NodusNode node_measure_##name_ = {                                                                             \
        NODUS_NODE(class_, title_, "measure", MeasureArgs, measure_inputs, name_##_outputs), .help = help_, .example = "graphs/measures.json", \
        .run = measure_##name_}
MEASURE(mse, "MeasureMSE", "Mean squared error", "How far two pictures are apart, pixel by pixel.");
MEASURE(psnr, "MeasurePSNR", "Peak signal-to-noise ratio", "How far two pictures are apart, pixel by pixel, in decibels: more is nearer.");
MEASURE(ssim, "MeasureSSIM", "Structural similarity", "How much two pictures look alike, by the structure around each pixel.");
