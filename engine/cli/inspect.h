/* inspect.h: what `nodus inspect` finds: one JSON object a file, which is printed as it is (--json) or told in words.
 *
 * One idea: the finder knows nothing of how things are shown, and what is shown is never more than what a program gets. */
#ifndef CLI_INSPECT_H
#define CLI_INSPECT_H
#include "engine/formats/json.h"
#include <stdio.h>

/* inspect_picture.c: a PNG or WebP file. Adds its members to `found`. */
NodusStatus inspect_picture(const void *data, size_t size, cJSON *found);
/* "prompt": what a prompt was made of, of its text; nothing when it is none. */
void inspect_prompt(const char *text, cJSON *found);
/* inspect_model.c: a .safetensors or .latent file. `header` is its JSON, `bytes` the size of the file (0: unknown), `format` its name. */
NodusStatus inspect_model(const char *header, size_t size, uint64_t bytes, const char *format, cJSON *found);
/* A .gguf file, or one of torch.save (.ckpt, .pt, .pth, .bin), as far as the loaders read it. */
NodusStatus inspect_weights(const char *path, uint64_t bytes, const char *format, cJSON *found);

/* inspect_lora.c: "lora": layers, how many of the text encoder, the lowest and the highest rank, "family" as the trainer
 * noted it or by the texts that the layers read, "naming" of the layers; and the range of the alphas, which are read. */
void inspect_lora(const cJSON *header, const cJSON *metadata, cJSON *found);
void inspect_alphas(const char *path, cJSON *lora);
/* "embedding": tokens, widths and family. */
void inspect_embedding(const cJSON *header, cJSON *found);

/* inspect_show.c: the object in words; bounded unless `all`. */
void inspect_show(const cJSON *found, bool all, FILE *to);
#endif
