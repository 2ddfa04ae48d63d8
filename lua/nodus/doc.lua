--- doc.lua: the documentation comments of the library's own files as tables: for docs/lua-library.md (`nodus reference lua`), help() and
--- LuaLS. An entry is a block of lines with three hyphens, of which the first is `receiver.name(arguments): text`, `receiver:name(…): text`
--- or `receiver.field: text`; `receiver (nodus.Class): text` tells of a whole class. Tags such as @param are LuaLS's, and say the types.

local core = ...
local format, concat, sort = string.format, table.concat, table.sort
local sub, match, gsub, gmatch, find = string.sub, string.match, string.gsub, string.gmatch, string.find

--- The order of classes on the page; others follow.
local ORDER = { "n", "node", "link", "graph", "result", "outputs", "tensor", "value", "sweep" }

--- (patterns of few repetitions, as the sandbox wants them)
local function begin(line)
  local receiver, at = match(line, "^(%l[%w_]*)()")
  if not receiver then return nil end
  local rest = sub(line, at)
  local class, behind = match(rest, "^ %((nodus%.%u%w*)%):()")
  if class then return { receiver = receiver, class = class, text = (gsub(sub(rest, behind), "^ ", "")) } end
  local separator, name, after = match(rest, "^([.:])([%w_]+)()")
  if not name or name == "lua" then return nil end
  rest = sub(rest, after)
  local arguments = match(rest, "^%b()")
  if arguments then rest = sub(rest, #arguments + 1) end
  if sub(rest, 1, 1) ~= ":" then return nil end
  return { receiver = receiver, separator = separator, name = name, arguments = arguments and sub(arguments, 2, -2),
    text = (gsub(sub(rest, 2), "^ ", "")) }
end

--- The entries of one file, in order.
local function parse(source, entries)
  local entry
  for line in gmatch(source, "([^\n]*)\n") do
    local text = match(line, "^%s*%-%-%- ?(.*)$")
    if not text then
      entry = nil
    elseif sub(text, 1, 1) == "@" then
      if entry then entry.tags[#entry.tags + 1] = text end
    elseif entry then
      entry.text = entry.text .. "\n" .. text
    else
      entry = begin(text)
      if entry then
        entry.tags = {}
        entries[#entries + 1] = entry
      end
    end
  end
end

--- receivers in order: each with class, text, tags, and its entries.
local function classes()
  local entries, by, order = {}, {}, {}
  local modules = core.module_names()
  sort(modules)
  for _, name in ipairs(modules) do parse(core.source(name), entries) end
  local function of(receiver)
    if not by[receiver] then
      by[receiver] = { receiver = receiver, text = "", tags = {}, entries = {},
        class = receiver == "n" and "nodus" or "nodus." .. receiver:sub(1, 1):upper() .. receiver:sub(2) }
    end
    return by[receiver]
  end
  for _, entry in ipairs(entries) do
    local class = of(entry.receiver)
    if entry.class then class.class, class.text, class.tags = entry.class, entry.text, entry.tags
    else class.entries[#class.entries + 1] = entry end
  end
  for _, receiver in ipairs(ORDER) do
    if by[receiver] then order[#order + 1] = by[receiver] end
    by[receiver] = nil
  end
  local others = {}
  for receiver in pairs(by) do others[#others + 1] = receiver end
  sort(others)
  for _, receiver in ipairs(others) do order[#order + 1] = by[receiver] end
  for _, class in ipairs(order) do
    sort(class.entries, function(a, b) return a.name < b.name end)
  end
  return order
end

--- "graph:run([options])": as people write it.
local function signature(entry)
  local arguments = entry.arguments and "(" .. gsub(entry.arguments, ", %[([^%]]*)%]", "[, %1]") .. ")" or ""
  return entry.receiver .. entry.separator .. entry.name .. arguments
end

--- Text that begins a sentence.
local function sentence(text)
  return (gsub(text, "^%l", string.upper))
end

--- "@param seed? integer the seed" → "seed", "integer", "the seed". A type has blanks only within brackets or behind a colon or comma.
local function typed(rest)
  local depth, at = 0, 1
  while at <= #rest do
    local c = sub(rest, at, at)
    if find(c, "[%(%[{<]") then depth = depth + 1
    elseif find(c, "[%)%]}>]") then depth = depth - 1
    elseif c == " " and depth == 0 and not find(sub(rest, at - 1, at - 1), "[:,|]") then break end
    at = at + 1
  end
  return sub(rest, 1, at - 1), (gsub(sub(rest, at + 1), "^# ?", ""))
end

local function explain(tag)
  local name, rest = match(tag, "^@param (%S+) (.*)$")
  if name then
    local kind, text = typed(rest)
    local optional = sub(name, -1) == "?"
    return format("- `%s`%s: `%s`%s", gsub(name, "%?$", ""), optional and " (optional)" or "", kind, text ~= "" and ": " .. text or "")
  end
  rest = match(tag, "^@return (.*)$")
  if rest then
    local kind, text = typed(rest)
    return format("- gives `%s`%s", kind, text ~= "" and ": " .. text or "")
  end
  name, rest = match(tag, "^@field (%S+) (.*)$")
  if name then
    local kind, text = typed(rest)
    return format("- `%s`: `%s`%s", name, kind, text ~= "" and ": " .. text or "")
  end
  rest = match(tag, "^@type (.*)$")
  return rest and format("- `%s`", rest)
end

local HEAD = [[
# The Lua library

<!-- Generated from the documentation comments in lua/nodus/*.lua by docs/make_reference: change those, not this file. -->

[lua.md](lua.md) is the guide; here is everything that `local n = require "nodus"` has beside the constructors of the nodes. In the console
`help(n.sweep)` shows the same.
]]

local TITLES = { n = "n: the library" }

local function add_tags(lines, tags)
  local some = false
  for _, tag in ipairs(tags) do
    local line = explain(tag)
    if line then
      if not some then lines[#lines + 1] = "" end
      some = true
      lines[#lines + 1] = line
    end
  end
end

--- The text of docs/lua-library.md.
local function page()
  local lines = { HEAD }
  for _, class in ipairs(classes()) do
    lines[#lines + 1] = format("## %s\n", TITLES[class.receiver] or format("%s: `%s`", class.receiver, class.class))
    if class.text ~= "" then lines[#lines + 1] = sentence(class.text) end
    add_tags(lines, class.tags)
    if class.text ~= "" or #class.tags > 0 then lines[#lines + 1] = "" end
    for _, entry in ipairs(class.entries) do
      lines[#lines + 1] = format("### `%s`\n\n%s", signature(entry), sentence(entry.text))
      add_tags(lines, entry.tags)
      lines[#lines + 1] = ""
    end
  end
  return (gsub(concat(lines, "\n"), "\n+$", ""))
end

return { classes = classes, signature = signature, sentence = sentence, page = page, explain = explain }
