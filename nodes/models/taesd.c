/* taesd.c: the tiny autoencoder as two tensor graphs.
 *
 * One idea: both halves are a row of layers, named by their place in it: residual blocks of three convolutions, and convolutions,
 * of which those without a bias halve or double the picture. So a walk over the places builds either half, whatever its depth.
 *
 *   pixels ► conv ► block ► [halve ► 3 blocks]… ► conv ► latent
 *   latent ► 3·tanh(x/3) ► conv ► relu ► [3 blocks ► double ► conv]… ► block ► conv ► pixels */
#include "nodes/models/taesd.h"
#include "engine/base/hash.h"
#include "engine/base/status.h"
#include "nodes/models/keys.h"
#include <stdio.h>
#include <string.h>

enum { MOST_PLACES = 128, COLOURS = 3, MOST_HALVINGS = 6 };
static const char ENCODER[] = "encoder.", DECODER[] = "decoder.";

const TaesdKind *taesd_kind(const char *name)
{
    static const TaesdKind kinds[] = {
        {"taesd", 0.18215f, 0}, {"taesdxl", 0.13025f, 0}, {"taesd3", 1.5305f, 0.0609f}, {"taef1", 0.3611f, 0.1159f}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(kinds[i].name, name)) return &kinds[i];
    return NULL;
}

/* ---- Structure --------------------------------------------------------------------------------------------------------- */

static void taesd_unref(void *set)
{
    weights_unref(set);
}

static NodusStatus taesd_add(WeightSet *into, const char *half, WeightSet *file)
{
    char name[KEYS_LONGEST];
    NODUS_TRY(weights_own(into, taesd_unref, weights_ref(file)));
    for (int i = 0; i < weights_count(file); i++) {
        if (snprintf(name, sizeof name, "%s%s", half, weights_at(file, i)->name) >= (int)sizeof name)
            continue; /* no layer of ours */
        NODUS_TRY(weights_add_like(into, name, 0, NULL, file, i));
    }
    return NULL;
}

NodusStatus taesd_join(WeightSet *encoder, WeightSet *decoder, WeightSet **out)
{
    const Hash128 parts[] = {weights_identity(encoder), weights_identity(decoder)};
    NODUS_TRY(weights_new(out));
    weights_set_identity(*out, hash_of(parts, sizeof parts));
    NodusStatus status = taesd_add(*out, ENCODER, encoder);
    if (!status) status = taesd_add(*out, DECODER, decoder);
    if (status) weights_unref(*out);
    return status;
}

/* How often a half changes the picture's size. */
static int taesd_steps(const WeightSet *joined, const char *half)
{
    int steps = 0;
    for (int i = 0; i < MOST_PLACES; i++)
        steps += keys_get(joined, half, "%d.weight", i) && !keys_get(joined, half, "%d.bias", i);
    return steps;
}

NodusStatus taesd_config(const WeightSet *joined, const TaesdKind *kind, VaeConfig *out)
{
    const int steps = taesd_steps(joined, DECODER);
    int colours;
    *out =
        (VaeConfig){.tiny = true, .has_encoder = true, .has_decoder = true, .tiny_scale = kind->scale, .tiny_shift = kind->shift};
    NODUS_TRY(keys_size(joined, ENCODER, "0.weight", 4, 1, &colours));
    NODUS_TRY(keys_size(joined, DECODER, "1.weight", 4, 1, &out->latent_channels));
    if (colours != COLOURS || steps < 1 || steps > MOST_HALVINGS || steps != taesd_steps(joined, ENCODER))
        return nodus_error(NODUS_ERROR_FILE, "the two files are no tiny autoencoder: %d colours, %d doublings, %d halvings",
                           colours, steps, taesd_steps(joined, ENCODER));
    out->levels = steps + 1;
    out->scale = 1 << steps;
    return NULL;
}

/* ---- Layers -------------------------------------------------------------------------------------------------------------- */

static OpRef taesd_relu(OpGraph *g, OpRef x)
{
    return op_leaky_relu(g, x, 0);
}

static OpRef taesd_block(OpGraph *g, OpRef x)
{
    OpRef h = taesd_relu(g, op_conv2d(g, x, "conv.0", CONV_3X3));
    h = taesd_relu(g, op_conv2d(g, h, "conv.2", CONV_3X3));
    h = op_conv2d(g, h, "conv.4", CONV_3X3);
    if (graph_has(g, "skip.weight")) x = op_conv2d(g, x, "skip", CONV_1X1);
    return taesd_relu(g, op_add(g, h, x));
}

/* A convolution without a bias changes the size. */
static OpRef taesd_conv(OpGraph *g, OpRef x, const char *place, bool doubles)
{
    char bias[16];
    snprintf(bias, sizeof bias, "%s.bias", place);
    if (graph_has(g, bias)) return op_conv2d(g, x, place, CONV_3X3);
    if (!doubles) return op_conv2d(g, x, place, CONV_DOWN);
    return op_conv2d(g, op_upsample(g, x, 2 * graph_dim(g, x, 2), 2 * graph_dim(g, x, 3)), place, CONV_3X3);
}

static OpRef taesd_half(OpGraph *g, OpRef h, bool doubles)
{
    char place[8], weight[32];
    bool first = doubles; /* the decoder's first convolution is followed by a ReLU */
    for (int i = 0; i < MOST_PLACES; i++) {
        snprintf(place, sizeof place, "%d", i);
        graph_push(g, "%s", place);
        const bool block = graph_has(g, "conv.0.weight");
        if (block) h = taesd_block(g, h);
        graph_pop(g);
        snprintf(weight, sizeof weight, "%s.weight", place);
        if (block || !graph_has(g, weight)) continue;
        h = taesd_conv(g, h, place, doubles);
        if (first) h = taesd_relu(g, h);
        first = false;
    }
    return h;
}

void taesd_build_decoder(OpGraph *g, const VaeConfig *config, int64_t batch, int64_t height, int64_t width)
{
    const float scale = config->tiny_scale, third = 1.0f / 3;
    OpRef h = op_input(g, "latent", DTYPE_F32, 4, (const int64_t[]){batch, config->latent_channels, height, width});
    h = op_affine(g, h, scale, -config->tiny_shift * scale);
    h = op_affine(g, op_tanh(g, op_affine(g, h, third, 0)), 3, 0);
    graph_push(g, "%s", DECODER);
    h = taesd_half(g, h, true);
    graph_pop(g);
    op_output(g, "pixels", op_affine(g, h, 2, -1));
}

void taesd_build_encoder(OpGraph *g, const VaeConfig *config, int64_t batch, int64_t height, int64_t width)
{
    const OpRef pixels = op_input(g, "pixels", DTYPE_F32, 4, (const int64_t[]){batch, COLOURS, height, width});
    graph_push(g, "%s", ENCODER);
    const OpRef h = taesd_half(g, op_affine(g, pixels, 0.5f, 0.5f), false);
    graph_pop(g);
    op_output(g, "latent", op_affine(g, h, 1 / config->tiny_scale, config->tiny_shift));
}
