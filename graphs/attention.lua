-- attention.lua: graphs/attention.json as a script: nodus run graphs/attention.lua
local n = require "nodus"

local checkpoint = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors", _title = "The demo model" }
local louder_words = n.CLIPAttentionMultiply{ clip = checkpoint, q = 1.2, _id = 9, _title = "How words look at each other" }
local positive = n.CLIPTextEncode{ clip = louder_words, text = "a red house, hills", _title = "What to paint" }
local negative = n.CLIPTextEncode{ clip = checkpoint, text = "night sky", _title = "What not to paint" }
local size = n.EmptyLatentImage{ width = 128, height = 128, _title = "Size" }
local self_attention = n.UNetSelfAttentionMultiply{
  model = checkpoint, q = 1.1, k = 1, v = 1, out = 0.9, _id = 10, _title = "How places look at each other",
}
local cross_attention = n.UNetCrossAttentionMultiply{
  model = self_attention, q = 1.2, k = 1, v = 1, out = 1.1, _id = 11, _title = "How places look at the text",
}
local look_within_tiles = n.HyperTile{ model = cross_attention, tile_size = 64, _id = 12, _title = "Look within tiles" }
local latent = n.KSampler{
  model = look_within_tiles, positive = positive, negative = negative, latent_image = size,
  seed = 7, steps = 20, cfg = 7, sampler_name = "dpmpp_2m", scheduler = "karras", _id = 90, _title = "Sample",
}
local image = n.VAEDecode{ samples = latent, vae = checkpoint, _id = 91, _title = "To pixels" }
local save = n.SaveImage{ images = image, filename_prefix = "attention", _id = 92, _title = "Write it" }
local graph = n.graph(save)

if arg[1] == "json" then graph:save "attention.json" else graph:run() end
