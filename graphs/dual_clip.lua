-- dual_clip.lua: graphs/dual_clip.json as a script: nodus run graphs/dual_clip.lua
local n = require "nodus"

local checkpoint = n.CheckpointLoaderSimple{ ckpt_name = "sd_xl_base.safetensors" }
local dual_clip = n.DualCLIPLoader{ clip_name1 = "clip_g.safetensors", clip_name2 = "clip_l.safetensors" }
local positive = n.CLIPTextEncode{ clip = dual_clip, text = "a lighthouse on a cliff" }
local negative = n.CLIPTextEncode{ clip = dual_clip, text = "blurry" }
local size = n.EmptyLatentImage{ width = 64, height = 64, _id = 9 }
local latent = n.KSampler{
  model = checkpoint, positive = positive, negative = negative, latent_image = size,
  seed = 1, steps = 20, cfg = 7, sampler_name = "euler", scheduler = "normal",
}
local image = n.VAEDecode{ samples = latent, vae = checkpoint }
local save = n.SaveImage{ images = image, filename_prefix = "dual_clip" }
local graph = n.graph(save)

if arg[1] == "json" then graph:save "dual_clip.json" else graph:run() end
