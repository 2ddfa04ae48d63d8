-- lora.lua: graphs/lora.json as a script: nodus run graphs/lora.lua
local n = require "nodus"

local checkpoint = n.CheckpointLoaderSimple{ _id = 1, _title = "The demo model", ckpt_name = "shapes-sd1.safetensors" }
local model, clip = n.LoraLoader{
  _id = 8, _title = "A style: neon", model = checkpoint, clip = checkpoint,
  lora_name = "neon-lora.safetensors", strength_model = 0.9, strength_clip = 0.9,
}:outputs()
local positive = n.CLIPTextEncode{ _id = 2, _title = "What to paint", clip = clip, text = "a red star, night sky" }
local negative = n.CLIPTextEncode{ _id = 3, _title = "What not to paint", clip = clip, text = "" }
local size = n.EmptyLatentImage{ _id = 4, _title = "Size", width = 128, height = 128 }
local latent = n.KSampler{
  _id = 5, _title = "Remove the noise", model = model, positive = positive, negative = negative, latent_image = size,
  seed = 2, steps = 20, cfg = 5, sampler_name = "dpmpp_2m", scheduler = "karras",
}
local image = n.VAEDecode{ _id = 6, _title = "To pixels", samples = latent, vae = checkpoint }
local graph = n.graph(n.SaveImage{ _id = 7, _title = "Write it", images = image, filename_prefix = "lora" })

if arg[1] == "json" then graph:save "lora.json" else graph:run() end
