/* show.h: the events of a run, as JSON lines or for people: files and texts on stdout, everything else on stderr. */
#ifndef CLI_SHOW_H
#define CLI_SHOW_H
#include "engine/cli/progress.h"

typedef enum Stage { STAGE_TEXT, STAGE_SAMPLING, STAGE_DECODING, STAGE_ENCODING, STAGE_OTHER, STAGE_COUNT } Stage;

/* What the last prompt of a sweep gave: for its table. */
typedef struct ShowTaken {
    char **file; /* of output nodes, as they are shown */
    int count;
    const char *status;
    double seconds;
    char *problem; /* the first error, or NULL */
} ShowTaken;

typedef struct Show {
    const Options *options;
    const char *input, *output, *temp; /* folders, to say where files are */
    const char *file; /* of the present workflow; NULL: it has none */
    bool script;      /* what goes wrong becomes an error of the script, which is told by itself */
    Progress progress;
    double seconds[STAGE_COUNT], steps;
    ShowTaken taken;
} Show;

void show_begin(Show *show, const Options *options, const char *input, const char *output, const char *temp);
void show_event(void *show, const NodusEvent *event);
void show_refused(Show *show, const char *problem); /* a prompt without events */
void show_end(Show *show);
#endif
