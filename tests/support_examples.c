#include "tests/support_examples.h"
#include "engine/base/file.h"
#include "tests/support_families.h"
#include "tests/support_paint.h"
#include "tests/support_photomaker.h"
#include "tests/support_upscaler.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A file of the repository under a name of the lab's, whose folder is made. */
static NodusStatus examples_link(const Lab *lab, const char *file, const char *name)
{
    char here[256], from[512], to[512];
    if (!getcwd(here, sizeof here)) return nodus_error(NODUS_ERROR_FILE, "no current folder");
    snprintf(from, sizeof from, "%s/%s", here, file);
    snprintf(to, sizeof to, "%s", lab_path(lab, name));
    *strrchr(to, '/') = '\0';
    NODUS_TRY(file_make_folders(to));
    return symlink(from, lab_path(lab, name)) ? nodus_error(NODUS_ERROR_FILE, "no link to %s", from) : NULL;
}

NodusStatus examples_models(const char *models)
{
    char folder[512];
    snprintf(folder, sizeof folder, "%s/upscale_models", models);
    NODUS_TRY(file_make_folders(folder));
    NODUS_TRY(support_families(models));
    NODUS_TRY(support_paint(models));
    NODUS_TRY(support_photomaker(models));
    snprintf(folder, sizeof folder, "%s/upscale_models/small-x4.safetensors", models);
    return support_upscaler(folder, false, 1);
}

NodusStatus examples_open(Lab *lab, const NodusNode *const *nodes)
{
    static const struct { const char *file, *name; } links[] = {
        {"models/checkpoints/shapes-sd1.safetensors", "models/vae/shapes-sd1.safetensors"},
        {"models/loras/neon-lora.safetensors", "models/loras/neon-lora.safetensors"},
        {"graphs/star.latent", "input/star.latent"},
        {"graphs/scene.png", "input/scene.png"},
        {"graphs/scene.png", "output/scene.png"},
    };
    NODUS_TRY(lab_open(lab, nodes));
    for (size_t i = 0; i < sizeof links / sizeof *links; i++) NODUS_TRY(examples_link(lab, links[i].file, links[i].name));
    return examples_models(lab_path(lab, "models"));
}
