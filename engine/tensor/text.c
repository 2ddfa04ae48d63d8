/* text.c: a line of text as a picture, for labels; see nodus_tensor_text. */
#include "engine/base/font.h"
#include <nodus/tensor.h>
#include <stdlib.h>

enum { CHANNELS = 3, MOST_LETTERS = 1000, LARGEST_SCALE = 16 };
#define PAPER (250 / 255.0f) /* those of engine/cli/sheet.c */
#define INK   (20 / 255.0f)

/* Bytes that begin a character of UTF-8. */
static bool begins(char c)
{
    return ((unsigned char)c & 0xc0) != 0x80;
}

NodusStatus nodus_tensor_text(NodusMath *math, NodusTensor **out, const char *text, int scale)
{
    int letters = 0;
    for (const char *c = text; *c; c++) letters += begins(*c);
    if (letters > MOST_LETTERS || scale < 1 || scale > LARGEST_SCALE)
        return nodus_error(NODUS_ERROR_INPUT, "a text as a picture has at most %d letters, its scale is 1 to %d", MOST_LETTERS,
                           LARGEST_SCALE);
    const int64_t height = FONT_HEIGHT * scale, width = (int64_t)FONT_WIDTH * scale * (letters ? letters : 1);
    float *pixel = malloc((size_t)(height * width) * CHANNELS * sizeof *pixel), *to = pixel;
    if (!pixel) return nodus_error(NODUS_ERROR_MEMORY, "no memory for a text as a picture");
    for (int y = 0; y < height; y++) {
        if (!letters)
            for (int x = 0; x < width * CHANNELS; x++) *to++ = PAPER;
        for (const char *c = text; *c; c++)
            for (int x = 0; x < FONT_WIDTH * scale && begins(*c); x++) {
                const float shade = font_ink((unsigned char)*c, x / scale, y / scale) ? INK : PAPER;
                for (int channel = 0; channel < CHANNELS; channel++) *to++ = shade;
            }
    }
    NodusStatus status = nodus_tensor_from_f32(math, out, 3, (const int64_t[]){height, width, CHANNELS}, pixel);
    free(pixel);
    return status;
}
