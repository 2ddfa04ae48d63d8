-- hypernetwork.lua: nodus run hypernetwork.lua; with the argument json it writes the workflow.
local n = require "nodus"

local demo_model = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors", _title = "The demo model" }
local whole_picture = n.CLIPTextEncode{ clip = demo_model, text = "green meadows, a blue sky", _title = "The whole picture" }
local what_not_to_paint = n.CLIPTextEncode{ clip = demo_model, text = "", _title = "What not to paint" }
local style = n.HypernetworkLoader{ model = demo_model, hypernetwork_name = "hypernetwork.safetensors", strength = 0.5, _title = "A style" }
local size = n.EmptyLatentImage{ width = 128, height = 128, _id = 9, _title = "Size" }
local remove_the_noise = n.KSampler{
  model = style, positive = whole_picture, negative = what_not_to_paint, latent_image = size,
  seed = 7, steps = 20, cfg = 5, sampler_name = "dpmpp_2m", scheduler = "karras", _id = 90, _title = "Remove the noise",
}
local pixels = n.VAEDecode{ samples = remove_the_noise, vae = demo_model, _id = 91, _title = "To pixels" }
local write_it = n.SaveImage{ images = pixels, filename_prefix = "hypernetwork", _id = 92, _title = "Write it" }
local graph = n.graph(write_it)

if arg[1] == "json" then graph:save "hypernetwork.json" else graph:run() end
