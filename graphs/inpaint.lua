-- inpaint.lua: graphs/inpaint.json as a script: nodus run graphs/inpaint.lua
local n = require "nodus"

local checkpoint = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors", _title = "The demo model" }
local positive = n.CLIPTextEncode{ clip = checkpoint, text = "a red house, sunset", _title = "What to paint" }
local negative = n.CLIPTextEncode{ clip = checkpoint, text = "", _title = "What not to paint" }
local picture = n.LoadImage{ image = "scene.png", _id = 8, _title = "The picture" }
local what_is_drawn_anew = n.SolidMask{ value = 1, width = 64, height = 64, _id = 9, _title = "What is drawn anew" }
local what_stays = n.SolidMask{ value = 0, width = 128, height = 128, _id = 10, _title = "What stays" }
local mask = n.MaskComposite{
  destination = what_stays, source = what_is_drawn_anew, x = 32, y = 32, operation = "add", _id = 11, _title = "The mask",
}
local encoded = n.VAEEncodeForInpaint{
  pixels = picture, vae = checkpoint, mask = mask, _id = 12, _title = "Encode it, without what is masked",
}
local latent = n.KSampler{
  model = checkpoint, positive = positive, negative = negative, latent_image = encoded,
  seed = 7, steps = 20, cfg = 5, sampler_name = "dpmpp_2m", scheduler = "karras", _id = 90, _title = "Sample",
}
local image = n.VAEDecode{ samples = latent, vae = checkpoint, _id = 91, _title = "To pixels" }
local save = n.SaveImage{ images = image, filename_prefix = "inpaint", _id = 92, _title = "Write it" }
local composite = n.ImageCompositeMasked{
  destination = picture, source = image, mask = mask, _id = 93, _title = "Put back only what was drawn",
}
local save_again = n.SaveImage{ images = composite, filename_prefix = "inpaint_composite", _id = 94, _title = "Write it" }
local graph = n.graph(save, save_again)

if arg[1] == "json" then graph:save "inpaint.json" else graph:run() end
