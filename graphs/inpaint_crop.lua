-- inpaint_crop.lua: graphs/inpaint_crop.json as a script: nodus run graphs/inpaint_crop.lua
local n = require "nodus"

local checkpoint = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors", _title = "The demo model" }
local positive = n.CLIPTextEncode{ clip = checkpoint, text = "a red star", _title = "What to paint" }
local negative = n.CLIPTextEncode{ clip = checkpoint, text = "", _title = "What not to paint" }
local picture = n.LoadImage{ image = "scene.png", _id = 8, _title = "A picture" }
local large = n.ImageScale{
  image = picture, upscale_method = "bicubic", width = 384, height = 384, _id = 9, _title = "Larger than the model draws",
}
local what_is_drawn_anew = n.SolidMask{ value = 1, width = 72, height = 72, _id = 10, _title = "What is drawn anew" }
local what_stays = n.SolidMask{ value = 0, width = 384, height = 384, _id = 11, _title = "What stays" }
local mask = n.MaskComposite{
  destination = what_stays, source = what_is_drawn_anew, x = 270, y = 24, operation = "add", _id = 12, _title = "The mask",
}
local cut = n.InpaintCrop{
  image = large, mask = mask,
  context_factor = 1.6, context_pixels = 0, blend_pixels = 10, width = 128, height = 128, multiple = 8, resize_method = "bicubic",
  _id = 13, _title = "Cut it out with its surroundings, as large as the model likes it",
}
local encoded = n.VAEEncode{ pixels = cut, vae = checkpoint, _id = 14, _title = "To latents" }
local masked = n.SetLatentNoiseMask{ samples = encoded, mask = cut, _id = 15, _title = "Only there" }
local latent = n.KSampler{
  model = checkpoint, positive = positive, negative = negative, latent_image = masked,
  seed = 7, steps = 20, cfg = 5, sampler_name = "dpmpp_2m", scheduler = "karras", _id = 90, _title = "Sample",
}
local image = n.VAEDecode{ samples = latent, vae = checkpoint, _id = 91, _title = "To pixels" }
local stitched = n.InpaintStitch{ stitch = cut, image = image, _id = 92, _title = "Put it back with a soft seam" }
local save = n.SaveImage{ images = stitched, filename_prefix = "inpaint_crop", _id = 93, _title = "Write it" }
local graph = n.graph(save)

if arg[1] == "json" then graph:save "inpaint_crop.json" else graph:run() end
