/* attention_edit.c: PromptToPrompt: change a prompt and keep the picture.
 *
 * One idea: the target's conditioning carries a note about its source (nodes/diffusion/edit.h), and any sampler that gets pairs of latents
 * paints both pictures side by side. */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "nodes/cond.h"
#include "nodes/diffusion/edit.h"
#include "nodes/models/clip_prompt.h"
#include "nodes/prompt_words.h"
#include "nodes/text_encode.h"
#include <string.h>

typedef struct {
    const Clip *clip;
    const char *source, *target, *mode, *reweight;
    double cross_steps, self_steps;
    const NodusTensor *mask; /* or NULL */
} EditArgs;

/* ---- Factors -------------------------------------------------------------------------------------------------------------- */

/* A line "word = factor"; empty ones say nothing. */
static NodusStatus read_line(NodusCall *call, const char *line, size_t length, const PromptWords *target, float *factors)
{
    const char *equals = memchr(line, '=', length);
    double factor;
    int found;
    size_t blank = 0;
    while (blank < length && clip_prompt_blank(line + blank, length - blank)) blank++;
    if (blank == length) return NULL;
    if (!equals || !clip_prompt_number(equals + 1, length - (size_t)(equals + 1 - line), &factor) || !(factor >= -100 && factor <= 100))
        return nodus_input_error(call, "reweight", "\"%.*s\" is no line \"word = factor\", the factor between -100 and 100", (int)length,
                                 line);
    NODUS_TRY(prompt_words_weigh(target, line, (size_t)(equals - line), (float)factor, factors, &found));
    if (found) return NULL;
    return nodus_input_error(call, "reweight", "the target prompt has no \"%.*s\"", (int)(equals - line), line);
}

static NodusStatus read_factors(NodusCall *call, const char *text, const PromptWords *target, float *factors)
{
    for (int i = 0; i < target->tokens; i++) factors[i] = 1;
    while (*text) {
        const size_t length = strcspn(text, "\n");
        NODUS_TRY(read_line(call, text, length, target, factors));
        text += length + (text[length] != 0);
    }
    return NULL;
}

/* ---- The edit ------------------------------------------------------------------------------------------------------------- */

/* The arrays of the use: the first of each pair changes nothing. `room`: [2·t·t + 3·t], zeroed. */
static NodusStatus fill_use(NodusCall *call, const EditArgs *in, const PromptWords *source, const PromptWords *target, float *room,
                            EditUse *use)
{
    const int64_t t = target->tokens;
    float *map = room + t * t, *fresh = room + 2 * t * t, *factors = fresh + 2 * t;
    bool any = false;
    for (int64_t i = 0; i < t; i++) room[i * t + i] = 1;
    NODUS_TRY(read_factors(call, in->reweight, target, factors));
    NODUS_TRY(prompt_words_map(source, target, !strcmp(in->mode, "refine"), map, fresh + t));
    for (int64_t j = 0; j < t; j++) {
        for (int64_t i = 0; i < t; i++) map[i * t + j] *= factors[j];
        any = any || fresh[t + j] != 0;
        fresh[t + j] *= factors[j];
    }
    NodusTensor *tensor;
    NODUS_TRY(nodus_tensor_from_f32(nodus_math(call), &tensor, 4, (int64_t[]){2, 1, t, t}, room));
    use->map = nodus_tensor_ref(tensor);
    if (!any) return NULL;
    NODUS_TRY(nodus_tensor_from_f32(nodus_math(call), &tensor, 3, (int64_t[]){2, t, 1}, fresh));
    use->fresh = nodus_tensor_ref(tensor);
    return NULL;
}

enum { MOST_TOKENS = 32 * 77 };

static NodusStatus read_words(NodusCall *call, const EditArgs *in, EditUse *use)
{
    PromptWords source, target = {0};
    float *room = NULL;
    NodusStatus status = prompt_words(in->source, &source);
    if (!status) status = prompt_words(in->target, &target);
    if (!status && target.tokens > MOST_TOKENS) /* the edit has a number for each pair of tokens */
        status = nodus_input_error(call, "target", "has %d tokens: an edit compares at most %d", target.tokens, MOST_TOKENS);
    if (!status) {
        room = memory_array((size_t)target.tokens * (2 * (size_t)target.tokens + 3), sizeof *room);
        status = room ? fill_use(call, in, &source, &target, room, use) : status_memory();
    }
    memory_free(room);
    prompt_words_free(&source);
    prompt_words_free(&target);
    return status;
}

static NodusStatus edit_emit(NodusCall *call, const EditArgs *in, EditUse *use)
{
    NodusTensor *text, *pooled;
    NODUS_TRY(read_words(call, in, use));
    NODUS_TRY(text_encode(call, in->clip, in->source, NULL, &text, &pooled));
    use->text = nodus_tensor_ref(text);
    use->pooled = nodus_tensor_ref(pooled);
    NODUS_TRY(text_encode(call, in->clip, in->target, NULL, &text, &pooled));
    Conditioning *conditioning = conditioning_new(1);
    if (!conditioning) return status_memory();
    conditioning->cond[0] = cond_plain(text, pooled);
    conditioning->cond[0].edit = edit_ref(use);
    return nodus_emit(call, 0, &type_conditioning, conditioning);
}

static NodusStatus edit_node(NodusCall *call, const void *args)
{
    const EditArgs *in = args;
    NODUS_TRY(values_require(call, "clip", in->clip->weights, in->clip->origin, "text encoder"));
    EditUse *use = memory_alloc(sizeof *use);
    if (!use) return status_memory();
    atomic_init(&use->holders, 1);
    use->cross_end = in->cross_steps;
    use->self_end = in->self_steps;
    use->mask = nodus_tensor_ref(in->mask);
    NodusStatus status = edit_emit(call, in, use);
    edit_unref(use);
    return status;
}

static NodusStatus edit_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    (void)call, (void)args;
    out[0].family = in[0].family;
    return NULL;
}

static const char *const edit_modes[] = {"replace", "refine", NULL};
static const NodusInput edit_inputs[] = {
    NODUS_IN_LINK("clip", EditArgs, clip, "CLIP", "The text encoder of the model."),
    NODUS_IN_STRING("source", EditArgs, source, "What the picture shows that is to be kept.", .def = "", .multiline = true,
                    .dynamic = true),
    NODUS_IN_STRING("target", EditArgs, target, "What it is to show instead.", .def = "", .multiline = true, .dynamic = true),
    NODUS_IN_COMBO(
        "mode", EditArgs, mode,
        "replace: each word of the target takes the place of that of the source, so both have equally many words. refine: words that both "
        "have keep their places, further ones find their own.",
        .names = edit_modes),
    NODUS_FLAG_FLOAT(NODUS_OPTIONAL, "cross_steps", EditArgs, cross_steps,
                     "For this part of the sampling words act where those of the source do: more keeps more.", .def = 0.8, .min = 0,
                     .max = 1, .step = 0.01),
    NODUS_FLAG_FLOAT(NODUS_OPTIONAL, "self_steps", EditArgs, self_steps,
                     "For this part of the sampling places of the picture look at each other as in the source.", .def = 0.4, .min = 0,
                     .max = 1, .step = 0.01),
    NODUS_FLAG_STRING(NODUS_OPTIONAL, "reweight", EditArgs, reweight,
                      "Lines \"word = factor\": how much more or less words of the target act, as long as cross_steps says.", .def = "",
                      .multiline = true),
    NODUS_FLAG_LINK(
        NODUS_OPTIONAL, "mask", EditArgs, mask, "MASK",
        "Where the target may differ from the source, such as where a word acts (AttentionMapsToMask, ThresholdMask); else everywhere."),
};
const NodusNode node_prompt_to_prompt = {
    NODUS_NODE("PromptToPrompt", "Prompt to Prompt", "conditioning/attention", EditArgs, edit_inputs, cond_outputs),
    .help = "Change words of a prompt and keep the picture's composition (Hertz et al., 2022). The sampler needs a latent of pairs with "
            "the same "
            "noise (batch of 2, LatentBatchSeedBehavior fixed): the first becomes the source's picture, the second the target's.",
    .example = "graphs/prompt_to_prompt.json",
    .run = edit_node,
    .infer = edit_infer,
};
