/* text.c: nodes that turn prompts into conditionings.
 *
 * One idea: a prompt of any length is a batch of chunks of 77 tokens through one text tower; the chunks' outputs are laid end to
 * end. A weight moves a token's output away from (or towards) what the empty prompt gives at the same place, so where weights
 * occur the empty prompt is one more item of the batch (numerics.md §6). */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/tensor/plan.h"
#include "nodes/cost.h"
#include "nodes/values.h"
#include <string.h>

enum { PAD = CLIP_END /* CLIP-L pads with its end token */ };

/* One pass of the tower over `batch` chunks. */
typedef struct Pass {
    const ClipTextConfig *config;
    int64_t batch;
    int layer;
} Pass;

/* Clip skip counts from the end; beyond the first layer it means the last again. SD 1.x normalises whatever layer it takes. */
static int text_layer(const Clip *clip)
{
    const int skipped = clip->stop_layer ? -clip->stop_layer : 1;
    return skipped > clip->text.layers ? clip->text.layers : clip->text.layers + 1 - skipped;
}

static NodusStatus text_build(void *context, OpGraph *graph)
{
    const Pass *pass = context;
    clip_text_build(graph, pass->config, pass->batch, pass->layer, true);
    return NULL;
}

static NodusStatus text_plan(NodusMath *math, const Clip *clip, Pass *pass, Plan **out)
{
    NodusHash *hash;
    NODUS_TRY(plan_key_begin(math, clip->weights, "clip_text", &hash));
    nodus_hash_text(hash, clip->text.prefix);
    nodus_hash_u64(hash, (uint64_t)pass->batch);
    nodus_hash_u64(hash, (uint64_t)pass->layer);
    return plan_get(math, plan_key_end(hash), clip->weights, text_build, pass, out);
}

/* The prompt's ids, then, if it is weighted, those of an empty prompt. */
static NodusStatus text_ids(const ClipPrompt *prompt, NodusTensor **out)
{
    const int64_t rows = prompt->chunks + prompt->weighted, dim[] = {rows, CLIP_CHUNK};
    const size_t count = (size_t)prompt->chunks * CLIP_CHUNK;
    int32_t *ids = memory_array((size_t)rows * CLIP_CHUNK, sizeof *ids);
    if (!ids) return status_memory();
    memcpy(ids, prompt->ids, count * sizeof *ids);
    for (size_t i = 0; prompt->weighted && i < CLIP_CHUNK; i++) ids[count + i] = i == 0 ? CLIP_START : i == 1 ? CLIP_END : PAD;
    NodusStatus status = tensor_borrow(NODUS_I32, 2, dim, ids, memory_free, ids, out);
    if (status) memory_free(ids); /* else they are the tensor's */
    return status;
}

static NodusStatus text_run(NodusCall *call, const Clip *clip, const ClipPrompt *prompt, NodusTensor **hidden, NodusTensor **last)
{
    NodusMath *math = nodus_math(call);
    Pass pass = {&clip->text, prompt->chunks + prompt->weighted, text_layer(clip)};
    NodusTensor *ids;
    Plan *plan;
    Bindings bindings = {0};
    NODUS_TRY(text_ids(prompt, &ids));
    NODUS_TRY(math_keep(math, ids));
    NODUS_TRY(text_plan(math, clip, &pass, &plan));
    bindings_input(&bindings, "ids", ids);
    bindings_output(&bindings, "hidden", hidden);
    bindings_output(&bindings, "last", last);
    NodusStatus status = nodus_expect(call, "clip f32", plan_flop(plan));
    if (!status) status = plan_run(math, plan, &bindings);
    plan_unref(plan);
    return status;
}

/* (z − e)·w + e, token by token; e: the last item of the batch, the empty prompt. */
static NodusStatus text_weigh(NodusMath *math, const ClipPrompt *prompt, const NodusTensor *all, NodusTensor **out)
{
    NodusTensor *prompted, *empty, *weights, *difference, *scaled;
    NODUS_TRY(nodus_tensor_slice(math, &prompted, all, 0, 0, prompt->chunks));
    NODUS_TRY(nodus_tensor_slice(math, &empty, all, 0, prompt->chunks, 1));
    NODUS_TRY(nodus_tensor_from_f32(math, &weights, 3, (int64_t[]){prompt->chunks, CLIP_CHUNK, 1}, prompt->weights));
    NODUS_TRY(nodus_tensor_sub(math, &difference, prompted, empty));
    NODUS_TRY(nodus_tensor_mul(math, &scaled, difference, weights));
    return nodus_tensor_add(math, out, scaled, empty);
}

/* The row of the first chunk's end token: what the tower knows of the whole text. */
static NodusStatus text_pool(NodusMath *math, const ClipPrompt *prompt, const NodusTensor *last, NodusTensor **out)
{
    NodusTensor *chunk, *row;
    NODUS_TRY(nodus_tensor_slice(math, &chunk, last, 0, 0, 1));
    NODUS_TRY(nodus_tensor_slice(math, &row, chunk, 1, prompt->length - 1, 1));
    return nodus_tensor_reshape(math, out, row, 2, (int64_t[]){1, nodus_tensor_dim(last, 2)});
}

static NodusStatus text_emit(NodusCall *call, const NodusTensor *text, const NodusTensor *pooled)
{
    Conditioning *conditioning = memory_alloc(sizeof *conditioning);
    Cond *cond = memory_alloc(sizeof *cond);
    if (!conditioning || !cond) {
        memory_free(conditioning);
        memory_free(cond);
        return status_memory();
    }
    *cond = (Cond){nodus_tensor_ref(text), nodus_tensor_ref(pooled)};
    *conditioning = (Conditioning){cond, 1};
    return nodus_emit(call, 0, &type_conditioning, conditioning);
}

static NodusStatus text_prompt(NodusCall *call, const Clip *clip, const ClipPrompt *prompt)
{
    NodusMath *math = nodus_math(call);
    NodusTensor *hidden, *last, *text, *pooled;
    for (int i = 0; i < prompt->embedding_count; i++)
        nodus_warn(call, "embedding:%s is left out: textual inversions come with a later version", prompt->embeddings[i]);
    NODUS_TRY(text_run(call, clip, prompt, &hidden, &last));
    if (prompt->weighted) NODUS_TRY(text_weigh(math, prompt, hidden, &hidden));
    const int64_t tokens = (int64_t)prompt->chunks * CLIP_CHUNK, width = nodus_tensor_dim(hidden, 2);
    NODUS_TRY(nodus_tensor_reshape(math, &text, hidden, 3, (int64_t[]){1, tokens, width}));
    NODUS_TRY(text_pool(math, prompt, last, &pooled));
    return text_emit(call, text, pooled);
}

/* ---- CLIPTextEncode ------------------------------------------------------------------------------------------------ */

typedef struct {
    const char *text;
    const Clip *clip;
} TextEncodeArgs;

/* The tokenizer's table is made anew: half a millisecond, and nothing is shared. */
static NodusStatus text_encode(NodusCall *call, const void *args)
{
    const TextEncodeArgs *in = args;
    ClipTokenizer *tokenizer;
    ClipPrompt prompt;
    NODUS_TRY(values_require(call, "clip", in->clip->weights, in->clip->origin, "text encoder"));
    NODUS_TRY(clip_tokenizer_new(&tokenizer));
    NodusStatus status = clip_tokenize(tokenizer, in->text, PAD, &prompt);
    clip_tokenizer_free(tokenizer);
    if (status) return status;
    status = text_prompt(call, in->clip, &prompt);
    clip_prompt_free(&prompt);
    return status;
}

static NodusStatus text_encode_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    (void)call;
    (void)args;
    out[0].family = in[1].family;
    return NULL;
}

/* A chunk or two: their arena is small beside the weights. */
static NodusStatus text_encode_cost(NodusCall *call, const void *args, const NodusFacts *in, NodusCost *out)
{
    Checkpoint checkpoint;
    Clip clip = {0};
    Plan *plan;
    (void)args;
    NODUS_TRY(cost_open(&in[1], &clip.weights, &checkpoint));
    if (!clip.weights || !checkpoint.has_clip) {
        weights_unref(clip.weights);
        return NULL;
    }
    clip.text = checkpoint.clip;
    Pass pass = {&clip.text, 1, text_layer(&clip)};
    NodusStatus status = text_plan(nodus_math(call), &clip, &pass, &plan);
    weights_unref(clip.weights);
    if (status) return status;
    cost_add_plan(nodus_math(call), plan, out);
    out->result = cost_bytes(1, 1, CLIP_CHUNK, clip.text.width);
    plan_unref(plan);
    return NULL;
}

static const NodusInput text_encode_inputs[] = {
    NODUS_IN_STRING("text", TextEncodeArgs, text, "What the picture shows. (word:1.3) weighs a word more, (word:0.7) less.",
                    .def = "", .multiline = true, .dynamic = true),
    NODUS_IN_LINK("clip", TextEncodeArgs, clip, "CLIP", "The text encoder of the model."),
};
static const NodusOutput text_encode_outputs[] = {
    {.name = "CONDITIONING", .type = "CONDITIONING", .tooltip = "The prompt, as the diffusion model hears it."}};
const NodusNode node_clip_text_encode = {
    NODUS_NODE("CLIPTextEncode", "CLIP Text Encode (Prompt)", "conditioning", TextEncodeArgs, text_encode_inputs,
               text_encode_outputs),
    .help = "Encode a prompt with the model's text encoder. Prompts of any length are allowed.",
    .example = "graphs/txt2img.json",
    .run = text_encode,
    .infer = text_encode_infer,
    .cost = text_encode_cost,
};

/* ---- CLIPSetLastLayer ---------------------------------------------------------------------------------------------- */

typedef struct {
    const Clip *clip;
    int64_t stop_at_clip_layer;
} LastLayerArgs;

static NodusStatus text_last_layer(NodusCall *call, const void *args)
{
    const LastLayerArgs *in = args;
    NODUS_TRY(values_require(call, "clip", in->clip->weights, in->clip->origin, "text encoder"));
    Clip *clip = memory_alloc(sizeof *clip);
    if (!clip) return status_memory();
    *clip = *in->clip;
    clip->weights = weights_ref(in->clip->weights);
    clip->origin = memory_text(in->clip->origin);
    clip->stop_layer = (int)in->stop_at_clip_layer;
    return nodus_emit(call, 0, &type_clip, clip);
}

static NodusStatus text_last_layer_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    (void)call;
    (void)args;
    out[0] = in[0];
    return NULL;
}

static const NodusInput last_layer_inputs[] = {
    NODUS_IN_LINK("clip", LastLayerArgs, clip, "CLIP", "The text encoder."),
    NODUS_IN_INT("stop_at_clip_layer", LastLayerArgs, stop_at_clip_layer,
                 "The layer whose output is used: −1 the last, −2 the one before it …", .def = -1, .min = -24, .max = -1),
};
static const NodusOutput last_layer_outputs[] = {
    {.name = "CLIP", .type = "CLIP", .tooltip = "The same text encoder, ending earlier."}};
const NodusNode node_clip_set_last_layer = {
    NODUS_NODE("CLIPSetLastLayer", "CLIP Set Last Layer", "conditioning", LastLayerArgs, last_layer_inputs, last_layer_outputs),
    .help = "Take the prompt from an earlier layer of the text encoder (\"clip skip\"): some models were trained so.",
    .example = "graphs/two_stage.json",
    .run = text_last_layer,
    .infer = text_last_layer_infer,
};
