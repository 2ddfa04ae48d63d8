/* rates.h: how fast kinds of work last went on this machine, for ETAs before the first step. Thread-safe. */
#ifndef GRAPH_RATES_H
#define GRAPH_RATES_H
#include "engine/base/status.h"

typedef struct Rates Rates;
/* `folder`: NULL, or where the file rates.txt is kept between processes; `machine`: device and threads, part of every key. */
NodusStatus rates_open(const char *folder, const char *machine, Rates **out);
void rates_close(Rates *rates);                              /* writes the file when something changed; NULL is allowed */
double rates_get(Rates *rates, const char *kind);            /* FLOP per second; 0: unknown */
void rates_set(Rates *rates, const char *kind, double rate); /* forgets silently when out of memory */
#endif
