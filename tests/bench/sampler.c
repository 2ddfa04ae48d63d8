/* sampler.c: samplers in Lua beside their twins in C, on the demo model.
 *
 * One idea: the two take turns, each run with a seed that the cache has not seen, and only the sampler's node runs again; the medians of
 * the CPU seconds of the process are compared, so what else the machine does hits both. Usage: sampler [SIDE of the picture] */
#include "engine/base/file.h"
#include <nodus/nodus.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 11, STEPS = 20 };

static const char twins[] =
    "local d = require 'nodus.define'\n"
    "d.sampler{ name = 'euler_twin', run = function(s, x)\n"
    "  for i = 1, s.steps do\n"
    "    local from, to = s.sigmas[i], s.sigmas[i + 1]\n"
    "    local denoised = s:denoise(x, from)\n"
    "    x = d.lincomb(1, x, to - from, (x - denoised) / from)\n"
    "    s:step_done(i, x, denoised)\n"
    "  end\n"
    "  return x\n"
    "end }\n"
    "d.sampler{ name = 'dpmpp_2m_twin', run = function(s, x)\n"
    "  local past, h_past\n"
    "  for i = 1, s.steps do\n"
    "    local from, to = s.sigmas[i], s.sigmas[i + 1]\n"
    "    local denoised, h = s:denoise(x, from), math.log(from / to)\n"
    "    local ahead = past and to > 0 and 1 / (2 * h_past / h)\n"
    "    local towards = ahead and d.lincomb(1 + ahead, denoised, -ahead, past) or denoised\n"
    "    x = d.lincomb(to / from, x, 1 - to / from, towards)\n"
    "    past, h_past = denoised, h\n"
    "    s:step_done(i, x, denoised)\n"
    "  end\n"
    "  return x\n"
    "end }\n";

static const char workflow[] =
    "{\"1\": {\"class_type\": \"CheckpointLoaderSimple\", \"inputs\": {\"ckpt_name\": \"shapes-sd1.safetensors\"}},"
    " \"2\": {\"class_type\": \"CLIPTextEncode\", \"inputs\": {\"clip\": [\"1\", 1], \"text\": \"a red star\"}},"
    " \"3\": {\"class_type\": \"CLIPTextEncode\", \"inputs\": {\"clip\": [\"1\", 1], \"text\": \"\"}},"
    " \"4\": {\"class_type\": \"EmptyLatentImage\", \"inputs\": {\"width\": %d, \"height\": %d, \"batch_size\": 1}},"
    " \"5\": {\"class_type\": \"KSampler\", \"inputs\": {\"model\": [\"1\", 0], \"positive\": [\"2\", 0], \"negative\": [\"3\", 0],"
    " \"latent_image\": [\"4\", 0], \"seed\": %d, \"steps\": %d, \"cfg\": 5, \"sampler_name\": \"%s\","
    " \"scheduler\": \"karras\", \"denoise\": 1}}}";

static double cpu_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void need(NodusStatus status)
{
    if (!status) return;
    fprintf(stderr, "%s\n", nodus_error_message(status));
    exit(1);
}

static double sample(NodusEngine *engine, const char *sampler, int side, int seed)
{
    char json[2048];
    const NodusRunOptions options = {.struct_size = sizeof options, .keep = (const char *const[]){"5"}, .keep_count = 1};
    NodusRun *run;
    snprintf(json, sizeof json, workflow, side, side, seed, STEPS, sampler);
    need(nodus_run_new(engine, json, strlen(json), &options, &run));
    const double begun = cpu_clock();
    if (nodus_run_execute(run) != NODUS_SUCCESS || !nodus_run_value(run, "5", 0).count) {
        fprintf(stderr, "%s failed\n", sampler);
        exit(1);
    }
    const double seconds = cpu_clock() - begun;
    nodus_run_free(run);
    return seconds;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void row(NodusEngine *engine, const char *c, const char *lua, int side)
{
    double one[ROUNDS], other[ROUNDS], ratio[ROUNDS];
    sample(engine, c, side, 0); /* loads and compiles */
    sample(engine, lua, side, 0);
    for (int i = 0; i < ROUNDS; i++) {
        one[i] = sample(engine, c, side, i + 1);
        other[i] = sample(engine, lua, side, i + 1);
        ratio[i] = other[i] / one[i];
    }
    qsort(one, ROUNDS, sizeof *one, by_value);
    qsort(other, ROUNDS, sizeof *other, by_value);
    qsort(ratio, ROUNDS, sizeof *ratio, by_value);
    printf("%-34s %9.2f %9.2f %9.3f (pairs %.3f to %.3f)\n", lua, 1e3 * one[ROUNDS / 2], 1e3 * other[ROUNDS / 2],
           other[ROUNDS / 2] / one[ROUNDS / 2], ratio[ROUNDS / 4], ratio[ROUNDS - 1 - ROUNDS / 4]);
}

int main(int count, char **arguments)
{
    const int side = count > 1 ? atoi(arguments[1]) : 64;
    char folder[] = "/tmp/nodus-bench-XXXXXX", file[600];
    NodusEngine *engine;
    if (!mkdtemp(folder)) return 1;
    snprintf(file, sizeof file, "%s/twins.lua", folder);
    need(file_write_whole(file, twins, strlen(twins)));
    need(nodus_engine_new(&(NodusEngineOptions){.struct_size = sizeof(NodusEngineOptions), .threads = 1, .base_directory = folder,
                                                .system_models = "models", .no_plugins = true, .no_disk_cache = true,
                                                .lua_nodes = (const char *const[]){file, "lua/nodes"}, .lua_node_count = 2},
                          &engine));
    printf("%-34s %9s %9s %9s\n", "ms of CPU, 20 steps, in Lua:", "C", "Lua", "ratio");
    row(engine, "euler", "euler_twin", side);
    row(engine, "dpmpp_2m", "dpmpp_2m_twin", side);
    row(engine, "heun", "heun_lua", side);
    nodus_engine_free(engine);
    unlink(file);
    return rmdir(folder) ? 1 : 0;
}
