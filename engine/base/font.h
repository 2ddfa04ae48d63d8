/* font.h: a bitmap font of printable ASCII for labels in pictures. Letters are 5 × 7 in a cell of 6 × 9 pixels. */
#ifndef BASE_FONT_H
#define BASE_FONT_H
#include <stdbool.h>

enum { FONT_WIDTH = 6, FONT_HEIGHT = 9 };
/* Whether the pixel at x, y of a character's cell is ink; characters that the font lacks are a box. */
bool font_ink(unsigned char character, int x, int y);
#endif
