/* animation_webp.c: an animated WebP with texts in its EXIF chunk.
 *
 * One idea: libwebp's encoder of animations makes the file, and where there are texts its container library adds the chunk. EXIF
 * is a directory: "II", 42, where it begins, how many entries; each entry tag, type 2 (text), length, place; then the texts. */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/base/text.h"
#include "engine/formats/animation.h"
#include <string.h>
#include <webp/encode.h>
#include <webp/mux.h>

enum { TAG_MAKE = 0x010f, TAG_MODEL = 0x0110, ASCII = 2, HEADER = 8, ENTRY = 12, MOST_TEXTS = 64 };

static NodusStatus webp_failed(const char *reason)
{
    return nodus_error(NODUS_ERROR_INTERNAL, "cannot write a WebP: %s", reason);
}

/* ---- EXIF ----------------------------------------------------------------------------------------------------------- */

static void put_number(Text *out, size_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) text_char(out, (char)(value >> 8 * i));
}

static size_t text_bytes(const PictureText *text)
{
    return strlen(text->key) + 1 + strlen(text->value) + 1;
}

/* The texts in the order of their tags, which must rise: the last of "the others" first, "prompt" at the end. */
static int sort_texts(const Animation *a, const PictureText *out[MOST_TEXTS], bool *prompt)
{
    int count = 0;
    const PictureText *model = NULL;
    for (int i = a->text_count - 1; i >= 0; i--) {
        if (!strcmp(a->texts[i].key, "prompt")) model = &a->texts[i];
        else if (count < MOST_TEXTS - 1) out[count++] = &a->texts[i];
    }
    *prompt = model != NULL;
    if (model) out[count++] = model;
    return count;
}

static void put_exif(const Animation *a, Text *out)
{
    const PictureText *texts[MOST_TEXTS];
    bool prompt;
    const int count = sort_texts(a, texts, &prompt), others = count - prompt;
    size_t at = HEADER + 2 + (size_t)count * ENTRY + 4;
    text_add_n(out, "II*\0\x08\0\0\0", HEADER);
    put_number(out, (size_t)count, 2);
    for (int i = 0; i < count; i++) {
        put_number(out, (size_t)(i < others ? TAG_MAKE - (others - 1 - i) : TAG_MODEL), 2);
        put_number(out, ASCII, 2);
        put_number(out, text_bytes(texts[i]), 4); /* a key, a colon, a zero and a text: more than the four that fit inside */
        put_number(out, at, 4);
        at += text_bytes(texts[i]);
    }
    put_number(out, 0, 4);
    for (int i = 0; i < count; i++) {
        text_format(out, "%s:%s", texts[i]->key, texts[i]->value);
        text_char(out, '\0');
    }
}

/* ---- Frames --------------------------------------------------------------------------------------------------------- */

static bool add_frame(WebPAnimEncoder *encoder, const WebPConfig *config, const Animation *a, int frame)
{
    const size_t bytes = (size_t)a->width * a->height * a->channels;
    WebPPicture picture;
    if (!WebPPictureInit(&picture)) return false;
    picture.width = a->width;
    picture.height = a->height;
    picture.use_argb = 1;
    int (*import)(WebPPicture *, const uint8_t *, int) = a->channels == 4 ? WebPPictureImportRGBA : WebPPictureImportRGB;
    bool done = import(&picture, a->pixels + (size_t)frame * bytes, a->width * a->channels);
    done = done && WebPAnimEncoderAdd(encoder, &picture, frame * a->milliseconds, config);
    WebPPictureFree(&picture);
    return done;
}

/* The times are those at which frames begin; the last call says when the last one ends. */
static NodusStatus add_frames(WebPAnimEncoder *encoder, const WebPConfig *config, const Animation *a, WebPData *out)
{
    for (int i = 0; i < a->frames; i++)
        if (!add_frame(encoder, config, a, i)) return webp_failed(WebPAnimEncoderGetError(encoder));
    if (!WebPAnimEncoderAdd(encoder, NULL, a->frames * a->milliseconds, NULL) || !WebPAnimEncoderAssemble(encoder, out))
        return webp_failed(WebPAnimEncoderGetError(encoder));
    return NULL;
}

/* The file with an EXIF chunk, in place of the one without. */
static NodusStatus add_exif(const Text *exif, WebPData *file)
{
    const WebPData chunk = {(const uint8_t *)exif->data, exif->length};
    WebPData with = {0};
    WebPMux *mux = WebPMuxCreate(file, 0);
    const bool done = mux && WebPMuxSetChunk(mux, "EXIF", &chunk, 0) == WEBP_MUX_OK && WebPMuxAssemble(mux, &with) == WEBP_MUX_OK;
    WebPMuxDelete(mux);
    if (!done) return webp_failed("its texts do not fit");
    WebPDataClear(file);
    *file = with;
    return NULL;
}

static NodusStatus encode(const Animation *a, const WebPConfig *config, WebPData *file)
{
    WebPAnimEncoder *encoder = WebPAnimEncoderNew(a->width, a->height, NULL);
    if (!encoder) return status_memory();
    NodusStatus status = add_frames(encoder, config, a, file);
    WebPAnimEncoderDelete(encoder);
    if (status || !a->text_count) return status;
    Text exif = {0};
    put_exif(a, &exif);
    status = exif.failed ? status_memory() : add_exif(&exif, file);
    text_free(&exif);
    return status;
}

NodusStatus webp_encode(const Animation *animation, bool lossless, int quality, int effort, uint8_t **out, size_t *size)
{
    WebPConfig config;
    WebPData file = {0};
    if (!WebPConfigInit(&config)) return webp_failed("another version of the library is installed than nodus was built for");
    config.lossless = lossless;
    config.quality = (float)quality;
    config.method = effort;
    if (!WebPValidateConfig(&config) || animation->width > WEBP_MAX_DIMENSION || animation->height > WEBP_MAX_DIMENSION)
        return nodus_error(NODUS_ERROR_INTERNAL, "cannot write a WebP of %d x %d at quality %d", animation->width,
                           animation->height, quality);
    NodusStatus status = encode(animation, &config, &file);
    if (!status) {
        *out = memory_grow(NULL, file.size, 1);
        if (*out) memcpy(*out, file.bytes, file.size);
        else status = status_memory();
        *size = file.size;
    }
    WebPDataClear(&file);
    return status;
}
