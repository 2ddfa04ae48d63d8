/* machine.h: how much memory this process may count on. */
#ifndef GRAPH_MACHINE_H
#define GRAPH_MACHINE_H
#include <stddef.h>

/* Bytes that are free or can be freed now, within the limit of the control group (containers). Never 0. */
size_t machine_memory(void);
/* Bytes of anonymous memory that this process has now (RssAnon); 0 when the system does not tell. */
size_t machine_anonymous(void);
#endif
