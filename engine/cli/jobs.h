/* jobs.h: what one `nodus run` has to do: workflows, and with --script file steps between them.
 *
 * One idea: everything is read before anything runs, so that a mistake in the last argument does not cost an hour. A script is
 * somebody else's text: it writes and removes in the input folder only. */
#ifndef CLI_JOBS_H
#define CLI_JOBS_H
#include "engine/cli/options.h"

typedef enum JobKind { JOB_RUN, JOB_COPY, JOB_REMOVE } JobKind;

typedef struct Job {
    JobKind kind;
    char *file;     /* of a workflow, as it is shown; of a copy the source, as it is opened */
    char *target;   /* in the input folder */
    char *text;     /* the workflow */
    size_t length;
    char *problem; /* why it could not be read, or NULL */
} Job;

typedef struct Jobs {
    Job *item;
    int count;
    bool quiet; /* what was found in pictures is not told */
} Jobs;

/* The workflows that are named, or the steps of a script. The error is of the command line or the script; a workflow that cannot
 * be read is a job with a problem. */
NodusStatus jobs_read(const Options *options, Jobs *out);
void jobs_free(Jobs *jobs);
/* Carries out a copy or a removal in the input folder. */
NodusStatus jobs_do_file(const Job *job, const char *input);
/* Reads one workflow ("-": standard input). Of a picture the workflow in it: what ran, or (`saved`) what the editor saved, where there is a
 * choice; which is told on stderr. The error says what to do. */
NodusStatus jobs_read_workflow(const char *path, char **text, size_t *length);
NodusStatus jobs_read_saved(const char *path, char **text, size_t *length);
#endif
