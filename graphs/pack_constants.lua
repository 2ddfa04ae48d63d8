-- pack_constants.lua: graphs/pack_constants.json as a script: nodus run graphs/pack_constants.lua
local n = require "nodus"

local picture = n.LoadImage{ image = "scene.png", _title = "A picture" }
local how_large = n["GetImageSize+"]{ image = picture, _title = "How large" }
local height = n.INTConstant{ value = 64, _title = "Height" }
local strip = n.ImageScale{
  image = picture, width = how_large.width, height = height, upscale_method = "bilinear", crop = "center", _title = "A strip",
}
local factor = n["easy float"]{ value = 0.5, _title = "Factor" }
local by_a_factor = n.ImageScaleBy{ image = strip, scale_by = factor, upscale_method = "area", _title = "By a factor" }
local another_factor = n.FloatConstant{ value = 1.5, _title = "Another factor" }
local larger = n.ImageScaleBy{ image = by_a_factor, scale_by = another_factor, upscale_method = "lanczos", _title = "And larger" }
local show_it = n.PreviewImage{ images = larger, _title = "Show it" }
local text = n.StringConstant{ string = "a blue house", _title = "A text" }
local lines_that_become_one = n.StringConstantMultiline{ string = ", green\n meadows", _title = "Lines that become one" }
local one_after_the_other = n.StringConcatenate{
  string_a = text, string_b = lines_that_become_one, delimiter = "", _title = "One after the other",
}
local between = n["CR Text"]{ text = "; and: ", _title = "Between" }
local another_text = n["easy string"]{ value = "a red star", _title = "Another text" }
local all = n.StringConcatenate{ string_a = one_after_the_other, string_b = another_text, delimiter = between[1], _title = "All" }
local show_it2 = n["ShowText|pysssss"]{ text = all, _title = "Show it" }
local number = n["easy int"]{ value = 3, _title = "A number" }
local switch = n["easy boolean"]{ value = true, _title = "A switch" }
local number2 = n.ImpactInt{ value = 4, _title = "A number" }
local number3 = n.ImpactFloat{ value = 0.25, _title = "A number" }
local switch2 = n.ImpactBoolean{ _title = "A switch" }
local show_a_number = n.PreviewAny{ source = number, _title = "Show a number" }
local show_a_switch = n.PreviewAny{ source = switch, _title = "Show a switch" }
local show_a_number2 = n.PreviewAny{ source = number2, _title = "Show a number" }
local show_a_number3 = n.PreviewAny{ source = number3, _title = "Show a number" }
local show_a_switch2 = n.PreviewAny{ source = switch2, _title = "Show a switch" }
local graph = n.graph(show_it, show_it2, show_a_number, show_a_switch, show_a_number2, show_a_number3, show_a_switch2)

if arg[1] == "json" then graph:save "pack_constants.json" else graph:run() end
