-- merge_save.lua: graphs/merge_save.json as a script: nodus run graphs/merge_save.lua
local n = require "nodus"

local checkpoint = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors", _title = "The demo model" }
local lora = n.LoraLoader{
  model = checkpoint, clip = checkpoint, lora_name = "neon-lora.safetensors", _id = 8, _title = "A second model: the first with a style",
}
local mix_the_models = n.ModelMergeSimple{ model1 = checkpoint, model2 = lora, ratio = 0.5, _id = 9, _title = "Mix the models" }
local all_in_one_file = n.CheckpointSave{
  model = mix_the_models, clip = lora, vae = checkpoint, filename_prefix = "checkpoints/half-neon", _id = 10, _title = "All in one file",
}
local diffusion_model = n.ModelSave{
  model = mix_the_models, filename_prefix = "diffusion_models/half-neon", _id = 11, _title = "The diffusion model",
}
local text_encoder = n.CLIPSave{ clip = lora, filename_prefix = "text_encoders/half-neon", _id = 12, _title = "The text encoder" }
local image = n.VAESave{ vae = checkpoint, filename_prefix = "vae/half-neon", _id = 13, _title = "The VAE" }
local what_was_saved = n.PreviewAny{ source = mix_the_models, _id = 14, _title = "What was saved" }
local graph = n.graph(all_in_one_file, diffusion_model, text_encoder, image, what_was_saved)

if arg[1] == "json" then graph:save "merge_save.json" else graph:run() end
