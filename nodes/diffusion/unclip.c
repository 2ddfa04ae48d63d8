/* unclip.c: see unclip.h.
 *
 * One idea: a picture's embedding is noised like a latent, on a schedule of its own, so that the model keeps to it more or less closely,
 * and is followed by the noise level as waves. Several are added up and noised a little once more. After Ramesh et al., "Hierarchical
 * Text-Conditional Image Generation with CLIP Latents", 2022; schedule: Nichol and Dhariwal 2021. */
#include "nodes/diffusion/unclip.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "nodes/diffusion/noise.h"
#include <math.h>
#include <string.h>

enum { LEVELS = 1000, FIELDS = 2 /* before an embedding: strength, augmentation */, SEED_BEFORE = 10 };
static const double MERGED_AUGMENTATION = 0.05, PERIOD = 10000;

/* How much of the embedding is left at a level: the product of 1 − β over a squared cosine. */
static double kept_at(int level)
{
    const double offset = 0.008, quarter = acos(-1.0) / 2, most = 0.999;
    double kept = 1;
    for (int i = 0; i <= level; i++) {
        const double from = cos(((double)i / LEVELS + offset) / (1 + offset) * quarter);
        const double to = cos(((double)(i + 1) / LEVELS + offset) / (1 + offset) * quarter);
        kept *= 1 - fmin(1 - to * to / (from * from), most);
    }
    return kept;
}

/* cos(level·f), then sin(level·f), for frequencies that fall from 1 to 1/10000. */
static void level_waves(int level, int width, float *out)
{
    const int half = width / 2;
    const float decay = (float)-log(PERIOD);
    for (int k = 0; k < half; k++) {
        const float angle = (float)level * (float)exp((double)(decay * (float)k / (float)half));
        out[k] = (float)cos((double)angle);
        out[half + k] = (float)sin((double)angle);
    }
}

/* out[2·width]: strength·[the embedding, noised; the waves of the level]. */
static void augment(const float *embed, int width, double augmentation, float strength, Generator *random, float *out)
{
    const int level = (int)nearbyint((LEVELS - 1) * fmin(fmax(augmentation, 0), 1));
    const double kept = kept_at(level);
    const float signal = (float)sqrt(kept), noise = (float)sqrt(1 - kept);
    generator_normal(random, out, (size_t)width);
    for (int i = 0; i < width; i++) out[i] = signal * embed[i] + noise * out[i];
    level_waves(level, width, out + width);
    for (int i = 0; i < 2 * width; i++) out[i] *= strength;
}

/* `room`: for two vectors of 2·width. The result is in its first. All pictures get the same noise, their sum what is drawn next. */
static void unclip_join(const float *picture, int64_t count, int width, uint64_t seed, float *room)
{
    float *one = room + 2 * width;
    Generator random;
    for (int64_t i = 0; i < count; i++, picture += FIELDS + width) {
        generator_seed(&random, seed - SEED_BEFORE);
        augment(picture + FIELDS, width, (double)picture[1], picture[0], &random, i ? one : room);
        for (int k = 0; i && k < 2 * width; k++) room[k] += one[k];
    }
    if (count < 2) return;
    memcpy(one, room, (size_t)width * sizeof *one);
    augment(one, width, MERGED_AUGMENTATION, 1, &random, room);
}

NodusStatus unclip_vector(NodusMath *math, const Model *model, const Cond *cond, uint64_t seed, NodusTensor **out)
{
    const int label = model->unet.label_width, width = label / 2;
    const int64_t dim[] = {1, label};
    const float *picture;
    if (!cond->pictures) return nodus_tensor_fill(math, out, 2, dim, 0);
    if (nodus_tensor_dim(cond->pictures, 1) != FIELDS + width)
        return nodus_error(NODUS_ERROR_INPUT, "the encoded picture has %d numbers, the model wants %d: encode it with the vision tower "
                           "of the model's own file", (int)nodus_tensor_dim(cond->pictures, 1) - FIELDS, width);
    NODUS_TRY(nodus_tensor_map_f32(math, cond->pictures, &picture));
    float *room = memory_array((size_t)label * 2, sizeof *room);
    if (!room) return status_memory();
    unclip_join(picture, nodus_tensor_dim(cond->pictures, 0), width, seed, room);
    NodusStatus status = nodus_tensor_from_f32(math, out, 2, dim, room);
    memory_free(room);
    return status;
}
