-- photomaker.lua: nodus run photomaker.lua; with the argument json it writes the workflow.
local n = require "nodus"

local sdxl_model = n.CheckpointLoaderSimple{ ckpt_name = "sd_xl_base.safetensors", _title = "An SDXL model" }
local photo_maker = n.PhotoMakerLoader{ photomaker_model_name = "photomaker.safetensors", _title = "What puts persons into prompts" }
local person = n.LoadImage{ image = "scene.png", _title = "The person" }
local photo_maker2 = n.PhotoMakerEncode{
  photomaker = photo_maker, image = person, clip = sdxl_model,
  text = "photo of a man photomaker in the snow", _title = "The word before photomaker stands for the person",
}
local what_not_to_paint = n.CLIPTextEncode{ clip = sdxl_model, text = "blurry", _title = "What not to paint" }
local size = n.EmptyLatentImage{ width = 64, height = 64, _title = "Size" }
local remove_the_noise = n.KSampler{
  model = sdxl_model, positive = photo_maker2, negative = what_not_to_paint, latent_image = size,
  seed = 1, steps = 20, cfg = 5, sampler_name = "euler", scheduler = "normal", _id = 90, _title = "Remove the noise",
}
local pixels = n.VAEDecode{ samples = remove_the_noise, vae = sdxl_model, _id = 91, _title = "To pixels" }
local write_it = n.SaveImage{ images = pixels, filename_prefix = "photomaker", _id = 92, _title = "Write it" }
local graph = n.graph(write_it)

if arg[1] == "json" then graph:save "photomaker.json" else graph:run() end
