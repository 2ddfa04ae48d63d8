-- guiders.lua: graphs/guiders.json as a script: nodus run graphs/guiders.lua
local n = require "nodus"

local checkpoint = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors", _title = "The demo model" }
local positive = n.CLIPTextEncode{ clip = checkpoint, text = "a red star, night sky", _title = "What to paint" }
local negative = n.CLIPTextEncode{ clip = checkpoint, text = "", _title = "What not to paint" }
local size = n.EmptyLatentImage{ width = 128, height = 128, _title = "Size" }
local second = n.CLIPTextEncode{ clip = checkpoint, text = "night sky", _title = "Where to start from" }
local noise = n.RandomNoise{ noise_seed = 101, _title = "Which noise" }
local sampler = n.KSamplerSelect{ sampler_name = "dpmpp_2m", _title = "Which method" }
local sigmas = n.BasicScheduler{ model = checkpoint, scheduler = "karras", steps = 12, _title = "Noise levels" }

local basic = n.BasicGuider{ model = checkpoint, conditioning = positive, _title = "The prompt alone" }
local cfg = n.CFGGuider{ model = checkpoint, positive = positive, negative = negative, cfg = 5, _title = "Prompt and negative" }
local dual = n.DualCFGGuider{
  model = checkpoint, cond1 = positive, cond2 = second, negative = negative,
  cfg_conds = 4, cfg_cond2_negative = 3, _title = "Two prompts and a negative",
}
local perp_neg = n.PerpNegGuider{
  model = checkpoint, positive = positive, negative = second, empty_conditioning = negative,
  cfg = 5, _title = "What the negative does not share",
}

-- Four guiders, the same noise, method and levels: what differs between the pictures is how the predictions are mixed.
local function paint(guider, prefix)
  local latent = n.SamplerCustomAdvanced{
    noise = noise, guider = guider, sampler = sampler, sigmas = sigmas, latent_image = size, _title = "Sample",
  }
  local image = n.VAEDecode{ samples = latent.output, vae = checkpoint, _title = "To pixels" }
  return n.SaveImage{ images = image, filename_prefix = prefix, _title = "Write it" }
end

local graph = n.graph(
  paint(basic, "guider_basic"), paint(cfg, "guider_cfg"), paint(dual, "guider_dual"), paint(perp_neg, "guider_perp_neg"))

if arg[1] == "json" then graph:save "guiders.json" else graph:run() end
