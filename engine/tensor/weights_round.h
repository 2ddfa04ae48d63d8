/* weights_round.h: a weight's values in another type. */
#ifndef TENSOR_WEIGHTS_ROUND_H
#define TENSOR_WEIGHTS_ROUND_H
#include "engine/tensor/weights.h"
NodusStatus weights_convert(const Weight *weight, int dtype, void *out);
NodusStatus weights_round(const Weight *weight, uint16_t *out); /* to f16 */
NodusStatus weights_round_numbers(const float *numbers, int64_t count, uint16_t *out);
#endif
