--- sweep.lua: the same study for every combination of some values. `n.sweep({ seed = {1, 2, 3}, cfg = {4, 7} }, function(p) … end)` calls
--- the function with p.seed and p.cfg; the table that it returns (numbers, texts, pictures) is one row of the result, which prints, is
--- written as CSV, and makes contact sheets of its pictures. Since one engine makes them all, what does not change is made once.

local core = ...
local fail, format, concat = core.fail, string.format, table.concat
local type, ipairs, pairs, setmetatable = type, ipairs, pairs, setmetatable

local Table, methods = {}, {}
Table.__index = methods

--- Axes in their order: a list of { name, values } keeps it, a table by name is sorted.
local function axes_of(given)
  local axes = {}
  if given[1] then
    for i, axis in ipairs(given) do axes[i] = { name = axis[1], values = axis[2] } end
  else
    for name, values in pairs(given) do axes[#axes + 1] = { name = name, values = values } end
    table.sort(axes, function(a, b) return a.name < b.name end)
  end
  for _, axis in ipairs(axes) do
    if type(axis.name) ~= "string" or type(axis.values) ~= "table" or #axis.values == 0 then
      fail("sweep takes axes: { seed = {1, 2, 3} }, or { {\"seed\", {1, 2, 3}}, … }")
    end
  end
  return axes
end

local function combinations(axes)
  local all = { {} }
  for _, axis in ipairs(axes) do
    local more = {}
    for _, point in ipairs(all) do
      for _, value in ipairs(axis.values) do
        local copy = { [axis.name] = value }
        for k, v in pairs(point) do copy[k] = v end
        more[#more + 1] = copy
      end
    end
    all = more
  end
  return all
end

local function sweep(given, body)
  if type(given) ~= "table" or type(body) ~= "function" then
    fail("sweep takes axes and a function: n.sweep({ seed = {1, 2} }, function(p) … end)")
  end
  local self = setmetatable({ axes = axes_of(given), columns = {} }, Table)
  local known = {}
  for _, axis in ipairs(self.axes) do
    known[axis.name] = true
    self.columns[#self.columns + 1] = axis.name
  end
  for i, point in ipairs(combinations(self.axes)) do
    local row, more = body(point), {}
    if type(row) ~= "table" then row = { value = row } end
    for name in pairs(row) do
      if not known[name] then more[#more + 1] = name end
      known[name] = true
    end
    table.sort(more)
    for _, name in ipairs(more) do self.columns[#self.columns + 1] = name end
    for name, value in pairs(point) do row[name] = value end
    self[i] = row
  end
  return self
end

local function cell(value)
  if math.type(value) == "float" then return format("%.6g", value) end
  return value == nil and "" or tostring(value)
end

function Table.__tostring(self)
  local width, lines = {}, {}
  local rows = { self.columns }
  for i, row in ipairs(self) do
    rows[i + 1] = {}
    for c, name in ipairs(self.columns) do rows[i + 1][c] = cell(row[name]) end
  end
  for _, row in ipairs(rows) do
    for c, text in ipairs(row) do width[c] = math.max(width[c] or 0, utf8.len(text) or #text) end
  end
  for i, row in ipairs(rows) do
    local parts = {}
    for c, text in ipairs(row) do parts[c] = text .. (" "):rep(width[c] - (utf8.len(text) or #text)) end
    lines[i] = (concat(parts, "  "):gsub(" +$", ""))
  end
  return concat(lines, "\n")
end

--- Writes the rows into the output folder, in the form of RFC 4180; pictures by their shape.
function methods.csv(self, name)
  local lines = {}
  local function quote(text)
    return text:find('[",\r\n]') and '"' .. text:gsub('"', '""') .. '"' or text
  end
  local head = {}
  for c, column in ipairs(self.columns) do head[c] = quote(column) end
  lines[1] = concat(head, ",")
  for i, row in ipairs(self) do
    local parts = {}
    for c, column in ipairs(self.columns) do
      local value = row[column]
      parts[c] = quote(math.type(value) == "float" and format("%.17g", value) or cell(value))
    end
    lines[i + 1] = concat(parts, ",")
  end
  core.save_text(name, concat(lines, "\r\n") .. "\r\n")
  return self
end

--- One picture of all: the values of the last axis side by side. `column`: which of the row's pictures.
function methods.sheet(self, column)
  local across, rows = #self.axes[#self.axes].values, {}
  for first = 1, #self, across do
    local line = {}
    for i = first, first + across - 1 do
      local picture = self[i][column or "image"]
      if type(picture) ~= "userdata" then fail(format("row %d has no picture %q", i, tostring(column or "image"))) end
      if #picture:shape() == 4 then picture = picture[1] end
      line[#line + 1] = picture
    end
    rows[#rows + 1] = core.concat(line, 2)
  end
  return core.concat(rows, 1)
end

return { sweep = sweep }
