--- nodus.lua: what `require "nodus"` gives: a constructor for each node by its class, and the functions around them.
---
---   local n = require "nodus"
---   local model, clip, vae = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors" }:outputs()

local core, require = ...
local N, G, S = require "nodus.node", require "nodus.graph", require "nodus.sweep"
local H = require "nodus.help"
require "nodus.script" -- graph:to_lua()

local nodus = {
  graph = G.graph, --- n.graph(node, …): see graph.lua
  load = G.load, --- n.load(name)
  parse = G.parse, --- n.parse(text): the same for a workflow's text (API format)
  unchecked = N.as_given, --- n.unchecked "Class" { … }: a node of any class, with any inputs
  json = core.json_read, --- n.json(text): a list or an object, as an input
  sweep = S.sweep, --- n.sweep(axes, function[, options])
  parallel = G.parallel, --- n.parallel(list[, options]): several graphs at once
  sampler = N.sampler, --- n.sampler(function(s, x) … end): a function as a SAMPLER
  latent = N.latent, --- n.latent(samples[, mask]): tensors as a LATENT
  tensor = core.tensor, --- n.tensor(table[, shape])
  full = core.full, --- n.full(shape[, value])
  text = core.text, --- n.text(line[, scale]): as a picture
  concat = core.concat, --- n.concat(tensors[, axis])
  lincomb = core.lincomb, --- n.lincomb(c1, x1, c2, x2, …): c1·x1 + c2·x2 + …, in this order
  load_tensor = core.load_tensor, --- n.load_tensor(name[, folder]): a picture, or an array (.npy)
  save_text = core.save_text, --- n.save_text(name, text): into the output folder
  clock = core.clock, --- n.clock(): seconds, to measure with
  null = core.null,
}

function nodus.info(name)
  return setmetatable(core.node(name), { __tostring = H.node_text })
end

nodus.nodes = core.node_names

--- n.help([subject]): prints what there is to know of a node (its constructor or name), a function of the library, or the library.
---@param subject? any
function nodus.help(subject)
  core.print(H.text_of(nodus, subject))
end

N.library = {} -- names that are not classes here
for name in pairs(nodus) do N.library[name] = true end

return setmetatable(nodus, { __index = function(self, name)
  if type(name) ~= "string" then return nil end
  local make = N.constructor(name)
  rawset(self, name, make)
  return make
end })
