-- lora_inspect.lua: nodus run lora_inspect.lua; with the argument json it writes the workflow.
local n = require "nodus"

local what_is_in_the_file = n.LoraInspect{ lora_name = "neon-lora.safetensors", _title = "What is in the file" }
local layer_by_layer = n.PreviewAny{ source = what_is_in_the_file.table, _title = "Layer by layer" }
local norms_of_the_blocks = n.SaveImage{ images = what_is_in_the_file, filename_prefix = "lora_inspect", _title = "Norms of the blocks" }
local graph = n.graph(layer_by_layer, norms_of_the_blocks)

if arg[1] == "json" then graph:save "lora_inspect.json" else graph:run() end
