/* progress.c: drawing the bar; see progress.h. */
#include "engine/cli/progress.h"
#include "engine/cli/say.h"
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define REDRAW_SECONDS 0.05
#define LONG_SECONDS   60.0
enum { DEFAULT_COLUMNS = 80, LONGEST_BAR = 30, LEAST_COLUMNS = 20, FEW_STEPS = 8, SMALL_SIDE = 128, FIGURES_WIDTH = 46 };

double progress_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int terminal_columns(void)
{
    struct winsize size = {0};
    const char *given = getenv("COLUMNS");
    int columns = !ioctl(STDERR_FILENO, TIOCGWINSZ, &size) ? size.ws_col : 0;
    if (!columns && given) columns = atoi(given);
    return columns >= LEAST_COLUMNS ? columns : DEFAULT_COLUMNS;
}

void progress_begin(Progress *progress, const Options *options)
{
    const char *plain = getenv("NO_COLOR"), *terminal = getenv("TERM");
    const bool capable = isatty(STDERR_FILENO) && terminal && strcmp(terminal, "dumb") != 0;
    *progress = (Progress){.options = options, .eta = -1};
    progress->bar = capable && !options->quiet && !options->json;
    progress->colour = progress->bar && !(plain && *plain);
    const char *wanted = options->previews ? options->previews : "auto";
    progress->previews = progress->colour && preview_possible() && strcmp(wanted, "none") != 0;
    progress->columns = terminal_columns();
}

/* "1:05", "2:03:00" */
static void clock_text(double seconds, char out[24])
{
    const long whole = seconds < 1e8 ? (long)(seconds + 0.5) : 0;
    if (whole < 3600) snprintf(out, 24, "%ld:%02ld", whole / 60, whole % 60);
    else snprintf(out, 24, "%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60, whole % 60);
}

/* "  1.2 GB": the memory of this process, without the pages of mapped files; empty when the system does not tell. */
static void memory_text(char *out, size_t room)
{
    FILE *file = fopen("/proc/self/statm", "re");
    unsigned long long all, resident, shared;
    *out = '\0';
    if (file && fscanf(file, "%llu %llu %llu", &all, &resident, &shared) == 3 && resident >= shared) {
        const double bytes = (double)(resident - shared) * (double)sysconf(_SC_PAGESIZE);
        if (bytes < 1e9) snprintf(out, room, "  %.0f MB", bytes * 1e-6);
        else snprintf(out, room, "  %.1f GB", bytes * 1e-9);
    }
    if (file) fclose(file);
}

/* "12/20  5.9 it/s  0:01 left  1.2 GB"; before the first step what is expected. */
static void figures(const Progress *progress, char *out, size_t room)
{
    char left[24] = "", rate[32] = "", eta[40] = "", memory[32];
    const double seconds = progress_clock() - progress->begun;
    if (progress->eta >= 1) {
        clock_text(progress->eta, left);
        snprintf(eta, sizeof eta, "  about %s left", left);
    }
    memory_text(memory, sizeof memory);
    if (progress->value <= 0) {
        snprintf(out, room, "starting%s%s", eta, memory);
        return;
    }
    const double per_second = seconds > 0 ? progress->value / seconds : 0;
    if (per_second >= 1) snprintf(rate, sizeof rate, "  %.1f it/s", per_second);
    else if (per_second > 0) snprintf(rate, sizeof rate, "  %.1f s/it", 1 / per_second);
    snprintf(out, room, "%.0f/%.0f%s%s%s", progress->value, progress->max, rate, progress->value < progress->max ? eta : "",
             memory);
}

/* The cursor goes up to where the preview begins, so that both are drawn over what is there. */
static void draw_preview(Progress *progress)
{
    if (!progress->preview.lines) return;
    if (progress->drawn_lines) fprintf(stderr, "\r\033[%dA", progress->drawn_lines);
    else fputs("\r\033[K", stderr);
    preview_draw(&progress->preview);
    progress->drawn_lines = progress->preview.lines;
}

static void draw(Progress *progress)
{
    char line[512], numbers[128] = "";
    draw_preview(progress);
    if (progress->max > 0) figures(progress, numbers, sizeof numbers);
    const int taken =
        strlen(numbers) > FIGURES_WIDTH ? (int)strlen(numbers) : FIGURES_WIDTH;  /* so that the bar keeps its length */
    int room = progress->columns - 1 - (int)strlen(progress->title) - taken - 5; /* blanks and brackets */
    if (room > LONGEST_BAR) room = LONGEST_BAR;
    char bar[LONGEST_BAR + 1] = "";
    const double share = progress->max > 0 ? progress->value / progress->max : 0;
    for (int i = 0; i < room && progress->max > 0; i++) bar[i] = (i + 0.5) / room < share ? '#' : '-';
    const char *on = progress->colour ? "\033[36m" : "", *off = progress->colour ? "\033[0m" : "";
    if (room >= 5 && progress->max > 0)
        snprintf(line, sizeof line, "\r%s  %s[%s]%s %s\033[K", progress->title, on, bar, off, numbers);
    else snprintf(line, sizeof line, "\r%.*s\033[K", progress->columns - 1, *numbers ? numbers : progress->title);
    fputs(line, stderr);
    progress->drawn = true;
    progress->drawn_at = progress_clock();
}

void progress_hide(Progress *progress)
{
    if (progress->drawn && progress->drawn_lines) fprintf(stderr, "\r\033[%dA\033[J", progress->drawn_lines);
    else if (progress->drawn) fputs("\r\033[K", stderr);
    progress->drawn = false;
    progress->drawn_lines = 0;
}

void progress_preview(Progress *progress, const uint8_t *rgb, int width, int height)
{
    const int lines = progress->preview.lines;
    preview_set(&progress->preview, rgb, width, height);
    if (lines && lines != progress->preview.lines) progress_hide(progress);
}

void progress_node(Progress *progress, const char *title)
{
    snprintf(progress->title, sizeof progress->title, "%.40s", title);
    progress->begun = progress_clock();
    progress->value = progress->max = 0;
    progress->eta = -1;
    progress->preview.lines = 0;
    if (progress->bar) draw(progress);
}

/* What it would take with less: time goes with the steps, and about with the area. */
static void advise(const Progress *progress, double seconds)
{
    const Options *options = progress->options;
    char whole[32], part[32];
    say("This will take about %s (%s). Shorter:", text_of_seconds(seconds, whole), progress->title);
    if (options->width <= 0) { /* a workflow file: its nodes are the user's */
        say("  half the steps: about %s", text_of_seconds(seconds / 2, part));
        say("  half the width and height: about %s", text_of_seconds(seconds / 4, part));
        return;
    }
    if (options->batch > 1) say("  --batch 1: about %s", text_of_seconds(seconds / options->batch, part));
    if (options->steps > FEW_STEPS) say("  --steps %d: about %s", options->steps / 2, text_of_seconds(seconds / 2, part));
    if (options->width >= 2 * SMALL_SIDE && options->height >= 2 * SMALL_SIDE)
        say("  --size %dx%d: about %s", options->width / 16 * 8, options->height / 16 * 8, text_of_seconds(seconds / 4, part));
}

void progress_step(Progress *progress, double value, double max, double eta)
{
    const bool ends = value <= 0 || value >= max;
    if (value <= 0) progress->begun = progress_clock(); /* what came before was preparation */
    progress->value = value;
    progress->max = max;
    progress->eta = eta;
    if (eta > LONG_SECONDS && !progress->told && !progress->options->quiet && !progress->options->json) {
        progress->told = true;
        progress_hide(progress);
        advise(progress, eta);
    }
    if (progress->bar && (ends || progress_clock() - progress->drawn_at >= REDRAW_SECONDS)) draw(progress);
}
