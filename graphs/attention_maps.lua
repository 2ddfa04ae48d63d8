-- attention_maps.lua: nodus run attention_maps.lua; with the argument json it writes the workflow.
local n = require "nodus"

local demo_model = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors", _title = "The demo model" }
local what_to_paint = n.CLIPTextEncode{ clip = demo_model, text = "a red house, green meadow", _title = "What to paint" }
local what_not_to_paint = n.CLIPTextEncode{ clip = demo_model, text = "", _title = "What not to paint" }
local guided_by_both = n.CFGGuider{
  model = demo_model, positive = what_to_paint, negative = what_not_to_paint, cfg = 5, _title = "Guided by both",
}
local noise = n.RandomNoise{ noise_seed = 7, _title = "Noise" }
local sampler = n.KSamplerSelect{ sampler_name = "dpmpp_2m", _title = "Sampler" }
local noise_levels = n.BasicScheduler{ model = demo_model, scheduler = "karras", _title = "Noise levels" }
local size = n.EmptyLatentImage{ width = 128, height = 128, _title = "Size" }
local sample_with_attention = n.SampleWithAttention{
  noise = noise, guider = guided_by_both, sampler = sampler, sigmas = noise_levels, latent_image = size,
  max_side = 32, every = 1, transformer = -1, tokens = 0, _title = "Remove the noise, keep the maps",
}
local where_the_house_is = n.AttentionMapsToMask{
  attention_maps = sample_with_attention,
  prompt = "a red house, green meadow", word = "house", token = 1, layer = "", first_step = 0, last_step = -1, width = 128, height = 128,
  normalize = true, _title = "Where the house is",
}
local as_a_picture = n.MaskToImage{ mask = where_the_house_is, _title = "As a picture" }
local write_it = n.SaveImage{ images = as_a_picture, filename_prefix = "attention_house", _title = "Write it" }
local write_all_numbers = n.SaveAttentionMaps{
  attention_maps = sample_with_attention, filename_prefix = "attention/maps", _title = "Write all numbers",
}
local pixels = n.VAEDecode{ samples = sample_with_attention, vae = demo_model, _id = 91, _title = "To pixels" }
local write_the_picture = n.SaveImage{ images = pixels, filename_prefix = "attention_picture", _id = 92, _title = "Write the picture" }
local graph = n.graph(write_it, write_all_numbers, write_the_picture)

if arg[1] == "json" then graph:save "attention_maps.json" else graph:run() end
