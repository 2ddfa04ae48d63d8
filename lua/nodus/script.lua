--- script.lua: a graph as the Lua script that makes it: `graph:to_lua()`, and `nodus convert W.json --lua`.
---
--- One idea: the script says no more than it must, and what it must say is asked of those who will read it: node.lua, whether a constructor
--- takes a value and fills in a default; graph.lua, which ids nodes get by themselves. What comes from the workflow (titles, classes,
--- texts) is written as a quoted text or not at all, so a workflow cannot smuggle code into its script.

local core, require = ...
local N, G = require "nodus.node", require "nodus.graph"
local fail, format, concat, sort = core.fail, string.format, table.concat, table.sort
local type, getmetatable, ipairs, pairs, pcall = type, getmetatable, ipairs, pairs, pcall
local Link, list_type = N.Link, core.list

local WIDTH, LONGEST_NAME, MOST_LOCALS = 140, 24, 150 -- columns, letters; Lua allows 200 local variables

-- ---- Values -----------------------------------------------------------------------------------------------------------------------

local escapes = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\t"] = "\\t", ["\r"] = "\\r" }

local function quoted(text)
  return '"' .. text:gsub('[%c"\\]', function(c) return escapes[c] or format("\\%03d", c:byte()) end) .. '"'
end

--- Between long brackets of a level that the text does not close.
local function bracketed(text)
  local level = ""
  while text:find("]" .. level .. "]", 1, true) or text:sub(-1 - #level) == "]" .. level do level = level .. "=" end
  return format("[%s[%s]%s]", level, text, level)
end

--- A text as Lua has it: a long one of several lines between brackets, where that says the same.
local function text_of(text)
  local flat, lines = text:gsub("\n", "")
  if lines == 0 or #text < 40 or flat:find("%c") then return quoted(text) end
  return bracketed("\n" .. text)
end

local words = {}
local reserved = "and break do else elseif end false for function goto if in local nil not or repeat return then true until while"
for word in reserved:gmatch("%a+") do
  words[word] = true
end

local function is_name(text)
  return text:find("^[%a_][%w_]*$") and not words[text]
end

local function key_of(name)
  return is_name(name) and name or "[" .. quoted(name) .. "]"
end

--- A number for an input of that kind; a constructor makes a float of an integer where it needs one, and a seed from 2^63 on is negative
--- in Lua.
local function number_of(value, kind)
  if math.type(value) == "integer" then
    if value < 0 and kind == "seed" or value == math.mininteger then return format("0x%x", value) end
    return format("%d", value)
  end
  return kind == "float" and value == math.floor(value) and math.abs(value) < 1e15 and format("%d", value) or core.json_write(value)
end

--- A literal. Lists and objects are read from JSON again.
local function literal_of(value, kind)
  local is = type(value)
  if is == "string" then return text_of(value) end
  if is == "number" then return number_of(value, kind) end
  if is == "boolean" then return tostring(value) end
  if is == "table" then return "n.json " .. bracketed(G.value_text(value)) end
  if value ~= core.null then fail("a value that only the script has cannot be written as one") end
  return "n.null"
end

-- ---- Names ------------------------------------------------------------------------------------------------------------------------

local small = { the = true, a = true, an = true, of = true, to = true, its = true, with = true, ["and"] = true, ["in"] = true }
local plain = { loader = true, simple = true, load = true, encode = true, decode = true, advanced = true }

--- Words as a name: without the `dropped` ones at its ends; nil where nothing is left, or more than LONGEST_NAME letters and not `cut`.
local function joined(text, dropped, cut)
  local parts, length = {}, 0
  for word in text:lower():gmatch("%w+") do
    if length + #word > LONGEST_NAME then
      if not cut then return nil end
      break
    end
    if #parts > 0 or not dropped[word] then
      parts[#parts + 1] = word
      length = length + #word + 1
    end
  end
  while dropped[parts[#parts]] do parts[#parts] = nil end
  local name = concat(parts, "_")
  if name == "" then return nil end
  return is_name(name) and name or "node_" .. name
end

--- The words of a class: "CheckpointLoaderSimple" is "Checkpoint Loader Simple", "VAEDecode" is "VAE Decode".
local function class_words(class)
  return (class:gsub("(%l)(%u)", "%1 %2"):gsub("(%u)(%u%l)", "%1 %2"))
end

--- The inputs that take a node, where they have one name: by node; true where they differ. How often each class occurs.
local function find_roles(nodes)
  local roles, classes = {}, {}
  for _, node in ipairs(nodes) do
    classes[node._def] = (classes[node._def] or 0) + 1
    for name, value in pairs(node._in) do
      if getmetatable(value) == Link then
        local role = roles[value._node]
        roles[value._node] = (role == nil or role == name) and name or true
      end
    end
  end
  return roles, classes
end

--- What a node is called: by its own title; else, if its class occurs again, by what it is for ("positive"); else by its class.
local function name_of(node, roles, classes)
  local def, role = node._def, roles[node]
  local own = node._title and node._title ~= def.title and node._title ~= def.name
  return own and joined(node._title, small) or classes[def] > 1 and type(role) == "string" and joined(role, small)
    or joined(class_words(def.name), plain, true) or joined(class_words(def.name), small, true) or "node"
end

local taken_names = { n = true, graph = true, arg = true, require = true, nodes = true }

--- Variables by node; those of a table where there are more than a function may have.
local function name_all(nodes)
  local names, taken, last, roles, classes = {}, {}, {}, find_roles(nodes)
  for _, node in ipairs(nodes) do
    local base = name_of(node, roles, classes)
    local name, at = base, last[base] or 1
    while taken[name] or taken_names[name] do
      at = at + 1
      name = base .. (base:find("%d$") and "_" or "") .. at
    end
    taken[name], last[base] = true, at
    names[node] = #nodes > MOST_LOCALS and "nodes." .. name or name
  end
  return names, roles
end

-- ---- Order and ids ----------------------------------------------------------------------------------------------------------------

local function by_name(node)
  local names = {}
  for name in pairs(node._in) do names[#names + 1] = name end
  sort(names)
  return names
end

--- Each node behind those that it needs, else in the order that they have.
local function ordered(nodes)
  local out, state = {}, {}
  for _, root in ipairs(nodes) do
    local stack = { { node = root, names = by_name(root), at = 0 } }
    while #stack > 0 and (state[root] ~= "done") do
      local top = stack[#stack]
      state[top.node] = "open"
      top.at = top.at + 1
      local name = top.names[top.at]
      local value = name and top.node._in[name]
      if not name then
        state[top.node] = "done"
        out[#out + 1] = top.node
        stack[#stack] = nil
      elseif getmetatable(value) == Link then
        local needed = value._node
        if state[needed] == "open" then fail(format("%s needs itself: no script can make that", tostring(needed))) end
        if not state[needed] then stack[#stack + 1] = { node = needed, names = by_name(needed), at = 0 } end
      end
    end
  end
  return out
end

--- The ids that have to be said: those that counting does not give.
local function said_ids(nodes, ids)
  local said, taken, last = {}, {}, 0
  for _, node in ipairs(nodes) do
    local before = last
    repeat last = last + 1 until not taken[tostring(last)]
    if ids[node] ~= tostring(last) then
      said[node], taken[ids[node]], last = ids[node], true, before
    end
  end
  return said
end

-- ---- Nodes ------------------------------------------------------------------------------------------------------------------------

--- Whether the constructor takes the value and the workflow then has the same.
local function is_taken(def, name, value)
  if name:find("^_") or (not def.by[name] and not def.variadic) then return false end
  local good, made = pcall(N.checked, def, name, value)
  return good and made == value
end

local function has_constructor(node)
  local def = node._def
  if not def.built or N.library[def.name] then return false end
  for name, value in pairs(node._in) do
    if not is_taken(def, name, value) then return false end
  end
  for _, input in ipairs(def.needed) do
    if node._in[input.name] == nil then return false end
  end
  return true
end

--- An output: the node itself where only one output can be meant, else by name or number.
local function link_of(writer, node, name, link)
  local made, def = link._node, link._node._def
  local variable = writer.names[made]
  local good, meant = pcall(N.fitting, node._def, node._def.by[name] or N.unchecked, made)
  if good and meant == link then return variable end
  local output = def.outputs[link._slot]
  local word = output and output.name
  local free = word and is_name(word) and word:byte() ~= 95 and def.slots[word] == link._slot and not def.by[word] and made._in[word] == nil
  return free and variable .. "." .. word or format("%s[%d]", variable, link._slot)
end

--- The fields between the braces: links, then values, then what is said of the node itself. Defaults behind the last value that is none
--- are left out, but no text: so `width` stays beside `height`.
local function fields_of(writer, node, constructed)
  local links, values, filled, last = {}, {}, {}, 0
  for _, input in ipairs(constructed and not writer.complete and node._def.filled or {}) do filled[input.name] = input.def end
  G.each_input(node, function(name, value)
    if name == "_id" or name == "_title" then fail(format("%s has an input called %s: no script can say that", tostring(node), name)) end
    if getmetatable(value) == Link then
      links[#links + 1] = format("%s = %s", key_of(name), link_of(writer, node, name, value))
    else
      local kind = node._def.by[name] and node._def.by[name].kind
      values[#values + 1] = format("%s = %s", key_of(name), literal_of(value, (constructed or kind == "seed") and kind))
      if filled[name] ~= value or kind == "string" then last = #values end
    end
  end)
  for i = #values, last + 1, -1 do values[i] = nil end
  if writer.said[node] then
    local id = node._id
    values[#values + 1] = "_id = " .. (id:find("^[1-9]%d*$") and #id < 16 and id or quoted(id))
  end
  if node._title then values[#values + 1] = "_title = " .. quoted(node._title) end
  return links, values
end

--- Fields in lines of at most WIDTH columns.
local function wrapped(fields, lines)
  local line = ""
  for _, field in ipairs(fields) do
    if line ~= "" and (#line + #field + 2 > WIDTH or field:find("\n") or line:find("\n")) then
      lines[#lines + 1] = line
      line = ""
    end
    line = (line == "" and "  " or line .. " ") .. field .. ","
  end
  if line ~= "" then lines[#lines + 1] = line end
end

local function call_of(writer, node, before)
  local name, constructed = node._def.name, has_constructor(node)
  local links, values = fields_of(writer, node, constructed)
  local make = constructed and (is_name(name) and "n." .. name or format("n[%s]", quoted(name))) or "n.unchecked " .. quoted(name) .. " "
  local all = { table.unpack(links) }
  for _, field in ipairs(values) do all[#all + 1] = field end
  local flat = #all == 0 and make .. "{}" or format("%s{ %s }", make, concat(all, ", "))
  if #before + (utf8.len(flat) or #flat) <= WIDTH and not flat:find("\n") then return before .. flat, constructed end
  local lines = { before .. make .. "{" }
  if #concat(all, ", ") < WIDTH - 2 then links, values = all, {} end
  wrapped(links, lines)
  wrapped(values, lines)
  lines[#lines + 1] = "}"
  return concat(lines, "\n"), constructed
end

--- `name.input = nil` for what a constructor fills in and the workflow does not have.
local function add_absent(writer, node)
  for _, input in ipairs(node._def.filled) do
    if node._in[input.name] == nil then
      local key = is_name(input.name) and "." .. input.name or "[" .. quoted(input.name) .. "]"
      writer[#writer + 1] = format("%s%s = nil", writer.names[node], key)
    end
  end
end

local function add_node(writer, node)
  local call, constructed = call_of(writer, node, format("%s%s = ", writer.table and "" or "local ", writer.names[node]))
  writer[#writer + 1] = call
  if constructed then add_absent(writer, node) end
end

--- The graph: of the nodes that no other takes. Those that show nothing come last: they are not asked for, as in a file.
local function add_graph(writer, nodes, roles)
  local shown, more = {}, {}
  for _, node in ipairs(nodes) do
    if not roles[node] then
      local list = (node._def.output or node._def.unknown) and shown or more
      list[#list + 1] = writer.names[node]
    end
  end
  if #shown == 0 then shown, more = more, {} end
  local line = "local graph = n.graph(" .. shown[1]
  local function add(name, apart)
    if apart or #line + #name + 3 > WIDTH then
      writer[#writer + 1] = line .. ")"
      line = "graph:add(" .. name
    else
      line = line .. ", " .. name
    end
  end
  for i = 2, #shown do add(shown[i]) end
  for i, name in ipairs(more) do add(name, i == 1) end
  writer[#writer + 1] = line .. ")"
end

--- ---- The script --------------------------------------------------------------------------------------------------------------------

--- graph:to_lua([options]): the graph as a script that makes and runs it or, with the argument json, writes it as JSON: what `nodus convert
--- --lua` writes. Options: name, of the script and the JSON; complete: also the values that are defaults.
---@param options? { name?: string, complete?: boolean }
---@return string
local function to_lua(graph, options)
  options = options or {}
  local nodes, ids = ordered(graph:nodes()), graph:ids()
  G.refuse_given(nodes)
  local name = type(options.name) == "string" and options.name:gsub("[^%w%-_. ]", "_") or "workflow"
  local names, roles = name_all(nodes)
  local writer = { names = names, said = said_ids(nodes, ids), complete = options.complete, table = #nodes > MOST_LOCALS }
  writer[1] = format("-- %s.lua: nodus run %s.lua; with the argument json it writes the workflow.", name, name)
  writer[2] = 'local n = require "nodus"'
  writer[3] = writer.table and "local nodes = {}\n" or ""
  for _, node in ipairs(nodes) do add_node(writer, node) end
  add_graph(writer, nodes, roles)
  writer[#writer + 1] = ""
  writer[#writer + 1] = format("if arg[1] == \"json\" then graph:save %s else graph:run() end", quoted(name .. ".json"))
  return concat(writer, "\n")
end

G.methods.to_lua = to_lua
return { to_lua = to_lua }
