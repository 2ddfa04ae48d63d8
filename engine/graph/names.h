/* names.h: from names to numbers: node ids, classes, types. An open-addressing table; the keys belong to someone else. */
#ifndef GRAPH_NAMES_H
#define GRAPH_NAMES_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct NameSlot {
    const char *key;
    int32_t value;
} NameSlot;
typedef struct Names {
    NameSlot *slot;
    size_t capacity, count;
} Names;

bool names_put(Names *names, const char *key, int32_t value); /* replaces; false when out of memory */
int32_t names_get(const Names *names, const char *key);       /* −1 when absent */
void names_free(Names *names);
#endif
