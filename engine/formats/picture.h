/* picture.h: pictures in and out, chosen by magic bytes, never by name: PNG by libpng, JPEG by libjpeg-turbo, WebP by libwebp, GIF, BMP, TGA,
 * PNM, PSD, HDR by stb_image. Dimensions are capped before anything is decoded; what EXIF says of a JPEG's, WebP's or PNG's orientation is
 * done. Hostile input. */
#ifndef FORMATS_PICTURE_H
#define FORMATS_PICTURE_H
#include "engine/base/status.h"

enum { PICTURE_MAX_SIDE = 16384 };

/* 8-bit RGBA, rows top down, `frames` pictures of one size behind each other. */
typedef struct Picture {
    int width, height, frames;
    bool has_alpha; /* the file has an alpha channel or a palette with transparency (a colour key is none) */
    uint8_t *rgba;  /* picture_free */
} Picture;
/* 16-bit grey (Pillow's mode I) is clipped to 8 bits: min(v, 255), as the reference does; 16-bit RGB takes the high byte. */
NodusStatus picture_read(const char *path, Picture *out);
NodusStatus picture_decode(const char *name, const uint8_t *data, size_t size, Picture *out);
void picture_free(Picture *picture);

/* What the header tells, 0 where it is open; alpha: 0 or 1, −1 open. Nothing is decoded. */
typedef struct PictureSize {
    int width, height, frames, alpha;
} PictureSize;
PictureSize picture_size(const char *path);
PictureSize picture_size_of(const uint8_t *data, size_t size);

/* A channel of 0 … 1 as a byte, as SaveImage does: 255·x brought into 0 … 255, cut off; what is no number becomes 0. */
static inline uint8_t picture_byte(float x)
{
    const float scaled = 255.0f * x;
    return scaled >= 255 ? 255 : scaled > 0 ? (uint8_t)scaled : 0;
}

typedef struct PictureText { const char *key, *value; } PictureText; /* tEXt chunks, Latin-1, before IDAT */
/* PNG: `channels` 1, 3 or 4; `level` 0…9; fast: level 1, filter "up", RLE. Memory: `out` is freed with memory_free. */
NodusStatus png_encode(const uint8_t *pixels, int width, int height, int channels, int level, bool fast, const PictureText *texts, int text_count, uint8_t **out, size_t *size);
#endif
