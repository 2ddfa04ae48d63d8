-- for_loop.lua: graphs/for_loop.json as a script: nodus run graphs/for_loop.lua
local n = require "nodus"

local picture = n.LoadImage{ image = "scene.png", _title = "A picture" }
local three_times = n.ForLoopStart{ initial_value1 = picture.IMAGE, initial_value2 = picture.IMAGE, total = 3, _title = "Three times" }
local softer_in_each_turn = n.ImageBlur{ image = three_times.value1, blur_radius = 2, _title = "Softer in each turn" }
local collect = n.ImageBatch{ image1 = three_times.value2, image2 = softer_in_each_turn, _title = "Collect" }
local end_of_the_loop = n.ForLoopEnd{ flow = three_times.flow, value1 = softer_in_each_turn, value2 = collect, _title = "End of the loop" }
local all_four = n.PreviewImage{ images = end_of_the_loop[2], _title = "All four" }
local graph = n.graph(all_four)

if arg[1] == "json" then graph:save "for_loop.json" else graph:run() end
