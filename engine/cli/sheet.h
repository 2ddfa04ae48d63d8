/* sheet.h: a contact sheet: pictures in rows and columns, each scaled to fit its cell, with words at the edges.
 *
 * One idea: one picture that shows what the numbers of a sweep do. It is for eyes: thumbnails and capital letters of a bitmap font.
 * The pictures themselves lie beside it. */
#ifndef CLI_SHEET_H
#define CLI_SHEET_H
#include <nodus/nodus.h>

typedef struct Sheet {
    int rows, columns;
    char **picture; /* files, row by row; NULL: an empty cell. Borrowed */
    char **row;     /* labels, lines between line feeds; owned (free) */
    char **column;
} Sheet;

void sheet_begin(Sheet *sheet, int rows, int columns, char **pictures);
void sheet_end(Sheet *sheet);
char *sheet_wrap(const char *text); /* a label in lines that are not too long; free */
bool sheet_can_read(const char *path);
/* Writes a PNG of at most 16,384 pixels a side; cells shrink to fit. */
NodusStatus sheet_write(const Sheet *sheet, const char *path);
#endif
