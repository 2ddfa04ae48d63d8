-- lora_blocks.lua: where in the model does a LoRA act? It is put on one place alone, at several strengths and seeds; two distances
-- (RMSE) tell how much of it is there: `moved`, to the picture without the LoRA, and `left`, to that with the whole of it.
-- nodus run graphs/studies/lora_blocks.lua [fast]: writes lora_blocks.csv (means over the seeds), lora_blocks.png (the plot) and
-- lora_blocks_sheet.png into the output folder. graphs/studies/lora_blocks.json is a small one.
local n = require "nodus"
local fast = arg[1] == "fast"
local strengths = fast and { 1 } or { 0.5, 1, 1.5 }
local seeds = fast and { 2 } or { 2, 3, 5 }

-- Rules of LoraLoaderSelective: parts of the network, then kinds of its layers.
local rules = {
  ["text"] = "text = 1", ["in 1-2"] = "in1 in2 = 1", ["in 4-5"] = "in4 in5 = 1", ["in 7-8"] = "in7 in8 = 1", ["mid"] = "mid = 1",
  ["out 3-5"] = "out3 out4 out5 = 1", ["out 6-8"] = "out6 out7 out8 = 1", ["out 9-11"] = "out9 out10 out11 = 1",
  ["q k"] = "unet q k = 1", ["v"] = "unet v = 1", ["o"] = "unet o = 1", ["ff"] = "unet ff = 1", ["proj"] = "unet proj = 1",
  ["all"] = "all = 1",
}
local places = { "text", "in 1-2", "in 4-5", "in 7-8", "mid", "out 3-5", "out 6-8", "out 9-11", "q k", "v", "o", "ff", "proj", "all" }
if fast then places = { "mid", "out 6-8", "all" } end

local checkpoint = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors" }
local size = n.EmptyLatentImage{ width = 128, height = 128 }

-- The picture with the LoRA in one place.
local function paint(place, strength, seed)
  local lora = n.LoraLoaderSelective{
    model = checkpoint, clip = checkpoint, lora_name = "neon-lora.safetensors", strength_model = strength, strength_clip = strength,
    select = "all = 0\n" .. rules[place],
  }
  local latent = n.KSampler{
    model = lora, positive = n.CLIPTextEncode{ clip = lora, text = "a red star, night sky" },
    negative = n.CLIPTextEncode{ clip = lora, text = "" },
    latent_image = size, seed = seed, steps = fast and 4 or 20, cfg = 5, sampler_name = "dpmpp_2m", scheduler = "karras",
  }
  return n.VAEDecode{ samples = latent, vae = checkpoint }.IMAGE:value()
end

local study = n.sweep({ { "place", places }, { "strength", strengths }, { "seed", seeds } }, function(p)
  local picture = paint(p.place, p.strength, p.seed)
  return {
    moved = picture:mse(paint("all", 0, p.seed)) ^ 0.5, left = picture:mse(paint("all", p.strength, p.seed)) ^ 0.5,
  }
end):means "seed"
study:csv "lora_blocks.csv"
study:plot{ x = "place", y = "moved", group = "strength", style = "bars" }:save "lora_blocks.png"
n.sweep({ { "strength", strengths }, { "place", places } }, function(p)
  return { image = paint(p.place, p.strength, seeds[1]) }
end):sheet():save "lora_blocks_sheet.png"
print(study)
