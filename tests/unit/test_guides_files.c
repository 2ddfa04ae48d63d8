/* test_guides_files.c: what the files of ControlNets, T2I-Adapters and IP-Adapters are taken for: names, nestings and sizes of
 * the field, and files of other kinds, which are refused by name. */
#include "nodes/model_file.h"
#include "nodes/models/control.h"
#include "nodes/models/ip_adapter.h"
#include "tests/test.h"
#include <string.h>

typedef struct Named {
    const char *name;
    int rank;
    int64_t dim[4];
} Named;

static WeightSet *set_of(int count, const Named *named)
{
    static const float zeros[1 << 16];
    WeightSet *set;
    assert_null(weights_new(&set));
    for (int i = 0; i < count; i++) {
        size_t numbers = 1;
        for (int k = 0; k < named[i].rank; k++) numbers *= (size_t)named[i].dim[k];
        assert_true(numbers <= sizeof zeros / sizeof *zeros);
        assert_null(
            weights_add(set, named[i].name, DTYPE_F32, named[i].rank, named[i].dim, zeros, numbers * sizeof *zeros, false));
    }
    return set;
}

/* ---- ControlNets and T2I-Adapters
 * ---------------------------------------------------------------------------------------------- */

TEST(other_networks_are_no_controlnets_and_it_is_said_what_they_are)
{
    static const struct {
        const char *name, *message;
    } rows[] = {
        {"lllite_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q.down.0.weight", "ControlNet-LLLite"},
        {"encoder_hid_proj.weight", "Kolors"},
        {"down_blocks.0.motion_modules.0.temporal_transformer.norm.weight", "SparseCtrl"},
        {"controlnet_x_embedder.weight", "Flux"},
        {"double_blocks.0.img_attn.qkv.weight", "Flux"},
        {"pos_embed_input.proj.weight", "SD 3"},
        {"style_embedding", "StyleModelLoader"},
        {"ip_adapter.1.to_k_ip.weight", "IPAdapterModelLoader"},
        {"model.diffusion_model.input_blocks.0.0.weight", "no ControlNet or T2I-Adapter that we know"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ControlConfig config;
        WeightSet *set = set_of(1, &(Named){rows[i].name, 1, {4}});
        assert_error(control_config(set, &config), rows[i].message);
        weights_unref(set);
    }
}

static ControlConfig adapter_of(const char *first, int64_t out, int64_t in, int64_t size, const char *block)
{
    ControlConfig config;
    const Named named[] = {
        {first, 4, {out, in, size, size}}, {block, 4, {4, 4, 3, 3}}, {"body.0.out_conv.weight", 4, {8, 4, 1, 1}}};
    WeightSet *set = set_of(3, named);
    assert_null(control_config(set, &config));
    weights_unref(set);
    assert_int_equal(config.kind, CONTROL_ADAPTER);
    return config;
}

TEST(adapters_say_what_they_look_at)
{
    static const char *const plain = "body.0.block1.weight";
    ControlConfig config = adapter_of("conv_in.weight", 8, 192, 3, plain);
    assert_true(!config.wide && !config.light && config.hint_channels == 3 && config.cell == 8);
    config = adapter_of("conv_in.weight", 8, 64, 3, plain);
    assert_true(!config.wide && config.hint_channels == 1 && config.unet.input_blocks == 12);
    config = adapter_of("conv_in.weight", 8, 768, 3, plain);
    assert_true(config.wide && config.hint_channels == 3 && config.cell == 16 && config.unet.input_blocks == 9);
    config = adapter_of("conv_in.weight", 8, 256, 3, plain);
    assert_true(config.wide && config.hint_channels == 1 && config.cell == 16);
    config = adapter_of("body.0.in_conv.weight", 4, 192, 1, "body.0.body.0.block1.weight");
    assert_true(config.light && config.hint_channels == 3 && config.unet.model_channels == 8);
}

/* ---- IP-Adapters
 * ------------------------------------------------------------------------------------------------------------------ */

#define KEYS(context_)                                  \
    {"ip_adapter.1.to_k_ip.weight", 2, {16, context_}}, \
    {                                                   \
        "ip_adapter.1.to_v_ip.weight", 2,               \
        {                                               \
            16, context_                                \
        }                                               \
    }

/* How the published files for SDXL look, in their names and widths that matter. */
TEST(image_prompts_of_sdxl_are_known)
{
    static const Named plain[] = {KEYS(2048), {"image_proj.proj.weight", 2, {8192, 7}}, {"image_proj.norm.weight", 1, {2048}}};
    static const Named plus[] = {KEYS(8),
                                 {"image_proj.latents", 3, {1, 16, 24}},
                                 {"image_proj.proj_in.weight", 2, {24, 1280}},
                                 {"image_proj.proj_out.weight", 2, {8, 24}},
                                 {"image_proj.layers.0.0.to_q.weight", 2, {1280, 24}}};
    IpAdapterConfig config;
    WeightSet *set = set_of(4, plain);
    assert_ok(ip_adapter_config(set, &config));
    weights_unref(set);
    assert_true(config.kind == IP_PLAIN && config.tokens == 4 && config.context == 2048);
    set = set_of(6, plus);
    assert_ok(ip_adapter_config(set, &config));
    weights_unref(set);
    assert_true(config.kind == IP_PLUS && config.tokens == 16 && config.heads == 20 && config.image == 1280 && config.depth == 1);
}

TEST(image_prompts_that_need_more_than_we_have_are_refused_by_name)
{
    static const Named face[] = {KEYS(8), {"ip_adapter.0.to_q_lora.down.weight", 2, {4, 4}}};
    static const Named instant[] = {KEYS(8), {"image_proj.latents", 3, {1, 16, 24}}, {"image_proj.proj_in.weight", 2, {24, 512}}};
    static const Named kolors[] = {
        KEYS(8), {"image_proj.latents", 3, {1, 16, 24}}, {"image_proj.layers.0.0.to_out.weight", 2, {2048, 8}}};
    static const Named flux[] = {{"double_blocks.0.processor.ip_adapter_double_stream_k_proj.weight", 2, {4, 4}}};
    static const struct {
        int count;
        const Named *named;
        const char *message;
    } rows[] = {{3, face, "FaceID"}, {4, instant, "InstantID"}, {4, kolors, "Kolors"}, {1, flux, "Flux"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        IpAdapterConfig config;
        WeightSet *set = set_of(rows[i].count, rows[i].named);
        assert_error(ip_adapter_config(set, &config), rows[i].message);
        weights_unref(set);
    }
}

/* As torch writes {"image_proj": {…}, "ip_adapter": {…}}: tests/golden/ip_adapter.py nested FILE. */
TEST(nested_dictionaries_of_torch_are_the_flat_names)
{
    IpAdapterConfig config;
    WeightSet *set;
    assert_ok(model_file_open("tests/golden/ip_adapter_nested.bin", &set));
    assert_ok(ip_adapter_config(set, &config));
    assert_int_equal(config.kind, IP_PLAIN);
    assert_int_equal(config.layers, 2);
    assert_int_equal(config.width[0], 3);
    assert_int_equal(config.width[1], 5);
    assert_int_equal(config.tokens, 4);
    float value[5 * 2];
    assert_ok(weights_read_f32(weights_get(set, "ip_adapter.3.to_v_ip.weight"), value));
    for (int i = 0; i < 10; i++) assert_true(value[i] == (float)i / 4);
    weights_unref(set);
}

TEST_MAIN(CASE(other_networks_are_no_controlnets_and_it_is_said_what_they_are), CASE(adapters_say_what_they_look_at),
          CASE(image_prompts_of_sdxl_are_known), CASE(image_prompts_that_need_more_than_we_have_are_refused_by_name),
          CASE(nested_dictionaries_of_torch_are_the_flat_names))
