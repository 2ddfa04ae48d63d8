/* make_models.c: writes the small models that the golden cases load, by formula: make_models DIR.
 *
 * One idea: a golden result is worth something only if the model behind it can be made again from nothing. Every number comes
 * from its tensor's name, its index and the file's seed (SplitMix64, README.md), so no model file is stored; tests/golden/run
 * compares the files' SHA-256 with the list beside the cases. The names and shapes below are those of Stable Diffusion 1 in a
 * small size. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "engine/base/memory.h"
#include "engine/formats/safetensors.h"

typedef struct Model {
    Arena *names;
    SafetensorsItem *item;
    size_t count, capacity;
    uint64_t seed;
    int dtype;
    const char *prefix; /* before the names of the part being added */
} Model;

static _Noreturn void fail(const char *what, const char *why)
{
    fprintf(stderr, "make_models: %s: %s\n", what, why);
    exit(1);
}

/* ---- Numbers ---- */

static uint64_t hash_name(const char *name)
{
    uint64_t h = 0xCBF29CE484222325u;
    for (; *name; name++) h = (h ^ (uint8_t)*name) * 0x100000001B3u;
    return h;
}

/* Entry i of a tensor's stream: the sum of four 16-bit numbers, mean 0, variance 1. */
static double normal_at(uint64_t state, uint64_t i)
{
    uint64_t z = state + (i + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    z = z ^ z >> 31;
    const int64_t sum = (int64_t)((z & 65535) + (z >> 16 & 65535) + (z >> 32 & 65535) + (z >> 48));
    return (double)(sum - 131070) / 37837.0;
}

static bool ends_with(const char *name, const char *end)
{
    const size_t n = strlen(name), e = strlen(end);
    return n >= e && strcmp(name + n - e, end) == 0;
}

/* How much stronger or weaker than usual a tensor is, so that a random network behaves like a trained one. `usual` if it is not
 * listed. */
static double gain_of(const char *name, double usual)
{
    static const struct {
        const char *end;
        double gain;
    } gains[] = {
        {"token_embedding.weight", 0.7},
        {"position_embedding.weight", 0.25},
        {"q_proj.weight", 1.3},
        {"k_proj.weight", 1.3},
        {"attn1.to_q.weight", 1.4},
        {"attn1.to_k.weight", 1.4},
        {"attn2.to_q.weight", 1.4},
        {"attn2.to_k.weight", 1.4},
        {"attn2.to_out.0.weight", 1.6},
        {"emb_layers.1.weight", 1.5},
        {"output_blocks.11.0.skip_connection.weight", 0.15},
        {"output_blocks.11.0.out_layers.3.weight", 0.4},
        {"output_blocks.11.1.proj_out.weight", 0.5},
        {"decoder.conv_out.weight", 0.8},
        {"decoder.conv_out.bias", 0.1},
        {"encoder.conv_out.weight", 7.0},
        {".out.2.weight", 0.3},
    };
    for (size_t i = 0; i < sizeof gains / sizeof *gains; i++)
        if (ends_with(name, gains[i].end)) return gains[i].gain;
    return usual;
}

/* A network of noise would never denoise, so three filters of the UNet also carry the noisy latent straight to the output. */
static double pattern_at(const SafetensorsItem *item, int64_t i)
{
    if (item->rank != 4) return 0;
    const int64_t tap = i % (item->dim[2] * item->dim[3]), in = i / (item->dim[2] * item->dim[3]) % item->dim[1];
    const int64_t out = i / (item->dim[1] * item->dim[2] * item->dim[3]);
    if (ends_with(item->name, "model.input_blocks.0.0.weight")) /* channel `out` carries ± latent channel out/2 mod 4 */
        return tap == 4 && in == out / 2 % 4 ? (out % 2 ? -1.0 : 1.0) : 0;
    if (ends_with(item->name, "model.output_blocks.11.0.skip_connection.weight")) /* the skip half of its input passes */
        return in == item->dim[1] - item->dim[0] + out ? 1.0 : 0;
    if (ends_with(item->name, "model.out.2.weight")) /* and back: silu(a) − silu(−a) = a */
        return tap == 4 && out == in / 2 % 4 ? 1.5 * (in % 2 ? -1.0 : 1.0) * 8.0 / (double)item->dim[1] : 0;
    return 0;
}

static void fill(const SafetensorsItem *item, uint64_t seed, float *to)
{
    int64_t count = 1;
    for (int i = 0; i < item->rank; i++) count *= item->dim[i];
    const bool norm = item->rank == 1 && ends_with(item->name, "weight"), table = strstr(item->name, "_embedding.weight") != NULL;
    const double gain = gain_of(item->name, item->rank > 1 ? 1 : norm ? 0.1 : 0.05), offset = norm ? 1 : 0;
    const double scale = item->rank == 1 || table ? gain : gain / sqrt((double)(count / item->dim[0]));
    const uint64_t state = hash_name(item->name) ^ seed * 0xD1342543DE82EF95u;
    for (int64_t i = 0; i < count; i++) to[i] = (float)(normal_at(state, (uint64_t)i) * scale + offset + pattern_at(item, i));
}

/* ---- A file ---- */

static void add(Model *model, int rank, const int64_t *dim, const char *name)
{
    if (!memory_reserve((void **)&model->item, &model->capacity, model->count, sizeof *model->item)) fail(name, "out of memory");
    SafetensorsItem *item = &model->item[model->count++];
    *item =
        (SafetensorsItem){.name = arena_format(model->names, "%s%s", model->prefix, name), .dtype = model->dtype, .rank = rank};
    for (int i = 0; i < rank; i++) item->dim[i] = dim[i];
}

static void *make_data(const SafetensorsItem *item, uint64_t seed, void *ref)
{
    View f32 = {.dtype = DTYPE_F32, .rank = 1, .place = PLACE_MEMORY, .dim = {1}, .stride = {1}}, stored = f32;
    for (int i = 0; i < item->rank; i++) f32.dim[0] *= item->dim[i];
    stored.dim[0] = f32.dim[0];
    stored.dtype = (uint8_t)item->dtype;
    f32.data = memory_array((size_t)f32.dim[0], sizeof(float));
    stored.data = memory_array((size_t)f32.dim[0], dtype_size(item->dtype));
    if (!f32.data || !stored.data) fail(item->name, "out of memory");
    fill(item, seed, f32.data);
    if (backend_ref.copy(ref, &stored, &f32) != FAULT_NONE) fail(item->name, "cannot be rounded");
    memory_free(f32.data);
    return stored.data;
}

static void write_model(Model *model, const char *directory, const char *path, const SafetensorsText *metadata, int texts)
{
    char full[4096];
    void *ref = NULL;
    snprintf(full, sizeof full, "%s/%s", directory, path);
    if (backend_ref.open(NULL, NULL, &ref) != FAULT_NONE) fail(path, "no ref back end");
    for (size_t i = 0; i < model->count; i++) model->item[i].data = make_data(&model->item[i], model->seed, ref);
    NodusStatus status = safetensors_write(full, true, NULL, model->item, (int)model->count, metadata, texts);
    if (status) fail(full, nodus_error_message(status));
    for (size_t i = 0; i < model->count; i++) free((void *)(uintptr_t)model->item[i].data);
    memory_free(model->item);
    arena_free(model->names);
    backend_ref.close(ref);
    printf("%s\n", full);
}

/* ---- Layers: a weight and, usually, a bias ---- */

#define NAME(format, ...) arena_format(model->names, format, ##__VA_ARGS__)

static void bias(Model *model, const char *name, int64_t n)
{
    add(model, 1, (int64_t[]){n}, NAME("%s.bias", name));
}

static void conv(Model *model, const char *name, int64_t out, int64_t in, int64_t size)
{
    add(model, 4, (int64_t[]){out, in, size, size}, NAME("%s.weight", name));
    bias(model, name, out);
}

static void matrix(Model *model, const char *name, int64_t out, int64_t in)
{
    add(model, 2, (int64_t[]){out, in}, NAME("%s.weight", name));
}

static void linear(Model *model, const char *name, int64_t out, int64_t in)
{
    matrix(model, name, out, in);
    bias(model, name, out);
}

static void norm(Model *model, const char *name, int64_t n)
{
    add(model, 1, (int64_t[]){n}, NAME("%s.weight", name));
    bias(model, name, n);
}

/* ---- UNet: width 32, levels 1 2 4 4, two blocks a level, transformers in all levels but the last ---- */

enum { WIDTH = 32, LEVELS = 4, EMBEDDING = 4 * WIDTH, CONTEXT = 128 };
static const int multiple[LEVELS] = {1, 2, 4, 4};

static void unet_block(Model *model, const char *at, int64_t in, int64_t out)
{
    norm(model, NAME("%s.in_layers.0", at), in);
    conv(model, NAME("%s.in_layers.2", at), out, in, 3);
    linear(model, NAME("%s.emb_layers.1", at), out, EMBEDDING);
    norm(model, NAME("%s.out_layers.0", at), out);
    conv(model, NAME("%s.out_layers.3", at), out, out, 3);
    if (in != out) conv(model, NAME("%s.skip_connection", at), out, in, 1);
}

static void unet_transformer(Model *model, const char *at, int64_t channels)
{
    const char *block = NAME("%s.transformer_blocks.0", at);
    norm(model, NAME("%s.norm", at), channels);
    conv(model, NAME("%s.proj_in", at), channels, channels, 1);
    for (int i = 1; i <= 2; i++) {
        const int64_t from = i == 1 ? channels : CONTEXT;
        matrix(model, NAME("%s.attn%d.to_q", block, i), channels, channels);
        matrix(model, NAME("%s.attn%d.to_k", block, i), channels, from);
        matrix(model, NAME("%s.attn%d.to_v", block, i), channels, from);
        linear(model, NAME("%s.attn%d.to_out.0", block, i), channels, channels);
    }
    linear(model, NAME("%s.ff.net.0.proj", block), 8 * channels, channels);
    linear(model, NAME("%s.ff.net.2", block), channels, 4 * channels);
    for (int i = 1; i <= 3; i++) norm(model, NAME("%s.norm%d", block, i), channels);
    conv(model, NAME("%s.proj_out", at), channels, channels, 1);
}

static void add_unet(Model *model)
{
    int64_t skip[12] = {WIDTH}, channels = WIDTH;
    int skips = 1, n = 1;
    linear(model, "time_embed.0", EMBEDDING, WIDTH);
    linear(model, "time_embed.2", EMBEDDING, EMBEDDING);
    conv(model, "input_blocks.0.0", WIDTH, 4, 3);
    for (int level = 0; level < LEVELS; level++) {
        for (int i = 0; i < 2; i++, n++) {
            unet_block(model, NAME("input_blocks.%d.0", n), channels, WIDTH * multiple[level]);
            skip[skips++] = channels = WIDTH * multiple[level];
            if (level < 3) unet_transformer(model, NAME("input_blocks.%d.1", n), channels);
        }
        if (level == LEVELS - 1) break;
        conv(model, NAME("input_blocks.%d.0.op", n++), channels, channels, 3);
        skip[skips++] = channels;
    }
    unet_block(model, "middle_block.0", channels, channels);
    unet_transformer(model, "middle_block.1", channels);
    unet_block(model, "middle_block.2", channels, channels);
    n = 0;
    for (int level = LEVELS - 1; level >= 0; level--)
        for (int i = 0; i < 3; i++, n++) {
            unet_block(model, NAME("output_blocks.%d.0", n), channels + skip[--skips], WIDTH * multiple[level]);
            channels = WIDTH * multiple[level];
            if (level < 3) unet_transformer(model, NAME("output_blocks.%d.1", n), channels);
            if (level && i == 2) conv(model, NAME("output_blocks.%d.%d.conv", n, level < 3 ? 2 : 1), channels, channels, 3);
        }
    norm(model, "out.0", channels);
    conv(model, "out.2", 4, channels, 3);
}

/* ---- VAE: width 32, levels 1 2 4 4, two blocks a level down, three up ---- */

static void vae_block(Model *model, const char *at, int64_t in, int64_t out)
{
    norm(model, NAME("%s.norm1", at), in);
    conv(model, NAME("%s.conv1", at), out, in, 3);
    norm(model, NAME("%s.norm2", at), out);
    conv(model, NAME("%s.conv2", at), out, out, 3);
    if (in != out) conv(model, NAME("%s.nin_shortcut", at), out, in, 1);
}

static void vae_middle(Model *model, const char *at, int64_t channels)
{
    static const char *const parts[] = {"q", "k", "v", "proj_out"};
    vae_block(model, NAME("%s.block_1", at), channels, channels);
    norm(model, NAME("%s.attn_1.norm", at), channels);
    for (int i = 0; i < 4; i++) conv(model, NAME("%s.attn_1.%s", at, parts[i]), channels, channels, 1);
    vae_block(model, NAME("%s.block_2", at), channels, channels);
}

static void add_vae(Model *model)
{
    int64_t channels = WIDTH;
    conv(model, "encoder.conv_in", WIDTH, 3, 3);
    for (int level = 0; level < LEVELS; level++) {
        for (int i = 0; i < 2; i++, channels = WIDTH * multiple[level])
            vae_block(model, NAME("encoder.down.%d.block.%d", level, i), channels, WIDTH * multiple[level]);
        if (level < LEVELS - 1) conv(model, NAME("encoder.down.%d.downsample.conv", level), channels, channels, 3);
    }
    vae_middle(model, "encoder.mid", channels);
    norm(model, "encoder.norm_out", channels);
    conv(model, "encoder.conv_out", 8, channels, 3);
    conv(model, "quant_conv", 8, 8, 1);
    conv(model, "post_quant_conv", 4, 4, 1);
    conv(model, "decoder.conv_in", channels, 4, 3);
    vae_middle(model, "decoder.mid", channels);
    for (int level = LEVELS - 1; level >= 0; level--) {
        for (int i = 0; i < 3; i++, channels = WIDTH * multiple[level])
            vae_block(model, NAME("decoder.up.%d.block.%d", level, i), channels, WIDTH * multiple[level]);
        if (level) conv(model, NAME("decoder.up.%d.upsample.conv", level), channels, channels, 3);
    }
    norm(model, "decoder.norm_out", channels);
    conv(model, "decoder.conv_out", 3, channels, 3);
}

/* ---- CLIP: width 128, four layers, the real vocabulary ---- */

static void add_clip(Model *model)
{
    static const char *const parts[] = {"q_proj", "k_proj", "v_proj", "out_proj"};
    matrix(model, "embeddings.token_embedding", 49408, CONTEXT);
    matrix(model, "embeddings.position_embedding", 77, CONTEXT);
    for (int i = 0; i < 4; i++) {
        const char *at = NAME("encoder.layers.%d", i);
        for (int k = 0; k < 4; k++) linear(model, NAME("%s.self_attn.%s", at, parts[k]), CONTEXT, CONTEXT);
        norm(model, NAME("%s.layer_norm1", at), CONTEXT);
        linear(model, NAME("%s.mlp.fc1", at), 4 * CONTEXT, CONTEXT);
        linear(model, NAME("%s.mlp.fc2", at), CONTEXT, 4 * CONTEXT);
        norm(model, NAME("%s.layer_norm2", at), CONTEXT);
    }
    norm(model, "final_layer_norm", CONTEXT);
}

/* ---- Files ---- */

static Model new_model(uint64_t seed, int dtype)
{
    Model model = {.names = arena_new(), .seed = seed, .dtype = dtype, .prefix = ""};
    if (!model.names) fail("a model", "out of memory");
    return model;
}

static void make_checkpoint(const char *directory, const char *path, uint64_t seed, int dtype)
{
    static const SafetensorsText metadata[] = {{"modelspec.sai_model_spec", "1.0.0"},
                                               {"modelspec.architecture", "stable-diffusion-v1"}};
    Model model = new_model(seed, dtype);
    model.prefix = "model.diffusion_model.";
    add_unet(&model);
    model.prefix = "first_stage_model.";
    add_vae(&model);
    model.prefix = "cond_stage_model.transformer.text_model.";
    model.dtype = DTYPE_F16;
    add_clip(&model);
    write_model(&model, directory, path, metadata, 2);
}

static void make_folder(const char *directory, const char *name)
{
    char full[4096];
    snprintf(full, sizeof full, "%s/%s", directory, name);
    if (mkdir(full, 0777) && errno != EEXIST) fail(full, strerror(errno));
}

int main(int argc, char **argv)
{
    if (argc != 2) fail("usage", "make_models DIR");
    make_folder(argv[1], "");
    make_folder(argv[1], "checkpoints");
    make_folder(argv[1], "vae");
    make_checkpoint(argv[1], "checkpoints/sd1.safetensors", 1, DTYPE_F32);
    make_checkpoint(argv[1], "checkpoints/sd1-b.safetensors", 2, DTYPE_F16);
    Model vae = new_model(12, DTYPE_F32);
    add_vae(&vae);
    write_model(&vae, argv[1], "vae/kl.safetensors", NULL, 0);
    return 0;
}
