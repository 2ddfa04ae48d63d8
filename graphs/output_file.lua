-- output_file.lua: graphs/output_file.json as a script: nodus run graphs/output_file.lua
local n = require "nodus"

local picture = n.LoadImageOutput{ image = "scene.png [output]", _title = "A picture that a run saved" }
local smaller = n.ImageScaleBy{ image = picture, upscale_method = "lanczos", scale_by = 0.5, _title = "Smaller" }
local save = n.SaveImage{ images = smaller, filename_prefix = "smaller", _title = "Write it" }
local graph = n.graph(save)

if arg[1] == "json" then graph:save "output_file.json" else graph:run() end
