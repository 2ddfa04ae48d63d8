-- primitives.lua: graphs/primitives.json as a script: nodus run graphs/primitives.lua
local n = require "nodus"

local steps = n.PrimitiveInt{ value = 20, _title = "Steps" }
local guidance = n.PrimitiveFloat{ value = 5, _title = "Guidance" }
local prompt = n.PrimitiveString{ value = "a green tree, snow", _title = "Prompt" }
local negative_prompt = n.PrimitiveStringMultiline{ value = "blurry\ndark", _title = "Negative prompt" }
local switch = n.PrimitiveBoolean{ value = true, _title = "A switch" }
local show_a_number = n.PreviewAny{ source = steps, _title = "Show a number" }
local show_a_number2 = n.PreviewAny{ source = guidance, _title = "Show a number" }
local show_a_text = n.PreviewAny{ source = negative_prompt, _title = "Show a text" }
local show_a_switch = n.PreviewAny{ source = switch, _title = "Show a switch" }
local checkpoint = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors", _title = "The demo model" }
local positive = n.CLIPTextEncode{ text = prompt, clip = checkpoint, _title = "What to paint" }
local negative = n.CLIPTextEncode{ text = negative_prompt, clip = checkpoint, _title = "What not to paint" }
local size = n.EmptyLatentImage{ width = 128, height = 128, _title = "Size" }
local latent = n.KSampler{
  model = checkpoint, steps = steps, cfg = guidance, positive = positive, negative = negative, latent_image = size,
  seed = 3, sampler_name = "dpmpp_2m", scheduler = "karras", _title = "Remove the noise",
}
local show_a_latent = n.PreviewAny{ source = latent, _title = "Show a latent" }
local image = n.VAEDecode{ samples = latent, vae = checkpoint, _title = "To pixels" }
local save = n.SaveImage{ images = image, filename_prefix = "primitives", _title = "Write it" }
local graph = n.graph(show_a_number, show_a_number2, show_a_text, show_a_switch, show_a_latent, save)

if arg[1] == "json" then graph:save "primitives.json" else graph:run() end
