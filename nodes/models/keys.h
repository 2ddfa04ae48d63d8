/* keys.h: reading a network's sizes from the names and shapes of a state dict. Files are hostile: every size is bounded, every error names the key. */
#ifndef MODELS_KEYS_H
#define MODELS_KEYS_H
#include "engine/tensor/weights.h"

enum { KEYS_LONGEST = 512, KEYS_MAX_SIZE = 1 << 20 /* of one dimension of a weight */ };

/* The weight named `prefix` followed by the formatted text, or NULL. */
const Weight *keys_get(const WeightSet *weights, const char *prefix, const char *format, ...) NODUS_PRINTF(3, 4);
/* One dimension of a weight that must exist with `rank` (0: any rank that has the axis): 1 … KEYS_MAX_SIZE. */
NodusStatus keys_size(const WeightSet *weights, const char *prefix, const char *suffix, int rank, int axis, int *out);
/* How many weights prefix + before + N + after exist, N = 0, 1, 2 … without a gap; more than `most` is an error. */
NodusStatus keys_count(const WeightSet *weights, const char *prefix, const char *before, const char *after, int most, int *out);
/* Whether any name starts with `prefix`, or contains `piece`. */
bool keys_any_prefix(const WeightSet *weights, const char *prefix);
bool keys_any_piece(const WeightSet *weights, const char *piece);
/* Copies a prefix into a config's field of `room` bytes; an error when it does not fit. */
NodusStatus keys_prefix(const char *prefix, char *out, size_t room);
#endif
