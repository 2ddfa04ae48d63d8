/* metadata_webp.c: the EXIF chunk of a WebP file, found by libwebpmux; pixels are not looked at.
 *
 * Format of EXIF: "II" or "MM" for the byte order, 42, the offset of a directory: a count, then entries of 12 bytes: tag, type,
 * count, value or its offset. Texts have type 2. ComfyUI writes "workflow:{…}" into Make (0x010f) and "prompt:{…}" into Model
 * (0x0110), and further texts into the tags before; so the name before the first colon is the key, whatever the tag. One idea:
 * only the first directory is read, each entry with its bounds checked. */
#include "engine/base/memory.h"
#include "engine/formats/metadata.h"
#include <string.h>
#include <webp/mux.h>

enum { HEADER = 8, ENTRY = 12, ASCII = 2, KEY_LIMIT = 79, MOST_ENTRIES = 4096 };

typedef struct Exif {
    const uint8_t *data;
    size_t size;
    bool big; /* byte order */
} Exif;

static uint32_t number(const Exif *exif, size_t at, int bytes)
{
    uint32_t value = 0;
    for (int i = 0; i < bytes; i++) value |= (uint32_t)exif->data[at + (size_t)i] << 8 * (exif->big ? bytes - 1 - i : i);
    return value;
}

/* "key:text" */
static NodusStatus add_text(const char *text, size_t length, Metadata *out)
{
    length = strnlen(text, length);
    const char *colon = memchr(text, ':', length);
    const size_t key = colon ? (size_t)(colon - text) : 0;
    if (!key || key > KEY_LIMIT) return NULL; /* a camera's name, say */
    return metadata_add(out, memory_text_n(text, key), memory_text_n(colon + 1, length - key - 1));
}

static NodusStatus read_exif(const Exif *exif, Metadata *out)
{
    const size_t directory = number(exif, 4, 4);
    if (directory > exif->size || exif->size - directory < 2) {
        out->damaged++;
        return NULL;
    }
    const size_t count = number(exif, directory, 2);
    for (size_t i = 0; i < count && i < MOST_ENTRIES; i++) {
        const size_t at = directory + 2 + i * ENTRY;
        if (exif->size - directory - 2 < (i + 1) * ENTRY) {
            out->damaged++;
            break;
        }
        const size_t length = number(exif, at + 4, 4), offset = length <= 4 ? at + 8 : number(exif, at + 8, 4);
        if (number(exif, at + 2, 2) != ASCII) continue;
        if (offset > exif->size || length > exif->size - offset) out->damaged++;
        else NODUS_TRY(add_text((const char *)exif->data + offset, length, out));
    }
    return NULL;
}

static NodusStatus open_exif(const uint8_t *data, size_t size, Metadata *out)
{
    if (size >= 6 && !memcmp(data, "Exif\0\0", 6)) { /* the name that JPEG puts before it */
        data += 6;
        size -= 6;
    }
    const bool big = size >= HEADER && !memcmp(data, "MM\0*", 4), little = size >= HEADER && !memcmp(data, "II*\0", 4);
    if (big || little) return read_exif(&(Exif){data, size, big}, out);
    out->damaged++;
    return NULL;
}

NodusStatus metadata_read_webp(const uint8_t *data, size_t size, Metadata *out)
{
    const WebPData file = {data, size};
    WebPData chunk = {0};
    int width = 0, height = 0;
    out->format = "WebP";
    WebPMux *mux = WebPMuxCreate(&file, 0);
    if (!mux) return nodus_error(NODUS_ERROR_FILE, "the picture is damaged (its parts do not fit together)");
    if (WebPMuxGetCanvasSize(mux, &width, &height) == WEBP_MUX_OK) {
        out->width = (uint32_t)width;
        out->height = (uint32_t)height;
    }
    NodusStatus status = WebPMuxGetChunk(mux, "EXIF", &chunk) == WEBP_MUX_OK ? open_exif(chunk.bytes, chunk.size, out) : NULL;
    WebPMuxDelete(mux);
    return status;
}
