/* sigmas.h: what the nodes that make and change lists of noise levels share. SIGMAS is a tensor [n]. */
#ifndef NODES_SIGMAS_H
#define NODES_SIGMAS_H
#include <nodus/node.h>

enum { SIGMAS_MAX_STEPS = 10000 };

/* Emits `count` (≥ 0) noise levels; an error that names `input` if one is no finite number. */
NodusStatus sigmas_emit(NodusCall *call, uint32_t slot, const char *input, const float *sigma, int64_t count);
/* Room for `count` noise levels for as long as the call; NULL when out of memory. */
float *sigmas_room(NodusCall *call, int64_t count);
/* The facts of a list of `count` noise levels; 0: not known. */
NodusStatus sigmas_facts(NodusFacts *out, int64_t count);

extern const NodusOutput sigmas_outputs[1];

#define SIGMAS_STEPS(Args_, def_) \
    NODUS_IN_INT("steps", Args_, steps, "In how many steps the noise is removed.", .def = def_, .min = 1, .max = SIGMAS_MAX_STEPS)
#define SIGMAS_DENOISE(Args_) \
    NODUS_IN_FLOAT("denoise", Args_, denoise, "Which part of the noise levels is kept, from the end; 1: all.", .def = 1, .min = 0, .max = 1, .step = 0.01)
#define SIGMAS_NUMBER(Args_, name_, help_, def_, min_, max_, step_) \
    NODUS_IN_FLOAT(#name_, Args_, name_, help_, .def = def_, .min = min_, .max = max_, .step = step_, .round = NODUS_NO_ROUND)
#define SIGMAS_NODE(name_, group_, Args_, inputs_, outputs_) \
    NODUS_NODE(name_, name_, "sampling/custom_sampling/" group_, Args_, inputs_, outputs_), .example = "graphs/objects.json"
#endif
