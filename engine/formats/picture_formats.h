/* picture_formats.h: the decoders behind picture.h. Each gets bytes whose magic was recognised, and the most pixels (all frames
 * together) that it may make room for. Messages are without the file's name: picture.c adds it. */
#ifndef FORMATS_PICTURE_FORMATS_H
#define FORMATS_PICTURE_FORMATS_H
#include "engine/formats/picture.h"

/* 2^27 pixels: 512 MiB of RGBA, 11585² or 134 frames of a megapixel. */
enum { PICTURE_MAX_PIXELS = 1 << 27 };

/* picture_decode with another limit (fuzzing). */
NodusStatus picture_decode_limited(const char *name, const uint8_t *data, size_t size, size_t most_pixels, Picture *out);
/* An error if a side or the number of pixels is beyond the limits. */
NodusStatus picture_check_size(uint64_t width, uint64_t height, size_t most_pixels);

/* Appends a frame of the picture's size; an error when all together would be beyond the limit. */
NodusStatus picture_add_frame(Picture *out, const uint8_t *frame, size_t most_pixels);

/* 1 … 8 as an EXIF block has it; 1 (upright) when it says nothing usable. */
int picture_orientation(const uint8_t *exif, size_t size);
bool picture_turn_swaps(int orientation); /* whether width and height change places */
NodusStatus picture_turn(Picture *picture, int orientation);

NodusStatus jpeg_decode(const uint8_t *data, size_t size, size_t most_pixels, Picture *out);
NodusStatus webp_decode(const uint8_t *data, size_t size, size_t most_pixels, Picture *out);
/* What the header tells, as picture_size. */
PictureSize jpeg_size(const uint8_t *data, size_t size);
PictureSize webp_size(const uint8_t *data, size_t size);
NodusStatus png_decode(const uint8_t *data, size_t size, size_t most_pixels, Picture *out);
NodusStatus pnm_decode(const uint8_t *data, size_t size, size_t most_pixels, Picture *out);
NodusStatus stb_decode(const uint8_t *data, size_t size, size_t most_pixels, Picture *out);
NodusStatus stb_decode_gif(const uint8_t *data, size_t size, size_t most_pixels, Picture *out);
#endif
