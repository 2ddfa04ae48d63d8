--- complete.lua: what could stand at the end of a text that is being typed, for the console: `n.KSa`, `n.KSampler{ se`, `scheduler = "ka`,
--- `checkpoint.`, `graph:`.
---
--- One idea: nothing that is typed is executed. The text is read for its brackets and texts; a name in front of the end is looked up without
--- metamethods, so nobody's function is called, and objects of the library are known by their metatables.

local core, require = ...
local N, G = require "nodus.node", require "nodus.graph"
local nodus = require "nodus"
local byte, sub, find, match = string.byte, string.sub, string.find, string.match
local concat, sort, insert = table.concat, table.sort, table.insert
local type, rawget, next, ipairs, getmetatable, setmetatable = type, rawget, next, ipairs, getmetatable, setmetatable
local strings = string
local BLANKS, QUOTES = { [32] = true, [9] = true, [10] = true, [13] = true }, { [34] = true, [39] = true }
local OPEN, CLOSE = { [40] = true, [91] = true, [123] = true }, { [41] = true, [93] = true, [125] = true }

local Class, Output = {}, {} -- what stands for a class and for a link that was not made

local words = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or repeat return then true until while]]):gmatch "%a+" do
  words[#words + 1] = word
end

--- ---- Reading the text ----------------------------------------------------------------------------------------------------------

local function is_name(c)
  return c and (c >= 97 and c <= 122 or c >= 65 and c <= 90 or c >= 48 and c <= 57 or c == 95)
end

local function is_word(text)
  return type(text) == "string" and match(text, "^[%a_][%w_]*$") ~= nil
end

local function blanks_back(text, at)
  while at > 0 and BLANKS[byte(text, at)] do at = at - 1 end
  return at
end

--- Behind a text in quotes that begins at `at`; nil where the end comes first.
local function behind_quotes(text, at)
  local quote = byte(text, at)
  at = at + 1
  while at <= #text do
    local c = byte(text, at)
    if c == quote then return at + 1 end
    at = at + (c == 92 and 2 or 1)
  end
end

--- Behind a comment, or a text in long brackets, that begins at `at`; nil where the end comes first, false where there is none.
local function behind_long(text, at)
  local comment = byte(text, at) == 45
  if comment and byte(text, at + 1) ~= 45 then return false end
  local level = match(text, "^%[(=*)%[", comment and at + 2 or at)
  if not level and not comment then return false end
  local _, last = find(text, level and "]" .. level .. "]" or "\n", at, true)
  return last and last + 1
end

--- The brackets that are open at the end of the text, and where the text in quotes begins that is; nil: the end is in a comment.
local function scan(text)
  local stack, at = {}, 1
  while at <= #text do
    local c = byte(text, at)
    local behind = (c == 45 or c == 91) and behind_long(text, at)
    if behind == nil then return nil end
    if behind then
      at = behind - 1
    elseif QUOTES[c] then
      behind = behind_quotes(text, at)
      if not behind then return stack, at end
      at = behind - 1
    elseif OPEN[c] then
      stack[#stack + 1] = at
    elseif CLOSE[c] then
      stack[#stack] = nil
    end
    at = at + 1
  end
  return stack
end

--- The names of `a.b["c"]:d` that end at `at`: {"a", "b", "c", "d"}; nil where it is no such chain.
local function chain(text, at)
  local names = {}
  while true do
    at = blanks_back(text, at)
    local first = at
    if byte(text, at) == 93 then -- "]"
      local key = match(sub(text, 1, at), '%["([^"%]]*)"%]$') or match(sub(text, 1, at), "%['([^'%]]*)'%]$")
      if not key then return nil end
      insert(names, 1, key)
      at = at - #key - 4
    else
      while is_name(byte(text, at)) do at = at - 1 end
      local name = sub(text, at + 1, first)
      if not is_word(name) then return nil end
      insert(names, 1, name)
      local before = blanks_back(text, at)
      local c, other = byte(text, before), byte(text, before - 1)
      if c ~= 46 and c ~= 58 or c == other then return names end
      at = before - 1
    end
  end
end

--- ---- Looking names up ----------------------------------------------------------------------------------------------------------

local function metatable(value)
  local mt = getmetatable(value)
  return type(mt) == "table" and mt or nil
end

local function class_of(name)
  local def = N.class(name)
  return def and setmetatable({ def = def }, Class)
end

--- The class whose constructor a value is, or that stands for one.
local function constructed(value)
  if metatable(value) == Class then return value.def end
  if type(value) ~= "function" then return nil end
  for name, other in next, nodus do
    if other == value and not N.library[name] then return N.class(name) end
  end
end

local function graph_node(graph, key)
  for _, what in ipairs { "_id", "_title", "class" } do
    for _, node in ipairs(rawget(graph, "_nodes")) do
      if (what == "class" and node._def.name or rawget(node, what)) == key then return node end
    end
  end
end

--- The field of a value, without a metamethod.
local function field(value, key)
  local mt = metatable(value)
  if value == nodus then return rawget(nodus, key) or class_of(key) end
  if mt == N.Node then
    local given = rawget(value, "_in")[key]
    if given ~= nil then return given end
    return rawget(value, "_def").slots[key] and setmetatable({}, Output)
  end
  if mt == G.Graph then return graph_node(value, key) end
  if type(value) ~= "table" then return nil end
  local own = rawget(value, key)
  local more = own == nil and mt and rawget(mt, "__index")
  if type(more) == "table" and not metatable(more) then return rawget(more, key) end
  return own
end

local function look_up(names, globals, count)
  local value = names and rawget(globals, names[1])
  for i = 2, names and (count or #names) or 0 do value = field(value, names[i]) end
  return value
end

--- ---- What there is -------------------------------------------------------------------------------------------------------------

local function add_keys(list, t, only_functions)
  if type(t) ~= "table" then return end
  for key, value in next, t do
    if is_word(key) and (not only_functions or type(value) == "function") then list[#list + 1] = key end
  end
end

local function add_names(list, rows, suffix)
  for _, row in ipairs(rows) do list[#list + 1] = row.name .. (suffix or "") end
end

--- Behind `value.` or `value:`.
local function fields(value, methods_only)
  local list, mt = {}, metatable(value)
  if value == nodus then
    add_keys(list, N.library)
    for _, name in ipairs(methods_only and {} or core.node_names()) do list[#list + 1] = name end
  elseif mt == N.Node then
    add_keys(list, N.methods)
    if methods_only then return list end
    add_names(list, rawget(value, "_def").inputs)
    add_names(list, rawget(value, "_def").outputs)
  elseif mt == N.Link or mt == Output then
    add_keys(list, N.link_methods)
  elseif mt == G.Graph then
    add_keys(list, G.methods)
    for _, node in ipairs(methods_only and {} or rawget(value, "_nodes")) do
      add_keys(list, { [rawget(node, "_title") or node._def.name] = true })
    end
  elseif mt == G.Outputs then
    add_names(list, rawget(value, "_node")._def.outputs)
    add_keys(list, rawget(value, "_result"))
  elseif type(value) == "userdata" then
    add_keys(list, core.methods(value), true)
  elseif type(value) == "string" then
    add_keys(list, strings, true)
  elseif type(value) == "table" and mt ~= Class then
    add_keys(list, value, methods_only)
    local more = mt and rawget(mt, "__index")
    if type(more) == "table" then add_keys(list, more, methods_only) end
  end
  return list
end

--- The class of the constructor in whose braces the text ends.
local function class_around(text, stack, globals)
  local open = stack[#stack]
  if not open or byte(text, open) ~= 123 then return nil end
  return constructed(look_up(chain(text, open - 1), globals))
end

--- What the input may be that the text before "=" at `at` names.
local function choices_at(text, at, stack, globals)
  local names, def = chain(text, at - 1), nil
  if not names then return {} end
  if #names == 1 then
    def = class_around(text, stack, globals)
  else
    local node = look_up(names, globals, #names - 1)
    def = metatable(node) == N.Node and rawget(node, "_def") or nil
  end
  local input = def and def.by[names[#names]]
  return input and N.choices(def, input) or {}
end

--- Within quotes that begin at `quote`.
local function texts(text, quote, stack, globals)
  local at = blanks_back(text, quote - 1)
  local c = byte(text, at)
  if c == 61 then return choices_at(text, at, stack, globals) end
  local names = chain(text, (c == 40 or c == 91) and at - 1 or at)
  local value = look_up(names, globals)
  if c == 91 then
    local list = {}
    for _, node in ipairs(metatable(value) == G.Graph and rawget(value, "_nodes") or {}) do
      list[#list + 1] = rawget(node, "_title")
      list[#list + 1] = node._def.name
    end
    return list
  end
  if value ~= nil and (value == nodus.info or value == nodus.help or value == N.as_given) then return core.node_names() end
  return value ~= nil and value == rawget(globals, "require") and { "nodus" } or {}
end

--- Where no text and no field is: inputs in a constructor's braces, choices behind "=", names of Lua.
local function words_at(text, at, stack, globals)
  local before = blanks_back(text, at - 1)
  local c, list = byte(text, before), {}
  if c == 61 and byte(text, before - 1) ~= 61 then
    for _, choice in ipairs(choices_at(text, before, stack, globals)) do list[#list + 1] = '"' .. choice .. '"' end
    if #list > 0 then return list end
  end
  local def = (c == 123 or c == 44 or c == 59) and class_around(text, stack, globals)
  if def then
    add_names(list, def.inputs, " = ")
    list[#list + 1], list[#list + 2] = "_title = ", "_id = "
    return list
  end
  add_keys(list, globals)
  for _, word in ipairs(words) do list[#list + 1] = word end
  return list
end

--- ---- Completion ----------------------------------------------------------------------------------------------------------------

--- Those that begin with `begun`, in order, each once, one a line; names of one's own (_…) only where one is begun.
local function chosen(list, begun)
  local kept, seen = {}, {}
  for _, name in ipairs(list) do
    local own = byte(name) == 95 and byte(begun) ~= 95
    if sub(name, 1, #begun) == begun and not own and not seen[name] and not find(name, "\n", 1, true) then
      kept[#kept + 1], seen[name] = name, true
    end
  end
  sort(kept)
  return concat(kept, "\n")
end

--- The place from which on, and the names, one a line.
local function complete(text, globals)
  local stack, quote = scan(text)
  if not stack then return #text + 1, "" end
  if quote then return quote + 1, chosen(texts(text, quote, stack, globals), sub(text, quote + 1)) end
  local at = #text
  while is_name(byte(text, at)) do at = at - 1 end
  local begun, c = sub(text, at + 1), byte(text, at)
  if (c == 46 or c == 58) and byte(text, at - 1) ~= c then
    return at + 1, chosen(fields(look_up(chain(text, at - 1), globals), c == 58), begun)
  end
  return at + 1, chosen(words_at(text, at + 1, stack, globals), begun)
end

return { complete = complete }
