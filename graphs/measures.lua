-- measures.lua: nodus run measures.lua; with the argument json it writes the workflow.
local n = require "nodus"

local picture = n.LoadImage{ image = "scene.png", _title = "A picture" }
local mirror_image = n.ImageFlip{ image = picture, flip_method = "y-axis: horizontally", _title = "Its mirror image" }
local how_far_apart = n.MeasureMSE{ image = mirror_image, reference = picture, _title = "How far apart" }
local decibels = n.MeasurePSNR{ image = mirror_image, reference = picture, _title = "In decibels" }
local how_alike = n.MeasureSSIM{ image = mirror_image, reference = picture, _title = "How alike" }
local show_it = n.PreviewAny{ source = how_far_apart, _title = "Show it" }
local show_it2 = n.PreviewAny{ source = decibels, _title = "Show it" }
local show_it3 = n.PreviewAny{ source = how_alike, _title = "Show it" }
local graph = n.graph(show_it, show_it2, show_it3)

if arg[1] == "json" then graph:save "measures.json" else graph:run() end
