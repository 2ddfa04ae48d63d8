--- heun_lua.lua: a sampler in Lua, to read and to change: `nodus run workflow.json --lua-nodes lua/nodes`, then "heun_lua" in a KSampler.
---
--- It is the method of Heun as Karras et al. use it (2022, algorithm 1 without churn): the mean of the slopes at both ends of a step. Each
--- line does what the built-in "heun" does, so both make the same picture, bit for bit (tests/cli/tests_lua_nodes.py).

local d = require "nodus.define"

--- The way that x has to go for each unit of noise that is taken away.
local function slope(x, denoised, sigma)
  return (x - denoised) / sigma
end

d.sampler{
  name = "heun_lua",
  two_calls = true, -- a step asks the network twice: for the estimate of the time that is left
  run = function(s, x)
    for i = 1, s.steps do
      local from, to = s.sigmas[i], s.sigmas[i + 1]
      local denoised = s:denoise(x, from)
      local here = slope(x, denoised, from)
      if to == 0 then
        x = d.lincomb(1, x, to - from, here) -- the last step is Euler's: there is no slope without noise
      else
        local ahead = d.lincomb(1, x, to - from, here)
        local there = slope(ahead, s:denoise(ahead, to), to)
        x = d.lincomb(1, x, to - from, d.lincomb(0.5, here, 0.5, there))
      end
      s:step_done(i, x, denoised)
    end
    return x
  end,
}
