-- lora_save.lua: nodus run lora_save.lua; with the argument json it writes the workflow.
local n = require "nodus"

local base = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors", _title = "The base" }
local what_was_made_of_it = n.LoraLoader{
  model = base, clip = base, lora_name = "neon-lora.safetensors", strength_model = 0.8, strength_clip = 0.8, _title = "What was made of it",
}
local what_it_has_learnt = n.ModelMergeSubtract{ model1 = what_was_made_of_it, model2 = base, _title = "What it has learnt" }
local words_too = n.CLIPMergeSubtract{ clip1 = what_was_made_of_it, clip2 = base, _title = "Of words, too" }
local as_a_lora = n.LoraSave{
  model_diff = what_it_has_learnt, text_encoder_diff = words_too, filename_prefix = "loras/learnt", _title = "As a LoRA",
}
local lora_save = n.LoraSave{
  model_diff = what_it_has_learnt, text_encoder_diff = words_too,
  filename_prefix = "loras/learnt_all", rank = 8, lora_type = "full_diff", _title = "Or all of it, in a larger file",
}
local what_was_saved = n.PreviewAny{ source = what_it_has_learnt, _title = "What was saved" }
local graph = n.graph(as_a_lora, lora_save, what_was_saved)

if arg[1] == "json" then graph:save "lora_save.json" else graph:run() end
