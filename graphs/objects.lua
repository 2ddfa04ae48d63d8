-- objects.lua: graphs/objects.json as a script: nodus run graphs/objects.lua
local n = require "nodus"

local checkpoint = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors", _title = "The demo model" }

-- All that is shown, in order.
local wanted = {}
local function show(source, title)
  wanted[#wanted + 1] = n.PreviewAny{ source = source, _title = title or "Show it" }
end

local levels = n.BasicScheduler{ model = checkpoint, scheduler = "karras", steps = 6, _title = "Noise levels of the model" }
show(n.SplitSigmas{ sigmas = levels, step = 3, _title = "Two halves" }.high_sigmas, "The first half")
show(n.SplitSigmasDenoise{ sigmas = levels, denoise = 0.5, _title = "The same by share" }.low_sigmas, "The second half")

local karras = n.KarrasScheduler{ steps = 6, _title = "By Karras" }
show(n.SetFirstSigma{ sigmas = karras, sigma = 80, _title = "More noise first" }, "Show them")
local even = n.ExponentialScheduler{ steps = 6, _title = "Even factors" }
show(n.FlipSigmas{ sigmas = even, _title = "Backwards" }, "Show them")
local bent = n.PolyexponentialScheduler{ steps = 6, _title = "Bent" }
show(n.ExtendIntermediateSigmas{ sigmas = bent, steps = 2, start_at_sigma = -1, end_at_sigma = 1, _title = "More of them" }, "Show them")

show(n.LaplaceScheduler{ steps = 6, _title = "Gathered" }, "Show them")
show(n.VPScheduler{ steps = 6, _title = "Even in time" }, "Show them")
show(n.AlignYourStepsScheduler{ _title = "Found for SD1" }, "Show them")
show(n.BetaSamplingScheduler{ model = checkpoint, steps = 6, _title = "Most at the ends" }, "Show them")
show(n.SDTurboScheduler{ model = checkpoint, steps = 2, _title = "Few steps" }, "Show them")

show(n.SamplingPercentToSigma{ model = checkpoint, sampling_percent = 0.5, _title = "Half way" })
show(n.RandomNoise{ noise_seed = 7, _title = "Which noise" })
show(n.DisableNoise{ _title = "Without noise" })
show(n.KSamplerSelect{ sampler_name = "dpmpp_2m", _title = "Which sampler" })

show(n.OptimalStepsScheduler{ model_type = "FLUX", steps = 10, _title = "Found for FLUX" }, "Show them")
show(n.GITSScheduler{ coeff = 1.2, steps = 6, _title = "Along the bend" }, "Show them")
local graph = n.graph(table.unpack(wanted))

if arg[1] == "json" then graph:save "objects.json" else graph:run() end
