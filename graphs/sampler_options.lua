-- sampler_options.lua: graphs/sampler_options.json as a script: nodus run graphs/sampler_options.lua
local n = require "nodus"

local checkpoint = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors", _title = "The demo model" }
local positive = n.CLIPTextEncode{ clip = checkpoint, text = "a red star, night sky", _title = "What to paint" }
local negative = n.CLIPTextEncode{ clip = checkpoint, text = "", _title = "What not to paint" }
local size = n.EmptyLatentImage{ width = 128, height = 128, _title = "Size" }

local samplers = {
  n.SamplerEulerAncestral{ eta = 0.5, _title = "Ancestral" },
  n.SamplerEulerAncestralCFGPP{ eta = 0.5, _title = "Ancestral, CFG++" },
  n.SamplerEulerCFGpp{ version = "alternative", _title = "CFG++" },
  n.SamplerDPMPP_2S_Ancestral{ eta = 0.5, _title = "Two predictions a step" },
  n.SamplerLMS{ order = 3, _title = "Linear multistep" },
  n.SamplerDPMAdaptative{ _title = "Steps by error" },
  n.SamplerDPMPP_2M_SDE{ solver_type = "heun", eta = 0.7, noise_device = "cpu", _title = "Stochastic, second order" },
  n.SamplerDPMPP_3M_SDE{ eta = 0.7, noise_device = "cpu", _title = "Stochastic, third order" },
  n.SamplerDPMPP_SDE{ eta = 0.7, r = 0.5, noise_device = "cpu", _title = "Stochastic, two predictions a step" },
  n.SamplerER_SDE{ _title = "Extended reverse time" },
  n.SamplerSASolver{ model = checkpoint, _title = "Predict and correct" },
  n.SamplerLCMUpscale{ scale_ratio = 1.5, scale_steps = 2, _title = "Growing" },
}
local wanted = {}
for i, sampler in ipairs(samplers) do wanted[i] = n.PreviewAny{ source = sampler, _title = "Show it" } end

local latent = n.SamplerCustom{
  model = checkpoint, positive = positive, negative = negative, latent_image = size, sampler = samplers[7],
  sigmas = n.BasicScheduler{ model = checkpoint, scheduler = "karras", steps = 12, _title = "Noise levels" },
  add_noise = true, noise_seed = 101, cfg = 5, _title = "Sample with one of them",
}
local image = n.VAEDecode{ samples = latent.output, vae = checkpoint, _title = "To pixels" }
wanted[#wanted + 1] = n.SaveImage{ images = image, filename_prefix = "sampler_options", _title = "Write it" }
local graph = n.graph(table.unpack(wanted))

if arg[1] == "json" then graph:save "sampler_options.json" else graph:run() end
