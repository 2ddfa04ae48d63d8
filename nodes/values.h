/* values.h: what crosses the sockets. Payloads are immutable once emitted; they hold references on tensors and weight sets, so a MODEL costs
 * nothing to share. IMAGE [b, h, w, c] 0..1, MASK [b, h, w] and SIGMAS [n] are plain tensors. */
#ifndef NODES_VALUES_H
#define NODES_VALUES_H
#include "engine/tensor/weights.h"
#include "nodes/diffusion/latent_format.h"
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
    const LatentFormat *latent_format; /* NULL: latents are scaled by latent_scale; else what is done instead */
    bool by_example;   /* it paints by example (nodes/models/paint_by_example.h): its channels have another order */
    Patch *patches;
    int patch_count;
    char *origin;      /* the file's name, for messages */
} Model;

typedef struct Clip {
    WeightSet *weights;
    Family family;
    ClipTextConfig text, second; /* `second` has no layers where there is one tower: SDXL has L and G */
    int stop_layer; /* 0: the family's; else −1 … −24 */
    bool by_example; /* there is none, for the model's prompts are pictures */
    char *origin;
} Clip;

typedef struct Vae {
    WeightSet *weights;
    VaeConfig config;
    char *origin;
} Vae;

typedef struct ClipVision {
    WeightSet *weights;
    ClipVisionConfig config;
    char *origin;
} ClipVision;

/* What a vision tower says of a batch of pictures. */
typedef struct ClipVisionOutput {
    NodusTensor *last, *penultimate; /* [b, tokens, width]: of the last two layers */
    NodusTensor *embeds;             /* [b, d]: each picture as a whole */
} ClipVisionOutput;

/* A rectangle of the picture: latent cells, or (`part`) shares of its height and width. */
typedef struct CondArea { double height, width, y, x; bool part; } CondArea;
/* What SDXL is told of a picture's size, in pixels. */
typedef struct CondSize { double width, height, crop_w, crop_h, target_width, target_height, aesthetic_score; } CondSize;
enum { /* Cond.has */
    COND_AREA = 1,
    COND_SIZE = 2,        /* size.width, height */
    COND_TARGET = 4,      /* size.crop_*, target_* */
    COND_SCORE = 8,       /* size.aesthetic_score */
    COND_MASK_BOUNDS = 16, /* the mask's bounds are the area */
    COND_FILL = 32        /* acts where the others of its list leave room ("default") */
};
/* One entry of a CONDITIONING: an independent evaluation of the network. Make it with cond_plain: strengths start at 1. */
typedef struct Cond {
    NodusTensor *text;   /* [1, t, d] */
    NodusTensor *pooled; /* [1, d] or NULL */
    unsigned has;
    CondArea area;
    CondSize size;
    double strength, mask_strength;
    double start, end;          /* the part of the sampling it acts in: 0 … 1 */
    NodusTensor *mask;          /* [b, h, w] of any size, or NULL */
    NodusTensor *concat_latent; /* [b, c, h, w], unscaled, or NULL: what inpainting and editing models see beside the noise */
    NodusTensor *concat_mask;   /* [b, h, w] or [b, 1, h, w] of any size, or NULL */
    NodusTensor *control_text;   /* what ControlNets are told instead of `text` and `pooled`; or NULL */
    NodusTensor *control_pooled;
    struct ControlUse *control; /* what guides it by pictures (nodes/diffusion/control.h), or NULL */
    struct BoxUse *boxes;       /* what GLIGEN places where (nodes/diffusion/boxes.h), or NULL */
    struct EditUse *edit;       /* what it shares with the prompt that it was made from (nodes/diffusion/edit.h), or NULL */
    NodusTensor *pictures;      /* what unCLIP models draw after: [n, 2 + d]: strength, noise augmentation and embedding of each; or NULL */
} Cond;
enum { CONDITIONING_MOST = 4096 /* entries */ };
typedef struct Conditioning {
    Cond *cond;
    int count;
} Conditioning;

/* An entry that acts everywhere; takes references of its own. */
Cond cond_plain(const NodusTensor *text, const NodusTensor *pooled);
/* The same entry, with references of its own. */
Cond cond_share(const Cond *cond);
/* A list with room for `count` entries, all empty, or with shared copies of the entries of one; NULL when out of memory. Both are
 * emitted as type_conditioning or freed by conditioning_free. */
Conditioning *conditioning_new(int count);
Conditioning *conditioning_copy(const Conditioning *conditioning);
void conditioning_free(void *conditioning);

/* The value of an input that must be there: an error that names input, file and `part` ("text encoder") if the file had none. */
NodusStatus values_require(NodusCall *call, const char *input, const WeightSet *weights, const char *origin, const char *part);
/* The same for the input "clip" of nodes that encode texts. */
NodusStatus values_require_clip(NodusCall *call, const Clip *clip);

/* Copies for nodes that change a part: they share weights and patches; NULL when out of memory. */
Model *model_copy(const Model *model);
Clip *clip_copy(const Clip *clip);
/* The same with other weights, whose reference they take over, also on failure. */
Model *model_with_weights(const Model *model, WeightSet *weights);
Clip *clip_with_weights(const Clip *clip, WeightSet *weights);

extern const NodusType type_latent, type_model, type_clip, type_vae, type_conditioning;
extern const NodusType type_clip_vision, type_clip_vision_output;

/* Emits a latent: `samples` is new, mask and batch index travel from `like` (NULL: none) by reference. */
NodusStatus latent_emit(NodusCall *call, uint32_t slot, const Latent *like, const NodusTensor *samples);
#endif
