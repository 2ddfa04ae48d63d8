/* weights_file.h: a file of weights, whatever its format: safetensors, GGUF, or what torch.save wrote (.ckpt, .pt, .pth, .bin).
 *
 * The first bytes choose the reader, never the name. All give a WeightSet. Nested dictionaries of a pickle become names joined by
 * dots
 * ("string_to_param.*", "320.0.linear.0.weight"); numbers and texts in it become metadata under such names. If the outermost
 * dictionary has a "state_dict", or holds nothing but one dictionary, then that is what is given. */
#ifndef FORMATS_WEIGHTS_FILE_H
#define FORMATS_WEIGHTS_FILE_H
#include "engine/tensor/weights.h"

NodusStatus checkpoint_open(const char *path, WeightSet **out);

/* The file's first bytes are another format than the others' (used to choose; the readers check everything). */
bool gguf_is(const uint8_t *data, size_t size);
bool torch_is(const uint8_t *data, size_t size);

/* The type of a weight's numbers as its file calls it: "F16", "Q4_K". */
const char *weights_file_type(const Weight *weight);
const char *gguf_type(const Weight *weight); /* NULL unless it lies in quantised blocks */

/* The readers, over memory that outlives the set; `mapped`: its pages may be dropped. Messages do not name the file. */
NodusStatus safetensors_read(const uint8_t *data, size_t size, bool mapped, WeightSet *into);
NodusStatus gguf_read(const uint8_t *data, size_t size, bool mapped, WeightSet *into);
NodusStatus torch_read(const uint8_t *data, size_t size, bool mapped, WeightSet *into);

/* A content identity without reading gigabytes: `index` (what describes the tensors) whole, `data` by size and evenly spaced
 * pages. */
NodusStatus weights_file_identify(WeightSet *set, const uint8_t *index, size_t index_size, const uint8_t *data, size_t size);
#endif
