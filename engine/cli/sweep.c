/* sweep.c: running the combinations, and what remains of them: a table and a contact sheet; see sweep.h. */
#include "engine/cli/sweep.h"
#include "engine/cli/interrupt.h"
#include "engine/cli/save.h"
#include "engine/cli/say.h"
#include "engine/cli/sheet.h"
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_SHEETS = 99999 };

/* ---- One run ------------------------------------------------------------------------------------------------------- */

static const char *value_at(const Sweep *sweep, int run, int axis)
{
    for (int i = sweep->axes - 1; i > axis; i--) run /= sweep->axis[i].count;
    return sweep->axis[axis].value[run % sweep->axis[axis].count];
}

static int run_one(Session *session, const Sweep *sweep, const Prompt *prompt, int run)
{
    char **edits = need(calloc((size_t)sweep->axes, sizeof *edits));
    Growing title;
    text_begin(&title);
    for (int i = 0; i < sweep->axes; i++) {
        edits[i] = format_text("%s=%s", sweep->axis[i].target, value_at(sweep, run, i));
        fprintf(title.file, "%s%s", i ? ", " : "", edits[i]);
    }
    char *line = text_end(&title);
    if (!session->options->quiet && !session->options->json) say("%d of %d: %s", run + 1, sweep->runs, line);
    const Prompt edited = {
        .file = prompt->file, .text = prompt->text, .length = prompt->length, .edits = edits, .edit_count = sweep->axes};
    const int code = session_run(session, &edited);
    for (int i = 0; i < sweep->axes; i++) free(edits[i]);
    free(edits);
    free(line);
    return code;
}

/* ---- The table ----------------------------------------------------------------------------------------------------- */

/* A field of a CSV file (RFC 4180). */
static void put_field(FILE *file, const char *text)
{
    if (!strpbrk(text, ",\"\r\n")) {
        fputs(text, file);
        return;
    }
    putc('"', file);
    for (; *text; text++) {
        if (*text == '"') putc('"', file);
        putc(*text, file);
    }
    putc('"', file);
}

static void put_header(FILE *file, const Sweep *sweep)
{
    fputs("run", file);
    for (int i = 0; i < sweep->axes; i++) {
        putc(',', file);
        put_field(file, sweep->axis[i].target);
    }
    fputs(",status,seconds,files,error\r\n", file);
}

/* A row is written as soon as its run is over, so that an interrupted night leaves a table. */
static void put_row(FILE *file, const Sweep *sweep, int run, const ShowTaken *taken)
{
    fprintf(file, "%d", run + 1);
    for (int i = 0; i < sweep->axes; i++) {
        putc(',', file);
        put_field(file, value_at(sweep, run, i));
    }
    fprintf(file, ",%s,%.3f,", taken->status, taken->seconds);
    Growing files;
    text_begin(&files);
    for (int i = 0; i < taken->count; i++) fprintf(files.file, "%s%s", i ? ";" : "", taken->file[i]);
    char *list = text_end(&files);
    put_field(file, list);
    putc(',', file);
    put_field(file, taken->problem ? taken->problem : "");
    fputs("\r\n", file);
    fflush(file);
    free(list);
}

/* Opens the first OUTPUT/sweep_NNNNN.csv that does not exist. */
static NodusStatus open_table(const char *output, char **name, FILE **out)
{
    save_folders(output);
    for (int number = 1; number <= MOST_SHEETS; number++) {
        char *path = format_text("%s/sweep_%05d.csv", output, number);
        const int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (file >= 0) {
            *name = path;
            *out = need(fdopen(file, "w"));
            return NULL;
        }
        NodusStatus status =
            errno == EEXIST ? NULL : nodus_error(NODUS_ERROR_FILE, "cannot write '%s': %s", path, strerror(errno));
        free(path);
        NODUS_TRY(status);
    }
    return nodus_error(NODUS_ERROR_FILE, "'%s' holds %d sweeps already: choose another --output", output, (int)MOST_SHEETS);
}

/* ---- The sheet ----------------------------------------------------------------------------------------------------- */

/* The last axis runs along the columns, the others down the rows. */
static void label_sheet(const Sweep *sweep, Sheet *sheet)
{
    const SweepAxis *across = &sweep->axis[sweep->axes - 1];
    for (int c = 0; c < sheet->columns; c++) {
        char *label = format_text("%s=%s", across->target, across->value[c]);
        sheet->column[c] = sheet_wrap(label);
        free(label);
    }
    for (int r = 0; r < sheet->rows; r++) {
        Growing text;
        text_begin(&text);
        for (int i = 0; i < sweep->axes - 1; i++)
            fprintf(text.file, "%s%s=%s", i ? "\n" : "", sweep->axis[i].target, value_at(sweep, r * sheet->columns, i));
        char *label = text_end(&text);
        sheet->row[r] = sheet_wrap(label);
        free(label);
    }
}

/* *path: NULL when no run gave a picture. */
static NodusStatus write_sheet(const Sweep *sweep, char **pictures, const char *table, char **path)
{
    Sheet sheet;
    int found = 0;
    *path = NULL;
    for (int i = 0; i < sweep->runs; i++) found += pictures[i] != NULL;
    if (!found) return NULL;
    sheet_begin(&sheet, sweep->runs / sweep->axis[sweep->axes - 1].count, sweep->axis[sweep->axes - 1].count, pictures);
    label_sheet(sweep, &sheet);
    *path = format_text("%.*s.png", (int)(strlen(table) - strlen(".csv")), table);
    NodusStatus status = sheet_write(&sheet, *path);
    sheet_end(&sheet);
    if (!status) return NULL;
    free(*path);
    *path = NULL;
    return status;
}

/* What programs and people learn of the two files. */
static void tell(Session *session, const char *sheet, const char *table, int runs)
{
    if (!session->options->json) {
        if (sheet) printf("%s\n", sheet);
        printf("%s\n", table);
        fflush(stdout);
        return;
    }
    cJSON *line = need(cJSON_CreateObject());
    cJSON_AddStringToObject(line, "event", "sweep");
    cJSON_AddNumberToObject(line, "id", (double)session->next_event++);
    cJSON_AddNumberToObject(line, "runs", runs);
    if (sheet) cJSON_AddStringToObject(line, "sheet", sheet);
    else cJSON_AddNullToObject(line, "sheet");
    cJSON_AddStringToObject(line, "table", table);
    char *text = need(cJSON_PrintUnformatted(line));
    puts(text);
    fflush(stdout);
    cJSON_free(text);
    cJSON_Delete(line);
}

/* ---- All ----------------------------------------------------------------------------------------------------------- */

static int run_all(Session *session, const Sweep *sweep, const Prompt *prompt, FILE *table, char **pictures, int *runs)
{
    int worst = EXIT_GOOD;
    for (*runs = 0; *runs < sweep->runs && !interrupt_came() && !session->misused; ++*runs) {
        worst = worst_exit(worst, run_one(session, sweep, prompt, *runs));
        const ShowTaken *taken = &session->show.taken;
        put_row(table, sweep, *runs, taken);
        for (int i = 0; i < taken->count && !pictures[*runs]; i++)
            if (sheet_can_read(taken->file[i])) pictures[*runs] = copy_text(taken->file[i]);
    }
    return worst;
}

int sweep_run(Session *session, const Sweep *sweep, const Prompt *prompt)
{
    char *table = NULL, *sheet = NULL;
    FILE *file = NULL;
    int runs;
    NodusStatus status = open_table(session->output, &table, &file);
    if (status) return refuse_status(status);
    char **pictures = need(calloc((size_t)sweep->runs, sizeof *pictures));
    put_header(file, sweep);
    int worst = run_all(session, sweep, prompt, file, pictures, &runs);
    bool lost = ferror(file);
    lost |= fclose(file) != 0;
    if (lost) worst = worst_exit(worst, refuse("'%s' could not be written: %s", table, strerror(errno)));
    status = write_sheet(sweep, pictures, table, &sheet);
    if (status) worst = worst_exit(worst, refuse_status(status));
    tell(session, sheet, table, runs);
    for (int i = 0; i < sweep->runs; i++) free(pictures[i]);
    free(pictures);
    free(table);
    free(sheet);
    return worst;
}
