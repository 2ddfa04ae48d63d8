/* picture_turn.c: pictures that a camera stored lying on their side.
 *
 * One idea: EXIF's orientation 1 … 8 is three yes-or-no answers: rows and columns swapped, then left and right, then top and
 * bottom. libexif reads the block, given as JPEG, WebP and PNG keep it: with "Exif\0\0" in front or without. */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/formats/picture_formats.h"
#include <libexif/exif-data.h>
#include <limits.h>
#include <string.h>

enum { EXIF_PREFIX = 6, ORIENTATION_TAG = 0x0112 };

static void *exif_grow(void *old, ExifLong size)
{
    return memory_grow(old, size, 1);
}

static void *exif_allocate(ExifLong size)
{
    return memory_alloc(size);
}

/* libexif's own answer about a block in its form. */
static int orientation_in(ExifMem *memory, const uint8_t *block, size_t size)
{
    int orientation = 1;
    ExifData *data = exif_data_new_mem(memory);
    if (!data) return 1;
    exif_data_unset_option(data, EXIF_DATA_OPTION_FOLLOW_SPECIFICATION); /* which would add what is missing */
    exif_data_load_data(data, block, (unsigned)size);
    const ExifEntry *entry = exif_content_get_entry(data->ifd[EXIF_IFD_0], EXIF_TAG_ORIENTATION);
    if (entry && entry->format == EXIF_FORMAT_SHORT && entry->components == 1 && entry->size >= 2)
        orientation = exif_get_short(entry->data, exif_data_get_byte_order(data));
    exif_data_unref(data);
    return orientation >= 1 && orientation <= 8 ? orientation : 1;
}

int picture_orientation(const uint8_t *exif, size_t size)
{
    static const char prefix[EXIF_PREFIX] = "Exif\0";
    int orientation = 1;
    if (size < EXIF_PREFIX || size > INT_MAX / 2) return 1;
    ExifMem *memory = exif_mem_new(exif_allocate, exif_grow, memory_free);
    if (!memory) return 1;
    if (!memcmp(exif, prefix, EXIF_PREFIX)) {
        orientation = orientation_in(memory, exif, size);
    } else {
        uint8_t *block = memory_alloc(EXIF_PREFIX + size);
        if (block) memcpy(block, prefix, EXIF_PREFIX);
        if (block) memcpy(block + EXIF_PREFIX, exif, size);
        if (block) orientation = orientation_in(memory, block, EXIF_PREFIX + size);
        memory_free(block);
    }
    exif_mem_unref(memory);
    return orientation;
}

bool picture_turn_swaps(int orientation)
{
    return orientation >= 5;
}

NodusStatus picture_turn(Picture *picture, int orientation)
{
    static const struct {
        bool swap, mirror, flip;
    } turns[] = {
        [2] = {0, 1, 0}, [3] = {0, 1, 1}, [4] = {0, 0, 1}, [5] = {1, 0, 0}, [6] = {1, 1, 0}, [7] = {1, 1, 1}, [8] = {1, 0, 1},
    };
    if (orientation < 2) return NULL;
    const int width = turns[orientation].swap ? picture->height : picture->width;
    const int height = turns[orientation].swap ? picture->width : picture->height;
    const size_t pixels = (size_t)width * height;
    uint8_t *turned = memory_array(pixels * (size_t)picture->frames, 4);
    if (!turned) return status_memory();
    for (int frame = 0; frame < picture->frames; frame++) {
        const uint8_t *from = picture->rgba + (size_t)frame * pixels * 4;
        uint8_t *to = turned + (size_t)frame * pixels * 4;
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++, to += 4) {
                const int column = turns[orientation].mirror ? width - 1 - x : x,
                          row = turns[orientation].flip ? height - 1 - y : y;
                const size_t at =
                    turns[orientation].swap ? (size_t)column * picture->width + row : (size_t)row * picture->width + column;
                memcpy(to, from + 4 * at, 4);
            }
    }
    memory_free(picture->rgba);
    picture->rgba = turned;
    picture->width = width;
    picture->height = height;
    return NULL;
}
