-- vae_file.lua: graphs/vae_file.json as a script: nodus run graphs/vae_file.lua
local n = require "nodus"

local vae_file_of_models_vae = n.VAELoader{ vae_name = "shapes-sd1.safetensors", _title = "A VAE file of models/vae" }
local picture = n.LoadImage{ image = "scene.png", _title = "A picture" }
local latent = n.VAEEncode{ pixels = picture, vae = vae_file_of_models_vae, _title = "To a latent" }
local back = n.VAEDecode{ samples = latent, vae = vae_file_of_models_vae, _title = "And back" }
local save = n.SaveImage{ images = back, filename_prefix = "vae_file", _title = "Write it" }
local graph = n.graph(save)

if arg[1] == "json" then graph:save "vae_file.json" else graph:run() end
