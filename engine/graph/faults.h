/* faults.h: what is wrong with something, collected: a list of sentences, so that a person mends all at once. */
#ifndef GRAPH_FAULTS_H
#define GRAPH_FAULTS_H
#include <nodus/tensor.h>

typedef struct Faults {
    char **item;
    size_t count, capacity;
    bool failed; /* out of memory */
} Faults;

void faults_add(Faults *faults, const char *format, ...) NODUS_PRINTF(2, 3);
bool faults_any(const Faults *faults); /* also when memory ended */
/* The first, and how many more there are, as an error; NULL when there are none. */
NodusStatus faults_status(const Faults *faults);
void faults_free(Faults *faults);
#endif
