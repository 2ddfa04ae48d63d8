-- paint_by_example_diffusers.lua: nodus run paint_by_example_diffusers.lua; with the argument json it writes the workflow.
local n = require "nodus"

local paint_by_example = n.PaintByExampleDiffusersLoader{
  model_path = "paint-by-example", _title = "An inpainting model that is told by a picture what to paint",
}
local picture = n.LoadImage{ image = "scene.png", _title = "The picture" }
local example = n.ImageCrop{ image = picture, width = 48, height = 48, x = 16, y = 56, _title = "The example" }
local example_as_a_prompt = n.PaintByExampleConditioning{
  paint_by_example = paint_by_example, example = example, _title = "The example as a prompt",
}
local what_stays = n.SolidMask{ value = 0, width = 128, height = 128, _title = "What stays" }
local where_to_paint_it = n.SolidMask{ value = 1, width = 48, height = 48, _title = "Where to paint it" }
local mask = n.MaskComposite{ destination = what_stays, source = where_to_paint_it, x = 72, y = 64, operation = "add", _title = "The mask" }
local inpaint_model = n.InpaintModelConditioning{
  positive = example_as_a_prompt.positive, negative = example_as_a_prompt.negative, vae = paint_by_example, pixels = picture, mask = mask,
  _title = "Show the model picture and mask",
}
local sample = n.KSampler{
  model = paint_by_example, positive = inpaint_model[1], negative = inpaint_model[2], latent_image = inpaint_model,
  seed = 7, steps = 20, cfg = 5, sampler_name = "ddim", scheduler = "ddim_uniform", _id = 90, _title = "Sample",
}
local pixels = n.VAEDecode{ samples = sample, vae = paint_by_example, _id = 91, _title = "To pixels" }
local write_it = n.SaveImage{ images = pixels, filename_prefix = "paint_by_example_diffusers", _id = 92, _title = "Write it" }
local graph = n.graph(write_it)

if arg[1] == "json" then graph:save "paint_by_example_diffusers.json" else graph:run() end
