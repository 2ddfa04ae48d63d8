-- latents.lua: graphs/latents.json as a script: nodus run graphs/latents.lua
local n = require "nodus"

local two_latents = n.EmptyLatentImage{ width = 256, height = 128, batch_size = 2, _title = "Two latents" }
local twice_as_wide = n.LatentUpscale{
  samples = two_latents, upscale_method = "bislerp", width = 512, height = 0, _title = "Twice as wide",
}
local back = n.LatentUpscaleBy{ samples = twice_as_wide, upscale_method = "nearest-exact", scale_by = 0.5, _title = "And back" }
local turn = n.LatentRotate{ samples = back, rotation = "180 degrees", _title = "Turn" }
local mirror = n.LatentFlip{ samples = turn, _title = "Mirror" }
local middle = n.LatentCrop{ samples = mirror, width = 128, height = 128, x = 64, _title = "The middle" }
local left = n.LatentComposite{ samples_to = mirror, samples_from = middle, x = 0, y = 0, feather = 16, _title = "To the left" }
local right_edge = n.LatentCut{ samples = left, dim = "x", index = -8, amount = 8, _title = "The right edge" }
local left_as_well = n.LatentConcat{ samples1 = left, samples2 = right_edge, dim = "-x", _title = "To the left as well" }
local sum = n.LatentAdd{ samples1 = left, samples2 = left_as_well, _title = "Sum" }
local difference = n.LatentSubtract{ samples1 = sum, samples2 = left, _title = "Difference" }
local half_as_strong = n.LatentMultiply{ samples = difference, multiplier = 0.5, _title = "Half as strong" }
local mix = n.LatentBlend{ samples1 = half_as_strong, samples2 = sum, _title = "Mix" }
local between = n.LatentInterpolate{ samples1 = mix, samples2 = sum, ratio = 0.5, _title = "In between" }
local second = n.LatentFromBatch{ samples = between, batch_index = 1, _title = "The second" }
local three_copies = n.RepeatLatentBatch{ samples = second, amount = 3, _title = "Three copies" }
local five_in_all = n.LatentBatch{ samples1 = three_copies, samples2 = between, _title = "Five in all" }
local own_noise_for_each = n.LatentBatchSeedBehavior{ samples = five_in_all, seed_behavior = "random", _title = "Own noise for each" }
local mask = n.SolidMask{ value = 1, width = 128, height = 128, _title = "A mask" }
local where_to_paint = n.SetLatentNoiseMask{ samples = own_noise_for_each, mask = mask, _title = "Where to paint" }
local put_it = n.LatentCompositeMasked{ destination = where_to_paint, source = second, mask = mask, x = 64, _title = "Put it in" }
local two_at_a_time = n.RebatchLatents{ latents = put_it, batch_size = 2, _title = "Two at a time" }
local show_them = n.PreviewAny{ source = two_at_a_time, _title = "Show them" }
local sixteen_channels = n.EmptySD3LatentImage{ width = 128, height = 128, _title = "Sixteen channels" }
local show_it = n.PreviewAny{ source = sixteen_channels, _title = "Show it" }
local tame = n.LatentOperationTonemapReinhard{ _title = "Tame" }
local do_it = n.LatentApplyOperation{ samples = sixteen_channels, operation = tame, _title = "Do it" }
local sharpen = n.LatentOperationSharpen{ sharpen_radius = 3, _title = "Sharpen" }
local do_it2 = n.LatentApplyOperation{ samples = do_it, operation = sharpen, _title = "Do it" }
local show_it2 = n.PreviewAny{ source = do_it2, _title = "Show it" }
local graph = n.graph(show_them, show_it, show_it2)

if arg[1] == "json" then graph:save "latents.json" else graph:run() end
