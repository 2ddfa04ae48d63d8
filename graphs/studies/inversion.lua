-- inversion.lua: how close does a picture come back from its noise? Steps × rounds of fixed-point iteration on the demo model, then
-- guidance on the way back: with the picture's own prompt as the negative one it does not matter, with an empty one it does.
-- nodus run graphs/studies/inversion.lua [fast]: prints two tables, writes inversion_*.csv and inversion_*_plot_*.png into the output folder
local n = require "nodus"
local fast = arg[1] == "fast"
local steps = fast and { 2, 3 } or { 5, 10, 20, 50 }
local rounds = fast and { 1, 2 } or { 1, 2, 4, 8 }
local guidances = fast and { 1, 3 } or { 1, 3, 5, 7 }

local checkpoint = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors" }
local prompt = n.CLIPTextEncode{ clip = checkpoint, text = "a white boat, sunset sky" }
local empty = n.CLIPTextEncode{ clip = checkpoint, text = "" }
local latent = n.VAEEncode{ pixels = n.LoadImage{ image = "scene.png" }.IMAGE, vae = checkpoint }
local reference = n.VAEDecode{ samples = latent, vae = checkpoint }

-- Up to noise and down again: decibels.
local function round_trip(count, round, cfg, negative)
  local noise = n.InvertLatent{ model = checkpoint, positive = prompt, latent_image = latent, steps = count, rounds = round, scheduler = "normal", cfg = 1 }
  local back = n.KSamplerAdvanced{
    model = checkpoint, positive = prompt, negative = negative, latent_image = noise, add_noise = "disable", noise_seed = 0,
    steps = count, cfg = cfg, sampler_name = "euler", scheduler = "normal",
  }
  return n.MeasurePSNR{ image = n.VAEDecode{ samples = back, vae = checkpoint }, reference = reference }
end

local function report(name, rows, x, group)
  local join = { tables = rows[1], columns = group .. ", " .. x .. ", psnr" }
  for i = 2, #rows do join[string.format("row%03d", i)] = rows[i] end
  local all = n.TableJoin(join)
  local plot = n.PlotTable{ table = all, x = x, y = "psnr", group_by = group }
  return n.SaveTable{ table = all, filename_prefix = name }, n.SaveImage{ images = plot, filename_prefix = name .. "_plot" }
end

local by_steps, by_guidance = {}, {}
for _, round in ipairs(rounds) do
  for _, count in ipairs(steps) do
    by_steps[#by_steps + 1] = n.TableRow{ label = "", rounds = round, steps = count, psnr = round_trip(count, round, 1, prompt) }
  end
end
for _, name in ipairs{ "own", "empty" } do
  local negative = name == "own" and prompt or empty
  for _, cfg in ipairs(guidances) do
    by_guidance[#by_guidance + 1] = n.TableRow{
      label = "", negative = name, cfg = cfg, psnr = round_trip(steps[#steps - 1], rounds[#rounds - 1], cfg, negative) }
  end
end
local table1, plot1 = report("inversion_steps", by_steps, "steps", "rounds")
local table2, plot2 = report("inversion_guidance", by_guidance, "cfg", "negative")
n.graph(table1, plot1, table2, plot2):run()
