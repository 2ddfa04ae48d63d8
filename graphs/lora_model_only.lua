-- lora_model_only.lua: graphs/lora_model_only.json as a script: nodus run graphs/lora_model_only.lua
local n = require "nodus"

local checkpoint = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors", _title = "The demo model" }
local styled = n.LoraLoaderModelOnly{
  model = checkpoint, lora_name = "neon-lora.safetensors", strength_model = 0.8, _id = 8, _title = "A style, on the diffusion model only",
}
local positive = n.CLIPTextEncode{ clip = checkpoint, text = "a red star, night sky", _title = "What to paint" }
local negative = n.CLIPTextEncode{ clip = checkpoint, text = "", _title = "What not to paint" }
local size = n.EmptyLatentImage{ width = 128, height = 128, _title = "Size" }
local latent = n.KSampler{
  model = styled, positive = positive, negative = negative, latent_image = size,
  seed = 2, steps = 20, cfg = 5, sampler_name = "dpmpp_2m", scheduler = "karras", _title = "Remove the noise",
}
local image = n.VAEDecode{ samples = latent, vae = checkpoint, _title = "To pixels" }
local save = n.SaveImage{ images = image, filename_prefix = "lora_model_only", _title = "Write it" }
local graph = n.graph(save)

if arg[1] == "json" then graph:save "lora_model_only.json" else graph:run() end
