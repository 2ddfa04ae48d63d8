/* lora.h: a file of models/loras on a model and a text encoder, for every node that does so. */
#ifndef NODES_LORA_H
#define NODES_LORA_H
#include "nodes/values.h"

/* What is put where, and how strongly. */
typedef struct LoraOrder {
    const char *name; /* of the file */
    double strength_model, strength_clip;
    const char *rules; /* which layers (lora_select.h); NULL: all */
    int gate;          /* of the scalar that switches it on in the model (derived.h); 0: none */
} LoraOrder;
/* Puts the file on *model and *clip, which the caller owns: they are replaced by copies that carry its patches. Either may be
 * NULL; with a strength of 0, or without weights, it stays as it is. Warns of patches that fit nothing. */
NodusStatus lora_order(NodusCall *call, const LoraOrder *order, Model **model, Clip **clip);
/* The same on all layers, all the time. */
NodusStatus lora_put(NodusCall *call, const char *name, double strength_model, double strength_clip, Model **model, Clip **clip);
/* Adds the file to a signature. */
NodusStatus lora_hash(NodusCall *call, NodusHash *hash, const char *name);
/* `infer` of a node whose outputs are its first two inputs with patches: those have the sizes of their base. */
NodusStatus lora_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out);
/* Emits each that is given (not NULL) into slot 0 and 1 and owns it from now on, also when this fails. */
NodusStatus lora_emit(NodusCall *call, Model *model, Clip *clip);
#endif
