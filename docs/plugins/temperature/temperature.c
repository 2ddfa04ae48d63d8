/* temperature.c: a plug-in for nodus with one node, which patches a model: self-attention at another temperature.
 *
 * In self-attention each place of a picture looks at all others and takes softmax(q·k/√d) of each. Dividing q·k by a temperature
 * above 1 spreads that look (calmer, flatter pictures), below 1 it sharpens it. The patch multiplies q by 1/temperature: an operation of
 * the network like any other, compiled with it for whatever device there is. */
#include <nodus/patch.h>
#include <stdlib.h>
#include <string.h>

/* The object: what the node was told. Models share it, so nobody changes it once it is made. */
typedef struct Temperature {
    double temperature;
    int stage;        /* NODUS_STAGE_…, or −1: everywhere */
    float start, end; /* noise levels between which it acts */
} Temperature;

/* What changes the graph of the network. The temperature does not: it is given to each run. */
static void temperature_structure(const void *self, NodusHash *hash)
{
    nodus_hash_u64(hash, (uint64_t)((const Temperature *)self)->stage);
}

static void temperature_identity(const void *self, NodusHash *hash)
{
    const Temperature *patch = self;
    temperature_structure(self, hash);
    nodus_hash_double(hash, patch->temperature);
    nodus_hash_double(hash, patch->start);
    nodus_hash_double(hash, patch->end);
}

static bool temperature_active(const void *self, float sigma)
{
    const Temperature *patch = self;
    return sigma <= patch->start && sigma >= patch->end;
}

/* Called at each place of the network where patches may act. */
static NodusStatus temperature_build(const void *self, NodusOpGraph *graph, NodusSite *site)
{
    const Temperature *patch = self;
    if (nodus_site_number(site, NODUS_SITE_KIND) != NODUS_AT_ATTENTION) return NULL;
    if (!nodus_op_is_none(nodus_site_get(graph, site, NODUS_SITE_CONTEXT))) return NULL; /* it looks at the text */
    if (patch->stage >= 0 && nodus_site_number(site, NODUS_SITE_STAGE) != patch->stage) return NULL;
    const NodusOpRef q = nodus_site_get(graph, site, NODUS_SITE_Q);
    nodus_site_set(graph, site, NODUS_SITE_Q, nodus_op_mul(graph, q, nodus_op_scalar(graph, "sharpness")));
    return NULL;
}

/* Called before each run of the network. */
static NodusStatus temperature_bind(const void *self, void *run_state, float sigma, NodusBindings *bindings)
{
    (void)run_state;
    (void)sigma;
    return nodus_bind_number(bindings, "sharpness", 1 / ((const Temperature *)self)->temperature);
}

static const NodusPatchClass temperature_class = {.struct_size = sizeof(NodusPatchClass),
                                                  .version = 1,
                                                  .name = "attention temperature",
                                                  .structure = temperature_structure,
                                                  .identity = temperature_identity,
                                                  .active = temperature_active,
                                                  .build = temperature_build,
                                                  .bind = temperature_bind};

typedef struct {
    const void *model;
    double temperature, start_percent, end_percent;
    const char *where;
} TemperatureArgs;

static const char *const places[] = {"everywhere", "input", "middle", "output", NULL};

static NodusStatus temperature_run(NodusCall *call, const void *args)
{
    const TemperatureArgs *in = args;
    Temperature *patch = malloc(sizeof *patch);
    if (!patch) return nodus_error(NODUS_ERROR_MEMORY, "out of memory");
    *patch = (Temperature){.temperature = in->temperature,
                           .stage = -1,
                           .start = nodus_model_percent_sigma(in->model, in->start_percent),
                           .end = nodus_model_percent_sigma(in->model, in->end_percent)};
    for (int i = 1; places[i]; i++)
        if (!strcmp(in->where, places[i])) patch->stage = i - 1; /* in the order of NODUS_STAGE_… */
    return nodus_emit_patched_model(call, 0, in->model, temperature_class.name, patch, free);
}

/* The patched model is of the family and size that the model is: so `nodus check` still sees what cannot fit behind it. */
static NodusStatus temperature_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    (void)call;
    (void)args;
    out[0] = in[0];
    return NULL;
}

static const NodusInput temperature_inputs[] = {
    NODUS_IN_LINK("model", TemperatureArgs, model, "MODEL", "The diffusion model."),
    NODUS_IN_FLOAT("temperature", TemperatureArgs, temperature, "Above 1 places look around more evenly, below 1 more sharply.",
                   .def = 1, .min = 0.1, .max = 10, .step = 0.05),
    NODUS_IN_COMBO("where", TemperatureArgs, where, "The part of the network.", .names = places),
    NODUS_IN_FLOAT("start_percent", TemperatureArgs, start_percent, "Where in the sampling it begins.", .def = 0, .min = 0,
                   .max = 1, .step = 0.01),
    NODUS_IN_FLOAT("end_percent", TemperatureArgs, end_percent, "Where in the sampling it ends.", .def = 1, .min = 0, .max = 1,
                   .step = 0.01),
};
static const NodusOutput temperature_outputs[] = {{.name = "MODEL", .type = "MODEL", .tooltip = "The model at that temperature."}};
static const NodusNode node_temperature = {
    NODUS_NODE("AttentionTemperature", "Attention Temperature", "model_patches/unet", TemperatureArgs, temperature_inputs,
               temperature_outputs),
    .help = "Change how sharply the parts of a picture look at each other while it is painted.",
    .run = temperature_run,
    .infer = temperature_infer,
};

NODUS_PLUGIN("temperature", "0.1", "Self-attention at another temperature.")
{
    nodus_plugin_patch(plugin, &temperature_class);
    nodus_plugin_node(plugin, &node_temperature);
    return NULL;
}
