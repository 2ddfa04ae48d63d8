/* gits_table.h: the noise levels of GITS (data): Chen et al., "On the Trajectory Regularity of ODE-based Diffusion Sampling", 2024.
 *
 * One idea: the search behind it chooses among 98 noise levels, evenly spaced in SD1's timesteps, so a list is a few of their numbers. */
#ifndef NODES_GITS_TABLE_H
#define NODES_GITS_TABLE_H
#include <stdint.h>

enum {
    GITS_LEVELS = 98,
    GITS_COEFFICIENTS = 15, /* 0.80, 0.85 … 1.50 */
    GITS_FEWEST = 2,
    GITS_MOST = 20 /* steps */
};
extern const double gits_level[GITS_LEVELS];
/* Row [c][n − GITS_FEWEST]: the n + 1 levels of n steps, as numbers of gits_level. */
extern const uint8_t gits_table[GITS_COEFFICIENTS][GITS_MOST - GITS_FEWEST + 1][GITS_MOST + 1];
#endif
