-- ip_adapter.lua: nodus run ip_adapter.lua; with the argument json it writes the workflow.
local n = require "nodus"

local demo_model = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors", _title = "The demo model" }
local ip_adapter_model = n.IPAdapterModelLoader{
  ipadapter_file = "ip-adapter-plus_sd15.safetensors", _title = "What makes prompts of pictures",
}
local what_looks_at_pictures = n.CLIPVisionLoader{ clip_name = "clip_vision.safetensors", _title = "What looks at pictures" }
local picture_to_draw_after = n.LoadImage{ image = "scene.png", _title = "The picture to draw after" }
local ip_adapter = n.IPAdapterAdvanced{
  model = demo_model, ipadapter = ip_adapter_model, image = picture_to_draw_after, clip_vision = what_looks_at_pictures,
  weight = 0.8, _title = "The picture as part of the prompt",
}
local what_to_paint = n.CLIPTextEncode{ clip = demo_model, text = "a red house, green meadows", _title = "What to paint" }
local what_not_to_paint = n.CLIPTextEncode{ clip = demo_model, text = "", _title = "What not to paint" }
local size = n.EmptyLatentImage{ width = 128, height = 128, _id = 9, _title = "Size" }
local remove_the_noise = n.KSampler{
  model = ip_adapter, positive = what_to_paint, negative = what_not_to_paint, latent_image = size,
  seed = 7, steps = 20, cfg = 5, sampler_name = "dpmpp_2m", scheduler = "karras", _id = 90, _title = "Remove the noise",
}
local pixels = n.VAEDecode{ samples = remove_the_noise, vae = demo_model, _id = 91, _title = "To pixels" }
local write_it = n.SaveImage{ images = pixels, filename_prefix = "ip_adapter", _id = 92, _title = "Write it" }
local graph = n.graph(write_it)

if arg[1] == "json" then graph:save "ip_adapter.json" else graph:run() end
