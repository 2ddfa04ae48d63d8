/* picture_size.c: what the first bytes of a picture tell of it, without reading its pixels.
 *
 * One idea: only what is certain. A format whose header does not settle the size (frames of a GIF, a palette that may be
 * transparent) leaves the field open; a damaged file is found when it is read. */
#include "engine/formats/picture.h"
#include <stdio.h>
#include <string.h>

enum { PNG_START = 26, PNG_GREY = 0, PNG_RGB = 2, PNG_GREY_ALPHA = 4, PNG_RGBA = 6, GIF_START = 10 };

static int big_endian(const uint8_t *at)
{
    const uint32_t number = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
    return number > PICTURE_MAX_SIDE ? 0 : (int)number;
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
    } else if (size >= GIF_START && (!memcmp(data, "GIF87a", 6) || !memcmp(data, "GIF89a", 6))) {
        out.width = data[6] | data[7] << 8;
        out.height = data[8] | data[9] << 8;
    }
    if (!out.width || !out.height) return (PictureSize){.alpha = -1};
    return out;
}

PictureSize picture_size(const char *path)
{
    uint8_t start[PNG_START];
    FILE *file = fopen(path, "rbe");
    const size_t size = file ? fread(start, 1, sizeof start, file) : 0;
    if (file) fclose(file);
    return picture_size_of(start, size);
}
