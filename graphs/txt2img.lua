-- txt2img.lua: graphs/txt2img.json as a script: nodus run graphs/txt2img.lua
local n = require "nodus"

local model, clip, vae = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors", _title = "The demo model" }:outputs()
local positive = n.CLIPTextEncode{ clip = clip, text = "a red star, night sky", _title = "What to paint" }
local negative = n.CLIPTextEncode{ clip = clip, text = "", _title = "What not to paint" }
local size = n.EmptyLatentImage{ width = 128, height = 128, _title = "Size" }
local latent = n.KSampler{
  model = model, positive = positive, negative = negative, latent_image = size,
  seed = 101, steps = 20, cfg = 5, sampler_name = "dpmpp_2m", scheduler = "karras", _title = "Remove the noise",
}
local image = n.VAEDecode{ samples = latent, vae = vae, _title = "To pixels" }
local graph = n.graph(n.SaveImage{ images = image, filename_prefix = "txt2img", _title = "Write it" })

if arg[1] == "json" then graph:save "txt2img.json" else graph:run() end
