-- control_union.lua: nodus run control_union.lua; with the argument json it writes the workflow.
local n = require "nodus"

local demo_model = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors", _title = "The demo model" }
local what_to_paint = n.CLIPTextEncode{ clip = demo_model, text = "a red star, night sky", _title = "What to paint" }
local what_not_to_paint = n.CLIPTextEncode{ clip = demo_model, text = "", _title = "What not to paint" }
local picture = n.LoadImage{ image = "scene.png", _title = "A picture" }
local edges = n.Canny{ image = picture, low_threshold = 0.3, high_threshold = 0.6, _title = "Its edges" }
local control_net = n.ControlNetLoader{ control_net_name = "union.safetensors", _title = "A ControlNet for several kinds of pictures" }
local it_gets_edges = n.SetUnionControlNetType{
  control_net = control_net, type = "canny/lineart/anime_lineart/mlsd", _id = 8, _title = "It gets edges",
}
local let_the_edges_guide = n.ControlNetApplyAdvanced{
  positive = what_to_paint, negative = what_not_to_paint, control_net = it_gets_edges, image = edges,
  strength = 0.8, start_percent = 0, end_percent = 0.7, _title = "Let the edges guide",
}
local size = n.EmptyLatentImage{ width = 128, height = 128, _title = "Size" }
local remove_the_noise = n.KSampler{
  model = demo_model, positive = let_the_edges_guide[1], negative = let_the_edges_guide[2], latent_image = size,
  seed = 7, steps = 20, cfg = 5, sampler_name = "dpmpp_2m", scheduler = "karras", _id = 90, _title = "Remove the noise",
}
local pixels = n.VAEDecode{ samples = remove_the_noise, vae = demo_model, _id = 91, _title = "To pixels" }
local write_it = n.SaveImage{ images = pixels, filename_prefix = "control_union", _id = 92, _title = "Write it" }
local graph = n.graph(write_it)

if arg[1] == "json" then graph:save "control_union.json" else graph:run() end
