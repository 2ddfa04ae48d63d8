/* load_config.c: CheckpointLoader: a checkpoint together with its old configuration file.
 *
 * One idea: what the weights tell is not asked of the configuration. Two things they cannot tell are: that the network predicts
 * v, and that the prompt is taken from an earlier layer of the text encoder. Both are lines of the YAML file, "parameterization:
 * v" and "layer_idx: −2". */
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "nodes/model_file.h"
#include <stdlib.h>
#include <string.h>

enum { CONFIG_LIMIT = 1 << 20, MOST_LAYERS = 24 };

typedef struct {
    const char *config, *name;
} ConfigArgs;

typedef struct Config {
    bool v;
    int layer; /* 0: not told */
} Config;

/* The value behind `key` in a line "  key: value"; NULL if the line is another. Quotes are left out. */
static const char *line_value(const char *line, const char *key)
{
    line += strspn(line, " \t-");
    const size_t length = strlen(key);
    if (strncmp(line, key, length) != 0 || line[length] != ':') return NULL;
    return line + length + 1 + strspn(line + length + 1, " \t\"'");
}

static Config config_scan(const char *text)
{
    Config config = {0};
    for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        const char *prediction = line_value(line, "parameterization"), *layer = line_value(line, "layer_idx");
        if (prediction && prediction[0] == 'v' && strchr(" \t\r\n\"'#", prediction[1])) config.v = true;
        const long number = layer ? strtol(layer, NULL, 10) : 0;
        if (number < 0 && number >= -MOST_LAYERS) config.layer = (int)number;
    }
    return config;
}

static NodusStatus config_read(NodusCall *call, const char *name, Config *out)
{
    const char *path;
    uint8_t *text;
    size_t size;
    NODUS_TRY(nodus_find_file(call, "configs", name, &path));
    NODUS_TRY(file_read(path, CONFIG_LIMIT, &text, &size));
    *out = config_scan((const char *)text);
    memory_free(text);
    return NULL;
}

static NodusStatus config_open(NodusCall *call, const ConfigArgs *in, const char **path, Checkpoint *checkpoint, WeightSet **out)
{
    Config config;
    NODUS_TRY(config_read(call, in->config, &config));
    NODUS_TRY(nodus_find_file(call, "checkpoints", in->name, path));
    NODUS_TRY(model_file_open(*path, out));
    NodusStatus status = family_checkpoint(*out, *path, checkpoint);
    if (status) weights_unref(*out);
    if (config.v && checkpoint->training == TRAINED_EPS) checkpoint->training = TRAINED_V;
    checkpoint->stop_layer = config.layer;
    return status;
}

static NodusStatus load_config(NodusCall *call, const void *args)
{
    const ConfigArgs *in = args;
    const char *path;
    WeightSet *weights;
    Checkpoint checkpoint;
    NODUS_TRY(config_open(call, in, &path, &checkpoint, &weights));
    NodusStatus status = model_file_emit_checkpoint(call, weights, &checkpoint, in->name);
    weights_unref(weights);
    return status;
}

static NodusStatus load_config_fingerprint(NodusCall *call, const void *args, NodusHash *hash)
{
    const ConfigArgs *in = args;
    const char *config, *file;
    NODUS_TRY(nodus_find_file(call, "configs", in->config, &config));
    NODUS_TRY(nodus_hash_file(call, hash, config));
    NODUS_TRY(nodus_find_file(call, "checkpoints", in->name, &file));
    return nodus_hash_file(call, hash, file);
}

static NodusStatus load_config_infer(NodusCall *call, const void *args, const NodusFacts *facts, NodusFacts *out)
{
    const char *path;
    WeightSet *weights;
    Checkpoint checkpoint;
    (void)facts;
    NODUS_TRY(config_open(call, args, &path, &checkpoint, &weights));
    weights_unref(weights);
    model_file_facts(&checkpoint, path, &out[0], &out[1], &out[2]);
    return NULL;
}

static const NodusInput config_inputs[] = {
    NODUS_IN_COMBO("config_name", ConfigArgs, config,
                   "A YAML file of models/configs; only prediction and text layer are taken from it.", .folder = "configs"),
    NODUS_IN_COMBO("ckpt_name", ConfigArgs, name, "A file of models/checkpoints.", .folder = "checkpoints"),
};
const NodusNode node_checkpoint_loader = {
    NODUS_NODE("CheckpointLoader", "Load Checkpoint With Config (DEPRECATED)", "advanced/loaders", ConfigArgs, config_inputs,
               checkpoint_outputs),
    .flags = NODUS_IO | NODUS_DEPRECATED,
    .help = "Open a checkpoint and do as its old configuration file says. Load Checkpoint needs no such file.",
    .example = "graphs/config.json",
    .run = load_config,
    .fingerprint = load_config_fingerprint,
    .infer = load_config_infer,
};
