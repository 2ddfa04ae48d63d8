/* picture.c: which decoder reads a picture.
 *
 * One idea: the first bytes decide, never the file's name, and a format that is known but not read is refused by name, so that
 * the user knows what to convert. */
#include "engine/formats/picture.h"
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/formats/picture_formats.h"
#include <string.h>

enum { FILE_LIMIT = 1 << 29 };

typedef NodusStatus (*Decoder)(const uint8_t *data, size_t size, size_t most_pixels, Picture *out);

static const struct {
    const char *magic;
    uint8_t length, offset;
    Decoder decode;
    const char *refused; /* what it is, when nothing decodes it */
} formats[] = {
    {"\x89PNG\r\n\x1a\n", 8, 0, png_decode, NULL},
    {"GIF87a", 6, 0, stb_decode_gif, NULL},
    {"GIF89a", 6, 0, stb_decode_gif, NULL},
    {"BM", 2, 0, stb_decode, NULL},
    {"P5", 2, 0, pnm_decode, NULL},
    {"P6", 2, 0, pnm_decode, NULL},
    {"8BPS", 4, 0, stb_decode, NULL},
    {"#?RADIANCE", 10, 0, stb_decode, NULL},
    {"#?RGBE", 6, 0, stb_decode, NULL},
    {"\xff\xd8\xff", 3, 0, jpeg_decode, NULL},
    {"WEBP", 4, 8, webp_decode, NULL},
    {"ftypavif", 8, 4, NULL, "an AVIF, which nodus does not read"},
    {"ftypheic", 8, 4, NULL, "a HEIC, which nodus does not read"},
    {"\0\0\0\x0cJXL \r\n\x87\n", 12, 0, NULL, "a JPEG XL, which nodus does not read"},
    {"\xff\x0a", 2, 0, NULL, "a JPEG XL, which nodus does not read"},
    {"II*\0", 4, 0, NULL, "a TIFF, which nodus does not read"},
    {"MM\0*", 4, 0, NULL, "a TIFF, which nodus does not read"},
    {"<svg", 4, 0, NULL, "an SVG drawing, which nodus does not read"},
};
enum { FORMATS = sizeof formats / sizeof *formats };

NodusStatus picture_check_size(uint64_t width, uint64_t height, size_t most_pixels)
{
    if (!width || !height) return nodus_error(NODUS_ERROR_FILE, "it has no pixels");
    if (width > PICTURE_MAX_SIDE || height > PICTURE_MAX_SIDE)
        return nodus_error(NODUS_ERROR_FILE, "it has %llu x %llu pixels; the longest side allowed is %d",
                           (unsigned long long)width, (unsigned long long)height, PICTURE_MAX_SIDE);
    if (width * height > most_pixels)
        return nodus_error(NODUS_ERROR_FILE, "it has %llu x %llu pixels; at most %zu million are allowed",
                           (unsigned long long)width, (unsigned long long)height, most_pixels / 1000000);
    return NULL;
}

NodusStatus picture_add_frame(Picture *out, const uint8_t *frame, size_t most_pixels)
{
    const size_t pixels = (size_t)out->width * out->height, frames = (size_t)out->frames + 1;
    if (frames > most_pixels / pixels)
        return nodus_error(NODUS_ERROR_FILE, "its %zu or more frames of %d x %d have more than %zu million pixels", frames,
                           out->width, out->height, most_pixels / 1000000);
    uint8_t *grown = memory_grow(out->rgba, frames, pixels * 4);
    if (!grown) return status_memory();
    memcpy(grown + (frames - 1) * pixels * 4, frame, pixels * 4);
    out->rgba = grown;
    out->frames = (int)frames;
    return NULL;
}

static NodusStatus decode(const uint8_t *data, size_t size, size_t most_pixels, Picture *out)
{
    if (!size) return nodus_error(NODUS_ERROR_FILE, "it is empty (0 bytes)");
    for (int i = 0; i < FORMATS; i++) {
        const size_t end = (size_t)formats[i].offset + formats[i].length;
        if (size < end || memcmp(data + formats[i].offset, formats[i].magic, formats[i].length)) continue;
        if (formats[i].decode) return formats[i].decode(data, size, most_pixels, out);
        return nodus_error(NODUS_ERROR_MISSING, "it is %s; convert it to PNG", formats[i].refused);
    }
    return stb_decode(data, size, most_pixels, out); /* TGA has no magic */
}

NodusStatus picture_decode_limited(const char *name, const uint8_t *data, size_t size, size_t most_pixels, Picture *out)
{
    *out = (Picture){0};
    NodusStatus status = decode(data, size, most_pixels, out);
    if (!status) return NULL;
    picture_free(out);
    return nodus_error_prefix(status, "picture '%s'", name);
}

NodusStatus picture_decode(const char *name, const uint8_t *data, size_t size, Picture *out)
{
    return picture_decode_limited(name, data, size, PICTURE_MAX_PIXELS, out);
}

NodusStatus picture_read(const char *path, Picture *out)
{
    uint8_t *data;
    size_t size;
    NODUS_TRY(file_read(path, FILE_LIMIT, &data, &size));
    NodusStatus status = picture_decode(path, data, size, out);
    memory_free(data);
    return status;
}

void picture_free(Picture *picture)
{
    memory_free(picture->rgba);
    *picture = (Picture){0};
}
