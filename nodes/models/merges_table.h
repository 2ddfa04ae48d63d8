/* merges_table.h: CLIP's byte-pair merges (generated data, see make_merges_table.py). */
#ifndef MODELS_MERGES_TABLE_H
#define MODELS_MERGES_TABLE_H
#include <stdint.h>

enum { MERGES_COUNT = 48894, MERGES_FIRST_TOKEN = 512 };
/* Row i: the tokens that become token MERGES_FIRST_TOKEN + i. Rows are in order of precedence. */
extern const uint16_t merges_table[MERGES_COUNT][2];
#endif
