/* text_encode.c: see text_encode.h.
 *
 * One idea: a prompt of any length is a batch of chunks of 77 tokens through one text tower; the chunks' outputs are laid end to
 * end. A weight moves a token's output away from (or towards) what the empty prompt gives at the same place, so where weights
 * occur the empty prompt is one more item of the batch. Two towers stand side by side, number by number. */
#include "nodes/text_encode.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/tensor/plan.h"
#include "nodes/cost.h"
#include "nodes/text_inversion.h"
#include <string.h>

enum { TOWERS = 2 };

/* One tower at work. */
typedef struct Tower {
    const Clip *clip;
    const ClipTextConfig *config;
    ClipTextPass pass;
    Inversions inversions;
    ClipPrompt prompt;
    NodusTensor *text, *pooled;
} Tower;

/* ---- Which layer ------------------------------------------------------------------------------------------------------- */

/* Clip skip counts from the end; beyond the first layer it means the last again, normalised. SD 1 takes the last layer, the
 * others the one before it; SDXL does not normalise. */
static void tower_layer(const Clip *clip, const ClipTextConfig *config, ClipTextPass *pass)
{
    const bool xl = clip->family == FAMILY_SDXL || clip->family == FAMILY_SDXL_REFINER;
    const int usual = xl || clip->family == FAMILY_SD2 ? 2 : 1, back = clip->stop_layer ? -clip->stop_layer : usual;
    pass->layer = back > config->layers ? config->layers : config->layers + 1 - back;
    pass->normalize = !xl || back > config->layers;
}

static NodusStatus tower_build(void *context, OpGraph *graph)
{
    const Tower *tower = context;
    clip_text_build(graph, tower->config, &tower->pass);
    return NULL;
}

static NodusStatus tower_plan(NodusMath *math, Tower *tower, Plan **out)
{
    NodusHash *hash;
    NODUS_TRY(plan_key_begin(math, tower->clip->weights, "clip_text", &hash));
    nodus_hash_text(hash, tower->config->prefix);
    nodus_hash_text(hash, tower->config->projection);
    nodus_hash_u64(hash, (uint64_t)tower->pass.batch);
    nodus_hash_u64(hash, (uint64_t)tower->pass.layer);
    nodus_hash_u64(hash, (uint64_t)tower->pass.normalize << 1 | tower->pass.vectors);
    return plan_get(math, plan_key_end(hash), tower->clip->weights, tower_build, tower, out);
}

/* ---- Tokens ------------------------------------------------------------------------------------------------------------ */

static void put_empty(int32_t *ids, int32_t pad)
{
    for (int i = 0; i < CLIP_CHUNK; i++) ids[i] = i == 0 ? CLIP_START : i == 1 ? CLIP_END : pad;
}

/* Lengthens a prompt by empty chunks. */
static NodusStatus prompt_lengthen(ClipPrompt *prompt, int chunks, int32_t pad)
{
    const size_t old = (size_t)prompt->chunks * CLIP_CHUNK, count = (size_t)chunks * CLIP_CHUNK;
    int32_t *ids = memory_grow(prompt->ids, count, sizeof *ids);
    if (!ids) return status_memory();
    prompt->ids = ids;
    float *weights = memory_grow(prompt->weights, count, sizeof *weights);
    if (!weights) return status_memory();
    prompt->weights = weights;
    for (size_t i = old; i < count; i++) weights[i] = 1;
    for (size_t i = old; i < count; i += CLIP_CHUNK) put_empty(ids + i, pad);
    prompt->chunks = chunks;
    return NULL;
}

static NodusStatus tower_tokenize(Tower *tower, const ClipTokenizer *tokenizer, const char *text)
{
    const ClipInversions finder = inversions_finder(&tower->inversions);
    ClipPrompt *prompt = &tower->prompt;
    NODUS_TRY(clip_tokenize(tokenizer, text, clip_text_pad(tower->config), &finder, prompt));
    for (int i = 0; i < prompt->embedding_count; i++)
        nodus_warn(tower->inversions.call, "embedding:%s is left out: there is no such file in the folder \"embeddings\"",
                   prompt->embeddings[i]);
    return NULL;
}

/* ---- What goes in ------------------------------------------------------------------------------------------------------ */

/* One chunk's ids; a vector has id 0 and is found in `vector`. Those of another tower are left out, and what follows moves up. */
static void fill_row(const Tower *tower, const int32_t *from, int32_t *to, const float **vector)
{
    int count = 0;
    for (int i = 0; i < CLIP_CHUNK; i++) {
        const float *found = from[i] < 0 ? tower->inversions.vector[-1 - from[i]] : NULL;
        if (from[i] < 0 && !found) continue;
        vector[count] = found;
        to[count++] = found ? 0 : from[i];
    }
    while (count < CLIP_CHUNK) to[count++] = clip_text_pad(tower->config);
}

static NodusStatus bind_vectors(NodusMath *math, const Tower *tower, const float **vector, Bindings *bindings)
{
    const size_t width = (size_t)tower->config->width, count = (size_t)tower->pass.batch * CLIP_CHUNK;
    const int64_t dim[] = {tower->pass.batch, CLIP_CHUNK, tower->config->width};
    NodusTensor *keep, *vectors;
    float *values = memory_array(count * width, 2 * sizeof *values), *kept = values + count * width;
    if (!values) return status_memory();
    for (size_t i = 0; i < count; i++) {
        if (vector[i]) memcpy(values + i * width, vector[i], width * sizeof *values);
        for (size_t k = 0; k < width; k++) kept[i * width + k] = vector[i] ? 0 : 1;
    }
    NodusStatus status = nodus_tensor_from_f32(math, &vectors, 3, dim, values);
    if (!status) status = nodus_tensor_from_f32(math, &keep, 3, dim, kept);
    memory_free(values);
    if (status) return status;
    bindings_input(bindings, "vectors", vectors);
    bindings_input(bindings, "keep", keep);
    return NULL;
}

static NodusStatus bind_ids(NodusMath *math, const Tower *tower, int32_t *ids, Bindings *bindings)
{
    NodusTensor *tensor;
    NodusStatus status =
        tensor_borrow(NODUS_I32, 2, (const int64_t[]){tower->pass.batch, CLIP_CHUNK}, ids, memory_free, ids, &tensor);
    if (status) {
        memory_free(ids); /* else they are the tensor's */
        return status;
    }
    NODUS_TRY(math_keep(math, tensor));
    bindings_input(bindings, "ids", tensor);
    return NULL;
}

/* The prompt's ids, then, if it is weighted, those of an empty prompt; and how far the first chunk goes. */
static NodusStatus tower_inputs(NodusCall *call, Tower *tower, Bindings *bindings)
{
    ClipPrompt *prompt = &tower->prompt;
    const size_t rows = (size_t)tower->pass.batch;
    const float **vector = nodus_alloc(call, rows * CLIP_CHUNK * sizeof *vector);
    int32_t *ids = memory_array(rows * CLIP_CHUNK, sizeof *ids);
    if (!vector || !ids) {
        memory_free(ids);
        return status_memory();
    }
    for (size_t i = 0; i < (size_t)prompt->chunks; i++)
        fill_row(tower, prompt->ids + i * CLIP_CHUNK, ids + i * CLIP_CHUNK, vector + i * CLIP_CHUNK);
    if (prompt->weighted) put_empty(ids + (rows - 1) * CLIP_CHUNK, clip_text_pad(tower->config));
    for (prompt->length = 0; ids[prompt->length] != CLIP_END;) prompt->length++;
    prompt->length++;
    NODUS_TRY(bind_ids(nodus_math(call), tower, ids, bindings));
    return tower->pass.vectors ? bind_vectors(nodus_math(call), tower, vector, bindings) : NULL;
}

/* ---- What comes out ---------------------------------------------------------------------------------------------------- */

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

static NodusStatus tower_run(NodusCall *call, Tower *tower)
{
    NodusMath *math = nodus_math(call);
    const ClipPrompt *prompt = &tower->prompt;
    NodusTensor *hidden, *last;
    Bindings bindings = {0};
    Plan *plan;
    tower->pass.batch = prompt->chunks + prompt->weighted;
    tower->pass.vectors = tower->inversions.vectors != 0;
    tower_layer(tower->clip, tower->config, &tower->pass);
    NODUS_TRY(tower_inputs(call, tower, &bindings));
    NODUS_TRY(tower_plan(math, tower, &plan));
    bindings_output(&bindings, "hidden", &hidden);
    bindings_output(&bindings, "last", &last);
    NodusStatus status = nodus_expect(call, "clip f32", plan_flop(plan));
    if (!status) status = plan_run(math, plan, &bindings);
    plan_unref(plan);
    if (status) return status;
    if (prompt->weighted) NODUS_TRY(text_weigh(math, prompt, hidden, &hidden));
    const int64_t dim[] = {1, (int64_t)prompt->chunks * CLIP_CHUNK, nodus_tensor_dim(hidden, 2)};
    NODUS_TRY(nodus_tensor_reshape(math, &tower->text, hidden, 3, dim));
    return text_pool(math, prompt, last, &tower->pooled);
}

/* ---- The whole --------------------------------------------------------------------------------------------------------- */

/* Side by side as far as both go; the second tower speaks for the whole text. */
static NodusStatus text_join(NodusMath *math, const Tower tower[TOWERS], NodusTensor **text, NodusTensor **pooled)
{
    const int64_t one = nodus_tensor_dim(tower[0].text, 1), other = nodus_tensor_dim(tower[1].text, 1),
                  tokens = one < other ? one : other;
    NodusTensor *part[TOWERS];
    for (int i = 0; i < TOWERS; i++) NODUS_TRY(nodus_tensor_slice(math, &part[i], tower[i].text, 1, 0, tokens));
    *pooled = tower[1].pooled;
    return nodus_tensor_concat(math, text, 2, TOWERS, (const NodusTensor *const *)part);
}

static NodusStatus text_towers(NodusCall *call, Tower *tower, int count, const char *const *prompt, bool even)
{
    ClipTokenizer *tokenizer;
    NodusStatus status = NULL;
    NODUS_TRY(clip_tokenizer_new(&tokenizer)); /* made anew: half a millisecond, and nothing is shared */
    for (int i = 0; i < count && !status; i++) status = tower_tokenize(&tower[i], tokenizer, prompt[i]);
    clip_tokenizer_free(tokenizer);
    for (int i = 0; i < count && !status && even; i++) {
        const int wanted = tower[count - 1 - i].prompt.chunks;
        if (tower[i].prompt.chunks < wanted) status = prompt_lengthen(&tower[i].prompt, wanted, clip_text_pad(tower[i].config));
    }
    for (int i = 0; i < count && !status; i++) status = tower_run(call, &tower[i]);
    return status;
}

NodusStatus text_encode(NodusCall *call, const Clip *clip, const char *prompt, const char *second, NodusTensor **text,
                        NodusTensor **pooled)
{
    const ClipTextConfig *config[TOWERS] = {&clip->text, &clip->second};
    const int count = clip->second.layers ? TOWERS : 1;
    Tower tower[TOWERS] = {0};
    NODUS_TRY(values_require_clip(call, clip));
    for (int i = 0; i < count; i++)
        tower[i] = (Tower){.clip = clip, .config = config[i], .inversions = {.call = call, .tower = config[i]}};
    NodusStatus status = text_towers(call, tower, count, (const char *[]){prompt, second ? second : prompt}, second != NULL);
    for (int i = 0; i < count; i++) {
        clip_prompt_free(&tower[i].prompt);
        inversions_free(&tower[i].inversions);
    }
    if (status) return status;
    *text = tower[0].text;
    *pooled = tower[0].pooled;
    return count == TOWERS ? text_join(nodus_math(call), tower, text, pooled) : NULL;
}

NodusStatus text_fingerprint(NodusCall *call, const char *prompt, NodusHash *hash)
{
    ClipTokenizer *tokenizer;
    ClipPrompt names = {0};
    const char *path;
    if (!prompt || !strstr(prompt, "embedding:")) return NULL;
    NODUS_TRY(clip_tokenizer_new(&tokenizer));
    NodusStatus status = clip_tokenize(tokenizer, prompt, 0, NULL, &names);
    clip_tokenizer_free(tokenizer);
    for (int i = 0; i < names.embedding_count && !status; i++) {
        status = inversion_find(call, names.embeddings[i], &path);
        if (!status && path) status = nodus_hash_file(call, hash, path);
    }
    clip_prompt_free(&names);
    return status;
}

/* A chunk or two: their arena is small beside the weights. */
NodusStatus text_cost(NodusCall *call, const NodusFacts *facts, NodusCost *out)
{
    Checkpoint checkpoint;
    Clip clip = {0};
    NodusStatus status = NULL;
    NODUS_TRY(cost_open(facts, &clip.weights, &checkpoint));
    const ClipTextConfig *config[TOWERS] = {&checkpoint.clip, &checkpoint.clip_second};
    for (int i = 0; clip.weights && checkpoint.has_clip && i < TOWERS && config[i]->layers && !status; i++) {
        Plan *plan;
        Tower tower = {.clip = &clip, .config = config[i], .pass = {.batch = 1}};
        clip.family = checkpoint.family;
        tower_layer(&clip, config[i], &tower.pass);
        if ((status = tower_plan(nodus_math(call), &tower, &plan))) break;
        cost_add_plan(nodus_math(call), plan, out);
        out->result += cost_bytes(1, 1, CLIP_CHUNK, config[i]->width);
        plan_unref(plan);
    }
    weights_unref(clip.weights);
    return status;
}
