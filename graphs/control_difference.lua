-- control_difference.lua: nodus run control_difference.lua; with the argument json it writes the workflow.
local n = require "nodus"

local demo_model = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors", _title = "The demo model" }
local what_to_paint = n.CLIPTextEncode{ clip = demo_model, text = "a red star, night sky", _title = "What to paint" }
local what_not_to_paint = n.CLIPTextEncode{ clip = demo_model, text = "", _title = "What not to paint" }
local picture_that_guides = n.LoadImage{ image = "scene.png", _title = "The picture that guides" }
local diff_control_net = n.DiffControlNetLoader{
  model = demo_model, control_net_name = "difference.safetensors", _id = 6, _title = "Add its differences to the model",
}
local let_the_picture_guide = n.ControlNetApplyAdvanced{
  positive = what_to_paint, negative = what_not_to_paint, control_net = diff_control_net, image = picture_that_guides,
  strength = 0.8, _id = 7, _title = "Let the picture guide",
}
local size = n.EmptyLatentImage{ width = 128, height = 128, _id = 9, _title = "Size" }
local remove_the_noise = n.KSampler{
  model = demo_model, positive = let_the_picture_guide[1], negative = let_the_picture_guide[2], latent_image = size,
  seed = 7, steps = 20, cfg = 5, sampler_name = "dpmpp_2m", scheduler = "karras", _id = 90, _title = "Remove the noise",
}
local pixels = n.VAEDecode{ samples = remove_the_noise, vae = demo_model, _id = 91, _title = "To pixels" }
local write_it = n.SaveImage{ images = pixels, filename_prefix = "control_difference", _id = 92, _title = "Write it" }
local graph = n.graph(write_it)

if arg[1] == "json" then graph:save "control_difference.json" else graph:run() end
