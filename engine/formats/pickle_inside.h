/* pickle_inside.h: between pickle.c (the machine) and pickle_names.c (what it may be asked for). */
#ifndef FORMATS_PICKLE_INSIDE_H
#define FORMATS_PICKLE_INSIDE_H
#include "engine/formats/pickle.h"

/* The name, or an error that says it. */
NodusStatus pickle_name_find(const char *module, size_t module_length, const char *name, size_t name_length,
                             const PickleName **out);
/* What calling `name` with the list `arguments` gives. */
NodusStatus pickle_name_call(Pickle *pickle, const PickleName *name, const PickleValue *arguments, PickleValue **out);
/* The persistent id ('storage', class, key, device, count) as a storage. */
NodusStatus pickle_storage(Pickle *pickle, const PickleValue *id, PickleValue **out);

PickleValue *pickle_new(Pickle *pickle, PickleKind kind); /* NULL when out of memory */
bool pickle_append(Pickle *pickle, PickleValue *to, PickleValue *item);
NodusStatus pickle_damaged(const char *what);
#endif
