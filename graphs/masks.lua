-- masks.lua: graphs/masks.json as a script: nodus run graphs/masks.lua (it reads input/scene.png)
local n = require "nodus"

local picture = n.LoadImage{ image = "scene.png", _title = "A picture" }
local red = n.LoadImageMask{ image = "scene.png", channel = "red", _title = "Its red as a mask" }
local blue = n.ImageToMask{ image = picture.IMAGE, channel = "blue", _title = "Its blue as a mask" }
local only_red = n.MaskComposite{ destination = red, source = blue, x = 0, y = 0, operation = "subtract", _title = "Red but not blue" }
local hard = n.ThresholdMask{ mask = only_red, value = 0.3, _title = "Hard edges" }
local grown = n.GrowMask{ mask = hard, expand = 3, tapered_corners = true, _title = "A little larger" }
local solid = n.SolidMask{ value = 1, width = 40, height = 24, _title = "A rectangle" }
local soft = n.FeatherMask{ mask = solid, left = 6, top = 6, right = 6, bottom = 6, _title = "With soft edges" }
local both = n.MaskComposite{ destination = grown, source = soft, x = 12, y = 20, operation = "add", _title = "Both" }
local rest = n.InvertMask{ mask = both, _title = "The rest" }
local part = n.CropMask{ mask = rest, x = 4, y = 4, width = 56, height = 56, _title = "A part" }
local shown = n.MaskToImage{ mask = part, _title = "As a picture" }
local preview = n.PreviewImage{ images = shown, _title = "Show it" }
local black = n.ImageColorToMask{ image = shown, color = 0, _title = "What is black" }
local graph = n.graph(preview, n.MaskPreview{ mask = black, _title = "Show it" })

if arg[1] == "json" then graph:save "masks.json" else graph:run() end
