/* test_networks.c: the networks of nodes/models against PyTorch, on weights made by a formula (numerics.md §16).
 *
 * One idea: a builder that puts one layer in the wrong place, or one with the wrong eps, gives other numbers. The numbers here
 * were measured on ComfyUI's modules with the same weights: the first eight, the mean and the standard deviation of each output,
 * within 1e-4. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "engine/base/memory.h"
#include "nodes/diffusion/noise.h"
#include "nodes/models/clip_text.h"
#include "nodes/models/clip_vision.h"
#include "nodes/models/unet.h"
#include "nodes/models/vae.h"
#include "tests/support.h"
#include "tests/test.h"

#define DIMS(...)                                                     \
    (sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]) \
    {                                                                 \
        __VA_ARGS__                                                   \
    }

/* ---- Weights: names first, then numbers by position in the sorted list ---- */

enum { MOST_NAMES = 400 };

typedef struct Entry {
    const char *name;
    int rank;
    int64_t dim[VIEW_RANK];
} Entry;

typedef struct Names {
    Arena *arena;
    Entry entry[MOST_NAMES];
    int count;
} Names;

static void add(Names *names, const char *name, const char *suffix, int rank, const int64_t *dim)
{
    assert_true(names->count < MOST_NAMES);
    Entry *entry = &names->entry[names->count++];
    entry->name = arena_format(names->arena, "%s%s", name, suffix);
    assert_non_null(entry->name);
    entry->rank = rank;
    memcpy(entry->dim, dim, (size_t)rank * sizeof *dim);
}

static void conv(Names *names, const char *name, int64_t out, int64_t in, int64_t size)
{
    add(names, name, ".weight", DIMS(out, in, size, size));
    add(names, name, ".bias", DIMS(out));
}

static void linear(Names *names, const char *name, int64_t out, int64_t in)
{
    add(names, name, ".weight", DIMS(out, in));
    add(names, name, ".bias", DIMS(out));
}

static void norm(Names *names, const char *name, int64_t n)
{
    add(names, name, ".weight", DIMS(n));
    add(names, name, ".bias", DIMS(n));
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const Entry *)a)->name, ((const Entry *)b)->name);
}

static void free_arena(void *arena)
{
    arena_free(arena);
}

/* Rule S. The set takes over the names' arena. */
static WeightSet *weights_of(Names *names)
{
    WeightSet *set = NULL;
    assert_null(weights_new(&set));
    qsort(names->entry, (size_t)names->count, sizeof *names->entry, by_name);
    for (int n = 0; n < names->count; n++) {
        const Entry *entry = &names->entry[n];
        const char *end = strrchr(entry->name, '.');
        size_t count = 1;
        for (int i = 0; i < entry->rank; i++) count *= (size_t)entry->dim[i];
        float *data = arena_alloc(names->arena, count * sizeof *data);
        assert_non_null(data);
        for (size_t i = 0; i < count; i++) {
            const double s = sin(1.7 * (double)(i + 1) + 0.37 * n);
            if (entry->rank > 1) data[i] = (float)(1.4 * s / sqrt((double)count / (double)entry->dim[0]));
            else data[i] = (float)(end && strcmp(end, ".weight") == 0 ? 1 + 0.1 * s : 0.1 * s);
        }
        assert_null(weights_add(set, entry->name, DTYPE_F32, entry->rank, entry->dim, data, count * sizeof *data, false));
    }
    weights_set_identity(set, hash_of(names->entry[0].name, strlen(names->entry[0].name)));
    assert_null(weights_own(set, free_arena, names->arena));
    return set;
}

/* ---- The networks' names ---- */

#define NAME(format, ...) arena_format(names->arena, format, __VA_ARGS__)

static void unet_block(Names *names, const char *at, int64_t in, int64_t out)
{
    norm(names, NAME("%s.in_layers.0", at), in);
    conv(names, NAME("%s.in_layers.2", at), out, in, 3);
    linear(names, NAME("%s.emb_layers.1", at), out, 128);
    norm(names, NAME("%s.out_layers.0", at), out);
    conv(names, NAME("%s.out_layers.3", at), out, out, 3);
    if (in != out) conv(names, NAME("%s.skip_connection", at), out, in, 1);
}

static void unet_transformer(Names *names, const char *at, int64_t c)
{
    const char *block = NAME("%s.transformer_blocks.0", at);
    norm(names, NAME("%s.norm", at), c);
    conv(names, NAME("%s.proj_in", at), c, c, 1);
    conv(names, NAME("%s.proj_out", at), c, c, 1);
    for (int i = 1; i <= 2; i++) {
        const int64_t from = i == 1 ? c : 24;
        add(names, NAME("%s.attn%d.to_q", block, i), ".weight", DIMS(c, c));
        add(names, NAME("%s.attn%d.to_k", block, i), ".weight", DIMS(c, from));
        add(names, NAME("%s.attn%d.to_v", block, i), ".weight", DIMS(c, from));
        linear(names, NAME("%s.attn%d.to_out.0", block, i), c, c);
    }
    for (int i = 1; i <= 3; i++) norm(names, NAME("%s.norm%d", block, i), c);
    linear(names, NAME("%s.ff.net.0.proj", block), 8 * c, c);
    linear(names, NAME("%s.ff.net.2", block), c, 4 * c);
}

/* "UNET-A": width 32, levels 1 2, one block a level, a transformer in each, context 24. */
static WeightSet *unet_a(void)
{
    Names *names = &(Names){.arena = arena_new()};
    linear(names, "time_embed.0", 128, 32);
    linear(names, "time_embed.2", 128, 128);
    conv(names, "input_blocks.0.0", 32, 4, 3);
    unet_block(names, "input_blocks.1.0", 32, 32);
    unet_transformer(names, "input_blocks.1.1", 32);
    conv(names, "input_blocks.2.0.op", 32, 32, 3);
    unet_block(names, "input_blocks.3.0", 32, 64);
    unet_transformer(names, "input_blocks.3.1", 64);
    unet_block(names, "middle_block.0", 64, 64);
    unet_transformer(names, "middle_block.1", 64);
    unet_block(names, "middle_block.2", 64, 64);
    static const int64_t in[] = {64 + 64, 64 + 32, 64 + 32, 32 + 32}, out[] = {64, 64, 32, 32};
    for (int i = 0; i < 4; i++) {
        unet_block(names, NAME("output_blocks.%d.0", i), in[i], out[i]);
        unet_transformer(names, NAME("output_blocks.%d.1", i), out[i]);
    }
    conv(names, "output_blocks.1.2.conv", 64, 64, 3);
    norm(names, "out.0", 32);
    conv(names, "out.2", 4, 32, 3);
    assert_int_equal(names->count, 286);
    return weights_of(names);
}

static void vae_block(Names *names, const char *at, int64_t in, int64_t out)
{
    norm(names, NAME("%s.norm1", at), in);
    conv(names, NAME("%s.conv1", at), out, in, 3);
    norm(names, NAME("%s.norm2", at), out);
    conv(names, NAME("%s.conv2", at), out, out, 3);
    if (in != out) conv(names, NAME("%s.nin_shortcut", at), out, in, 1);
}

static void vae_middle(Names *names, const char *at)
{
    static const char *const parts[] = {"q", "k", "v", "proj_out"};
    vae_block(names, NAME("%s.block_1", at), 64, 64);
    vae_block(names, NAME("%s.block_2", at), 64, 64);
    norm(names, NAME("%s.attn_1.norm", at), 64);
    for (int i = 0; i < 4; i++) conv(names, NAME("%s.attn_1.%s", at, parts[i]), 64, 64, 1);
}

/* Width 32, levels 1 2 2, one block a level down, two up, four latent channels. */
static WeightSet *small_vae(void)
{
    Names *names = &(Names){.arena = arena_new()};
    static const int64_t width[] = {32, 64, 64};
    conv(names, "encoder.conv_in", 32, 3, 3);
    conv(names, "decoder.conv_in", 64, 4, 3);
    for (int level = 0; level < 3; level++) {
        const int64_t below = level ? width[level - 1] : 32, above = level < 2 ? width[level + 1] : 64;
        vae_block(names, NAME("encoder.down.%d.block.0", level), below, width[level]);
        if (level < 2) conv(names, NAME("encoder.down.%d.downsample.conv", level), width[level], width[level], 3);
        vae_block(names, NAME("decoder.up.%d.block.0", level), above, width[level]);
        vae_block(names, NAME("decoder.up.%d.block.1", level), width[level], width[level]);
        if (level > 0) conv(names, NAME("decoder.up.%d.upsample.conv", level), width[level], width[level], 3);
    }
    vae_middle(names, "encoder.mid");
    vae_middle(names, "decoder.mid");
    norm(names, "encoder.norm_out", 64);
    conv(names, "encoder.conv_out", 8, 64, 3);
    norm(names, "decoder.norm_out", 32);
    conv(names, "decoder.conv_out", 3, 32, 3);
    conv(names, "quant_conv", 8, 8, 1);
    conv(names, "post_quant_conv", 4, 4, 1);
    assert_int_equal(names->count, 152);
    return weights_of(names);
}

/* Three layers, width 32, two heads, MLP 64, vocabulary 100. */
static WeightSet *small_clip(void)
{
    static const char *const parts[] = {"q_proj", "k_proj", "v_proj", "out_proj"};
    Names *names = &(Names){.arena = arena_new()};
    add(names, "text_model.embeddings.token_embedding", ".weight", DIMS(100, 32));
    add(names, "text_model.embeddings.position_embedding", ".weight", DIMS(77, 32));
    for (int i = 0; i < 3; i++) {
        const char *at = NAME("text_model.encoder.layers.%d", i);
        for (int k = 0; k < 4; k++) linear(names, NAME("%s.self_attn.%s", at, parts[k]), 32, 32);
        norm(names, NAME("%s.layer_norm1", at), 32);
        norm(names, NAME("%s.layer_norm2", at), 32);
        linear(names, NAME("%s.mlp.fc1", at), 64, 32);
        linear(names, NAME("%s.mlp.fc2", at), 32, 64);
    }
    norm(names, "text_model.final_layer_norm", 32);
    add(names, "text_projection", ".weight", DIMS(32, 32));
    assert_int_equal(names->count, 53);
    return weights_of(names);
}

/* Three layers, width 32, two heads, MLP 64, patches of 8 pixels, pictures of 32, projection 24. */
static WeightSet *small_vision(void)
{
    static const char *const parts[] = {"q_proj", "k_proj", "v_proj", "out_proj"};
    Names *names = &(Names){.arena = arena_new()};
    add(names, "vision_model.embeddings.class_embedding", "", DIMS(32));
    add(names, "vision_model.embeddings.patch_embedding", ".weight", DIMS(32, 3, 8, 8));
    add(names, "vision_model.embeddings.position_embedding", ".weight", DIMS(17, 32));
    norm(names, "vision_model.pre_layrnorm", 32);
    for (int i = 0; i < 3; i++) {
        const char *at = NAME("vision_model.encoder.layers.%d", i);
        for (int k = 0; k < 4; k++) linear(names, NAME("%s.self_attn.%s", at, parts[k]), 32, 32);
        norm(names, NAME("%s.layer_norm1", at), 32);
        norm(names, NAME("%s.layer_norm2", at), 32);
        linear(names, NAME("%s.mlp.fc1", at), 64, 32);
        linear(names, NAME("%s.mlp.fc2", at), 32, 64);
    }
    norm(names, "vision_model.post_layernorm", 32);
    add(names, "visual_projection", ".weight", DIMS(24, 32));
    assert_int_equal(names->count, 56);
    return weights_of(names);
}

/* ---- Running ---- */

typedef struct Want {
    double first[8], mean, deviation;
} Want;

static void check(const char *what, const float *got, int64_t count, const Want *want)
{
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < count; i++) sum += got[i];
    const double mean = sum / (double)count;
    for (int64_t i = 0; i < count; i++) squares += (got[i] - mean) * (got[i] - mean);
    const double deviation = sqrt(squares / (double)(count - 1));
    for (int i = 0; i < 8; i++)
        if (!(fabs(got[i] - want->first[i]) <= 1e-4))
            fail_msg("%s: number %d is %.6f, expected %.6f", what, i, got[i], want->first[i]);
    if (!(fabs(mean - want->mean) <= 1e-4)) fail_msg("%s: mean %.7f, expected %.7f", what, mean, want->mean);
    if (!(fabs(deviation - want->deviation) <= 1e-4))
        fail_msg("%s: deviation %.7f, expected %.7f", what, deviation, want->deviation);
}

static NodusTensor *noise(NodusMath *math, uint64_t seed, int rank, const int64_t *dim)
{
    float data[4096];
    size_t count = 1;
    NodusTensor *tensor = NULL;
    Generator generator;
    for (int i = 0; i < rank; i++) count *= (size_t)dim[i];
    assert_true(count <= 4096);
    generator_seed(&generator, seed);
    generator_normal(&generator, data, count);
    assert_null(nodus_tensor_from_f32(math, &tensor, rank, dim, data));
    return tensor;
}

/* One network: what it is built from. */
typedef struct Job {
    UnetConfig unet;
    VaeConfig vae;
    ClipTextConfig clip;
    ClipVisionConfig vision;
    int64_t height, width, tokens;
    int layer;
    bool normalize;
} Job;

static NodusStatus build_unet(void *context, OpGraph *graph)
{
    const Job *job = context;
    unet_build(graph, &job->unet, 1, job->height, job->width, job->tokens);
    return NULL;
}

static NodusStatus build_encoder(void *context, OpGraph *graph)
{
    const Job *job = context;
    vae_build_encoder(graph, &job->vae, 1, job->height, job->width);
    return NULL;
}

static NodusStatus build_decoder(void *context, OpGraph *graph)
{
    const Job *job = context;
    vae_build_decoder(graph, &job->vae, 1, job->height, job->width);
    return NULL;
}

static NodusStatus build_clip(void *context, OpGraph *graph)
{
    const Job *job = context;
    clip_text_build(graph, &job->clip, &(ClipTextPass){.batch = 1, .layer = job->layer, .normalize = job->normalize});
    return NULL;
}

static NodusStatus build_vision(void *context, OpGraph *graph)
{
    const Job *job = context;
    clip_vision_build(graph, &job->vision);
    return NULL;
}

typedef NodusStatus Build(void *context, OpGraph *graph);

static NodusStatus run(NodusMath *math, WeightSet *weights, const char *name, Build *build, Job *job, Bindings *bindings)
{
    NodusHash *hash = NULL;
    Plan *plan = NULL;
    NODUS_TRY(plan_key_begin(math, weights, name, &hash));
    nodus_hash_u64(hash, (uint64_t)job->height);
    nodus_hash_u64(hash, (uint64_t)job->width);
    nodus_hash_u64(hash, (uint64_t)job->layer * 2 + job->normalize);
    NODUS_TRY(plan_get(math, plan_key_end(hash), weights, build, job, &plan));
    NodusStatus status = plan_run(math, plan, bindings);
    plan_unref(plan);
    return status;
}

static void check_tensor(NodusMath *math, const char *what, const NodusTensor *tensor, const Want *want)
{
    const float *data = NULL;
    assert_null(nodus_tensor_map_f32(math, tensor, &data));
    check(what, data, nodus_tensor_count(tensor), want);
}

/* ---- The claims, for one device ---- */

static void unet_case(void **state_, NodusMath *math)
{
    static const Want even = {
        {-0.113701, -0.071065, -0.084392, -0.138771, -0.070767, -0.110770, 0.110713, -0.181812}, -0.0033489, 0.1858350};
    static const Want odd = {
        {-0.062924, -0.062372, -0.135955, -0.327733, 0.123531, -0.147900, -0.070330, -0.109191}, -0.0066714, 0.1874141};
    WeightSet *weights = unet_a();
    Job job = {.tokens = 7};
    assert_ok(unet_config(weights, "", &job.unet));
    job.unet.heads = 2;
    for (int i = 0; i < 2; i++) {
        Bindings bindings = {0};
        NodusTensor *t = NULL, *out = NULL;
        job.height = i ? 9 : 8;
        job.width = i ? 7 : 8;
        assert_ok(nodus_tensor_fill(math, &t, DIMS(1), i ? 1 : 500));
        bindings_input(&bindings, "x", noise(math, 1, DIMS(1, 4, job.height, job.width)));
        bindings_input(&bindings, "timesteps", t);
        bindings_input(&bindings, "context", noise(math, 2, DIMS(1, 7, 24)));
        bindings_output(&bindings, "out", &out);
        assert_ok(run(math, weights, "unet", build_unet, &job, &bindings));
        check_tensor(math, i ? "UNet 9x7, t = 1" : "UNet 8x8, t = 500", out, i ? &odd : &even);
    }
    weights_unref(weights);
}

static void vae_case(void **state_, NodusMath *math)
{
    static const Want encoded = {
        {0.084863, 0.086193, 0.019931, 0.082181, 0.033273, 0.054676, 0.063923, 0.055065}, 0.0733874, 0.1029505};
    static const Want decoded = {
        {0.001969, 0.028043, 0.157992, 0.172196, 0.034187, -0.017023, 0.044027, -0.012629}, -0.0281746, 0.1557416};
    WeightSet *weights = small_vae();
    Job job = {.height = 24, .width = 20};
    Generator generator;
    float picture[3 * 24 * 20];
    NodusTensor *pixels = NULL, *out = NULL;
    assert_ok(vae_config(weights, "", &job.vae));
    generator_seed(&generator, 5);
    generator_uniform(&generator, picture, 3 * 24 * 20);
    for (int i = 0; i < 3 * 24 * 20; i++) picture[i] = picture[i] * 2 - 1;
    assert_ok(nodus_tensor_from_f32(math, &pixels, DIMS(1, 3, 24, 20), picture));
    Bindings encode = {0}, decode = {0};
    bindings_input(&encode, "pixels", pixels);
    bindings_output(&encode, "latent", &out);
    assert_ok(run(math, weights, "vae encode", build_encoder, &job, &encode));
    check_tensor(math, "VAE encode", out, &encoded);
    job.height = 6;
    job.width = 5;
    bindings_input(&decode, "latent", noise(math, 6, DIMS(1, 4, 6, 5)));
    bindings_output(&decode, "pixels", &out);
    assert_ok(run(math, weights, "vae decode", build_decoder, &job, &decode));
    check_tensor(math, "VAE decode", out, &decoded);
    weights_unref(weights);
}

static void clip_case(void **state_, NodusMath *math)
{
    static const struct {
        const char *what;
        int layer;
        bool normalize;
        Want hidden;
    } cases[] = {
        {"CLIP last",
         3,
         true,
         {{0.975734, -1.658682, 0.854706, 0.808108, -1.966760, 1.012261, 0.712063, -1.999189}, -0.0146474, 0.9795201}},
        {"CLIP -2 with norm",
         2,
         true,
         {{0.910339, -1.544009, 0.837294, 0.652783, -1.801146, 1.067514, 0.499775, -1.876604}, -0.0112465, 0.9837425}},
        {"CLIP -2 without norm",
         2,
         false,
         {{1.401116, -3.045336, 1.957370, 1.145260, -3.352628, 2.265946, 1.177727, -3.402249}, -0.0130953, 2.1446419}},
    };
    static const Want pooled = {
        {-0.677995, -1.390571, 1.647124, -0.271482, -1.433609, 1.205237, -0.047845, -0.953404}, -0.0235944, 0.9733780};
    WeightSet *weights = small_clip();
    Job job = {0};
    int32_t ids[77] = {98, 5, 7, 11, 13};
    for (int i = 5; i < 77; i++) ids[i] = 99;
    Tensor *tokens = NULL;
    assert_ok(clip_text_config(weights, "text_model.", CLIP_L, &job.clip));
    job.clip.heads = 2;
    job.clip.quick_gelu = true;
    assert_ok(tensor_borrow(DTYPE_I32, DIMS(1, 77), ids, NULL, NULL, &tokens));
    for (int i = 0; i < 3; i++) {
        Bindings bindings = {0};
        NodusTensor *hidden = NULL, *last = NULL;
        const float *data = NULL;
        job.layer = cases[i].layer;
        job.normalize = cases[i].normalize;
        bindings_input(&bindings, "ids", tokens);
        bindings_output(&bindings, "hidden", &hidden);
        bindings_output(&bindings, "last", &last);
        assert_ok(run(math, weights, "clip", build_clip, &job, &bindings));
        check_tensor(math, cases[i].what, hidden, &cases[i].hidden);
        assert_ok(nodus_tensor_map_f32(math, last, &data));
        check("CLIP pooled at the end token", data + 5 * 32, 32, &pooled); /* token 5 is the first 99 */
    }
    nodus_tensor_unref(tokens);
    weights_unref(weights);
}

static void vision_case(void **state_, NodusMath *math)
{
    static const Want last = {
        {2.687311, -4.107500, 1.562956, 2.248616, -3.368168, 2.183285, 0.480553, -2.828616}, -0.0110773, 3.3751085};
    static const Want penultimate = {
        {3.033303, -2.542873, -0.520720, 2.742780, -1.676757, -0.015606, 0.973132, -1.191038}, -0.0082746, 2.8698843};
    static const Want embeds = {
        {0.948615, 0.865552, -1.894218, 1.203851, 0.579029, -1.836432, 1.427244, 0.277190}, 0.0053650, 1.3432095};
    WeightSet *weights = small_vision();
    Job job = {0};
    NodusTensor *out[3] = {NULL};
    Bindings bindings = {0};
    assert_ok(clip_vision_config(weights, "", &job.vision));
    assert_int_equal(job.vision.side, 32);
    job.vision.heads = 2;
    bindings_input(&bindings, "pixels", noise(math, 9, DIMS(1, 3, 32, 32)));
    bindings_output(&bindings, "last", &out[0]);
    bindings_output(&bindings, "penultimate", &out[1]);
    bindings_output(&bindings, "embeds", &out[2]);
    assert_ok(run(math, weights, "vision", build_vision, &job, &bindings));
    check_tensor(math, "vision last", out[0], &last);
    check_tensor(math, "vision penultimate", out[1], &penultimate);
    check_tensor(math, "vision embeds", out[2], &embeds);
    weights_unref(weights);
}

static void on_every_device(void **state_, void (*claim)(void **state_, NodusMath *math))
{
    static const struct {
        const char *device, *isa;
    } devices[] = {{"ref", NULL}, {"cpu", NULL}, {"cpu", "avx2"}};
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++) {
        SupportMath math;
        NodusStatus status = support_math_open(devices[i].device, devices[i].isa, 2, &math);
        if (status && devices[i].isa) { /* not every machine has it */
            nodus_error_free(status);
            continue;
        }
        assert_ok(status);
        claim(state_, &math.math);
        support_math_close(&math);
    }
}

TEST(the_unet_gives_pytorchs_numbers)
{
    on_every_device(state_, unet_case);
}

TEST(the_vae_gives_pytorchs_numbers)
{
    on_every_device(state_, vae_case);
}

TEST(the_text_tower_gives_pytorchs_numbers)
{
    on_every_device(state_, clip_case);
}

TEST(the_vision_tower_gives_pytorchs_numbers)
{
    on_every_device(state_, vision_case);
}

TEST_MAIN(CASE(the_unet_gives_pytorchs_numbers), CASE(the_vae_gives_pytorchs_numbers),
          CASE(the_text_tower_gives_pytorchs_numbers), CASE(the_vision_tower_gives_pytorchs_numbers))
