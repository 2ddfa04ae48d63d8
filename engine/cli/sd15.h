/* sd15.h: the state dict of Stable Diffusion 1.5: names and shapes of its 1130 tensors, 1,066,235,307 numbers. */
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
#endif
