-- prompt_to_prompt.lua: nodus run prompt_to_prompt.lua; with the argument json it writes the workflow.
local n = require "nodus"

local demo_model = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors", _title = "The demo model" }
local source = n.CLIPTextEncode{ clip = demo_model, text = "a red house, green meadow", _title = "The source" }
local what_not_to_paint = n.CLIPTextEncode{ clip = demo_model, text = "", _title = "What not to paint" }
local source_guided = n.CFGGuider{
  model = demo_model, positive = source, negative = what_not_to_paint, cfg = 5, _title = "The source, guided",
}
local noise = n.RandomNoise{ noise_seed = 7, _title = "Noise" }
local sampler = n.KSamplerSelect{ sampler_name = "dpmpp_2m", _title = "Sampler" }
local noise_levels = n.BasicScheduler{ model = demo_model, scheduler = "karras", _title = "Noise levels" }
local size = n.EmptyLatentImage{ width = 128, height = 128, _title = "Size" }
local sample_with_attention = n.SampleWithAttention{
  noise = noise, guider = source_guided, sampler = sampler, sigmas = noise_levels, latent_image = size,
  max_side = 16, every = 1, transformer = -1, tokens = 0, _title = "The source's picture, and where its words act",
}
local where_the_house_is = n.AttentionMapsToMask{
  attention_maps = sample_with_attention,
  prompt = "a red house, green meadow", word = "house", layer = "out", width = 128, height = 128, _title = "Where the house is",
}
local more_or_less_than_that = n.ThresholdMask{ mask = where_the_house_is, value = 0.3, _title = "More or less than that" }
local prompt_to_prompt = n.PromptToPrompt{
  clip = demo_model, mask = more_or_less_than_that,
  source = "a red house, green meadow", target = "a blue house, green meadow", mode = "replace", cross_steps = 0.8, self_steps = 0.4,
  reweight = "", _title = "Another colour for the house, there only",
}
local edit_guided = n.CFGGuider{
  model = demo_model, positive = prompt_to_prompt, negative = what_not_to_paint, cfg = 5, _title = "The edit, guided",
}
local source_and_target = n.EmptyLatentImage{ width = 128, height = 128, batch_size = 2, _title = "Source and target" }
local same_noise_for_both = n.LatentBatchSeedBehavior{ samples = source_and_target, _title = "The same noise for both" }
local remove_the_noise_of_both = n.SamplerCustomAdvanced{
  noise = noise, guider = edit_guided, sampler = sampler, sigmas = noise_levels, latent_image = same_noise_for_both,
  _title = "Remove the noise of both",
}
local pixels = n.VAEDecode{ samples = remove_the_noise_of_both.output, vae = demo_model, _title = "To pixels" }
local write_source_and_target = n.SaveImage{ images = pixels, filename_prefix = "prompt_to_prompt", _title = "Write source and target" }
local mask_as_a_picture = n.MaskToImage{ mask = more_or_less_than_that, _id = 20, _title = "The mask as a picture" }
local write_the_mask = n.SaveImage{
  images = mask_as_a_picture, filename_prefix = "prompt_to_prompt_mask", _id = 21, _title = "Write the mask",
}
local source2 = n.ImageFromBatch{ image = pixels, _id = 22, _title = "The source" }
local target = n.ImageFromBatch{ image = pixels, batch_index = 1, _id = 23, _title = "The target" }
local all_but_the_house = n.InvertMask{ mask = more_or_less_than_that, _id = 24, _title = "All but the house" }
local measure_psnr = n.MeasurePSNR{
  image = target, reference = source2, mask = all_but_the_house, _id = 25, _title = "How well the background was kept, in dB",
}
local show_the_number = n.PreviewAny{ source = measure_psnr, _id = 26, _title = "Show the number" }
local graph = n.graph(write_source_and_target, write_the_mask, show_the_number)

if arg[1] == "json" then graph:save "prompt_to_prompt.json" else graph:run() end
