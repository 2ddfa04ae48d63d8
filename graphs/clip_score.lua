-- clip_score.lua: nodus run clip_score.lua; with the argument json it writes the workflow.
local n = require "nodus"

local load_what_reads_texts = n.CLIPLoader{ clip_name = "clip_whole.safetensors", _title = "Load what reads texts" }
local clip_vision = n.CLIPVisionLoader{ clip_name = "clip_vision.safetensors", _title = "Load what looks at pictures" }
local picture = n.LoadImage{ image = "scene.png", _title = "The picture" }
local look_at_it = n.CLIPVisionEncode{ clip_vision = clip_vision, image = picture, _title = "Look at it" }
local does_it_fit = n.MeasureCLIPScore{
  clip = load_what_reads_texts, clip_vision_output = look_at_it, text = "a white boat, sunset sky", _title = "Does it fit?",
}
local show_it = n.PreviewAny{ source = does_it_fit, _title = "Show it" }
local graph = n.graph(show_it)

if arg[1] == "json" then graph:save "clip_score.json" else graph:run() end
