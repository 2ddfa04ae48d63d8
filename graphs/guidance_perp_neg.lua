-- guidance_perp_neg.lua: graphs/guidance_perp_neg.json as a script: nodus run graphs/guidance_perp_neg.lua
local n = require "nodus"

local checkpoint = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors", _title = "The demo model" }
local positive = n.CLIPTextEncode{ clip = checkpoint, text = "a red house, hills", _title = "What to paint" }
local negative = n.CLIPTextEncode{ clip = checkpoint, text = "night sky", _title = "What not to paint" }
local size = n.EmptyLatentImage{ width = 128, height = 128, _title = "Size" }
local empty_text = n.CLIPTextEncode{ clip = checkpoint, text = "", _title = "An empty text" }
local perp_neg = n.PerpNeg{
  model = checkpoint, empty_conditioning = empty_text, _id = 10, _title = "Only what the negative does not share",
}
local latent = n.KSampler{
  model = perp_neg, positive = positive, negative = negative, latent_image = size,
  seed = 7, steps = 20, cfg = 7, sampler_name = "dpmpp_2m", scheduler = "karras", _id = 90, _title = "Sample",
}
local image = n.VAEDecode{ samples = latent, vae = checkpoint, _id = 91, _title = "To pixels" }
local save = n.SaveImage{ images = image, filename_prefix = "perp_neg", _id = 92, _title = "Write it" }
local graph = n.graph(save)

if arg[1] == "json" then graph:save "guidance_perp_neg.json" else graph:run() end
