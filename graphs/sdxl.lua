-- sdxl.lua: graphs/sdxl.json as a script: nodus run graphs/sdxl.lua
local n = require "nodus"

local checkpoint = n.CheckpointLoaderSimple{ ckpt_name = "sd_xl_base.safetensors" }
local what_the_picture_shows = n.CLIPTextEncodeSDXL{
  clip = checkpoint,
  width = 1024, height = 1024, crop_w = 0, crop_h = 0, target_width = 1024, target_height = 1024,
  text_g = "a lighthouse on a cliff, morning light", text_l = "lighthouse, cliff, (sea:1.2)", _title = "What the picture shows",
}
local what_it_should_not_show = n.CLIPTextEncodeSDXL{
  clip = checkpoint,
  width = 1024, height = 1024, crop_w = 0, crop_h = 0, target_width = 1024, target_height = 1024, text_g = "blurry", text_l = "blurry",
  _title = "What it should not show",
}
local size = n.EmptyLatentImage{ width = 64, height = 64 }
local latent = n.KSampler{
  model = checkpoint, positive = what_the_picture_shows, negative = what_it_should_not_show, latent_image = size,
  seed = 1, steps = 20, cfg = 7, sampler_name = "euler", scheduler = "normal",
}
local image = n.VAEDecode{ samples = latent, vae = checkpoint }
local save = n.SaveImage{ images = image, filename_prefix = "sdxl" }
local graph = n.graph(save)

if arg[1] == "json" then graph:save "sdxl.json" else graph:run() end
