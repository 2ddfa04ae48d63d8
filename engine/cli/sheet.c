/* sheet.c: composing and writing a contact sheet; see sheet.h. May read and write pictures (engine/formats), as inspect.c may. */
#include "engine/cli/sheet.h"
#include "engine/base/file.h"
#include "engine/base/font.h"
#include "engine/base/memory.h"
#include "engine/cli/say.h"
#include "engine/formats/picture.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    LARGEST_CELL = 320,
    LEAST_CELL = 8,
    LARGEST_SIDE = 16384,
    GAP = 8,
    SCALE = 2, /* of the letters */
    LETTER = FONT_WIDTH * SCALE,
    LINE = FONT_HEIGHT * SCALE,
    WRAP_LETTERS = 20, /* of a label's line */
    MOST_LETTERS = 40,
    CHANNELS = 3,
    PAPER = 250,
    INK = 20,
    COMPRESSION = 6
};

typedef struct Canvas {
    int width, height;
    uint8_t *pixel;
} Canvas;

void sheet_begin(Sheet *sheet, int rows, int columns, char **pictures)
{
    *sheet = (Sheet){.rows = rows, .columns = columns, .picture = pictures};
    sheet->row = need(calloc((size_t)rows, sizeof *sheet->row));
    sheet->column = need(calloc((size_t)columns, sizeof *sheet->column));
}

void sheet_end(Sheet *sheet)
{
    for (int i = 0; i < sheet->rows; i++) free(sheet->row[i]);
    for (int i = 0; i < sheet->columns; i++) free(sheet->column[i]);
    free(sheet->row);
    free(sheet->column);
}

/* Breaks a line at the last blank that fits, or where it must. */
char *sheet_wrap(const char *text)
{
    char *out = need(malloc(2 * strlen(text) + 1)), *to = out, *blank = NULL;
    int letters = 0;
    for (; *text; text++) {
        if (letters == WRAP_LETTERS && (*text & 0xc0) != 0x80 && *text != '\n') {
            letters = blank ? (int)(to - blank) - 1 : 0;
            if (blank) *blank = '\n';
            else *to++ = '\n';
            blank = NULL;
        }
        if (*text == ' ') blank = to;
        if (*text == '\n') blank = NULL;
        letters = *text == '\n' ? 0 : letters + ((*text & 0xc0) != 0x80);
        *to++ = *text;
    }
    *to = '\0';
    return out;
}

bool sheet_can_read(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot && !strcasecmp(dot, ".png");
}

/* ---- Drawing ------------------------------------------------------------------------------------------------------- */

static void put_letter(Canvas *canvas, int left, int top, unsigned char letter)
{
    for (int y = 0; y < LINE; y++)
        for (int x = 0; x < LETTER; x++) {
            if (left + x >= canvas->width || top + y >= canvas->height || !font_ink(letter, x / SCALE, y / SCALE)) continue;
            memset(canvas->pixel + ((size_t)(top + y) * (size_t)canvas->width + (size_t)(left + x)) * CHANNELS, INK, CHANNELS);
        }
}

/* Bytes of UTF-8 beyond ASCII are one box a character. */
static void put_text(Canvas *canvas, int left, int top, const char *text, int most)
{
    int x = 0, y = 0;
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c == '\n') {
            x = 0;
            y++;
        } else if ((*c & 0xc0) != 0x80 && x < most) {
            put_letter(canvas, left + x++ * LETTER, top + y * LINE, *c);
        }
    }
}

/* The mean of the source's pixels that fall on each of the cell's. */
static void put_picture(Canvas *canvas, int left, int top, int cell, const Picture *picture)
{
    const int longest = picture->width > picture->height ? picture->width : picture->height;
    const int width = longest > cell ? picture->width * cell / longest : picture->width;
    const int height = longest > cell ? picture->height * cell / longest : picture->height;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            const int x0 = x * picture->width / width, x1 = (x + 1) * picture->width / width;
            const int y0 = y * picture->height / height, y1 = (y + 1) * picture->height / height;
            unsigned sum[CHANNELS] = {0}, count = 0;
            for (int sy = y0; sy < y1; sy++)
                for (int sx = x0; sx < x1; sx++, count++)
                    for (int c = 0; c < CHANNELS; c++)
                        sum[c] += picture->rgba[((size_t)sy * (size_t)picture->width + (size_t)sx) * 4 + (size_t)c];
            uint8_t *out = canvas->pixel + ((size_t)(top + y + (cell - height) / 2) * (size_t)canvas->width +
                                            (size_t)(left + x + (cell - width) / 2)) *
                                               CHANNELS;
            for (int c = 0; c < CHANNELS && count; c++) out[c] = (uint8_t)(sum[c] / count);
        }
}

/* ---- Measuring ----------------------------------------------------------------------------------------------------- */

typedef struct Extent {
    int letters, lines;
} Extent;

static void extend(Extent *extent, const char *text)
{
    int letters = 0, lines = 1;
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        letters = *c == '\n' ? 0 : letters + ((*c & 0xc0) != 0x80);
        lines += *c == '\n';
        if (letters > extent->letters) extent->letters = letters < MOST_LETTERS ? letters : MOST_LETTERS;
    }
    if (*text && lines > extent->lines) extent->lines = lines;
}

/* Where things are: labels of rows at the left, of columns on top. */
typedef struct Plan {
    int cell, left, top, label; /* label: width of the columns' */
} Plan;

/* The longest side of all pictures, from their headers: small ones need no large cells. */
static int longest_side(const Sheet *sheet)
{
    int side = LEAST_CELL;
    for (int i = 0; i < sheet->rows * sheet->columns && side < LARGEST_CELL; i++) {
        if (!sheet->picture[i]) continue;
        const PictureSize size = picture_size(sheet->picture[i]);
        if (size.width > side) side = size.width;
        if (size.height > side) side = size.height;
    }
    return side < LARGEST_CELL ? side : LARGEST_CELL;
}

/* A column is as wide as its picture or its label, whatever is wider. */
static int column_pitch(const Plan *plan)
{
    return (plan->cell > plan->label ? plan->cell : plan->label) + GAP;
}

/* Cells are as large as the pictures, but the sheet must stay within a PNG that everybody can open. */
static bool plan_sheet(const Sheet *sheet, int side, Plan *plan, Canvas *canvas)
{
    Extent rows = {0}, columns = {0};
    for (int r = 0; r < sheet->rows; r++) extend(&rows, sheet->row[r]);
    for (int c = 0; c < sheet->columns; c++) extend(&columns, sheet->column[c]);
    plan->left = GAP + (rows.letters ? rows.letters * LETTER + GAP : 0);
    plan->top = GAP + columns.lines * LINE + GAP;
    for (plan->cell = side; plan->cell >= LEAST_CELL; plan->cell /= 2) {
        plan->label = columns.letters * LETTER < LARGEST_CELL ? columns.letters * LETTER : LARGEST_CELL;
        if (plan->cell < side && plan->label > plan->cell) plan->label = plan->cell; /* room is short */
        const int64_t width = plan->left + (int64_t)sheet->columns * column_pitch(plan);
        const int64_t height = plan->top + (int64_t)sheet->rows * (plan->cell + GAP);
        if (width > LARGEST_SIDE || height > LARGEST_SIDE) continue;
        canvas->width = (int)width;
        canvas->height = (int)height;
        return true;
    }
    return false;
}

/* ---- Writing ------------------------------------------------------------------------------------------------------- */

static NodusStatus draw(const Sheet *sheet, const Plan *plan, Canvas *canvas)
{
    const int pitch = plan->cell + GAP, across = column_pitch(plan), column_letters = across / LETTER;
    for (int c = 0; c < sheet->columns; c++) put_text(canvas, plan->left + c * across, GAP, sheet->column[c], column_letters);
    for (int r = 0; r < sheet->rows; r++) put_text(canvas, GAP, plan->top + r * pitch, sheet->row[r], MOST_LETTERS);
    for (int i = 0; i < sheet->rows * sheet->columns; i++) {
        Picture picture;
        if (!sheet->picture[i]) continue;
        NODUS_TRY(picture_read(sheet->picture[i], &picture));
        put_picture(canvas, plan->left + i % sheet->columns * across, plan->top + i / sheet->columns * pitch, plan->cell,
                    &picture);
        picture_free(&picture);
    }
    return NULL;
}

NodusStatus sheet_write(const Sheet *sheet, const char *path)
{
    Plan plan;
    Canvas canvas;
    if (!plan_sheet(sheet, longest_side(sheet), &plan, &canvas))
        return nodus_error(NODUS_ERROR_INPUT, "no contact sheet: %d by %d pictures do not fit on one; the pictures are all there",
                           sheet->rows, sheet->columns);
    const size_t bytes = (size_t)canvas.width * (size_t)canvas.height * CHANNELS;
    canvas.pixel = need(malloc(bytes));
    memset(canvas.pixel, PAPER, bytes);
    uint8_t *png = NULL;
    size_t size = 0;
    NodusStatus status = draw(sheet, &plan, &canvas);
    if (!status)
        status = png_encode(canvas.pixel, canvas.width, canvas.height, CHANNELS, COMPRESSION, false, NULL, 0, &png, &size);
    if (!status) status = file_write_whole(path, png, size);
    memory_free(png);
    free(canvas.pixel);
    return status;
}
