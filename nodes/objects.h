/* objects.h: recipes that cross sockets: which noise, which sampler, which change of a latent. What they describe is made where
 * the sampling happens. */
#ifndef NODES_OBJECTS_H
#define NODES_OBJECTS_H
#include "nodes/diffusion/guider.h"
#include "nodes/diffusion/sampler.h"

typedef struct Noise {
    uint64_t seed;
    bool none; /* zeros instead of noise */
} Noise;

/* A sampler and its settings. One that needs the node it runs in for more than tensors makes its options there (`bind`, or NULL).
 */
typedef struct SamplerObject SamplerObject;
struct SamplerObject {
    const NodusSamplerDef *def;
    SamplerOptions options;
    NodusStatus (*bind)(NodusCall *call, const SamplerObject *self, const void **options);
    /* Of a sampler that resizes: by which filter, up to which ratio, in how many steps (−1: its own number). */
    const char *method;
    double ratio;
    int64_t steps;
    /* Of a sampler that goes back in time (sampler_repaint.h): what it wraps, and whether what an inpainting keeps gets new noise
     * whenever the network is asked. */
    struct { const NodusSamplerDef *base; int64_t length, jumps; bool new_noise; } repaint;
    /* Of a sampler that no table names: `def` points here, and its data is given to `release` in the end. */
    NodusSamplerDef own;
    void (*release)(const void *data);
};

/* A change of a latent: `apply` makes new samples of x [b, c, h, w], on the scratch list. Needs no call. */
typedef struct LatentOperation LatentOperation;
struct LatentOperation {
    const char *name;
    NodusStatus (*apply)(const LatentOperation *self, NodusMath *math, const NodusTensor *x, NodusTensor **out);
    int64_t radius;
    double sigma, strength;
};

/* GUIDER: a Guider with a model and lists of its own (shared copies). */
extern const NodusType type_noise, type_sampler, type_latent_operation, type_guider;
#endif
