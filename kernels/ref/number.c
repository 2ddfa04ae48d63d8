/* number.c: numbers of every dtype, read as doubles and written back.
 *
 * One idea: a double holds every f32, f16, bf16, 8-bit float and small integer exactly, so reading loses nothing and writing rounds
 * once. The small floats differ only in how their bits are shared between exponent and fraction; only e4m3 has no infinity: what is
 * too large for it becomes NaN. */
#include <math.h>
#include <string.h>
#include "kernels/ref/ref.h"

static double double_of_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static double read_f16(uint16_t half)
{
    const uint64_t sign = (uint64_t)(half >> 15) << 63, exponent = half >> 10 & 31, fraction = half & 1023;
    if (exponent == 0) return double_of_bits(sign | 0x3FF0000000000000u) * (double)fraction * 0x1p-24;
    if (exponent == 31) return double_of_bits(sign | 0x7FF0000000000000u | fraction << 42);
    return double_of_bits(sign | (exponent + 1023 - 15) << 52 | fraction << 42);
}

static double read_bf16(uint16_t half)
{
    const uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static double read_e4m3(uint8_t byte)
{
    const int exponent = byte >> 3 & 15, fraction = byte & 7;
    const double size = (byte & 127) == 127 ? NAN : exponent ? ldexp(8 + fraction, exponent - 10) : ldexp(fraction, -9);
    return byte & 128 ? -size : size;
}

static uint8_t round_e4m3(double x)
{
    const unsigned sign = signbit(x) ? 128 : 0;
    if (isnan(x) || fabs(x) > 464) return (uint8_t)(sign | 127); /* 464 is half way from 448, the largest, and goes to even */
    if (x == 0) return (uint8_t)sign;
    const int exponent = ilogb(x) > -6 ? ilogb(x) : -6;
    return (uint8_t)(sign | (((unsigned)(exponent + 6) << 3) + (unsigned)rint(ldexp(fabs(x), 3 - exponent))));
}

/* The float of `bits` bits with that many fraction bits whose smallest normal number is 2^lowest. */
static uint16_t round_ieee(double x, int bits, int fraction, int lowest)
{
    const unsigned top = 1u << (bits - 1), sign = signbit(x) ? top : 0, infinity = top - (1u << fraction);
    if (isnan(x)) return (uint16_t)(sign | infinity | 1u << (fraction - 1));
    if (isinf(x)) return (uint16_t)(sign | infinity);
    if (x == 0) return (uint16_t)sign;
    const int exponent = ilogb(x) > lowest ? ilogb(x) : lowest;
    if (exponent > 128) return (uint16_t)(sign | infinity);
    /* A fraction that rounds up to a whole carries into the exponent, as it should; below 2^lowest the hidden bit is missing. */
    const unsigned units = (unsigned)rint(ldexp(fabs(x), fraction - exponent));
    const unsigned magnitude = ((unsigned)(exponent - lowest) << fraction) + units;
    return (uint16_t)(sign | (magnitude < infinity ? magnitude : infinity));
}

static int64_t saturate(double x, double low, double high)
{
    if (isnan(x)) return 0;
    if (x <= low) return (int64_t)low;
    if (x >= high) return high >= 0x1p63 ? INT64_MAX : (int64_t)high;
    return (int64_t)x;
}

#define EACH(statement)                            \
    for (int64_t i = 0; i < count; i++) statement; \
    break

void ref_read(int dtype, const void *from, int64_t stride, int64_t count, double *to)
{
    switch (dtype) {
    case DTYPE_F32: EACH(to[i] = ((const float *)from)[i * stride]);
    case DTYPE_F16: EACH(to[i] = read_f16(((const uint16_t *)from)[i * stride]));
    case DTYPE_BF16: EACH(to[i] = read_bf16(((const uint16_t *)from)[i * stride]));
    case DTYPE_F64: EACH(to[i] = ((const double *)from)[i * stride]);
    case DTYPE_I8: EACH(to[i] = ((const int8_t *)from)[i * stride]);
    case DTYPE_U8: EACH(to[i] = ((const uint8_t *)from)[i * stride]);
    case DTYPE_I16: EACH(to[i] = ((const int16_t *)from)[i * stride]);
    case DTYPE_I32: EACH(to[i] = ((const int32_t *)from)[i * stride]);
    case DTYPE_I64: EACH(to[i] = (double)((const int64_t *)from)[i * stride]);
    case DTYPE_F8_E4M3: EACH(to[i] = read_e4m3(((const uint8_t *)from)[i * stride]));
    case DTYPE_F8_E5M2: EACH(to[i] = read_f16((uint16_t)(((const uint8_t *)from)[i * stride] << 8)));
    default: break;
    }
}

void ref_write(int dtype, void *to, int64_t stride, int64_t count, const double *from)
{
    switch (dtype) {
    case DTYPE_F32: EACH(((float *)to)[i * stride] = (float)from[i]);
    case DTYPE_F16: EACH(((uint16_t *)to)[i * stride] = round_ieee(from[i], 16, 10, -14));
    case DTYPE_BF16: EACH(((uint16_t *)to)[i * stride] = round_ieee(from[i], 16, 7, -126));
    case DTYPE_F64: EACH(((double *)to)[i * stride] = from[i]);
    case DTYPE_I8: EACH(((int8_t *)to)[i * stride] = (int8_t)saturate(from[i], INT8_MIN, INT8_MAX));
    case DTYPE_U8: EACH(((uint8_t *)to)[i * stride] = (uint8_t)saturate(from[i], 0, UINT8_MAX));
    case DTYPE_I16: EACH(((int16_t *)to)[i * stride] = (int16_t)saturate(from[i], INT16_MIN, INT16_MAX));
    case DTYPE_I32: EACH(((int32_t *)to)[i * stride] = (int32_t)saturate(from[i], INT32_MIN, INT32_MAX));
    case DTYPE_I64: EACH(((int64_t *)to)[i * stride] = saturate(from[i], -0x1p63, 0x1p63));
    case DTYPE_F8_E4M3: EACH(((uint8_t *)to)[i * stride] = round_e4m3(from[i]));
    case DTYPE_F8_E5M2: EACH(((uint8_t *)to)[i * stride] = (uint8_t)round_ieee(from[i], 8, 2, -14));
    default: break;
    }
}

double ref_number(const View *view, int64_t i)
{
    double value = 0;
    ref_read(view->dtype, (const char *)view->data + i * (int64_t)dtype_size(view->dtype), 1, 1, &value);
    return value;
}
