--- sweep.lua: the same study for every combination of some values. `n.sweep({ seed = {1, 2, 3}, cfg = {4, 7} }, function(p) … end)` calls
--- the function with p.seed and p.cfg; the table that it returns (numbers, texts, pictures) is one row of the result, which prints, is
--- written as CSV, and makes plots of its numbers and contact sheets of its pictures. Since one engine makes them all, what does not change
--- is made once.

local core, require = ...
local N, gathering = require "nodus.node", require("nodus.graph").gathering
local create, resume, status = coroutine.create, coroutine.resume, coroutine.status
local fail, format, concat = core.fail, string.format, table.concat
local type, ipairs, pairs, setmetatable = type, ipairs, pairs, setmetatable

local Table, methods = {}, {}
local nothing = {}
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

--- Goes on with one call of the body until it wants a run, or has its row.
local function go_on(call)
  local good, value = resume(call.thread, call.point)
  if not good then error(value, 0) end
  if status(call.thread) == "dead" then call.row, call.job = value, nil else call.job = value end
end

--- The rows of all points, `jobs` runs at a time. The bodies take turns: each goes on until it wants a run, then those are made together.
local function rows_of(points, body, jobs)
  local calls, under_way, at = {}, {}, 0
  while at < #points or #under_way > 0 do
    while #under_way < jobs and at < #points do
      at = at + 1
      local call = { thread = create(body), point = points[at] }
      calls[at], gathering[call.thread] = call, true
      go_on(call)
      if call.job then under_way[#under_way + 1] = call end
    end
    local wanted, left = {}, {}
    for i, call in ipairs(under_way) do wanted[i] = call.job end
    core.run(wanted, jobs)
    for pass = 1, 2 do -- a run that failed speaks before those that were left out for it
      for _, call in ipairs(under_way) do
        if call.job and (call.job.status == "success") == (pass == 2) and (pass == 2 or call.job.status ~= "skipped") then go_on(call) end
      end
    end
    for _, call in ipairs(under_way) do
      if call.job then left[#left + 1] = call end
    end
    under_way = left
  end
  local rows = {}
  for i, call in ipairs(calls) do rows[i] = call.row end
  return rows
end

--- n.sweep(axes, body, [options]): calls body(p) for each combination of the axes' values; the tables that it returns are the rows. With the
--- option jobs so many of the runs that it makes are under way at once: its calls take turns.
---@param axes table
---@param body fun(p: table): table
---@param options? table
---@return nodus.Sweep
local function sweep(given, body, options)
  if type(given) ~= "table" or type(body) ~= "function" then
    fail("sweep takes axes and a function: n.sweep({ seed = {1, 2} }, function(p) … end)")
  end
  local self = setmetatable({ axes = axes_of(given), columns = {} }, Table)
  local known = {}
  for _, axis in ipairs(self.axes) do
    known[axis.name] = true
    self.columns[#self.columns + 1] = axis.name
  end
  local points, jobs = combinations(self.axes), options and options.jobs
  local rows = jobs and rows_of(points, body, jobs)
  for i, point in ipairs(points) do
    local row, more = rows and rows[i], {}
    if not rows then row = body(point) end
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

-- ---- Means, tables, plots -------------------------------------------------------------------------------------------------------

--- Whether the sweep has such an axis, or column: else the script is wrong.
local function require_name(list, name, what)
  local names = {}
  for i, entry in ipairs(list) do
    names[i] = type(entry) == "table" and entry.name or entry
    if names[i] == name then return name end
  end
  fail(format("this sweep has no %s %s%s; it has %s", what, N.shown(name), N.meant(tostring(name), names), concat(names, ", ")))
end

--- The names of the columns in which every row that has a value has one of these types.
local function columns_of(self, ...)
  local fits, names = {}, {}
  for _, kind in ipairs { ... } do fits[kind] = true end
  for _, name in ipairs(self.columns) do
    local all = true
    for _, row in ipairs(self) do all = all and (row[name] == nil or fits[type(row[name])] or false) end
    if all then names[#names + 1] = name end
  end
  return names
end

--- sweep:means(axis, …): a sweep without these axes: its rows hold the means over their values. Only numbers stay; where a row
--- lacks one there is no mean.
---@param axis string
---@return nodus.Sweep
function methods.means(self, ...)
  local over, by, means = {}, {}, setmetatable({ axes = {}, columns = {} }, Table)
  for _, name in ipairs { ... } do over[require_name(self.axes, name, "axis")] = true end
  for _, axis in ipairs(self.axes) do
    if not over[axis.name] then
      means.axes[#means.axes + 1] = axis
      means.columns[#means.columns + 1], over[axis.name] = axis.name, true
    end
  end
  local first = #means.columns + 1
  for _, name in ipairs(columns_of(self, "number")) do
    if not over[name] then means.columns[#means.columns + 1] = name end
  end
  for _, row in ipairs(self) do
    local key, count = {}, nil
    for i, axis in ipairs(means.axes) do key[i] = format("%s %q", math.type(row[axis.name]), tostring(row[axis.name])) end
    key = concat(key, ",")
    local mean = by[key] or { rows = 0 }
    if not by[key] then
      by[key], means[#means + 1] = mean, mean
      for _, axis in ipairs(means.axes) do mean[axis.name] = row[axis.name] end
    end
    count, mean.rows = mean.rows, mean.rows + 1
    for c = first, #means.columns do
      local name = means.columns[c]
      mean[name] = ((mean[name] or 0) * count + (row[name] or 0 / 0)) / mean.rows
    end
  end
  for _, mean in ipairs(means) do
    mean.rows = nil
    for name, value in pairs(mean) do
      if value ~= value then mean[name] = nil end -- some row has none
    end
  end
  return means
end

--- What stands in a TABLE: nil for a number that is not finite.
local function table_cell(name, value)
  if type(value) == "number" and value - value ~= 0 then return nil end
  return name == "label" and cell(value) or value
end

--- sweep:table([columns]): the rows as a TABLE, for SaveTable, PlotTable or TableJoin. `columns`: which, in this order; all of numbers and
--- texts unless they are given. A number that is not finite is an empty cell; a column "label" becomes texts.
---@param columns? string[]
---@return nodus.Link
function methods.table(self, columns)
  local names, join, filled = columns or columns_of(self, "number", "string", "boolean"), {}, {}
  for _, name in ipairs(names) do
    require_name(self.columns, name, "column")
    if name:find "," then fail(format("a TABLE cannot have a column with a comma in its name: %q", name)) end
    for _, row in ipairs(self) do filled[name] = filled[name] or table_cell(name, row[name]) ~= nil end
  end
  for i, row in ipairs(self) do
    local cells = { label = "" }
    for _, name in ipairs(names) do
      cells[name] = table_cell(name, row[name])
      if not filled[name] then cells[name] = "" end -- some row must have it, or TableJoin knows no such column
    end
    join[i == 1 and "tables" or format("row%06d", i)] = N.constructor "TableRow"(cells)
  end
  join.columns = concat(names, ", ")
  return N.constructor "TableJoin"(join).TABLE
end

--- sweep:plot(how): a picture of columns of numbers over another: `study:plot{ x = "strength", y = "psnr", group = "mask" }`. x: the first
--- axis unless it is given; y: one name or a list of them, all numbers that are no axis unless given; group: the column whose values each
--- get a line of their own. style: "lines", "points" or "bars". For means over an axis: `study:means("seed"):plot{ … }`.
---@param how? { x?: string, y?: string|string[], group?: string, style?: string, width?: integer, height?: integer }
---@return nodus.Tensor
function methods.plot(self, how)
  how = how or nothing
  local axes, y, columns, seen = {}, how.y or {}, {}, {}
  for _, axis in ipairs(self.axes) do axes[axis.name] = true end
  if type(y) ~= "table" then y = { y } end
  for _, name in ipairs(how.y and nothing or columns_of(self, "number")) do
    local finite = false
    for _, row in ipairs(self) do finite = finite or row[name] and row[name] - row[name] == 0 end
    if finite and not axes[name] and name ~= "label" then y[#y + 1] = name end
  end
  local x = how.x or self.axes[1] and self.axes[1].name
  if not x or #y == 0 then fail "plot takes columns: sweep:plot{ x = \"strength\", y = \"psnr\", group = \"mask\" }" end
  for _, name in ipairs { x, how.group or x, table.unpack(y) } do
    if not seen[name] then columns[#columns + 1] = name end
    seen[name] = true
  end
  local plot = N.constructor "PlotTable" {
    table = self:table(columns), x = x, y = concat(y, ", "), group_by = how.group or "",
    style = how.style, width = how.width, height = how.height,
  }
  return plot.IMAGE:value()[1]
end

-- ---- Contact sheets -------------------------------------------------------------------------------------------------------------

local PAPER, GAP = 250 / 255, 8 -- as in the sheets of `nodus run --sweep`

--- A picture in the upper left of a larger one.
local function on_paper(picture, height, width)
  local shape = picture:shape()
  if shape[2] < width then picture = core.concat({ picture, core.full({ shape[1], width - shape[2], 3 }, PAPER) }, 2) end
  if shape[1] < height then picture = core.concat({ picture, core.full({ height - shape[1], width, 3 }, PAPER) }, 1) end
  return picture
end

local function label(row, axes, first, last)
  local parts = {}
  for a = first, last do parts[#parts + 1] = axes[a].name .. " " .. cell(row[axes[a].name]) end
  return core.text(concat(parts, ", "))
end

--- The cells of the sheet by line and place: labels above and at the left, then the pictures.
local function cells_of(self, column)
  local axes = self.axes
  local across, lines = #axes[#axes].values, { { core.full({ 1, 1, 3 }, PAPER) } }
  for i = 1, across do lines[1][i + 1] = label(self[i], axes, #axes, #axes) end
  for i, row in ipairs(self) do
    if i % across == 1 or across == 1 then
      lines[#lines + 1] = { #axes > 1 and label(row, axes, 1, #axes - 1) or core.full({ 1, 1, 3 }, PAPER) }
    end
    local picture = row[column]
    if type(picture) ~= "userdata" then fail(format("row %d has no picture %q", i, tostring(column))) end
    if #picture:shape() == 4 then picture = picture[1] end
    if picture:shape()[3] > 3 then picture = picture:slice(3, 1, 3) end
    local line = lines[#lines]
    line[#line + 1] = picture
  end
  return lines
end

--- sweep:sheet([column]): one picture of all, with labels: the values of the last axis side by side, the others below each other. `column`:
--- which of the row's pictures; "image" unless it is given.
---@param column? string
---@return nodus.Tensor
function methods.sheet(self, column)
  local lines, width, rows = cells_of(self, column or "image"), {}, { core.full({ GAP, 1, 3 }, PAPER) }
  for _, line in ipairs(lines) do
    for c, picture in ipairs(line) do width[c] = math.max(width[c] or 1, picture:shape()[2] + GAP) end
  end
  for r, line in ipairs(lines) do
    local height = 1
    for _, picture in ipairs(line) do height = math.max(height, picture:shape()[1] + GAP) end
    for c, picture in ipairs(line) do line[c] = on_paper(picture, height, width[c]) end
    rows[r + 1] = core.concat({ core.full({ height, GAP, 3 }, PAPER), table.unpack(line) }, 2)
  end
  rows[1] = on_paper(rows[1], GAP, rows[2]:shape()[2])
  return core.concat(rows, 1)
end

return { sweep = sweep }
