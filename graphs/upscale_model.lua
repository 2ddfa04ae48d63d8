-- upscale_model.lua: graphs/upscale_model.json as a script: nodus run graphs/upscale_model.lua
local n = require "nodus"

local upscale_model = n.UpscaleModelLoader{ model_name = "small-x4.safetensors", _title = "A file of models/upscale_models" }
local picture = n.LoadImage{ image = "scene.png", _title = "A picture" }
local four_times_as_large = n.ImageUpscaleWithModel{ upscale_model = upscale_model, image = picture, _title = "Four times as large" }
local save = n.SaveImage{ images = four_times_as_large, filename_prefix = "upscale_model", _title = "Write it" }
local graph = n.graph(save)

if arg[1] == "json" then graph:save "upscale_model.json" else graph:run() end
