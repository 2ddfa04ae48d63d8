/* image_prompt.h: pictures as prompts at work in a sampling (IP-Adapter).
 *
 * One idea: keys and values of a picture do not change from step to step, nor with the latent; so the node that adds a picture to a model
 * makes them, for both sides of guidance, and the patch of the network only looks at them: out = attention(q, k, v) +
 * weight · attention(q, k of the picture, v of the picture). */
#ifndef DIFFUSION_IMAGE_PROMPT_H
#define DIFFUSION_IMAGE_PROMPT_H
#include "nodes/diffusion/network.h"
#include "nodes/models/ip_adapter.h"

/* Which layers count how much. Of the n-th of all places with transformers, in the order in which the network runs. */
typedef enum ImagePromptRule {
    IMAGE_PROMPT_LINEAR, IMAGE_PROMPT_EASE_IN, IMAGE_PROMPT_EASE_OUT, IMAGE_PROMPT_EASE_IN_OUT, IMAGE_PROMPT_REVERSE_IN_OUT,
    IMAGE_PROMPT_WEAK_INPUT, IMAGE_PROMPT_WEAK_OUTPUT, IMAGE_PROMPT_WEAK_MIDDLE, IMAGE_PROMPT_STRONG_MIDDLE
} ImagePromptRule;
/* The factor of a rule at a place. */
double image_prompt_factor(ImagePromptRule rule, const UnetConfig *unet, int stage, int block);

enum { IMAGE_PROMPT_NEGATIVE, IMAGE_PROMPT_POSITIVE, IMAGE_PROMPT_SIDES };
/* The object of the patch; immutable. */
typedef struct ImagePrompt {
    UnetConfig unet;
    IpAdapterConfig adapter;
    NodusTensor *keys[IMAGE_PROMPT_SIDES]; /* [1, tokens, adapter.total]: of as many tokens on both sides */
    NodusTensor *weight;                   /* [1] */
    NodusTensor *mask;                     /* [1, 1, h, w] of any size: where it acts; or NULL */
    float value, start, end;               /* the weight; it acts while end ≤ σ ≤ start */
    ImagePromptRule rule;
    bool keys_too;                         /* the weight scales keys as well as values */
    int place;                             /* in its model, so that two do not meet */
    char name[3][32];                      /* of the inputs: keys, weight, mask */
} ImagePrompt;
void image_prompt_name(ImagePrompt *prompt, int place);
void image_prompt_release(void *prompt); /* gives back what it points to */

/* For entries on the negative side or not, each `batch` times: the keys of a call of the network. */
NodusStatus image_prompt_keys(NodusMath *math, const ImagePrompt *prompt, const bool *negative, int members, int64_t batch,
                              NodusTensor **out);
/* self: the ImagePrompt, state: those keys. */
extern const NodusPatchClass image_prompt_patch;
#endif
