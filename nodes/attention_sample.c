/* attention_sample.c: SampleWithAttention: a sampling that also tells where each token of its prompt acted.
 *
 * One idea: a patch adds the maps to what the network's plan gives, beside an attention that is left as it was, so the picture is
 * that of SamplerCustomAdvanced, bit for bit; and the maps are a result of this node, so a cached sampling has them too. */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/tensor/device_memory.h"
#include "engine/tensor/plan.h"
#include "engine/tensor/tensor.h"
#include "nodes/attention_maps.h"
#include "nodes/diffusion/guidance.h"
#include "nodes/latents.h"
#include "nodes/models/keys.h"
#include "nodes/objects.h"
#include "nodes/sample.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST_LEVELS = 10000 };

typedef struct Layer {
    int stage, block, index;
    int64_t height, width;
} Layer;
/* One sampling. */
typedef struct Capture {
    struct Capture *own; /* itself: patches are const, what they gather is not */
    Layer layer[ATTENTION_LAYERS];
    char name[ATTENTION_LAYERS][24];
    int layers, deepest;
    int only; /* which transformer of each block; −1: all */
    int64_t most_side;
    const float *sigma;
    int levels, every;
    int64_t batch;        /* latents */
    int64_t text, tokens; /* how many the positive prompt has (0: unknown), and how many of them are kept (0: all) */
    NodusTensor *pending[ATTENTION_LAYERS]; /* of the run at hand */
    int steps;                              /* that are to be kept */
    bool *kept;                             /* [steps, layers]: is it there? */
    NodusTensor
        *all[ATTENTION_LAYERS]; /* [steps·b, 1, tokens of the picture, tokens of the text], or NULL as long as none is there */
} Capture;

/* ---- Which layers ---------------------------------------------------------------------------------------------------------- */

static NodusStatus add_block(NodusCall *call, Capture *c, int stage, int block, int depth, int64_t height, int64_t width)
{
    static const char *const stages[] = {"in", "mid", "out"};
    if (height > c->most_side || width > c->most_side) return NULL;
    if (depth > c->deepest) c->deepest = depth;
    for (int i = 0; i < depth; i++) {
        if (c->only >= 0 && i != c->only) continue;
        if (c->layers == ATTENTION_LAYERS)
            return nodus_input_error(call, "transformer",
                                     "the model has more than %d layers of at most %d × %d: choose one of each block, such as 0",
                                     ATTENTION_LAYERS, (int)c->most_side, (int)c->most_side);
        snprintf(c->name[c->layers], sizeof c->name[0], "%s%d.%d", stages[stage], block, i);
        c->layer[c->layers++] = (Layer){stage, block, i, height, width};
    }
    return NULL;
}

/* Each block on the way up has the size of its counterpart on the way down. */
static NodusStatus find_layers(NodusCall *call, const Model *model, const Latent *latent, Capture *c)
{
    const UnetConfig *unet = &model->unet;
    int64_t height[UNET_MAX_BLOCKS], width[UNET_MAX_BLOCKS], h = nodus_tensor_dim(latent->samples, 2),
                                                             w = nodus_tensor_dim(latent->samples, 3);
    for (int i = 0; i < unet->input_blocks; i++) {
        if (keys_get(model->weights, unet->prefix, "input_blocks.%d.0.op.weight", i)) h = (h + 1) / 2, w = (w + 1) / 2;
        height[i] = h, width[i] = w;
        NODUS_TRY(add_block(call, c, SITE_STAGE_INPUT, i, unet->depth_in[i], h, w));
    }
    NODUS_TRY(add_block(call, c, SITE_STAGE_MIDDLE, 0, unet->depth_middle, h, w));
    for (int i = 0; i < unet->output_blocks; i++) {
        const int twin = unet->input_blocks - 1 - i;
        NODUS_TRY(add_block(call, c, SITE_STAGE_OUTPUT, i, unet->depth_out[i], height[twin], width[twin]));
    }
    if (c->layers) return NULL;
    if (c->deepest)
        return nodus_input_error(call, "transformer", "no block of at most %d × %d has as many: 0 to %d, or -1, all of them",
                                 (int)c->most_side, (int)c->most_side, c->deepest - 1);
    return nodus_input_error(call, "max_side", "no layer that attends to the text is as small as %d × %d: set it higher",
                             (int)c->most_side, (int)c->most_side);
}

/* ---- The patch ------------------------------------------------------------------------------------------------------------- */

static int step_of(const Capture *c, float sigma)
{
    for (int i = 0; i + 1 < c->levels; i += c->every)
        if (c->sigma[i] == sigma) return i;
    return -1;
}

static bool capture_active(const void *self, float sigma)
{
    return step_of(self, sigma) >= 0;
}

static void capture_structure(const void *self, NodusHash *hash)
{
    const Capture *c = self;
    nodus_hash_u64(hash, (uint64_t)c->batch);
    for (int i = 0; i < c->layers; i++) nodus_hash_text(hash, c->name[i]);
}

/* Of what is asked together the items of the positive prompt: the last ones. */
static OpRef last_items(const Capture *c, OpGraph *graph, OpRef x)
{
    const int64_t items = graph_dim(graph, x, 0), count = c->batch < items ? c->batch : items;
    return op_slice(graph, x, 0, items - count, count);
}

static NodusStatus capture_build(const void *self, OpGraph *graph, Site *site)
{
    const Capture *c = self;
    if (site->kind != SITE_ATTENTION_RESULT || op_is_none(site->context)) return NULL;
    int i = 0;
    while (i < c->layers &&
           (c->layer[i].stage != site->stage || c->layer[i].block != site->block || c->layer[i].index != site->index))
        i++;
    if (i == c->layers) return NULL;
    const float scale = 1 / sqrtf((float)graph_dim(graph, site->q, 2) / (float)site->heads);
    const OpRef scores = op_scores(graph, last_items(c, graph, site->q), last_items(c, graph, site->k), site->heads, scale);
    op_output(graph, c->name[i], op_mean_channels(graph, op_softmax(graph, scores, false))); /* [batch, 1, tokens, text] */
    return NULL;
}

static NodusStatus capture_bind(const void *self, void *run_state, float sigma, Bindings *bindings)
{
    const Capture *c = self;
    Capture *run = run_state;
    (void)sigma;
    for (int i = 0; i < c->layers; i++) bindings_output(bindings, c->name[i], &run->pending[i]);
    return NULL;
}

/* A text is repeated where that of another prompt, asked at the same time, is longer: the attention to a token is the sum over
 * its places. Takes *own [b, 1, places, tokens]. */
static NodusStatus keep_tokens(const Capture *c, NodusMath *math, NodusTensor *own, NodusTensor **out)
{
    const int64_t given = nodus_tensor_dim(own, 3), text = c->text && given % c->text == 0 ? c->text : given;
    const int64_t tokens = c->tokens && c->tokens < text ? c->tokens : text;
    NodusTensor *sum, *part, *more;
    NODUS_TRY(nodus_tensor_slice(math, &part, own, 3, 0, tokens));
    NODUS_TRY(nodus_tensor_affine(math, &sum, part, 1, 0));
    nodus_tensor_release(math, part);
    for (int64_t at = text; at < given; at += text) {
        NODUS_TRY(nodus_tensor_slice(math, &part, own, 3, at, tokens));
        NODUS_TRY(nodus_tensor_add(math, &more, sum, part));
        nodus_tensor_release(math, part);
        nodus_tensor_release(math, sum);
        sum = more;
    }
    nodus_tensor_release(math, own);
    *out = sum;
    return NULL;
}

/* Puts a step's maps where they belong. One array a layer has room for all steps from the start: small ones, joined at the end,
 * would take the memory twice. Takes `own`. */
static NodusStatus keep_step(Capture *c, NodusMath *math, int slot, int i, NodusTensor *own)
{
    const int64_t batch = nodus_tensor_dim(own, 0);
    const int64_t dim[] = {c->steps * batch, 1, nodus_tensor_dim(own, 2), nodus_tensor_dim(own, 3)};
    NodusTensor *place;
    if (!c->all[i]) NODUS_TRY(nodus_tensor_fill(math, &c->all[i], 4, dim, 0));
    for (int k = 0; k < 4; k++)
        if (nodus_tensor_dim(c->all[i], k) != dim[k])
            return nodus_error(NODUS_ERROR_INPUT,
                               "attention maps: the prompts of layer %s have %d tokens in one step and %d in another", c->name[i],
                               (int)nodus_tensor_dim(c->all[i], 3), (int)dim[3]);
    NODUS_TRY(nodus_tensor_slice(math, &place, c->all[i], 0, slot * batch, batch));
    const View to = view_of(place), from = view_of(own);
    NODUS_TRY(device_copy(math->device, &to, &from));
    c->kept[slot * c->layers + i] = true;
    nodus_tensor_release(math, place);
    nodus_tensor_release(math, own);
    return NULL;
}

/* The first answer in each step is kept. */
static NodusStatus keep(Capture *c, const NodusAnswer *answer, int slot, int i)
{
    NodusTensor *own = c->pending[i], *tokens;
    const int64_t places = nodus_tensor_dim(own, 2);
    if (c->kept[slot * c->layers + i]) return NULL;
    if (places != c->layer[i].height * c->layer[i].width)
        return nodus_error(NODUS_ERROR_INPUT,
                           "attention maps: layer %s sees %d places in place of %d × %d: take away the patch that shrinks the "
                           "picture, or let the first "
                           "prompt have no area",
                           c->name[i], (int)places, (int)c->layer[i].height, (int)c->layer[i].width);
    c->pending[i] = NULL;
    NODUS_TRY(keep_tokens(c, answer->math, own, &tokens));
    return keep_step(c, answer->math, slot, i, tokens);
}

static NodusStatus capture_answer(const void *self, void *run_state, NodusAnswer *answer)
{
    Capture *c = run_state;
    const int step = step_of(self, answer->sigma);
    if (answer->guided || !answer->out || step < 0) return NULL;
    for (int i = 0; i < c->layers; i++) {
        if (!c->pending[i]) continue; /* another patch gave the answer */
        if (answer->leads) NODUS_TRY(keep(c, answer, step / c->every, i));
        nodus_tensor_release(answer->math, c->pending[i]);
        c->pending[i] = NULL;
    }
    return NULL;
}

static NodusStatus capture_begin(const void *self, void **run_state)
{
    *run_state = ((const Capture *)self)->own;
    return NULL;
}

static const NodusPatchClass capture_class = {.struct_size = sizeof(NodusPatchClass),
                                              .name = "attention maps",
                                              .structure = capture_structure,
                                              .active = capture_active,
                                              .build = capture_build,
                                              .begin = capture_begin,
                                              .bind = capture_bind,
                                              .answer = capture_answer};

/* ---- The node -------------------------------------------------------------------------------------------------------------- */

typedef struct {
    const Noise *noise;
    const Guider *guider;
    const SamplerObject *sampler;
    const NodusTensor *sigmas;
    const Latent *latent_image;
    int64_t max_side, every, transformer, tokens;
} SampleArgs;

/* A layer's maps of all steps that have some, as one array. */
static NodusStatus join_steps(NodusCall *call, const Capture *c, int layer, NodusTensor **out)
{
    NodusTensor **step = nodus_alloc(call, (size_t)c->steps * sizeof *step), *all = c->all[layer];
    int steps = 0;
    if (!step) return status_memory();
    for (int i = 0; i < c->steps; i++) {
        if (!c->kept[i * c->layers + layer]) continue;
        const int64_t batch = nodus_tensor_dim(all, 0) / c->steps;
        NODUS_TRY(nodus_tensor_slice(nodus_math(call), &step[steps++], all, 0, i * batch, batch));
    }
    if (!steps)
        return nodus_error(NODUS_ERROR_INPUT,
                           "no step gave attention maps of layer %s: does a patch answer in place of the network?",
                           c->name[layer]);
    const int64_t batch = nodus_tensor_dim(step[0], 0), text = nodus_tensor_dim(step[0], 3);
    if (steps < c->steps) NODUS_TRY(nodus_tensor_concat(nodus_math(call), &all, 0, steps, (const NodusTensor *const *)step));
    return nodus_tensor_reshape(nodus_math(call), out, all, 5,
                                (const int64_t[]){steps, batch, c->layer[layer].height, c->layer[layer].width, text});
}

static NodusStatus emit_maps(NodusCall *call, const Capture *c)
{
    NodusTensor *map[ATTENTION_LAYERS];
    for (int i = 0; i < c->layers; i++) NODUS_TRY(join_steps(call, c, i, &map[i]));
    AttentionMaps *maps = memory_alloc(sizeof *maps);
    if (!maps) return status_memory();
    maps->layers = c->layers;
    memcpy(maps->name, c->name, sizeof maps->name);
    for (int i = 0; i < c->layers; i++) maps->map[i] = nodus_tensor_ref(map[i]);
    return nodus_emit(call, 1, &type_attention_maps, maps);
}

/* The guider with a model that has one patch more; all of it is borrowed. */
static NodusStatus with_capture(NodusCall *call, const Guider *like, const Capture *c, Model *model, Guider *out)
{
    *model = *like->model;
    *out = *like;
    out->model = model;
    model->patches = nodus_alloc(call, ((size_t)model->patch_count + 1) * sizeof *model->patches);
    if (!model->patches) return status_memory();
    for (int i = 0; i < model->patch_count; i++) model->patches[i] = like->model->patches[i];
    model->patches[model->patch_count++] = (Patch){&capture_class, c};
    return NULL;
}

static NodusStatus sample_capture(NodusCall *call, const SampleArgs *in, Capture *c)
{
    Model model;
    Guider guider;
    SampleRequest request = {.guider = &guider,
                             .latent = in->latent_image,
                             .sampler = in->sampler->def,
                             .options = &in->sampler->options,
                             .sigmas = c->sigma,
                             .sigma_count = c->levels,
                             .seed = in->noise->seed,
                             .add_noise = !in->noise->none,
                             .new_known_noise = in->sampler->repaint.new_noise};
    NodusTensor *out;
    c->kept = nodus_alloc(call, (size_t)c->steps * (size_t)c->layers * sizeof *c->kept);
    if (!c->kept) return status_memory();
    NODUS_TRY(with_capture(call, in->guider, c, &model, &guider));
    if (in->sampler->bind) NODUS_TRY(in->sampler->bind(call, in->sampler, &request.options));
    NODUS_TRY(guidance_sample(call, &request, &out, NULL));
    NODUS_TRY(latent_emit(call, 0, in->latent_image, out));
    return emit_maps(call, c);
}

static NodusStatus sample_run(NodusCall *call, const void *args)
{
    const SampleArgs *in = args;
    const Model *model = in->guider->model;
    const int64_t levels = nodus_tensor_count(in->sigmas);
    NODUS_TRY(values_require(call, "guider", model->weights, model->origin, "diffusion model"));
    NODUS_TRY(latent_check(call, "latent_image", in->latent_image));
    if (levels < 2 || levels > MOST_LEVELS)
        return nodus_input_error(call, "sigmas", "has %lld noise levels; it needs 2 to %d", (long long)levels, MOST_LEVELS);
    Capture *c = nodus_alloc(call, sizeof *c);
    if (!c) return status_memory();
    const Conditioning *positive = in->guider->list[GUIDER_POSITIVE];
    *c = (Capture){.own = c,
                   .levels = (int)levels,
                   .every = (int)in->every,
                   .steps = (int)((levels - 2) / in->every) + 1,
                   .most_side = in->max_side,
                   .only = (int)in->transformer,
                   .batch = nodus_tensor_dim(in->latent_image->samples, 0),
                   .text = positive && positive->count ? nodus_tensor_dim(positive->cond[0].text, 1) : 0,
                   .tokens = in->tokens};
    NODUS_TRY(nodus_tensor_map_f32(nodus_math(call), in->sigmas, &c->sigma));
    NODUS_TRY(find_layers(call, model, in->latent_image, c));
    return sample_capture(call, in, c);
}

enum { IN_GUIDER = 1, IN_SIGMAS = 3, IN_LATENT };

static NodusStatus sample_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    (void)args;
    out[0] = in[IN_LATENT];
    return sample_check_channels(call, &in[IN_GUIDER], &in[IN_LATENT]);
}

static const NodusInput sample_inputs[] = {
    NODUS_IN_LINK("noise", SampleArgs, noise, "NOISE", "The noise at the start."),
    NODUS_IN_LINK("guider", SampleArgs, guider, "GUIDER",
                  "The model, and what it is guided by. The maps are of its first positive prompt."),
    NODUS_IN_LINK("sampler", SampleArgs, sampler, "SAMPLER", "The method that removes the noise."),
    NODUS_IN_LINK("sigmas", SampleArgs, sigmas, "SIGMAS", "The noise levels, one more than there are steps."),
    NODUS_IN_LINK("latent_image", SampleArgs, latent_image, "LATENT", "Where to start: an empty latent, or an encoded picture."),
    NODUS_FLAG_INT(NODUS_OPTIONAL, "max_side", SampleArgs, max_side,
                   "Maps of layers up to so many places high and wide are kept: large ones show texture and fill memory.",
                   .def = 32, .min = 1, .max = 256),
    NODUS_FLAG_INT(NODUS_OPTIONAL, "every", SampleArgs, every,
                   "Maps of each such step are kept: 1 all, 2 the first, third, fifth …", .def = 1, .min = 1, .max = MOST_LEVELS),
    NODUS_FLAG_INT(NODUS_OPTIONAL, "transformer", SampleArgs, transformer,
                   "Which transformer of each block: -1 all. SDXL has up to ten in one.", .def = -1, .min = -1, .max = 63),
    NODUS_FLAG_INT(
        NODUS_OPTIONAL, "tokens", SampleArgs, tokens,
        "Maps of so many tokens are kept, from the start on: a short prompt fills few of 77, and fewer take less memory. 0: all.",
        .def = 0, .min = 0, .max = 4096),
};
static const NodusOutput sample_outputs[] = {
    {.name = "LATENT", .type = "LATENT", .tooltip = "The latent after sampling."},
    {.name = "ATTENTION_MAPS", .type = "ATTENTION_MAPS", .tooltip = "Where each token of the prompt acted, by layer and step."},
};
const NodusNode node_sample_with_attention = {
    NODUS_NODE("SampleWithAttention", "Sample with Attention", "sampling/custom_sampling", SampleArgs, sample_inputs,
               sample_outputs),
    .help = "Make a picture and keep the maps of attention to its prompt: where in the picture each word acted.",
    .example = "graphs/attention_maps.json",
    .run = sample_run,
    .infer = sample_infer,
};
