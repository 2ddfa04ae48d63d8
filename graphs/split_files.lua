-- split_files.lua: graphs/split_files.json as a script: nodus run graphs/split_files.lua
local n = require "nodus"

local unet = n.UNETLoader{ unet_name = "unet.safetensors" }
local clip = n.CLIPLoader{ clip_name = "clip_l.safetensors" }
local image = n.VAELoader{ vae_name = "vae-diffusers.safetensors", _id = 8 }
local positive = n.CLIPTextEncode{ clip = clip, text = "a red star, night sky" }
local negative = n.CLIPTextEncode{ clip = clip, text = "" }
local size = n.EmptyLatentImage{ width = 64, height = 64, _id = 9 }
local latent = n.KSampler{
  model = unet, positive = positive, negative = negative, latent_image = size,
  seed = 1, steps = 20, cfg = 7, sampler_name = "euler", scheduler = "normal",
}
local vae2 = n.VAEDecode{ samples = latent, vae = image }
local save = n.SaveImage{ images = vae2, filename_prefix = "split_files" }
local graph = n.graph(save)

if arg[1] == "json" then graph:save "split_files.json" else graph:run() end
