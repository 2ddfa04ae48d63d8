--- define.lua: what `require "nodus.define"` gives to a file of nodes: it defines nodes, samplers and guiders (docs/lua.md).
---
---   local d = require "nodus.define"
---   d.node{ name = "Negative", inputs = { { "image", "IMAGE" } }, outputs = { { "image", "IMAGE" } },
---     run = function(inputs) return 1 - inputs.image end }

local core, require = ...
local Sampling = require "nodus.sampling"
local fail = core.fail
local type, next, tostring, setmetatable = type, next, tostring, setmetatable
local tointeger, mathtype, mininteger, maxinteger = math.tointeger, math.type, math.mininteger, math.maxinteger
local LARGEST = 1.7976931348623157e308

--- d (nodus.Define): what a file of nodes begins with: `local d = require "nodus.define"`. `d.tensor`, `d.full`, `d.concat` and `d.lincomb`
--- make tensors, as those of `n` do.
local define = { tensor = core.tensor, full = core.full, concat = core.concat, lincomb = core.lincomb }

-- ---- Checks -----------------------------------------------------------------------------------------------------------------

--- The table `given`, whose named fields have the types that `known` says; `first`: how many have no name.
local function check_fields(what, given, known, first)
  if type(given) ~= "table" then fail(what .. ": it is a table, not a " .. type(given)) end
  for key, value in next, given do
    if mathtype(key) == "integer" then
      if key < 1 or key > first then fail(what .. ": it has a place " .. key .. ", which means nothing") end
    elseif not known[key] then
      fail(what .. ': there is no field "' .. tostring(key) .. '"')
    elseif known[key] ~= "any" and type(value) ~= known[key] then
      fail(what .. ": " .. key .. " is a " .. known[key] .. ", not a " .. type(value))
    end
  end
end

local function need(what, given, name, why)
  if given[name] == nil then fail(what .. ": it has no " .. name .. (why or "")) end
  return given[name]
end

local function list(what, given, name)
  local items, count = given[name], 0
  if items == nil then return {} end
  for key in next, items do
    count = count + 1
    if mathtype(key) ~= "integer" then fail(what .. ": " .. name .. ' is a list; "' .. tostring(key) .. '" has a name') end
  end
  if count ~= #items then fail(what .. ": there is a gap in the list " .. name) end
  return items
end

-- ---- Inputs and outputs -------------------------------------------------------------------------------------------------------

local kinds = { INT = "int", SEED = "seed", FLOAT = "float", BOOLEAN = "boolean", STRING = "string", COMBO = "combo", ["*"] = "any" }
local input_fields = {
  default = "any", min = "number", max = "number", step = "number", tooltip = "string", optional = "boolean", multiline = "boolean",
  choices = "table", folder = "string",
}
local defaults = { int = "number", seed = "number", float = "number", boolean = "boolean", string = "string", combo = "string" }

local function whole(what, name, value)
  local number = tointeger(value)
  if not number then fail(what .. ": " .. name .. " is a whole number, not " .. tostring(value)) end
  return number
end

--- Ranges: a limit that is not given is the largest number there is; a default that is not given is 0, or what is nearest.
local function read_range(what, input, given, least, most)
  if given.min or given.max then input.min, input.max = given.min or least, given.max or most end
  input.step = given.step or (input.kind == "int" and 1 or 0.01)
  input.default = given.default or 0
  if not given.default and input.min then
    if input.min > 0 then input.default = input.min elseif input.max < 0 then input.default = input.max end
  end
end

local function read_choices(what, given)
  if given.folder then return nil end
  local choices = list(what, given, "choices")
  if #choices == 0 then fail(what .. ": a COMBO has choices, or a folder") end
  local copy = {}
  for i = 1, #choices do
    if type(choices[i]) ~= "string" then fail(what .. ": its choices are texts") end
    copy[i] = choices[i]
  end
  return copy
end

local readers = {
  int = function(what, input, given)
    read_range(what, input, given, mininteger, maxinteger)
    for _, name in next, { "default", "min", "max", "step" } do
      if input[name] then input[name] = whole(what, name, input[name]) end
    end
  end,
  seed = function(what, input, given) input.default = whole(what, "default", given.default or 0) end,
  float = function(what, input, given) read_range(what, input, given, -LARGEST, LARGEST) end,
  boolean = function(_, input, given) input.default = given.default or false end,
  string = function(_, input, given) input.default, input.multiline = given.default or "", given.multiline end,
  combo = function(what, input, given)
    input.choices, input.folder, input.default = read_choices(what, given), given.folder, given.default
  end,
}

local function read_input(owner, place, given)
  local what = owner .. ", input " .. place
  if type(given) ~= "table" or type(given[1]) ~= "string" then
    fail(what .. ': it is a table that begins with its name and type: { "image", "IMAGE" }')
  end
  local name, kind_name = given[1], given[2]
  what = owner .. ", input " .. name
  check_fields(what, given, input_fields, 2)
  if type(kind_name) ~= "string" then fail(what .. ': its type is missing: { "' .. name .. '", "IMAGE" }') end
  local kind = kinds[kind_name] or "link"
  local input = {
    name = name, type = kind == "seed" and "INT" or kind_name, kind = kind, tooltip = given.tooltip or "", optional = given.optional,
  }
  if given.default ~= nil and type(given.default) ~= defaults[kind] then
    fail(what .. ": its default is " .. (defaults[kind] and "a " .. defaults[kind] or "none") .. ", not a " .. type(given.default))
  end
  if readers[kind] then readers[kind](what, input, given) end
  return input
end

local function read_inputs(owner, given)
  local inputs = {}
  for i, input in next, list(owner, given, "inputs") do inputs[i] = read_input(owner, i, input) end
  return inputs
end

local function read_outputs(owner, given)
  local outputs = {}
  for i, output in next, list(owner, given, "outputs") do
    local what = owner .. ", output " .. i
    check_fields(what, output, { tooltip = "string" }, 2)
    if type(output[1]) ~= "string" or type(output[2]) ~= "string" then
      fail(what .. ': it is a name and a type: { "image", "IMAGE" }')
    end
    outputs[i] = { name = output[1], type = output[2], tooltip = output.tooltip or "" }
  end
  return outputs
end

-- ---- Nodes --------------------------------------------------------------------------------------------------------------------

local node_fields = {
  name = "string", title = "string", category = "string", help = "string", version = "number", output = "boolean", experimental = "boolean",
  inputs = "table", outputs = "table", run = "function",
}

local function read_node(what, given, known, work)
  check_fields("a " .. what, given, known, 0)
  local name = need("a " .. what, given, "name")
  local owner = what .. " " .. name
  need(owner, given, work, ", the function that does the work")
  return {
    name = name, title = given.title or name, category = given.category or "lua", help = given.help or "",
    version = whole(owner, "version", given.version or 0), output = given.output, experimental = given.experimental,
    inputs = read_inputs(owner, given), [work] = given[work],
  }, owner
end

--- call (nodus.Call): what a node's function gets beside its inputs.
local call = {
  --- call:progress(value, max): how far it is; ends the node where the run was cancelled.
  progress = function(_, value, max) core.progress(value, max) end,
  --- call:warn(text): a warning beside the run.
  warn = function(_, text) core.warn(text) end,
  --- call:show(text): adds to what clients show of an output node.
  show = function(_, text) core.show(core.json_write(tostring(text))) end,
}

--- d.node(table): defines a node: name, title, category, help, inputs, outputs, and run(inputs, call), which gives a value for each output.
---@param table table
function define.node(given)
  local record, owner = read_node("node", given, node_fields, "run")
  record.outputs = read_outputs(owner, given)
  local run = given.run
  record.call = function(inputs) return run(inputs, call) end
  core.define("node", record)
end

-- ---- Guiders ------------------------------------------------------------------------------------------------------------------

local guider_fields = {
  name = "string", title = "string", category = "string", help = "string", version = "number", experimental = "boolean", inputs = "table",
  guide = "function",
}

--- d.guider(table): defines a node that gives a GUIDER: name, inputs and guide(p, inputs), which makes one prediction of those of its
--- CONDITIONING inputs; p has them by name, beside p.x and p.sigma.
---@param table table
function define.guider(given)
  local record, owner = read_node("guider", given, guider_fields, "guide")
  local models, lists = 0, 0
  for _, input in next, record.inputs do
    if input.type == "MODEL" then models = models + 1 end
    if input.type == "CONDITIONING" then lists = lists + 1 end
    if (input.type == "MODEL" or input.type == "CONDITIONING") and input.optional then
      fail(owner .. ", input " .. input.name .. ": a guider needs it, so it cannot be optional")
    end
  end
  if models ~= 1 or lists < 1 or lists > 3 then fail(owner .. ": its inputs are one MODEL, 1 to 3 CONDITIONINGs, and others") end
  record.outputs = { { name = "GUIDER", type = "GUIDER", tooltip = "The guided model, for a custom sampling." } }
  record.call = given.guide
  core.define("guider", record)
end

-- ---- Samplers -----------------------------------------------------------------------------------------------------------------

local sampler_fields = {
  name = "string", two_calls = "boolean", needs_uncond = "boolean", drops_sigma = "boolean", brownian = "boolean", run = "function",
}

--- d.sampler(table): defines a sampler: name and run(s, x), which takes the noised latent x down to the last of s.sigmas.
---@param table table
function define.sampler(given)
  check_fields("a sampler", given, sampler_fields, 0)
  local name = need("a sampler", given, "name")
  local run = need("the sampler " .. name, given, "run", ", the function that does the work")
  core.define("sampler", {
    name = name, two_calls = given.two_calls, needs_uncond = given.needs_uncond, drops_sigma = given.drops_sigma,
    brownian = given.brownian, run = run, call = function(s, x) return run(setmetatable(s, Sampling), x) end,
  })
end

return define
