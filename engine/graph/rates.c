/* rates.c: a small table "machine · kind → FLOP per second" in a text file, one row a line, fields parted by tabs.
 *
 * One idea: an estimate is a convenience, so nothing about it is ever an error: an unreadable file is an empty one, a row that
 * makes no sense is skipped, and a failed write is forgotten. */
#include "engine/graph/rates.h"
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/base/text.h"
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ROWS = 1000, LARGEST_FILE = 1 << 18 };

typedef struct Row {
    char *key;
    double rate;
} Row; /* key: "machine\tkind" */

struct Rates {
    pthread_mutex_t lock;
    char *file, *machine;
    Row *row;
    size_t count, capacity;
    bool changed;
};

static Row *find(Rates *rates, const char *key)
{
    for (size_t i = 0; i < rates->count; i++)
        if (!strcmp(rates->row[i].key, key)) return &rates->row[i];
    return NULL;
}

static void put(Rates *rates, const char *key, double rate)
{
    Row *row = find(rates, key);
    if (row) {
        row->rate = rate;
        return;
    }
    void *items = rates->row;
    if (rates->count >= MOST_ROWS || !memory_reserve(&items, &rates->capacity, rates->count, sizeof *rates->row)) return;
    rates->row = items;
    char *copy = memory_text(key);
    if (copy) rates->row[rates->count++] = (Row){copy, rate};
}

static void read_rows(Rates *rates, char *text)
{
    for (char *line = text, *next; line && *line; line = next) {
        next = strchr(line, '\n');
        if (next) *next++ = '\0';
        char *number = strrchr(line, '\t');
        if (!number || number == line) continue;
        *number++ = '\0';
        const double rate = strtod(number, NULL);
        if (isfinite(rate) && rate > 0) put(rates, line, rate);
    }
}

static void read_file(Rates *rates)
{
    uint8_t *data = NULL;
    size_t size = 0;
    NodusStatus status = rates->file && file_exists(rates->file) ? file_read(rates->file, LARGEST_FILE, &data, &size) : NULL;
    if (!status && data) read_rows(rates, (char *)data);
    memory_free(data);
    nodus_error_free(status);
}

NodusStatus rates_open(const char *folder, const char *machine, Rates **out)
{
    Rates *rates = memory_alloc(sizeof *rates);
    if (!rates) return status_memory();
    pthread_mutex_init(&rates->lock, NULL);
    rates->machine = memory_text(machine);
    rates->file = folder ? file_join(folder, "rates.txt") : NULL;
    if (!rates->machine || (folder && !rates->file)) {
        rates_close(rates);
        return status_memory();
    }
    read_file(rates);
    *out = rates;
    return NULL;
}

static void write_file(const Rates *rates)
{
    Text text = {0};
    for (size_t i = 0; i < rates->count; i++) text_format(&text, "%s\t%.6g\n", rates->row[i].key, rates->row[i].rate);
    char *slash = text.failed ? NULL : strrchr(rates->file, '/');
    if (slash) *slash = '\0';
    NodusStatus status = slash ? file_make_folders(rates->file) : NULL;
    if (slash) *slash = '/';
    if (!status && !text.failed) status = file_write_whole(rates->file, text_get(&text), text.length);
    nodus_error_free(status);
    text_free(&text);
}

void rates_close(Rates *rates)
{
    if (!rates) return;
    if (rates->changed && rates->file) write_file(rates);
    for (size_t i = 0; i < rates->count; i++) memory_free(rates->row[i].key);
    memory_free(rates->row);
    memory_free(rates->file);
    memory_free(rates->machine);
    pthread_mutex_destroy(&rates->lock);
    memory_free(rates);
}

static bool make_key(const Rates *rates, const char *kind, Text *key)
{
    text_format(key, "%s\t%s", rates->machine, kind);
    for (char *c = key->failed ? NULL : key->data + strlen(rates->machine) + 1; c && *c; c++)
        if (*c == '\t' || *c == '\n') *c = ' ';
    return !key->failed;
}

double rates_get(Rates *rates, const char *kind)
{
    Text key = {0};
    double rate = 0;
    pthread_mutex_lock(&rates->lock);
    const Row *row = make_key(rates, kind, &key) ? find(rates, key.data) : NULL;
    if (row) rate = row->rate;
    pthread_mutex_unlock(&rates->lock);
    text_free(&key);
    return rate;
}

void rates_set(Rates *rates, const char *kind, double rate)
{
    if (!isfinite(rate) || rate <= 0) return;
    Text key = {0};
    pthread_mutex_lock(&rates->lock);
    if (make_key(rates, kind, &key)) {
        put(rates, key.data, rate);
        rates->changed = true;
    }
    pthread_mutex_unlock(&rates->lock);
    text_free(&key);
}
