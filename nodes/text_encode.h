/* text_encode.h: a prompt through the text towers of a family (numerics.md §6). */
#ifndef NODES_TEXT_ENCODE_H
#define NODES_TEXT_ENCODE_H
#include "nodes/values.h"

/* `text` [1, t, d] and `pooled` [1, d], on the scratch list. `second`: what a second tower is told; NULL: the same, else the shorter of the two
 * prompts gets empty chunks until both are equally long. Names of textual inversions that are not found are warned of and left out. */
NodusStatus text_encode(NodusCall *call, const Clip *clip, const char *prompt, const char *second, NodusTensor **text, NodusTensor **pooled);
/* Adds the files of the textual inversions that a prompt names. For nodes' `fingerprint`. */
NodusStatus text_fingerprint(NodusCall *call, const char *prompt, NodusHash *hash);
/* What encoding a short prompt will need, from the facts of the text encoder. For nodes' `cost`. */
NodusStatus text_cost(NodusCall *call, const NodusFacts *clip, NodusCost *out);
#endif
