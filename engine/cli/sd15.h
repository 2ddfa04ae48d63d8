/* sd15.h: a state dict like that of Stable Diffusion 1.5: names and shapes of its 1130 tensors, and 1,066,235,307 numbers by
 * formula. */
#ifndef CLI_SD15_H
#define CLI_SD15_H
#include <stdint.h>

typedef struct Sd15Tensor {
    char *name;
    int rank;
    int64_t dim[4];
} Sd15Tensor;

typedef struct Sd15 {
    Sd15Tensor *item; /* sorted by name, bytewise */
    int count, capacity;
} Sd15;
void sd15_list(Sd15 *out);
void sd15_free(Sd15 *list);
int64_t sd15_numbers(const Sd15Tensor *tensor);

/* Entry i (from 0) of stream n of the formula: in [-1, 1), as good as random. */
float sd15_formula(uint32_t i, uint32_t n);
/* Writes the numbers begin … end−1 of the tensor (item `index` of the list) into `to`, where its first belongs, as halves. */
void sd15_fill(const Sd15Tensor *tensor, int index, int64_t begin, int64_t end, uint16_t *to);
#endif
