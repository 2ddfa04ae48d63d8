/* table_plot.c: PlotTable: columns of a table as lines, points or bars over another column, as a picture.
 *
 * One idea: a row is a point of the line of its group; both axes are linear, with ticks at round numbers; a column of texts is an axis with
 * a place for each text. Names of places that have no room beside each other are spread over up to three rows, or stand upright. Strokes
 * are drawn by their distance to the pixel, so that they have smooth edges at any size. */
#include "engine/base/font.h"
#include "engine/base/status.h"
#include "nodes/pixels.h"
#include "nodes/table.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SCALE = 2, LETTER = FONT_WIDTH * SCALE, LINE = FONT_HEIGHT * SCALE, GAP = 8, TICK = 5, BELOW = TICK + 5 };
enum { WANTED_TICKS = 6, MOST_TICKS = 32, MOST_LINES = 64, MOST_ROWS = 3 };
enum { LEAST_SIDE = 128, LARGEST_SIDE = 4096, TICK_TEXT = 32 };
static const int64_t colours[] = {0x1f5fa8, 0xc8501e, 0x2a8a3c, 0x8a3aa0, 0xb8900c, 0x0f8f95, 0xb02a5a, 0x555555};
enum { COLOURS = sizeof colours / sizeof *colours, INK = 0x141414, GRID = 0xdcdcdc, PAPER = 0xfafafa };

typedef struct {
    const Table *table;
    const char *x, *y, *group_by;
    int64_t width, height;
    const char *style;
} PlotArgs;

enum { STYLE_LINES, STYLE_POINTS, STYLE_BARS };
static const char *const style_names[] = {"lines", "points", "bars", NULL};

typedef struct Axis {
    double low, high, step; /* of the ticks; low and high are ticks of an axis of numbers */
    int ticks;
    const char *text[MOST_TICKS]; /* an axis of texts: those of its places 0, 1, … */
} Axis;

typedef struct Series {
    int64_t column;
    const char *group; /* NULL: all rows */
    const char *name;
} Series;

typedef struct Plot {
    const Table *table;
    int64_t x_column, group_column; /* −1: none */
    Axis x, y;
    Series line[MOST_LINES];
    int lines;
    const char *shared; /* the column of all lines, where their names do not tell it; or NULL */
    int style;
    int rows; /* that the labels of the x axis are spread over; 0: they stand upright */
    Pixels size;
    float *pixel;
    double left, right, top, bottom; /* of the frame */
} Plot;

/* ---- What is drawn --------------------------------------------------------------------------------------------------- */

static NodusStatus find_column(NodusCall *call, const Table *table, const char *input, const char *name, int64_t *out)
{
    *out = table_column(table, name);
    if (*out >= 0) return NULL;
    return nodus_input_error(call, input, "the table has no column '%s'; the first of its %d is '%s'", name, (int)table->columns,
                             table->name[0]);
}

static bool is_numeric(const Table *table, int64_t column)
{
    bool any = false;
    for (int64_t r = 0; r < table->rows; r++) {
        const Cell *cell = table_cell(table, r, column);
        if (cell->text && !cell->number) return false;
        any |= cell->text != NULL;
    }
    return any;
}

/* Not finite where there is no number. */
static double number_at(const Table *table, int64_t row, int64_t column)
{
    const Cell *cell = table_cell(table, row, column);
    return cell->text && cell->number ? strtod(cell->text, NULL) : (double)NAN;
}

static int place_of(const Axis *axis, const char *text)
{
    int i = 0;
    while (i < axis->ticks && strcmp(axis->text[i], text)) i++;
    return i;
}

static double x_at(const Plot *plot, int64_t row)
{
    const char *text = table_cell(plot->table, row, plot->x_column)->text;
    if (!plot->x.text[0]) return number_at(plot->table, row, plot->x_column);
    return text ? place_of(&plot->x, text) : (double)NAN;
}

static bool in_line(const Plot *plot, const Series *line, int64_t row)
{
    const char *text = line->group ? table_cell(plot->table, row, plot->group_column)->text : NULL;
    return !line->group || (text && !strcmp(text, line->group));
}

static NodusStatus add_line(NodusCall *call, Plot *plot, int64_t column, const char *group, bool both)
{
    const char *name = plot->table->name[column];
    for (int i = 0; i < plot->lines; i++)
        if (plot->line[i].column == column && group && !strcmp(plot->line[i].group, group)) return NULL;
    if (plot->lines == MOST_LINES) return nodus_input_error(call, "y", "that is more than %d lines", MOST_LINES);
    if (group) {
        NodusText *text = nodus_text(call);
        if (!text) return status_memory();
        NODUS_TRY(nodus_print(text, "%s%s%s %s", both ? name : "", both ? ", " : "", plot->table->name[plot->group_column], group));
        name = nodus_text_get(text);
    }
    plot->line[plot->lines++] = (Series){column, group, name};
    return NULL;
}

static NodusStatus add_column(NodusCall *call, Plot *plot, int64_t column, bool both)
{
    if (plot->group_column < 0) return add_line(call, plot, column, NULL, both);
    for (int64_t r = 0; r < plot->table->rows; r++) {
        const char *group = table_cell(plot->table, r, plot->group_column)->text;
        if (group) NODUS_TRY(add_line(call, plot, column, group, both));
    }
    return NULL;
}

/* "psnr, ssim"; empty: every column of numbers that is nothing else. */
static NodusStatus find_lines(NodusCall *call, const PlotArgs *in, Plot *plot)
{
    const bool both = strchr(in->y, ',') || !*in->y;
    for (int64_t c = 0; !*in->y && c < plot->table->columns; c++)
        if (c != plot->x_column && c != plot->group_column && is_numeric(plot->table, c)) NODUS_TRY(add_column(call, plot, c, both));
    char *rest = nodus_alloc(call, strlen(in->y) + 1);
    if (!rest) return status_memory();
    strcpy(rest, in->y);
    for (const char *name; (name = table_next_name(&rest));) {
        int64_t column;
        NODUS_TRY(find_column(call, plot->table, "y", name, &column));
        if (!is_numeric(plot->table, column)) return nodus_input_error(call, "y", "the column '%s' does not hold numbers", name);
        NODUS_TRY(add_column(call, plot, column, both));
    }
    if (plot->group_column >= 0 && !both && plot->lines) plot->shared = plot->table->name[plot->line[0].column];
    return plot->lines ? NULL : nodus_input_error(call, "y", "there is no column of numbers to draw");
}

/* ---- Axes ------------------------------------------------------------------------------------------------------------- */

static void widen(Axis *axis, double value)
{
    if (!isfinite(value)) return;
    if (!(axis->low <= value)) axis->low = value;
    if (!(axis->high >= value)) axis->high = value;
}

/* Ends and steps at 1, 2 or 5 times a power of ten. False: numbers too far apart, or too near to 0. */
static bool round_axis(Axis *axis)
{
    static const double steps[] = {1, 2, 5, 10};
    if (!(axis->high > axis->low)) {
        const double around = axis->low != 0 ? fabs(axis->low) / 2 : 1;
        axis->low -= around;
        axis->high += around;
    }
    if (!(axis->high - axis->low > 1e-290 && axis->high - axis->low < 1e290)) return false;
    const double wanted = (axis->high - axis->low) / WANTED_TICKS, power = pow(10, floor(log10(wanted)));
    axis->step = power;
    for (int i = 0; i < 4 && axis->step < wanted; i++) axis->step = steps[i] * power;
    axis->low = floor(axis->low / axis->step + 1e-9) * axis->step;
    axis->high = ceil(axis->high / axis->step - 1e-9) * axis->step;
    axis->ticks = (int)lround((axis->high - axis->low) / axis->step) + 1;
    return true;
}

static NodusStatus axis_of_texts(NodusCall *call, Plot *plot)
{
    Axis *axis = &plot->x;
    for (int64_t r = 0; r < plot->table->rows; r++) {
        const char *text = table_cell(plot->table, r, plot->x_column)->text;
        if (!text || place_of(axis, text) < axis->ticks) continue;
        if (axis->ticks == MOST_TICKS)
            return nodus_input_error(call, "x", "more than %d different texts do not fit on an axis", MOST_TICKS);
        axis->text[axis->ticks++] = text;
    }
    if (!axis->ticks) return nodus_input_error(call, "x", "the column '%s' is empty", plot->table->name[plot->x_column]);
    axis->low = -0.5;
    axis->high = axis->ticks - 0.5;
    axis->step = 1;
    return NULL;
}

static NodusStatus find_axes(NodusCall *call, Plot *plot)
{
    const bool texts = plot->style == STYLE_BARS || !is_numeric(plot->table, plot->x_column);
    plot->x.low = plot->x.high = plot->y.low = plot->y.high = (double)NAN;
    if (texts) NODUS_TRY(axis_of_texts(call, plot));
    for (int i = 0; i < plot->lines; i++)
        for (int64_t r = 0; r < plot->table->rows; r++) {
            if (!in_line(plot, &plot->line[i], r)) continue;
            if (!texts) widen(&plot->x, x_at(plot, r));
            widen(&plot->y, number_at(plot->table, r, plot->line[i].column));
        }
    if (plot->style == STYLE_BARS && !isnan(plot->y.low)) widen(&plot->y, 0);
    if (isnan(plot->x.low) || isnan(plot->y.low)) return nodus_input_error(call, "y", "there is no finite number to draw");
    if ((texts || round_axis(&plot->x)) && round_axis(&plot->y)) return NULL;
    return nodus_input_error(call, "y", "the numbers are too far apart, or too near to each other, for an axis");
}

static void tick_text(const Axis *axis, int i, char out[TICK_TEXT])
{
    const double value = axis->low + i * axis->step;
    if (axis->text[0]) snprintf(out, TICK_TEXT, "%s", axis->text[i]);
    else snprintf(out, TICK_TEXT, "%.6g", fabs(value) < axis->step / 2 ? 0 : value);
}

static double tick_at(const Axis *axis, int i)
{
    return axis->text[0] ? i : axis->low + i * axis->step;
}

/* ---- Drawing ---------------------------------------------------------------------------------------------------------- */

static void put(Plot *plot, int64_t x, int64_t y, int64_t colour, double cover)
{
    float rgb[3];
    if (x < 0 || y < 0 || x >= plot->size.width || y >= plot->size.height || !(cover > 0)) return;
    const float share = cover < 1 ? (float)cover : 1;
    float *at = plot->pixel + (y * plot->size.width + x) * 3;
    pixels_colour(colour, rgb);
    for (int c = 0; c < 3; c++) at[c] += share * (rgb[c] - at[c]);
}

/* A stroke with round ends; of no length, a dot. Integers are centres of pixels. */
static void stroke(Plot *plot, double x0, double y0, double x1, double y1, double width, int64_t colour)
{
    const double dx = x1 - x0, dy = y1 - y0, square = dx * dx + dy * dy, reach = width / 2 + 1;
    for (int64_t y = (int64_t)floor(fmin(y0, y1) - reach); y <= (int64_t)ceil(fmax(y0, y1) + reach); y++)
        for (int64_t x = (int64_t)floor(fmin(x0, x1) - reach); x <= (int64_t)ceil(fmax(x0, x1) + reach); x++) {
            const double along = square > 0 ? fmin(1, fmax(0, (((double)x - x0) * dx + ((double)y - y0) * dy) / square)) : 0;
            put(plot, x, y, colour, width / 2 + 0.5 - hypot((double)x - x0 - along * dx, (double)y - y0 - along * dy));
        }
}

/* From left and top to the right; upright: from left and bottom upwards. */
static void put_letters(Plot *plot, double left, double from, const char *text, bool upright)
{
    const int64_t x0 = lround(left), y0 = lround(from);
    for (int at = 0; *text; text++) {
        if (((unsigned char)*text & 0xc0) == 0x80) continue;
        for (int y = 0; y < LINE; y++)
            for (int x = 0; x < LETTER; x++)
                if (!font_ink((unsigned char)*text, x / SCALE, y / SCALE)) continue;
                else if (upright) put(plot, x0 + y, y0 - at - x, INK, 1);
                else put(plot, x0 + at + x, y0 + y, INK, 1);
        at += LETTER;
    }
}

static void put_text(Plot *plot, double left, double top, const char *text)
{
    put_letters(plot, left, top, text, false);
}

static double place_x(const Plot *plot, double value)
{
    return plot->left + (value - plot->x.low) / (plot->x.high - plot->x.low) * (plot->right - plot->left);
}
static double place_y(const Plot *plot, double value)
{
    return plot->bottom - (value - plot->y.low) / (plot->y.high - plot->y.low) * (plot->bottom - plot->top);
}

/* Names of the lines, in rows from the top, after that of the column that they share; gives the height that they take. */
static double legend(Plot *plot)
{
    double x = GAP, y = GAP;
    if (plot->shared) {
        put_text(plot, x, y, plot->shared);
        x += table_letters(plot->shared) * LETTER + 2 * GAP;
    }
    for (int i = 0; i < plot->lines; i++) {
        const double wide = LINE + table_letters(plot->line[i].name) * LETTER + 2 * GAP;
        if (x > GAP && x + wide > (double)plot->size.width) x = GAP, y += LINE;
        stroke(plot, x + 2, y + LINE / 2.0 - 2, x + LINE - 6, y + LINE / 2.0 - 2, 3, colours[i % COLOURS]);
        put_text(plot, x + LINE, y, plot->line[i].name);
        x += wide;
    }
    return y + LINE + GAP;
}

static int longest_tick(const Axis *axis)
{
    char text[TICK_TEXT];
    int longest = 0;
    for (int i = 0; i < axis->ticks; i++) {
        tick_text(axis, i, text);
        if (table_letters(text) > longest) longest = table_letters(text);
    }
    return longest;
}

static void frame(Plot *plot, const char *x_name)
{
    char text[TICK_TEXT];
    const int longest = longest_tick(&plot->x);
    tick_text(&plot->x, plot->x.ticks - 1, text);
    plot->left = GAP + longest_tick(&plot->y) * LETTER + TICK + 3;
    plot->right = (double)plot->size.width - GAP - (plot->x.text[0] ? 0 : table_letters(text) * LETTER / 2.0);
    plot->top = legend(plot) + LINE / 2.0;
    const double place = (plot->right - plot->left) / plot->x.ticks; /* of a text; labels at the ends may be moved by half of it */
    plot->rows = 1;
    while (plot->rows && plot->x.text[0] && (longest + 1) * LETTER > place * (plot->rows > 1 ? plot->rows - 0.5 : 1))
        plot->rows = plot->rows < MOST_ROWS && plot->rows + 1 < plot->x.ticks ? plot->rows + 1 : 0;
    plot->bottom = (double)plot->size.height - (plot->rows ? plot->rows * LINE : longest * LETTER + GAP) - LINE - GAP - BELOW;
    put_text(plot, (plot->left + plot->right - table_letters(x_name) * LETTER) / 2, (double)(plot->size.height - LINE - GAP), x_name);
}

/* Labels that would touch the one before are left out. */
static void ticks_below(Plot *plot)
{
    char text[TICK_TEXT];
    double free[MOST_ROWS] = {0};
    for (int i = 0; i < plot->x.ticks && plot->rows > 1; i++) {
        const double x = round(place_x(plot, tick_at(&plot->x, i)));
        stroke(plot, x, plot->bottom + TICK, x, plot->bottom + TICK + i % plot->rows * LINE, 1, GRID);
    }
    for (int i = 0; i < plot->x.ticks; i++) {
        const double x = round(place_x(plot, tick_at(&plot->x, i))), below = plot->bottom + BELOW;
        const int row = plot->rows ? i % plot->rows : 0;
        tick_text(&plot->x, i, text);
        const double wide = table_letters(text) * LETTER, across = plot->rows ? wide : LINE;
        const double start = fmin(x - across / 2, (double)plot->size.width - across);
        stroke(plot, x, plot->bottom, x, plot->bottom + TICK, 1, INK);
        if (start < free[row]) continue;
        put_letters(plot, start, plot->rows ? below + row * LINE : below + wide, text, !plot->rows);
        free[row] = start + across + (plot->rows ? LETTER : 0);
    }
}

static void ticks(Plot *plot)
{
    char text[TICK_TEXT];
    double free = INFINITY;
    for (int i = 0; i < plot->y.ticks; i++) {
        const double y = round(place_y(plot, tick_at(&plot->y, i)));
        tick_text(&plot->y, i, text);
        stroke(plot, plot->left, y, plot->right, y, 1, GRID);
        if (y + LINE / 2.0 > free) continue;
        free = y - LINE / 2.0;
        put_text(plot, plot->left - TICK - 3 - table_letters(text) * LETTER, y - LINE / 2.0 + 2, text);
    }
    ticks_below(plot);
    stroke(plot, plot->left, plot->bottom, plot->right, plot->bottom, 1, INK);
    stroke(plot, plot->left, plot->top, plot->left, plot->bottom, 1, INK);
}

/* Points in the order of the rows; one that is missing breaks the line. Points without lines stand side by side in a place, so that equal
 * ones do not hide each other. */
static void draw_line(Plot *plot, int i)
{
    const bool beside = plot->style == STYLE_POINTS && plot->x.text[0];
    const double aside = beside ? (i - (plot->lines - 1) / 2.0) / plot->lines / 2 : 0;
    double last_x = (double)NAN, last_y = (double)NAN;
    for (int64_t r = 0; r < plot->table->rows; r++) {
        if (!in_line(plot, &plot->line[i], r)) continue;
        const double x = place_x(plot, x_at(plot, r) + aside), y = place_y(plot, number_at(plot->table, r, plot->line[i].column));
        const bool here = isfinite(x) && isfinite(y);
        if (here && isfinite(last_x) && plot->style == STYLE_LINES) stroke(plot, last_x, last_y, x, y, 2, colours[i % COLOURS]);
        if (here) stroke(plot, x, y, x, y, 7, colours[i % COLOURS]);
        last_x = here ? x : (double)NAN;
        last_y = y;
    }
}

/* From 0 to the number; those of a place side by side, one for each line. */
static void draw_bars(Plot *plot, int i)
{
    const double wide = (plot->right - plot->left) / plot->x.ticks * 0.8 / plot->lines, zero = place_y(plot, 0);
    for (int64_t r = 0; r < plot->table->rows; r++) {
        if (!in_line(plot, &plot->line[i], r)) continue;
        const double x = place_x(plot, x_at(plot, r)) + wide * (i - plot->lines / 2.0);
        const double y = place_y(plot, number_at(plot->table, r, plot->line[i].column));
        if (!isfinite(x) || !isfinite(y)) continue;
        for (int64_t v = lround(fmin(y, zero)); v < lround(fmax(y, zero)); v++)
            for (int64_t u = lround(x); u < lround(x + wide); u++) put(plot, u, v, colours[i % COLOURS], 1);
    }
}

static NodusStatus plot_table(NodusCall *call, const void *args)
{
    const PlotArgs *in = args;
    Plot *plot = nodus_alloc(call, sizeof *plot);
    NodusTensor *out;
    if (!plot) return status_memory();
    *plot = (Plot){.table = in->table, .group_column = -1, .size = {1, in->height, in->width, 3, NULL}};
    while (style_names[plot->style + 1] && strcmp(in->style, style_names[plot->style]) != 0) plot->style++;
    NODUS_TRY(find_column(call, in->table, "x", in->x, &plot->x_column));
    if (*in->group_by) NODUS_TRY(find_column(call, in->table, "group_by", in->group_by, &plot->group_column));
    NODUS_TRY(find_lines(call, in, plot));
    NODUS_TRY(find_axes(call, plot));
    if (!(plot->pixel = pixels_new(call, &plot->size))) return status_memory();
    for (int64_t y = 0; y < in->height; y++)
        for (int64_t x = 0; x < in->width; x++) put(plot, x, y, PAPER, 1);
    frame(plot, in->x);
    if (plot->right - plot->left < LINE || plot->bottom - plot->top < LINE)
        return nodus_input_error(call, "height", "%d × %d pixels leave no room beside the names of %d lines", (int)in->width,
                                 (int)in->height, plot->lines);
    ticks(plot);
    for (int i = 0; i < plot->lines; i++) (plot->style == STYLE_BARS ? draw_bars : draw_line)(plot, i);
    if (plot->style == STYLE_BARS) stroke(plot, plot->left, place_y(plot, 0), plot->right, place_y(plot, 0), 1, INK);
    NODUS_TRY(pixels_tensor(call, &plot->size, plot->pixel, &out));
    return nodus_emit_tensor(call, 0, "IMAGE", out);
}

static NodusStatus plot_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    const PlotArgs *given = args;
    (void)call;
    (void)in;
    pixels_fact(out, &(Pixels){1, given->height, given->width, 3, NULL});
    return NULL;
}

static const NodusInput plot_inputs[] = {
    NODUS_IN_LINK("table", PlotArgs, table, "TABLE", "What to draw."),
    NODUS_IN_STRING("x", PlotArgs, x, "The column that runs to the right: numbers, or texts, each in its place.", .def = "label"),
    NODUS_IN_STRING("y", PlotArgs, y, "The columns that are drawn, between commas; empty: all other columns of numbers.", .def = ""),
    NODUS_IN_STRING("group_by", PlotArgs, group_by, "A column whose values each get a line of their own; empty: none.", .def = ""),
    NODUS_IN_INT("width", PlotArgs, width, "Width of the picture in pixels.", .def = 640, .min = LEAST_SIDE, .max = LARGEST_SIDE),
    NODUS_IN_INT("height", PlotArgs, height, "Height of the picture in pixels.", .def = 400, .min = LEAST_SIDE, .max = LARGEST_SIDE),
    NODUS_FLAG_COMBO(NODUS_OPTIONAL, "style", PlotArgs, style,
                     "Lines from row to row, points alone, or bars from 0 on, for which each different x has its place.",
                     .names = style_names),
};
const NodusNode node_plot_table = {
    NODUS_NODE("PlotTable", "Plot Table", "table", PlotArgs, plot_inputs, pixels_image_outputs),
    .help = "Draw columns of a table as lines, points or bars, in the order of its rows.",
    .example = "graphs/tables.json",
    .run = plot_table,
    .infer = plot_infer,
};
