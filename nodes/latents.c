/* latents.c: what the latent nodes share: checked inputs, views, resizing, results, facts; see latents.h. */
#include "nodes/latents.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "nodes/resize.h"
#include <string.h>

/* ---- Inputs -------------------------------------------------------------------------------------------------------- */

NodusStatus latent_check(NodusCall *call, const char *input, const Latent *latent)
{
    const int rank = nodus_tensor_rank(latent->samples);
    if (rank != 4)
        return nodus_input_error(call, input, "has %d dimensions: only latents of pictures, with 4, are understood here", rank);
    if (!nodus_tensor_count(latent->samples)) return nodus_input_error(call, input, "is a latent without cells");
    return NULL;
}

static NodusStatus channels_differ(NodusCall *call, const char *first, int64_t a, const char *second, int64_t b)
{
    return nodus_input_error(call, second, "has %d channels, %s has %d: are they from two model families?", (int)b, first,
                             (int)a);
}

NodusStatus latent_check_pair(NodusCall *call, const char *first, const Latent *a, const char *second, const Latent *b)
{
    NODUS_TRY(latent_check(call, first, a));
    NODUS_TRY(latent_check(call, second, b));
    const int64_t has = nodus_tensor_dim(a->samples, 1), other = nodus_tensor_dim(b->samples, 1);
    return has == other ? NULL : channels_differ(call, first, has, second, other);
}

NodusStatus latent_mask(NodusCall *call, const char *input, const NodusTensor *mask, NodusTensor **out)
{
    Pixels size;
    NodusTensor *flat;
    NODUS_TRY(pixels_mask(call, input, mask, &flat, &size));
    return nodus_tensor_reshape(nodus_math(call), out, flat, 4, (int64_t[]){size.batch, 1, size.height, size.width});
}

/* ---- Views and sizes ------------------------------------------------------------------------------------------------- */

NodusStatus latent_picture(NodusCall *call, const NodusTensor *samples, NodusTensor **out)
{
    return nodus_tensor_permute(nodus_math(call), out, samples, (int[]){0, 2, 3, 1});
}

NodusStatus latent_planes(NodusCall *call, const NodusTensor *picture, NodusTensor **out)
{
    return nodus_tensor_permute(nodus_math(call), out, picture, (int[]){0, 3, 1, 2});
}

NodusStatus latent_resize(NodusCall *call, const NodusTensor *samples, int64_t width, int64_t height, const char *method,
                          bool centre, NodusTensor **out)
{
    NodusTensor *picture, *part, *resized;
    if (width < 1 || height < 1)
        return nodus_error(NODUS_ERROR_INPUT, "a latent of %lld × %lld cells has no size", (long long)width, (long long)height);
    NODUS_TRY(latent_picture(call, samples, &picture));
    if (!strcmp(method, "bislerp")) {
        if (centre) NODUS_TRY(resize_crop(call, picture, width, height, &part));
        else part = picture;
        return latent_bislerp(call, part, width, height, out);
    }
    NODUS_TRY(resize_image(call, picture, width, height, method, centre, &resized));
    return latent_planes(call, resized, out);
}

NodusStatus latent_fit(NodusCall *call, const NodusTensor *samples, const NodusTensor *like, const char *method,
                       NodusTensor **out)
{
    const int64_t height = nodus_tensor_dim(like, 2), width = nodus_tensor_dim(like, 3);
    if (nodus_tensor_dim(samples, 2) == height && nodus_tensor_dim(samples, 3) == width)
        return nodus_tensor_slice(nodus_math(call), out, samples, 0, 0, nodus_tensor_dim(samples, 0));
    return latent_resize(call, samples, width, height, method, true, out);
}

/* ---- Results --------------------------------------------------------------------------------------------------------- */

const NodusOutput latent_outputs[1] = {{.name = "LATENT", .type = "LATENT", .tooltip = "The latent."}};

NodusStatus latent_emit_parts(NodusCall *call, uint32_t slot, const NodusTensor *samples, const NodusTensor *mask,
                              const int64_t *index)
{
    const int64_t batch = nodus_tensor_dim(samples, 0);
    Latent *latent = memory_alloc(sizeof *latent);
    int64_t *copy = latent && index ? memory_array((size_t)batch, sizeof *copy) : NULL;
    if (!latent || (index && !copy)) {
        memory_free(latent);
        return status_memory();
    }
    if (index) memcpy(copy, index, (size_t)batch * sizeof *copy);
    *latent =
        (Latent){.samples = nodus_tensor_ref(samples), .noise_mask = nodus_tensor_ref(mask), .batch_index = copy, .batch = batch};
    return nodus_emit(call, slot, &type_latent, latent);
}

const NodusTensor *nodus_latent_samples(const void *latent)
{
    return ((const Latent *)latent)->samples;
}

NodusStatus nodus_emit_latent(NodusCall *call, uint32_t slot, const void *like, const NodusTensor *samples)
{
    const int rank = nodus_tensor_rank(samples);
    if (rank != 4 && rank != 5) return nodus_error(NODUS_ERROR_INTERNAL, "a LATENT has 4 or 5 dimensions, not %d", rank);
    return latent_emit(call, slot, like, samples);
}

NodusStatus latent_emit(NodusCall *call, uint32_t slot, const Latent *like, const NodusTensor *samples)
{
    const bool kept = like && like->batch == nodus_tensor_dim(samples, 0);
    return latent_emit_parts(call, slot, samples, like ? like->noise_mask : NULL, kept ? like->batch_index : NULL);
}

/* ---- Facts ----------------------------------------------------------------------------------------------------------- */

NodusStatus latent_infer_same(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    (void)call;
    (void)args;
    if (in[0].rank) out[0] = in[0];
    return NULL;
}

void latent_facts(NodusFacts *out, int64_t batch, int64_t channels, int64_t height, int64_t width)
{
    *out = (NodusFacts){.struct_size = sizeof *out, .rank = 4, .dim = {batch, channels, height, width}};
}

NodusStatus latent_infer_pair(NodusCall *call, const char *first, const char *second, const NodusFacts *in)
{
    const int64_t has = in[0].rank == 4 ? in[0].dim[1] : 0, other = in[1].rank == 4 ? in[1].dim[1] : 0;
    return !has || !other || has == other ? NULL : channels_differ(call, first, has, second, other);
}
