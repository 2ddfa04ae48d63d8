/* family.h: which model family a file is, and where its parts are (numerics.md §13). Decided by structure, sizes read from shapes. */
#ifndef MODELS_FAMILY_H
#define MODELS_FAMILY_H
#include "nodes/models/clip_text.h"
#include "nodes/models/unet.h"
#include "nodes/models/vae.h"

typedef enum Family { FAMILY_UNKNOWN, FAMILY_SD1, FAMILY_COUNT } Family;
const char *family_name(Family family); /* "sd1" */

typedef struct Checkpoint {
    Family family;
    bool has_unet, has_clip, has_vae; /* a part may be absent; it fails only when used */
    UnetConfig unet;
    ClipTextConfig clip;
    VaeConfig vae;
    float latent_scale; /* 0.18215 */
} Checkpoint;
/* Inspects a checkpoint and marks the text weights round_f16. A file that is known but not built yet (SDXL, SD2, LoRA, ControlNet …) is
 * refused by name, with a hint where it belongs: NODUS_ERROR_FILE. `path` for messages. */
NodusStatus family_checkpoint(WeightSet *weights, const char *path, Checkpoint *out);
/* The prefix of a lone VAE file ("" or "first_stage_model."). */
NodusStatus family_vae(const WeightSet *weights, const char *path, VaeConfig *out);
#endif
