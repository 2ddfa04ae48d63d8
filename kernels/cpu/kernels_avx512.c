/* kernels_avx512.c: the kernels for CPUs with AVX-512 F, BW, DQ, VL. The Makefile compiles this file for the set that its name
 * ends in. */
#include "kernels/cpu/vec_avx512.h"
#define KERNELS      cpu_kernels_avx512
#define KERNELS_NAME "avx512"
#include "kernels/cpu/kernels.inc.h"
