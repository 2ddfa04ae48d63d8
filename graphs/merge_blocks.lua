-- merge_blocks.lua: graphs/merge_blocks.json as a script: nodus run graphs/merge_blocks.lua
local n = require "nodus"

local checkpoint = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors", _title = "The demo model" }
local styled = n.LoraLoader{
  model = checkpoint, clip = checkpoint, lora_name = "neon-lora.safetensors", _id = 8, _title = "A second model: the first with a style",
}
local parts = n.ModelMergeBlocks{
  model1 = checkpoint, model2 = styled, input = 0.8, middle = 0.5, out = 0.3, _id = 9, _title = "Three parts",
}

-- Each block has a share of its own: less and less of the first model towards the middle, and back.
local sd1 = n.ModelMergeSD1{ model1 = parts, model2 = styled, _id = 10, _title = "Each block of an SD 1.x model" }
for i = 0, 11 do
  sd1[("input_blocks.%d."):format(i)] = (100 - 5 * i) / 100
  sd1[("output_blocks.%d."):format(i)] = (45 + 5 * i) / 100
end
for i = 0, 2 do sd1[("middle_block.%d."):format(i)] = 0.4 end

local sdxl = n.ModelMergeSDXL{ model1 = sd1, model2 = checkpoint, _id = 11, _title = "The blocks that SDXL has too" }
for i = 0, 8 do
  sdxl[("input_blocks.%d"):format(i)] = 0.9
  sdxl[("output_blocks.%d"):format(i)] = 0.9
end
for i = 0, 2 do sdxl[("middle_block.%d"):format(i)] = 0.8 end

local positive = n.CLIPTextEncode{ clip = checkpoint, text = "a red star, night sky", _title = "What to paint" }
local negative = n.CLIPTextEncode{ clip = checkpoint, text = "", _title = "What not to paint" }
local size = n.EmptyLatentImage{ width = 128, height = 128, _title = "Size" }
local latent = n.KSampler{
  model = sdxl, positive = positive, negative = negative, latent_image = size,
  seed = 2, steps = 20, cfg = 5, sampler_name = "dpmpp_2m", scheduler = "karras", _title = "Remove the noise",
}
local image = n.VAEDecode{ samples = latent, vae = checkpoint, _title = "To pixels" }
local graph = n.graph(n.SaveImage{ images = image, filename_prefix = "merge_blocks", _title = "Write it" })

if arg[1] == "json" then graph:save "merge_blocks.json" else graph:run() end
