-- control.lua: nodus run control.lua; with the argument json it writes the workflow.
local n = require "nodus"

local demo_model = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors", _title = "The demo model" }
local what_to_paint = n.CLIPTextEncode{ clip = demo_model, text = "a red star, night sky", _title = "What to paint" }
local what_not_to_paint = n.CLIPTextEncode{ clip = demo_model, text = "", _title = "What not to paint" }
local picture = n.LoadImage{ image = "scene.png", _title = "A picture" }
local edges = n.Canny{ image = picture, low_threshold = 0.3, high_threshold = 0.6, _title = "Its edges" }
local controlnet_for_edges = n.ControlNetLoader{ control_net_name = "control.safetensors", _title = "A ControlNet for edges" }
local let_the_edges_guide = n.ControlNetApplyAdvanced{
  positive = what_to_paint, negative = what_not_to_paint, control_net = controlnet_for_edges, image = edges,
  strength = 0.8, start_percent = 0, end_percent = 0.7, _title = "Let the edges guide",
}
local t2i_adapter = n.ControlNetLoader{ control_net_name = "t2i.safetensors", _id = 10, _title = "A T2I-Adapter" }
local control_net_apply = n.ControlNetApplyAdvanced{
  positive = let_the_edges_guide[1], negative = let_the_edges_guide[2], control_net = t2i_adapter, image = picture,
  strength = 0.3, _id = 11, _title = "Let the picture guide too",
}
local size = n.EmptyLatentImage{ width = 128, height = 128, _id = 9, _title = "Size" }
local remove_the_noise = n.KSampler{
  model = demo_model, positive = control_net_apply[1], negative = control_net_apply[2], latent_image = size,
  seed = 7, steps = 20, cfg = 5, sampler_name = "dpmpp_2m", scheduler = "karras", _id = 90, _title = "Remove the noise",
}
local pixels = n.VAEDecode{ samples = remove_the_noise, vae = demo_model, _id = 91, _title = "To pixels" }
local write_it = n.SaveImage{ images = pixels, filename_prefix = "control", _id = 92, _title = "Write it" }
local graph = n.graph(write_it)

if arg[1] == "json" then graph:save "control.json" else graph:run() end
