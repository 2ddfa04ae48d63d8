/* objects.h: recipes that cross sockets: which noise, which sampler, which change of a latent. What they describe is made where the sampling happens. */
#ifndef NODES_OBJECTS_H
#define NODES_OBJECTS_H
#include <nodus/node.h>

typedef struct Noise {
    uint64_t seed;
    bool none; /* zeros instead of noise */
} Noise;

typedef struct SamplerObject {
    const NodusSamplerDef *def;
} SamplerObject;

/* A change of a latent: `apply` makes new samples of x [b, c, h, w], on the scratch list. Needs no call. */
typedef struct LatentOperation LatentOperation;
struct LatentOperation {
    const char *name;
    NodusStatus (*apply)(const LatentOperation *self, NodusMath *math, const NodusTensor *x, NodusTensor **out);
    int64_t radius;
    double sigma, strength;
};

extern const NodusType type_noise, type_sampler, type_latent_operation;
#endif
