-- inversion.lua: graphs/inversion.json as a script: nodus run graphs/inversion.lua
local n = require "nodus"

local checkpoint = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors" }
local positive = n.CLIPTextEncode{ clip = checkpoint, text = "a red embedding:star, night sky", _id = 3 }
local negative = n.CLIPTextEncode{ clip = checkpoint, text = "", _id = 4 }
local size = n.EmptyLatentImage{ width = 64, height = 64, _id = 9 }
local latent = n.KSampler{
  model = checkpoint, positive = positive, negative = negative, latent_image = size,
  seed = 1, steps = 20, cfg = 7, sampler_name = "euler", scheduler = "normal", _id = 5,
}
local image = n.VAEDecode{ samples = latent, vae = checkpoint, _id = 6 }
local save = n.SaveImage{ images = image, filename_prefix = "inversion", _id = 7 }
local graph = n.graph(save)

if arg[1] == "json" then graph:save "inversion.json" else graph:run() end
