/* support_upscaler.c: see support_upscaler.h. A weight's numbers depend on its new name only, so both names give one network. */
#include "tests/support_upscaler.h"
#include "engine/base/hash.h"
#include "engine/formats/safetensors.h"
#include "tests/support.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 8, GROWTH = 4, BLOCKS = 2, MOST_ITEMS = 128, MOST_NUMBERS = 1 << 17 };

typedef struct Maker {
    SafetensorsItem item[MOST_ITEMS];
    char name[MOST_ITEMS][64];
    float number[MOST_NUMBERS];
    int items, numbers;
} Maker;

static void put(Maker *maker, const char *seed, const char *name, int rank, const int64_t *dim, float size)
{
    SafetensorsItem *item = &maker->item[maker->items];
    uint64_t state = hash_of(seed, strlen(seed)).low;
    int count = 1;
    snprintf(maker->name[maker->items], sizeof maker->name[0], "%s", name);
    *item = (SafetensorsItem){.name = maker->name[maker->items++], .dtype = NODUS_F32, .rank = rank, .data = maker->number + maker->numbers};
    for (int i = 0; i < rank; i++) count *= (int)(item->dim[i] = dim[i]);
    for (int i = 0; i < count; i++) maker->number[maker->numbers++] = size * support_uniform(&state);
}

static void conv(Maker *maker, const char *seed, const char *name, int64_t out, int64_t in, float size)
{
    char of_seed[80], of_name[80];
    snprintf(of_seed, sizeof of_seed, "%s.weight", seed);
    snprintf(of_name, sizeof of_name, "%s.weight", name);
    put(maker, of_seed, of_name, 4, (int64_t[]){out, in, 3, 3}, size * sqrtf(3.0f / (9 * (float)in)));
    snprintf(of_seed, sizeof of_seed, "%s.bias", seed);
    snprintf(of_name, sizeof of_name, "%s.bias", name);
    put(maker, of_seed, of_name, 1, &out, 0.1f * size);
}

static NodusStatus write(Maker *maker, const char *path)
{
    NodusStatus status = safetensors_write(path, true, NULL, maker->item, maker->items, NULL, 0);
    free(maker);
    return status;
}

static void dense_blocks(Maker *maker, bool old)
{
    char seed[64], name[64];
    for (int i = 0; i < BLOCKS * 3 * 5; i++) {
        const int block = i / 15, part = i / 5 % 3 + 1, layer = i % 5;
        snprintf(seed, sizeof seed, "body.%d.rdb%d.conv%d", block, part, layer + 1);
        snprintf(name, sizeof name, "model.1.sub.%d.RDB%d.conv%d.0", block, part, layer + 1);
        conv(maker, seed, old ? name : seed, layer < 4 ? GROWTH : WIDTH, WIDTH + layer * GROWTH, 1);
    }
}

NodusStatus support_upscaler(const char *path, bool old, int fold)
{
    static const struct { const char *seed, *name; } after[] = {
        {"conv_body", "model.1.sub.2"}, {"conv_up1", "model.3"}, {"conv_up2", "model.6"}, {"conv_hr", "model.8"}};
    Maker *maker = calloc(1, sizeof *maker);
    if (!maker) abort();
    conv(maker, "conv_first", old ? "model.0" : "conv_first", WIDTH, 3 * fold * fold, 1);
    dense_blocks(maker, old);
    for (size_t i = 0; i < sizeof after / sizeof *after; i++) conv(maker, after[i].seed, old ? after[i].name : after[i].seed, WIDTH, WIDTH, 1);
    conv(maker, "conv_last", old ? "model.10" : "conv_last", 3, WIDTH, 1);
    return write(maker, path);
}

NodusStatus support_upscaler_compact(const char *path, int scale, bool silent)
{
    Maker *maker = calloc(1, sizeof *maker);
    if (!maker) abort();
    conv(maker, "body.0", "body.0", WIDTH, 3, 1);
    put(maker, "body.1.weight", "body.1.weight", 1, (int64_t[]){WIDTH}, 0.5f);
    conv(maker, "body.2", "body.2", WIDTH, WIDTH, 1);
    put(maker, "body.3.weight", "body.3.weight", 1, (int64_t[]){WIDTH}, 0.5f);
    conv(maker, "body.4", "body.4", 3 * scale * scale, WIDTH, silent ? 0 : 0.3f);
    return write(maker, path);
}
