--- nodus.lua: what `require "nodus"` gives: a constructor for each node by its class, and the functions around them.
---
---   local n = require "nodus"
---   local model, clip, vae = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors" }:outputs()

local core, require = ...
local N, G, S = require "nodus.node", require "nodus.graph", require "nodus.sweep"

local nodus = {
  graph = G.graph, --- n.graph(node, …): see graph.lua
  load = G.load, --- n.load(name)
  sweep = S.sweep, --- n.sweep(axes, function)
  tensor = core.tensor, --- n.tensor(table[, shape])
  full = core.full, --- n.full(shape[, value])
  concat = core.concat, --- n.concat(tensors[, axis])
  load_tensor = core.load_tensor, --- n.load_tensor(name[, folder]): a picture, or an array (.npy)
  save_text = core.save_text, --- n.save_text(name, text): into the output folder
  clock = core.clock, --- n.clock(): seconds, to measure with
  null = core.null,
}

--- n.info(class): the node's table: inputs with type, range and tooltip, outputs, help.
function nodus.info(name)
  return core.node(name)
end

--- n.nodes(): the names of all nodes.
nodus.nodes = core.node_names

return setmetatable(nodus, { __index = function(self, name)
  if type(name) ~= "string" then return nil end
  local make = N.constructor(name)
  rawset(self, name, make)
  return make
end })
