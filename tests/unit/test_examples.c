/* The tables of the built-in nodes are complete, and the example that each names has it and runs (with fewer steps). */
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "nodes/register.h"
#include "tests/support_examples.h"
#include "tests/test.h"
#include <stdio.h>

static Lab lab;

LAB_FIXTURE(examples_open(&lab, NULL))

static char *read_text(const char *path)
{
    uint8_t *data;
    size_t size;
    NodusStatus status = file_read(path, 1 << 20, &data, &size);
    if (status) fail_msg("%s", nodus_error_message(status));
    return (char *)data;
}

TEST(every_node_explains_itself)
{
    for (const NodusNode *const *at = builtin_nodes; *at; at++) {
        const NodusNode *node = *at;
        if (!node->help || !node->help[0] || !node->title || !node->category) fail_msg("%s lacks a help text, title or category", node->name);
        for (uint32_t i = 0; i < node->input_count; i++)
            if (node->inputs[i].kind != NODUS_HIDDEN && !node->inputs[i].tooltip[0]) fail_msg("%s.%s has no tooltip", node->name, node->inputs[i].name);
        for (uint32_t i = 0; i < node->output_count; i++)
            if (!node->outputs[i].tooltip[0]) fail_msg("%s has an output without tooltip", node->name);
    }
}

TEST(every_node_is_in_the_example_that_it_names)
{
    for (const NodusNode *const *at = builtin_nodes; *at; at++) {
        char wanted[128];
        if (!(*at)->example) fail_msg("%s names no example", (*at)->name);
        char *json = read_text((*at)->example);
        snprintf(wanted, sizeof wanted, "\"class_type\": \"%s\"", (*at)->name);
        if (!strstr(json, wanted)) fail_msg("%s is not in %s", (*at)->name, (*at)->example);
        memory_free(json);
    }
}

TEST(every_example_runs)
{
    static const struct { const char *file, *set[5]; int sets; const char *shows; } examples[] = {
        {"graphs/txt2img.json", {"5.steps=2"}, 1},
        {"graphs/img2img.json", {"5.steps=2"}, 1},
        {"graphs/sdxl.json", {"5.steps=2"}, 1},
        {"graphs/sdxl_refiner.json", {"6.steps=2", "6.end_at_step=1", "9.steps=2", "9.start_at_step=1"}, 4},
        {"graphs/split_files.json", {"5.steps=2"}, 1},
        {"graphs/dual_clip.json", {"5.steps=2"}, 1},
        {"graphs/config.json", {"5.steps=2"}, 1},
        {"graphs/diffusers.json", {"5.steps=2"}, 1},
        {"graphs/inversion.json", {"5.steps=2"}, 1},
        {"graphs/lora.json", {"5.steps=2"}, 1},
        {"graphs/lora_model_only.json", {"5.steps=2"}, 1},
        {"graphs/lora_selective.json", {"5.steps=2"}, 1},
        {"graphs/lora_inspect.json", {NULL}, 0, "largest singular values"},
        {"graphs/lora_extract.json", {NULL}, 0, "of the energy"},
        {"graphs/lora_save.json", {NULL}, 0, "sd1 diffusion model"},
        {"graphs/merge.json", {"5.steps=2"}, 1},
        {"graphs/merge_difference.json", {"5.steps=2"}, 1},
        {"graphs/merge_blocks.json", {"5.steps=2"}, 1},
        {"graphs/merge_save.json", {NULL}, 0, "sd1 diffusion model"},
        {"graphs/upscale_model.json", {NULL}, 0},
        {"graphs/hires_fix.json", {"5.steps=2", "90.steps=2"}, 2},
        {"graphs/two_stage.json", {"5.steps=2", "5.end_at_step=1", "6.steps=2", "6.start_at_step=1"}, 4},
        {"graphs/regional.json", {"90.steps=2"}, 1},
        {"graphs/regional_pair.json", {"90.steps=3"}, 1},
        {"graphs/inpaint.json", {"90.steps=2"}, 1},
        {"graphs/inpaint_model.json", {"90.steps=2"}, 1},
        {"graphs/inpaint_crop.json", {"90.steps=2"}, 1},
        {"graphs/studies/inpainting.json", {"9.steps=6", "12.jumps=2"}, 2},
        {"graphs/studies/lora_blocks.json", {"13.steps=2", "23.steps=2", "33.steps=2", "63.steps=2"}, 4, "moved"},
        {"graphs/studies/control.json", {"10.steps=2", "22.steps=2", "32.steps=2", "42.steps=2", "52.steps=2"}, 5},
        {"graphs/differential.json", {"90.steps=2"}, 1},
        {"graphs/outpaint.json", {"90.steps=2"}, 1},
        {"graphs/edit.json", {"90.steps=2"}, 1},
        {"graphs/reuse.json", {"90.steps=6", "91.steps=6"}, 2},
        {"graphs/unclip.json", {"90.steps=2"}, 1},
        {"graphs/style_model.json", {"90.steps=2"}, 1},
        {"graphs/control.json", {"90.steps=2"}, 1},
        {"graphs/gligen.json", {"90.steps=2"}, 1},
        {"graphs/prompt_to_prompt.json", {"7.steps=2"}, 1},
        {"graphs/attention_maps.json", {"7.steps=2"}, 1},
        {"graphs/ip_adapter.json", {"90.steps=2"}, 1},
        {"graphs/ip_adapter_preset.json", {"90.steps=2"}, 1},
        {"graphs/paint_by_example.json", {"90.steps=2"}, 1},
        {"graphs/paint_by_example_diffusers.json", {"90.steps=2"}, 1},
        {"graphs/photomaker.json", {"90.steps=2"}, 1},
        {"graphs/hypernetwork.json", {"90.steps=2"}, 1},
        {"graphs/control_difference.json", {"90.steps=2"}, 1},
        {"graphs/control_old.json", {"90.steps=2"}, 1},
        {"graphs/control_text.json", {"90.steps=2"}, 1},
        {"graphs/control_union.json", {"90.steps=2"}, 1},
        {"graphs/clip_vision.json", {NULL}, 0, "1 encoded: 17 tokens × 64, a whole of 32"},
        {"graphs/primitives.json", {"1.value=2"}, 1},
        {"graphs/vae_file.json", {NULL}, 0},
        {"graphs/output_file.json", {NULL}, 0},
        {"graphs/pack_rgthree.json", {"90.steps=2"}, 1},
        {"graphs/pack_constants.json", {NULL}, 0, "a blue house, green meadows; and: a red star"},
        {"graphs/latent_file.json", {NULL}, 0},
        {"graphs/latents.json", {NULL}, 0, "latent 2 × 4 × 16 × 32"},
        {"graphs/objects.json", {NULL}, 0, "sampler dpmpp_2m"},
        {"graphs/pictures.json", {NULL}, 0},
        {"graphs/animation.json", {NULL}, 0, "\"animated\""},
        {"graphs/compositing.json", {NULL}, 0},
        {"graphs/filters.json", {NULL}, 0},
        {"graphs/masks.json", {NULL}, 0},
        {"graphs/measures.json", {NULL}, 0, "0.809144"},
        {"graphs/tables.json", {NULL}, 0, "sigma                psnr"},
        {"graphs/clip_score.json", {NULL}, 0, "0.16332"},
        {"graphs/inversion_edit.json", {"6.steps=2", "90.steps=2", "91.steps=2"}, 3},
        {"graphs/strings.json", {NULL}, 0, "a blue house, green meadows. Masterpiece"},
        {"graphs/for_loop.json", {NULL}, 0},
        {"graphs/custom_sampling.json", {"5.steps=3", "6.step=2"}, 2},
        {"graphs/guiders.json", {"8.steps=1"}, 1},
        {"graphs/sampler_options.json", {"29.steps=1"}, 1},
        {"graphs/model_sampling.json", {"24.steps=1"}, 1},
        {"graphs/guidance.json", {"90.steps=1", "93.steps=1", "96.steps=1", "100.steps=1"}, 4},
        {"graphs/guidance_perp_neg.json", {"90.steps=2"}, 1},
        {"graphs/guidance_operation.json", {"90.steps=2"}, 1},
        {"graphs/freeu.json", {"90.steps=2", "93.steps=2"}, 2},
        {"graphs/shrink.json", {"90.steps=2"}, 1},
        {"graphs/attention.json", {"90.steps=2"}, 1},
        {"graphs/merge_tokens.json", {"90.steps=2"}, 1},
        {"graphs/while_loop.json", {NULL}, 0, "once more more more more"},
    };
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
        char *json = read_text(examples[i].file);
        lab.options.set = examples[i].set;
        lab.options.set_count = examples[i].sets;
        if (lab_run(&lab, json) != NODUS_SUCCESS) fail_msg("%s: %s", examples[i].file, lab.error);
        const char *shows = examples[i].shows ? examples[i].shows : "\"images\"";
        if (!strstr(lab.ui, shows)) fail_msg("%s does not show %s but %s", examples[i].file, shows, lab.ui);
        memory_free(json);
    }
}

/* test_examples FOLDER: writes the models that the examples need, for the tests of the command line. */
static int write_models(const char *folder)
{
    NodusStatus status = examples_models(folder);
    if (status) fprintf(stderr, "%s\n", nodus_error_message(status));
    return status != NULL;
}

int main(int count, char **arguments)
{
    if (count == 2) return write_models(arguments[1]);
    const struct CMUnitTest cases[] = {
        CASE(every_node_explains_itself), CASE(every_node_is_in_the_example_that_it_names), CASE(every_example_runs)};
    return cmocka_run_group_tests(cases, setup, teardown);
}
