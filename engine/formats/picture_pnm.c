/* picture_pnm.c: PGM and PPM in binary (P5, P6): three numbers in text, then samples.
 *
 * One idea: the format is so small that reading it right takes less than guarding stb_image's reader, which writes beyond its
 * buffer for 16-bit files, does not scale other maxima than 255 and does not notice a file that ends early. */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/formats/picture_formats.h"
#include <string.h>

typedef struct Pnm {
    const uint8_t *at, *end;
} Pnm;

static bool is_blank(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The next number of the header, behind blanks and comments; false if there is none, or none of at most five digits and a blank.
 */
static bool read_number(Pnm *pnm, uint32_t *out)
{
    while (pnm->at < pnm->end && (is_blank(*pnm->at) || *pnm->at == '#')) {
        if (*pnm->at != '#') pnm->at++;
        else
            while (pnm->at < pnm->end && *pnm->at != '\n') pnm->at++;
    }
    const uint8_t *start = pnm->at;
    for (*out = 0; pnm->at < pnm->end && *pnm->at >= '0' && *pnm->at <= '9' && pnm->at - start < 5; pnm->at++)
        *out = *out * 10 + *pnm->at - '0';
    return pnm->at > start && pnm->at < pnm->end && (is_blank(*pnm->at) || *pnm->at == '#');
}

/* The next sample, scaled to 8 bits; beyond 255 as two bytes, the high one first. */
static uint8_t read_sample(Pnm *pnm, uint32_t maximum)
{
    uint32_t value = *pnm->at++;
    if (maximum > 255) value = value << 8 | *pnm->at++;
    return value >= maximum ? 255 : (uint8_t)((2 * 255 * value + maximum) / (2 * maximum));
}

NodusStatus pnm_decode(const uint8_t *data, size_t size, size_t most_pixels, Picture *out)
{
    const bool colour = data[1] == '6';
    Pnm pnm = {data + 2, data + size};
    uint32_t width, height, maximum;
    if (!read_number(&pnm, &width) || !read_number(&pnm, &height) || !read_number(&pnm, &maximum) || !maximum ||
        maximum > 65535 || !is_blank(*pnm.at++))
        return nodus_error(NODUS_ERROR_FILE, "it is damaged (its header is no PNM header)");
    NODUS_TRY(picture_check_size(width, height, most_pixels));
    const size_t pixels = (size_t)width * height, bytes = pixels * (colour ? 3 : 1) * (maximum > 255 ? 2 : 1);
    if (bytes > (size_t)(pnm.end - pnm.at)) return nodus_error(NODUS_ERROR_FILE, "it is damaged (the file ends early)");
    *out = (Picture){(int)width, (int)height, 1, false, memory_array(pixels, 4)};
    if (!out->rgba) return status_memory();
    for (uint8_t *p = out->rgba; p < out->rgba + 4 * pixels; p += 4) {
        p[0] = p[1] = p[2] = read_sample(&pnm, maximum);
        if (colour) p[1] = read_sample(&pnm, maximum);
        if (colour) p[2] = read_sample(&pnm, maximum);
        p[3] = 255;
    }
    return NULL;
}
