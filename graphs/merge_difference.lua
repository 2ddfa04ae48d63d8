-- merge_difference.lua: graphs/merge_difference.json as a script: nodus run graphs/merge_difference.lua
local n = require "nodus"

local checkpoint = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors", _title = "The demo model" }
local styled = n.LoraLoader{
  model = checkpoint, clip = checkpoint, lora_name = "neon-lora.safetensors", _id = 8, _title = "A second model: the first with a style",
}
local change = n.ModelMergeSubtract{
  model1 = styled, model2 = checkpoint, multiplier = 0.7, _id = 9, _title = "What the style changes",
}
local merged = n.ModelMergeAdd{
  model1 = checkpoint, model2 = change, _id = 10, _title = "Put on the first again",
}
local clip_change = n.CLIPMergeSubtract{
  clip1 = styled, clip2 = checkpoint, multiplier = 0.7, _id = 11, _title = "The same of the text encoder",
}
local merged_clip = n.CLIPMergeAdd{
  clip1 = checkpoint, clip2 = clip_change, _id = 12, _title = "Put on the first again",
}
local positive = n.CLIPTextEncode{ clip = merged_clip, text = "a red star, night sky", _title = "What to paint" }
local negative = n.CLIPTextEncode{ clip = merged_clip, text = "", _title = "What not to paint" }
local size = n.EmptyLatentImage{ width = 128, height = 128, _title = "Size" }
local latent = n.KSampler{
  model = merged, positive = positive, negative = negative, latent_image = size,
  seed = 2, steps = 20, cfg = 5, sampler_name = "dpmpp_2m", scheduler = "karras", _title = "Remove the noise",
}
local image = n.VAEDecode{ samples = latent, vae = checkpoint, _title = "To pixels" }
local save = n.SaveImage{ images = image, filename_prefix = "merge_difference", _title = "Write it" }
local graph = n.graph(save)

if arg[1] == "json" then graph:save "merge_difference.json" else graph:run() end
