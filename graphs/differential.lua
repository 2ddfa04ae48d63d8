-- differential.lua: graphs/differential.json as a script: nodus run graphs/differential.lua
local n = require "nodus"

local checkpoint = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors", _title = "The demo model" }
local positive = n.CLIPTextEncode{ clip = checkpoint, text = "a red house, sunset", _title = "What to paint" }
local negative = n.CLIPTextEncode{ clip = checkpoint, text = "", _title = "What not to paint" }
local picture = n.LoadImage{ image = "scene.png", _id = 8, _title = "The picture" }
local latent = n.VAEEncode{ pixels = picture, vae = checkpoint, _id = 9, _title = "To a latent" }
local mask = n.SolidMask{ value = 1, width = 128, height = 128, _id = 10, _title = "A mask …" }
local feather_mask = n.FeatherMask{ mask = mask, left = 0, top = 0, right = 128, _id = 11, _title = "… that falls from left to right" }
local set_latent_noise_mask = n.SetLatentNoiseMask{
  samples = latent, mask = feather_mask, _id = 12, _title = "How much each place changes",
}
local weak_places_join_late = n.DifferentialDiffusion{ model = checkpoint, strength = 1, _id = 13, _title = "Weak places join late" }
local sample = n.KSampler{
  model = weak_places_join_late, positive = positive, negative = negative, latent_image = set_latent_noise_mask,
  seed = 7, steps = 20, cfg = 5, sampler_name = "dpmpp_2m", scheduler = "karras", _id = 90, _title = "Sample",
}
local image = n.VAEDecode{ samples = sample, vae = checkpoint, _id = 91, _title = "To pixels" }
local save = n.SaveImage{ images = image, filename_prefix = "differential", _id = 92, _title = "Write it" }
local graph = n.graph(save)

if arg[1] == "json" then graph:save "differential.json" else graph:run() end
