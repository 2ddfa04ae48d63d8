/* metadata_png.c: the text chunks of a PNG file.
 *
 * Format: 8 bytes of signature, then chunks: length (big-endian), 4 letters, data, CRC-32 of letters and data. IHDR comes first,
 * IEND last. tEXt  key \0 text in Latin-1 zTXt  key \0 method (0) deflated text in Latin-1 iTXt  key \0 flag method language \0
 * translated key \0 text in UTF-8, deflated when the flag is 1 One idea: a walk over chunks with every length checked. libpng
 * would stop at the pixels or decode them, and texts may lie behind them; and a file whose end is lost still tells what it began
 * with. */
#include "engine/base/memory.h"
#include "engine/formats/metadata.h"
#include <string.h>
#include <zlib.h>

enum { SIGNATURE = 8, FRAME = 12 /* length, letters, CRC */, KEY_LIMIT = 79, INFLATE_FIRST = 1 << 12, INFLATE_LIMIT = 64 << 20 };

typedef struct Span {
    const uint8_t *data;
    size_t size;
} Span;

static uint32_t big_endian(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* Cuts a text up to its NUL off the span; false when there is none. */
static bool cut_text(Span *span, Span *text)
{
    const uint8_t *end = span->size ? memchr(span->data, 0, span->size) : NULL;
    if (!end) return false;
    *text = (Span){span->data, (size_t)(end - span->data)};
    *span = (Span){end + 1, span->size - text->size - 1};
    return true;
}

/* Every character of Latin-1 is a code point below 256. A NUL inside ends the text. */
static char *from_latin1(Span text)
{
    char *copy = memory_array(text.size + 1, 2), *to = copy;
    for (size_t i = 0; copy && i < text.size && text.data[i]; i++) {
        const uint8_t c = text.data[i];
        if (c >= 0x80) *to++ = (char)(0xc0 | c >> 6);
        *to++ = (char)(c < 0x80 ? c : 0x80 | (c & 63));
    }
    return copy;
}

/* *out stays NULL without an error when the data is damaged or too long. */
static NodusStatus inflate_all(z_stream *stream, uint8_t **out, size_t *size)
{
    uint8_t *data = NULL;
    int result = Z_OK;
    for (size_t room = INFLATE_FIRST; result == Z_OK && room <= INFLATE_LIMIT; room *= 2) {
        uint8_t *grown = memory_grow(data, room, 1);
        if (!grown) {
            memory_free(data);
            return status_memory();
        }
        data = grown;
        stream->next_out = data + stream->total_out;
        stream->avail_out = (uInt)(room - stream->total_out);
        result = inflate(stream, Z_NO_FLUSH);
        if (result == Z_BUF_ERROR && stream->avail_in && !stream->avail_out) result = Z_OK;
    }
    *size = stream->total_out;
    if (result == Z_STREAM_END) *out = data;
    else memory_free(data);
    return result == Z_MEM_ERROR ? status_memory() : NULL;
}

static NodusStatus inflate_text(Span text, uint8_t **out, size_t *size)
{
    z_stream stream = {.next_in = (z_const Bytef *)(uintptr_t)text.data, .avail_in = (uInt)text.size};
    *out = NULL;
    if (inflateInit(&stream) != Z_OK) return status_memory();
    NodusStatus status = inflate_all(&stream, out, size);
    inflateEnd(&stream);
    return status;
}

typedef struct Entry {
    Span key, text;
    bool deflated, utf8;
} Entry;

static bool parse_entry(const uint8_t *letters, Span body, Entry *out)
{
    Span skipped;
    *out = (Entry){.utf8 = letters[0] == 'i', .deflated = letters[0] == 'z'};
    if (!cut_text(&body, &out->key) || !out->key.size || out->key.size > KEY_LIMIT) return false;
    const size_t flags = letters[0] == 'z' ? 1 : letters[0] == 'i' ? 2 : 0;
    if (body.size < flags || (flags && body.data[flags - 1])) return false; /* a method that is not deflate */
    if (flags == 2) out->deflated = body.data[0];
    body = (Span){body.data + flags, body.size - flags};
    if (out->utf8 && !(cut_text(&body, &skipped) && cut_text(&body, &skipped))) return false;
    out->text = body;
    return true;
}

static NodusStatus add_entry(const Entry *entry, Metadata *out)
{
    uint8_t *inflated = NULL;
    Span text = entry->text;
    if (entry->deflated) {
        NODUS_TRY(inflate_text(entry->text, &inflated, &text.size));
        text.data = inflated;
        out->damaged += !inflated;
        if (!inflated) return NULL;
    }
    char *value =
        entry->utf8 ? memory_text_n((const char *)text.data, strnlen((const char *)text.data, text.size)) : from_latin1(text);
    memory_free(inflated);
    return metadata_add(out, from_latin1(entry->key), value);
}

/* comf: what ComfyUI and nodus write into animations, behind the pixels; like tEXt. */
static bool is_text(const uint8_t *letters)
{
    return !memcmp(letters, "tEXt", 4) || !memcmp(letters, "zTXt", 4) || !memcmp(letters, "iTXt", 4) || !memcmp(letters, "comf", 4);
}

static NodusStatus read_chunk(const uint8_t *letters, Span body, bool whole, Metadata *out)
{
    Entry entry;
    if (!is_text(letters)) return NULL;
    if (whole && parse_entry(letters, body, &entry)) return add_entry(&entry, out);
    out->damaged++;
    return NULL;
}

NodusStatus metadata_read_png(const uint8_t *data, size_t size, Metadata *out)
{
    out->format = "PNG";
    for (size_t at = SIGNATURE; size - at >= FRAME;) {
        const uint8_t *letters = data + at + 4;
        const size_t length = big_endian(data + at);
        if (at == SIGNATURE && (memcmp(letters, "IHDR", 4) || length < 8))
            return nodus_error(NODUS_ERROR_FILE, "the picture is damaged (a PNG file begins with the chunk IHDR)");
        if (length > size - at - FRAME) {
            out->damaged++;
            return NULL;
        }
        const bool whole = !is_text(letters) || crc32(0, letters, (uInt)length + 4) == big_endian(letters + 4 + length);
        if (at == SIGNATURE) {
            out->width = big_endian(letters + 4);
            out->height = big_endian(letters + 8);
        }
        NODUS_TRY(read_chunk(letters, (Span){letters + 4, length}, whole, out));
        if (!memcmp(letters, "IEND", 4)) return NULL;
        at += FRAME + length;
    }
    out->damaged++; /* it ends without IEND */
    return NULL;
}
