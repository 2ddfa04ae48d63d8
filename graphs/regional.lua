-- regional.lua: graphs/regional.json as a script: nodus run graphs/regional.lua
local n = require "nodus"

local checkpoint = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors", _title = "The demo model" }
local left = n.CLIPTextEncode{ clip = checkpoint, text = "a red house, hills", _title = "Left" }
local right = n.CLIPTextEncode{ clip = checkpoint, text = "a blue star, night sky", _title = "Right" }
local mixed = n.CLIPTextEncode{ clip = checkpoint, text = "a yellow tree", _title = "Mixed in" }
local behind = n.CLIPTextEncode{ clip = checkpoint, text = "sunset", _title = "Behind" }
local negative = n.CLIPTextEncode{ clip = checkpoint, text = "", _title = "What not to paint" }
local left_half_in_pixels = n.ConditioningSetArea{
  conditioning = left, width = 64, height = 128, _id = 10, _title = "The left half, in pixels",
}
local right_half_as_a_share = n.ConditioningSetAreaPercentage{
  conditioning = right, width = 0.5, height = 1, x = 0.5, _id = 11, _title = "The right half, as a share",
}
local counts_more_at_the_seam = n.ConditioningSetAreaStrength{
  conditioning = right_half_as_a_share, strength = 1.5, _id = 12, _title = "Counts more at the seam",
}
local both = n.ConditioningCombine{
  conditioning_1 = left_half_in_pixels, conditioning_2 = counts_more_at_the_seam, _id = 13, _title = "Both",
}
local one_text_behind_another = n.ConditioningConcat{
  conditioning_to = mixed, conditioning_from = behind, _id = 14, _title = "One text behind another",
}
local between_two_texts = n.ConditioningAverage{
  conditioning_to = one_text_behind_another, conditioning_from = left,
  conditioning_to_strength = 0.7, _id = 15, _title = "Between two texts",
}
local mask = n.SolidMask{ value = 1, width = 128, height = 128, _id = 16, _title = "A mask" }
local foot_of_the_picture = n.FeatherMask{ mask = mask, left = 32, top = 96, right = 32, _id = 17, _title = "The foot of the picture" }
local only_there = n.ConditioningSetMask{
  conditioning = between_two_texts, mask = foot_of_the_picture, strength = 0.8, _id = 18, _title = "Only there",
}
local all_three = n.ConditioningCombine{ conditioning_1 = both, conditioning_2 = only_there, _id = 19, _title = "All three" }
local conditioning_1 = n.ConditioningSetTimestepRange{
  conditioning = negative, start = 0, ["end"] = 0.8, _id = 20, _title = "The negative text acts at first …",
}
local then_nothing_is_said = n.ConditioningZeroOut{ conditioning = negative, _id = 21, _title = "… then nothing is said" }
local from_there_on = n.ConditioningSetTimestepRange{ conditioning = then_nothing_is_said, start = 0.8, _id = 22, _title = "From there on" }
local negative_side = n.ConditioningCombine{
  conditioning_1 = conditioning_1, conditioning_2 = from_there_on, _id = 23, _title = "The negative side",
}
local size = n.EmptyLatentImage{ width = 128, height = 128, _id = 24, _title = "Size" }
local latent = n.KSampler{
  model = checkpoint, positive = all_three, negative = negative_side, latent_image = size,
  seed = 7, steps = 20, cfg = 3, sampler_name = "dpmpp_2m", scheduler = "karras", _id = 90, _title = "Sample",
}
local image = n.VAEDecode{ samples = latent, vae = checkpoint, _id = 91, _title = "To pixels" }
local save = n.SaveImage{ images = image, filename_prefix = "regional", _id = 92, _title = "Write it" }
local graph = n.graph(save)

if arg[1] == "json" then graph:save "regional.json" else graph:run() end
