/* patch_freeu.c: FreeU, FreeU_V2: more weight for the backbone of a UNet, less for the coarse structure of its skips. After Si et
 * al., "FreeU: Free Lunch in Diffusion U-Net", 2023.
 *
 * One idea: this file is a plug-in that happens to be built in: it has public headers only, and the tests build it as one. */
#include <nodus/patch.h>
#include <stdlib.h>

enum { FREEU_B1, FREEU_B2, FREEU_S1, FREEU_S2, FREEU_NUMBERS };
static const char *const freeu_number[FREEU_NUMBERS] = {"b1", "b2", "s1", "s2"};

typedef struct FreeU {
    double number[FREEU_NUMBERS];
    int64_t channels; /* of the model's outermost level */
    bool second;
} FreeU;

/* The first half of the channels of h, `factor`-fold. */
static NodusOpRef freeu_backbone(NodusOpGraph *graph, NodusOpRef h, NodusOpRef factor)
{
    const int64_t channels = nodus_op_dim(graph, h, 1), half = channels / 2;
    const NodusOpRef first = nodus_op_mul(graph, nodus_op_slice(graph, h, 1, 0, half), factor);
    return nodus_op_concat(graph, first, nodus_op_slice(graph, h, 1, half, channels - half), 1);
}

/* (b − 1)·m + 1: m is what the backbone holds at each place, from 0 to 1. */
static NodusOpRef freeu_factor(NodusOpGraph *graph, NodusOpRef h, NodusOpRef b)
{
    const NodusOpRef mean = nodus_op_unit_range(graph, nodus_op_mean_channels(graph, h));
    return nodus_op_affine(graph, nodus_op_mul(graph, mean, nodus_op_affine(graph, b, 1, -1)), 1, 1);
}

static NodusStatus freeu_build(const void *self, NodusOpGraph *graph, NodusSite *site)
{
    const FreeU *patch = self;
    if (nodus_site_number(site, NODUS_SITE_KIND) != NODUS_AT_OUTPUT_BLOCK) return NULL;
    const NodusOpRef h = nodus_site_get(graph, site, NODUS_SITE_H), skip = nodus_site_get(graph, site, NODUS_SITE_SKIP);
    const int64_t channels = nodus_op_dim(graph, h, 1);
    const bool deep = channels == 4 * patch->channels, middle = channels == 2 * patch->channels;
    if (!deep && !middle) return NULL;
    const NodusOpRef b = nodus_op_scalar(graph, freeu_number[deep ? FREEU_B1 : FREEU_B2]),
                     s = nodus_op_scalar(graph, freeu_number[deep ? FREEU_S1 : FREEU_S2]);
    nodus_site_set(graph, site, NODUS_SITE_H, freeu_backbone(graph, h, patch->second ? freeu_factor(graph, h, b) : b));
    nodus_site_set(graph, site, NODUS_SITE_SKIP, nodus_op_low_frequencies(graph, skip, s));
    return NULL;
}

static void freeu_structure(const void *self, NodusHash *hash)
{
    const FreeU *patch = self;
    nodus_hash_u64(hash, (uint64_t)patch->channels);
    nodus_hash_u64(hash, patch->second);
}

static void freeu_identity(const void *self, NodusHash *hash)
{
    freeu_structure(self, hash);
    for (int i = 0; i < FREEU_NUMBERS; i++) nodus_hash_double(hash, ((const FreeU *)self)->number[i]);
}

static NodusStatus freeu_bind(const void *self, void *run_state, float sigma, NodusBindings *bindings)
{
    (void)run_state;
    (void)sigma;
    for (int i = 0; i < FREEU_NUMBERS; i++)
        NODUS_TRY(nodus_bind_number(bindings, freeu_number[i], ((const FreeU *)self)->number[i]));
    return NULL;
}

const NodusPatchClass patch_freeu = {.struct_size = sizeof(NodusPatchClass),
                                     .name = "freeu",
                                     .structure = freeu_structure,
                                     .identity = freeu_identity,
                                     .build = freeu_build,
                                     .bind = freeu_bind};

/* ---- The nodes ------------------------------------------------------------------------------------------------------- */

typedef struct {
    const void *model;
    double b1, b2, s1, s2;
} FreeUArgs;

static NodusStatus freeu_emit(NodusCall *call, const FreeUArgs *in, bool second)
{
    FreeU *patch = malloc(sizeof *patch);
    if (!patch) return nodus_error(NODUS_ERROR_MEMORY, "out of memory");
    *patch = (FreeU){{in->b1, in->b2, in->s1, in->s2}, nodus_model_channels(in->model), second};
    return nodus_emit_patched_model(call, 0, in->model, patch_freeu.name, patch, free);
}

static NodusStatus freeu_first(NodusCall *call, const void *args)
{
    return freeu_emit(call, args, false);
}

static NodusStatus freeu_second(NodusCall *call, const void *args)
{
    return freeu_emit(call, args, true);
}

/* A patch changes no facts of a model. */
static NodusStatus freeu_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    (void)call;
    (void)args;
    out[0] = in[0];
    return NULL;
}

#define FACTOR(name_, help_, def_) NODUS_IN_FLOAT(#name_, FreeUArgs, name_, help_, .def = def_, .min = 0, .max = 10, .step = 0.01)
#define FREEU_INPUTS(b1_, b2_)                                                                                         \
    NODUS_IN_LINK("model", FreeUArgs, model, "MODEL", "The diffusion model."),                                         \
        FACTOR(b1, "Backbone of the deepest level: structure.", b1_), FACTOR(b2, "Backbone of the level above.", b2_), \
        FACTOR(s1, "Coarse structure of the skips into the deepest level.", 0.9),                                      \
        FACTOR(s2, "The same of the level above.", 0.2)
static const NodusInput freeu_inputs[] = {FREEU_INPUTS(1.1, 1.2)}, freeu_v2_inputs[] = {FREEU_INPUTS(1.3, 1.4)};
static const NodusOutput freeu_outputs[] = {{.name = "MODEL", .type = "MODEL", .tooltip = "The model, guided that way."}};
const NodusNode node_freeu = {
    NODUS_NODE("FreeU", "FreeU", "model_patches/unet", FreeUArgs, freeu_inputs, freeu_outputs),
    .help =
        "Give the backbone of a UNet more weight and the coarse structure of its skips less: often better pictures at no cost.",
    .example = "graphs/freeu.json",
    .run = freeu_first,
    .infer = freeu_infer,
};
const NodusNode node_freeu_v2 = {
    NODUS_NODE("FreeU_V2", "FreeU_V2", "model_patches/unet", FreeUArgs, freeu_v2_inputs, freeu_outputs),
    .help = "FreeU, with more weight only where the backbone holds much.",
    .example = "graphs/freeu.json",
    .run = freeu_second,
    .infer = freeu_infer,
};
