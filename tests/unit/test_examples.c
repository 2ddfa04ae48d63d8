/* The tables of the built-in nodes are complete, and the example that each names has it and runs (with fewer steps). */
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "nodes/register.h"
#include "tests/support_lab.h"
#include "tests/test.h"
#include <stdio.h>
#include <unistd.h>

static Lab lab;

static int setup(void **state)
{
    (void)state;
    char demo[512], here[256];
    if (lab_open(&lab, NULL) || file_make_folders(lab_path(&lab, "models/vae")) || !getcwd(here, sizeof here)) return -1;
    snprintf(demo, sizeof demo, "%s/models/checkpoints/shapes-sd1.safetensors", here);
    if (symlink(demo, lab_path(&lab, "models/vae/shapes-sd1.safetensors"))) return -1;
    snprintf(demo, sizeof demo, "%s/graphs/star.latent", here);
    if (symlink(demo, lab_path(&lab, "input/star.latent"))) return -1;
    snprintf(demo, sizeof demo, "%s/graphs/scene.png", here);
    return symlink(demo, lab_path(&lab, "input/scene.png"));
}
static int teardown(void **state)
{
    (void)state;
    lab_close(&lab);
    return 0;
}

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
    static const struct { const char *file, *set[4]; int sets; const char *shows; } examples[] = {
        {"graphs/txt2img.json", {"5.steps=2"}, 1},
        {"graphs/img2img.json", {"5.steps=2"}, 1},
        {"graphs/two_stage.json", {"5.steps=2", "5.end_at_step=1", "6.steps=2", "6.start_at_step=1"}, 4},
        {"graphs/primitives.json", {"1.value=2"}, 1},
        {"graphs/vae_file.json", {NULL}, 0},
        {"graphs/latent_file.json", {NULL}, 0},
        {"graphs/latents.json", {NULL}, 0, "latent 2 × 4 × 16 × 32"},
        {"graphs/objects.json", {NULL}, 0, "sampler dpmpp_2m"},
        {"graphs/pictures.json", {NULL}, 0},
        {"graphs/compositing.json", {NULL}, 0},
        {"graphs/filters.json", {NULL}, 0},
        {"graphs/masks.json", {NULL}, 0},
        {"graphs/strings.json", {NULL}, 0, "a blue house, green meadows. Masterpiece"},
        {"graphs/for_loop.json", {NULL}, 0},
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

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(every_node_explains_itself), CASE(every_node_is_in_the_example_that_it_names), CASE(every_example_runs)};
    return cmocka_run_group_tests(cases, setup, teardown);
}
