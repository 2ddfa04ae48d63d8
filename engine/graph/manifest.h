/* manifest.h: how a value came about, for the files that nodes write: see nodus_manifest in nodus/node.h.
 *
 *   "version": "0.1.0", "device": "cpu", "instruction_set": "avx2", "precision": "f32", "numerics": 1,
 *   "models": [{"node": "1", "folder": "checkpoints", "file": "a.safetensors", "bytes": 9, "hash": "xxh128:…"}],
 *   "settings": [{"node": "5", "class_type": "KSampler", "seed": 7, "steps": 20, …}], "seeds": [7], "seconds": 1.5
 *
 * models and settings are those of the nodes that the writing node depends on, whether they ran or came from the cache. `hash` is
 * over the whole file, or, with "xxh128-ends", over its size (u64, little-endian), first and last MiB: for files over 64 MiB. A
 * setting that is linked to another node is the link. `seconds`: from the beginning of the run to the writing of the file; it
 * alone differs from run to run. */
#ifndef GRAPH_MANIFEST_H
#define GRAPH_MANIFEST_H
#include "engine/graph/call.h"

/* The members, without braces. */
NodusStatus manifest_members(const NodusCall *call, Text *out);
#endif
