/* sweep.h: --sweep NODE.input=VALUES: one workflow with every combination of some values.
 *
 * One idea: a sweep is nothing but the same prompt run again with other --set edits in one process, so the engine's cache does
 * what does not change once. What is added here is what comes after: a labelled contact sheet and a table. */
#ifndef CLI_SWEEP_H
#define CLI_SWEEP_H
#include "engine/cli/session.h"

/* One --sweep: what is changed, and to which values in turn. */
typedef struct SweepAxis {
    char *target; /* NODE.input */
    char **value;
    int count;
} SweepAxis;

typedef struct Sweep {
    SweepAxis *axis;
    int axes;
    int runs; /* the product */
} Sweep;

/* Reads the options; the error says what VALUES may be: a..b (whole numbers), a..b:step, a JSON list, or texts between commas. */
NodusStatus sweep_parse(const Options *options, Sweep *out);
void sweep_free(Sweep *sweep);
/* Runs them all, the last axis fastest; writes NAME.png (when there are pictures) and NAME.csv into the output folder. */
int sweep_run(Session *session, const Sweep *sweep, const Prompt *prompt);
#endif
