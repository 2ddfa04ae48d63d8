/* family.h: which model family a file is, and where its parts are (numerics.md §13). Decided by structure, sizes read from shapes.
 * All functions take weights under our names (layout.h); `path` is for messages; a file that is something else is refused by name, with a
 * hint where it belongs: NODUS_ERROR_FILE. */
#ifndef MODELS_FAMILY_H
#define MODELS_FAMILY_H
#include "nodes/models/clip_text.h"
#include "nodes/models/clip_vision.h"
#include "nodes/models/unet.h"
#include "nodes/models/vae.h"

typedef enum Family { FAMILY_UNKNOWN, FAMILY_SD1, FAMILY_SD2, FAMILY_SDXL, FAMILY_SDXL_REFINER, FAMILY_COUNT } Family;
const char *family_name(Family family);   /* "sd1", "sdxl", … */
float family_latent_scale(Family family); /* what latents are multiplied by for the network: 0.18215, 0.13025 */

/* How the network was trained, as far as the file tells. */
typedef enum FamilyTraining {
    TRAINED_EPS,       /* it predicts the noise */
    TRAINED_V,         /* the velocity */
    TRAINED_V_ZERO,    /* the same, from pure noise on */
    TRAINED_EDM_V      /* the velocity, over continuous noise levels */
} FamilyTraining;

typedef struct Checkpoint {
    Family family;
    bool has_unet, has_clip, has_vae; /* a part may be absent; it fails only when used */
    bool by_example; /* it paints by example (paint_by_example.h): it has its own order of channels, and no text tower */
    UnetConfig unet;
    ClipTextConfig clip, clip_second; /* SDXL has two towers, L and G; else `clip_second` has no layers */
    VaeConfig vae;
    float latent_scale;
    FamilyTraining training;
    float sigma_min, sigma_max; /* TRAINED_EDM_V */
    int stop_layer;             /* what an old configuration says of the text layer; 0: the family's */
} Checkpoint;
/* Inspects a checkpoint and marks the text weights round_f16. */
NodusStatus family_checkpoint(WeightSet *weights, const char *path, Checkpoint *out);
/* A file with a diffusion network only: has_unet and what belongs to it. */
NodusStatus family_unet(const WeightSet *weights, const char *path, Checkpoint *out);
/* A file with one text tower, marked round_f16. What it is called in the file, and its layers, tell its kind. */
NodusStatus family_text(WeightSet *weights, const char *path, ClipTextConfig *out);
NodusStatus family_lone_text(WeightSet *weights, const char *path, Checkpoint *out); /* has_clip, and its family */
/* Whichever of these it is. */
NodusStatus family_any(WeightSet *weights, const char *path, Checkpoint *out);
/* A lone VAE. */
NodusStatus family_vae(const WeightSet *weights, const char *path, VaeConfig *out);
/* A CLIP vision tower, alone or in an unCLIP checkpoint; marked round_f16. */
NodusStatus family_vision(WeightSet *weights, const char *path, ClipVisionConfig *out);
#endif
