--- sampling.lua: what the function of a sampler gets as its first argument, in a file of nodes (define.lua) and in a script (n.sampler).

local core = ...

--- What a sampler's function gets: s.steps, s.sigmas (steps + 1 numbers, falling), s.seed, s.flow, and these.
local Sampling = {
  --- s:denoise(x, sigma): the picture as the guided model predicts it; with needs_uncond also the unconditional prediction.
  denoise = function(_, x, sigma) return core.denoise(x, sigma) end,
  --- s:noise(from, to): unit noise for a step.
  noise = function(_, from, to) return core.noise(from, to) end,
  --- s:add_noise(x, noise, sigma): by the rule of the model.
  add_noise = function(_, x, noise, sigma) return core.add_noise(x, noise, sigma) end,
  --- s:draw(): unit noise, behind that of the start.
  draw = function() return core.draw() end,
  --- s:step_done(i, x, denoised): progress and preview; ends the sampling where the run was cancelled.
  step_done = function(_, step, x, denoised) core.step_done(step, x, denoised) end,
  --- s:percent_sigma(p): the sigma at a place in the model's sampling, 0 to 1.
  percent_sigma = function(_, percent) return core.percent_sigma(percent) end,
}
Sampling.__index = Sampling

return Sampling
