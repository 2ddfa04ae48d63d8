-- while_loop.lua: graphs/while_loop.json as a script: nodus run graphs/while_loop.lua
local n = require "nodus"

local until_it_is_long_enough = n.WhileLoopStart{
  condition = true, max_turns = 50, initial_value1 = "once", _title = "Until it is long enough",
}
local longer_in_each_turn = n.StringConcatenate{
  string_a = until_it_is_long_enough.value1, string_b = "more", delimiter = " ", _title = "Longer in each turn",
}
local still_short = n.RegexMatch{
  string = longer_in_each_turn, regex_pattern = "^.{0,20}$", case_insensitive = false, _title = "Still short?",
}
local end_of_the_loop = n.WhileLoopEnd{
  flow = until_it_is_long_enough.flow, condition = still_short, value1 = longer_in_each_turn, _title = "End of the loop",
}
local show_it = n.PreviewAny{ source = end_of_the_loop[1], _title = "Show it" }
local graph = n.graph(show_it)

if arg[1] == "json" then graph:save "while_loop.json" else graph:run() end
