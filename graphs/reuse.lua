-- reuse.lua: graphs/reuse.json as a script: nodus run graphs/reuse.lua
local n = require "nodus"

local checkpoint = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors", _title = "The demo model" }
local positive = n.CLIPTextEncode{ clip = checkpoint, text = "a red star", _title = "What to draw" }
local negative = n.CLIPTextEncode{ clip = checkpoint, text = "", _title = "Nothing to avoid" }
local size = n.EmptyLatentImage{ width = 128, height = 128, _title = "The size" }
local fewer_calls = n.EasyCache{ model = checkpoint, _title = "Leave out calls of the network" }
local fewer_steps = n.LazyCache{ model = checkpoint, _title = "Leave out whole steps" }

-- The same work with either; the ids are those of graphs/reuse.json.
local function sample(model, id)
  return n.KSampler{
    model = model, positive = positive, negative = negative, latent_image = size,
    seed = 5, steps = 20, cfg = 4, sampler_name = "euler", scheduler = "normal", _id = id, _title = "Sample",
  }
end
local by_calls, by_steps = sample(fewer_calls, 90), sample(fewer_steps, 91)
local image_by_calls = n.VAEDecode{ samples = by_calls, vae = checkpoint, _id = 92, _title = "To pixels" }
local image_by_steps = n.VAEDecode{ samples = by_steps, vae = checkpoint, _id = 93, _title = "To pixels" }
local graph = n.graph(
  n.SaveImage{ images = image_by_calls, filename_prefix = "reuse_network", _id = 94, _title = "Save" },
  n.SaveImage{ images = image_by_steps, filename_prefix = "reuse_guided", _id = 95, _title = "Save" })

if arg[1] == "json" then graph:save "reuse.json" else graph:run() end
