-- control.lua: ControlNet against T2I-Adapters in cost and effect: network × strength. None is trained for the demo model: the four that
-- guide are those of the tests, made by formulas (tests/support_control.c); only the checkpoint is a trained one. So it shows what a step
-- costs and how strength and effect hang together, not who paints better. graphs/studies/control.json is one strength of it.
-- build/tests/unit/test_examples DIR && cp models/checkpoints/* DIR/checkpoints
-- nodus run graphs/studies/control.lua [fast] --models DIR --input graphs: writes control.csv, control_effect.png, control_cost.png
-- (plots) and control.png (the pictures) into the output folder. `cost` is time by that of the picture without a network: measure on a
-- quiet machine.
local n = require "nodus"
local fast = arg[1] == "fast"
local networks = { "control", "control-lora", "t2i", "t2i-light" }
local strengths = fast and { 0.5 } or { 0.25, 0.5, 1 }
local steps = fast and 3 or 20

local checkpoint = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors" }
local positive = n.CLIPTextEncode{ clip = checkpoint, text = "a red star, night sky" }
local negative = n.CLIPTextEncode{ clip = checkpoint, text = "" }
local scene = n.LoadImage{ image = "scene.png" }
local size = n.EmptyLatentImage{ width = 128, height = 128 }

-- The picture, and the seconds that it took.
local function paint(wanted, unwanted, seed)
  local latent = n.KSampler{
    model = checkpoint, positive = wanted, negative = unwanted, latent_image = size,
    seed = seed, steps = steps, cfg = 5, sampler_name = "dpmpp_2m", scheduler = "karras",
  }
  local picture = n.VAEDecode{ samples = latent, vae = checkpoint }.IMAGE
  local result = n.graph(picture):run{ keep = { picture } }
  return result[picture], result.seconds
end

local function guided(network, strength, seed)
  local both = n.ControlNetApplyAdvanced{
    positive = positive, negative = negative, image = scene.IMAGE, strength = strength,
    control_net = n.ControlNetLoader{ control_net_name = network .. ".safetensors" },
  }
  return paint(both[1], both[2], seed)
end

-- What it costs, beside a picture that nothing guides, made just before with a seed that is new to the cache; of some such pairs the shortest
-- times count, for what else the machine does is no cost, and the first loads and compiles.
local new = 100
local function timed(draw)
  local least, alone, picture, seconds = math.huge, math.huge
  for _, seed in ipairs(fast and { 1, 7 } or { 1, 2, 3, 7 }) do
    new = new + 1
    alone = math.min(alone, select(2, paint(positive, negative, new)))
    picture, seconds = draw(seed)
    least = math.min(least, seconds)
  end
  return picture, least / alone
end

local plain = paint(positive, negative, 7)
local study = n.sweep({ { "network", networks }, { "strength", strengths } }, function(p)
  local picture, cost = timed(function(seed) return guided(p.network, p.strength, seed) end)
  local d = picture - plain
  return { image = picture, cost = cost, effect = (d * d):mean() ^ 0.5 }
end)
study:csv "control.csv"
study:sheet():save "control.png"
study:plot{ x = "strength", y = "effect", group = "network" }:save "control_effect.png"
study:means("strength"):plot{ x = "network", y = "cost", style = "bars", height = 300 }:save "control_cost.png"

print "network       strength    cost  effect"
for i, network in ipairs(networks) do
  for k, strength in ipairs(strengths) do
    local row = study[(i - 1) * #strengths + k]
    print(string.format("%-12s  %8.2f  %6.2f  %6.3f", network, strength, row.cost, row.effect))
  end
end
