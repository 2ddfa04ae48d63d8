-- strings.lua: graphs/strings.json as a script: nodus run graphs/strings.lua
local n = require "nodus"

local join = n.StringConcatenate{ string_a = "a red house", string_b = "green hills", delimiter = ", ", _title = "Join" }
local blue = n.StringReplace{ string = join, find = "red", replace = "blue", _title = "Another colour" }
local meadows = n.RegexReplace{ string = blue, regex_pattern = "(\\w+) hills", replace = "\\1 meadows", _title = "By pattern" }
local part = n.StringSubstring{ string = "  masterpiece, quality", start = 0, ["end"] = 13, _title = "The first part" }
local trimmed = n.StringTrim{ string = part, _title = "Without blanks" }
local title = n.CaseConverter{ string = trimmed, mode = "Title Case", _title = "Capital letters" }
local prompt = n.StringConcatenate{ string_a = meadows, string_b = title, delimiter = ". ", _title = "The prompt" }

local function show(source)
  return n.PreviewAny{ source = source, _title = "Show it" }
end

local graph = n.graph(
  show(prompt),
  show(n.StringLength{ string = prompt, _title = "How long" }),
  show(n.StringContains{ string = prompt, substring = "BLUE", case_sensitive = false, _title = "Is it blue" }),
  show(n.StringCompare{ string_a = prompt, string_b = "a blue", _title = "Does it start so" }),
  show(n.RegexMatch{ string = prompt, regex_pattern = "m\\w+s\\b", _title = "Does it occur" }),
  show(n.RegexExtract{ string = prompt, regex_pattern = "(\\w+)\\.", mode = "First Group", _title = "The last word" }))

if arg[1] == "json" then graph:save "strings.json" else graph:run() end
