/* lora_select.h: where a LoRA acts: rules that give each layer of a network a factor.
 *
 * One idea: a rule is a line "WORDS = FACTOR", and the last rule that fits a layer counts; where none does the factor is 1. Words of one
 * sort are alternatives, and a layer must fit each sort that the rule mentions: "in4 in5 cross v = 0.5". The sorts, a line each:
 *   all                     every layer
 *   unet, text              the diffusion network; text encoders
 *   in, mid, out            the halves and the middle of the UNet; in4, out7: one block (ldm's numbers); text3: a layer of a text encoder
 *   self, cross             attention within the picture; to the prompt
 *   q, k, v, o, ff, conv, proj, emb, norm   the matrices of attention (o is what comes behind); feed-forward; convolutions; the ways into
 *                           and out of transformers; time and labels; norms
 *   a name with * or .      the layer's name in the file, where * stands for anything: input_blocks.4.1.*
 * "#" begins a comment. */
#ifndef NODES_LORA_SELECT_H
#define NODES_LORA_SELECT_H
#include <nodus/tensor.h>

/* Whether every line is one: else an error with the line's number. */
NodusStatus lora_select_check(const char *rules);
/* The factor of a layer; `layer`: "input_blocks.4.1.transformer_blocks.0.attn1.to_q", or of a text encoder "encoder.layers.3.mlp.fc1". */
double lora_select_factor(const char *rules, const char *layer, bool text);
#endif
