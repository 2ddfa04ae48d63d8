-- animation.lua: graphs/animation.json as a script: nodus run graphs/animation.lua
local n = require "nodus"

local picture = n.LoadImage{ image = "scene.png", _title = "A picture" }
local small = n.ImageScale{ image = picture, upscale_method = "area", width = 64, height = 64, crop = "center", _title = "Small" }
local mirrored = n.ImageFlip{ image = small, flip_method = "y-axis: horizontally", _title = "Mirrored" }
local one_after_another = n.ImageBatch{ image1 = small, image2 = mirrored, _title = "One after another" }
local as_webp = n.SaveAnimatedWEBP{ images = one_after_another, filename_prefix = "animation", fps = 4, _title = "As WebP" }
local as_png = n.SaveAnimatedPNG{ images = one_after_another, filename_prefix = "animation", fps = 4, _title = "As PNG" }
local graph = n.graph(as_webp, as_png)

if arg[1] == "json" then graph:save "animation.json" else graph:run() end
