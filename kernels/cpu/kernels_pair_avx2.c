/* kernels_pair_avx2.c: the kernels of AVX-512's shapes, on pairs of AVX2 registers: for tests only. The Makefile compiles this
 * file for the set that its name ends in. */
#include "kernels/cpu/vec_pair.h"
#define KERNELS      cpu_kernels_pair
#define KERNELS_NAME "pair_avx2"
#include "kernels/cpu/kernels.inc.h"
