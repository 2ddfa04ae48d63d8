-- model_sampling.lua: graphs/model_sampling.json as a script: nodus run graphs/model_sampling.lua
local n = require "nodus"

local checkpoint = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors", _title = "The demo model" }
local models = {
  n.ModelSamplingDiscrete{ model = checkpoint, sampling = "eps", zsnr = true, _title = "Levels up to pure noise" },
  n.ModelSamplingContinuousEDM{ model = checkpoint, sampling = "eps", sigma_max = 20, sigma_min = 0.02, _title = "Levels of any range" },
  n.ModelSamplingContinuousV{ model = checkpoint, _title = "Velocities, by angle" },
  n.ModelSamplingSD3{ model = checkpoint, _title = "A flow" },
  n.ModelSamplingAuraFlow{ model = checkpoint, _title = "A flow, its time from 0 to 1" },
  n.ModelSamplingFlux{
    model = checkpoint, max_shift = 1.15, base_shift = 0.5, width = 1024, height = 768, _title = "A flow, shifted by size",
  },
}

-- What noise levels does the same schedule give each of them?
local wanted = {}
for i, model in ipairs(models) do
  local levels = n.BasicScheduler{ model = model, scheduler = "normal", steps = 6, _title = "Its noise levels" }
  wanted[i] = n.PreviewAny{ source = levels, _title = "Show them" }
end

local positive = n.CLIPTextEncode{ clip = checkpoint, text = "a red star, night sky", _title = "What to paint" }
local negative = n.CLIPTextEncode{ clip = checkpoint, text = "", _title = "What not to paint" }
local size = n.EmptyLatentImage{ width = 128, height = 128, _title = "Size" }
local fp32 = n.ModelComputeDtype{ model = models[2], dtype = "fp32", _title = "In fp32" }
local latent = n.KSampler{
  model = fp32, positive = positive, negative = negative, latent_image = size,
  seed = 101, steps = 12, cfg = 5, sampler_name = "dpmpp_2m", scheduler = "karras", _title = "Remove the noise",
}
local image = n.VAEDecode{ samples = latent, vae = checkpoint, _title = "To pixels" }
wanted[#wanted + 1] = n.SaveImage{ images = image, filename_prefix = "model_sampling", _title = "Write it" }
local graph = n.graph(table.unpack(wanted))

if arg[1] == "json" then graph:save "model_sampling.json" else graph:run() end
