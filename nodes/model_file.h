/* model_file.h: opening files of weights, and the values that nodes make of their parts. */
#ifndef NODES_MODEL_FILE_H
#define NODES_MODEL_FILE_H
#include "nodes/values.h"

/* A file in any format and layout, under our names (nodes/models/layout.h). Only its header is read. */
NodusStatus model_file_open(const char *path, WeightSet **out);
/* The `fingerprint` of nodes that open a file of models/FOLDER: what is in it. */
NodusStatus model_file_hash(NodusCall *call, const char *folder, const char *name, NodusHash *hash);

/* Values for parts of a file; a part that is not there makes a value without weights, which fails when it is used. `name`: the file's, for
 * messages. */
NodusStatus model_file_emit_model(NodusCall *call, uint32_t slot, WeightSet *weights, const Checkpoint *checkpoint, const char *name);
NodusStatus model_file_emit_clip(NodusCall *call, uint32_t slot, WeightSet *weights, const Checkpoint *checkpoint, const char *name);
NodusStatus model_file_emit_vae(NodusCall *call, uint32_t slot, WeightSet *weights, const VaeConfig *config, const char *name); /* config NULL: none */
/* MODEL, CLIP and VAE in slots 0, 1 and 2. */
NodusStatus model_file_emit_checkpoint(NodusCall *call, WeightSet *weights, const Checkpoint *checkpoint, const char *name);
extern const NodusOutput checkpoint_outputs[3];

/* What the parts tell before a run. `path`: where they are. */
void model_file_facts(const Checkpoint *checkpoint, const char *path, NodusFacts *model, NodusFacts *clip, NodusFacts *vae);
#endif
