/* loras.c: see loras.h. A colon starts a strength only if a number and nothing else follows, for names may hold colons. */
#include "engine/cli/loras.h"
#include "engine/cli/say.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STRONGEST = 100 /* that LoraLoader takes */ };

/* The strength after the last colon; *length is what the name has. */
static double strength_of(const char *given, size_t *length)
{
    const char *colon = strrchr(given, ':');
    char *end;
    *length = strlen(given);
    if (!colon || !colon[1]) return 1;
    const double strength = strtod(colon + 1, &end);
    if (*end) return 1;
    *length = (size_t)(colon - given);
    return strength;
}

static NodusStatus loras_one(NodusEngine *engine, const char *given, char **name, double *strength)
{
    size_t length;
    char *path = NULL;
    *strength = strength_of(given, &length);
    if (!isfinite(*strength) || fabs(*strength) > STRONGEST)
        return nodus_error(NODUS_ERROR_INPUT, "--lora %s: the strength must be from -%d to %d", given, STRONGEST, STRONGEST);
    char *file = need(strndup(given, length));
    NodusStatus status = nodus_engine_find(engine, "loras", file, &path, name);
    nodus_free(path);
    free(file);
    return status ? nodus_error_prefix(status, "--lora") : NULL;
}

NodusStatus loras_find(NodusEngine *engine, const TextList *given, Loras *out)
{
    *out = (Loras){.item = need(calloc((size_t)given->count + 1, sizeof *out->item))};
    for (int i = 0; i < given->count; i++, out->count++)
        NODUS_TRY(loras_one(engine, given->item[i], &out->item[i].name, &out->item[i].strength));
    return NULL;
}

void loras_free(Loras *loras)
{
    for (int i = 0; i < loras->count; i++) nodus_free(loras->item[i].name);
    free(loras->item);
}
