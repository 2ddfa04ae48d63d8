/* register.c: the list of what nodus comes with. A new node, type, sampler or scheduler is known once it stands here (samplers
 * and schedulers: in their own tables). */
#include "nodes/register.h"
#include "nodes/diffusion/sampler.h"
#include "nodes/diffusion/schedule.h"
#include "nodes/values.h"

/* clang-format off */
#define NODES(NODE) \
    NODE(checkpoint_loader_simple) NODE(vae_loader)                          /* load.c */     \
    NODE(clip_text_encode) NODE(clip_set_last_layer)                         /* text.c */     \
    NODE(empty_latent_image) NODE(save_latent)                               /* latent.c */   \
    NODE(ksampler) NODE(ksampler_advanced)                                   /* sample.c */   \
    NODE(vae_decode) NODE(vae_encode)                                        /* vae.c */      \
    NODE(load_image) NODE(save_image) NODE(preview_image) NODE(mask_preview) /* image_io.c */ \
    NODE(primitive_int) NODE(primitive_float) NODE(primitive_string)         /* util.c */     \
    NODE(primitive_string_multiline) NODE(primitive_boolean) NODE(preview_any)
/* clang-format on */

#define DECLARE(name_) extern const NodusNode node_##name_;
#define ROW(name_)     &node_##name_,
NODES(DECLARE)
const NodusNode *const builtin_nodes[] = {NODES(ROW) NULL};

const NodusType *const builtin_types[] = {&type_latent, &type_model, &type_clip, &type_vae, &type_conditioning, NULL};

const NodusSamplerDef *builtin_samplers(void)
{
    return sampler_table;
}
const NodusSchedulerDef *builtin_schedulers(void)
{
    return scheduler_table;
}
