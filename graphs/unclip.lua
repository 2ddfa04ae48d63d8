-- unclip.lua: graphs/unclip.json as a script: nodus run graphs/unclip.lua
local n = require "nodus"

local checkpoint = n.unCLIPCheckpointLoader{
  ckpt_name = "sd21-unclip.safetensors", _title = "Load a model that draws after pictures",
}
local positive = n.CLIPTextEncode{ clip = checkpoint, text = "a house in the evening", _title = "What to paint" }
local negative = n.CLIPTextEncode{ clip = checkpoint, text = "", _title = "What not to paint" }
local picture = n.LoadImage{ image = "scene.png", _id = 8, _title = "The picture" }
local look_at_it = n.CLIPVisionEncode{ clip_vision = checkpoint, image = picture, _id = 9, _title = "Look at it" }
local draw_after_it_freely = n.unCLIPConditioning{
  conditioning = positive, clip_vision_output = look_at_it,
  strength = 1, noise_augmentation = 0.1, _id = 10, _title = "Draw after it, freely",
}
local size = n.EmptyLatentImage{ width = 128, height = 128, _id = 11, _title = "Size of the picture" }
local latent = n.KSampler{
  model = checkpoint, positive = draw_after_it_freely, negative = negative, latent_image = size,
  seed = 7, steps = 20, cfg = 5, sampler_name = "dpmpp_2m", scheduler = "karras", _id = 90, _title = "Sample",
}
local image = n.VAEDecode{ samples = latent, vae = checkpoint, _id = 91, _title = "To pixels" }
local save = n.SaveImage{ images = image, filename_prefix = "unclip", _id = 92, _title = "Write it" }
local graph = n.graph(save)

if arg[1] == "json" then graph:save "unclip.json" else graph:run() end
