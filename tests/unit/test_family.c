/* family.c and the readers of sizes: each kind of file is recognised, told by name where it is refused, and nothing in a hostile
 * one goes unchecked. */
#include "tests/test.h"
#include "nodes/models/clip_tokenizer.h"
#include "nodes/models/family.h"
#include "nodes/models/keys.h"
#include <stdarg.h>
#include <stdio.h>

/* ---- State dicts without data --------------------------------------------------------------------------------------- */

static float storage[1 << 14];

/* Adds a weight; `rank` sizes follow. Sizes that are too large for the storage claim no bytes: nothing reads them here. */
static void add(WeightSet *set, const char *name, int rank, ...)
{
    void **state_ = NULL;
    int64_t dim[VIEW_RANK];
    size_t count = 1;
    va_list args;
    va_start(args, rank);
    for (int i = 0; i < rank; i++) count *= (size_t)(dim[i] = va_arg(args, int));
    va_end(args);
    assert_true(count <= sizeof storage / sizeof *storage);
    assert_ok(weights_add(set, name, DTYPE_F32, rank, dim, storage, count * sizeof *storage, false));
}

static WeightSet *new_set(void)
{
    void **state_ = NULL;
    WeightSet *set = NULL;
    assert_ok(weights_new(&set));
    return set;
}

typedef struct Shape {
    int in_channels, projection_rank, label, context;
} Shape;

/* The smallest UNet that has everything: three input blocks, one of them a halving, and their counterparts. */
static void add_unet(WeightSet *set, const char *prefix, Shape shape)
{
    static const char *const transformers[] = {"input_blocks.1.1", "middle_block.1", "output_blocks.2.1"};
    char name[256];
#define UNET(...) \
    (snprintf(name, sizeof name, "%s", prefix), snprintf(name + strlen(prefix), sizeof name - strlen(prefix), __VA_ARGS__), name)
    add(set, UNET("input_blocks.0.0.weight"), 4, 32, shape.in_channels, 3, 3);
    add(set, UNET("input_blocks.1.0.in_layers.2.weight"), 4, 1, 1, 3, 3);
    add(set, UNET("input_blocks.2.0.op.weight"), 4, 1, 1, 3, 3);
    for (int i = 0; i < 3; i++) add(set, UNET("output_blocks.%d.0.in_layers.2.weight", i), 4, 1, 1, 3, 3);
    add(set, UNET("out.2.weight"), 4, 4, 32, 3, 3);
    for (int i = 0; i < 3; i++) {
        add(set, UNET("%s.transformer_blocks.0.attn2.to_k.weight", transformers[i]), 2, 1, shape.context);
        add(set, UNET("%s.proj_in.weight", transformers[i]), shape.projection_rank, 32, 32, 1, 1);
    }
    if (shape.label) add(set, UNET("label_emb.0.0.weight"), 2, 1, shape.label);
#undef UNET
}

static const Shape sd1_shape = {4, 4, 0, 64};

/* A whole file of a kind: its UNet, and perhaps what it says about itself. */
static WeightSet *unet_file(Shape shape, const char *architecture)
{
    void **state_ = NULL;
    WeightSet *set = new_set();
    add_unet(set, "model.diffusion_model.", shape);
    if (architecture) assert_ok(weights_add_metadata(set, "modelspec.architecture", architecture));
    return set;
}

static void expect_refused(WeightSet *set, const char *piece)
{
    void **state_ = NULL;
    Checkpoint checkpoint;
    assert_error(family_checkpoint(set, "dir/file.safetensors", &checkpoint), piece);
    NodusStatus status = family_checkpoint(set, "dir/file.safetensors", &checkpoint);
    assert_int_equal(nodus_error_kind(status), NODUS_ERROR_FILE);
    assert_non_null(strstr(nodus_error_message(status), "dir/file.safetensors: "));
    nodus_error_free(status);
    weights_unref(set);
}

static void expect_stranger(const char *key, const char *piece)
{
    WeightSet *set = new_set();
    add(set, key, 2, 1, 1);
    expect_refused(set, piece);
}

/* ---- Recognised ------------------------------------------------------------------------------------------------------ */

TEST(structure_of_an_sd1_unet_is_read_from_names_and_shapes)
{
    WeightSet *set = unet_file(sd1_shape, NULL);
    Checkpoint checkpoint;
    assert_ok(family_checkpoint(set, "f", &checkpoint));
    const UnetConfig *unet = &checkpoint.unet;
    assert_int_equal(checkpoint.family, FAMILY_SD1);
    assert_string_equal(family_name(checkpoint.family), "sd1");
    assert_true(checkpoint.has_unet && !checkpoint.has_clip && !checkpoint.has_vae);
    assert_string_equal(unet->prefix, "model.diffusion_model.");
    assert_int_equal(unet->model_channels, 32);
    assert_int_equal(unet->context_width, 64);
    assert_int_equal(unet->input_blocks, 3);
    assert_int_equal(unet->output_blocks, 3);
    assert_int_equal(unet->heads, 8);
    assert_int_equal(unet->depth_in[0], 0);
    assert_int_equal(unet->depth_in[1], 1);
    assert_int_equal(unet->depth_middle, 1);
    assert_int_equal(unet->depth_out[2], 1);
    assert_near(checkpoint.latent_scale, 0.18215, 1e-8);
    weights_unref(set);
}

TEST(linear_projections_mean_heads_of_width_64)
{
    WeightSet *set = unet_file((Shape){4, 2, 20, 48}, NULL);
    UnetConfig unet;
    assert_ok(unet_config(set, "model.diffusion_model.", &unet));
    assert_true(unet.linear_projection);
    assert_int_equal(unet.heads, 0);
    assert_int_equal(unet.head_width, 64);
    assert_int_equal(unet.label_width, 20);
    weights_unref(set);
}

/* `layers` layers of a text tower under a prefix. */
static void add_text(WeightSet *set, const char *prefix, int vocabulary, int width, int layers)
{
    void **state_ = NULL;
    char name[256];
    static float table[CLIP_VOCABULARY * 64]; /* never touched */
    snprintf(name, sizeof name, "%sembeddings.token_embedding.weight", prefix);
    assert_ok(weights_add(set, name, DTYPE_F32, 2, (int64_t[]){vocabulary, width}, table, (size_t)vocabulary * (size_t)width * 4,
                          true));
    snprintf(name, sizeof name, "%sembeddings.position_embedding.weight", prefix);
    add(set, name, 2, 77, width);
    for (int i = 0; i < layers; i++) {
        snprintf(name, sizeof name, "%sencoder.layers.%d.layer_norm1.weight", prefix, i);
        add(set, name, 1, width);
    }
}

TEST(text_towers_have_a_head_for_each_64_and_never_none)
{
    static const int width[] = {32, 64, 128}, heads[] = {1, 1, 2};
    for (int i = 0; i < 3; i++) {
        WeightSet *set = new_set();
        ClipTextConfig config;
        add_text(set, "t.", 100, width[i], 3);
        assert_ok(clip_text_config(set, "t.", CLIP_L, &config));
        assert_int_equal(config.heads, heads[i]);
        assert_int_equal(config.layers, 3);
        assert_true(config.quick_gelu);
        weights_unref(set);
    }
}

TEST(old_text_keys_are_found_and_rounded_to_f16)
{
    static const char *const prefixes[] = {"cond_stage_model.transformer.text_model.", "cond_stage_model.transformer."};
    for (int i = 0; i < 2; i++) {
        WeightSet *set = new_set();
        Checkpoint checkpoint;
        char name[128];
        add_text(set, prefixes[i], CLIP_VOCABULARY, 64, 2);
        assert_ok(family_checkpoint(set, "f", &checkpoint));
        assert_true(checkpoint.has_clip && !checkpoint.has_unet);
        assert_string_equal(checkpoint.clip.prefix, prefixes[i]);
        snprintf(name, sizeof name, "%sencoder.layers.1.layer_norm1.weight", prefixes[i]);
        assert_true(weights_get(set, name)->round_f16);
        weights_unref(set);
    }
}

static void add_vae(WeightSet *set, const char *prefix, int levels, bool quant)
{
    char name[256];
#define VAE(...) \
    (snprintf(name, sizeof name, "%s", prefix), snprintf(name + strlen(prefix), sizeof name - strlen(prefix), __VA_ARGS__), name)
    add(set, VAE("encoder.conv_in.weight"), 4, 32, 3, 3, 3);
    add(set, VAE("encoder.conv_out.weight"), 4, 8, 32, 3, 3);
    add(set, VAE("decoder.conv_in.weight"), 4, 32, 4, 3, 3);
    for (int level = 0; level < levels; level++) {
        for (int i = 0; i < 2; i++) add(set, VAE("encoder.down.%d.block.%d.norm1.weight", level, i), 1, 32);
        for (int i = 0; i < 3; i++) add(set, VAE("decoder.up.%d.block.%d.norm1.weight", level, i), 1, 32);
    }
    if (quant) add(set, VAE("post_quant_conv.weight"), 4, 4, 4, 1, 1);
#undef VAE
}

TEST(lone_vaes_are_read_with_and_without_prefix)
{
    static const char *const prefixes[] = {"", "first_stage_model."};
    for (int i = 0; i < 2; i++) {
        WeightSet *set = new_set();
        VaeConfig vae;
        add_vae(set, prefixes[i], 4, i == 0);
        assert_ok(family_vae(set, "f", &vae));
        assert_string_equal(vae.prefix, prefixes[i]);
        assert_true(vae.has_encoder && vae.has_decoder);
        assert_int_equal(vae.has_quant, i == 0);
        assert_int_equal(vae.levels, 4);
        assert_int_equal(vae.scale, 8);
        assert_int_equal(vae.latent_channels, 4);
        assert_int_equal(vae.blocks[3], 2);
        assert_int_equal(vae.up_blocks[0], 3);
        weights_unref(set);
    }
}

/* ---- Refused by name ------------------------------------------------------------------------------------------------- */

TEST(families_are_told_by_structure_and_metadata)
{
    static const struct { Shape shape; const char *said; Family family; float scale; } rows[] = {
        {{4, 2, 0, 64}, NULL, FAMILY_SD2, 0.18215f},
        {{4, 2, 1600, 64}, NULL, FAMILY_SDXL, 0.13025f},
        {{4, 2, 1344, 64}, NULL, FAMILY_SDXL_REFINER, 0.13025f}, /* 1280 + the context's width */
        {{4, 2, 1600, 64}, "stable-diffusion-xl-v1-refiner", FAMILY_SDXL_REFINER, 0.13025f},
        {{4, 2, 1600, 64}, "stable-diffusion-v2-unclip-h", FAMILY_SD2, 0.18215f},
        {{4, 2, 2048, 1024}, NULL, FAMILY_SD2, 0.18215f}, /* unCLIP by its sizes */
        {{9, 4, 0, 64}, "stable-diffusion-v1-inpainting", FAMILY_SD1, 0.18215f},
        {{8, 4, 0, 64}, NULL, FAMILY_SD1, 0.18215f},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        WeightSet *set = unet_file(rows[i].shape, rows[i].said);
        Checkpoint checkpoint;
        assert_ok(family_checkpoint(set, "f", &checkpoint));
        assert_int_equal(checkpoint.family, rows[i].family);
        assert_near(checkpoint.latent_scale, rows[i].scale, 1e-8);
        assert_int_equal(checkpoint.training, TRAINED_EPS);
        weights_unref(set);
    }
}

TEST(a_vision_tower_in_the_file_means_unclip)
{
    WeightSet *set = unet_file((Shape){4, 2, 1600, 64}, NULL);
    Checkpoint checkpoint;
    add(set, "embedder.model.visual.vision_model.pre_layrnorm.weight", 1, 1);
    assert_ok(family_checkpoint(set, "f", &checkpoint));
    assert_int_equal(checkpoint.family, FAMILY_SD2);
    weights_unref(set);
}

static WeightSet *vision_file(int positions)
{
    WeightSet *set = new_set();
    add(set, "vision_model.embeddings.patch_embedding.weight", 4, 128, 3, 2, 2);
    add(set, "vision_model.embeddings.position_embedding.weight", 2, positions, 128);
    add(set, "vision_model.encoder.layers.0.layer_norm1.weight", 1, 128);
    add(set, "vision_model.encoder.layers.1.layer_norm1.weight", 1, 128);
    add(set, "visual_projection.weight", 2, 8, 128);
    return set;
}

TEST(vision_towers_are_read_from_shapes)
{
    WeightSet *set = vision_file(17);
    ClipVisionConfig vision;
    assert_ok(family_vision(set, "f", &vision));
    assert_int_equal(vision.side, 8);
    assert_int_equal(vision.heads, 2);
    assert_int_equal(vision.layers, 2);
    assert_int_equal(vision.projection, 8);
    assert_true(vision.quick_gelu);
    assert_true(weights_get(set, "visual_projection.weight")->round_f16);
    weights_unref(set);
}

TEST(vision_models_that_are_not_clips_are_refused)
{
    ClipVisionConfig vision;
    WeightSet *set = vision_file(18);
    assert_error(family_vision(set, "f", &vision), "18 positions for patches of 2 pixels: that is no square picture");
    weights_unref(set);
    set = vision_file(17);
    add(set, "vision_model.embeddings.patch_embedding.bias", 1, 128);
    assert_error(family_vision(set, "f", &vision), "SigLIP");
    weights_unref(set);
    set = new_set();
    add(set, "text_model.embeddings.token_embedding.weight", 2, 8, 8);
    assert_error(family_vision(set, "f", &vision), "a text encoder, not a CLIP vision model");
    weights_unref(set);
}

TEST(marks_beside_the_network_tell_what_it_predicts)
{
    static const struct { const char *mark, *second; FamilyTraining training; } rows[] = {
        {"v_pred", NULL, TRAINED_V}, {"v_pred", "ztsnr", TRAINED_V_ZERO}, {"model.diffusion_model.v_pred", NULL, TRAINED_V}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        WeightSet *set = unet_file((Shape){4, 2, 1600, 64}, NULL);
        Checkpoint checkpoint;
        add(set, rows[i].mark, 1, 1);
        if (rows[i].second) add(set, rows[i].second, 1, 1);
        assert_ok(family_checkpoint(set, "f", &checkpoint));
        assert_int_equal(checkpoint.training, rows[i].training);
        weights_unref(set);
    }
}

TEST(other_families_are_refused_by_name)
{
    (void)state_;
    expect_refused(unet_file(sd1_shape, "stable-diffusion-xl-v1-base"), "has the weights of an SD 1.x model");
    expect_refused(unet_file((Shape){4, 2, 0, 64}, "stable-diffusion-v1"), "metadata says an SD 1.x");
    expect_refused(unet_file((Shape){4, 2, 100, 64}, NULL), "no room for the sizes that an SDXL model is told");
    expect_refused(unet_file((Shape){4, 2, 1601, 64}, "stable-diffusion-v2-unclip-h"), "an unCLIP model's has two halves");
    expect_refused(unet_file((Shape){7, 4, 0, 64}, NULL), "7 input channels");
    expect_stranger("model.diffusion_model.double_blocks.0.img_attn.qkv.weight", "a Flux checkpoint");
    expect_stranger("model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight", "an SD 3 checkpoint");
}

TEST(files_of_other_kinds_are_told_their_folder)
{
    (void)state_;
    expect_stranger("lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight",
                    "a LoRA, not a checkpoint: it belongs in the folder \"loras\"");
    expect_stranger("diffusion_model.input_blocks.1.1.proj_in.lora_A.weight", "\"loras\"");
    expect_stranger("control_model.input_hint_block.0.weight", "\"controlnet\"");
    expect_stranger("emb_params", "\"embeddings\"");
    expect_stranger("body.0.rdb1.conv1.weight", "\"upscale_models\"");
    expect_stranger("position_net.linears.0.weight", "\"gligen\"");
    expect_stranger("input_blocks.0.0.weight", "\"diffusion_models\"");
    expect_stranger("text_model.embeddings.token_embedding.weight", "\"text_encoders\"");
    expect_stranger("decoder.conv_in.weight", "\"vae\"");
    expect_stranger("3.conv.0.weight", "\"vae_approx\"");
    expect_stranger("what.is.this", "this is no checkpoint that we know: it has 1 weights, the first is \"what.is.this\"");
    expect_refused(new_set(), "0 weights");
}

TEST(vaes_that_are_none_are_refused)
{
    WeightSet *set = new_set();
    VaeConfig vae;
    add(set, "decoder.conv_in.weight", 4, 1, 4, 3, 3);
    assert_error(family_vae(set, "f", &vae), "no KL autoencoder");
    weights_unref(set);
    set = unet_file(sd1_shape, NULL);
    assert_error(family_vae(set, "f", &vae), "a checkpoint, not a VAE: it belongs in the folder \"checkpoints\"");
    weights_unref(set);
}

/* ---- Hostile --------------------------------------------------------------------------------------------------------- */

TEST(missing_weights_are_named)
{
    WeightSet *set = new_set();
    Checkpoint checkpoint;
    add(set, "model.diffusion_model.input_blocks.0.0.weight", 4, 32, 4, 3, 3);
    assert_error(family_checkpoint(set, "f", &checkpoint), "\"model.diffusion_model.out.2.weight\" is missing");
    add(set, "model.diffusion_model.out.2.weight", 4, 4, 32, 3, 3);
    assert_error(family_checkpoint(set, "f", &checkpoint), "1 input blocks but 0 output blocks");
    weights_unref(set);
    set = new_set();
    add(set, "first_stage_model.decoder.conv_in.weight", 4, 1, 4, 3, 3);
    assert_error(family_checkpoint(set, "f", &checkpoint), "no KL autoencoder");
    weights_unref(set);
    set = new_set();
    add(set, "cond_stage_model.transformer.embeddings.token_embedding.weight", 2, 10, 8);
    assert_error(family_checkpoint(set, "f", &checkpoint), "position_embedding.weight\" is missing");
    weights_unref(set);
}

TEST(wrong_ranks_and_sizes_are_named)
{
    WeightSet *set = new_set();
    UnetConfig unet;
    add(set, "a.input_blocks.0.0.weight", 1, 32);
    assert_error(unet_config(set, "a.", &unet), "\"a.input_blocks.0.0.weight\" has 1 dimensions, expected 4");
    assert_ok(weights_add(set, "b.input_blocks.0.0.weight", DTYPE_F32, 4, (int64_t[]){0, 4, 3, 3}, storage, 0, false));
    assert_error(unet_config(set, "b.", &unet), "dimension 0 of \"b.input_blocks.0.0.weight\" is 0");
    assert_ok(
        weights_add(set, "c.input_blocks.0.0.weight", DTYPE_F32, 4, (int64_t[]){INT64_C(1) << 40, 0, 3, 3}, storage, 0, false));
    assert_error(unet_config(set, "c.", &unet), "is 1099511627776");
    weights_unref(set);
    char prefix[300];
    memset(prefix, 'p', sizeof prefix);
    prefix[sizeof prefix - 1] = '\0';
    set = new_set();
    assert_error(unet_config(set, prefix, &unet), "too long");
    weights_unref(set);
}

TEST(a_vocabulary_that_is_not_clips_is_refused)
{
    WeightSet *set = new_set();
    Checkpoint checkpoint;
    add_text(set, "cond_stage_model.transformer.", 100, 64, 1);
    assert_error(family_checkpoint(set, "f", &checkpoint), "knows 100 tokens"); /* ids beyond the table would be read */
    weights_unref(set);
}

TEST(endless_blocks_are_refused)
{
    WeightSet *set = unet_file(sd1_shape, NULL);
    Checkpoint checkpoint;
    char name[128];
    for (int i = 1; i < 100000; i++) {
        snprintf(name, sizeof name, "model.diffusion_model.middle_block.1.transformer_blocks.%d.attn2.to_k.weight", i);
        add(set, name, 2, 1, 1);
    }
    assert_error(family_checkpoint(set, "f", &checkpoint), "more than 64 weights");
    for (int i = 3; i < 100000; i++) {
        snprintf(name, sizeof name, "model.diffusion_model.input_blocks.%d.0.op.weight", i);
        add(set, name, 4, 1, 1, 1, 1);
    }
    assert_error(family_checkpoint(set, "f", &checkpoint), "more than 32 blocks");
    weights_unref(set);
    set = new_set();
    add_vae(set, "", 8, true);
    VaeConfig vae;
    assert_ok(family_vae(set, "f", &vae));
    add(set, "decoder.up.8.block.0.norm1.weight", 1, 1);
    assert_error(family_vae(set, "f", &vae), "more than 8 weights");
    weights_unref(set);
}

TEST_MAIN(CASE(structure_of_an_sd1_unet_is_read_from_names_and_shapes), CASE(linear_projections_mean_heads_of_width_64),
          CASE(text_towers_have_a_head_for_each_64_and_never_none), CASE(old_text_keys_are_found_and_rounded_to_f16),
          CASE(lone_vaes_are_read_with_and_without_prefix), CASE(families_are_told_by_structure_and_metadata),
          CASE(a_vision_tower_in_the_file_means_unclip), CASE(vision_towers_are_read_from_shapes), CASE(vision_models_that_are_not_clips_are_refused),
          CASE(marks_beside_the_network_tell_what_it_predicts), CASE(other_families_are_refused_by_name),
          CASE(files_of_other_kinds_are_told_their_folder), CASE(vaes_that_are_none_are_refused), CASE(missing_weights_are_named),
          CASE(wrong_ranks_and_sizes_are_named), CASE(a_vocabulary_that_is_not_clips_is_refused),
          CASE(endless_blocks_are_refused))
