-- clip_vision.lua: graphs/clip_vision.json as a script: nodus run graphs/clip_vision.lua
local n = require "nodus"

local clip_vision = n.CLIPVisionLoader{ clip_name = "clip_vision.safetensors", _title = "Load what looks at pictures" }
local picture = n.LoadImage{ image = "scene.png", _title = "The picture" }
local look_at_all_of_it = n.CLIPVisionEncode{ clip_vision = clip_vision, image = picture, crop = "none", _title = "Look at all of it" }
local what_came_out = n.PreviewAny{ source = look_at_all_of_it, _title = "What came out" }
local graph = n.graph(what_came_out)

if arg[1] == "json" then graph:save "clip_vision.json" else graph:run() end
