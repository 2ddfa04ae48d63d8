-- merge.lua: graphs/merge.json as a script: nodus run graphs/merge.lua
local n = require "nodus"

local checkpoint = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors", _title = "The demo model" }
local lora = n.LoraLoader{
  model = checkpoint, clip = checkpoint, lora_name = "neon-lora.safetensors", _id = 8, _title = "A second model: the first with a style",
}
local mix_the_models = n.ModelMergeSimple{ model1 = checkpoint, model2 = lora, ratio = 0.4, _id = 9, _title = "Mix the models" }
local mix_the_text_encoders = n.CLIPMergeSimple{ clip1 = checkpoint, clip2 = lora, ratio = 0.4, _id = 10, _title = "Mix the text encoders" }
local positive = n.CLIPTextEncode{ clip = mix_the_text_encoders, text = "a red star, night sky", _title = "What to paint" }
local negative = n.CLIPTextEncode{ clip = mix_the_text_encoders, text = "", _title = "What not to paint" }
local size = n.EmptyLatentImage{ width = 128, height = 128, _title = "Size" }
local latent = n.KSampler{
  model = mix_the_models, positive = positive, negative = negative, latent_image = size,
  seed = 2, steps = 20, cfg = 5, sampler_name = "dpmpp_2m", scheduler = "karras", _title = "Remove the noise",
}
local image = n.VAEDecode{ samples = latent, vae = checkpoint, _title = "To pixels" }
local save = n.SaveImage{ images = image, filename_prefix = "merge", _title = "Write it" }
local graph = n.graph(save)

if arg[1] == "json" then graph:save "merge.json" else graph:run() end
