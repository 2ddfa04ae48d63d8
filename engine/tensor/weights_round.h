/* weights_round.h: a weight's values rounded to f16, for files of this room. */
#ifndef TENSOR_WEIGHTS_ROUND_H
#define TENSOR_WEIGHTS_ROUND_H
#include "engine/tensor/weights.h"
NodusStatus weights_round(const Weight *weight, uint16_t *out);
#endif
