/* picture_webp.c: WebP by libwebp, still and moving.
 *
 * One idea: the features in the header (canvas, alpha, animation) are checked before a pixel is decoded; an animation's frames
 * come from libwebp's own player, each as the whole canvas that a viewer would see. */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/formats/picture_formats.h"
#include <string.h>
#include <webp/decode.h>
#include <webp/demux.h>

static const char damaged[] = "it is damaged or cut off";

static int orientation_of(const WebPDemuxer *demuxer)
{
    WebPChunkIterator chunk;
    int orientation = 1;
    if (WebPDemuxGetChunk(demuxer, "EXIF", 1, &chunk)) orientation = picture_orientation(chunk.chunk.bytes, chunk.chunk.size);
    WebPDemuxReleaseChunkIterator(&chunk);
    return orientation;
}

static NodusStatus read_still(const uint8_t *data, size_t size, Picture *out)
{
    const size_t pixels = (size_t)out->width * out->height;
    out->frames = 1;
    out->rgba = memory_array(pixels, 4);
    if (!out->rgba) return status_memory();
    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config)) return nodus_error(NODUS_ERROR_INTERNAL, "another libwebp than nodus was built for");
    config.output.colorspace = MODE_RGBA;
    config.output.u.RGBA = (WebPRGBABuffer){out->rgba, out->width * 4, pixels * 4};
    config.output.is_external_memory = 1;
    const VP8StatusCode code = WebPDecode(data, size, &config);
    if (code == VP8_STATUS_OUT_OF_MEMORY) return status_memory();
    return code == VP8_STATUS_OK ? NULL : nodus_error(NODUS_ERROR_FILE, "%s", damaged);
}

static NodusStatus read_frames(WebPAnimDecoder *player, size_t most_pixels, Picture *out)
{
    while (WebPAnimDecoderHasMoreFrames(player)) {
        uint8_t *canvas;
        int end_time;
        if (!WebPAnimDecoderGetNext(player, &canvas, &end_time)) return nodus_error(NODUS_ERROR_FILE, "%s", damaged);
        NODUS_TRY(picture_add_frame(out, canvas, most_pixels));
    }
    return out->frames ? NULL : nodus_error(NODUS_ERROR_FILE, "it has no frames");
}

static NodusStatus read_moving(const WebPData *file, size_t most_pixels, Picture *out)
{
    WebPAnimDecoder *player = WebPAnimDecoderNew(file, NULL);
    if (!player) return nodus_error(NODUS_ERROR_FILE, "%s", damaged);
    NodusStatus status = read_frames(player, most_pixels, out);
    WebPAnimDecoderDelete(player);
    return status;
}

/* What a WebP without alpha decodes to is opaque; the frames of an animation need not fill its canvas. */
static void make_opaque(Picture *picture)
{
    const size_t pixels = (size_t)picture->width * picture->height * (size_t)picture->frames;
    for (size_t i = 0; i < pixels; i++) picture->rgba[4 * i + 3] = 255;
}

NodusStatus webp_decode(const uint8_t *data, size_t size, size_t most_pixels, Picture *out)
{
    WebPBitstreamFeatures features;
    const WebPData file = {data, size};
    if (WebPGetFeatures(data, size, &features) != VP8_STATUS_OK) return nodus_error(NODUS_ERROR_FILE, "%s", damaged);
    NODUS_TRY(picture_check_size((uint64_t)features.width, (uint64_t)features.height, most_pixels));
    WebPDemuxer *demuxer = WebPDemux(&file);
    if (!demuxer) return nodus_error(NODUS_ERROR_FILE, "%s", damaged);
    const int orientation = orientation_of(demuxer);
    const uint32_t frames = WebPDemuxGetI(demuxer, WEBP_FF_FRAME_COUNT);
    WebPDemuxDelete(demuxer);
    if (features.has_animation && frames > most_pixels / ((size_t)features.width * (size_t)features.height))
        return nodus_error(NODUS_ERROR_FILE, "its %u frames of %d x %d have more than %zu million pixels", frames, features.width,
                           features.height, most_pixels / 1000000);
    *out = (Picture){.width = features.width, .height = features.height, .has_alpha = features.has_alpha};
    NODUS_TRY(features.has_animation ? read_moving(&file, most_pixels, out) : read_still(data, size, out));
    if (!out->has_alpha) make_opaque(out);
    return picture_turn(out, orientation);
}

PictureSize webp_size(const uint8_t *data, size_t size)
{
    PictureSize out = {.alpha = -1};
    WebPBitstreamFeatures features;
    const WebPData file = {data, size};
    WebPDemuxer *demuxer = WebPGetFeatures(data, size, &features) == VP8_STATUS_OK ? WebPDemux(&file) : NULL;
    if (!demuxer) return out;
    const bool swap = picture_turn_swaps(orientation_of(demuxer));
    out.width = swap ? features.height : features.width;
    out.height = swap ? features.width : features.height;
    out.frames = (int)WebPDemuxGetI(demuxer, WEBP_FF_FRAME_COUNT);
    out.alpha = features.has_alpha;
    WebPDemuxDelete(demuxer);
    return out;
}
