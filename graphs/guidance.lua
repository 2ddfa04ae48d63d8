-- guidance.lua: graphs/guidance.json as a script: nodus run graphs/guidance.lua
local n = require "nodus"

local checkpoint = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors", _title = "The demo model" }
local positive = n.CLIPTextEncode{ clip = checkpoint, text = "a red house, hills", _title = "What to paint" }
local negative = n.CLIPTextEncode{ clip = checkpoint, text = "night sky", _title = "What not to paint" }
local size = n.EmptyLatentImage{ width = 128, height = 128, _title = "Size" }

-- Paints with a model and writes the picture; the ids are those of graphs/guidance.json, where nodes are numbered by part.
local function paint(model, latent, prefix, id)
  local sampled = n.KSampler{
    model = model, positive = positive, negative = negative, latent_image = latent,
    seed = 7, steps = 20, cfg = 7, sampler_name = "dpmpp_2m", scheduler = "karras", _id = id, _title = "Sample",
  }
  local image = n.VAEDecode{ samples = sampled, vae = checkpoint, _id = id + 1, _title = "To pixels" }
  return n.SaveImage{ images = image, filename_prefix = prefix, _id = id + 2, _title = "Write it" }
end

-- Each of these takes the model as the one before it left it.
local model = n.RescaleCFG{ model = checkpoint, _id = 10, _title = "Keep the contrast" }
model = n.PerturbedAttentionGuidance{ model = model, _id = 11, _title = "Away from a model that does not look around" }
model = n.SelfAttentionGuidance{ model = model, _id = 12, _title = "Away from a blurred picture" }
model = n["Epsilon Scaling"]{ model = model, _id = 13, _title = "A little less noise off" }
local rescaled = paint(model, size, "guidance", 90)

model = n.APG{ model = checkpoint, eta = 0.5, norm_threshold = 5, momentum = -0.5, _id = 20, _title = "Without oversaturation" }
model = n.TCFG{ model = model, _id = 21, _title = "The negative, damped" }
model = n.FreSca{ model = model, scale_low = 1, scale_high = 1.25, freq_cutoff = 4, _id = 22, _title = "Details more than structure" }
model = n.CFGNorm{ model = model, _id = 23, _title = "Not longer than the positive" }
model = n.SkipLayerGuidanceDiT{
  model = model, double_layers = "7, 8, 9", single_layers = "7, 8, 9", scale = 3, rescaling_scale = 0.2,
  _id = 24, _title = "For transformers",
}
model = n.SkipLayerGuidanceDiTSimple{
  model = model, double_layers = "7", single_layers = "7", _id = 25, _title = "For transformers, simple",
}
model = n.SkipLayerGuidanceSD3{ model = model, layers = "7, 8, 9", _id = 26, _title = "For Stable Diffusion 3" }
local projected = paint(model, size, "guidance_projected", 93)

model = n.CFGZeroStar{ model = checkpoint, _id = 30, _title = "A negative that fits" }
model = n.Mahiro{ model = model, _id = 31, _title = "Follow the text more" }
model = n.RenormCFG{ model = model, _id = 32, _title = "Not longer than the positive, as a whole" }
local limited = paint(model, size, "guidance_limited", 96)

model = n.VideoLinearCFGGuidance{ model = checkpoint, min_cfg = 1.5, _id = 40, _title = "Rising over the batch" }
local two = n.EmptyLatentImage{ width = 128, height = 128, batch_size = 2, _id = 41, _title = "Two pictures" }
local rising = paint(model, two, "guidance_rising", 100)
local graph = n.graph(rescaled, projected, limited, rising)

if arg[1] == "json" then graph:save "guidance.json" else graph:run() end
