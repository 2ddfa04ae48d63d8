-- tables.lua: nodus run tables.lua; with the argument json it writes the workflow.
local n = require "nodus"

local picture = n.LoadImage{ image = "scene.png", _title = "A picture" }
local little_blurred = n.ImageBlur{ image = picture, _title = "A little blurred" }
local more_blurred = n.ImageBlur{ image = picture, blur_radius = 3, sigma = 2, _title = "More blurred" }
local much_blurred = n.ImageBlur{ image = picture, blur_radius = 6, sigma = 4, _title = "Much blurred" }
local decibels = n.MeasurePSNR{ image = little_blurred, reference = picture, _title = "In decibels" }
local decibels2 = n.MeasurePSNR{ image = more_blurred, reference = picture, _title = "In decibels" }
local decibels3 = n.MeasurePSNR{ image = much_blurred, reference = picture, _title = "In decibels" }
local first_row = n.TableRow{ psnr = decibels, label = "a little", sigma = 1, _title = "First row" }
local second_row = n.TableRow{ psnr = decibels2, label = "more", sigma = 2, _title = "Second row" }
local third_row = n.TableRow{ psnr = decibels3, label = "much", sigma = 4, _title = "Third row" }
local all_rows = n.TableJoin{
  tables = first_row, second = second_row, third = third_row, columns = "label, sigma, psnr", _title = "All rows",
}
local write_it = n.SaveTable{ table = all_rows, filename_prefix = "blur", _title = "Write it" }
local draw_it = n.PlotTable{ table = all_rows, x = "sigma", y = "psnr", group_by = "", _title = "Draw it" }
local write_the_plot = n.SaveImage{ images = draw_it, filename_prefix = "blur_plot", _title = "Write the plot" }
local graph = n.graph(write_it, write_the_plot)

if arg[1] == "json" then graph:save "tables.json" else graph:run() end
