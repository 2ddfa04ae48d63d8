/* picture_stb.c: GIF, BMP, TGA, PSD and HDR by stb_image.
 *
 * One idea: stb_image is compiled into this file alone, static, without the parts that hostile files can break: its JPEG reader
 * (out-of-bounds reads), its PNG reader (libpng does that), its PNM reader (picture_pnm.c says why), and its loop over GIF
 * frames, which passes a pointer to memory before the buffer as "the frame before the last" (2.27, seen in the source). The loop
 * here is our own, over its reader of one frame. */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/formats/picture_formats.h"
#include <limits.h>
#include <string.h>

#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#define STBI_NO_JPEG
#define STBI_NO_PNG
#define STBI_NO_PIC
#define STBI_NO_PNM
#define STBI_NO_STDIO
#define STBI_MAX_DIMENSIONS     PICTURE_MAX_SIDE
#define STBI_ASSERT(condition)  ((void)(condition)) /* a library does not abort */
#define STBI_MALLOC(size)       memory_alloc(size)  /* zeroed: rows that a cut file lacks must not show old memory */
#define STBI_REALLOC(old, size) memory_grow(old, size, 1)
#define STBI_FREE(memory)       memory_free(memory)
#pragma GCC diagnostic ignored "-Wunused-function" /* to the file's end, where gcc looks for unused functions */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wcast-qual"
#pragma GCC diagnostic ignored "-Wshadow"
/* Its arithmetic may leave a colour's range, which the compilers we use answer with some colour: no finding. Memory errors stay
 * one. */
#if defined(__clang__)
#pragma clang attribute push(__attribute__((no_sanitize("float-cast-overflow", "signed-integer-overflow", "shift"))), \
                             apply_to = function)
#endif
#include <stb_image.h>
#if defined(__clang__)
#pragma clang attribute pop
#endif
#pragma GCC diagnostic pop

enum { GIF_HEADER = 13 };

static NodusStatus stb_error(void)
{
    const char *reason = stbi_failure_reason();
    if (reason && !strcmp(reason, "outofmem")) return status_memory();
    if (reason && !strcmp(reason, "unknown image type"))
        return nodus_error(NODUS_ERROR_FILE, "its format is not one that nodus reads (PNG, JPEG, WebP, GIF, BMP, TGA, PNM, PSD, HDR)");
    return nodus_error(NODUS_ERROR_FILE, "it is damaged or of an unusual kind (%s)", reason ? reason : "no reason known");
}

/* stb_image says "has alpha" for formats that only could have it, so the pixels decide. */
static void find_alpha(Picture *picture)
{
    const size_t pixels = (size_t)picture->width * picture->height * picture->frames;
    for (size_t i = 0; i < pixels && !picture->has_alpha; i++) picture->has_alpha = picture->rgba[4 * i + 3] != 255;
}

/* To RGBA; stb_image's own conversion is left out, for it takes 16-bit samples for 8-bit ones. */
static NodusStatus expand(const uint8_t *from, int channels, Picture *out)
{
    const size_t pixels = (size_t)out->width * out->height;
    out->rgba = memory_array(pixels, 4);
    if (!out->rgba) return status_memory();
    for (size_t i = 0; i < pixels; i++, from += channels) {
        uint8_t *p = out->rgba + 4 * i;
        const bool grey = channels < 3;
        memcpy(p, (uint8_t[]){from[0], from[grey ? 0 : 1], from[grey ? 0 : 2], 255}, 4);
        if (channels % 2 == 0) p[3] = from[channels - 1];
    }
    return NULL;
}

NodusStatus stb_decode(const uint8_t *data, size_t size, size_t most_pixels, Picture *out)
{
    int width, height, channels;
    if (size > INT_MAX) return nodus_error(NODUS_ERROR_FILE, "it is larger than 2 GiB");
    if (!stbi_info_from_memory(data, (int)size, &width, &height, &channels)) return stb_error();
    NODUS_TRY(picture_check_size((uint64_t)width, (uint64_t)height, most_pixels));
    uint8_t *pixels = stbi_load_from_memory(data, (int)size, &out->width, &out->height, &channels, 0);
    if (!pixels) return stb_error();
    NodusStatus status = expand(pixels, channels, out);
    memory_free(pixels);
    out->frames = 1;
    if (!status) find_alpha(out);
    return status;
}

static NodusStatus read_frames(stbi__context *stream, stbi__gif *gif, size_t most_pixels, Picture *out)
{
    for (;;) {
        int channels;
        const size_t bytes = (size_t)out->width * out->height * 4;
        uint8_t *before_last = out->frames > 1 ? out->rgba + (size_t)(out->frames - 2) * bytes : NULL;
        const uint8_t *frame = stbi__gif_load_next(stream, gif, &channels, 4, before_last);
        if (frame == (const uint8_t *)stream) return out->frames ? NULL : nodus_error(NODUS_ERROR_FILE, "it has no frames");
        if (!frame) return out->frames ? NULL : stb_error(); /* a cut animation still shows its whole frames, as in browsers */
        NODUS_TRY(picture_add_frame(out, frame, most_pixels));
    }
}

NodusStatus stb_decode_gif(const uint8_t *data, size_t size, size_t most_pixels, Picture *out)
{
    if (size > INT_MAX) return nodus_error(NODUS_ERROR_FILE, "it is larger than 2 GiB");
    if (size < GIF_HEADER) return nodus_error(NODUS_ERROR_FILE, "it is damaged (the file ends early)");
    out->width = data[6] | data[7] << 8;
    out->height = data[8] | data[9] << 8;
    NODUS_TRY(picture_check_size((uint64_t)out->width, (uint64_t)out->height, most_pixels));
    stbi__gif *gif = memory_alloc(sizeof *gif); /* 35 kB: not for a stack */
    if (!gif) return status_memory();
    stbi__context stream;
    stbi__start_mem(&stream, data, (int)size);
    NodusStatus status = read_frames(&stream, gif, most_pixels, out);
    memory_free(gif->out);
    memory_free(gif->background);
    memory_free(gif->history);
    memory_free(gif);
    if (!status) find_alpha(out);
    return status;
}
