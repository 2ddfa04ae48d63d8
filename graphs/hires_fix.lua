-- hires_fix.lua: graphs/hires_fix.json as a script: nodus run graphs/hires_fix.lua
local n = require "nodus"

local checkpoint = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors", _title = "The demo model" }
local positive = n.CLIPTextEncode{ clip = checkpoint, text = "a white boat, sea", _title = "What to paint" }
local negative = n.CLIPTextEncode{ clip = checkpoint, text = "", _title = "What not to paint" }
local size = n.EmptyLatentImage{ width = 128, height = 128, _title = "The size that the model knows" }
local first_pass = n.KSampler{
  model = checkpoint, positive = positive, negative = negative, latent_image = size,
  seed = 5, steps = 20, cfg = 5, sampler_name = "dpmpp_2m", scheduler = "karras", _title = "First pass",
}
local image = n.VAEDecode{ samples = first_pass, vae = checkpoint, _title = "To pixels" }
local save_first = n.SaveImage{ images = image, filename_prefix = "hires_first", _title = "The first pass" }
local larger = n.LatentUpscaleBy{ samples = first_pass, _title = "One and a half times the size" }
local second_pass = n.KSampler{
  model = checkpoint, positive = positive, negative = negative, latent_image = larger,
  seed = 6, steps = 14, cfg = 5, sampler_name = "dpmpp_2m", scheduler = "karras", denoise = 0.6, _id = 90,
  _title = "Second pass: redraw half",
}
local image2 = n.VAEDecode{ samples = second_pass, vae = checkpoint, _id = 91, _title = "To pixels" }
local save = n.SaveImage{ images = image2, filename_prefix = "hires_second", _id = 92, _title = "Write it" }
local graph = n.graph(save_first, save)

if arg[1] == "json" then graph:save "hires_fix.json" else graph:run() end
