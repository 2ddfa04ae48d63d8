--- help.lua: help for people, mostly in the console: of a node by its name or constructor, of a function of the library, of the library.

local core, require = ...
local N, doc = require "nodus.node", require "nodus.doc"
local format, concat, gsub = string.format, table.concat, string.gsub
local type, ipairs, getmetatable, rawget, next, tostring = type, ipairs, getmetatable, rawget, next, tostring
local MOST_CHOICES = 40

--- A number as a table has it: whole ones without a fraction.
local function number(value)
  if type(value) == "number" and value == value // 1 and value > -1e15 and value < 1e15 then return format("%d", value) end
  return type(value) == "number" and format("%.10g", value) or tostring(value)
end

local function default(input)
  if input.def == nil or input.def == "" then return "" end
  return ", default " .. (type(input.def) == "string" and format("%q", input.def) or number(input.def))
end

local function range(input)
  if input.min == nil or input.max >= 2 ^ 62 then return "" end
  return format(", %s to %s", number(input.min), number(input.max))
end

--- The choices of an input, also those of folders and registries.
local function choices(def, input)
  local list = N.choices(def, input)
  if #list == 0 then return input.kind == "combo" and ", a file, but there is none" or "" end
  local some = concat(list, ", ", 1, math.min(#list, MOST_CHOICES))
  return format(", one of %s%s", some, #list > MOST_CHOICES and format(" and %d more", #list - MOST_CHOICES) or "")
end

local function input_text(def, input)
  local kind = input.kind == "combo" and gsub(choices(def, input), "^, ", "") or input.type .. range(input)
  return format("  %s: %s%s%s\n      %s", input.name, kind, default(input), input.optional and ", optional" or "", input.tooltip or "")
end

--- The help of a node as text; `def` is its table.
local function node_text(def)
  local lines = { format("n.%s{ … }%s, %s", def.name, def.title ~= def.name and " (" .. def.title .. ")" or "", def.category or "") }
  if not def.built then lines[#lines + 1] = "Known, but this build cannot run it." end
  if def.help then lines[#lines + 1] = def.help end
  if #def.inputs > 0 then lines[#lines + 1] = "\nInputs" end
  for _, input in ipairs(def.inputs) do lines[#lines + 1] = input_text(def, input) end
  if #def.outputs > 0 then lines[#lines + 1] = "\nOutputs" end
  for _, output in ipairs(def.outputs) do
    lines[#lines + 1] = format("  %s: %s%s", output.name, output.type, output.tooltip and ". " .. output.tooltip or "")
  end
  return concat(lines, "\n")
end

local function entry_text(entry)
  local lines = { doc.signature(entry), doc.sentence(entry.text) }
  for _, tag in ipairs(entry.tags) do lines[#lines + 1] = doc.explain(tag) end
  return (gsub(concat(lines, "\n"), "`", ""))
end

--- The entry of "sweep", "n.sweep" or "graph:run".
local function find_entry(name)
  for _, class in ipairs(doc.classes()) do
    for _, entry in ipairs(class.entries) do
      local own = entry.receiver .. entry.separator .. entry.name
      if own == name or gsub(own, ":", ".") == name or (class.receiver == "n" and entry.name == name) then return entry end
    end
  end
end

local function general()
  local lines = { [[
n.KSampler{ … } makes a node, node:run() runs it, node.LATENT:value() gives what it makes.
help(n.KSampler), help "KSampler": a node. help(n.sweep), help "graph:run": a function. n.nodes(): all nodes.
The library:]] }
  for _, class in ipairs(doc.classes()) do
    local names = {}
    for i, entry in ipairs(class.entries) do names[i] = entry.separator .. entry.name end
    lines[#lines + 1] = format("  %-8s %s", class.receiver, concat(names, " "))
  end
  return concat(lines, "\n")
end

--- What `nodus` (the library's table) calls this function.
local function name_of(nodus, value)
  for name, other in next, nodus do
    if other == value then return name end
  end
end

local function text_of(nodus, subject)
  local mt = type(subject) == "table" and getmetatable(subject)
  if subject == nil or subject == nodus then return general() end
  if mt == N.Node then return node_text(subject._def) end
  if mt == N.Link then return node_text(subject._node._def) end
  if type(subject) == "function" then subject = name_of(nodus, subject) end
  if type(subject) ~= "string" then core.fail "help is of a node, its constructor, or a name: help \"KSampler\"" end
  local def = N.class((gsub(subject, "^n%.", "")))
  if def and not def.unknown then return node_text(def) end
  local entry = find_entry(subject)
  if entry then return entry_text(entry) end
  core.fail(format("there is no help for %s%s", subject, N.meant(subject, core.node_names())))
end

return { text_of = text_of, node_text = node_text }
