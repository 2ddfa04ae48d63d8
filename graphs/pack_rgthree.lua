-- pack_rgthree.lua: graphs/pack_rgthree.json as a script: nodus run graphs/pack_rgthree.lua
local n = require "nodus"

local checkpoint = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors", _title = "The demo model" }
local styles = n["Power Lora Loader (rgthree)"]{
  model = checkpoint, clip = checkpoint,
  PowerLoraLoaderHeaderWidget = n.json [[{"type": "PowerLoraLoaderHeaderWidget"}]],
  lora_1 = n.json [[{"on": true, "lora": "neon-lora.safetensors", "strength": 0.9}]],
  lora_2 = n.json [[{"on": false, "lora": "another.safetensors", "strength": 1, "strengthTwo": 0.5}]], ["➕ Add Lora"] = "",
  _title = "Styles",
}
local positive = n.CLIPTextEncode{ clip = styles, text = "a red star, night sky", _title = "What to paint" }
local negative = n.CLIPTextEncode{ clip = styles, text = "", _title = "What not to paint" }
local size = n.EmptyLatentImage{ width = 128, height = 128, _title = "Size" }
local seed = n["Seed (rgthree)"]{ seed = 2, _title = "Seed" }
local latent = n.KSampler{
  model = styles, seed = seed, positive = positive, negative = negative, latent_image = size,
  steps = 20, cfg = 5, sampler_name = "dpmpp_2m", scheduler = "karras", _id = 90, _title = "Remove the noise",
}
local image = n.VAEDecode{ samples = latent, vae = checkpoint, _id = 8, _title = "To pixels" }
local sharpened = n.ImageSharpen{
  image = image, sharpen_radius = 1, sigma = 1, alpha = 0.5, _id = 9, _title = "Mute me to save the picture as it is",
}
local sharpened_or_as_it_is = n["Any Switch (rgthree)"]{
  any_01 = sharpened, any_02 = image, _id = 10, _title = "Sharpened, or as it is",
}
local before_and_after = n["Image Comparer (rgthree)"]{
  image_a = image, image_b = sharpened_or_as_it_is, _id = 11, _title = "Before and after",
}
local show_the_seed = n["Display Any (rgthree)"]{ source = seed, _id = 12, _title = "Show the seed" }
local save = n.SaveImage{ images = sharpened_or_as_it_is, filename_prefix = "pack_rgthree", _id = 13, _title = "Write it" }
local graph = n.graph(before_and_after, show_the_seed, save)

if arg[1] == "json" then graph:save "pack_rgthree.json" else graph:run() end
