/* lua.c: what Lua costs: a node of a graph that a script builds, writes, reads and runs, and an operation on tensors beside the same
 * one from C.
 *
 * One idea: everything is timed in CPU seconds of this thread, the least of several rounds, so that what else the machine does counts
 * little. A graph of every size is made from the same pieces: what is linear has the same microseconds a node in each column.
 * Usage: lua [graphs | tensors [PART of a row's name]] */
#include "engine/base/file.h"
#include "tests/support_graph.h"
#include <nodus/nodus.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 5, LARGEST = 10000 };

static double cpu_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void need(NodusStatus status)
{
    if (!status) return;
    fprintf(stderr, "%s\n", nodus_error_message(status));
    exit(1);
}

static void say(void *user, const char *text, size_t length)
{
    (void)user;
    fwrite(text, 1, length, stdout);
}

static void lua_do(NodusScript *script, const char *text)
{
    NodusStatus error;
    nodus_script_do(script, text, strlen(text), &error);
    need(error);
}

/* The seconds of one pass of `body`, which is Lua, or C where there is a function; the least of the rounds. */
static double lua_seconds(NodusScript *script, const char *body, int repeats)
{
    char text[1024];
    double least = 1e9;
    snprintf(text, sizeof text, "for _ = 1, %d do %s end", repeats, body);
    for (int i = 0; i < ROUNDS; i++) {
        const double begun = cpu_clock();
        lua_do(script, text);
        const double seconds = (cpu_clock() - begun) / repeats;
        if (seconds < least) least = seconds;
    }
    return least;
}

static NodusScript *open_script(NodusEngine *engine, const char *folder)
{
    static NodusScriptOptions options;
    NodusScript *script;
    options = (NodusScriptOptions){.struct_size = sizeof options, .name = "bench", .folder = folder, .print = say, .seconds = 3600,
                                   .instructions = UINT64_MAX / 2};
    need(nodus_script_open(engine, &options, &script));
    return script;
}

/* ---- Graphs -------------------------------------------------------------------------------------------------------- */

/* Each function makes a graph of about `count` nodes and gives its last one. */
static const char builders[] =
    "n = require 'nodus'\n"
    "function samplers(count)\n"
    "  local model = n.CheckpointLoaderSimple{ ckpt_name = 'shapes-sd1.safetensors' }\n"
    "  local text = n.CLIPTextEncode{ clip = model.CLIP, text = 'a red star' }\n"
    "  local latent = n.EmptyLatentImage{ width = 64, height = 64 }\n"
    "  for i = 1, count - 3 do\n"
    "    latent = n.KSampler{ model = model.MODEL, positive = text.CONDITIONING, negative = text, latent_image = latent, seed = i,\n"
    "      steps = 20, cfg = 5.5, sampler_name = 'euler', scheduler = 'normal', denoise = 0.5 }\n"
    "  end\n"
    "  return latent\n"
    "end\n"
    "function mixed(count)\n"
    "  local model = n.CheckpointLoaderSimple{ ckpt_name = 'shapes-sd1.safetensors' }\n"
    "  local negative = n.CLIPTextEncode{ clip = model, text = '' }\n"
    "  local latent = n.EmptyLatentImage{ width = 64, height = 64 }\n"
    "  local image = n.EmptyImage{ width = 64 }\n"
    "  for i = 1, (count - 4) // 6 do\n"
    "    local positive = n.CLIPTextEncode{ clip = model, text = 'a red star, night sky' }\n"
    "    local made = n.KSampler{ model = model, positive = positive, negative = negative, latent_image = latent, seed = i, steps = 4,\n"
    "      cfg = 5, sampler_name = 'dpmpp_2m', scheduler = 'karras' }\n"
    "    local wide = n.LatentUpscaleBy{ samples = made, scale_by = 1.5 }\n"
    "    latent = n.LatentUpscale{ samples = wide, width = 64, height = 64 }\n"
    "    local picture = n.VAEDecode{ samples = latent, vae = model.VAE }\n"
    "    image = n.ImageBatch{ image1 = image, image2 = n.ImageInvert{ image = picture } }\n"
    "  end\n"
    "  return image\n"
    "end\n";
static const char sums[] =
    "n = require 'nodus'\n"
    "first = 0\n"
    "function chain(count)\n"
    "  first = first + 1\n"
    "  local node = n.Int{ value = first }\n"
    "  for i = 2, count - 1 do node = n.Add{ a = node, b = i } end\n"
    "  return n.Show{ value = node }\n"
    "end\n";

typedef struct Row {
    const char *name, *setup, *body; /* in Lua, with %d for the number of nodes */
} Row;

static void graph_row(NodusScript *script, const Row *row, const char *wanted)
{
    if (wanted && !strstr(row->name, wanted)) return;
    printf("%-34s", row->name);
    for (int nodes = 10; nodes <= LARGEST; nodes *= 10) {
        char text[512];
        snprintf(text, sizeof text, row->setup, nodes);
        lua_do(script, text);
        snprintf(text, sizeof text, row->body, nodes);
        printf(" %9.2f", 1e6 * lua_seconds(script, text, nodes < LARGEST ? LARGEST / nodes : 1) / nodes);
        fflush(stdout);
    }
    printf("\n");
    lua_do(script, "g = nil");
}

static void graphs(const char *folder, const char *wanted)
{
    static const Row rows[] = {
        {"build: KSampler, 10 inputs", "g = nil", "samplers(%d)"},
        {"build: mix, 2 to 10 inputs", "g = nil", "mixed(%d)"},
        {"to_json: KSampler", "g = samplers(%d)", "g:to_json()"},
        {"to_json: mix", "g = mixed(%d)", "g:to_json()"},
        {"load (read, check, build): mix", "g = mixed(%d) n.graph(g):save 'bench.json'", "n.load 'bench.json'"},
    };
    static const Row toys[] = {{"build: small, 1 to 2 inputs", "g = nil", "chain(%d)"},
                               {"to_json: small", "g = chain(%d)", "g:to_json()"},
                               {"build, write, check, run: small", "g = nil", "chain(%d):run()"}};
    NodusEngine *engine, *small;
    char output[512];
    snprintf(output, sizeof output, "%s/output", folder);
    need(nodus_engine_new(&(NodusEngineOptions){.struct_size = sizeof(NodusEngineOptions), .threads = 1, .base_directory = folder,
                                                .system_models = "models", .no_plugins = true},
                          &engine));
    need(toy_engine(NULL, &small));
    printf("%-34s %9d %9d %9d %9d\n", "us of CPU a node; nodes:", 10, 100, 1000, LARGEST);
    NodusScript *script = open_script(engine, output);
    lua_do(script, builders);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) graph_row(script, &rows[i], wanted);
    nodus_script_close(script);
    script = open_script(small, NULL);
    lua_do(script, sums);
    for (size_t i = 0; i < sizeof toys / sizeof *toys; i++) graph_row(script, &toys[i], wanted);
    nodus_script_close(script);
    nodus_engine_free(small);
    nodus_engine_free(engine);
}

/* ---- Tensors ------------------------------------------------------------------------------------------------------- */

typedef struct Pair {
    NodusMath *math;
    NodusTensor *a, *b;
} Pair;

static NodusStatus c_add(Pair *p, NodusTensor **out)
{
    return nodus_tensor_add(p->math, out, p->a, p->b);
}

static NodusStatus c_mul(Pair *p, NodusTensor **out)
{
    return nodus_tensor_mul(p->math, out, p->a, p->b);
}

static NodusStatus c_affine(Pair *p, NodusTensor **out)
{
    return nodus_tensor_affine(p->math, out, p->a, 0.25f, 0);
}

static NodusStatus c_blend(Pair *p, NodusTensor **out)
{
    return nodus_tensor_lincomb(p->math, out, 2, (float[]){0.25f, 0.75f}, (const NodusTensor *[]){p->a, p->b});
}

static NodusStatus c_slice(Pair *p, NodusTensor **out)
{
    NODUS_TRY(nodus_tensor_slice(p->math, out, p->a, 2, 0, (nodus_tensor_dim(p->a, 2) + 1) / 2));
    return nodus_tensor_lincomb(p->math, out, 1, (float[]){1}, (const NodusTensor *[]){*out});
}

static NodusStatus c_mean(Pair *p, NodusTensor **out)
{
    double mean, deviation, low, high;
    (void)out;
    return nodus_tensor_mean(p->math, p->a, &mean, &deviation, &low, &high);
}

static NodusStatus c_clamp(Pair *p, NodusTensor **out)
{
    return nodus_tensor_clamp(p->math, out, p->a, 0, 1);
}

static NodusStatus c_resize(Pair *p, NodusTensor **out)
{
    return nodus_tensor_resize(p->math, out, p->a, 32, 32, NODUS_BILINEAR);
}

typedef struct Operation {
    const char *name, *lua;
    NodusStatus (*c)(Pair *pair, NodusTensor **out);
} Operation;

static double c_seconds(Pair *pair, NodusStatus (*operation)(Pair *, NodusTensor **), int repeats)
{
    double least = 1e9;
    for (int i = 0; i < ROUNDS; i++) {
        const double begun = cpu_clock();
        for (int j = 0; j < repeats; j++) {
            NodusTensor *out;
            need(operation(pair, &out));
            nodus_math_clear(pair->math);
        }
        const double seconds = (cpu_clock() - begun) / repeats;
        if (seconds < least) least = seconds;
    }
    return least;
}

static NodusTensor *ramp(NodusMath *math, const int64_t *dim, float shift)
{
    const size_t count = (size_t)(dim[0] * dim[1] * dim[2] * dim[3]);
    float *data = malloc(count * sizeof *data);
    NodusTensor *out = NULL;
    if (!data) exit(1);
    for (size_t i = 0; i < count; i++) data[i] = (float)(i % 1000) / 1000.0f + shift;
    need(nodus_tensor_from_f32(math, &out, 4, dim, data));
    free(data);
    out = nodus_tensor_ref(out);
    nodus_math_clear(math);
    return out;
}

static void shape_rows(NodusScript *script, NodusMath *math, const int64_t *dim, const char *wanted)
{
    static const Operation operations[] = {
        {"a + b", "y = a + b", c_add},          {"a * b", "y = a * b", c_mul},
        {"a * number", "y = a * 0.25", c_affine}, {"a, b blended", "y = n.lincomb(0.25, a, 0.75, b)", c_blend},
        {"slice", "y = a:slice(3, 1, half)", c_slice}, {"clamp", "y = a:clamp(0, 1)", c_clamp},
        {"mean", "y = a:mean()", c_mean},       {"resize to 32 x 32", "y = a:resize(32, 32)", c_resize},
    };
    char text[512];
    Pair pair = {math, ramp(math, dim, 0), ramp(math, dim, 0.5f)};
    snprintf(text, sizeof text,
             "n = require 'nodus' local shape = { %d, %d, %d, %d } local function ramp(shift) local t = {} "
             "for i = 1, %d do t[i] = (i - 1) %% 1000 / 1000 + shift end return n.tensor(t, shape) end a, b, half = ramp(0), ramp(0.5), (shape[3] + 1) // 2",
             (int)dim[0], (int)dim[1], (int)dim[2], (int)dim[3], (int)(dim[0] * dim[1] * dim[2] * dim[3]));
    lua_do(script, text);
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        const Operation *operation = &operations[i];
        if (wanted && !strstr(operation->name, wanted)) continue;
        const double one = c_seconds(&pair, operation->c, 1);
        const int repeats = one < 2e-5 ? 5000 : (int)(0.1 / one) + 1;
        const double c = c_seconds(&pair, operation->c, repeats), lua = lua_seconds(script, operation->lua, repeats);
        snprintf(text, sizeof text, "%s [%d,%d,%d,%d]", operation->name, (int)dim[0], (int)dim[1], (int)dim[2], (int)dim[3]);
        printf("%-34s %9.2f %9.2f %9.3f\n", text, 1e6 * c, 1e6 * lua, lua / c);
        fflush(stdout);
    }
    nodus_tensor_unref(pair.a);
    nodus_tensor_unref(pair.b);
}

static void tensors(const char *folder, const char *wanted)
{
    static const int64_t dims[][4] = {{1, 512, 512, 3}, {8, 4, 64, 64}, {1, 1, 1, 4}};
    NodusEngine *engine;
    NodusMath *math;
    need(nodus_engine_new(&(NodusEngineOptions){.struct_size = sizeof(NodusEngineOptions), .threads = 1, .base_directory = folder,
                                                .system_models = "models", .no_plugins = true},
                          &engine));
    need(nodus_math_new(engine, &math));
    NodusScript *script = open_script(engine, NULL);
    printf("%-34s %9s %9s %9s\n", "us of CPU an operation", "C", "Lua", "ratio");
    for (size_t i = 0; i < sizeof dims / sizeof *dims; i++) shape_rows(script, math, dims[i], wanted);
    nodus_script_close(script);
    nodus_math_free(math);
    nodus_engine_free(engine);
}

int main(int count, char **arguments)
{
    const char *which = count > 1 ? arguments[1] : "", *wanted = count > 2 ? arguments[2] : NULL;
    char folder[] = "/tmp/nodus-bench-XXXXXX", path[600];
    if (!mkdtemp(folder)) return 1;
    snprintf(path, sizeof path, "%s/output", folder);
    need(file_make_folders(path));
    if (strcmp(which, "tensors")) graphs(folder, wanted);
    if (strcmp(which, "graphs")) tensors(folder, wanted);
    snprintf(path, sizeof path, "%s/output/bench.json", folder);
    unlink(path);
    snprintf(path, sizeof path, "%s/output", folder);
    rmdir(path);
    return rmdir(folder) ? 1 : 0;
}
