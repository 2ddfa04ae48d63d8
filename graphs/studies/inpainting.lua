-- inpainting.lua: how well is a hole filled? Methods × masks on one picture: a table, a plot, a contact sheet.
-- graphs/studies/inpainting.json is one mask of it.
-- nodus run graphs/studies/inpainting.lua [fast] [NINE]: writes inpainting.csv, inpainting_plot.png and inpainting.png (the pictures) into
-- the output folder. NINE names a checkpoint of nine channels: none was trained for the demo, so without one that method is left out (the
-- tests make shapes-inpaint.safetensors by a formula: its row shows the way, not the merit).
local n = require "nodus"
local fast = arg[1] == "fast"
local nine = arg[fast and 2 or 1]
local masks = fast and { "half" } or { "thin", "thick", "half", "expand", "every second line", "2x grid" }
local methods = { "plain", "blended", "repaint" }
if nine then methods[4] = "nine" end

local demo = n.CheckpointLoaderSimple{ ckpt_name = "shapes-sd1.safetensors" }
local positive = n.CLIPTextEncode{ clip = demo, text = "a white boat, sunset" }
local negative = n.CLIPTextEncode{ clip = demo, text = "" }
local picture = n.LoadImage{ image = "scene.png" }
local sigmas = n.BasicScheduler{ model = demo, scheduler = "karras", steps = fast and 4 or 20 }
local ddpm = n.KSamplerSelect{ sampler_name = "ddpm" }
local samplers = {
  plain = ddpm, nine = ddpm,
  blended = n.SamplerRePaint{ sampler = ddpm, jumps = 1 },
  repaint = n.SamplerRePaint{ sampler = ddpm, jump_length = fast and 2 or 5, jumps = fast and 2 or 5 },
}

-- What is smaller than a cell of a latent is no hole for it, so lines and grid are of whole cells: 16 × 16, enlarged.
local function hole(kind)
  local cells = kind == "every second line" or kind == "2x grid"
  local mask = n.MaskPattern{ kind = kind, width = cells and 16 or 128, height = cells and 16 or 128, seed = 4 }
  if not cells then return mask end
  local large = n.ImageScale{ image = n.MaskToImage{ mask = mask }, upscale_method = "nearest-exact", width = 128, height = 128 }
  return n.ImageToMask{ image = large, channel = "red" }
end

-- What stays is that of the picture; only the hole is measured.
local function fill(kind, method)
  local mask = hole(kind)
  local latent = n.SetLatentNoiseMask{ samples = n.VAEEncode{ pixels = picture, vae = demo }, mask = mask }
  local model, yes, no = demo, positive, negative
  if method == "nine" then
    local shown = n.InpaintModelConditioning{ positive = yes, negative = no, vae = demo, pixels = picture, mask = mask }
    model, yes, no, latent = n.CheckpointLoaderSimple{ ckpt_name = nine }, shown.positive, shown.negative, shown.latent
  end
  local drawn = n.SamplerCustom{
    model = model, positive = yes, negative = no, sampler = samplers[method], sigmas = sigmas, latent_image = latent,
    noise_seed = 7, cfg = 3,
  }
  local image = n.VAEDecode{ samples = drawn.output, vae = demo }
  return {
    image = image.IMAGE:value(),
    psnr = n.MeasurePSNR{ image = image, reference = picture, mask = mask }.psnr:value(),
    ssim = n.MeasureSSIM{ image = image, reference = picture, mask = mask }.ssim:value(),
  }
end

local study = n.sweep({ { "mask", masks }, { "method", methods } }, function(p) return fill(p.mask, p.method) end)
study:csv "inpainting.csv"
study:sheet():save "inpainting.png"
local near = study:plot{ x = "mask", y = "psnr", group = "method", style = "points", height = 360 }
local alike = study:plot{ x = "mask", y = "ssim", group = "method", style = "points", height = 360 }
n.concat{ near, alike }:save "inpainting_plot.png"

print(string.format("%-18s %-8s %6s %6s", "mask", "method", "PSNR", "SSIM"))
for i, row in ipairs(study) do
  local mask, method = masks[(i - 1) // #methods + 1], methods[(i - 1) % #methods + 1]
  print(string.format("%-18s %-8s %6.2f %6.4f", mask, method, row.psnr, row.ssim))
end
