/* fuzz_picture.c: any bytes as a picture, decoded with a small limit of pixels. What decodes and has one
 * frame must survive being written and read. */
#include "engine/base/memory.h"
#include "engine/formats/picture_formats.h"
#include <string.h>
#include <zlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);

enum { FUZZ_PIXELS = 1 << 16 };
static volatile uint64_t sink;

static void write_and_read(const Picture *picture)
{
    uint8_t *file;
    size_t size;
    Picture again;
    const PictureText text = {"prompt", "{}"};
    if (png_encode(picture->rgba, picture->width, picture->height, 4, 1, true, &text, 1, &file, &size)) __builtin_trap();
    if (picture_decode_limited("again", file, size, FUZZ_PIXELS, &again)) __builtin_trap();
    if (memcmp(again.rgba, picture->rgba, (size_t)again.width * again.height * 4)) __builtin_trap();
    picture_free(&again);
    memory_free(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Picture picture;
    const PictureSize header = picture_size_of(data, size);
    NodusStatus status = picture_decode_limited("fuzz", data, size, FUZZ_PIXELS, &picture);
    if (!status) {
        if (header.width && (header.width != picture.width || header.height != picture.height)) __builtin_trap();
        if (header.frames && header.frames != picture.frames) __builtin_trap();
        if (header.alpha >= 0 && header.alpha != picture.has_alpha) __builtin_trap();
        const size_t bytes = (size_t)picture.width * picture.height * picture.frames * 4;
        for (size_t i = 0; i < bytes; i++) sink += picture.rgba[i];
        write_and_read(&picture);
        picture_free(&picture);
    }
    nodus_error_free(status);
    return 0;
}

enum { SIGNATURE = 8, CHUNK_FRAME = 12 /* length, type, checksum */ };

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    size = LLVMFuzzerMutate(data, size, most);
    const bool png = seed % 4 && size > SIGNATURE && !memcmp(data, "\x89PNG", 4);
    for (size_t at = SIGNATURE; png && size - at >= CHUNK_FRAME;) {
        const uint32_t length =
            (uint32_t)data[at] << 24 | (uint32_t)data[at + 1] << 16 | (uint32_t)data[at + 2] << 8 | data[at + 3];
        if (length > size - at - CHUNK_FRAME) break;
        const uLong sum = crc32(0, data + at + 4, length + 4);
        for (int i = 0; i < 4; i++) data[at + 8 + length + i] = (uint8_t)(sum >> (24 - 8 * i));
        at += CHUNK_FRAME + length;
    }
    return size;
}
