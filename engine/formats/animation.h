/* animation.h: several pictures as one moving file: WebP by libwebp, and APNG, which is PNG with chunks that tell of frames.
 *
 * A PNG's chunks acTL (how many frames), fcTL (a frame's size, place and time) and fdAT (a frame's data, numbered) are known to
 * those who play it; others show the first frame. */
#ifndef FORMATS_ANIMATION_H
#define FORMATS_ANIMATION_H
#include "engine/formats/picture.h"

typedef struct Animation {
    const uint8_t *pixels; /* `frames` pictures behind each other */
    int width, height, channels /* 3 or 4 */, frames;
    int milliseconds; /* of a frame, at least 1 */
    const PictureText *texts;
    int text_count;
} Animation;
/* `effort` 0 … 6, `quality` 0 … 100. Texts become EXIF entries "key:text": "prompt" in Model, the others in Make and the tags
 * before it. A single frame gives a still picture. Memory: `out` is freed with memory_free. */
NodusStatus webp_encode(const Animation *animation, bool lossless, int quality, int effort, uint8_t **out, size_t *size);
/* Texts become chunks "comf" behind the pixels: key, a zero, text. */
NodusStatus apng_encode(const Animation *animation, int level, uint8_t **out, size_t *size);
#endif
