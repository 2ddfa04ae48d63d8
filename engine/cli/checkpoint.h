/* checkpoint.h: the one thing that `nodus make` asks a checkpoint before the engine opens it: the size it was trained for. */
#ifndef CLI_CHECKPOINT_H
#define CLI_CHECKPOINT_H
#include <stdbool.h>

/* From the metadata `modelspec.resolution` ("512x512") of a safetensors file; false when it says nothing usable. */
bool checkpoint_size(const char *path, int *width, int *height);
#endif
