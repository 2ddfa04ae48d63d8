-- edit.lua: graphs/edit.json as a script: nodus run graphs/edit.lua
local n = require "nodus"

local checkpoint = n.CheckpointLoaderSimple{
  ckpt_name = "shapes-sd1.safetensors", _title = "A model that edits by instruction; others take no notice of what they are shown",
}
local positive = n.CLIPTextEncode{ clip = checkpoint, text = "make it night", _title = "What to change" }
local negative = n.CLIPTextEncode{ clip = checkpoint, text = "", _title = "What not to paint" }
local picture = n.LoadImage{ image = "scene.png", _id = 8, _title = "The picture" }
local instruct = n.InstructPixToPixConditioning{
  positive = positive, negative = negative, vae = checkpoint, pixels = picture,
  _id = 12, _title = "Show the model the picture",
}
local latent = n.KSampler{
  model = checkpoint, positive = instruct[1], negative = instruct[2], latent_image = instruct,
  seed = 7, steps = 20, cfg = 5, sampler_name = "dpmpp_2m", scheduler = "karras", _id = 90, _title = "Sample",
}
local image = n.VAEDecode{ samples = latent, vae = checkpoint, _id = 91, _title = "To pixels" }
local save = n.SaveImage{ images = image, filename_prefix = "edit", _id = 92, _title = "Write it" }
local graph = n.graph(save)

if arg[1] == "json" then graph:save "edit.json" else graph:run() end
