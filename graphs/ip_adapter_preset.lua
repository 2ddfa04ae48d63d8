-- ip_adapter_preset.lua: nodus run ip_adapter_preset.lua; with the argument json it writes the workflow.
local n = require "nodus"

local demo_model = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors", _title = "The demo model" }
local ip_adapter_unified = n.IPAdapterUnifiedLoader{
  model = demo_model, preset = "STANDARD (medium strength)", _title = "The adapter that fits, with its vision tower",
}
local picture_to_draw_after = n.LoadImage{ image = "scene.png", _id = 4, _title = "The picture to draw after" }
local ip_adapter = n.IPAdapter{
  model = ip_adapter_unified, ipadapter = ip_adapter_unified, image = picture_to_draw_after,
  weight = 0.8, start_at = 0, end_at = 0.7, _id = 5, _title = "The picture as part of the prompt",
}
local what_to_paint = n.CLIPTextEncode{ clip = demo_model, text = "a red house, green meadows", _id = 6, _title = "What to paint" }
local what_not_to_paint = n.CLIPTextEncode{ clip = demo_model, text = "", _id = 7, _title = "What not to paint" }
local size = n.EmptyLatentImage{ width = 128, height = 128, _id = 9, _title = "Size" }
local remove_the_noise = n.KSampler{
  model = ip_adapter, positive = what_to_paint, negative = what_not_to_paint, latent_image = size,
  seed = 7, steps = 20, cfg = 5, sampler_name = "dpmpp_2m", scheduler = "karras", _id = 90, _title = "Remove the noise",
}
local pixels = n.VAEDecode{ samples = remove_the_noise, vae = demo_model, _id = 91, _title = "To pixels" }
local write_it = n.SaveImage{ images = pixels, filename_prefix = "ip_adapter_preset", _id = 92, _title = "Write it" }
local graph = n.graph(write_it)

if arg[1] == "json" then graph:save "ip_adapter_preset.json" else graph:run() end
