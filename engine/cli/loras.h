/* loras.h: the LoRAs of `nodus make --lora FILE[:STRENGTH]`. */
#ifndef CLI_LORAS_H
#define CLI_LORAS_H
#include "engine/cli/options.h"

typedef struct Loras {
    struct {
        char *name;
        double strength;
    } * item; /* as models/loras lists it */
    int count;
} Loras;
/* Finds the files; an error names the option. loras_free in any case. */
NodusStatus loras_find(NodusEngine *engine, const TextList *given, Loras *out);
void loras_free(Loras *loras);
#endif
