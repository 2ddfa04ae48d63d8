/* load_diffusers.h: folders of the diffusers library. */
#ifndef NODES_LOAD_DIFFUSERS_H
#define NODES_LOAD_DIFFUSERS_H
#include "nodes/values.h"

/* A folder below models/diffusers as the checkpoint that it would be, under our names; and what it is made of, into a
 * fingerprint. */
NodusStatus load_diffusers_open(NodusCall *call, const char *name, WeightSet **out);
NodusStatus load_diffusers_hash(NodusCall *call, const char *name, NodusHash *hash);
#endif
