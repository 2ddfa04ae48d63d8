--- graph.lua: graphs of nodes: as JSON, from a workflow file, and run. A graph is the nodes that it was given and all that they need.
--- `n.load "workflow.json"` gives one, whose nodes are found by id, title or class: `w["KSampler"].seed = 7`.

local core, require = ...
local N = require "nodus.node"
local fail, format, concat, sort = core.fail, string.format, table.concat, table.sort
local type, getmetatable, setmetatable, rawget, ipairs, pairs, next = type, getmetatable, setmetatable, rawget, ipairs, pairs, next
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
  local found, orders, list, at = {}, {}, {}, 0 -- nodes by their order; what is known of them
  local function find(node)
    if found[node._order] then return end
    found[node._order] = node
    orders[#orders + 1] = node._order
  end
  for _, root in ipairs(roots) do find(root) end
  while at < #orders do
    at = at + 1
    for _, value in next, found[orders[at]]._in do
      if type(value) == "table" and getmetatable(value) == Link then find(value._node) end
    end
  end
  sort(orders)
  for i, order in ipairs(orders) do list[i] = found[order] end
  return list
end

--- Ids by node: those that nodes have, else numbers in order.
local function number(list)
  local ids, taken, last = {}, {}, 0
  for _, node in ipairs(list) do
    local id = rawget(node, "_id")
    if id then
      if taken[id] then fail(format("two nodes have the id %s: %s and %s", id, tostring(taken[id]), tostring(node))) end
      ids[node], taken[id] = id, node
    end
  end
  for _, node in ipairs(list) do
    if not ids[node] then
      local id
      repeat
        last = last + 1
        id = tostring(last)
      until not taken[id]
      ids[node] = id
    end
  end
  return ids
end

--- The names of a node's inputs in their order: that of the file it came from, then that of its class.
local function input_order(node)
  local def, names = node._def, rawget(node, "_names")
  if not names and not def.variadic then return def.names end
  local order, seen, more = {}, {}, {}
  local function once(name)
    if not seen[name] then order[#order + 1] = name end
    seen[name] = true
  end
  for _, name in ipairs(names or nothing) do once(name) end
  for _, name in ipairs(def.names) do once(name) end
  for name in pairs(node._in) do
    if not seen[name] then more[#more + 1] = name end
  end
  sort(more)
  for _, name in ipairs(more) do once(name) end
  return order
end

--- Calls add(name, value) for each input that a node has, in that order.
local function each_input(node, add)
  local values = node._in
  for _, name in ipairs(input_order(node)) do
    if values[name] ~= nil then add(name, values[name]) end
  end
end

--- What an input could be given.
local function wanted(def, input)
  if input.kind ~= "combo" then return ", of type " .. input.type end
  local list = N.choices(def, input)
  return #list == 0 and ", a file, but there is none" or ": " .. concat(list, ", ", 1, math.min(#list, 12))
end

local function check_needed(node)
  for _, input in ipairs(node._def.needed) do
    if node._in[input.name] == nil and not node._loaded then
      fail(format("%s (made at line %d) needs %s%s", node._def.name, node._line, input.name, wanted(node._def, input)))
    end
  end
end

--- The prompt's text, the ids by node, and the nodes.
local function prompt(roots)
  local list = reachable(roots)
  local ids, names = number(list), {}
  for i, node in ipairs(list) do
    check_needed(node)
    names[i] = input_order(node)
  end
  return core.json_prompt(list, names, ids, Link), ids, list
end

--- What exists only here cannot be in a file that others read.
local function refuse_given(list)
  for _, node in ipairs(list) do
    if rawget(node, "_given") then
      local where = node._line > 0 and format(" (given at line %d)", node._line) or ""
      fail(format("this workflow holds a value of the script, of type %s%s, which no file can hold: save it (tensor:save \"name.png\" "
        .. "or .npy) and let a node such as LoadImage read it", node._links[1]._type, where))
    end
  end
end

--- The text of a workflow that others can read.
local function portable(roots)
  local text, _, list = prompt(roots)
  refuse_given(list)
  return text
end

--- graph:to_json(): the workflow as JSON, for `nodus run` or ComfyUI.
---@return string
function methods.to_json(graph)
  return portable(graph._nodes)
end

--- graph:save(name): writes the workflow into the output folder.
---@param name string
function methods.save(graph, name)
  core.save_text(name, portable(graph._nodes))
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
local function listener(result, options, nodes, index)
  return function(event)
    local kind, answer = event.kind, nil
    event.index = index
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

--- A run that is to be made: what core.run takes, and the result that it will fill.
local function job_of(roots, wanted, options, index)
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
  local heard = options.progress or options.preview or options.on
  local given = {}
  for node in pairs(ids) do
    if node._given then given[#given + 1] = node._given end
  end
  return {
    text = text, keep = kept(all, ids), given = given, options = how, prompt = heard ~= nil, result = result,
    listener = listener(result, options, nodes, index),
  }
end

--- What a job that is over gave, or its error.
local function result_of(job)
  local result = job.result
  result.status, result._values = job.status, job.values
  if result.status == "cancelled" and not result.stopped then fail("the run was cancelled") end
  if result.status == "skipped" then fail("this graph was not run, for another one failed") end
  if result.error and result.status ~= "cancelled" then fail(result.error) end
  return setmetatable(result, Result)
end

--- Coroutines whose runs are gathered, to be made several at once (sweep.lua): there a run is a yield of its job.
local gathering = setmetatable({}, { __mode = "k" })
local running, yieldable, yield = coroutine.running, coroutine.isyieldable, coroutine.yield

local function run(roots, wanted, options)
  local job = job_of(roots, wanted, options)
  if gathering[running()] and yieldable() then yield(job) else core.run({ job }, 1) end
  return result_of(job)
end

local function outputs_of(node, result)
  return setmetatable({ _node = node, _values = result._values[result._ids[node]] or {}, _result = result }, Outputs)
end

--- graph:run([options]): runs the graph; what nodes it was given (or `keep = { … }`) gave is in the result. Options: keep, timeout (seconds), strict,
--- progress = function(value, max, event), preview = function(tensor, event), on = function(event); one that returns "cancel" ends it.
function methods.run(graph, options)
  return run(graph._nodes, graph._keep, options)
end

--- node:run(): the same for one node and what it needs; its outputs are fields of the result.
function N.methods.run(node, options)
  return outputs_of(node, run({ node }, { node }, options))
end

function N.methods.to_json(node)
  return portable { node }
end

--- link:value(): runs what it needs and gives the value; link:list() all of a list.
function N.link_methods.value(link, options)
  return run({ link._node }, { link._node }, options)[link]
end

function N.link_methods.list(link, options)
  local result = run({ link._node }, { link._node }, options)
  return result._values[result._ids[link._node]][link._slot]
end

--- ---- Several at once -------------------------------------------------------------------------------------------------------------

--- The job of a graph, a node or a link, and what makes of its result what `run` or `value` would give.
local function job_for(item, options, index)
  local mt = getmetatable(item)
  if mt == Graph then return job_of(item._nodes, item._keep, options, index), function(result) return result end end
  if mt == Link then return job_of({ item._node }, { item._node }, options, index), function(result) return result[item] end end
  if mt ~= Node then fail(format("parallel takes a list of graphs, nodes and links; there is %s at place %d", N.shown(item), index)) end
  return job_of({ item }, { item }, options, index), function(result) return outputs_of(item, result) end
end

--- n.parallel(list, [options]): runs graphs, nodes and links at once, `jobs` (2) at a time, and gives what :run() or :value() of each would
--- give, in order. Work that several need is done once. The other options are those of run; events have the place in the list as `index`.
--- When one fails, no other is begun; those under way end first, then its error is raised.
---@param list (nodus.Graph|nodus.Node|nodus.Link)[]
---@param options? table
---@return any ...
local function parallel(list, options)
  if type(list) ~= "table" or getmetatable(list) then fail("parallel takes a list of graphs, nodes or links: n.parallel{ a, b }") end
  local jobs, finish, results = {}, {}, {}
  for i, item in ipairs(list) do jobs[i], finish[i] = job_for(item, options, i) end
  core.run(jobs, options and options.jobs or 2)
  for _, skipped in ipairs { false, true } do -- the cause before what it prevented
    for i, job in ipairs(jobs) do
      if (job.status == "skipped") == skipped then results[i] = finish[i](result_of(job)) end
    end
  end
  return table.unpack(results, 1, #jobs)
end

--- ---- Graphs ------------------------------------------------------------------------------------------------------------------

local function graph_of(nodes, keep)
  return setmetatable({ _nodes = nodes, _keep = keep or nothing }, Graph)
end

--- n.graph(…): the graph of these nodes and all that they need.
---@return nodus.Graph
local function graph(...)
  local nodes, given = {}, { ... }
  for i, value in ipairs(given) do nodes[i] = node_of(value, "graph") end
  if #nodes == 0 then fail("graph takes the nodes that are wanted") end
  return graph_of(nodes, { table.unpack(nodes) })
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

--- graph:find(name): the node with that id, title or class.
---@param name string|integer
---@return nodus.Node?
function methods.find(self, name)
  name = tostring(name)
  return matching(self, name, function(node) return node._id end) or matching(self, name, function(node) return node._title end)
    or matching(self, name, function(node) return node._def.name end)
end

--- graph:nodes(): all nodes, in order.
---@return nodus.Node[]
function methods.nodes(self)
  return reachable(self._nodes)
end

--- graph:ids(): the ids of its nodes, by node.
---@return table<nodus.Node, string>
function methods.ids(self)
  return number(reachable(self._nodes))
end

--- graph:add(node, …): puts nodes into the workflow without asking for what they give: as in a file, they run where an output needs them.
---@param node nodus.Node
---@return nodus.Graph
function methods.add(self, ...)
  for _, value in ipairs { ... } do self._nodes[#self._nodes + 1] = node_of(value, "add") end
  return self
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

--- n.parse(text): the graph of a workflow's text, in API format.
---@param text string
---@return nodus.Graph
local function parse(text)
  local workflow, by_id, nodes = core.json_read(text), {}, {}
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
      local values, by = node._in, node._def.by
      node._names = inputs -- they stand at 1 … n
      for _, name in ipairs(inputs) do
        local value = inputs[name]
        if is_link(value, by_id) then value = N.link_to(by_id[value[1]], value[2] + 1)
        elseif getmetatable(value) == core.unsigned and by[name] and by[name].kind == "seed" then value = value.n end
        values[name] = value
      end
    end
  end
  return graph_of(nodes)
end

--- n.load(name): a workflow file beside the script, or in the input folder: API or editor format, or a picture with one inside.
local function load(name)
  return parse(core.read_workflow(name))
end

return { graph = graph, parallel = parallel, gathering = gathering, refuse_given = refuse_given, load = load, parse = parse, methods = methods, each_input = each_input, value_text = core.json_write,
  Graph = Graph, Result = Result, Outputs = Outputs }
