/* isolate_sampler.c: a sampler whose code runs in a child process.
 *
 * One idea: the child samples with callbacks that ask here; each carries a latent there and back, which is little beside what the network
 * does with it. */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/graph/isolate.h"
#include "engine/tensor/device.h"
#include <string.h>

/* ---- What the sampler asks ----------------------------------------------------------------------------------------- */

static NodusStatus answer_tensor(NodusWriter *answer, NodusStatus said, const NodusTensor *tensor)
{
    const bool good = !said;
    NODUS_TRY(frame_put_status(answer, said));
    return good ? nodus_write_tensor(answer, tensor) : NULL;
}

/* A callback believes the shapes that it gets: a stranger's must be that of the latent. */
static NodusStatus get_latent(const Exchange *exchange, NodusReader *reader, const NodusTensor **out)
{
    NodusTensor *tensor;
    const NodusTensor *like = exchange->latent;
    NODUS_TRY(nodus_read_tensor(reader, &tensor));
    if (!tensor) return record_items_wrong(reader, "a latent is missing");
    bool fits = tensor->dtype == like->dtype && tensor->rank == like->rank;
    for (int i = 0; fits && i < like->rank; i++) fits = tensor->dim[i] == like->dim[i];
    *out = tensor;
    NODUS_TRY(math_keep(exchange->math, tensor));
    return fits ? NULL : record_items_wrong(reader, "a latent of another shape");
}

static NodusStatus get_float(NodusReader *reader, float *out)
{
    double number;
    NODUS_TRY(nodus_read_double(reader, &number));
    *out = (float)number;
    return NULL;
}

static NodusStatus serve_denoise(const Exchange *exchange, NodusReader *reader, NodusWriter *answer)
{
    const NodusSampling *s = exchange->sampling;
    const NodusTensor *x;
    NodusTensor *denoised = NULL, *uncond = NULL;
    float sigma;
    uint64_t wants_uncond;
    NODUS_TRY(get_latent(exchange, reader, &x));
    NODUS_TRY(get_float(reader, &sigma));
    NODUS_TRY(nodus_read_u64(reader, &wants_uncond));
    NodusStatus said = s->denoise(s->context, x, sigma, &denoised, wants_uncond ? &uncond : NULL);
    const bool good = !said;
    NODUS_TRY(answer_tensor(answer, said, denoised));
    if (good) NODUS_TRY(nodus_write_tensor(answer, uncond));
    nodus_tensor_release(s->math, (NodusTensor *)(uintptr_t)x);
    if (good) nodus_tensor_release(s->math, denoised);
    if (uncond && uncond != denoised) nodus_tensor_release(s->math, uncond);
    return NULL;
}

static NodusStatus serve_noise(const Exchange *exchange, NodusReader *reader, NodusWriter *answer)
{
    NodusTensor *noise = NULL;
    float from, to;
    NODUS_TRY(get_float(reader, &from));
    NODUS_TRY(get_float(reader, &to));
    NodusStatus said = exchange->sampling->noise(exchange->sampling->context, from, to, &noise);
    return answer_tensor(answer, said, noise);
}

static NodusStatus serve_add_noise(const Exchange *exchange, NodusReader *reader, NodusWriter *answer)
{
    const NodusTensor *x, *noise;
    NodusTensor *noised = NULL;
    float sigma;
    NODUS_TRY(get_latent(exchange, reader, &x));
    NODUS_TRY(get_latent(exchange, reader, &noise));
    NODUS_TRY(get_float(reader, &sigma));
    NodusStatus said = exchange->sampling->add_noise(exchange->sampling->context, x, noise, sigma, &noised);
    return answer_tensor(answer, said, noised);
}

static NodusStatus serve_step(const Exchange *exchange, NodusReader *reader, NodusWriter *answer)
{
    const NodusSampling *s = exchange->sampling;
    const NodusTensor *x, *denoised;
    uint64_t step;
    NODUS_TRY(nodus_read_u64(reader, &step));
    if (step > (uint64_t)s->steps) return record_items_wrong(reader, "a step that there is not");
    NODUS_TRY(get_latent(exchange, reader, &x));
    NODUS_TRY(get_latent(exchange, reader, &denoised));
    NodusStatus said = s->step_done(s->context, (int)step, x, denoised);
    nodus_tensor_release(s->math, (NodusTensor *)(uintptr_t)x); /* step_done keeps what it needs by reference */
    nodus_tensor_release(s->math, (NodusTensor *)(uintptr_t)denoised);
    return frame_put_status(answer, said);
}

static NodusStatus serve_percent(const Exchange *exchange, NodusReader *reader, NodusWriter *answer)
{
    double percent;
    NODUS_TRY(nodus_read_double(reader, &percent));
    if (!(percent >= 0 && percent <= 1)) return record_items_wrong(reader, "no place in a sampling");
    NODUS_TRY(frame_put_status(answer, NULL));
    return nodus_write_double(answer, (double)exchange->sampling->percent_sigma(exchange->sampling->context, percent));
}

static NodusStatus serve_draw(const Exchange *exchange, NodusReader *reader, NodusWriter *answer)
{
    size_t rank, bytes;
    int64_t dim[NODUS_MAX_RANK];
    NodusTensor *drawn = NULL;
    NODUS_TRY(frame_get_count(reader, NODUS_MAX_RANK, &rank));
    for (size_t i = 0; i < rank; i++) {
        uint64_t size;
        NODUS_TRY(nodus_read_u64(reader, &size));
        dim[i] = size > INT64_MAX ? -1 : (int64_t)size;
    }
    if (!dims_bytes(DTYPE_F32, (int)rank, dim, &bytes) || bytes > ISOLATE_DRAW)
        return record_items_wrong(reader, "noise of an impossible shape");
    NodusStatus said = exchange->sampling->draw(exchange->sampling->context, (int)rank, dim, &drawn);
    return answer_tensor(answer, said, drawn);
}

NodusStatus isolate_serve_sampler(const Exchange *exchange, FrameKind kind, NodusReader *reader, NodusWriter *answer)
{
    switch (kind) {
    case FRAME_DENOISE: return serve_denoise(exchange, reader, answer);
    case FRAME_NOISE: return serve_noise(exchange, reader, answer);
    case FRAME_ADD_NOISE: return serve_add_noise(exchange, reader, answer);
    case FRAME_STEP: return serve_step(exchange, reader, answer);
    case FRAME_PERCENT: return serve_percent(exchange, reader, answer);
    default: return serve_draw(exchange, reader, answer);
    }
}

/* ---- The call ------------------------------------------------------------------------------------------------------ */

static NodusStatus put_sampling(NodusWriter *body, const NodusSampling *s, const IsolatedTable *table, const NodusTensor *x)
{
    NODUS_TRY(nodus_write_u64(body, table->index));
    NODUS_TRY(nodus_write_u64(body, s->seed));
    NODUS_TRY(nodus_write_u64(body, s->flow));
    NODUS_TRY(nodus_write_u64(body, (uint64_t)s->steps));
    for (int i = 0; i <= s->steps; i++) NODUS_TRY(nodus_write_double(body, (double)s->sigmas[i]));
    return nodus_write_tensor(body, x);
}

static NodusStatus take_latent(const Exchange *exchange, NodusReader *reader, NodusTensor **out)
{
    const NodusTensor *latent;
    NODUS_TRY(get_latent(exchange, reader, &latent));
    *out = (NodusTensor *)(uintptr_t)latent;
    return NULL;
}

NodusStatus isolate_sample(const NodusSampling *sampling, const void *options, const NodusTensor *x, NodusTensor **out)
{
    const IsolatedTable *table = options;
    const Exchange exchange = {
        .isolated = table->owner, .sampling = sampling, .math = sampling->math, .latent = x, .who = "while it sampled"};
    NodusWriter body = {.limit = SIZE_MAX, .raw = true};
    Frame done = {0};
    NodusReader reader;
    NodusStatus status = put_sampling(&body, sampling, table, x);
    if (!status) status = isolate_exchange(&exchange, FRAME_SAMPLE, &body, &done, &reader);
    if (!status) status = take_latent(&exchange, &reader, out);
    memory_free(body.data);
    frame_free(&done);
    return status;
}
