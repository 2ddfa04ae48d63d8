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
/* Starts a file, with notes on its making (output_file.h). */
NodusStatus save_weights_begin(NodusCall *call, const char *prompt, const char *extra_pnginfo, SaveFile *out);
void save_weights_note(SaveFile *into, const char *key, const char *value); /* at most eight */
/* Writes it under the next free number of a prefix in the output folder; `name`: NULL, or takes the file's name. */
NodusStatus save_weights_write(SaveFile *from, const char *prefix, const char **name);
/* A new entry, still empty; or one with a weight's shape and plain numbers, named `prefix` and `rest`. NULL when out of memory. */
SafetensorsItem *save_weights_new(SaveFile *into);
SafetensorsItem *save_weights_item(SaveFile *into, const WeightSet *weights, int index, const char *prefix, const char *rest);
/* Adds a name without numbers. */
NodusStatus save_weights_mark(SaveFile *into, const char *name);
#endif
