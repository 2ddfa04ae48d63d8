-- filters.lua: graphs/filters.json as a script: nodus run graphs/filters.lua
local n = require "nodus"

local picture = n.LoadImage{ image = "scene.png", _title = "A picture" }
local blurred = n.ImageBlur{ image = picture, blur_radius = 4, _title = "Blurred" }
local sharpened = n.ImageSharpen{ image = picture, sharpen_radius = 1, sigma = 1, alpha = 0.5, _title = "Sharpened" }
local glow = n.ImageBlend{ image1 = sharpened, image2 = blurred, blend_factor = 0.5, blend_mode = "screen", _title = "Glow" }
local grain = n.ImageAddNoise{ image = glow, seed = 1, strength = 0.05, _title = "Grain" }
local brightness_and_colour = n.ImageRGBToYUV{ image = grain, _title = "Brightness and colour" }
local together_again = n.ImageYUVToRGB{
  Y = brightness_and_colour.Y, U = brightness_and_colour.U, V = brightness_and_colour.V, _title = "Together again",
}
local sixteen_colours = n.ImageQuantize{ image = together_again, colors = 16, dither = "floyd-steinberg", _title = "Sixteen colours" }
local show_it = n.PreviewImage{ images = sixteen_colours, _title = "Show it" }
local edges = n.Canny{ image = picture, low_threshold = 0.2, high_threshold = 0.5, _title = "Edges" }
local thicker = n.Morphology{ image = edges, operation = "dilate", _title = "Thicker" }
local show_them = n.PreviewImage{ images = thicker, _title = "Show them" }
local graph = n.graph(show_it, show_them)

if arg[1] == "json" then graph:save "filters.json" else graph:run() end
