/* png.c: PNG by libpng, from memory to memory.
 *
 * One idea: libpng reports errors by longjmp, so everything that has to survive one lives in a struct of the caller; the
 * functions with setjmp have no locals that matter afterwards. libpng allocates through us, so that running out of memory is told
 * apart from a bad file. */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/formats/picture_formats.h"
#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

enum { CHUNK_LIMIT = 64 << 20 /* bytes of one text, with the workflow in it */, IHDR_END = 33, KEY_LIMIT = 79 };

typedef struct Png {
    png_structp png;
    png_infop info;
    const uint8_t *data; /* reading: what is left */
    size_t size;
    uint8_t *out; /* writing: what there is */
    size_t used, room;
    bool out_of_memory;
    int orientation; /* reading: EXIF's, where it comes before the pixels */
    char message[128];
} Png;

static png_voidp png_allocate(png_structp png, png_alloc_size_t size)
{
    void *memory = memory_grow(NULL, size, 1);
    Png *self = png_get_mem_ptr(png);
    if (!memory) self->out_of_memory = true;
    return memory;
}

static void png_release(png_structp png, png_voidp memory)
{
    (void)png;
    memory_free(memory);
}

static void png_failed(png_structp png, png_const_charp message)
{
    Png *self = png_get_error_ptr(png);
    snprintf(self->message, sizeof self->message, "%s", message);
    png_longjmp(png, 1);
}

static void png_ignored(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

static NodusStatus png_status(const Png *self)
{
    if (self->out_of_memory) return status_memory();
    return nodus_error(NODUS_ERROR_FILE, "it is damaged (%s)", self->message);
}

/* ---- Reading --------------------------------------------------------------------------------------------------------- */

static void png_read_bytes(png_structp png, png_bytep to, size_t size)
{
    Png *self = png_get_io_ptr(png);
    if (size > self->size) png_error(png, "the file ends early");
    memcpy(to, self->data, size);
    self->data += size;
    self->size -= size;
}

static bool reader_open(Png *self)
{
    self->png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, self, png_failed, png_ignored, self, png_allocate, png_release);
    if (self->png) self->info = png_create_info_struct(self->png);
    self->out_of_memory = !self->info;
    if (!self->info) return false;
    png_set_read_fn(self->png, self, png_read_bytes);
    png_set_user_limits(self->png, PICTURE_MAX_SIDE, PICTURE_MAX_SIDE);
    png_set_chunk_malloc_max(self->png, CHUNK_LIMIT);
    return true;
}

/* Everything becomes RGBA of 8 bits; 16-bit grey stays 16-bit grey with alpha, which takes as much room. */
static void set_transforms(Png *self, bool grey16)
{
    png_set_expand(self->png); /* palettes, 1 to 4 bits, tRNS */
    if (grey16) {
        png_set_add_alpha(self->png, 0xffff, PNG_FILLER_AFTER);
        return;
    }
    png_set_strip_16(self->png);
    png_set_gray_to_rgb(self->png);
    png_set_add_alpha(self->png, 0xff, PNG_FILLER_AFTER);
}

/* Pillow clips 16-bit grey instead of scaling it, and the reference shows what Pillow reads. */
static void clip_grey16(uint8_t *pixels, size_t count)
{
    for (uint8_t *p = pixels; p < pixels + 4 * count; p += 4) {
        const uint8_t grey = p[0] ? 255 : p[1], alpha = p[2];
        memcpy(p, (uint8_t[]){grey, grey, grey, alpha}, 4);
    }
}

static bool read_pixels(Png *self, Picture *out)
{
    if (setjmp(png_jmpbuf(self->png))) return false;
    png_set_keep_unknown_chunks(self->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1); /* texts, profiles: not for pixels */
    png_set_keep_unknown_chunks(self->png, PNG_HANDLE_CHUNK_AS_DEFAULT, (png_const_bytep) "eXIf", 1);
    png_read_info(self->png, self->info);
    png_bytep exif;
    png_uint_32 exif_size;
    if (png_get_eXIf_1(self->png, self->info, &exif_size, &exif)) self->orientation = picture_orientation(exif, exif_size);
    const int type = png_get_color_type(self->png, self->info);
    const bool grey16 = type == PNG_COLOR_TYPE_GRAY && png_get_bit_depth(self->png, self->info) == 16;
    /* A colour key of grey or RGB pictures is no mask to Pillow, which the reference reads with; a palette's transparency is. */
    out->has_alpha = (type & PNG_COLOR_MASK_ALPHA) || (type == PNG_COLOR_TYPE_PALETTE && png_get_valid(self->png, self->info, PNG_INFO_tRNS));
    set_transforms(self, grey16);
    const int passes = png_set_interlace_handling(self->png);
    png_read_update_info(self->png, self->info);
    if (png_get_rowbytes(self->png, self->info) != (size_t)out->width * 4) png_error(self->png, "unexpected row size");
    for (int pass = 0; pass < passes; pass++)
        for (int y = 0; y < out->height; y++) png_read_row(self->png, out->rgba + (size_t)y * out->width * 4, NULL);
    png_read_end(self->png, NULL);
    if (grey16) clip_grey16(out->rgba, (size_t)out->width * out->height);
    return true;
}

static uint32_t big_endian(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

NodusStatus png_decode(const uint8_t *data, size_t size, size_t most_pixels, Picture *out)
{
    if (size < IHDR_END) return nodus_error(NODUS_ERROR_FILE, "it is damaged (the file ends early)");
    const uint32_t width = big_endian(data + 16), height = big_endian(data + 20); /* IHDR comes first; libpng checks that */
    NODUS_TRY(picture_check_size(width, height, most_pixels));
    *out = (Picture){(int)width, (int)height, 1, false, memory_array((size_t)width * height, 4)};
    if (!out->rgba) return status_memory();
    Png self = {.data = data, .size = size};
    const bool done = reader_open(&self) && read_pixels(&self, out) && !self.out_of_memory;
    NodusStatus status = done ? NULL : png_status(&self);
    png_destroy_read_struct(&self.png, &self.info, NULL);
    return status ? status : picture_turn(out, self.orientation);
}

/* ---- Writing --------------------------------------------------------------------------------------------------------- */

static void png_write_bytes(png_structp png, png_bytep from, size_t size)
{
    Png *self = png_get_io_ptr(png);
    if (size > self->room - self->used) {
        const size_t room = (self->room < size ? size : self->room) * 2;
        uint8_t *grown = memory_grow(self->out, room, 1);
        self->out_of_memory = !grown;
        if (!grown) png_error(png, "out of memory");
        self->out = grown;
        self->room = room;
    }
    memcpy(self->out + self->used, from, size);
    self->used += size;
}

static void png_flush_nothing(png_structp png)
{
    (void)png;
}

typedef struct PngImage {
    const uint8_t *pixels;
    int width, height, channels, level;
    bool fast;
    png_text *texts;
    int text_count;
} PngImage;

static bool write_image(Png *self, const PngImage *image)
{
    static const int colour[] = {0, PNG_COLOR_TYPE_GRAY, 0, PNG_COLOR_TYPE_RGB, PNG_COLOR_TYPE_RGBA};
    if (setjmp(png_jmpbuf(self->png))) return false;
    png_set_write_fn(self->png, self, png_write_bytes, png_flush_nothing);
    png_set_IHDR(self->png, self->info, (png_uint_32)image->width, (png_uint_32)image->height, 8, colour[image->channels],
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_BASE, PNG_FILTER_TYPE_BASE);
    png_set_compression_level(self->png, image->fast ? 1 : image->level);
    if (image->fast) {
        png_set_filter(self->png, PNG_FILTER_TYPE_BASE, PNG_FILTER_UP);
        png_set_compression_strategy(self->png, 3 /* Z_RLE */);
    }
    if (image->text_count) png_set_text(self->png, self->info, image->texts, image->text_count);
    png_write_info(self->png, self->info);
    for (int y = 0; y < image->height; y++) png_write_row(self->png, image->pixels + (size_t)y * image->width * image->channels);
    png_write_end(self->png, NULL);
    return true;
}

static NodusStatus check_image(int width, int height, int channels, int level, const PictureText *texts, int text_count)
{
    if (width < 1 || height < 1 || (channels != 1 && channels != 3 && channels != 4) || level < 0 || level > 9)
        return nodus_error(NODUS_ERROR_INTERNAL, "cannot write a PNG of %d x %d x %d at level %d", width, height, channels,
                           level);
    for (int i = 0; i < text_count; i++)
        if (!texts[i].key[0] || strlen(texts[i].key) > KEY_LIMIT)
            return nodus_error(NODUS_ERROR_INPUT, "the key '%.100s' of a PNG text must have 1 to 79 characters", texts[i].key);
    return NULL;
}

/* libpng wants pointers to text that it does not write to. */
static png_text *text_table(const PictureText *texts, int count)
{
    png_text *table = memory_array((size_t)count, sizeof *table);
    for (int i = 0; table && i < count; i++)
        table[i] = (png_text){.compression = PNG_TEXT_COMPRESSION_NONE,
                                    .key = (char *)(uintptr_t)texts[i].key,
                                    .text = (char *)(uintptr_t)texts[i].value,
                                    .text_length = strlen(texts[i].value)};
    return table;
}

NodusStatus png_encode(const uint8_t *pixels, int width, int height, int channels, int level, bool fast, const PictureText *texts,
                       int text_count, uint8_t **out, size_t *size)
{
    NODUS_TRY(check_image(width, height, channels, level, texts, text_count));
    PngImage image = {pixels, width, height, channels, level, fast, text_table(texts, text_count), text_count};
    Png self = {0};
    if (!image.texts) return status_memory();
    self.png = png_create_write_struct_2(PNG_LIBPNG_VER_STRING, &self, png_failed, png_ignored, &self, png_allocate, png_release);
    if (self.png) self.info = png_create_info_struct(self.png);
    self.out_of_memory = !self.info;
    const bool done = self.info && write_image(&self, &image);
    NodusStatus status = done                 ? NULL
                         : self.out_of_memory ? status_memory()
                                              : nodus_error(NODUS_ERROR_INTERNAL, "cannot write a PNG: %s", self.message);
    png_destroy_write_struct(&self.png, &self.info);
    memory_free(image.texts);
    if (status) memory_free(self.out);
    if (!status) *out = self.out;
    if (!status) *size = self.used;
    return status;
}
