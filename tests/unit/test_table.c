/* TABLE: rows of any names, joined by name, printed in line, written as CSV, drawn where their numbers lie. */
#include "tests/support_lab.h"
#include "tests/test.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static Lab lab;
LAB_FIXTURE(lab_open(&lab, NULL))

#define NODE(id_, type_, inputs_) "\"" id_ "\": {\"class_type\": \"" type_ "\", \"inputs\": {" inputs_ "}}"
#define ROWS                                                                                                    \
    NODE("A", "TableRow", "\"label\": \"one\", \"steps\": 5, \"psnr\": 20.5") ", "                                 \
    NODE("B", "TableRow", "\"label\": \"zw\\u00f6lf\", \"psnr\": 9.25, \"note\": \"a, \\\"b\\\"\"") ", "              \
    NODE("J", "TableJoin", "\"tables\": [\"A\", 0], \"more\": [\"B\", 0]") ", "
#define SHOW(node_) NODE("S", "PreviewAny", "\"source\": [\"" node_ "\", 0]")

static void shows(const char *json, const char *text)
{
    if (lab_run(&lab, json) != NODUS_SUCCESS) fail_msg("%s", lab.error);
    if (!strstr(lab.ui, text)) fail_msg("%s is not in %s", text, lab.ui);
}

static void refuses(const char *json, const char *text)
{
    if (lab_run(&lab, json) == NODUS_SUCCESS) fail_msg("nothing was wrong: %s", lab.ui);
    if (!strstr(lab.error, text)) fail_msg("%s is not in %s", text, lab.error);
}

TEST(a_row_has_a_column_an_input)
{
    shows("{" ROWS SHOW("A") "}", "label  steps  psnr\\none        5  20.5\\n");
    shows("{" NODE("A", "TableRow", "\"label\": \"\", \"n\": 18446744073709551615, \"on\": true") ", " SHOW("A") "}",
          "                   n  on\\n18446744073709551615  True\\n");
}

TEST(rows_join_by_name)
{
    shows("{" ROWS SHOW("J") "}", "label  steps  psnr  note\\none        5  20.5  \\nzwölf         9.25  a, \\\"b\\\"\\n");
}

TEST(columns_can_be_chosen)
{
    shows("{" ROWS NODE("K", "TableJoin", "\"tables\": [\"J\", 0], \"columns\": \" psnr,, label , note\"") ", " SHOW("K") "}",
          "psnr  label  note\\n20.5  one    \\n9.25  zwölf  a, \\\"b\\\"\\n");
    refuses("{" ROWS NODE("K", "TableJoin", "\"tables\": [\"J\", 0], \"columns\": \"psnr, none\"") ", " SHOW("K") "}",
            "no table has a column 'none': they have label, steps, psnr, note");
}

TEST(a_list_of_tables_joins_in_its_order)
{
    shows("{" ROWS NODE("I", "ImageFromBatch", "\"image\": [\"E\", 0], \"batch_index\": 0, \"length\": 2") ", "
          NODE("E", "EmptyImage", "\"width\": 8, \"height\": 8, \"batch_size\": 2, \"color\": 0") ", "
          NODE("L", "RebatchImages", "\"images\": [\"I\", 0], \"batch_size\": 1") ", "
          NODE("M", "MeasureMSE", "\"image\": [\"L\", 0], \"reference\": [\"E\", 0]") ", "
          NODE("R", "TableRow", "\"label\": \"\", \"mse\": [\"M\", 0]") ", "
          NODE("K", "TableJoin", "\"tables\": [\"R\", 0]") ", " SHOW("K") "}", "mse\\n0.0\\n0.0\\n");
}

TEST(csv_is_quoted_as_rfc_4180_says)
{
    char text[256];
    shows("{" ROWS NODE("W", "SaveTable", "\"table\": [\"J\", 0], \"filename_prefix\": \"t\"") "}", "t_00001_.csv");
    FILE *file = fopen(lab_path(&lab, "output/t_00001_.csv"), "rb");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    assert_string_equal(text, "label,steps,psnr,note\r\none,5,20.5,\r\nzwölf,,9.25,\"a, \"\"b\"\"\"\r\n");
}

TEST(what_is_no_cell_and_no_table_is_said)
{
    refuses("{" NODE("E", "EmptyImage", "\"width\": 8, \"height\": 8, \"batch_size\": 1, \"color\": 0") ", "
            NODE("A", "TableRow", "\"label\": \"\", \"picture\": [\"E\", 0]") ", " SHOW("A") "}", "is a value of type IMAGE: a cell of a table");
    refuses("{" NODE("A", "TableRow", "\"label\": \"\"") ", " SHOW("A") "}", "the row is empty");
    refuses("{" ROWS NODE("K", "TableJoin", "\"tables\": [\"A\", 0], \"second\": 5") ", " SHOW("K") "}", "is a value of type INT, not a TABLE");
}

/* ---- PlotTable ---------------------------------------------------------------------------------------------------------- */

#define POINTS                                                                                                                        \
    NODE("A", "TableRow", "\"label\": \"a\", \"x\": 0, \"y\": 0, \"z\": \"n\"") ", " NODE("B", "TableRow", "\"label\": \"b\", \"x\": 10, \"y\": 100") ", " \
    NODE("J", "TableJoin", "\"tables\": [\"A\", 0], \"more\": [\"B\", 0]") ", "
#define PLOT(x_, y_, group_) NODE("P", "PlotTable", "\"table\": [\"J\", 0], \"x\": \"" x_ "\", \"y\": \"" y_ "\", \"group_by\": \"" group_ "\", \"width\": 320, \"height\": 240")

/* The lowest and highest row, and the leftmost and rightmost column, below the legend, with the colour of the first line. */
static void extent(const LabArray *picture, int64_t box[4])
{
    box[0] = box[2] = 9999, box[1] = box[3] = -1;
    for (int64_t y = 40; y < picture->dim[1]; y++)
        for (int64_t x = 0; x < picture->dim[2]; x++) {
            const float *rgb = picture->data + (y * picture->dim[2] + x) * 3;
            if (fabsf(rgb[0] - 0x1f / 255.0f) > 0.01f || fabsf(rgb[2] - 0xa8 / 255.0f) > 0.01f) continue;
            if (y < box[0]) box[0] = y;
            if (y > box[1]) box[1] = y;
            if (x < box[2]) box[2] = x;
            if (x > box[3]) box[3] = x;
        }
}

TEST(a_line_runs_between_its_points)
{
    LabArray picture;
    int64_t box[4];
    assert_ok(lab_array(&lab, "{" POINTS PLOT("x", "y", "") ", " SHOW("P") "}", "P", 0, NULL, &picture));
    assert_int_equal(picture.dim[1], 240);
    assert_int_equal(picture.dim[2], 320);
    extent(&picture, box);
    /* frame: left 8 + 3 letters + 8, right 320 − 8 − a letter, top 34 + 9, bottom 240 − 36 − 18; dots of 7 pixels reach 3 beyond */
    assert_int_equal(box[2], 52 - 3);
    assert_int_equal(box[3], 300 + 3);
    assert_int_equal(box[0], 43 - 3);
    assert_int_equal(box[1], 186 + 3);
    free(picture.data);
}

TEST(a_column_of_texts_is_an_axis)
{
    LabArray picture;
    int64_t box[4];
    assert_ok(lab_array(&lab, "{" POINTS PLOT("label", "y", "") ", " SHOW("P") "}", "P", 0, NULL, &picture));
    extent(&picture, box);
    assert_int_equal(box[2], 52 + 65 - 3); /* places at a quarter and three quarters of 260 pixels */
    assert_int_equal(box[3], 52 + 195 + 3);
    free(picture.data);
}

#define STYLED(x_, style_, width_) NODE("P", "PlotTable", "\"table\": [\"J\", 0], \"x\": \"" x_ "\", \"y\": \"y\", \"group_by\": \"\", \"width\": " #width_ ", \"height\": 240, \"style\": \"" style_ "\"")

/* How many pixels below the legend have the colour of the first line. */
static int64_t count(const LabArray *picture)
{
    int64_t found = 0;
    for (const float *rgb = picture->data + 40 * picture->dim[2] * 3; rgb < picture->data + picture->dim[1] * picture->dim[2] * 3; rgb += 3)
        found += fabsf(rgb[0] - 0x1f / 255.0f) < 0.01f && fabsf(rgb[2] - 0xa8 / 255.0f) < 0.01f;
    return found;
}

TEST(points_have_no_line)
{
    LabArray line, points;
    int64_t a[4], b[4];
    assert_ok(lab_array(&lab, "{" POINTS PLOT("x", "y", "") ", " SHOW("P") "}", "P", 0, NULL, &line));
    assert_ok(lab_array(&lab, "{" POINTS STYLED("x", "points", 320) ", " SHOW("P") "}", "P", 0, NULL, &points));
    extent(&line, a);
    extent(&points, b);
    assert_memory_equal(a, b, sizeof a);
    assert_in_range(count(&points), 40, 2 * 49);
    assert_true(count(&line) > 300);
    free(line.data);
    free(points.data);
}

TEST(equal_points_of_a_place_stand_side_by_side)
{
    LabArray picture;
    int64_t box[4];
    assert_ok(lab_array(&lab, "{" NODE("J", "TableRow", "\"label\": \"a\", \"y\": 1, \"z\": 1") ", "
                        NODE("P", "PlotTable", "\"table\": [\"J\", 0], \"x\": \"label\", \"y\": \"\", \"group_by\": \"\", \"width\": 320, \"height\": 240, \"style\": \"points\"")
                        ", " SHOW("P") "}", "P", 0, NULL, &picture));
    extent(&picture, box);
    assert_int_equal(box[2], 52 + 130 - 32 - 3); /* a place of 260 pixels: an eighth of it to the left */
    assert_true(count(&picture) > 25);
    free(picture.data);
}

TEST(a_bar_stands_on_zero_in_its_place)
{
    LabArray picture;
    int64_t box[4];
    assert_ok(lab_array(&lab, "{" POINTS STYLED("x", "bars", 320) ", " SHOW("P") "}", "P", 0, NULL, &picture));
    extent(&picture, box); /* of the second: the first is 0 high; the axis runs over its foot */
    assert_int_equal(box[0], 43);
    assert_int_equal(box[1], 185);
    assert_int_equal(box[2], 52 + 195 - 52); /* of numbers, too, each has its place: 0.8 of 130 pixels wide */
    assert_int_equal(box[3], 52 + 195 + 52 - 1);
    assert_in_range(count(&picture), 142 * 104, 143 * 104);
    free(picture.data);
}

TEST(bars_of_negative_numbers_hang)
{
    LabArray picture;
    int64_t box[4];
    assert_ok(lab_array(&lab, "{" NODE("J", "TableRow", "\"label\": \"a\", \"y\": -100") ", " STYLED("label", "bars", 320) ", " SHOW("P") "}", "P", 0,
                        NULL, &picture));
    extent(&picture, box);
    assert_in_range(box[0], 43, 45);
    assert_int_equal(box[1], 185);
    free(picture.data);
}

#define NAMED(id_, label_) NODE(id_, "TableRow", "\"label\": \"" label_ "\", \"y\": 1") ", "
#define PLACES(name_) NAMED("A", name_) NAMED("B", "b") NAMED("C", "c") NODE("J", "TableJoin", "\"tables\": [\"A\", 0], \"d\": [\"B\", 0], \"e\": [\"C\", 0]") ", "

/* The row below the bars. */
static int64_t foot(const char *json)
{
    LabArray picture;
    int64_t box[4];
    NodusStatus status = lab_array(&lab, json, "P", 0, NULL, &picture);
    if (status) fail_msg("%s", nodus_error_message(status));
    extent(&picture, box);
    free(picture.data);
    return box[1] + 1;
}

TEST(names_of_places_spread_over_rows_or_stand_upright_where_they_have_no_room)
{
    assert_int_equal(foot("{" PLACES("9 letters") STYLED("label", "bars", 640) ", " SHOW("P") "}"), 186);
    assert_int_equal(foot("{" PLACES("9 letters") STYLED("label", "bars", 320) ", " SHOW("P") "}"), 186 - 18); /* 120 of 86 pixels: two rows */
    assert_int_equal(foot("{" PLACES("10 letters") STYLED("label", "bars", 320) ", " SHOW("P") "}"), 186 - (10 * 12 + 8 - 18)); /* three would be a row each */
    refuses("{" PLACES("far too long a name for this") STYLED("label", "bars", 320) ", " SHOW("P") "}", "320 × 240 pixels leave no room");
}

TEST(what_cannot_be_drawn_is_said)
{
    refuses("{" POINTS PLOT("w", "y", "") ", " SHOW("P") "}", "the table has no column 'w'");
    refuses("{" POINTS PLOT("x", "z", "") ", " SHOW("P") "}", "the column 'z' does not hold numbers");
    refuses("{" POINTS PLOT("x", "x, nothing", "") ", " SHOW("P") "}", "the table has no column 'nothing'");
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(a_row_has_a_column_an_input),     CASE(rows_join_by_name), CASE(columns_can_be_chosen),          CASE(a_list_of_tables_joins_in_its_order),
        CASE(csv_is_quoted_as_rfc_4180_says),  CASE(what_is_no_cell_and_no_table_is_said),
        CASE(a_line_runs_between_its_points),  CASE(a_column_of_texts_is_an_axis),     CASE(points_have_no_line), CASE(equal_points_of_a_place_stand_side_by_side),
        CASE(a_bar_stands_on_zero_in_its_place), CASE(bars_of_negative_numbers_hang), CASE(names_of_places_spread_over_rows_or_stand_upright_where_they_have_no_room), CASE(what_cannot_be_drawn_is_said),
    };
    return cmocka_run_group_tests(cases, setup, teardown);
}
