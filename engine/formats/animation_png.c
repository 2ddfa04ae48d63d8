/* animation_png.c: an animated PNG.
 *
 * One idea: each frame is first a PNG of its own, made by png_encode; then its data go into one file, the first frame's as they
 * are and the others' under a number, so nothing here compresses. Every frame has the whole size and replaces what was there. */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/base/text.h"
#include "engine/formats/animation.h"
#include <string.h>
#include <zlib.h>

enum { SIGNATURE = 8, FRAME = 12 /* length, letters, checksum */, HEADER_CHUNK = 25, MOST_DELAY = 0xffff, THOUSANDTHS = 1000 };

static void put_number(Text *out, uint32_t value, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--) text_char(out, (char)(value >> 8 * i));
}

static void put_chunk(Text *out, const char *letters, const void *data, size_t size)
{
    put_number(out, (uint32_t)size, 4);
    const size_t start = out->length;
    text_add_n(out, letters, 4);
    text_add_n(out, data, size);
    if (!out->failed) put_number(out, (uint32_t)crc32_z(0, (const Bytef *)out->data + start, out->length - start), 4);
}

static void put_control(Text *out, const Animation *a, uint32_t number)
{
    Text body = {0};
    const bool fits = a->milliseconds <= MOST_DELAY;
    const int seconds = a->milliseconds / THOUSANDTHS;
    put_number(&body, number, 4);
    put_number(&body, (uint32_t)a->width, 4);
    put_number(&body, (uint32_t)a->height, 4);
    put_number(&body, 0, 4);
    put_number(&body, 0, 4);
    put_number(&body, (uint32_t)(fits ? a->milliseconds : seconds < MOST_DELAY ? seconds : MOST_DELAY), 2);
    put_number(&body, fits ? THOUSANDTHS : 1, 2);
    put_number(&body, 0, 2); /* stays until the next, which replaces it */
    if (body.failed) out->failed = true;
    else put_chunk(out, "fcTL", body.data, body.length);
    text_free(&body);
}

/* The data of a PNG of ours, as they are or as numbered pieces; `number` counts on. */
static void put_data(Text *out, const uint8_t *png, size_t size, bool first, uint32_t *number)
{
    for (size_t at = SIGNATURE; size - at >= FRAME && !out->failed;) {
        const size_t length = (size_t)png[at] << 24 | (size_t)png[at + 1] << 16 | (size_t)png[at + 2] << 8 | png[at + 3];
        const bool data = !memcmp(png + at + 4, "IDAT", 4);
        if (data && first) text_add_n(out, (const char *)png + at, FRAME + length);
        if (data && !first) {
            Text piece = {0};
            put_number(&piece, (*number)++, 4);
            text_add_n(&piece, (const char *)png + at + 8, length);
            if (piece.failed) out->failed = true;
            else put_chunk(out, "fdAT", piece.data, piece.length);
            text_free(&piece);
        }
        at += FRAME + length;
    }
}

static NodusStatus put_frame(Text *out, const Animation *a, int level, int frame, uint32_t *number)
{
    const size_t bytes = (size_t)a->width * a->height * a->channels;
    uint8_t *png,
        count[8] = {(uint8_t)(a->frames >> 24), (uint8_t)(a->frames >> 16), (uint8_t)(a->frames >> 8), (uint8_t)a->frames};
    size_t size;
    NODUS_TRY(
        png_encode(a->pixels + (size_t)frame * bytes, a->width, a->height, a->channels, level, false, NULL, 0, &png, &size));
    if (!frame) {
        text_add_n(out, (const char *)png, SIGNATURE + HEADER_CHUNK);
        put_chunk(out, "acTL", count, sizeof count); /* and 0: for ever */
    }
    put_control(out, a, (*number)++);
    put_data(out, png, size, !frame, number);
    memory_free(png);
    return NULL;
}

static void put_text(Text *out, const PictureText *text)
{
    Text body = {0};
    text_add_n(&body, text->key, strlen(text->key) + 1);
    text_add(&body, text->value);
    if (body.failed) out->failed = true;
    else put_chunk(out, "comf", body.data, body.length);
    text_free(&body);
}

NodusStatus apng_encode(const Animation *animation, int level, uint8_t **out, size_t *size)
{
    Text file = {0};
    uint32_t number = 0;
    NodusStatus status = NULL;
    char *taken = NULL;
    for (int i = 0; i < animation->frames && !status; i++) status = put_frame(&file, animation, level, i, &number);
    for (int i = 0; i < animation->text_count && !status; i++) put_text(&file, &animation->texts[i]);
    put_chunk(&file, "IEND", "", 0);
    *size = file.length;
    if (!status) status = text_take(&file, &taken);
    text_free(&file);
    *out = (uint8_t *)taken;
    return status;
}
