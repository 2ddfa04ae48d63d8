-- compositing.lua: graphs/compositing.json as a script: nodus run graphs/compositing.lua
local n = require "nodus"

local picture = n.LoadImage{ image = "scene.png", _title = "A picture" }
local red_square = n.EmptyImage{ width = 48, height = 48, batch_size = 1, color = 13639712, _title = "A red square" }
local mask = n.SolidMask{ value = 1, width = 48, height = 48, _title = "A mask" }
local soft_edges = n.FeatherMask{ mask = mask, left = 8, top = 8, right = 8, bottom = 8, _title = "Soft edges" }
local square_onto_picture = n.ImageCompositeMasked{
  destination = picture, source = red_square, mask = soft_edges, x = 10, y = 10, _title = "Square onto picture",
}
local transparent_square = n.JoinImageWithAlpha{ image = red_square, alpha = soft_edges, _title = "Transparent square" }
local colours_and_alpha = n.SplitImageWithAlpha{ image = transparent_square, _title = "Colours and alpha" }
local over_the_picture = n.PorterDuffImageComposite{
  source = colours_and_alpha, source_alpha = colours_and_alpha, destination = picture, destination_alpha = colours_and_alpha,
  mode = "SRC_OVER", _title = "Over the picture",
}
local side_by_side = n.ImageStitch{
  image1 = square_onto_picture, image2 = over_the_picture,
  direction = "right", match_image_size = true, spacing_width = 4, _title = "Side by side",
}
local show_both = n.PreviewImage{ images = side_by_side, _title = "Show both" }
local graph = n.graph(show_both)

if arg[1] == "json" then graph:save "compositing.json" else graph:run() end
