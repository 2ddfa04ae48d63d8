--- node.lua: nodes as Lua objects. `n.KSampler{ model = m, seed = 42 }` makes a node from the table of its class: what is given is checked,
--- what is not given has its default. A node is lazy: it only says what is to be computed. Its inputs are read and set as fields, its
--- outputs are links: `checkpoint.CLIP`, or `checkpoint[2]`. A node given as an input means the output that fits.

local core, require = ...
local Sampling = require "nodus.sampling"
local fail, line, sized, format = core.fail, core.line, core.sized, string.format
local type, next, setmetatable, getmetatable, rawget = type, next, setmetatable, getmetatable, rawget
local tointeger, concat, min = math.tointeger, table.concat, math.min

local Node, Link, methods, link_methods = {}, {}, {}, {}
local count = 0 -- of nodes made: their order in a workflow

--- What a value is, for messages.
local function shown(value)
  if type(value) == "string" then return format("%q", #value > 40 and value:sub(1, 40) .. "..." or value) end
  local mt = getmetatable(value)
  if mt == Node then return "a node " .. value._def.name end
  if mt == Link then return "a link to " .. value._type end
  if type(value) == "userdata" and value ~= core.null then return (tostring(value)) end
  if type(value) == "table" then return "a table" end
  return type(value) == "number" and tostring(value) or "a " .. type(value)
end

-- ---- Names that were meant ------------------------------------------------------------------------------------------------------

local function distance(a, b)
  local row = {}
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    local before = row[0]
    row[0] = i
    for j = 1, #b do
      local cost = a:byte(i) == b:byte(j) and before or before + 1
      before = row[j]
      row[j] = min(cost, row[j] + 1, row[j - 1] + 1)
    end
  end
  return row[#b]
end

--- "; did you mean X?" for the nearest of a list of names, or "".
local function meant(name, names)
  local best, least = nil, 4
  name = tostring(name):lower():sub(1, 60)
  for _, other in ipairs(names) do
    local d = math.abs(#name - #other) < least and distance(name, other:lower()) or least
    if d < least then best, least = other, d end
  end
  return best and format("; did you mean %s?", best) or ""
end

local function input_names(def)
  local names = {}
  for i, input in ipairs(def.inputs) do names[i] = input.name end
  return names
end

-- ---- Values of inputs -----------------------------------------------------------------------------------------------------------

local function expected(input)
  if input.min then return format("%s from %s to %s", input.type, input.min, input.max) end
  if input.choices then return "one of " .. concat(input.choices, ", ", 1, min(#input.choices, 12)) end
  if input.kind == "combo" then return "a name" end
  return input.type
end

local function wrong(def, input, value)
  fail(format("%s, %s: got %s, expected %s%s", def.name, input.name, shown(value), expected(input),
    input.choices and type(value) == "string" and meant(value, input.choices) or ""))
end

local function within(input, value)
  return not input.min or (value >= input.min and value <= input.max)
end

--- Each gives the value as the workflow holds it, or nil.
local literals = {
  int = function(input, value)
    value = type(value) == "number" and tointeger(value)
    return value and within(input, value) and value or nil
  end,
  seed = function(_, value) return type(value) == "number" and tointeger(value) or nil end,
  float = function(input, value)
    return type(value) == "number" and value == value and within(input, value) and value + 0.0 or nil
  end,
  boolean = function(_, value) return value end,
  string = function(_, value) return type(value) == "string" and value or nil end,
  combo = function(input, value)
    return type(value) == "string" and (not input.choices or type(input.choices[value]) == "number") and value or nil
  end,
  any = function(_, value) return value end,
  link = function() return nil end,
}

local function fits(output, input)
  if output == input or output == "*" or input == "*" then return true end
  for a in output:gmatch("[^,]+") do
    for b in input:gmatch("[^,]+") do
      if a == b then return true end
    end
  end
  return false
end

local function link_to(node, slot)
  local links = node._links
  if not links then
    links = {}
    node._links = links
  end
  local link = links[slot]
  if not link then
    local output = node._def.outputs[slot]
    link = setmetatable({ _node = node, _slot = slot, _type = output and output.type or "*" }, Link)
    links[slot] = link
  end
  return link
end

--- The output of a node that an input of this type means: the only one, or the only one that fits.
local function fitting(def, input, node)
  local outputs, found = node._def.outputs, nil
  if #outputs == 1 then return link_to(node, 1) end
  for slot, output in ipairs(outputs) do
    if fits(output.type, input.type) then
      if found then
        fail(format("%s, %s: %s has several outputs of type %s: say which, such as .%s", def.name, input.name, node._def.name,
          input.type, output.name))
      end
      found = slot
    end
  end
  if not found then wrong(def, input, node) end
  return link_to(node, found)
end

-- ---- Values of the script -----------------------------------------------------------------------------------------------------

local given_def

--- A link to a node that stands for a value of the script: the engine's NodusGiven.
local function link_given(kind, held, name)
  count = count + 1
  local node = setmetatable({
    _def = given_def, _in = { name = name }, _order = count, _line = line(), _links = false, _title = nil, _given = held,
  }, Node)
  local link = link_to(node, 1)
  link._type = kind
  return link
end

--- A tensor, or what an earlier run gave, as such a link. Nil, and why, where it cannot be one.
local function given(value, kind, mask)
  local held, name = core.given(value, kind, mask)
  if not held then return nil, name end
  return link_given(kind or value:type(), held, name)
end

--- The type that a tensor has as this input: the first that it can be. A latent is no picture: n.latent says so.
local function tensor_types(input)
  if input.kind == "any" then return { "IMAGE", "MASK", "SIGMAS" } end
  local types = {}
  for _, name in ipairs { "IMAGE", "MASK", "SIGMAS" } do
    if fits(name, input.type) then types[#types + 1] = name end
  end
  return types
end

local function given_to(def, input, value)
  local link, why
  if not core.is_tensor(value) then
    if fits(value:type(), input.type) then link, why = given(value) end
  else
    for _, name in ipairs(tensor_types(input)) do
      link, why = given(value, name)
      if link then break end
    end
    if fits("LATENT", input.type) and input.kind ~= "any" then why = "a tensor becomes a LATENT by n.latent(tensor)" end
  end
  if link then return link end
  if why then fail(format("%s, %s: %s; this is %s", def.name, input.name, why, tostring(value))) end
  wrong(def, input, value)
end

--- n.latent(samples, [mask]): a tensor [batch, channels, height, width] (and one of what to repaint, [batch, height, width]) as a LATENT.
---@param samples nodus.Tensor
---@param mask? nodus.Tensor
---@return nodus.Link
local function latent(samples, mask)
  if not core.is_tensor(samples) or (mask ~= nil and not core.is_tensor(mask)) then fail("latent takes a tensor, and perhaps a mask") end
  local link, why = given(samples, "LATENT", mask)
  return link or fail(format("latent: %s; this is %s", why, tostring(samples)))
end

--- n.sampler(run, [options]): a function run(s, x) as a SAMPLER. It takes the noised latent x down to the last of s.sigmas with
--- s:denoise(x, sigma) and what else s has (docs/lua.md), and gives the latent. With needs_uncond = true denoise gives the unconditional
--- prediction too. The function is called on the thread of the script, each time anew.
---@param run fun(s: table, x: nodus.Tensor): nodus.Tensor
---@param options? table
---@return nodus.Link
local function sampler(run, options)
  if type(run) ~= "function" then fail("sampler takes a function: n.sampler(function(s, x) … end)") end
  local function call(s, x)
    local latent = run(setmetatable(s, Sampling), x)
    if not core.is_tensor(latent) then error("a sampler gives a tensor, not " .. (latent == nil and "nothing (nil)" or type(latent)), 0) end
    return latent
  end
  return link_given("SAMPLER", core.given_sampler(call, options ~= nil and options.needs_uncond == true))
end

local unchecked = { name = "*", type = "*", kind = "any" }

local function checked(def, name, value)
  local input = def.by[name]
  if not input then
    if not def.variadic or type(name) ~= "string" then
      fail(format("%s has no input %s%s", def.name, shown(name), meant(name, input_names(def))))
    end
    input = unchecked
  end
  local mt = type(value) == "table" and getmetatable(value)
  if mt == Node then
    value = fitting(def, input, value)
    mt = Link
  end
  if mt == Link then
    if input.kind ~= "combo" and not fits(value._type, input.type) then wrong(def, input, value) end
    return value
  end
  if type(value) == "userdata" and value ~= core.null then return given_to(def, input, value) end
  local literal = not (mt and mt ~= core.list) and literals[input.kind](input, value)
  if literal == nil or (literal == false and (input.kind ~= "boolean" and input.kind ~= "any" or mt)) then wrong(def, input, value) end
  if input.kind == "boolean" and type(literal) ~= "boolean" then wrong(def, input, value) end
  return literal
end

-- ---- Classes --------------------------------------------------------------------------------------------------------------------

local classes = {}

--- What a combo takes: what its table lists, else what its folder or registry holds now.
local function choices(def, input)
  if input.choices or not input.folder then return input.choices or {} end
  local inputs = core.json_read(core.object_info(def.name))[def.name].input
  local row = inputs.required and inputs.required[input.name] or inputs.optional and inputs.optional[input.name]
  local list = {}
  for i = 1, row and row[1].n or 0 do list[i] = row[1][i] end
  return list
end

--- The names of a registry (samplers, schedulers) do not change: as good as listed in the table, and the first is the default.
local function list_registry(def, input)
  input.choices = choices(def, input)
  for i, name in ipairs(input.choices) do input.choices[name] = i end
  if input.def == nil then input.def = input.choices[1] end
end

local function complete(def)
  def.filled, def.needed, def.slots, def.by, def.names = {}, {}, {}, {}, {}
  for i, input in ipairs(def.inputs) do
    if input.folder and input.folder:byte() == 64 then list_registry(def, input) end -- "@samplers"
    input.check = literals[input.kind]
    def.by[input.name], def.names[i] = input, input.name
    if not input.optional then
      if input.def ~= nil and not input.socket then def.filled[#def.filled + 1] = input
      else def.needed[#def.needed + 1] = input end
    end
  end
  for slot, output in ipairs(def.outputs) do
    for _, name in ipairs { output.name, output.name:lower(), output.type } do
      if def.slots[name] == nil then def.slots[name] = slot end
    end
  end
  return def
end

--- The table of a class; of one that the engine does not know (in a workflow that was loaded) one that takes anything.
local function class(name, anything)
  local def = classes[name]
  if def then return def end
  def = core.node(name)
  if not def then
    if not anything then return nil end
    def = { name = name, title = name, variadic = true, unknown = true, inputs = {}, outputs = {} }
  end
  classes[name] = complete(def)
  return def
end

given_def = complete { name = "NodusGiven", title = "Value of a script", built = true, outputs = { { name = "value", type = "*" } },
  inputs = { { name = "name", type = "STRING", kind = "string" } } }
classes.NodusGiven = given_def

local function new(def)
  count = count + 1
  return setmetatable({ _def = def, _in = sized(#def.inputs), _order = count, _line = line(), _links = false, _title = nil }, Node)
end

--- The constructor of a class: a function of a table of inputs. `_title` names the node, `_id` is its id in the workflow.
local function constructor(name)
  local def = class(name)
  if not def then fail(format("there is no node %s%s", name, meant(name, core.node_names()))) end
  if not def.built then fail(format("%s is known, but this build cannot run it", name)) end
  local filled, inputs = def.filled, def.by
  return function(given)
    if given ~= nil and (type(given) ~= "table" or getmetatable(given)) then
      fail(format("%s takes a table of inputs: n.%s{ name = value }", name, name))
    end
    local node = new(def)
    local values = node._in
    for key, value in next, given or values do
      local input, kind = inputs[key], type(value)
      if input and (kind == "number" or kind == "string") then -- the common cases, quickly
        values[key] = input:check(value) or checked(def, key, value)
      elseif input and kind == "table" and getmetatable(value) == Link and value._type == input.type then
        values[key] = value
      elseif key == "_title" or key == "_id" then
        node[key] = tostring(value)
      else
        values[key] = checked(def, key, value)
      end
    end
    for i = 1, #filled do
      local input = filled[i]
      if values[input.name] == nil then values[input.name] = input.def end
    end
    return node
  end
end

--- n.unchecked(class): a constructor that takes what it is given, also of a class or with inputs that this build does not know; nothing is
--- filled in or refused before a run: `n.unchecked "Class" { input = 1 }`.
---@param class string
---@return fun(inputs: table): nodus.Node
local function as_given(name)
  local def = class(name, true)
  return function(given)
    local node = new(def)
    node._loaded, node._names = true, {}
    for key, value in next, given do
      if key == "_title" or key == "_id" then
        node[key] = tostring(value)
      else
        if getmetatable(value) == Node then value = fitting(def, def.by[key] or unchecked, value) end
        node._in[key] = value
      end
    end
    return node
  end
end

-- ---- Nodes and links ------------------------------------------------------------------------------------------------------------

function Node.__index(node, key)
  local def = rawget(node, "_def")
  if type(key) == "number" then
    if not def.unknown and not def.outputs[key] then
      fail(format("%s has %d outputs, counted from 1", def.name, #def.outputs))
    end
    return link_to(node, key)
  end
  if type(key) == "string" and key:byte() == 95 then return nil end -- "_…": its own fields
  local value = node._in[key]
  if value ~= nil then return value end
  if def.by[key] then return nil end
  local slot = def.slots[key]
  if slot then return link_to(node, slot) end
  if methods[key] then return methods[key] end
  local names = input_names(def)
  for _, output in ipairs(def.outputs) do names[#names + 1] = output.name end
  fail(format("%s has no input or output %s%s", def.name, shown(key), meant(key, names)))
end

function Node.__newindex(node, key, value)
  if type(key) == "string" and key:byte() == 95 then
    rawset(node, key, value)
  elseif value == nil then
    node._in[key] = nil
  else
    node._in[key] = checked(node._def, key, value)
  end
end

function Node.__tostring(node)
  return format("%s%s", node._def.name, node._title and format(" %q", node._title) or "")
end

--- node:outputs(): all outputs as links: local model, clip, vae = n.CheckpointLoaderSimple{ … }:outputs()
function methods.outputs(node)
  local links = {}
  for slot = 1, #node._def.outputs do links[slot] = link_to(node, slot) end
  return table.unpack(links)
end

Link.__index = link_methods

function Link.__tostring(link)
  return format("%s of %s", link._type, tostring(link._node))
end

return {
  Node = Node, Link = Link, methods = methods, link_methods = link_methods,
  constructor = constructor, choices = choices, class = class, new = new, checked = checked, meant = meant, shown = shown, link_to = link_to,
  as_given = as_given, latent = latent, sampler = sampler, fitting = fitting, unchecked = unchecked,
}
