/* progress.h: the bar on a terminal, and the words about how long it will take.
 *
 * One idea: the bar is one line that may be taken away at any time (progress_hide), so that messages never mix with it. Without a
 * terminal there is no bar, only the words that a person needs. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H
#include "engine/cli/options.h"
#include "engine/cli/preview.h"

typedef struct Progress {
    const Options *options;
    bool bar, colour, drawn, told; /* told: that it will take long */
    int columns;
    double drawn_at, begun; /* seconds, monotonic; begun: of the present node's first step */
    char title[64];
    double value, max, eta;
    bool previews; /* the terminal can show pictures, and they are wanted */
    Preview preview;
    int drawn_lines; /* of the preview, above the bar */
} Progress;

void progress_begin(Progress *progress, const Options *options);
void progress_node(Progress *progress, const char *title);                         /* a node starts */
void progress_step(Progress *progress, double value, double max, double eta);      /* value 0: before the first step */
void progress_preview(Progress *progress, const uint8_t *rgb, int width, int height); /* shown with the next step */
void progress_hide(Progress *progress);
double progress_clock(void);
#endif
