--- rescaled_guider.lua: a guider in Lua, to read and to change: it takes the place of a CFGGuider before a SamplerCustomAdvanced.
---
--- A strong guidance makes pictures too bright and too colourful, because the guided prediction is wider than the one it starts from. Here
--- it is brought back to that width, by a share (after Lin et al., "Common Diffusion Noise Schedules and Sample Steps are Flawed", 2023).

local d = require "nodus.define"

d.guider{
  name = "RescaledGuider",
  title = "Rescaled Guider (Lua)",
  category = "sampling/custom_sampling/guiders",
  help = "Follow a positive conditioning and turn away from a negative one, without the glare of a high strength.",
  inputs = {
    { "model", "MODEL", tooltip = "The diffusion model that removes the noise." },
    { "positive", "CONDITIONING", tooltip = "What the picture should show." },
    { "negative", "CONDITIONING", tooltip = "What it should not show." },
    { "cfg", "FLOAT", default = 8, min = 0, max = 100, step = 0.1, tooltip = "How closely the prompt is followed." },
    { "share", "FLOAT", default = 0.7, min = 0, max = 1, step = 0.01,
      tooltip = "How far the result is brought back: 0 leaves it, 1 gives it the width of the positive prediction." },
  },
  guide = function(p, inputs)
    local guided = d.lincomb(1, p.negative, inputs.cfg, p.positive - p.negative)
    local width = guided:std()
    if width == 0 then return guided end
    return guided * (inputs.share * p.positive:std() / width + 1 - inputs.share)
  end,
}
