/* preview.c: scaling and drawing; see preview.h. */
#include "engine/cli/preview.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool preview_possible(void)
{
    const char *colours = getenv("COLORTERM");
    return colours && (!strcmp(colours, "truecolor") || !strcmp(colours, "24bit"));
}

/* The side that `length` pixels get where the longer of both gets `most`. */
static int fit(int length, int longest, int most)
{
    if (longest <= most) return length;
    const int fitted = (int)((int64_t)length * most / longest);
    return fitted ? fitted : 1;
}

static void mean(const uint8_t *rgb, int width, int x0, int x1, int y0, int y1, uint8_t out[3])
{
    for (int c = 0; c < 3; c++) {
        uint64_t sum = 0;
        for (int y = y0; y < y1; y++)
            for (int x = x0; x < x1; x++) sum += rgb[((size_t)y * (size_t)width + (size_t)x) * 3 + (size_t)c];
        out[c] = (uint8_t)(sum / ((uint64_t)(x1 - x0) * (uint64_t)(y1 - y0)));
    }
}

void preview_set(Preview *preview, const uint8_t *rgb, int width, int height)
{
    memset(preview, 0, sizeof *preview);
    if (width <= 0 || height <= 0) return;
    const int longest = width > height ? width : height;
    const int columns = fit(width, longest, PREVIEW_COLUMNS), rows = fit(height, longest, PREVIEW_LINES * 2);
    for (int y = 0; y < rows; y++)
        for (int x = 0; x < columns; x++)
            mean(rgb, width, (int)((int64_t)x * width / columns), (int)((int64_t)(x + 1) * width / columns),
                 (int)((int64_t)y * height / rows), (int)((int64_t)(y + 1) * height / rows), preview->rgb[y][x]);
    preview->columns = columns;
    preview->lines = (rows + 1) / 2; /* an odd last row stands on black */
}

void preview_draw(const Preview *preview)
{
    for (int line = 0; line < preview->lines; line++) {
        for (int x = 0; x < preview->columns; x++) {
            const uint8_t *top = preview->rgb[2 * line][x], *bottom = preview->rgb[2 * line + 1][x];
            fprintf(stderr, "\033[38;2;%d;%d;%dm\033[48;2;%d;%d;%dm\u2580", top[0], top[1], top[2], bottom[0], bottom[1],
                    bottom[2]);
        }
        fputs("\033[0m\033[K\n", stderr);
    }
}
