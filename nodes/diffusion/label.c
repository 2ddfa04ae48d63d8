/* label.c: see label.h.
 *
 * One idea: a label is the pooled prompt with a few numbers behind it, each as 256 waves: the picture's size, what was cut off,
 * the size wanted; for the refiner a score of beauty instead of the last. After Podell et al., "SDXL", 2023. */
#include "nodes/diffusion/label.h"
#include "engine/base/status.h"
#include <math.h>

enum { WAVES = 256, HALF = WAVES / 2, MOST_NUMBERS = 6, BASE_NUMBERS = 6, REFINER_NUMBERS = 5 };
static const double SCORE = 6, SCORE_NEGATIVE = 2.5;

/* cos(x·f), then sin(x·f), for frequencies that fall from 1 to 1/10000; each operation rounded to f32. */
static void label_waves(float x, float *out)
{
    const float decay = (float)-log(10000.0);
    for (int k = 0; k < HALF; k++) {
        const float power = decay * (float)k / HALF, angle = x * (float)exp((double)power);
        out[k] = (float)cos((double)angle);
        out[HALF + k] = (float)sin((double)angle);
    }
}

/* In the order in which the network learned them. Returns their count. */
static int label_numbers(const Model *model, const Cond *cond, bool negative, int64_t height, int64_t width,
                         double out[MOST_NUMBERS])
{
    const CondSize *size = &cond->size;
    const bool sized = cond->has & COND_SIZE, target = cond->has & COND_TARGET;
    out[0] = sized ? size->height : (double)height;
    out[1] = sized ? size->width : (double)width;
    out[2] = target ? size->crop_h : 0;
    out[3] = target ? size->crop_w : 0;
    if (model->family == FAMILY_SDXL_REFINER) {
        out[4] = cond->has & COND_SCORE ? size->aesthetic_score : negative ? SCORE_NEGATIVE : SCORE;
        return REFINER_NUMBERS;
    }
    out[4] = target ? size->target_height : out[0];
    out[5] = target ? size->target_width : out[1];
    return BASE_NUMBERS;
}

/* A conditioning without a pooled prompt has zeros there. */
static NodusStatus label_pooled(NodusMath *math, const Cond *cond, int64_t width, const NodusTensor **out)
{
    NodusTensor *none;
    *out = cond->pooled;
    if (cond->pooled && nodus_tensor_dim(cond->pooled, 1) == width) return NULL;
    if (cond->pooled)
        return nodus_error(NODUS_ERROR_INPUT,
                           "the pooled prompt has %d numbers, the model wants %d: use the text encoders of the model's family",
                           (int)nodus_tensor_dim(cond->pooled, 1), (int)width);
    NODUS_TRY(nodus_tensor_fill(math, &none, 2, (int64_t[]){1, width}, 0));
    *out = none;
    return NULL;
}

NodusStatus label_vector(NodusMath *math, const Model *model, const Cond *cond, bool negative, int64_t height, int64_t width,
                         NodusTensor **out)
{
    double number[MOST_NUMBERS];
    float waves[MOST_NUMBERS * WAVES];
    const NodusTensor *pooled;
    NodusTensor *sizes;
    *out = NULL;
    if (!model->unet.label_width) return NULL;
    const int count = label_numbers(model, cond, negative, height, width, number);
    for (int i = 0; i < count; i++) label_waves((float)number[i], &waves[i * WAVES]);
    NODUS_TRY(label_pooled(math, cond, model->unet.label_width - count * WAVES, &pooled));
    NODUS_TRY(nodus_tensor_from_f32(math, &sizes, 2, (int64_t[]){1, count * WAVES}, waves));
    return nodus_tensor_concat(math, out, 1, 2, (const NodusTensor *[]){pooled, sizes});
}
