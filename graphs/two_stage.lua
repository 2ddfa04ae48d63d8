-- two_stage.lua: graphs/two_stage.json as a script: nodus run graphs/two_stage.lua
local n = require "nodus"

local checkpoint = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors", _title = "The demo model" }
local clip = n.CLIPSetLastLayer{ clip = checkpoint, _id = 11, _title = "Which layer of the text encoder" }
local positive = n.CLIPTextEncode{ clip = clip, text = "a big blue house on the left, hills", _title = "What to paint" }
local negative = n.CLIPTextEncode{ clip = clip, text = "", _title = "What not to paint" }
local size = n.EmptyLatentImage{ width = 128, height = 128, _title = "Size" }
local first_half = n.KSamplerAdvanced{
  model = checkpoint, positive = positive, negative = negative, latent_image = size,
  add_noise = "enable", noise_seed = 5, steps = 20, cfg = 5, sampler_name = "euler", scheduler = "normal", start_at_step = 0,
  end_at_step = 10, return_with_leftover_noise = "enable", _title = "First half, euler",
}
local second_half = n.KSamplerAdvanced{
  model = checkpoint, positive = positive, negative = negative, latent_image = first_half,
  add_noise = "disable", noise_seed = 5, steps = 20, cfg = 5, sampler_name = "dpmpp_2m", scheduler = "normal", start_at_step = 10,
  _title = "Second half, dpmpp_2m",
}
local image = n.VAEDecode{ samples = second_half, vae = checkpoint, _title = "To pixels" }
local save = n.SaveImage{ images = image, filename_prefix = "two_stage", _title = "Write it" }
local save_latent = n.SaveLatent{ samples = first_half, filename_prefix = "latents/two_stage", _title = "Keep the half-done latent" }
local graph = n.graph(save, save_latent)

if arg[1] == "json" then graph:save "two_stage.json" else graph:run() end
