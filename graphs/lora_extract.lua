-- lora_extract.lua: nodus run lora_extract.lua; with the argument json it writes the workflow.
local n = require "nodus"

local base = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors", _title = "The base" }
local what_was_made_of_it = n.LoraLoader{
  model = base, clip = base, lora_name = "neon-lora.safetensors", strength_model = 0.8, strength_clip = 0.8, _title = "What was made of it",
}
local difference_as_a_lora = n.LoraExtract{
  model = what_was_made_of_it, model_base = base, clip = what_was_made_of_it, clip_base = base,
  rank = 8, energy = 1, filename_prefix = "loras/extracted", _title = "The difference as a LoRA",
}
local preview_any = n.PreviewAny{ source = difference_as_a_lora, _title = "How much of it is in the file" }
local same_with_fewer_numbers = n.LoraResize{
  lora_name = "neon-lora.safetensors", rank = 2, energy = 1, filename_prefix = "loras/resized", _title = "The same with fewer numbers",
}
local how_much_is_left = n.PreviewAny{ source = same_with_fewer_numbers, _title = "How much is left" }
local graph = n.graph(preview_any, how_much_is_left)

if arg[1] == "json" then graph:save "lora_extract.json" else graph:run() end
