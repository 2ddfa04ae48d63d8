-- lora_strength.lua: what does the strength of a LoRA do? Strength × seed on the demo model: a table, a CSV, a contact sheet.
-- nodus run graphs/studies/lora_strength.lua [fast]: writes lora_strength.csv and lora_strength.png into the output folder
local n = require "nodus"
local fast = arg[1] == "fast"
local strengths = fast and { 0, 1 } or { 0, 0.3, 0.6, 0.9, 1.2, 1.5 }
local seeds = fast and { 2 } or { 2, 3, 5, 8 }

local checkpoint = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors" }
local size = n.EmptyLatentImage{ width = 128, height = 128 }

-- The picture of one strength and seed. The LoRA is on the model alone, so the texts are encoded once for the whole study.
local function paint(strength, seed)
  local latent = n.KSampler{
    model = n.LoraLoaderModelOnly{ model = checkpoint, lora_name = "neon-lora.safetensors", strength_model = strength },
    positive = n.CLIPTextEncode{ clip = checkpoint, text = "a red star, night sky" },
    negative = n.CLIPTextEncode{ clip = checkpoint, text = "" },
    latent_image = size, seed = seed, steps = fast and 4 or 20, cfg = 5, sampler_name = "dpmpp_2m", scheduler = "karras",
  }
  return n.VAEDecode{ samples = latent, vae = checkpoint }.IMAGE:value()
end

local function rmse(a, b)
  local d = a - b
  return (d * d):mean() ^ 0.5
end

-- How far the channels of a pixel are from its grey, on average over the picture.
local function colour(picture)
  local red, green, blue = picture:slice(4, 1, 1), picture:slice(4, 2, 2), picture:slice(4, 3, 3)
  return rmse(picture, (red + green + blue) / 3)
end

local study = n.sweep({ { "strength", strengths }, { "seed", seeds } }, function(p)
  local picture = paint(p.strength, p.seed)
  return { image = picture, distance = rmse(picture, paint(0, p.seed)), brightness = picture:mean(), colour = colour(picture) }
end)
study:csv "lora_strength.csv"
study:sheet():save "lora_strength.png"

-- The table: means over the seeds.
print "strength  distance  brightness  colour"
for i, strength in ipairs(strengths) do
  local sum = { distance = 0, brightness = 0, colour = 0 }
  for s = 1, #seeds do
    local row = study[(i - 1) * #seeds + s]
    for name in pairs(sum) do sum[name] = sum[name] + row[name] / #seeds end
  end
  print(string.format("%8.1f  %8.3f  %10.3f  %6.3f", strength, sum.distance, sum.brightness, sum.colour))
end
