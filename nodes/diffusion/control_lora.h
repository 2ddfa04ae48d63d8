/* control_lora.h: Control-LoRAs: ControlNets that are stored as changes to a model.
 *
 * One idea: the file has matrices "….up" and "….down" for layers of the encoder that the model has too, and whole the parts of its
 * own. So the network is the model's weights, packed once for both, with those products beside them. */
#ifndef DIFFUSION_CONTROL_LORA_H
#define DIFFUSION_CONTROL_LORA_H
#include "nodes/values.h"

/* The model's weights, changed as `file` says and with its own parts, all under the model's prefix; a new set. `prefix`: of the
 * file's names. */
NodusStatus control_lora_weights(WeightSet *file, const char *prefix, const Model *model, WeightSet **out);
#endif
