-- outpaint.lua: graphs/outpaint.json as a script: nodus run graphs/outpaint.lua
local n = require "nodus"

local checkpoint = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors", _title = "The demo model" }
local positive = n.CLIPTextEncode{ clip = checkpoint, text = "a white boat on the left, sunset", _title = "What to paint" }
local negative = n.CLIPTextEncode{ clip = checkpoint, text = "", _title = "What not to paint" }
local picture = n.LoadImage{ image = "scene.png", _id = 8, _title = "The picture" }
local scaled = n.ImageScale{
  image = picture,
  upscale_method = "lanczos", width = 96, height = 96, _id = 10, _title = "Smaller, so that the whole has the size that the model knows",
}
local padded = n.ImagePadForOutpaint{
  image = scaled, left = 0, top = 32, right = 32, bottom = 0, feathering = 16, _id = 9, _title = "Room above and on the right",
}
local encoded = n.VAEEncodeForInpaint{
  pixels = padded, vae = checkpoint, mask = padded,
  _id = 12, _title = "Encode it; the new part is to be drawn",
}
local latent = n.KSampler{
  model = checkpoint, positive = positive, negative = negative, latent_image = encoded,
  seed = 9, steps = 20, cfg = 5, sampler_name = "dpmpp_2m", scheduler = "karras", _id = 90, _title = "Sample",
}
local image = n.VAEDecode{ samples = latent, vae = checkpoint, _id = 91, _title = "To pixels" }
local save = n.SaveImage{ images = image, filename_prefix = "outpaint", _id = 92, _title = "Write it" }
local graph = n.graph(save)

if arg[1] == "json" then graph:save "outpaint.json" else graph:run() end
