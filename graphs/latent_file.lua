-- latent_file.lua: graphs/latent_file.json as a script: nodus run graphs/latent_file.lua
local n = require "nodus"

local saved_latent = n.LoadLatent{ latent = "star.latent", _title = "A saved latent" }
local checkpoint = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors", _title = "The demo model" }
local image = n.VAEDecode{ samples = saved_latent, vae = checkpoint, _title = "To pixels" }
local save = n.SaveImage{ images = image, filename_prefix = "latent_file", _title = "Write it" }
local graph = n.graph(save)

if arg[1] == "json" then graph:save "latent_file.json" else graph:run() end
