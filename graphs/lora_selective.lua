-- lora_selective.lua: nodus run lora_selective.lua; with the argument json it writes the workflow.
local n = require "nodus"

local demo_model = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors", _title = "The demo model" }
local lora_loader_selective = n.LoraLoaderSelective{
  model = demo_model, clip = demo_model,
  lora_name = "neon-lora.safetensors", strength_model = 0.9, strength_clip = 0.9,
  select = [[
all = 0
cross v o = 1   # what the words bring
out self = 0.5
text = 1]],
  start_percent = 0, end_percent = 0.8, _id = 8, _title = "A style: neon, in some layers",
}
local what_to_paint = n.CLIPTextEncode{ clip = lora_loader_selective, text = "a red star, night sky", _title = "What to paint" }
local what_not_to_paint = n.CLIPTextEncode{ clip = lora_loader_selective, text = "", _title = "What not to paint" }
local size = n.EmptyLatentImage{ width = 128, height = 128, _title = "Size" }
local remove_the_noise = n.KSampler{
  model = lora_loader_selective, positive = what_to_paint, negative = what_not_to_paint, latent_image = size,
  seed = 2, steps = 20, cfg = 5, sampler_name = "dpmpp_2m", scheduler = "karras", _title = "Remove the noise",
}
local pixels = n.VAEDecode{ samples = remove_the_noise, vae = demo_model, _title = "To pixels" }
local write_it = n.SaveImage{ images = pixels, filename_prefix = "lora_selective", _title = "Write it" }
local graph = n.graph(write_it)

if arg[1] == "json" then graph:save "lora_selective.json" else graph:run() end
