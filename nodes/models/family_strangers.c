/* family_strangers.c: naming a file that is not what it was opened as.
 *
 * One idea: names give a kind of file away, so a user who put one in the wrong folder is told the right one. */
#include "nodes/models/family.h"
#include "nodes/models/family_inside.h"
#include "nodes/models/keys.h"

/* A name that contains `piece` gives a kind of file away. The order matters: the first row that fits names the file. */
static const struct {
    const char *piece, *what, *folder;
} strangers[] = {
    {".lora_up.weight", "a LoRA", "loras"},
    {".lora_down.weight", "a LoRA", "loras"},
    {".lora_A.weight", "a LoRA", "loras"},
    {".lora.up.weight", "a LoRA", "loras"},
    {".lora_linear_layer.", "a LoRA", "loras"},
    {".hada_w1_a", "a LoRA (LoHa)", "loras"},
    {".lokr_w1", "a LoRA (LoKr)", "loras"},
    {".oft_blocks", "a LoRA (OFT)", "loras"},
    {"lora_unet_", "a LoRA", "loras"},
    {"input_hint_block.0.weight", "a ControlNet", "controlnet"},
    {"controlnet_cond_embedding.", "a ControlNet", "controlnet"},
    {"controlnet_blocks.", "a ControlNet", "controlnet"},
    {"adapter.body.", "a T2I adapter", "controlnet"},
    {"body.0.block1.weight", "a T2I adapter", "controlnet"},
    {"position_net.", "a GLIGEN model", "gligen"},
    {".to_k_ip.weight", "an IP-Adapter", "ipadapter"},
    {"style_embedding", "a style model", "style_models"},
    {"emb_params", "a textual inversion", "embeddings"},
    {"string_to_param", "a textual inversion", "embeddings"},
    {".rdb1.conv1.weight", "an upscaler", "upscale_models"},
    {".RDB1.conv1.0.weight", "an upscaler", "upscale_models"},
    {"vision_model.encoder.layers.0.", "a CLIP vision model", "clip_vision"},
    {"DenseReluDense", "a T5 text encoder", "text_encoders"},
};

/* Kinds that are told by one exact key; `prefix` "" only. */
static const struct {
    const char *key, *what, *folder;
} lone_parts[] = {
    {"input_blocks.0.0.weight", "a UNet without text encoder and VAE", "diffusion_models"},
    {"clip_l", "a textual inversion", "embeddings"},
    {"clip_g", "a textual inversion", "embeddings"},
    {"text_model.embeddings.token_embedding.weight", "a text encoder", "text_encoders"},
    {"decoder.conv_in.weight", "a VAE", "vae"},
    {"encoder.conv_in.weight", "a VAE", "vae"},
    {"double_blocks.0.img_attn.qkv.weight", "a Flux model", "diffusion_models"},
    {"joint_blocks.0.x_block.attn.qkv.weight", "an SD3 model", "diffusion_models"},
    {"1.conv.0.weight", "a TAESD encoder", "vae_approx"},
    {"3.conv.0.weight", "a TAESD decoder", "vae_approx"},
    {"model.diffusion_model.input_blocks.0.0.weight", "a checkpoint", "checkpoints"},
};

NodusStatus family_refuse(const WeightSet *weights, const char *wanted)
{
    const char *what = NULL, *folder = NULL;
    for (size_t i = 0; i < sizeof strangers / sizeof *strangers && !what; i++)
        if (keys_any_piece(weights, strangers[i].piece)) what = strangers[i].what, folder = strangers[i].folder;
    for (size_t i = 0; i < sizeof lone_parts / sizeof *lone_parts && !what; i++)
        if (weights_get(weights, lone_parts[i].key)) what = lone_parts[i].what, folder = lone_parts[i].folder;
    if (what) return nodus_error(NODUS_ERROR_FILE, "this is %s, not a %s: it belongs in the folder \"%s\"", what, wanted, folder);
    const int count = weights_count(weights);
    return nodus_error(NODUS_ERROR_FILE, "this is no %s that we know: it has %d weights, the first is \"%.100s\"", wanted, count,
                       count ? weights_at(weights, 0)->name : "");
}
