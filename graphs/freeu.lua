-- freeu.lua: graphs/freeu.json as a script: nodus run graphs/freeu.lua
local n = require "nodus"

local checkpoint = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors", _title = "The demo model" }
local positive = n.CLIPTextEncode{ clip = checkpoint, text = "a red house, hills", _title = "What to paint" }
local negative = n.CLIPTextEncode{ clip = checkpoint, text = "night sky", _title = "What not to paint" }
local size = n.EmptyLatentImage{ width = 128, height = 128, _title = "Size" }
local backbone_against_skips = n.FreeU{ model = checkpoint, _id = 10, _title = "Backbone against skips" }
local latent = n.KSampler{
  model = backbone_against_skips, positive = positive, negative = negative, latent_image = size,
  seed = 7, steps = 20, cfg = 7, sampler_name = "dpmpp_2m", scheduler = "karras", _id = 90, _title = "Sample",
}
local image = n.VAEDecode{ samples = latent, vae = checkpoint, _id = 91, _title = "To pixels" }
local save = n.SaveImage{ images = image, filename_prefix = "freeu", _id = 92, _title = "Write it" }
local free_u_v2 = n.FreeU_V2{ model = checkpoint, _id = 11, _title = "The same by what the backbone holds" }
local sample2 = n.KSampler{
  model = free_u_v2, positive = positive, negative = negative, latent_image = size,
  seed = 7, steps = 20, cfg = 7, sampler_name = "dpmpp_2m", scheduler = "karras", _id = 93, _title = "Sample",
}
local image2 = n.VAEDecode{ samples = sample2, vae = checkpoint, _id = 94, _title = "To pixels" }
local save_again = n.SaveImage{ images = image2, filename_prefix = "freeu_v2", _id = 95, _title = "Write it" }
local graph = n.graph(save, save_again)

if arg[1] == "json" then graph:save "freeu.json" else graph:run() end
