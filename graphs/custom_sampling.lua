-- custom_sampling.lua: graphs/custom_sampling.json as a script: nodus run graphs/custom_sampling.lua
local n = require "nodus"

local checkpoint = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors", _title = "The demo model" }
local positive = n.CLIPTextEncode{ clip = checkpoint, text = "a red star, night sky", _title = "What to paint" }
local negative = n.CLIPTextEncode{ clip = checkpoint, text = "", _title = "What not to paint" }
local size = n.EmptyLatentImage{ width = 128, height = 128, _title = "Size" }
local sigmas = n.KarrasScheduler{ steps = 12, _title = "Noise levels" }
local levels = n.SplitSigmas{ sigmas = sigmas, step = 8, _title = "Two parts of them" }
local first_method = n.KSamplerSelect{ sampler_name = "dpmpp_2m", _title = "First method" }
local first_part = n.SamplerCustom{
  model = checkpoint, positive = positive, negative = negative, sampler = first_method,
  sigmas = levels.high_sigmas, latent_image = size,
  add_noise = true, noise_seed = 101, cfg = 5, _title = "Sample the first part",
}
local larger = n.LatentUpscale{
  samples = first_part.denoised_output,
  upscale_method = "bislerp", width = 192, height = 192, _title = "Larger, from the picture as the model sees it by now",
}
local new_noise = n.RandomNoise{ noise_seed = 7, _title = "New noise" }
local add_noise = n.AddNoise{
  model = checkpoint, noise = new_noise, sigmas = levels.low_sigmas, latent_image = larger,
  _title = "As much as the second part removes",
}
local second_method = n.SamplerEulerAncestral{ eta = 0.5, _title = "Second method" }
local second_part = n.SamplerCustom{
  model = checkpoint, positive = positive, negative = negative, sampler = second_method,
  sigmas = levels.low_sigmas, latent_image = add_noise,
  add_noise = false, noise_seed = 101, cfg = 5, _title = "Sample the second part",
}
local image = n.VAEDecode{ samples = second_part.output, vae = checkpoint, _title = "To pixels" }
local save = n.SaveImage{ images = image, filename_prefix = "custom_sampling", _title = "Write it" }
local graph = n.graph(save)

if arg[1] == "json" then graph:save "custom_sampling.json" else graph:run() end
