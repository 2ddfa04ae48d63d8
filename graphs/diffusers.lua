-- diffusers.lua: graphs/diffusers.json as a script: nodus run graphs/diffusers.lua
local n = require "nodus"

local diffusers = n.DiffusersLoader{ model_path = "shapes" }
local positive = n.CLIPTextEncode{ clip = diffusers, text = "a red star, night sky", _id = 3 }
local negative = n.CLIPTextEncode{ clip = diffusers, text = "", _id = 4 }
local size = n.EmptyLatentImage{ width = 64, height = 64, _id = 9 }
local latent = n.KSampler{
  model = diffusers, positive = positive, negative = negative, latent_image = size,
  seed = 1, steps = 20, cfg = 7, sampler_name = "euler", scheduler = "normal", _id = 5,
}
local image = n.VAEDecode{ samples = latent, vae = diffusers, _id = 6 }
local save = n.SaveImage{ images = image, filename_prefix = "diffusers", _id = 7 }
local graph = n.graph(save)

if arg[1] == "json" then graph:save "diffusers.json" else graph:run() end
