-- merge_tokens.lua: graphs/merge_tokens.json as a script: nodus run graphs/merge_tokens.lua
local n = require "nodus"

local checkpoint = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors", _title = "The demo model" }
local positive = n.CLIPTextEncode{ clip = checkpoint, text = "a red house, hills", _title = "What to paint" }
local negative = n.CLIPTextEncode{ clip = checkpoint, text = "night sky", _title = "What not to paint" }
local size = n.EmptyLatentImage{ width = 128, height = 128, _title = "Size" }
local tome_patch_model = n.TomePatchModel{ model = checkpoint, _id = 10, _title = "Places that are alike ask once" }
local latent = n.KSampler{
  model = tome_patch_model, positive = positive, negative = negative, latent_image = size,
  seed = 7, steps = 20, cfg = 7, sampler_name = "dpmpp_2m", scheduler = "karras", _id = 90, _title = "Sample",
}
local image = n.VAEDecode{ samples = latent, vae = checkpoint, _id = 91, _title = "To pixels" }
local save = n.SaveImage{ images = image, filename_prefix = "merge_tokens", _id = 92, _title = "Write it" }
local graph = n.graph(save)

if arg[1] == "json" then graph:save "merge_tokens.json" else graph:run() end
