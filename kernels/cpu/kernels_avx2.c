/* kernels_avx2.c: the kernels for CPUs with AVX2, FMA and F16C. The Makefile compiles this file for the set that its name ends
 * in. */
#include "kernels/cpu/vec_avx2.h"
#define KERNELS      cpu_kernels_avx2
#define KERNELS_NAME "avx2"
#include "kernels/cpu/kernels.inc.h"
