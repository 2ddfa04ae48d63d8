/* inspect_lora.c: what the small files hold that are put on a model: LoRAs and embeddings.
 *
 * One idea: names and shapes tell nearly all, so the header is enough; only the alphas are numbers of the file, and a file that no loader
 * opens, or one from a pipe, has none to show. */
#include "engine/base/status.h"
#include "engine/base/text.h"
#include "engine/cli/inspect.h"
#include "engine/cli/say.h"
#include "engine/formats/weights_file.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

static void add_number(cJSON *object, const char *name, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, value);
    need(cJSON_AddRawToObject(object, name, text));
}

static void add_text(cJSON *object, const char *name, const char *text)
{
    cJSON_AddItemToObject(object, name, need(text ? cJSON_CreateString(text) : cJSON_CreateNull()));
}

static bool begins(const char *text, const char *piece)
{
    return !strncmp(text, piece, strlen(piece));
}

/* Of which family a text of that width is. */
static const char *family_of_width(uint64_t width)
{
    return width == 768 ? "Stable Diffusion 1.x" : width == 1024 ? "Stable Diffusion 2.x" : width == 2048 ? "Stable Diffusion XL" : NULL;
}

/* A dimension of an entry: 0 where it has none. */
static uint64_t dim_of(const cJSON *item, int axis)
{
    const cJSON *shape = json_get(item, "shape");
    uint64_t size = 0;
    bool negative = false;
    const cJSON *dim = cJSON_IsArray(shape) ? cJSON_GetArrayItem(shape, axis) : NULL;
    return dim && json_integer(dim, &negative, &size) && !negative ? size : 0;
}

/* ---- LoRAs --------------------------------------------------------------------------------------------------------------- */

/* The second matrix of a layer, whose first dimension is the rank. */
static bool is_down(const char *name)
{
    static const char *const pieces[] = {"lora_down.weight", "lora_A.",   "lora.down.weight", "lora_linear_layer.down.weight",
                                         "hada_w1_b",        "lokr_w2_b"};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
        if (strstr(name, pieces[i])) return true;
    return false;
}

static bool is_of_text(const char *name)
{
    return strstr(name, "lora_te") || strstr(name, "text_") || strstr(name, "clip_l.") || strstr(name, "clip_g.");
}

/* Whose way of naming layers it is. */
static const char *naming_of(const char *name)
{
    if (begins(name, "lora_unet_") || begins(name, "lora_te")) return "kohya";
    if (begins(name, "lycoris_")) return "LyCORIS";
    if (strstr(name, "base_model.model.")) return "PEFT";
    if (begins(name, "diffusion_model.") || begins(name, "text_encoders.")) return "ComfyUI";
    if ((begins(name, "unet.") || begins(name, "clip_")) && strstr(name, ".lora_down.")) return "OneTrainer (OMI)";
    if (begins(name, "unet.") || begins(name, "text_encoder") || strstr(name, ".processor.")) return "diffusers";
    return NULL;
}

void inspect_lora(const cJSON *header, const cJSON *metadata, cJSON *found)
{
    uint64_t layers = 0, text = 0, lowest = UINT64_MAX, highest = 0, width = 0;
    const char *naming = NULL, *family = json_string(json_get(metadata, "ss_base_model_version"));
    for (const cJSON *item = header->child; item; item = item->next) {
        const uint64_t first = dim_of(item, 0), second = dim_of(item, 1);
        if (!is_down(item->string) || !first || !second) continue;
        layers++;
        text += is_of_text(item->string);
        lowest = first < lowest ? first : lowest;
        highest = first > highest ? first : highest;
        if (!naming) naming = naming_of(item->string);
        if (strstr(item->string, "attn2") && strstr(item->string, "to_k")) width = second;
    }
    if (!layers) return;
    cJSON *lora = need(cJSON_AddObjectToObject(found, "lora"));
    if (!family) family = json_string(json_get(metadata, "modelspec.architecture"));
    add_number(lora, "layers", layers);
    add_number(lora, "text_layers", text);
    add_number(lora, "lowest_rank", lowest);
    add_number(lora, "highest_rank", highest);
    add_text(lora, "family", family ? family : family_of_width(width));
    add_text(lora, "naming", naming);
}

void inspect_alphas(const char *path, cJSON *lora)
{
    WeightSet *set;
    double lowest = INFINITY, highest = -INFINITY;
    NodusStatus status = checkpoint_open(path, &set);
    nodus_error_free(status);
    for (int i = 0; !status && i < weights_count(set); i++) {
        const Weight *weight = weights_at(set, i);
        float value;
        if (!text_ends(weight->name, ".alpha") || weight->bytes != dtype_size(weight->dtype)) continue;
        NodusStatus read = weights_read_f32(weight, &value);
        nodus_error_free(read);
        if (read || !isfinite(value)) continue;
        lowest = (double)value < lowest ? (double)value : lowest;
        highest = (double)value > highest ? (double)value : highest;
    }
    if (!status) weights_unref(set);
    const bool any = lowest <= highest;
    cJSON_AddItemToObject(lora, "lowest_alpha", need(any ? cJSON_CreateNumber(lowest) : cJSON_CreateNull()));
    cJSON_AddItemToObject(lora, "highest_alpha", need(any ? cJSON_CreateNumber(highest) : cJSON_CreateNull()));
}

/* ---- Embeddings ---------------------------------------------------------------------------------------------------------- */

static bool is_embedding(const char *name)
{
    return !strcmp(name, "emb_params") || begins(name, "string_to_param.") || !strcmp(name, "clip_l") || !strcmp(name, "clip_g") ||
           !strcmp(name, "clip_h");
}

void inspect_embedding(const cJSON *header, cJSON *found)
{
    uint64_t tokens = 0, widest = 0;
    int parts = 0;
    cJSON *widths = need(cJSON_CreateArray());
    for (const cJSON *item = header->child; item && parts < 2; item = item->next) {
        const uint64_t first = dim_of(item, 0), second = dim_of(item, 1), width = second ? second : first;
        if (!is_embedding(item->string) || !width) continue;
        const uint64_t rows = second ? first : 1;
        tokens = rows > tokens ? rows : tokens;
        widest = width > widest ? width : widest;
        cJSON_AddItemToArray(widths, need(cJSON_CreateNumber((double)width)));
        parts++;
    }
    if (!parts) {
        cJSON_Delete(widths);
        return;
    }
    cJSON *embedding = need(cJSON_AddObjectToObject(found, "embedding"));
    add_number(embedding, "tokens", tokens);
    cJSON_AddItemToObject(embedding, "widths", widths);
    add_text(embedding, "family", widest == 1280 ? "Stable Diffusion XL" : family_of_width(widest));
}
