/* number.c: numbers of every dtype, read as doubles and written back.
 *
 * One idea: a double holds every f32, f16, bf16 and small integer exactly, so reading loses nothing and writing rounds once. f16
 * and bf16 differ only in how their 15 bits are shared between exponent and fraction. */
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

/* The 16-bit float with that many fraction bits whose smallest normal number is 2^lowest. */
static uint16_t round_16(double x, int fraction, int lowest)
{
    const unsigned sign = signbit(x) ? 0x8000 : 0, infinity = 0x8000 - (1u << fraction);
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
    default: break;
    }
}

void ref_write(int dtype, void *to, int64_t stride, int64_t count, const double *from)
{
    switch (dtype) {
    case DTYPE_F32: EACH(((float *)to)[i * stride] = (float)from[i]);
    case DTYPE_F16: EACH(((uint16_t *)to)[i * stride] = round_16(from[i], 10, -14));
    case DTYPE_BF16: EACH(((uint16_t *)to)[i * stride] = round_16(from[i], 7, -126));
    case DTYPE_F64: EACH(((double *)to)[i * stride] = from[i]);
    case DTYPE_I8: EACH(((int8_t *)to)[i * stride] = (int8_t)saturate(from[i], INT8_MIN, INT8_MAX));
    case DTYPE_U8: EACH(((uint8_t *)to)[i * stride] = (uint8_t)saturate(from[i], 0, UINT8_MAX));
    case DTYPE_I16: EACH(((int16_t *)to)[i * stride] = (int16_t)saturate(from[i], INT16_MIN, INT16_MAX));
    case DTYPE_I32: EACH(((int32_t *)to)[i * stride] = (int32_t)saturate(from[i], INT32_MIN, INT32_MAX));
    case DTYPE_I64: EACH(((int64_t *)to)[i * stride] = saturate(from[i], -0x1p63, 0x1p63));
    default: break;
    }
}

double ref_number(const View *view, int64_t i)
{
    double value = 0;
    ref_read(view->dtype, (const char *)view->data + i * (int64_t)dtype_size(view->dtype), 1, 1, &value);
    return value;
}
