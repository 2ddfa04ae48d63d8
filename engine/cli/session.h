/* session.h: one engine, opened as the options say, and the prompts that one command runs on it, in order.
 *
 * One idea: `make` and `run` differ only in where a prompt comes from; everything from here on is the same for both. */
#ifndef CLI_SESSION_H
#define CLI_SESSION_H
#include "engine/cli/show.h"

typedef struct Session {
    const Options *options;
    NodusEngine *engine;
    char *base, *input, *output, *temp, *cache; /* folders */
    uint64_t seed;                              /* of --seed, drawn once when it is random */
    uint64_t next_event;
    int prompts;  /* so far */
    bool misused; /* an option names what the prompt does not have */
    Show show;
} Session;

/* 0, or the exit code of a refusal that has been told. */
int session_open(Session *session, const Options *options);
void session_close(Session *session);

/* A prompt's text, and where it came from. */
typedef struct Prompt {
    const char *file, *text;
    size_t length;
    char *const *edits; /* besides those of --set */
    int edit_count;
} Prompt;
/* Runs it to the end and returns its exit code. */
int session_run(Session *session, const Prompt *prompt);
/* How the next run is to be made, without what names its nodes. */
NodusRunOptions session_how(Session *session);
/* A prompt that could not even be read: told, and `finished` with --json. */
int session_refuse(Session *session, const char *type, const char *problem);

/* The cache folder that the options or the environment give; NULL: none. free. */
char *session_cache(const Options *options);
/* This program, for what runs in a process of its own. */
#define PROGRAM "/proc/self/exe"

/* A seed of 64 random bits. */
NodusStatus random_seed(uint64_t *out);
#endif
