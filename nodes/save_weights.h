/* save_weights.h: gathering a file's weights from models. */
#ifndef NODES_SAVE_WEIGHTS_H
#define NODES_SAVE_WEIGHTS_H
#include "engine/formats/safetensors.h"
#include "nodes/models/clip_text.h"
#include <nodus/node.h>

/* What one file will hold; all of it lives until the call returns. */
typedef struct SaveFile {
    NodusCall *call;
    SafetensorsItem *item;
    int count, room;
    SafetensorsText *text;
    int texts;
} SaveFile;

/* Adds all weights whose names start with `from`, with `to` instead: as they lie in their file, or as f32 where something was put
 * on them. */
NodusStatus save_weights(SaveFile *into, const WeightSet *weights, const char *from, const char *to);
/* Adds a text tower, f16 as it is used: "text_model.…" and "text_projection.weight" after `prefix`, or the same in OpenCLIP's
 * layout. */
NodusStatus save_weights_text(SaveFile *into, const WeightSet *weights, const ClipTextConfig *tower, const char *prefix);
NodusStatus save_weights_openclip(SaveFile *into, const WeightSet *weights, const ClipTextConfig *tower, const char *prefix);
/* Adds a name without numbers. */
NodusStatus save_weights_mark(SaveFile *into, const char *name);
#endif
