-- regional_pair.lua: graphs/regional_pair.json as a script: nodus run graphs/regional_pair.lua
local n = require "nodus"

local checkpoint = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors", _title = "The demo model" }
local inside_the_mask = n.CLIPTextEncode{ clip = checkpoint, text = "a red house, hills", _title = "Inside the mask" }
local elsewhere = n.CLIPTextEncode{ clip = checkpoint, text = "a blue star, night sky", _title = "Elsewhere" }
local at_first_only = n.CLIPTextEncode{ clip = checkpoint, text = "a white boat", _title = "At first only" }
local negative = n.CLIPTextEncode{ clip = checkpoint, text = "", _id = 6, _title = "What not to paint" }
local what_not_to_paint_inside = n.CLIPTextEncode{ clip = checkpoint, text = "night sky", _id = 7, _title = "What not to paint inside" }
local half_a_mask = n.SolidMask{ value = 1, width = 32, height = 64, _id = 10, _title = "Half a mask" }
local other_half = n.SolidMask{ value = 0, width = 64, height = 64, _id = 11, _title = "The other half" }
local left_half = n.MaskComposite{
  destination = other_half, source = half_a_mask, x = 0, y = 0, operation = "add", _id = 12, _title = "The left half",
}
local when = n.ConditioningTimestepsRange{ start_percent = 0.3, _id = 13, _title = "When" }
local left_pair = n.PairConditioningSetProperties{
  positive_NEW = inside_the_mask, negative_NEW = what_not_to_paint_inside, mask = left_half, _id = 14, _title = "The left half",
}
local rest = n.PairConditioningSetDefaultCombine{
  positive = left_pair.positive, negative = left_pair.negative, positive_DEFAULT = elsewhere, negative_DEFAULT = negative,
  _id = 15, _title = "The rest",
}
local at_first_on_the_left = n.ConditioningSetProperties{
  cond_NEW = at_first_only, mask = left_half, timesteps = when.BEFORE_RANGE,
  strength = 1, set_cond_area = "mask bounds", _id = 16, _title = "At first, on the left",
}
local all_of_them = n.PairConditioningCombine{
  positive_A = rest[1], negative_A = rest[2], positive_B = at_first_on_the_left, negative_B = negative,
  _id = 17, _title = "All of them",
}
local little_of_the_other = n.ConditioningSetPropertiesAndCombine{
  cond = all_of_them.positive, cond_NEW = elsewhere, mask = left_half, timesteps = when.TIMESTEPS_RANGE,
  strength = 0.3, _id = 18, _title = "A little of the other",
}
local another_pair = n.PairConditioningSetPropertiesAndCombine{
  positive = little_of_the_other, negative = all_of_them.negative, positive_NEW = inside_the_mask, negative_NEW = negative,
  mask = left_half, timesteps = when.AFTER_RANGE,
  strength = 0.5, _id = 19, _title = "Another pair",
}
local with_default = n.ConditioningSetDefaultCombine{
  cond = another_pair[1], cond_DEFAULT = elsewhere, _id = 20, _title = "And a default for one side",
}
local size = n.EmptyLatentImage{ width = 64, height = 64, _id = 24, _title = "Size" }
local latent = n.KSampler{
  model = checkpoint, positive = with_default, negative = another_pair[2], latent_image = size,
  seed = 7, steps = 20, cfg = 5, sampler_name = "dpmpp_2m", scheduler = "karras", _id = 90, _title = "Sample",
}
local image = n.VAEDecode{ samples = latent, vae = checkpoint, _id = 91, _title = "To pixels" }
local save = n.SaveImage{ images = image, filename_prefix = "regional_pair", _id = 92, _title = "Write it" }
local graph = n.graph(save)

if arg[1] == "json" then graph:save "regional_pair.json" else graph:run() end
