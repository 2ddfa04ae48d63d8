-- img2img.lua: graphs/img2img.json as a script: nodus run graphs/img2img.lua
local n = require "nodus"

local checkpoint = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors", _title = "The demo model" }
local positive = n.CLIPTextEncode{ clip = checkpoint, text = "a white boat, night sky", _title = "What to paint" }
local negative = n.CLIPTextEncode{ clip = checkpoint, text = "", _title = "What not to paint" }
local picture = n.LoadImage{ image = "scene.png", _id = 8, _title = "The picture to start from" }
local latent = n.VAEEncode{ pixels = picture, vae = checkpoint, _title = "To a latent" }
local redrawn = n.KSampler{
  model = checkpoint, positive = positive, negative = negative, latent_image = latent,
  seed = 7, steps = 20, cfg = 5, sampler_name = "dpmpp_2m", scheduler = "karras", denoise = 0.6, _title = "Redraw 60 %",
}
local image = n.VAEDecode{ samples = redrawn, vae = checkpoint, _title = "To pixels" }
local save = n.SaveImage{ images = image, filename_prefix = "img2img", _title = "Write it" }
local start = n.PreviewImage{ images = picture, _title = "The start" }
local transparent = n.MaskPreview{ mask = picture, _title = "What was transparent" }
local graph = n.graph(save, start, transparent)

if arg[1] == "json" then graph:save "img2img.json" else graph:run() end
