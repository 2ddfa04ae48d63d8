-- sdxl_refiner.lua: graphs/sdxl_refiner.json as a script: nodus run graphs/sdxl_refiner.lua
local n = require "nodus"

local base = n.CheckpointLoaderSimple{ ckpt_name = "sd_xl_base.safetensors", _title = "Base" }
local refiner = n.CheckpointLoaderSimple{ ckpt_name = "sd_xl_refiner.safetensors", _title = "Refiner" }
local positive = n.CLIPTextEncode{ clip = base, text = "a lighthouse on a cliff, morning light" }
local negative = n.CLIPTextEncode{ clip = base, text = "blurry" }
local size = n.EmptyLatentImage{ width = 64, height = 64 }
local base_steps = n.KSamplerAdvanced{
  model = base, positive = positive, negative = negative, latent_image = size,
  add_noise = "enable", noise_seed = 1, steps = 25, start_at_step = 0, end_at_step = 20, return_with_leftover_noise = "enable", cfg = 7,
  sampler_name = "euler", scheduler = "normal", _title = "Base steps",
}
local positive_refiner = n.CLIPTextEncodeSDXLRefiner{
  clip = refiner, ascore = 6, width = 1024, height = 1024, text = "a lighthouse on a cliff, morning light",
}
local negative_refiner = n.CLIPTextEncodeSDXLRefiner{ clip = refiner, ascore = 2.5, width = 1024, height = 1024, text = "blurry" }
local refiner_steps = n.KSamplerAdvanced{
  model = refiner, positive = positive_refiner, negative = negative_refiner, latent_image = base_steps,
  add_noise = "disable", noise_seed = 1, steps = 25, start_at_step = 20, end_at_step = 10000, return_with_leftover_noise = "disable",
  cfg = 7, sampler_name = "euler", scheduler = "normal", _title = "Refiner steps",
}
local image = n.VAEDecode{ samples = refiner_steps, vae = refiner }
local save = n.SaveImage{ images = image, filename_prefix = "sdxl_refiner" }
local graph = n.graph(save)

if arg[1] == "json" then graph:save "sdxl_refiner.json" else graph:run() end
