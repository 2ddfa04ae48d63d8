/* image.c: known, not built yet: nodes that read, change and write pictures. */
#include "nodes/known/known.h"

/* clang-format off */
const NodusNode known_image[] = {
    NODE("LoadImageOutput", "Load Image (from Outputs)", "image", NODUS_EXPERIMENTAL,
         "Load a picture of the output folder.",
         IN(FLAG_FILES(NODUS_UPLOAD, "image", "output")),
         OUT(SLOT("IMAGE"), SLOT("MASK"))),
    NODE("SaveAnimatedWEBP", "SaveAnimatedWEBP", "image/animation", NODUS_OUTPUT,
         "Write a batch of pictures as an animated WebP.",
         IN(LINK("images", "IMAGE"), STRING("filename_prefix", "ComfyUI"), FLOAT("fps", 6, 0.01, 1000, 0.01),
            BOOLEAN("lossless", true), INT("quality", 80, 0, 100), COMBO("method", "default", "fastest", "slowest"), METADATA)),
    NODE("SaveAnimatedPNG", "SaveAnimatedPNG", "image/animation", NODUS_OUTPUT,
         "Write a batch of pictures as an animated PNG.",
         IN(LINK("images", "IMAGE"), STRING("filename_prefix", "ComfyUI"), FLOAT("fps", 6, 0.01, 1000, 0.01),
            INT("compress_level", 4, 0, 9), METADATA)),
    NODE("ImageUpscaleWithModel", "Upscale Image (using Model)", "image/upscaling", 0,
         "Enlarge a picture with a model.",
         IN(LINK("upscale_model", "UPSCALE_MODEL"), LINK("image", "IMAGE")),
         OUT(SLOT("IMAGE"))),
    {0}
};
/* clang-format on */
