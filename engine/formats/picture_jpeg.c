/* picture_jpeg.c: JPEG by libjpeg-turbo.
 *
 * One idea: the header tells size and colours before anything is decoded; then one call decodes. Its exact transform is asked
 * for, which Pillow uses too. A file with four colours is print (CMYK): stored inverted, as all programs do, and brought to RGB
 * here. Warnings about odd but whole files pass; a file that ends early does not. */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/formats/picture_formats.h"
#include <string.h>
#include <turbojpeg.h>

enum { FLAGS = TJFLAG_ACCURATEDCT | TJFLAG_LIMITSCANS, MARKER = 0xff, APP1 = 0xe1, SCAN = 0xda, FRAME_BYTES = 4 };

/* The EXIF block, if there is one before the pixels. */
static int orientation_of(const uint8_t *data, size_t size)
{
    for (size_t at = 2; size - at > FRAME_BYTES && data[at] == MARKER && data[at + 1] != SCAN;) {
        const size_t length = (size_t)data[at + 2] << 8 | data[at + 3];
        if (length < 2 || length > size - at - 2) break;
        if (data[at + 1] == APP1 && length >= 8 && !memcmp(data + at + 4, "Exif\0", 6))
            return picture_orientation(data + at + 4, length - 2);
        at += 2 + length;
    }
    return 1;
}

static NodusStatus jpeg_failed(tjhandle jpeg)
{
    const char *reason = tjGetErrorStr2(jpeg);
    if (strstr(reason, "nsufficient memory") || strstr(reason, "emory allocation")) return status_memory();
    return nodus_error(NODUS_ERROR_FILE, "it is damaged (%s)", reason);
}

static NodusStatus decode_into(tjhandle jpeg, const uint8_t *data, size_t size, int format, Picture *out)
{
    if (!tjDecompress2(jpeg, data, size, out->rgba, out->width, 0, out->height, format, FLAGS)) return NULL;
    const bool passes = tjGetErrorCode(jpeg) == TJERR_WARNING && !strstr(tjGetErrorStr2(jpeg), "Premature end");
    return passes ? NULL : jpeg_failed(jpeg);
}

/* ink·key/255, rounded */
static uint8_t shade(int ink, int key)
{
    const int product = ink * key + 128;
    return (uint8_t)((product + (product >> 8)) >> 8);
}

/* The values are inverted: 255 is no ink. */
static void cmyk_to_rgba(uint8_t *pixels, size_t count)
{
    for (uint8_t *p = pixels; p < pixels + 4 * count; p += 4) {
        const int key = p[3];
        for (int i = 0; i < 3; i++) p[i] = (uint8_t)(key - shade(255 - p[i], key));
        p[3] = 255;
    }
}

static NodusStatus jpeg_read(tjhandle jpeg, const uint8_t *data, size_t size, size_t most_pixels, Picture *out)
{
    int subsampling, colours;
    if (tjDecompressHeader3(jpeg, data, size, &out->width, &out->height, &subsampling, &colours)) return jpeg_failed(jpeg);
    NODUS_TRY(picture_check_size((uint64_t)out->width, (uint64_t)out->height, most_pixels));
    const bool print = colours == TJCS_CMYK || colours == TJCS_YCCK;
    const size_t pixels = (size_t)out->width * out->height;
    out->frames = 1;
    out->rgba = memory_array(pixels, 4);
    if (!out->rgba) return status_memory();
    NODUS_TRY(decode_into(jpeg, data, size, print ? TJPF_CMYK : TJPF_RGBA, out));
    if (print) cmyk_to_rgba(out->rgba, pixels);
    return picture_turn(out, orientation_of(data, size));
}

NodusStatus jpeg_decode(const uint8_t *data, size_t size, size_t most_pixels, Picture *out)
{
    tjhandle jpeg = tjInitDecompress();
    if (!jpeg) return status_memory();
    NodusStatus status = jpeg_read(jpeg, data, size, most_pixels, out);
    tjDestroy(jpeg);
    return status;
}

PictureSize jpeg_size(const uint8_t *data, size_t size)
{
    PictureSize out = {.alpha = -1};
    int width, height, subsampling, colours;
    tjhandle jpeg = tjInitDecompress();
    if (!jpeg) return out;
    if (!tjDecompressHeader3(jpeg, data, size, &width, &height, &subsampling, &colours)) {
        const bool swap = picture_turn_swaps(orientation_of(data, size));
        out = (PictureSize){.width = swap ? height : width, .height = swap ? width : height, .frames = 1, .alpha = 0};
    }
    tjDestroy(jpeg);
    return out;
}
