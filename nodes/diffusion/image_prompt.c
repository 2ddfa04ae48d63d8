/* image_prompt.c: see image_prompt.h. The rules of layers are those of the field's node pack. */
#include "nodes/diffusion/image_prompt.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/tensor/plan.h"
#include <math.h>
#include <stdio.h>

enum { KEYS, WEIGHT, MASK };

void image_prompt_name(ImagePrompt *prompt, int place)
{
    static const char *const parts[] = {"keys", "weight", "mask"};
    prompt->place = place;
    for (int i = 0; i < 3; i++) snprintf(prompt->name[i], sizeof prompt->name[i], "image %d %s", place, parts[i]);
}

void image_prompt_release(void *self)
{
    ImagePrompt *prompt = self;
    for (int i = 0; i < IMAGE_PROMPT_SIDES; i++) nodus_tensor_unref(prompt->keys[i]);
    nodus_tensor_unref(prompt->weight);
    nodus_tensor_unref(prompt->mask);
}

/* ---- Rules ------------------------------------------------------------------------------------------------------------------ */

/* Which of the places with transformers that one is, and how many there are. */
static void find_place(const UnetConfig *unet, int stage, int block, int *number, int *count)
{
    *number = *count = 0;
    for (int i = 0; i < unet->input_blocks; i++) {
        if (stage == SITE_STAGE_INPUT && i == block) *number = *count;
        *count += unet->depth_in[i] > 0;
    }
    if (stage == SITE_STAGE_MIDDLE) *number = *count;
    *count += unet->depth_middle > 0;
    for (int i = 0; i < unet->output_blocks; i++) {
        if (stage == SITE_STAGE_OUTPUT && i == block) *number = *count;
        *count += unet->depth_out[i] > 0;
    }
}

double image_prompt_factor(ImagePromptRule rule, const UnetConfig *unet, int stage, int block)
{
    const double weak = 0.2, least = 0.05;
    int number, count;
    find_place(unet, stage, block, &number, &count);
    const double part = (double)number / count, aside = fabs(number - count / 2.0) / (count / 2.0);
    switch (rule) {
    case IMAGE_PROMPT_EASE_IN: return least + (1 - least) * (1 - part);
    case IMAGE_PROMPT_EASE_OUT: return least + (1 - least) * part;
    case IMAGE_PROMPT_EASE_IN_OUT: return least + (1 - least) * (1 - aside);
    case IMAGE_PROMPT_REVERSE_IN_OUT: return least + (1 - least) * aside;
    case IMAGE_PROMPT_WEAK_INPUT: return stage == SITE_STAGE_INPUT ? weak : 1;
    case IMAGE_PROMPT_WEAK_OUTPUT: return stage == SITE_STAGE_OUTPUT ? weak : 1;
    case IMAGE_PROMPT_WEAK_MIDDLE: return stage == SITE_STAGE_MIDDLE ? weak : 1;
    case IMAGE_PROMPT_STRONG_MIDDLE: return stage == SITE_STAGE_MIDDLE ? 1 : weak;
    case IMAGE_PROMPT_LINEAR: break;
    }
    return 1;
}

/* ---- Keys of a call of the network -------------------------------------------------------------------------------------------- */

NodusStatus image_prompt_keys(NodusMath *math, const ImagePrompt *prompt, const bool *negative, int members, int64_t batch,
                              NodusTensor **out)
{
    NodusTensor **part = memory_array((size_t)members, sizeof(NodusTensor *));
    if (!part) return status_memory();
    NodusStatus status = NULL;
    for (int i = 0; i < members && !status; i++)
        status = nodus_tensor_repeat(math, &part[i], prompt->keys[negative[i] ? IMAGE_PROMPT_NEGATIVE : IMAGE_PROMPT_POSITIVE], batch);
    if (!status) status = nodus_tensor_concat(math, out, 0, members, (const NodusTensor *const *)part);
    for (int i = 0; i < members; i++) nodus_tensor_release(math, part[i]);
    memory_free(part);
    return status;
}

/* ---- In the network ------------------------------------------------------------------------------------------------------------ */

static bool patch_active(const void *self, float sigma)
{
    const ImagePrompt *prompt = self;
    return sigma <= prompt->start && sigma >= prompt->end;
}

static OpRef attention(OpGraph *g, Site *site, OpRef k, OpRef v, OpRef *probs)
{
    const float width = (float)graph_dim(g, site->q, 2);
    *probs = op_softmax(g, op_scores(g, site->q, k, site->heads, 1 / sqrtf(width / (float)site->heads)), false);
    return op_values(g, *probs, v, site->heads);
}

/* How much the picture counts at each token, [1, tokens, 1]. */
static OpRef mask_tokens(OpGraph *g, const ImagePrompt *prompt, const Site *site)
{
    const int64_t dim[] = {1, 1, nodus_tensor_dim(prompt->mask, 2), nodus_tensor_dim(prompt->mask, 3)};
    const OpRef mask = op_input(g, prompt->name[MASK], DTYPE_F32, 4, dim);
    return op_tokens(g, op_resize(g, mask, site->height, site->width, RESIZE_BILINEAR));
}

static OpRef look_at_picture(OpGraph *g, const ImagePrompt *prompt, Site *site, int layer)
{
    const IpAdapterConfig *adapter = &prompt->adapter;
    const int64_t dim[] = {graph_dim(g, site->q, 0), nodus_tensor_dim(prompt->keys[0], 1), adapter->total};
    const OpRef all = op_input(g, prompt->name[KEYS], DTYPE_F32, 3, dim);
    const OpRef weight = op_affine(g, op_scalar(g, prompt->name[WEIGHT]),
                                   (float)image_prompt_factor(prompt->rule, &prompt->unet, site->stage, site->block), 0);
    int64_t at = 0;
    for (int i = 0; i < layer; i++) at += 2 * adapter->width[i];
    const int64_t width = adapter->width[layer];
    OpRef k = op_slice(g, all, 2, at, width), probs;
    const OpRef v = op_slice(g, all, 2, at + width, width);
    if (prompt->keys_too) k = op_mul(g, k, weight);
    const OpRef out = op_mul(g, attention(g, site, k, v, &probs), weight);
    return prompt->mask ? op_mul(g, out, mask_tokens(g, prompt, site)) : out;
}

static NodusStatus patch_build(const void *self, OpGraph *g, Site *site)
{
    const ImagePrompt *prompt = self;
    if (site->kind != SITE_ATTENTION_RESULT || op_is_none(site->context)) return NULL;
    const int layer = ip_adapter_layer(&prompt->unet, site->stage, site->block, site->index);
    if (layer >= prompt->adapter.layers || prompt->adapter.width[layer] != graph_dim(g, site->q, 2))
        return nodus_error(NODUS_ERROR_INPUT, "its layer %d is not as wide as this attention: the adapter is for another model family",
                           layer);
    if (op_is_none(site->out)) site->out = attention(g, site, site->k, site->v, &site->probs);
    site->out = op_add(g, site->out, look_at_picture(g, prompt, site, layer));
    return NULL;
}

static void patch_structure(const void *self, NodusHash *hash)
{
    const ImagePrompt *prompt = self;
    nodus_hash_u64(hash, (uint64_t)prompt->place);
    nodus_hash_u64(hash, (uint64_t)nodus_tensor_dim(prompt->keys[0], 1));
    nodus_hash_bytes(hash, prompt->adapter.width, sizeof prompt->adapter.width);
    nodus_hash_u64(hash, prompt->rule);
    nodus_hash_u64(hash, prompt->keys_too);
    nodus_hash_u64(hash, prompt->mask != NULL);
    for (int i = 2; prompt->mask && i < 4; i++) nodus_hash_u64(hash, (uint64_t)nodus_tensor_dim(prompt->mask, i));
}

static void patch_identity(const void *self, NodusHash *hash)
{
    const ImagePrompt *prompt = self;
    patch_structure(self, hash);
    nodus_hash_double(hash, prompt->value);
    nodus_hash_double(hash, prompt->start);
    nodus_hash_double(hash, prompt->end);
}

static NodusStatus patch_bind(const void *self, void *run_state, float sigma, NodusBindings *bindings)
{
    const ImagePrompt *prompt = self;
    (void)sigma;
    bindings_input(bindings, prompt->name[KEYS], run_state);
    bindings_input(bindings, prompt->name[WEIGHT], prompt->weight);
    if (prompt->mask) bindings_input(bindings, prompt->name[MASK], prompt->mask);
    return NULL;
}

const NodusPatchClass image_prompt_patch = {.struct_size = sizeof(NodusPatchClass),
                                            .name = "image prompt",
                                            .structure = patch_structure,
                                            .identity = patch_identity,
                                            .active = patch_active,
                                            .build = patch_build,
                                            .bind = patch_bind};
