-- shrink.lua: graphs/shrink.json as a script: nodus run graphs/shrink.lua
local n = require "nodus"

local checkpoint = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors", _title = "The demo model" }
local positive = n.CLIPTextEncode{ clip = checkpoint, text = "a red house, hills", _title = "What to paint" }
local negative = n.CLIPTextEncode{ clip = checkpoint, text = "night sky", _title = "What not to paint" }
local size = n.EmptyLatentImage{ width = 256, height = 256, _title = "Larger than the model was trained for" }
local small_inside_at_first = n.PatchModelAddDownscale{ model = checkpoint, _id = 10, _title = "Small inside at first" }
local latent = n.KSampler{
  model = small_inside_at_first, positive = positive, negative = negative, latent_image = size,
  seed = 7, steps = 20, cfg = 7, sampler_name = "dpmpp_2m", scheduler = "karras", _id = 90, _title = "Sample",
}
local image = n.VAEDecode{ samples = latent, vae = checkpoint, _id = 91, _title = "To pixels" }
local save = n.SaveImage{ images = image, filename_prefix = "shrink", _id = 92, _title = "Write it" }
local graph = n.graph(save)

if arg[1] == "json" then graph:save "shrink.json" else graph:run() end
