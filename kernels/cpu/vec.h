/* vec.h: what the three sets of vector words have in common: vec_avx2.h, vec_avx512.h, vec_pair.h.
 *
 * One idea: a kernel is written once, over Vec (VEC_WIDTH floats), TILE_VECS (vectors in a row of the register tile) and
 * PANEL_DEPTH (most rows of a widened weight panel), and every function here and in the sets is static: code compiled for one
 * instruction set can never be linked into another's. */
#ifndef CPU_VEC_H
#define CPU_VEC_H
#include <immintrin.h>
#include <stdbool.h>
#include <stdint.h>

#define INLINE static inline __attribute__((always_inline, unused))
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif

enum { TILE_ROWS = 6 };
#endif
