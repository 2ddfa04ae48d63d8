/* register.c: the list of what nodus comes with. A new node, type, sampler or scheduler is known once it stands here (samplers
 * and schedulers: in their own tables). */
#include "nodes/attention_maps.h"
#include "nodes/control.h"
#include "nodes/gligen.h"
#include "nodes/ip_adapter.h"
#include "nodes/register.h"
#include "nodes/cond.h"
#include "nodes/diffusion/sampler.h"
#include "nodes/diffusion/schedule.h"
#include "nodes/inpaint_crop.h"
#include "nodes/paint_by_example.h"
#include "nodes/photomaker.h"
#include "nodes/loop.h"
#include "nodes/objects.h"
#include "nodes/style.h"
#include "nodes/table.h"
#include "nodes/upscale.h"
#include "nodes/values.h"

/* clang-format off */
#define NODES(NODE) \
    NODE(checkpoint_loader_simple) NODE(checkpoint_loader) NODE(vae_loader)  /* load.c */     \
    NODE(unet_loader) NODE(clip_loader) NODE(dual_clip_loader) NODE(diffusers_loader)       /* load_parts.c, load_diffusers.c */  \
    NODE(lora_loader) NODE(lora_loader_model_only)                           /* lora.c */     \
    NODE(model_merge_simple) NODE(model_merge_subtract) NODE(model_merge_add)                       /* merge.c */                  \
    NODE(clip_merge_simple) NODE(clip_merge_subtract) NODE(clip_merge_add)                                                        \
    NODE(model_merge_blocks) NODE(model_merge_sd1) NODE(model_merge_sdxl)                           /* merge_blocks.c */           \
    NODE(clip_vision_loader) NODE(unclip_checkpoint_loader) NODE(clip_vision_encode) NODE(unclip_conditioning) /* vision.c */      \
    NODE(measure_mse) NODE(measure_psnr) NODE(measure_ssim) NODE(measure_clip_score)                                         /* measure.c */                \
    NODE(lora_loader_selective)                                                                     /* lora_selective.c */         \
    NODE(lora_inspect) NODE(lora_extract) NODE(lora_resize) NODE(lora_save)            /* lora_inspect.c, lora_extract.c, lora_save.c */ \
    NODE(hypernetwork_loader)                                                                       /* hypernetwork.c */           \
    NODE(gligen_loader) NODE(gligen_text_box_apply)                                                 /* gligen.c */                 \
    NODE(prompt_to_prompt) NODE(sample_with_attention)                                              /* attention_edit.c, attention_sample.c */ \
    NODE(attention_maps_to_mask) NODE(save_attention_maps)                                          /* attention_maps.c */         \
    NODE(control_net_loader) NODE(diff_control_net_loader) NODE(set_union_control_net_type) NODE(control_net_apply) /* control.c */ \
    NODE(control_net_apply_advanced) NODE(clip_text_encode_controlnet)                                                              \
    NODE(ip_adapter_model_loader) NODE(ip_adapter_unified_loader) NODE(ip_adapter_simple) NODE(ip_adapter_advanced) /* ip_adapter.c */             \
    NODE(photomaker_loader) NODE(photomaker_encode)                                                 /* photomaker.c */             \
    NODE(style_model_loader) NODE(style_model_apply)                                                /* style.c */                  \
    NODE(upscale_model_loader) NODE(image_upscale_with_model)                                       /* upscale.c */                \
    NODE(checkpoint_save) NODE(model_save) NODE(clip_save) NODE(vae_save)                           /* save_model.c */             \
    NODE(clip_text_encode) NODE(clip_set_last_layer)                         /* text.c */     \
    NODE(clip_text_encode_sdxl) NODE(clip_text_encode_sdxl_refiner)                                                               \
    NODE(empty_latent_image) NODE(empty_sd3_latent_image) NODE(save_latent) NODE(load_latent)                /* latent.c */        \
    NODE(conditioning_combine) NODE(conditioning_concat) NODE(conditioning_average) NODE(conditioning_zero_out) /* cond.c */       \
    NODE(conditioning_set_area) NODE(conditioning_set_area_percentage) NODE(conditioning_set_area_strength) /* cond_area.c */      \
    NODE(conditioning_set_mask) NODE(conditioning_set_timestep_range)                                                              \
    NODE(conditioning_timesteps_range) NODE(conditioning_set_properties)                            /* cond_properties.c */        \
    NODE(conditioning_set_properties_and_combine) NODE(pair_conditioning_set_properties)                                           \
    NODE(pair_conditioning_set_properties_and_combine) NODE(pair_conditioning_combine)                                             \
    NODE(conditioning_set_default_combine) NODE(pair_conditioning_set_default_combine)                                             \
    NODE(vae_encode_for_inpaint) NODE(inpaint_model_conditioning)                                   /* inpaint_nodes.c */          \
    NODE(paint_by_example_loader) NODE(paint_by_example_diffusers_loader) NODE(paint_by_example_conditioning) /* paint_by_example.c */ \
    NODE(instruct_pix_to_pix_conditioning) NODE(differential_diffusion)                             /* differential.c */           \
    NODE(latent_upscale) NODE(latent_upscale_by)                                                    /* latent_resize.c */          \
    NODE(latent_rotate) NODE(latent_flip) NODE(latent_crop) NODE(latent_cut) NODE(latent_concat)    /* latent_transform.c */       \
    NODE(latent_composite) NODE(latent_composite_masked) NODE(set_latent_noise_mask)                /* latent_compose.c */         \
    NODE(latent_blend) NODE(latent_add) NODE(latent_subtract) NODE(latent_multiply)                 /* latent_math.c */            \
    NODE(latent_interpolate)                                                                                                      \
    NODE(latent_from_batch) NODE(repeat_latent_batch) NODE(latent_batch)                            /* latent_batch.c */           \
    NODE(latent_batch_seed_behavior) NODE(rebatch_latents)                                          /* latent_rebatch.c */         \
    NODE(latent_operation_tonemap_reinhard) NODE(latent_operation_sharpen)                          /* latent_operation.c */       \
    NODE(latent_apply_operation)                                                                                                  \
    NODE(rescale_cfg) NODE(renorm_cfg) NODE(video_linear_cfg_guidance) NODE(apg) NODE(tcfg)         /* guidance_nodes.c */         \
    NODE(fresca) NODE(cfg_zero_star) NODE(cfg_norm) NODE(mahiro) NODE(epsilon_scaling)                                            \
    NODE(perturbed_attention_guidance) NODE(perp_neg) NODE(latent_apply_operation_cfg)              /* guidance_more.c */          \
    NODE(skip_layer_guidance_dit) NODE(skip_layer_guidance_dit_simple) NODE(skip_layer_guidance_sd3)                              \
    NODE(freeu) NODE(freeu_v2) NODE(patch_model_add_downscale)                                         /* patch_freeu.c, patch_unet.c */             \
    NODE(easy_cache) NODE(lazy_cache)                                                               /* patch_reuse.c */            \
    NODE(self_attention_guidance)                                                                   /* guidance_blur.c */          \
    NODE(unet_self_attention_multiply) NODE(unet_cross_attention_multiply)                          /* attention_nodes.c */        \
    NODE(hyper_tile)                                                                                /* attention_tiles.c */        \
    NODE(tome_patch_model)                                                                          /* attention_merge.c */        \
    NODE(clip_attention_multiply)                                                                   /* attention_clip.c */         \
    NODE(karras_scheduler) NODE(exponential_scheduler) NODE(polyexponential_scheduler)              /* sigmas.c */                 \
    NODE(laplace_scheduler) NODE(vp_scheduler)                                                                                    \
    NODE(align_your_steps_scheduler) NODE(optimal_steps_scheduler) NODE(gits_scheduler)             /* sigmas_found.c */          \
    NODE(basic_scheduler) NODE(beta_sampling_scheduler) NODE(sd_turbo_scheduler)                    /* sigmas_model.c */           \
    NODE(sampling_percent_to_sigma)                                                                                               \
    NODE(split_sigmas) NODE(split_sigmas_denoise) NODE(flip_sigmas) NODE(set_first_sigma)           /* sigmas_edit.c */            \
    NODE(extend_intermediate_sigmas)                                                                                              \
    NODE(random_noise) NODE(disable_noise) NODE(ksampler_select)                                    /* objects.c */                \
    NODE(basic_guider) NODE(cfg_guider) NODE(dual_cfg_guider) NODE(perp_neg_guider)                 /* guiders.c */                \
    NODE(sampler_custom) NODE(sampler_custom_advanced) NODE(add_noise)                              /* custom_sampling.c */        \
    NODE(sampler_euler_ancestral) NODE(sampler_euler_ancestral_cfg_pp) NODE(sampler_euler_cfg_pp)   /* sampler_options.c */        \
    NODE(sampler_dpmpp_2s_ancestral) NODE(sampler_lms) NODE(sampler_dpm_adaptative) NODE(sampler_dpmpp_2m_sde)                    \
    NODE(sampler_dpmpp_3m_sde) NODE(sampler_dpmpp_sde) NODE(sampler_er_sde) NODE(sampler_sa_solver)                               \
    NODE(sampler_lcm_upscale)                                                                                                     \
    NODE(sampler_repaint) NODE(mask_pattern) NODE(inpaint_crop) NODE(inpaint_stitch)                /* sampler_repaint.c, mask_pattern.c, inpaint_crop.c */ \
    NODE(model_sampling_discrete) NODE(model_sampling_continuous_edm) NODE(model_sampling_continuous_v) /* model_sampling_nodes.c */ \
    NODE(model_sampling_sd3) NODE(model_sampling_aura_flow) NODE(model_sampling_flux) NODE(model_compute_dtype)                   \
    NODE(string_concatenate) NODE(string_substring) NODE(string_length) NODE(case_converter)        /* strings.c */                \
    NODE(string_trim) NODE(string_replace) NODE(string_contains) NODE(string_compare)                                             \
    NODE(regex_match) NODE(regex_extract) NODE(regex_replace)                                       /* regex_nodes.c */            \
    NODE(ksampler) NODE(ksampler_advanced)                                   /* sample.c */   \
    NODE(table_row) NODE(table_join) NODE(save_table) NODE(plot_table)                              /* table.c, table_plot.c */    \
    NODE(invert_latent)                                                                             /* inversion.c */              \
    NODE(vae_decode) NODE(vae_encode) NODE(vae_decode_tiled) NODE(vae_encode_tiled)                          /* vae.c */           \
    NODE(load_image) NODE(load_image_output) NODE(save_image) NODE(preview_image) NODE(mask_preview) /* image_io.c */ \
    NODE(save_animated_webp) NODE(save_animated_png)                                                /* image_animation.c */        \
    NODE(empty_image) NODE(image_invert) NODE(get_image_size) NODE(image_batch) NODE(image_from_batch)       /* image.c */         \
    NODE(repeat_image_batch) NODE(rebatch_images)                                                                                 \
    NODE(image_scale) NODE(image_scale_by) NODE(image_scale_to_total_pixels)                                 /* image_scale.c */   \
    NODE(image_scale_to_max_dimension) NODE(flux_kontext_image_scale) NODE(resize_and_pad_image)                                  \
    NODE(image_crop) NODE(image_flip) NODE(image_rotate) NODE(image_pad_for_outpaint)                        /* image_shape.c */   \
    NODE(image_composite_masked) NODE(split_image_with_alpha) NODE(join_image_with_alpha)                    /* image_compose.c */ \
    NODE(solid_mask) NODE(invert_mask) NODE(mask_to_image) NODE(image_to_mask) NODE(image_color_to_mask)     /* mask.c */          \
    NODE(threshold_mask)                                                                                                          \
    NODE(crop_mask) NODE(mask_composite) NODE(feather_mask) NODE(grow_mask)                                  /* mask_shape.c */    \
    NODE(load_image_mask)                                                                                    /* mask_load.c */     \
    NODE(image_stitch) NODE(porter_duff_image_composite)                     /* image_stitch.c, image_porter_duff.c */            \
    NODE(morphology) NODE(canny) NODE(image_quantize)                        /* image_morphology.c, _canny.c, _quantize.c */      \
    NODE(image_blend) NODE(image_blur) NODE(image_sharpen) NODE(image_add_noise)                             /* image_filter.c */  \
    NODE(image_rgb_to_yuv) NODE(image_yuv_to_rgb)                                                            /* image_colour.c */  \
    NODE(for_loop_start) NODE(for_loop_end) NODE(while_loop_start) NODE(while_loop_end)                      /* loop.c */          \
    NODE(primitive_int) NODE(primitive_float) NODE(primitive_string)         /* util.c */     \
    NODE(primitive_string_multiline) NODE(primitive_boolean) NODE(preview_any)                                                     \
    NODE(rgthree_seed) NODE(rgthree_any_switch) NODE(rgthree_power_lora_loader)                              /* pack_rgthree.c */  \
    NODE(rgthree_display_any)                                                                                                     \
    NODE(kj_int) NODE(kj_float) NODE(kj_string) NODE(kj_string_multiline) NODE(cr_text)                      /* pack_constants.c */ \
    NODE(easy_int) NODE(easy_float) NODE(easy_string) NODE(easy_boolean)                                                          \
    NODE(impact_int) NODE(impact_float) NODE(impact_boolean) NODE(pysssss_show_text)                                              \
    NODE(essentials_image_size) NODE(rgthree_image_comparer)                                                 /* image.c, image_io.c */
/* clang-format on */

#define DECLARE(name_) extern const NodusNode node_##name_;
#define ROW(name_)     &node_##name_,
NODES(DECLARE)
const NodusNode *const builtin_nodes[] = {NODES(ROW) NULL};

const NodusType *const builtin_types[] = {&type_latent, &type_model, &type_clip, &type_vae, &type_upscale_model, &type_conditioning, &type_clip_vision, &type_clip_vision_output, &type_style_model, &type_control_net, &type_gligen, &type_attention_maps, &type_ip_adapter, &type_paint_by_example, &type_photomaker, &type_stitch, &type_timesteps_range, &type_noise, &type_sampler, &type_latent_operation, &type_guider, &type_flow, &type_table, NULL};

extern const NodusPatchClass patch_freeu;
const NodusPatchClass *const builtin_patches[] = {&patch_freeu, NULL};

const NodusSamplerDef *builtin_samplers(void)
{
    return sampler_table;
}
const NodusSchedulerDef *builtin_schedulers(void)
{
    return scheduler_table;
}
