/* fuzz_photo.c: any bytes as a JPEG or a WebP, with EXIF in them, decoded with a small limit of pixels. What its header tells
 * must be true.
 *
 * A WebP is chunks in a RIFF, and a wrong length of that is the end; so the mutator keeps the outer length right. */
#include "engine/formats/picture_formats.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);

enum { FUZZ_PIXELS = 1 << 16, RIFF_HEADER = 8 };
static volatile uint64_t sink;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Picture picture;
    const bool jpeg = size >= 3 && !memcmp(data, "\xff\xd8\xff", 3),
               webp = size >= 12 && !memcmp(data, "RIFF", 4) && !memcmp(data + 8, "WEBP", 4);
    if (!jpeg && !webp) {
        sink += (uint64_t)picture_orientation(data, size);
        return 0;
    }
    const PictureSize header = picture_size_of(data, size);
    NodusStatus status = picture_decode_limited("fuzz", data, size, FUZZ_PIXELS, &picture);
    if (!status) {
        if (header.width != picture.width || header.height != picture.height || header.alpha != picture.has_alpha)
            __builtin_trap();
        if (header.frames != picture.frames) __builtin_trap();
        const size_t bytes = (size_t)picture.width * picture.height * picture.frames * 4;
        for (size_t i = 0; i < bytes; i++) sink += picture.rgba[i];
        picture_free(&picture);
    }
    nodus_error_free(status);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    size = LLVMFuzzerMutate(data, size, most);
    if (seed % 4 && size > RIFF_HEADER && !memcmp(data, "RIFF", 4)) {
        const uint32_t length = (uint32_t)(size - RIFF_HEADER);
        memcpy(data + 4, &length, sizeof length);
    }
    return size;
}
