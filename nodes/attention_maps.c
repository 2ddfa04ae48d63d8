/* attention_maps.c: the type ATTENTION_MAPS (attention_maps.h), and nodes that show it as masks and write it to files.
 *
 * One idea: of [steps, b, h, w, tokens] a slice of steps and the mean over a word's tokens is a mask. */
#include "nodes/attention_maps.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/formats/npy.h"
#include "nodes/output_file.h"
#include "nodes/prompt_words.h"
#include <string.h>

enum { STEPS, BATCH, HEIGHT, WIDTH, TOKENS, RANK };

static void maps_free(void *payload)
{
    AttentionMaps *maps = payload;
    for (int i = 0; i < maps->layers; i++) nodus_tensor_unref(maps->map[i]);
    memory_free(maps);
}

static void maps_account(const void *payload, NodusAccount *account)
{
    const AttentionMaps *maps = payload;
    for (int i = 0; i < maps->layers; i++) nodus_account_tensor(account, maps->map[i]);
}

static NodusStatus maps_print(const void *payload, NodusText *text)
{
    const AttentionMaps *maps = payload;
    const NodusTensor *first = maps->map[0];
    NODUS_TRY(nodus_print(text, "attention maps, %d items, %d steps, %d tokens:", (int)nodus_tensor_dim(first, BATCH),
                          (int)nodus_tensor_dim(first, STEPS), (int)nodus_tensor_dim(first, TOKENS)));
    for (int i = 0; i < maps->layers; i++)
        NODUS_TRY(nodus_print(text, " %s %d × %d", maps->name[i], (int)nodus_tensor_dim(maps->map[i], HEIGHT),
                              (int)nodus_tensor_dim(maps->map[i], WIDTH)));
    return NULL;
}

static NodusStatus maps_store(const void *payload, NodusWriter *writer)
{
    const AttentionMaps *maps = payload;
    NODUS_TRY(nodus_write_u64(writer, (uint64_t)maps->layers));
    for (int i = 0; i < maps->layers; i++) {
        NODUS_TRY(nodus_write_text(writer, maps->name[i]));
        NODUS_TRY(nodus_write_tensor(writer, maps->map[i]));
    }
    return NULL;
}

/* All layers have as many steps, items and tokens as the first. */
static bool maps_fit(const NodusTensor *first, const NodusTensor *map)
{
    if (!first || !map || nodus_tensor_rank(first) != RANK || nodus_tensor_rank(map) != RANK || !nodus_tensor_count(map))
        return false;
    return nodus_tensor_dim(first, STEPS) == nodus_tensor_dim(map, STEPS) &&
           nodus_tensor_dim(first, BATCH) == nodus_tensor_dim(map, BATCH) &&
           nodus_tensor_dim(first, TOKENS) == nodus_tensor_dim(map, TOKENS);
}

static NodusStatus load_layer(NodusReader *reader, AttentionMaps *maps)
{
    const int i = maps->layers++;
    char *name;
    NODUS_TRY(nodus_read_text(reader, &name));
    const bool named = name && name[0] && strlen(name) < sizeof maps->name[i];
    if (named) strcpy(maps->name[i], name);
    memory_free(name);
    NODUS_TRY(nodus_read_tensor(reader, &maps->map[i]));
    return named && maps_fit(maps->map[0], maps->map[i])
               ? NULL
               : nodus_error(NODUS_ERROR_FILE, "attention maps of a form that none have");
}

static NodusStatus maps_load(NodusReader *reader, void **payload)
{
    uint64_t layers;
    NodusStatus status = NULL;
    NODUS_TRY(nodus_read_u64(reader, &layers));
    if (!layers || layers > ATTENTION_LAYERS)
        return nodus_error(NODUS_ERROR_FILE, "attention maps of %llu layers", (unsigned long long)layers);
    AttentionMaps *maps = memory_alloc(sizeof *maps);
    if (!maps) return status_memory();
    while (!status && maps->layers < (int)layers) status = load_layer(reader, maps);
    if (status) maps_free(maps);
    else *payload = maps;
    return status;
}

/* `part`: a layer's name; NULL: the first one's. */
static NodusStatus maps_array(const void *payload, const char *part, const NodusTensor **out)
{
    const AttentionMaps *maps = payload;
    for (int i = 0; i < maps->layers; i++)
        if (!part || !strcmp(part, maps->name[i])) {
            *out = maps->map[i];
            return NULL;
        }
    return nodus_error(NODUS_ERROR_INPUT, "these attention maps have no layer %s", part);
}

const NodusType type_attention_maps = {.struct_size = sizeof(NodusType),
                                       .name = "ATTENTION_MAPS",
                                       .free = maps_free,
                                       .account = maps_account,
                                       .print = maps_print,
                                       .store = maps_store,
                                       .load = maps_load,
                                       .array = maps_array,
                                       .version = 1};

/* ---- AttentionMapsToMask -----------------------------------------------------------------------------------------------------
 */

typedef struct {
    const AttentionMaps *maps;
    const char *prompt, *word, *layer;
    int64_t token, first_step, last_step, width, height;
    bool normalize;
} MaskArgs;

/* A word that counts nowhere is not in the prompt, or in a part of it that was not kept. */
static NodusStatus word_missing(NodusCall *call, const MaskArgs *in, int found, int64_t tokens)
{
    if (!in->prompt[0])
        return nodus_input_error(call, "prompt", "is empty: give the one that the picture was made of, to find \"%s\" in it",
                                 in->word);
    if (!found) return nodus_input_error(call, "word", "the prompt has no \"%s\"; it says \"%.200s\"", in->word, in->prompt);
    return nodus_input_error(call, "word",
                             "\"%s\" comes later than the %d tokens that the maps are of: keep more, or is it another prompt's?",
                             in->word, (int)tokens);
}

static NodusStatus find_words(NodusCall *call, const MaskArgs *in, PromptWords *out)
{
    NodusStatus status = prompt_words(in->prompt, out), said;
    if (!status || nodus_error_kind(status) != NODUS_ERROR_INPUT) return status;
    said = nodus_input_error(call, "prompt", "%s: leave the word empty and say which token", nodus_error_message(status));
    nodus_error_free(status);
    return said;
}

/* weight[token]: what each token counts, together 1. */
static NodusStatus choose_tokens(NodusCall *call, const MaskArgs *in, int64_t tokens, float *weight)
{
    PromptWords words;
    int found = 0, count = 0;
    if (!in->word[0]) {
        if (in->token >= tokens)
            return nodus_input_error(call, "token", "the maps are of %d tokens, counted from 0", (int)tokens);
        weight[in->token] = 1;
        return NULL;
    }
    NodusStatus status = find_words(call, in, &words);
    float *factor = status ? NULL : memory_array((size_t)words.tokens, sizeof *factor);
    if (!status && !factor) status = status_memory();
    for (int i = 0; !status && i < words.tokens; i++) factor[i] = 1;
    if (!status) status = prompt_words_weigh(&words, in->word, strlen(in->word), 0, factor, &found);
    for (int i = 0; !status && i < words.tokens && i < tokens; i++) count += factor[i] == 0;
    for (int i = 0; !status && i < words.tokens && i < tokens; i++) weight[i] = factor[i] == 0 ? 1 / (float)count : 0;
    memory_free(factor);
    prompt_words_free(&words);
    return status || count ? status : word_missing(call, in, found, tokens);
}

/* The mean of a layer's maps over steps and chosen tokens: [b, 1, h, w]. */
static NodusStatus layer_mean(NodusCall *call, const MaskArgs *in, const NodusTensor *map, NodusTensor **out)
{
    const float *data;
    const int64_t steps = nodus_tensor_dim(map, STEPS), tokens = nodus_tensor_dim(map, TOKENS),
                  batch = nodus_tensor_dim(map, BATCH);
    const int64_t dim[] = {batch, 1, nodus_tensor_dim(map, HEIGHT), nodus_tensor_dim(map, WIDTH)},
                  places = batch * dim[2] * dim[3];
    const int64_t last = in->last_step < 0 || in->last_step >= steps ? steps - 1 : in->last_step;
    if (in->first_step >= steps)
        return nodus_input_error(call, "first_step", "lies behind the last of %d steps, which is %d", (int)steps, (int)steps - 1);
    if (in->first_step > last)
        return nodus_input_error(call, "first_step", "is %d, more than last_step, %d", (int)in->first_step, (int)last);
    NODUS_TRY(nodus_tensor_map_f32(nodus_math(call), map, &data));
    float *weight = nodus_alloc(call, (size_t)tokens * sizeof *weight), *mean = nodus_alloc(call, (size_t)places * sizeof *mean);
    if (!weight || !mean) return status_memory();
    NODUS_TRY(choose_tokens(call, in, tokens, weight));
    for (int64_t p = 0; p < places; p++) {
        double sum = 0;
        for (int64_t s = in->first_step; s <= last; s++)
            for (int64_t t = 0; t < tokens; t++) sum += (double)weight[t] * data[(s * places + p) * tokens + t];
        mean[p] = (float)(sum / (double)(last - in->first_step + 1));
    }
    return nodus_tensor_from_f32(nodus_math(call), out, 4, dim, mean);
}

static bool chosen(const MaskArgs *in, const char *name)
{
    const size_t length = strlen(in->layer);
    return !strncmp(name, in->layer, length) && (!length || !name[length] || name[length] == '.' || in->layer[length - 1] > '9');
}

/* The mean of the chosen layers, brought to height × width. */
static NodusStatus layers_mean(NodusCall *call, const MaskArgs *in, int64_t height, int64_t width, NodusTensor **out)
{
    NodusMath *math = nodus_math(call);
    NodusTensor *sum = NULL, *one, *sized;
    int count = 0;
    for (int i = 0; i < in->maps->layers; i++) {
        if (!chosen(in, in->maps->name[i])) continue;
        NODUS_TRY(layer_mean(call, in, in->maps->map[i], &one));
        NODUS_TRY(nodus_tensor_resize(math, &sized, one, height, width, NODUS_BILINEAR));
        if (count++) NODUS_TRY(nodus_tensor_add(math, &sum, sum, sized));
        else sum = sized;
    }
    if (!count)
        return nodus_input_error(call, "layer", "there is none called \"%s\"; they are called %s to %s", in->layer,
                                 in->maps->name[0], in->maps->name[in->maps->layers - 1]);
    return nodus_tensor_affine(math, out, sum, 1 / (float)count, 0);
}

/* Each item divided by its largest number. */
static NodusStatus normalized(NodusCall *call, const NodusTensor *x, const int64_t dim[3], NodusTensor **out)
{
    const float *data;
    const int64_t plane = dim[1] * dim[2];
    NODUS_TRY(nodus_tensor_map_f32(nodus_math(call), x, &data));
    float *to = nodus_alloc(call, (size_t)(dim[0] * plane) * sizeof *to);
    if (!to) return status_memory();
    for (int64_t b = 0; b < dim[0]; b++) {
        float most = 0;
        for (int64_t i = 0; i < plane; i++) most = data[b * plane + i] > most ? data[b * plane + i] : most;
        for (int64_t i = 0; i < plane; i++) to[b * plane + i] = most > 0 ? data[b * plane + i] / most : 0;
    }
    return nodus_tensor_from_f32(nodus_math(call), out, 3, dim, to);
}

static NodusStatus to_mask(NodusCall *call, const void *args)
{
    const MaskArgs *in = args;
    int64_t height = in->height, width = in->width;
    NodusTensor *mean, *mask;
    for (int i = 0; (!in->height || !in->width) && i < in->maps->layers; i++) {
        const NodusTensor *map = in->maps->map[i];
        if (!in->height && chosen(in, in->maps->name[i]) && nodus_tensor_dim(map, HEIGHT) > height)
            height = nodus_tensor_dim(map, HEIGHT);
        if (!in->width && chosen(in, in->maps->name[i]) && nodus_tensor_dim(map, WIDTH) > width)
            width = nodus_tensor_dim(map, WIDTH);
    }
    NODUS_TRY(layers_mean(call, in, height ? height : 1, width ? width : 1, &mean));
    const int64_t dim[] = {nodus_tensor_dim(mean, 0), height, width};
    if (in->normalize) NODUS_TRY(normalized(call, mean, dim, &mask));
    else NODUS_TRY(nodus_tensor_reshape(nodus_math(call), &mask, mean, 3, dim));
    return nodus_emit_tensor(call, 0, "MASK", mask);
}

static const NodusInput mask_inputs[] = {
    NODUS_IN_LINK("attention_maps", MaskArgs, maps, "ATTENTION_MAPS", "What SampleWithAttention kept."),
    NODUS_IN_STRING("prompt", MaskArgs, prompt, "The prompt that the maps are of, to find the word in.", .def = "",
                    .multiline = true),
    NODUS_FLAG_STRING(NODUS_OPTIONAL, "word", MaskArgs, word,
                      "Whose map: one or more words of the prompt. Empty: that of a token.", .def = ""),
    NODUS_FLAG_INT(NODUS_OPTIONAL, "token", MaskArgs, token, "Without a word: which token, 0 the start, 1 the first of the text.",
                   .def = 1, .min = 0, .max = 4096),
    NODUS_FLAG_STRING(NODUS_OPTIONAL, "layer", MaskArgs, layer,
                      "Whose maps: the mean of layers whose names begin so: in, mid, out, in4, out7.1. Empty: all.", .def = ""),
    NODUS_FLAG_INT(NODUS_OPTIONAL, "first_step", MaskArgs, first_step,
                   "The mean is over kept steps from this one on, counted from 0.", .def = 0, .min = 0, .max = 10000),
    NODUS_FLAG_INT(NODUS_OPTIONAL, "last_step", MaskArgs, last_step, "Up to this one; -1: the last.", .def = -1, .min = -1,
                   .max = 10000),
    NODUS_FLAG_INT(NODUS_OPTIONAL, "width", MaskArgs, width, "Width of the mask in pixels; 0: as wide as the widest of the maps.",
                   .def = 0, .min = 0, .max = 16384),
    NODUS_FLAG_INT(NODUS_OPTIONAL, "height", MaskArgs, height,
                   "Height of the mask in pixels; 0: as high as the highest of the maps.", .def = 0, .min = 0, .max = 16384),
    NODUS_FLAG_BOOLEAN(NODUS_OPTIONAL, "normalize", MaskArgs, normalize,
                       "Make the largest number of each mask 1; else they are shares of the attention.", true),
};
static const NodusOutput mask_outputs[] = {
    {.name = "MASK", .type = "MASK", .tooltip = "Where the word acted, for each picture of the batch."}};
const NodusNode node_attention_maps_to_mask = {
    NODUS_NODE("AttentionMapsToMask", "Attention Maps to Mask", "mask/attention", MaskArgs, mask_inputs, mask_outputs),
    .help = "Show where a word of the prompt acted, as a mask: the mean over layers and steps.",
    .example = "graphs/attention_maps.json",
    .run = to_mask,
};

/* ---- SaveAttentionMaps -------------------------------------------------------------------------------------------------------
 */

typedef struct {
    const AttentionMaps *maps;
    const char *filename_prefix;
} SaveArgs;

static NodusStatus save_layer(NodusCall *call, const SaveArgs *in, int layer)
{
    const NodusTensor *map = in->maps->map[layer];
    const float *data;
    const char *name, *path;
    int64_t dim[RANK];
    OutputSeries series;
    const size_t size = strlen(in->filename_prefix) + sizeof in->maps->name[0] + 2;
    char *own = nodus_alloc(call, size);
    if (!own) return status_memory();
    strcpy(own, in->filename_prefix);
    strcat(strcat(own, "_"), in->maps->name[layer]);
    for (int i = 0; i < RANK; i++) dim[i] = nodus_tensor_dim(map, i);
    NODUS_TRY(nodus_tensor_map_f32(nodus_math(call), map, &data));
    NODUS_TRY(output_series(call, "output", own, 0, 0, &series));
    NODUS_TRY(output_name(&series, 0, ".npy", &name, &path));
    NODUS_TRY(npy_write(path, "<f4", RANK, dim, data, sizeof *data));
    return output_done(&series, "arrays", name);
}

static NodusStatus save_maps(NodusCall *call, const void *args)
{
    const SaveArgs *in = args;
    for (int i = 0; i < in->maps->layers; i++) NODUS_TRY(save_layer(call, in, i));
    return NULL;
}

static const NodusInput save_inputs[] = {
    NODUS_IN_LINK("attention_maps", SaveArgs, maps, "ATTENTION_MAPS", "What to write."),
    NODUS_IN_STRING("filename_prefix", SaveArgs, filename_prefix,
                    "Sub-folder and beginning of the names, in the output folder; the layer's name follows.",
                    .def = "attention/maps"),
};
const NodusNode node_save_attention_maps = {
    NODUS_NODE_END("SaveAttentionMaps", "Save Attention Maps", "mask/attention", SaveArgs, save_inputs),
    .flags = NODUS_OUTPUT | NODUS_IO,
    .help = "Write attention maps to NumPy files, one a layer: [steps, items, height, width, tokens].",
    .example = "graphs/attention_maps.json",
    .run = save_maps,
};
