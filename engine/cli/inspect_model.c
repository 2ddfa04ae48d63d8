/* inspect_model.c: the header of a state dict: tensors, their shapes and types, and what kind of model their names speak of.
 *
 * One idea: the header is read by itself and leniently: a file that the loaders refuse (a type or a family that comes later) can
 * be looked at all the same. Format: engine/formats/safetensors.h. Other formats go through their reader and become such a header. */
#include "engine/cli/inspect.h"
#include "engine/cli/say.h"
#include "engine/formats/weights_file.h"
#include <inttypes.h>
#include <string.h>

enum { MOST_RANK = 16, MOST_TYPES = 64 };

/* ---- What it is --------------------------------------------------------------------------------------------------------- */

/* A piece of a name that gives the kind away, "$": its end, "^": all of it; the first row that fits counts. `rank` and `width`:
 * 0, or what that tensor's dimensions must be, and the last of them: a UNet's projections are convolutions in the first
 * generation and matrices later. */
static const struct {
    const char *piece, *what;
    int rank;
    uint64_t width;
} kinds[] = {
    {"latent_tensor", "a latent", 0, 0},
    {".dora_scale", "a LoRA (DoRA)", 0, 0},
    {".lora_magnitude_vector", "a LoRA (DoRA)", 0, 0},
    {"lora_up.weight", "a LoRA", 0, 0},
    {"lora_A.", "a LoRA", 0, 0},
    {"lora.up.weight", "a LoRA", 0, 0},
    {"lora_linear_layer.up.weight", "a LoRA", 0, 0},
    {"hada_w1_a", "a LoRA (LoHa)", 0, 0},
    {"lokr_w1", "a LoRA (LoKr)", 0, 0},
    {".oft_blocks", "a LoRA (OFT)", 0, 0},
    {".a1.weight$", "a LoRA (GLoRA)", 0, 0},
    {".diff$", "a LoRA (differences)", 0, 0},
    {"lora_controlnet", "a Control-LoRA", 0, 0},
    {"task_embedding", "a ControlNet (union)", 0, 0},
    {"input_hint_block.0.weight", "a ControlNet", 0, 0},
    {"controlnet_cond_embedding.", "a ControlNet", 0, 0},
    {"ip_adapter.1.to_k_ip.", "an IP-Adapter", 0, 0},
    {"body.0.block1.weight", "a T2I-Adapter", 0, 0},
    {"body.0.resnets.0.block1.weight", "a T2I-Adapter", 0, 0},
    {"position_net.", "a GLIGEN model", 0, 0},
    {"style_embedding", "a style model (T2I-Adapter)", 0, 0},
    {"redux_up.weight", "a style model (Redux)", 0, 0},
    {"0.linear.0.weight", "a hypernetwork", 0, 0},
    {"double_blocks.0.img_attn.", "a Flux model", 0, 0},
    {"joint_blocks.0.", "a Stable Diffusion 3 model", 0, 0},
    {"attn2.to_k.weight", "a Stable Diffusion XL refiner", 2, 1280},
    {"label_emb.0.0.weight", "a Stable Diffusion XL model", 2, 0},
    {".1.proj_in.weight", "a Stable Diffusion 1.x model", 4, 0},
    {".1.proj_in.weight", "a Stable Diffusion 2.x model", 2, 0},
    {"input_blocks.0.0.weight", "a UNet", 0, 0},
    {"decoder.conv_in.weight", "a VAE", 0, 0},
    {"vision_model.encoder.layers.", "a CLIP vision model", 0, 0},
    {"text_model.encoder.layers.", "a text encoder (CLIP)", 0, 0},
    {"DenseReluDense", "a text encoder (T5)", 0, 0},
    {"emb_params", "a textual inversion", 0, 0},
    {"string_to_param.", "a textual inversion", 0, 0},
    {"^clip_l", "a textual inversion", 0, 0},
    {"^clip_g", "a textual inversion", 0, 0},
    {"rdb1.conv1.weight", "an upscaler", 0, 0},
};

static bool has_shape(const cJSON *tensor, int rank, uint64_t width)
{
    const cJSON *shape = json_get(tensor, "shape");
    uint64_t last = 0;
    bool negative = false;
    if (rank && cJSON_GetArraySize(shape) != rank) return false;
    for (const cJSON *dim = cJSON_IsArray(shape) ? shape->child : NULL; dim; dim = dim->next)
        if (!json_integer(dim, &negative, &last)) return false;
    return !width || last == width;
}

static bool has_piece(const char *name, const char *piece)
{
    const size_t length = strlen(name), tail = strlen(piece) - 1;
    if (piece[0] == '^') return !strcmp(name, piece + 1);
    if (piece[tail] == '$') return length >= tail && !strncmp(name + length - tail, piece, tail);
    return strstr(name, piece) != NULL;
}

static const char *guess(const cJSON *header)
{
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        for (const cJSON *item = header->child; item; item = item->next)
            if (has_piece(item->string, kinds[k].piece) && has_shape(item, kinds[k].rank, kinds[k].width)) return kinds[k].what;
    return NULL;
}

static void add_number(cJSON *object, const char *name, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, value);
    need(cJSON_AddRawToObject(object, name, text));
}

/* ---- Tensors ------------------------------------------------------------------------------------------------------------ */

static bool count_elements(const cJSON *shape, uint64_t *out)
{
    int rank = 0;
    *out = 1;
    for (const cJSON *dim = cJSON_IsArray(shape) ? shape->child : NULL; dim; dim = dim->next) {
        bool negative;
        uint64_t size;
        if (++rank > MOST_RANK || !json_integer(dim, &negative, &size) || negative) return false;
        if (__builtin_mul_overflow(*out, size, out)) return false;
    }
    return cJSON_IsArray(shape);
}

/* A file has a handful of types; a hostile one may invent one a tensor. */
static void count_type(cJSON *types, const char *type)
{
    if (cJSON_GetArraySize(types) >= MOST_TYPES) type = "others";
    cJSON *count = cJSON_GetObjectItemCaseSensitive(types, type);
    if (count) cJSON_SetNumberValue(count, count->valuedouble + 1);
    else need(cJSON_AddNumberToObject(types, type, 1));
}

static NodusStatus add_tensor(const cJSON *item, cJSON *list, cJSON *types, uint64_t *parameters)
{
    const char *type = json_string(json_get(item, "dtype"));
    const cJSON *shape = json_get(item, "shape");
    uint64_t elements;
    if (!type || strlen(type) > 16 || !count_elements(shape, &elements))
        return nodus_error(NODUS_ERROR_FILE, "it is no safetensors file: the entry '%.100s' has no dtype or no shape",
                           item->string);
    if (__builtin_add_overflow(*parameters, elements, parameters))
        return nodus_error(NODUS_ERROR_FILE, "it is no safetensors file: its shapes are larger than any memory");
    cJSON *row = need(cJSON_CreateObject());
    need(cJSON_AddStringToObject(row, "name", item->string));
    need(cJSON_AddStringToObject(row, "dtype", type));
    cJSON_AddItemToObject(row, "shape", need(cJSON_Duplicate(shape, true)));
    cJSON_AddItemToArray(list, row);
    count_type(types, type);
    return NULL;
}

static NodusStatus add_tensors(const cJSON *header, cJSON *found)
{
    cJSON *types = need(cJSON_AddObjectToObject(found, "dtypes")), *list = need(cJSON_CreateArray());
    uint64_t parameters = 0;
    NodusStatus status = NULL;
    for (const cJSON *item = header->child; item && !status; item = item->next)
        if (strcmp(item->string, "__metadata__")) status = add_tensor(item, list, types, &parameters);
    add_number(found, "parameters", parameters);
    cJSON_AddItemToObject(found, "tensors", list); /* last, since it is long */
    return status;
}

static NodusStatus inspect_tree(const cJSON *header, uint64_t bytes, const char *format, cJSON *found)
{
    if (!cJSON_IsObject(header)) return nodus_error(NODUS_ERROR_FILE, "it is no safetensors file: its header is no JSON object");
    const cJSON *metadata = json_get(header, "__metadata__");
    const char *what = guess(header), *prompt = json_string(json_get(metadata, "prompt"));
    need(cJSON_AddStringToObject(found, "kind", "tensors"));
    need(cJSON_AddStringToObject(found, "format", format));
    cJSON_AddItemToObject(found, "what", need(what ? cJSON_CreateString(what) : cJSON_CreateNull()));
    if (bytes) add_number(found, "bytes", bytes);
    if (what && strstr(what, "LoRA")) inspect_lora(header, metadata, found);
    if (what && !strcmp(what, "a textual inversion")) inspect_embedding(header, found);
    if (metadata) cJSON_AddItemToObject(found, "metadata", need(cJSON_Duplicate(metadata, true)));
    if (prompt) inspect_prompt(prompt, found);
    return add_tensors(header, found);
}

NodusStatus inspect_model(const char *header, size_t size, uint64_t bytes, const char *format, cJSON *found)
{
    Json *json;
    NodusStatus status = json_parse(header, size, &json);
    if (status) return nodus_error_prefix(status, "it is no safetensors file: its header");
    status = inspect_tree(json_root(json), bytes, format, found);
    json_free(json);
    return status;
}

/* ---- Other formats ------------------------------------------------------------------------------------------------------ */

/* What such a file may tell of itself, of many keys. */
static const char *const told[] = {"general.architecture", "general.name", "general.quantization_version", "modelspec.architecture",
                                   "epoch", "global_step"};

static void put_metadata(const WeightSet *set, Text *out)
{
    const char *between = "";
    text_add(out, "{\"__metadata__\": {");
    for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
        const char *value = weights_metadata(set, told[i]);
        if (!value) continue;
        text_format(out, "%s\"%s\": ", between, told[i]);
        json_put_string(out, value, false);
        between = ", ";
    }
    text_char(out, '}');
}

static void put_header(const WeightSet *set, Text *out)
{
    put_metadata(set, out);
    for (int i = 0; i < weights_count(set); i++) {
        const Weight *weight = weights_at(set, i);
        text_add(out, ", ");
        json_put_string(out, weight->name, false);
        text_format(out, ": {\"dtype\": \"%s\", \"shape\": [", weights_file_type(weight));
        for (int d = 0; d < weight->rank; d++) text_format(out, "%s%" PRId64, d ? ", " : "", weight->dim[d]);
        text_add(out, "]}");
    }
    text_char(out, '}');
}

NodusStatus inspect_weights(const char *path, uint64_t bytes, const char *format, cJSON *found)
{
    WeightSet *set;
    Text header = {0};
    char *text;
    NODUS_TRY(checkpoint_open(path, &set));
    put_header(set, &header);
    weights_unref(set);
    NODUS_TRY(text_take(&header, &text));
    NodusStatus status = inspect_model(text, strlen(text), bytes, format, found);
    nodus_free(text);
    return status;
}
