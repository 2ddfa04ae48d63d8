/* gguf_blocks.c: blocks of quantised numbers, unpacked.
 *
 * One idea: a block holds small integers q and one or two f16, and a number is d·q, or d·q + m. What differs is where the bits of
 * q lie. In blocks of 32 the lower halves of the bytes are the first 16 numbers, the upper halves the last 16; a fifth bit lies
 * in a word of its own. In blocks of 256 ("K") runs of 32 or 16 numbers have scales of their own, of 6 or 8 bits, which multiply
 * the block's d and m. Products are rounded one by one, in this order: so the numbers are those of the library that defines the
 * format. */
#include "engine/formats/gguf_blocks.h"
#include <string.h>

enum { SMALL = 32, LARGE = 256 };

static float half_at(const uint8_t *at)
{
    const uint32_t half = at[0] | (uint32_t)at[1] << 8, sign = (half & 0x8000) << 16, exponent = half >> 10 & 31,
                   fraction = half & 1023;
    const uint32_t bits = sign | (exponent == 31 ? 255 : exponent + 112) << 23 | fraction << 13;
    float value;
    if (!exponent) return (sign ? -0x1p-24f : 0x1p-24f) * (float)fraction;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* ---- 32 numbers ----------------------------------------------------------------------------------------------------- */

/* Number i of 16 bytes of halves. */
static int nibble(const uint8_t *halves, int i)
{
    return i < SMALL / 2 ? halves[i] & 15 : halves[i - SMALL / 2] >> 4;
}

/* Bit i of four bytes, in fifth place. */
static int fifth_bit(const uint8_t *bits, int i)
{
    return (bits[i / 8] >> i % 8 & 1) << 4;
}

static void unpack_q4_0(const uint8_t *block, float *out)
{
    const float d = half_at(block);
    for (int i = 0; i < SMALL; i++) out[i] = d * (float)(nibble(block + 2, i) - 8);
}

static void unpack_q4_1(const uint8_t *block, float *out)
{
    const float d = half_at(block), m = half_at(block + 2);
    for (int i = 0; i < SMALL; i++) out[i] = d * (float)nibble(block + 4, i) + m;
}

static void unpack_q5_0(const uint8_t *block, float *out)
{
    const float d = half_at(block);
    for (int i = 0; i < SMALL; i++) out[i] = d * (float)((nibble(block + 6, i) | fifth_bit(block + 2, i)) - 16);
}

static void unpack_q5_1(const uint8_t *block, float *out)
{
    const float d = half_at(block), m = half_at(block + 2);
    for (int i = 0; i < SMALL; i++) out[i] = d * (float)(nibble(block + 8, i) | fifth_bit(block + 4, i)) + m;
}

static void unpack_q8_0(const uint8_t *block, float *out)
{
    const float d = half_at(block);
    for (int i = 0; i < SMALL; i++) out[i] = d * (float)(int8_t)block[2 + i];
}

/* ---- 256 numbers ---------------------------------------------------------------------------------------------------- */

/* Scale and minimum of run i of eight: 6 bits each in 12 bytes, those of the last four runs in two pieces. */
static void scale_of_run(const uint8_t *s, int i, float d, float m, float *scale, float *low)
{
    const int a = i < 4 ? s[i] & 63 : (s[i + 4] & 15) | s[i - 4] >> 6 << 4;
    const int b = i < 4 ? s[i + 4] & 63 : s[i + 4] >> 4 | s[i] >> 6 << 4;
    *scale = d * (float)a;
    *low = m * (float)b;
}

/* Q4_K, and Q5_K with a fifth bit: bit i of byte j belongs to number j of run i. */
static void unpack_runs(const uint8_t *block, const uint8_t *fifth, const uint8_t *halves, float *out)
{
    for (int run = 0; run < 8; run++, out += SMALL) {
        float scale, low;
        scale_of_run(block + 4, run, half_at(block), half_at(block + 2), &scale, &low);
        for (int i = 0; i < SMALL; i++) {
            const int byte = halves[run / 2 * SMALL + i], four = run % 2 ? byte >> 4 : byte & 15;
            out[i] = scale * (float)(four + (fifth ? (fifth[i] >> run & 1) << 4 : 0)) - low;
        }
    }
}

static void unpack_q4_k(const uint8_t *block, float *out)
{
    unpack_runs(block, NULL, block + 16, out);
}

static void unpack_q5_k(const uint8_t *block, float *out)
{
    unpack_runs(block, block + 16, block + 48, out);
}

/* Two halves of 128 numbers: four lower bits in 64 bytes, two upper bits in 32 bytes, eight scales of 16 numbers each. */
static void unpack_q6_k(const uint8_t *block, float *out)
{
    const float d = half_at(block + 208);
    for (int half = 0; half < 2; half++) {
        const uint8_t *four = block + 64 * half, *two = block + 128 + 32 * half, *scale = block + 192 + 8 * half;
        for (int i = 0; i < 128; i++) {
            const int byte = four[i % 64], low = i < 64 ? byte & 15 : byte >> 4, high = two[i % 32] >> (i / 32 * 2) & 3;
            out[128 * half + i] = d * (float)(int8_t)scale[i / 16] * (float)((low | high << 4) - 32);
        }
    }
}

static const BlockFormat formats[] = {
    {"Q4_0", 2, SMALL, 18, unpack_q4_0},   {"Q4_1", 3, SMALL, 20, unpack_q4_1},   {"Q5_0", 6, SMALL, 22, unpack_q5_0},
    {"Q5_1", 7, SMALL, 24, unpack_q5_1},   {"Q8_0", 8, SMALL, 34, unpack_q8_0},   {"Q4_K", 12, LARGE, 144, unpack_q4_k},
    {"Q5_K", 13, LARGE, 176, unpack_q5_k}, {"Q6_K", 14, LARGE, 210, unpack_q6_k},
};
static const struct {
    const char *name;
    uint32_t type;
} unread[] = {
    {"Q8_1", 9},    {"Q2_K", 10},  {"Q3_K", 11},  {"Q8_K", 15},   {"IQ2_XXS", 16}, {"IQ2_XS", 17}, {"IQ3_XXS", 18}, {"IQ1_S", 19},
    {"IQ4_NL", 20}, {"IQ3_S", 21}, {"IQ2_S", 22}, {"IQ4_XS", 23}, {"IQ1_M", 29},   {"TQ1_0", 34},  {"TQ2_0", 35},   {"MXFP4", 39},
};

const BlockFormat *gguf_blocks(uint32_t type)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (formats[i].type == type) return &formats[i];
    return NULL;
}

const char *gguf_blocks_unread(uint32_t type)
{
    for (size_t i = 0; i < sizeof unread / sizeof *unread; i++)
        if (unread[i].type == type) return unread[i].name;
    return NULL;
}
