-- inversion_edit.lua: nodus run inversion_edit.lua; with the argument json it writes the workflow.
local n = require "nodus"

local demo_model = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors", _title = "The demo model" }
local what_the_picture_shows = n.CLIPTextEncode{ clip = demo_model, text = "a white boat, sunset sky", _title = "What the picture shows" }
local what_it_should_show = n.CLIPTextEncode{ clip = demo_model, text = "a red boat, sunset sky", _title = "What it should show" }
local picture = n.LoadImage{ image = "scene.png", _title = "The picture" }
local latent = n.VAEEncode{ pixels = picture, vae = demo_model, _title = "To a latent" }
local noise = n.InvertLatent{
  model = demo_model, positive = what_the_picture_shows, latent_image = latent,
  steps = 20, start_at_step = 0, scheduler = "normal", cfg = 1, rounds = 4, _title = "Its noise",
}
local bring_it_back = n.KSamplerAdvanced{
  model = demo_model, positive = what_the_picture_shows, negative = what_the_picture_shows, latent_image = noise,
  add_noise = "disable", noise_seed = 0, steps = 20, cfg = 3, sampler_name = "euler", scheduler = "normal", _id = 90,
  _title = "Bring it back",
}
local edit_it = n.KSamplerAdvanced{
  model = demo_model, positive = what_it_should_show, negative = what_the_picture_shows, latent_image = noise,
  add_noise = "disable", noise_seed = 0, steps = 20, cfg = 3, sampler_name = "euler", scheduler = "normal", _id = 91, _title = "Edit it",
}
local pixels = n.VAEDecode{ samples = bring_it_back, vae = demo_model, _id = 10, _title = "To pixels" }
local pixels2 = n.VAEDecode{ samples = edit_it, vae = demo_model, _id = 11, _title = "To pixels" }
local what_the_vae_makes_of_it = n.VAEDecode{ samples = latent, vae = demo_model, _id = 12, _title = "What the VAE makes of it" }
local how_close_it_came_back = n.MeasurePSNR{
  image = pixels, reference = what_the_vae_makes_of_it, _id = 13, _title = "How close it came back",
}
local as_a_table = n.TableRow{ psnr = how_close_it_came_back, label = "back", _id = 14, _title = "As a table" }
local show_it = n.PreviewAny{ source = as_a_table, _id = 15, _title = "Show it" }
local side_by_side = n.ImageStitch{ image1 = pixels, image2 = pixels2, _id = 16, _title = "Side by side" }
local write_it = n.SaveImage{ images = side_by_side, filename_prefix = "inversion_edit", _id = 17, _title = "Write it" }
local graph = n.graph(show_it, write_it)

if arg[1] == "json" then graph:save "inversion_edit.json" else graph:run() end
