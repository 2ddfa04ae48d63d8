--- graph.lua: graphs of nodes: as JSON, from a workflow file, and run. A graph is the nodes that it was given and all that they need.
--- `n.load "workflow.json"` gives one, whose nodes are found by id, title or class: `w["KSampler"].seed = 7`.

local core, require = ...
local N = require "nodus.node"
local fail, format, concat, sort = core.fail, string.format, table.concat, table.sort
local type, getmetatable, setmetatable, rawget, ipairs, pairs = type, getmetatable, setmetatable, rawget, ipairs, pairs
local write = core.json_write
local Node, Link = N.Node, N.Link

local Graph, methods = {}, {}
local nothing = {}

--- ---- As JSON -----------------------------------------------------------------------------------------------------------------

local function node_of(value, what)
  local mt = getmetatable(value)
  if mt == Link then return value._node end
  if mt == Node then return value end
  fail(format("%s takes nodes, not %s", what, N.shown(value)))
end

--- The nodes that these need, themselves included, in the order in which they were made.
local function reachable(roots)
  local seen, list, at = {}, {}, 0
  for _, root in ipairs(roots) do
    if not seen[root] then
      seen[root] = true
      list[#list + 1] = root
    end
  end
  while at < #list do
    at = at + 1
    for _, value in pairs(list[at]._in) do
      if type(value) == "table" and getmetatable(value) == Link and not seen[value._node] then
        seen[value._node] = true
        list[#list + 1] = value._node
      end
    end
  end
  sort(list, function(a, b) return a._order < b._order end)
  return list
end

--- Ids by node: those that nodes have, else numbers in order.
local function number(list)
  local ids, taken, last = {}, {}, 0
  for _, node in ipairs(list) do
    local id = node._id
    if id then
      if taken[id] then fail(format("two nodes have the id %s: %s and %s", id, tostring(taken[id]), tostring(node))) end
      ids[node], taken[id] = id, node
    end
  end
  for _, node in ipairs(list) do
    if not ids[node] then
      repeat last = last + 1 until not taken[tostring(last)]
      ids[node] = tostring(last)
    end
  end
  return ids
end

--- A literal, a list or an object (as core.json_read gives them).
local function value_text(value)
  if type(value) ~= "table" then return write(value) end
  local parts = {}
  if getmetatable(value) == core.list then
    for i = 1, value.n do parts[i] = value_text(value[i]) end
    return "[" .. concat(parts, ", ") .. "]"
  end
  for i, name in ipairs(value) do parts[i] = write(name) .. ": " .. value_text(value[name]) end
  return "{" .. concat(parts, ", ") .. "}"
end

--- Calls add(name, value) for each input that a node has, in their order: that of the file it came from, else that of its class.
local function each_input(node, add)
  local values, inputs = node._in, node._def.inputs
  if not node._names and not node._def.variadic then
    for i = 1, #inputs do
      local value = values[inputs[i].name]
      if value ~= nil then add(inputs[i].name, value) end
    end
    return
  end
  local seen, more = {}, {}
  local function once(name)
    if not seen[name] and values[name] ~= nil then add(name, values[name]) end
    seen[name] = true
  end
  for _, name in ipairs(node._names or nothing) do once(name) end
  for _, input in ipairs(inputs) do once(input.name) end
  for name in pairs(values) do
    if not seen[name] then more[#more + 1] = name end
  end
  sort(more)
  for _, name in ipairs(more) do once(name) end
end

local quoted = setmetatable({}, { __index = function(t, name)
  local text = write(name)
  t[name] = text
  return text
end })

local function node_text(node, links)
  local parts, count, inputs = {}, 0, node._def.by
  each_input(node, function(name, value)
    local text
    if type(value) ~= "table" then text = write(value, inputs[name] and inputs[name].kind == "seed")
    elseif getmetatable(value) == Link then text = links[value._node] .. value._slot - 1 .. "]"
    else text = value_text(value) end
    count = count + 1
    parts[count] = quoted[name] .. ": " .. text
  end)
  local title = node._title and format(', "_meta": {"title": %s}', write(node._title)) or ""
  return '{"class_type": ' .. quoted[node._def.name] .. ', "inputs": {' .. concat(parts, ", ") .. "}" .. title .. "}"
end

local function check_needed(node)
  for _, input in ipairs(node._def.needed) do
    if node._in[input.name] == nil and input.kind ~= "combo" and not node._loaded then
      fail(format("%s (made at line %d) needs %s, of type %s", node._def.name, node._line, input.name, input.type))
    end
  end
end

--- The prompt's text, and the ids by node.
local function prompt(roots)
  local list = reachable(roots)
  local ids, links, lines = number(list), {}, {}
  for _, node in ipairs(list) do links[node] = "[" .. write(ids[node]) .. ", " end
  for i, node in ipairs(list) do
    check_needed(node)
    lines[i] = "  " .. write(ids[node]) .. ": " .. node_text(node, links)
  end
  return "{\n" .. concat(lines, ",\n") .. "\n}\n", ids
end

--- The workflow as JSON, for `nodus run` or ComfyUI.
function methods.to_json(graph)
  return (prompt(graph._nodes))
end

--- Writes the workflow into the output folder.
function methods.save(graph, name)
  core.save_text(name, (prompt(graph._nodes)))
  return graph
end

--- ---- Results -----------------------------------------------------------------------------------------------------------------

local Outputs, Result = {}, {}

--- The values of one node: by the name or number of its outputs. Of a list its first; `:list(name)` gives all.
function Outputs.__index(outputs, key)
  if key == "list" then return Outputs.list end
  local slot = type(key) == "number" and key or outputs._node._def.slots[key]
  local values = slot and outputs._values[slot]
  if values then return values[1] end
  return rawget(outputs, "_result")[key]
end

function Outputs.list(outputs, key)
  local slot = type(key) == "number" and key or outputs._node._def.slots[key]
  return slot and outputs._values[slot]
end

--- result[node] gives a node's outputs, result[link] a value; result.files, result.texts what output nodes wrote and showed.
function Result.__index(result, key)
  local mt = getmetatable(key)
  local node = mt == Link and key._node or mt == Node and key
  local values = node and result._values[result._ids[node]]
  if not values then return nil end
  if mt == Link then return values[key._slot] and values[key._slot][1] end
  return setmetatable({ _node = node, _values = values, _result = result }, Outputs)
end

local function take_ui(result, event)
  local ui = core.json_read(event.ui)
  result.ui[event.node] = ui
  for _, key in ipairs(ui) do
    for i = 1, ui[key].n or 0 do
      local item = ui[key][i]
      if type(item) == "string" then result.texts[#result.texts + 1] = item
      elseif type(item) == "table" and item.filename then
        result.files[#result.files + 1] = (item.subfolder ~= "" and item.subfolder .. "/" or "") .. item.filename
      end
    end
  end
end

--- ---- Errors ------------------------------------------------------------------------------------------------------------------

local function place(id, nodes, class)
  local node = nodes[id]
  if node and node._line > 0 and not node._loaded then return format("%s (made at line %d)", node._def.name, node._line) end
  return format("node %s (%s)", id, node and node._def.name or class)
end

--- One line a problem of a refused prompt.
local function refusal(event, nodes)
  local report = core.json_read(event.json)
  local lines = {}
  for _, id in ipairs(report.node_errors or nothing) do
    local entry = report.node_errors[id]
    for i = 1, entry.errors.n do
      local e = entry.errors[i]
      local input = type(e.extra_info) == "table" and e.extra_info.input_name
      lines[#lines + 1] = format("%s%s: %s%s%s", place(id, nodes, entry.class_type), input and ", " .. input or "", e.message,
        e.details ~= "" and ": " or "", e.details:sub(1, 400))
    end
  end
  if #lines == 0 and type(report.error) == "table" then
    lines[1] = report.error.message .. (report.error.details ~= "" and ": " .. report.error.details or "")
  end
  return "this graph cannot run: " .. concat(lines, "\n")
end

--- ---- Runs --------------------------------------------------------------------------------------------------------------------

--- One function for all events: what the result is made of, then the functions that the script gave.
local function listener(result, options, nodes)
  return function(event)
    local kind, answer = event.kind, nil
    if event.ui then take_ui(result, event) end
    if kind == "error" and not result.error then
      result.error = format("%s: %s", event.node and place(event.node, nodes, event.class) or "the run", event.message)
    elseif kind == "finished" then
      result.seconds = event.seconds
      if event.message == "invalid" then result.error = refusal(event, nodes) end
    elseif kind == "done" then
      result.made = result.made + 1
    elseif kind == "cached" then
      result.cached = result.cached + 1
    end
    if kind == "progress" and options.progress then answer = options.progress(event.value, event.max, event) end
    if event.preview and options.preview then answer = options.preview(event.preview, event) or answer end
    if options.on then answer = options.on(event) or answer end
    if answer == "cancel" then result.stopped = true end
    return answer
  end
end

local function kept(wanted, ids)
  local keep, seen = {}, {}
  for _, value in ipairs(wanted) do
    local node = node_of(value, "keep")
    if not ids[node] then fail(format("keep: %s is not in this graph", tostring(node))) end
    if not seen[node] then
      seen[node] = true
      keep[#keep + 1] = { id = ids[node], slots = #node._def.outputs }
    end
  end
  return keep
end

local function run(roots, wanted, options)
  options = options or nothing
  local text, ids = prompt(roots)
  local nodes = {}
  for node, id in pairs(ids) do nodes[id] = node end
  local all = {}
  for _, list in ipairs { wanted, options.keep or nothing } do
    for _, value in ipairs(list) do all[#all + 1] = value end
  end
  local result = { files = {}, texts = {}, ui = {}, made = 0, cached = 0, _ids = ids }
  local how = { timeout = options.timeout, strict = options.strict, previews = options.preview ~= nil or options.previews }
  result.status, result._values = core.run(text, kept(all, ids), how, listener(result, options, nodes))
  if result.status == "cancelled" and not result.stopped then fail("the run was cancelled") end
  if result.error and result.status ~= "cancelled" then fail(result.error) end
  return setmetatable(result, Result)
end

--- Runs the graph; what nodes it was given (or `keep = { … }`) gave is in the result. Options: keep, timeout (seconds), strict,
--- progress = function(value, max, event), preview = function(tensor, event), on = function(event); one that returns "cancel" ends it.
function methods.run(graph, options)
  return run(graph._nodes, graph._keep, options)
end

--- node:run(): the same for one node and what it needs; its outputs are fields of the result.
function N.methods.run(node, options)
  local result = run({ node }, { node }, options)
  return setmetatable({ _node = node, _values = result._values[result._ids[node]] or {}, _result = result }, Outputs)
end

function N.methods.to_json(node)
  return (prompt { node })
end

--- link:value(): runs what it needs and gives the value; link:list() all of a list.
function N.link_methods.value(link, options)
  return run({ link._node }, { link._node }, options)[link]
end

function N.link_methods.list(link, options)
  local result = run({ link._node }, { link._node }, options)
  return result._values[result._ids[link._node]][link._slot]
end

--- ---- Graphs ------------------------------------------------------------------------------------------------------------------

local function graph_of(nodes, keep)
  return setmetatable({ _nodes = nodes, _keep = keep or nothing }, Graph)
end

--- n.graph(node, …): the graph of these and all that they need.
local function graph(...)
  local nodes, given = {}, { ... }
  for i, value in ipairs(given) do nodes[i] = node_of(value, "graph") end
  if #nodes == 0 then fail("graph takes the nodes that are wanted") end
  return graph_of(nodes, nodes)
end

local function matching(self, name, what)
  local found = {}
  for _, node in ipairs(self._nodes) do
    if what(node) == name then found[#found + 1] = node end
  end
  if #found > 1 then
    local ids = {}
    for i, node in ipairs(found) do ids[i] = node._id or "?" end
    fail(format("several nodes are %q: take one by its id: %s", name, concat(ids, ", ")))
  end
  return found[1]
end

--- The node with that id, title or class.
function methods.find(self, name)
  name = tostring(name)
  return matching(self, name, function(node) return node._id end) or matching(self, name, function(node) return node._title end)
    or matching(self, name, function(node) return node._def.name end)
end

--- All nodes, in order.
function methods.nodes(self)
  return reachable(self._nodes)
end

function Graph.__index(self, key)
  if methods[key] then return methods[key] end
  local found = methods.find(self, key)
  if found then return found end
  local names = {}
  for _, node in ipairs(self._nodes) do
    names[#names + 1] = node._title or node._def.name
    names[#names + 1] = node._def.name
  end
  fail(format("this graph has no node %q%s", tostring(key), N.meant(key, names)))
end

function Graph.__newindex(_, key)
  fail(format("a graph has no field %s; set an input of one of its nodes", tostring(key)))
end

--- ---- Workflow files ------------------------------------------------------------------------------------------------------------

local function is_link(value, by_id)
  return type(value) == "table" and getmetatable(value) == core.list and value.n == 2 and type(value[1]) == "string"
    and math.type(value[2]) == "integer" and by_id[value[1]] ~= nil
end

local function load_node(id, entry)
  if type(entry) ~= "table" or type(entry.class_type) ~= "string" then return nil end
  local node = N.new(N.class(entry.class_type, true))
  node._id, node._loaded = id, true
  local meta = entry._meta
  if type(meta) == "table" and type(meta.title) == "string" then node._title = meta.title end
  return node
end

--- n.load(name): a workflow file beside the script, or in the input folder: API or editor format, or a picture with one inside.
local function load(name)
  local workflow, by_id, nodes = core.json_read(core.read_workflow(name)), {}, {}
  for _, id in ipairs(workflow) do
    local node = load_node(id, workflow[id])
    if node then
      by_id[id] = node
      nodes[#nodes + 1] = node
    end
  end
  for _, node in ipairs(nodes) do
    local inputs = workflow[node._id].inputs
    if type(inputs) == "table" then
      node._names = { table.unpack(inputs) }
      for _, input in ipairs(inputs) do
        local value = inputs[input]
        node._in[input] = is_link(value, by_id) and N.link_to(by_id[value[1]], value[2] + 1) or value
      end
    end
  end
  return graph_of(nodes)
end

return { graph = graph, load = load }
