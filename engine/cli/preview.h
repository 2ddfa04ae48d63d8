/* preview.h: a small picture on a terminal, above the progress bar.
 *
 * One idea: a line of text is two rows of pixels: the upper half block in the colour of one on the background of the other. It
 * needs a terminal with 24-bit colour, which says so in COLORTERM; elsewhere there is no preview. */
#ifndef CLI_PREVIEW_H
#define CLI_PREVIEW_H
#include <stdbool.h>
#include <stdint.h>

enum { PREVIEW_COLUMNS = 32, PREVIEW_LINES = 16 };
typedef struct Preview {
    int columns, lines; /* lines 0: none */
    uint8_t rgb[PREVIEW_LINES * 2][PREVIEW_COLUMNS][3];
} Preview;

bool preview_possible(void);
/* Fits a picture of 8-bit RGB, rows top down, into the preview, each of its pixels the mean of those it stands for. */
void preview_set(Preview *preview, const uint8_t *rgb, int width, int height);
void preview_draw(const Preview *preview); /* on stderr; ends with a line feed */
#endif
