-- gligen.lua: nodus run gligen.lua; with the argument json it writes the workflow.
local n = require "nodus"

local demo_model = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors", _title = "The demo model" }
local whole_picture = n.CLIPTextEncode{ clip = demo_model, text = "green meadows, a blue sky", _title = "The whole picture" }
local what_not_to_paint = n.CLIPTextEncode{ clip = demo_model, text = "", _title = "What not to paint" }
local gligen = n.GLIGENLoader{ gligen_name = "gligen.safetensors", _title = "What places things in boxes" }
local box_on_the_left = n.GLIGENTextBoxApply{
  conditioning_to = whole_picture, clip = demo_model, gligen_textbox_model = gligen,
  text = "a red house", width = 48, height = 48, x = 8, y = 64, _title = "A box on the left",
}
local box_at_the_top = n.GLIGENTextBoxApply{
  conditioning_to = box_on_the_left, clip = demo_model, gligen_textbox_model = gligen,
  text = "a yellow star", width = 32, height = 32, x = 80, y = 8, _title = "A box at the top",
}
local size = n.EmptyLatentImage{ width = 128, height = 128, _id = 9, _title = "Size" }
local remove_the_noise = n.KSampler{
  model = demo_model, positive = box_at_the_top, negative = what_not_to_paint, latent_image = size,
  seed = 7, steps = 20, cfg = 5, sampler_name = "dpmpp_2m", scheduler = "karras", _id = 90, _title = "Remove the noise",
}
local pixels = n.VAEDecode{ samples = remove_the_noise, vae = demo_model, _id = 91, _title = "To pixels" }
local write_it = n.SaveImage{ images = pixels, filename_prefix = "gligen", _id = 92, _title = "Write it" }
local graph = n.graph(write_it)

if arg[1] == "json" then graph:save "gligen.json" else graph:run() end
