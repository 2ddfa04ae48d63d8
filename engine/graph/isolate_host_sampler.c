/* isolate_host_sampler.c: a sampler of the plug-in, called in the child process: its callbacks ask over the socket. */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/graph/isolate.h"
#include "engine/tensor/device.h"

enum { MOST_STEPS = 1 << 20 };

/* ---- Callbacks ----------------------------------------------------------------------------------------------------- */

typedef struct HostSampling {
    Host *host;
    NodusMath math;
} HostSampling;

static NodusStatus get_tensor(HostSampling *s, NodusReader *reader, NodusTensor **out)
{
    NODUS_TRY(nodus_read_tensor(reader, out));
    return *out ? math_keep(&s->math, *out) : NULL;
}

/* Asks for up to two tensors; `body` is freed. */
static NodusStatus ask(HostSampling *s, FrameKind kind, NodusWriter *body, NodusStatus written, NodusTensor **first, NodusTensor **second)
{
    Frame answer = {0};
    NodusReader reader;
    NodusStatus status = written ? written : isolate_ask(s->host, kind, body, &answer, &reader);
    if (!status && first) status = get_tensor(s, &reader, first);
    if (!status && second) status = get_tensor(s, &reader, second);
    memory_free(body->data);
    frame_free(&answer);
    return status;
}

static NodusStatus denoise(void *context, const NodusTensor *x, float sigma, NodusTensor **denoised, NodusTensor **uncond)
{
    NodusWriter body = {.limit = SIZE_MAX, .raw = true};
    NodusStatus status = nodus_write_tensor(&body, x);
    if (!status) status = nodus_write_double(&body, (double)sigma);
    if (!status) status = nodus_write_u64(&body, uncond != NULL);
    return ask(context, FRAME_DENOISE, &body, status, denoised, uncond);
}

static NodusStatus noise(void *context, float from, float to, NodusTensor **out)
{
    NodusWriter body = {.limit = SIZE_MAX};
    NodusStatus status = nodus_write_double(&body, (double)from);
    if (!status) status = nodus_write_double(&body, (double)to);
    return ask(context, FRAME_NOISE, &body, status, out, NULL);
}

static NodusStatus add_noise(void *context, const NodusTensor *x, const NodusTensor *given, float sigma, NodusTensor **out)
{
    NodusWriter body = {.limit = SIZE_MAX, .raw = true};
    NodusStatus status = nodus_write_tensor(&body, x);
    if (!status) status = nodus_write_tensor(&body, given);
    if (!status) status = nodus_write_double(&body, (double)sigma);
    return ask(context, FRAME_ADD_NOISE, &body, status, out, NULL);
}

static NodusStatus step_done(void *context, int step, const NodusTensor *x, const NodusTensor *denoised)
{
    NodusWriter body = {.limit = SIZE_MAX, .raw = true};
    NodusStatus status = nodus_write_u64(&body, (uint64_t)step);
    if (!status) status = nodus_write_tensor(&body, x);
    if (!status) status = nodus_write_tensor(&body, denoised);
    return ask(context, FRAME_STEP, &body, status, NULL, NULL);
}

/* NaN where it cannot be asked: what is made of it shows. */
static float percent_sigma(void *context, double percent)
{
    HostSampling *s = context;
    Frame answer = {0};
    NodusReader reader;
    NodusWriter body = {.limit = SIZE_MAX};
    double sigma = 0;
    NodusStatus status = nodus_write_double(&body, percent);
    if (!status) status = isolate_ask(s->host, FRAME_PERCENT, &body, &answer, &reader);
    if (!status) status = nodus_read_double(&reader, &sigma);
    if (status) sigma = __builtin_nan("");
    nodus_error_free(status);
    memory_free(body.data);
    frame_free(&answer);
    return (float)sigma;
}

static NodusStatus draw(void *context, int rank, const int64_t *dim, NodusTensor **out)
{
    NodusWriter body = {.limit = SIZE_MAX};
    NodusStatus status = nodus_write_u64(&body, (uint64_t)rank);
    for (int i = 0; i < rank && !status; i++) status = nodus_write_u64(&body, (uint64_t)dim[i]);
    return ask(context, FRAME_DRAW, &body, status, out, NULL);
}

/* ---- The call ------------------------------------------------------------------------------------------------------ */

static NodusStatus get_sigmas(NodusReader *reader, float **out, int *steps)
{
    size_t count;
    NODUS_TRY(frame_get_count(reader, MOST_STEPS, &count));
    float *sigmas = *out = memory_array(count + 1, sizeof *sigmas);
    if (!sigmas) return status_memory();
    for (size_t i = 0; i <= count; i++) {
        double sigma;
        NODUS_TRY(nodus_read_double(reader, &sigma));
        sigmas[i] = (float)sigma;
    }
    *steps = (int)count;
    return NULL;
}

static NodusStatus sample(HostSampling *s, const NodusSamplerDef *def, NodusSampling *sampling, NodusReader *reader, NodusWriter *done)
{
    NodusTensor *x = NULL, *out = NULL;
    uint64_t flow;
    float *sigmas = NULL;
    NODUS_TRY(nodus_read_u64(reader, &sampling->seed));
    NODUS_TRY(nodus_read_u64(reader, &flow));
    sampling->flow = flow != 0;
    NodusStatus status = get_sigmas(reader, &sigmas, &sampling->steps);
    sampling->sigmas = sigmas;
    if (!status) status = get_tensor(s, reader, &x);
    if (!status && !x) status = record_items_wrong(reader, "a latent is missing");
    if (!status) status = def->run(sampling, def->data, x, &out);
    if (!status) status = frame_put_status(done, NULL);
    if (!status) status = nodus_write_tensor(done, out);
    memory_free(sigmas);
    return status;
}

NodusStatus isolate_host_sample(Host *host, NodusReader *reader, NodusWriter *done)
{
    static const Cancel never;
    uint64_t index;
    const NodusEngine *engine = host->engine;
    const Staged *samplers = &host->plugin->stage[PLUGIN_SAMPLER];
    NODUS_TRY(nodus_read_u64(reader, &index));
    if (index >= samplers->count) return record_items_wrong(reader, "a sampler that the plug-in does not have");
    HostSampling s = {.host = host};
    s.math = (NodusMath){
        .device = engine->device, .pool = engine->pool, .cancel = &never, .plans = engine->plans, .weights = engine->weights};
    NodusSampling sampling = {.struct_size = sizeof sampling, .math = &s.math, .context = &s, .denoise = denoise, .noise = noise,
                              .add_noise = add_noise, .step_done = step_done, .percent_sigma = percent_sigma, .draw = draw};
    NodusStatus status = sample(&s, samplers->item[index], &sampling, reader, done);
    math_clear(&s.math);
    return status;
}
