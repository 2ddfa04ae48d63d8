/* values.h: what crosses the sockets. Payloads are immutable once emitted; they hold references on tensors and weight sets, so a MODEL costs
 * nothing to share. IMAGE [b, h, w, c] 0..1, MASK [b, h, w] and SIGMAS [n] are plain tensors. */
#ifndef NODES_VALUES_H
#define NODES_VALUES_H
#include "engine/tensor/weights.h"
#include "nodes/diffusion/model_sampling.h"
#include "nodes/models/clip_tokenizer.h"
#include "nodes/models/family.h"
#include <nodus/node.h>

typedef struct Latent {
    NodusTensor *samples;     /* [b, c, h, w], unscaled */
    NodusTensor *noise_mask;  /* NULL, or [b, h, w] or [b, 1, h, w] of any size: 1 = repaint */
    int64_t *batch_index;     /* NULL, or `batch` numbers: which noise each item takes */
    int64_t batch;
} Latent;

/* A part that the file lacks is a value too, with `weights` NULL: it fails when it is used (values_require). */
typedef struct Patch { const NodusPatchClass *class; const void *self; } Patch;
typedef struct Model {
    WeightSet *weights;
    Family family;
    UnetConfig unet;
    ModelSampling sampling;
    float latent_scale;
    Patch *patches;
    int patch_count;
    char *origin;      /* the file's name, for messages */
} Model;

typedef struct Clip {
    WeightSet *weights;
    Family family;
    ClipTextConfig text;
    int stop_layer; /* 0: the family's; else −1 … −24 */
    char *origin;
} Clip;

typedef struct Vae {
    WeightSet *weights;
    VaeConfig config;
    char *origin;
} Vae;

/* One entry of a CONDITIONING: an independent evaluation of the network. */
typedef struct Cond {
    NodusTensor *text;   /* [1, t, d] */
    NodusTensor *pooled; /* [1, d] or NULL */
} Cond;
typedef struct Conditioning {
    Cond *cond;
    int count;
} Conditioning;

/* The value of an input that must be there: an error that names input, file and `part` ("text encoder") if the file had none. */
NodusStatus values_require(NodusCall *call, const char *input, const WeightSet *weights, const char *origin, const char *part);

extern const NodusType type_latent, type_model, type_clip, type_vae, type_conditioning;

/* Emits a latent: `samples` is new, mask and batch index travel from `like` (NULL: none) by reference. */
NodusStatus latent_emit(NodusCall *call, uint32_t slot, const Latent *like, const NodusTensor *samples);
#endif
