-- style_model.lua: graphs/style_model.json as a script: nodus run graphs/style_model.lua
local n = require "nodus"

local checkpoint = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors", _title = "Load the model" }
local positive = n.CLIPTextEncode{ clip = checkpoint, text = "a house", _title = "What to paint" }
local negative = n.CLIPTextEncode{ clip = checkpoint, text = "", _title = "What not to paint" }
local style_model = n.StyleModelLoader{ style_model_name = "style.safetensors", _title = "Load what makes words of a style" }
local clip_vision = n.CLIPVisionLoader{ clip_name = "clip_vision.safetensors", _title = "Load what looks at pictures" }
local picture = n.LoadImage{ image = "scene.png", _id = 8, _title = "A picture in that style" }
local look_at_it = n.CLIPVisionEncode{ clip_vision = clip_vision, image = picture, _id = 9, _title = "Look at it" }
local styled = n.StyleModelApply{
  conditioning = positive, style_model = style_model, clip_vision_output = look_at_it,
  strength = 0.7, _id = 10, _title = "Put its style behind the prompt",
}
local size = n.EmptyLatentImage{ width = 128, height = 128, _id = 11, _title = "Size of the picture" }
local latent = n.KSampler{
  model = checkpoint, positive = styled, negative = negative, latent_image = size,
  seed = 7, steps = 20, cfg = 5, sampler_name = "dpmpp_2m", scheduler = "karras", _id = 90, _title = "Sample",
}
local image = n.VAEDecode{ samples = latent, vae = checkpoint, _id = 91, _title = "To pixels" }
local save = n.SaveImage{ images = image, filename_prefix = "style_model", _id = 92, _title = "Write it" }
local graph = n.graph(save)

if arg[1] == "json" then graph:save "style_model.json" else graph:run() end
