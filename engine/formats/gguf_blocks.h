/* gguf_blocks.h: numbers that GGUF files hold in quantised blocks. */
#ifndef FORMATS_GGUF_BLOCKS_H
#define FORMATS_GGUF_BLOCKS_H
#include <stddef.h>
#include <stdint.h>

typedef struct BlockFormat {
    const char *name;
    uint32_t type;      /* GGUF's number of it */
    int numbers, bytes; /* of a block */
    void (*unpack)(const uint8_t *block, float *out);
} BlockFormat;
/* NULL when blocks of that type are not read. */
const BlockFormat *gguf_blocks(uint32_t type);
const char *gguf_blocks_unread(uint32_t type); /* the name of a type that is known and not read; NULL otherwise */
#endif
