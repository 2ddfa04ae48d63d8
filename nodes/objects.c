/* objects.c: the types NOISE and SAMPLER, and the nodes that make them: RandomNoise, DisableNoise, KSamplerSelect.
 *
 * One idea: a custom sampling is put together of small recipes, so that each can be linked to several samplings. A recipe is a
 * few bytes; it is never on disk. */
#include "nodes/objects.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include <inttypes.h>

static void objects_free(void *payload)
{
    memory_free(payload);
}

static void sampler_free(void *payload)
{
    const SamplerObject *sampler = payload;
    if (sampler->release) sampler->release(sampler->own.data);
    memory_free(payload);
}

static NodusStatus noise_print(const void *payload, NodusText *text)
{
    const Noise *noise = payload;
    return noise->none ? nodus_print(text, "no noise") : nodus_print(text, "noise of seed %" PRIu64, noise->seed);
}

static NodusStatus sampler_print(const void *payload, NodusText *text)
{
    return nodus_print(text, "sampler %s", ((const SamplerObject *)payload)->def->name);
}

const NodusType type_noise = {.struct_size = sizeof(NodusType), .name = "NOISE", .free = objects_free, .print = noise_print};
const NodusType type_sampler = {
    .struct_size = sizeof(NodusType), .name = "SAMPLER", .free = sampler_free, .print = sampler_print};

/* ---- RandomNoise, DisableNoise --------------------------------------------------------------------------------------- */

static NodusStatus objects_emit_noise(NodusCall *call, uint64_t seed, bool none)
{
    Noise *noise = memory_alloc(sizeof *noise);
    if (!noise) return status_memory();
    *noise = (Noise){.seed = seed, .none = none};
    return nodus_emit(call, 0, &type_noise, noise);
}

typedef struct {
    uint64_t noise_seed;
} RandomNoiseArgs;

static NodusStatus objects_random_noise(NodusCall *call, const void *args)
{
    const RandomNoiseArgs *in = args;
    return objects_emit_noise(call, in->noise_seed, false);
}

static NodusStatus objects_no_noise(NodusCall *call, const void *args)
{
    (void)args;
    return objects_emit_noise(call, 0, true);
}

static const NodusOutput noise_outputs[] = {{.name = "NOISE", .type = "NOISE", .tooltip = "The noise, for a custom sampler."}};
static const NodusInput random_noise_inputs[] = {NODUS_IN_SEED("noise_seed", RandomNoiseArgs, noise_seed,
                                                               "The number that the noise is made from: same seed, same picture.",
                                                               .def = 0, .min = 0, .max = UINT64_MAX)};
const NodusNode node_random_noise = {
    NODUS_NODE("RandomNoise", "RandomNoise", "sampling/custom_sampling/noise", RandomNoiseArgs, random_noise_inputs,
               noise_outputs),
    .help = "The noise that a sampling starts with, by its seed.",
    .example = "graphs/objects.json",
    .run = objects_random_noise,
};
const NodusNode node_disable_noise = {
    .struct_size = sizeof(NodusNode),
    .name = "DisableNoise",
    .title = "DisableNoise",
    .category = "sampling/custom_sampling/noise",
    .help = "No noise: for a sampling that goes on where another stopped.",
    .example = "graphs/objects.json",
    .outputs = noise_outputs,
    .output_count = 1,
    .run = objects_no_noise,
};

/* ---- KSamplerSelect -------------------------------------------------------------------------------------------------- */

typedef struct {
    const char *sampler_name;
} SelectArgs;

static NodusStatus objects_select(NodusCall *call, const void *args)
{
    const SelectArgs *in = args;
    const NodusSamplerDef *def = nodus_sampler(call, in->sampler_name);
    if (!def) return nodus_input_error(call, "sampler_name", "there is no sampler '%s'", in->sampler_name);
    SamplerObject *sampler = memory_alloc(sizeof *sampler);
    if (!sampler) return status_memory();
    *sampler = (SamplerObject){.def = def, .options = sampler_usual};
    return nodus_emit(call, 0, &type_sampler, sampler);
}

static const NodusInput select_inputs[] = {
    NODUS_IN_COMBO("sampler_name", SelectArgs, sampler_name, "The method that removes the noise.", .folder = "@samplers")};
static const NodusOutput select_outputs[] = {
    {.name = "SAMPLER", .type = "SAMPLER", .tooltip = "The sampler, for a custom sampling."}};
const NodusNode node_ksampler_select = {
    NODUS_NODE("KSamplerSelect", "KSamplerSelect", "sampling/custom_sampling/samplers", SelectArgs, select_inputs,
               select_outputs),
    .help = "A sampler with its usual settings, by name.",
    .example = "graphs/objects.json",
    .run = objects_select,
};
