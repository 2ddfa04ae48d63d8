/* picture_size.c: what the header of a picture tells of it, without reading its pixels.
 *
 * One idea: only what is certain. A format whose header does not settle the size (frames of a GIF, a palette that may be
 * transparent) leaves the field open; a damaged file is found when it is read. */
#include "engine/base/file.h"
#include "engine/formats/picture_formats.h"
#include <string.h>

enum { PNG_START = 26, PNG_FIRST_CHUNK = 33, PNG_FRAME = 12, PNG_GREY = 0, PNG_RGB = 2, PNG_GREY_ALPHA = 4, PNG_RGBA = 6, GIF_START = 10 };

static int big_endian(const uint8_t *at)
{
    const uint32_t number = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
    return number > PICTURE_MAX_SIDE ? 0 : (int)number;
}

/* Whether an EXIF chunk before the pixels may turn a PNG, so that its header does not settle the size. */
static bool png_may_turn(const uint8_t *data, size_t size)
{
    for (size_t at = PNG_FIRST_CHUNK; size > at && size - at >= PNG_FRAME && memcmp(data + at + 4, "IDAT", 4);) {
        const size_t length = (size_t)data[at] << 24 | (size_t)data[at + 1] << 16 | (size_t)data[at + 2] << 8 | data[at + 3];
        if (!memcmp(data + at + 4, "eXIf", 4)) return true;
        at += PNG_FRAME + length;
    }
    return false;
}

PictureSize picture_size_of(const uint8_t *data, size_t size)
{
    static const char png[] = "\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR";
    PictureSize out = {.alpha = -1};
    if (size >= PNG_START && !memcmp(data, png, sizeof png - 1)) {
        const uint8_t colour = data[25];
        out = (PictureSize){.width = big_endian(data + 16), .height = big_endian(data + 20), .frames = 1, .alpha = -1};
        if (colour == PNG_GREY || colour == PNG_RGB) out.alpha = 0;
        if (colour == PNG_GREY_ALPHA || colour == PNG_RGBA) out.alpha = 1;
        if (png_may_turn(data, size)) return (PictureSize){.frames = 1, .alpha = -1};
    } else if (size >= 3 && !memcmp(data, "\xff\xd8\xff", 3)) {
        out = jpeg_size(data, size);
    } else if (size >= 12 && !memcmp(data, "RIFF", 4) && !memcmp(data + 8, "WEBP", 4)) {
        out = webp_size(data, size);
    } else if (size >= GIF_START && (!memcmp(data, "GIF87a", 6) || !memcmp(data, "GIF89a", 6))) {
        out.width = data[6] | data[7] << 8;
        out.height = data[8] | data[9] << 8;
    }
    if (!out.width || !out.height) return (PictureSize){.alpha = -1};
    return out;
}

PictureSize picture_size(const char *path)
{
    FileMap map;
    NodusStatus status = file_map(path, &map);
    nodus_error_free(status);
    if (status) return (PictureSize){.alpha = -1};
    const PictureSize size = picture_size_of(map.data, map.size);
    file_unmap(&map);
    return size;
}
