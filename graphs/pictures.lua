-- pictures.lua: graphs/pictures.json as a script: nodus run graphs/pictures.lua
local n = require "nodus"

local picture = n.LoadImage{ image = "scene.png", _title = "A picture" }
local size = n.ImageScale{ image = picture, upscale_method = "lanczos", width = 96, height = 64, crop = "center", _title = "To a size" }
local by_a_factor = n.ImageScaleBy{ image = size, upscale_method = "bicubic", scale_by = 0.75, _title = "By a factor" }
local number_of_pixels = n.ImageScaleToTotalPixels{
  image = by_a_factor, upscale_method = "area", megapixels = 0.01, _title = "To a number of pixels",
}
local by_the_longer_side = n.ImageScaleToMaxDimension{
  image = number_of_pixels, upscale_method = "lanczos", largest_size = 80, _title = "By the longer side",
}
local rectangle = n.ImageCrop{ image = by_the_longer_side, width = 64, height = 40, x = 8, y = 4, _title = "A rectangle" }
local mirrored = n.ImageFlip{ image = rectangle, flip_method = "y-axis: horizontally", _title = "Mirrored" }
local upside_down = n.ImageRotate{ image = mirrored, rotation = "180 degrees", _title = "Upside down" }
local negative = n.ImageInvert{ image = upside_down, _title = "Negative" }
local how_large = n.GetImageSize{ image = negative, _title = "How large" }
local as_large_in_blue = n.EmptyImage{
  width = how_large.width, height = how_large.height, batch_size = 1, color = 255, _title = "As large, in blue",
}
local both = n.ImageBatch{ image1 = negative, image2 = as_large_in_blue, _title = "Both" }
local twice = n.RepeatImageBatch{ image = both, amount = 2, _title = "Twice" }
local three_of_the_four = n.ImageFromBatch{ image = twice, batch_index = 0, length = 3, _title = "Three of the four" }
local one_by_one = n.RebatchImages{ images = three_of_the_four, _title = "One by one" }
local square_each = n.ResizeAndPadImage{ image = one_by_one, target_width = 64, target_height = 64, _title = "A square each" }
local show_them = n.PreviewImage{ images = square_each, _title = "Show them" }
local more_room = n.ImagePadForOutpaint{
  image = rectangle, left = 16, top = 0, right = 16, bottom = 8, feathering = 8, _title = "More room",
}
local where_to_paint = n.MaskPreview{ mask = more_room, _title = "Where to paint" }
local for_flux_kontext = n.FluxKontextImageScale{ image = picture, _title = "For Flux Kontext" }
local show_it = n.PreviewImage{ images = for_flux_kontext, _title = "Show it" }
local show_it2 = n.PreviewImage{ images = more_room, _title = "Show it" }
local graph = n.graph(show_them, where_to_paint, show_it, show_it2)

if arg[1] == "json" then graph:save "pictures.json" else graph:run() end
