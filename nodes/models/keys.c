/* keys.c: looking up names and shapes of a state dict, with bounds and with errors that name the key. */
#include "nodes/models/keys.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const Weight *keys_get_v(const WeightSet *weights, const char *prefix, const char *format, va_list args)
{
    char name[KEYS_LONGEST];
    const int head = snprintf(name, sizeof name, "%s", prefix);
    if (head < 0 || head >= KEYS_LONGEST) return NULL;
    const int tail = vsnprintf(name + head, sizeof name - (size_t)head, format, args);
    return tail < 0 || tail >= KEYS_LONGEST - head ? NULL : weights_get(weights, name);
}

const Weight *keys_get(const WeightSet *weights, const char *prefix, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const Weight *weight = keys_get_v(weights, prefix, format, args);
    va_end(args);
    return weight;
}

NodusStatus keys_size(const WeightSet *weights, const char *prefix, const char *suffix, int rank, int axis, int *out)
{
    const Weight *weight = keys_get(weights, prefix, "%s", suffix);
    if (!weight) return nodus_error(NODUS_ERROR_FILE, "the weight \"%s%s\" is missing", prefix, suffix);
    if (rank ? weight->rank != rank : weight->rank <= axis)
        return nodus_error(NODUS_ERROR_FILE, "\"%s\" has %d dimensions, expected %d", weight->name, weight->rank,
                           rank ? rank : axis + 1);
    const int64_t size = weight->dim[axis];
    if (size < 1 || size > KEYS_MAX_SIZE)
        return nodus_error(NODUS_ERROR_FILE, "dimension %d of \"%s\" is %lld: not a size that a network has", axis, weight->name,
                           (long long)size);
    *out = (int)size;
    return NULL;
}

NodusStatus keys_count(const WeightSet *weights, const char *prefix, const char *before, const char *after, int most, int *out)
{
    int count = 0;
    while (count <= most && keys_get(weights, prefix, "%s%d%s", before, count, after)) count++;
    if (count > most)
        return nodus_error(NODUS_ERROR_FILE, "there are more than %d weights \"%s%sN%s\"", most, prefix, before, after);
    *out = count;
    return NULL;
}

bool keys_any_prefix(const WeightSet *weights, const char *prefix)
{
    for (int i = 0; i < weights_count(weights); i++)
        if (!strncmp(weights_at(weights, i)->name, prefix, strlen(prefix))) return true;
    return false;
}

bool keys_any_piece(const WeightSet *weights, const char *piece)
{
    for (int i = 0; i < weights_count(weights); i++)
        if (strstr(weights_at(weights, i)->name, piece)) return true;
    return false;
}

NodusStatus keys_prefix(const char *prefix, char *out, size_t room)
{
    if (strlen(prefix) >= room) return nodus_error(NODUS_ERROR_FILE, "the prefix \"%.40s…\" is too long", prefix);
    strcpy(out, prefix);
    return NULL;
}
