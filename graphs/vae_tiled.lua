-- vae_tiled.lua: graphs/vae_tiled.json as a script: nodus run graphs/vae_tiled.lua
local n = require "nodus"

local checkpoint = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors", _title = "The demo model" }
local picture = n.LoadImage{ image = "scene.png", _title = "A picture" }
local latent_tile_by_tile = n.VAEEncodeTiled{
  pixels = picture, vae = checkpoint, tile_size = 64, overlap = 0, _title = "To a latent, tile by tile",
}
local back = n.VAEDecodeTiled{ samples = latent_tile_by_tile, vae = checkpoint, tile_size = 64, overlap = 16, _title = "And back" }
local save = n.SaveImage{ images = back, filename_prefix = "vae_tiled", _title = "Write it" }
local graph = n.graph(save)

if arg[1] == "json" then graph:save "vae_tiled.json" else graph:run() end
