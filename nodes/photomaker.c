/* photomaker.c: persons in prompts: PhotoMakerLoader, PhotoMakerEncode.
 *
 * One idea: in a prompt that says "a man photomaker in the snow" the word before "photomaker" stands for a person; the prompt is
 * encoded without the mark, and that word's token then fused with what the picture of the person shows. */
#include "nodes/photomaker.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/tensor/plan.h"
#include "nodes/cond.h"
#include "nodes/model_file.h"
#include "nodes/models/photomaker.h"
#include "nodes/text_encode.h"
#include "nodes/vision_pixels.h"
#include <string.h>

/* ---- PHOTOMAKER ------------------------------------------------------------------------------------------------------ */

typedef struct PhotoMaker {
    WeightSet *weights;
    PhotoMakerConfig config;
    char *origin;
} PhotoMaker;

static void maker_free(void *payload)
{
    PhotoMaker *maker = payload;
    weights_unref(maker->weights);
    memory_free(maker->origin);
    memory_free(maker);
}

static NodusStatus maker_print(const void *payload, NodusText *text)
{
    const PhotoMaker *maker = payload;
    return nodus_print(text, "PhotoMaker %s, for words of %d numbers", maker->origin, maker->config.width);
}

const NodusType type_photomaker = {
    .struct_size = sizeof(NodusType), .name = "PHOTOMAKER", .free = maker_free, .print = maker_print};

/* ---- PhotoMakerLoader ------------------------------------------------------------------------------------------------ */

typedef struct {
    const char *name;
} LoadArgs;

static NodusStatus maker_load(NodusCall *call, const void *args)
{
    const LoadArgs *in = args;
    const char *path;
    NODUS_TRY(nodus_find_file(call, "photomaker", in->name, &path));
    PhotoMaker *maker = memory_alloc(sizeof *maker);
    if (!maker) return status_memory();
    NodusStatus status = model_file_open(path, &maker->weights);
    if (!status) status = photomaker_config(maker->weights, &maker->config);
    maker->origin = memory_text(in->name);
    if (!status) return nodus_emit(call, 0, &type_photomaker, maker);
    maker_free(maker);
    return nodus_error_prefix(status, "'%s'", in->name);
}

static NodusStatus maker_load_fingerprint(NodusCall *call, const void *args, NodusHash *hash)
{
    const LoadArgs *in = args;
    return model_file_hash(call, "photomaker", in->name, hash);
}

static const NodusInput load_inputs[] = {
    NODUS_IN_COMBO("photomaker_model_name", LoadArgs, name, "A file of models/photomaker.", .folder = "photomaker"),
};
static const NodusOutput load_outputs[] = {
    {.name = "PHOTOMAKER", .type = "PHOTOMAKER", .tooltip = "What puts a person into a prompt."}};
const NodusNode node_photomaker_loader = {
    NODUS_NODE("PhotoMakerLoader", "PhotoMakerLoader", "_for_testing/photomaker", LoadArgs, load_inputs, load_outputs),
    .flags = NODUS_IO | NODUS_EXPERIMENTAL,
    .help = "Open a PhotoMaker of version 1, for SDXL. The LoRA of its file is for the LoRA nodes.",
    .example = "graphs/photomaker.json",
    .run = maker_load,
    .fingerprint = maker_load_fingerprint,
};

/* ---- PhotoMakerEncode ------------------------------------------------------------------------------------------------ */

typedef struct {
    const PhotoMaker *maker;
    const NodusTensor *image;
    const Clip *clip;
    const char *text;
} EncodeArgs;

static const char MARK[] = "photomaker";

/* Where the word before the mark stands among the prompt's tokens if each word is one: the start token comes first, so it is as
 * many places in as blanks are before the mark. −1: there is no mark. `plain`: the prompt without it, on the call's memory. */
static NodusStatus find_word(NodusCall *call, const char *text, int64_t *place, char **plain)
{
    const size_t mark = strlen(MARK);
    *place = -1;
    *plain = nodus_alloc(call, strlen(text) + 1);
    if (!*plain) return status_memory();
    strcpy(*plain, text);
    int64_t blanks = 0;
    for (char *word = *plain;; blanks++) {
        const size_t length = strcspn(word, " ");
        if (length == mark && !strncmp(word, MARK, mark)) {
            const size_t gap = word[length] == ' ';
            memmove(word, word + length + gap, strlen(word + length + gap) + 1);
            *place = blanks;
            return NULL;
        }
        if (!word[length]) return NULL;
        word += length + 1;
    }
}

static NodusStatus encode_build(void *context, OpGraph *graph)
{
    photomaker_build(graph, context);
    return NULL;
}

static NodusStatus encode_word(NodusCall *call, const EncodeArgs *in, const NodusTensor *word, NodusTensor **out)
{
    NodusMath *math = nodus_math(call);
    PhotoMakerConfig config = in->maker->config;
    Bindings bindings = {0};
    NodusTensor *pixels;
    NodusHash *hash;
    Plan *plan;
    NODUS_TRY(vision_pixels(call, in->image, config.vision.side, true, &pixels));
    NODUS_TRY(plan_key_begin(math, in->maker->weights, "photomaker", &hash));
    NODUS_TRY(plan_get(math, plan_key_end(hash), in->maker->weights, encode_build, &config, &plan));
    bindings_input(&bindings, "pixels", pixels);
    bindings_input(&bindings, "word", word);
    bindings_output(&bindings, "fused", out);
    NodusStatus status = nodus_expect(call, "photomaker f32", plan_flop(plan));
    if (!status) status = plan_run(math, plan, &bindings);
    plan_unref(plan);
    return status;
}

/* The text with the token at `place` fused. */
static NodusStatus encode_fuse(NodusCall *call, const EncodeArgs *in, int64_t place, NodusTensor **text)
{
    NodusMath *math = nodus_math(call);
    const int64_t tokens = nodus_tensor_dim(*text, 1), width = nodus_tensor_dim(*text, 2);
    NodusTensor *word, *part[3];
    int parts = 0;
    if (width != in->maker->config.width)
        return nodus_input_error(call, "clip", "makes words of %d numbers, '%s' wants %d: link SDXL's text encoders", (int)width,
                                 in->maker->origin, in->maker->config.width);
    if (place >= CLIP_CHUNK) {
        nodus_warn(call, "\"%s\" is the word number %d of the prompt, too far behind: the picture is not looked at", MARK,
                   (int)place + 1);
        return NULL;
    }
    NODUS_TRY(nodus_tensor_slice(math, &word, *text, 1, place, 1));
    if (place) NODUS_TRY(nodus_tensor_slice(math, &part[parts++], *text, 1, 0, place));
    NODUS_TRY(encode_word(call, in, word, &part[parts++]));
    if (place + 1 < tokens) NODUS_TRY(nodus_tensor_slice(math, &part[parts++], *text, 1, place + 1, tokens - place - 1));
    return nodus_tensor_concat(math, text, 1, parts, (const NodusTensor *const *)part);
}

static NodusStatus encode(NodusCall *call, const void *args)
{
    const EncodeArgs *in = args;
    int64_t place;
    char *plain;
    NodusTensor *text, *pooled;
    if (nodus_tensor_dim(in->image, 0) != 1)
        return nodus_input_error(call, "image", "has %d pictures: one is wanted; pick it with ImageFromBatch",
                                 (int)nodus_tensor_dim(in->image, 0));
    NODUS_TRY(find_word(call, in->text, &place, &plain));
    NODUS_TRY(text_encode(call, in->clip, plain, NULL, &text, &pooled));
    if (place < 0) nodus_warn(call, "the prompt has no word \"%s\": the picture is not looked at", MARK);
    else NODUS_TRY(encode_fuse(call, in, place, &text));
    return cond_emit_plain(call, 0, text, pooled);
}

static NodusStatus encode_fingerprint(NodusCall *call, const void *args, NodusHash *hash)
{
    const EncodeArgs *in = args;
    return text_fingerprint(call, in->text, hash);
}

static NodusStatus encode_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    (void)call, (void)args;
    out[0].family = in[2].family;
    return NULL;
}

static NodusStatus encode_cost(NodusCall *call, const void *args, const NodusFacts *in, NodusCost *out)
{
    (void)args;
    return text_cost(call, &in[2], out);
}

static const NodusInput encode_inputs[] = {
    NODUS_IN_LINK("photomaker", EncodeArgs, maker, "PHOTOMAKER", "What puts the person into the prompt."),
    NODUS_IN_LINK("image", EncodeArgs, image, "IMAGE", "The person; the middle square is looked at."),
    NODUS_IN_LINK("clip", EncodeArgs, clip, "CLIP", "SDXL's text encoders."),
    NODUS_IN_STRING("text", EncodeArgs, text, "What the picture shows; the word before \"photomaker\" stands for the person.",
                    .def = "photograph of photomaker", .multiline = true, .dynamic = true),
};
const NodusNode node_photomaker_encode = {
    NODUS_NODE("PhotoMakerEncode", "PhotoMakerEncode", "_for_testing/photomaker", EncodeArgs, encode_inputs, cond_outputs),
    .flags = NODUS_EXPERIMENTAL,
    .help = "Encode a prompt in which one word stands for the person in a picture.",
    .example = "graphs/photomaker.json",
    .run = encode,
    .fingerprint = encode_fingerprint,
    .infer = encode_infer,
    .cost = encode_cost,
};
